#include "models/embeddings/names.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "tokenizer/text/strings.hpp"

namespace gradus {
namespace {
std::size_t hash_of(std::string_view name) { return std::hash<std::string_view>()(name); }
}  // namespace

Names::Names(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) add(name);
}

std::string_view Names::operator[](int64_t row) const {
  const auto r = static_cast<std::size_t>(row);
  const auto begin = static_cast<std::size_t>(r == 0 ? 0 : ends_[r - 1]);
  return std::string_view(bytes_).substr(begin, static_cast<std::size_t>(ends_[r]) - begin);
}

void Names::grow() {
  const std::vector<int64_t> old =
      std::exchange(slots_, std::vector<int64_t>(std::max<std::size_t>(2 * slots_.size(), 64), -1));
  const std::size_t mask = slots_.size() - 1;
  for (const int64_t row : old) {
    if (row < 0) continue;
    std::size_t at = hash_of((*this)[row]) & mask;
    while (slots_[at] >= 0) at = (at + 1) & mask;
    slots_[at] = row;
  }
}

void Names::add(std::string_view name) {
  if (2 * (distinct_ + 1) > std::ssize(slots_)) grow();
  const int64_t row = size();
  bytes_ += name;
  ends_.push_back(std::ssize(bytes_));
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash_of(name) & mask;; at = (at + 1) & mask) {
    if (slots_[at] >= 0 && (*this)[slots_[at]] == (*this)[row]) return;
    if (slots_[at] >= 0) continue;
    slots_[at] = row;
    ++distinct_;
    return;
  }
}

int64_t Names::find_or_add(std::string_view name) {
  if (2 * (distinct_ + 1) > std::ssize(slots_)) grow();
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash_of(name) & mask;
  for (; slots_[at] >= 0; at = (at + 1) & mask) {
    if ((*this)[slots_[at]] == name) return slots_[at];
  }
  slots_[at] = size();
  ++distinct_;
  bytes_ += name;
  ends_.push_back(std::ssize(bytes_));
  return slots_[at];
}

std::optional<int64_t> Names::find(std::string_view name) const {
  if (slots_.empty()) return std::nullopt;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash_of(name) & mask; slots_[at] >= 0; at = (at + 1) & mask) {
    if ((*this)[slots_[at]] == name) return slots_[at];
  }
  return std::nullopt;
}

std::vector<std::string_view> Names::closest(std::string_view name) const {
  constexpr std::size_t kMostEdits = 2;
  constexpr std::size_t kSuggestions = 3;
  const std::size_t most = std::min(kMostEdits, name.size() - std::min<std::size_t>(name.size(), 1));
  std::vector<std::pair<std::size_t, int64_t>> close;  // distance, row
  for (int64_t row = 0; row < size(); ++row) {
    const std::string_view other = (*this)[row];
    if (other.size() + most < name.size() || name.size() + most < other.size()) continue;
    const std::size_t distance = edit_distance(name, other);
    if (distance <= most) close.emplace_back(distance, row);
  }
  std::sort(close.begin(), close.end());
  std::vector<std::string_view> found;
  for (const auto& [distance, row] : close) {
    if (found.size() == kSuggestions) break;
    if (std::find(found.begin(), found.end(), (*this)[row]) == found.end()) found.push_back((*this)[row]);
  }
  return found;
}

}  // namespace gradus
