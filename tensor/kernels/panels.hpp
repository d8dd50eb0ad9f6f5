#pragma once

#include "tensor/kernels/simd.hpp"

/// Panels: the form in which the product reads its second factor, 16 columns next to each other for each k. Here they are
/// made from matrices, and quantized (bf16, q8) and dequantized for inference.

namespace gradus::kernels {
namespace {

/// Turns 16 rows of 16 elements into columns: to[p·16 + l] = from[l·stride + p].
template <class T>
GRADUS_INLINE void transpose_block(const T* from, int64_t stride, T* to) {
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
  if constexpr (sizeof(T) == 4) {
    // Four rounds of pairwise interleaving: after the round of distance d, element (i, j) has its index bit d swapped.
    __m512 r[16];
    GRADUS_UNROLL for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_ps(from + i * stride);
    __m512 t[16];
    GRADUS_UNROLL for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    GRADUS_UNROLL for (int i = 0; i < 16; i += 4) {
      r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
      r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
      r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
      r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
    // Now r[4q + c] holds, in its 128-bit part h, column 4h + c of rows 4q … 4q+3.
    GRADUS_UNROLL for (int c = 0; c < 4; ++c) {
      const __m512 low_a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);       // parts 0, 2 of rows 0-3, 4-7
      const __m512 low_b = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);  // parts 0, 2 of rows 8-11, 12-15
      const __m512 high_a = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);      // parts 1, 3
      const __m512 high_b = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
      _mm512_storeu_ps(to + c * 16, _mm512_shuffle_f32x4(low_a, low_b, 0x88));
      _mm512_storeu_ps(to + (8 + c) * 16, _mm512_shuffle_f32x4(low_a, low_b, 0xdd));
      _mm512_storeu_ps(to + (4 + c) * 16, _mm512_shuffle_f32x4(high_a, high_b, 0x88));
      _mm512_storeu_ps(to + (12 + c) * 16, _mm512_shuffle_f32x4(high_a, high_b, 0xdd));
    }
    return;
  }
#endif
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx2
  if constexpr (sizeof(T) == 4) {
    // Quarters of 8 × 8, the same rounds with registers of two 128-bit parts. Element by element, packing would take
    // longer than a product of 1024 rows saves: 65 instead of 90 % of the peak.
    GRADUS_UNROLL for (int quarter = 0; quarter < 4; ++quarter) {
      const int row = quarter / 2 * 8;
      const int column = quarter % 2 * 8;
      __m256 r[8];
      GRADUS_UNROLL for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + (row + i) * stride + column);
      __m256 t[8];
      GRADUS_UNROLL for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
      }
      GRADUS_UNROLL for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
      }
      // Now r[4q + c] holds, in its part h, column 4h + c of rows 4q … 4q+3.
      GRADUS_UNROLL for (int c = 0; c < 4; ++c) {
        _mm256_storeu_ps(to + (column + c) * 16 + row, _mm256_permute2f128_ps(r[c], r[4 + c], 0x20));
        _mm256_storeu_ps(to + (column + 4 + c) * 16 + row, _mm256_permute2f128_ps(r[c], r[4 + c], 0x31));
      }
    }
    return;
  }
#endif
  for (int p = 0; p < 16; ++p) {
    GRADUS_UNROLL for (int l = 0; l < 16; ++l) to[p * 16 + l] = from[l * stride + p];
  }
}

template <class T>
void run_pack(const PackArgs<T>& s) {
  const int64_t panels = (s.n + 15) / 16;
  int64_t j = 0;
  if (s.n_stride == 1) {
    // Row by row: memory is read in its order, and whole lines are written.
    j = s.n / 16;
    for (int64_t p = 0; p < s.k; ++p) {
      const T* source = s.source + p * s.k_stride;
      for (int64_t i = 0; i < j; ++i) Vec<T>::load(source + i * 16).store(s.panels + i * s.panel + p * 16);
    }
  }
  for (; j < panels; ++j) {
    const int64_t columns = s.n - j * 16 < 16 ? s.n - j * 16 : 16;
    const T* source = s.source + j * 16 * s.n_stride;
    T* to = s.panels + j * s.panel;
    int64_t p = 0;
    if (columns == 16 && s.k_stride == 1) {
      for (; p + 16 <= s.k; p += 16) transpose_block(source + p, s.n_stride, to + p * 16);
    }
    for (; p < s.k; ++p) {
      for (int64_t l = 0; l < columns; ++l) to[p * 16 + l] = source[p * s.k_stride + l * s.n_stride];
      for (int64_t l = columns; l < 16; ++l) to[p * 16 + l] = T(0);
    }
  }
}

/// The f16 nearest to a positive float, ties to even; above its range: infinity.
GRADUS_INLINE uint16_t half_bits(float x) {
  // Scaled by 2⁻¹¹², the exponent field of a float counts as that of an f16 does, and what would be denormal there is
  // denormal here: one rounding addition serves both.
  uint32_t bits = static_cast<uint32_t>(reg_bits(x * 0x1p-112f));
  bits += 0xfff + (bits >> 13 & 1);
  const uint32_t half = bits >> 13;
  return static_cast<uint16_t>(half < 0x7c00 ? half : 0x7c00);
}

/// Floats of positive f16 numbers.
GRADUS_INLINE Vec<float> cast_scales(const uint16_t* scales) {
  return from_bits(load_u16(scales).shift_left(13)) * Vec<float>::set(0x1p112f);
}

/// Two rows of a bf16 panel: each lane holds row 2p in its low half and row 2p + 1 in its high half.
GRADUS_INLINE Vec<float> even_row(const Int16<float>& pair) { return from_bits(pair.shift_left(16)); }
GRADUS_INLINE Vec<float> odd_row(const Int16<float>& pair) {
  return from_bits(pair & Int16<float>::set(-65536));
}

/// The bf16 nearest to each lane, ties to even, in the high half; NaN becomes quiet.
GRADUS_INLINE Int16<float> round_to_brain(const Vec<float>& x) {
  using I = Int16<float>;
  const I b = bits(x);
  const I rounded = b + I::set(0x7fff) + (b.shift_right(16) & I::set(1));
  return bits(select(x == x, from_bits(rounded), from_bits(b | I::set(0x400000))));
}

/// Where the words of a panel begin, and the distance from one line of 16 to the next.
struct PanelLines {
  int64_t first, step;
};
GRADUS_INLINE PanelLines lines_of(PanelFormat format, int64_t k, int64_t panels, int64_t panel) {
  const int64_t group = panel - panel % panel_group(format);
  const int64_t size = panels - group < panel_group(format) ? panels - group : panel_group(format);
  return {group * panel_bytes(format, k) / 4 + (panel - group) * 16, size * 16};
}

inline void cast_to_bf16(const float* from, int64_t k, int32_t* to, int64_t step) {
  using I = Int16<float>;
  for (int64_t p = 0; p < k; p += 2, to += step) {
    const I low = round_to_brain(Vec<float>::load(from + p * 16)).shift_right(16) & I::set(0xffff);
    I high = I::set(0);
    if (p + 1 < k) high = round_to_brain(Vec<float>::load(from + (p + 1) * 16)) & I::set(-65536);
    store_i32(low | high, to);
  }
}

/// Four rows of a q8 panel from their words. A number's byte goes into the mantissa of a float 2^19 or 2^11, where it
/// counts ones; times the scale, less (2^19 + 128) · scale, is a fused multiply-add that is exact, for all three
/// have at most 24 significant bits. It takes half the operations of converting bytes to integers and those to floats.
struct DequantizeQ8 {
  Vec<float> scale, low, high;

  DequantizeQ8() = default;
  GRADUS_INLINE explicit DequantizeQ8(const uint16_t* scales)
      : scale(cast_scales(scales)),
        low(Vec<float>::set(-kLowOffset) * scale),
        high(Vec<float>::set(-kHighOffset) * scale) {}

  /// Rows 0 and 1 of the word, or 2 and 3.
  GRADUS_INLINE void operator()(const Int16<float>& word, bool second, Vec<float>& a, Vec<float>& b) const {
    const Int16<float> at_4 = second ? word.shift_right(12) : word.shift_left(4);
    a = number(field(at_4, 0xff0, 0x49000000), kLowOffset, low);
    b = number(field(at_4, 0xff000, 0x45000000), kHighOffset, high);
  }

 private:
  static constexpr float kLowOffset = 0x1p19f + 128;
  static constexpr float kHighOffset = 0x1p11f + 128;

  GRADUS_INLINE Vec<float> number(const Vec<float>& x, float offset, const Vec<float>& scaled_offset) const {
    return kHasFma ? fma(x, scale, scaled_offset) : (x - Vec<float>::set(offset)) * scale;
  }
};

inline void quantize_q8(const float* from, int64_t k, int32_t* to, int64_t step, uint16_t* scales) {
  using V = Vec<float>;
  using I = Int16<float>;
  const V limit = V::set(127.0f);
  for (int64_t group = 0; group < k; group += kScaleGroup, scales += 16) {
    const int64_t end = group + kScaleGroup < k ? group + kScaleGroup : k;
    V top = V::zero();
    for (int64_t p = group; p < end; ++p) top = max(absolute(V::load(from + p * 16)), top);
    float lanes[16];
    (top / limit).store(lanes);
    for (int l = 0; l < 16; ++l) scales[l] = half_bits(lanes[l]);
    const V scale = cast_scales(scales);
    const Mask16<float> some = scale > V::zero();
    for (int64_t first = group; first < end; first += 4, to += step) {
      I word = I::set(0);
      for (int64_t i = 3; i >= 0; --i) {
        V q = V::zero();
        if (first + i < end) q = select(some, V::load(from + (first + i) * 16) / scale, q);
        // Adding 1.5 · 2²³ rounds to an integer, ties to even, and leaves it in the low bits.
        const V fixed = max(min(q, limit), V::zero() - limit) + V::set(0x1.8p23f + 128);
        word = word.shift_left(8) | (bits(fixed) & I::set(0xff));
      }
      store_i32(word, to);
    }
  }
}

inline bool run_quantize(const QuantizeArgs& g) {
  Vec<float> strange = Vec<float>::zero();
  for (int64_t i = 0; i < g.count * g.k * 16; i += 16) {
    const Vec<float> x = Vec<float>::load(g.source + i);
    strange = strange + (x - x);  // 0 unless an element is infinite or NaN
  }
  if (sum_lanes(strange) != 0.0f) return false;
  bool fits = true;
  for (int64_t j = 0; j < g.count; ++j) {
    const float* from = g.source + j * g.k * 16;
    const PanelLines lines = lines_of(g.format, g.k, g.count, j);
    int32_t* to = static_cast<int32_t*>(g.data) + lines.first;
    if (g.format == PanelFormat::bf16) {
      cast_to_bf16(from, g.k, to, lines.step);
    } else {
      uint16_t* scales = g.scales + j * panel_scales(g.k);
      quantize_q8(from, g.k, to, lines.step, scales);
      for (int64_t i = 0; i < panel_scales(g.k); ++i) fits = fits && scales[i] < 0x7c00;
    }
  }
  return fits;
}

inline void run_dequantize(const DequantizeArgs& g) {
  const int64_t end = g.k_begin + g.k_size;
  for (int64_t j = 0; j < g.count; ++j) {
    const PanelLines lines = lines_of(g.b.format, g.b.k, g.b.panels, g.panel + j);
    const int32_t* from = static_cast<const int32_t*>(g.b.data) + lines.first;
    float* to = g.to + j * g.k_size * 16;
    if (g.b.format == PanelFormat::f32) {
      const float* rows = reinterpret_cast<const float*>(from) + g.k_begin * 16;
      for (int64_t p = 0; p < g.k_size; ++p) Vec<float>::load(rows + p * 16).store(to + p * 16);
    } else if (g.b.format == PanelFormat::bf16) {
      const int32_t* pairs = from + g.k_begin / 2 * lines.step;
      for (int64_t p = g.k_begin; p < end; p += 2, pairs += lines.step, to += 32) {
        const Int16<float> pair = load_i32(pairs);
        even_row(pair).store(to);
        if (p + 1 < end) odd_row(pair).store(to + 16);
      }
    } else {
      const int32_t* fours = from + g.k_begin / 4 * lines.step;
      const uint16_t* scales = g.b.scales + (g.panel + j) * panel_scales(g.b.k);
      for (int64_t group = g.k_begin; group < end; group += kScaleGroup) {
        const DequantizeQ8 dequantize(scales + group / kScaleGroup * 16);
        const int64_t stop = group + kScaleGroup < end ? group + kScaleGroup : end;
        for (int64_t p = group; p < stop; p += 4, fours += lines.step) {
          const Int16<float> word = load_i32(fours);
          Vec<float> row[4];
          dequantize(word, false, row[0], row[1]);
          dequantize(word, true, row[2], row[3]);
          for (int64_t i = 0; i < 4 && p + i < stop; ++i, to += 16) row[i].store(to);
        }
      }
    }
  }
}

template <class T>
void fill_panels(Table<T>& table) {
  table.pack = run_pack<T>;
  table.quantize = run_quantize;
  table.dequantize = run_dequantize;
}

}  // namespace
}  // namespace gradus::kernels
