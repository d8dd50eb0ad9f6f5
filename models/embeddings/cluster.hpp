#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/names.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

struct ClusterOptions {
  int64_t k = 8;
  int64_t restarts = 10;
  int64_t iterations = 100;  ///< at most, of a start
  uint64_t seed = 1;
  std::function<void()> on_step = {};  ///< called between steps; may throw to stop
};

struct Clustering {
  std::vector<int64_t> of;  ///< of each row, its cluster
  Tensor centers;           ///< f32 (k, C), of length 1: the largest cluster first
  double objective = 0;     ///< Σ cos(row, its center)
};

/// Spherical k-means: rows at length 1, each in the cluster whose center's cosine is the largest, each center the mean of its
/// rows at length 1; of several starts by k-means++ the one with the largest objective.   shape: x (rows, C) f32, finite.
/// ref: Dhillon and Modha (2001); Arthur and Vassilvitskii (2007), with the distance 1 − cos
/// note: the same bits with any number of threads. A cluster that loses its last row takes the row that lies worst.
Clustering cluster_rows(const Tensor& x, const ClusterOptions& options);

/// The mean over rows of (b − a) / max(a, b): a the mean cosine distance to the other rows of its cluster, b that to the rows
/// of the nearest other cluster; 0 of rows alone in theirs, and where all are in one.   ref: Rousseeuw (1987)
/// note: of cosine distances the means follow from each cluster's sum, so that it takes rows · k steps.
double silhouette(const Tensor& x, std::span<const int64_t> cluster_of);

/// The k from 2 to the root of the rows with the largest silhouette; `tried` is told each.
Clustering cluster_rows_auto(const Tensor& x, const ClusterOptions& options,
                             const std::function<void(int64_t k, double silhouette)>& tried = {});

/// How two divisions of the same things agree.
struct Agreement {
  double purity = 0;        ///< the share of things whose label is the most frequent of their cluster
  double homogeneity = 0;   ///< 1 − H(label | cluster) / H(label)
  double completeness = 0;  ///< 1 − H(cluster | label) / H(cluster)
  double v_measure = 0;     ///< the harmonic mean of the two   ref: Rosenberg and Hirschberg (2007)
  double ari = 0;           ///< the adjusted Rand index   ref: Hubert and Arabie (1985)
};
Agreement agreement(std::span<const int64_t> clusters, std::span<const int64_t> labels);

/// Rows that people have labelled, of those that a table has.
struct LabelledRows {
  std::vector<int64_t> rows, labels;  ///< a row and the number of its label
  std::vector<std::string> names;     ///< of the labels
  int64_t missing = 0;                ///< names that have no row
};
/// A name and a label a line, with a tab between. note: a line of another form is an error that names it.
LabelledRows read_labels(std::string_view text, const std::string& source, const Names& names);

}  // namespace gradus
