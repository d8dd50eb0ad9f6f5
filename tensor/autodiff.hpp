#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tensor/tensor.hpp"

/// Reverse-mode automatic differentiation.
///
/// An op computes its output and calls record() with a backward written in the same function. The recorded nodes form a
/// graph whose creation numbers are a topological order: backward() keeps the reachable nodes in a heap and always takes
/// the youngest, so there is neither recursion nor a sort. A node and what it saved are freed as soon as it has run.
/// Gradients of gradients are refused.

namespace gradus {

/// What a backward function sees: the upstream gradient and one slot per input.
class Backward {
 public:
  virtual ~Backward() = default;
  /// The gradient with respect to the op's output: dense, of the output's shape and type.
  const Tensor& dy() const { return dy_; }
  /// Whether input `i` needs a gradient at all.
  virtual bool needs(int i) const = 0;
  /// Adds a dense gradient of input i's shape. The tensor must be the backward's own or dy() itself.
  virtual void add(int i, const Tensor& dx) = 0;
  /// The dense buffer that gathers input i's gradient, for kernels that continue its sums in place.
  /// `fresh` is true where nothing has been added yet: the contents are undefined and must be written.
  virtual Tensor into(int i, bool& fresh) = 0;
  /// Adds rows[r] to row ids[r] of the gradient of a table (a leaf); kept aside until grad() is asked for.
  virtual void add_rows(int i, const Tensor& ids, const Tensor& rows) = 0;

 protected:
  Tensor dy_;
};

using BackwardFn = std::function<void(Backward&)>;

/// Gives `output` a node if any input needs a gradient (and no NoGrad is alive); returns output.
/// note: `backward` is required; tensors that it keeps must go through Saved, which notices later writes.
Tensor record(const char* op, Tensor output, std::vector<Tensor> inputs, BackwardFn backward);

/// Whether an op with these inputs will be recorded, so that it can skip saving what only backward needs.
bool will_record(std::initializer_list<const Tensor*> inputs);

/// States that an op has no gradient: returns output, for comparisons and the like.
Tensor no_grad(const char* op, Tensor output);

/// A tensor kept for backward. get() is an error naming the op if its storage was written meanwhile.
/// note: of a large result that recomputable() knows how to make again, only what that needs is kept, and each get()
///       makes it again.
class Saved {
 public:
  Saved() = default;
  Saved(const char* op, const Tensor& tensor);
  Tensor get() const;
  /// The same, given up: a backward that is its last_owner() may overwrite it with a gradient. Once only.
  Tensor take() const;

 private:
  const char* op_ = "";
  mutable Tensor tensor_;
  uint64_t version_ = 0;
  std::shared_ptr<const std::function<Tensor()>> recompute_;
};

/// Whether this handle is the only one that reaches the tensor's memory.
bool last_owner(const Tensor& tensor);

/// Lets the ops that save `output` for backward keep `recompute` instead, which makes the same bits from what its own op
/// saves (and little more, such as a bias): memory for a cheap pass. Returns output.
/// note: only where the output has at least kRecomputeBytes and a gradient; smaller ones are faster read than made.
///       `recompute` must begin with tensors that are kept, as those are that to_contiguous() gave: else a chain of such ops
///       would make its first results once for every later one. A handle to output keeps what `recompute` needs.
Tensor recomputable(Tensor output, std::function<Tensor()> recompute);
inline constexpr std::size_t kRecomputeBytes = std::size_t{4} << 20;

/// While it lives, this thread records nothing.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
  static bool active();

 private:
  bool previous_;
};

/// Runs `body` without recording its inside and runs it again in backward: memory for time.
/// grad: that of body(inputs); `parameters` are further tensors that body reads and that need gradients.
/// note: body must be a function of its inputs alone; our random numbers are, being counter-based.
Tensor checkpoint(const std::function<Tensor(const std::vector<Tensor>&)>& body,
                  const std::vector<Tensor>& inputs, const std::vector<Tensor>& parameters = {});

}  // namespace gradus
