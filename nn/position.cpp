#include "nn/position.hpp"

#include <algorithm>
#include <mutex>
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

// The cosines and sines of rotary positions, of as many as some text has needed: a model may be made for 131,072 tokens and
// read sentences.
struct Position::Angles {
  static constexpr int64_t kFirstRows = 4096;

  Angles(std::vector<double> f, double a, int64_t positions, DType type)
      : frequencies(std::move(f)), amplitude(a), most(positions), dtype(type) {
    // What memory is counted for may need all of them.
    grow(DryRunMemory::active() ? most : std::min(most, kFirstRows));
  }

  void grow(int64_t rows) { table = rotary_table(rows, frequencies, amplitude, dtype); }

  // A table with a row for each of these positions. note: threads may read texts of one model at once.
  Tensor table_for(const Tensor& positions) {
    const std::lock_guard lock(mutex);
    if (table.size(0) == most || DryRunMemory::active()) return table;
    int64_t needed = 0;
    for (const int32_t position : positions.to_vector<int32_t>())
      needed = std::max(needed, int64_t{position} + 1);
    if (needed > table.size(0)) grow(std::min(most, std::max(needed, 2 * table.size(0))));
    return table;
  }

  std::mutex mutex;
  Tensor table;  // (rows, rotated)
  std::vector<double> frequencies;
  double amplitude;
  int64_t most;
  DType dtype;
};

Position::Position(std::string path, const PositionOptions& options, DType dtype)
    : options_(options), path_(std::move(path)) {
  const PositionOptions& o = options_;
  switch (o.kind) {
    case PositionKind::none: break;
    case PositionKind::learned: weight = Tensor::zeros({o.first_row + o.positions, o.width}, dtype); break;
    case PositionKind::sinusoidal: table_ = sinusoidal_table(o.positions, o.width, o.base, dtype); break;
    case PositionKind::rotary:
      angles_ = std::make_shared<Angles>(frequencies(), rotary_amplitude(o.scaling), o.positions, dtype);
      if (o.local_base > 0)
        local_angles_ = std::make_shared<Angles>(frequencies(true), 1.0, o.positions, dtype);
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
  const Tensor table = (local && local_angles_ ? local_angles_ : angles_)->table_for(positions);
  return at_path(path_, [&] { return rotary(x, positions, table, heads); });
}

std::vector<double> Position::frequencies(bool local) const {
  if (kind() != PositionKind::rotary) return {};
  const PositionOptions& o = options_;
  return local && o.local_base > 0 ? rotary_frequencies(o.rotated, o.local_base)
                                   : rotary_frequencies(o.rotated, o.base, o.scaling);
}

}  // namespace gradus
