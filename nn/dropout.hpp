#pragma once

#include <string>
#include <utility>

#include "nn/module.hpp"

namespace gradus {

/// Zeroes each element with probability p while training, and does nothing otherwise; see dropout().
/// note: element (row, c) draws number (context.first_row + row) · C + c of the stream named by the layer's path: the
///       mask depends on where the row stands in the whole training, not on micro-batches, threads or resuming.
class Dropout {
 public:
  Dropout() = default;
  Dropout(std::string path, double p) : path_(std::move(path)), stream_(stream_of(path_)), p_(p) {}

  /// shape: x (N,C) -> (N,C), row 0 being the context's first row.
  Tensor operator()(const Tensor& x, const Context& context) const {
    if (!context.training || p_ == 0) return x;
    return at_path(path_, [&] {
      const auto channels = static_cast<uint64_t>(x.size(-1));
      return dropout(x, p_, Random(context.seed, stream_), context.first_row * channels);
    });
  }

 private:
  std::string path_;
  uint64_t stream_ = 0;
  double p_ = 0;
};

}  // namespace gradus
