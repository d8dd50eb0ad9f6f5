#include "tests/support/tensors.hpp"

#include "tensor/error.hpp"

namespace gradus::testing {

Tensor tensor_of(const Shape& shape, DType dtype, const std::function<double(int64_t i)>& value) {
  const auto fill = [&]<class T>(T) {
    std::vector<T> list(static_cast<std::size_t>(shape.numel()));
    for (std::size_t i = 0; i < list.size(); ++i) list[i] = static_cast<T>(value(static_cast<int64_t>(i)));
    return Tensor::from(std::span<const T>(list), shape);
  };
  switch (dtype) {
    case DType::f32: return fill(float{});
    case DType::f64: return fill(double{});
    case DType::i32: return fill(int32_t{});
    case DType::bf16:
    case DType::f16: break;
  }
  fail("tensor_of: the type must be f32, f64 or i32; it is ", dtype_name(dtype));
}

Tensor counting(const Shape& shape) {
  return tensor_of(shape, DType::f32, [](int64_t i) { return static_cast<double>(i); });
}

Tensor ids_tensor(const std::vector<int32_t>& ids) {
  return Tensor::from(ids, {static_cast<int64_t>(ids.size())});
}

Tensor random_tensor(const Shape& shape, uint64_t seed, double scale, DType dtype) {
  return tensor_of(shape, dtype,
                   [&](int64_t i) { return scale * draw_normal(seed, static_cast<uint64_t>(i)); });
}

Tensor random_ids(const Shape& shape, uint64_t seed, int64_t bound) {
  return tensor_of(shape, DType::i32, [&](int64_t i) {
    return static_cast<double>(draw_bits(seed, static_cast<uint64_t>(i)) % static_cast<uint64_t>(bound));
  });
}

void fill_normal(std::string_view name, const Tensor& tensor, double deviation, double mean) {
  const uint64_t seed = draw_seed(name);
  tensor.copy_from(tensor_of(tensor.shape(), tensor.dtype(), [&](int64_t i) {
    return mean + deviation * draw_normal(seed, static_cast<uint64_t>(i));
  }));
}

}  // namespace gradus::testing
