#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

#include "tensor/error.hpp"

/// The letters that stand for sizes everywhere in this library:
///
///   B  batch: sequences            T  time: tokens of a sequence       N  rows, usually B·T
///   C  width of the model          H  query heads                      G  key/value heads (H is a multiple of G)
///   D  width of a head             F  width of the feed-forward layer  V  vocabulary
///   L  layers                      M, N, K  a matrix product (M,K)·(K,N)
///
/// Sizes, offsets and strides are int64 and count elements.

namespace gradus {

/// Up to eight sizes; a scalar has rank 0 and one element.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes)
      : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes) {
    check(sizes.size() <= kMaxRank, "shape: at most ", kMaxRank, " dimensions; ", sizes.size(),
          " were given");
    rank_ = static_cast<int>(sizes.size());
    for (int i = 0; i < rank_; ++i) sizes_[i] = sizes[i];
  }

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return sizes_[axis]; }
  int64_t& operator[](int axis) { return sizes_[axis]; }
  /// The size of an axis; -1 is the last.
  int64_t at(int axis) const { return sizes_[normalize_axis(axis, "shape")]; }
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }

  /// The product of the sizes; an error if it does not fit, or would not if sizes of 0 were 1: strides are such products.
  int64_t numel() const {
    int64_t product = 1;
    bool empty = false;
    for (const int64_t size : *this) {
      empty = empty || size == 0;
      check(!__builtin_mul_overflow(product, size == 0 ? 1 : size, &product),
            "shape: the number of elements must fit in 63 bits; ", to_string());
    }
    return empty ? 0 : product;
  }

  /// Turns -1 … -rank into 0 … rank-1; an error names `op`.
  int normalize_axis(int axis, const char* op) const {
    check(rank_ > 0, op, ": the tensor must have an axis; it has none, shape ()");
    const int normal = axis < 0 ? axis + rank_ : axis;
    check(normal >= 0 && normal < rank_, op, ": axis must be in [", -rank_, ", ", rank_ - 1, "]; axis ", axis,
          " of shape ", to_string());
    return normal;
  }

  void push_back(int64_t size) {
    check(rank_ < kMaxRank, "shape: at most ", kMaxRank, " dimensions");
    sizes_[rank_++] = size;
  }
  Shape without(int axis) const {
    Shape result;
    for (int i = 0; i < rank_; ++i) {
      if (i != axis) result.push_back(sizes_[i]);
    }
    return result;
  }

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i) {
      if (sizes_[i] != other.sizes_[i]) return false;
    }
    return true;
  }

  /// "(2, 3)".
  std::string to_string() const {
    std::string text = "(";
    for (int i = 0; i < rank_; ++i) {
      if (i > 0) text += ", ";
      text += std::to_string(sizes_[i]);
    }
    return text + ")";
  }
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.to_string(); }

 private:
  int rank_ = 0;
  std::array<int64_t, kMaxRank> sizes_{};
};

/// Elements to step over for the next index of each axis.
using Strides = Shape;

/// Row-major strides of a dense array: the last axis is next to itself.
inline Strides dense_strides(const Shape& shape) {
  Strides strides = shape;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/// The shape both operands stretch to: aligned at the last axis, a size of 1 stretches.
/// note: the rule of NumPy; an error names `op` and both shapes.
inline Shape broadcast_shape(const Shape& a, const Shape& b, const char* op) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape result = longer;
  const int shift = longer.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    const int64_t x = longer[i + shift];
    const int64_t y = shorter[i];
    check(x == y || x == 1 || y == 1, op,
          ": shapes must broadcast (equal, or 1, from the last axis back); a is ", a, ", b is ", b);
    result[i + shift] = x == 1 ? y : x;
  }
  return result;
}

}  // namespace gradus
