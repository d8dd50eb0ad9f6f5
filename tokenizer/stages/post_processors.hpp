#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/io/json.hpp"
#include "tokenizer/stages/encoding.hpp"

namespace gradus {

/// The last step of encoding: adds the tokens that a model expects around texts, joins pairs of texts, and may take
/// spaces out of offsets; the `post_processor` of a tokenizer.json.
/// note: whatever the file's steps are, they come to the same two things: trimming the offsets of each text, then one
///       layout for a single text and one for a pair. May be called from any number of threads.
class PostProcessor {
 public:
  /// Texts by token id: where offsets are trimmed, the token's spaces say how far.
  using TokenText = std::function<std::string_view(int32_t)>;

  /// No post-processor: a pair is joined, and the type of its second text is 1.
  PostProcessor() = default;

  /// Joins the tokens of a text and, where there is one, of its pair. Of the encodings only `ids` and `offsets` are
  /// read; without `add_special` no tokens are added, all else is done.
  /// note: offsets stay away where a text has tokens without them.
  Encoding process(Encoding first, std::optional<Encoding> pair, bool add_special, std::string_view text,
                   std::string_view pair_text) const;

  /// How many tokens are added to a single text or a pair, for truncation to leave room.
  int64_t added_tokens(bool pair) const;

  /// Those added to a single text.
  AddedAround added_around() const;

  /// The step as a tokenizer.json says it.
  const Json& to_json() const { return json_; }

 private:
  friend class PostProcessorReader;

  // Some of the tokens of the result: a text's, or those added at one place.
  struct Item {
    int source;  // 0 the first text, 1 the second, -1 neither
    uint8_t type_id;
    std::vector<int32_t> ids;
  };
  using Layout = std::vector<Item>;
  // How many of a token's characters are spaces, at its beginning and end.
  struct Spaces {
    uint32_t leading;
    uint32_t trailing;
    bool operator==(const Spaces&) const = default;
  };

  // Of added tokens, whose spaces are those that they matched in the text.
  static constexpr Spaces kAsInText{UINT32_MAX, UINT32_MAX};

  static Spaces count_spaces(std::string_view text);
  void trim(Encoding& encoding, std::string_view text) const;

  Layout single_ = {{0, 0, {}}};
  Layout pair_ = {{0, 0, {}}, {1, 1, {}}};
  std::vector<bool> trims_;  // one for each time offsets are trimmed: whether a space was put before the text
  std::vector<Spaces> spaces_;  // by token id; empty where nothing is trimmed
  Json json_;
};

/// Reads the value of `post_processor`; null gives the one that only joins. The ids of the model's tokens are below
/// `token_count`; `token_text` is asked for each while reading, if offsets are trimmed. `added_ids` are the ids of the
/// added tokens.
/// note: an unknown type, key or value is an error with its place in the file. Refused too are templates that leave out
///       a text they are given, and sequences in which two steps add tokens or one trims after BertProcessing or
///       RobertaProcessing added them. A template's string forms ("[CLS] $A [SEP]:1") are read as well as its objects.
std::shared_ptr<const PostProcessor> read_post_processor(const Json& value, int64_t token_count,
                                                         const PostProcessor::TokenText& token_text,
                                                         std::span<const int32_t> added_ids);

}  // namespace gradus
