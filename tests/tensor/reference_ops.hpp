#pragma once

#include <cstdint>
#include <functional>
#include <vector>

/// Every op once more as plain loops over doubles, written from the formulas in tensor/ops.hpp and sharing nothing with
/// the library: the tests hold the ops to these.

namespace gradus::reference {

using Sizes = std::vector<int64_t>;

/// A dense row-major array. `scale` is the size against which the rounding error of each element is measured: for a sum
/// the sum of its terms' absolute values. Empty means the elements' own absolute values.
struct Array {
  Sizes shape;
  std::vector<double> values;
  std::vector<double> scale;
};

int64_t count(const Sizes& shape);
Array zeros(const Sizes& shape);

using Function = std::function<double(double)>;
using Function2 = std::function<double(double, double)>;

Array map(const Array& x, const Function& f, const Function& scale = {});
/// f over two operands that broadcast.
Array zip(const Array& a, const Array& b, const Function2& f, const Function2& scale = {});
Array where(const Array& condition, const Array& a, const Array& b);

Array sum(const Array& x);
Array sum(const Array& x, int axis, bool keep_axis);
Array mean(const Array& x);
Array mean(const Array& x, int axis, bool keep_axis);
Array variance(const Array& x);
Array variance(const Array& x, int axis, int64_t correction, bool keep_axis);
Array norm(const Array& x);
Array norm(const Array& x, int axis, bool keep_axis);
Array max(const Array& x, int axis, bool keep_axis);
Array min(const Array& x, int axis, bool keep_axis);
Array argmax(const Array& x);
Array argmin(const Array& x);
Array cumsum(const Array& x, int axis);

Array matmul(const Array& a, const Array& b, bool transpose_a, bool transpose_b);
/// `bias` may be null; `slope` bounds the derivative of the activation at a pre-activation.
Array linear(const Array& x, const Array& w, const Array* bias, const Function& activation,
             const Function& slope);

Array reshape(const Array& x, const Sizes& shape);
Array permute(const Array& x, const std::vector<int>& order);
Array slice(const Array& x, int axis, int64_t begin, int64_t end);
Array select(const Array& x, int axis, int64_t index);
Array concat(const std::vector<Array>& parts, int axis);
Array stack(const std::vector<Array>& parts, int axis);
Array triangle(const Array& x, int64_t diagonal, bool upper);
Array broadcast_to(const Array& x, const Sizes& shape);

Array embedding(const Array& table, const Array& ids);
Array gather(const Array& x, const Array& index);
Array topk_values(const Array& x, int64_t k, int axis);
Array topk_indices(const Array& x, int64_t k, int axis);
Array one_hot(const Array& ids, int64_t classes);

Array softmax(const Array& x);
Array log_softmax(const Array& x);
Array layer_norm(const Array& x, const Array& weight, const Array* bias, double epsilon);
Array rms_norm(const Array& x, const Array& weight, double epsilon);

Array rotary_table(int64_t positions, int64_t head_width, double base);
Array rotary(const Array& x, const Array& positions, const Array& table, int64_t heads);
Array attention(const Array& q, const Array& k, const Array& v, const std::vector<int64_t>& lengths,
                int64_t heads, int64_t kv_heads, int64_t before, int64_t after, double scale);

Array token_losses(const Array& logits, const Array& targets);
Array cross_entropy(const Array& logits, const Array& targets, double divisor);
Array dropout(const Array& x, double p, uint64_t seed, uint64_t stream, uint64_t first_index);

/// x, m and v after one step of AdamW, one after the other.
struct AdamW {
  double clip, one_minus_beta1, one_minus_beta2, decay_factor, step_size, v_scale, epsilon;
};
Array adamw(const Array& x, const Array& grad, const Array& m, const Array& v, const AdamW& settings);

double sigmoid(double x);
double gelu(double x);
double gelu_tanh(double x);
double silu(double x);

/// The nearest number with `bits` bits of significand and a smallest step of 2^lowest, ties to even; infinity beyond
/// `largest`.
double round_to(double x, int bits, int lowest, double largest);
inline double to_bf16(double x) { return round_to(x, 8, -133, 0x1.fep127); }
inline double to_f16(double x) { return round_to(x, 11, -24, 65504.0); }

}  // namespace gradus::reference
