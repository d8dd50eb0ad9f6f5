#include "nn/block.hpp"

namespace gradus {

Block::Block(const std::string& path, const BlockOptions& o)
    : attention_norm(join_path(path, "attention_norm"), o.norm, o.width, o.norm_epsilon, o.dtype),
      attention(join_path(path, "attention"), o.width, o.heads, o.kv_heads, o.attention_bias, o.dtype,
                o.causal),
      mlp(join_path(path, "mlp"), o.mlp, o.width, o.inner, o.mlp_bias, o.dtype),
      kind_(o.kind),
      attention_dropout_(join_path(path, "attention.dropout"), o.dropout),
      mlp_dropout_(join_path(path, "mlp.dropout"), o.dropout) {
  if (has_mlp_norm(kind_))
    mlp_norm = Norm(join_path(path, "mlp_norm"), o.norm, o.width, o.norm_epsilon, o.dtype);
}

Tensor Block::operator()(const Tensor& x, const Position& position, const Context& context,
                         std::span<KeyValueCache* const> caches) const {
  const auto attend = [&](const Tensor& rows) {
    return attention_dropout_(attention(rows, position, context, caches), context);
  };
  const auto feed = [&](const Tensor& rows) { return mlp_dropout_(mlp(rows), context); };
  switch (kind_) {
    case BlockKind::pre_norm: {
      const Tensor y = x + attend(attention_norm(x));
      return y + feed(mlp_norm(y));
    }
    case BlockKind::post_norm: {
      const Tensor y = attention_norm(x + attend(x));
      return mlp_norm(y + feed(y));
    }
    case BlockKind::parallel: {
      const Tensor y = x + attend(attention_norm(x));
      return y + feed(mlp_norm(x));
    }
    case BlockKind::parallel_shared: {
      const Tensor rows = attention_norm(x);
      const Tensor y = x + attend(rows);
      return y + feed(rows);
    }
  }
  fail("block: the kind must be a known one; it is number ", static_cast<int>(kind_));
}

}  // namespace gradus
