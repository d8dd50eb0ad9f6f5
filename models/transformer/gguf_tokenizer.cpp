// The tokenizer that a GGUF file holds.

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "models/transformer/gguf_model.hpp"
#include "models/transformer/gguf_words.hpp"
#include "tensor/error.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/text/space_mark.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

// What follows `tokenizer.ggml.` in the keys that are read, or that say nothing of how a text is cut.
constexpr std::string_view kKnown[] = {"model",
                                       "pre",
                                       "tokens",
                                       "token_type",
                                       "token_type_count",
                                       "scores",
                                       "merges",
                                       "add_bos_token",
                                       "add_eos_token",
                                       "add_sep_token",
                                       "add_space_prefix",
                                       "remove_extra_whitespaces",
                                       "normalizer.lowercase",
                                       "normalizer.strip_accents"};
constexpr std::string_view kKeys = "tokenizer.ggml.";

// How to go on where the tokenizer cannot be read.
constexpr std::string_view kInstead = "; give the model's own with --tokenizer FILE";

using TokenType = GgufTokenType;

// The keys of a file's tokenizer, and its tokens.
class Vocabulary {
 public:
  explicit Vocabulary(const GgufFile& file) : file_(file) {
    for (const std::string_view key : file.keys()) {
      if (!key.starts_with(kKeys)) continue;
      const std::string_view rest = key.substr(kKeys.size());
      const bool known = rest.ends_with("_token_id") ||
                         std::find(std::begin(kKnown), std::end(kKnown), rest) != std::end(kKnown);
      check_world(known, path(),
                  ": every key of the tokenizer must be known, for it may change how a text is cut; '", key,
                  "' is not", kInstead);
    }
    std::unordered_map<std::string_view, int64_t> ids;
    for (const std::string_view token : at("tokens").as_strings()) {
      const int64_t id = std::ssize(tokens);
      check_world(all_utf8(token), path(), ": tokenizer.ggml.tokens must be UTF-8; that of id ", id,
                  " is not");
      const auto [first, is_new] = ids.emplace(token, id);
      check_world(is_new || token.empty(), path(), ": each of tokenizer.ggml.tokens may stand once; ",
                  shown_text(token), " has the ids ", first->second, " and ", id);
      tokens.emplace_back(token);
    }
    types.assign(tokens.size(), TokenType::normal);
    const GgufValue* kinds = find("token_type");
    if (kinds == nullptr) return;
    check_size("token_type", *kinds);
    const std::vector<int64_t> numbers = kinds->as_integers();
    for (size_t id = 0; id < numbers.size(); ++id) {
      check_world(numbers[id] >= 0 && numbers[id] <= static_cast<int64_t>(TokenType::byte), path(),
                  ": tokenizer.ggml.token_type must be 0 to 6; that of id ", id, " is ", numbers[id]);
      if (numbers[id] > 0) types[id] = static_cast<TokenType>(numbers[id]);
    }
  }

  const std::string& path() const { return file_.path(); }
  const GgufValue* find(std::string_view key) const {
    return file_.find(std::string(kKeys) + std::string(key));
  }
  const GgufValue& at(std::string_view key) const { return file_.at(std::string(kKeys) + std::string(key)); }
  bool boolean(std::string_view key, bool otherwise) const {
    const GgufValue* value = find(key);
    return value ? value->as_boolean() : otherwise;
  }
  void check_size(std::string_view key, const GgufValue& value) const {
    check_world(value.size() == std::ssize(tokens), path(), ": tokenizer.ggml.", key,
                " must have an element for each of ", tokens.size(), " tokens; it has ", value.size());
  }

  /// The token of a key such as bos_token_id, or of its default (-1: none).
  std::optional<int32_t> id(std::string_view key, int64_t otherwise = -1) const {
    const GgufValue* value = find(key);
    const int64_t id = value ? value->as_integer() : otherwise;
    if (!value && id < 0) return {};
    check_world(id >= 0 && id < std::ssize(tokens), path(), ": tokenizer.ggml.", key,
                " must be the id of one of ", tokens.size(), " tokens; it is ", id);
    return static_cast<int32_t>(id);
  }

  /// What stands around a text.
  Json around(std::optional<int32_t> before, std::optional<int32_t> after) const {
    std::vector<AddedToken> used;
    const auto text = [&](std::optional<int32_t> id) -> std::string {
      if (!id) return "";
      used.push_back({*id, tokens[static_cast<size_t>(*id)], false, false, false, false, true});
      return used.back().content;
    };
    const std::string first = text(before), last = text(after);
    return first.empty() && last.empty() ? Json() : template_json(used, first, last);
  }
  /// The same by add_bos_token and add_eos_token; the defaults are llama.cpp's.
  Json around(bool add_bos, bool add_eos, int64_t bos = -1, int64_t eos = -1) const {
    std::optional<int32_t> before, after;
    if (boolean("add_bos_token", add_bos)) before = needed("bos_token_id", bos);
    if (boolean("add_eos_token", add_eos)) after = needed("eos_token_id", eos);
    return around(before, after);
  }

  std::vector<std::string> tokens;
  std::vector<TokenType> types;

 private:
  std::optional<int32_t> needed(std::string_view key, int64_t otherwise) const {
    const std::optional<int32_t> found = id(key, otherwise);
    check_world(found.has_value(), path(), ": must say which token stands around a text; tokenizer.ggml.",
                key, " is missing", kInstead);
    return found;
  }

  const GgufFile& file_;
};

const GgufWordRule& word_rule(const Vocabulary& vocabulary) {
  const GgufValue* pre = vocabulary.find("pre");
  std::string names;
  for (const GgufWordRule& rule : gguf_word_rules()) {
    if (pre && pre->as_string() == rule.name) return rule;
    names += (names.empty() ? "" : ", ") + std::string(rule.name);
  }
  check_world(pre != nullptr, vocabulary.path(),
              ": must say how words are cut; tokenizer.ggml.pre is missing, as in files of early 2024",
              kInstead);
  fail_world(vocabulary.path(), ": tokenizer.ggml.pre must be one of ", names, "; it is '", pre->as_string(),
             "'", kInstead);
}

std::vector<BpeMerge> merges_of(const Vocabulary& vocabulary) {
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id)
    ids.emplace(vocabulary.tokens[id], static_cast<int32_t>(id));
  std::vector<BpeMerge> merges;
  for (const std::string_view merge : vocabulary.at("merges").as_strings()) {
    const size_t space = merge.find(' ', 1);
    check_world(space != std::string_view::npos, vocabulary.path(),
                ": each of tokenizer.ggml.merges must be two tokens with a space between; number ",
                merges.size(), " is ", shown_text(merge));
    const std::string left(merge.substr(0, space)), right(merge.substr(space + 1)), both = left + right;
    for (const std::string& token : {left, right, both}) {
      check_world(ids.contains(token), vocabulary.path(),
                  ": each of tokenizer.ggml.merges must join two tokens into a token; number ", merges.size(),
                  ", ", shown_text(merge), ", needs ", shown_text(token), ", which is none");
    }
    merges.push_back({ids.at(left), ids.at(right), ids.at(both), static_cast<uint32_t>(merges.size())});
  }
  return merges;
}

GgufTokenizer byte_level(const Vocabulary& vocabulary) {
  const GgufWordRule& rule = word_rule(vocabulary);
  check_world(!vocabulary.boolean("add_space_prefix", false), vocabulary.path(),
              ": tokenizer.ggml.add_space_prefix must be false beside the model gpt2; it is true", kInstead);
  BpeParts bpe;
  bpe.tokens = vocabulary.tokens;
  bpe.merges = merges_of(vocabulary);
  bpe.ignore_merges = rule.ignore_merges;
  std::vector<AddedToken> added;
  for (size_t id = 0; id < bpe.tokens.size(); ++id) {
    const TokenType type = vocabulary.types[id];
    if (type == TokenType::unused && bpe.tokens[id] == "[PAD" + std::to_string(id) + "]") {
      bpe.tokens[id].clear();  // an id without a token
      if (rule.ignore_merges) bpe.in_merges.push_back(false);
      continue;
    }
    // A word that reads like a special token is none.
    if (rule.ignore_merges) bpe.in_merges.push_back(type == TokenType::normal);
    const bool special = type == TokenType::control || type == TokenType::unknown;
    if ((special || type == TokenType::user_defined) && !bpe.tokens[id].empty())
      added.push_back({static_cast<int32_t>(id), bpe.tokens[id], false, false, false, false, special});
  }
  while (!bpe.tokens.empty() && bpe.tokens.back().empty()) {
    bpe.tokens.pop_back();
    if (rule.ignore_merges) bpe.in_merges.pop_back();
  }
  Json post = vocabulary.around(rule.add_bos, false);
  if (vocabulary.boolean("add_sep_token", rule.add_separator)) {
    const char* separator = vocabulary.find("seperator_token_id") ? "seperator_token_id" : "eos_token_id";
    post = vocabulary.around(vocabulary.id("bos_token_id"), vocabulary.id(separator));
  }
  if (post.is_null()) post = preset(kByteLevelPost);
  return {Tokenizer(assemble(std::make_shared<const BpeModel>(std::move(bpe)), std::move(added),
                             rule.normalizer(), rule.pre_tokenizer(), post, preset(kByteLevelDecoder))),
          ""};
}

// As a tokenizer.json has it, with the offsets and the special tokens in texts that the Hugging Face library gives such a
// model; as pieces where an id would differ.
Tokenizer as_library_has_it(Tokenizer pieces, const std::string& path) {
  try {
    return as_tokenizer_json(pieces, path);
  } catch (const std::exception&) {
    return pieces;
  }
}

// The same as a SentencePiece model with these pieces, which says what they must be.
GgufTokenizer sentencepiece(const Vocabulary& vocabulary) {
  using Type = SentencePieceFile::PieceType;
  const std::string& path = vocabulary.path();
  SentencePieceFile file;
  const GgufValue& scores = vocabulary.at("scores");
  vocabulary.check_size("scores", scores);
  const std::vector<double> numbers = scores.as_numbers();
  bool has_unknown = false;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    Type type = Type::normal;
    switch (vocabulary.types[id]) {
      case TokenType::undefined:
      case TokenType::normal: break;
      case TokenType::unknown: type = Type::unknown; break;
      // Tokens without a use fill the table up; no text gives them either.
      case TokenType::unused:
      case TokenType::control: type = Type::control; break;
      case TokenType::user_defined: type = Type::user_defined; break;
      case TokenType::byte: type = Type::byte; break;
    }
    has_unknown = has_unknown || type == Type::unknown;
    if (type == Type::unknown)
      file.trainer.unk_surface = vocabulary.tokens[id];  // decoded as the library does
    file.trainer.byte_fallback = file.trainer.byte_fallback || type == Type::byte;
    file.pieces.push_back({vocabulary.tokens[id], static_cast<float>(numbers[id]), type});
  }
  if (!has_unknown) {
    if (const auto id = vocabulary.id("unknown_token_id", 0)) {
      file.pieces[static_cast<size_t>(*id)].type = Type::unknown;
      file.trainer.unk_surface = vocabulary.tokens[static_cast<size_t>(*id)];
    }
  }
  file.trainer.model_type = SentencePieceFile::ModelType::bpe;
  file.normalizer.name = "identity";
  file.normalizer.add_dummy_prefix = vocabulary.boolean("add_space_prefix", true);
  file.normalizer.remove_extra_whitespaces = vocabulary.boolean("remove_extra_whitespaces", false);
  try {
    write_sentencepiece(file);
  } catch (const std::exception& error) {
    fail_world(path, ": the tokens must be pieces of a SentencePiece model; they are not: ", error.what());
  }
  TokenizerParts parts = parts_of(file, path);
  set_post_processor(parts, vocabulary.around(true, false, 1, 2));
  return {as_library_has_it(Tokenizer(std::move(parts)), path), ""};
}

// Words begin with U+2581 there, and their continuations with nothing; here these begin with "##".
GgufTokenizer word_piece(const Vocabulary& vocabulary) {
  std::vector<std::string> tokens;
  std::vector<AddedToken> added;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    const bool in_brackets = token.size() > 2 && token.front() == '[' && token.back() == ']';
    const bool special =
        vocabulary.types[id] == TokenType::control || vocabulary.types[id] == TokenType::unknown;
    const bool found_in_texts = special || vocabulary.types[id] == TokenType::user_defined;
    if (found_in_texts && !token.empty())
      added.push_back({static_cast<int32_t>(id), token, false, false, false, false, special});
    if (token.starts_with(kSpaceText) && !found_in_texts) {
      tokens.push_back(token.substr(kSpaceText.size()));
    } else {
      tokens.push_back(found_in_texts || in_brackets ? token : "##" + token);
    }
  }
  const auto check_token = [&](std::string_view key, std::string_view expected) {
    const std::optional<int32_t> id = vocabulary.id(key);
    check_world(!id || tokens[static_cast<size_t>(*id)] == expected, vocabulary.path(), ": tokenizer.ggml.",
                key, " must be that of ", expected, "; it is that of ",
                shown_text(id ? tokens[static_cast<size_t>(*id)] : ""), kInstead);
  };
  const bool before = vocabulary.boolean("add_bos_token", true);
  if (before) check_token("bos_token_id", "[CLS]");
  check_token("cls_token_id", "[CLS]");
  check_token("seperator_token_id", "[SEP]");
  check_token("unknown_token_id", "[UNK]");
  GgufTokenizer result;
  TokenizerParts parts = parts_of_vocab_txt(std::move(tokens), vocabulary.path());
  for (AddedToken& token : added) {
    const bool known = std::any_of(parts.added_tokens.begin(), parts.added_tokens.end(),
                                   [&](const AddedToken& other) { return other.id == token.id; });
    if (!known) parts.added_tokens.push_back(std::move(token));
  }
  const Json guessed = parts.normalizer->to_json();
  Json normalizer = guessed;
  if (const GgufValue* value = vocabulary.find("normalizer.lowercase"))
    normalizer.set("lowercase", value->as_boolean());
  if (const GgufValue* value = vocabulary.find("normalizer.strip_accents"))
    normalizer.set("strip_accents", value->as_boolean());
  parts.normalizer = read_normalizer(normalizer);
  check_world(vocabulary.boolean("add_sep_token", true) == before, vocabulary.path(),
              ": tokenizer.ggml.add_sep_token must be that of add_bos_token beside the model bert; it is not",
              kInstead);
  if (!before) set_post_processor(parts, {});
  if (!vocabulary.find("normalizer.lowercase")) {
    const bool lowercase = guessed.at("lowercase").as_boolean();
    result.note =
        std::string("the file does not say whether texts are lower-cased and stripped of accents; ") +
        (lowercase ? "they are both, as no token has a capital"
                   : "they are neither, as some tokens have capitals") +
        "; --tokenizer FILE, with the model's own, wins";
  }
  result.tokenizer = Tokenizer(std::move(parts));
  return result;
}

struct Kind {
  std::string_view name;  // what tokenizer.ggml.model says
  GgufTokenizer (*read)(const Vocabulary& vocabulary);
};

constexpr Kind kKinds[] = {{"gpt2", byte_level}, {"llama", sentencepiece}, {"bert", word_piece}};

}  // namespace

std::optional<GgufTokenizer> tokenizer_from_gguf(const GgufFile& file) {
  // The model's own, where a file has it.
  if (const GgufValue* own = file.find("tokenizer.huggingface.json"))
    return GgufTokenizer{Tokenizer::parse(own->as_string(), file.path() + ": tokenizer.huggingface.json"),
                         ""};
  const GgufValue* model = file.find("tokenizer.ggml.model");
  if (model == nullptr || model->as_string() == "none" || model->as_string() == "no_vocab") return {};
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const Kind& one) { return one.name == model->as_string(); });
  check_world(kind != std::end(kKinds), file.path(),
              ": tokenizer.ggml.model must be gpt2, llama or bert; it is '", model->as_string(), "'",
              kInstead);
  const Vocabulary vocabulary(file);
  try {
    return kind->read(vocabulary);
  } catch (const std::invalid_argument& error) {
    fail_world(file.path(), ": the tokenizer's keys must make one; ", error.what());
  }
}

}  // namespace gradus
