#include "nn/block.hpp"

namespace gradus {

Block::Block(const std::string& path, const BlockOptions& o)
    : attention_norm(join_path(path, "attention_norm"), o.norm, o.width, o.norm_epsilon, o.dtype),
      attention(join_path(path, "attention"), o.width, o.heads, o.kv_heads, o.attention_bias, o.dtype),
      mlp_norm(join_path(path, "mlp_norm"), o.norm, o.width, o.norm_epsilon, o.dtype),
      mlp(join_path(path, "mlp"), o.mlp, o.width, o.inner, o.mlp_bias, o.dtype),
      attention_dropout_(join_path(path, "attention.dropout"), o.dropout),
      mlp_dropout_(join_path(path, "mlp.dropout"), o.dropout) {}

Tensor Block::operator()(const Tensor& x, const Position& position, const Context& context,
                         std::span<KeyValueCache* const> caches) const {
  const Tensor y = x + attention_dropout_(attention(attention_norm(x), position, context, caches), context);
  return y + mlp_dropout_(mlp(mlp_norm(y)), context);
}

}  // namespace gradus
