#include "nn/block.hpp"

namespace gradus {

Block::Block(const std::string& path, const BlockOptions& o)
    : attention(join_path(path, "attention"), o.attention, o.dtype),
      mlp(join_path(path, "mlp"), o.mlp, o.attention.width, o.inner, o.mlp_bias, o.dtype),
      has_attention_norm_(o.attention_norm),
      kind_(o.kind),
      attention_dropout_(join_path(path, "attention.dropout"), o.dropout),
      mlp_dropout_(join_path(path, "mlp.dropout"), o.dropout) {
  const auto norm = [&](const char* name) {
    return Norm(join_path(path, name), o.attention.width, o.attention.norm, o.dtype);
  };
  if (has_attention_norm_) attention_norm = norm("attention_norm");
  if (has_mlp_norm(kind_)) mlp_norm = norm("mlp_norm");
  if (has_outer_norms(kind_)) {
    attention_outer_norm = norm("attention_outer_norm");
    mlp_outer_norm = norm("mlp_outer_norm");
  }
}

Tensor Block::normed(const Tensor& x) const { return has_attention_norm_ ? attention_norm(x) : x; }

Tensor Block::attention_rows(const Tensor& x) const {
  switch (kind_) {
    case BlockKind::post_norm: return x;
    case BlockKind::pre_norm:
    case BlockKind::sandwich:
    case BlockKind::parallel:
    case BlockKind::parallel_shared: return normed(x);
  }
  fail("block: the kind must be a known one; it is number ", static_cast<int>(kind_));
}

Tensor Block::operator()(const Tensor& x, const Position& position, const Context& context,
                         std::span<KeyValueCache* const> caches) const {
  const auto attend = [&](const Tensor& rows) {
    const Tensor found = attention(rows, position, context, caches);
    return attention_dropout_(has_outer_norms(kind_) ? attention_outer_norm(found) : found, context);
  };
  const auto feed = [&](const Tensor& rows) {
    const Tensor found = mlp(rows);
    return mlp_dropout_(has_outer_norms(kind_) ? mlp_outer_norm(found) : found, context);
  };
  switch (kind_) {
    case BlockKind::pre_norm:
    case BlockKind::sandwich: {
      const Tensor y = x + attend(attention_rows(x));
      return y + feed(mlp_norm(y));
    }
    case BlockKind::post_norm: {
      const Tensor y = normed(x + attend(attention_rows(x)));
      return mlp_norm(y + feed(y));
    }
    case BlockKind::parallel: {
      const Tensor y = x + attend(attention_rows(x));
      return y + feed(mlp_norm(x));
    }
    case BlockKind::parallel_shared: {
      const Tensor rows = attention_rows(x);
      const Tensor y = x + attend(rows);
      return y + feed(rows);
    }
  }
  fail("block: the kind must be a known one; it is number ", static_cast<int>(kind_));
}

}  // namespace gradus
