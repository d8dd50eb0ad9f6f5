#include "models/embeddings/cluster.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "models/embeddings/evaluation.hpp"
#include "models/embeddings/pooling.hpp"
#include "models/embeddings/shortlist.hpp"
#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"
#include "tensor/random.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {
namespace {

using namespace detail;

constexpr int64_t kRowsAtOnce = 480;

std::span<const float> row_of(const Tensor& x, int64_t r) {
  return {x.data<float>() + r * x.size(1), size(x.size(1))};
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// One start.
class Start {
 public:
  Start(const Tensor& unit, const ClusterOptions& options, int64_t number)
      : x_(unit),
        rows_(unit.size(0)),
        width_(unit.size(1)),
        k_(options.k),
        random_(options.seed,
                stream_of("cluster." + std::to_string(options.k) + "." + std::to_string(number))),
        centers_(Tensor::empty({options.k, unit.size(1)})),
        of_(size(unit.size(0)), -1),
        cosine_(size(unit.size(0)), 0) {
    choose_centers();
    for (int64_t i = 0; i < options.iterations; ++i) {
      if (options.on_step) options.on_step();
      if (!assign()) break;
      move_centers();
    }
  }

  Clustering finish() {
    double objective = 0;
    for (int64_t r = 0; r < rows_; ++r) objective += dot(row_of(x_, r), row_of(centers_, of_[size(r)]));
    return {of_, centers_, objective};
  }

 private:
  void take_center(int64_t k, int64_t row) {
    std::copy_n(x_.data<float>() + row * width_, width_, centers_.mutable_data<float>() + k * width_);
  }

  // Each next one with a probability that grows with its distance from those before.
  void choose_centers() {
    std::vector<double> distance(size(rows_), 2);
    uint64_t next = 0;
    take_center(0, static_cast<int64_t>(random_.below(next++, static_cast<uint64_t>(rows_))));
    for (int64_t k = 1; k < k_; ++k) {
      const std::span<const float> last = row_of(centers_, k - 1);
      parallel_ranges(rows_, kRowsAtOnce, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r)
          distance[size(r)] = std::min(distance[size(r)], std::max(0.0, 1 - dot(row_of(x_, r), last)));
      });
      const double total = std::accumulate(distance.begin(), distance.end(), 0.0);
      double at = random_.uniform(next++) * total;
      int64_t chosen = rows_ - 1;
      for (int64_t r = 0; r < rows_; ++r) {
        at -= distance[size(r)];
        if (at < 0) {
          chosen = r;
          break;
        }
      }
      take_center(k, chosen);
    }
  }

  // Whether any row changed its cluster.
  bool assign() {
    const Panels centers(centers_.data<float>(), k_, width_);
    const int64_t chunks = (rows_ + kRowsAtOnce - 1) / kRowsAtOnce;
    std::vector<char> changed(size(chunks));
    parallel_for_throwing(chunks, [&](int64_t chunk) {
      const int64_t begin = chunk * kRowsAtOnce, count = std::min(kRowsAtOnce, rows_ - begin);
      std::vector<float> products(size(count * centers.padded()));
      centers.multiply(x_.data<float>() + begin * width_, count, products.data());
      for (int64_t r = 0; r < count; ++r) {
        const float* of_row = products.data() + r * centers.padded();
        const auto best = static_cast<int64_t>(std::max_element(of_row, of_row + k_) - of_row);
        cosine_[size(begin + r)] = of_row[best];
        if (of_[size(begin + r)] != best) changed[size(chunk)] = 1;
        of_[size(begin + r)] = best;
      }
    });
    fill_empty();
    return std::find(changed.begin(), changed.end(), 1) != changed.end();
  }

  void fill_empty() {
    std::vector<int64_t> sizes(size(k_), 0);
    for (const int64_t k : of_) ++sizes[size(k)];
    for (int64_t k = 0; k < k_; ++k) {
      if (sizes[size(k)] > 0) continue;
      int64_t worst = -1;
      for (int64_t r = 0; r < rows_; ++r) {
        if (sizes[size(of_[size(r)])] > 1 && (worst < 0 || cosine_[size(r)] < cosine_[size(worst)]))
          worst = r;
      }
      if (worst < 0) continue;
      --sizes[size(of_[size(worst)])];
      ++sizes[size(k)];
      of_[size(worst)] = k;
      cosine_[size(worst)] = 1;
    }
  }

  void move_centers() {
    std::vector<double> sums(size(k_ * width_), 0.0);
    // Channels apart from each other, rows in their order.
    parallel_ranges(width_, 16, [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < rows_; ++r) {
        const float* row = x_.data<float>() + r * width_;
        double* sum = sums.data() + of_[size(r)] * width_;
        for (int64_t c = begin; c < end; ++c) sum[c] += static_cast<double>(row[c]);
      }
    });
    float* centers = centers_.mutable_data<float>();
    for (int64_t k = 0; k < k_; ++k) {
      const std::span<const double> sum(sums.data() + k * width_, size(width_));
      double squares = 0;
      for (const double value : sum) squares += value * value;
      const double length = math::sqrt(squares);
      // Rows that cancel leave no direction: the center stays where it was.
      for (int64_t c = 0; c < width_ && length > 0; ++c)
        centers[k * width_ + c] = static_cast<float>(sum[size(c)] / length);
    }
  }

  const Tensor& x_;
  int64_t rows_, width_, k_;
  Random random_;
  Tensor centers_;
  std::vector<int64_t> of_;
  std::vector<float> cosine_;
};

// Clusters by size, of equals that of the lower first row first.
Clustering ordered(const Clustering& found) {
  const int64_t k = found.centers.size(0), width = found.centers.size(1);
  std::vector<int64_t> sizes(size(k), 0), first(size(k), std::ssize(found.of)), order(size(k));
  for (int64_t r = std::ssize(found.of) - 1; r >= 0; --r) {
    ++sizes[size(found.of[size(r)])];
    first[size(found.of[size(r)])] = r;
  }
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return sizes[size(a)] != sizes[size(b)] ? sizes[size(a)] > sizes[size(b)]
                                            : first[size(a)] < first[size(b)];
  });
  Clustering result{std::vector<int64_t>(found.of.size()), Tensor::empty({k, width}), found.objective};
  std::vector<int64_t> place(size(k));
  for (int64_t i = 0; i < k; ++i) {
    place[size(order[size(i)])] = i;
    std::copy_n(found.centers.data<float>() + order[size(i)] * width, width,
                result.centers.mutable_data<float>() + i * width);
  }
  for (std::size_t r = 0; r < found.of.size(); ++r) result.of[r] = place[size(found.of[r])];
  return result;
}

Tensor unit_rows(const Tensor& x) {
  check(x.rank() == 2, "cluster: rows must be (rows, C); they are ", x.shape());
  const int64_t bad = first_non_finite(x);
  check_world(bad < 0, "cluster: rows must be finite; row ", bad < 0 ? 0 : bad / x.size(1),
              " holds a NaN or an infinity");
  return normalize_rows(x).to_contiguous();
}

Clustering best_of(const Tensor& unit, const ClusterOptions& options) {
  check(options.k >= 1 && options.k <= unit.size(0), "cluster: there must be 1 to ", unit.size(0),
        " clusters, as many as rows at most; ", options.k, " are asked for");
  check(options.restarts >= 1 && options.iterations >= 1,
        "cluster: there must be at least one start and one iteration; they are ", options.restarts, " and ",
        options.iterations);
  Clustering best;
  for (int64_t start = 0; start < options.restarts; ++start) {
    Clustering found = Start(unit, options, start).finish();
    if (start == 0 || found.objective > best.objective) best = std::move(found);
  }
  return ordered(best);
}

double entropy(const std::map<int64_t, int64_t>& counts, int64_t total) {
  double sum = 0;
  for (const auto& [key, count] : counts) {
    const double share = static_cast<double>(count) / static_cast<double>(total);
    sum -= share * math::log(share);
  }
  return sum;
}

double pairs(int64_t n) { return static_cast<double>(n) * static_cast<double>(n - 1) / 2; }

}  // namespace

Clustering cluster_rows(const Tensor& x, const ClusterOptions& options) {
  return best_of(unit_rows(x), options);
}

double silhouette(const Tensor& x, std::span<const int64_t> cluster_of) {
  const Tensor unit = unit_rows(x);
  const int64_t rows = unit.size(0), width = unit.size(1);
  check(std::ssize(cluster_of) == rows, "silhouette: there must be a cluster for each of ", rows,
        " rows; there are ", cluster_of.size());
  int64_t k = 0;
  for (const int64_t cluster : cluster_of) k = std::max(k, cluster + 1);
  std::vector<double> sums(size(k * width), 0.0);
  std::vector<int64_t> sizes(size(k), 0);
  for (int64_t r = 0; r < rows; ++r) {
    ++sizes[size(cluster_of[size(r)])];
    for (int64_t c = 0; c < width; ++c)
      sums[size(cluster_of[size(r)] * width + c)] += static_cast<double>(unit.data<float>()[r * width + c]);
  }
  if (std::count_if(sizes.begin(), sizes.end(), [](int64_t n) { return n > 0; }) < 2) return 0;
  std::vector<double> of_rows(size(rows), 0.0);
  parallel_ranges(rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t own = cluster_of[size(r)];
      if (sizes[size(own)] < 2) continue;
      const std::span<const float> row = row_of(unit, r);
      double a = 0, b = 4;
      for (int64_t other = 0; other < k; ++other) {
        if (sizes[size(other)] == 0) continue;
        double along = 0;
        for (int64_t c = 0; c < width; ++c)
          along += static_cast<double>(row[size(c)]) * sums[size(other * width + c)];
        const auto count = static_cast<double>(sizes[size(other)]);
        if (other == own) {
          a = 1 - (along - dot(row, row)) / (count - 1);
        } else {
          b = std::min(b, 1 - along / count);
        }
      }
      const double larger = std::max(a, b);
      of_rows[size(r)] = larger > 0 ? (b - a) / larger : 0;
    }
  });
  return rows == 0 ? 0 : std::accumulate(of_rows.begin(), of_rows.end(), 0.0) / static_cast<double>(rows);
}

Clustering cluster_rows_auto(const Tensor& x, const ClusterOptions& options,
                             const std::function<void(int64_t k, double silhouette)>& tried) {
  const Tensor unit = unit_rows(x);
  check(unit.size(0) >= 4, "cluster: for auto there must be four rows or more; there are ", unit.size(0),
        "; say how many groups");
  const auto most = static_cast<int64_t>(math::sqrt(static_cast<double>(unit.size(0))));
  Clustering best;
  double largest = -2;
  ClusterOptions with = options;
  for (with.k = 2; with.k <= most; ++with.k) {
    Clustering found = best_of(unit, with);
    const double value = silhouette(unit, found.of);
    if (tried) tried(with.k, value);
    if (value > largest) {
      largest = value;
      best = std::move(found);
    }
  }
  return best;
}

Agreement agreement(std::span<const int64_t> clusters, std::span<const int64_t> labels) {
  check(clusters.size() == labels.size(), "agreement: both must divide the same things; they divide ",
        clusters.size(), " and ", labels.size());
  Agreement result;
  const auto total = std::ssize(clusters);
  if (total == 0) return result;
  std::map<int64_t, int64_t> of_clusters, of_labels;
  std::map<std::pair<int64_t, int64_t>, int64_t> both;
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    ++of_clusters[clusters[i]];
    ++of_labels[labels[i]];
    ++both[{clusters[i], labels[i]}];
  }
  std::map<int64_t, int64_t> largest;
  double together = 0, in_cells = 0;
  for (const auto& [cell, count] : both) {
    largest[cell.first] = std::max(largest[cell.first], count);
    in_cells += pairs(count);
    const double share = static_cast<double>(count) / static_cast<double>(total);
    together -= share * math::log(share);
  }
  int64_t pure = 0;
  for (const auto& [cluster, count] : largest) pure += count;
  result.purity = static_cast<double>(pure) / static_cast<double>(total);
  const double h_clusters = entropy(of_clusters, total), h_labels = entropy(of_labels, total);
  result.homogeneity = h_labels == 0 ? 1 : std::max(0.0, 1 - (together - h_clusters) / h_labels);
  result.completeness = h_clusters == 0 ? 1 : std::max(0.0, 1 - (together - h_labels) / h_clusters);
  const double sum = result.homogeneity + result.completeness;
  result.v_measure = sum == 0 ? 0 : 2 * result.homogeneity * result.completeness / sum;
  double in_clusters = 0, in_labels = 0;
  for (const auto& [key, count] : of_clusters) in_clusters += pairs(count);
  for (const auto& [key, count] : of_labels) in_labels += pairs(count);
  const double expected = total < 2 ? 0 : in_clusters * in_labels / pairs(total);
  const double most = (in_clusters + in_labels) / 2;
  result.ari = most == expected ? 1 : (in_cells - expected) / (most - expected);
  return result;
}

LabelledRows read_labels(std::string_view text, const std::string& source, const Names& names) {
  LabelledRows result;
  std::map<std::string, int64_t> number_of;
  for (LineReader lines(text); lines.next();) {
    const std::string_view line = lines.line();
    if (line.empty()) continue;
    const std::size_t tab = line.find('\t');
    check_world(tab != std::string_view::npos && tab + 1 < line.size(), source, ":", lines.number(),
                ": a line must hold a name and a label with a tab between; it is ", shown_text(line));
    const auto row = find_word(names, line.substr(0, tab));
    if (!row) {
      ++result.missing;
      continue;
    }
    check_world(std::find(result.rows.begin(), result.rows.end(), *row) == result.rows.end(), source, ":",
                lines.number(), ": a name can have one label; ", shown_text(line.substr(0, tab)),
                " has one on an earlier line");
    const auto [label, is_new] = number_of.emplace(line.substr(tab + 1), std::ssize(result.names));
    if (is_new) result.names.emplace_back(line.substr(tab + 1));
    result.rows.push_back(*row);
    result.labels.push_back(label->second);
  }
  check_world(!result.rows.empty(), source, ": must hold a name that the source has; it has none");
  return result;
}

}  // namespace gradus
