#pragma once

#include <cstdint>

#include "tensor/kernels/vector_math.hpp"

/// Training of word vectors: pairs under negative sampling, sums of rows, and cells of a table of counts.

namespace gradus::kernels {
namespace {

// Accumulators of one tile of scores: inputs × outputs vectors, which with their operands fit the registers.
inline constexpr int kPairInputs = GRADUS_ISA_ID == GRADUS_ISA_ID_avx512 ? 3 : 1;
inline constexpr int kPairOutputs = GRADUS_ISA_ID == GRADUS_ISA_ID_avx512 ? 6
                                    : GRADUS_ISA_ID == GRADUS_ISA_ID_avx2 ? 6
                                                                          : 2;
// Vectors of one row that stay in registers while others are added to them.
inline constexpr int kRowVectors = GRADUS_ISA_ID == GRADUS_ISA_ID_avx512 ? 7
                                   : GRADUS_ISA_ID == GRADUS_ISA_ID_avx2 ? 6
                                                                         : 2;

/// scores[i·row + j] = <x_i, y_j>, each a chain on 16 lanes and their tree.
template <int kIn, int kOut, class T>
GRADUS_INLINE void score_tile(const T* const* x, const T* const* y, int64_t width, T* scores, int64_t row) {
  Vec<T> sums[kIn][kOut];
  GRADUS_UNROLL for (int i = 0; i < kIn; ++i) {
    GRADUS_UNROLL for (int j = 0; j < kOut; ++j) sums[i][j] = Vec<T>::zero();
  }
  for (int64_t c = 0; c < width; c += 16) {
    Vec<T> in[kIn];
    GRADUS_UNROLL for (int i = 0; i < kIn; ++i) in[i] = Vec<T>::load(x[i] + c);
    GRADUS_UNROLL for (int j = 0; j < kOut; ++j) {
      const Vec<T> out = Vec<T>::load(y[j] + c);
      GRADUS_UNROLL for (int i = 0; i < kIn; ++i) sums[i][j] = fma(in[i], out, sums[i][j]);
    }
  }
  GRADUS_UNROLL for (int i = 0; i < kIn; ++i) {
    GRADUS_UNROLL for (int j = 0; j < kOut; ++j) scores[i * row + j] = sum_lanes(sums[i][j]);
  }
}

template <int kIn, class T>
GRADUS_INLINE void score_rows(const SampledArgs<T>& args, int64_t i) {
  int64_t j = 0;
  const T* const* x = args.inputs + i;
  T* scores = args.scores + i * args.scores_row;
  for (; j + kPairOutputs <= args.n; j += kPairOutputs)
    score_tile<kIn, kPairOutputs>(x, args.outputs + j, args.width, scores + j, args.scores_row);
  for (; j + 2 <= args.n; j += 2)
    score_tile<kIn, 2>(x, args.outputs + j, args.width, scores + j, args.scores_row);
  for (; j < args.n; ++j) score_tile<kIn, 1>(x, args.outputs + j, args.width, scores + j, args.scores_row);
}

/// to[c] = a chain of fused multiply-adds over e < count in ascending order of factors[e·step] · rows[e][c], from +0 or to[c].
template <int kVecs, class T>
GRADUS_INLINE void add_scaled_block(T* to, const T* const* rows, const T* factors, int64_t step,
                                    int64_t count, int64_t column, bool continued) {
  Vec<T> sums[kVecs];
  GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) {
    sums[v] = continued ? Vec<T>::load(to + column + v * 16) : Vec<T>::zero();
  }
  for (int64_t e = 0; e < count; ++e) {
    const Vec<T> factor = Vec<T>::set(factors[e * step]);
    const T* row = rows[e] + column;
    GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) sums[v] = fma(factor, Vec<T>::load(row + v * 16), sums[v]);
  }
  GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) sums[v].store(to + column + v * 16);
}

template <class T>
GRADUS_INLINE void add_scaled_rows(T* to, const T* const* rows, const T* factors, int64_t step, int64_t count,
                                   int64_t width, bool continued) {
  int64_t c = 0;
  for (; c + 16 * kRowVectors <= width; c += 16 * kRowVectors)
    add_scaled_block<kRowVectors>(to, rows, factors, step, count, c, continued);
  for (; c + 32 <= width; c += 32) add_scaled_block<2>(to, rows, factors, step, count, c, continued);
  for (; c < width; c += 16) add_scaled_block<1>(to, rows, factors, step, count, c, continued);
}

template <class T>
void run_sampled(const SampledArgs<T>& args) {
  int64_t i = 0;
  for (; i + kPairInputs <= args.m; i += kPairInputs) score_rows<kPairInputs>(args, i);
  for (; i < args.m; ++i) score_rows<1>(args, i);
  const Vec<T> rate = Vec<T>::set(args.rate);
  for (i = 0; i < args.m; ++i) {
    for (int64_t j = 0; j < args.n; j += 16) {
      const int64_t left = args.n - j;
      const Vec<T> s = load_some(args.scores + i * args.scores_row + j, left);
      const Vec<T> label = load_some(args.labels + j, left);
      const Vec<T> weight = load_some(args.weights + j, left);
      const Vec<T> g = (rate * weight) * (label - vsigmoid(s));
      store_some(g, args.slopes + i * args.scores_row + j, left);
    }
  }
  for (i = 0; i < args.m; ++i)
    add_scaled_rows(args.input_changes[i], args.outputs, args.slopes + i * args.scores_row, 1, args.n,
                    args.width, args.continue_inputs);
  for (int64_t j = 0; j < args.changed_outputs; ++j)
    add_scaled_rows(args.output_changes[j], args.inputs, args.slopes + j, args.scores_row, args.m, args.width,
                    j < args.continued_outputs);
}

template <int kVecs, class T>
GRADUS_INLINE void sum_block(const SumRowsArgs<T>& args, int64_t column) {
  Vec<T> sums[kVecs];
  GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) sums[v] = Vec<T>::zero();
  for (int64_t e = 0; e < args.count; ++e) {
    const T* row = args.rows[e] + column;
    GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) sums[v] = sums[v] + Vec<T>::load(row + v * 16);
  }
  const Vec<T> scale = Vec<T>::set(args.scale);
  GRADUS_UNROLL for (int v = 0; v < kVecs; ++v)(sums[v] * scale).store(args.y + column + v * 16);
}

template <class T>
void run_sum_rows(const SumRowsArgs<T>& args) {
  int64_t c = 0;
  for (; c + 16 * kRowVectors <= args.width; c += 16 * kRowVectors) sum_block<kRowVectors>(args, c);
  for (; c < args.width; c += 16) sum_block<1>(args, c);
}

template <class T>
void run_add_rows(const AddRowsArgs<T>& args) {
  constexpr int64_t kAhead = 6;
  for (int64_t e = 0; e < args.count; ++e) {
    if (e + kAhead < args.count) {
      const T* next = args.table + args.targets[e + kAhead] * args.table_row;
      for (int64_t c = 0; c < args.width; c += 64 / static_cast<int64_t>(sizeof(T)))
        __builtin_prefetch(next + c, 1);
    }
    T* row = args.table + args.targets[e] * args.table_row;
    const T* change = args.changes + args.sources[e] * args.width;
    const Vec<T> factor = Vec<T>::set(args.factors[e]);
    for (int64_t c = 0; c < args.width; c += 16)
      fma(factor, Vec<T>::load(change + c), Vec<T>::load(row + c)).store(row + c);
  }
}

template <class T>
double run_count_cells(const CountCellsArgs<T>& args) {
  constexpr int64_t kAhead = 3;
  double loss = 0;
  const Vec<T> rate = Vec<T>::set(args.rate);
  const int64_t row_size = 2 * args.width;
  for (int64_t e = 0; e < args.count; ++e) {
    if (e + kAhead < args.count) {
      const CountCell& next = args.cells[e + kAhead];
      for (int64_t c = 0; c < row_size; c += 64 / static_cast<int64_t>(sizeof(T))) {
        __builtin_prefetch(args.words + next.word * row_size + c, 1);
        __builtin_prefetch(args.contexts + next.context * row_size + c, 1);
      }
    }
    const CountCell& cell = args.cells[e];
    T* x = args.words + cell.word * row_size;
    T* y = args.contexts + cell.context * row_size;
    Vec<T> sum = Vec<T>::zero();
    for (int64_t c = 0; c < args.width; c += 16) sum = fma(Vec<T>::load(x + c), Vec<T>::load(y + c), sum);
    const T difference = sum_lanes(sum) - static_cast<T>(cell.log_count);
    const T weighted = static_cast<T>(cell.weight) * difference;
    loss += 0.5 * static_cast<double>(weighted) * static_cast<double>(difference);
    const Vec<T> slope = rate * Vec<T>::set(weighted);
    for (int64_t c = 0; c < args.width; c += 16) {
      const Vec<T> a = Vec<T>::load(x + c), b = Vec<T>::load(y + c);
      const Vec<T> squares_a = Vec<T>::load(x + args.width + c), squares_b = Vec<T>::load(y + args.width + c);
      const Vec<T> step_a = slope * b, step_b = slope * a;
      (a - step_a / sqrt(squares_a)).store(x + c);
      (b - step_b / sqrt(squares_b)).store(y + c);
      fma(step_a, step_a, squares_a).store(x + args.width + c);
      fma(step_b, step_b, squares_b).store(y + args.width + c);
    }
    x[args.constant_of_word] = T(1);
    y[args.constant_of_context] = T(1);
  }
  return loss;
}

template <class T>
void fill_word_vectors(Table<T>& table) {
  table.sampled = run_sampled<T>;
  table.sum_rows = run_sum_rows<T>;
  table.add_rows = run_add_rows<T>;
  table.count_cells = run_count_cells<T>;
}

}  // namespace
}  // namespace gradus::kernels
