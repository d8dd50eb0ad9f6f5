#include "tokenizer/subword/unigram_model.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "tensor/error.hpp"
#include "tokenizer/subword/word_cache.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/space_mark.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

using Arithmetic = UnigramModel::Arithmetic;
using PieceType = UnigramModel::PieceType;

// Sums of 2^32 such scores are still finite, in floats too.
constexpr double kLargestScore = 1e28;

constexpr int kLargestPower = 308;

const std::array<double, kLargestPower + 1>& powers_of_ten() {
  static const auto powers = [] {
    std::array<double, kLargestPower + 1> values{};
    for (int exponent = 0; exponent <= kLargestPower; ++exponent) {
      const std::string text = "1e" + std::to_string(exponent);
      std::from_chars(text.data(), text.data() + text.size(), values[static_cast<size_t>(exponent)]);
    }
    return values;
  }();
  return powers;
}

// A score as the Hugging Face library has it once it was in a file. Its reader takes the decimal digits as a double
// and divides by a power of ten, so that every fourth score or so is off in the last bit; sums that are equal but
// for that bit, as those of the same pieces in another order, are told apart by it.
double as_read_from_json(double score) {
  char text[32];
  const std::to_chars_result written =
      std::to_chars(text, text + sizeof text, std::abs(score), std::chars_format::scientific);
  uint64_t digits = 0;
  int exponent = 0;
  bool fraction = false;
  const char* at = text;
  for (; *at != 'e'; ++at) {
    if (*at == '.') {
      fraction = true;
    } else {
      digits = 10 * digits + static_cast<uint64_t>(*at - '0');
      exponent -= fraction;
    }
  }
  int written_exponent = 0;
  std::from_chars(at + (at[1] == '+' ? 2 : 1), written.ptr, written_exponent);
  exponent += written_exponent;
  auto value = static_cast<double>(digits);
  for (; exponent < -kLargestPower; exponent += kLargestPower) value /= powers_of_ten()[kLargestPower];
  const double power = powers_of_ten()[static_cast<size_t>(std::abs(exponent))];
  value = exponent < 0 ? value / power : value * power;
  return std::signbit(score) ? -value : value;
}

}  // namespace

UnigramModel::UnigramModel(std::vector<std::pair<std::string, double>> pieces, std::optional<int32_t> unk_id,
                           bool byte_fallback, Arithmetic arithmetic, std::vector<PieceType> types)
    : types_(std::move(types)),
      unk_id_(unk_id),
      byte_fallback_(byte_fallback),
      arithmetic_(arithmetic),
      serial_(WordCache::new_serial()) {
  tokens_.reserve(pieces.size());
  scores_.reserve(pieces.size());
  for (auto& [text, score] : pieces) {
    tokens_.push_back(std::move(text));
    scores_.push_back(score);
  }
  check_pieces();
  set_scores();
  index_pieces();
}

void UnigramModel::check_pieces() const {
  check(types_.empty() || arithmetic_ == Arithmetic::float32,
        "Unigram: types of pieces are only for the arithmetic of SentencePiece; the arithmetic is float64; "
        "leave "
        "them out");
  check(types_.empty() || types_.size() == tokens_.size(), "Unigram: there must be a type for each of the ",
        tokens_.size(), " pieces; there are ", types_.size());
  for (size_t id = 0; id < tokens_.size(); ++id) {
    check(all_utf8(tokens_[id]), "Unigram: pieces must be UTF-8; piece ", id, " is not");
    check(std::abs(scores_[id]) <= kLargestScore, "Unigram: scores must be numbers from ", -kLargestScore,
          " to ", kLargestScore, "; piece ", id, " has ", scores_[id]);
  }
  check(!unk_id_ || (*unk_id_ >= 0 && static_cast<size_t>(*unk_id_) < tokens_.size()),
        "Unigram: unk_id must be the id of a piece; it is ", unk_id_.value_or(0), ", and there are ",
        tokens_.size(), " pieces");
}

void UnigramModel::set_scores() {
  const bool single = arithmetic_ == Arithmetic::float32;
  double smallest = std::numeric_limits<double>::infinity();
  // What SentencePiece begins with: the smallest positive float.
  double largest = std::numeric_limits<float>::min();
  pieces_.reserve(tokens_.size());
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const double score =
        single ? static_cast<double>(static_cast<float>(scores_[id])) : as_read_from_json(scores_[id]);
    pieces_.push_back({score, static_cast<uint32_t>(tokens_[id].size()), Trie::kNone});
    if (!types_.empty() && types_[id] != PieceType::normal) continue;
    smallest = std::min(smallest, score);
    largest = std::max(largest, score);
  }
  unknown_score_ = smallest - double{kUnknownPenalty};
  const auto find_largest = [&] {
    largest_score_ = std::abs(unknown_score_);
    for (const Piece& piece : pieces_) largest_score_ = std::max(largest_score_, std::abs(piece.score));
  };
  if (!single) return find_largest();
  if (smallest > kLargestScore) smallest = std::numeric_limits<float>::max();
  unknown_score_ = static_cast<double>(static_cast<float>(smallest) - kUnknownPenalty);
  for (size_t id = 0; id < types_.size(); ++id) {
    if (types_[id] != PieceType::user_defined) continue;
    // The product is a float there, the difference a double.
    const float product = static_cast<float>(pieces_[id].length) * static_cast<float>(largest);
    pieces_[id].score = static_cast<double>(product) - 0.1;
  }
  find_largest();
}

void UnigramModel::index_pieces() {
  std::vector<std::string_view> found(tokens_.begin(), tokens_.end());
  std::vector<std::string_view> reserved(tokens_.size());
  for (size_t id = 0; id < types_.size(); ++id) {
    if (types_[id] == PieceType::normal || types_[id] == PieceType::user_defined) continue;
    std::swap(found[id], reserved[id]);
  }
  automaton_ = Automaton(found);
  reserved_ = Trie(reserved);
  for (size_t id = 0; id < pieces_.size(); ++id) {
    if (!found[id].empty()) pieces_[id].next = automaton_.next_longest(static_cast<int32_t>(id));
    if (arithmetic_ == Arithmetic::float64) continue;
    const int32_t same = found[id].empty() ? reserved_.find(reserved[id]) : automaton_.find(found[id]);
    check(same == static_cast<int32_t>(id), "Unigram: pieces must differ and must not be empty; piece ", id,
          ", \"", tokens_[id], "\", is ", same < 0 ? "empty" : "there twice");
  }
  cuts_at_space_ = std::all_of(found.begin(), found.end(), [](std::string_view piece) {
    return marked_word_end(piece, 0, piece.size()) == piece.size();
  });
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = find(byte_token(static_cast<int>(byte))).value_or(Trie::kNone);
    check(arithmetic_ == Arithmetic::float64 || !byte_fallback_ || byte_ids_[byte] != Trie::kNone,
          "Unigram: byte_fallback must have a piece for each byte; there is no ",
          byte_token(static_cast<int>(byte)));
  }
}

std::optional<int32_t> UnigramModel::find(std::string_view piece) const {
  int32_t id = reserved_.find(piece);
  if (id == Trie::kNone) id = automaton_.find(piece);
  return id == Trie::kNone ? std::nullopt : std::optional<int32_t>(id);
}

std::shared_ptr<const SubwordModel> UnigramModel::without(std::span<const int32_t> tokens) const {
  if (arithmetic_ == Arithmetic::float32) return nullptr;  // there they have types, and are not looked for
  std::vector<std::pair<std::string, double>> pieces;
  for (size_t id = 0; id < tokens_.size(); ++id) pieces.emplace_back(tokens_[id], scores_[id]);
  for (const int32_t id : tokens) pieces[static_cast<size_t>(id)].first.clear();
  auto model = std::make_shared<UnigramModel>(std::move(pieces), unk_id_, byte_fallback_);
  model->byte_ids_ = byte_ids_;
  return model;
}

std::shared_ptr<const UnigramModel> UnigramModel::read(const Json& model) {
  check_json_keys(model, {"type", "unk_id", "vocab", "byte_fallback"});
  const Json::Array& vocab = model.at("vocab").as_array();
  std::vector<std::pair<std::string, double>> pieces;
  pieces.reserve(vocab.size());
  for (const Json& entry : vocab) {
    const Json::Array& pair = entry.as_array();
    check_world(pair.size() == 2, entry.path(), ": must be a piece and its score; it has ", pair.size(),
                " values");
    const double score = pair[1].as_number();
    check_world(std::abs(score) <= kLargestScore, pair[1].path(), ": must be from ", -kLargestScore, " to ",
                kLargestScore, "; it is ", score);
    pieces.emplace_back(pair[0].as_string(), score);
  }
  std::optional<int32_t> unk_id;
  if (const Json* value = find_value(model, "unk_id")) {
    const int64_t id = value->as_integer();
    check_world(id >= 0 && id < std::ssize(vocab), value->path(),
                ": must be the id of a piece of vocab; it is ", id, ", and vocab has ", vocab.size(),
                " pieces");
    unk_id = static_cast<int32_t>(id);
  }
  return std::make_shared<const UnigramModel>(std::move(pieces), unk_id,
                                              boolean_or(model, "byte_fallback", false));
}

Json UnigramModel::to_json() const {
  for (size_t id = 0; id < types_.size(); ++id) {
    check(types_[id] != PieceType::user_defined && types_[id] != PieceType::unused,
          "Unigram: a tokenizer.json cannot say that "
          "a piece is user-defined or unused, as '",
          tokens_[id], "' is; write a SentencePiece model instead");
  }
  Json::Array vocab;
  vocab.reserve(tokens_.size());
  for (size_t id = 0; id < tokens_.size(); ++id)
    vocab.push_back(Json::array({Json(tokens_[id]), Json(scores_[id])}));
  return Json::object({{"type", "Unigram"},
                       {"unk_id", unk_id_ ? Json(int64_t{*unk_id_}) : Json()},
                       {"vocab", Json::array(std::move(vocab))},
                       {"byte_fallback", byte_fallback_}});
}

}  // namespace gradus
