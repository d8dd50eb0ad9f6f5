#include "tokenizer/subword/bpe_model.hpp"

#include <algorithm>
#include <numeric>

#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/subword/word_cache.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

// A character, or a byte that is none, for an error message.
std::string describe_bytes(std::string_view bytes) {
  char32_t c = 0;
  if (decode_utf8(bytes.data(), bytes.data() + bytes.size(), c) > 0) return describe_char(c);
  return "byte " + hex_byte(bytes[0]);
}

// Appends the symbols of a word that ends at `end` as tokens.
void append(std::span<const BpeSymbol> symbols, uint32_t end, std::vector<Token>& tokens) {
  for (size_t i = 0; i < symbols.size(); ++i) {
    tokens.push_back({symbols[i].id, symbols[i].begin, i + 1 < symbols.size() ? symbols[i + 1].begin : end});
  }
}

int length_of(std::string_view text, size_t at) {
  char32_t c = 0;
  return decode_utf8(text.data() + at, text.data() + text.size(), c);
}

}  // namespace

BpeModel::BpeModel(BpeParts parts)
    : parts_(std::move(parts)), symbols_(parts_.tokens.size()), serial_(WordCache::new_serial()) {
  const auto count = static_cast<int32_t>(parts_.tokens.size());
  byte_ids_.fill(-1);
  fallback_ids_.fill(-1);
  affixed_ = !parts_.prefix.empty() || !parts_.suffix.empty();
  as_bytes_ = parts_.byte_level && !affixed_;
  const auto merges = [&](size_t id) { return parts_.in_merges.empty() || parts_.in_merges[id]; };
  if (as_bytes_) {
    bytes_.reserve(parts_.tokens.size());
    for (const std::string& token : parts_.tokens) bytes_.push_back(text_to_bytes(token).value_or(""));
    symbols_.insert_all(bytes_, merges);
    for (int32_t id = 0; id < count; ++id) {
      const auto index = static_cast<size_t>(id);
      if (bytes_[index].size() == 1) byte_ids_[static_cast<unsigned char>(bytes_[index][0])] = id;
      if (!parts_.tokens[index].empty() && (bytes_[index].empty() || !merges(index))) others_.push_back(id);
    }
    const auto missing = std::find(byte_ids_.begin(), byte_ids_.end(), -1);
    has_all_bytes_ = missing == byte_ids_.end();
    check(
        has_all_bytes_ || (parts_.order == BpeParts::Order::merges && !parts_.byte_fallback),
        "bpe: a byte-level vocabulary of ranks, or with byte_fallback, must have a token for each of the 256 "
        "bytes; that of byte ",
        missing - byte_ids_.begin(), " is missing; add it");
  } else {
    names_ = TokenTable(parts_.tokens.size());
    names_.insert_all(parts_.tokens, [](size_t) { return true; });
    symbols_.insert_all(parts_.tokens, merges);
    for (size_t byte = 0; parts_.byte_fallback && byte < 256; ++byte) {
      fallback_ids_[byte] = names_.find(byte_token(static_cast<int>(byte)));
    }
  }
  if (!has_all_bytes_ && !parts_.unk_token.empty()) {
    unk_id_ = find(parts_.unk_token).value_or(-1);
    check(unk_id_ >= 0, "bpe: the unknown token must be in the vocabulary; \"", parts_.unk_token,
          "\" is not; add it or name another");
  }
  if (parts_.order != BpeParts::Order::merges) derive_merges();
  merges_.emplace(parts_.merges);
  index_whole_words();
  find_word_starts();
}

std::optional<int32_t> BpeModel::find(std::string_view token) const {
  int32_t id = -1;
  if (as_bytes_) {
    const std::optional<std::string> bytes = text_to_bytes(token);
    if (bytes) id = symbols_.find(*bytes);
    if (id < 0) {
      const auto found = std::find_if(others_.begin(), others_.end(), [&](int32_t other) {
        return parts_.tokens[static_cast<size_t>(other)] == token;
      });
      if (found != others_.end()) id = *found;
    }
  } else {
    id = names_.find(token);
  }
  return id < 0 ? std::nullopt : std::optional(id);
}

std::shared_ptr<const SubwordModel> BpeModel::without(std::span<const int32_t> tokens) const {
  std::vector<bool> left_out(parts_.tokens.size());
  for (const int32_t id : tokens) left_out[static_cast<size_t>(id)] = true;
  const auto is_left_out = [&](int32_t id) { return left_out[static_cast<size_t>(id)]; };
  const auto made = [&](const BpeMerge& merge) { return is_left_out(merge.result); };
  // Words look up whole tokens only where merges are ignored, and characters where they are not taken as bytes.
  const bool looked_up = std::any_of(tokens.begin(), tokens.end(), [&](int32_t id) {
    const std::string& token = parts_.tokens[static_cast<size_t>(id)];
    const bool symbol = parts_.in_merges.empty() || parts_.in_merges[static_cast<size_t>(id)];
    const bool character =
        !as_bytes_ && static_cast<size_t>(std::max(length_of(token, 0), 0)) == token.size();
    return symbol && (parts_.ignore_merges || character);
  });
  if (!looked_up && std::none_of(parts_.merges.begin(), parts_.merges.end(), made)) return nullptr;
  BpeParts parts = parts_;
  std::erase_if(parts.merges, made);
  parts.in_merges.resize(parts.tokens.size(), parts_.in_merges.empty());
  for (const int32_t id : tokens) parts.in_merges[static_cast<size_t>(id)] = false;
  return std::make_shared<const BpeModel>(std::move(parts));
}

// By id: the order in which tokens are preferred, equal scores sharing a rank.
std::vector<uint32_t> BpeModel::ranks_of_tokens() const {
  std::vector<uint32_t> ranks(parts_.tokens.size());
  std::iota(ranks.begin(), ranks.end(), 0u);
  if (parts_.order == BpeParts::Order::ranks) return ranks;
  std::vector<uint32_t> by_score = ranks;
  const auto score = [&](uint32_t id) { return parts_.scores[id]; };
  std::stable_sort(by_score.begin(), by_score.end(),
                   [&](uint32_t a, uint32_t b) { return score(a) > score(b); });
  for (size_t i = 1, rank = 0; i < by_score.size(); ++i) {
    if (score(by_score[i]) != score(by_score[i - 1])) rank = i;
    ranks[by_score[i]] = static_cast<uint32_t>(rank);
  }
  if (!by_score.empty()) ranks[by_score[0]] = 0;
  return ranks;
}

// Every way of cutting a token in two tokens is a merge.
void BpeModel::derive_merges() {
  constexpr size_t kAtOnce = 1024;
  const std::vector<std::string>& tokens = as_bytes_ ? bytes_ : parts_.tokens;
  const std::vector<uint32_t> ranks = ranks_of_tokens();
  std::vector<std::vector<BpeMerge>> found((tokens.size() + kAtOnce - 1) / kAtOnce);
  parallel_for(static_cast<int64_t>(found.size()), [&](int64_t chunk) {
    const size_t first = static_cast<size_t>(chunk) * kAtOnce;
    for (size_t id = first; id < std::min(first + kAtOnce, tokens.size()); ++id) {
      if (!parts_.in_merges.empty() && !parts_.in_merges[id]) continue;
      const std::string_view token = tokens[id];
      const char* end = token.data() + token.size();
      for (size_t cut = 1; cut < token.size(); ++cut) {
        const int32_t left = symbols_.find(token.substr(0, cut), end);
        if (left < 0) continue;
        const int32_t right = symbols_.find(token.substr(cut), end);
        if (right < 0) continue;
        found[static_cast<size_t>(chunk)].push_back({left, right, static_cast<int32_t>(id), ranks[id]});
      }
    }
  });
  parts_.merges.clear();
  for (const auto& part : found) parts_.merges.insert(parts_.merges.end(), part.begin(), part.end());
}

// Which tokens the merges make of a word equal to them.
std::vector<bool> BpeModel::makeable_tokens() const {
  const auto count = static_cast<int64_t>(parts_.tokens.size());
  std::vector<uint8_t> makeable(parts_.tokens.size());
  parallel_ranges(count, 1024, [&](int64_t begin, int64_t end) {
    std::vector<BpeSymbol> symbols;
    for (int64_t id = begin; id < end; ++id) {
      const std::string& token =
          as_bytes_ ? bytes_[static_cast<size_t>(id)] : parts_.tokens[static_cast<size_t>(id)];
      if (token.empty()) continue;
      symbols.clear();
      if (as_bytes_) {
        symbols.resize(token.size());
        spell_bytes(token, 0, symbols.data());
      } else {
        bool known = true;
        for (size_t at = 0; at < token.size() && known;) {
          const int length = length_of(token, at);
          const int32_t symbol =
              length == 0 ? -1
                          : symbols_.find(std::string_view(token).substr(at, static_cast<size_t>(length)));
          known = symbol >= 0;
          symbols.push_back({symbol, static_cast<uint32_t>(at)});
          at += static_cast<size_t>(std::max(length, 1));
        }
        if (!known) continue;
      }
      makeable[static_cast<size_t>(id)] =
          merges_->apply(symbols.data(), symbols.size()) == 1 && symbols[0].id == id;
    }
  });
  return {makeable.begin(), makeable.end()};
}

void BpeModel::index_whole_words() {
  // With a prefix or suffix a word is not written as its token is.
  if (affixed_) return;
  const std::vector<std::string>& tokens = as_bytes_ ? bytes_ : parts_.tokens;
  if (parts_.ignore_merges) return;
  const std::vector<bool> makeable = makeable_tokens();
  whole_ = TokenTable(tokens.size());
  whole_.insert_all(tokens, [&](size_t id) { return makeable[id]; });
}

void BpeModel::find_word_starts() {
  if (as_bytes_ || affixed_) return;
  if (parts_.ignore_merges || symbols_.find(kSpaceText) < 0) return;
  const auto token = [&](int32_t id) -> std::string_view { return parts_.tokens[static_cast<size_t>(id)]; };
  cuts_at_space_ = std::none_of(parts_.merges.begin(), parts_.merges.end(), [&](const BpeMerge& merge) {
    return token(merge.right).starts_with(kSpaceText) && !token(merge.left).ends_with(kSpaceText);
  });
}

size_t BpeModel::split_at(std::string_view word, size_t at) const {
  if (!cuts_at_space_) return word.size();
  while (at > 0 && at < word.size() && is_continuation(word[at])) --at;  // a mark is not to be cut
  return marked_word_end(word, at, word.size());
}

void BpeModel::encode(std::string_view text, std::span<const ByteSpan> words,
                      std::vector<Token>& tokens) const {
  if (!cuts_at_space_) return encode_words(text, words, tokens);
  constexpr size_t kAtOnce = 512;
  std::vector<ByteSpan> parts;
  for (const ByteSpan word : words) {
    for (uint32_t begin = word.begin; begin < word.end;) {
      const auto end = static_cast<uint32_t>(marked_word_end(text, begin, word.end));
      parts.push_back({begin, end});
      begin = end;
      if (parts.size() < kAtOnce) continue;
      encode_words(text, parts, tokens);
      parts.clear();
    }
  }
  encode_words(text, parts, tokens);
}

void BpeModel::encode_words(std::string_view text, std::span<const ByteSpan> words,
                            std::vector<Token>& tokens) const {
  // Looking a word up waits for the memory, so a few are asked for before the first is looked at.
  constexpr size_t kAtOnce = 16;
  const char* const text_end = text.data() + text.size();
  WordCache& cache = WordCache::local();
  WordKey keys[kAtOnce];
  for (size_t first = 0; first < words.size(); first += kAtOnce) {
    const size_t count = std::min(kAtOnce, words.size() - first);
    for (size_t i = 0; i < count; ++i) {
      const ByteSpan word = words[first + i];
      const size_t size = word.end - word.begin;
      if (size > WordKey::kLongest) continue;
      keys[i] = WordKey::of(text.substr(word.begin, size), text_end);
      cache.prefetch(keys[i]);
    }
    for (size_t i = 0; i < count; ++i) {
      const ByteSpan word = words[first + i];
      const std::string_view bytes = text.substr(word.begin, word.end - word.begin);
      if (bytes.size() > WordKey::kLongest) {
        encode_word(text, word, whole_words().find(bytes), tokens);
        continue;
      }
      WordCache::Entry& entry = cache.at(keys[i]);
      if (entry.is(keys[i], serial_)) {
        entry.append_to(tokens, word.begin, word.end);
        continue;
      }
      const size_t before = tokens.size();
      encode_word(text, word, whole_words().find(keys[i]), tokens);
      // The ends in a cached word tell where its tokens begin, unless affixes made tokens of no bytes.
      if (!affixed_) entry.keep(keys[i], serial_, tokens, before, word.begin);
    }
  }
}

// `whole` is the token that all of the word becomes, or -1.
void BpeModel::encode_word(std::string_view text, ByteSpan word, int32_t whole,
                           std::vector<Token>& tokens) const {
  if (whole >= 0) {
    tokens.push_back({whole, word.begin, word.end});
  } else if (as_bytes_) {
    encode_bytes(text, word, tokens);
  } else {
    encode_characters(text, word, tokens);
  }
}

void BpeModel::encode_bytes(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const {
  const size_t size = word.end - word.begin;
  BpeSymbol few[BpeMerges::kLinearLimit];
  std::vector<BpeSymbol> many;
  BpeSymbol* symbols = few;
  if (size > BpeMerges::kLinearLimit) {
    many.resize(size);
    symbols = many.data();
  }
  spell_bytes(text.substr(word.begin, size), word.begin, symbols);
  const size_t spelled = has_all_bytes_ ? size : replace_unknown(text, symbols, size);
  const size_t count = merges_->apply(symbols, spelled);
  append({symbols, count}, word.end, tokens);
}

// Bytes that have no token become the unknown one; gives how many symbols are left.
size_t BpeModel::replace_unknown(std::string_view text, BpeSymbol* symbols, size_t count) const {
  size_t kept = 0;
  bool unknown_before = false;
  for (size_t i = 0; i < count; ++i) {
    const bool unknown = symbols[i].id < 0;
    if (unknown) symbols[i].id = unknown_at(text, symbols[i].begin, 1);
    if (!unknown || !unknown_before || !parts_.fuse_unk) symbols[kept++] = symbols[i];
    unknown_before = unknown;
  }
  return kept;
}

// The unknown token, or an error where there is none.
int32_t BpeModel::unknown_at(std::string_view text, uint32_t begin, size_t length) const {
  if (unk_id_ < 0) {
    fail_world("encode: every character must be in the vocabulary; ",
               describe_bytes(text.substr(begin, length)), " at byte ", begin,
               " is not, and the tokenizer has no unknown token; change the text, or use another tokenizer");
  }
  return unk_id_;
}

// The symbols that merging begins with: characters, bytes of characters that are no token, unknowns.
void BpeModel::spell(std::string_view text, ByteSpan word, std::vector<BpeSymbol>& symbols) const {
  bool unknown_before = false;
  std::string written;
  for (uint32_t at = word.begin; at < word.end;) {
    const int length = parts_.byte_level ? 1 : length_of(text.substr(0, word.end), at);
    check_world(length > 0, "encode: this kind of tokenizer needs text in UTF-8; byte ", at,
                " of the text begins no character; convert the text, or use a byte-level tokenizer");
    const uint32_t begin = at;
    at += static_cast<uint32_t>(length);
    std::string_view character = text.substr(begin, static_cast<size_t>(length));
    if (affixed_) {
      written = begin == word.begin ? "" : parts_.prefix;
      written += parts_.byte_level ? bytes_to_text(character) : std::string(character);
      if (at == word.end) written += parts_.suffix;
      character = written;
    }
    const auto has_token = [&](char byte) { return fallback_ids_[static_cast<unsigned char>(byte)] >= 0; };
    if (const int32_t id = symbols_.find(character); id >= 0) {
      symbols.push_back({id, begin});
    } else if (parts_.byte_fallback && std::all_of(character.begin(), character.end(), has_token)) {
      for (size_t i = 0; i < character.size(); ++i) {
        // To SentencePiece the last byte stands for the character, the others for nothing; affixes are bytes of no text.
        const bool scores = parts_.order == BpeParts::Order::scores;
        const uint32_t place = scores ? begin : std::min(begin + static_cast<uint32_t>(i), at);
        symbols.push_back({fallback_ids_[static_cast<unsigned char>(character[i])], place});
      }
    } else {
      const int32_t unknown = unknown_at(text, begin, static_cast<size_t>(length));
      if (!unknown_before || !parts_.fuse_unk) symbols.push_back({unknown, begin});
      unknown_before = true;
      continue;
    }
    unknown_before = false;
  }
}

void BpeModel::encode_characters(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const {
  thread_local std::vector<BpeSymbol> symbols;
  symbols.clear();
  spell(text, word, symbols);
  const size_t count = merges_->apply(symbols.data(), symbols.size());
  append({symbols.data(), count}, word.end, tokens);
}

}  // namespace gradus
