#include "models/embeddings/files.hpp"

#include <cstring>
#include <span>

#include "models/embeddings/embedding_writer.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"

namespace gradus {
namespace {

constexpr const char* kWords = "words";
constexpr const char* kCounts = "counts";

RawTensor raw_integers(const char* name, std::span<const int64_t> values) {
  return {name, "I64", {static_cast<int64_t>(values.size())}, values.data(), values.size_bytes()};
}
RawTensor raw_text(const char* name, const std::string& text) {
  return {name, "U8", {static_cast<int64_t>(text.size())}, text.data(), text.size()};
}

}  // namespace

bool rows_belong(const std::string& path, const std::string& tokens_sha256) {
  const std::string rows = path + ".tokens.jsonl";
  return file_exists(rows) && sha256_file(rows) == tokens_sha256;
}

void save_embeddings(const std::string& path, const EmbeddingSet& set,
                     const std::map<std::string, std::string>& metadata) {
  EmbeddingWriter writer(path);
  writer.append(set);
  writer.finish(metadata);
}

void save_word_table(const std::string& path, const WordTable& table,
                     const std::map<std::string, std::string>& metadata) {
  std::vector<Tensor> dense;
  std::vector<RawTensor> arrays;
  for (size_t l = 0; l < table.layers.size(); ++l) {
    dense.push_back(table.layers[l].to_contiguous());
    arrays.push_back(raw_tensor(table.layer_names[l], dense.back()));
  }
  std::string words;
  for (const std::string& word : table.words) {
    check(!word.empty() && word.find('\n') == std::string::npos,
          "word table: words must not be empty and hold no line feed; '", word, "' was given");
    words += (words.empty() ? "" : "\n") + word;
  }
  arrays.push_back(raw_integers(kCounts, table.counts));
  arrays.push_back(raw_text(kWords, words));
  save_safetensors(path, arrays, metadata);
}

WordTable load_word_table(const std::string& path, std::map<std::string, std::string>* metadata) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  if (metadata) *metadata = file.metadata();
  for (const char* name : {kWords, kCounts}) {
    check_world(file.contains(name), path, ": a table of words must hold the array '", name,
                "'; it does not; make the table again");
  }
  WordTable table;
  const RawTensor words = file.array(kWords);
  const RawTensor counts = file.array(kCounts);
  check_world(words.dtype == "U8" && counts.dtype == "I64" && counts.shape.rank() == 1, path,
              ": 'words' must be U8 and 'counts' I64 of one axis; they are ", words.dtype, " and ",
              counts.dtype, " ", counts.shape);
  const std::string_view text(static_cast<const char*>(words.data), words.bytes);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    table.words.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const auto rows = static_cast<int64_t>(table.words.size());
  table.counts.resize(table.words.size());
  check_world(counts.shape[0] == rows, path, ": 'counts' must have a number for each of ", rows,
              " words; it has ", counts.shape[0]);
  if (rows > 0) std::memcpy(table.counts.data(), counts.data, counts.bytes);
  for (const std::string& name : file.names()) {
    if (name == kWords || name == kCounts) continue;
    const RawTensor& info = file.info(name);
    check_world(info.dtype == "F32" && info.shape.rank() == 2 && info.shape[0] == rows, path, ": '", name,
                "' must be F32 with a row for each of ", rows, " words; it is ", info.dtype, " ", info.shape);
    table.layer_names.push_back(name);
    table.layers.push_back(file.tensor(name));
    check_world(first_non_finite(table.layers.back()) < 0, path, ": the vectors of '", name,
                "' must be finite; some are not; make the table again");
  }
  return table;
}

}  // namespace gradus
