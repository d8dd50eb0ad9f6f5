#include "tokenizer/tokenizer.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/formats/tokenizer_json.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

Tokenizer::Tokenizer(TokenizerParts parts, std::string note)
    : pipeline_(std::make_shared<const Pipeline>(std::move(parts))), note_(std::move(note)) {}

Tokenizer Tokenizer::parse(std::string_view json, const std::string& source) {
  return Tokenizer(read_tokenizer_json(Json::parse(json, source)));
}

Tokenizer Tokenizer::load(const std::string& path) { return load_tokenizer(path); }

void Tokenizer::save(const std::string& path) const { write_file_atomic(path, to_json()); }

std::string Tokenizer::to_json() const { return write_tokenizer_json(parts()).dump(2) + "\n"; }

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const Pipeline& pipeline = this->pipeline();
  if (options.add_special) return encode_full(text, std::nullopt, options).ids;
  std::vector<int32_t> ids;
  pipeline.encode(text, options.special_tokens, ids, nullptr);
  return ids;
}

std::vector<TokenSpan> Tokenizer::encode_spans(std::string_view text, EncodeOptions options) const {
  const Encoding encoding = encode_full(text, std::nullopt, options);
  std::vector<TokenSpan> spans;
  spans.reserve(encoding.ids.size());
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    spans.push_back({encoding.ids[i], encoding.offsets[i].begin, encoding.offsets[i].end});
  }
  return spans;
}

Encoding Tokenizer::encode_full(std::string_view text, std::optional<std::string_view> pair,
                                EncodeOptions options) const {
  const Pipeline& pipeline = this->pipeline();
  const TokenizerParts& parts = pipeline.parts();
  const auto encode_one = [&](std::string_view one, int8_t sequence) {
    Encoding encoding;
    pipeline.encode(one, options.special_tokens, encoding.ids, &encoding.offsets);
    encoding.type_ids.assign(encoding.ids.size(), static_cast<uint8_t>(sequence));
    encoding.special.assign(encoding.ids.size(), 0);
    encoding.sequence.assign(encoding.ids.size(), sequence);
    return encoding;
  };
  Encoding first = encode_one(text, 0);
  std::optional<Encoding> second;
  if (pair) second = encode_one(*pair, 1);
  return finish_encoding(std::move(first), std::move(second), parts, options, text, pair.value_or(""));
}

AddedAround Tokenizer::added_around() const { return parts().post_processor->added_around(); }

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  const Pipeline& pipeline = this->pipeline();
  const auto check_id = [&](size_t i) {
    check(ids[i] >= 0 && ids[i] < pipeline.size(), "decode: ids must be from 0 to ", pipeline.size() - 1,
          "; id ", ids[i], " is at place ", i, "; use the tokenizer that made the ids");
    return !(options.skip_special && pipeline.is_special(ids[i]));
  };
  std::string text;
  if (pipeline.lossless() || pipeline.parts().decoder == nullptr) {
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!check_id(i)) continue;
      // Without a decoder the Hugging Face library puts spaces between the tokens.
      if (!pipeline.lossless() && !text.empty()) text += ' ';
      text += pipeline.bytes(ids[i]);
    }
    return text;
  }
  std::vector<std::string> tokens;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (check_id(i)) tokens.push_back(pipeline.text(ids[i]));
  }
  return pipeline.parts().decoder->decode(std::move(tokens),
                                          options.replace_invalid ? InvalidUtf8::replace : InvalidUtf8::keep);
}

std::string Tokenizer::kind() const {
  const SubwordModel& model = *parts().model;
  const std::string kind = model.kind();
  if (kind == "char") return kind;
  if (kind == "bpe" && static_cast<const BpeModel&>(model).parts().merges.empty() &&
      parts().added_tokens.empty())
    return "byte";
  return kind + ":" + std::to_string(vocab_size());
}

int64_t Tokenizer::vocab_size() const { return pipeline().size(); }

const std::string& Tokenizer::token_bytes(int32_t id) const { return pipeline_of(id).bytes(id); }

const std::string& Tokenizer::token_text(int32_t id) const { return pipeline_of(id).text(id); }

std::optional<int32_t> Tokenizer::id_of(std::string_view token_text) const {
  return pipeline().find(token_text);
}

std::optional<int32_t> Tokenizer::end_of_text() const {
  for (const std::string_view name :
       {kEndOfText, std::string_view("<|end_of_text|>"), std::string_view("</s>"), std::string_view("<eos>"),
        std::string_view("[SEP]")}) {
    const std::optional<int32_t> id = pipeline().find(name);
    if (id && is_special(*id)) return id;
  }
  return std::nullopt;
}

std::optional<int32_t> Tokenizer::unknown_id() const {
  const std::string name = parts().model->unknown_token();
  return name.empty() ? std::nullopt : pipeline().find(name);
}

bool Tokenizer::is_special(int32_t id) const { return pipeline_of(id).is_special(id); }

bool Tokenizer::lossless() const { return pipeline().lossless(); }

const TokenizerParts& Tokenizer::parts() const { return pipeline().parts(); }

const Pipeline& Tokenizer::pipeline() const {
  check(pipeline_ != nullptr,
        "tokenizer: must be loaded or trained before use; this one is empty; "
        "assign what load, parse, bytes or a train_ function gives");
  return *pipeline_;
}

const Pipeline& Tokenizer::pipeline_of(int32_t id) const {
  const Pipeline& pipeline = this->pipeline();
  check(id >= 0 && id < pipeline.size(), "tokenizer: ids must be from 0 to ", pipeline.size() - 1, "; ", id,
        " was given; use the tokenizer that made the id");
  return pipeline;
}

namespace {

// Decoding goes on from about so many tokens: nothing reaches back further than to one that has text of its own.
constexpr size_t kReach = 16;

// The last of the ids from which on decoding gives text: what follows then stands in a text, as it does behind all of
// them. Control tokens may have no text, and spaces none at a text's beginning.
size_t last_with_text(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  for (size_t count = 1; count <= std::min(ids.size(), kReach); ++count) {
    if (!tokenizer.decode(ids.last(count)).empty()) return ids.size() - count;
  }
  // A run of spaces without end is decoded anew with each that comes; somewhere that has to stop.
  constexpr size_t kMostKept = 4096;
  return ids.size() < kMostKept ? 0 : ids.size() - 1;
}

}  // namespace

StreamDecoder::StreamDecoder(Tokenizer tokenizer, std::span<const int32_t> before)
    : tokenizer_(std::move(tokenizer)) {
  if (tokenizer_.lossless()) return;
  size_t reach = std::min(before.size(), kReach);
  while (reach < before.size() && tokenizer_.decode(before.last(reach)).empty())
    reach = std::min(before.size(), 2 * reach);
  const auto context = before.last(reach);
  ids_.assign(context.begin(), context.end());
  given_ = tokenizer_.decode(ids_).size();
}

std::string StreamDecoder::push(int32_t id) {
  if (tokenizer_.lossless()) {
    held_ += tokenizer_.token_bytes(id);
    const size_t certain = held_.size() - static_cast<size_t>(incomplete_utf8_tail(held_));
    std::string out = held_.substr(0, certain);
    held_.erase(0, certain);
    return out;
  }
  // What a token gives may depend on those before it (a space is left out at the beginning) and, while bytes are
  // joined to characters, on those after it.
  ids_.push_back(id);
  const std::string text = tokenizer_.decode(ids_);
  // No character has so many tokens; whatever ends like one that is not whole is whole then.
  constexpr size_t kMostHeld = 64;
  const bool cut = ids_.size() < kMostHeld && (incomplete_utf8_tail(text) > 0 || text.ends_with("\uFFFD"));
  if (cut || text.size() <= given_) return {};
  std::string out = text.substr(given_);
  if (ids_.size() > kReach) {
    ids_.erase(ids_.begin(), ids_.begin() + static_cast<int64_t>(last_with_text(tokenizer_, ids_)));
    given_ = tokenizer_.decode(ids_).size();
  } else {
    given_ = text.size();
  }
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  if (tokenizer_.lossless()) {
    out.swap(held_);
    return out;
  }
  const std::string text = tokenizer_.decode(ids_);
  if (text.size() > given_) out = text.substr(given_);
  ids_.clear();
  given_ = 0;
  return out;
}

}  // namespace gradus
