#include "tokenizer/training/suffix_array.hpp"

#include <algorithm>
#include <limits>

#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr int32_t kEmpty = -1;

// Sorts the suffixes of one text. A suffix is of type S if it is smaller than the next one, else of type L;
// after the last symbol stands an end that is smaller than all. A leftmost S (LMS) is an S after an L.
class InducedSort {
 public:
  InducedSort(std::span<const int32_t> text, int32_t symbols, std::span<int32_t> order)
      : text_(text), order_(order), ends_(static_cast<size_t>(symbols) + 1, 0), cursor_(ends_.size()) {
    const size_t size = text.size();
    is_s_.assign(size, false);
    for (size_t at = size - 1; at-- > 0;) {
      is_s_[at] = text[at] == text[at + 1] ? is_s_[at + 1] : text[at] < text[at + 1];
    }
    // ends_[c] is where the bucket of c ends; the one before it begins there.
    for (const int32_t symbol : text) ++ends_[static_cast<size_t>(symbol) + 1];
    for (size_t c = 1; c < ends_.size(); ++c) ends_[c] += ends_[c - 1];
  }

  void run() {
    std::vector<int32_t> lms;
    for (size_t at = 1; at < text_.size(); ++at) {
      if (is_lms(at)) lms.push_back(static_cast<int32_t>(at));
    }
    induce(lms);
    if (lms.size() > 1) {
      sort_lms(lms);
      induce(lms);
    }
  }

 private:
  bool is_lms(size_t at) const { return at > 0 && is_s_[at] && !is_s_[at - 1]; }
  size_t symbol(size_t at) const { return static_cast<size_t>(text_[at]); }

  // From LMS suffixes in some order: first all L types from left to right, then all S types from right to
  // left. With the LMS suffixes in their true order the result is; else LMS substrings come out sorted.
  void induce(const std::vector<int32_t>& lms) {
    std::fill(order_.begin(), order_.end(), kEmpty);
    rewind_to_ends();
    for (size_t index = lms.size(); index-- > 0;) {
      const auto at = static_cast<size_t>(lms[index]);
      order_[static_cast<size_t>(--cursor_[symbol(at)])] = lms[index];
    }
    std::copy(ends_.begin(), ends_.end() - 1, cursor_.begin());
    const auto place_l = [this](size_t at) {
      order_[static_cast<size_t>(cursor_[symbol(at)]++)] = static_cast<int32_t>(at);
    };
    place_l(text_.size() - 1);
    for (const int32_t& at : order_) {
      if (at > 0 && !is_s_[static_cast<size_t>(at) - 1]) place_l(static_cast<size_t>(at) - 1);
    }
    rewind_to_ends();
    for (size_t index = order_.size(); index-- > 0;) {
      const int32_t at = order_[index];
      if (at > 0 && is_s_[static_cast<size_t>(at) - 1]) {
        order_[static_cast<size_t>(--cursor_[symbol(static_cast<size_t>(at) - 1)])] = at - 1;
      }
    }
  }

  void rewind_to_ends() { std::copy(ends_.begin() + 1, ends_.end(), cursor_.begin()); }

  // Orders the LMS suffixes: their substrings, sorted by now, get names, whose sequence is a text at most
  // half as long.
  void sort_lms(std::vector<int32_t>& lms) {
    const size_t count = lms.size();
    size_t filled = 0;
    for (const int32_t at : order_) {
      if (is_lms(static_cast<size_t>(at))) order_[filled++] = at;
    }
    // No two LMS are neighbours, so half a place is enough for each one's name.
    const std::span<int32_t> sorted = order_.first(count);
    const std::span<int32_t> names = order_.subspan(count);
    std::fill(names.begin(), names.end(), kEmpty);
    int32_t name = 0;
    for (size_t index = 0; index < count; ++index) {
      if (index > 0 &&
          !equal_substrings(static_cast<size_t>(sorted[index - 1]), static_cast<size_t>(sorted[index]))) {
        ++name;
      }
      names[static_cast<size_t>(sorted[index]) / 2] = name;
    }
    const int32_t different = name + 1;
    std::vector<int32_t> reduced;
    reduced.reserve(count);
    for (const int32_t at : names) {
      if (at != kEmpty) reduced.push_back(at);
    }
    if (static_cast<size_t>(different) < count) {
      InducedSort(reduced, different, sorted).run();
    } else {
      for (size_t index = 0; index < count; ++index) {
        sorted[static_cast<size_t>(reduced[index])] = static_cast<int32_t>(index);
      }
    }
    for (int32_t& index : sorted) index = lms[static_cast<size_t>(index)];
    std::copy(sorted.begin(), sorted.end(), lms.begin());
  }

  // Whether two LMS substrings, each up to and with the next LMS, are the same.
  bool equal_substrings(size_t a, size_t b) const {
    for (size_t length = 0;; ++length) {
      if (a + length == text_.size() || b + length == text_.size()) return false;
      if (text_[a + length] != text_[b + length]) return false;
      if (length == 0) continue;
      const bool a_ends = is_lms(a + length);
      const bool b_ends = is_lms(b + length);
      if (a_ends || b_ends) return a_ends && b_ends;
    }
  }

  std::span<const int32_t> text_;
  std::span<int32_t> order_;
  std::vector<int32_t> ends_;
  std::vector<int32_t> cursor_;
  std::vector<bool> is_s_;
};

}  // namespace

std::vector<int32_t> suffix_array(std::span<const int32_t> text, int32_t symbols) {
  check_world(text.size() < static_cast<size_t>(std::numeric_limits<int32_t>::max()),
              "suffix_array: the text must have fewer than 2^31 symbols; it has ", text.size());
  std::vector<int32_t> order(text.size());
  if (!text.empty()) InducedSort(text, symbols, order).run();
  return order;
}

}  // namespace gradus
