#include "tokenizer/formats/save.hpp"

#include <algorithm>
#include <deque>
#include <filesystem>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/hostile_texts.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/formats/sentencepiece_file.hpp"
#include "tokenizer/formats/vocab_txt.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/subword/unigram_model.hpp"
#include "tokenizer/subword/wordpiece_model.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {
namespace {

struct OutputFile {
  std::string path;
  std::string contents;
};

// What a format would hold, and what reading it gives.
struct Conversion {
  std::vector<OutputFile> files;
  Tokenizer result;
};

const BpeModel& byte_level_bpe(const TokenizerParts& parts, const char* format) {
  const auto* bpe = dynamic_cast<const BpeModel*>(parts.model.get());
  check(bpe != nullptr && bpe->parts().byte_level, "convert: ", format,
        " can hold only a byte-level BPE; the model is of the type ", parts.model->type(),
        "; write a tokenizer.json");
  return *bpe;
}

void check_normalizer(const TokenizerParts& parts, const char* format) {
  if (parts.normalizer == nullptr) return;
  fail("convert: ", format, " cannot say what the normalizer does, ", parts.normalizer->to_json().dump(),
       "; write a tokenizer.json");
}

Conversion to_tiktoken(const Tokenizer& tokenizer, const std::string& path) {
  const TokenizerParts& parts = tokenizer.parts();
  const BpeParts& bpe = byte_level_bpe(parts, "a file of ranks").parts();
  check_normalizer(parts, "a file of ranks");
  TiktokenFile ranks;
  for (size_t id = 0; id < bpe.tokens.size(); ++id) {
    const bool added =
        std::any_of(parts.added_tokens.begin(), parts.added_tokens.end(),
                    [&](const AddedToken& token) { return token.id == static_cast<int32_t>(id); });
    ranks.tokens.push_back(added ? "" : text_to_bytes(bpe.tokens[id]).value_or(""));
  }
  while (!ranks.tokens.empty() && ranks.tokens.back().empty()) ranks.tokens.pop_back();
  std::string contents = write_tiktoken(ranks);
  const TiktokenFile read = read_tiktoken(contents, path);
  const TiktokenEncoding* encoding = encoding_of(read, path);
  check(encoding != nullptr,
        "convert: a file of ranks does not say how words are cut, so that only a published encoding can be "
        "read from it; these ",
        read.count(), " ranks are of none; write a tokenizer.json, or a vocab.json with its merges.txt");
  return {{{path, std::move(contents)}}, Tokenizer(parts_of(read, *encoding))};
}

Conversion to_vocab_txt(const Tokenizer& tokenizer, const std::string& path) {
  const auto* model = dynamic_cast<const WordPieceModel*>(tokenizer.parts().model.get());
  check(model != nullptr, "convert: a vocab.txt can hold only a WordPiece; the model is of the type ",
        tokenizer.parts().model->type(), "; write a tokenizer.json");
  std::string contents = write_vocab_txt(model->tokens());
  Tokenizer result(parts_of_vocab_txt(read_vocab_txt(contents, path), path));
  return {{{path, std::move(contents)}}, std::move(result)};
}

Conversion to_vocab_json(const Tokenizer& tokenizer, const std::string& path) {
  const BpeModel& bpe = byte_level_bpe(tokenizer.parts(), "vocab.json with merges.txt");
  check_normalizer(tokenizer.parts(), "vocab.json with merges.txt");
  const std::vector<std::string>& tokens = bpe.tokens();
  std::vector<std::string> all(static_cast<size_t>(tokenizer.vocab_size()));
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    all[static_cast<size_t>(id)] = tokenizer.token_text(id);
  std::vector<std::pair<std::string, std::string>> merges;
  for (const auto& [left, right] : bpe.merge_list()) {
    merges.emplace_back(tokens[static_cast<size_t>(left)], tokens[static_cast<size_t>(right)]);
  }
  const std::string merges_path = merges_beside(path);
  std::string vocab_contents = write_vocab_json(all);
  std::string merges_contents = write_merges_txt(merges);
  Tokenizer result(parts_of(read_gpt2_files(vocab_contents, path, merges_contents, merges_path)));
  return {{{path, std::move(vocab_contents)}, {merges_path, std::move(merges_contents)}}, std::move(result)};
}

// An error unless the parts put a U+2581 before a text and in the place of each space, and do nothing else.
void check_marks_spaces(const TokenizerParts& parts) {
  const std::string normalizer = parts.normalizer == nullptr ? "" : parts.normalizer->to_json().dump();
  const std::string words = parts.pre_tokenizer == nullptr ? "" : parts.pre_tokenizer->to_json().dump();
  const char* otherwise = "does something else";
  if (normalizer.empty() && words == preset(kSpacedWords).dump()) {
    otherwise = "tells spaces from U+2581, and puts none before a text";
  } else if (normalizer.empty() && words == preset(kMetaspaceWords).dump()) {
    otherwise = "(Metaspace) puts none before a text that begins with a space";
  }
  check(normalizer == preset(kMarkedSpaces).dump() && words.empty(),
        "convert: a SentencePiece model can be written where spaces become U+2581, with one before every "
        "text, and nothing else is done to it; this tokenizer ",
        otherwise, "; train one with --spaces sentencepiece, or write a tokenizer.json");
}

}  // namespace

SentencePieceFile sentencepiece_of(const Tokenizer& tokenizer) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto* unigram = dynamic_cast<const UnigramModel*>(parts.model.get());
  const auto* bpe = dynamic_cast<const BpeModel*>(parts.model.get());
  check(unigram != nullptr || (bpe != nullptr && !bpe->parts().byte_level),
        "convert: a SentencePiece model can hold only a unigram model or a BPE of characters; this tokenizer "
        "is ",
        tokenizer.kind(),
        "; train the kind spm-bpe or unigram with --spaces sentencepiece, or write a tokenizer.json");
  check_marks_spaces(parts);
  using Type = SentencePieceFile::PieceType;
  SentencePieceFile file;
  file.trainer.model_type =
      unigram != nullptr ? SentencePieceFile::ModelType::unigram : SentencePieceFile::ModelType::bpe;
  file.trainer.byte_fallback = unigram != nullptr ? unigram->byte_fallback() : bpe->parts().byte_fallback;
  file.trainer.vocab_size = static_cast<int32_t>(tokenizer.vocab_size());
  file.normalizer.name = "identity";
  file.normalizer.remove_extra_whitespaces = false;
  const std::optional<int32_t> unknown = unigram != nullptr ? unigram->unk_id() : tokenizer.unknown_id();
  check(unknown.has_value(), "convert: a SentencePiece model needs an unknown token; the tokenizer has none");
  // A piece's score is the place of the first merge that makes it; what no merge makes comes after these.
  std::vector<float> scores;
  if (bpe != nullptr) {
    scores.assign(bpe->tokens().size(), -static_cast<float>(bpe->tokens().size()));
    const auto& merges = bpe->parts().merges;
    for (auto merge = merges.rbegin(); merge != merges.rend(); ++merge) {
      scores[static_cast<size_t>(merge->result)] = -static_cast<float>(merge->rank);
    }
  }
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string& text = tokenizer.token_text(id);
    check(!text.empty(), "convert: a SentencePiece model has a piece for every id; id ", id,
          " has no token here");
    const auto index = static_cast<size_t>(id);
    SentencePieceFile::Piece piece{text, 0, Type::normal};
    if (id == unknown) {
      piece.type = Type::unknown;
      file.trainer.unk_id = id;
      file.trainer.unk_piece = text;
    } else if (tokenizer.is_special(id)) {
      piece.type = Type::control;
    } else if (file.trainer.byte_fallback && is_byte_token(text)) {
      piece.type = Type::byte;
    } else if (index >= parts.model->tokens().size()) {
      piece.type = Type::user_defined;
    } else {
      piece.score = unigram != nullptr ? static_cast<float>(unigram->scores()[index]) : scores[index];
    }
    file.pieces.push_back(std::move(piece));
  }
  const auto id_or_none = [&](const char* name) { return tokenizer.id_of(name).value_or(-1); };
  file.trainer.bos_id = id_or_none("<s>");
  file.trainer.eos_id = id_or_none("</s>");
  file.trainer.pad_id = id_or_none("<pad>");
  return file;
}

namespace {

Conversion to_sentencepiece(const Tokenizer& tokenizer, const std::string& path) {
  std::string contents = write_sentencepiece(sentencepiece_of(tokenizer));
  Tokenizer result(parts_of(read_sentencepiece(contents, path), path));
  return {{{path, std::move(contents)}}, std::move(result)};
}

Conversion to_tokenizer_json(const Tokenizer& tokenizer, const std::string& path) {
  std::string contents = tokenizer.to_json();
  Tokenizer result = Tokenizer::parse(contents, path);
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    check_world(id < result.vocab_size() && result.token_text(id) == tokenizer.token_text(id) &&
                    result.is_special(id) == tokenizer.is_special(id),
                path, ": not written, for read back its token ", id, " is another than ",
                shown_text(tokenizer.token_text(id)), "; this format cannot say what the tokenizer does");
  }
  return {{{path, std::move(contents)}}, std::move(result)};
}

Conversion convert(const Tokenizer& tokenizer, const std::string& path, TokenizerFormat format) {
  switch (format) {
    case TokenizerFormat::tokenizer_json: return to_tokenizer_json(tokenizer, path);
    case TokenizerFormat::sentencepiece: return to_sentencepiece(tokenizer, path);
    case TokenizerFormat::tiktoken: return to_tiktoken(tokenizer, path);
    case TokenizerFormat::vocab_txt: return to_vocab_txt(tokenizer, path);
    case TokenizerFormat::vocab_json: return to_vocab_json(tokenizer, path);
  }
  fail("convert: unknown format");
}

// The ids, or what the error says.
std::pair<std::vector<int32_t>, std::string> outcome(const Tokenizer& tokenizer, const std::string& text) {
  try {
    return {tokenizer.encode(text), ""};
  } catch (const std::exception& error) {
    return {{}, error.what()};
  }
}

// Whether a text holds what a special token or a token of a byte is called; formats differ in whether ordinary text can
// be one.
bool holds_special(const std::string& text, const Tokenizer& tokenizer) {
  for (const AddedToken& token : tokenizer.parts().added_tokens) {
    if (token.special && text.find(token.content) != std::string::npos) return true;
  }
  for (const int32_t id : tokenizer.parts().control_ids) {
    if (text.find(tokenizer.token_text(id)) != std::string::npos) return true;
  }
  return tokenizer.id_of("<0x00>").has_value() && text.find("<0x") != std::string::npos;
}

bool looks_like(std::string_view contents, TokenizerFormat format) {
  try {
    return detect_tokenizer_format(contents, "") == format;
  } catch (const std::runtime_error&) {
    return false;
  }
}

void check_same(const Tokenizer& from, const Tokenizer& to, const std::string& path) {
  for (const std::string& text : hostile_texts()) {
    if (holds_special(text, from) || holds_special(text, to)) continue;
    const auto before = outcome(from, text);
    const auto after = outcome(to, text);
    const bool same = before.first == after.first && before.second.empty() == after.second.empty();
    check_world(
        same, path, ": not written, for read back it gives other ids: the text ", Json(text).dump(), " has ",
        before.first.size(), " tokens in the tokenizer and ", after.first.size(),
        " in the file (or the same number with other ids); this format cannot say what the tokenizer does");
  }
}

}  // namespace

std::string merges_beside(const std::string& vocab_json) {
  return (std::filesystem::path(vocab_json).parent_path() / "merges.txt").string();
}

TokenizerFormat format_of_name(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  check(name != "merges.txt", "convert: a merges.txt is written together with its vocab.json; name that");
  if (name == "vocab.json") return TokenizerFormat::vocab_json;
  if (name.ends_with(".json")) return TokenizerFormat::tokenizer_json;
  if (name.ends_with(".model")) return TokenizerFormat::sentencepiece;
  if (name.ends_with(".tiktoken")) return TokenizerFormat::tiktoken;
  if (name.ends_with(".txt")) return TokenizerFormat::vocab_txt;
  fail("convert: the name must end in .json, .model, .tiktoken or .txt, or be vocab.json; it is '", path,
       "'");
}

Tokenizer as_tokenizer_json(const Tokenizer& tokenizer, const std::string& path) {
  Conversion conversion = to_tokenizer_json(tokenizer, path);
  check_same(tokenizer, conversion.result, path);
  return std::move(conversion.result);
}

std::vector<std::string> save_tokenizer_as(const Tokenizer& tokenizer, const std::string& path,
                                           TokenizerFormat format) {
  const Conversion conversion = convert(tokenizer, path, format);
  const std::string& contents = conversion.files.front().contents;
  check_world(looks_like(contents, format), path,
              ": not written, for its contents look like a file of another format; write a tokenizer.json");
  check_same(tokenizer, conversion.result, path);
  // All are written before the first takes its place.
  std::deque<AtomicFile> written;
  std::vector<std::string> paths;
  for (const OutputFile& file : conversion.files) {
    written.emplace_back(file.path).write(file.contents);
    paths.push_back(file.path);
  }
  for (AtomicFile& file : written) file.sync();
  for (AtomicFile& file : written) file.commit();
  return paths;
}

}  // namespace gradus
