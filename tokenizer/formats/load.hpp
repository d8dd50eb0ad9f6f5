#pragma once

#include <string>

#include "tokenizer/formats/detect.hpp"
#include "tokenizer/formats/gpt2_files.hpp"
#include "tokenizer/formats/sentencepiece_file.hpp"
#include "tokenizer/formats/tiktoken_file.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus {

/// Reads a tokenizer of any known format; a folder may stand for the file in it.
Tokenizer load_tokenizer(const std::string& path);

/// What each format's contents make, with all that the format leaves unsaid as its readers take it.

/// note: normalises and cuts as SentencePiece 0.1.97 does; its control pieces are special tokens that no text gives.
TokenizerParts parts_of(const SentencePieceFile& file, const std::string& source);
/// note: words are cut, and special tokens found, as the published encoding says.
TokenizerParts parts_of(const TiktokenFile& file, const TiktokenEncoding& encoding);
/// note: BERT's: text is lower-cased unless a token has a capital; [PAD] [UNK] [CLS] [SEP] [MASK] are special.
TokenizerParts parts_of_vocab_txt(std::vector<std::string> tokens, const std::string& source);
/// note: GPT-2's: its rule for words, and `<|endoftext|>` special.
TokenizerParts parts_of(const Gpt2Files& files);

}  // namespace gradus
