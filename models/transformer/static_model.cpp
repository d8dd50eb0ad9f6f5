#include "models/transformer/static_model.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus {
namespace {

constexpr const char* kLibraryTable = "embedding.weight";  // as sentence-transformers names it
constexpr const char* kTable = "embeddings";               // and model2vec, as the next two
constexpr const char* kMapping = "mapping";
constexpr const char* kWeights = "weights";

template <class T>
Tensor widened(const RawTensor& array) {
  const Tensor y = Tensor::empty(array.shape);
  float* to = y.mutable_data<float>();
  const T* from = static_cast<const T*>(array.data);
  for (int64_t i = 0; i < y.numel(); ++i) to[i] = static_cast<float>(from[i]);
  return y;
}

Tensor read_floats(const SafetensorsFile& file, const char* name) {
  if (file.info(name).dtype == "I8") return widened<int8_t>(file.array(name));
  const Tensor x = file.tensor(name);
  check_world(x.dtype() != DType::i32, file.path(), ": '", name, "' must hold numbers; it is ",
              file.info(name).dtype);
  return x.dtype() == DType::f32 ? x : cast(x, DType::f32);
}

template <class T>
std::vector<int32_t> read_rows(const RawTensor& array, int64_t count, const std::string& path) {
  std::vector<int32_t> rows(static_cast<size_t>(array.shape[0]));
  for (size_t i = 0; i < rows.size(); ++i) {
    T value;
    std::memcpy(&value, static_cast<const char*>(array.data) + i * sizeof(T), sizeof(T));
    check_world(value >= 0 && value < count, path, ": '", kMapping, "' must name one of the ", count,
                " rows of '", kTable, "' for each token; for token ", i, " it is ", value);
    rows[i] = static_cast<int32_t>(value);
  }
  return rows;
}

/// Half of the tokens are at most this long, in characters; of an even number, the mean of the middle two, rounded down.
int64_t median_length(const Tokenizer& tokenizer) {
  std::vector<int64_t> lengths;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string& text = tokenizer.token_text(id);
    if (text.empty()) continue;
    lengths.push_back(std::count_if(text.begin(), text.end(),
                                    [](char byte) { return (static_cast<uint8_t>(byte) & 0xC0) != 0x80; }));
  }
  if (lengths.empty()) return 0;
  std::sort(lengths.begin(), lengths.end());
  const size_t middle = lengths.size() / 2;
  return lengths.size() % 2 == 1 ? lengths[middle] : (lengths[middle - 1] + lengths[middle]) / 2;
}

/// The first so many characters.
std::string_view first_characters(std::string_view text, int64_t count) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80;
    if (begins && count-- == 0) return text.substr(0, i);
  }
  return text;
}

void read_model2vec_config(const std::string& folder, StaticModel& model) {
  const std::string path = folder + "/" + kConfigFile;
  const Json json = Json::parse(read_file(path), path);
  ConfigKeys keys(json);
  if (const Json* type = keys.find("model_type")) {
    check_world(type->as_string() == "model2vec", type->path(), ": must be model2vec; it is '",
                type->as_string(), "'");
  }
  model.normalize = false;
  keys.optional("normalize", model.normalize, [](const Json& value) { return value.as_boolean(); });
  model.max_tokens = 512;
  if (keys.contains("max_length")) {
    model.max_tokens = 0;  // null: any number
    keys.optional_size("max_length", model.max_tokens);
  }
  // How the rows were made and in what they are kept; a classifier behind them.
  for (const char* key :
       {"architectures", "tokenizer_name", "apply_pca", "apply_zipf", "sif_coefficient", "hidden_dim",
        "seq_length", "pooling", "embedding_dtype", "vocabulary_quantization", "head_config"}) {
    keys.find(key);
  }
  keys.finish();
}

}  // namespace

StaticTokens StaticModel::tokens(std::string_view text, bool parse_special) const {
  const std::string_view read = max_characters > 0 ? first_characters(text, max_characters) : text;
  const EncodeOptions options{.special_tokens = parse_special, .whole = true};
  StaticTokens result;
  result.spans = tokenizer.encode_spans(read, options);
  result.truncated = read.size() < text.size();
  result.total = result.truncated ? std::ssize(tokenizer.encode(text, options)) : std::ssize(result.spans);
  if (max_tokens > 0 && std::ssize(result.spans) > max_tokens) {
    result.spans.resize(static_cast<size_t>(max_tokens));
    result.truncated = true;
  }
  std::erase_if(result.spans, [&](const TokenSpan& span) { return span.id == left_out; });
  return result;
}

Tensor StaticModel::rows(std::span<const int32_t> ids) const {
  const int64_t known = row.empty() ? table.size(0) : std::ssize(row);
  const int64_t width = table.size(1);
  const Tensor y = Tensor::empty({std::ssize(ids), width});
  const Tensor dense = table.to_contiguous();
  float* to = y.mutable_data<float>();
  for (const int32_t id : ids) {
    check(id >= 0 && id < known, "static model: an id must be in [0, ", known, "); it is ", id);
    const auto i = static_cast<size_t>(id);
    const float* from = dense.data<float>() + (row.empty() ? id : row[i]) * width;
    const float w = weight.empty() ? 1.0F : weight[i];
    for (int64_t c = 0; c < width; ++c) *to++ = from[c] * w;
  }
  return y;
}

bool is_model2vec(const std::string& folder) {
  const std::string weights = folder + "/" + kWeightsFile;
  return file_exists(folder + "/" + kConfigFile) && file_exists(weights) &&
         SafetensorsFile::open(weights).contains(kTable);
}

StaticModel read_static_model(const std::string& folder) {
  const std::string path = folder + "/" + kWeightsFile;
  check_world(
      file_exists(path), folder, ": a static model's rows must stand in ", kWeightsFile, "; there is none",
      file_exists(folder + "/pytorch_model.bin")
          ? ", and pytorch_model.bin is a pickle, which can hold code and is never read; load it with "
            "sentence-transformers and save it with safe_serialization=True"
          : "");
  const SafetensorsFile file = SafetensorsFile::open(path);
  const char* table = file.contains(kLibraryTable) ? kLibraryTable : kTable;
  check_world(file.contains(table), path, ": a static model must hold '", kLibraryTable, "' or '", kTable,
              "'; it holds neither");
  for (const std::string& name : file.names()) {
    check_world(name == table || (table == kTable && (name == kMapping || name == kWeights)), path,
                ": every tensor must be known, for it may change what the model computes; '", name,
                "' is not");
  }
  StaticModel model;
  model.table = read_floats(file, table);
  check_world(model.table.rank() == 2 && model.table.size(0) < std::numeric_limits<int32_t>::max(), path,
              ": '", table, "' must have a row for each token; its shape is ", model.table.shape());
  const int64_t count = model.table.size(0);
  if (file.contains(kMapping)) {
    const RawTensor mapping = file.array(kMapping);
    check_world(mapping.shape.rank() == 1 && (mapping.dtype == "I64" || mapping.dtype == "I32"), path, ": '",
                kMapping, "' must be I64 or I32 of one axis; it is ", mapping.dtype, " ", mapping.shape);
    model.row = mapping.dtype == "I64" ? read_rows<int64_t>(mapping, count, path)
                                       : read_rows<int32_t>(mapping, count, path);
  }
  const int64_t ids = model.row.empty() ? count : std::ssize(model.row);
  if (file.contains(kWeights)) {
    const Tensor weights = read_floats(file, kWeights);
    check_world(weights.shape() == Shape{ids}, path, ": '", kWeights, "' must have a value for each of ", ids,
                " tokens; its shape is ", weights.shape());
    model.weight = weights.to_vector<float>();
  }

  const std::string tokenizer = folder + "/" + kTokenizerFile;
  model.tokenizer = Tokenizer::load(tokenizer);
  check_world(model.tokenizer.vocab_size() <= ids, tokenizer, ": every token must have a row; there are ",
              model.tokenizer.vocab_size(), " tokens, and ", path, " has rows for ", ids,
              "; use the tokenizer that the model was made with");
  if (table == kTable && file_exists(folder + "/" + kConfigFile)) {
    read_model2vec_config(folder, model);
    model.left_out = model.tokenizer.unknown_id();
    const int64_t median = median_length(model.tokenizer);
    const bool fits = median > 0 && model.max_tokens <= std::numeric_limits<int64_t>::max() / median;
    model.max_characters = fits ? model.max_tokens * median : 0;
  } else if (const auto& truncation = model.tokenizer.parts().truncation) {
    check_world(truncation->side == Side::right, tokenizer,
                ": truncation must cut the end of a text; it cuts the beginning");
    model.max_tokens = truncation->max_length;
  }
  return model;
}

}  // namespace gradus
