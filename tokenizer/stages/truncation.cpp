#include "tokenizer/stages/truncation.hpp"

#include <algorithm>
#include <limits>

#include "tensor/error.hpp"
#include "tokenizer/text/json_fields.hpp"

namespace gradus {
namespace {

// Lengths in a file beyond this are a mistake; a batch padded so far would not fit into memory.
constexpr int64_t kLongest = int64_t{1} << 24;

template <class T>
void keep_side(std::vector<T>& values, size_t count, Side cut) {
  if (values.size() <= count) return;
  const auto extra = static_cast<std::ptrdiff_t>(values.size() - count);
  if (cut == Side::right) {
    values.resize(count);
  } else {
    values.erase(values.begin(), values.begin() + extra);
  }
}

// Cuts one encoding.
void cut(Encoding& encoding, int64_t length, const Truncation& truncation) {
  if (length >= static_cast<int64_t>(encoding.ids.size())) return;
  check(length == 0 || truncation.stride < length,
        "truncate: the stride must be smaller than the length left to a text; they are ", truncation.stride,
        " and ", length, "; make max_length greater or the stride smaller");
  const auto kept = static_cast<size_t>(length);
  keep_side(encoding.ids, kept, truncation.side);
  keep_side(encoding.offsets, kept, truncation.side);
  keep_side(encoding.type_ids, kept, truncation.side);
  keep_side(encoding.special, kept, truncation.side);
  keep_side(encoding.sequence, kept, truncation.side);
  keep_side(encoding.attention, kept, truncation.side);
}

struct Lengths {
  int64_t first;
  int64_t pair;
};

// The shorter text is only cut where the longer one cut down to it is not enough; then both get half.
Lengths share_length(int64_t first, int64_t pair, int64_t length) {
  int64_t shorter = std::min(first, pair);
  int64_t longer = std::max(shorter, length - shorter);
  if (shorter + longer > length) {
    shorter = length / 2;
    longer = shorter + length % 2;
  }
  return first > pair ? Lengths{longer, shorter} : Lengths{shorter, longer};
}

template <class T>
void add_side(std::vector<T>& values, size_t count, const T& value, Side side) {
  values.insert(side == Side::left ? values.begin() : values.end(), count, value);
}

const char* side_name(Side side) { return side == Side::left ? "Left" : "Right"; }

Side read_side(const Json& value) {
  if (value.as_string() == "Left") return Side::left;
  if (value.as_string() == "Right") return Side::right;
  refuse_json(value, "\"Left\" or \"Right\"");
}

struct StrategyName {
  Truncation::Strategy strategy;
  const char* name;
};
constexpr StrategyName kStrategies[] = {{Truncation::Strategy::longest_first, "LongestFirst"},
                                        {Truncation::Strategy::only_first, "OnlyFirst"},
                                        {Truncation::Strategy::only_second, "OnlySecond"}};

}  // namespace

void truncate(Encoding& first, Encoding* pair, const Truncation& truncation, int64_t added_tokens) {
  check(truncation.stride >= 0, "truncate: the stride must not be negative; it is ", truncation.stride);
  check(truncation.max_length >= added_tokens, "truncate: max_length must leave room for the ", added_tokens,
        " tokens that post-processing adds; it is ", truncation.max_length);
  const int64_t length = truncation.max_length - added_tokens;
  const auto first_length = static_cast<int64_t>(first.ids.size());
  const auto pair_length = pair == nullptr ? 0 : static_cast<int64_t>(pair->ids.size());
  const int64_t excess = first_length + pair_length - length;
  if (excess <= 0) return;
  if (length == 0 || truncation.strategy == Truncation::Strategy::longest_first) {
    const Lengths lengths =
        pair == nullptr ? Lengths{length, 0} : share_length(first_length, pair_length, length);
    cut(first, lengths.first, truncation);
    if (pair != nullptr) cut(*pair, lengths.pair, truncation);
    return;
  }
  const bool second = truncation.strategy == Truncation::Strategy::only_second;
  check(!second || pair != nullptr,
        "truncate: OnlySecond needs a second text; there is none, and the first is too long by ", excess,
        " tokens; use another strategy");
  const int64_t target_length = second ? pair_length : first_length;
  check(target_length > excess, "truncate: the ", second ? "second" : "first",
        " text must be longer than what is to be cut off, ", excess, " tokens; it has ", target_length,
        "; use LongestFirst or a greater max_length");
  cut(second ? *pair : first, target_length - excess, truncation);
}

void pad(std::span<Encoding> batch, const Padding& padding) {
  int64_t length = padding.length.value_or(0);
  if (!padding.length) {
    for (const Encoding& encoding : batch)
      length = std::max(length, static_cast<int64_t>(encoding.ids.size()));
  }
  if (padding.multiple > 0 && length % padding.multiple > 0) {
    length += padding.multiple - length % padding.multiple;
  }
  for (Encoding& encoding : batch) {
    const size_t present = encoding.ids.size();
    const size_t missing = std::max(static_cast<size_t>(length), present) - present;
    if (encoding.attention.empty()) encoding.attention.assign(present, 1);
    if (encoding.offsets.size() == present) add_side(encoding.offsets, missing, {0, 0}, padding.side);
    add_side(encoding.ids, missing, padding.id, padding.side);
    add_side(encoding.type_ids, missing, padding.type_id, padding.side);
    add_side(encoding.special, missing, uint8_t{1}, padding.side);
    add_side(encoding.sequence, missing, int8_t{-1}, padding.side);
    add_side(encoding.attention, missing, uint8_t{0}, padding.side);
  }
}

std::optional<Truncation> read_truncation(const Json& value) {
  if (value.is_null()) return std::nullopt;
  check_json_keys(value, {"direction", "max_length", "strategy", "stride"});
  Truncation truncation;
  truncation.max_length = integer_within(value.at("max_length"), 0, std::numeric_limits<int64_t>::max());
  truncation.stride = integer_within(value.at("stride"), 0, std::numeric_limits<int64_t>::max());
  const Json& strategy = value.at("strategy");
  const auto* known =
      std::find_if(std::begin(kStrategies), std::end(kStrategies),
                   [&](const StrategyName& entry) { return strategy.as_string() == entry.name; });
  if (known == std::end(kStrategies))
    refuse_json(strategy, "\"LongestFirst\", \"OnlyFirst\" or \"OnlySecond\"");
  truncation.strategy = known->strategy;
  if (const Json* direction = value.find("direction")) truncation.side = read_side(*direction);
  return truncation;
}

std::optional<Padding> read_padding(const Json& value) {
  if (value.is_null()) return std::nullopt;
  check_json_keys(value,
                  {"strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token"});
  Padding padding;
  const Json& strategy = value.at("strategy");
  if (strategy.kind() == Json::Kind::object) {
    check_json_keys(strategy, {"Fixed"});
    padding.length = integer_within(strategy.at("Fixed"), 0, kLongest);
  } else if (strategy.as_string() != "BatchLongest") {
    refuse_json(strategy, "\"BatchLongest\" or {\"Fixed\": length}");
  }
  if (const Json* multiple = find_value(value, "pad_to_multiple_of"))
    padding.multiple = integer_within(*multiple, 0, kLongest);
  padding.side = read_side(value.at("direction"));
  padding.id =
      static_cast<int32_t>(integer_within(value.at("pad_id"), 0, std::numeric_limits<int32_t>::max()));
  padding.type_id = static_cast<uint8_t>(integer_within(value.at("pad_type_id"), 0, 255));
  padding.token = value.at("pad_token").as_string();
  return padding;
}

Json to_json(const Truncation& truncation) {
  const char* strategy = kStrategies[static_cast<size_t>(truncation.strategy)].name;
  Json json;
  json.set("direction", side_name(truncation.side)).set("max_length", truncation.max_length);
  return json.set("strategy", strategy).set("stride", truncation.stride);
}

Json to_json(const Padding& padding) {
  Json json;
  json.set("strategy", padding.length ? Json().set("Fixed", *padding.length) : Json("BatchLongest"));
  json.set("direction", side_name(padding.side));
  json.set("pad_to_multiple_of", padding.multiple > 0 ? Json(padding.multiple) : Json());
  json.set("pad_id", static_cast<int>(padding.id)).set("pad_type_id", static_cast<int>(padding.type_id));
  return json.set("pad_token", padding.token);
}

}  // namespace gradus
