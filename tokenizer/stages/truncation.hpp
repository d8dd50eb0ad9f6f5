#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tensor/io/json.hpp"
#include "tokenizer/stages/encoding.hpp"

namespace gradus {

/// From which side tokens are cut off, or padding is added.
enum class Side { left, right };

/// How encodings are made shorter; the `truncation` of a tokenizer.json.
struct Truncation {
  enum class Strategy {
    longest_first,  // both texts, the longer one first
    only_first,
    only_second,
  };
  int64_t max_length = 512;  // of the result, tokens added by post-processing included
  Strategy strategy = Strategy::longest_first;
  int64_t stride = 0;  // tokens that a further part would share with the one before
  Side side = Side::right;
};

/// Makes a text, or a pair, short enough that `added_tokens` more tokens fit; `pair` may be nullptr.
/// note: an error where that cannot be done as the strategy says, as in the Hugging Face library.
void truncate(Encoding& first, Encoding* pair, const Truncation& truncation, int64_t added_tokens);

/// How encodings are made equally long; the `padding` of a tokenizer.json.
struct Padding {
  std::optional<int64_t> length;  // where absent, that of the longest of a batch
  int64_t multiple = 0;           // above 0: the length is rounded up to a multiple of it
  Side side = Side::right;
  int32_t id = 0;
  uint8_t type_id = 0;
  std::string token = "[PAD]";
};

/// Pads a batch; encodings that are longer stay as they are. All get `attention`.
void pad(std::span<Encoding> batch, const Padding& padding);

/// Reads the value of `truncation`, and of `padding`; null gives nothing.
/// note: an unknown key or value is an error with its place in the file.
std::optional<Truncation> read_truncation(const Json& value);
std::optional<Padding> read_padding(const Json& value);

/// The values as a tokenizer.json has them.
Json to_json(const Truncation& truncation);
Json to_json(const Padding& padding);

}  // namespace gradus
