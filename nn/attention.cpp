#include "nn/attention.hpp"

namespace gradus {

Attention::Attention(const std::string& path, const AttentionOptions& options, DType dtype)
    : options_(options), path_(path) {
  AttentionOptions& o = options_;
  check(o.heads >= 1 && (o.head_width > 0 || o.width % o.heads == 0), path,
        ": the width must be a multiple of the heads; width ", o.width, ", heads ", o.heads);
  check(o.kv_heads >= 1 && o.heads % o.kv_heads == 0, path,
        ": the heads must be a multiple of the key/value heads; heads ", o.heads, ", key/value heads ",
        o.kv_heads);
  if (o.head_width == 0) o.head_width = o.width / o.heads;
  qkv = Linear(join_path(path, "qkv"), o.width, (o.heads + 2 * o.kv_heads) * o.head_width, o.bias, dtype);
  output = Linear(join_path(path, "output"), o.heads * o.head_width, o.width, o.output_bias, dtype);
  if (o.query_key_norm) {
    query_norm = Norm(join_path(path, "query_norm"), o.head_width, o.norm, dtype);
    key_norm = Norm(join_path(path, "key_norm"), o.head_width, o.norm, dtype);
  }
}

Attention::Projections Attention::project(const Tensor& x) const {
  const AttentionOptions& o = options_;
  const int64_t widths[] = {o.heads * o.head_width, o.kv_heads * o.head_width, o.kv_heads * o.head_width};
  const std::vector<Tensor> parts = split(qkv(x), widths, -1);
  if (!o.query_key_norm) return {parts[0], parts[1], parts[2]};
  const auto normed = [&](const Tensor& rows, const Norm& norm) {  // (N, H·D) -> (N·H, D) -> (N, H·D)
    return reshape(norm(reshape(rows, {rows.numel() / o.head_width, o.head_width})), rows.shape());
  };
  return {normed(parts[0], query_norm), normed(parts[1], key_norm), parts[2]};
}

Tensor Attention::operator()(const Tensor& x, const Position& position, const Context& context,
                             std::span<KeyValueCache* const> caches) const {
  const AttentionOptions& o = options_;
  check(
      o.visibility.after == 0 || caches.empty(), path_,
      ": attention with a cache must be causal; here a row takes from those after it too, so that a new row "
      "changes the others; read all rows at once, without a cache");
  // Keys are rotated before they enter the cache, so each is rotated once, by its own position.
  Projections p = project(x);
  p.queries = position.rotate(p.queries, context.positions, o.heads, o.local);
  p.keys = position.rotate(p.keys, context.positions, o.kv_heads, o.local);

  const Tensor y = at_path(path_, [&] {
    return caches.empty() ? attention(p.queries, p.keys, p.values, context.sequences, o.heads, o.kv_heads,
                                      o.visibility, o.scale)
                          : attention_cached(p.queries, p.keys, p.values, context.sequences, caches, o.heads,
                                             o.kv_heads, o.visibility, o.scale);
  });
  return output(y);  // (N, H·D) -> (N, C)
}

}  // namespace gradus
