#include "nn/init.hpp"

#include <cmath>

#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 4096;  // elements of one chunk

/// tensor[i] = value(i) in row-major order.
template <class Value>
void fill(const char* op, const Tensor& tensor, const Value& value) {
  check(is_floating(tensor.dtype()) && tensor.is_contiguous(), op,
        ": the tensor must be dense, of f32 or f64; it is ", dtype_name(tensor.dtype()), " ", tensor.shape(),
        tensor.is_contiguous() ? "" : ", a strided view", "; initialise a dense tensor and cast or copy it");
  const auto run = [&](auto* x) {
    parallel_ranges(tensor.numel(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        x[i] = static_cast<std::decay_t<decltype(*x)>>(value(static_cast<uint64_t>(i)));
    });
  };
  if (tensor.dtype() == DType::f64) {
    run(tensor.mutable_data<double>());
  } else {
    run(tensor.mutable_data<float>());
  }
}

/// √(numerator / fan), fan being the sum of those that count.
double spread(const char* op, double numerator, int64_t fan_in, int64_t fan_out) {
  check(fan_in >= 0 && fan_out >= 0 && fan_in + fan_out > 0, op, ": fans must be positive; they are ", fan_in,
        " and ", fan_out, "; give the sizes of the matrix");
  return math::sqrt(numerator / static_cast<double>(fan_in + fan_out));
}

/// An empty matrix (out, in), whose fans its shape tells.
Tensor matrix(const char* op, const Shape& shape, DType dtype) {
  check(shape.rank() == 2, op, ": the shape must be (out, in), which tells the fans; it is ", shape,
        "; for another shape give the fans to init_", op, "()");
  return Tensor::empty(shape, dtype);
}

}  // namespace

void init_zeros(const Tensor& tensor) {
  fill("init_zeros", tensor, [](uint64_t) { return 0.0; });
}

void init_ones(const Tensor& tensor) {
  fill("init_ones", tensor, [](uint64_t) { return 1.0; });
}

void init_normal(const Tensor& tensor, double std, const Random& random) {
  check(std::isfinite(std) && std >= 0, "init_normal: std must be finite and not negative; it is ", std,
        "; 0.02 is usual for transformers");
  fill("init_normal", tensor, [&](uint64_t i) { return std * random.normal(i); });
}

void init_uniform(const Tensor& tensor, double bound, const Random& random) {
  check(std::isfinite(bound) && bound >= 0, "init_uniform: the bound must be finite and not negative; it is ",
        bound, "; give the largest size of a value");
  fill("init_uniform", tensor, [&](uint64_t i) { return bound * (2.0 * random.uniform(i) - 1.0); });
}

void init_xavier_normal(const Tensor& tensor, int64_t fan_in, int64_t fan_out, const Random& random) {
  init_normal(tensor, spread("init_xavier_normal", 2.0, fan_in, fan_out), random);
}

void init_xavier_uniform(const Tensor& tensor, int64_t fan_in, int64_t fan_out, const Random& random) {
  init_uniform(tensor, spread("init_xavier_uniform", 6.0, fan_in, fan_out), random);
}

void init_kaiming_normal(const Tensor& tensor, int64_t fan_in, const Random& random) {
  init_normal(tensor, spread("init_kaiming_normal", 2.0, fan_in, 0), random);
}

void init_kaiming_uniform(const Tensor& tensor, int64_t fan_in, const Random& random) {
  init_uniform(tensor, spread("init_kaiming_uniform", 6.0, fan_in, 0), random);
}

Tensor normal(const Shape& shape, double std, uint64_t seed, std::string_view name, DType dtype) {
  const Tensor x = Tensor::empty(shape, dtype);
  init_normal(x, std, Random(seed, stream_of(name)));
  return x;
}

Tensor uniform(const Shape& shape, double bound, uint64_t seed, std::string_view name, DType dtype) {
  const Tensor x = Tensor::empty(shape, dtype);
  init_uniform(x, bound, Random(seed, stream_of(name)));
  return x;
}

Tensor xavier_normal(const Shape& shape, uint64_t seed, std::string_view name, DType dtype) {
  const Tensor x = matrix("xavier_normal", shape, dtype);
  init_xavier_normal(x, shape[1], shape[0], Random(seed, stream_of(name)));
  return x;
}

Tensor xavier_uniform(const Shape& shape, uint64_t seed, std::string_view name, DType dtype) {
  const Tensor x = matrix("xavier_uniform", shape, dtype);
  init_xavier_uniform(x, shape[1], shape[0], Random(seed, stream_of(name)));
  return x;
}

Tensor kaiming_normal(const Shape& shape, uint64_t seed, std::string_view name, DType dtype) {
  const Tensor x = matrix("kaiming_normal", shape, dtype);
  init_kaiming_normal(x, shape[1], Random(seed, stream_of(name)));
  return x;
}

Tensor kaiming_uniform(const Shape& shape, uint64_t seed, std::string_view name, DType dtype) {
  const Tensor x = matrix("kaiming_uniform", shape, dtype);
  init_kaiming_uniform(x, shape[1], Random(seed, stream_of(name)));
  return x;
}

}  // namespace gradus
