#include "nn/position.hpp"

#include <utility>

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

Position::Position(std::string path, const PositionOptions& options, DType dtype)
    : options_(options), path_(std::move(path)) {
  const PositionOptions& o = options_;
  switch (o.kind) {
    case PositionKind::none: break;
    case PositionKind::learned: weight = Tensor::zeros({o.first_row + o.positions, o.width}, dtype); break;
    case PositionKind::sinusoidal: table_ = sinusoidal_table(o.positions, o.width, o.base, dtype); break;
    case PositionKind::rotary:
      table_ = rotary_table(o.positions, frequencies(), rotary_amplitude(o.scaling), dtype);
      if (o.local_base > 0) local_table_ = rotary_table(o.positions, frequencies(true), 1.0, dtype);
      break;
  }
}

Tensor Position::rows(const Tensor& positions) const {
  return at_path(path_, [&] {
    switch (kind()) {
      case PositionKind::learned: {
        if (options_.first_row == 0) return embedding(weight, positions);
        return embedding(slice(weight, 0, options_.first_row, weight.size(0)), positions);
      }
      case PositionKind::sinusoidal: return embedding(table_, positions);
      case PositionKind::none:
      case PositionKind::rotary: return Tensor();
    }
    fail("the kind must be a known one; it is number ", static_cast<int>(kind()));
  });
}

Tensor Position::rotate(const Tensor& x, const Tensor& positions, int64_t heads, bool local) const {
  if (kind() != PositionKind::rotary) return x;
  const Tensor& table = local && local_table_.defined() ? local_table_ : table_;
  return at_path(path_, [&] { return rotary(x, positions, table, heads); });
}

std::vector<double> Position::frequencies(bool local) const {
  if (kind() != PositionKind::rotary) return {};
  const PositionOptions& o = options_;
  return local && o.local_base > 0 ? rotary_frequencies(o.rotated, o.local_base)
                                   : rotary_frequencies(o.rotated, o.base, o.scaling);
}

}  // namespace gradus
