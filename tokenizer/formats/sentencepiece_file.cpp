#include "tokenizer/formats/sentencepiece_file.hpp"

#include <cmath>
#include <limits>

#include "tensor/error.hpp"
#include "tokenizer/formats/protobuf.hpp"
#include "tokenizer/lookup/token_table.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {
namespace {

using PieceType = SentencePieceFile::PieceType;
using ModelType = SentencePieceFile::ModelType;

// Numbers of the fields, from sentencepiece_model.proto.
enum ModelField : uint32_t { kPieces = 1, kTrainer = 2, kNormalizer = 3, kSelfTests = 4, kDenormalizer = 5 };
enum PieceField : uint32_t { kText = 1, kScore = 2, kType = 3 };
constexpr uint32_t kSamples = 1;
enum SampleField : uint32_t { kInput = 1, kExpected = 2 };
constexpr uint32_t kCharsmap = 2;
constexpr uint32_t kFirstExtension = 200;

// Calls visit(number, name, member) for each field; the one list that both reading and writing go through.
template <class Trainer, class Visit>
void each_trainer_field(Trainer& spec, Visit&& visit) {
  visit(3, "model_type", spec.model_type);
  visit(4, "vocab_size", spec.vocab_size);
  visit(10, "character_coverage", spec.character_coverage);
  visit(20, "max_sentencepiece_length", spec.max_sentencepiece_length);
  visit(21, "split_by_unicode_script", spec.split_by_unicode_script);
  visit(22, "split_by_whitespace", spec.split_by_whitespace);
  visit(23, "split_by_number", spec.split_by_number);
  visit(24, "treat_whitespace_as_suffix", spec.treat_whitespace_as_suffix);
  visit(25, "split_digits", spec.split_digits);
  visit(26, "allow_whitespace_only_pieces", spec.allow_whitespace_only_pieces);
  visit(30, "control_symbols", spec.control_symbols);
  visit(31, "user_defined_symbols", spec.user_defined_symbols);
  visit(35, "byte_fallback", spec.byte_fallback);
  visit(36, "required_chars", spec.required_chars);
  visit(40, "unk_id", spec.unk_id);
  visit(41, "bos_id", spec.bos_id);
  visit(42, "eos_id", spec.eos_id);
  visit(43, "pad_id", spec.pad_id);
  visit(44, "unk_surface", spec.unk_surface);
  visit(45, "unk_piece", spec.unk_piece);
  visit(46, "bos_piece", spec.bos_piece);
  visit(47, "eos_piece", spec.eos_piece);
  visit(48, "pad_piece", spec.pad_piece);
  visit(53, "pretokenization_delimiter", spec.pretokenization_delimiter);
}

template <class Normalizer, class Visit>
void each_normalizer_field(Normalizer& spec, Visit&& visit) {
  visit(1, "name", spec.name);
  visit(3, "add_dummy_prefix", spec.add_dummy_prefix);
  visit(4, "remove_extra_whitespaces", spec.remove_extra_whitespaces);
  visit(5, "escape_whitespaces", spec.escape_whitespaces);
  visit(6, "normalization_rule_tsv", spec.normalization_rule_tsv);
}

// ---- Reading ----

void read_into(const ProtoReader& at, const char* name, bool& value) { value = at.as_bool(name); }
void read_into(const ProtoReader& at, const char* name, int32_t& value) { value = at.as_int32(name); }
void read_into(const ProtoReader& at, const char* name, float& value) { value = at.as_float(name); }
void read_into(const ProtoReader& at, const char* name, std::string& value) { value = at.as_text(name); }
void read_into(const ProtoReader& at, const char* name, std::vector<std::string>& values) {
  values.emplace_back(at.as_text(name));
}
void read_into(const ProtoReader& at, const char* name, ModelType& value) {
  const int32_t number = at.as_int32(name);
  if (number < 1 || number > 4) {
    at.refuse(name, detail::join("must be 1 (unigram), 2 (bpe), 3 (word) or 4 (char); it is ", number,
                                 ", which is not supported"));
  }
  value = static_cast<ModelType>(number);
}

// Keeps a field that says nothing about encoding, or that a later version of the schema added.
void keep(const ProtoReader& at, std::string& rest) {
  if (at.field() >= kFirstExtension) {
    at.refuse("", detail::join("extensions (fields from ", kFirstExtension,
                               " on) could change the encoding; field ", at.field(), " is one; remove it"));
  }
  rest += at.raw();
}

SentencePieceFile::Piece read_piece(ProtoReader message) {
  SentencePieceFile::Piece piece;
  while (message.next()) {
    switch (message.field()) {
      case kText: piece.text = message.as_text("piece"); break;
      case kScore:
        piece.score = message.as_float("score");
        if (!std::isfinite(piece.score)) {
          message.refuse("score", detail::join("must be a finite number; it is ", piece.score));
        }
        break;
      case kType: {
        const int32_t number = message.as_int32("type");
        if (number < 1 || number > 6) {
          message.refuse("type",
                         detail::join("must be from 1 to 6; it is ", number, ", which is not supported"));
        }
        piece.type = static_cast<PieceType>(number);
        break;
      }
      default: {
        std::string dropped;
        keep(message, dropped);
      }
    }
  }
  return piece;
}

void read_trainer(ProtoReader message, SentencePieceFile::Trainer& spec) {
  while (message.next()) {
    bool known = false;
    each_trainer_field(spec, [&](uint32_t number, const char* name, auto& member) {
      if (number != message.field()) return;
      read_into(message, name, member);
      known = true;
    });
    if (!known) keep(message, spec.rest);
  }
}

void read_normalizer(ProtoReader message, SentencePieceNormalizerSpec& spec) {
  while (message.next()) {
    if (message.field() == kCharsmap) {
      spec.precompiled_charsmap = message.as_bytes("precompiled_charsmap");
      continue;
    }
    bool known = false;
    each_normalizer_field(spec, [&](uint32_t number, const char* name, auto& member) {
      if (number != message.field()) return;
      read_into(message, name, member);
      known = true;
    });
    if (!known) keep(message, spec.rest);
  }
}

void read_self_tests(ProtoReader message, std::vector<std::pair<std::string, std::string>>& tests) {
  while (message.next()) {
    if (message.field() != kSamples) {
      message.refuse("", detail::join("must be samples; it is field ", message.field()));
    }
    ProtoReader sample = message.as_message("samples");
    auto& [input, expected] = tests.emplace_back();
    while (sample.next()) {
      if (sample.field() == kInput) input = sample.as_bytes("input");
      if (sample.field() == kExpected) expected = sample.as_bytes("expected");
    }
  }
}

// What can only be said of a piece among the others.
class PieceChecks {
 public:
  explicit PieceChecks(size_t count) : in_texts_(count), reserved_(count) {}

  /// `piece` must stay where it is until the last one has been added.
  void add(const ProtoReader& at, const SentencePieceFile::Piece& piece) {
    if (piece.text.empty()) at.refuse("pieces", "a piece must not be empty; this one is");
    // The two kinds do not meet: a text that contains "<s>" never becomes the control piece of that name.
    const bool in_texts = piece.type == PieceType::normal || piece.type == PieceType::user_defined ||
                          piece.type == PieceType::unused;
    const int32_t other = (in_texts ? in_texts_ : reserved_).insert(piece.text, count_);
    if (other != count_) {
      at.refuse("pieces", detail::join("each piece may stand once; piece ", count_, ", ",
                                       shown_text(piece.text), ", is also piece ", other));
    }
    if (piece.type == PieceType::unknown) {
      if (unknown_ >= 0) {
        at.refuse("pieces", detail::join("there must be one piece of type unknown; pieces ", unknown_,
                                         " and ", count_, " are"));
      }
      unknown_ = count_;
    }
    if (piece.type == PieceType::byte) {
      if (!is_byte_token(piece.text)) {
        at.refuse("pieces", detail::join("a piece of type byte must be written as <0x00> to <0xFF>; piece ",
                                         count_, " is ", shown_text(piece.text)));
      }
      ++bytes_;
    }
    ++count_;
  }

  void finish(const std::string& source, bool byte_fallback) const {
    check_world(count_ > 0, source, ": a SentencePiece model must have pieces; there are none");
    check_world(unknown_ >= 0, source, ": there must be one piece of type unknown; there is none");
    check_world(byte_fallback || bytes_ == 0, source,
                ": pieces of type byte need trainer_spec.byte_fallback; there are ", bytes_,
                " and it is false");
    // No two are the same, so 256 of them are all.
    check_world(!byte_fallback || bytes_ == 256, source,
                ": trainer_spec.byte_fallback needs all 256 pieces of type byte; there are ", bytes_);
  }

 private:
  TokenTable in_texts_;
  TokenTable reserved_;
  int32_t count_ = 0;
  int32_t unknown_ = -1;
  int32_t bytes_ = 0;
};

// ---- Writing ----

void put(ProtoWriter& out, uint32_t number, bool value) { out.put_bool(number, value); }
void put(ProtoWriter& out, uint32_t number, int32_t value) { out.put_int32(number, value); }
void put(ProtoWriter& out, uint32_t number, float value) { out.put_float(number, value); }
void put(ProtoWriter& out, uint32_t number, const std::string& value) { out.put_bytes(number, value); }
void put(ProtoWriter& out, uint32_t number, ModelType value) {
  out.put_int32(number, static_cast<int32_t>(value));
}
void put(ProtoWriter& out, uint32_t number, const std::vector<std::string>& values) {
  for (const std::string& value : values) out.put_bytes(number, value);
}

std::string normalizer_bytes(const SentencePieceNormalizerSpec& spec) {
  ProtoWriter out;
  out.put_bytes(kCharsmap, spec.precompiled_charsmap);
  each_normalizer_field(spec,
                        [&](uint32_t number, const char*, const auto& member) { put(out, number, member); });
  out.put_raw(spec.rest);
  return out.bytes();
}

}  // namespace

int32_t SentencePieceFile::unknown_id() const {
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].type == PieceType::unknown) return static_cast<int32_t>(id);
  }
  fail("SentencePieceFile: there must be a piece of type unknown; there is none");
}

SentencePieceFile read_sentencepiece(std::string_view bytes, const std::string& source) {
  check_world(bytes.size() <= static_cast<size_t>(std::numeric_limits<int32_t>::max()), source,
              ": a SentencePiece model must be smaller than 2 GiB; it has ", bytes.size(), " bytes");
  SentencePieceFile file;
  size_t count = 0;
  for (ProtoReader model(bytes, source); model.next();) count += model.field() == kPieces;
  file.pieces.reserve(count);  // so that no piece moves while it is being looked at
  PieceChecks checks(count);
  for (ProtoReader model(bytes, source); model.next();) {
    switch (model.field()) {
      case kPieces:
        file.pieces.push_back(read_piece(model.as_message("pieces")));
        checks.add(model, file.pieces.back());
        break;
      case kTrainer: read_trainer(model.as_message("trainer_spec"), file.trainer); break;
      case kNormalizer: read_normalizer(model.as_message("normalizer_spec"), file.normalizer); break;
      case kDenormalizer:
        if (!file.denormalizer) file.denormalizer.emplace();
        read_normalizer(model.as_message("denormalizer_spec"), *file.denormalizer);
        break;
      case kSelfTests: read_self_tests(model.as_message("self_test_data"), file.self_tests); break;
      default: keep(model, file.rest);
    }
  }
  checks.finish(source, file.trainer.byte_fallback);
  return file;
}

std::string write_sentencepiece(const SentencePieceFile& file) {
  ProtoWriter out;
  ProtoWriter inner;
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    inner.clear();
    inner.put_bytes(kText, piece.text);
    inner.put_float(kScore, piece.score);
    if (piece.type != PieceType::normal) inner.put_int32(kType, static_cast<int32_t>(piece.type));
    out.put_bytes(kPieces, inner.bytes());
  }
  inner.clear();
  each_trainer_field(file.trainer,
                     [&](uint32_t number, const char*, const auto& member) { put(inner, number, member); });
  inner.put_raw(file.trainer.rest);
  out.put_bytes(kTrainer, inner.bytes());
  out.put_bytes(kNormalizer, normalizer_bytes(file.normalizer));
  if (!file.self_tests.empty()) {
    ProtoWriter tests;
    for (const auto& [input, expected] : file.self_tests) {
      inner.clear();
      inner.put_bytes(kInput, input);
      inner.put_bytes(kExpected, expected);
      tests.put_bytes(kSamples, inner.bytes());
    }
    out.put_bytes(kSelfTests, tests.bytes());
  }
  if (file.denormalizer) out.put_bytes(kDenormalizer, normalizer_bytes(*file.denormalizer));
  out.put_raw(file.rest);
  // Reading back is the one list of what a model must be.
  read_sentencepiece(out.bytes(), "write_sentencepiece");
  return out.bytes();
}

}  // namespace gradus
