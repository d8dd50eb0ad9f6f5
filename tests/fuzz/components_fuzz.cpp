#include "tensor/io/json.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tokenizer/stages/decoders.hpp"
#include "tokenizer/stages/normalizers.hpp"
#include "tokenizer/stages/pre_tokenizers.hpp"

namespace {

using namespace gradus;

// What came of a text: the text, its words, and whether it was refused.
struct Result {
  bool accepted = false;
  std::string text;
  std::vector<ByteSpan> words;
  bool operator==(const Result&) const = default;
};

void check_ranges(const AlignedText& text, size_t size) {
  const auto length = static_cast<uint32_t>(text.text().size());
  for (uint32_t at = 0; at < length; ++at) {
    const TextRange range = text.original({at, at + 1});
    fuzz::require(range.begin >= 0 && range.begin <= range.end && range.end <= static_cast<int64_t>(size),
                  "what a byte stands for must lie in the original");
  }
}

void check_words(const PreTokenized& text) {
  uint32_t end = 0;
  for (const ByteSpan word : text.words) {
    fuzz::require(word.begin < word.end, "no word may be empty");
    fuzz::require(word.begin >= end, "words must stand in order and not overlap");
    end = word.end;
  }
  fuzz::require(end <= text.text.text().size(), "words must lie in the text");
}

Result run(const Normalizer* normalizer, const PreTokenizer* pre_tokenizer, std::string_view original,
           bool aligned) {
  Result result;
  result.accepted = fuzz::accepts([&] {
    AlignedText text(original, 0, aligned);
    if (normalizer != nullptr) normalizer->apply(text);
    if (aligned) check_ranges(text, original.size());
    const auto length = static_cast<uint32_t>(text.text().size());
    PreTokenized words{std::move(text), {}};
    if (length > 0) words.words.push_back({0, length});
    if (pre_tokenizer != nullptr && length > 0) pre_tokenizer->apply(words);
    check_words(words);
    if (aligned) check_ranges(words.text, original.size());
    result.text = words.text.text();
    result.words = words.words;
  });
  return result;
}

// Tokens as a text lists them, one a line.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end != 0) lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

void check_decoder(const Decoder& decoder, std::string_view text) {
  const std::vector<std::string> tokens = lines_of(text);
  if (tokens.empty()) return;
  std::string joined = decoder.decode({tokens[0]});
  bool known = true;
  for (size_t i = 1; i < tokens.size() && known; ++i) {
    const std::optional<std::string> piece = decoder.text_inside(tokens[i]);
    known = piece.has_value();
    if (known) joined += *piece;
  }
  const std::string decoded = decoder.decode(tokens);
  decoder.decode(tokens, InvalidUtf8::replace);
  fuzz::require(!known || joined == decoded, "the pieces of tokens must join to what they decode to");
}

}  // namespace

// An object with a normalizer, a pre_tokenizer and a decoder, as a tokenizer.json has them; a zero byte; a text.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto halves = fuzz::halves_of(fuzz::bytes_of(data, size));
  std::shared_ptr<const Normalizer> normalizer;
  std::shared_ptr<const PreTokenizer> pre_tokenizer;
  std::shared_ptr<const Decoder> decoder;
  const auto read = [&](std::string_view text) {
    const Json json = Json::parse(text, "fuzz");
    const auto member = [&](const char* key) {
      const Json* value = json.find(key);
      return value == nullptr ? Json() : *value;
    };
    normalizer = read_normalizer(member("normalizer"));
    pre_tokenizer = read_pre_tokenizer(member("pre_tokenizer"));
    decoder = read_decoder(member("decoder"));
  };
  if (!fuzz::accepts([&] { read(halves.first); })) return 0;
  const std::string_view text = halves.second;
  const Result result = run(normalizer.get(), pre_tokenizer.get(), text, false);
  fuzz::require(run(normalizer.get(), pre_tokenizer.get(), text, true) == result,
                "words must be the same with and without alignment");
  if (decoder != nullptr) check_decoder(*decoder, text);

  const auto json_of = [](const auto& part) { return part == nullptr ? Json() : part->to_json(); };
  Json written;
  written.set("normalizer", json_of(normalizer)).set("pre_tokenizer", json_of(pre_tokenizer));
  written.set("decoder", json_of(decoder));
  fuzz::require(fuzz::accepts([&] { read(written.dump()); }), "what was written must be readable");
  fuzz::require(run(normalizer.get(), pre_tokenizer.get(), text, false) == result,
                "what was written must give the same words");
  return 0;
}
