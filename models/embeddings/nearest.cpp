#include "models/embeddings/nearest.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "models/embeddings/shortlist.hpp"
#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

using namespace detail;

// A row as the products see it: a query's score is scale · product + shift, and at most `slack` off. Queries have length 1
// but for euclidean.
struct RowTerms {
  float scale = 0, shift = 0, slack = 0;
  bool plain = false;  // else its score is computed exactly, or it is skipped
  bool finite = true;
};

RowTerms terms_of(std::span<const float> row, Metric metric) {
  RowTerms terms;
  const float squares = squares_of(row);
  terms.plain = is_plain(squares);
  if (!terms.plain) {
    terms.finite = all_finite(row);
    return terms;
  }
  const float length = std::sqrt(squares), bound = bound_of(std::ssize(row));
  switch (metric) {
    case Metric::cosine:
      terms.scale = 1 / length;
      terms.slack = bound;
      break;
    case Metric::dot:
      terms.scale = 1;
      terms.slack = bound * length;
      break;
    case Metric::euclidean:
      terms.scale = 2;
      terms.shift = -squares;
      terms.slack = 2 * bound * squares;
      break;
    case Metric::manhattan: break;
  }
  return terms;
}

constexpr int64_t kBlockQueries = 512;
constexpr int64_t kBatchQueries = 2048;  // at once, for the shortlists' memory

// Some queries, and what of them the products need.
struct Queries {
  const float* values;
  int64_t width;
  std::vector<double> lengths;
  std::vector<float> slacks;  // see RowTerms: what the query adds; for euclidean 2 |a| |b| <= |a|² + |b|²
  std::vector<bool> is_odd;   // whose products f32 may not hold, or that have none: computed exactly
  std::vector<int64_t> odd, all;
  std::vector<Panels> panels;  // kBlockQueries each

  Queries(const float* queries, int64_t number, int64_t width_of, Metric metric)
      : values(queries), width(width_of) {
    std::vector<float> prepared(queries, queries + number * width);
    for (int64_t q = 0; q < number; ++q) {
      const double length = norm_l2({query(q), size(width)});
      const bool far = metric == Metric::euclidean && length * length > static_cast<double>(kLarge);
      lengths.push_back(length);
      is_odd.push_back(metric == Metric::manhattan || far);
      slacks.push_back(metric == Metric::euclidean && !far
                           ? 2 * bound_of(width) * static_cast<float>(length * length)
                           : 0);
      all.push_back(q);
      if (is_odd.back()) odd.push_back(q);
      if (metric == Metric::euclidean) continue;
      for (float& x : std::span(prepared).subspan(size(q * width), size(width)))
        x = length == 0 ? 0 : static_cast<float>(static_cast<double>(x) / length);
    }
    if (std::ssize(odd) == number) return;
    for (int64_t q = 0; q < number; q += kBlockQueries)
      panels.emplace_back(prepared.data() + q * width, std::min(kBlockQueries, number - q), width);
  }
  const float* query(int64_t q) const { return values + q * width; }
  // What a product must come to for its row to count.
  float least_product(int64_t q, const Shortlist& list) const {
    return is_odd[size(q)] ? std::numeric_limits<float>::infinity()
                           : static_cast<float>(list.least()) - slacks[size(q)];
  }
};

// Some queries against the whole table.
class Search {
 public:
  Search(const float* rows, int64_t count, int64_t width, const NearestOptions& options)
      : rows_(rows),
        count_(count),
        width_(width),
        options_(options),
        skipped_(size((count + kChunkRows - 1) / kChunkRows)) {}

  std::vector<std::vector<Neighbor>> run(const float* queries, int64_t number,
                                         std::span<const std::vector<int64_t>> leave_out) {
    const Queries asked(queries, number, width_, options_.metric);
    std::vector<std::vector<Shortlist>> lists(skipped_.size());
    parallel_for_throwing(std::ssize(lists), [&](int64_t chunk) {
      std::vector<Shortlist>& list = lists[size(chunk)];
      // Rows left out must not fill the places of others.
      for (int64_t q = 0; q < number; ++q)
        list.emplace_back(options_.k + (leave_out.empty() ? 0 : std::ssize(leave_out[size(q)])));
      search_chunk(chunk, asked, list);
    });
    std::vector<std::vector<Neighbor>> found(size(number));
    parallel_for_throwing(number, [&](int64_t q) {
      const std::span<const int64_t> out =
          leave_out.empty() ? std::span<const int64_t>() : leave_out[size(q)];
      found[size(q)] = best(lists, q, queries + q * width_, out);
    });
    return found;
  }

  int64_t skipped() const {
    int64_t total = 0;
    for (const int64_t chunk : skipped_) total += chunk;
    return total;
  }

 private:
  std::span<const float> row(int64_t r) const { return {rows_ + r * width_, size(width_)}; }
  // The more, the nearer.
  double score(int64_t r, const float* query) const {
    const double value = measure(options_.metric, row(r), {query, size(width_)});
    return is_similarity(options_.metric) ? value : -value;
  }
  // Computed exactly, on the scale of the products: euclidean as |q|² - d², others over the query's length.
  Candidate measured(int64_t r, const float* query, double length) const {
    const double value = measure(options_.metric, row(r), {query, size(width_)});
    double score = 0;
    switch (options_.metric) {
      case Metric::euclidean: score = length * length - value * value; break;
      case Metric::dot: score = length == 0 ? 0 : value / length; break;
      case Metric::cosine: score = value; break;
      case Metric::manhattan: score = -value; break;
    }
    // What euclidean loses where both squares are large.
    const double slack =
        0x1p-40 * (std::fabs(score) + (options_.metric == Metric::euclidean ? length * length : 0));
    return {r, score - slack, score + slack};
  }

  void search_chunk(int64_t chunk, const Queries& asked, std::vector<Shortlist>& lists) {
    const int64_t begin = chunk * kChunkRows, end = std::min(count_, begin + kChunkRows);
    std::vector<float> products(size(kBlockRows * kBlockQueries));
    std::vector<float> least(size(kBlockQueries));
    RowTerms terms[kBlockRows];
    int64_t skipped_here = 0;
    for (int64_t first = begin; first < end; first += kBlockRows) {
      const int64_t rows = std::min(kBlockRows, end - first);
      for (int64_t r = 0; r < rows; ++r) {
        terms[r] = terms_of(row(first + r), options_.metric);
        skipped_here += terms[r].finite ? 0 : 1;
        if (!terms[r].finite) continue;
        for (const int64_t q : terms[r].plain ? asked.odd : asked.all)
          lists[size(q)].add(measured(first + r, asked.query(q), asked.lengths[size(q)]));
      }
      for (std::size_t p = 0; p < asked.panels.size(); ++p) {
        const Panels& panels = asked.panels[p];
        const int64_t query = static_cast<int64_t>(p) * kBlockQueries;
        const int64_t stride = panels.padded();
        panels.multiply(rows_ + first * width_, rows, products.data());
        for (int64_t q = 0; q < stride; ++q)
          least[size(q)] = q < panels.count ? asked.least_product(query + q, lists[size(query + q)])
                                            : std::numeric_limits<float>::infinity();
        for (int64_t r = 0; r < rows; ++r) {
          if (terms[r].plain)
            choose(terms[r], first + r, products.data() + r * stride, query, panels.count, asked, least,
                   lists);
        }
      }
    }
    skipped_[size(chunk)] = skipped_here;
  }

  // Of one row's products those that can be among the nearest.
  void choose(const RowTerms& terms, int64_t r, const float* products, int64_t query, int64_t count,
              const Queries& asked, std::vector<float>& least, std::vector<Shortlist>& lists) const {
    const float shift = terms.shift + terms.slack;
    for (int64_t q = 0; q < count; q += kernels::kLanes) {
      int any = 0;  // without a branch for each, so that the compiler takes several at once
      for (int64_t l = 0; l < kernels::kLanes; ++l)
        any |= products[q + l] * terms.scale + shift >= least[size(q + l)] ? 1 : 0;
      if (any == 0) continue;
      for (int64_t i = q; i < std::min(q + kernels::kLanes, count); ++i) {
        if (asked.is_odd[size(query + i)]) continue;
        Shortlist& list = lists[size(query + i)];
        const double value = static_cast<double>(products[i]) * static_cast<double>(terms.scale) +
                             static_cast<double>(terms.shift);
        const double slack =
            static_cast<double>(terms.slack) + static_cast<double>(asked.slacks[size(query + i)]);
        list.add({r, value - slack, value + slack});
        least[size(i)] = asked.least_product(query + i, list);
      }
    }
  }

  std::vector<Neighbor> best(const std::vector<std::vector<Shortlist>>& lists, int64_t q, const float* query,
                             std::span<const int64_t> leave_out) const {
    std::vector<Neighbor> found =
        best_of(lists, size(q), leave_out, options_.k, [&](int64_t r) { return score(r, query); });
    if (!is_similarity(options_.metric)) {
      for (Neighbor& neighbor : found) neighbor.value = -neighbor.value;
    }
    return found;
  }

  const float* rows_;
  int64_t count_, width_;
  NearestOptions options_;
  std::vector<int64_t> skipped_;
};

}  // namespace

std::string_view name_of(Metric metric) {
  switch (metric) {
    case Metric::cosine: return "cosine";
    case Metric::euclidean: return "euclidean";
    case Metric::manhattan: return "manhattan";
    case Metric::dot: return "dot";
  }
  return "?";
}

Metric parse_metric(std::string_view name) {
  for (const Metric metric : {Metric::cosine, Metric::euclidean, Metric::manhattan, Metric::dot}) {
    if (name_of(metric) == name) return metric;
  }
  fail("metric: must be one of cosine, euclidean, manhattan, dot; it is '", name, "'");
}

bool is_similarity(Metric metric) {
  switch (metric) {
    case Metric::cosine:
    case Metric::dot: return true;
    case Metric::euclidean:
    case Metric::manhattan: return false;
  }
  return false;
}

double measure(Metric metric, std::span<const float> a, std::span<const float> b) {
  check(a.size() == b.size(), name_of(metric), ": both must have as many values; they have ", a.size(),
        " and ", b.size());
  double sum = 0, aa = 0, bb = 0;
  switch (metric) {
    case Metric::cosine:
      for (std::size_t i = 0; i < a.size(); ++i) {
        const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
        sum += x * y;
        aa += x * x;
        bb += y * y;
      }
      // Two roots, not one of the product, which could overflow. The quotient can pass 1 by a rounding.
      aa = math::sqrt(aa) * math::sqrt(bb);
      return aa == 0 ? 0 : std::clamp(sum / aa, -1.0, 1.0);
    case Metric::dot:
      for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
      return sum;
    case Metric::euclidean:
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double apart = static_cast<double>(a[i]) - static_cast<double>(b[i]);
        sum += apart * apart;
      }
      return math::sqrt(sum);
    case Metric::manhattan:
      for (std::size_t i = 0; i < a.size(); ++i)
        sum += std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
      return sum;
  }
  fail("metric: must be a known one; it is number ", static_cast<int>(metric));
}

double norm_l1(std::span<const float> a) {
  double sum = 0;
  for (const float x : a) sum += std::fabs(static_cast<double>(x));
  return sum;
}

double norm_l2(std::span<const float> a) {
  double sum = 0;
  for (const float x : a) sum += static_cast<double>(x) * static_cast<double>(x);
  return math::sqrt(sum);
}

Nearest nearest(const Tensor& table, const Tensor& queries, const NearestOptions& options,
                std::span<const std::vector<int64_t>> leave_out) {
  check(table.rank() == 2 && queries.rank() == 2 && table.size(1) == queries.size(1),
        "nearest: queries must be as wide as the table's rows; the table is ", table.shape(),
        ", the queries are ", queries.shape());
  check(options.k >= 1, "nearest: k must be at least 1; it is ", options.k);
  check(leave_out.empty() || std::ssize(leave_out) == queries.size(0),
        "nearest: rows to leave out must be given for each of ", queries.size(0), " queries; they are for ",
        leave_out.size());
  check(first_non_finite(queries) < 0, "nearest: queries must be finite; one holds a NaN or an infinity");
  const Tensor dense = table.to_contiguous();
  const Tensor asked = queries.to_contiguous();
  const int64_t width = dense.size(1), number = asked.size(0);
  const int64_t rows = options.restrict > 0 ? std::min(options.restrict, dense.size(0)) : dense.size(0);
  Search search(dense.data<float>(), rows, width, options);
  Nearest result;
  for (int64_t q = 0; q < number; q += kBatchQueries) {
    if (options.on_step) options.on_step();
    const int64_t some = std::min(kBatchQueries, number - q);
    for (auto& list : search.run(asked.data<float>() + q * width, some,
                                 leave_out.empty() ? leave_out : leave_out.subspan(size(q), size(some))))
      result.of.push_back(std::move(list));
  }
  result.skipped = search.skipped();
  return result;
}

}  // namespace gradus
