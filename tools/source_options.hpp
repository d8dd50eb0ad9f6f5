#pragma once

#include <span>
#include <string>
#include <vector>

#include "models/embeddings/cluster.hpp"
#include "models/embeddings/vectors.hpp"
#include "models/sources/source.hpp"
#include "tools/common.hpp"
#include "tools/text_options.hpp"

namespace gradus::tools {

/// What a SOURCE is, for the helps.
inline constexpr const char* kSourceHelp =
    "vectors: a file of them, what embed wrote, or a model's folder, .gguf or llama2.c file with --text";

/// The options of all verbs that look at vectors.
struct SourceArguments {
  std::string layer;
  std::string text, names, level = "word", encoding_errors = "keep", tokenizer;
  bool truncate = false;
  TextFileOptions files;
  CommonOptions common;

  void add(Args& args);
  /// Opens a source and says what there is to say of it.
  /// note: at the level of sentences and without --text, a model's rows are the names that are asked for, where no others are
  ///       needed.
  Vectors open(const Args& args, const std::string& source, std::span<const std::string> asked = {}) const;
};

/// An error that names the row where it holds a NaN or an infinity.
void check_finite(std::string_view name, std::span<const float> values);

/// One layer of a source, and its names.
class Rows {
 public:
  Rows(Vectors vectors, const std::string& layer);

  const Tensor& table() const { return table_; }
  const Names& names() const { return vectors_.names; }
  const std::string& layer() const { return layer_; }
  int64_t width() const { return table_.size(1); }
  std::span<const float> row(int64_t r) const;
  /// Whether a name has a vector.
  bool knows(const std::string& name) const;
  /// The vector of a name, of one that was never seen where the source can make it; an error tells names like it.
  std::vector<float> vector(const std::string& name) const;
  /// Those of several names, one below the other.
  Tensor vectors(std::span<const std::string> names) const;

 private:
  Vectors vectors_;
  std::string layer_;
  Tensor table_;
};

/// An error unless a file of vectors could be written there, with the names beside a .npy, and none of the inputs is replaced.
void check_vectors_out(const std::string& out, const std::vector<std::string>& inputs);

/// Sets what a name has; an error where another name, too, is what JSON can say of it.
void set_new(Json& json, const std::string& name, const Json& value);

/// How two divisions of rows agree: as members of an object, and as a piece of a line.
void set_agreement(Json& json, const Agreement& agrees);
std::string agreement_text(const Agreement& agrees);

/// Says how many rows hold a NaN or an infinity.
void tell_skipped(int64_t skipped, const CommonOptions& common);

}  // namespace gradus::tools
