#include "tokenizer/pipeline.hpp"

#include <algorithm>
#include <limits>

#include "tensor/error.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/char_model.hpp"
#include "tokenizer/unicode.hpp"

namespace gradus {

void set_post_processor(TokenizerParts& parts, const Json& json) {
  const std::vector<std::string>& tokens = parts.model->tokens();
  std::vector<int32_t> added;
  for (const AddedToken& token : parts.added_tokens) added.push_back(token.id);
  parts.post_processor = read_post_processor(
      json, static_cast<int64_t>(tokens.size()),
      [&](int32_t id) -> std::string_view { return tokens[static_cast<size_t>(id)]; }, added);
}

Encoding finish_encoding(Encoding first, std::optional<Encoding> pair, const TokenizerParts& parts,
                         bool add_special, std::string_view text, std::string_view pair_text) {
  if (parts.truncation) {
    const int64_t added = add_special ? parts.post_processor->added_tokens(pair.has_value()) : 0;
    truncate(first, pair ? &*pair : nullptr, *parts.truncation, added);
  }
  Encoding encoding =
      parts.post_processor->process(std::move(first), std::move(pair), add_special, text, pair_text);
  if (parts.padding) pad({&encoding, 1}, *parts.padding);
  return encoding;
}

// Lists that a thread keeps from one text to the next: many texts are one short line.
struct Pipeline::Scratch {
  std::vector<Token> tokens;    // of the words at hand
  std::vector<ByteSpan> words;  // at hand
  std::vector<AddedTokenMatcher::Segment> raw;
  std::vector<AddedTokenMatcher::Segment> normalized;
};

// Tokens as they come out, and what of them is wanted.
struct Pipeline::Output {
  std::vector<int32_t>& ids;
  std::vector<AlignedText::Range>* offsets;
  Scratch& scratch;

  void add(int32_t id, AlignedText::Range range) {
    ids.push_back(id);
    if (offsets != nullptr) offsets->push_back(range);
  }
  // Moves the tokens at hand on.
  void take(const AlignedText& text) {
    const std::vector<Token>& tokens = scratch.tokens;
    for (const Token& token : tokens) ids.push_back(token.id);
    if (offsets != nullptr) {
      // A token of bytes may be a part of a character.
      const bool exact = text.unchanged();
      for (const Token& token : tokens) {
        offsets->push_back(exact ? AlignedText::Range{text.offset() + token.begin, text.offset() + token.end}
                                 : text.original({token.begin, token.end}));
      }
    }
    scratch.tokens.clear();
  }
};

Pipeline::Pipeline(TokenizerParts parts) : parts_(std::move(parts)) {
  check(parts_.model != nullptr, "tokenizer: must have a model; there is none; give one");
  if (parts_.post_processor == nullptr) set_post_processor(parts_, {});
  list_tokens();
  std::vector<std::pair<std::string, AddedToken>> raw;
  std::vector<std::pair<std::string, AddedToken>> normalized;
  for (const AddedToken& token : parts_.added_tokens) {
    if (!token.normalized || parts_.normalizer == nullptr || parts_.tokens_as_written) {
      (token.normalized ? normalized : raw).push_back({token.content, token});
      continue;
    }
    AlignedText pattern(token.content, 0, false);
    parts_.normalizer->apply(pattern);
    normalized.push_back({std::string(pattern.text()), token});
  }
  raw_tokens_ = AddedTokenMatcher(std::move(raw));
  normalized_tokens_ = AddedTokenMatcher(std::move(normalized));
}

void Pipeline::list_tokens() {
  const bool byte_level = parts_.pre_tokenizer != nullptr && parts_.pre_tokenizer->byte_level();
  texts_ = parts_.model->tokens();
  for (const AddedToken& token : parts_.added_tokens) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= texts_.size()) texts_.resize(id + 1);
    check(texts_[id].empty() || texts_[id] == token.content,
          "tokenizer: an added token must have an id of its own; ", token.id, ", the id of \"", token.content,
          "\", is also that of \"", texts_[id], "\"; number the tokens again");
    texts_[id] = token.content;
  }
  special_.resize(texts_.size());
  added_.resize(texts_.size());
  for (const AddedToken& token : parts_.added_tokens) {
    special_[static_cast<size_t>(token.id)] = token.special;
    added_[static_cast<size_t>(token.id)] = true;
  }
  for (const int32_t id : parts_.control_ids) special_[static_cast<size_t>(id)] = true;
  const bool characters = dynamic_cast<const CharModel*>(parts_.model.get()) != nullptr;
  needs_utf8_ = !byte_level && !characters;
  lossless_ = parts_.normalizer == nullptr && (byte_level || characters);
}

void Pipeline::list_bytes() const {
  const bool byte_level = parts_.pre_tokenizer != nullptr && parts_.pre_tokenizer->byte_level();
  bytes_.resize(texts_.size());
  for (size_t id = 0; id < texts_.size(); ++id) {
    const std::string& text = texts_[id];
    if (added_[id] || text.empty()) {
      bytes_[id] = text;
    } else if (byte_level) {
      bytes_[id] = text_to_bytes(text).value_or(text);
    } else if (parts_.decoder == nullptr) {
      bytes_[id] = text;
    } else if (std::optional<std::string> piece = parts_.decoder->piece(text)) {
      bytes_[id] = std::move(*piece);
    } else {
      // What it adds to a text that begins with it too.
      const size_t first = parts_.decoder->decode({text}).size();
      const std::string twice = parts_.decoder->decode({text, text});
      bytes_[id] = twice.substr(std::min(first, twice.size()));
    }
  }
}

const std::string& Pipeline::bytes(int32_t id) const {
  std::call_once(bytes_listed_, [this] { list_bytes(); });
  return bytes_[static_cast<size_t>(id)];
}

std::optional<int32_t> Pipeline::find(std::string_view text) const {
  for (const AddedToken& token : parts_.added_tokens) {
    if (token.content == text) return token.id;
  }
  return parts_.model->find(text);
}

// Models of characters say what they cannot represent; bytes that are none are said here, where their place is known.
static void check_utf8(std::string_view text) {
  for (size_t at = ascii_prefix(text); at < text.size();) {
    char32_t c = 0;
    const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    if (length == 0) {
      fail_world("encode: this kind of tokenizer needs text in UTF-8; byte ", at,
                 " begins no character; convert the text, or use a byte-level tokenizer");
    }
    at += static_cast<size_t>(length);
    at += ascii_prefix(text.substr(at));
  }
}

void Pipeline::encode(std::string_view text, bool special_tokens, std::vector<int32_t>& ids,
                      std::vector<AlignedText::Range>* offsets) const {
  // Inside, places have 32 bits; normalising can make a text longer.
  constexpr size_t kLongest = std::numeric_limits<uint32_t>::max() / 4;
  check(text.size() <= kLongest, "encode: a text must have at most ", kLongest, " bytes; it has ",
        text.size(), "; encode it in parts, for instance line by line");
  if (needs_utf8_) check_utf8(text);
  thread_local Scratch scratch;
  scratch.tokens.clear();  // an error may have left some behind
  Output out{ids, offsets, scratch};
  std::vector<AddedTokenMatcher::Segment>& segments = scratch.raw;
  raw_tokens_.split(text, !special_tokens, segments);
  for (const auto& segment : segments) {
    if (segment.id >= 0) {
      out.add(segment.id, {segment.begin, segment.end});
    } else {
      encode_part(AlignedText(text.substr(segment.begin, segment.end - segment.begin), segment.begin,
                              offsets != nullptr),
                  special_tokens, out);
    }
  }
}

void Pipeline::encode_part(AlignedText text, bool special_tokens, Output& out) const {
  if (parts_.normalizer != nullptr) parts_.normalizer->apply(text);
  std::vector<AddedTokenMatcher::Segment>& segments = out.scratch.normalized;
  normalized_tokens_.split(text.text(), !special_tokens, segments);
  for (const auto& segment : segments) {
    const ByteSpan span{segment.begin, segment.end};
    if (segment.id >= 0) {
      out.add(segment.id, text.aligned() ? text.original(span) : AlignedText::Range{});
      continue;
    }
    const auto size = span.end - span.begin;
    const bool whole = size == text.text().size();
    encode_words({whole ? std::move(text) : text.slice(span), {{0, size}}}, out);
    if (whole) return;
  }
}

void Pipeline::encode_words(PreTokenized text, Output& out) const {
  if (text.text.text().empty()) return;
  if (parts_.pre_tokenizer != nullptr) {
    if (const auto piece_end = parts_.pre_tokenizer->piece_end(); piece_end != nullptr) {
      encode_long(text.text, piece_end, out);
      return;
    }
    parts_.pre_tokenizer->apply(text);
  }
  parts_.model->encode(text.text.text(), text.words, out.scratch.tokens);
  out.take(text.text);
}

// Cut and encoded a few words at a time, which stay in the cache; a list of all words of a long text would not.
void Pipeline::encode_long(const AlignedText& text, PreTokenizer::PieceEnd piece_end, Output& out) const {
  constexpr size_t kWordsAtOnce = 512;
  const std::string_view all = text.text();
  const char* const begin = all.data();
  const char* const end = begin + all.size();
  for (const char* at = begin; at < end;) {
    out.scratch.words.clear();
    while (at < end && out.scratch.words.size() < kWordsAtOnce) {
      const char* next = piece_end(at, end);
      out.scratch.words.push_back({static_cast<uint32_t>(at - begin), static_cast<uint32_t>(next - begin)});
      at = next;
    }
    parts_.model->encode(all, out.scratch.words, out.scratch.tokens);
    out.take(text);
  }
}

}  // namespace gradus
