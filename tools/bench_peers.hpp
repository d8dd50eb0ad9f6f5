#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench_common.hpp"

/// Other libraries' matrix products, to be held beside ours. They are in the program only where it was configured with
/// -DGRADUS_BENCH_PEERS=ON.

namespace gradus::tools {

/// y (m,n) = op(a) · op(b), all dense and row-major: a is (k,m) where it is transposed, b (n,k) where it is.
struct PeerProduct {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  const float* a = nullptr;
  const float* b = nullptr;
  float* y = nullptr;
  /// b is a weight: a library that has a form of its own for it may put it there once, before any time is taken.
  bool b_stands_still = false;
};

class Peer {
 public:
  virtual ~Peer() = default;
  /// "openblas", as it stands over a column.
  virtual std::string name() const = 0;
  /// Version, kernels and threads, as the library itself tells them.
  virtual std::string about() const = 0;
  /// The product, prepared: each call computes it again. The arrays must outlive it.
  virtual Work prepare(const PeerProduct& product) = 0;
};

/// oneDNN and OpenBLAS, on this many threads and on the instruction set that the program itself uses.
/// note: once in a process, before anything else of theirs runs.
std::vector<std::unique_ptr<Peer>> make_peers(int threads);

}  // namespace gradus::tools
