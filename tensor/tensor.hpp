#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.hpp"
#include "tensor/shape.hpp"

/// START HERE. A Tensor is a handle on an array: storage + shape + strides + the autodiff node that made it.
/// Copying the handle shares the array. Next: tensor/autodiff.hpp, then tensor/ops/softmax.cpp.

namespace gradus {

class Storage;
struct Node;

/// Numbers in braces, as deep as a shape has axes: {{1, 2}, {3, 4}} has shape (2, 2), a number alone shape ().
/// note: all lists of one level must have the same shape, else it is an error.
struct NestedValues {
  NestedValues(double value);
  NestedValues(std::initializer_list<NestedValues> rows);
  Shape shape;
  std::vector<double> values;  // in row-major order
};

class Tensor {
 public:
  /// An empty handle: defined() is false.
  Tensor() = default;

  /// Undefined contents.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  /// Every element is `value`.
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
  /// 0, 1, 2 … count-1 in i32.
  static Tensor arange(int64_t count);
  /// A copy of the values, which must be as many as the shape has elements.
  static Tensor from(std::span<const float> values, const Shape& shape);
  static Tensor from(std::span<const double> values, const Shape& shape);
  static Tensor from(std::span<const int32_t> values, const Shape& shape);
  /// Tensor::from({{1, 2}, {3, 4}}): the values and the shape of the braces.   shape: f32, f64, or i32 for whole numbers.
  static Tensor from(const NestedValues& rows, DType dtype = DType::f32);
  /// A dense array in memory that somebody else owns, at any alignment, read-only; `release` runs when the last handle is gone.
  static Tensor external(const void* data, const Shape& shape, DType dtype, std::function<void()> release);
  /// Another view of this tensor's storage, without autodiff; `offset` counts elements from this tensor's first.
  Tensor view(const Shape& shape, const Strides& strides, int64_t offset) const;

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const;
  const Strides& strides() const;
  int rank() const { return shape().rank(); }
  /// The size of an axis; -1 is the last.
  int64_t size(int axis) const { return shape().at(axis); }
  int64_t numel() const;
  DType dtype() const;
  /// Elements stand in row-major order without gaps.
  bool is_contiguous() const;

  /// The first element; an error if T is not the element type.
  template <class T>
  const T* data() const {
    return static_cast<const T*>(raw(dtype_of<T>::value));
  }
  /// The same for writing: counts as a write (see Storage::version); an error on read-only memory.
  template <class T>
  T* mutable_data() const {
    return static_cast<T*>(mutable_raw(dtype_of<T>::value));
  }
  const std::byte* bytes() const;
  std::byte* mutable_bytes() const;
  std::size_t nbytes() const { return static_cast<std::size_t>(numel()) * dtype_bytes(dtype()); }

  /// The one element of a tensor that has one; i32 is converted.
  double item() const;
  /// The elements in row-major order; an error if T is not the element type.
  template <class T>
  std::vector<T> to_vector() const {
    const Tensor dense = to_contiguous();
    const T* first = dense.data<T>();
    if (first == nullptr) return std::vector<T>(static_cast<std::size_t>(dense.numel()));  // see DryRunMemory
    return std::vector<T>(first, first + dense.numel());
  }
  /// A dense tensor with the same elements and no autodiff; itself where it is dense already.
  Tensor to_contiguous() const;
  /// A dense copy of its own, without autodiff.
  Tensor clone() const;
  /// The same array without its autodiff history.
  Tensor detach() const;
  /// Copies the elements of a tensor of the same shape and type into this one.
  void copy_from(const Tensor& source) const;

  // Autodiff: see tensor/autodiff.hpp.
  bool requires_grad() const;
  /// Marks a leaf (a parameter); only f32 and f64.
  Tensor& set_requires_grad(bool on = true);
  /// The accumulated gradient of a leaf, empty before the first backward.
  /// note: merges row-sparse contributions (see embedding) first.
  Tensor grad() const;
  void set_grad(const Tensor& gradient) const;
  void clear_grad() const;
  /// Runs reverse-mode differentiation from this scalar with upstream gradient 1 (or a given one of the same shape).
  /// note: frees the graph on its way; a second call is an error.
  void backward() const;
  void backward(const Tensor& upstream) const;

  const std::shared_ptr<Storage>& storage() const;
  const std::shared_ptr<Node>& node() const;
  /// Same handle: the same array object, not merely equal elements.
  bool same(const Tensor& other) const { return impl_ == other.impl_; }

 private:
  struct Impl;
  friend class Autodiff;
  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  const void* raw(DType expected) const;
  void* mutable_raw(DType expected) const;
  const Impl& impl(const char* what) const;
  std::shared_ptr<Impl> impl_;
};

/// Type, shape and values in lines without an end of line: "f32 (2, 2)\n[[1. 2.]\n [3. 4.]]".
/// note: laid out as NumPy does: aligned columns, lines of up to 75 characters, up to 8 digits after the point (of f16 5
///       digits in all, of bf16 4), powers of ten where sizes differ by more than a thousand. Of more than 1000 elements
///       the first and last three along each axis.
std::string to_string(const Tensor& x);
std::ostream& operator<<(std::ostream& out, const Tensor& x);

/// The number, in row-major order, of the first element that is NaN or infinite; -1 where all are numbers.
/// shape: any, f32 or f64; of other types every element is a number.
int64_t first_non_finite(const Tensor& x);

/// A tensor and the name it has in a model or file.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

}  // namespace gradus
