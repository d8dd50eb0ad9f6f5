#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/transformer/sampler.hpp"
#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// A text that a model reads and continues token by token, with the keys and values of what it has read kept.
/// note: the logits are bit for bit those of one training forward over the same tokens.
/// note: a model sees at most block_size tokens. When one more is appended, the oldest quarter is forgotten: the last
///       block_size - block_size/4 tokens, the new one among them, are read again from position 0 (see refills()).
class DecodingSession {
 public:
  /// Reads the prompt: 1 to block_size tokens. `cache` is the type of the kept keys and values, f32 or bf16.
  DecodingSession(const Transformer& model, std::span<const int32_t> prompt, DType cache = DType::f32);
  /// A text for read(): its prompt is not read yet. Texts that are read together share the model.
  static DecodingSession unread(std::shared_ptr<const Transformer> model, std::span<const int32_t> prompt,
                                DType cache = DType::f32);
  DecodingSession(DecodingSession&&) = default;
  DecodingSession& operator=(DecodingSession&&) = default;

  /// The scores of the next token, f32. All tokens must have been read.
  std::span<const float> logits() const;
  /// Appends a token and reads it.
  void push(int32_t id);

  /// The same text once more, to be continued otherwise: what was read is copied and not read again.
  DecodingSession fork() const;

  /// Appends a token, for read().
  void append(int32_t id);
  /// Reads what was appended to these texts, in one pass of their model: prompts, next tokens or both. Each gets the bits
  /// that it would get alone, and the weights are fetched from memory once for all of them.
  static void read(std::span<DecodingSession* const> texts);

  /// All tokens, the prompt's and those pushed.
  const std::vector<int32_t>& ids() const { return ids_; }
  /// How often the model had to forget its oldest tokens.
  int64_t refills() const { return refills_; }

 private:
  DecodingSession(const DecodingSession&) = default;
  DecodingSession(std::shared_ptr<const Transformer> model, std::span<const int32_t> prompt, DType cache);
  void start_window(int64_t begin);
  std::span<const int32_t> not_read() const;

  std::shared_ptr<const Transformer> model_;
  DType cache_dtype_;
  LayerCaches caches_;
  std::vector<int32_t> ids_;
  std::vector<float> logits_;  // empty while tokens are not read
  int64_t begin_ = 0;          // the token at position 0 of the caches
  int64_t refills_ = 0;
};

struct GenerateOptions {
  SamplerOptions sampler;
  int64_t max_tokens = 200;
  uint64_t seed = 1337;
  /// Generation ends before the first of these texts; none may be empty.
  std::vector<std::string> stop;
  /// The type of the kept keys and values: f32, or bf16 for half the memory and slightly other probabilities.
  DType cache = DType::f32;
  /// Whether the prompt is put behind what the tokenizer adds before a text, such as `<s>`.
  bool add_special = false;
  /// How many of the model's own most probable tokens to report with each token.
  int64_t show_probs = 0;
  /// The number of the first continuation. Each number has draws of its own, a function of it and of the seed.
  int64_t sample = 0;
};

/// One generated token, as it is reported while the text grows.
struct GeneratedToken {
  int32_t id = 0;
  int64_t position = 0;    ///< counted from the prompt's first token
  double probability = 0;  ///< that the model gave it, before any option of the sampler; only with show_probs
  std::vector<Candidate> top;  ///< show_probs of them
  std::string text;  ///< what can be printed now: whole characters that cannot belong to a stop text
};

enum class StopReason { max_tokens, stop_text, end_of_text, cancelled };

struct Generated {
  /// The continuation, without the prompt and without the stop text: decode(prompt + ids) after decode(prompt).
  std::string text;
  std::vector<int32_t> ids;  ///< the tokens drawn
  StopReason reason = StopReason::max_tokens;
  int64_t prompt_tokens = 0;
  int64_t refills = 0;  ///< see DecodingSession
};

/// The tokens that a prompt is read as; of those that the tokenizer adds, the ones before a text.
/// note: an empty prompt starts from `<|endoftext|>` where the tokenizer has it, else it is an error; so is a prompt of
///       more than block_size tokens.
std::vector<int32_t> prompt_ids(const Transformer& model, const Tokenizer& tokenizer, std::string_view prompt,
                                const EncodeOptions& options);

/// Continues a prompt `count` times: the continuations numbered options.sample, options.sample + 1 …, in one pass of the
/// model at a time.
/// note: each is, bit for bit, what it is alone, and no other with another number. The token at position t is drawn with
///       number t of its stream, so a text can be continued later with the same outcome.
/// note: `on_token` is called for each token with the place of its continuation among the `count`, and once more with id -1
///       for text still held back at the end; returning false ends that continuation.
/// note: one ends at the tokenizer's end of text and at each of the model's end_tokens. Ids of the model's vocabulary that
///       the tokenizer has no token for are never drawn.
std::vector<Generated> generate_samples(
    const Transformer& model, const Tokenizer& tokenizer, std::span<const int32_t> prompt,
    const GenerateOptions& options, int64_t count,
    const std::function<bool(int64_t, const GeneratedToken&)>& on_token = {});

/// Continues a prompt once: the only one of generate_samples().
Generated generate(const Transformer& model, const Tokenizer& tokenizer, std::string_view prompt,
                   const GenerateOptions& options,
                   const std::function<bool(const GeneratedToken&)>& on_token = {});

}  // namespace gradus
