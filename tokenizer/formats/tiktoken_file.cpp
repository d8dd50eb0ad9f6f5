#include "tokenizer/formats/tiktoken_file.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "tensor/error.hpp"
#include "tokenizer/lookup/token_table.hpp"
#include "tokenizer/stages/splitters.hpp"
#include "tokenizer/text/base64.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {
namespace {

struct RankedToken {
  std::string bytes;
  int32_t rank;
  int64_t line;
};

RankedToken read_line(const LineReader& lines, const std::string& source) {
  const std::string_view line = lines.line();
  const size_t space = line.find(' ');
  check_world(space != std::string_view::npos, source, ": line ", lines.number(),
              ": must be a token in base64, a space and its rank; there is no space");
  auto bytes = base64_decode(line.substr(0, space));
  check_world(bytes.has_value() && !bytes->empty(), source, ": line ", lines.number(),
              ": the token must be written in base64, and not be empty; it is not");
  RankedToken token{std::move(*bytes), 0, lines.number()};
  const char* const end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + space + 1, end, token.rank);
  check_world(error == std::errc() && stop == end && token.rank >= 0, source, ": line ", lines.number(),
              ": the rank must be an integer from 0 to 2147483647; it is not");
  return token;
}

constexpr std::string_view kEndOfPrompt = "<|endofprompt|>";

using SpecialTokens = std::vector<std::pair<std::string, int32_t>>;

TiktokenEncoding encoding(std::string_view name, int64_t count, std::string_view pattern,
                          SpecialTokens tokens) {
  return {std::string(name), count, std::string(pattern), std::move(tokens)};
}

SpecialTokens harmony_tokens() {
  SpecialTokens tokens = {{"<|startoftext|>", 199998}, {std::string(kEndOfText), 199999}};
  const std::unordered_map<int32_t, std::string> named = {
      {200002, "<|return|>"}, {200003, "<|constrain|>"}, {200005, "<|channel|>"}, {200006, "<|start|>"},
      {200007, "<|end|>"},    {200008, "<|message|>"},   {200012, "<|call|>"}};
  constexpr int32_t kEnd = 201088;
  for (int32_t id = 200000; id < kEnd; ++id) {
    if (id == 200018) tokens.emplace_back(kEndOfPrompt, id);
    const auto name = named.find(id);
    tokens.emplace_back(name != named.end() ? name->second : "<|reserved_" + std::to_string(id) + "|>", id);
  }
  return tokens;
}

// A token that tells one set of ranks from another of the same size.
struct Landmark {
  int64_t count;
  size_t rank;
  std::string_view token;
};

constexpr Landmark kLandmarks[] = {
    {50256, 10000, " pocket"}, {50256, 50000, " grids"},    {50256, 50255, " gazed"},
    {50280, 10000, " pocket"}, {50280, 50255, " gazed"},    {50280, 50280, "                         "},
    {100256, 10000, ".grid"},  {100256, 50280, " Kashmir"}, {100256, 100255, " Conveyor"},
    {199998, 1000, ".l"},      {199998, 50256, " Pokemon"}, {199998, 199997, " cocos"},
};

}  // namespace

int64_t TiktokenFile::count() const {
  return std::count_if(tokens.begin(), tokens.end(), [](const std::string& token) { return !token.empty(); });
}

TiktokenFile read_tiktoken(std::string_view text, const std::string& source) {
  std::vector<RankedToken> entries;
  entries.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  for (LineReader lines(text); lines.next();) {
    if (!lines.line().empty()) entries.push_back(read_line(lines, source));
  }
  TokenTable places(entries.size());
  int32_t last = -1;
  int32_t place = 0;
  for (const RankedToken& entry : entries) {
    const int32_t first = places.insert(entry.bytes, place);
    check_world(first == place++, source, ": line ", entry.line,
                ": each token may stand once; this one is also in line ",
                entries[static_cast<size_t>(first)].line, "; remove one");
    // Holes cost memory, so a short file must not be able to ask for many.
    check_world(static_cast<size_t>(entry.rank) < 2 * entries.size(), source, ": line ", entry.line,
                ": at least every second rank must have a token; there are ", entries.size(),
                " tokens, and this one has rank ", entry.rank, "; number them again");
    last = std::max(last, entry.rank);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char single = static_cast<char>(byte);
    if (places.find(std::string_view(&single, 1)) >= 0) continue;
    fail_world(source, ": each of the 256 bytes must be a token, so that any text can be encoded; ",
               hex_byte(single), " is missing; add it");
  }

  TiktokenFile file;
  file.tokens.resize(static_cast<size_t>(last) + 1);
  for (RankedToken& entry : entries) {
    std::string& token = file.tokens[static_cast<size_t>(entry.rank)];
    if (!token.empty()) {
      const auto other = std::find_if(entries.begin(), entries.end(),
                                      [&](const RankedToken& earlier) { return earlier.rank == entry.rank; });
      fail_world(source, ": line ", entry.line, ": each rank may stand once; ", entry.rank,
                 " is also in line ", other->line, "; change one");
    }
    token = std::move(entry.bytes);
  }
  return file;
}

std::string write_tiktoken(const TiktokenFile& file) {
  std::string text;
  for (size_t rank = 0; rank < file.tokens.size(); ++rank) {
    if (file.tokens[rank].empty()) continue;
    text += base64_encode(file.tokens[rank]) + ' ' + std::to_string(rank) + '\n';
  }
  return text;
}

const std::vector<TiktokenEncoding>& tiktoken_encodings() {
  static const std::vector<TiktokenEncoding> encodings = [] {
    const std::string end(kEndOfText);
    const std::string prompt_end(kEndOfPrompt);
    return std::vector<TiktokenEncoding>{
        encoding("gpt2", 50256, kGpt2Regex, {{end, 50256}}),
        encoding("r50k_base", 50256, kGpt2Regex, {{end, 50256}}),
        encoding("p50k_base", 50280, kGpt2Regex, {{end, 50256}}),
        encoding(
            "p50k_edit", 50280, kGpt2Regex,
            {{end, 50256}, {"<|fim_prefix|>", 50281}, {"<|fim_middle|>", 50282}, {"<|fim_suffix|>", 50283}}),
        encoding("cl100k_base", 100256, kCl100kRegex,
                 {{end, 100257},
                  {"<|fim_prefix|>", 100258},
                  {"<|fim_middle|>", 100259},
                  {"<|fim_suffix|>", 100260},
                  {prompt_end, 100276}}),
        encoding("o200k_base", 199998, kO200kRegex, {{end, 199999}, {prompt_end, 200018}}),
        encoding("o200k_harmony", 199998, kO200kRegex, harmony_tokens()),
    };
  }();
  return encodings;
}

const TiktokenEncoding* find_tiktoken_encoding(std::string_view name) {
  for (const TiktokenEncoding& encoding : tiktoken_encodings()) {
    if (encoding.name == name) return &encoding;
  }
  return nullptr;
}

std::vector<const TiktokenEncoding*> recognise_tiktoken(const TiktokenFile& file) {
  const int64_t count = file.count();
  for (const Landmark& landmark : kLandmarks) {
    if (landmark.count != count) continue;
    if (landmark.rank >= file.tokens.size() || file.tokens[landmark.rank] != landmark.token) return {};
  }
  std::vector<const TiktokenEncoding*> found;
  for (const TiktokenEncoding& encoding : tiktoken_encodings()) {
    if (encoding.count == count) found.push_back(&encoding);
  }
  return found;
}

const TiktokenEncoding* encoding_of(const TiktokenFile& file, std::string_view path) {
  const std::vector<const TiktokenEncoding*> encodings = recognise_tiktoken(file);
  if (encodings.empty()) return nullptr;
  const TiktokenEncoding* chosen = encodings.front();
  for (const TiktokenEncoding* encoding : encodings) {
    if (path.find(encoding->name) != std::string_view::npos) chosen = encoding;
  }
  return chosen;
}

}  // namespace gradus
