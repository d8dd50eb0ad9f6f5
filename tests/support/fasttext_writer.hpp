#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/draw.hpp"
#include "tests/support/gguf_writer.hpp"

namespace gradus::testing {

/// A small model of fastText as its program writes one, and the vectors that it means, in double.
class FastTextWriter {
 public:
  int32_t version = 12, width = 3, buckets = 11, shortest = 2, longest = 4;
  bool quantized = false;
  std::vector<std::pair<std::string, int64_t>> words = {{"a", 1}};
  std::vector<float> matrix;  // of the words, then of the buckets; made by bytes()

  std::string bytes() {
    matrix.clear();
    for (std::size_t i = 0;
         i < (words.size() + static_cast<std::size_t>(buckets)) * static_cast<std::size_t>(width); ++i)
      matrix.push_back(static_cast<float>(draw_normal(7, i)));
    std::string file = le(int32_t{793712314}) + le(version) + le(width);
    for (const int32_t argument : {5, 5, 1, 5, 1, 2, 2})
      file += le(argument);  // window … n-grams, loss, skip-gram
    file += le(buckets) + le(shortest) + le(longest) + le(int32_t{100}) + le(1e-4);
    const auto count = static_cast<int32_t>(words.size());
    file += le(count) + le(count) + le(int32_t{0}) + le(int64_t{16}) + le(int64_t{-1});
    for (const auto& [word, seen] : words) file += word + '\0' + le(seen) + '\0';
    file += quantized ? '\1' : '\0';
    file += le(int64_t{count + buckets}) + le(int64_t{width});
    for (const float value : matrix) file += le(value);
    file += '\0' + le(int64_t{count}) + le(int64_t{width});
    return file + std::string(words.size() * static_cast<std::size_t>(width) * 4, '\0');
  }

  /// The mean of a word's own row (none: -1) and of those of its pieces.
  std::vector<double> vector(const std::string& word, int64_t own) const {
    std::vector<std::size_t> rows;
    if (own >= 0) rows.push_back(static_cast<std::size_t>(own));
    std::vector<std::string> characters = {"<"};
    for (const char c : word) {
      if ((c & 0xC0) == 0x80) {
        characters.back() += c;
      } else {
        characters.emplace_back(1, c);
      }
    }
    characters.emplace_back(">");
    for (std::size_t begin = 0; word != "</s>" && begin < characters.size(); ++begin) {
      std::string piece;
      for (std::size_t end = begin;
           end < characters.size() && end < begin + static_cast<std::size_t>(longest); ++end) {
        piece += characters[end];
        if (end + 1 < begin + static_cast<std::size_t>(shortest)) continue;
        if (begin == end && (begin == 0 || end + 1 == characters.size())) continue;
        uint32_t hash = 2166136261u;
        for (const char c : piece) {
          const auto byte = static_cast<uint32_t>(static_cast<unsigned char>(c));
          hash = (hash ^ (byte < 128 ? byte : byte | 0xFFFFFF00u)) * 16777619u;
        }
        rows.push_back(words.size() + hash % static_cast<uint32_t>(buckets));
      }
    }
    std::vector<double> sum(static_cast<std::size_t>(width));
    for (const std::size_t row : rows) {
      for (std::size_t c = 0; c < sum.size(); ++c)
        sum[c] += static_cast<double>(matrix[row * sum.size() + c]);
    }
    for (double& x : sum) x /= static_cast<double>(rows.size());
    return sum;
  }
};

}  // namespace gradus::testing
