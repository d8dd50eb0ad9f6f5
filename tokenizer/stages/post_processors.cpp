#include "tokenizer/stages/post_processors.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "tensor/error.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

constexpr char32_t kByteLevelSpace = 0x120;  // a space in the alphabet of byte-level vocabularies

bool is_space(char32_t c) { return c == kByteLevelSpace || char_class(c) == CharClass::space; }

// The byte `count` characters after `at`, or `end` where there are fewer.
int64_t forward(std::string_view text, int64_t at, int64_t end, uint32_t count) {
  for (; count > 0 && at < end; --count) {
    ++at;
    while (at < end && is_continuation(text[static_cast<size_t>(at)])) ++at;
  }
  return at;
}

// The byte `count` characters before `at`, or -1 where the text has fewer.
int64_t backward(std::string_view text, int64_t at, uint32_t count) {
  for (; count > 0; --count) {
    if (at == 0) return -1;
    --at;
    while (at > 0 && is_continuation(text[static_cast<size_t>(at)])) --at;
  }
  return at;
}

}  // namespace

PostProcessor::Spaces PostProcessor::count_spaces(std::string_view text) {
  const char* const end = text.data() + text.size();
  Spaces spaces{0, 0};
  bool leading = true;
  for (const char* at = text.data(); at < end;) {
    char32_t c = 0;
    const int length = decode_utf8(at, end, c);
    const bool space = length > 0 && is_space(c);
    leading = leading && space;
    spaces.leading += leading;
    spaces.trailing = space ? spaces.trailing + 1 : 0;
    at += std::max(length, 1);
  }
  return spaces;
}

// ref: process_offsets of huggingface/tokenizers, which counts characters where this counts bytes
void PostProcessor::trim(Encoding& encoding, std::string_view text) const {
  for (size_t i = 0; i < encoding.offsets.size(); ++i) {
    const auto id = static_cast<size_t>(encoding.ids[i]);
    Spaces spaces = id < spaces_.size() ? spaces_[id] : Spaces{0, 0};
    if (spaces == Spaces{0, 0}) continue;
    TextRange& range = encoding.offsets[i];
    check(range.begin >= 0 && range.end >= range.begin && range.end <= static_cast<int64_t>(text.size()),
          "PostProcessor: offsets must be within the text of ", text.size(), " bytes; those of token ", i,
          " are ", range.begin, " to ", range.end);
    if (spaces == kAsInText) {
      const auto length = static_cast<size_t>(range.end - range.begin);
      spaces = count_spaces(text.substr(static_cast<size_t>(range.begin), length));
    }
    for (const bool add_prefix_space : trims_) {
      // A single space at the beginning may be the one that was put there, which is not in the text.
      const bool added = add_prefix_space && spaces.leading == 1 && (i == 0 || range.begin == 0);
      range.begin = forward(text, range.begin, range.end, added ? 0 : spaces.leading);
      const int64_t end = backward(text, range.end, spaces.trailing);
      if (end >= 0) range.end = std::max(end, range.begin);
    }
  }
}

Encoding PostProcessor::process(Encoding first, std::optional<Encoding> pair, bool add_special,
                                std::string_view text, std::string_view pair_text) const {
  Encoding* const sources[] = {&first, pair ? &*pair : nullptr};
  const std::string_view texts[] = {text, pair_text};
  bool has_offsets = true;
  for (int i = 0; i < (pair ? 2 : 1); ++i) {
    has_offsets = has_offsets && sources[i]->offsets.size() == sources[i]->ids.size();
    check(sources[i]->offsets.empty() || sources[i]->offsets.size() == sources[i]->ids.size(),
          "PostProcessor: there must be as many offsets as ids, or none; there are ",
          sources[i]->offsets.size(), " for ", sources[i]->ids.size());
    if (!trims_.empty()) trim(*sources[i], texts[i]);
  }

  const Layout& layout = pair ? pair_ : single_;
  size_t total = 0;
  for (const Item& item : layout) {
    // A template for pairs that has no second text is only wrong once there is one.
    total += item.source < 0 ? item.ids.size() : sources[item.source]->ids.size();
  }
  check_world(
      !pair || std::any_of(layout.begin(), layout.end(), [](const Item& p) { return p.source == 1; }),
      "PostProcessor: the template for pairs must have a place for the second text ($B); it has none; "
      "encode the texts one by one");
  Encoding result;
  result.ids.reserve(total);
  result.offsets.reserve(has_offsets ? total : 0);
  result.type_ids.reserve(total);
  result.special.reserve(total);
  result.sequence.reserve(total);
  for (const Item& item : layout) {
    const bool added = item.source < 0;
    if (added && !add_special) continue;
    const std::vector<int32_t>& ids = added ? item.ids : sources[item.source]->ids;
    result.ids.insert(result.ids.end(), ids.begin(), ids.end());
    if (has_offsets && added) result.offsets.insert(result.offsets.end(), ids.size(), {0, 0});
    if (has_offsets && !added) {
      const auto& offsets = sources[item.source]->offsets;
      result.offsets.insert(result.offsets.end(), offsets.begin(), offsets.end());
    }
    result.type_ids.insert(result.type_ids.end(), ids.size(), item.type_id);
    result.special.insert(result.special.end(), ids.size(), added);
    result.sequence.insert(result.sequence.end(), ids.size(), static_cast<int8_t>(item.source));
  }
  return result;
}

AddedAround PostProcessor::added_around() const {
  AddedAround added;
  bool behind = false;
  for (const Item& item : single_) {
    std::vector<int32_t>& to = behind ? added.after : added.before;
    to.insert(to.end(), item.ids.begin(), item.ids.end());
    behind = behind || item.source == 0;
  }
  return added;
}

int64_t PostProcessor::added_tokens(bool pair) const {
  int64_t count = 0;
  for (const Item& item : pair ? pair_ : single_) count += static_cast<int64_t>(item.ids.size());
  return count;
}

/// Builds a PostProcessor from the steps in a file, one after the other.
class PostProcessorReader {
 public:
  // Reads a step; what it is goes into made_, and the step as it is to be written comes back.
  Json read(const Json& value) {
    const std::string& type = value.at("type").as_string();
    if (type == "TemplateProcessing") return read_template(value);
    if (type == "BertProcessing") return read_bert(value);
    if (type == "RobertaProcessing") return read_roberta(value);
    if (type == "ByteLevel") return read_byte_level(value);
    if (type == "Sequence") return read_sequence(value);
    refuse_json(value.at("type"), "a known post-processor");
  }

  std::shared_ptr<const PostProcessor> finish(Json json, int64_t token_count,
                                              const PostProcessor::TokenText& token_text,
                                              std::span<const int32_t> added_ids) {
    made_.json_ = std::move(json);
    if (!made_.trims_.empty()) {
      made_.spaces_.reserve(static_cast<size_t>(token_count));
      for (int64_t id = 0; id < token_count; ++id) {
        made_.spaces_.push_back(PostProcessor::count_spaces(token_text(static_cast<int32_t>(id))));
      }
      for (const int32_t id : added_ids) {
        const auto place = static_cast<size_t>(id);
        if (place >= made_.spaces_.size()) made_.spaces_.resize(place + 1, {0, 0});
        made_.spaces_[place] = PostProcessor::kAsInText;
      }
    }
    return std::make_shared<PostProcessor>(std::move(made_));
  }

 private:
  using Item = PostProcessor::Item;
  using Layout = PostProcessor::Layout;

  // More than any template needs, and little enough that a short file cannot ask for much memory.
  static constexpr size_t kMostItems = 1000;

  static int32_t read_id(const Json& value) {
    return static_cast<int32_t>(integer_within(value, 0, std::numeric_limits<int32_t>::max()));
  }

  static uint8_t read_type_id(const Json& value) {
    return static_cast<uint8_t>(integer_within(value, 0, 255));
  }

  void adds_tokens(const Json& value) {
    check_world(!has_layout_, value.path(),
                ": only one step may add tokens; an earlier one does already; remove one");
    has_layout_ = true;
  }

  void add_trim(const Json& value, bool add_prefix_space) {
    check_world(!closed_, value.path(),
                ": offsets must be trimmed before BertProcessing or RobertaProcessing "
                "adds tokens; change the order");
    made_.trims_.push_back(add_prefix_space);
  }

  Json read_byte_level(const Json& value) {
    check_json_keys(value, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    const bool add_prefix_space = value.at("add_prefix_space").as_boolean();
    const bool trim_offsets = value.at("trim_offsets").as_boolean();
    if (trim_offsets) add_trim(value, add_prefix_space);
    Json json;
    json.set("type", "ByteLevel").set("add_prefix_space", add_prefix_space).set("trim_offsets", trim_offsets);
    return json.set("use_regex", boolean_or(value, "use_regex", true));
  }

  Json read_sequence(const Json& value) {
    check_json_keys(value, {"type", "processors"});
    Json steps = Json::array();
    for (const Json& step : value.at("processors").as_array()) steps.push(read(step));
    Json json;
    return json.set("type", "Sequence").set("processors", std::move(steps));
  }

  // One of the two tokens of the Bert processors: ["[SEP]", 102].
  int32_t read_named_token(const Json& value) {
    if (value.as_array().size() != 2) refuse_json(value, "a token and its id");
    value.as_array()[0].as_string();  // an error where it is none
    return read_id(value.as_array()[1]);
  }

  // cls A sep; a pair goes on with B sep, for RoBERTa behind another sep.
  void surround(const Json& value, bool roberta) {
    adds_tokens(value);
    const int32_t sep = read_named_token(value.at("sep"));
    const int32_t cls = read_named_token(value.at("cls"));
    const uint8_t second = roberta ? 0 : 1;
    made_.single_ = {{-1, 0, {cls}}, {0, 0, {}}, {-1, 0, {sep}}};
    made_.pair_ = made_.single_;
    if (roberta) made_.pair_.push_back({-1, 0, {sep}});
    made_.pair_.insert(made_.pair_.end(), {{1, second, {}}, {-1, second, {sep}}});
  }

  Json read_bert(const Json& value) {
    check_json_keys(value, {"type", "sep", "cls"});
    surround(value, false);
    closed_ = true;
    return Json::object({{"type", "BertProcessing"}, {"sep", value.at("sep")}, {"cls", value.at("cls")}});
  }

  Json read_roberta(const Json& value) {
    check_json_keys(value, {"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    surround(value, true);
    const bool trim_offsets = value.at("trim_offsets").as_boolean();
    const bool add_prefix_space = value.at("add_prefix_space").as_boolean();
    if (trim_offsets) add_trim(value, add_prefix_space);
    closed_ = true;
    return Json::object({{"type", "RobertaProcessing"},
                         {"sep", value.at("sep")},
                         {"cls", value.at("cls")},
                         {"trim_offsets", trim_offsets},
                         {"add_prefix_space", add_prefix_space}});
  }

  // ---- TemplateProcessing ----

  struct NamedItem {
    std::string name;  // "A", "B" or a special token's
    Item item;
  };

  Json read_template_token(const std::string& name, const Json& value) {
    check_json_keys(value, {"id", "ids", "tokens"});
    const Json::Array& ids = value.at("ids").as_array();
    const Json::Array& texts = value.at("tokens").as_array();
    check_world(ids.size() == texts.size() && ids.size() <= kMostItems, value.path(),
                ": there must be as many tokens as ids, at most ", kMostItems, "; there are ", texts.size(),
                " and ", ids.size());
    std::vector<int32_t>& token = template_tokens_[name];
    for (size_t i = 0; i < ids.size(); ++i) {
      token.push_back(read_id(ids[i]));
      texts[i].as_string();  // an error where it is none
    }
    Json json;
    json.set("id", value.at("id").as_string()).set("ids", value.at("ids"));
    return json.set("tokens", value.at("tokens"));
  }

  NamedItem token_item(const Json& at, std::string_view name, uint8_t type_id) const {
    const auto token = template_tokens_.find(std::string(name));
    check_world(token != template_tokens_.end(), at.path(),
                ": each token of a template must be among its special_tokens; ", shown_text(name),
                " is not; add it there");
    return {token->first, {-1, type_id, token->second}};
  }

  static NamedItem text_item(const Json& at, std::string_view id, uint8_t type_id) {
    if (id == "A" || id == "a") return {"A", {0, type_id, {}}};
    if (id == "B" || id == "b") return {"B", {1, type_id, {}}};
    refuse_json(at, "A or B");
  }

  static uint8_t read_type_id(const Json& at, std::string_view digits) {
    uint8_t value = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || stop != digits.data() + digits.size()) {
      refuse_json(at, "items with type ids from 0 to 255");
    }
    return value;
  }

  // "$A:1", "$B", "[SEP]:1"; "$" is "$A" and "$1" is "$A:1".
  NamedItem read_item_text(const Json& at, std::string_view text) const {
    const size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    const bool typed = colon != std::string_view::npos;
    const uint8_t type_id = typed ? read_type_id(at, text.substr(colon + 1)) : uint8_t{0};
    if (!name.starts_with('$')) return token_item(at, name, type_id);
    const std::string_view id = name.substr(1);
    if (id.empty()) return text_item(at, "A", type_id);
    if (id[0] < '0' || id[0] > '9') return text_item(at, id, type_id);
    const uint8_t short_type_id = read_type_id(at, id);
    return text_item(at, "A", typed ? type_id : short_type_id);
  }

  NamedItem read_item(const Json& value) const {
    if (value.kind() == Json::Kind::string) return read_item_text(value, value.as_string());
    const Json::Object& members = value.as_object();
    if (members.size() != 1) refuse_json(value, "a SpecialToken or a Sequence");
    const auto& [kind, item] = members[0];
    if (kind != "SpecialToken" && kind != "Sequence") refuse_json(value, "a SpecialToken or a Sequence");
    check_json_keys(item, {"id", "type_id"});
    const uint8_t type_id = read_type_id(item.at("type_id"));
    const Json& id = item.at("id");
    return kind == "Sequence" ? text_item(id, id.as_string(), type_id)
                              : token_item(id, id.as_string(), type_id);
  }

  std::vector<NamedItem> read_items(const Json& value) const {
    std::vector<NamedItem> items;
    if (value.kind() == Json::Kind::string) {
      std::string_view rest = value.as_string();
      for (size_t space = 0; space != std::string_view::npos;) {
        space = rest.find(' ');
        items.push_back(read_item_text(value, rest.substr(0, space)));
        rest.remove_prefix(space == std::string_view::npos ? 0 : space + 1);
        check_size(value, items.size());
      }
      return items;
    }
    check_size(value, value.as_array().size());
    for (const Json& item : value.as_array()) items.push_back(read_item(item));
    return items;
  }

  static void check_size(const Json& at, size_t items) {
    check_world(items <= kMostItems, at.path(), ": a template may have ", kMostItems, " items; it has more");
  }

  // Reads a template; what comes back is its form in objects, which every reader knows.
  Json read_layout(const Json& value, Layout& layout) const {
    layout.clear();
    Json json = Json::array();
    for (NamedItem& named : read_items(value)) {
      Json inner;
      inner.set("id", named.name).set("type_id", static_cast<int>(named.item.type_id));
      json.push(Json().set(named.item.source < 0 ? "SpecialToken" : "Sequence", std::move(inner)));
      layout.push_back(std::move(named.item));
    }
    return json;
  }

  Json read_template(const Json& value) {
    check_json_keys(value, {"type", "single", "pair", "special_tokens"});
    adds_tokens(value);
    Json::Object tokens;
    for (const auto& [name, token] : value.at("special_tokens").as_object()) {
      tokens.emplace_back(name, read_template_token(name, token));
    }
    Json single = read_layout(value.at("single"), made_.single_);
    Json pair = read_layout(value.at("pair"), made_.pair_);
    const auto has = [](const Layout& layout, int source) {
      return std::any_of(layout.begin(), layout.end(), [&](const Item& p) { return p.source == source; });
    };
    check_world(has(made_.single_, 0) && !has(made_.single_, 1), value.at("single").path(),
                ": must have a place for the text ($A) and none for a second one ($B)");
    check_world(has(made_.pair_, 0), value.at("pair").path(), ": must have a place for the first text ($A)");
    Json json;
    json.set("type", "TemplateProcessing").set("single", std::move(single)).set("pair", std::move(pair));
    return json.set("special_tokens", Json::object(std::move(tokens)));
  }

  PostProcessor made_;
  std::unordered_map<std::string, std::vector<int32_t>> template_tokens_;
  bool has_layout_ = false;
  bool closed_ = false;  // texts are no longer apart from the tokens around them
};

std::shared_ptr<const PostProcessor> read_post_processor(const Json& value, int64_t token_count,
                                                         const PostProcessor::TokenText& token_text,
                                                         std::span<const int32_t> added_ids) {
  if (value.is_null()) return std::make_shared<PostProcessor>();
  PostProcessorReader reader;
  Json json = reader.read(value);
  return reader.finish(std::move(json), token_count, token_text, added_ids);
}

}  // namespace gradus
