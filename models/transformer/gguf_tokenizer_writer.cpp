#include "models/transformer/gguf_tokenizer_writer.hpp"

#include <algorithm>
#include <optional>

#include "models/transformer/gguf_model.hpp"
#include "models/transformer/gguf_words.hpp"
#include "tensor/error.hpp"
#include "tokenizer/formats/hostile_texts.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/formats/sentencepiece_file.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/subword/wordpiece_model.hpp"
#include "tokenizer/text/space_mark.hpp"

namespace gradus {
namespace {

constexpr const char* kWholeTokenizer = "tokenizer.huggingface.json";

using TokenType = GgufTokenType;

std::string key(std::string_view name) { return "tokenizer.ggml." + std::string(name); }

// The tokens of a file by id, and what kind each is.
struct Tokens {
  std::vector<std::string> texts;
  std::vector<int32_t> types;

  void add(std::string text, TokenType type) {
    texts.push_back(std::move(text));
    types.push_back(static_cast<int32_t>(type));
  }
  // Ids without a token have one that says so, as files that llama.cpp's conversion makes.
  void add_unused() { add("[PAD" + std::to_string(texts.size()) + "]", TokenType::unused); }
  void write(GgufFields& fields, int64_t vocab_size) {
    while (std::ssize(texts) < vocab_size) add_unused();
    fields.texts(key("tokens"), texts);
    fields.i32s(key("token_type"), types);
  }
};

TokenType type_of(const Tokenizer& tokenizer, int32_t id) {
  if (tokenizer.is_special(id)) return TokenType::control;
  const bool added = id >= std::ssize(tokenizer.parts().model->tokens()) ||
                     tokenizer.parts().model->tokens()[static_cast<size_t>(id)].empty();
  return added ? TokenType::user_defined : TokenType::normal;
}

// What stands around a text: one token on each side at most.
struct Around {
  std::optional<int32_t> before, after;
};

Around around_texts(const Tokenizer& tokenizer, const GgufTokenizerUse& use) {
  if (!use.add_special) return {};
  const AddedAround added = tokenizer.added_around();
  check(added.before.size() <= 1 && added.after.size() <= 1,
        "a file can name one token before a text and one behind it; the tokenizer adds ", added.before.size(),
        " and ", added.after.size());
  Around result;
  if (!added.before.empty()) result.before = added.before.front();
  if (!added.after.empty()) result.after = added.after.front();
  return result;
}

void write_id(GgufFields& fields, std::string_view name, std::optional<int64_t> id) {
  if (id) fields.u32(key(name), *id);
}

std::optional<int64_t> role(const GgufTokenizerUse& use, const std::string& name) {
  const auto said = use.roles.find(name);
  return said == use.roles.end() ? std::nullopt : std::optional(said->second);
}

// Of a causal model: the token before a text, and the ends of texts, that which is added first.
void write_around(GgufFields& fields, const Tokenizer& tokenizer, const GgufTokenizerUse& use) {
  const Around around = around_texts(tokenizer, use);
  fields.boolean(key("add_bos_token"), around.before.has_value());
  fields.boolean(key("add_eos_token"), around.after.has_value());
  write_id(fields, "bos_token_id", around.before ? std::optional<int64_t>(*around.before) : role(use, "bos"));
  std::vector<int64_t> ends = use.end_tokens;
  if (around.after) {
    std::erase(ends, *around.after);
    ends.insert(ends.begin(), *around.after);
  }
  write_gguf_end_tokens(fields, ends);
}

void write_unknown_and_padding(GgufFields& fields, const Tokenizer& tokenizer, const GgufTokenizerUse& use,
                               std::initializer_list<const char*> padding) {
  const std::optional<int64_t> unknown = tokenizer.unknown_id();
  write_id(fields, "unknown_token_id", unknown ? unknown : role(use, "unk"));
  if (const auto said = role(use, "pad")) return write_id(fields, "padding_token_id", said);
  for (const char* name : padding) {
    if (const auto id = tokenizer.id_of(name)) return write_id(fields, "padding_token_id", *id);
  }
}

// The roles of tokens that the kind of a tokenizer has not written itself.
void write_other_roles(GgufFields& fields, const GgufTokenizerUse& use) {
  for (const auto& [name, id] : {std::pair("bos", "bos_token_id"),
                                 {"unk", "unknown_token_id"},
                                 {"sep", "seperator_token_id"},
                                 {"pad", "padding_token_id"},
                                 {"cls", "cls_token_id"},
                                 {"mask", "mask_token_id"}}) {
    if (!fields.contains(key(id))) write_id(fields, id, role(use, name));
  }
}

// The writers give false where the tokenizer is of another kind; an error says what of it their kind cannot.

// ---- byte-level BPE ----

std::string without_offsets(const Json& pre_tokenizer) {
  std::string text = pre_tokenizer.dump();
  // Offsets are no part of the ids.
  constexpr std::string_view kUntrimmed = "\"trim_offsets\":false", kTrimmed = "\"trim_offsets\":true";
  for (size_t at = 0; (at = text.find(kUntrimmed, at)) != std::string::npos;)
    text.replace(at, kUntrimmed.size(), kTrimmed);
  return text;
}

const GgufWordRule& rule_of(const TokenizerParts& parts, const BpeModel& bpe) {
  const std::string words = without_offsets(parts.pre_tokenizer->to_json());
  const Json normalizer = parts.normalizer ? parts.normalizer->to_json() : Json();
  for (const GgufWordRule& rule : gguf_word_rules()) {
    const bool same = rule.ignore_merges == bpe.parts().ignore_merges &&
                      rule.normalizer().dump() == normalizer.dump() &&
                      without_offsets(read_pre_tokenizer(rule.pre_tokenizer())->to_json()) == words;
    if (same) return rule;
  }
  fail("none of its rules for words is this tokenizer's");
}

bool write_byte_level(GgufFields& fields, const Tokenizer& tokenizer, const GgufTokenizerUse& use) {
  const TokenizerParts& parts = tokenizer.parts();
  const auto* bpe = dynamic_cast<const BpeModel*>(parts.model.get());
  if (bpe == nullptr || !bpe->parts().byte_level) return false;
  const GgufWordRule& rule = rule_of(parts, *bpe);
  Tokens tokens;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string& text = tokenizer.token_text(id);
    if (text.empty()) {
      tokens.add_unused();
    } else {
      tokens.add(text, type_of(tokenizer, id));
    }
  }
  const std::vector<std::string>& texts = bpe->tokens();
  std::vector<std::string> merges;
  for (const auto& [left, right] : bpe->merge_list())
    merges.push_back(texts[static_cast<size_t>(left)] + " " + texts[static_cast<size_t>(right)]);
  fields.text(key("model"), "gpt2");
  fields.text(key("pre"), rule.name);
  tokens.write(fields, use.vocab_size);
  fields.texts(key("merges"), merges);
  write_around(fields, tokenizer, use);
  write_unknown_and_padding(fields, tokenizer, use, {"<pad>", "<|padding|>"});
  return true;
}

// ---- SentencePiece ----

bool write_sentencepiece_bpe(GgufFields& fields, const Tokenizer& tokenizer, const GgufTokenizerUse& use) {
  const auto* bpe = dynamic_cast<const BpeModel*>(tokenizer.parts().model.get());
  if (bpe == nullptr || bpe->parts().byte_level) return false;
  const SentencePieceFile file = sentencepiece_of(tokenizer);
  Tokens tokens;
  std::vector<float> scores;
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    tokens.add(piece.text, static_cast<TokenType>(piece.type));
    scores.push_back(piece.score);
  }
  scores.resize(std::max(scores.size(), static_cast<size_t>(use.vocab_size)));
  fields.text(key("model"), "llama");
  fields.text(key("pre"), "default");
  tokens.write(fields, use.vocab_size);
  fields.f32s(key("scores"), scores);
  fields.boolean(key("add_space_prefix"), file.normalizer.add_dummy_prefix);
  fields.boolean(key("remove_extra_whitespaces"), file.normalizer.remove_extra_whitespaces);
  write_around(fields, tokenizer, use);
  write_unknown_and_padding(fields, tokenizer, use, {"<pad>"});
  return true;
}

// ---- WordPiece ----

bool write_word_piece(GgufFields& fields, const Tokenizer& tokenizer, const GgufTokenizerUse& use) {
  if (dynamic_cast<const WordPieceModel*>(tokenizer.parts().model.get()) == nullptr) return false;
  const std::vector<AddedToken>& added = tokenizer.parts().added_tokens;
  Tokens tokens;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string& text = tokenizer.token_text(id);
    const bool is_added =
        std::any_of(added.begin(), added.end(), [&](const AddedToken& token) { return token.id == id; });
    if (text.empty()) {
      tokens.add_unused();
    } else if (tokenizer.is_special(id)) {
      tokens.add(text, text == "[UNK]" ? TokenType::unknown : TokenType::control);
    } else if (is_added) {
      tokens.add(text, TokenType::user_defined);
    } else if (text.starts_with("##")) {
      tokens.add(text.substr(2), TokenType::normal);
    } else {
      tokens.add(std::string(kSpaceText) + text, TokenType::normal);
    }
  }
  fields.text(key("model"), "bert");
  tokens.write(fields, use.vocab_size);
  const Around texts = around_texts(tokenizer, use);
  check(texts.before.has_value() == texts.after.has_value(),
        "a text must have both [CLS] and [SEP], or neither");
  fields.boolean(key("add_bos_token"), texts.before.has_value());
  fields.boolean(key("add_sep_token"), texts.after.has_value());
  const auto id = [&](const char* name) { return tokenizer.id_of(name); };
  // Where texts are surrounded, programs put the token `bos` before them.
  if (texts.before || !role(use, "bos")) write_id(fields, "bos_token_id", id("[CLS]"));
  write_id(fields, "cls_token_id", id("[CLS]"));
  write_id(fields, "seperator_token_id", id("[SEP]"));
  write_id(fields, "mask_token_id", id("[MASK]"));
  write_gguf_end_tokens(fields, use.end_tokens);
  write_unknown_and_padding(fields, tokenizer, use, {"[PAD]"});
  const Json normalizer = tokenizer.parts().normalizer ? tokenizer.parts().normalizer->to_json() : Json();
  check(!normalizer.is_null() && normalizer.at("type").as_string() == "BertNormalizer",
        "the normalizer must be BERT's");
  const bool lowercase = normalizer.at("lowercase").as_boolean();
  const Json* strip = normalizer.find("strip_accents");
  fields.boolean(key("normalizer.lowercase"), lowercase);
  fields.boolean(key("normalizer.strip_accents"),
                 strip == nullptr || strip->is_null() ? lowercase : strip->as_boolean());
  return true;
}

// ---- any ----

// The tokenizer that a file with these keys has.
Tokenizer read_back(const GgufFields& fields) {
  const std::string bytes = gguf_head(fields);
  std::optional<GgufTokenizer> found = tokenizer_from_gguf(GgufFile::parse(bytes, "the file"));
  check(found.has_value(), "the file has no tokenizer");
  return std::move(found->tokenizer);
}

// The first of some texts that has other ids when it is read by a file's tokenizer.
std::optional<std::string> first_difference(const Tokenizer& from, const Tokenizer& to, bool add_special,
                                            const std::vector<std::string>& texts, bool special_tokens) {
  const auto ids = [&](const Tokenizer& tokenizer, const std::string& text, bool add) {
    std::optional<std::vector<int32_t>> found;
    try {
      found = tokenizer.encode(text, {.special_tokens = special_tokens, .add_special = add, .whole = true});
    } catch (const std::runtime_error&) {  // a text that it cannot take
    }
    return found;
  };
  for (const std::string& text : texts) {
    if (ids(from, text, add_special) != ids(to, text, true)) return text;
  }
  return std::nullopt;
}

std::string as_tokenizer_json(const Tokenizer& tokenizer, bool add_special) {
  TokenizerParts parts = tokenizer.parts();
  if (!add_special && !tokenizer.added_around().empty()) set_post_processor(parts, {});
  return Tokenizer(std::move(parts)).to_json();
}

}  // namespace

void write_gguf_end_tokens(GgufFields& fields, const std::vector<int64_t>& end_tokens) {
  constexpr const char* kNames[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
  check(end_tokens.size() <= std::size(kNames), "convert: a GGUF file can name ", std::size(kNames),
        " tokens that end a text; the model has ", end_tokens.size());
  for (size_t i = 0; i < end_tokens.size(); ++i) write_id(fields, kNames[i], end_tokens[i]);
}

std::string write_gguf_tokenizer(GgufFields& fields, const Tokenizer& tokenizer,
                                 const GgufTokenizerUse& use) {
  std::string reason;
  for (const auto write : {write_byte_level, write_sentencepiece_bpe, write_word_piece}) {
    GgufFields keys;
    try {
      if (!write(keys, tokenizer, use)) continue;
      write_other_roles(keys, use);
      const Tokenizer found = read_back(keys);
      if (const auto text = first_difference(tokenizer, found, use.add_special, hostile_texts(), false))
        fail("read back, the text ", Json(*text).dump(), " has other ids");
      fields.add(keys);
      const auto text =
          first_difference(tokenizer, found, use.add_special, texts_with_added_tokens(tokenizer), true);
      if (!text) return "";
      fields.text(kWholeTokenizer, as_tokenizer_json(tokenizer, use.add_special));
      return "llama.cpp finds added tokens in texts otherwise, such as in " + Json(*text).dump() +
             "; the tokenizer stands in the file as a tokenizer.json, too, which gradus reads";
    } catch (const std::exception& error) {
      reason = std::string(" (") + error.what() + ")";
    }
  }
  fields.text(key("model"), "none");
  fields.text(kWholeTokenizer, as_tokenizer_json(tokenizer, use.add_special));
  write_gguf_end_tokens(fields, use.end_tokens);
  write_other_roles(fields, use);
  return "llama.cpp has no tokenizer like this " + tokenizer.kind() + reason +
         "; it stands in the file as a tokenizer.json, which gradus reads, and llama.cpp takes ids alone";
}

}  // namespace gradus
