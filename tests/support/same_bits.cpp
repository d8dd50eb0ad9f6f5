#include "tests/support/same_bits.hpp"

#include <bit>
#include <cstdint>
#include <sstream>
#include <type_traits>
#include <vector>

#include "tensor/error.hpp"
#include "tensor/ops.hpp"

namespace gradus::testing {
namespace {

template <class T>
std::string first_difference(std::span<const T> a, std::span<const T> b, const Shape& shape) {
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Bits x = std::bit_cast<Bits>(a[i]), y = std::bit_cast<Bits>(b[i]);
    if (x == y || (a[i] != a[i] && b[i] != b[i])) continue;
    std::ostringstream text;
    text.precision(17);
    text << place(static_cast<int64_t>(i), shape) << ": " << a[i] << " and " << b[i] << " (bits " << std::hex
         << x << " and " << y << ")";
    return text.str();
  }
  return "";
}

template <class T>
std::string first_difference(const Tensor& a, const Tensor& b) {
  const std::vector<T> left = a.to_vector<T>(), right = b.to_vector<T>();
  return first_difference<T>(left, right, a.shape());
}

}  // namespace

std::string place(int64_t element, const Shape& shape) {
  Shape index = shape;
  int64_t rest = element;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    index[i] = rest % shape[i];
    rest /= shape[i];
  }
  std::ostringstream text;
  text << "element " << element << " at " << index << " of " << shape;
  return text.str();
}

std::string same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() && !b.defined()) return "";
  if (!a.defined() || !b.defined()) return "one of the two is missing";
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
    std::ostringstream text;
    text << dtype_name(a.dtype()) << " " << a.shape() << " and " << dtype_name(b.dtype()) << " " << b.shape();
    return text.str();
  }
  switch (a.dtype()) {
    case DType::f32: return first_difference<float>(a, b);
    case DType::f64: return first_difference<double>(a, b);
    case DType::i32: return first_difference<int32_t>(a, b);
    case DType::bf16:
    case DType::f16: return first_difference<float>(cast(a, DType::f32), cast(b, DType::f32));  // exact
  }
  fail("same_bits: the type must be one of numbers; it is number ", static_cast<int>(a.dtype()));
}

std::string same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return std::to_string(a.size()) + " and " + std::to_string(b.size()) + " numbers";
  return first_difference<float>(a, b, {static_cast<int64_t>(a.size())});
}

}  // namespace gradus::testing
