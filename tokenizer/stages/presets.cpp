#include "tokenizer/stages/presets.hpp"

#include <algorithm>

namespace gradus {

Json preset(const char* text) { return Json::parse(text, "built-in"); }

Json byte_level_split(const std::string& regex) {
  const Json split = Json::object({{"type", "Split"},
                                   {"pattern", Json::object({{"Regex", regex}})},
                                   {"behavior", "Isolated"},
                                   {"invert", false}});
  const Json bytes = Json::object(
      {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  return Json::object({{"type", "Sequence"}, {"pretokenizers", Json::array({split, bytes})}});
}

Json replace_json(const char* kind, const std::string& pattern, const std::string& content) {
  return Json::object(
      {{"type", "Replace"}, {"pattern", Json::object({{kind, pattern}})}, {"content", content}});
}

Json bert_normalizer(bool lowercase) {
  return Json::object({{"type", "BertNormalizer"},
                       {"clean_text", true},
                       {"handle_chinese_chars", true},
                       {"strip_accents", Json()},
                       {"lowercase", lowercase}});
}

Json sentencepiece_decoder(const std::string& unknown, const std::string& unknown_surface,
                           bool drop_first_space) {
  Json steps = Json::array();
  if (!unknown.empty()) steps.push(replace_json("String", unknown, unknown_surface));
  steps.push(replace_json("String", "\u2581", " "));
  steps.push(Json::object().set("type", "ByteFallback"));
  steps.push(Json::object().set("type", "Fuse"));
  if (drop_first_space) {
    steps.push(Json::object().set("type", "Strip").set("content", " ").set("start", 1).set("stop", 0));
  }
  return Json::object().set("type", "Sequence").set("decoders", steps);
}

std::vector<std::string> bert_special_tokens() { return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}; }

std::vector<AddedToken> special_tokens(const std::vector<std::string>& names, int32_t first) {
  std::vector<AddedToken> tokens;
  for (const std::string& name : names) {
    tokens.push_back({first + static_cast<int32_t>(tokens.size()), name, false, false, false, false, true});
  }
  return tokens;
}

Json template_json(const std::vector<AddedToken>& tokens, const std::string& before,
                   const std::string& after) {
  Json used = Json::object();
  for (const std::string& name : {before, after}) {
    if (name.empty()) continue;
    const auto token = std::find_if(tokens.begin(), tokens.end(),
                                    [&](const AddedToken& one) { return one.content == name; });
    if (token == tokens.end()) return {};
    used.set(name, Json::object({{"id", name},
                                 {"ids", Json::array({int64_t{token->id}})},
                                 {"tokens", Json::array({name})}}));
  }
  // The second text ends as the first does, or begins so where nothing ends it.
  const std::string single = (before.empty() ? "" : before + " ") + "$A" + (after.empty() ? "" : " " + after);
  const std::string second = after.empty() ? " " + before + ":1 $B:1" : " $B:1 " + after + ":1";
  return Json::object({{"type", "TemplateProcessing"},
                       {"single", single},
                       {"pair", single + second},
                       {"special_tokens", used}});
}

}  // namespace gradus
