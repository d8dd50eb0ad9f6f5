#include "nn/attention.hpp"

#include <limits>

#include "tensor/autodiff.hpp"
#include "tensor/math.hpp"

namespace gradus {
namespace {

// softmax(scale q kᵀ) of what each row sees, in small ops: see AttentionRecord.
Tensor attention_map(const Tensor& q, const Tensor& k, const Ragged& sequences, const AttentionOptions& o) {
  const double scale = o.scale > 0 ? o.scale : 1 / math::sqrt(static_cast<double>(o.head_width));
  std::vector<Tensor> parts;
  for (int64_t b = 0; b < sequences.count(); ++b) {
    const int64_t begin = sequences.offsets[static_cast<size_t>(b)];
    const int64_t end = sequences.offsets[static_cast<size_t>(b) + 1], time = end - begin;
    const Tensor places = cast(Tensor::arange(time), q.dtype());
    const Tensor rows = reshape(places, {time, 1}), keys = reshape(places, {1, time});
    const Tensor hidden = Tensor::full({}, -std::numeric_limits<double>::infinity(), q.dtype());
    const auto head = [&](const Tensor& x, int64_t h) {
      return slice(slice(x, 0, begin, end), 1, h * o.head_width, (h + 1) * o.head_width);
    };
    for (int64_t h = 0; h < o.heads; ++h) {
      Tensor scores = matmul(head(q, h), head(k, h / (o.heads / o.kv_heads)), false, true) * scale;
      if (o.visibility.after < time)
        scores = where(greater(keys, rows + static_cast<double>(o.visibility.after)), hidden, scores);
      if (o.visibility.before < time)
        scores = where(greater(rows, keys + static_cast<double>(o.visibility.before)), hidden, scores);
      parts.push_back(reshape(softmax(scores), {time * time}));
    }
  }
  return concat(parts, 0);
}

}  // namespace

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
  if (context.record) {
    const NoGrad no_grad_here;
    if (context.record->maps)
      context.record->map.push_back(attention_map(p.queries, p.keys, context.sequences, o));
    if (context.record->heads) context.record->head.push_back(y.detach());
  }
  return output(y);  // (N, H·D) -> (N, C)
}

}  // namespace gradus
