#include "tests/fuzz/fuzz.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tokenizer/pipeline.hpp"

namespace gradus::fuzz {
namespace {

// White space, a capital, a mark, a ligature, characters of two to four bytes, a special token, a zero, broken UTF-8.
constexpr std::string_view kText =
    " The king's  e\u0301\n\u00C9\uFB01 \u65E5\u672C\U0001F44D<|endoftext|>[MASK]<s>12,5\0\xC3(\xF0\x9F";
constexpr std::string_view kValidText = kText.substr(0, kText.size() - 4);

std::string decode_one_at_a_time(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.flush();
}

void check_offsets(const std::vector<TokenSpan>& spans, size_t size, bool in_order) {
  TokenSpan before{0, 0, 0};
  for (const TokenSpan& span : spans) {
    require(span.begin >= 0 && span.begin <= span.end && span.end <= static_cast<int64_t>(size),
            "offsets must lie in the text");
    if (!in_order) continue;
    require(span.begin >= before.begin && span.end >= before.end, "offsets must ascend");
    before = span;
  }
}

void check_lossless(const Tokenizer& tokenizer, std::string_view text, const std::vector<int32_t>& ids,
                    const std::vector<TokenSpan>& spans) {
  require(tokenizer.decode(ids) == text, "decode must give back the text of a lossless tokenizer");
  int64_t end = 0;
  for (size_t i = 0; i < spans.size();) {
    const TokenSpan& span = spans[i];
    require(span.begin == end, "the tokens of a lossless tokenizer must leave no gap");
    end = span.end;
    // The bytes of a character have the place of all of it in a unigram model.
    std::string bytes;
    for (; i < spans.size() && spans[i].begin == span.begin && spans[i].end == end; ++i) {
      bytes += tokenizer.token_bytes(spans[i].id);
    }
    require(bytes == text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(end - span.begin)),
            "the bytes of a lossless tokenizer's token must be those of the text");
  }
  require(end == static_cast<int64_t>(text.size()), "a lossless tokenizer's tokens must reach the end");
}

void check_with(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options, bool in_order) {
  std::vector<int32_t> ids;
  std::vector<TokenSpan> spans;
  const bool encoded = accepts([&] { ids = tokenizer.encode(text, options); });
  const bool aligned = accepts([&] { spans = tokenizer.encode_spans(text, options); });
  const TokenizerParts& parts = tokenizer.parts();
  // Only what knows the offsets cuts off and pads.
  const bool resized = parts.truncation.has_value() || parts.padding.has_value();
  if (encoded != aligned) {
    require(resized, "a text must be refused with offsets if and only if it is without");
    return;
  }
  if (!encoded) return;
  for (const int32_t id : ids)
    require(id >= 0 && id < tokenizer.vocab_size(), "ids must be in the vocabulary");
  check_offsets(spans, text.size(), in_order && !options.add_special && !resized);
  if (resized) return;
  require(ids.size() == spans.size(), "there must be as many tokens with offsets as without");
  for (size_t i = 0; i < ids.size(); ++i) require(ids[i] == spans[i].id, "ids must be the same with offsets");
  const bool same_text = !options.add_special && parts.post_processor->to_json().is_null();
  if (tokenizer.lossless() && (same_text || in_order) && !options.add_special)
    check_lossless(tokenizer, text, ids, spans);
}

}  // namespace

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "finding: %s\n", what);
  std::abort();
}

void require_message(const std::exception& error) {
  const std::string_view message = error.what();
  require(message.find(": ") != std::string_view::npos, "an error must name what refuses");
}

std::string_view bytes_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

std::pair<std::string_view, std::string_view> halves_of(std::string_view bytes) {
  const size_t zero = bytes.find('\0');
  if (zero == std::string_view::npos) return {bytes, {}};
  return {bytes.substr(0, zero), bytes.substr(zero + 1)};
}

MemoryFile::MemoryFile()
    : descriptor_(memfd_create("fuzz", 0)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {
  require(descriptor_ >= 0, "a file in memory must be made");
}

const std::string& MemoryFile::with(std::string_view bytes) {
  const bool written = ftruncate(descriptor_, 0) == 0 && pwrite(descriptor_, bytes.data(), bytes.size(), 0) ==
                                                             static_cast<ssize_t>(bytes.size());
  require(written, "a file in memory must be written");
  return path_;
}

ScratchFolder::ScratchFolder() {
  const bool in_memory = std::filesystem::is_directory("/dev/shm");
  path_ = (in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/gradus-fuzz-XXXXXX";
  require(mkdtemp(path_.data()) != nullptr, "a folder must be made");
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void ScratchFolder::put(const std::string& name, std::string_view bytes) const {
  const std::filesystem::path path = path_ + "/" + name;
  if (bytes.empty()) {
    std::filesystem::remove(path);
    return;
  }
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

void check_encoding(const Tokenizer& tokenizer, std::string_view text, bool in_order) {
  for (const bool special_tokens : {false, true}) {
    for (const bool add_special : {false, true}) {
      check_with(tokenizer, text, {special_tokens, add_special}, in_order);
    }
  }
}

void check_decoding(const Tokenizer& tokenizer, std::string_view bytes, bool streamed) {
  if (tokenizer.vocab_size() == 0) return;
  std::vector<int32_t> ids;
  for (const char byte : bytes) {
    ids.push_back(static_cast<int32_t>(static_cast<unsigned char>(byte) % tokenizer.vocab_size()));
  }
  std::string text;
  if (!accepts([&] { text = tokenizer.decode(ids); })) return;
  accepts([&] { tokenizer.decode(ids, {true}); });
  if (streamed) {
    require(decode_one_at_a_time(tokenizer, ids) == text,
            "ids decoded one at a time must give the text that they give together");
  }
}

void check_loaded(const Tokenizer& tokenizer, bool exactly) {
  check_encoding(tokenizer, kText, false);
  check_encoding(tokenizer, kValidText, false);
  check_decoding(tokenizer, kText, false);
  accepts([&] { tokenizer.encode_full(kValidText, kValidText, {true, true}); });
  std::string json;
  if (!accepts([&] { json = tokenizer.to_json(); })) return;
  Tokenizer again;
  const bool readable = accepts([&] { again = Tokenizer::parse(json, "written"); });
  require(readable || !exactly, "what was written must be readable");
  if (!readable) return;
  require(again.to_json() == json, "what was written and read must be written in the same way");
  if (!exactly) return;
  std::vector<int32_t> ids;
  std::vector<int32_t> ids_again;
  const bool encoded = accepts([&] { ids = tokenizer.encode(kValidText); });
  const bool encoded_again = accepts([&] { ids_again = again.encode(kValidText); });
  require(encoded == encoded_again && ids == ids_again, "what was written must give the same ids");
}

}  // namespace gradus::fuzz
