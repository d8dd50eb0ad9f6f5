#include "tensor/ops/product.hpp"

#include <algorithm>
#include <mutex>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"

namespace gradus::detail {
namespace {

using kernels::kLanes;
using kernels::kStripRows;

constexpr int64_t kPackPanels = 4;  // panels packed by one chunk
constexpr int64_t kPackSteps = 32;  // or steps of k
// The largest pieces of both factors that are packed at once: 5 MB of each.
constexpr int64_t kPieceDepth = 384;
constexpr int64_t kPieceColumns = 3072;
constexpr int64_t kPieceRows = 3072;
constexpr int64_t kCachedRows = 128;  // products with fewer rows than this keep a parameter's panels
constexpr int64_t kEnoughChunks = 8;  // fewer chunks than this are cut once more
// Numbers; so few are packed by one thread, as what they are for is multiplied by one.
constexpr int64_t kPackWorthSharing = kWorthSharing / 8;

// What a test forces; null as ever.
const Cuts* forced_cuts = nullptr;

int64_t forced_size(int64_t Cuts::*size, int64_t own, int64_t unit) {
  if (forced_cuts == nullptr || forced_cuts->*size <= 0) return own;
  return (forced_cuts->*size + unit - 1) / unit * unit;
}

/// The panels of a matrix (k,n). Memory is read in its order, whichever that is.
template <class T>
void pack_panels(const Matrix<T>& b, int64_t k, int64_t n, T* panels) {
  const int64_t count = (n + kLanes - 1) / kLanes;
  const auto& table = kernels::table<T>();
  const auto pack = [&](int64_t step, int64_t steps, int64_t panel, int64_t end) {
    table.pack({.source = b.data + step * b.row + panel * kLanes * b.column,
                .k_stride = b.row,
                .n_stride = b.column,
                .k = steps,
                .n = std::min(end * kLanes, n) - panel * kLanes,
                .panels = panels + (panel * k + step) * kLanes,
                .panel = k * kLanes});
  };
  const bool whole = k * n < kPackWorthSharing;
  if (b.column == 1) {
    parallel_ranges(k, whole ? k : kPackSteps,
                    [&](int64_t begin, int64_t end) { pack(begin, end - begin, 0, count); });
  } else {
    parallel_ranges(count, whole ? count : kPackPanels,
                    [&](int64_t begin, int64_t end) { pack(0, k, begin, end); });
  }
}

/// The strips of a matrix (m,k) whose columns are dense.
template <class T>
void pack_strips(const Matrix<T>& a, int64_t m, int64_t k, T* strips) {
  const auto& table = kernels::table<T>();
  parallel_ranges(k, kPackSteps, [&](int64_t begin, int64_t end) {
    table.pack_strips({.source = a.data + begin * a.column,
                       .k_stride = a.column,
                       .rows = m,
                       .k = end - begin,
                       .strips = strips + begin * kStripRows,
                       .strip = kernels::strip_size(k)});
  });
}

template <class T>
std::shared_ptr<Storage> packed_storage(const Product<T>& p) {
  const int64_t panels = (p.n + kLanes - 1) / kLanes;
  auto storage = Storage::allocate(static_cast<std::size_t>(panels * p.k * kLanes) * sizeof(T));
  pack_panels(p.b, p.k, p.n, reinterpret_cast<T*>(storage->mutable_data()));
  return storage;
}

// Guards the panels kept beside parameters when several threads of a host program generate from one model.
std::mutex derived_mutex;

/// Panels or strips that hold k of a product's steps from the first of them.
template <class T>
struct PackedFactors {
  const T* panels;
  int64_t k;
  const T* strips = nullptr;  // null: A as it is
};

/// C (+)= A · B, cut into chunks of C.
template <class T>
void multiply_chunks(const Product<T>& p, const PackedFactors<T>& packed) {
  // Blocks of whole tiles of every instruction set. B's block of 384 columns is read once for a block's rows, so more
  // rows spare memory traffic (192 instead of 96: 2 % at 1024 × 3072 × 768); fewer, where there would be too few chunks
  // to share. The grid follows from the shape, though no grid could change the result.
  int64_t rows = 192;
  int64_t columns = 384;
  const auto too_few = [&] {
    return ((p.m + rows - 1) / rows) * ((p.n + columns - 1) / columns) < kEnoughChunks;
  };
  while (rows > 48 && too_few()) rows /= 2;
  if (too_few()) columns = 192;
  if (too_few()) columns = 64;
  if (p.m * p.n * p.k < kWorthSharing) {
    rows = p.m;
    columns = p.n;
  }
  rows = forced_size(&Cuts::chunk_rows, rows, kStripRows);
  columns = forced_size(&Cuts::chunk_columns, columns, kLanes);
  const int64_t across = (p.n + columns - 1) / columns;
  const auto& table = kernels::table<T>();
  parallel_for(((p.m + rows - 1) / rows) * across, [&](int64_t chunk) {
    const int64_t i = chunk / across * rows;
    const int64_t j = chunk % across * columns;
    const int64_t m = i + rows < p.m ? rows : p.m - i;
    const int64_t n = j + columns < p.n ? columns : p.n - j;
    kernels::GemmArgs<T> args{.a = p.a.data + i * p.a.row,
                              .a_row = p.a.row,
                              .a_k = p.a.column,
                              .b = packed.panels + j * packed.k,
                              .b_panel = packed.k * kLanes,
                              .b_row = kLanes,
                              .c = p.c + i * p.c_row + j,
                              .c_row = p.c_row,
                              .m = m,
                              .n = n,
                              .k = p.k,
                              .accumulate = p.accumulate,
                              .bias = p.bias == nullptr ? nullptr : p.bias + j};
    if (forced_cuts != nullptr) args.forced = &forced_cuts->kernel;
    if (packed.strips != nullptr) {
      args.a_strip = kernels::strip_size(packed.k);
      args.a = packed.strips + i / kStripRows * args.a_strip;
    }
    table.gemm(args);
    activate(args.c, p.c_row, m, n, p.activation);  // while the block is in the cache
  });
}

template <class T>
Matrix<T> part(const Matrix<T>& x, int64_t row, int64_t column) {
  return {x.data + row * x.row + column * x.column, x.row, x.column};
}

}  // namespace

ForceCuts::ForceCuts(const Cuts& cuts) : cuts_(cuts) { forced_cuts = &cuts_; }
ForceCuts::~ForceCuts() { forced_cuts = nullptr; }

template <class T>
void multiply_panels(const Product<T>& p, const T* panels) {
  if (p.m == 0 || p.n == 0) return;
  multiply_chunks(p, {panels, p.k});
}

template <class T>
void multiply(const Product<T>& p) {
  if (p.m == 0 || p.n == 0) return;
  // Where A is transposed, as for a weight's gradient, both factors are packed piece by piece into room that stays in the
  // caches: 87 instead of 81 % of the peak, the mean of 23 gradients. Each output goes on as one chain through all pieces
  // of k, so that they cannot be told from the result.
  const bool forced = forced_size(&Cuts::piece_depth, 0, 1) > 0;
  const bool strips = p.a.row == 1 && p.a.column != 1 && (forced || p.m * p.n * p.k >= kWorthSharing);
  const int64_t depth =
      std::max<int64_t>(1, strips ? std::min(p.k, forced_size(&Cuts::piece_depth, kPieceDepth, 1)) : p.k);
  const int64_t width = std::min((p.n + kLanes - 1) / kLanes * kLanes,
                                 forced_size(&Cuts::piece_columns, kPieceColumns, kLanes));
  const int64_t height = strips ? std::min((p.m + kStripRows - 1) / kStripRows * kStripRows,
                                           forced_size(&Cuts::piece_rows, kPieceRows, kStripRows))
                                : p.m;
  const Tensor panels = Tensor::empty({depth * width}, dtype_of<T>::value);
  const Tensor strip_room =
      Tensor::empty({strips ? height / kStripRows * kernels::strip_size(depth) : 0}, dtype_of<T>::value);
  if (DryRunMemory::active()) return;  // that was to be counted; there is nothing to multiply
  PackedFactors<T> packed{panels.mutable_data<T>(), depth};
  for (int64_t k = 0; k == 0 || k < p.k; k += depth) {
    packed.k = std::min(depth, p.k - k);
    const bool last = k + packed.k == p.k;
    for (int64_t j = 0; j < p.n; j += width) {
      const int64_t columns = std::min(width, p.n - j);
      pack_panels(part(p.b, k, j), packed.k, columns, panels.mutable_data<T>());
      for (int64_t i = 0; i < p.m; i += height) {
        const int64_t rows = std::min(height, p.m - i);
        const Matrix<T> a = part(p.a, i, k);
        if (strips) {
          T* to = strip_room.mutable_data<T>();
          pack_strips(a, rows, packed.k, to);
          packed.strips = to;
        }
        multiply_chunks<T>({.m = rows,
                            .n = columns,
                            .k = packed.k,
                            .a = a,
                            .b = p.b,
                            .c = p.c + i * p.c_row + j,
                            .c_row = p.c_row,
                            .accumulate = p.accumulate || k > 0,
                            .bias = p.bias != nullptr && last ? p.bias + j : nullptr,
                            .activation = last ? p.activation : nullptr},
                           packed);
      }
    }
  }
}

template <class T>
void multiply_parameter(const Product<T>& product, const Tensor& parameter) {
  const auto& storage = parameter.storage();
  const bool transposed = product.b.row == 1;
  Storage::Derived& derived = storage->derived(transposed ? 1 : 0);
  // What must agree for kept panels to be this matrix's: where it starts and how it is laid out.
  uint64_t key = reinterpret_cast<uintptr_t>(product.b.data);
  for (const int64_t part : {product.k, product.n, product.b.row, product.b.column}) {
    key = (key ^ static_cast<uint64_t>(part)) * 0x9e3779b97f4a7c15u;
  }
  std::shared_ptr<Storage> panels;
  {
    const std::lock_guard lock(derived_mutex);
    if (derived.storage && derived.key == key && derived.version == storage->version()) {
      panels = derived.storage;
    } else {
      derived.storage.reset();
    }
  }
  if (!panels) {
    panels = packed_storage(product);
    if (NoGrad::active() && product.m < kCachedRows) {
      const std::lock_guard lock(derived_mutex);
      derived = {panels, storage->version(), key};
    }
  }
  multiply_panels(product, reinterpret_cast<const T*>(panels->data()));
}

Tensor as_rows(const Tensor& x) {
  const int64_t k = x.size(-1);
  const bool rows_stand = x.rank() == 2 && (x.strides()[1] == 1 || k == 1);
  const Tensor dense = rows_stand ? x.detach() : x.to_contiguous();
  if (rows_stand) return dense;
  const int64_t rows = k == 0 ? 0 : x.numel() / k;
  return dense.view({rows, k}, {k, 1}, 0);
}

template void multiply_panels<float>(const Product<float>&, const float*);
template void multiply_panels<double>(const Product<double>&, const double*);
template void multiply<float>(const Product<float>&);
template void multiply<double>(const Product<double>&);
template void multiply_parameter<float>(const Product<float>&, const Tensor&);
template void multiply_parameter<double>(const Product<double>&, const Tensor&);

}  // namespace gradus::detail
