#include "tokenizer/training/unigram_em.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/math.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/subword/unigram_model.hpp"

namespace gradus {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The text is shared out in as many parts at most, each with sums of its own.
constexpr size_t kShares = 16;

double unknown_score(std::span<const double> scores) {
  const auto least = std::min_element(scores.begin(), scores.end());
  return (least == scores.end() ? 0.0 : *least) - double{UnigramModel::kUnknownPenalty};
}

// The segments of each share: about equally many characters.
std::vector<size_t> share_bounds(const TrainingText& text) {
  std::vector<size_t> bounds = {0};
  const auto total = static_cast<int64_t>(text.codes.size());
  for (size_t share = 1; share < kShares; ++share) {
    const auto target =
        static_cast<int32_t>(total * static_cast<int64_t>(share) / static_cast<int64_t>(kShares));
    const auto at = std::lower_bound(text.begins.begin(), text.begins.end() - 1, target);
    bounds.push_back(static_cast<size_t>(at - text.begins.begin()));
  }
  bounds.push_back(text.segments());
  return bounds;
}

// Runs body(segment, counts) for every segment with its share's counts, and adds these up by share.
template <class MakeBody>
std::vector<double> count_by_share(const TrainingText& text, size_t pieces, MakeBody&& make_body) {
  const std::vector<size_t> bounds = share_bounds(text);
  std::vector<std::vector<double>> counts(kShares, std::vector<double>(pieces, 0.0));
  std::vector<decltype(make_body())> bodies(kShares, make_body());
  parallel_for(static_cast<int64_t>(kShares), [&](int64_t chunk) {
    const auto share = static_cast<size_t>(chunk);
    for (size_t segment = bounds[share]; segment < bounds[share + 1]; ++segment) {
      bodies[share](text.segment(segment), static_cast<double>(text.counts[segment]), counts[share]);
    }
  });
  parallel_ranges(static_cast<int64_t>(pieces), 1 << 14, [&](int64_t begin, int64_t end) {
    for (size_t share = 1; share < kShares; ++share) {
      for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at) {
        counts[0][at] += counts[share][at];
      }
    }
  });
  return std::move(counts[0]);
}

// m 2^(256 e): long segments are far less likely than a double can say.
struct Scaled {
  double m = 0;
  int32_t e = 0;
};

constexpr int32_t kScaleBits = 256;
constexpr double kScaleUp = 0x1p256;
constexpr double kScaleDown = 0x1p-256;

// 2^(256 e), 0 where that is too small for a double; e is 2 at most, as no posterior is above 1.
double scale(int32_t e) { return e == 0 ? 1.0 : std::ldexp(1.0, kScaleBits * std::clamp(e, -8, 3)); }

template <bool kLong>
void add(Scaled& to, double m, int32_t e) {
  if constexpr (!kLong) {
    to.m += m;
  } else if (to.m == 0) {
    to = {m, e};
  } else if (to.e == e) {
    to.m += m;
  } else if (to.e > e) {
    to.m += m * scale(e - to.e);
  } else {
    to = {to.m * scale(to.e - e) + m, e};
  }
}

template <bool kLong>
void normalize(Scaled& number) {
  if constexpr (kLong) {
    while (number.m != 0 && number.m < kScaleDown) {
      number.m *= kScaleUp;
      --number.e;
    }
  }
}

// The forward-backward algorithm on one segment after another. Segments so short that a double can hold the
// chance of any segmentation do without exponents; the results are the same to the bit.
class ForwardBackward {
 public:
  ForwardBackward(const PieceTrie& trie, std::span<const double> chances, double unknown_score)
      : trie_(&trie),
        chances_(chances),
        unknown_(math::exp(unknown_score)),
        short_length_(static_cast<size_t>(kLeastExponent / unknown_score)) {}

  void operator()(std::span<const int32_t> codes, double count, std::vector<double>& expected) {
    if (codes.size() <= short_length_) {
      run<false>(codes, count, expected);
    } else {
      run<true>(codes, count, expected);
    }
  }

 private:
  struct Edge {
    int32_t length;
    int32_t piece;
  };

  // Of e: what forward, backward and their product stay above. A character's least score is that of an
  // unknown one.
  static constexpr double kLeastExponent = -340;

  template <bool kLong>
  void run(std::span<const int32_t> codes, double count, std::vector<double>& expected) {
    const size_t length = codes.size();
    forward_.assign(length + 1, Scaled{});
    backward_.resize(length + 1);
    edges_.clear();
    first_edge_.resize(length + 1);
    forward_[0] = {1.0, 0};
    for (size_t at = 0; at < length; ++at) forward_from<kLong>(at, codes);
    first_edge_[length] = edges_.size();
    normalize<kLong>(forward_[length]);
    const Scaled whole = forward_[length];
    const double share = count / whole.m;
    backward_[length] = {1.0, 0};
    for (size_t at = length; at-- > 0;) {
      const Scaled before = forward_[at];
      Scaled sum;
      for (size_t index = first_edge_[at]; index < first_edge_[at + 1]; ++index) {
        const Edge edge = edges_[index];
        const Scaled after = backward_[at + static_cast<size_t>(edge.length)];
        const double chance =
            edge.piece == PieceTrie::kNone ? unknown_ : chances_[static_cast<size_t>(edge.piece)];
        const double m = chance * after.m;
        add<kLong>(sum, m, after.e);
        if (edge.piece != PieceTrie::kNone) {
          const double uses = before.m * m * share;
          expected[static_cast<size_t>(edge.piece)] +=
              kLong ? uses * scale(before.e + after.e - whole.e) : uses;
        }
      }
      normalize<kLong>(sum);
      backward_[at] = sum;
    }
  }

  // Everything that can follow at a place.
  template <bool kLong>
  void forward_from(size_t at, std::span<const int32_t> codes) {
    first_edge_[at] = edges_.size();
    normalize<kLong>(forward_[at]);
    const Scaled here = forward_[at];
    const bool has_char = trie_->visit_from(codes, at, codes.size(), [&](size_t end, int32_t piece) {
      add<kLong>(forward_[end], here.m * chances_[static_cast<size_t>(piece)], here.e);
      edges_.push_back({static_cast<int32_t>(end - at), piece});
    });
    if (!has_char) {
      add<kLong>(forward_[at + 1], here.m * unknown_, here.e);
      edges_.push_back({1, PieceTrie::kNone});
    }
  }

  const PieceTrie* trie_;
  std::span<const double> chances_;
  double unknown_;
  size_t short_length_;
  std::vector<Scaled> forward_;
  std::vector<Scaled> backward_;
  std::vector<Edge> edges_;  // by where they begin
  std::vector<size_t> first_edge_;
};

// The most likely segmentation of one segment after another.
class BestPath {
 public:
  struct Step {
    double score;
    int32_t begin;
    int32_t piece;
  };

  BestPath(const PieceTrie& trie, std::span<const double> scores, double unknown)
      : trie_(&trie), scores_(scores), unknown_(unknown) {}

  // Finds it; pieces longer than `most` are not used.
  void find(std::span<const int32_t> codes, size_t most) {
    steps_.assign(codes.size() + 1, Step{-kInfinity, 0, PieceTrie::kNone});
    steps_[0].score = 0;
    for (size_t at = 0; at < codes.size(); ++at) {
      const double here = steps_[at].score;
      const size_t last = std::min(codes.size(), at + most);
      const bool has_char = trie_->visit_from(codes, at, last, [&](size_t end, int32_t piece) {
        offer(end, here + scores_[static_cast<size_t>(piece)], at, piece);
      });
      if (!has_char) offer(at + 1, here + unknown_, at, PieceTrie::kNone);
    }
  }

  double score() const { return steps_.back().score; }

  // Calls visit(piece) from the last piece to the first; kNone stands for a character that is no piece.
  template <class Visit>
  void walk(Visit&& visit) const {
    for (size_t at = steps_.size() - 1; at > 0; at = static_cast<size_t>(steps_[at].begin))
      visit(steps_[at].piece);
  }

  void operator()(std::span<const int32_t> codes, double count, std::vector<double>& counts) {
    find(codes, codes.size());
    walk([&](int32_t piece) {
      if (piece != PieceTrie::kNone) counts[static_cast<size_t>(piece)] += count;
    });
  }

 private:
  void offer(size_t end, double score, size_t begin, int32_t piece) {
    if (score > steps_[end].score) steps_[end] = {score, static_cast<int32_t>(begin), piece};
  }

  const PieceTrie* trie_;
  std::span<const double> scores_;
  double unknown_;
  std::vector<Step> steps_;
};

}  // namespace

std::vector<double> expected_counts(const TrainingText& text, const PieceTrie& trie,
                                    std::span<const double> scores) {
  std::vector<double> chances(scores.size());
  parallel_ranges(static_cast<int64_t>(scores.size()), 1 << 14, [&](int64_t begin, int64_t end) {
    for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at) {
      chances[at] = math::exp(scores[at]);
    }
  });
  const ForwardBackward body(trie, chances, unknown_score(scores));
  return count_by_share(text, scores.size(), [&] { return body; });
}

std::vector<double> best_path_counts(const TrainingText& text, const PieceTrie& trie,
                                     std::span<const double> scores) {
  const BestPath body(trie, scores, unknown_score(scores));
  return count_by_share(text, scores.size(), [&] { return body; });
}

std::vector<double> removal_losses(const TrainingText& text, std::span<const PieceRef> pieces,
                                   const PieceTrie& trie, std::span<const double> scores,
                                   std::span<const double> counts) {
  double sum = 0;
  for (const double count : counts) sum += count;
  const double log_sum = math::log(sum);
  std::vector<double> losses(pieces.size(), -kInfinity);
  const double unknown = unknown_score(scores);
  parallel_ranges(static_cast<int64_t>(pieces.size()), 1 << 12, [&](int64_t begin, int64_t end) {
    BestPath other(trie, scores, unknown);
    for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at) {
      if (counts[at] == 0) continue;
      const auto length = static_cast<size_t>(pieces[at].length);
      if (length == 1) {
        losses[at] = kInfinity;
        continue;
      }
      other.find({&text.codes[static_cast<size_t>(pieces[at].begin)], length}, length - 1);
      if (other.score() > scores[at]) continue;
      double used = 0;
      other.walk([&](int32_t) { ++used; });
      // The uses become uses of the others, which makes these more likely and the sum of all counts larger.
      const double log_sum_without = math::log(sum + counts[at] * (used - 1));
      double without = 0;
      other.walk([&](int32_t piece) {
        without += piece == PieceTrie::kNone
                       ? unknown
                       : math::log(counts[static_cast<size_t>(piece)] + counts[at]) - log_sum_without;
      });
      losses[at] = counts[at] * (math::log(counts[at]) - log_sum - without);
    }
  });
  return losses;
}

int64_t unigram_em_bytes(int64_t pieces, int64_t chars, int64_t longest_segment, int64_t max_piece_length) {
  constexpr auto kSharesHere = static_cast<int64_t>(kShares);
  constexpr int64_t kPlace = 2 * sizeof(Scaled) + sizeof(size_t) + sizeof(BestPath::Step);
  constexpr int64_t kEdge = 2 * 2 * sizeof(int32_t);  // in a vector that has just doubled
  // Each share works on one segment at a time, and no segment is in two shares.
  const int64_t places = std::min(chars, kSharesHere * longest_segment);
  return pieces * (kSharesHere + 3) * static_cast<int64_t>(sizeof(double)) +
         places * (kPlace + kEdge * max_piece_length);
}

}  // namespace gradus
