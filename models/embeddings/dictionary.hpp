#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/embeddings/names.hpp"
#include "tensor/tensor.hpp"

/// Two languages in one space, held against a dictionary.

namespace gradus {

/// Words and their translations: a pair a line, with a tab or spaces between; a word may stand in several.
using Dictionary = std::vector<std::pair<std::string, std::string>>;
/// note: a line of another form is an error that names it.
Dictionary read_dictionary(std::string_view text, const std::string& source);

/// A table of words.
struct WordRows {
  const Names& names;
  const Tensor& rows;  ///< f32 (words, C)
};

/// The pairs of which both words have rows: those of the first, those of the second.
struct DictionaryRows {
  std::vector<int64_t> source, target;
};
/// note: one with a NaN or an infinity is an error that names it.
DictionaryRows find_pairs(const Dictionary& dictionary, const WordRows& source, const WordRows& target);

struct DictionaryScore {
  int64_t words = 0;    ///< different source words of the dictionary
  int64_t covered = 0;  ///< those that have a row, and a translation that has one
  int64_t right = 0;    ///< whose nearest target row is one of their translations
  int64_t right_csls = 0;
  double p_at_1() const {
    return covered == 0 ? 0 : static_cast<double>(right) / static_cast<double>(covered);
  }
  double p_at_1_csls() const {
    return covered == 0 ? 0 : static_cast<double>(right_csls) / static_cast<double>(covered);
  }
};
/// How often a word's nearest row among the targets is a translation of it: by cosine, and by
/// CSLS(x, y) = 2 cos(x, y) − r(x) − r(y), r the mean cosine with the ten nearest rows of the other table, so that rows which are
/// near to all count less.   ref: Conneau, Lample, Ranzato, Denoyer, Jégou (2018)
/// note: `restrict`: only the first so many rows of each table count; 0: all. `on_step` is called now and then; it may throw.
/// note: rows with a NaN or an infinity are nobody's neighbours; a word of the dictionary with such a row is an error.
DictionaryScore judge_dictionary(const Dictionary& dictionary, const WordRows& source, const WordRows& target,
                                 int64_t restrict, const std::function<void()>& on_step = {});

}  // namespace gradus
