#include "nn/position.hpp"

#include <utility>
#include <vector>

#include "tensor/math.hpp"
#include "tensor/storage.hpp"

namespace gradus {

Tensor sinusoidal_table(int64_t positions, int64_t width, double base, DType dtype) {
  check(positions >= 0 && width >= 1 && base > 0,
        "sinusoidal_table: positions must be at least 0, width at least 1 and base positive; positions ",
        positions, ", width ", width, ", base ", base);
  if (DryRunMemory::active()) return Tensor::empty({positions, width}, dtype);
  std::vector<double> values(static_cast<size_t>(Shape{positions, width}.numel()));
  const double log_base = math::log(base);
  for (int64_t c = 0; c < width; ++c) {
    const int64_t even = c - c % 2;
    const double frequency = math::exp(-log_base * static_cast<double>(even) / static_cast<double>(width));
    for (int64_t t = 0; t < positions; ++t) {
      const double angle = static_cast<double>(t) * frequency;
      values[static_cast<size_t>(t * width + c)] = c % 2 == 0 ? math::sin(angle) : math::cos(angle);
    }
  }
  return cast(Tensor::from(values, {positions, width}), dtype);
}

Position::Position(std::string path, PositionKind kind, int64_t positions, int64_t width, int64_t head_width,
                   double base, DType dtype)
    : kind_(kind), path_(std::move(path)) {
  switch (kind) {
    case PositionKind::none: break;
    case PositionKind::learned: weight = Tensor::zeros({positions, width}, dtype); break;
    case PositionKind::sinusoidal: table_ = sinusoidal_table(positions, width, base, dtype); break;
    case PositionKind::rotary: table_ = rotary_table(positions, head_width, base, dtype); break;
  }
}

Tensor Position::add_to(const Tensor& x, const Tensor& positions) const {
  return at_path(path_, [&] {
    if (kind_ == PositionKind::learned) return x + embedding(weight, positions);
    if (kind_ == PositionKind::sinusoidal) return x + embedding(table_, positions);
    return x;
  });
}

Tensor Position::rotate(const Tensor& x, const Tensor& positions, int64_t heads) const {
  if (kind_ != PositionKind::rotary) return x;
  return at_path(path_, [&] { return rotary(x, positions, table_, heads); });
}

}  // namespace gradus
