#include "tokenizer/pipeline.hpp"

#include <algorithm>
#include <limits>

#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/subword/char_model.hpp"
#include "tokenizer/subword/unigram_model.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/split_text.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

// Of a long text, that one thread encodes at a time.
constexpr size_t kChunkBytes = 64 << 10;

// Whether threads are to share a text. note: where memory is only counted, parallel loops do nothing.
bool is_shared(std::string_view text) {
  return text.size() >= 2 * kChunkBytes && thread_count() > 1 && !DryRunMemory::active();
}

}  // namespace

void set_post_processor(TokenizerParts& parts, const Json& json) {
  const std::vector<std::string>& tokens = parts.model->tokens();
  std::vector<int32_t> added;
  for (const AddedToken& token : parts.added_tokens) added.push_back(token.id);
  parts.post_processor = read_post_processor(
      json, static_cast<int64_t>(tokens.size()),
      [&](int32_t id) -> std::string_view { return tokens[static_cast<size_t>(id)]; }, added);
}

TokenizerParts assemble(std::shared_ptr<const SubwordModel> model, std::vector<AddedToken> added,
                        const Json& normalizer, const Json& pre_tokenizer, const Json& post_processor,
                        const Json& decoder) {
  TokenizerParts parts;
  parts.model = std::move(model);
  parts.added_tokens = std::move(added);
  parts.normalizer = read_normalizer(normalizer);
  parts.pre_tokenizer = read_pre_tokenizer(pre_tokenizer);
  set_post_processor(parts, post_processor);
  parts.decoder = read_decoder(decoder);
  return parts;
}

Encoding finish_encoding(Encoding first, std::optional<Encoding> pair, const TokenizerParts& parts,
                         const EncodeOptions& options, std::string_view text, std::string_view pair_text) {
  std::optional<Truncation> truncation = parts.truncation;
  if (options.whole) truncation.reset();
  if (options.whole && options.max_length > 0) truncation = Truncation{.max_length = options.max_length};
  if (truncation) {
    const int64_t added = options.add_special ? parts.post_processor->added_tokens(pair.has_value()) : 0;
    truncate(first, pair ? &*pair : nullptr, *truncation, added);
  }
  Encoding encoding =
      parts.post_processor->process(std::move(first), std::move(pair), options.add_special, text, pair_text);
  if (parts.padding && !options.whole) pad({&encoding, 1}, *parts.padding);
  return encoding;
}

// Lists that a thread keeps from one text to the next: many texts are one short line.
struct Pipeline::Scratch {
  std::vector<Token> tokens;    // of the words at hand
  std::vector<ByteSpan> words;  // at hand
  std::vector<AddedTokenMatcher::Segment> raw;
  std::vector<AddedTokenMatcher::Segment> normalized;

  static Scratch& local() {
    thread_local Scratch scratch;
    return scratch;
  }
};

// Tokens as they come out, and what of them is wanted.
struct Pipeline::Output {
  const SubwordModel& model;
  std::vector<int32_t>& ids;
  std::vector<TextRange>* offsets;
  Scratch& scratch;

  void add(int32_t id, TextRange range) {
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
        offsets->push_back(exact ? TextRange{text.offset() + token.begin, text.offset() + token.end}
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
  can_be_split_ = can_be_split();
}

// Whether the chunks of a text cut before a space come to the tokens of the whole.
bool Pipeline::can_be_split() const {
  if (parts_.pre_tokenizer == nullptr || !normalized_tokens_.empty()) return false;
  const Normalizer* normalizer = parts_.normalizer.get();
  if (normalizer != nullptr && !normalizer->is_local()) return false;
  if (parts_.pre_tokenizer->drops_spaces()) return true;
  // The splitters know nothing of what is before a word, but white space at a chunk's end is not cut as it is elsewhere.
  return parts_.pre_tokenizer->word_end() != nullptr && (normalizer == nullptr || normalizer->keeps_spaces());
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
  // A byte without a token is an error, or becomes the unknown token.
  const auto* bpe = dynamic_cast<const BpeModel*>(parts_.model.get());
  const bool gives_unknown =
      bpe != nullptr && byte_level && !bpe->has_all_bytes() && !bpe->unknown_token().empty();
  lossless_ =
      parts_.normalizer == nullptr && !gives_unknown && (byte_level || characters || gives_back_tokens());
}

// Whether tokens are the text's own bytes, and bytes have tokens that the text itself cannot spell.
bool Pipeline::gives_back_tokens() const {
  if (parts_.pre_tokenizer == nullptr || parts_.decoder == nullptr) return false;
  if (parts_.pre_tokenizer->to_json().dump() != preset(kSpacedWords).dump()) return false;
  if (parts_.decoder->to_json().dump() != preset(kByteFallbackDecoder).dump()) return false;
  const auto* unigram = dynamic_cast<const UnigramModel*>(parts_.model.get());
  const auto* bpe = dynamic_cast<const BpeModel*>(parts_.model.get());
  if (unigram == nullptr && bpe == nullptr) return false;
  if (!(unigram != nullptr ? unigram->byte_fallback() : bpe->parts().byte_fallback)) return false;
  for (int byte = 0; byte < 256; ++byte) {
    if (!parts_.model->find(byte_token(byte))) return false;
  }
  return true;
}

// The model for texts in which special tokens are, or are not, to be found: where they are not, their texts are text.
const SubwordModel& Pipeline::model(bool special_tokens) const {
  if (special_tokens) return *parts_.model;
  std::call_once(plain_made_, [this] {
    std::vector<int32_t> ids;
    for (const AddedToken& token : parts_.added_tokens) {
      if (token.special && parts_.model->find(token.content) == token.id) ids.push_back(token.id);
    }
    if (!ids.empty()) plain_ = parts_.model->without(ids);
  });
  return plain_ != nullptr ? *plain_ : *parts_.model;
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
    } else if (std::optional<std::string> inside = parts_.decoder->text_inside(text)) {
      bytes_[id] = std::move(*inside);
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
  const size_t utf8 = utf8_prefix(text);
  check_world(utf8 == text.size(), "encode: this kind of tokenizer needs text in UTF-8; byte ", utf8,
              " begins no character; convert the text, or use a byte-level tokenizer");
}

void Pipeline::encode(std::string_view text, bool special_tokens, std::vector<int32_t>& ids,
                      std::vector<TextRange>* offsets) const {
  // Inside, places have 32 bits; normalising can make a text longer.
  constexpr size_t kLongest = std::numeric_limits<uint32_t>::max() / 4;
  check(text.size() <= kLongest, "encode: a text must have at most ", kLongest, " bytes; it has ",
        text.size(), "; encode it in parts, for instance line by line");
  if (needs_utf8_) check_utf8(text);
  Scratch& scratch = Scratch::local();
  scratch.tokens.clear();  // an error may have left some behind
  Output out{model(special_tokens), ids, offsets, scratch};
  std::vector<AddedTokenMatcher::Segment>& segments = scratch.raw;
  raw_tokens_.split(text, !special_tokens, segments);
  for (const auto& segment : segments) {
    if (segment.id >= 0) {
      out.add(segment.id, {segment.begin, segment.end});
    } else {
      encode_segment(AlignedText(text.substr(segment.begin, segment.end - segment.begin), segment.begin,
                                 offsets != nullptr),
                     special_tokens, out);
    }
  }
}

void Pipeline::encode_segment(AlignedText text, bool special_tokens, Output& out) const {
  const std::string_view all = text.text();
  const auto size = static_cast<uint32_t>(all.size());
  // Whether a text was rewritten anywhere can be told from the places of its tokens.
  const bool rewritten =
      parts_.normalizer != nullptr || (parts_.pre_tokenizer != nullptr && parts_.pre_tokenizer->rewrites());
  if (!can_be_split_ || (rewritten && out.offsets != nullptr) || !is_shared(all))
    return encode_chunk(std::move(text), special_tokens, out);
  const auto split_at = parts_.normalizer == nullptr ? split_at_line : split_at_space;
  std::vector<ByteSpan> spans;
  for (uint32_t begin = 0; begin < size; begin = spans.back().end) {
    const size_t end = size - begin > kChunkBytes ? split_at(all, begin + kChunkBytes) : size;
    spans.push_back({begin, static_cast<uint32_t>(end)});
  }
  const size_t before = out.ids.size();
  try {
    encode_in_parallel(spans.size(), out, [&](size_t chunk, Output& to) {
      encode_chunk(text.slice(spans[chunk]), special_tokens, to);
    });
  } catch (const std::runtime_error&) {
    // It names a byte of its chunk; the whole text gives the error with the byte of the text.
    out.scratch.tokens.clear();
    out.ids.resize(before);
    if (out.offsets != nullptr) out.offsets->resize(before);
    encode_chunk(std::move(text), special_tokens, out);
  }
}

void Pipeline::encode_chunk(AlignedText text, bool special_tokens, Output& out) const {
  if (parts_.normalizer != nullptr) parts_.normalizer->apply(text);
  std::vector<AddedTokenMatcher::Segment>& segments = out.scratch.normalized;
  normalized_tokens_.split(text.text(), !special_tokens, segments);
  for (const auto& segment : segments) {
    const ByteSpan span{segment.begin, segment.end};
    if (segment.id >= 0) {
      out.add(segment.id, text.aligned() ? text.original(span) : TextRange{});
      continue;
    }
    const auto size = span.end - span.begin;
    const bool whole = size == text.text().size();
    encode_words({whole ? std::move(text) : text.slice(span), {{0, size}}}, out);
    if (whole) return;
  }
}

// Encodes chunks of a text, encode(chunk, out) each of them, and appends what they come to in their order.
template <class Encode>
void Pipeline::encode_in_parallel(size_t chunks, Output& out, Encode encode) {
  // What has been encoded is appended while it is still in the cache.
  constexpr size_t kChunksAtOnce = 32;
  struct Chunk {
    std::vector<int32_t> ids;
    std::vector<TextRange> offsets;
  };
  std::vector<Chunk> done(std::min(chunks, kChunksAtOnce));
  for (size_t first = 0; first < chunks; first += kChunksAtOnce) {
    const size_t count = std::min(kChunksAtOnce, chunks - first);
    parallel_for_throwing(static_cast<int64_t>(count), [&](int64_t index) {
      Chunk& chunk = done[static_cast<size_t>(index)];
      chunk.ids.clear();
      chunk.offsets.clear();
      Scratch& scratch = Scratch::local();
      scratch.tokens.clear();
      Output chunk_out{out.model, chunk.ids, out.offsets == nullptr ? nullptr : &chunk.offsets, scratch};
      encode(first + static_cast<size_t>(index), chunk_out);
    });
    for (size_t i = 0; i < count; ++i) {
      out.ids.insert(out.ids.end(), done[i].ids.begin(), done[i].ids.end());
      if (out.offsets == nullptr) continue;
      out.offsets->insert(out.offsets->end(), done[i].offsets.begin(), done[i].offsets.end());
    }
  }
}

void Pipeline::encode_words(PreTokenized text, Output& out) const {
  if (text.text.text().empty()) return;
  if (parts_.pre_tokenizer != nullptr) {
    if (const auto word_end = parts_.pre_tokenizer->word_end(); word_end != nullptr) {
      cut_and_encode(text.text, word_end, out);
      return;
    }
    parts_.pre_tokenizer->apply(text);
  }
  const std::string_view all = text.text.text();
  if (!is_shared(all)) {
    out.model.encode(all, text.words, out.scratch.tokens);
    out.take(text.text);
    return;
  }
  std::vector<ByteSpan> words;
  std::vector<size_t> ends;  // of the chunks, in words
  size_t chunk_begin = 0;
  for (const ByteSpan word : text.words) {
    for (uint32_t begin = word.begin; begin < word.end; begin = words.back().end) {
      const std::string_view rest = all.substr(begin, word.end - begin);
      const size_t length = rest.size() > kChunkBytes ? out.model.split_at(rest, kChunkBytes) : rest.size();
      words.push_back({begin, begin + static_cast<uint32_t>(length)});
      if (words.back().end - chunk_begin < kChunkBytes) continue;
      ends.push_back(words.size());
      chunk_begin = words.back().end;
    }
  }
  if (ends.empty() || ends.back() < words.size()) ends.push_back(words.size());
  encode_in_parallel(ends.size(), out, [&](size_t chunk, Output& to) {
    const size_t begin = chunk == 0 ? 0 : ends[chunk - 1];
    const std::span<const ByteSpan> some = words;
    to.model.encode(all, some.subspan(begin, ends[chunk] - begin), to.scratch.tokens);
    to.take(text.text);
  });
}

// Cut and encoded a few words at a time, which stay in the cache; a list of all words of a long text would not.
void Pipeline::cut_and_encode(const AlignedText& text, WordEnd word_end, Output& out) const {
  constexpr size_t kWordsAtOnce = 512;
  const std::string_view all = text.text();
  const char* const begin = all.data();
  const char* const end = begin + all.size();
  for (const char* at = begin; at < end;) {
    out.scratch.words.clear();
    while (at < end && out.scratch.words.size() < kWordsAtOnce) {
      const char* next = word_end(at, end);
      out.scratch.words.push_back({static_cast<uint32_t>(at - begin), static_cast<uint32_t>(next - begin)});
      at = next;
    }
    out.model.encode(all, out.scratch.words, out.scratch.tokens);
    out.take(text);
  }
}

}  // namespace gradus
