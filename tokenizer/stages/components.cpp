#include "tokenizer/stages/components.hpp"

#include <algorithm>

namespace gradus {

Json component(const char* text) { return Json::parse(text, "built-in"); }

Json byte_level_split(const std::string& regex) {
  Json split;
  split.set("type", "Split")
      .set("pattern", Json::object().set("Regex", regex))
      .set("behavior", "Isolated")
      .set("invert", false);
  Json bytes;
  bytes.set("type", "ByteLevel")
      .set("add_prefix_space", false)
      .set("trim_offsets", true)
      .set("use_regex", false);
  return Json::object().set("type", "Sequence").set("pretokenizers", Json::array({split, bytes}));
}

namespace {

Json replace_json(const std::string& text, const std::string& with) {
  return Json::object()
      .set("type", "Replace")
      .set("pattern", Json::object().set("String", text))
      .set("content", with);
}

}  // namespace

Json marked_spaces() {
  const Json prepend = Json::object().set("type", "Prepend").set("prepend", "\u2581");
  return Json::object()
      .set("type", "Sequence")
      .set("normalizers", Json::array({prepend, replace_json(" ", "\u2581")}));
}

Json bert_normalizer(bool lowercase) {
  Json json;
  json.set("type", "BertNormalizer").set("clean_text", true).set("handle_chinese_chars", true);
  return json.set("strip_accents", nullptr).set("lowercase", lowercase);
}

Json sentencepiece_decoder(const std::string& unknown, const std::string& unknown_surface,
                           bool drop_first_space) {
  Json steps = Json::array();
  if (!unknown.empty()) steps.push(replace_json(unknown, unknown_surface));
  steps.push(replace_json("\u2581", " "));
  steps.push(Json::object().set("type", "ByteFallback"));
  steps.push(Json::object().set("type", "Fuse"));
  if (drop_first_space) {
    steps.push(Json::object().set("type", "Strip").set("content", " ").set("start", 1).set("stop", 0));
  }
  return Json::object().set("type", "Sequence").set("decoders", steps);
}

std::vector<AddedToken> special_tokens(const std::vector<std::string>& names, int32_t first) {
  std::vector<AddedToken> tokens;
  for (const std::string& name : names) {
    tokens.push_back({first + static_cast<int32_t>(tokens.size()), name, false, false, false, false, true});
  }
  return tokens;
}

// Puts `before` and `after` around a text where both are tokens.
Json template_json(const std::vector<AddedToken>& tokens, const std::string& before,
                   const std::string& after) {
  const auto find = [&](const std::string& name) {
    return std::find_if(tokens.begin(), tokens.end(),
                        [&](const AddedToken& token) { return token.content == name; });
  };
  if ((!before.empty() && find(before) == tokens.end()) || (!after.empty() && find(after) == tokens.end()))
    return {};
  const auto special = [](const std::string& name, int type) {
    return Json::object().set("SpecialToken", Json::object().set("id", name).set("type_id", type));
  };
  const auto sequence = [](const char* name, int type) {
    return Json::object().set("Sequence", Json::object().set("id", name).set("type_id", type));
  };
  Json single = Json::array();
  Json pair = Json::array();
  Json used = Json::object();
  for (const std::string& name : {before, after}) {
    if (name.empty()) continue;
    used.set(name, Json::object()
                       .set("id", name)
                       .set("ids", Json::array({int64_t{find(name)->id}}))
                       .set("tokens", Json::array({name})));
  }
  if (!before.empty()) {
    single.push(special(before, 0));
    pair.push(special(before, 0));
  }
  single.push(sequence("A", 0));
  pair.push(sequence("A", 0));
  if (!after.empty()) {
    single.push(special(after, 0));
    pair.push(special(after, 0));
  }
  if (!before.empty() && after.empty()) pair.push(special(before, 1));
  pair.push(sequence("B", 1));
  if (!after.empty()) pair.push(special(after, 1));
  return Json::object()
      .set("type", "TemplateProcessing")
      .set("single", single)
      .set("pair", pair)
      .set("special_tokens", used);
}

}  // namespace gradus
