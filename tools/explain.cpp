// gradus explain: what enters a model's first block for each token of a text, and what positions do to it.

#include <algorithm>
#include <charconv>
#include <string_view>

#include "models/transformer/explain.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"
#include "tools/open_model.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

/// "5,2" as two places in the text.
void parse_tokens(const std::string& text, RotationOptions& options) {
  const auto number = [&](std::string_view digits, int64_t& value) {
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && rest == digits.data() + digits.size();
  };
  const std::size_t comma = std::min(text.find(','), text.size());
  const std::string_view all = text;
  check(comma < text.size() && number(all.substr(0, comma), options.query) &&
            number(all.substr(comma + 1), options.key),
        "--tokens must be two numbers with a comma, such as 5,2; it is '", text, "'");
}

/// The tokens of a text as the model reads it, with those that the tokenizer adds where it was trained with them.
std::vector<int32_t> text_ids(const LanguageModel& loaded, std::string_view text, bool parse_special) {
  std::vector<int32_t> ids = loaded.tokenizer.encode(
      text, {.special_tokens = parse_special, .add_special = loaded.add_special, .whole = true});
  const int64_t most = loaded.model.config().block_size;
  check(!ids.empty() && std::ssize(ids) <= most,
        "explain: the text must have 1 to block_size tokens; it has ", ids.size(), ", block_size is ", most,
        "; give a shorter one");
  return ids;
}

/// How the model knows the order of tokens, for people.
std::string about_positions(const Config& config) {
  switch (config.position) {
    case PositionKind::learned: return "learned: a trained row for each position is added";
    case PositionKind::sinusoidal: return "sinusoidal: a row of sines and cosines is added";
    case PositionKind::rotary: return "rotary: no row is added; queries and keys are turned in each block";
    case PositionKind::none:
      return config.causal ? "none: a token knows its place only by how many tokens it sees"
                           : "none: nothing tells the order of the tokens";
  }
  fail("explain: the kind of positions must be a known one");
}

constexpr std::size_t kColumn = 11;
/// A cell of a table, on the right, with a space before it at least.
std::string column(const std::string& text, std::size_t width = kColumn) {
  return std::string(width > text.size() ? width - text.size() : 1, ' ') + text;
}
std::string column(int64_t value) { return column(std::to_string(value)); }
std::string column(double value) { return column(fixed(value, 3)); }

class Report {
 public:
  Report(const LanguageModel& loaded, std::span<const int32_t> ids)
      : model_(loaded.model), tokenizer_(loaded.tokenizer), ids_(ids) {
    json_.set("positions", std::string(name_of(model_.config().position)));
  }

  void rows(const std::vector<RowParts>& rows) {
    const Config& config = model_.config();
    print("positions  " + about_positions(config) + "\n\n");
    std::string head = column("position") + column("id");
    if (config.n_segment > 0) head += column("segment");
    for (const PartOfRow& part : rows.front().parts) head += column("|" + part.name + "|") + column("cosine");
    head += column("|sum|");
    if (config.embedding_norm) head += column("|layer_0|");
    print(head + "  text\n");
    Json list = Json::array();
    for (std::size_t t = 0; t < rows.size(); ++t) {
      const RowParts& row = rows[t];
      std::string line = column(static_cast<int64_t>(t)) + column(int64_t{ids_[t]});
      Json item = Json::object();
      item.set("token", text_of(static_cast<int64_t>(t))).set("id", int64_t{ids_[t]});
      item.set("position", static_cast<int64_t>(t));
      if (config.n_segment > 0) {
        line += column(int64_t{0});
        item.set("segment", int64_t{0});
      }
      Json parts = Json::object();
      for (const PartOfRow& part : row.parts) {
        line += column(part.norm) + column(part.cosine);
        parts.set(part.name, Json::object().set("norm", part.norm).set("cosine", part.cosine));
      }
      line += column(row.sum_norm);
      item.set("parts", parts).set("sum_norm", row.sum_norm).set("layer_0_norm", row.layer_0_norm);
      if (config.embedding_norm) line += column(row.layer_0_norm);
      print(line + "  " + in_one_line(text_of(static_cast<int64_t>(t))) + "\n");
      list.push(item);
    }
    json_.set("tokens", list);
  }

  void rotation(const Rotation& rotation, const RotationOptions& options) {
    const std::vector<double> all = rotary_wavelengths(model_), local = rotary_wavelengths(model_, true);
    const int64_t apart = options.query - options.key;
    print("\nblock " + std::to_string(options.layer) + ", head " + std::to_string(options.head) +
          ": q of token " + name_of_token(options.query) + ", k of token " + name_of_token(options.key) +
          ", products times " + fixed(rotation.scale, 3) + "\n");
    print(column("pair") + column("wave") + (all == local ? "" : column("in windows")) + column("q_i") +
          column("q_i+R/2") + column("k_i") + column("k_i+R/2") + column("before") + column("after") + "\n");
    Json pairs = Json::array();
    for (std::size_t i = 0; i < rotation.pairs.size(); ++i) {
      const RotatedPair& pair = rotation.pairs[i];
      std::string line = column(static_cast<int64_t>(i)) + column(all[i]);
      Json item = Json::object().set("wavelength", all[i]);
      if (all != local) {
        line += column(local[i]);
        item.set("wavelength_in_windows", local[i]);
      }
      Json query = Json::array(), key = Json::array();
      for (const float x : pair.query) {
        line += column(double{x});
        query.push(double{x});
      }
      for (const float x : pair.key) {
        line += column(double{x});
        key.push(double{x});
      }
      print(line + column(pair.before) + column(pair.after) + "\n");
      pairs.push(
          item.set("query", query).set("key", key).set("before", pair.before).set("after", pair.after));
    }
    const std::size_t indent = (all == local ? 6 : 7) * kColumn;
    if (rotation.unturned != 0) {
      print(column("channels that do not turn", indent) + column(rotation.unturned) +
            column(rotation.unturned) + "\n");
    }
    print(column("sum", indent) + column(rotation.before) + column(rotation.after) + "\n\n");
    print(column("distance") + column("product") + "\n");
    Json distances = Json::array();
    for (const ProductAt& at : rotation.by_distance) {
      print(column(at.distance) + column(at.product) + (at.distance == apart ? "  as in the text" : "") +
            (at.visible ? "" : "  not seen") + "\n");
      distances.push(
          Json::object().set("distance", at.distance).set("product", at.product).set("visible", at.visible));
    }
    Json json = Json::object();
    json.set("layer", options.layer).set("head", options.head).set("query", options.query);
    json.set("key", options.key).set("scale", rotation.scale).set("pairs", pairs);
    json.set("unturned", rotation.unturned).set("before", rotation.before).set("after", rotation.after);
    json_.set("rotation", json.set("by_distance", distances));
  }

  const Json& json() const { return json_; }
  const std::string& text() const { return text_; }

 private:
  void print(const std::string& text) { text_ += text; }
  std::string text_of(int64_t token) const {
    return replace_invalid_utf8(tokenizer_.token_text(ids_[static_cast<std::size_t>(token)]));
  }
  std::string name_of_token(int64_t token) const {
    return std::to_string(token) + " '" + in_one_line(text_of(token)) + "'";
  }

  const Transformer& model_;
  const Tokenizer& tokenizer_;
  std::span<const int32_t> ids_;
  std::string text_;
  Json json_ = Json::object();
};

}  // namespace

int run_explain(const Arguments& arguments) {
  std::string folder;
  std::string text;
  std::string tokens;
  RotationOptions options;
  std::string tokenizer_file;
  CommonOptions common;
  Args args(
      "explain",
      "Takes apart what a model's first block reads: for each token of a text the length of its row's "
      "parts (token, segment, position), each with its cosine to their sum. Where positions are rotary, "
      "also how one query and key compare, pair of channels by pair, before and after the rotation, and "
      "at other distances.");
  args.positional("DIR", folder, "the model's folder, or its .gguf or llama2.c file");
  args.positional("TEXT", text, "the text");
  args.heading("Rotary positions");
  args.integer("--layer", options.layer, "the block that layer_N leaves");
  args.integer("--head", options.head, "the query head, from 0");
  args.text(
      "--tokens", tokens,
      "I,J: the query of the token at position I, the key of that at J; default: the last and the first");
  ParseSpecialOption parse_special;
  parse_special.add(args);
  add_tokenizer_option(args, tokenizer_file);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  if (!tokens.empty()) parse_tokens(tokens, options);

  const LanguageModel loaded = open_model(folder, common, true, tokenizer_file);
  const bool rotary = loaded.model.config().position == PositionKind::rotary;
  args.no_effect(
      {{!rotary, {"--layer", "--head", "--tokens"}, "with a model whose positions are not rotary"}});
  warn_of_unknown(loaded.tokenizer, std::vector<std::string_view>{text}, "the text");
  const std::vector<int32_t> ids = text_ids(loaded, text, parse_special.value(loaded.parse_special));
  if (tokens.empty()) options.query = std::ssize(ids) - 1;
  Report report(loaded, ids);
  report.rows(explain_rows(loaded.model, ids));
  if (rotary) report.rotation(explain_rotation(loaded.model, ids, options), options);
  check_unchanged(loaded);
  if (common.json) {
    print_json(report.json());
  } else {
    print_out(report.text());
    flush_out();
  }
  return 0;
}

}  // namespace gradus::tools
