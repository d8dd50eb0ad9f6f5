#include "tensor/ops/product.hpp"

#include <mutex>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"

namespace gradus::detail {
namespace {

using kernels::kLanes;

constexpr int64_t kPackPanels = 4;    // panels packed by one chunk
constexpr int64_t kCachedRows = 128;  // products with fewer rows than this keep a parameter's panels
constexpr int64_t kEnoughChunks = 8;  // fewer chunks than this are cut once more

template <class T>
std::shared_ptr<Storage> pack(const Product<T>& p) {
  const int64_t panels = (p.n + kLanes - 1) / kLanes;
  auto storage = Storage::allocate(static_cast<std::size_t>(panels * p.k * kLanes) * sizeof(T));
  T* to = reinterpret_cast<T*>(storage->mutable_data());
  const auto& table = kernels::table<T>();
  parallel_ranges(panels, kPackPanels, [&](int64_t begin, int64_t end) {
    const int64_t columns = (end * kLanes < p.n ? end * kLanes : p.n) - begin * kLanes;
    table.pack({p.b.data + begin * kLanes * p.b.column, p.b.row, p.b.column, p.k, columns,
                to + begin * kLanes * p.k});
  });
  return storage;
}

// Guards the panels kept beside parameters when several threads of a host program generate from one model.
std::mutex derived_mutex;

}  // namespace

template <class T>
void multiply_panels(const Product<T>& p, const T* panels) {
  if (p.m == 0 || p.n == 0) return;
  // Blocks of whole tiles of every instruction set. B's block of 384 columns is read once for a block's rows, so more
  // rows spare memory traffic (192 instead of 96: 2 % at 1024 × 3072 × 768); fewer, where there would be too few chunks
  // to share. The grid follows from the shape, though no grid could change the result.
  int64_t rows = 192;
  int64_t columns = 384;
  const auto chunks = [&] { return ((p.m + rows - 1) / rows) * ((p.n + columns - 1) / columns); };
  while (rows > 48 && chunks() < kEnoughChunks) rows /= 2;
  if (chunks() < kEnoughChunks) columns = 192;
  if (chunks() < kEnoughChunks) columns = 64;
  if (p.m * p.n * p.k < kWorthSharing) {
    rows = p.m;
    columns = p.n;
  }
  const int64_t across = (p.n + columns - 1) / columns;
  const auto& table = kernels::table<T>();
  parallel_for(((p.m + rows - 1) / rows) * across, [&](int64_t chunk) {
    const int64_t i = chunk / across * rows;
    const int64_t j = chunk % across * columns;
    const int64_t m = i + rows < p.m ? rows : p.m - i;
    const int64_t n = j + columns < p.n ? columns : p.n - j;
    table.gemm({p.a.data + i * p.a.row, p.a.row, p.a.column, panels + j * p.k, p.k * kLanes, kLanes,
                p.c + i * p.c_row + j, p.c_row, m, n, p.k, p.accumulate,
                p.bias == nullptr ? nullptr : p.bias + j});
  });
}

template <class T>
void multiply(const Product<T>& product) {
  if (product.m == 0 || product.n == 0) return;
  const auto panels = pack(product);
  multiply_panels(product, reinterpret_cast<const T*>(panels->data()));
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
    panels = pack(product);
    if (NoGrad::active() && product.m < kCachedRows) {
      const std::lock_guard lock(derived_mutex);
      derived = {panels, storage->version(), key};
    }
  }
  multiply_panels(product, reinterpret_cast<const T*>(panels->data()));
}

template void multiply_panels<float>(const Product<float>&, const float*);
template void multiply_panels<double>(const Product<double>&, const double*);
template void multiply<float>(const Product<float>&);
template void multiply<double>(const Product<double>&);
template void multiply_parameter<float>(const Product<float>&, const Tensor&);
template void multiply_parameter<double>(const Product<double>&, const Tensor&);

}  // namespace gradus::detail
