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
  explicit StopFilter(const std::vector<std::string>& stops) : stops_(stops) {}

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

void check_prompt(std::span<const int32_t> ids, const Config& config) {
  check(!ids.empty() && std::ssize(ids) <= config.block_size,
        "generate: the prompt must have 1 to block_size tokens; it has ", ids.size(), ", block_size is ",
        config.block_size, "; shorten it");
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
  check_prompt(ids_, config);
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

DecodingSession DecodingSession::fork() const {
  DecodingSession copy = *this;
  for (KeyValueCache& cache : copy.caches_) {
    cache.keys = cache.keys.clone();
    cache.values = cache.values.clone();
  }
  return copy;
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

std::vector<int32_t> prompt_ids(const Transformer& model, const Tokenizer& tokenizer, std::string_view prompt,
                                const EncodeOptions& options) {
  std::vector<int32_t> ids;
  if (options.add_special) ids = tokenizer.added_around().before;
  const std::vector<int32_t> text = tokenizer.encode(prompt, {.special_tokens = options.special_tokens});
  ids.insert(ids.end(), text.begin(), text.end());
  if (ids.empty()) {
    const auto start = tokenizer.end_of_text();
    check(start.has_value(),
          "generate: the prompt must have at least one token; it has none, and the tokenizer has no ",
          kEndOfText, " to start from; give another prompt");
    ids.push_back(*start);
  }
  check_prompt(ids, model.config());
  return ids;
}

namespace {

// One text while it is continued.
class Continuation {
 public:
  Continuation(DecodingSession prompt, const Tokenizer& tokenizer, const GenerateOptions& options,
               const Possible& possible, std::span<const int64_t> ends, int64_t sample)
      : session(std::move(prompt)),
        tokenizer_(tokenizer),
        options_(options),
        possible_(possible),
        ends_(ends),
        filter_(options.stop),
        // The first has the stream that a single one always had.
        random_(options.seed,
                stream_of("generate.sample" + (sample == 0 ? "" : "." + std::to_string(sample)))),
        decoder_(tokenizer, session.ids()) {
    result.prompt_tokens = std::ssize(session.ids());
  }

  // Draws the next token of a text that has been read; whether another one may follow.
  bool draw_token(const std::function<bool(const GeneratedToken&)>& report) {
    GeneratedToken token;
    token.position = std::ssize(session.ids());
    token.id = draw(candidates(session.logits(), session.ids(), options_.sampler, possible_),
                    random_.uniform(static_cast<uint64_t>(token.position)));
    if (options_.show_probs > 0) {
      token.probability = probability_of(session.logits(), token.id);
      token.top = top_candidates(session.logits(), options_.show_probs, possible_);
    }
    result.ids.push_back(token.id);
    if (token.id == tokenizer_.end_of_text() ||
        std::find(ends_.begin(), ends_.end(), token.id) != ends_.end()) {
      result.reason = StopReason::end_of_text;
    } else {
      bool found = false;
      token.text = filter_.push(decoder_.push(token.id), found);
      if (found) result.reason = StopReason::stop_text;
      result.text += token.text;
    }
    if (!report(token)) result.reason = StopReason::cancelled;
    return result.reason == StopReason::max_tokens && std::ssize(result.ids) < options_.max_tokens;
  }

  // Gives the text still held back.
  void finish(const std::function<bool(const GeneratedToken&)>& report) {
    if (result.reason != StopReason::stop_text) {
      bool found = false;
      GeneratedToken rest;
      rest.id = -1;
      rest.position = result.prompt_tokens + std::ssize(result.ids);
      rest.text = filter_.push(decoder_.flush(), found);
      if (!found) rest.text += filter_.flush();
      if (found && result.reason == StopReason::max_tokens) result.reason = StopReason::stop_text;
      result.text += rest.text;
      if (!rest.text.empty()) report(rest);
    }
    result.refills = session.refills();
  }

  DecodingSession session;
  Generated result;

 private:
  const Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  const Possible& possible_;
  std::span<const int64_t> ends_;
  StopFilter filter_;
  Random random_;
  StreamDecoder decoder_;
};

}  // namespace

std::vector<Generated> generate_samples(const Transformer& model, const Tokenizer& tokenizer,
                                        std::span<const int32_t> prompt, const GenerateOptions& options,
                                        int64_t count,
                                        const std::function<bool(int64_t, const GeneratedToken&)>& on_token) {
  const int64_t vocab_size = model.config().vocab_size;
  options.sampler.validate();
  check(options.max_tokens >= 0, "generate: the number of tokens must be at least 0; it is ",
        options.max_tokens);
  check(options.show_probs >= 0 && options.show_probs <= vocab_size, "generate: show-probs must be in [0, ",
        vocab_size, "]; it is ", options.show_probs);
  for (const std::string& stop : options.stop) {
    check(!stop.empty(), "generate: a stop text must not be empty; leave the option out to stop at nothing");
  }
  check(count >= 1 && options.sample >= 0,
        "generate: there must be at least 1 continuation, numbered from 0; there are ", count,
        ", the first has number ", options.sample);
  check(has_vocabulary(tokenizer, model.config()),
        "generate: the tokenizer must have the model's vocabulary; it has ", tokenizer.vocab_size(),
        " tokens, the model ", vocab_size);
  const Possible possible = possible_ids(tokenizer, vocab_size);

  // The prompt is read once for all of them.
  DecodingSession first(model, prompt, options.cache);
  std::vector<std::unique_ptr<Continuation>> texts;
  for (int64_t i = 0; i < count; ++i) {
    texts.push_back(std::make_unique<Continuation>(i + 1 < count ? first.fork() : std::move(first), tokenizer,
                                                   options, possible, model.config().end_tokens,
                                                   options.sample + i));
  }
  std::vector<int64_t> open;  // those that go on
  for (int64_t i = 0; i < count && options.max_tokens > 0; ++i) open.push_back(i);
  const auto text_of = [&](int64_t i) -> Continuation& { return *texts[static_cast<size_t>(i)]; };
  const auto reporter = [&](int64_t i) {
    return [&on_token, i](const GeneratedToken& token) { return !on_token || on_token(i, token); };
  };
  while (!open.empty()) {
    std::erase_if(open, [&](int64_t i) { return !text_of(i).draw_token(reporter(i)); });
    std::vector<DecodingSession*> next;
    for (const int64_t i : open) {
      text_of(i).session.append(text_of(i).result.ids.back());
      next.push_back(&text_of(i).session);
    }
    DecodingSession::read(next);
  }
  std::vector<Generated> results;
  for (int64_t i = 0; i < count; ++i) {
    text_of(i).finish(reporter(i));
    results.push_back(std::move(text_of(i).result));
  }
  return results;
}

Generated generate(const Transformer& model, const Tokenizer& tokenizer, std::string_view prompt,
                   const GenerateOptions& options,
                   const std::function<bool(const GeneratedToken&)>& on_token) {
  const std::vector<int32_t> ids = prompt_ids(model, tokenizer, prompt, {.add_special = options.add_special});
  const auto report = [&](int64_t, const GeneratedToken& token) { return !on_token || on_token(token); };
  return std::move(generate_samples(model, tokenizer, ids, options, 1, report).front());
}

}  // namespace gradus
