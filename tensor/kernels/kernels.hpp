#pragma once

#include <cstdint>

/// The one boundary between ops and kernels: plain argument structs and a table of function pointers for each
/// instruction set. Kernels work on raw pointers at any alignment; they neither allocate, throw nor start threads: an op
/// cuts its work into chunks from the shape alone and calls a kernel once per chunk. Sizes and strides count elements.
///
/// Virtual lanes: whatever the register width, kernels think in vectors of 16 lanes. A reduction along a row adds element
/// i to lane i mod 16 in ascending order and combines the lanes by one tree: lane l with l+8, then l+4, l+2, l+1.
/// "chain" below means: one accumulator, terms joined in ascending order by fused multiply-add.

namespace gradus::kernels {

inline constexpr int64_t kLanes = 16;

// ---- matrix product ----

/// Rows of A that lie together where A is packed, in strips: strips[s][p][r] = A(12s + r, p), strip_size(k) apart.
inline constexpr int64_t kStripRows = 12;
/// A line more than it holds, for strips of 384 steps, 18 KB, would share a few cache sets.
inline constexpr int64_t strip_size(int64_t k) { return kStripRows * k + kLanes; }

/// Tiles and blocks of the product other than the instruction set's own, by which a test shows that they cannot change a
/// bit. 0: its own; larger ones count as its own.
struct GemmBlocking {
  int64_t tile_rows = 0;
  int64_t tile_panels = 0;
  int64_t block_k = 0;
  int64_t block_panels = 0;
};

/// C (m,n) = A (m,k) · B (k,n), each output one chain over k from +0, or from C where `accumulate`; then + bias.
/// A(i,p) = a[i·a_row + p·a_k], or in strips where a_strip is their distance. B stands in panels of 16 columns:
/// B(p, 16j + l) = b[j·b_panel + p·b_row + l]; the lanes beyond n of the last panel must be readable. C is row-major,
/// only n columns are written.
template <class T>
struct GemmArgs {
  const T* a;
  int64_t a_row, a_k;
  const T* b;
  int64_t b_panel, b_row;
  T* c;
  int64_t c_row;
  int64_t m, n, k;
  bool accumulate = false;
  const T* bias = nullptr;  // n values or null
  int64_t a_strip = 0;      // 0: not in strips
  const GemmBlocking* forced = nullptr;
};

/// Packs rows whose elements at one k lie next to each other, A(r,p) = source[p·k_stride + r], in strips that begin
/// `strip` apart. What a strip holds beyond `rows` is undefined.
template <class T>
struct PackStripsArgs {
  const T* source;
  int64_t k_stride;
  int64_t rows, k;
  T* strips;
  int64_t strip;
};

/// panels[j·panel + p·16 + l] = source[p·k_stride + (16j + l)·n_stride] for p < k and 16j + l < n; 0 for columns beyond n.
template <class T>
struct PackArgs {
  const T* source;
  int64_t k_stride, n_stride;
  int64_t k, n;
  T* panels;
  int64_t panel;
};

/// How weights stand in panels for inference. f32: as above. bf16: rows p and p+1 of a panel in the low and high halves of
/// 16 words. q8: rows p to p+3 in the four bytes of 16 words, each as 128 more than its number from -127 to 127, with one
/// f16 scale for each column and each kScaleGroup rows; a weight is number · scale, which f32 holds exactly, as it does
/// every bf16. So each format is a set of f32 numbers, and products with them are the same chains as with f32 panels.
enum class PanelFormat { f32, bf16, q8 };
inline constexpr int64_t kScaleGroup = 32;
/// So many panels stand interleaved, a line of 16 words of each in turns, the last ones of a matrix fewer: one stream of
/// memory then feeds as many chains of multiply-adds as it takes to keep up with it.
inline constexpr int64_t panel_group(PanelFormat format) {
  switch (format) {
    case PanelFormat::f32: return 1;
    case PanelFormat::bf16: return 2;
    case PanelFormat::q8: return 4;
  }
  return 0;
}
/// Bytes of one panel of k rows, and how many scales it has in q8.
inline constexpr int64_t panel_bytes(PanelFormat format, int64_t k) {
  switch (format) {
    case PanelFormat::f32: return k * 64;
    case PanelFormat::bf16: return (k + 1) / 2 * 64;
    case PanelFormat::q8: return (k + 3) / 4 * 64;
  }
  return 0;
}
inline constexpr int64_t panel_scales(int64_t k) { return (k + kScaleGroup - 1) / kScaleGroup * 16; }

/// Panels in any format.
struct PackedPanels {
  PanelFormat format;
  const void* data;
  int64_t panels;
  const uint16_t* scales = nullptr;  // panel_scales(k) for each panel; null but in q8
  int64_t k;
};
/// Rounds `count` panels of f32, whole groups but for the matrix's last one, to `format`, to nearest even; in q8 a group's scale is its largest size / 127.
/// Returns false, with the result undefined, where a number is not finite or its scale is beyond f16.
struct QuantizeArgs {
  const float* source;
  int64_t k, count;
  PanelFormat format;
  void* data;
  uint16_t* scales;
};
/// to[j][p][l] = row k_begin + p of panel `panel` + j; k_begin is a multiple of kScaleGroup.
struct DequantizeArgs {
  PackedPanels b;
  int64_t panel, count;
  int64_t k_begin, k_size;
  float* to;
};
/// C (m,n) = A (m,k) · B (+ bias) for few rows, where reading B is what takes time; columns start at
/// panel `panel`, the first of a group. Each output is the chain that gemm gives for the dequantized panels.
struct GemmFewArgs {
  const float* a;
  int64_t a_row;
  PackedPanels b;
  int64_t panel;
  float* c;
  int64_t c_row;
  int64_t m, n;
  const float* bias;
};

// ---- elementwise ----

enum class Unary {
  neg,
  abs,
  square,
  sqrt,
  rsqrt,
  exp,
  log,
  sin,
  cos,
  tanh,
  erf,
  sigmoid,
  relu,
  relu_squared,
  gelu,
  gelu_tanh,
  silu,
  count
};
/// y[i] = f(x[i]).
template <class T>
struct UnaryArgs {
  const T* x;
  T* y;
  int64_t n;
};
/// dx[i] = dy[i] f'(x[i]); y is the forward result (null where f' is a function of x alone); dx may be dy.
template <class T>
struct UnaryGradArgs {
  const T* x;
  const T* y;
  const T* dy;
  T* dx;
  int64_t n;
};

enum class Binary { add, sub, mul, div, maximum, minimum, count };
/// y[i] = f(a[i·a_stride], b[i·b_stride]); y is dense. Strides 0 and 1 are fast, others work.
template <class T>
struct BinaryArgs {
  const T* a;
  int64_t a_stride;
  const T* b;
  int64_t b_stride;
  T* y;
  int64_t n;
};
/// y[i] = scale · x[i] + offset as a multiplication and an addition. Either is skipped where it changes nothing: the
/// scale 1 and the offset -0 (adding +0 makes +0 of -0).
template <class T>
struct AffineArgs {
  const T* x;
  T* y;
  int64_t n;
  T scale, offset;
};
/// y = silu(gate) · up; backward: dgate = dy up silu'(gate), dup = dy silu(gate).
template <class T>
struct SwigluArgs {
  const T* gate;
  const T* up;
  T* y = nullptr;
  const T* dy = nullptr;
  T* dgate = nullptr;
  T* dup = nullptr;
  int64_t n;
};

// ---- reductions ----

/// y[r] = the sum of row r on 16 lanes.
template <class T>
struct RowSumArgs {
  const T* x;
  int64_t row_stride;
  T* y;
  int64_t rows, n;
};
/// y[c] = the sum over rows of x[r·row_stride + c], rows ascending, continuing y where `accumulate`.
template <class T>
struct ColumnSumArgs {
  const T* x;
  int64_t row_stride;
  T* y;
  int64_t rows, n;
  bool accumulate;
};
/// y[r] = the largest element of row r, index[r] the first place it stands at (either may be null).
/// note: a NaN in a row wins, at its first place.
template <class T>
struct RowMaxArgs {
  const T* x;
  int64_t row_stride;
  T* y;
  int32_t* index;
  int64_t rows, n;
};
/// Returns the sum of squares of x on 16 lanes, as chains of fused multiply-adds.
template <class T>
struct SquaresArgs {
  const T* x;
  int64_t n;
};

// ---- rows: softmax and norms; x, y, dy, dx are dense (rows, n) ----

/// Forward: y from x. Backward: dx from y and dy.
template <class T>
struct SoftmaxArgs {
  const T* x = nullptr;
  T* y;
  const T* dy = nullptr;
  T* dx = nullptr;
  int64_t rows, n;
};

/// mean is null for RMS norm. Forward writes y, mean, rstd. Backward reads x, mean, rstd, dy and writes dx.
template <class T>
struct NormArgs {
  const T* x;
  const T* weight;
  const T* bias;  // may be null
  T* y;
  T* mean;
  T* rstd;
  const T* dy;
  T* dx;
  int64_t rows, n;
  T epsilon;
};
/// dweight[c] = Σ_r dy x̂ and dbias[c] = Σ_r dy for columns begin … end-1, one chain over ascending rows each, continued
/// where `accumulate`. mean is null for RMS norm, dbias may be null.
template <class T>
struct NormWeightGradArgs {
  const T* x;
  const T* mean;
  const T* rstd;
  const T* dy;
  T* dweight;
  T* dbias;
  int64_t rows, n, begin, end;
  bool accumulate;
};

// ---- attention ----

/// Rotates the pairs (i, i + R/2), i < R/2, of each head of each row by the angles of row positions[r] of table (…, R), and
/// copies the channels behind the first R; sign +1 forward, -1 for the gradient.
template <class T>
struct RotaryArgs {
  const T* x;
  int64_t x_row;
  T* y;
  int64_t y_row;
  const int32_t* positions;
  const T* table;
  int64_t rows, heads, head_width, rotated;  // rotated: R
  T sign;
};

inline constexpr int64_t kKeyBlock = 128;   // keys of one softmax block: part of the definition of the result
inline constexpr int64_t kQueryBlock = 48;  // query rows of one tile: free to change

/// Attention of query rows [begin, end) of one head of one sequence (rows counted in the sequence) to keys
/// 0 … keys-1, or 0 … query + shift where causal. See attention.hpp for the order of operations.
template <class T>
struct AttentionArgs {
  const T* q;  // row `begin`'s head
  int64_t q_row;
  const T* key_panels = nullptr;  // (keys/16 rounded up, D, 16)
  // Element (key, i) at i / 16 · value_panel + key · value_row + i % 16, readable for i up to a multiple of 16.
  const T* values = nullptr;
  int64_t value_panel, value_row;
  T* y;
  int64_t y_row;
  T* lse = nullptr;  // stride lse_row; may be null
  int64_t lse_row = 0;
  int64_t begin, end, keys, head_width;
  int64_t before, after;  // query row i sees the keys i + shift - before … i + shift + after
  int64_t shift = 0;
  T scale;
  T* scratch;  // attention_scratch(head_width) elements
  // bf16 keys and values in the layouts above, instead of key_panels and values; may be null. f32 only.
  const uint16_t* short_key_panels = nullptr;
  const uint16_t* short_values = nullptr;
};
inline constexpr int64_t attention_scratch(int64_t head_width) {
  const int64_t width = (head_width + 15) / 16 * 16;
  return kQueryBlock * (kKeyBlock + 2 * width + 4) + 2 * kKeyBlock * width;
}

/// Gradient of one key/value head of one sequence of T rows: all its query heads, in ascending order.
template <class T>
struct AttentionGradArgs {
  const T* q;
  int64_t q_row;
  const T* k;
  int64_t k_row;
  const T* v;
  int64_t v_row;
  const T* y;
  int64_t y_row;
  const T* dy;
  int64_t dy_row;
  const T* lse;
  int64_t lse_row;
  T* dq;
  int64_t dq_row;
  T* dk;
  int64_t dk_row;
  T* dv;
  int64_t dv_row;
  int64_t rows, group, head_width;  // group: query heads of this key/value head, next to each other
  int64_t before, after;            // row i sees the keys i - before … i + after
  T scale;
  T* scratch;  // attention_grad_scratch(rows, head_width) elements
};
inline constexpr int64_t attention_grad_scratch(int64_t rows, int64_t head_width) {
  const int64_t width = (head_width + 15) / 16 * 16;
  const int64_t padded = (rows + 15) / 16 * 16;
  return padded * width * 5 + 2 * kQueryBlock * kKeyBlock + padded;
}

// ---- loss, regularisation, optimiser ----

/// Forward: lse[r] = max + ln sum, loss[r] = lse[r] - x[r][target] (0 where target is -1).
/// Backward: dx = factor (softmax(x) - one_hot(target)), 0 where target is -1; dx may be x.
template <class T>
struct CrossEntropyArgs {
  const T* x;
  int64_t row_stride;
  const int32_t* targets;
  T* lse;
  T* loss = nullptr;
  T* dx = nullptr;
  T factor = 0;
  int64_t rows, n;
};

/// y[i] = x[i] · scale where word e mod 4 of Philox block e/4 of (seed, stream), e = first + i, is at least `threshold`.
template <class T>
struct DropoutArgs {
  const T* x;
  T* y;
  int64_t n;
  uint64_t seed, stream, first;
  uint32_t threshold;
  T scale;
};

/// g = clip · grad; m += (1-beta1)(g - m); v += (1-beta2)(g² - v);
/// x = x (1 - lr decay) - step_size m / (√v · v_scale + epsilon), step_size = lr/(1-beta1^t), v_scale = 1/√(1-beta2^t).
/// note: moments below 1e-30 (m) and 1e-37 (v) in size are stored as 0, so that nothing denormal is ever computed.
template <class T>
struct AdamWArgs {
  T* x;
  const T* grad;
  T* m;
  T* v;
  int64_t n;
  T clip, one_minus_beta1, one_minus_beta2, decay_factor, step_size, v_scale, epsilon;
};

// ---- word vectors; rows are `width` long, a multiple of 16, and padded with zeros ----

/// Negative sampling of all pairs of m inputs and n outputs:
/// s_ij = <x_i, y_j> on 16 lanes, slope g_ij = (rate · weights[j]) · (labels[j] - sigmoid(s_ij)),
/// input_changes[i] = Σ_j g_ij y_j and output_changes[j] = Σ_i g_ij x_i, chains in ascending order from +0, or from what stands
/// there: in the inputs' changes where `continue_inputs`, in those of the first `continued_outputs` outputs. Outputs from
/// `changed_outputs` on get none: with one input, theirs are its row times the slope.
/// ref: Mikolov, Sutskever, Chen, Corrado, Dean (2013), equation 4
template <class T>
struct SampledArgs {
  const T* const* inputs;
  T* const* input_changes;
  const T* const* outputs;
  T* const* output_changes;
  const T* labels;   // n: 1 for what stands there, 0 for noise
  const T* weights;  // n
  T rate;
  int64_t m, n, width;
  bool continue_inputs;
  int64_t continued_outputs, changed_outputs;
  T* scores;  // (m, n) with rows `scores_row` apart; afterwards s
  T* slopes;  // the same; afterwards g
  int64_t scores_row;
};
/// y = scale · Σ rows[e], added from +0 in ascending order.
template <class T>
struct SumRowsArgs {
  const T* const* rows;
  int64_t count;
  T scale;
  T* y;
  int64_t width;
};
/// Row targets[e] of the table = fma(factors[e], row sources[e] of the changes, itself), in ascending order of e.
template <class T>
struct AddRowsArgs {
  T* table;
  int64_t table_row;
  const int32_t* targets;
  const T* changes;
  const int32_t* sources;
  const T* factors;
  int64_t count, width;
};
/// A cell of a table of co-occurrences: ln X and f(X) = min(1, (X / x_max)^alpha).
struct CountCell {
  int32_t word, context;
  float log_count, weight;
};
/// AdaGrad over cells in ascending order; returns Σ ½ f(X) d². Row r of `words` is x (width) and behind it the sums of squares
/// (width), of `contexts` the same with y. One element of x is the word's bias where y has a constant 1, and the other way
/// round: d = <x, y> - ln X is the formula with both biases. With step = rate f(X) d y: x -= step / √squares, then
/// squares += step², as GloVe does; both rows change at once.
/// ref: Pennington, Socher, Manning, "GloVe" (2014), equation 8; the order of the steps is that of its program
template <class T>
struct CountCellsArgs {
  T* words;
  T* contexts;
  int64_t width;
  int64_t constant_of_word, constant_of_context;  // the elements that stay 1
  T rate;
  const CountCell* cells;
  int64_t count;
};

// ---- the machine's limits, for measuring ----

/// Runs `rounds` times 16 · Table::registers independent fused multiply-adds on registers; returns a number that depends on all of them.
struct PeakArgs {
  int64_t rounds;
};
/// Reads n elements and returns something that depends on each.
struct ReadArgs {
  const float* x;
  int64_t n;
};

template <class T>
struct Table {
  const char* name;
  int registers;            // multiply-adds of 16 lanes that peak() keeps in flight
  int64_t few_rows;         // up to so many gemm_few is ahead of gemm, with panels of f32
  int64_t few_rows_narrow;  // and of bf16 and q8
  void (*gemm)(const GemmArgs<T>&);
  void (*pack)(const PackArgs<T>&);
  void (*pack_strips)(const PackStripsArgs<T>&);
  bool (*quantize)(const QuantizeArgs&);
  void (*dequantize)(const DequantizeArgs&);
  void (*gemm_few)(const GemmFewArgs&);
  void (*unary[static_cast<int>(Unary::count)])(const UnaryArgs<T>&);
  void (*unary_grad[static_cast<int>(Unary::count)])(const UnaryGradArgs<T>&);
  void (*binary[static_cast<int>(Binary::count)])(const BinaryArgs<T>&);
  void (*affine)(const AffineArgs<T>&);
  void (*swiglu)(const SwigluArgs<T>&);
  void (*swiglu_grad)(const SwigluArgs<T>&);
  void (*row_sum)(const RowSumArgs<T>&);
  void (*column_sum)(const ColumnSumArgs<T>&);
  void (*row_max)(const RowMaxArgs<T>&);
  T (*squares)(const SquaresArgs<T>&);
  void (*softmax)(const SoftmaxArgs<T>&);
  void (*softmax_grad)(const SoftmaxArgs<T>&);
  void (*log_softmax)(const SoftmaxArgs<T>&);
  void (*log_softmax_grad)(const SoftmaxArgs<T>&);
  void (*norm)(const NormArgs<T>&);
  void (*norm_grad)(const NormArgs<T>&);
  void (*norm_weight_grad)(const NormWeightGradArgs<T>&);
  void (*rotary)(const RotaryArgs<T>&);
  void (*attention)(const AttentionArgs<T>&);
  void (*attention_grad)(const AttentionGradArgs<T>&);
  void (*cross_entropy)(const CrossEntropyArgs<T>&);
  void (*cross_entropy_grad)(const CrossEntropyArgs<T>&);
  void (*dropout)(const DropoutArgs<T>&);
  void (*adamw)(const AdamWArgs<T>&);
  void (*sampled)(const SampledArgs<T>&);
  void (*sum_rows)(const SumRowsArgs<T>&);
  void (*add_rows)(const AddRowsArgs<T>&);
  double (*count_cells)(const CountCellsArgs<T>&);
  T (*peak)(const PeakArgs&);
  T (*read)(const ReadArgs&);

  /// List<all pointers above>, by which a test wraps every one.
  template <template <auto...> class List>
  using Entries =
      List<&Table::gemm, &Table::pack, &Table::pack_strips, &Table::quantize, &Table::dequantize,
           &Table::gemm_few, &Table::unary, &Table::unary_grad, &Table::binary, &Table::affine,
           &Table::swiglu, &Table::swiglu_grad, &Table::row_sum, &Table::column_sum, &Table::row_max,
           &Table::squares, &Table::softmax, &Table::softmax_grad, &Table::log_softmax,
           &Table::log_softmax_grad, &Table::norm, &Table::norm_grad, &Table::norm_weight_grad,
           &Table::rotary, &Table::attention, &Table::attention_grad, &Table::cross_entropy,
           &Table::cross_entropy_grad, &Table::dropout, &Table::adamw, &Table::sampled, &Table::sum_rows,
           &Table::add_rows, &Table::count_cells, &Table::peak, &Table::read>;
};

/// The table in use for T: for float the one that dispatch chose or GRADUS_ISA names; for double the scalar one.
template <class T>
const Table<T>& table();
template <>
const Table<float>& table<float>();
template <>
const Table<double>& table<double>();

/// The instruction sets built in and present on this machine, best last ("scalar", "sse2", "avx2", "avx512").
const char* const* available_isas(int* count);
/// Uses the named table from here on; an unknown or unavailable name is an error that lists the available ones.
void select_isa(const char* name);
/// Uses `replacement`, which must live as long, for float from here on; returns the table in use until now. For tests.
const Table<float>& replace_table(const Table<float>& replacement);

}  // namespace gradus::kernels
