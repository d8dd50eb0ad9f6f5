#include "models/transformer/generate.hpp"

#include <algorithm>
#include <utility>

#include "models/transformer/files.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/random.hpp"

namespace gradus {
namespace {

// Lets text through that cannot be part of a stop text any more.
class StopFilter {
 public:
  explicit StopFilter(const std::vector<std::string>& stops) : stops_(stops) {
    for (const std::string& stop : stops) {
      check(!stop.empty(),
            "generate: a stop text must not be empty; leave the option out to stop at nothing");
    }
  }

  // What may be printed after more text; `found` once a stop text is complete.
  std::string push(const std::string& text, bool& found) {
    held_ += text;
    size_t first = std::string::npos;
    for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
    found = first != std::string::npos;
    return take(found ? first : held_.size() - open_end());
  }
  std::string flush() { return take(held_.size()); }

 private:
  std::string take(size_t bytes) {
    std::string out = held_.substr(0, bytes);
    held_.erase(0, bytes);
    return out;
  }
  // Bytes at the end of the held text that a stop text might begin with.
  size_t open_end() const {
    size_t open = 0;
    for (const std::string& stop : stops_) {
      for (size_t n = std::min(stop.size() - 1, held_.size()); n > open; --n) {
        if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) open = n;
      }
    }
    return open;
  }

  const std::vector<std::string>& stops_;
  std::string held_;
};

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, std::string_view prompt, bool add_special) {
  std::vector<int32_t> ids;
  if (add_special) ids = tokenizer.added_around().before;
  const std::vector<int32_t> text = tokenizer.encode(prompt);
  ids.insert(ids.end(), text.begin(), text.end());
  if (ids.empty()) {
    const auto start = tokenizer.end_of_text();
    check(start.has_value(),
          "generate: the prompt must have at least one token; it has none, and the tokenizer has no ",
          kEndOfText, " to start from; give another prompt");
    ids.push_back(*start);
  }
  return ids;
}

// Which of the model's ids the tokenizer has a token for; empty where it has one for each.
Possible possible_ids(const Tokenizer& tokenizer, int64_t vocab_size) {
  Possible possible(static_cast<size_t>(vocab_size), false);
  bool all = tokenizer.vocab_size() == vocab_size;
  for (int64_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const bool has_token = !tokenizer.token_text(static_cast<int32_t>(id)).empty();
    possible[static_cast<size_t>(id)] = has_token;
    all = all && has_token;
  }
  if (all) possible.clear();
  return possible;
}

}  // namespace

DecodingSession::DecodingSession(const Transformer& model, std::span<const int32_t> prompt, DType cache)
    // Handles: the arrays are the caller's model's.
    : DecodingSession(std::make_shared<const Transformer>(model), prompt, cache) {
  DecodingSession* const self[] = {this};
  read(self);
}

DecodingSession::DecodingSession(std::shared_ptr<const Transformer> model, std::span<const int32_t> prompt,
                                 DType cache)
    : model_(std::move(model)), cache_dtype_(cache), ids_(prompt.begin(), prompt.end()) {
  const Config& config = model_->config();
  check(config.dtype == DType::f32, "generate: the model must compute in f32; it computes in ",
        dtype_name(config.dtype));
  check(!ids_.empty() && std::ssize(ids_) <= config.block_size,
        "generate: the prompt must have 1 to block_size tokens; it has ", ids_.size(), ", block_size is ",
        config.block_size, "; shorten it");
  start_window(0);
}

DecodingSession DecodingSession::unread(std::shared_ptr<const Transformer> model,
                                        std::span<const int32_t> prompt, DType cache) {
  check(model != nullptr, "generate: a text must have a model; none was given");
  return DecodingSession(std::move(model), prompt, cache);
}

void DecodingSession::start_window(int64_t begin) {
  // Room to double: caches of block_size tokens would be wasted on short texts.
  constexpr int64_t kSmallest = 64;
  const int64_t tokens = std::ssize(ids_) - begin;
  caches_ = model_->make_caches(std::min(model_->config().block_size, std::max(kSmallest, 2 * tokens)),
                                cache_dtype_);
  begin_ = begin;
}

std::span<const int32_t> DecodingSession::not_read() const {
  return std::span(ids_).subspan(static_cast<size_t>(begin_ + caches_.front().rows));
}

std::span<const float> DecodingSession::logits() const {
  check(!logits_.empty(),
        "generate: a text must be read before its logits are known; tokens of it are not; "
        "call read()");
  return logits_;
}

void DecodingSession::append(int32_t id) {
  const int64_t block_size = model_->config().block_size;
  check(id >= 0 && id < model_->config().vocab_size, "generate: an id must be in [0, ",
        model_->config().vocab_size - 1, "]; it is ", id);
  ids_.push_back(id);
  logits_.clear();  // until the token is read
  const int64_t tokens = std::ssize(ids_);
  if (tokens - begin_ > block_size) {
    ++refills_;
    start_window(tokens - (block_size - block_size / 4));
  } else if (tokens - begin_ > caches_.front().capacity) {
    start_window(begin_);
  }
}

void DecodingSession::push(int32_t id) {
  append(id);
  DecodingSession* const self[] = {this};
  read(self);
}

void DecodingSession::read(std::span<DecodingSession* const> texts) {
  if (texts.empty()) return;
  const NoGrad no_grad_here;
  const Transformer& model = *texts[0]->model_;
  std::vector<int32_t> ids;
  std::vector<int32_t> last;  // each text's last row
  std::vector<int64_t> lengths;
  std::vector<LayerCaches*> caches;
  for (size_t i = 0; i < texts.size(); ++i) {
    check(texts[i]->model_.get() == &model,
          "generate: texts that are read together must share one model; text ", i,
          " has another than text 0; make them with the same shared pointer");
    const std::span<const int32_t> tokens = texts[i]->not_read();
    check(!tokens.empty(), "generate: each text must have tokens to read; text ", i,
          " has none; append one, or leave it out");
    ids.insert(ids.end(), tokens.begin(), tokens.end());
    last.push_back(static_cast<int32_t>(ids.size()) - 1);
    lengths.push_back(std::ssize(tokens));
    caches.push_back(&texts[i]->caches_);
  }
  const Tensor hidden =
      model.forward(Tensor::from(ids, {std::ssize(ids)}), Context::of_caches(std::move(caches), lengths));
  const Tensor logits = model.logits(embedding(hidden, Tensor::from(last, {std::ssize(last)})));
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    texts[i]->logits_ = slice(logits, 0, row, row + 1).to_vector<float>();
  }
}

Generated generate(const Transformer& model, const Tokenizer& tokenizer, std::string_view prompt,
                   const GenerateOptions& options,
                   const std::function<bool(const GeneratedToken&)>& on_token) {
  const int64_t vocab_size = model.config().vocab_size;
  options.sampler.validate();
  check(options.max_tokens >= 0, "generate: the number of tokens must be at least 0; it is ",
        options.max_tokens);
  check(options.show_probs >= 0 && options.show_probs <= vocab_size, "generate: show-probs must be in [0, ",
        vocab_size, "]; it is ", options.show_probs);
  check(has_vocabulary(tokenizer, model.config()),
        "generate: the tokenizer must have the model's vocabulary; it has ", tokenizer.vocab_size(),
        " tokens, the model ", vocab_size);
  const Possible possible = possible_ids(tokenizer, vocab_size);
  StopFilter filter(options.stop);
  const Random random(options.seed, stream_of("generate.sample"));
  const std::vector<int64_t>& ends = model.config().end_tokens;

  DecodingSession session(model, encode_prompt(tokenizer, prompt, options.add_special), options.cache);
  StreamDecoder decoder(tokenizer, session.ids());
  Generated result;
  result.prompt_tokens = static_cast<int64_t>(session.ids().size());
  while (static_cast<int64_t>(result.ids.size()) < options.max_tokens) {
    if (!result.ids.empty()) session.push(result.ids.back());
    GeneratedToken token;
    token.position = static_cast<int64_t>(session.ids().size());
    token.id = draw(candidates(session.logits(), session.ids(), options.sampler, possible),
                    random.uniform(static_cast<uint64_t>(token.position)));
    if (options.show_probs > 0) {
      token.probability = probability_of(session.logits(), token.id);
      token.top = top_candidates(session.logits(), options.show_probs, possible);
    }
    result.ids.push_back(token.id);
    if (token.id == tokenizer.end_of_text() || std::find(ends.begin(), ends.end(), token.id) != ends.end()) {
      result.reason = StopReason::end_of_text;
    } else {
      bool found = false;
      token.text = filter.push(decoder.push(token.id), found);
      if (found) result.reason = StopReason::stop_text;
      result.text += token.text;
    }
    if (on_token && !on_token(token)) result.reason = StopReason::cancelled;
    if (result.reason != StopReason::max_tokens) break;
  }
  if (result.reason != StopReason::stop_text) {
    bool found = false;
    GeneratedToken rest;
    rest.id = -1;
    rest.position = result.prompt_tokens + static_cast<int64_t>(result.ids.size());
    rest.text = filter.push(decoder.flush(), found);
    if (!found) rest.text += filter.flush();
    if (found && result.reason == StopReason::max_tokens) result.reason = StopReason::stop_text;
    result.text += rest.text;
    if (on_token && !rest.text.empty()) on_token(rest);
  }
  result.refills = session.refills();
  return result;
}

}  // namespace gradus
