#include "tokenizer/stages/pre_tokenizers.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/lookup/char_table.hpp"
#include "tokenizer/stages/metaspace.hpp"
#include "tokenizer/stages/splitters.hpp"
#include "tokenizer/stages/word_cutter.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/pattern.hpp"

namespace gradus {
namespace {

using namespace detail;

// Replaces each word by those that `cut` appends for it.
template <class Cut>
void cut_words(PreTokenized& text, const Cut& cut) {
  std::vector<ByteSpan> words;
  words.reserve(text.words.size());
  for (const ByteSpan word : text.words) cut(word, words);
  text.words = std::move(words);
}

// The same, through matches that a WordCutter takes.
template <class Matches>
void cut_at_matches(PreTokenized& text, CutBehavior behavior, bool inverted, const Matches& matches) {
  const std::string_view bytes = text.text.text();
  cut_words(text, [&](ByteSpan word, std::vector<ByteSpan>& words) {
    WordCutter cutter(behavior, inverted, words);
    cutter.start(word.begin);
    matches(bytes.substr(word.begin, word.end - word.begin), word.begin, cutter);
    cutter.finish(word.end);
  });
}

// Each character of some kinds is a match.
void cut_at_kinds(PreTokenized& text, CutBehavior behavior, KindSet set) {
  const CharTable& table = char_table();
  cut_at_matches(text, behavior, false, [&](std::string_view word, size_t offset, WordCutter& cutter) {
    const char* const end = word.data() + word.size();
    for (const char* at = word.data(); at < end;) {
      const Symbol symbol = table.symbol(at, end);
      const size_t begin = offset + static_cast<size_t>(at - word.data());
      if (in(symbol.kind, set)) cutter.match(begin, begin + symbol.length);
      at += symbol.length;
    }
  });
}

// Each occurrence of a string is a match; the empty string matches before each character.
void cut_at_string(PreTokenized& text, CutBehavior behavior, bool inverted, std::string_view string) {
  const CharTable& table = char_table();
  cut_at_matches(text, behavior, inverted, [&](std::string_view word, size_t offset, WordCutter& cutter) {
    if (string.empty()) {
      for (size_t at = 0; at < word.size();) {
        cutter.match(offset + at, offset + at);
        at += table.symbol(word.data() + at, word.data() + word.size()).length;
      }
      return cutter.match(offset + word.size(), offset + word.size());
    }
    for (size_t at = word.find(string); at != std::string_view::npos;
         at = word.find(string, at + string.size()))
      cutter.match(offset + at, offset + at + string.size());
  });
}

void cut_by_words(PreTokenized& text, WordEnd word_end) {
  const char* const bytes = text.text.text().data();
  cut_words(text, [&](ByteSpan word, std::vector<ByteSpan>& words) {
    const char* const end = bytes + word.end;
    for (const char* at = bytes + word.begin; at < end;) {
      const char* const next = word_end(at, end);
      words.push_back({static_cast<uint32_t>(at - bytes), static_cast<uint32_t>(next - bytes)});
      at = next;
    }
  });
}

// The first character of a text that is not empty. note: bytes that are not UTF-8 count one by one.
std::string_view first_char(std::string_view text) {
  return text.substr(0, char_table().symbol(text.data(), text.data() + text.size()).length);
}

// Copies a text into a Rewriter word by word, and keeps account of where the words come to lie.
class WordRewriter {
 public:
  explicit WordRewriter(PreTokenized& text) : text_(text), rewriter_(text.text) {}

  // Begins the next word of the list.
  void start(ByteSpan word) {
    keep(word.begin - rewriter_.read());
    words_.push_back({static_cast<uint32_t>(written_), 0});
  }
  void keep(size_t bytes) {
    rewriter_.keep(bytes);
    written_ += bytes;
  }
  void replace(size_t bytes, std::string_view with) {
    rewriter_.replace(bytes, with);
    written_ += with.size();
    check_world(written_ <= UINT32_MAX, "pre-tokenizer: a text must stay below 4 GiB; it grew to ", written_,
                " bytes");
  }
  // A character in front of the next one, which both stand for the latter.
  void prepend(std::string_view what, std::string_view next) {
    replace(next.size(), std::string(what).append(next));
  }
  void end_word(ByteSpan word) {
    keep(word.end - rewriter_.read());
    words_.back().end = static_cast<uint32_t>(written_);
  }
  void finish() {
    rewriter_.finish();
    text_.words = std::move(words_);
  }

 private:
  PreTokenized& text_;
  AlignedText::Rewriter rewriter_;
  std::vector<ByteSpan> words_;
  size_t written_ = 0;
};

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool trim_offsets, bool use_regex)
      : add_prefix_space_(add_prefix_space), trim_offsets_(trim_offsets), use_regex_(use_regex) {}

  void apply(PreTokenized& text) const override {
    if (add_prefix_space_) add_spaces(text);
    if (use_regex_) cut_by_words(text, gpt2_word_end);
  }
  Json to_json() const override {
    return Json::object({{"type", "ByteLevel"},
                         {"add_prefix_space", add_prefix_space_},
                         {"trim_offsets", trim_offsets_},
                         {"use_regex", use_regex_}});
  }
  bool rewrites() const override { return add_prefix_space_; }
  WordEnd word_end() const override { return use_regex_ && !add_prefix_space_ ? gpt2_word_end : nullptr; }
  bool byte_level() const override { return true; }
  bool keeps_words() const { return !add_prefix_space_ && !use_regex_; }

 private:
  static void add_spaces(PreTokenized& text) {
    const std::string_view bytes = text.text.text();
    WordRewriter rewriter(text);
    for (const ByteSpan word : text.words) {
      rewriter.start(word);
      if (bytes[word.begin] != ' ')
        rewriter.prepend(" ", first_char(bytes.substr(word.begin, word.end - word.begin)));
      rewriter.end_word(word);
    }
    rewriter.finish();
  }

  bool add_prefix_space_;
  bool trim_offsets_;
  bool use_regex_;
};

class Metaspace final : public PreTokenizer {
 public:
  explicit Metaspace(MetaspaceFields fields) : fields_(std::move(fields)) {}

  void apply(PreTokenized& text) const override {
    const std::string_view bytes = text.text.text();
    WordRewriter rewriter(text);
    for (const ByteSpan word : text.words) {
      rewriter.start(word);
      size_t at = word.begin;
      if (prepends(text.text, word)) {
        const std::string_view first = first_char(bytes.substr(word.begin, word.end - word.begin));
        rewriter.prepend(fields_.replacement, first);
        at += first.size();
      }
      for (; at < word.end; ++at) {
        const size_t space = std::min<size_t>(bytes.find(' ', at), word.end);
        rewriter.keep(space - at);
        at = space;
        if (at < word.end) rewriter.replace(1, fields_.replacement);
      }
      rewriter.end_word(word);
    }
    rewriter.finish();
    if (fields_.split) cut_at_string(text, CutBehavior::merged_with_next, false, fields_.replacement);
  }

  bool rewrites() const override { return true; }
  Json to_json() const override {
    return Json::object({{"type", "Metaspace"},
                         {"replacement", fields_.replacement},
                         {"prepend_scheme", fields_.prepend_name()},
                         {"split", fields_.split}});
  }

 private:
  bool prepends(const AlignedText& text, ByteSpan word) const {
    if (fields_.prepend == MetaspaceFields::Prepend::never) return false;
    const std::string_view bytes = text.text().substr(word.begin, word.end - word.begin);
    if (bytes[0] == ' ' || bytes.starts_with(fields_.replacement)) return false;
    return fields_.prepend == MetaspaceFields::Prepend::always || text.slice(word).at_start();
  }

  MetaspaceFields fields_;
};

constexpr std::array<std::pair<std::string_view, CutBehavior>, 5> kBehaviors = {{
    {"Removed", CutBehavior::removed},
    {"Isolated", CutBehavior::isolated},
    {"MergedWithPrevious", CutBehavior::merged_with_previous},
    {"MergedWithNext", CutBehavior::merged_with_next},
    {"Contiguous", CutBehavior::contiguous},
}};

Json behavior_json(CutBehavior behavior) {
  const auto* entry = std::find_if(kBehaviors.begin(), kBehaviors.end(),
                                   [behavior](const auto& known) { return known.second == behavior; });
  return entry->first;
}

class Split final : public PreTokenizer {
 public:
  Split(JsonPattern pattern, CutBehavior behavior, bool inverted)
      : pattern_(std::move(pattern)), behavior_(behavior), inverted_(inverted) {
    if (!pattern_.is_regex) return;
    splitter_ = find_splitter(pattern_.text);
    if (splitter_ == nullptr) regex_.emplace(pattern_.text, pattern_.where);
  }

  void apply(PreTokenized& text) const override {
    if (!pattern_.is_regex) return cut_at_string(text, behavior_, inverted_, pattern_.text);
    if (const WordEnd end = word_end()) return cut_by_words(text, end);
    cut_at_matches(text, behavior_, inverted_, [&](std::string_view word, size_t offset, WordCutter& cutter) {
      if (splitter_ != nullptr) {
        const char* const end = word.data() + word.size();
        for (const char* at = word.data(); at < end;) {
          const char* const next = splitter_(at, end);
          cutter.match(offset + static_cast<size_t>(at - word.data()),
                       offset + static_cast<size_t>(next - word.data()));
          at = next;
        }
        return;
      }
      PatternMatches matches(*regex_, word);
      for (size_t begin = 0, end = 0; matches.next(begin, end);) cutter.match(offset + begin, offset + end);
    });
  }

  Json to_json() const override {
    return Json::object({{"type", "Split"},
                         {"pattern", Json::object({{pattern_.is_regex ? "Regex" : "String", pattern_.text}})},
                         {"behavior", behavior_json(behavior_)},
                         {"invert", inverted_}});
  }

  // The matches of the known expressions leave nothing between them, so most behaviors keep each as a word.
  WordEnd word_end() const override {
    const bool joined = behavior_ == CutBehavior::contiguous;
    const bool dropped = behavior_ == CutBehavior::removed && !inverted_;
    return joined || dropped ? nullptr : splitter_;
  }

 private:
  JsonPattern pattern_;
  CutBehavior behavior_;
  bool inverted_;
  WordEnd splitter_ = nullptr;
  std::optional<Pattern> regex_;
};

// Cuts at characters of some kinds: Digits, Punctuation, WhitespaceSplit.
class KindSplit final : public PreTokenizer {
 public:
  KindSplit(KindSet set, CutBehavior behavior, Json json)
      : set_(set), behavior_(behavior), json_(std::move(json)) {}
  void apply(PreTokenized& text) const override { cut_at_kinds(text, behavior_, set_); }
  bool drops_spaces() const override {
    return behavior_ == CutBehavior::removed && (set_ & kSpaces) == kSpaces;
  }
  Json to_json() const override { return json_; }

 private:
  KindSet set_;
  CutBehavior behavior_;
  Json json_;
};

// Calls visit(kind, place) for every character of a word.
template <class Visit>
void visit_symbols(std::string_view text, ByteSpan word, Visit visit) {
  const CharTable& table = char_table();
  const char* const end = text.data() + word.end;
  for (uint32_t at = word.begin; at < word.end;) {
    const Symbol symbol = table.symbol(text.data() + at, end);
    visit(symbol.kind, ByteSpan{at, at + symbol.length});
    at += symbol.length;
  }
}

// Runs of word characters and runs of anything else, without the spaces between.
class Whitespace final : public PreTokenizer {
 public:
  void apply(PreTokenized& text) const override {
    const std::string_view bytes = text.text.text();
    cut_words(text, [&](ByteSpan word, std::vector<ByteSpan>& words) {
      KindSet run = 0;  // the kinds that go on with the word at the end of the list
      visit_symbols(bytes, word, [&](CharKind kind, ByteSpan place) {
        if (!in(kind, run)) {
          run = in(kind, kSpaces) ? 0 : in(kind, kWord) ? kWord : kEveryKind & ~(kWord | kSpaces);
          if (run != 0) words.push_back(place);
        }
        if (run != 0) words.back().end = place.end;
      });
    });
  }
  bool drops_spaces() const override { return true; }
  Json to_json() const override { return Json::object({{"type", "Whitespace"}}); }
};

// Words between spaces, and each punctuation character by itself.
class BertPreTokenizer final : public PreTokenizer {
 public:
  void apply(PreTokenized& text) const override {
    const std::string_view bytes = text.text.text();
    cut_words(text, [&](ByteSpan word, std::vector<ByteSpan>& words) {
      bool goes_on = false;
      visit_symbols(bytes, word, [&](CharKind kind, ByteSpan place) {
        const bool in_word = !in(kind, kSpaces | kPunctuation);
        if (in_word && goes_on) {
          words.back().end = place.end;
        } else if (!in(kind, kSpaces)) {
          words.push_back(place);
        }
        goes_on = in_word;
      });
    });
  }
  bool drops_spaces() const override { return true; }
  Json to_json() const override { return Json::object({{"type", "BertPreTokenizer"}}); }
};

class CharDelimiterSplit final : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(std::string delimiter) : delimiter_(std::move(delimiter)) {}
  void apply(PreTokenized& text) const override {
    cut_at_string(text, CutBehavior::removed, false, delimiter_);
  }
  Json to_json() const override {
    return Json::object({{"type", "CharDelimiterSplit"}, {"delimiter", delimiter_}});
  }

 private:
  std::string delimiter_;
};

// So many characters a word; the last may be shorter.
class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(int64_t length) : length_(length) {}
  void apply(PreTokenized& text) const override {
    const CharTable& table = char_table();
    const char* const bytes = text.text.text().data();
    cut_words(text, [&](ByteSpan word, std::vector<ByteSpan>& words) {
      const char* const end = bytes + word.end;
      for (const char* at = bytes + word.begin; at < end;) {
        const char* const begin = at;
        for (int64_t i = 0; i < length_ && at < end; ++i) at += table.symbol(at, end).length;
        words.push_back({static_cast<uint32_t>(begin - bytes), static_cast<uint32_t>(at - bytes)});
      }
    });
  }
  Json to_json() const override { return Json::object({{"type", "FixedLength"}, {"length", length_}}); }

 private:
  int64_t length_;
};

class Sequence final : public PreTokenizer {
 public:
  explicit Sequence(std::vector<std::shared_ptr<const PreTokenizer>> steps) : steps_(std::move(steps)) {}

  void apply(PreTokenized& text) const override {
    for (const auto& step : steps_) step->apply(text);
  }
  Json to_json() const override {
    Json::Array steps;
    for (const auto& step : steps_) steps.push_back(step->to_json());
    return Json::object({{"type", "Sequence"}, {"pretokenizers", Json::array(std::move(steps))}});
  }
  // That of the only step that does anything.
  WordEnd word_end() const override {
    const PreTokenizer* only = nullptr;
    for (const auto& step : steps_) {
      const auto* bytes = dynamic_cast<const ByteLevel*>(step.get());
      if (bytes != nullptr && bytes->keeps_words()) continue;
      if (only != nullptr) return nullptr;
      only = step.get();
    }
    return only != nullptr ? only->word_end() : nullptr;
  }
  // The steps after the first see only words, which have no more to do with each other.
  bool drops_spaces() const override { return !steps_.empty() && steps_.front()->drops_spaces(); }
  bool rewrites() const override {
    return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->rewrites(); });
  }
  bool byte_level() const override { return !steps_.empty() && steps_.back()->byte_level(); }

 private:
  std::vector<std::shared_ptr<const PreTokenizer>> steps_;
};

CutBehavior read_behavior(const Json& value) {
  const std::string& name = value.as_string();
  for (const auto& [known, behavior] : kBehaviors) {
    if (name == known) return behavior;
  }
  fail_world(value.path(),
             ": the behavior must be Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous; "
             "found \"",
             name, "\"");
}

std::shared_ptr<const PreTokenizer> read_split(const Json& value) {
  check_json_keys(value, {"type", "pattern", "behavior", "invert"});
  return std::make_shared<Split>(read_pattern(value.at("pattern")), read_behavior(value.at("behavior")),
                                 value.at("invert").as_boolean());
}

std::shared_ptr<const PreTokenizer> read_sequence(const Json& value) {
  check_json_keys(value, {"type", "pretokenizers"});
  const Json::Array& items = value.at("pretokenizers").as_array();
  std::vector<std::shared_ptr<const PreTokenizer>> steps;
  for (const Json& item : items) {
    check_world(steps.empty() || !steps.back()->byte_level(), item.path(),
                ": a ByteLevel must be the last step; found another behind it");
    steps.push_back(read_pre_tokenizer(item));
    check_world(steps.back() != nullptr, item.path(), ": a step must not be null");
  }
  return std::make_shared<Sequence>(std::move(steps));
}

}  // namespace

std::shared_ptr<const PreTokenizer> read_pre_tokenizer(const Json& value) {
  if (value.is_null()) return nullptr;
  const std::string& type = value.at("type").as_string();
  if (type == "Sequence") return read_sequence(value);
  if (type == "Split") return read_split(value);
  if (type == "Metaspace") return std::make_shared<Metaspace>(read_metaspace(value));
  if (type == "ByteLevel") {
    check_json_keys(value, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return std::make_shared<ByteLevel>(value.at("add_prefix_space").as_boolean(),
                                       value.at("trim_offsets").as_boolean(),
                                       boolean_or(value, "use_regex", true));
  }
  if (type == "BertPreTokenizer" || type == "Whitespace" || type == "WhitespaceSplit") {
    check_json_keys(value, {"type"});
    if (type == "BertPreTokenizer") return std::make_shared<BertPreTokenizer>();
    if (type == "Whitespace") return std::make_shared<Whitespace>();
    return std::make_shared<KindSplit>(kSpaces, CutBehavior::removed, Json::object({{"type", type}}));
  }
  if (type == "Digits") {
    check_json_keys(value, {"type", "individual_digits"});
    const bool individual = value.at("individual_digits").as_boolean();
    return std::make_shared<KindSplit>(kNumbers, individual ? CutBehavior::isolated : CutBehavior::contiguous,
                                       Json::object({{"type", type}, {"individual_digits", individual}}));
  }
  if (type == "Punctuation") {
    check_json_keys(value, {"type", "behavior"});
    const Json* given = value.find("behavior");
    const CutBehavior behavior = given != nullptr ? read_behavior(*given) : CutBehavior::isolated;
    return std::make_shared<KindSplit>(kPunctuation, behavior,
                                       Json::object({{"type", type}, {"behavior", behavior_json(behavior)}}));
  }
  if (type == "CharDelimiterSplit") {
    check_json_keys(value, {"type", "delimiter"});
    return std::make_shared<CharDelimiterSplit>(one_character(value.at("delimiter")));
  }
  if (type == "FixedLength") {
    check_json_keys(value, {"type", "length"});
    const Json* length = value.find("length");
    const int64_t chars = length != nullptr ? length->as_integer() : 5;
    check_world(chars >= 1, value.path(), ": the length must be at least 1; found ", chars);
    return std::make_shared<FixedLength>(chars);
  }
  fail_world(
      value.at("type").path(),
      ": the pre-tokenizer must be Sequence, ByteLevel, Split, Metaspace, BertPreTokenizer, Whitespace, "
      "WhitespaceSplit, Digits, Punctuation, CharDelimiterSplit or FixedLength; found \"",
      type, "\"");
}

}  // namespace gradus
