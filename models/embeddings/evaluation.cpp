#include "models/embeddings/evaluation.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "models/embeddings/nearest.hpp"
#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/random.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

std::optional<double> number_in(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || !std::isfinite(number)) return std::nullopt;
  return number;
}

// The fields of a line; of spaces several in a row are one.
std::vector<std::string_view> fields_of(std::string_view line, char separator) {
  std::vector<std::string_view> fields;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find(separator, begin), line.size());
    const std::string_view field = line.substr(begin, end - begin);
    if (separator != ' ' || !field.empty()) fields.push_back(field);
    begin = end + 1;
  }
  return fields;
}

char separator_of(std::string_view line) {
  for (const char separator : {'\t', ';', ','}) {
    if (line.find(separator) != std::string_view::npos) return separator;
  }
  return ' ';
}

// Calls take(line, number) for each line that is not empty.
template <class Take>
void for_lines(std::string_view text, const Take& take) {
  for (LineReader lines(text); lines.next();) {
    std::string_view line = lines.line();
    while (line.ends_with(' ')) line.remove_suffix(1);
    if (!line.empty()) take(line, lines.number());
  }
}

std::string lower(std::string_view text) {
  std::string result;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    char32_t c = 0;
    const int length = decode_utf8(at, end, c);
    if (length == 0) {
      result += *at++;
      continue;
    }
    char32_t letters[2];
    const int count = to_lower(c, letters);
    for (int i = 0; i < count; ++i) append_utf8(letters[i], result);
    at += length;
  }
  return result;
}

std::span<const float> row_of(const Tensor& rows, int64_t r) {
  return {rows.data<float>() + r * rows.size(1), static_cast<std::size_t>(rows.size(1))};
}

double spearman_of(std::span<const RatedPair> pairs, const std::vector<std::optional<double>>& cosines,
                   std::span<const int64_t> items) {
  std::vector<double> x, y;
  for (const int64_t i : items) {
    x.push_back(pairs[static_cast<std::size_t>(i)].rating);
    y.push_back(cosines[static_cast<std::size_t>(i)].value_or(0));
  }
  return spearman(x, y);
}

std::vector<int64_t> pick(std::span<const int64_t> from, std::span<const int64_t> items) {
  std::vector<int64_t> picked;
  for (const int64_t i : items) picked.push_back(from[static_cast<std::size_t>(i)]);
  return picked;
}

}  // namespace

std::vector<RatedPair> read_rated_pairs(std::string_view text, const std::string& source) {
  std::vector<RatedPair> pairs;
  for_lines(text, [&](std::string_view line, int64_t number) {
    if (line.starts_with('#')) return;
    const std::vector<std::string_view> fields = fields_of(line, separator_of(line));
    std::optional<double> rating;
    // A part of speech may stand between.
    for (std::size_t f = 2; f < std::min<std::size_t>(fields.size(), 4) && !rating; ++f)
      rating = number_in(fields[f]);
    // A heading names its third column.
    const bool named = fields.size() >= 3 && !fields[2].empty() &&
                       std::isalpha(static_cast<unsigned char>(fields[2].front())) != 0;
    double special = 0;  // inf, nan
    if (!rating && number == 1 && named &&
        std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), special).ec != std::errc())
      return;
    check_world(rating.has_value() && !fields[0].empty() && !fields[1].empty(), source, ":", number,
                ": a line must hold two words and a rating; it is ", shown_text(line));
    pairs.push_back({std::string(fields[0]), std::string(fields[1]), *rating});
  });
  check_world(!pairs.empty(), source, ": must hold rated pairs of words, one a line; it has none");
  return pairs;
}

AnalogyList read_analogies(std::string_view text, const std::string& source) {
  AnalogyList list;
  for_lines(text, [&](std::string_view line, int64_t number) {
    if (line.starts_with(':')) {
      const std::vector<std::string_view> words = fields_of(line.substr(1), ' ');
      list.sections.emplace_back(words.empty() ? std::string_view() : words.front());
      return;
    }
    const std::vector<std::string_view> words = fields_of(line, line.find('\t') == line.npos ? ' ' : '\t');
    check_world(words.size() == 4, source, ":", number,
                ": a line must hold four words, or be \": section\"; it is ", shown_text(line));
    if (list.sections.empty()) list.sections.emplace_back("all");
    list.lines.push_back({std::string(words[0]), std::string(words[1]), std::string(words[2]),
                          std::string(words[3]), std::ssize(list.sections) - 1});
  });
  check_world(!list.lines.empty(), source, ": must hold analogies, four words a line; it has none");
  return list;
}

bool is_syntactic(std::string_view section) { return section.starts_with("gram"); }

std::optional<int64_t> find_word(const Names& names, std::string_view word) {
  if (const auto found = names.find(word)) return found;
  return names.find(lower(word));
}

std::vector<double> ranks_of(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;  // of a NaN, too, which equals nothing
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = (static_cast<double>(begin + 1) + static_cast<double>(end)) / 2;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
    begin = end;
  }
  return ranks;
}

double spearman(std::span<const double> x, std::span<const double> y) {
  check(x.size() == y.size(), "spearman: both must have as many values; they have ", x.size(), " and ",
        y.size());
  const std::vector<double> a = ranks_of(x), b = ranks_of(y);
  const double mean = (static_cast<double>(x.size()) + 1) / 2;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) * (a[i] - mean);
    bb += (b[i] - mean) * (b[i] - mean);
  }
  const double lengths = math::sqrt(aa * bb);
  return lengths == 0 ? std::numeric_limits<double>::quiet_NaN() : std::clamp(ab / lengths, -1.0, 1.0);
}

Interval bootstrap(int64_t count, const std::function<double(std::span<const int64_t> items)>& figure) {
  constexpr int64_t kResamples = 1000;
  if (count == 0) return {};
  const Random random(1, stream_of("evaluation.bootstrap"));
  std::vector<double> figures;
  std::vector<int64_t> items(static_cast<std::size_t>(count));
  for (int64_t sample = 0; sample < kResamples; ++sample) {
    for (int64_t i = 0; i < count; ++i)
      items[static_cast<std::size_t>(i)] = static_cast<int64_t>(
          random.below(static_cast<uint64_t>(sample * count + i), static_cast<uint64_t>(count)));
    if (const double value = figure(items); value == value) figures.push_back(value);
  }
  constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
  if (figures.empty()) return {kUndefined, kUndefined};
  std::sort(figures.begin(), figures.end());
  return {figures[figures.size() * 24 / 1000], figures[figures.size() * 974 / 1000]};
}

std::string_view name_of(UnseenPolicy policy) {
  switch (policy) {
    case UnseenPolicy::drop: return "drop";
    case UnseenPolicy::zero: return "zero";
    case UnseenPolicy::subword: return "subword";
  }
  return "?";
}

UnseenPolicy parse_unseen_policy(std::string_view name) {
  for (const UnseenPolicy policy : {UnseenPolicy::drop, UnseenPolicy::zero, UnseenPolicy::subword}) {
    if (name_of(policy) == name) return policy;
  }
  fail("evaluation: unseen words must be treated by one of drop, zero, subword; it is '", name, "'");
}

SimilarityResult judge_similarity(const Judged& judged, std::span<const RatedPair> pairs,
                                  UnseenPolicy policy) {
  const Tensor rows = judged.rows.to_contiguous();
  const auto vector_of = [&](const std::string& word) -> std::vector<float> {
    if (const auto row = find_word(judged.vectors->names, word)) {
      const std::span<const float> values = row_of(rows, *row);
      return {values.begin(), values.end()};
    }
    if (policy != UnseenPolicy::subword || !judged.vectors->unseen) return {};
    std::vector<float> made = judged.vectors->unseen(word);
    if (!made.empty()) made.resize(static_cast<std::size_t>(rows.size(1)));
    return made;
  };
  SimilarityResult result;
  result.pairs = std::ssize(pairs);
  std::vector<int64_t> covered, all, with_rows;
  std::vector<std::optional<double>> of_rows;  // the cosines without those of words that have no row
  for (const RatedPair& pair : pairs) {
    const std::vector<float> a = vector_of(pair.a), b = vector_of(pair.b);
    all.push_back(std::ssize(result.cosines));
    of_rows.emplace_back();
    if (a.empty() || b.empty()) {
      result.cosines.emplace_back();
      continue;
    }
    covered.push_back(std::ssize(result.cosines));
    const double value = cosine(a, b);
    check_world(value == value, "evaluation: vectors must be finite; one of '", pair.a, "' and '", pair.b,
                "' is not");
    result.cosines.emplace_back(value);
    const Names& names = judged.vectors->names;
    if (!find_word(names, pair.a) || !find_word(names, pair.b)) continue;
    with_rows.push_back(all.back());
    of_rows.back() = value;
  }
  result.covered = std::ssize(covered);
  result.with_rows = std::ssize(with_rows);
  result.spearman_drop = spearman_of(pairs, of_rows, with_rows);
  result.spearman_zero = spearman_of(pairs, of_rows, all);
  const std::vector<int64_t>& counted = policy == UnseenPolicy::zero ? all : covered;
  result.spearman = spearman_of(pairs, result.cosines, counted);
  result.interval = bootstrap(std::ssize(counted), [&](std::span<const int64_t> items) {
    return spearman_of(pairs, result.cosines, pick(counted, items));
  });
  return result;
}

SimilarityDifference compare_similarity(std::span<const RatedPair> pairs, const SimilarityResult& first,
                                        const SimilarityResult& second) {
  std::vector<int64_t> both;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (first.cosines[i] && second.cosines[i]) both.push_back(static_cast<int64_t>(i));
  }
  SimilarityDifference result;
  result.pairs = std::ssize(both);
  result.first = spearman_of(pairs, first.cosines, both);
  result.second = spearman_of(pairs, second.cosines, both);
  result.difference = bootstrap(std::ssize(both), [&](std::span<const int64_t> items) {
    const std::vector<int64_t> picked = pick(both, items);
    return spearman_of(pairs, second.cosines, picked) - spearman_of(pairs, first.cosines, picked);
  });
  return result;
}

AnalogyResult judge_analogies(const Judged& judged, const AnalogyList& list, const AnalogyJudging& options) {
  const Tensor rows = judged.rows.to_contiguous();
  const int64_t known = options.restrict > 0 ? std::min(options.restrict, rows.size(0)) : rows.size(0);
  AnalogyResult result;
  result.sections.resize(list.sections.size());
  std::map<int64_t, int64_t> word_of;  // of each row that a question names, its place among the words
  std::vector<int64_t> words;
  const auto word = [&](int64_t row) {
    const auto [place, is_new] = word_of.emplace(row, std::ssize(words));
    if (is_new) words.push_back(row);
    return place->second;
  };
  std::vector<AnalogyQuestion> questions;
  std::vector<std::pair<std::size_t, int64_t>> expected;  // section and row, of each question
  for (const AnalogyLine& line : list.lines) {
    const auto section = static_cast<std::size_t>(line.section);
    ++result.sections[section].questions;
    std::vector<int64_t> found;
    for (const std::string* name : {&line.a, &line.b, &line.c, &line.d}) {
      const auto row = find_word(judged.vectors->names, *name);
      if (row && *row < known) found.push_back(*row);
    }
    if (found.size() < 4) continue;
    ++result.sections[section].covered;
    AnalogyQuestion question{{word(found[1]), word(found[2])}, {word(found[0])}};
    if (!options.include_inputs) question.leave_out = {found[0], found[1], found[2]};
    questions.push_back(std::move(question));
    expected.emplace_back(section, found[3]);
  }
  if (!questions.empty()) {
    Tensor of_words = Tensor::empty({std::ssize(words), rows.size(1)});
    float* y = of_words.mutable_data<float>();
    for (const int64_t row : words) {
      const std::span<const float> values = row_of(rows, row);
      y = std::copy(values.begin(), values.end(), y);
    }
    const Nearest answers =
        solve_analogies(rows, of_words, questions,
                        {.method = options.method, .k = 1, .restrict = known, .on_step = options.on_step});
    result.skipped = answers.skipped;
    for (std::size_t q = 0; q < questions.size(); ++q) {
      const auto& [section, row] = expected[q];
      result.sections[section].right += !answers.of[q].empty() && answers.of[q].front().row == row ? 1 : 0;
    }
  }
  for (std::size_t s = 0; s < list.sections.size(); ++s) {
    for (AnalogyScore* sum :
         {is_syntactic(list.sections[s]) ? &result.syntactic : &result.semantic, &result.total}) {
      sum->questions += result.sections[s].questions;
      sum->covered += result.sections[s].covered;
      sum->right += result.sections[s].right;
    }
  }
  return result;
}

}  // namespace gradus
