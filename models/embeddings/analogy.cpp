#include "models/embeddings/analogy.hpp"

#include <algorithm>
#include <array>

#include "models/embeddings/shortlist.hpp"
#include "tensor/error.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

using namespace detail;

constexpr double kDivisor = 1e-6;
constexpr int64_t kBatchQuestions = 4096;

// The scores of one question with rows kBlockRows at once, each at most so much too small as the cosines can be off.
using Scores = std::array<float, kBlockRows>;

class Solver {
 public:
  Solver(const Tensor& table, const Tensor& words, const AnalogyOptions& options)
      : rows_(table.data<float>()),
        words_(words.data<float>()),
        width_(table.size(1)),
        word_count_(words.size(0)),
        count_(options.restrict > 0 ? std::min(options.restrict, table.size(0)) : table.size(0)),
        options_(options),
        off_(bound_of(width_)),
        skipped_(size((count_ + kChunkRows - 1) / kChunkRows)) {
    unit_.resize(size(word_count_ * width_));
    for (int64_t w = 0; w < word_count_; ++w) {
      const double length = norm_l2(word(w));
      for (int64_t c = 0; c < width_; ++c)
        unit_[size(w * width_ + c)] =
            length == 0 ? 0 : static_cast<float>(static_cast<double>(word(w)[size(c)]) / length);
    }
  }

  std::vector<std::vector<Neighbor>> run(std::span<const AnalogyQuestion> questions) {
    std::vector<std::vector<Shortlist>> lists(skipped_.size());
    parallel_for_throwing(std::ssize(lists), [&](int64_t chunk) {
      for (const AnalogyQuestion& question : questions)
        lists[size(chunk)].emplace_back(options_.k + std::ssize(question.leave_out));
      search_chunk(chunk, questions, lists[size(chunk)]);
    });
    std::vector<std::vector<Neighbor>> found(questions.size());
    parallel_for_throwing(std::ssize(questions),
                          [&](int64_t q) { found[size(q)] = best(lists, size(q), questions[size(q)]); });
    return found;
  }

  int64_t skipped() const {
    int64_t total = 0;
    for (const int64_t chunk : skipped_) total += chunk;
    return total;
  }

 private:
  std::span<const float> row(int64_t r) const { return {rows_ + r * width_, size(width_)}; }
  std::span<const float> word(int64_t w) const { return {words_ + w * width_, size(width_)}; }

  // The score of a row in f64.
  double score(int64_t r, const AnalogyQuestion& question) const {
    if (options_.method == AnalogyMethod::cos_add) {
      double sum = 0;
      for (const int64_t w : question.plus) sum += cosine(row(r), word(w));
      for (const int64_t w : question.minus) sum -= cosine(row(r), word(w));
      return sum;
    }
    double product = 1, divisor = 1;
    for (const int64_t w : question.plus) product *= (1 + cosine(row(r), word(w))) / 2;
    for (const int64_t w : question.minus) divisor *= (1 + cosine(row(r), word(w))) / 2 + kDivisor;
    return product / divisor;
  }

  // What scores of a block can be at most, or at least (with `off` negative), from its cosines (words, kBlockRows).
  void scores(const AnalogyQuestion& question, const float* cosines, float off, Scores& y) const {
    if (options_.method == AnalogyMethod::cos_add) {
      const auto terms = static_cast<float>(question.plus.size() + question.minus.size());
      y.fill(off * (terms + 1));
      for (const int64_t w : question.plus) {
        const float* c = cosines + w * kBlockRows;
        for (int64_t r = 0; r < kBlockRows; ++r) y[size(r)] += c[r];
      }
      for (const int64_t w : question.minus) {
        const float* c = cosines + w * kBlockRows;
        for (int64_t r = 0; r < kBlockRows; ++r) y[size(r)] -= c[r];
      }
      return;
    }
    const auto at_least_zero = [](float x) { return x > 0 ? x : 0; };
    Scores divisor;
    divisor.fill(1 - off);
    y.fill(1 + off);
    for (const int64_t w : question.plus) {
      const float* c = cosines + w * kBlockRows;
      for (int64_t r = 0; r < kBlockRows; ++r) y[size(r)] *= at_least_zero((1 + c[r]) / 2 + off);
    }
    for (const int64_t w : question.minus) {
      const float* c = cosines + w * kBlockRows;
      for (int64_t r = 0; r < kBlockRows; ++r)
        divisor[size(r)] *= at_least_zero((1 + c[r]) / 2 - off) + static_cast<float>(kDivisor);
    }
    for (int64_t r = 0; r < kBlockRows; ++r) y[size(r)] /= divisor[size(r)];
  }

  void search_chunk(int64_t chunk, std::span<const AnalogyQuestion> questions,
                    std::vector<Shortlist>& lists) {
    const int64_t begin = chunk * kChunkRows, end = std::min(count_, begin + kChunkRows);
    std::vector<float> cosines(size(word_count_ * kBlockRows)), block(size(kBlockRows * width_));
    Panels panels;
    int64_t skipped_here = 0;
    for (int64_t first = begin; first < end; first += kBlockRows) {
      const int64_t rows = std::min(kBlockRows, end - first);
      std::array<bool, kBlockRows> counts{};
      std::fill(block.begin(), block.end(), 0.0f);
      for (int64_t r = 0; r < rows; ++r) {
        const float squares = squares_of(row(first + r));
        if (is_plain(squares)) {
          counts[size(r)] = true;
          const float scale = 1 / std::sqrt(squares);
          for (int64_t c = 0; c < width_; ++c) block[size(r * width_ + c)] = row(first + r)[size(c)] * scale;
        } else if (!all_finite(row(first + r))) {
          ++skipped_here;
        } else if (norm_l2(row(first + r)) == 0) {
          counts[size(r)] = true;  // its cosines are 0, as are those of the block's
        } else {
          for (std::size_t q = 0; q < questions.size(); ++q) {
            const double exact = score(first + r, questions[q]);
            lists[q].add({first + r, exact, exact});
          }
        }
      }
      panels.assign(block.data(), kBlockRows, width_);
      panels.multiply(unit_.data(), word_count_, cosines.data());
      for (std::size_t q = 0; q < questions.size(); ++q)
        choose(first, counts, questions[q], cosines.data(), lists[q]);
    }
    skipped_[size(chunk)] = skipped_here;
  }

  void choose(int64_t first, const std::array<bool, kBlockRows>& counts, const AnalogyQuestion& question,
              const float* cosines, Shortlist& list) const {
    Scores high, low;
    scores(question, cosines, off_, high);
    auto least = static_cast<float>(list.least());
    int any = 0;
    for (int64_t r = 0; r < kBlockRows; ++r) any |= high[size(r)] >= least ? 1 : 0;
    if (any == 0) return;
    scores(question, cosines, -off_, low);
    for (int64_t r = 0; r < kBlockRows; ++r) {
      if (counts[size(r)])
        list.add({first + r, static_cast<double>(low[size(r)]), static_cast<double>(high[size(r)])});
    }
  }

  std::vector<Neighbor> best(const std::vector<std::vector<Shortlist>>& lists, std::size_t q,
                             const AnalogyQuestion& question) const {
    return best_of(lists, q, question.leave_out, options_.k, [&](int64_t r) { return score(r, question); });
  }

  const float* rows_;
  const float* words_;
  int64_t width_, word_count_, count_;
  AnalogyOptions options_;
  float off_;
  std::vector<float> unit_;  // the words at length 1
  std::vector<int64_t> skipped_;
};

}  // namespace

std::string_view name_of(AnalogyMethod method) {
  switch (method) {
    case AnalogyMethod::cos_add: return "3cosadd";
    case AnalogyMethod::cos_mul: return "3cosmul";
  }
  return "?";
}

AnalogyMethod parse_analogy_method(std::string_view name) {
  for (const AnalogyMethod method : {AnalogyMethod::cos_add, AnalogyMethod::cos_mul}) {
    if (name_of(method) == name) return method;
  }
  fail("analogy: the method must be one of 3cosadd, 3cosmul; it is '", name, "'");
}

Nearest solve_analogies(const Tensor& table, const Tensor& words, std::span<const AnalogyQuestion> questions,
                        const AnalogyOptions& options) {
  check(table.rank() == 2 && words.rank() == 2 && table.size(1) == words.size(1),
        "analogy: words must be as wide as the table's rows; the table is ", table.shape(),
        ", the words are ", words.shape());
  check(options.k >= 1, "analogy: k must be at least 1; it is ", options.k);
  check(first_non_finite(words) < 0, "analogy: words must be finite; one holds a NaN or an infinity");
  for (const AnalogyQuestion& question : questions) {
    check(!question.plus.empty(), "analogy: a question must add a word; it adds none");
    for (const auto& terms : {question.plus, question.minus}) {
      for (const int64_t word : terms)
        check(word >= 0 && word < words.size(0), "analogy: words must be in [0, ", words.size(0) - 1,
              "]; one is ", word);
    }
  }
  const Tensor dense = table.to_contiguous(), dense_words = words.to_contiguous();
  Solver solver(dense, dense_words, options);
  Nearest result;
  for (std::size_t q = 0; q < questions.size(); q += kBatchQuestions) {
    if (options.on_step) options.on_step();
    const std::size_t some = std::min(size(kBatchQuestions), questions.size() - q);
    for (auto& list : solver.run(questions.subspan(q, some))) result.of.push_back(std::move(list));
  }
  result.skipped = solver.skipped();
  return result;
}

}  // namespace gradus
