#include "models/embeddings/formats/table.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr const char* kWords = "words";
constexpr const char* kEnds = "words.ends";
constexpr const char* kCounts = "counts";

RawTensor raw_integers(const char* name, std::span<const int64_t> values) {
  return {name, "I64", {std::ssize(values)}, values.data(), values.size_bytes()};
}

// Numbers in a file may stand at any address.
std::vector<int64_t> integers_of(const SafetensorsFile& file, const char* name) {
  const RawTensor array = file.array(name);
  check_world(array.dtype == "I64" && array.shape.rank() == 1, file.path(), ": '", name,
              "' must be I64 of one axis; it is ", array.dtype, " ", array.shape);
  std::vector<int64_t> numbers(static_cast<std::size_t>(array.shape[0]));
  if (!numbers.empty()) std::memcpy(numbers.data(), array.data, array.bytes);
  return numbers;
}

Names names_of(const SafetensorsFile& file) {
  const RawTensor words = file.array(kWords);
  check_world(words.dtype == "U8" && words.shape.rank() == 1, file.path(), ": '", kWords,
              "' must be U8 of one axis; it is ", words.dtype, " ", words.shape);
  const std::string_view text(static_cast<const char*>(words.data), words.bytes);
  Names names;
  if (file.contains(kEnds)) {
    int64_t begin = 0;
    for (const int64_t end : integers_of(file, kEnds)) {
      check_world(end >= begin && end <= std::ssize(text), file.path(), ": '", kEnds,
                  "' must ascend to at most ", text.size(), "; behind ", begin, " comes ", end);
      names.add(text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
      begin = end;
    }
    return names;
  }
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    names.add(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

}  // namespace

void save_vector_table(const std::string& path, const Vectors& vectors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<Tensor> dense;
  std::vector<RawTensor> arrays;
  for (std::size_t l = 0; l < vectors.layers.size(); ++l) {
    check(vectors.layers[l].rank() == 2 && vectors.layers[l].size(0) == vectors.rows(),
          "vectors: layers must have a row for each of ", vectors.rows(), " names; ", vectors.layer_names[l],
          " is ", vectors.layers[l].shape());
    dense.push_back(vectors.layers[l].to_contiguous());
    arrays.push_back(raw_tensor(vectors.layer_names[l], dense.back()));
  }
  bool lines = true;
  for (int64_t row = 0; row < vectors.rows(); ++row)
    lines = lines && !vectors.names[row].empty() && vectors.names[row].find('\n') == std::string_view::npos;
  std::string words;
  std::vector<int64_t> ends;
  for (int64_t row = 0; row < vectors.rows(); ++row) {
    if (lines && row > 0) words += '\n';
    words += vectors.names[row];
    if (!lines) ends.push_back(std::ssize(words));
  }
  if (!vectors.counts.empty()) arrays.push_back(raw_integers(kCounts, vectors.counts));
  if (!lines) arrays.push_back(raw_integers(kEnds, ends));
  arrays.push_back({kWords, "U8", {std::ssize(words)}, words.data(), words.size()});
  save_safetensors(path, arrays, metadata);
}

bool is_vector_table(const SafetensorsFile& file) { return file.contains(kWords); }

Vectors read_vector_table(const SafetensorsFile& file) {
  check_world(is_vector_table(file), file.path(), ": a table of vectors must hold the array '", kWords,
              "'; it does not");
  Vectors vectors;
  vectors.names = names_of(file);
  const int64_t rows = vectors.rows();
  if (file.contains(kCounts)) {
    vectors.counts = integers_of(file, kCounts);
    check_world(std::ssize(vectors.counts) == rows, file.path(), ": '", kCounts,
                "' must have a number for each of ", rows, " names; it has ", vectors.counts.size());
  }
  const auto owner = std::make_shared<const SafetensorsFile>(file);
  for (const std::string& name : file.names()) {
    if (name == kWords || name == kEnds || name == kCounts) continue;
    const RawTensor& info = file.info(name);
    check_world(info.dtype == "F32" && info.shape.rank() == 2 && info.shape[0] == rows, file.path(), ": '",
                name, "' must be F32 with a row for each of ", rows, " names; it is ", info.dtype, " ",
                info.shape);
    vectors.layer_names.push_back(name);
    vectors.layers.push_back(tensor_over(info, file.path(), owner));
  }
  check_world(!vectors.layers.empty(), file.path(), ": a table of vectors must hold a layer; it has none");
  return vectors;
}

}  // namespace gradus
