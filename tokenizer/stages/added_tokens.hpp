#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/lookup/trie.hpp"
#include "tokenizer/text/aligned_text.hpp"

namespace gradus {

/// A token that is found in texts before the model sees them, as `added_tokens` of a tokenizer.json lists it.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // not where a word character stands next to it
  bool lstrip = false;       // takes the white space before it in
  bool rstrip = false;       // takes the white space after it in
  bool normalized = false;   // is looked for in the normalised text
  bool special = false;      // is not part of the text that decoding gives
};

/// Finds added tokens in texts: from the left, at each place the longest.
/// note: follows the Hugging Face library to the letter. A token found and refused, by single_word or as a special one,
///       still covers shorter ones inside it. Word characters and white space are those of Unicode regular
///       expressions, \w and \s.
class AddedTokenMatcher {
 public:
  /// A part of a text: an added token, or what is between them (id -1).
  struct Segment {
    uint32_t begin;
    uint32_t end;
    int32_t id;
    bool operator==(const Segment&) const = default;
  };

  AddedTokenMatcher() : AddedTokenMatcher(std::vector<std::pair<std::string, AddedToken>>()) {}
  /// The texts to look for (of a normalised token, its normalised content) and the tokens they stand for.
  /// note: of equal texts the first one counts. An empty text is an error.
  explicit AddedTokenMatcher(std::vector<std::pair<std::string, AddedToken>> patterns);

  /// `out` becomes the segments of `text` from its beginning to its end; `skip_special` leaves special tokens in the text.
  /// note: none is empty. Segments only overlap where a token is found in the white space that the one before it took
  ///       in: then both have it, and what follows goes on after the second. (If the second has lstrip, it is left out;
  ///       so it is there, unless the library aborts.) Time is linear in the text, whatever the patterns.
  void split(std::string_view text, bool skip_special, std::vector<Segment>& out) const;

  bool empty() const { return tokens_.empty(); }

 private:
  class Search;

  // Not 0 where a text may begin with these bytes: a bit for each of 8 groups of texts, by their first bytes.
  unsigned may_begin(unsigned char first, unsigned char second) const {
    return static_cast<unsigned>(firsts_[first] & seconds_[second]);
  }
  void allow(std::string_view text);

  std::vector<AddedToken> tokens_;
  std::vector<size_t> lengths_;  // of the texts of the tokens
  Trie trie_;
  std::array<uint8_t, 256> firsts_{};
  std::array<uint8_t, 256> seconds_{};
  int groups_ = 0;
  std::optional<LongestMatches> long_matches_;
};

}  // namespace gradus
