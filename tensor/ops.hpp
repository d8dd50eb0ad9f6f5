#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/packed.hpp"
#include "tensor/random.hpp"
#include "tensor/tensor.hpp"

/// Every op. Letters as in tensor/shape.hpp; `x̂` etc. are local to a formula; dy is the upstream gradient.
/// Floating inputs are f32 or f64 and must agree in type; ids and masks are i32. Inputs may be strided views; outputs are
/// dense unless the op says that it returns a view. Ops without a gradient say so.
///
/// `saves:` is what stays in memory until backward. Where an op `makes y again` and y has at least kRecomputeBytes (4 MiB),
/// ops that save an operand as it was given (linear, matmul, mul, div, maximum, minimum, pow, norm) do not keep y: its
/// memory goes with its last handle, and their backward makes the same bits again. See recomputable() in tensor/autodiff.hpp.

namespace gradus {

// ---- elementwise, two operands with broadcasting (tensor/ops/elementwise.cpp) ----

/// y = a + b.   grad: da = dy, db = dy, summed over stretched axes.
Tensor add(const Tensor& a, const Tensor& b);
/// y = a - b.   grad: da = dy, db = -dy.
Tensor sub(const Tensor& a, const Tensor& b);
/// y = a · b.   grad: da = dy b, db = dy a.   saves: a, b.
Tensor mul(const Tensor& a, const Tensor& b);
/// y = a / b.   grad: da = dy / b, db = -dy y / b.   saves: b, y.
Tensor div(const Tensor& a, const Tensor& b);
/// y = max(a, b).   grad: dy goes to a where a >= b, else to b.   saves: a, b.
Tensor maximum(const Tensor& a, const Tensor& b);
/// y = min(a, b).   grad: dy goes to a where a <= b, else to b.   saves: a, b.
Tensor minimum(const Tensor& a, const Tensor& b);
/// y = x + value.   grad: dx = dy.
Tensor add(const Tensor& x, double value);
/// y = x - value.   grad: dx = dy.
Tensor sub(const Tensor& x, double value);
/// y = value - x.   grad: dx = -dy.
Tensor sub(double value, const Tensor& x);
/// y = value · x.   grad: dx = value dy.
Tensor mul(const Tensor& x, double value);
/// y = x / value.   grad: dx = dy / value.
Tensor div(const Tensor& x, double value);
/// y = value / x.   grad: dx = -dy y / x.   saves: x, y.
Tensor div(double value, const Tensor& x);
/// y = x to the power `exponent`; NaN where x < 0 and the exponent is no whole number.
/// grad: dx = dy exponent x^(exponent - 1); 0 everywhere for the exponent 0.   saves: x.
/// note: the exponents -1, ½, 1 and 2 are 1 / x, sqrt(x), x itself and square(x), with what these save; any other is
///       computed in double, one element after the other, which is slow.
Tensor pow(const Tensor& x, double exponent);
/// y = min(max(x, low), high); an infinite bound bounds nothing.
/// grad: dx = dy where low <= x <= high, bounds included, else 0.   saves: x, max(x, low).
Tensor clamp(const Tensor& x, double low, double high);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& x, double value) { return add(x, value); }
inline Tensor operator-(const Tensor& x, double value) { return sub(x, value); }
inline Tensor operator*(const Tensor& x, double value) { return mul(x, value); }
inline Tensor operator/(const Tensor& x, double value) { return div(x, value); }
inline Tensor operator+(double value, const Tensor& x) { return add(x, value); }
inline Tensor operator-(double value, const Tensor& x) { return sub(value, x); }
inline Tensor operator*(double value, const Tensor& x) { return mul(x, value); }
inline Tensor operator/(double value, const Tensor& x) { return div(value, x); }

/// Comparisons: i32, 1 where it holds, else 0; broadcasting; f32, f64 or i32 operands. No gradient.
Tensor equal(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);
Tensor greater(const Tensor& a, const Tensor& b);
/// y = a where condition is not 0, else b. All three broadcast; condition is i32.
/// grad: dy where chosen, else 0.   saves: condition.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

// ---- elementwise, one operand (tensor/ops/elementwise.cpp, cast.cpp) ----

// error: the largest in f32 over all floats, in ULP (units in the last place); without fused multiply-add that of exp is
// 1.2 and that of erf 1.4. Angles may have any finite size; exp and sigmoid are 0 below -87, so that no result is denormal.
// tests/tensor/ulp_test.cpp measures it.

Tensor neg(const Tensor& x);      ///< y = -x.         grad: dx = -dy
Tensor abs(const Tensor& x);      ///< y = |x|.        grad: dx = dy sign(x), 0 at 0
Tensor square(const Tensor& x);   ///< y = x².         grad: dx = 2 x dy
Tensor sqrt(const Tensor& x);     ///< y = √x.         grad: dx = dy / (2 y)
Tensor rsqrt(const Tensor& x);    ///< y = 1/√x.       grad: dx = -dy y³ / 2.   error: 1.5 ULP
Tensor exp(const Tensor& x);      ///< y = eˣ (infinity above 88.73).   grad: dx = dy y.   error: 0.9 ULP
Tensor log(const Tensor& x);      ///< y = ln x.       grad: dx = dy / x.   error: 1.0 ULP
Tensor sin(const Tensor& x);      ///< y = sin x.      grad: dx = dy cos x.   error: 1.6 ULP
Tensor cos(const Tensor& x);      ///< y = cos x.      grad: dx = -dy sin x.   error: 1.6 ULP
Tensor tanh(const Tensor& x);     ///< y = tanh x.     grad: dx = dy (1 - y²).   error: 1.4 ULP
Tensor erf(const Tensor& x);      ///< y = erf x.      grad: dx = dy 2/√π exp(-x²).   error: 1.1 ULP
Tensor sigmoid(const Tensor& x);  ///< y = 1/(1+e⁻ˣ).  grad: dx = dy y (1 - y).   error: 2.5 ULP
Tensor relu(const Tensor& x);     ///< y = max(x, 0).  grad: dx = dy where x > 0
inline Tensor operator-(const Tensor& x) { return neg(x); }
/// y = max(x, 0)².   ref: So et al., Primer (2021)   grad: dx = 2 max(x, 0) dy
Tensor relu_squared(const Tensor& x);
/// y = x Φ(x) = x (1 + erf(x/√2)) / 2.   ref: Hendrycks and Gimpel (2016)
/// grad: dx = dy (Φ(x) + x φ(x)), φ(x) = exp(-x²/2) / √(2π).   saves: x.
Tensor gelu(const Tensor& x);
/// y = x σ(2u), u = √(2/π) (x + 0.044715 x³), which equals x (1 + tanh u) / 2.   ref: Hendrycks and Gimpel (2016), GPT-2
/// grad: with s = σ(2u): dx = dy (s + x s (1 - s) 2u'), u' = √(2/π) (1 + 0.134145 x²).   saves: x.
Tensor gelu_tanh(const Tensor& x);
/// y = x σ(x), also called swish.   ref: Elfwing et al. (2017)
/// grad: with s = σ(x): dx = dy s (1 + x (1 - s)).   saves: x.
Tensor silu(const Tensor& x);
/// y = silu(gate) · up, one pass.   shape: both equal.   ref: Shazeer, GLU variants (2020)
/// grad: dgate = dy up silu'(gate), dup = dy silu(gate).
/// saves: gate, up, and makes y again from them.
Tensor swiglu(const Tensor& gate, const Tensor& up);
/// The same elements in another type: any pair of f32, f64, bf16, f16, i32; rounds to nearest even, to i32 towards zero.
/// grad: dy cast back, between f32 and f64; from or to other types no gradient passes.
Tensor cast(const Tensor& x, DType dtype);

// ---- reductions (tensor/ops/reduce.cpp): 16 virtual lanes and one fixed tree ----

/// The sum of all elements, shape ().   grad: dx = dy everywhere.
Tensor sum(const Tensor& x);
/// The sum along an axis, which goes away, or stays with size 1 if keep_axis.   grad: dx = dy all along the axis.
Tensor sum(const Tensor& x, int axis, bool keep_axis = false);
/// The mean of all elements; of no elements it is an error.   grad: dx = dy / n everywhere.
Tensor mean(const Tensor& x);
/// The mean along an axis.   grad: dx = dy / n all along the axis.
Tensor mean(const Tensor& x, int axis, bool keep_axis = false);
/// y = Σ (x - mean(x))² / (n - 1) over all elements; of fewer than two it is an error.
/// grad: dx = dy 2 (x - mean(x)) / (n - 1).   saves: x - mean(x).
Tensor variance(const Tensor& x);
/// y = Σ (x - mean(x))² / (n - correction) along an axis; where that divisor is not positive it is an error.
/// grad: dx = dy 2 (x - mean(x)) / (n - correction).   saves: x - mean(x).
/// note: the correction 1, as in PyTorch the default, estimates the variance of what x was drawn from; 0 gives that of x
///       itself, which layer_norm() takes.
Tensor variance(const Tensor& x, int axis, int64_t correction = 1, bool keep_axis = false);
/// y = √(Σ x²) over all elements, the Euclidean norm.   grad: dx = dy x / y, 0 where y is 0.   saves: x, y.
/// note: infinite where a square is beyond the type's range, in f32 from 1.8e19; 0 where all squares are below it, in f32 below 2.6e-23.
Tensor norm(const Tensor& x);
/// The same along an axis.
Tensor norm(const Tensor& x, int axis, bool keep_axis = false);
/// The largest element along an axis; a NaN counts as the largest.   grad: dy to the first largest.
Tensor max(const Tensor& x, int axis, bool keep_axis = false);
/// The smallest element along an axis; a NaN counts as the smallest.   grad: dy to the first smallest.
Tensor min(const Tensor& x, int axis, bool keep_axis = false);
/// The index of the first largest element along the last axis, i32. No gradient.
Tensor argmax(const Tensor& x);
/// The index of the first smallest element along the last axis, i32. No gradient.
Tensor argmin(const Tensor& x);
/// y_i = x_0 + … + x_i along an axis, one chain in ascending order.
/// grad: dx_i = dy_i + … + dy_{n-1}, one chain in descending order.
Tensor cumsum(const Tensor& x, int axis);

// ---- matrix products (tensor/ops/matmul.cpp, packed.cpp): each output one chain of fused multiply-adds in ascending k ----

/// y = op(a) · op(b), op transposing the last two axes where asked; leading axes broadcast.
/// shape: (…,M,K) · (…,K,N) -> (…,M,N).   grad: da = dy · op(b)ᵀ, db = op(a)ᵀ · dy.   saves: a, b.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);

enum class Activation { none, relu, relu_squared, gelu, gelu_tanh, silu };

/// y = act(x · wᵀ + bias).
/// shape: x (…,K), w (N,K), bias (N) or an empty handle -> (…,N).
/// grad: with u = act'(pre) dy: dx = u · w, dw = uᵀ · x (one chain over rows, continued across calls), dbias = column sums.
/// saves: x, w, and the pre-activation where there is an activation; makes y again from that.
/// note: equals act(matmul(x, w, false, true) + bias) bit for bit.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias = {},
              Activation activation = Activation::none);

/// The same with a weight packed for inference (tensor/packed.hpp), f32. No gradient.
/// note: bit for bit linear(x, w.unpack(), bias, activation), whatever the number of rows.
Tensor linear(const Tensor& x, const PackedWeight& w, const Tensor& bias = {},
              Activation activation = Activation::none);

// ---- views and their kind (tensor/ops/view.cpp): no arithmetic; the gradient is the inverse view ----

/// The same elements in another shape; one size may be -1. A view of a dense tensor, else a copy.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Swaps two axes. A view.
Tensor transpose(const Tensor& x, int axis_a = -2, int axis_b = -1);
/// Axis i of the result is axis order[i] of x. A view.
Tensor permute(const Tensor& x, std::span<const int> order);
/// Elements begin … end-1 of an axis. A view.
Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end);
/// The element `index` of an axis, which goes away; -1 is the last one. A view.
Tensor select(const Tensor& x, int axis, int64_t index);
/// Joins along an axis; all other sizes equal. A copy.
Tensor concat(std::span<const Tensor> parts, int axis);
/// Joins tensors of one shape along a new axis, which stands at `axis` of the result. A copy.
Tensor stack(std::span<const Tensor> parts, int axis);
/// Cuts an axis into parts of the given sizes, whose sum is its size. Views.
std::vector<Tensor> split(const Tensor& x, std::span<const int64_t> sizes, int axis);
/// Stretches axes of size 1 (and adds leading ones). A view with stride 0.   grad: sums over stretched axes.
Tensor broadcast_to(const Tensor& x, const Shape& shape);
/// A dense tensor with the same elements; x itself where it is dense.
Tensor contiguous(const Tensor& x);
/// y[…, i, j] = x[…, i, j] where j <= i + diagonal, else 0: each matrix's lower triangle. A copy, of any type.
/// grad: dy in the triangle, else 0.   note: what is left out does not matter, were it NaN.
Tensor tril(const Tensor& x, int64_t diagonal = 0);
/// y[…, i, j] = x[…, i, j] where j >= i + diagonal, else 0: the upper triangle; otherwise as tril().
Tensor triu(const Tensor& x, int64_t diagonal = 0);

// ---- selecting (tensor/ops/gather.cpp, packed.cpp) ----

/// y[…, :] = table[ids[…], :].   shape: table (V,C), ids any i32 -> (ids…, C).
/// grad: row-sparse: dtable[id] gathers the rows of dy of each id in ascending token order, added in sorted-id order.
/// note: an id outside 0 … V-1 is an error naming its position. Equals one_hot(ids) · table bit for bit.
Tensor embedding(const Tensor& table, const Tensor& ids);
/// The same from a packed table: rows of table.unpack(). No gradient.
Tensor embedding(const PackedWeight& table, const Tensor& ids);
/// y[…, j] = x[…, index[…, j]].   shape: leading axes equal, index i32.   grad: dy added at the index, ascending j.
Tensor gather(const Tensor& x, const Tensor& index);
/// The k largest elements along an axis in descending order, the first of equal ones first.
struct TopK {
  Tensor values;
  Tensor indices;  ///< where they stand along the axis, i32
};
/// values = the k largest of x along an axis, indices their places.   shape: the axis has size k in both.
/// grad: dvalues to the elements chosen.   saves: indices.   note: a NaN counts as the largest.
TopK topk(const Tensor& x, int64_t k, int axis = -1);
/// y[…, v] = 1 where v = ids[…], else 0.   shape: ids any -> (ids…, V). No gradient.
Tensor one_hot(const Tensor& ids, int64_t classes, DType dtype = DType::f32);

// ---- normalising (tensor/ops/softmax.cpp, norm.cpp) ----

/// y = exp(x - max) / sum(exp(x - max)) along the last axis.   grad: dx = y (dy - sum(dy y)).   saves: y.
/// note: entries of -infinity give 0; a row of nothing but -infinity gives zeros, not NaN. k entries of +infinity give 1/k
///       each and the others 0, the limit as they grow alike. A NaN makes its row NaN. The gradient is the formula's with
///       that y: 0 for masked entries.
Tensor softmax(const Tensor& x);
/// y = x - max - ln sum(exp(x - max)) along the last axis.   grad: dx = dy - exp(y) sum(dy).   saves: y.
/// note: entries of -infinity, and a row of nothing else, stay -infinity. k entries of +infinity give -ln k each and the
///       others -infinity. A NaN makes its row NaN. The gradient is the formula's with that y: dy for masked entries.
Tensor log_softmax(const Tensor& x);
/// y = (x - mean) / √(variance + epsilon) · weight + bias along the last axis (variance over n, not n-1).
/// shape: x (…,C), weight (C), bias (C) or empty.   ref: Ba, Kiros, Hinton (2016)
/// grad: with g = dy weight, x̂ normalised: dx = (g - mean(g) - x̂ mean(g x̂)) / σ; dweight = Σ dy x̂, dbias = Σ dy over rows.
/// saves: x, weight, mean and 1/σ of each row; makes y again from x, weight and bias, which it saves too where y is large.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double epsilon = 1e-5);
/// y = x / √(mean(x²) + epsilon) · weight along the last axis.   ref: Zhang and Sennrich (2019)
/// grad: with g = dy weight, r = 1/√…: dx = r (g - x̂ mean(g x̂)), x̂ = r x; dweight = Σ dy x̂.
/// saves: x, weight, r of each row; makes y again from x and weight.
Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon = 1e-5);

// ---- attention (tensor/ops/rope.cpp, attention.cpp) ----

/// Cosines and sines for rotary positions: row t holds cos(t f_i), i < D/2, then sin(t f_i), f_i = base^(-2i/D).
/// shape: (positions, D), f32 (or f64).   ref: Su et al., RoFormer (2021). No gradient.
Tensor rotary_table(int64_t positions, int64_t head_width, double base = 10000.0, DType dtype = DType::f32);

/// The f_i of rotary_table(): base^(-2i/D), i < D/2.
std::vector<double> rotary_frequencies(int64_t head_width, double base = 10000.0);
/// The same table of other frequencies: row t holds a cos(t f_i), then a sin(t f_i), a the amplitude.
/// shape: (positions, twice the frequencies).   ref: Peng et al., YaRN (2023), section 3.4, for the amplitude. No gradient.
Tensor rotary_table(int64_t positions, std::span<const double> frequencies, double amplitude = 1.0,
                    DType dtype = DType::f32);

/// Rotates the pairs (x_i, x_{i+R/2}) of each head's first R channels by its row's angle, and copies the others:
/// y_i = x_i cos - x_{i+R/2} sin,  y_{i+R/2} = x_{i+R/2} cos + x_i sin,  i < R/2;  y_i = x_i,  i >= R.
/// shape: x (N, heads·D), positions (N) i32 rows of table (P, R), R <= D even -> (N, heads·D).
/// grad: the rotation backwards, by the same table.
/// note: halves are paired as in Llama's Hugging Face layout, not neighbours as in the paper.
Tensor rotary(const Tensor& x, const Tensor& positions, const Tensor& table, int64_t heads);

/// Several sequences laid end to end: sequence b is rows offsets[b] … offsets[b+1]-1. No padding anywhere.
/// note: offsets holds B+1 ascending row numbers, the first 0.
struct Ragged {
  std::vector<int64_t> offsets{0};
  int64_t count() const { return static_cast<int64_t>(offsets.size()) - 1; }
};
/// B sequences of T rows each.
Ragged uniform_sequences(int64_t batch, int64_t time);
/// Sequences of the given lengths.
Ragged ragged_sequences(std::span<const int64_t> lengths);

/// Which rows of its sequence a row sees: row i sees the rows i - before … i + after, as far as they are there.
struct Visibility {
  static constexpr int64_t kAll = int64_t{1} << 60;
  int64_t before = kAll;
  int64_t after = 0;

  bool operator==(const Visibility&) const = default;

  /// A row sees itself and the rows before it; with a window, itself and window - 1 before it (0: no window).
  /// ref: Jiang et al., Mistral 7B (2023), for the window
  static constexpr Visibility causal(int64_t window = 0) { return {window == 0 ? kAll : window - 1, 0}; }
  /// A row sees all rows; with a window, window / 2 of them on either side.
  /// ref: Beltagy et al., Longformer (2020), for the window
  static constexpr Visibility both_ways(int64_t window = 0) {
    return window == 0 ? Visibility{kAll, kAll} : Visibility{window / 2, window / 2};
  }
};

/// Scaled dot-product attention over ragged sequences with grouped heads.
/// y_th = Σ_j p_thj v_jg,  p_thj = softmax_j(scale q_th · k_jg),  g = h / (H/G), over the rows j that t sees.
/// shape: q (N, H·D), k and v (N, G·D) -> (N, H·D); scale 0 means 1/√D.
/// grad: with P recomputed from the saved log-sum-exp, D_t = Σ dy y: dv = Pᵀ dy, dS = P (dy vᵀ - D), dq = scale dS k,
///       dk = scale dSᵀ q, each one ascending chain.   saves: q, k, v, y, lse (N, H).
/// note: blocks that a row does not see cost nothing.
/// note: keys go in blocks of 128 counted from the sequence's first row; see tensor/kernels/attention.hpp for the exact order.
/// note: infinite scores come from products beyond the range of the type. One of -infinity has weight 0, a row of nothing
///       else gives 0 and passes no gradient. One of +infinity is not taken for a choice but shown as NaN, like a score of
///       NaN: in this row's y and dq, and in dk and dv of each key that the row sees (of all keys, where q or dy is NaN).
/// ref: Vaswani et al. (2017); Dao et al., FlashAttention (2022); Ainslie et al., GQA (2023)
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Ragged& sequences, int64_t heads,
                 int64_t kv_heads, const Visibility& visibility, double scale = 0);

/// Keys and values of the rows seen so far, for generation; see attention_cached.
struct KeyValueCache {
  KeyValueCache() = default;
  /// `dtype` f32, or bf16: half the memory, keys and values rounded to nearest even as they enter.
  KeyValueCache(int64_t capacity, int64_t kv_heads, int64_t head_width, DType dtype = DType::f32);
  int64_t rows = 0;      ///< rows stored
  int64_t capacity = 0;  ///< rows that fit
  Tensor keys;    ///< (G, capacity/16 rounded up, D, 16): keys in columns, the form that the product reads
  Tensor values;  ///< (G, capacity, D rounded up to 16)
};
/// Causal attention of new rows of several sequences, each to its own and to all rows in its cache; appends their keys
/// and values. Sequence b has caches[b], and brings as many rows as it likes, or none.
/// shape: q (N, H·D), k and v (N, G·D) -> (N, H·D). No gradient.
/// note: bit for bit the rows that attention() gives for each whole sequence; with a bf16 cache, for the whole sequence
///       with its keys and values rounded; however it is cut into calls, and whatever other sequences stand beside it.
/// note: all caches are of one type, and no two sequences share one. An error leaves the caches as they were.
Tensor attention_cached(const Tensor& q, const Tensor& k, const Tensor& v, const Ragged& sequences,
                        std::span<KeyValueCache* const> caches, int64_t heads, int64_t kv_heads,
                        const Visibility& visibility = Visibility::causal(), double scale = 0);

// ---- loss and regularisation (tensor/ops/loss.cpp) ----

/// y = Σ_n w_n (lse(logits_n) - logits_n[target_n]) / divisor;  rows with target -1 (w = 0) do not count.
/// shape: logits (N,V), targets (N) i32 -> ().   divisor 0 means the number of counted rows.
/// grad: dlogits = dy (softmax(logits) - one_hot(target)) / divisor.   saves: logits, targets, lse.
/// note: the sum over rows runs in ascending order in f64. Where nobody else holds the logits by then, dlogits takes
///       their memory.
/// note: a row's loss is -log_softmax(logits_n)[target_n] for infinite logits too: infinite where the target's logit is
///       -infinity (in a row of nothing else as well) or another's is +infinity, ln k where it is one of k of +infinity. A
///       NaN in a row that counts makes the loss and this row's gradient NaN. lse is rounded to the type of the logits: a
///       loss is as exact as the largest logit's last place.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, double divisor = 0);
/// lse(logits_n) - logits_n[target_n] of each row, 0 where the target is -1; infinite logits and NaN as in
/// cross_entropy().   shape: (N,V), (N) -> (N). No gradient.
Tensor token_losses(const Tensor& logits, const Tensor& targets);

/// y = x / (1-p) with probability 1-p, else 0.   grad: the same mask.   saves: nothing; the mask is drawn again.
/// Element e = first_index + r·C + c of row r, channel c draws word e mod 4 of random.block(e / 4) and is dropped where
/// that is below p·2³²: with e a global coordinate, batches, threads and resuming cannot change the mask.
/// shape: x (N,C).   note: p = 0 gives x itself.   ref: Srivastava et al. (2014)
Tensor dropout(const Tensor& x, double p, const Random& random, uint64_t first_index);

}  // namespace gradus
