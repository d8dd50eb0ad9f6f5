// Arrays: .npy, .npz, safetensors, and folders of .npy. Their rows' names stand in the file (our own tables), beside it in
// the tokens.jsonl of `embed`, or in a file with a name a line.

#include <algorithm>
#include <cstring>
#include <map>
#include <span>

#include "models/embeddings/files.hpp"
#include "models/embeddings/formats/readers.hpp"
#include "models/embeddings/formats/table.hpp"
#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus::detail {
namespace {

constexpr std::string_view kScale = ".scale";  // of an int8 layer, a number a row

// An array by its name, and its values when they are asked for.
struct Source {
  std::string path;  // for errors
  std::vector<RawTensor> arrays;
  std::function<Tensor(const RawTensor&)> values;

  const RawTensor* find(std::string_view name) const {
    const auto found =
        std::find_if(arrays.begin(), arrays.end(), [&](const RawTensor& a) { return a.name == name; });
    return found == arrays.end() ? nullptr : &*found;
  }
};

// A name a line; the last line may end or not.
Names read_names(const std::string& path, const VectorReadOptions& options, int64_t rows, int64_t& invalid) {
  const FileBytes bytes(path, options.on_interrupt);
  Names names;
  for (LineReader lines(bytes.text()); lines.next();) {
    check_world(!options.strict_encoding || all_utf8(lines.line()), path, ":", lines.number(),
                ": a name must be UTF-8; it is ", shown_text(lines.line()));
    invalid += all_utf8(lines.line()) ? 0 : 1;
    names.add(lines.line());
  }
  check_world(names.size() == rows, path, ": must have a name for each of ", rows,
              " rows, one a line; it has ", names.size());
  return names;
}

// The `token` of each line of embed's tokens.jsonl.
Names read_row_names(const std::string& path, int64_t rows) {
  const FileBytes bytes(path, {});
  Names names;
  for (LineReader lines(bytes.text()); lines.next();) {
    const Json row = Json::parse(lines.line(), path + ":" + std::to_string(lines.number()));
    const Json* token = row.find("token");
    names.add(token == nullptr ? "" : token->as_string());
  }
  check_world(names.size() == rows, path, ": must have a line for each of ", rows, " rows; it has ",
              names.size());
  return names;
}

// Rows of x · scale, as `embed --output-dtype int8` writes them.
Tensor scaled(const Source& source, const RawTensor& quantized, const RawTensor& scale) {
  const int64_t rows = quantized.shape[0], width = quantized.shape[1];
  check_world(scale.dtype == "F32" && scale.shape == Shape{rows}, source.path, ": '", scale.name,
              "' must be F32 with a number for each of ", rows, " rows; it is ", scale.dtype, " ",
              scale.shape);
  const Tensor scales = source.values(scale);
  Tensor values = Tensor::empty({rows, width});
  const auto* q = static_cast<const int8_t*>(quantized.data);
  float* y = values.mutable_data<float>();
  for (int64_t r = 0; r < rows; ++r) {
    const float factor = scales.data<float>()[r];
    for (int64_t c = 0; c < width; ++c) y[r * width + c] = static_cast<float>(q[r * width + c]) * factor;
  }
  return values;
}

// A layer as f32, or nothing of an array that cannot be one.
std::optional<Tensor> layer_of(const Source& source, const RawTensor& array) {
  if (array.shape.rank() != 2) return std::nullopt;
  if (array.dtype == "I8") {
    const RawTensor* scale = source.find(array.name + std::string(kScale));
    if (scale == nullptr) return std::nullopt;
    return scaled(source, array, *scale);
  }
  if (array.dtype == "F32") return source.values(array);
  if (array.dtype == "F16" || array.dtype == "BF16" || array.dtype == "F64")
    return cast(source.values(array), DType::f32);
  return std::nullopt;
}

// What is no layer in an output of embed.
bool stands_beside(std::string_view name) {
  return name == "logits" || name == "offsets" || name == "meta" || name.starts_with("heads_") ||
         name.starts_with("attention_") || name.ends_with(kScale);
}

// All arrays of two axes with as many rows as most are layers; names come from what stands beside.
Vectors from_arrays(const Source& source, const std::string& rows_file, const VectorReadOptions& options) {
  Vectors vectors;
  int64_t rows = -1;
  std::string others;
  for (const RawTensor& array : source.arrays) {
    if (stands_beside(array.name)) continue;
    const bool fits = array.shape.rank() == 2 && (rows < 0 || array.shape[0] == rows);
    std::optional<Tensor> layer = fits ? layer_of(source, array) : std::nullopt;
    if (!layer) {
      others += (others.empty() ? "" : ", ") + array.name + " " + array.dtype + " " + array.shape.to_string();
      continue;
    }
    rows = array.shape[0];
    vectors.layer_names.push_back(array.name.empty() ? "vectors" : array.name);
    vectors.layers.push_back(std::move(*layer));
  }
  check_world(
      rows >= 0, source.path,
      ": a file of vectors must have an array of two axes in f32, f64, f16 or bf16, or in i8 with its "
      "scales; it has ",
      others.empty() ? "none" : others);
  if (!others.empty())
    vectors.notes.push_back("not read, as no layers of " + std::to_string(rows) + " rows: " + others);
  int64_t invalid = 0;
  if (!options.names_file.empty()) {
    vectors.names = read_names(options.names_file, options, rows, invalid);
  } else if (!rows_file.empty() && file_exists(rows_file)) {
    vectors.names = read_row_names(rows_file, rows);
  } else if (file_exists(source.path + ".names")) {
    vectors.names = read_names(source.path + ".names", options, rows, invalid);
  } else {
    fail("vectors: ", source.path,
         " has rows without names; give --names FILE, a name a line for each of its ", rows, " rows");
  }
  if (invalid > 0) {
    vectors.notes.push_back(std::to_string(invalid) + (invalid == 1 ? " name is" : " names are") +
                            " not UTF-8, and kept as they are");
  }
  return vectors;
}

}  // namespace

Vectors read_npy_vectors(const std::string& path, const VectorReadOptions& options) {
  const NpyArray array = load_npy(path);
  Source source{path, {array}, [&](const RawTensor&) { return array.tensor(); }};
  source.arrays[0].name = "vectors";
  return from_arrays(source, "", options);
}

Vectors read_npz_vectors(const std::string& path, const VectorReadOptions& options) {
  const NpzFile file(path);
  Source source{path, {}, {}};
  std::map<std::string, NpyArray> arrays;
  for (const std::string& name : file.names()) {
    if (stands_beside(name) && !name.ends_with(kScale)) continue;  // attention maps may be large
    arrays[name] = file.array(name);
    source.arrays.push_back(arrays[name]);
    source.arrays.back().name = name;
  }
  source.values = [&](const RawTensor& array) { return arrays.at(array.name).tensor(); };
  return from_arrays(source, path + ".tokens.jsonl", options);
}

Vectors read_safetensors_vectors(const std::string& path, const VectorReadOptions& options) {
  const auto file = std::make_shared<const SafetensorsFile>(SafetensorsFile::open(path));
  if (is_vector_table(*file)) {
    check(options.names_file.empty(), "vectors: ", path, " has names of its own; leave out --names");
    return read_vector_table(*file);
  }
  Source source{path, {}, [&](const RawTensor& array) { return tensor_over(array, path, file); }};
  for (const std::string& name : file->names()) source.arrays.push_back(file->info(name));
  std::sort(source.arrays.begin(), source.arrays.end(),
            [](const RawTensor& a, const RawTensor& b) { return a.name < b.name; });
  return from_arrays(source, path + ".tokens.jsonl", options);
}

Vectors read_folder_vectors(const std::string& folder, const VectorReadOptions& options) {
  const std::string base = folder.ends_with('/') ? folder : folder + "/";
  const Json meta = Json::parse(read_file(base + "meta.json"), base + "meta.json");
  const std::string layers = meta.at("layers").as_string();
  Source source{folder, {}, {}};
  std::map<std::string, NpyArray> arrays;
  for (std::size_t begin = 0; begin < layers.size();) {
    const std::size_t end = std::min(layers.find(',', begin), layers.size());
    const std::string name = layers.substr(begin, end - begin);
    begin = end + 1;
    for (const std::string& part : {name, name + std::string(kScale)}) {
      const std::string file = base + part + ".npy";
      if (part != name && !file_exists(file)) continue;
      arrays[part] = load_npy(file);
      source.arrays.push_back(arrays[part]);
      source.arrays.back().name = part;
    }
  }
  source.values = [&](const RawTensor& array) { return arrays.at(array.name).tensor(); };
  return from_arrays(source, base + "tokens.jsonl", options);
}

}  // namespace gradus::detail
