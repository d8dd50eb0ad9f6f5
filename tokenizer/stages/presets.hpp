#pragma once

#include <string>
#include <vector>

#include "tensor/io/json.hpp"
#include "tokenizer/stages/added_tokens.hpp"

namespace gradus {

/// What stands around the models in the combinations that are in use, as a tokenizer.json says it.

inline constexpr const char* kCharacterSplit =
    R"({"type":"Split","pattern":{"Regex":"[\\s\\S]"},"behavior":"Isolated","invert":false})";
inline constexpr const char* kFuseDecoder = R"({"type":"Fuse"})";
inline constexpr const char* kByteLevelWords =
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
inline constexpr const char* kByteLevelPost =
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true})";
inline constexpr const char* kByteLevelDecoder =
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
inline constexpr const char* kBertWords = R"({"type":"BertPreTokenizer"})";
inline constexpr const char* kWordPieceDecoder = R"({"type":"WordPiece","prefix":"##","cleanup":true})";
inline constexpr const char* kWhitespaceWords = R"({"type":"WhitespaceSplit"})";
// Words that begin with their space; and no word holds what a token of a byte is called.
inline constexpr const char* kSpacedWords =
    R"({"type":"Sequence","pretokenizers":[)"
    R"({"type":"Split","pattern":{"String":"<0x"},"behavior":"Isolated","invert":false},)"
    R"({"type":"Split","pattern":{"String":" "},"behavior":"MergedWithNext","invert":false}]})";
inline constexpr const char* kByteFallbackDecoder =
    R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]})";
inline constexpr const char* kMetaspaceWords =
    R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true})";

// Each space, and one before the text, as U+2581.
inline constexpr const char* kMarkedSpaces =
    R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},)"
    R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]})";

/// One of the texts above as a value.
Json preset(const char* text);

/// Words cut by a regular expression, then taken as bytes.
Json byte_level_split(const std::string& regex);
/// `kind` is String or Regex, what `pattern` is.
Json replace_json(const char* kind, const std::string& pattern, const std::string& content);
Json bert_normalizer(bool lowercase);
/// U+2581 as spaces, tokens of bytes as bytes, the space before the text left out, and the unknown token ("": none) as
/// its surface.
Json sentencepiece_decoder(const std::string& unknown, const std::string& unknown_surface,
                           bool drop_first_space);

/// A TemplateProcessing with one special token before and one after a text ("": none); null unless both are among
/// the tokens.
Json template_json(const std::vector<AddedToken>& tokens, const std::string& before,
                   const std::string& after);

/// The special tokens of BERT.
std::vector<std::string> bert_special_tokens();

/// Special tokens by text, with ids from `first` on.
std::vector<AddedToken> special_tokens(const std::vector<std::string>& names, int32_t first);

}  // namespace gradus
