#include <vector>

#include "tests/fuzz/fuzz.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/training/train.hpp"

namespace {

using namespace gradus;

constexpr std::string_view kTraining =
    "The king and the son of the king. The king's son, the king's men!\n  l'\u00E9t\u00E9, un \u00E9t\u00E9; "
    "\u65E5\u672C\u8A9E\u306E\u65E5\u672C \U0001F44D\U0001F44D 12 123 1234\r\n\tdo don't didn't \u2581 "
    "\uFFFD";

using Spaces = TokenizerTraining::Spaces;

Tokenizer train(const char* kind, int64_t size, Spaces spaces = Spaces::exact) {
  const std::string_view documents[] = {kTraining};
  return train_tokenizer(documents, {kind, size, {}, 0, spaces});
}

// The ranks of a trained vocabulary, whose last token is the special one.
Tokenizer tiktoken() {
  const Tokenizer trained = train("bpe", 280);
  const auto count = static_cast<int32_t>(trained.vocab_size() - 1);
  TiktokenFile file;
  for (int32_t id = 0; id < count; ++id) file.tokens.push_back(trained.token_bytes(id));
  const std::string& pattern = find_tiktoken_encoding("cl100k_base")->pattern;
  return Tokenizer(parts_of(file, {"built-in", count, pattern, {{std::string(kEndOfText), count}}}));
}

Json piece(const std::string& text, double score) { return Json::array({text, score}); }

// Metaspace, tokens of bytes, and pieces that overlap.
Tokenizer unigram() {
  Json pieces = Json::array({piece("<unk>", 0.0)});
  for (int byte = 0; byte < 256; ++byte) {
    constexpr const char* kDigits = "0123456789ABCDEF";
    pieces.push(piece(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", -20.0));
  }
  double score = -2;
  for (const char* text : {"\u2581",
                           "\u2581the",
                           "\u2581king",
                           "king",
                           "he",
                           "t",
                           "h",
                           "e",
                           "k",
                           "i",
                           "n",
                           "g",
                           "\u00E9",
                           "e\u0301",
                           "\u2581\u2581",
                           "\uFFFD",
                           ".",
                           "ing",
                           "\u65E5\u672C",
                           "\u65E5"}) {
    pieces.push(piece(text, score));
    score -= 0.37;
  }
  Json model;
  model.set("type", "Unigram").set("unk_id", 0).set("vocab", pieces).set("byte_fallback", true);
  Json file;
  file.set("version", "1.0").set("pre_tokenizer", preset(kMetaspaceWords)).set("model", model);
  file.set("decoder", sentencepiece_decoder("<unk>", " \u2047 ", true));
  return Tokenizer::parse(file.dump(), "unigram");
}

Tokenizer sentencepiece(SentencePieceFile::ModelType type) {
  SentencePieceFile file;
  file.trainer.model_type = type;
  using Type = SentencePieceFile::PieceType;
  file.pieces = {{"<unk>", 0, Type::unknown},
                 {"<s>", 0, Type::control},
                 {"</s>", 0, Type::control},
                 {"<mask>", 0, Type::user_defined}};
  float score = -1;
  for (const char* text :
       {"\u2581t", "he", "\u2581the", "in", "\u2581", "t", "h", "e", "i", "n", "\u00E9", "\u65E5"}) {
    file.pieces.push_back({text, score, Type::normal});
    score -= 0.5F;
  }
  return Tokenizer(parts_of(file, "built-in"));
}

const std::vector<Tokenizer>& tokenizers() {
  static const std::vector<Tokenizer> all = {
      train("bpe", 290),
      tiktoken(),
      train("wordpiece", 80),
      unigram(),
      train("spm-bpe", 320),
      train("unigram", 310),
      train("char", 0),
      train("words", 20),
      sentencepiece(SentencePieceFile::ModelType::unigram),
      sentencepiece(SentencePieceFile::ModelType::bpe),
      Tokenizer::bytes(),
      train("spm-bpe", 320, Spaces::sentencepiece),
      train("unigram", 310, Spaces::sentencepiece),
  };
  return all;
}

}  // namespace

// A byte that chooses a tokenizer, and a text for it.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Tokenizer& tokenizer = tokenizers()[data[0] % tokenizers().size()];
  const std::string_view text = fuzz::bytes_of(data + 1, size - 1);
  fuzz::check_encoding(tokenizer, text, true);
  fuzz::check_decoding(tokenizer, text, true);
  return 0;
}
