#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/io/json.hpp"
#include "tokenizer/vocabulary.hpp"

namespace gradus {

/// What each kind of tokenizer does in its own way; Tokenizer is the handle that everybody else uses.
/// note: a new kind is a class derived from this one, plus its reader in tokenizer_json.cpp.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;

  /// The name of the kind, such as "char", "byte" or "bpe:2048".
  virtual std::string kind() const = 0;

  /// Appends the ids of `text`, all of it ordinary text; `offset` is where it begins in the whole, for errors.
  /// note: the bytes of the ids join to exactly `text`. May be called from any number of threads.
  virtual void encode(std::string_view text, int64_t offset, std::vector<int32_t>& ids) const = 0;

  /// The whole tokenizer in the Hugging Face schema.
  virtual Json to_json() const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// The ids that no ordinary text gives, ascending.
  const std::vector<int32_t>& special_ids() const { return special_ids_; }

 protected:
  TokenizerModel(Vocabulary vocabulary, std::vector<int32_t> special_ids)
      : vocabulary_(std::move(vocabulary)), special_ids_(std::move(special_ids)) {}

 private:
  Vocabulary vocabulary_;
  std::vector<int32_t> special_ids_;
};

}  // namespace gradus
