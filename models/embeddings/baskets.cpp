#include "models/embeddings/baskets.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/embeddings/nearest.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/lines.hpp"

namespace gradus {
namespace {

constexpr std::size_t kAtOnce = 1024;  // questions

/// Rows, the popular ones first.
std::vector<int64_t> by_popularity(const Vectors& vectors) {
  std::vector<int64_t> order(static_cast<std::size_t>(vectors.rows()));
  std::iota(order.begin(), order.end(), 0);
  if (!vectors.counts.empty())
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return vectors.counts[static_cast<std::size_t>(a)] > vectors.counts[static_cast<std::size_t>(b)];
    });
  return order;
}

}  // namespace

BasketScore judge_baskets(const Judged& judged, std::string_view baskets, int64_t k,
                          const std::function<void()>& on_step) {
  check(k >= 1, "baskets: k must be at least 1; it is ", k);
  BasketScore score;
  const int64_t width = judged.rows.size(1);
  const float* table = judged.rows.data<float>();
  const std::vector<int64_t> popular = by_popularity(*judged.vectors);
  std::vector<float> queries;
  std::vector<std::vector<int64_t>> others;
  std::vector<int64_t> answers;
  const auto ask = [&] {
    if (answers.empty()) return;
    if (on_step) on_step();
    const Tensor asked = Tensor::from(std::span<const float>(queries), {std::ssize(answers), width});
    const Nearest found = nearest(judged.rows, asked, {.k = k, .on_step = on_step}, others);
    score.skipped = found.skipped;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      score.found += std::any_of(found.of[i].begin(), found.of[i].end(),
                                 [&](const Neighbor& near) { return near.row == answers[i]; });
      int64_t given = 0;
      for (const int64_t row : popular) {
        if (std::find(others[i].begin(), others[i].end(), row) != others[i].end()) continue;
        score.popular += row == answers[i];
        if (row == answers[i] || ++given == k) break;
      }
    }
    score.asked += std::ssize(answers);
    queries.clear();
    others.clear();
    answers.clear();
  };
  for (LineReader lines(baskets); lines.next();) {
    std::vector<int64_t> rows;
    const std::string_view line = lines.line();
    for (std::size_t begin = 0; begin < line.size();) {
      const std::size_t end = std::min(line.find_first_of(" \t", begin), line.size());
      const std::string_view item = line.substr(begin, end - begin);
      begin = end + 1;
      if (item.empty()) continue;
      const auto row = find_word(judged.vectors->names, item);
      if (!row) {
        ++score.missing;
      } else if (std::find(rows.begin(), rows.end(), *row) == rows.end()) {
        rows.push_back(*row);
      }
    }
    if (rows.size() < 2) continue;
    ++score.baskets;
    for (const int64_t answer : rows) {
      std::vector<double> sum(static_cast<std::size_t>(width), 0);
      std::vector<int64_t> rest;
      for (const int64_t row : rows) {
        if (row == answer) continue;
        rest.push_back(row);
        const std::span<const float> values = {table + row * width, static_cast<std::size_t>(width)};
        const double length = norm_l2(values);
        if (length == 0 || !std::isfinite(length)) continue;
        for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += static_cast<double>(values[c]) / length;
      }
      for (const double value : sum) queries.push_back(static_cast<float>(value));
      others.push_back(std::move(rest));
      answers.push_back(answer);
      if (answers.size() == kAtOnce) ask();
    }
  }
  ask();
  return score;
}

}  // namespace gradus
