#pragma once

#include <string>
#include <vector>

#include "tokenizer/stages/decoders.hpp"

namespace gradus {

/// How SentencePiece makes text of pieces: U+2581 is a space, but not at the beginning where encoding put it; control pieces
/// are nothing; the unknown piece has a surface of its own; pieces of bytes are joined to characters.
/// ref: sentencepiece_processor.cc of SentencePiece 0.1.97
class SentencePieceDecoder final : public Decoder {
 public:
  struct Settings {
    std::string unknown_piece;
    std::string unknown_surface;
    std::vector<std::string> control_pieces;
    bool add_dummy_prefix = true;          // one space at the beginning is left out
    bool remove_extra_whitespaces = true;  // all are
  };
  explicit SentencePieceDecoder(Settings settings) : settings_(std::move(settings)) {}

  /// note: the steps of the Hugging Face library that come nearest.
  Json to_json() const override;
  std::string decode(std::vector<std::string> tokens, InvalidUtf8 invalid = InvalidUtf8::keep) const override;
  std::optional<std::string> text_inside(std::string_view) const override { return std::nullopt; }

 private:
  Settings settings_;
};

}  // namespace gradus
