#include "tensor/tensor.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "tensor/detail/tensor_impl.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 32768;  // elements that one chunk fills or copies

std::size_t checked_bytes(const Shape& shape, DType dtype, const char* op) {
  for (int64_t size : shape) {
    check(size >= 0, op, ": sizes must not be negative; shape ", shape, "; check where the sizes come from");
  }
  const auto numel = static_cast<std::size_t>(shape.numel());
  std::size_t bytes = 0;
  check(!__builtin_mul_overflow(numel, dtype_bytes(dtype), &bytes) &&
            bytes <= static_cast<std::size_t>(std::numeric_limits<int64_t>::max()),
        op, ": the bytes of a tensor must fit in 63 bits; shape ", shape, " of ", dtype_name(dtype),
        "; use smaller sizes");
  return bytes;
}

/// Row-major without gaps; axes of size 1 may have any stride.
bool dense(const Shape& shape, const Strides& strides, int64_t numel) {
  if (numel == 0) return true;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 1) continue;
    if (strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

/// A strided copy with axes of size 1 dropped and axes merged that step alike on both sides.
struct CopyPlan {
  Shape shape;
  Strides to;
  Strides from;

  CopyPlan(const Shape& full, const Strides& to_strides, const Strides& from_strides) {
    for (int i = 0; i < full.rank(); ++i) {
      if (full[i] == 1) continue;
      const int last = shape.rank() - 1;
      if (last >= 0 && to[last] == to_strides[i] * full[i] && from[last] == from_strides[i] * full[i]) {
        shape[last] *= full[i];
        to[last] = to_strides[i];
        from[last] = from_strides[i];
      } else {
        shape.push_back(full[i]);
        to.push_back(to_strides[i]);
        from.push_back(from_strides[i]);
      }
    }
    if (shape.rank() == 0) {
      shape.push_back(1);
      to.push_back(1);
      from.push_back(1);
    }
  }
};

/// Copies `count` elements of kBytes; through memcpy, since external memory may have any alignment.
template <int kBytes>
void copy_run(std::byte* to, int64_t to_step, const std::byte* from, int64_t from_step, int64_t count) {
  if (to_step == 1 && from_step == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * kBytes);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * to_step * kBytes, from + i * from_step * kBytes, kBytes);
  }
}

template <int kBytes>
void copy_strided(const CopyPlan& plan, std::byte* to, const std::byte* from) {
  const int last = plan.shape.rank() - 1;
  const int64_t inner = plan.shape[last];
  parallel_ranges(plan.shape.numel(), kGrain, [&](int64_t begin, int64_t end) {
    int64_t index[Shape::kMaxRank];
    int64_t to_offset = 0;
    int64_t from_offset = 0;
    int64_t rest = begin;
    for (int i = last; i >= 0; --i) {
      index[i] = rest % plan.shape[i];
      rest /= plan.shape[i];
      to_offset += index[i] * plan.to[i];
      from_offset += index[i] * plan.from[i];
    }
    for (int64_t done = begin; done < end;) {
      const int64_t count = std::min(inner - index[last], end - done);
      copy_run<kBytes>(to + to_offset * kBytes, plan.to[last], from + from_offset * kBytes, plan.from[last],
                       count);
      done += count;
      index[last] += count;
      to_offset += count * plan.to[last];
      from_offset += count * plan.from[last];
      for (int i = last; i > 0 && index[i] == plan.shape[i]; --i) {
        to_offset += plan.to[i - 1] - index[i] * plan.to[i];
        from_offset += plan.from[i - 1] - index[i] * plan.from[i];
        index[i] = 0;
        ++index[i - 1];
      }
    }
  });
}

/// A copy whose target runs along the last axis and whose source runs along `axis`: in tiles of kTile x kTile that pass
/// through a buffer, so that both sides move whole cache lines.
template <int kBytes>
void copy_transposed(const CopyPlan& plan, int axis, std::byte* to, const std::byte* from) {
  constexpr int64_t kTile = 64 / kBytes;
  const int last = plan.shape.rank() - 1;
  const int64_t width = plan.shape[last];
  const int64_t height = plan.shape[axis];
  const int64_t strips = (height + kTile - 1) / kTile;
  const Shape outer = plan.shape.without(last).without(axis);  // axis < last
  const Strides outer_to = plan.to.without(last).without(axis);
  const Strides outer_from = plan.from.without(last).without(axis);
  const int64_t grain = std::max<int64_t>(1, kGrain / (kTile * width));
  parallel_ranges(outer.numel() * strips, grain, [&](int64_t begin, int64_t end) {
    std::byte tile[kTile][kTile][kBytes];  // [row of the source][element of it]
    for (int64_t item = begin; item < end; ++item) {
      const int64_t row = item % strips * kTile;
      const int64_t rows = std::min(kTile, height - row);
      int64_t rest = item / strips;
      int64_t to_offset = row * plan.to[axis];
      int64_t from_offset = row;
      for (int i = outer.rank() - 1; i >= 0; --i) {
        to_offset += rest % outer[i] * outer_to[i];
        from_offset += rest % outer[i] * outer_from[i];
        rest /= outer[i];
      }
      for (int64_t column = 0; column < width; column += kTile) {
        const int64_t columns = std::min(kTile, width - column);
        for (int64_t c = 0; c < columns; ++c) {
          std::memcpy(tile[c], from + (from_offset + (column + c) * plan.from[last]) * kBytes,
                      static_cast<std::size_t>(rows) * kBytes);
        }
        for (int64_t r = 0; r < rows; ++r) {
          std::byte* line = to + (to_offset + r * plan.to[axis] + column) * kBytes;
          for (int64_t c = 0; c < columns; ++c) std::memcpy(line + c * kBytes, tile[c][r], kBytes);
        }
      }
    }
  });
}

template <int kBytes>
void copy_planned(const CopyPlan& plan, std::byte* to, const std::byte* from) {
  const int last = plan.shape.rank() - 1;
  if (plan.to[last] == 1 && plan.from[last] != 1) {
    for (int axis = 0; axis < last; ++axis) {
      if (plan.from[axis] == 1) return copy_transposed<kBytes>(plan, axis, to, from);
    }
  }
  copy_strided<kBytes>(plan, to, from);
}

void copy_elements(const Tensor& to, const Tensor& from) {
  std::byte* target = to.mutable_bytes();
  const std::byte* source = from.bytes();
  if (target == nullptr || source == nullptr || to.numel() == 0)
    return;  // nothing behind an empty array or one of a dry run
  const CopyPlan plan(to.shape(), to.strides(), from.strides());
  switch (dtype_bytes(to.dtype())) {
    case 2: return copy_planned<2>(plan, target, source);
    case 4: return copy_planned<4>(plan, target, source);
    default: return copy_planned<8>(plan, target, source);
  }
}

template <class T>
void fill(const Tensor& tensor, T value) {
  T* y = tensor.mutable_data<T>();
  parallel_ranges(tensor.numel(), kGrain,
                  [&](int64_t begin, int64_t end) { std::fill(y + begin, y + end, value); });
}

template <class T>
Tensor copy_values(std::span<const T> values, const Shape& shape) {
  Tensor y = Tensor::empty(shape, dtype_of<T>::value);
  check(static_cast<int64_t>(values.size()) == y.numel(),
        "tensor: the values must be as many as the shape has elements; ", values.size(), " values, shape ",
        shape, "; change one of them");
  std::byte* target = y.mutable_bytes();
  if (target != nullptr && !values.empty()) std::memcpy(target, values.data(), y.nbytes());
  return y;
}

void check_i32(const char* op, double value) {
  check(value >= -2147483648.0 && value <= 2147483647.0 && std::floor(value) == value, op,
        ": an i32 value must be a whole number of 32 bits; it is ", value, "; round it or use f32");
}

template <class T>
std::vector<T> converted(const std::vector<double>& values) {
  std::vector<T> result;
  for (double value : values) result.push_back(static_cast<T>(value));
  return result;
}

}  // namespace

NestedValues::NestedValues(double value) : values{value} {}

NestedValues::NestedValues(std::initializer_list<NestedValues> rows) {
  shape.push_back(static_cast<int64_t>(rows.size()));
  for (const NestedValues& row : rows) {
    const NestedValues& first = *rows.begin();
    check(row.shape == first.shape, "tensor: lists in braces must all have the same shape; the first is ",
          first.shape, ", number ", &row - &first, " is ", row.shape, "; give each row as many values");
    values.insert(values.end(), row.values.begin(), row.values.end());
  }
  if (rows.size() == 0) return;
  for (int64_t size : rows.begin()->shape) shape.push_back(size);
}

Tensor::Impl::~Impl() {
  if (node) release_node(std::move(node));
}

bool Autodiff::exclusive(const Tensor& tensor) {
  return tensor.impl_.use_count() == 1 && tensor.impl_->storage.use_count() == 1;
}

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  const std::size_t bytes = checked_bytes(shape, dtype, "tensor");
  auto impl = std::make_shared<Impl>();
  impl->storage = Storage::allocate(bytes);
  impl->shape = shape;
  impl->strides = dense_strides(shape);
  impl->numel = shape.numel();
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  // All bits zero is 0 in every type.
  Tensor y = empty(shape, dtype);
  std::byte* bytes = y.mutable_bytes();
  if (bytes == nullptr) return y;
  parallel_ranges(static_cast<int64_t>(y.nbytes()), kGrain * 4, [&](int64_t begin, int64_t end) {
    std::memset(bytes + begin, 0, static_cast<std::size_t>(end - begin));
  });
  return y;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor y = empty(shape, dtype);
  switch (dtype) {
    case DType::f32: fill(y, static_cast<float>(value)); break;
    case DType::f64: fill(y, value); break;
    case DType::i32:
      check_i32("full", value);
      fill(y, static_cast<int32_t>(value));
      break;
    case DType::bf16:
    case DType::f16:
      fail("full: element type must be f32, f64 or i32; it is ", dtype_name(dtype), "; use cast()");
  }
  return y;
}

Tensor Tensor::arange(int64_t count) {
  check(count >= 0 && count <= int64_t{1} << 31, "arange: count must be in [0, 2^31]; it is ", count,
        "; i32 holds no more");
  Tensor y = empty({count}, DType::i32);
  auto* values = y.mutable_data<int32_t>();
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) values[i] = static_cast<int32_t>(i);
  });
  return y;
}

Tensor Tensor::from(std::span<const float> values, const Shape& shape) { return copy_values(values, shape); }
Tensor Tensor::from(std::span<const double> values, const Shape& shape) { return copy_values(values, shape); }
Tensor Tensor::from(std::span<const int32_t> values, const Shape& shape) {
  return copy_values(values, shape);
}

Tensor Tensor::from(const NestedValues& rows, DType dtype) {
  switch (dtype) {
    case DType::f64: return from(std::span<const double>(rows.values), rows.shape);
    case DType::f32: return from(std::span<const float>(converted<float>(rows.values)), rows.shape);
    case DType::i32:
      for (double value : rows.values) check_i32("tensor", value);
      return from(std::span<const int32_t>(converted<int32_t>(rows.values)), rows.shape);
    case DType::bf16:
    case DType::f16: break;
  }
  fail("tensor: element type must be f32, f64 or i32; it is ", dtype_name(dtype), "; use cast()");
}

Tensor Tensor::external(const void* data, const Shape& shape, DType dtype, std::function<void()> release) {
  const std::size_t bytes = checked_bytes(shape, dtype, "external");
  check(data != nullptr || bytes == 0, "external: data must not be null; shape ", shape, " has ", bytes,
        " bytes; pass the first element");
  static constexpr std::byte kNothing{};
  auto impl = std::make_shared<Impl>();
  impl->storage = Storage::external(data != nullptr ? data : &kNothing, bytes, std::move(release));
  impl->shape = shape;
  impl->strides = dense_strides(shape);
  impl->numel = shape.numel();
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

Tensor Tensor::view(const Shape& shape, const Strides& strides, int64_t offset) const {
  const Impl& base = impl("view");
  check(shape.rank() == strides.rank(), "view: shape and strides must have the same rank; shape ", shape,
        ", strides ", strides, "; give one stride for each axis");
  checked_bytes(shape, base.dtype, "view");
  auto result = std::make_shared<Impl>();
  result->numel = shape.numel();
  // The lowest and the highest element that the view reaches, in elements of the storage.
  int64_t low = 0;
  bool fits = !__builtin_add_overflow(base.offset, offset, &low);
  int64_t high = low;
  for (int i = 0; i < shape.rank() && result->numel > 0; ++i) {
    int64_t reach = 0;
    fits = fits && !__builtin_mul_overflow(shape[i] - 1, strides[i], &reach);
    int64_t& bound = reach < 0 ? low : high;
    fits = fits && !__builtin_add_overflow(bound, reach, &bound);
  }
  const auto capacity = static_cast<int64_t>(base.storage->bytes() / dtype_bytes(base.dtype));
  fits = fits && low >= 0 && (result->numel > 0 ? high < capacity : high <= capacity);
  check(fits, "view: every element must lie inside the storage; shape ", shape, ", strides ", strides,
        ", offset ", offset, " from element ", base.offset, " of ", capacity,
        "; check the strides and the offset");
  result->storage = base.storage;
  result->shape = shape;
  result->strides = strides;
  result->offset = base.offset + offset;
  result->dtype = base.dtype;
  result->contiguous = dense(shape, strides, result->numel);
  return Tensor(std::move(result));
}

const Tensor::Impl& Tensor::impl(const char* what) const {
  check(impl_ != nullptr, what,
        ": the tensor must be defined; this handle is empty; assign a tensor to it first");
  return *impl_;
}

const Shape& Tensor::shape() const { return impl("shape").shape; }
const Strides& Tensor::strides() const { return impl("strides").strides; }
int64_t Tensor::numel() const { return impl("numel").numel; }
DType Tensor::dtype() const { return impl("dtype").dtype; }
bool Tensor::is_contiguous() const { return impl("is_contiguous").contiguous; }
const std::shared_ptr<Storage>& Tensor::storage() const { return impl("storage").storage; }
const std::shared_ptr<Node>& Tensor::node() const { return impl("node").node; }

const std::byte* Tensor::bytes() const {
  const Impl& self = impl("data");
  const std::byte* base = self.storage->data();
  if (base == nullptr) return nullptr;  // of a dry run
  return base + self.offset * static_cast<int64_t>(dtype_bytes(self.dtype));
}

std::byte* Tensor::mutable_bytes() const {
  const Impl& self = impl("mutable_data");
  check(
      !self.storage->read_only(),
      "tensor: memory must be the library's own to be written; this is external and read-only; use clone()");
  self.storage->bump_version();
  return const_cast<std::byte*>(bytes());
}

const void* Tensor::raw(DType expected) const {
  const Impl& self = impl("data");
  check(self.dtype == expected, "tensor: element type must be ", dtype_name(expected), "; it is ",
        dtype_name(self.dtype), "; use cast()");
  return bytes();
}

void* Tensor::mutable_raw(DType expected) const {
  const Impl& self = impl("mutable_data");
  check(self.dtype == expected, "tensor: element type must be ", dtype_name(expected), "; it is ",
        dtype_name(self.dtype), "; use cast()");
  return mutable_bytes();
}

double Tensor::item() const {
  const Impl& self = impl("item");
  check(self.numel == 1, "item: the tensor must have one element; shape ", self.shape,
        "; reduce or index it first");
  const std::byte* at = bytes();
  const auto read = [at](auto value) {
    if (at != nullptr) std::memcpy(&value, at, sizeof value);
    return static_cast<double>(value);
  };
  switch (self.dtype) {
    case DType::f32: return read(0.0f);
    case DType::f64: return read(0.0);
    case DType::i32: return read(int32_t{0});
    case DType::bf16:
    case DType::f16: break;
  }
  fail("item: element type must be f32, f64 or i32; it is ", dtype_name(self.dtype), "; use cast()");
}

Tensor Tensor::to_contiguous() const {
  if (!impl("to_contiguous").contiguous) return clone();
  return requires_grad() ? detach() : *this;
}

Tensor Tensor::clone() const {
  const Impl& self = impl("clone");
  Tensor y = empty(self.shape, self.dtype);
  copy_elements(y, *this);
  return y;
}

Tensor Tensor::detach() const {
  const Impl& self = impl("detach");
  auto result = std::make_shared<Impl>();
  result->storage = self.storage;
  result->shape = self.shape;
  result->strides = self.strides;
  result->offset = self.offset;
  result->numel = self.numel;
  result->dtype = self.dtype;
  result->contiguous = self.contiguous;
  return Tensor(std::move(result));
}

void Tensor::copy_from(const Tensor& source) const {
  const Impl& self = impl("copy_from");
  const Impl& other = source.impl("copy_from");
  check(self.shape == other.shape, "copy_from: shapes must be equal; this is ", self.shape, ", source is ",
        other.shape, "; reshape or expand the source");
  check(self.dtype == other.dtype, "copy_from: element types must be equal; this is ", dtype_name(self.dtype),
        ", source is ", dtype_name(other.dtype), "; use cast()");
  // Overlapping views would be read after they are written.
  copy_elements(*this, self.storage == other.storage ? source.clone() : source);
}

namespace {

template <class Bits, Bits kExponent>
int64_t first_with_full_exponent(const void* values, int64_t count) {
  const auto* x = static_cast<const std::byte*>(values);
  const auto bits_at = [x](int64_t i) {
    Bits bits = 0;
    std::memcpy(&bits, x + static_cast<std::size_t>(i) * sizeof bits, sizeof bits);
    return bits;
  };
  constexpr int64_t kChunk = int64_t{1} << 16;
  std::vector<int64_t> found(static_cast<std::size_t>((count + kChunk - 1) / kChunk), -1);
  parallel_ranges(count, kChunk, [&](int64_t begin, int64_t end) {
    Bits any = 0;  // without a branch, which vectors cannot take
    for (int64_t i = begin; i < end; ++i) any |= static_cast<Bits>((bits_at(i) & kExponent) == kExponent);
    for (int64_t i = begin; any != 0 && i < end; ++i) {
      if ((bits_at(i) & kExponent) != kExponent) continue;
      found[static_cast<std::size_t>(begin / kChunk)] = i;
      break;
    }
  });
  const auto first = std::find_if(found.begin(), found.end(), [](int64_t i) { return i >= 0; });
  return first == found.end() ? -1 : *first;
}

}  // namespace

int64_t first_non_finite(const Tensor& x) {
  if (!is_floating(x.dtype()) || DryRunMemory::active()) return -1;
  const Tensor dense = x.to_contiguous();
  if (x.dtype() == DType::f64)
    return first_with_full_exponent<uint64_t, uint64_t{0x7ff} << 52>(dense.bytes(), dense.numel());
  return first_with_full_exponent<uint32_t, uint32_t{0xff} << 23>(dense.bytes(), dense.numel());
}

}  // namespace gradus
