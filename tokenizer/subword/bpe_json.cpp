// The BPE of a tokenizer.json, read and written.

#include <algorithm>
#include <tuple>

#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/lookup/pair_map.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/json_fields.hpp"

namespace gradus {
namespace {

std::pair<std::string_view, std::string_view> read_merge(const Json& merge) {
  if (merge.kind() == Json::Kind::array) {
    const Json::Array& pair = merge.as_array();
    if (pair.size() != 2) refuse_json(merge, "a pair of tokens");
    return {pair[0].as_string(), pair[1].as_string()};
  }
  const std::string_view text = merge.as_string();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
    refuse_json(merge, "two tokens with one space between");
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

// The ids of the two tokens of a merge, and of what it makes; -1 where one is not in the vocabulary.
struct MergeIds {
  int32_t left;
  int32_t right;
  int32_t result;
};

// What of a merge is not in the vocabulary.
[[noreturn]] void refuse_merge(const Json& item, const MergeIds& ids, const std::string& prefix) {
  const auto [left, right] = read_merge(item);
  if (!right.starts_with(prefix)) {
    fail_world(item.path(), ": the second token of a merge must begin with \"", prefix, "\"; it is ",
               shown_json(Json(right)), "; correct the merge or continuing_subword_prefix");
  }
  const std::string joined = std::string(left) + std::string(right.substr(prefix.size()));
  fail_world(item.path(), ": a merge must name tokens of the vocabulary and make one; ",
             shown_json(Json(ids.left < 0    ? left
                             : ids.right < 0 ? right
                                             : std::string_view(joined))),
             " is not in it; add the token or remove the merge");
}

std::vector<BpeMerge> read_merges(const Json& list, const BpeParts& parts) {
  TokenTable table(parts.tokens.size());
  table.insert_all(parts.tokens, [](size_t) { return true; });
  const Json::Array& items = list.as_array();
  const auto count = static_cast<int64_t>(items.size());
  for (const Json& item : items)
    read_merge(item);  // an error where one is not a merge; below nothing may throw
  std::vector<MergeIds> ids(items.size());
  parallel_ranges(count, 4096, [&](int64_t begin, int64_t end) {
    // Each look-up misses the cache, so some are under way at a time.
    constexpr int64_t kAtOnce = 8;
    std::string joined[kAtOnce];
    std::pair<std::string_view, std::string_view> merges[kAtOnce];
    for (int64_t first = begin; first < end; first += kAtOnce) {
      const int64_t some = std::min(kAtOnce, end - first);
      for (int64_t i = 0; i < some; ++i) {
        merges[i] = read_merge(items[static_cast<size_t>(first + i)]);
        const auto [left, right] = merges[i];
        const bool fits = right.starts_with(parts.prefix);
        joined[i].assign(left).append(fits ? right.substr(parts.prefix.size()) : std::string_view());
        table.prefetch(left);
        table.prefetch(right);
        table.prefetch(joined[i]);
      }
      for (int64_t i = 0; i < some; ++i) {
        const bool fits = merges[i].second.starts_with(parts.prefix);
        ids[static_cast<size_t>(first + i)] = {table.find(merges[i].first), table.find(merges[i].second),
                                               fits ? table.find(joined[i]) : -1};
      }
    }
  });
  PairMap seen(count);
  std::vector<BpeMerge> merges;
  merges.reserve(items.size());
  for (const MergeIds& merge : ids) {
    const auto rank = static_cast<int32_t>(merges.size());
    const Json& item = items[static_cast<size_t>(rank)];
    if (merge.left < 0 || merge.right < 0 || merge.result < 0) refuse_merge(item, merge, parts.prefix);
    if (const int32_t first = seen.find_or_insert(merge.left, merge.right, rank); first != rank) {
      fail_world(item.path(), ": a merge may stand in the list once; this one stands at ", first,
                 " too; remove one");
    }
    merges.push_back({merge.left, merge.right, merge.result, static_cast<uint32_t>(rank)});
  }
  return merges;
}

std::string optional_text(const Json& model, std::string_view key) {
  const Json* value = find_value(model, key);
  return value == nullptr ? std::string() : value->as_string();
}

bool optional_flag(const Json& model, std::string_view key) {
  const Json* value = find_value(model, key);
  return value != nullptr && value->as_boolean();
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

std::shared_ptr<const BpeModel> BpeModel::read(const Json& model, bool byte_level) {
  check_json_keys(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                          "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (const Json* dropout = find_value(model, "dropout"); dropout != nullptr && dropout->as_number() != 0)
    refuse_json(*dropout, "null or 0: with dropout a text has no one encoding");
  BpeParts parts;
  parts.byte_level = byte_level;
  parts.unk_token = optional_text(model, "unk_token");
  parts.prefix = optional_text(model, "continuing_subword_prefix");
  parts.suffix = optional_text(model, "end_of_word_suffix");
  parts.fuse_unk = optional_flag(model, "fuse_unk");
  parts.byte_fallback = optional_flag(model, "byte_fallback");
  parts.ignore_merges = optional_flag(model, "ignore_merges");
  parts.tokens = read_json_vocabulary(model.at("vocab"));
  if (byte_level && parts.byte_fallback) check_all_bytes(parts.tokens, model.at("vocab"));
  const bool may_be_used = !byte_level || missing_byte(parts.tokens).has_value();
  if (may_be_used && !parts.unk_token.empty()) {
    check_world(std::find(parts.tokens.begin(), parts.tokens.end(), parts.unk_token) != parts.tokens.end(),
                model.at("unk_token").path(), ": must be in the vocabulary; ",
                shown_json(model.at("unk_token")), " is not; add it or name another");
  }
  parts.merges = read_merges(model.at("merges"), parts);
  return std::make_shared<const BpeModel>(std::move(parts));
}

std::vector<std::pair<int32_t, int32_t>> BpeModel::merge_list() const {
  std::vector<std::pair<int32_t, int32_t>> list;
  if (parts_.order == BpeParts::Order::merges) {
    for (const BpeMerge& merge : parts_.merges) list.emplace_back(merge.left, merge.right);
    return list;
  }
  if (parts_.order == BpeParts::Order::scores) {
    std::vector<BpeMerge> merges = parts_.merges;
    std::sort(merges.begin(), merges.end(), [](const BpeMerge& a, const BpeMerge& b) {
      return std::tie(a.rank, a.result, a.left, a.right) < std::tie(b.rank, b.result, b.left, b.right);
    });
    for (const BpeMerge& merge : merges) list.emplace_back(merge.left, merge.right);
    return list;
  }
  std::vector<BpeSymbol> symbols;
  for (size_t id = 0; id < parts_.tokens.size(); ++id) {
    const std::string& token = bytes_[id];
    if (token.size() < 2) continue;
    symbols.resize(token.size());
    spell_bytes(token, 0, symbols.data());
    if (merges_->apply(symbols.data(), symbols.size(), static_cast<uint32_t>(id)) == 2) {
      list.emplace_back(symbols[0].id, symbols[1].id);
    }
  }
  return list;
}

Json BpeModel::to_json() const {
  const auto text = [&](int32_t id) -> const std::string& { return parts_.tokens[static_cast<size_t>(id)]; };
  const std::vector<std::pair<int32_t, int32_t>> list = merge_list();
  // As pairs only where a token holds a space, which cannot be told from the one between two tokens.
  const bool as_pairs = std::any_of(list.begin(), list.end(), [&](const auto& merge) {
    return text(merge.first).find(' ') != std::string::npos ||
           text(merge.second).find(' ') != std::string::npos;
  });
  Json::Array merges;
  merges.reserve(list.size());
  for (const auto& [left, right] : list) {
    merges.push_back(as_pairs ? Json::array({text(left), text(right)})
                              : Json(text(left) + " " + text(right)));
  }
  Json model;
  model.set("type", "BPE").set("dropout", nullptr).set("unk_token", text_or_null(parts_.unk_token));
  model.set("continuing_subword_prefix", text_or_null(parts_.prefix));
  model.set("end_of_word_suffix", text_or_null(parts_.suffix)).set("fuse_unk", parts_.fuse_unk);
  model.set("byte_fallback", parts_.byte_fallback).set("ignore_merges", parts_.ignore_merges);
  model.set("vocab", json_vocabulary(parts_.tokens)).set("merges", Json::array(std::move(merges)));
  return model;
}

}  // namespace gradus
