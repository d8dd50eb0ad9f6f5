#include <numbers>

#include "models/training/batches.hpp"
#include "models/training/evaluate.hpp"
#include "models/training/objective.hpp"
#include "models/transformer/families/family.hpp"
#include "tensor/error.hpp"
#include "tensor/ops/loss.hpp"

namespace gradus {
namespace {

/// Every token of a window is predicted from those before it.
/// y = -1/N Σ log p(token t+1 | tokens up to t), in nats
class NextToken : public Objective {
 public:
  explicit NextToken(const ObjectiveSource& source)
      : block_size_(source.config.block_size),
        sequences_(source.options.sequences_per_step()),
        seed_(source.options.seed),
        tokenizer_(source.tokenizer),
        bytes_per_token_(source.text.bytes_per_token()),
        held_out_(source.text.held_out),
        batches_(source.text.training.ids, source.config.block_size, source.options.seed) {}

  TrainingBatch batch(int64_t step, int64_t first, int64_t count) const override {
    Batches::Batch windows = batches_.sequences(step * sequences_ + first, count);
    return {std::move(windows.inputs), std::move(windows.targets),
            Context::for_training(count, block_size_, seed_, static_cast<uint64_t>(step),
                                  static_cast<uint64_t>(sequences_), static_cast<uint64_t>(first))};
  }

  double divisor(int64_t) const override { return static_cast<double>(sequences_ * block_size_); }

  Tensor loss(const Transformer& model, const Tensor& hidden, const TrainingBatch& batch, double divisor,
              double& running) const override {
    return detail::cross_entropy_part(model.logits(hidden), batch.targets, divisor, running);
  }

  /// At the training text's mean bytes a token.
  std::vector<Measure> measures(double loss) const override {
    return {{"bits_per_byte", loss / std::numbers::ln2 / bytes_per_token_}};
  }

  bool has_held_out() const override { return held_out_.ids.size() >= 2; }

  HeldOutReport evaluate(const Transformer& model) const override {
    const Evaluation found = gradus::evaluate(model, tokenizer_, held_out_.ids, held_out_.bytes_of);
    return {found.loss, {{"bits_per_byte", found.bits_per_byte}}, found.tokens, found.bytes, found.unknown};
  }

 private:
  int64_t block_size_;
  int64_t sequences_;
  uint64_t seed_;
  const Tokenizer& tokenizer_;
  double bytes_per_token_;
  const TokenText& held_out_;
  Batches batches_;
};

}  // namespace

std::unique_ptr<Objective> make_next_token(const ObjectiveSource& source) {
  check(source.config.causal && source.config.head != HeadKind::none,
        "training: next-token needs a causal model with an output layer; this ", source.config.family->name,
        source.config.causal ? " model has none" : " model sees the tokens that it would have to predict");
  return std::make_unique<NextToken>(source);
}

}  // namespace gradus
