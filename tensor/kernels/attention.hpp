#pragma once

#include "tensor/kernels/gemm.hpp"
#include "tensor/kernels/panels.hpp"
#include "tensor/kernels/vector_math.hpp"

/// Attention, defined once for training, prompts and single steps. Row i sees the keys i - before … i + after, as far as
/// they are there; for one query row:
///
///   keys go in blocks of kKeyBlock counted from the sequence's first row; of each block only visible keys take part:
///     s_j = scale · (q · k_j)                 one chain over the head's channels, then one multiplication
///     m   = max s_j                           exact in any order
///     p_j = exp(s_j - m)
///     l   = Σ p_j                             on 16 lanes (key mod 16), then the fixed tree
///     o   = Σ p_j v_j                         one chain over ascending keys from +0
///   blocks merge in ascending order into (M, L, O), the first by copying:
///     M' = max(M, m),  a = exp(M - M'),  b = exp(m - M'),  L = fma(b, l, a L),  O = fma(b, o, a O)
///   y = O / L,  lse = M + ln L.
///
/// Infinities: where m is -infinity, 0 stands for it in s_j - m, so that p, l and o are 0; where L is 0 in the end, every
/// score was -infinity, and y and lse are 0. A score of +infinity or NaN makes L NaN and with it y and lse.
///
/// Nothing depends on which other rows share a tile, so a row alone, in a prompt or in a batch has the same bits.
/// ref: Dao et al., FlashAttention (2022), for the blocks and the saved log-sum-exp.

namespace gradus::kernels {
namespace {

inline constexpr int64_t kAttentionStrip = 12;  // rows whose common keys are multiplied together

template <class T>
GRADUS_INLINE T lane_exp(T x) {
  T lanes[16];
  vexp(Vec<T>::set(x)).store(lanes);
  return lanes[0];
}
template <class T>
GRADUS_INLINE T lane_log(T x) {
  T lanes[16];
  vlog(Vec<T>::set(x)).store(lanes);
  return lanes[0];
}

/// What is taken from scores whose largest is m.
template <class T>
GRADUS_INLINE T finite_shift(T m) {
  return m == static_cast<T>(-__builtin_inf()) ? T(0) : m;
}

/// Lanes 0 … n-1 true.
template <class T>
GRADUS_INLINE Mask16<T> first_lanes(int64_t n) {
  alignas(64) static constexpr T kIndex[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return Vec<T>::load(kIndex) < Vec<T>::set(static_cast<T>(n < 16 ? n : 16));
}

/// Those of a block's keys that a row sees: begin … end-1.
struct KeyRange {
  int64_t begin, end;
};

/// Lanes of `inside` for keys j … j+15 in the range, of `outside` for the others.
template <class T>
GRADUS_INLINE Vec<T> only_within(KeyRange range, int64_t j, Vec<T> inside, Vec<T> outside) {
  if (range.begin <= j && j + 16 <= range.end) return inside;
  const Vec<T> x = select(first_lanes<T>(range.end - j), inside, outside);
  return range.begin > j ? select(first_lanes<T>(range.begin - j), outside, x) : x;
}

/// o (rows, n) = p (rows, keys) · values, row r over its keys seen[r], none empty, whose ends never decrease with r.
template <class T>
void weigh_values(const T* p, int64_t p_row, const T* values, int64_t value_panel, int64_t value_row,
                  int64_t rows, const KeyRange* seen, int64_t n, T* o, int64_t o_row) {
  const auto run = [&](int64_t first, int64_t count, KeyRange keys, bool accumulate) {
    run_gemm<T>({.a = p + first * p_row + keys.begin,
                 .a_row = p_row,
                 .a_k = 1,
                 .b = values + keys.begin * value_row,
                 .b_panel = value_panel,
                 .b_row = value_row,
                 .c = o + first * o_row,
                 .c_row = o_row,
                 .m = count,
                 .n = n,
                 .k = keys.end - keys.begin,
                 .accumulate = accumulate});
  };
  for (int64_t first = 0; first < rows; first += kAttentionStrip) {
    const int64_t strip = rows - first < kAttentionStrip ? rows - first : kAttentionStrip;
    // The keys that all rows of the strip see are multiplied together; those before and after them, row by row.
    const KeyRange common = {seen[first + strip - 1].begin, seen[first].end};
    if (common.begin >= common.end) {
      for (int64_t r = first; r < first + strip; ++r) run(r, 1, seen[r], false);
      continue;
    }
    const bool some_before = seen[first].begin < common.begin;
    for (int64_t r = first; some_before && r < first + strip; ++r) {
      run(r, 1, {seen[r].begin, common.begin}, false);  // for some rows no key: +0
    }
    run(first, strip, common, some_before);
    for (int64_t r = first + 1; r < first + strip; ++r) {
      if (seen[r].end > common.end) run(r, 1, {common.end, seen[r].end}, true);
    }
  }
}

/// n bf16 numbers, n a multiple of 16.
GRADUS_INLINE void cast_from_bf16(const uint16_t* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n; i += 16) from_bits(load_u16(from + i).shift_left(16)).store(to + i);
}
GRADUS_INLINE void cast_from_bf16(const uint16_t*, int64_t, double*) {}

template <class T>
void run_attention(const AttentionArgs<T>& g) {
  using V = Vec<T>;
  const int64_t d = g.head_width;
  const int64_t width = (d + 15) / 16 * 16;
  T* scores = g.scratch;
  T* o = scores + kQueryBlock * kKeyBlock;
  T* block_o = o + kQueryBlock * width;
  T* maxima = block_o + kQueryBlock * width;
  T* sums = maxima + kQueryBlock;
  T* block_max = sums + kQueryBlock;
  T* block_sum = block_max + kQueryBlock;
  T* wide_keys = block_sum + kQueryBlock;  // of one block, where they are kept in bf16
  T* wide_values = wide_keys + kKeyBlock * width;
  KeyRange seen[kQueryBlock];

  for (int64_t tile = g.begin; tile < g.end; tile += kQueryBlock) {
    const int64_t rows = g.end - tile < kQueryBlock ? g.end - tile : kQueryBlock;
    const T* q = g.q + (tile - g.begin) * g.q_row;
    // The keys that row r of the tile sees.
    const auto keys_of = [&](int64_t r) {
      const int64_t at = tile + r + g.shift;
      const int64_t end = at + g.after < g.keys ? at + g.after + 1 : g.keys;
      return KeyRange{at > g.before ? at - g.before : 0, end};
    };
    const int64_t most = keys_of(rows - 1).end;
    for (int64_t key = keys_of(0).begin / kKeyBlock * kKeyBlock; key < most; key += kKeyBlock) {
      const int64_t keys = most - key < kKeyBlock ? most - key : kKeyBlock;
      // Rows before `skip` do not see as far as this block, rows from `stop` on begin behind it, and for rows from `fresh`
      // on it is the first that they see.
      int64_t skip = 0, stop = rows, fresh = rows;
      for (int64_t r = rows; r-- > 0;) {
        const KeyRange range = keys_of(r);
        seen[r] = {range.begin > key ? range.begin - key : 0,
                   range.end - key < keys ? range.end - key : keys};
        if (range.begin >= key) fresh = r;
        if (range.begin >= key + keys) stop = r;
        if (range.end <= key && skip == 0) skip = r + 1;
      }
      const bool in_bf16 = g.short_key_panels != nullptr;
      const T* key_panels = in_bf16 ? wide_keys : g.key_panels + key * d;
      const T* values = in_bf16 ? wide_values : g.values + key * g.value_row;
      if (in_bf16) {
        const int64_t panels = (keys + 15) / 16;
        cast_from_bf16(g.short_key_panels + key * d, panels * d * 16, wide_keys);
        cast_from_bf16(g.short_values + key * g.value_row, keys * g.value_row, wide_values);
      }
      run_gemm<T>({.a = q + skip * g.q_row,
                   .a_row = g.q_row,
                   .a_k = 1,
                   .b = key_panels,
                   .b_panel = d * 16,
                   .b_row = 16,
                   .c = scores + skip * kKeyBlock,
                   .c_row = kKeyBlock,
                   .m = stop - skip,
                   .n = keys,
                   .k = d});
      for (int64_t r = skip; r < stop; ++r) {
        T* s = scores + r * kKeyBlock;
        const int64_t first_lane = seen[r].begin / 16 * 16;
        const V scale = V::set(g.scale);
        const V lowest = V::set(-__builtin_huge_val());
        V top = lowest;
        for (int64_t j = first_lane; j < seen[r].end; j += 16) {
          const V x = only_within<T>(seen[r], j, V::load(s + j) * scale, lowest);
          top = max(x, top);
          x.store(s + j);
        }
        const T m = max_lanes(top);
        const V shift = V::set(finite_shift(m));
        V sum = V::zero();
        for (int64_t j = first_lane; j < seen[r].end; j += 16) {
          const V x = only_within<T>(seen[r], j, vexp(V::load(s + j) - shift), V::zero());
          sum = sum + x;
          x.store(s + j);
        }
        block_max[r] = m;
        block_sum[r] = sum_lanes(sum);
      }
      const auto weigh = [&](int64_t first, int64_t end, T* out) {
        weigh_values<T>(scores + first * kKeyBlock, kKeyBlock, values, g.value_panel, g.value_row,
                        end - first, seen + first, d, out + first * width, width);
      };
      weigh(skip, fresh, block_o);
      weigh(fresh, stop, o);
      for (int64_t r = fresh; r < stop; ++r) {
        maxima[r] = block_max[r];
        sums[r] = block_sum[r];
      }
      for (int64_t r = skip; r < fresh; ++r) {
        const T m = maxima[r] > block_max[r] ? maxima[r] : block_max[r];
        const V a = V::set(lane_exp<T>(maxima[r] - finite_shift(m)));
        const V b = V::set(lane_exp<T>(block_max[r] - finite_shift(m)));
        alignas(64) T lanes[16];
        fma(b, V::set(block_sum[r]), a * V::set(sums[r])).store(lanes);
        maxima[r] = m;
        sums[r] = lanes[0];
        for (int64_t i = 0; i < width; i += 16) {
          fma(b, V::load(block_o + r * width + i), a * V::load(o + r * width + i)).store(o + r * width + i);
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const bool empty = sums[r] == T(0);
      const V sum = V::set(empty ? T(1) : sums[r]);
      T* y = g.y + (tile - g.begin + r) * g.y_row;
      for (int64_t i = 0; i < d; i += 16) store_some(V::load(o + r * width + i) / sum, y + i, d - i);
      if (g.lse != nullptr)
        g.lse[(tile - g.begin + r) * g.lse_row] = empty ? T(0) : maxima[r] + lane_log<T>(sums[r]);
    }
  }
}

/// Copies rows of d elements to rows of `width`, the rest 0.
template <class T>
void copy_padded(const T* from, int64_t from_row, int64_t rows, int64_t d, T* to, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < width; i += 16)
      load_some(from + r * from_row + i, d - i).store(to + r * width + i);
  }
}

template <class T>
void run_attention_grad(const AttentionGradArgs<T>& g) {
  using V = Vec<T>;
  const int64_t d = g.head_width;
  const int64_t width = (d + 15) / 16 * 16;
  const int64_t padded = (g.rows + 15) / 16 * 16;
  T* next = g.scratch;
  const auto take = [&](int64_t size) {
    T* block = next;
    next += size;
    return block;
  };
  T* key_panels = take(padded * width);
  T* value_panels = take(padded * width);
  T* keys = take(padded * width);
  T* queries = take(padded * width);
  T* upstream = take(padded * width);
  T* p = take(kQueryBlock * kKeyBlock);
  T* dp = take(kQueryBlock * kKeyBlock);
  T* dots = take(padded);

  run_pack<T>({.source = g.k,
               .k_stride = 1,
               .n_stride = g.k_row,
               .k = d,
               .n = g.rows,
               .panels = key_panels,
               .panel = d * 16});
  run_pack<T>({.source = g.v,
               .k_stride = 1,
               .n_stride = g.v_row,
               .k = d,
               .n = g.rows,
               .panels = value_panels,
               .panel = d * 16});
  copy_padded(g.k, g.k_row, g.rows, d, keys, width);

  for (int64_t h = 0; h < g.group; ++h) {
    copy_padded(g.q + h * d, g.q_row, g.rows, d, queries, width);
    copy_padded(g.dy + h * d, g.dy_row, g.rows, d, upstream, width);
    for (int64_t r = 0; r < g.rows; ++r) {
      V sum = V::zero();
      for (int64_t i = 0; i < d; i += 16) {
        sum = fma(V::load(upstream + r * width + i), load_some(g.y + r * g.y_row + h * d + i, d - i), sum);
      }
      dots[r] = sum_lanes(sum);
    }
    // Key blocks ascend outside and query tiles inside, so that dq is a chain over ascending keys and dk, dv are chains
    // over ascending queries; a later head of the group continues dk and dv.
    for (int64_t key = 0; key < g.rows; key += kKeyBlock) {
      const int64_t block = g.rows - key < kKeyBlock ? g.rows - key : kKeyBlock;
      const int64_t first_tile = key > g.after ? (key - g.after) / kQueryBlock * kQueryBlock : 0;
      const int64_t last_row = g.rows - key - block > g.before ? key + block + g.before : g.rows;
      for (int64_t tile = first_tile; tile < last_row; tile += kQueryBlock) {
        const int64_t rows = g.rows - tile < kQueryBlock ? g.rows - tile : kQueryBlock;
        const int64_t n = tile + rows - key + g.after < block ? tile + rows - key + g.after : block;
        run_gemm<T>({.a = queries + tile * width,
                     .a_row = width,
                     .a_k = 1,
                     .b = key_panels + key * d,
                     .b_panel = d * 16,
                     .b_row = 16,
                     .c = p,
                     .c_row = kKeyBlock,
                     .m = rows,
                     .n = n,
                     .k = d});
        run_gemm<T>({.a = upstream + tile * width,
                     .a_row = width,
                     .a_k = 1,
                     .b = value_panels + key * d,
                     .b_panel = d * 16,
                     .b_row = 16,
                     .c = dp,
                     .c_row = kKeyBlock,
                     .m = rows,
                     .n = n,
                     .k = d});
        const V scale = V::set(g.scale);
        for (int64_t r = 0; r < rows; ++r) {
          const int64_t at = tile + r - key;
          const KeyRange seen = {at - g.before, at + 1 + g.after};
          const V lse = V::set(g.lse[(tile + r) * g.lse_row + h]);
          const V dot = V::set(dots[tile + r]);
          for (int64_t j = 0; j < n; j += 16) {
            T* pj = p + r * kKeyBlock + j;
            T* dpj = dp + r * kKeyBlock + j;
            const V x = only_within<T>(seen, j, vexp(V::load(pj) * scale - lse), V::zero());
            const V dx = only_within<T>(seen, j, x * (V::load(dpj) - dot) * scale, V::zero());
            x.store(pj);
            dx.store(dpj);
          }
        }
        const bool dv_started = h > 0 || tile > first_tile;
        run_gemm<T>({.a = p,
                     .a_row = 1,
                     .a_k = kKeyBlock,
                     .b = upstream + tile * width,
                     .b_panel = 16,
                     .b_row = width,
                     .c = g.dv + key * g.dv_row,
                     .c_row = g.dv_row,
                     .m = n,
                     .n = d,
                     .k = rows,
                     .accumulate = dv_started});
        run_gemm<T>({.a = dp,
                     .a_row = 1,
                     .a_k = kKeyBlock,
                     .b = queries + tile * width,
                     .b_panel = 16,
                     .b_row = width,
                     .c = g.dk + key * g.dk_row,
                     .c_row = g.dk_row,
                     .m = n,
                     .n = d,
                     .k = rows,
                     .accumulate = dv_started});
        if (!dv_started && n < block) {
          // The first tile that reaches a block may end before the block does: the rest starts at 0.
          for (int64_t j = n; j < block; ++j) {
            for (int64_t i = 0; i < d; ++i) {
              g.dv[(key + j) * g.dv_row + i] = T(0);
              g.dk[(key + j) * g.dk_row + i] = T(0);
            }
          }
        }
        run_gemm<T>({.a = dp,
                     .a_row = kKeyBlock,
                     .a_k = 1,
                     .b = keys + key * width,
                     .b_panel = 16,
                     .b_row = width,
                     .c = g.dq + tile * g.dq_row + h * d,
                     .c_row = g.dq_row,
                     .m = rows,
                     .n = d,
                     .k = n,
                     .accumulate = key > (tile > g.before ? tile - g.before : 0)});
      }
    }
  }
}

template <class T>
void fill_attention(Table<T>& table) {
  table.attention = run_attention<T>;
  table.attention_grad = run_attention_grad<T>;
}

}  // namespace
}  // namespace gradus::kernels
