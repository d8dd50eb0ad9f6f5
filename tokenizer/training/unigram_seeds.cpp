#include "tokenizer/training/unigram_seeds.hpp"

#include <algorithm>

#include "tensor/math.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/training/suffix_array.hpp"

namespace gradus {
namespace {

// A string as the suffixes that begin with it: from `left` on in the suffix array.
struct Candidate {
  int64_t value;
  int32_t left;
  int32_t length;
};

bool before(const Candidate& a, const Candidate& b) {
  return a.left != b.left ? a.left < b.left : a.length < b.length;
}

// The suffixes of the text in order, all ending where their segment does.
class SegmentSuffixes {
 public:
  // Lengths beyond `most` are all alike.
  SegmentSuffixes(const TrainingText& text, uint16_t most)
      : text_(text), order_(suffix_array(text.codes, text.alphabet_size() + 1)) {
    // Separators sort first.
    order_.erase(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(text.segments()));
    order_.shrink_to_fit();
    rests_.resize(text.codes.size());
    segments_.resize(text.codes.size());
    for (size_t segment = 0; segment < text.segments(); ++segment) {
      const auto begin = static_cast<size_t>(text.begins[segment]);
      auto at = static_cast<size_t>(text.begins[segment + 1]) - 1;
      for (uint16_t rest = 0; at-- > begin;) {
        rest = std::min<uint16_t>(static_cast<uint16_t>(rest + 1), most);
        rests_[at] = rest;
        segments_[at] = static_cast<int32_t>(segment);
      }
    }
    common_.resize(order_.size() + 1, 0);
    parallel_ranges(static_cast<int64_t>(order_.size()), 1 << 16, [&](int64_t begin, int64_t end) {
      for (int64_t at = std::max<int64_t>(begin, 1); at < end; ++at) {
        common_[static_cast<size_t>(at)] = common_prefix(static_cast<size_t>(at));
      }
    });
  }

  size_t size() const { return order_.size(); }
  int32_t place(size_t at) const { return order_[at]; }
  uint16_t rest(size_t at) const { return rests_[static_cast<size_t>(order_[at])]; }
  /// The length of what suffix `at` and the one before it begin with; 0 for the first and after the last.
  uint16_t common(size_t at) const { return common_[at]; }
  int64_t count(size_t at) const { return text_.counts[segment(at)]; }
  bool is_whole(size_t at) const { return text_.begins[segment(at)] == order_[at]; }

 private:
  size_t segment(size_t at) const { return static_cast<size_t>(segments_[static_cast<size_t>(order_[at])]); }

  uint16_t common_prefix(size_t at) const {
    const int32_t* const a = &text_.codes[static_cast<size_t>(order_[at - 1])];
    const int32_t* const b = &text_.codes[static_cast<size_t>(order_[at])];
    const uint16_t most = std::min(rest(at - 1), rest(at));
    uint16_t length = 0;
    while (length < most && a[length] == b[length]) ++length;
    return length;
  }

  const TrainingText& text_;
  std::vector<int32_t> order_;
  std::vector<uint16_t> rests_;    // by place: how long the segment goes on
  std::vector<int32_t> segments_;  // by place
  std::vector<uint16_t> common_;
};

// Every string of two or more characters that suffixes share before they differ or end: the inner nodes of
// the suffix tree, from the suffix array with a stack of the nodes that are open.
std::vector<Candidate> shared_strings(const TrainingText& text, const SegmentSuffixes& suffixes,
                                      const PieceRules& rules) {
  struct Open {
    int32_t left;
    int32_t length;
    int64_t counted;  // before `left`
  };
  const PieceChecker checker(text.alphabet, rules);
  std::vector<Candidate> found;
  std::vector<Open> open;
  int64_t counted = 0;
  for (size_t at = 0; at <= suffixes.size(); ++at) {
    const int32_t common = suffixes.common(at);
    Open node{static_cast<int32_t>(at), common, counted};
    while (!open.empty() && open.back().length > common) {
      const Open closed = open.back();
      open.pop_back();
      node.left = closed.left;
      node.counted = closed.counted;
      const auto left = static_cast<size_t>(closed.left);
      const int64_t count = counted - closed.counted;
      if (closed.length < 2 || count < 2 || (at - left == 1 && !suffixes.is_whole(left))) continue;
      const std::span<const int32_t> codes(&text.codes[static_cast<size_t>(suffixes.place(left))],
                                           static_cast<size_t>(closed.length));
      if (checker.valid(codes)) found.push_back({count * closed.length, closed.left, closed.length});
    }
    if (at == suffixes.size()) break;
    if (common > 0 && (open.empty() || open.back().length < common)) open.push_back(node);
    const int32_t rest = suffixes.rest(at);
    if (rest > common) open.push_back({static_cast<int32_t>(at), rest, counted});
    counted += suffixes.count(at);
  }
  return found;
}

}  // namespace

UnigramPieces unigram_seeds(const TrainingText& text, const PieceRules& rules, int64_t most) {
  const SegmentSuffixes suffixes(text, static_cast<uint16_t>(rules.max_length + 1));
  std::vector<Candidate> seeds = shared_strings(text, suffixes, rules);
  if (static_cast<int64_t>(seeds.size()) > most) {
    std::nth_element(seeds.begin(), seeds.begin() + most, seeds.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return a.value != b.value ? a.value > b.value : before(a, b);
                     });
    seeds.resize(static_cast<size_t>(most));
  }
  for (size_t at = 0; at < suffixes.size(); ++at) {
    if (suffixes.common(at) > 0) continue;
    const int32_t code = text.codes[static_cast<size_t>(suffixes.place(at))];
    seeds.push_back({text.char_counts[static_cast<size_t>(code) - 1], static_cast<int32_t>(at), 1});
  }
  std::sort(seeds.begin(), seeds.end(), before);
  double sum = 0;
  for (const Candidate& seed : seeds) sum += static_cast<double>(seed.value);
  const double log_sum = math::log(sum);
  UnigramPieces model;
  model.pieces.reserve(seeds.size());
  model.scores.reserve(seeds.size());
  for (const Candidate& seed : seeds) {
    model.pieces.push_back({suffixes.place(static_cast<size_t>(seed.left)), seed.length});
    model.scores.push_back(math::log(static_cast<double>(seed.value)) - log_sum);
  }
  return model;
}

}  // namespace gradus
