#include "models/embeddings/dictionary.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "models/embeddings/evaluation.hpp"
#include "models/embeddings/nearest.hpp"
#include "models/embeddings/pooling.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {
namespace {

Tensor first_rows(const Tensor& x, int64_t count) {
  const Tensor dense = x.to_contiguous();
  return count >= x.size(0) ? dense : dense.view({count, x.size(1)}, {x.size(1), 1}, 0);
}

Tensor rows_at(const Tensor& x, const std::vector<int64_t>& rows) {
  Tensor y = Tensor::empty({std::ssize(rows), x.size(1)});
  float* to = y.mutable_data<float>();
  for (const int64_t row : rows) to = std::copy_n(x.data<float>() + row * x.size(1), x.size(1), to);
  return y;
}

bool is_finite_row(const Tensor& x, int64_t row) {
  const float* const begin = x.data<float>() + row * x.size(1);
  return std::all_of(begin, begin + x.size(1), [](float value) { return std::isfinite(value); });
}

// Of each row of x, its mean cosine with the ten nearest rows of y; 0 where it holds a NaN or an infinity.
std::vector<double> nearness(const Tensor& x, const Tensor& y, const std::function<void()>& on_step) {
  constexpr int64_t kNearest = 10;
  std::vector<int64_t> finite;
  for (int64_t row = 0; row < x.size(0); ++row) {
    if (is_finite_row(x, row)) finite.push_back(row);
  }
  const Nearest found = nearest(y, rows_at(x, finite), {.k = kNearest, .on_step = on_step});
  std::vector<double> means(static_cast<std::size_t>(x.size(0)));
  for (std::size_t i = 0; i < finite.size(); ++i) {
    const std::vector<Neighbor>& neighbors = found.of[i];
    double sum = 0;
    for (const Neighbor& neighbor : neighbors) sum += neighbor.value;
    means[static_cast<std::size_t>(finite[i])] =
        neighbors.empty() ? 0 : sum / static_cast<double>(neighbors.size());
  }
  return means;
}

void check_finite(const WordRows& table, int64_t row) {
  check_world(is_finite_row(table.rows, row), "dictionary: the vector of a word must be finite; that of '",
              std::string(table.names[row]), "' holds a NaN or an infinity; leave the word out");
}

// x times `scale`, with a number more at the end of each row.
Tensor with_column(const Tensor& x, float scale, const std::vector<double>& last) {
  Tensor y = Tensor::empty({x.size(0), x.size(1) + 1});
  float* to = y.mutable_data<float>();
  const float* from = x.data<float>();
  for (int64_t r = 0; r < x.size(0); ++r) {
    for (int64_t c = 0; c < x.size(1); ++c) *to++ = scale * *from++;
    *to++ = static_cast<float>(last[static_cast<std::size_t>(r)]);
  }
  return y;
}

}  // namespace

Dictionary read_dictionary(std::string_view text, const std::string& source) {
  Dictionary dictionary;
  for (LineReader lines(text); lines.next();) {
    std::string_view line = lines.line();
    while (line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty()) continue;
    const char separator = line.find('\t') != line.npos ? '\t' : ' ';
    const std::size_t between = line.find(separator);
    const std::size_t second = between == line.npos ? line.npos : line.find_first_not_of(separator, between);
    check_world(second != line.npos && between > 0 && line.find(separator, second) == line.npos, source, ":",
                lines.number(),
                ": a line must hold a word and a translation, with a tab or a space between; it is ",
                shown_text(line));
    dictionary.emplace_back(line.substr(0, between), line.substr(second));
  }
  check_world(!dictionary.empty(), source, ": must hold a word and a translation a line; it has none");
  return dictionary;
}

DictionaryRows find_pairs(const Dictionary& dictionary, const WordRows& source, const WordRows& target) {
  DictionaryRows rows;
  for (const auto& [word, translation] : dictionary) {
    const auto from = find_word(source.names, word), to = find_word(target.names, translation);
    if (!from || !to) continue;
    check_finite(source, *from);
    check_finite(target, *to);
    rows.source.push_back(*from);
    rows.target.push_back(*to);
  }
  return rows;
}

DictionaryScore judge_dictionary(const Dictionary& dictionary, const WordRows& source, const WordRows& target,
                                 int64_t restrict, const std::function<void()>& on_step) {
  check(source.rows.size(1) == target.rows.size(1),
        "dictionary: both tables must be as wide as each other; they are ", source.rows.size(1), " and ",
        target.rows.size(1), " wide; reduce one of them");
  const auto known = [&](const Tensor& rows) {
    return restrict > 0 ? std::min(restrict, rows.size(0)) : rows.size(0);
  };
  const int64_t sources = known(source.rows), targets = known(target.rows);
  DictionaryScore score;
  std::set<std::string> words;
  std::map<int64_t, std::set<int64_t>> translations;  // by source row
  for (const auto& [word, translation] : dictionary) {
    words.insert(word);
    const auto from = find_word(source.names, word), to = find_word(target.names, translation);
    if (!from || !to || *from >= sources || *to >= targets) continue;
    check_finite(source, *from);
    translations[*from].insert(*to);
  }
  score.words = std::ssize(words);
  score.covered = std::ssize(translations);
  if (translations.empty()) return score;
  std::vector<int64_t> asked;
  for (const auto& [row, ways] : translations) asked.push_back(row);
  const Tensor from = normalize_rows(first_rows(source.rows, sources)).to_contiguous();
  const Tensor to = normalize_rows(first_rows(target.rows, targets)).to_contiguous();
  const Tensor queries = rows_at(from, asked);
  const Nearest by_cosine = nearest(to, queries, {.k = 1, .on_step = on_step});
  // 2 cos(x, y) − r(y) is a product with a number more; r(x) is the same for all.
  const std::vector<double> minus_one(asked.size(), -1);
  const Nearest by_csls =
      nearest(with_column(to, 1, nearness(to, from, on_step)), with_column(queries, 2, minus_one),
              {.k = 1, .metric = Metric::dot, .on_step = on_step});
  for (std::size_t q = 0; q < asked.size(); ++q) {
    const std::set<int64_t>& ways = translations[asked[q]];
    score.right += !by_cosine.of[q].empty() && ways.contains(by_cosine.of[q][0].row) ? 1 : 0;
    score.right_csls += !by_csls.of[q].empty() && ways.contains(by_csls.of[q][0].row) ? 1 : 0;
  }
  return score;
}

}  // namespace gradus
