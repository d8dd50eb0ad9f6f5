#pragma once

#include "tensor/kernels/simd.hpp"

/// The matrix product. Vector lanes run along the columns of C and every output is one chain of fused multiply-adds over
/// ascending k, so that tiles, blocks, threads and the number of rows cannot change a bit: a partial sum that is stored
/// between two blocks of k and loaded again is the same number.
///
/// A tile of C is held in registers: 12 rows of 2 panels of 16 columns, or 6 of 4, as many accumulators as there are
/// registers for. For each k it loads a row of each panel and broadcasts one element of A per row. B always comes in
/// panels; rows of A are read in place, columns of a transposed A in strips.

namespace gradus::kernels {
namespace {

// 24 accumulators of the 32 registers of AVX-512 and NEON (4 registers a panel), 12 of AVX2's 16, 8 of SSE2's 16.
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
inline constexpr int kTileRows = 12;
inline constexpr int kTilePanels = 2;
inline constexpr int kAccumulators = 24;
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_neon
inline constexpr int kTileRows = 6;
inline constexpr int kTilePanels = 1;
inline constexpr int kAccumulators = 6;
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_avx2
inline constexpr int kTileRows = 6;
inline constexpr int kTilePanels = 1;
inline constexpr int kAccumulators = 6;
#else
inline constexpr int kTileRows = 2;
inline constexpr int kTilePanels = 1;
inline constexpr int kAccumulators = 2;
#endif

// Where rows that are read in place lie a multiple of 4 KiB apart, their elements of one k share a set of the first-level
// cache; a tile then takes no more of them than the set has ways (8). With 12, at K = 3072: 88 instead of 94 % of the peak.
// Elsewhere 12 rows read half as much of B as 6 do: 87 instead of 85 % at K = 384.
inline constexpr int64_t kSetPeriod = 4096;
inline constexpr int kSetSharingRows = kTileRows < 6 ? kTileRows : 6;

// B's block of kBlockK × kBlockPanels·16 stays in the second-level cache (1 MB and more) while all rows pass by;
// A's tile of kTileRows × kBlockK stays in the first-level cache (32 KB and more) while the panels pass by.
inline constexpr int64_t kBlockK = 384;
inline constexpr int64_t kBlockPanels = 24;

/// One tile: C (Rows, 16·Panels, the last panel only `last` columns) over k steps.
template <class T, int Rows, int Panels>
__attribute__((noinline)) void gemm_tile(const T* a, int64_t a_row, int64_t a_k, const T* b, int64_t b_panel,
                                         int64_t b_row, T* c, int64_t c_row, int64_t k, bool load_c,
                                         const T* bias, int64_t last) {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  constexpr int kRegs = V::kRegs;
  Reg acc[Rows][Panels * kRegs];
  if (load_c) {
    GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
      GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
        const T* from = c + r * c_row + j * 16;
        const V v = (j + 1 == Panels && last < 16) ? V::load(from, last) : V::load(from);
        GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) acc[r][j * kRegs + i] = v.r[i];
      }
    }
  } else {
    GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
      GRADUS_UNROLL for (int i = 0; i < Panels * kRegs; ++i) acc[r][i] = Reg(T(0));
    }
  }
  // Rows are addressed from a pointer for every third: base, base + stride, base + 2·stride fit an x86 address, so that
  // twelve rows need four pointers instead of twelve (which GCC would spill).
  constexpr int kBases = (Rows + 2) / 3;
  const T* base[kBases];
  GRADUS_UNROLL for (int i = 0; i < kBases; ++i) base[i] = a + 3 * i * a_row;
  for (int64_t p = 0; p < k; ++p) {
    Reg row[Panels * kRegs];
    GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
      GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) {
        row[j * kRegs + i] = reg_load(b + j * b_panel + i * V::kRegSize, static_cast<Reg*>(nullptr));
      }
    }
    GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
      const Reg x = Reg(base[r / 3][(r % 3) * a_row]);
      GRADUS_UNROLL for (int i = 0; i < Panels * kRegs; ++i) acc[r][i] = reg_fma(x, row[i], acc[r][i]);
    }
    // B streams from the second-level cache: its lines are asked for 16 steps ahead, 2 % in a whole encoder.
    GRADUS_UNROLL for (int j = 0; j < Panels; ++j) __builtin_prefetch(b + j * b_panel + 16 * 16);
    b += b_row;
    GRADUS_UNROLL for (int i = 0; i < kBases; ++i) base[i] += a_k;
  }
  GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
    const bool partial = j + 1 == Panels && last < 16;
    V offset = V::zero();
    if (bias != nullptr) offset = partial ? V::load(bias + j * 16, last) : V::load(bias + j * 16);
    GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
      V v;
      GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) v.r[i] = acc[r][j * kRegs + i];
      if (bias != nullptr) v = v + offset;
      T* to = c + r * c_row + j * 16;
      if (partial) {
        v.store(to, last);
      } else {
        v.store(to);
      }
    }
  }
}

/// A group of rows of A as the tiles read them: rows in strips of kStripRows, element (r, p) of one = r·row + p·k.
template <class T>
struct Rows {
  const T* data;
  int64_t strip, row, k;

  const T* at(int64_t r) const { return data + r / kStripRows * strip + r % kStripRows * row; }
};

// Rows of A that are copied together: whole strips, whole cache lines.
inline constexpr int64_t kGroupRows = 48;
static_assert(kStripRows % kTileRows == 0 && kGroupRows % kStripRows == 0);

/// Packs rows whose elements at one k lie next to each other; see PackStripsArgs. In strips of its own height, a tile's
/// elements of A fill whole lines, 18 KB, which the first-level cache can hold.
template <class T>
void run_pack_strips(const PackStripsArgs<T>& s) {
  for (int64_t p = 0; p < s.k; ++p) {
    const T* from = s.source + p * s.k_stride;
    T* to = s.strips + p * kStripRows;
    // Whole vectors where the next k overwrites what is beyond the 12.
    int64_t r = 0;
    if (p + 1 < s.k) {
      for (; r + 16 <= s.rows; r += kStripRows, to += s.strip) Vec<T>::load(from + r).store(to);
    }
    for (; r < s.rows; r += kStripRows, to += s.strip) {
      store_some(load_some(from + r, s.rows - r), to, kStripRows);
    }
  }
}

/// A group of rows as the tiles can read them: in place, or, where it is columns of a transposed A, a line of 16 rows for
/// each k, far apart, copied to strips, once for all panels of the block.
template <class T>
Rows<T> group_of_rows(const GemmArgs<T>& g, int64_t row, int64_t rows, int64_t k_begin, int64_t k_size,
                      T* copy) {
  if (g.a_strip != 0)
    return {g.a + row / kStripRows * g.a_strip + k_begin * kStripRows, g.a_strip, 1, kStripRows};
  const T* a = g.a + row * g.a_row + k_begin * g.a_k;
  if (g.a_k == 1) return {a, kStripRows * g.a_row, g.a_row, 1};
  if (g.a_row == 1) {
    run_pack_strips<T>({.source = a,
                        .k_stride = g.a_k,
                        .rows = rows,
                        .k = k_size,
                        .strips = copy,
                        .strip = strip_size(k_size)});
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      T* to = copy + r / kStripRows * strip_size(k_size) + r % kStripRows;
      for (int64_t p = 0; p < k_size; ++p) to[p * kStripRows] = a[r * g.a_row + p * g.a_k];
    }
  }
  return {copy, strip_size(k_size), 1, kStripRows};
}

/// All panels of one strip of `Count` rows.
template <class T, int Count>
void gemm_strip(const GemmArgs<T>& g, const Rows<T>& a, int64_t group, int64_t r, int64_t first_panel,
                int64_t end_panel, int64_t k_begin, int64_t k_size, bool load_c, const T* bias) {
  // Few rows would wait for the latency of a chain: they take more panels at once instead.
  constexpr int kWide = kAccumulators / Count > kTilePanels
                            ? (kAccumulators / Count > 8 ? 8 : kAccumulators / Count)
                            : kTilePanels;
  const T* b = g.b + k_begin * g.b_row;
  const T* rows = a.at(r);
  T* c = g.c + (group + r) * g.c_row;
  int64_t j = first_panel;
  const auto columns_left = [&](int64_t panel) { return g.n - panel * 16; };
  const auto bias_at = [&](int64_t panel) { return bias == nullptr ? nullptr : bias + panel * 16; };
  const auto forced = g.forced == nullptr ? 0 : g.forced->tile_panels;
  const auto tiles_of = [&]<int Panels>() {
    if (Panels > 1 && forced != 0 && Panels > forced) return;
    for (; j + Panels <= end_panel; j += Panels) {
      const int64_t last = columns_left(j + Panels - 1);
      gemm_tile<T, Count, Panels>(rows, a.row, a.k, b + j * g.b_panel, g.b_panel, g.b_row, c + j * 16,
                                  g.c_row, k_size, load_c, bias_at(j), last < 16 ? last : 16);
    }
  };
  tiles_of.template operator()<kWide>();
  // The width of a head of attention, or half of it.
  if constexpr (kWide > 4) tiles_of.template operator()<4>();
  if constexpr (kWide > 2) tiles_of.template operator()<2>();
  tiles_of.template operator()<1>();
}

/// The same for a number of rows known only now, at most Count.
template <class T, int Count>
void gemm_rows(const GemmArgs<T>& g, const Rows<T>& a, int64_t group, int64_t r, int64_t rows,
               int64_t first_panel, int64_t end_panel, int64_t k_begin, int64_t k_size, bool load_c,
               const T* bias) {
  if constexpr (Count > 0) {
    if (rows == Count) {
      gemm_strip<T, Count>(g, a, group, r, first_panel, end_panel, k_begin, k_size, load_c, bias);
    } else {
      gemm_rows<T, Count - 1>(g, a, group, r, rows, first_panel, end_panel, k_begin, k_size, load_c, bias);
    }
  }
}

/// A forced size where there is one and it fits.
inline int64_t forced_size(int64_t forced, int64_t own) { return forced > 0 && forced < own ? forced : own; }

template <class T>
void run_gemm(const GemmArgs<T>& g) {
  const int64_t panels = (g.n + 15) / 16;
  const GemmBlocking forced = g.forced == nullptr ? GemmBlocking{} : *g.forced;
  const int64_t block_k = forced_size(forced.block_k, kBlockK);
  const int64_t block_panels = forced_size(forced.block_panels, kBlockPanels);
  const bool in_place = g.a_strip == 0 && g.a_k == 1;
  const bool one_set = in_place && g.a_row * static_cast<int64_t>(sizeof(T)) % kSetPeriod == 0;
  const int64_t tile_rows = forced_size(forced.tile_rows, one_set ? kSetSharingRows : kTileRows);
  alignas(64) T copy[kGroupRows / kStripRows * strip_size(kBlockK)];
  // A zero-length sum is +0 (or C) + bias: one pass with k = 0 writes it.
  for (int64_t k_begin = 0; k_begin == 0 || k_begin < g.k; k_begin += block_k) {
    const int64_t k_left = g.k - k_begin;
    const int64_t k_size = k_left < block_k ? k_left : block_k;
    const bool load_c = g.accumulate || k_begin > 0;
    const T* bias = k_begin + k_size == g.k ? g.bias : nullptr;
    for (int64_t panel = 0; panel < panels; panel += block_panels) {
      const int64_t end_panel = panel + block_panels < panels ? panel + block_panels : panels;
      for (int64_t group = 0; group < g.m; group += kGroupRows) {
        const int64_t rows = group + kGroupRows < g.m ? kGroupRows : g.m - group;
        const Rows<T> a = group_of_rows(g, group, rows, k_begin, k_size, copy);
        for (int64_t r = 0; r < rows;) {
          // A tile lies within one strip.
          const int64_t left =
              rows - r < kStripRows - r % kStripRows ? rows - r : kStripRows - r % kStripRows;
          const int64_t height = left < tile_rows ? left : tile_rows;
          gemm_rows<T, kTileRows>(g, a, group, r, height, panel, end_panel, k_begin, k_size, load_c, bias);
          r += height;
        }
      }
    }
  }
}

/// Multiply-adds on registers alone: as many chains as the product keeps, without its loads.
template <class T>
T run_peak(const PeakArgs& args) {
  using Reg = typename Vec<T>::Reg;
  constexpr int kChains = kTileRows * kTilePanels * Vec<T>::kRegs;
  Reg acc[kChains];
  GRADUS_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = Reg(T(i));
  const Reg x = Reg(T(0.5));
  const Reg y = Reg(T(1));
  for (int64_t round = 0; round < args.rounds; ++round) {
    GRADUS_UNROLL for (int i = 0; i < kChains; ++i) acc[i] = reg_fma(acc[i], x, y);
  }
  GRADUS_UNROLL for (int i = 1; i < kChains; ++i) acc[0] = acc[0] + acc[i];
  T first[16];
  reg_store(first, acc[0]);
  return first[0];
}

template <class T>
T run_read(const ReadArgs& args) {
  using V = Vec<float>;
  V sum[8];
  GRADUS_UNROLL for (int j = 0; j < 8; ++j) sum[j] = V::zero();
  int64_t i = 0;
  for (; i + 128 <= args.n; i += 128) {
    GRADUS_UNROLL for (int j = 0; j < 8; ++j) sum[j] = sum[j] + V::load(args.x + i + j * 16);
  }
  GRADUS_UNROLL for (int j = 1; j < 8; ++j) sum[0] = sum[0] + sum[j];
  float total = sum_lanes(sum[0]);
  for (; i < args.n; ++i) total += args.x[i];
  return static_cast<T>(total);
}

template <class T>
void fill_gemm(Table<T>& table) {
  table.registers = kTileRows * kTilePanels;
  table.gemm = run_gemm<T>;
  table.pack_strips = run_pack_strips<T>;
  table.peak = run_peak<T>;
  table.read = run_read<T>;
}

}  // namespace
}  // namespace gradus::kernels
