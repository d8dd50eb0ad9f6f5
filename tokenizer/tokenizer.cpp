#include "tokenizer/tokenizer.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/bpe.hpp"
#include "tokenizer/bpe_train.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/char_model.hpp"
#include "tokenizer/tokenizer_json.hpp"
#include "tokenizer/unicode.hpp"

namespace gradus {
namespace {

std::vector<std::string> texts_of(const std::vector<std::string>& tokens) {
  std::vector<std::string> texts;
  texts.reserve(tokens.size() + 1);
  for (const std::string& token : tokens) texts.push_back(bytes_to_text(token));
  return texts;
}

// Where the special tokens stand in a text: the leftmost, of several at one place the longest.
class SpecialFinder {
 public:
  SpecialFinder(const TokenizerModel& model, std::string_view text) : model_(model), text_(text) {
    for (const int32_t id : model.special_ids())
      next_.push_back({id, text.find(model.vocabulary().bytes(id))});
  }

  struct Match {
    int32_t id = -1;
    size_t at = std::string_view::npos;
  };

  // The first match that begins at `from` or later.
  Match next(size_t from) {
    Match best;
    for (Match& match : next_) {
      const std::string& bytes = model_.vocabulary().bytes(match.id);
      if (match.at < from) match.at = text_.find(bytes, from);
      if (match.at == std::string_view::npos) continue;
      const bool longer = match.at == best.at && bytes.size() > model_.vocabulary().bytes(best.id).size();
      if (match.at < best.at || longer) best = match;
    }
    return best;
  }

 private:
  const TokenizerModel& model_;
  std::string_view text_;
  std::vector<Match> next_;
};

}  // namespace

Tokenizer Tokenizer::train_char(std::string_view text) { return Tokenizer(CharModel::train(text)); }

Tokenizer Tokenizer::bytes() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  std::vector<std::string> texts = texts_of(tokens);
  return Tokenizer(std::make_shared<const BpeModel>(Vocabulary(std::move(tokens), std::move(texts)),
                                                    std::vector<BpeMerge>{}, std::vector<int32_t>{}));
}

Tokenizer Tokenizer::train_bpe(std::span<const std::string_view> documents, int64_t vocab_size,
                               const ProgressFn& progress) {
  check(vocab_size >= 257 && vocab_size <= 0x7FFFFFFF,
        "train_bpe: the vocabulary must have at least 257 entries, the 256 bytes and ", kEndOfText,
        ", and at most 2147483647; ", vocab_size, " was asked for; give a number between, such as 2048");
  BpeTraining training = train_bpe_merges(documents, vocab_size - 1, progress);
  const auto end_of_text = static_cast<int32_t>(training.tokens.size());
  std::string note;
  if (end_of_text + 1 < vocab_size) {
    note = detail::join(
        "train_bpe: the vocabulary has ", end_of_text + 1, " entries, not the ", vocab_size,
        " asked for: no pair of neighbouring tokens occurs twice any more; give more text or ask for less");
  }
  std::vector<std::string> texts = texts_of(training.tokens);
  training.tokens.emplace_back(kEndOfText);
  texts.emplace_back(kEndOfText);
  return Tokenizer(
      std::make_shared<const BpeModel>(Vocabulary(std::move(training.tokens), std::move(texts)),
                                       std::move(training.merges), std::vector<int32_t>{end_of_text}),
      std::move(note));
}

Tokenizer Tokenizer::parse(std::string_view json, const std::string& source) {
  return Tokenizer(read_tokenizer_json(Json::parse(json, source)));
}

Tokenizer Tokenizer::load(const std::string& path) { return parse(read_file(path), path); }

void Tokenizer::save(const std::string& path) const { write_file_atomic(path, to_json()); }

std::string Tokenizer::to_json() const { return model().to_json().dump(2) + "\n"; }

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::vector<int32_t> ids;
  const TokenizerModel& model = this->model();
  if (!options.special_tokens || model.special_ids().empty()) {
    model.encode(text, 0, ids);
    return ids;
  }
  SpecialFinder finder(model, text);
  for (size_t at = 0; at < text.size();) {
    const SpecialFinder::Match match = finder.next(at);
    const size_t end = std::min(match.at, text.size());
    model.encode(text.substr(at, end - at), static_cast<int64_t>(at), ids);
    if (match.id < 0) break;
    ids.push_back(match.id);
    at = match.at + model.vocabulary().bytes(match.id).size();
  }
  return ids;
}

std::vector<Piece> Tokenizer::encode_pieces(std::string_view text, EncodeOptions options) const {
  const std::vector<int32_t> ids = encode(text, options);
  std::vector<Piece> pieces;
  pieces.reserve(ids.size());
  int64_t at = 0;  // the bytes of the ids join to the text, so their lengths are their places
  for (const int32_t id : ids) {
    const int64_t end = at + static_cast<int64_t>(model_->vocabulary().bytes(id).size());
    pieces.push_back({id, at, end});
    at = end;
  }
  return pieces;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  const Vocabulary& vocabulary = model().vocabulary();
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    check(ids[i] >= 0 && ids[i] < vocabulary.size(), "decode: ids must be from 0 to ", vocabulary.size() - 1,
          "; id ", ids[i], " is at place ", i, "; use the tokenizer that made the ids");
    text += vocabulary.bytes(ids[i]);
  }
  return text;
}

std::string Tokenizer::kind() const { return model().kind(); }

int64_t Tokenizer::vocab_size() const { return model().vocabulary().size(); }

const std::string& Tokenizer::token_bytes(int32_t id) const { return model_of(id).vocabulary().bytes(id); }

const std::string& Tokenizer::token_text(int32_t id) const { return model_of(id).vocabulary().text(id); }

std::optional<int32_t> Tokenizer::id_of(std::string_view token_text) const {
  return model().vocabulary().find(token_text);
}

std::optional<int32_t> Tokenizer::end_of_text() const {
  const std::optional<int32_t> id = model().vocabulary().find(kEndOfText);
  return id && is_special(*id) ? id : std::nullopt;
}

bool Tokenizer::is_special(int32_t id) const {
  const std::vector<int32_t>& ids = model_of(id).special_ids();
  return std::binary_search(ids.begin(), ids.end(), id);
}

const TokenizerModel& Tokenizer::model() const {
  check(model_ != nullptr,
        "tokenizer: must be loaded or trained before use; this one is empty; "
        "assign what load, parse, bytes or a train_ function gives");
  return *model_;
}

const TokenizerModel& Tokenizer::model_of(int32_t id) const {
  const TokenizerModel& model = this->model();
  check(id >= 0 && id < model.vocabulary().size(), "tokenizer: ids must be from 0 to ",
        model.vocabulary().size() - 1, "; ", id, " was given; use the tokenizer that made the id");
  return model;
}

StreamDecoder::StreamDecoder(Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}

std::string StreamDecoder::push(int32_t id) {
  held_ += tokenizer_.token_bytes(id);
  const size_t certain = held_.size() - static_cast<size_t>(incomplete_utf8_tail(held_));
  std::string out = held_.substr(0, certain);
  held_.erase(0, certain);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  out.swap(held_);
  return out;
}

}  // namespace gradus
