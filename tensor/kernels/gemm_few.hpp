#pragma once

#include "tensor/kernels/panels.hpp"

/// The product of few rows with packed weights, as in generating token by token or for one short text: it is done when the
/// weights have been read, so they are read once, as they stand, and dequantized in registers. Each output is the chain
/// that gemm.hpp computes from the same numbers in f32 panels.

namespace gradus::kernels {
namespace {

// Panels whose chains run side by side; a chain waits 4 cycles for each of its steps. One stream of memory is fetched ahead
// best: with f32 one panel keeps up with it, narrower weights come in interleaved groups (93 % of the bandwidth; 4 streams
// reach 75 %). Where a chain for each of many rows fills the registers, a group takes several passes. From 5 rows on, f32
// takes two panels for each load of an element of x, for then those loads are what takes longest.
inline constexpr int kFewRegisters = GRADUS_ISA_ID == GRADUS_ISA_ID_avx512 ? 16 : 4;
// The most rows of one tile: its chains, the row of B and what dequantizing takes have to find room in registers. More rows
// take several tiles, for which a group of panels is read again, from a cache.
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
inline constexpr int kFewTileRows = 24;
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_neon || GRADUS_ISA_ID == GRADUS_ISA_ID_avx2
inline constexpr int kFewTileRows = 6;
#else
inline constexpr int kFewTileRows = 2;
#endif
inline constexpr int few_panels(PanelFormat format, int rows) {
  int panels = static_cast<int>(panel_group(format));
  if (format == PanelFormat::f32 && rows > 4) panels = 2;
  while (panels > 1 && panels * rows > kFewRegisters) panels /= 2;
  return panels;
}
// How far ahead of its use memory is asked for: with 2 KB, 2 and 4 rows reach 87 instead of 93 % of the bandwidth.
inline constexpr int64_t kAheadBytes = 4096;
inline constexpr int64_t kAheadScales = 8 * 16;

/// Rows of x, with a pointer for every third, as in gemm_tile.
template <int Rows>
struct FewRows {
  const float* base[(Rows + 2) / 3];
  int64_t stride;

  FewRows(const float* x, int64_t row) : stride(row) {
    GRADUS_UNROLL for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] = x + 3 * i * row;
  }
  GRADUS_INLINE float at(int r, int p) const { return base[r / 3][(r % 3) * stride + p]; }
  GRADUS_INLINE void advance(int steps) {
    GRADUS_UNROLL for (int i = 0; i < (Rows + 2) / 3; ++i) base[i] += steps;
  }
};

/// acc[r][j] += x[r][p] · row[j], lane by lane.
template <int Rows, int Panels>
GRADUS_INLINE void few_step(const FewRows<Rows>& x_rows, int p, const Vec<float>* row,
                            Vec<float> (*acc)[Panels]) {
  GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
    const Vec<float> x = Vec<float>::set(x_rows.at(r, p));
    GRADUS_UNROLL for (int j = 0; j < Panels; ++j) acc[r][j] = fma(x, row[j], acc[r][j]);
  }
}

/// A line of words of each panel, `apart` from each other, with those further on asked for.
template <int Panels>
GRADUS_INLINE void load_words(const int32_t* from, Int16<float>* word, int64_t apart = 16) {
  GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
    __builtin_prefetch(reinterpret_cast<const char*>(from + j * apart) + kAheadBytes);
    word[j] = load_i32(from + j * apart);
  }
}

/// The sums of all k, in the format's own way of dequantizing.
template <PanelFormat Format, int Rows, int Panels>
GRADUS_INLINE void few_sums(FewRows<Rows> a, const int32_t* b, int64_t step, const uint16_t* scales,
                            int64_t k, Vec<float> (*acc)[Panels]) {
  Int16<float> word[Panels];
  Vec<float> row[2][Panels];
  if constexpr (Format == PanelFormat::f32) {
    const auto load = [&](int i) {
      load_words<Panels>(b + i * step, word, 16 * k);
      GRADUS_UNROLL for (int j = 0; j < Panels; ++j) row[i][j] = from_bits(word[j]);
    };
    // By twos: 16 rows reach 97 instead of 85 % of the peak.
    int64_t p = 0;
    for (; p + 2 <= k; p += 2, b += 2 * step, a.advance(2)) {
      load(0);
      load(1);
      few_step<Rows, Panels>(a, 0, row[0], acc);
      few_step<Rows, Panels>(a, 1, row[1], acc);
    }
    if (p < k) {
      load(0);
      few_step<Rows, Panels>(a, 0, row[0], acc);
    }
  } else if constexpr (Format == PanelFormat::bf16) {
    const auto even = [&] {
      load_words<Panels>(b, word);
      GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
        row[0][j] = even_row(word[j]);
        row[1][j] = odd_row(word[j]);
      }
      few_step<Rows, Panels>(a, 0, row[0], acc);
    };
    int64_t p = 0;
    for (; p + 2 <= k; p += 2, b += step, a.advance(2)) {
      even();
      few_step<Rows, Panels>(a, 1, row[1], acc);
    }
    if (p < k) even();
  } else {
    for (int64_t group = 0; group < k; group += kScaleGroup, scales += 16) {
      DequantizeQ8 dequantize[Panels];
      GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
        __builtin_prefetch(scales + j * panel_scales(k) + kAheadScales);
        dequantize[j] = DequantizeQ8(scales + j * panel_scales(k));
      }
      const auto dequantize_two = [&](bool second) {
        GRADUS_UNROLL for (int j = 0; j < Panels; ++j) dequantize[j](word[j], second, row[0][j], row[1][j]);
      };
      const int64_t end = group + kScaleGroup < k ? group + kScaleGroup : k;
      int64_t p = group;
      for (; p + 4 <= end; p += 4, b += step, a.advance(4)) {
        load_words<Panels>(b, word);
        dequantize_two(false);
        few_step<Rows, Panels>(a, 0, row[0], acc);
        few_step<Rows, Panels>(a, 1, row[1], acc);
        dequantize_two(true);
        few_step<Rows, Panels>(a, 2, row[0], acc);
        few_step<Rows, Panels>(a, 3, row[1], acc);
      }
      if (p < end) load_words<Panels>(b, word);
      for (int i = 0; p + i < end; ++i) {
        if (i % 2 == 0) dequantize_two(i == 2);
        few_step<Rows, Panels>(a, i, row[i % 2], acc);
      }
    }
  }
}

template <PanelFormat Format, int Rows, int Panels>
__attribute__((noinline)) void few_tile(const GemmFewArgs& g, int64_t panel) {
  using V = Vec<float>;
  const int64_t k = g.b.k;
  const PanelLines lines = lines_of(Format, k, g.b.panels, g.panel + panel);
  const int32_t* b = static_cast<const int32_t*>(g.b.data) + lines.first;
  const FewRows<Rows> a(g.a, g.a_row);
  V acc[Rows][Panels];
  GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
    GRADUS_UNROLL for (int j = 0; j < Panels; ++j) acc[r][j] = V::zero();
  }
  const uint16_t* scales = g.b.scales == nullptr ? nullptr : g.b.scales + (g.panel + panel) * panel_scales(k);
  few_sums<Format, Rows, Panels>(a, b, lines.step, scales, k, acc);
  GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
    const int64_t column = (panel + j) * 16;
    const int64_t left = g.n - column;
    GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
      V y = acc[r][j];
      if (g.bias != nullptr) y = y + load_some(g.bias + column, left);
      store_some(y, g.c + r * g.c_row + column, left);
    }
  }
}

template <PanelFormat Format, int Rows>
void few_rows(const GemmFewArgs& g) {
  if constexpr (Rows > 0) {
    if (g.m < Rows) {
      few_rows<Format, Rows - 1>(g);
      return;
    }
    constexpr int kPanels = few_panels(Format, Rows);
    const int64_t panels = (g.n + 15) / 16;
    int64_t j = 0;
    for (; j + kPanels <= panels; j += kPanels) few_tile<Format, Rows, kPanels>(g, j);
    for (; j < panels; ++j) few_tile<Format, Rows, 1>(g, j);
  }
}

/// All rows, in tiles of like heights.
template <PanelFormat Format>
void few_tiles(const GemmFewArgs& g) {
  const int64_t tiles = (g.m + kFewTileRows - 1) / kFewTileRows;
  const int64_t together = panel_group(Format) > 2 ? panel_group(Format) : 2;
  const int64_t columns = tiles == 1 ? g.n : together * 16;
  for (int64_t j = 0; j < g.n; j += columns) {
    GemmFewArgs part = g;
    part.panel = g.panel + j / 16;
    part.n = g.n - j < columns ? g.n - j : columns;
    if (g.bias != nullptr) part.bias = g.bias + j;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t r = g.m * tile / tiles;
      part.m = g.m * (tile + 1) / tiles - r;
      part.a = g.a + r * g.a_row;
      part.c = g.c + r * g.c_row + j;
      few_rows<Format, kFewTileRows>(part);
    }
  }
}

inline void run_gemm_few(const GemmFewArgs& g) {
  switch (g.b.format) {
    case PanelFormat::f32: few_tiles<PanelFormat::f32>(g); break;
    case PanelFormat::bf16: few_tiles<PanelFormat::bf16>(g); break;
    case PanelFormat::q8: few_tiles<PanelFormat::q8>(g); break;
  }
}

template <class T>
void fill_gemm_few(Table<T>& table) {
  table.gemm_few = run_gemm_few;
  // Narrow weights are dequantized anew by each tile.
  constexpr int kTwoTiles = 2 * kFewTileRows > 8 ? 2 * kFewTileRows : 8;
  table.few_rows = 32;
  table.few_rows_narrow = kTwoTiles < 32 ? kTwoTiles : 32;
}

}  // namespace
}  // namespace gradus::kernels
