#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// Rules that rewrite short strings, as SentencePiece compiles them into its models (`precompiled_charsmap`): the number
/// of bytes of a double-array trie, the trie, and the strings that its leaves point to, each ended by a zero.
/// note: files are not trusted: a step of the trie that leads out of it, or on for more than 256 bytes, is an error when
///       it is taken.
/// ref: Aoe (1989), "An Efficient Digital Search Algorithm by Using a Double-Array Structure".
class Charsmap {
 public:
  /// `where` names the place of the bytes in errors.
  Charsmap(std::string bytes, std::string where);

  struct Rule {
    size_t length = 0;  // of what is rewritten, in bytes; 0: there is no rule
    std::string_view with;
  };
  /// The rules for the shortest and for the longest beginning of a text that has one.
  Rule shortest(std::string_view text) const;
  Rule longest(std::string_view text) const;

  /// Whether there is no rule for an ASCII character alone, nor for it and another after it: text of such characters
  /// stays as it is.
  bool is_plain(char c) const { return plain_[static_cast<unsigned char>(c)]; }

  const std::string& bytes() const { return bytes_; }

 private:
  uint32_t unit(size_t index) const;
  std::string_view replacement(uint32_t leaf) const;
  template <class Found>
  void walk(std::string_view text, Found&& found) const;

  std::string bytes_;
  std::string where_;
  std::vector<uint32_t> units_;
  std::string_view strings() const { return std::string_view(bytes_).substr(4 + 4 * units_.size()); }
  std::array<bool, 256> plain_{};
};

}  // namespace gradus
