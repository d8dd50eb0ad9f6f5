#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/subword/unigram_model.hpp"

namespace gradus {

/// How a SentencePiece model changes a text before it is cut: a NormalizerSpec of sentencepiece_model.proto.
struct SentencePieceNormalizerSpec {
  std::string name;
  std::string precompiled_charsmap;  // bytes
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  std::string normalization_rule_tsv;
  std::string rest;  // other fields, as in SentencePieceFile

  bool operator==(const SentencePieceNormalizerSpec&) const = default;
};

/// A SentencePiece `.model` file as plain data: a ModelProto of sentencepiece_model.proto.
/// note: fields that do not bear on encoding or decoding are kept as bytes (`rest`), so that nothing is lost on
///       writing; those of single pieces are dropped.
struct SentencePieceFile {
  using PieceType = UnigramModel::PieceType;
  struct Piece {
    std::string text;
    float score = 0;
    PieceType type = PieceType::normal;
    bool operator==(const Piece&) const = default;
  };

  enum class ModelType : uint8_t { unigram = 1, bpe = 2, word = 3, character = 4 };
  /// The trainer_spec, as far as it bears on encoding and decoding or tells what a vocabulary may hold.
  struct Trainer {
    ModelType model_type = ModelType::unigram;
    int32_t vocab_size = 8000;
    float character_coverage = 0.9995F;
    int32_t max_sentencepiece_length = 16;
    bool split_by_unicode_script = true;
    bool split_by_whitespace = true;
    bool split_by_number = true;
    bool split_digits = false;
    bool treat_whitespace_as_suffix = false;
    bool allow_whitespace_only_pieces = false;
    std::string pretokenization_delimiter;
    std::vector<std::string> control_symbols;
    std::vector<std::string> user_defined_symbols;
    std::string required_chars;
    bool byte_fallback = false;
    int32_t unk_id = 0;
    int32_t bos_id = 1;
    int32_t eos_id = 2;
    int32_t pad_id = -1;
    std::string unk_piece = "<unk>";
    std::string bos_piece = "<s>";
    std::string eos_piece = "</s>";
    std::string pad_piece = "<pad>";
    std::string unk_surface = " \xE2\x81\x87 ";
    std::string rest;
    bool operator==(const Trainer&) const = default;
  };

  std::vector<Piece> pieces;  // by id
  Trainer trainer;
  SentencePieceNormalizerSpec normalizer;
  std::optional<SentencePieceNormalizerSpec> denormalizer;
  /// The self_test_data: texts, and their pieces joined by spaces. SentencePiece refuses a model that fails them.
  std::vector<std::pair<std::string, std::string>> self_tests;
  std::string rest;

  /// The id of the one piece of type unknown.
  int32_t unknown_id() const;

  bool operator==(const SentencePieceFile&) const = default;
};

/// Reads a SentencePiece model; `source` is what errors call the file.
/// note: refused, with the byte and the field: anything that is not the wire format of protocol buffers; pieces that are
///       empty, not UTF-8, twice among those a text can contain or twice among the others, or without a finite score;
///       other than one unknown piece; byte pieces without byte_fallback or an incomplete set of them; unknown types and
///       extensions. Fields unknown to the schema are kept in `rest`, as its authors intend.
SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& source);

/// Writes a SentencePiece model. y: read_sentencepiece(y) == file
/// note: what read_sentencepiece would refuse is an error here too.
std::string write_sentencepiece(const SentencePieceFile& file);

}  // namespace gradus
