#include "tokenizer/stages/added_tokens.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tokenizer/lookup/char_table.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

using namespace detail;

// With patterns of more bytes, so much may be read in vain for a byte of text.
constexpr size_t kLongPattern = 64;
constexpr size_t kWasteAllowed = 4096;

// Word characters and white space, as \w and \s of a Unicode regular expression.
bool ends_in(std::string_view text, KindSet set) {
  char32_t c = 0;
  return decode_last_utf8(text, c) > 0 && in(char_table().kind(c), set);
}

bool begins_in(std::string_view text, KindSet set) {
  return !text.empty() && in(char_table().symbol(text.data(), text.data() + text.size()).kind, set);
}

// Where the white space before `at` begins; not looked for before `least`.
size_t spaces_before(std::string_view text, size_t at, size_t least) {
  char32_t c = 0;
  while (at > least) {
    const int length = decode_last_utf8(text.substr(0, at), c);
    if (length == 0 || !in(char_table().kind(c), kSpaces)) break;
    at -= static_cast<size_t>(length);
  }
  return at;
}

// Where the white space after `at` ends.
size_t spaces_after(std::string_view text, size_t at) {
  while (begins_in(text.substr(at), kSpaces)) at += char_length(text, at);
  return at;
}

}  // namespace

// Finds the patterns one after the other.
class AddedTokenMatcher::Search {
 public:
  Search(const AddedTokenMatcher& matcher, std::string_view text) : matcher_(matcher), text_(text) {}

  struct Found {
    size_t begin;
    size_t end;
    size_t token;
  };
  std::optional<Found> next() {
    for (;; ++at_) {
      if (at_ >= text_.size()) return std::nullopt;
      skip_to_candidate();
      const int32_t token = longest_.empty() ? read_on() : longest_[at_ - longest_begin_];
      if (token == Trie::kNone) continue;
      const size_t begin = at_;
      at_ += matcher_.lengths_[static_cast<size_t>(token)];
      return Found{begin, at_, static_cast<size_t>(token)};
    }
  }

 private:
  void skip_to_candidate() {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text_.data());
    const size_t last = text_.size() - 1;
    size_t at = at_;
    // Most texts hold no token for long: one branch for several bytes.
    constexpr size_t kAtOnce = 8;
    for (; at + kAtOnce <= last; at += kAtOnce) {
      unsigned any = 0;
      for (size_t i = 0; i < kAtOnce; ++i) any |= matcher_.may_begin(bytes[at + i], bytes[at + i + 1]);
      if (any != 0) break;
    }
    while (at < last && matcher_.may_begin(bytes[at], bytes[at + 1]) == 0) ++at;
    at_ = at;
  }

  // The longest token here.
  int32_t read_on() {
    int32_t token = Trie::kNone;
    size_t useful = 0;
    size_t read = 0;
    for (Trie::Node node = Trie::kRoot; at_ + read < text_.size();) {
      if (!matcher_.trie_.step(node, static_cast<unsigned char>(text_[at_ + read]))) break;
      ++read;
      if (matcher_.trie_.value(node) == Trie::kNone) continue;
      token = matcher_.trie_.value(node);
      useful = read;
    }
    wasted_ += read - useful;
    if (matcher_.long_matches_ && wasted_ > kLongPattern * at_ + kWasteAllowed) {
      longest_begin_ = at_;
      matcher_.long_matches_->find(text_.substr(at_), longest_);
    }
    return token;
  }

  const AddedTokenMatcher& matcher_;
  std::string_view text_;
  size_t at_ = 0;
  size_t wasted_ = 0;             // bytes read in vain
  std::vector<int32_t> longest_;  // the tokens from longest_begin_ on, once too many were
  size_t longest_begin_ = 0;
};

AddedTokenMatcher::AddedTokenMatcher(std::vector<std::pair<std::string, AddedToken>> patterns) {
  // Of equal texts the Trie would take the last.
  std::reverse(patterns.begin(), patterns.end());
  std::vector<std::string_view> texts;
  size_t longest = 0;
  for (auto& [text, token] : patterns) {
    check(!text.empty(), "added tokens: the text to look for must not be empty; that of token ", token.id,
          ", \"", token.content, "\", is; leave it out");
    texts.push_back(text);
    lengths_.push_back(text.size());
    longest = std::max(longest, text.size());
    allow(text);
    tokens_.push_back(std::move(token));
  }
  trie_ = Trie(texts);
  if (longest > kLongPattern) long_matches_.emplace(texts);
}

void AddedTokenMatcher::allow(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (firsts_[first] == 0) firsts_[first] = static_cast<uint8_t>(1u << (groups_++ % 8));
  for (size_t second = 0; second < seconds_.size(); ++second) {
    const bool goes_on = text.size() == 1 || static_cast<unsigned char>(text[1]) == second;
    if (goes_on) seconds_[second] |= firsts_[first];
  }
}

void AddedTokenMatcher::split(std::string_view text, bool skip_special, std::vector<Segment>& out) const {
  out.clear();
  size_t done = 0;
  ByteSpan spaces = {0, 0};  // the white space last taken in
  const auto append = [&](size_t begin, size_t end, int32_t id) {
    if (begin < end) out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), id});
  };
  Search search(*this, text);
  for (auto found = tokens_.empty() ? std::nullopt : search.next(); found; found = search.next()) {
    const AddedToken& token = tokens_[found->token];
    auto [begin, end, index] = *found;
    if (skip_special && token.special) continue;
    if (token.single_word && (ends_in(text.substr(0, begin), kWord) || begins_in(text.substr(end), kWord)))
      continue;
    if (token.lstrip) begin = std::max(spaces_before(text, begin, done), done);
    if (token.rstrip) {
      // Tokens of white space would otherwise read the rest of it again and again.
      if (end < spaces.begin || end > spaces.end) {
        spaces = {static_cast<uint32_t>(end), static_cast<uint32_t>(spaces_after(text, end))};
      }
      end = spaces.end;
    }
    if (begin >= end) continue;
    append(done, begin, -1);
    append(begin, end, token.id);
    done = end;
  }
  append(done, text.size(), -1);
}

}  // namespace gradus
