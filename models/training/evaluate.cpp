#include "models/training/evaluate.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/training/corpus.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/ops.hpp"

namespace gradus {

int64_t detail::evaluation_tokens(const Config& config) {
  constexpr int64_t kRows = 4096;
  constexpr int64_t kLogits = int64_t{1} << 23;
  const int64_t rows = std::min(kRows, kLogits / std::max<int64_t>(config.vocab_size, 1));
  return std::max<int64_t>(1, rows / config.block_size) * config.block_size;
}

Evaluation evaluate(const Transformer& model, const Tokenizer& tokenizer, std::span<const int32_t> ids,
                    std::span<const int32_t> bytes_of,
                    const std::function<void(int64_t, int64_t)>& progress) {
  check(ids.size() >= 2, "eval: the text must have at least 2 tokens; it has ", ids.size());
  check(bytes_of.size() == ids.size(), "eval: there must be a number of bytes for each token; there are ",
        bytes_of.size(), " for ", ids.size(), "; give those of the TokenText");
  const NoGrad no_grad;
  const int64_t predicted = static_cast<int64_t>(ids.size()) - 1;
  const int64_t block = model.config().block_size;
  const int64_t windows = (predicted + block - 1) / block;
  const int64_t at_once = detail::evaluation_tokens(model.config()) / block;
  double nats = 0;
  for (int64_t first = 0; first < windows; first += at_once) {
    const int64_t last = std::min(first + at_once, windows);
    std::vector<int64_t> lengths;
    for (int64_t w = first; w < last; ++w) lengths.push_back(std::min(block, predicted - w * block));
    const int64_t begin = first * block;
    const int64_t rows = std::min(last * block, predicted) - begin;
    const Tensor inputs =
        Tensor::from(ids.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(rows)), {rows});
    const Tensor targets = Tensor::from(
        ids.subspan(static_cast<std::size_t>(begin + 1), static_cast<std::size_t>(rows)), {rows});
    const Tensor losses =
        token_losses(model.logits(model.forward(inputs, Context::of_lengths(lengths))), targets);  // (rows)
    for (const float loss : losses.to_vector<float>()) nats += static_cast<double>(loss);
    if (progress) progress(last, windows);
  }
  check_world(
      std::isfinite(nats),
      "eval: the loss must be finite; it is not; the model's weights are damaged, or its training diverged");
  Evaluation result;
  result.tokens = predicted;
  for (const int32_t bytes : bytes_of.subspan(1)) result.bytes += bytes;
  result.unknown = count_unknown(tokenizer, ids.subspan(1));
  result.loss = nats / static_cast<double>(predicted);
  result.perplexity = math::exp(result.loss);
  constexpr double kLn2 = 0.693147180559945309417;
  result.bits_per_byte = result.bytes > 0 ? nats / kLn2 / static_cast<double>(result.bytes) : 0;
  return result;
}

}  // namespace gradus
