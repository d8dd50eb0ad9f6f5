#include "nn/attention.hpp"

namespace gradus {

Attention::Attention(const std::string& path, int64_t width, int64_t heads, int64_t kv_heads, bool with_bias,
                     DType dtype, bool causal)
    : heads_(heads), kv_heads_(kv_heads), causal_(causal), path_(path) {
  check(heads >= 1 && width % heads == 0, path, ": the width must be a multiple of the heads; width ", width,
        ", heads ", heads);
  check(kv_heads >= 1 && heads % kv_heads == 0, path,
        ": the heads must be a multiple of the key/value heads; heads ", heads, ", key/value heads ",
        kv_heads);
  head_width_ = width / heads;
  qkv = Linear(join_path(path, "qkv"), width, (heads + 2 * kv_heads) * head_width_, with_bias, dtype);
  output = Linear(join_path(path, "output"), width, width, with_bias, dtype);
}

Tensor Attention::operator()(const Tensor& x, const Position& position, const Context& context,
                             std::span<KeyValueCache* const> caches) const {
  check(
      causal_ || caches.empty(), path_,
      ": attention with a cache must be causal; here a row takes from those after it too, so that a new row "
      "changes the others; read all rows at once, without a cache");
  const int64_t widths[] = {heads_ * head_width_, kv_heads_ * head_width_, kv_heads_ * head_width_};
  const std::vector<Tensor> parts = split(qkv(x), widths, -1);  // (N, H·D), (N, G·D), (N, G·D)

  // Keys are rotated before they enter the cache, so each is rotated once, by its own position.
  const Tensor q = position.rotate(parts[0], context.positions, heads_);
  const Tensor k = position.rotate(parts[1], context.positions, kv_heads_);
  const Tensor& v = parts[2];

  const Tensor y = at_path(path_, [&] {
    return caches.empty() ? attention(q, k, v, context.sequences, heads_, kv_heads_, causal_)
                          : attention_cached(q, k, v, context.sequences, caches, heads_, kv_heads_);
  });
  return output(y);  // (N, H·D) -> (N, C)
}

}  // namespace gradus
