// The BPE of a tokenizer.json, read and written.

#include <algorithm>
#include <tuple>

#include "tensor/error.hpp"
#include "tokenizer/bpe_model.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/json_parts.hpp"
#include "tokenizer/pair_map.hpp"

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

std::vector<BpeMerge> read_merges(const Json& list, const BpeParts& parts) {
  PieceTable ids(parts.tokens.size());
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    if (!parts.tokens[id].empty()) ids.insert(parts.tokens[id], static_cast<int32_t>(id));
  }
  const auto id_of = [&](const Json& item, std::string_view text) {
    const int32_t id = ids.find(text);
    if (id < 0) {
      fail_world(item.path(), ": a merge must name tokens of the vocabulary and make one; ",
                 shown_json(Json(text)), " is not in it; add the token or remove the merge");
    }
    return id;
  };
  PairMap seen(static_cast<int64_t>(list.as_array().size()));
  std::vector<BpeMerge> merges;
  merges.reserve(list.as_array().size());
  std::string joined;
  for (const Json& item : list.as_array()) {
    const auto [left, right] = read_merge(item);
    const int32_t left_id = id_of(item, left);
    const int32_t right_id = id_of(item, right);
    if (!right.starts_with(parts.prefix)) {
      fail_world(item.path(), ": the second token of a merge must begin with \"", parts.prefix, "\"; it is ",
                 shown_json(Json(right)), "; correct the merge or continuing_subword_prefix");
    }
    joined.assign(left).append(right.substr(parts.prefix.size()));
    const auto rank = static_cast<int32_t>(merges.size());
    if (const int32_t first = seen.find_or_insert(left_id, right_id, rank); first != rank) {
      fail_world(item.path(), ": a merge may stand in the list once; this one stands at ", first,
                 " too; remove one");
    }
    merges.push_back({left_id, right_id, id_of(item, joined), static_cast<uint32_t>(rank)});
  }
  return merges;
}

std::string optional_text(const Json& model, std::string_view key) {
  const Json* value = model.find(key);
  return value == nullptr || value->is_null() ? std::string() : value->as_string();
}

bool optional_flag(const Json& model, std::string_view key) {
  const Json* value = model.find(key);
  return value != nullptr && !value->is_null() && value->as_boolean();
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

std::shared_ptr<const BpeModel> BpeModel::read(const Json& model, bool byte_level) {
  check_json_keys(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                          "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (const Json* dropout = model.find("dropout"); dropout != nullptr && !dropout->is_null()) {
    if (dropout->as_number() != 0)
      refuse_json(*dropout, "null or 0: with dropout a text has no one encoding");
  }
  BpeParts parts;
  parts.byte_level = byte_level;
  parts.unk_token = optional_text(model, "unk_token");
  parts.prefix = optional_text(model, "continuing_subword_prefix");
  parts.suffix = optional_text(model, "end_of_word_suffix");
  parts.fuse_unk = optional_flag(model, "fuse_unk");
  parts.byte_fallback = optional_flag(model, "byte_fallback");
  parts.ignore_merges = optional_flag(model, "ignore_merges");
  parts.tokens = read_json_vocabulary(model.at("vocab"));
  if (byte_level) check_all_bytes(parts.tokens, model.at("vocab"));
  if (!byte_level && !parts.unk_token.empty()) {
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
    symbols.clear();
    for (size_t i = 0; i < token.size(); ++i) {
      symbols.push_back({byte_ids_[static_cast<unsigned char>(token[i])], static_cast<uint32_t>(i)});
    }
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
