#include "tokenizer/formats/load.hpp"

#include <algorithm>
#include <unordered_map>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/tokenizer_json.hpp"
#include "tokenizer/formats/vocab_txt.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/stages/sentencepiece_decoder.hpp"
#include "tokenizer/stages/sentencepiece_normalizer.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/subword/unigram_model.hpp"
#include "tokenizer/subword/wordpiece_model.hpp"
#include "tokenizer/text/byte_alphabet.hpp"

namespace gradus {
namespace {

using PieceType = SentencePieceFile::PieceType;

std::shared_ptr<const SubwordModel> unigram_of(const SentencePieceFile& file) {
  std::vector<std::pair<std::string, double>> pieces;
  std::vector<PieceType> types;
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    pieces.emplace_back(piece.text, static_cast<double>(piece.score));
    types.push_back(piece.type);
  }
  return std::make_shared<const UnigramModel>(std::move(pieces), file.unknown_id(),
                                              file.trainer.byte_fallback, UnigramModel::Arithmetic::float32,
                                              std::move(types));
}

std::shared_ptr<const SubwordModel> bpe_of(const SentencePieceFile& file, const std::string& source) {
  BpeParts bpe;
  bpe.byte_level = false;
  // A model of characters is a BPE that never merges.
  const bool merges = file.trainer.model_type == SentencePieceFile::ModelType::bpe;
  bpe.order = merges ? BpeParts::Order::scores : BpeParts::Order::merges;
  bpe.fuse_unk = true;
  bpe.byte_fallback = file.trainer.byte_fallback;
  bpe.unk_token = file.pieces[static_cast<size_t>(file.unknown_id())].text;
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    check_world(piece.type != PieceType::unused, source,
                ": a BPE model with pieces of the type UNUSED, such as '", piece.text,
                "', is not supported; train the model without them");
    bpe.tokens.push_back(piece.text);
    bpe.scores.push_back(piece.score);
    // A user-defined piece is found before anything merges.
    bpe.in_merges.push_back(piece.type == PieceType::normal);
  }
  return std::make_shared<const BpeModel>(std::move(bpe));
}

}  // namespace

TokenizerParts parts_of(const SentencePieceFile& file, const std::string& source) {
  const bool unigram = file.trainer.model_type == SentencePieceFile::ModelType::unigram;
  check_world(file.trainer.model_type != SentencePieceFile::ModelType::word, source,
              ": the model_type must be unigram, bpe or char; models of words are not supported");
  check_world(!file.denormalizer || file.denormalizer->precompiled_charsmap.empty(), source,
              ": a denormalizer is not supported; train the model without it");
  check_world(!file.trainer.treat_whitespace_as_suffix, source,
              ": treat_whitespace_as_suffix is not supported; train the model without it");
  TokenizerParts parts;
  parts.model = unigram ? unigram_of(file) : bpe_of(file, source);
  SentencePieceNormalizer::Settings settings{file.normalizer.precompiled_charsmap,
                                             file.normalizer.add_dummy_prefix,
                                             file.normalizer.remove_extra_whitespaces,
                                             file.normalizer.escape_whitespaces,
                                             {}};
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const SentencePieceFile::Piece& piece = file.pieces[id];
    const auto token = static_cast<int32_t>(id);
    if (piece.type == PieceType::control || piece.type == PieceType::unknown)
      parts.control_ids.push_back(token);
    if (piece.type != PieceType::user_defined) continue;
    settings.user_defined_symbols.push_back(piece.text);
    if (!unigram) parts.added_tokens.push_back({token, piece.text, false, false, false, true, false});
  }
  parts.normalizer = std::make_shared<const SentencePieceNormalizer>(std::move(settings), source);
  parts.tokens_as_written = true;
  const std::string& unknown = file.pieces[static_cast<size_t>(file.unknown_id())].text;
  SentencePieceDecoder::Settings decoding{unknown,
                                          file.trainer.unk_surface,
                                          {},
                                          file.normalizer.add_dummy_prefix,
                                          file.normalizer.remove_extra_whitespaces};
  for (const SentencePieceFile::Piece& piece : file.pieces) {
    if (piece.type == PieceType::control) decoding.control_pieces.push_back(piece.text);
  }
  parts.decoder = std::make_shared<const SentencePieceDecoder>(std::move(decoding));
  set_post_processor(parts, {});
  return parts;
}

TokenizerParts parts_of(const TiktokenFile& file, const TiktokenEncoding& encoding) {
  BpeParts bpe;
  bpe.order = BpeParts::Order::ranks;
  bpe.ignore_merges = true;
  for (const std::string& token : file.tokens) bpe.tokens.push_back(bytes_to_text(token));
  bpe.in_merges.assign(bpe.tokens.size(), true);
  std::vector<AddedToken> added;
  for (const auto& [text, id] : encoding.special_tokens) {
    const bool taken = std::any_of(added.begin(), added.end(),
                                   [id = id](const AddedToken& token) { return token.id == id; });
    if (taken) continue;
    added.push_back({id, text, false, false, false, false, true});
    // In the vocabulary too, as other libraries number added tokens that are not there anew where ids have gaps.
    const auto place = static_cast<size_t>(id);
    bpe.tokens.resize(std::max(bpe.tokens.size(), place + 1));
    bpe.in_merges.resize(bpe.tokens.size(), false);
    bpe.tokens[place] = text;
  }
  return assemble(std::make_shared<const BpeModel>(std::move(bpe)), std::move(added), {},
                  byte_level_split(encoding.pattern), preset(kByteLevelPost), preset(kByteLevelDecoder));
}

TokenizerParts parts_of_vocab_txt(std::vector<std::string> tokens, const std::string& source) {
  bool lowercase = true;
  std::vector<AddedToken> added;
  const std::vector<std::string> special = bert_special_tokens();
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string& token = tokens[id];
    if (std::find(special.begin(), special.end(), token) != special.end()) {
      added.push_back({static_cast<int32_t>(id), token, false, false, false, false, true});
    }
    const bool reserved = token.starts_with('[') && token.ends_with(']');
    const bool capital = std::any_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    lowercase = lowercase && (reserved || !capital);
  }
  check_world(std::find(tokens.begin(), tokens.end(), "[UNK]") != tokens.end(), source,
              ": the vocabulary must have the token [UNK]; it has none; it is not one of WordPiece");
  auto model =
      std::make_shared<const WordPieceModel>(WordVocabulary(std::move(tokens)), WordPieceModel::Options{});
  const Json post = template_json(added, "[CLS]", "[SEP]");
  return assemble(std::move(model), std::move(added), bert_normalizer(lowercase), preset(kBertWords), post,
                  preset(kWordPieceDecoder));
}

TokenizerParts parts_of(const Gpt2Files& files) {
  BpeParts bpe;
  bpe.tokens = files.tokens;
  std::unordered_map<std::string_view, int32_t> ids;
  for (size_t id = 0; id < bpe.tokens.size(); ++id) ids.emplace(bpe.tokens[id], static_cast<int32_t>(id));
  for (const auto& [left, right] : files.merges) {
    bpe.merges.push_back(
        {ids.at(left), ids.at(right), ids.at(left + right), static_cast<uint32_t>(bpe.merges.size())});
  }
  std::vector<AddedToken> added;
  if (const auto end = ids.find(kEndOfText); end != ids.end())
    added = special_tokens({std::string(kEndOfText)}, end->second);
  return assemble(std::make_shared<const BpeModel>(std::move(bpe)), std::move(added), {},
                  preset(kByteLevelWords), preset(kByteLevelPost), preset(kByteLevelDecoder));
}

Tokenizer load_tokenizer(const std::string& path) {
  const TokenizerFiles files = detect_tokenizer(path);
  const std::string contents = read_file(files.path);
  switch (files.format) {
    case TokenizerFormat::tokenizer_json: return Tokenizer::parse(contents, files.path);
    case TokenizerFormat::sentencepiece:
      return Tokenizer(parts_of(read_sentencepiece(contents, files.path), files.path));
    case TokenizerFormat::vocab_txt:
      return Tokenizer(parts_of_vocab_txt(read_vocab_txt(contents, files.path), files.path));
    case TokenizerFormat::vocab_json:
      check_world(!files.merges_path.empty(), files.path,
                  ": a vocabulary of BPE needs its merges; there is no merges.txt beside it; put it there");
      return Tokenizer(
          parts_of(read_gpt2_files(contents, files.path, read_file(files.merges_path), files.merges_path)));
    case TokenizerFormat::tiktoken: break;
  }
  const TiktokenFile ranks = read_tiktoken(contents, files.path);
  const TiktokenEncoding* encoding = encoding_of(ranks, files.path);
  check_world(encoding != nullptr, files.path,
              ": the ranks must be those of a published encoding, as their file does not say "
              "how words are cut; these ",
              ranks.count(), " ranks are of none; convert them to a tokenizer.json with its tools");
  return Tokenizer(parts_of(ranks, *encoding));
}

}  // namespace gradus
