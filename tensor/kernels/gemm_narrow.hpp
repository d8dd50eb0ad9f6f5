#pragma once

#include "tensor/kernels/panels.hpp"

/// The product of few rows with weights in a narrow format, as in generating token by token: it is done when the weights
/// have been read, so they are read once, as they stand, and widened in registers. Each output is the chain that
/// gemm.hpp would compute from the same panels in f32.

namespace gradus::kernels {
namespace {

// Panels whose chains run side by side: a chain waits 4 cycles for each of its steps, and fewer streams of memory are
// fetched ahead better than many.
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
inline constexpr int kNarrowRegisters = 20;
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_neon
inline constexpr int kNarrowRegisters = 5;
#else
inline constexpr int kNarrowRegisters = 4;
#endif
inline constexpr int narrow_panels(int rows) {
  return rows >= kNarrowRegisters ? 1 : (kNarrowRegisters / rows < 4 ? kNarrowRegisters / rows : 4);
}

template <int Rows, int Panels>
GRADUS_INLINE void narrow_step(const float* const* a, int64_t p, const Vec<float>* row,
                               Vec<float> (*acc)[Panels]) {
  GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
    const Vec<float> x = Vec<float>::set(a[r][p]);
    GRADUS_UNROLL for (int j = 0; j < Panels; ++j) acc[r][j] = fma(x, row[j], acc[r][j]);
  }
}

template <PanelFormat Format, int Rows, int Panels>
__attribute__((noinline)) void narrow_tile(const GemmNarrowArgs& g, int64_t panel) {
  using V = Vec<float>;
  const int64_t k = g.b.k;
  const char* b = static_cast<const char*>(g.b.data) + (g.panel + panel) * panel_bytes(Format, k);
  const float* a[Rows];
  GRADUS_UNROLL for (int r = 0; r < Rows; ++r) a[r] = g.a + r * g.a_row;
  V acc[Rows][Panels];
  GRADUS_UNROLL for (int r = 0; r < Rows; ++r) {
    GRADUS_UNROLL for (int j = 0; j < Panels; ++j) acc[r][j] = V::zero();
  }
  V row[Panels];
  if constexpr (Format == PanelFormat::bf16) {
    const int32_t* pairs[Panels];
    GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
      pairs[j] = reinterpret_cast<const int32_t*>(b + j * panel_bytes(Format, k));
    }
    int64_t p = 0;
    for (; p + 1 < k; p += 2) {
      V next[Panels];
      GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
        const Int16<float> pair = load_i32(pairs[j] + p * 8);
        row[j] = even_row(pair);
        next[j] = odd_row(pair);
      }
      narrow_step<Rows, Panels>(a, p, row, acc);
      narrow_step<Rows, Panels>(a, p + 1, next, acc);
    }
    if (p < k) {
      GRADUS_UNROLL for (int j = 0; j < Panels; ++j) row[j] = even_row(load_i32(pairs[j] + p * 8));
      narrow_step<Rows, Panels>(a, p, row, acc);
    }
  } else {
    const uint16_t* scales = g.b.scales + (g.panel + panel) * panel_scales(k);
    for (int64_t group = 0; group < k; group += kScaleGroup, scales += 16) {
      const int64_t end = group + kScaleGroup < k ? group + kScaleGroup : k;
      V scale[Panels];
      GRADUS_UNROLL for (int j = 0; j < Panels; ++j) scale[j] = widen_scales(scales + j * panel_scales(k));
      for (int64_t p = group; p < end; ++p) {
        GRADUS_UNROLL for (int j = 0; j < Panels; ++j) {
          const int8_t* q = reinterpret_cast<const int8_t*>(b + j * panel_bytes(Format, k)) + p * 16;
          row[j] = to_float(load_i8(q)) * scale[j];
        }
        narrow_step<Rows, Panels>(a, p, row, acc);
      }
    }
  }
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
void narrow_rows(const GemmNarrowArgs& g) {
  constexpr int kPanels = narrow_panels(Rows);
  const int64_t panels = (g.n + 15) / 16;
  int64_t j = 0;
  for (; j + kPanels <= panels; j += kPanels) narrow_tile<Format, Rows, kPanels>(g, j);
  for (; j < panels; ++j) narrow_tile<Format, Rows, 1>(g, j);
}

template <PanelFormat Format, int Rows>
void narrow_at_most(const GemmNarrowArgs& g) {
  if constexpr (Rows > 0) {
    if (g.m == Rows) {
      narrow_rows<Format, Rows>(g);
    } else {
      narrow_at_most<Format, Rows - 1>(g);
    }
  }
}

inline void run_gemm_narrow(const GemmNarrowArgs& g) {
  if (g.b.format == PanelFormat::bf16) {
    narrow_at_most<PanelFormat::bf16, kNarrowRows>(g);
  } else {
    narrow_at_most<PanelFormat::q8, kNarrowRows>(g);
  }
}

template <class T>
void fill_gemm_narrow(Table<T>& table) {
  table.gemm_narrow = run_gemm_narrow;
}

}  // namespace
}  // namespace gradus::kernels
