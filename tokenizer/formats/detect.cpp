#include "tokenizer/formats/detect.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/protobuf.hpp"
#include "tokenizer/text/base64.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

constexpr std::string_view kKnown =
    "a tokenizer.json, a SentencePiece .model, tiktoken ranks, a vocab.txt of WordPiece (with a line [UNK]) "
    "and a "
    "vocab.json with its merges.txt";

// Lines that are looked at before a text is taken for what they say.
constexpr int64_t kLines = 20;

std::string_view without_spaces(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

// The end of a JSON string that begins at text[at], a quote; the text's end where it has none.
size_t string_end(std::string_view text, size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) at += text[at] == '\\';
  return std::min(at + 1, text.size());
}

// Whether the first line is an object and another one follows, as in a .jsonl file.
bool several_objects(std::string_view text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos || end == 0) return false;
  const size_t last = text.find_last_not_of(" \t\r", end - 1);
  return text[last] == '}' && without_spaces(text.substr(end)).starts_with('{');
}

// A vocab.json's first value is a number; a tokenizer.json has an object "model" at its top. Anything else is neither.
std::optional<TokenizerFormat> json_format(std::string_view text) {
  int depth = 0;
  bool first = true;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c != '"') continue;
    const size_t end = string_end(text, at);
    std::string_view after = without_spaces(text.substr(end));
    if (depth == 1 && after.starts_with(':')) {
      after = without_spaces(after.substr(1));
      if (first && !after.empty() && after[0] >= '0' && after[0] <= '9') {
        return several_objects(text) ? std::nullopt : std::optional(TokenizerFormat::vocab_json);
      }
      if (text.substr(at, end - at) == "\"model\"" && after.starts_with('{'))
        return TokenizerFormat::tokenizer_json;
      first = false;
    }
    at = end - 1;
  }
  return std::nullopt;
}

// The first pieces of a SentencePiece model, which stand before anything else.
bool begins_as_sentencepiece(std::string_view bytes) {
  try {
    ProtoReader model(bytes, "");
    int pieces = 0;
    while (pieces < kLines && model.next() && model.field() == 1) {
      ProtoReader piece = model.as_message("");
      bool has_text = false;
      while (piece.next()) {
        if (piece.field() == 1) has_text = !piece.as_text("").empty();
        if (piece.field() == 2) piece.as_float("");
        if (piece.field() == 3) piece.as_int32("");
      }
      if (!has_text) return false;
      ++pieces;
    }
    return pieces > 0;
  } catch (const std::runtime_error&) {
    return false;
  }
}

bool begins_as_tiktoken(std::string_view text) {
  LineReader lines(text);
  int64_t seen = 0;
  while (seen < kLines && lines.next()) {
    const std::string_view line = lines.line();
    if (line.empty()) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || !base64_decode(line.substr(0, space))) return false;
    int32_t rank = 0;
    const char* const end = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data() + space + 1, end, rank);
    if (error != std::errc() || stop != end) return false;
    ++seen;
  }
  return seen > 0;
}

// Any text of single words looks like a vocabulary; that of a WordPiece model names its unknown token.
bool is_vocab_txt(std::string_view text) {
  bool has_unknown = false;
  for (LineReader lines(text); lines.next();) {
    if (lines.number() <= kLines && ((lines.line().empty() && !lines.is_last()) || !all_utf8(lines.line())))
      return false;
    if (lines.line() != "[UNK]") continue;
    has_unknown = true;
    if (lines.number() > kLines) break;
  }
  return has_unknown;
}

}  // namespace

TokenizerFormat detect_tokenizer_format(std::string_view bytes, const std::string& source) {
  const std::string_view text = without_spaces(without_mark(bytes));
  check_world(!bytes.empty(), source, ": must be one of ", kKnown, "; it is empty");
  if (begins_as_sentencepiece(bytes)) return TokenizerFormat::sentencepiece;
  if (text.starts_with('{')) {
    const auto format = json_format(text);
    check_world(
        format.has_value(), source, ": must be one of ", kKnown,
        "; it is JSON without a \"model\" that is an object and without ids; give the tokenizer's own file");
    return *format;
  }
  check_world(!text.starts_with("#version"), source, ": must be one of ", kKnown,
              "; it begins as a merges.txt; give the vocab.json beside it");
  if (begins_as_tiktoken(bytes)) return TokenizerFormat::tiktoken;
  if (is_vocab_txt(bytes)) return TokenizerFormat::vocab_txt;
  fail_world(source, ": must be one of ", kKnown, "; it is none of them and begins with ",
             shown_text(bytes.substr(0, 40)));
}

TokenizerFiles detect_tokenizer(const std::string& path) {
  std::string file = path;
  std::string folder = path;
  if (is_directory(path)) {
    constexpr std::array<const char*, 6> kNames = {
        "tokenizer.json", "tokenizer.model", "sentencepiece.bpe.model",
        "spiece.model",   "vocab.json",      "vocab.txt"};
    for (const char* name : kNames) {
      if (file == path && file_exists(path + "/" + name)) file = path + "/" + name;
    }
    check_world(
        file != path, path,
        ": a folder must hold a tokenizer.json, a tokenizer.model, a "
        "sentencepiece.bpe.model, a spiece.model, a vocab.json or a vocab.txt; it holds none; name the file");
  } else {
    const size_t slash = path.rfind('/');
    folder = slash == std::string::npos ? "." : path.substr(0, slash);
  }
  const MappedFile bytes(file);
  TokenizerFiles files{detect_tokenizer_format(bytes.text(), file), file, ""};
  const std::string merges = folder + "/merges.txt";
  if (files.format == TokenizerFormat::vocab_json && file_exists(merges)) files.merges_path = merges;
  return files;
}

}  // namespace gradus
