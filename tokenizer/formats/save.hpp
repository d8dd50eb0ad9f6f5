#pragma once

#include <string>
#include <vector>

#include "tokenizer/formats/detect.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

struct SentencePieceFile;

/// Where the merges of a vocab.json stand.
std::string merges_beside(const std::string& vocab_json);

/// The format that a file's name asks for: NAME.json, NAME.model, NAME.tiktoken, vocab.json or NAME.txt.
/// note: a merges.txt is written together with its vocab.json, so it cannot be asked for by itself.
TokenizerFormat format_of_name(const std::string& path);

/// A tokenizer of characters that marks spaces, unigram or BPE, as a SentencePiece model; an error says why one cannot be.
SentencePieceFile sentencepiece_of(const Tokenizer& tokenizer);

/// Writes a tokenizer in a format, after reading back what would be written: an error, and nothing is written, where the
/// format cannot say what the tokenizer does, or where the result gives other ids on texts that are hard to encode.
/// y: the files written
/// note: a format may leave out what surrounds the words, such as special tokens in ranks; ordinary text is compared.
std::vector<std::string> save_tokenizer_as(const Tokenizer& tokenizer, const std::string& path,
                                           TokenizerFormat format);

/// The tokenizer that writing this one as a tokenizer.json and reading it back gives; an error, naming `path`, where that
/// gives other ids on texts that are hard to encode.
Tokenizer as_tokenizer_json(const Tokenizer& tokenizer, const std::string& path);

}  // namespace gradus
