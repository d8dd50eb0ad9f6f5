#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_isa.hpp"
#include "tests/support/use_threads.hpp"
#include "tests/tensor/reference_ops.hpp"

/// The op table: a row for each function of tensor/ops.hpp and for each kernel that no op reaches. A row is all there is
/// to say about an op; op_table_test.cpp holds it to its reference and its gradient, op_bits_test.cpp to equal bits
/// whatever the threads, layouts and instruction sets, op_coverage_test.cpp sees that no row is missing, and bench/
/// times it. To add an op, add a row to the op_cases_*.cpp that fits.

namespace gradus::testing {

using reference::Array;
using Arrays = std::vector<Array>;
using Tensors = std::vector<Tensor>;

/// One input: its shape and element i as a function of a seed and i. Drawn values are exact in f32, so that both
/// precisions see the same numbers.
struct Input {
  Shape shape;
  std::function<double(uint64_t seed, int64_t i)> value;
  bool ids = false;  // i32
  bool differentiable = true;

  /// The same without a gradient.
  Input constant() const;
};
Input normal(const Shape& shape, double size = 1);
Input uniform(const Shape& shape, double low, double high);
/// ± [0.1, 2): away from a kink at 0.
Input off_zero(const Shape& shape);
/// Multiples of `step` plus `offset`, up to 8 steps from it: operands with different offsets never tie.
Input grid(const Shape& shape, double step, double offset = 0);
/// Each element another multiple of 1/64, so that a maximum is unique.
Input distinct(const Shape& shape);
/// i32 in [low, high).
Input ids(const Shape& shape, int64_t low, int64_t high);
/// The given values again and again, without a gradient.
Input values(const Shape& shape, std::vector<double> list);
Input id_values(const Shape& shape, std::vector<double> list);

using Op = std::function<Tensor(const Tensors& inputs, DType dtype)>;
using Reference = std::function<Array(const Arrays& inputs)>;

struct Case {
  std::string name;  // row, label and shapes
  std::vector<Input> inputs;
  Op op;
  Reference reference;
  /// Inputs whose axis 0 runs along that of the result, row by row: a row alone must give what it gives in the batch.
  std::vector<int> batched;
  bool gradient = true;        // runs backward too
  bool differentiable = true;  // the op has a gradient at all
  /// Errors allowed: this many times the distance of 1 to the next number, times the reference's scale. 0 asks for the
  /// correctly rounded result. The f64 value is held to 1e-12 instead.
  double tolerance = 0;
  /// The same for f32 gradients, times the element's own size plus the root mean square of all.
  double gradient_tolerance = 0;
  /// Added to that size, where cancellation makes a gradient smaller than what it is computed from.
  double gradient_scale = 0;
  /// Floating-point operations of the forward pass, for benchmarks.
  double flops = 0;
};

/// A row of the table, built by saying `of` what it computes and then the inputs to `test` it with.
class Row {
 public:
  Row(std::string signature, double tolerance, double gradient_tolerance = 16);

  /// The cases from here on compute this; `label` tells several ways to call an op apart.
  Row& of(Op op, Reference reference, std::string label = "");
  /// From here on the result has no gradient, and must say so.
  Row& no_gradient();
  Row& gradient_scale(double scale);
  Row& test(std::vector<Input> inputs, std::vector<int> batched = {});
  Row& bench(std::vector<Input> inputs, double flops = 0);

  /// Name and parameter types as in tensor/ops.hpp without const, & and std::, or "kernels::" and an entry.
  std::string signature;
  std::vector<Case> cases;
  std::vector<Case> benches;

 private:
  Case make(std::vector<Input> inputs) const;
  Case model_;
  std::string label_;
};

/// All rows.
const std::vector<Row>& op_rows();

std::vector<Row> elementwise_rows();
std::vector<Row> shape_rows();    // reductions, views, selecting
std::vector<Row> product_rows();  // matrix products, rotary positions, attention
std::vector<Row> norm_rows();     // softmax, norms, losses, dropout
std::vector<Row> packed_rows();   // weights packed for inference
std::vector<Row> kernel_rows();   // kernels that no op calls
std::vector<Row> word_vector_rows();

/// The inputs of a case; floating ones in `dtype`.
Tensors make_inputs(const Case& test, DType dtype);
/// An upstream gradient for a result.
Tensor make_upstream(const Case& test, const Tensor& y);
Array to_array(const Tensor& x);

/// A result and the gradient of each input that has one.
struct Outcome {
  Tensor y;
  Tensors gradients;  // empty handles where the input is not differentiable
};
/// Runs a case forward, and backward if it has a gradient, from `upstream` where given.
Outcome run(const Case& test, const Tensors& inputs, DType dtype, const Tensor& upstream = {});

/// Nothing if y is within tolerance of the reference, else the first element that is not.
std::string compare(const Tensor& y, const Array& expected, double tolerance);
/// Nothing if the f32 gradient is close to the f64 one, else the first element that is not.
std::string compare_gradient(const Tensor& dx, const Tensor& expected, double tolerance, double scale);
/// same_bits of all that two runs of a case made.
std::string same_bits(const Outcome& a, const Outcome& b);

}  // namespace gradus::testing
