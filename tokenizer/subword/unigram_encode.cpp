// How a unigram model encodes: the search for the best way, and what spares most of it.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tensor/error.hpp"
#include "tokenizer/subword/unigram_model.hpp"
#include "tokenizer/subword/word_cache.hpp"
#include "tokenizer/text/space_mark.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

using Arithmetic = UnigramModel::Arithmetic;

// The bytes of the character that a byte begins, if it begins one.
constexpr std::array<uint8_t, 256> kCharBytes = [] {
  std::array<uint8_t, 256> bytes{};
  for (size_t byte = 0; byte < 256; ++byte) {
    bytes[byte] = byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
  }
  return bytes;
}();

// A sum as the arithmetic keeps it.
template <Arithmetic kArithmetic>
double kept(double sum) {
  return kArithmetic == Arithmetic::float32 ? static_cast<double>(static_cast<float>(sum)) : sum;
}

}  // namespace

// Calls visit(begin, end, id) for every character of a word, with the longest piece that ends where it does. Where that
// gives false the visit ends; gives the byte where it did, or the word's size.
template <class Visit>
size_t UnigramModel::visit_characters(std::string_view word, Visit visit) const {
  Automaton::State state = Automaton::kStart;
  for (size_t begin = 0; begin < word.size();) {
    const size_t end =
        std::min<size_t>(begin + kCharBytes[static_cast<unsigned char>(word[begin])], word.size());
    for (size_t i = begin; i < end; ++i) state = automaton_.next(state, static_cast<unsigned char>(word[i]));
    if (!visit(begin, end, automaton_.longest(state))) return begin;
    begin = end;
  }
  return word.size();
}

// Fills best[1 ... word.size()], in sums that go on from that of what is before the word, and gives the word's size; or
// the byte of the first character for which there is no way.
template <UnigramModel::Arithmetic kArithmetic>
size_t UnigramModel::search(std::string_view word, double before, std::vector<Best>& best) const {
  best[0] = {before, 0, Trie::kNone};
  return visit_characters(word, [&](size_t begin, size_t end, int32_t longest) {
    Best way = {-std::numeric_limits<double>::infinity(), 0, Trie::kNone};
    size_t shortest = 0;
    for (int32_t id = longest; id != Trie::kNone;) {
      const Piece& piece = pieces_[static_cast<size_t>(id)];
      shortest = piece.length;
      const double sum = best[end - shortest].sum + piece.score;
      if (sum > way.sum) way = {kept<kArithmetic>(sum), static_cast<uint32_t>(end - shortest), id};
      id = piece.next;
    }
    // Pieces are whole characters: what is one, is UTF-8.
    if (shortest != end - begin) {
      char32_t c = 0;
      if (decode_utf8(word.data() + begin, word.data() + word.size(), c) == 0) return false;
      const double sum = kept<kArithmetic>(best[begin].sum + unknown_score_);
      if (sum > way.sum) {
        if (!unk_id_) return false;
        way = {sum, static_cast<uint32_t>(begin), *unk_id_};
      }
    }
    best[end] = way;
    return true;
  });
}

// The same in doubles from 0 on, and how far the best way leads; or nothing, where a character is no piece.
std::optional<UnigramModel::Outlook> UnigramModel::look_out(std::string_view word,
                                                            std::vector<Best>& best) const {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double leads[WordKey::kLongest + kSpaceText.size() + 1];
  Outlook outlook = {kInfinity, 0, 0};
  best[0] = {0, 0, Trie::kNone};
  leads[0] = kInfinity;
  const size_t visited = visit_characters(word, [&](size_t begin, size_t end, int32_t longest) {
    Best way = {-kInfinity, 0, Trie::kNone};
    double second = -kInfinity;
    size_t shortest = 0;
    for (int32_t id = longest; id != Trie::kNone;) {
      const Piece& piece = pieces_[static_cast<size_t>(id)];
      shortest = piece.length;
      const double sum = best[end - shortest].sum + piece.score;
      second = std::max(second, std::min(sum, way.sum));
      if (sum > way.sum) way = {sum, static_cast<uint32_t>(end - shortest), id};
      id = piece.next;
    }
    if (shortest != end - begin || way.id == unk_id_) return false;
    best[end] = way;
    // The second-best way has another last piece, or the second-best way to the same one.
    leads[end] = std::min(way.sum - second, leads[way.begin]);
    outlook.lead = leads[end];
    outlook.reach = std::max(outlook.reach, std::abs(way.sum));
    ++outlook.characters;
    return true;
  });
  return visited == word.size() ? std::optional(outlook) : std::nullopt;
}

// Encodes words, which it takes apart where no piece can lie across. Of a part only the sum of what is before it matters,
// and that only by its rounding: where the best way leads by more than rounding can make up for, it is the best
// whatever the sum. Let u be the unit roundoff, n the part's characters, S the sum before, and M the largest best sum to
// any place in the part. The search's best sums are off by n·u·(|S| + M) at most, as rounding keeps order: no sum that
// loses, however it is rounded, comes above the one that wins. So a way that the search takes for the best is worse by
// 2·n·u·(|S| + M) at most; the lead, which is measured in doubles, is off by no more; and twice both is on the safe side.
class UnigramModel::Encoder {
 public:
  Encoder(const UnigramModel& model, std::string_view text, std::vector<Token>& tokens)
      : model_(model), text_(text), tokens_(tokens) {}

  void add(ByteSpan word) {
    for (uint32_t begin = word.begin; begin < word.end;) {
      const uint32_t end =
          model_.cuts_at_space_ ? static_cast<uint32_t>(marked_word_end(text_, begin, word.end)) : word.end;
      add_part({begin, end}, begin == word.begin);
      begin = end;
    }
  }

  void finish() {
    encode_parts();
    end_word();
  }

 private:
  // Looking a part up waits for the memory, so a few are asked for before the first is looked at.
  static constexpr size_t kAtOnce = 16;
  static constexpr uint64_t kAfterSpace = uint64_t{1} << 63;

  struct Part {
    ByteSpan span;
    WordKey key;
    bool begins_word;
    bool is_short;
  };

  void add_part(ByteSpan span, bool begins_word) {
    const std::string_view all = text_.substr(span.begin, span.end - span.begin);
    const bool after_space = all.starts_with(kSpaceText);
    const std::string_view rest = all.substr(after_space ? kSpaceText.size() : 0);
    Part& part = parts_[count_++];
    part = {span, {}, begins_word, rest.size() <= WordKey::kLongest};
    if (part.is_short) {
      part.key = WordKey::of(rest, text_.data() + text_.size());
      if (after_space) part.key.high |= kAfterSpace;
      cache_.prefetch(part.key);
    }
    if (count_ == kAtOnce) encode_parts();
  }

  void encode_parts() {
    for (size_t i = 0; i < count_; ++i) {
      if (parts_[i].begins_word) end_word();
      encode_part(parts_[i]);
    }
    count_ = 0;
  }

  void encode_part(const Part& part) {
    if (!part.is_short) return search(part.span);
    WordCache::Entry& entry = cache_.at(part.key);
    if (entry.is(part.key, model_.serial_)) {
      if (!is_within(entry.note)) return search(part.span);
      const size_t before = tokens_.size();
      entry.append_to(tokens_, part.span.begin, part.span.end);
      bound_ += static_cast<double>(tokens_.size() - before) * model_.largest_score_;
      return;
    }
    const std::string_view bytes = bytes_of(part.span);
    const size_t before = tokens_.size();
    make_room(bytes.size());
    const std::optional<Outlook> outlook = model_.look_out(bytes, best_);
    if (!outlook) return search(part.span);
    const float most = most_before(*outlook);
    if (is_within(most)) {
      model_.append_path(part.span, best_, before, tokens_);
      bound_ += static_cast<double>(tokens_.size() - before) * model_.largest_score_;
    } else {
      const bool first = sum() == 0;
      search(part.span);
      // What is found behind a sum that is too large may hold nowhere else; what is found behind nothing holds there.
      if (most >= 0 || !first || any_unknown_) return;
    }
    entry.keep(part.key, model_.serial_, tokens_, before, part.span.begin, std::max(most, 0.0F));
  }

  // The largest sum, without its sign, that may be before a part.
  float most_before(const Outlook& outlook) const {
    const double roundoff = model_.arithmetic_ == Arithmetic::float32 ? 0x1p-24 : 0x1p-53;
    const double most =
        outlook.lead / (8 * static_cast<double>(outlook.characters) * roundoff) - outlook.reach;
    constexpr double kMost = 1e37;  // as a float it must not be infinite
    return static_cast<float>(0.999 * std::clamp(most, -1.0, kMost));
  }

  bool is_within(float most) {
    if (bound_ <= most) return true;
    bound_ = std::abs(sum());
    return bound_ <= most;
  }

  // The sum of the word's tokens so far, as the search would have it.
  double sum() {
    for (; summed_ < tokens_.size(); ++summed_) {
      const double next = sum_ + model_.pieces_[static_cast<size_t>(tokens_[summed_].id)].score;
      sum_ = model_.arithmetic_ == Arithmetic::float32 ? kept<Arithmetic::float32>(next) : next;
    }
    return sum_;
  }

  void search(ByteSpan span) {
    const std::string_view bytes = bytes_of(span);
    make_room(bytes.size());
    const size_t searched = model_.arithmetic_ == Arithmetic::float32
                                ? model_.search<Arithmetic::float32>(bytes, sum(), best_)
                                : model_.search<Arithmetic::float64>(bytes, sum(), best_);
    if (searched != bytes.size()) model_.fail_at(text_, span.begin + searched, span.end);
    any_unknown_ |= model_.append_path(span, best_, from_, tokens_);
    summed_ = tokens_.size();
    sum_ = best_[bytes.size()].sum;
    bound_ = std::abs(sum_);
  }

  // The word's tokens are all there.
  void end_word() {
    if (any_unknown_) model_.replace_unknown(text_, from_, tokens_);
    from_ = summed_ = tokens_.size();
    any_unknown_ = false;
    sum_ = bound_ = 0;
  }

  std::string_view bytes_of(ByteSpan span) const { return text_.substr(span.begin, span.end - span.begin); }

  void make_room(size_t bytes) {
    if (best_.size() <= bytes) best_.resize(std::max(2 * best_.size(), bytes + 1));
  }

  const UnigramModel& model_;
  std::string_view text_;
  std::vector<Token>& tokens_;
  WordCache& cache_ = WordCache::local();
  std::vector<Best> best_ = std::vector<Best>(64);
  Part parts_[kAtOnce];
  size_t count_ = 0;
  // Of the word at hand:
  size_t from_ = tokens_.size();  // its first token
  bool any_unknown_ = false;
  size_t summed_ = from_;  // the tokens before this one are in sum_
  double sum_ = 0;
  double bound_ = 0;  // the sum of all tokens is no larger than this, without its sign
};

void UnigramModel::encode(std::string_view text, std::span<const ByteSpan> words,
                          std::vector<Token>& tokens) const {
  Encoder encoder(*this, text, tokens);
  for (const ByteSpan word : words) encoder.add(word);
  encoder.finish();
}

void UnigramModel::fail_at(std::string_view text, size_t begin, size_t end) const {
  char32_t c = 0;
  check_world(decode_utf8(text.data() + begin, text.data() + end, c) != 0,
              "Unigram: the text must be UTF-8; byte ", begin, " begins no character; convert it first");
  fail_world("Unigram: every character must be a piece, as there is no unknown piece; ", describe_char(c),
             " at byte ", begin, " is none; remove it, or use a tokenizer that knows it");
}

// Appends the pieces of the best way through a part of the word whose tokens begin at `from`, and says whether an unknown
// one is among them.
bool UnigramModel::append_path(ByteSpan part, const std::vector<Best>& best, size_t from,
                               std::vector<Token>& tokens) const {
  const int32_t unknown = unk_id_.value_or(Trie::kNone);
  const size_t first = tokens.size();
  bool any_unknown = false;
  bool after_unknown = false;
  for (uint32_t end = part.end - part.begin; end > 0;) {
    const Best& last = best[end];
    const bool is_unknown = last.id == unknown;
    if (is_unknown && after_unknown && fuses_unknown()) {
      tokens.back().begin = part.begin + last.begin;
    } else {
      tokens.push_back({last.id, part.begin + last.begin, part.begin + end});
    }
    after_unknown = is_unknown;
    any_unknown |= is_unknown;
    end = last.begin;
  }
  const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(first);
  std::reverse(begin, tokens.end());
  // The first one may go on with the last of the part before.
  if (first > from && first < tokens.size() && tokens[first].id == unknown &&
      tokens[first - 1].id == unknown && fuses_unknown()) {
    tokens[first - 1].end = tokens[first].end;
    tokens.erase(begin);
  }
  return any_unknown;
}

// Gives the unknown tokens from `from` on the ids of their texts, or of their bytes, where there are such.
void UnigramModel::replace_unknown(std::string_view text, size_t from, std::vector<Token>& tokens) const {
  const std::vector<Token> path(tokens.begin() + static_cast<std::ptrdiff_t>(from), tokens.end());
  tokens.resize(from);
  const bool hugging_face = arithmetic_ == Arithmetic::float64;
  const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  for (const Token& token : path) {
    const std::string_view bytes = text.substr(token.begin, token.end - token.begin);
    const int32_t whole = token.id == *unk_id_ && hugging_face ? automaton_.find(bytes) : token.id;
    if (token.id != *unk_id_ || (hugging_face && whole != Trie::kNone)) {
      tokens.push_back({whole, token.begin, token.end});
    } else if (byte_fallback_ && std::none_of(bytes.begin(), bytes.end(),
                                              [&](char byte) { return id_of(byte) == Trie::kNone; })) {
      for (const char& byte : bytes) {
        // SentencePiece gives all of the character to its last byte.
        const uint32_t end = hugging_face || &byte == &bytes.back() ? token.end : token.begin;
        tokens.push_back({id_of(byte), token.begin, end});
      }
    } else {
      tokens.push_back(token);
    }
  }
}

}  // namespace gradus
