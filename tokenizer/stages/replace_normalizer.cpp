#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tokenizer/stages/normalizer_steps.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/text/pattern.hpp"

namespace gradus {

namespace {

// A regular expression of one character, or `\s`, as often as possible but at least some number of times: what most
// files ask for (" {2,}", "\s+"), found without an engine.
struct RunPattern {
  std::string bytes;  // of the character; empty: any white space
  size_t least = 1;
  bool repeats = false;
};

bool is_special(char c) { return std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos; }

std::optional<RunPattern> as_run(std::string_view regex) {
  RunPattern run;
  if (regex.substr(0, 2) == "\\s") {
    regex.remove_prefix(2);
  } else {
    char32_t c;
    const int length = decode_utf8(regex.data(), regex.data() + regex.size(), c);
    if (length == 0 || is_special(regex[0])) return std::nullopt;
    run.bytes = regex.substr(0, static_cast<size_t>(length));
    regex.remove_prefix(static_cast<size_t>(length));
  }
  if (regex.empty()) return run;
  run.repeats = true;
  if (regex == "+") return run;
  // {n,} with n of one digit
  if (regex.size() != 4 || regex[0] != '{' || regex[1] < '1' || regex[1] > '9' || regex.substr(2) != ",}") {
    return std::nullopt;
  }
  run.least = static_cast<size_t>(regex[1] - '0');
  return run;
}

// The pattern's character where a text has it at `at`; its length, 0 where the text has another.
size_t char_of(const RunPattern& run, std::string_view text, size_t at) {
  if (!run.bytes.empty()) return text.substr(at, run.bytes.size()) == run.bytes ? run.bytes.size() : 0;
  char32_t c;
  const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
  return length > 0 && char_class(c) == CharClass::space ? static_cast<size_t>(length) : 0;
}

bool find_run(const RunPattern& run, std::string_view text, size_t from, size_t& begin, size_t& end) {
  for (size_t at = from; at < text.size();) {
    if (!run.bytes.empty()) {
      at = std::min(text.find(run.bytes, at), text.size());
    } else {
      while (at < text.size() && text[at] > ' ') ++at;
    }
    size_t count = 0;
    size_t stop = at;
    while (stop < text.size() && (count == 0 || run.repeats)) {
      const size_t length = char_of(run, text, stop);
      if (length == 0) break;
      stop += length;
      ++count;
    }
    if (count >= run.least) {
      begin = at;
      end = stop;
      return true;
    }
    at = std::max(stop, at + 1);
  }
  return false;
}

class Replace final : public Normalizer {
 public:
  Replace(JsonPattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {
    if (!pattern_.is_regex) return;
    run_ = as_run(pattern_.text);
    if (!run_) regex_.emplace(pattern_.text, pattern_.where);
  }

  void apply(AlignedText& text) const override;
  Json to_json() const override {
    return replace_json(pattern_.is_regex ? "Regex" : "String", pattern_.text, content_);
  }

 private:
  bool find(std::string_view text, size_t from, size_t& begin, size_t& end) const {
    if (run_) return find_run(*run_, text, from, begin, end);
    if (regex_) return regex_->find(text, from, begin, end);
    begin = text.find(pattern_.text, from);
    end = begin + pattern_.text.size();
    return begin != std::string_view::npos;
  }

  JsonPattern pattern_;
  std::string content_;
  std::optional<RunPattern> run_;
  std::optional<Pattern> regex_;
};

void Replace::apply(AlignedText& text) const {
  const std::string_view source = text.text();
  if (source.empty()) return;
  AlignedText::Rewriter to(text);
  size_t begin = 0;
  size_t end = 0;
  bool found_before = false;
  for (size_t from = 0; from <= source.size() && find(source, from, begin, end);) {
    if (begin == end) {
      // An empty match where the last one ended would be found for ever.
      from = begin + char_length(source, begin);
      if (found_before && begin == to.read()) continue;
    } else {
      from = end;
    }
    to.keep(begin - to.read());
    to.replace(end - begin, {});
    to.insert(content_);
    found_before = true;
  }
  to.finish();
}

}  // namespace

std::shared_ptr<const Normalizer> read_replace(const Json& value) {
  check_json_keys(value, {"type", "pattern", "content"});
  return std::make_shared<Replace>(read_pattern(value.at("pattern")), value.at("content").as_string());
}

}  // namespace gradus
