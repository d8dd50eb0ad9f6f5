#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"

/// The optimiser. A training step is: gradients, their norm, a clipping factor, one AdamW step.
///
///   const double norm = global_norm(parameters);
///   optimizer.step(learning_rate(schedule, step), clip_factor(norm, 1.0));

namespace gradus {

/// The Euclidean norm of all gradients taken together.
/// y = √(Σ g²), over every element of every gradient; parameters without a gradient count as 0.
/// note: squares are summed per fixed block of 16384 elements, blocks in ascending order in double.
/// note: a norm that is not finite is an error (std::runtime_error) naming the first parameter to blame.
double global_norm(const std::vector<NamedTensor>& parameters);

/// An error (std::runtime_error) naming the first parameter whose gradient holds NaN or infinity, and where.
void check_finite(const std::vector<NamedTensor>& parameters);

/// The factor that shortens gradients of this norm to `limit`.
/// y = min(1, limit / norm); a limit of 0 means none.   ref: Pascanu, Mikolov, Bengio (2013), algorithm 1
/// note: PyTorch divides by norm + 1e-6.
double clip_factor(double norm, double limit);

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  /// Names of parameters that may be without a gradient: a step then leaves them and their moments as they are.
  std::vector<std::string> optional = {};
};

/// AdamW: Adam with weight decay apart from the gradient.
/// With g = clip · gradient and t the number of this step, from 1:
/// m = m + (1 - β₁) (g - m),  v = v + (1 - β₂) (g² - v),
/// x = x (1 - rate · decay) - rate · m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + ε).
/// ref: Kingma and Ba (2015); Loshchilov and Hutter (2019), algorithm 2
/// note: weight decay applies to tensors of two or more axes, embeddings included (nanoGPT's rule), not to biases and norms.
/// note: moments of a size below 1e-30 (m) and 1e-37 (v) become 0, so that nothing denormal is ever computed.
class AdamW {
 public:
  /// note: parameters must be dense, distinct, of f32 or f64, and have distinct names, which are those of the state.
  explicit AdamW(std::vector<NamedTensor> parameters, const AdamWOptions& options = {});

  /// One update of every parameter from its gradient, which stays. Counts as a write to each parameter that has one.
  /// note: a parameter without a gradient is an error that names it, unless it is optional.
  void step(double learning_rate, double clip_factor = 1.0);

  /// Forgets the gradients of all parameters.
  void clear_gradients() const;

  const std::vector<NamedTensor>& parameters() const { return parameters_; }
  const AdamWOptions& options() const { return options_; }
  /// Updates made so far.
  int64_t steps() const { return steps_; }

  /// The moments, "m.NAME" and "v.NAME" for each parameter: with steps(), all there is to save.
  std::vector<NamedTensor> state() const;
  /// Continues from saved moments: exactly the tensors of state(), in any order, and the number of updates they have seen.
  void load_state(const std::vector<NamedTensor>& state, int64_t steps);

 private:
  /// Elements [begin, begin + count) of a parameter: the work of one chunk.
  struct Block {
    std::size_t parameter;
    int64_t begin;
    int64_t count;
  };

  std::vector<NamedTensor> parameters_;
  AdamWOptions options_;
  std::vector<Tensor> m_;
  std::vector<Tensor> v_;
  std::vector<Block> blocks_;
  int64_t steps_ = 0;
};

}  // namespace gradus
