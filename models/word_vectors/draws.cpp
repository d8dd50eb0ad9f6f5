#include "models/word_vectors/draws.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/random.hpp"

namespace gradus {

QuickRandom::QuickRandom(uint64_t seed, std::string_view name)
    : key_(Random(seed, stream_of(name)).bits(0)) {}

NoiseTable::NoiseTable(const std::vector<int64_t>& counts, double exponent) {
  const std::size_t size = counts.size();
  check(size > 0 && size < (std::size_t{1} << 31),
        "word vectors: the vocabulary must have 1 to 2^31 words; it has ", size);
  std::vector<double> share(size);
  double total = 0;
  for (std::size_t i = 0; i < size; ++i)
    total += share[i] = counts[i] > 0 ? math::pow(static_cast<double>(counts[i]), exponent) : 0;
  for (double& s : share) {
    largest_share_ = std::max(largest_share_, s / total);
    s *= static_cast<double>(size) / total;
  }
  // Places with less than an equal share are filled up by words with more.
  entries_.resize(size);
  std::vector<int32_t> small, large;
  for (std::size_t i = 0; i < size; ++i) (share[i] < 1 ? small : large).push_back(static_cast<int32_t>(i));
  constexpr uint32_t kAll = 0xFFFFFFFFu;
  while (!small.empty() && !large.empty()) {
    const auto less = static_cast<std::size_t>(small.back());
    const auto more = static_cast<std::size_t>(large.back());
    small.pop_back();
    entries_[less] = {static_cast<uint32_t>(std::min(share[less] * 0x1p32, 4294967295.0)), large.back()};
    share[more] -= 1 - share[less];
    if (share[more] < 1) {
      small.push_back(large.back());
      large.pop_back();
    }
  }
  for (const std::vector<int32_t>* rest : {&small, &large}) {
    for (const int32_t i : *rest) entries_[static_cast<std::size_t>(i)] = {kAll, i};
  }
}

std::vector<uint32_t> kept_shares(const Vocabulary& vocabulary, double t) {
  std::vector<uint32_t> kept(vocabulary.counts.size(), 0xFFFFFFFFu);
  if (t <= 0) return kept;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const double f = static_cast<double>(vocabulary.counts[i]) / static_cast<double>(vocabulary.total);
    const double p = math::sqrt(t / f) + t / f;
    if (p < 1) kept[i] = static_cast<uint32_t>(p * 0x1p32);
  }
  return kept;
}

}  // namespace gradus
