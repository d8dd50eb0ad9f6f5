#include "tokenizer/stages/decoders.hpp"

#include <algorithm>
#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/stages/metaspace.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

using Tokens = std::vector<std::string>;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string joined(const Tokens& tokens) {
  size_t size = 0;
  for (const std::string& token : tokens) size += token.size();
  std::string text;
  text.reserve(size);
  for (const std::string& token : tokens) text += token;
  return text;
}

// Spaces that cutting into words puts before punctuation and the endings of English words; in this order.
std::string clean_up(std::string_view token) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  std::string text(token);
  for (const auto& [from, to] : kRules) {
    if (text.find(from) != std::string::npos) text = replace_all(text, from, to);
  }
  return text;
}

}  // namespace

/// One step of decoding: tokens to tokens.
class Decoder::Step {
 public:
  // What a step does to tokens other than the first, for Decoder::text_inside.
  enum class Kind {
    each,    // changes each by itself
    merges,  // the same, and may put neighbours together
    fuse,    // puts all together
    bytes,   // changes each by itself and puts all together
    list,    // looks at the tokens around it
  };

  Step(Kind of_kind, bool first_stays) : kind(of_kind), keeps_first(first_stays) {}
  virtual ~Step() = default;
  virtual void apply(Tokens& tokens, InvalidUtf8 invalid) const = 0;
  // Whether on a single text nothing changes but its first byte, if any.
  virtual bool trims_first_byte() const { return false; }

  const Kind kind;
  const bool keeps_first;  // a first token that is not empty never becomes so
};

namespace {

using Step = Decoder::Step;

class ByteLevel final : public Step {
 public:
  ByteLevel() : Step(Kind::bytes, true) {}
  void apply(Tokens& tokens, InvalidUtf8 invalid) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const auto decoded = text_to_bytes(token);
      bytes += decoded ? *decoded : token;
    }
    tokens.assign(1, invalid == InvalidUtf8::keep ? std::move(bytes) : replace_invalid_utf8(bytes));
  }
};

class WordPiece final : public Step {
 public:
  WordPiece(std::string prefix, bool cleanup)
      : Step(Kind::each, true), prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(Tokens& tokens, InvalidUtf8) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0 && token.starts_with(prefix_)) {
        token.erase(0, prefix_.size());
      } else if (i > 0) {
        token.insert(token.begin(), ' ');
      }
      if (cleanup_) token = clean_up(token);
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class Metaspace final : public Step {
 public:
  Metaspace(std::string replacement, bool prepended)
      : Step(Kind::each, !prepended), replacement_(std::move(replacement)), prepended_(prepended) {}
  void apply(Tokens& tokens, InvalidUtf8) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = replace_all(tokens[i], replacement_, i == 0 && prepended_ ? "" : " ");
    }
  }

 private:
  std::string replacement_;
  bool prepended_;
};

class Replace final : public Step {
 public:
  Replace(std::string from, std::string to)
      : Step(Kind::each, !to.empty()), from_(std::move(from)), to_(std::move(to)) {}
  void apply(Tokens& tokens, InvalidUtf8) const override {
    for (std::string& token : tokens) token = replace_all(token, from_, to_);
  }

 private:
  std::string from_;
  std::string to_;
};

// Tokens like "<0xE2>" become their bytes, a run of them one token.
class ByteFallback final : public Step {
 public:
  ByteFallback() : Step(Kind::merges, true) {}
  void apply(Tokens& tokens, InvalidUtf8 invalid) const override {
    Tokens result;
    std::string run;
    const auto end_run = [&] {
      if (run.empty()) return;
      if (invalid == InvalidUtf8::keep || all_utf8(run)) {
        result.push_back(std::move(run));
      } else {
        result.insert(result.end(), run.size(), std::string(kReplacement));
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      if (const std::optional<char> byte = byte_of_token(token)) {
        run.push_back(*byte);
        continue;
      }
      end_run();
      result.push_back(std::move(token));
    }
    end_run();
    tokens = std::move(result);
  }
};

class Fuse final : public Step {
 public:
  Fuse() : Step(Kind::fuse, true) {}
  void apply(Tokens& tokens, InvalidUtf8) const override { tokens.assign(1, joined(tokens)); }
};

// Drops a character from the ends of each token, at most so many times.
class Strip final : public Step {
 public:
  Strip(std::string content, int64_t start, int64_t stop)
      : Step(Kind::each, start == 0 && stop == 0), content_(std::move(content)), start_(start), stop_(stop) {}
  void apply(Tokens& tokens, InvalidUtf8) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (int64_t i = 0; i < start_ && rest.starts_with(content_); ++i) rest.remove_prefix(content_.size());
      for (int64_t i = 0; i < stop_ && rest.ends_with(content_); ++i) rest.remove_suffix(content_.size());
      token = std::string(rest);
    }
  }
  bool trims_first_byte() const override { return stop_ == 0 && start_ <= 1 && content_.size() == 1; }

 private:
  std::string content_;
  int64_t start_;
  int64_t stop_;
};

// Ends of words, written as a suffix, become spaces, but for that of the last token.
class BpeDecoder final : public Step {
 public:
  explicit BpeDecoder(std::string suffix) : Step(Kind::list, false), suffix_(std::move(suffix)) {}
  void apply(Tokens& tokens, InvalidUtf8) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
    }
  }

 private:
  std::string suffix_;
};

// Of equal tokens in a row only one counts, and none that pad.
class Ctc final : public Step {
 public:
  Ctc(std::string pad, std::string delimiter, bool cleanup)
      : Step(Kind::list, false), pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  void apply(Tokens& tokens, InvalidUtf8) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      token = replace_all(token, pad_, "");
      if (cleanup_) token = replace_all(clean_up(token), delimiter_, " ");
    }
    std::erase(tokens, "");
  }

 private:
  std::string pad_;
  std::string delimiter_;
  bool cleanup_;
};

}  // namespace

std::string Decoder::decode(std::vector<std::string> tokens, InvalidUtf8 invalid) const {
  for (const auto& step : steps_) step->apply(tokens, invalid);
  return joined(tokens);
}

std::optional<std::string> Decoder::text_inside(std::string_view token) const {
  if (!has_inside_) return std::nullopt;
  std::vector<std::string> tokens = {"", std::string(token)};
  for (size_t i = 0; i < inside_steps_; ++i) steps_[i]->apply(tokens, InvalidUtf8::keep);
  return joined(tokens);
}

/// Builds a Decoder from the steps in a file, one after the other.
class DecoderReader {
 public:
  void read(const Json& value) {
    const std::string& type = value.at("type").as_string();
    if (type == "Sequence") {
      check_json_keys(value, {"type", "decoders"});
      for (const Json& step : value.at("decoders").as_array()) read(step);
      return;
    }
    made_.steps_.push_back(read_step(value, type));
  }

  std::shared_ptr<const Decoder> finish(const Json& value) {
    find_inside_steps();
    made_.json_ = value;
    return std::make_shared<Decoder>(std::move(made_));
  }

 private:
  // How many times as long all replacing together may make a token.
  static constexpr size_t kMostGrowth = 64;

  std::shared_ptr<const Step> read_step(const Json& value, const std::string& type) {
    if (type == "ByteLevel") {
      check_json_keys(value, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
      for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) boolean_or(value, key, true);
      return std::make_shared<ByteLevel>();
    }
    if (type == "WordPiece") {
      check_json_keys(value, {"type", "prefix", "cleanup"});
      return std::make_shared<WordPiece>(value.at("prefix").as_string(), value.at("cleanup").as_boolean());
    }
    if (type == "Metaspace") {
      const MetaspaceFields fields = read_metaspace(value);
      return std::make_shared<Metaspace>(fields.replacement,
                                         fields.prepend != MetaspaceFields::Prepend::never);
    }
    if (type == "Replace") return read_replace(value);
    if (type == "ByteFallback" || type == "Fuse") {
      check_json_keys(value, {"type"});
      if (type == "Fuse") return std::make_shared<Fuse>();
      return std::make_shared<ByteFallback>();
    }
    if (type == "Strip") {
      check_json_keys(value, {"type", "content", "start", "stop"});
      constexpr int64_t kMost = int64_t{1} << 32;
      return std::make_shared<Strip>(one_character(value.at("content")),
                                     integer_within(value.at("start"), 0, kMost),
                                     integer_within(value.at("stop"), 0, kMost));
    }
    if (type == "BPEDecoder") {
      check_json_keys(value, {"type", "suffix"});
      return std::make_shared<BpeDecoder>(some_text(value.at("suffix")));
    }
    if (type == "CTC") {
      check_json_keys(value, {"type", "pad_token", "word_delimiter_token", "cleanup"});
      return std::make_shared<Ctc>(some_text(value.at("pad_token")),
                                   some_text(value.at("word_delimiter_token")),
                                   value.at("cleanup").as_boolean());
    }
    refuse_json(value.at("type"), "a known decoder");
  }

  std::shared_ptr<const Step> read_replace(const Json& value) {
    check_json_keys(value, {"type", "pattern", "content"});
    const JsonPattern pattern = read_pattern(value.at("pattern"));
    if (pattern.is_regex) {
      refuse_json(value.at("pattern").at("Regex"),
                  "a pattern of the kind String, as decoders replace only strings");
    }
    const std::string& from = some_text(value.at("pattern").at("String"));
    const std::string& to = value.at("content").as_string();
    growth_ *= std::max<size_t>(1, (to.size() + from.size() - 1) / from.size());
    check_world(growth_ <= kMostGrowth, value.path(), ": a decoder may make tokens at most ", kMostGrowth,
                " times as long; with this step it is ", growth_, " times; replace by a shorter text");
    return std::make_shared<Replace>(from, to);
  }

  static const std::string& some_text(const Json& value) {
    if (value.as_string().empty()) refuse_json(value, "a string that is not empty");
    return value.as_string();
  }

  // Goes through the steps to see whether tokens other than the first are ever changed but one by one.
  void find_inside_steps() {
    enum { apart, merged, fused, trimmed } state = apart;
    bool first_stays = true;
    for (size_t i = 0; i < made_.steps_.size(); ++i) {
      const Step& step = *made_.steps_[i];
      if (state == fused && first_stays && step.trims_first_byte()) {
        state = trimmed;  // in the first token, as that is not empty
        continue;
      }
      const bool fuses = step.kind == Step::Kind::fuse && state != trimmed;
      const bool each = step.kind != Step::Kind::list && state == apart;
      if (!fuses && !each) return;
      if (step.kind == Step::Kind::merges) state = merged;
      if (step.kind == Step::Kind::fuse || step.kind == Step::Kind::bytes) state = fused;
      first_stays = first_stays && step.keeps_first;
      made_.inside_steps_ = i + 1;
    }
    made_.has_inside_ = true;
  }

  Decoder made_;
  size_t growth_ = 1;
};

std::shared_ptr<const Decoder> read_decoder(const Json& value) {
  if (value.is_null()) return nullptr;
  DecoderReader reader;
  reader.read(value);
  return reader.finish(value);
}

}  // namespace gradus
