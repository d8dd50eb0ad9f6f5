#include "models/embeddings/embedding_writer.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/io/spool.hpp"
#include "tensor/ops.hpp"

namespace gradus {
namespace {

constexpr std::pair<VectorType, std::string_view> kTypes[] = {{VectorType::f32, "f32"},
                                                              {VectorType::f16, "f16"},
                                                              {VectorType::int8, "int8"},
                                                              {VectorType::binary, "binary"}};

bool is_folder(const std::string& path) { return path.ends_with('/'); }

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

std::string pooling_of(const EmbeddingSet& set) {
  if (!is_pooled(set.level)) return "none";
  return set.poolings.empty() ? std::string(name_of(set.pooling)) : set.poolings;
}

}  // namespace

std::string_view name_of(VectorType type) {
  for (const auto& [known, name] : kTypes) {
    if (known == type) return name;
  }
  return "?";
}

VectorType parse_vector_type(std::string_view name) {
  for (const auto& [type, known] : kTypes) {
    if (known == name) return type;
  }
  fail("embeddings: the type must be one of f32, f16, int8, binary; it is '", name, "'");
}

Json row_to_json(const RowInfo& row, Level level) {
  Json line = Json::object();
  line.set("text", row.text);
  if (row.chunk >= 0) line.set("chunk", row.chunk);
  // Ids may have no name, where there is no tokenizer.
  if (!row.token.empty()) line.set("token", row.token);
  if (level == Level::token) line.set("id", row.id);
  line.set("start", row.start);
  line.set("end", row.end);
  if (level != Level::sentence) line.set("word", row.word);
  if (row.segment >= 0) line.set("segment", row.segment);
  return line;
}

// An array as it grows: in a file of its own in a folder, else on disk until its size is known.
struct EmbeddingWriter::Array {
  std::string name, dtype;
  Shape row;
  std::unique_ptr<NpyWriter> file;
  std::unique_ptr<SpoolFile> spool;

  void write(const void* data, std::size_t bytes) {
    if (file) {
      file->write(data, bytes);
    } else {
      spool->write(data, bytes);
    }
  }
  // The array without its data.
  RawTensor described() const {
    const auto row_bytes = static_cast<int64_t>(raw_bytes(dtype, row).value_or(0));
    Shape shape{row_bytes > 0 ? static_cast<int64_t>(spool->size()) / row_bytes : 0};
    for (const int64_t size : row) shape.push_back(size);
    return {name, dtype, shape, nullptr, static_cast<std::size_t>(spool->size())};
  }
};

// The rows' file, and the hash of what is in it.
struct EmbeddingWriter::Output {
  AtomicFile rows;
  Sha256 hash;
  explicit Output(const std::string& path) : rows(path) {}
};

void EmbeddingWriter::check_path(const std::string& path) {
  check(path.ends_with(".npz") || path.ends_with(".safetensors") || is_folder(path),
        "embeddings: the file must be named .npz or .safetensors, or be a folder, NAME/; it is '", path, "'");
  if (!is_folder(path) || !file_exists(path)) return;
  check_world(is_directory(path), path, ": must be a folder; it is a file");
  check(std::filesystem::is_empty(path), "embeddings: the folder ", path,
        " must be new or empty, for nothing in it is replaced; it is not empty");
}

EmbeddingWriter::EmbeddingWriter(const std::string& path, VectorType type) : path_(path), type_(type) {
  check_path(path);
  made_folder_ = is_folder(path) && !file_exists(path);
  if (made_folder_) create_directories(path);
  output_ = std::make_unique<Output>(is_folder(path) ? path + "tokens.jsonl" : path + ".tokens.jsonl");
}

EmbeddingWriter::~EmbeddingWriter() {
  arrays_.clear();
  output_.reset();
  std::error_code holds_something;
  if (made_folder_) std::filesystem::remove(path_.substr(0, path_.size() - 1), holds_something);
}

EmbeddingWriter::Array& EmbeddingWriter::array(const std::string& name, const char* dtype, const Shape& row) {
  for (const auto& array : arrays_) {
    if (array->name == name) return *array;
  }
  auto array = std::make_unique<Array>();
  array->name = name;
  array->dtype = dtype;
  array->row = row;
  if (is_folder(path_)) {
    array->file = std::make_unique<NpyWriter>(path_ + name + ".npy", dtype, row);
  } else {
    array->spool = std::make_unique<SpoolFile>(path_);
  }
  arrays_.push_back(std::move(array));
  return *arrays_.back();
}

void EmbeddingWriter::append_layer(const std::string& name, const Tensor& values) {
  const Tensor dense = values.to_contiguous();
  const int64_t rows = dense.size(0), width = dense.size(1);
  switch (type_) {
    case VectorType::f32: array(name, "F32", {width}).write(dense.bytes(), dense.nbytes()); return;
    case VectorType::f16: {
      const Tensor narrow = cast(dense, DType::f16);
      array(name, "F16", {width}).write(narrow.bytes(), narrow.nbytes());
      return;
    }
    case VectorType::int8: {
      std::vector<int8_t> quantized(static_cast<size_t>(rows * width));
      std::vector<float> scales(static_cast<size_t>(rows));
      for (int64_t r = 0; r < rows; ++r) {
        const float* x = dense.data<float>() + r * width;
        float largest = 0;
        for (int64_t c = 0; c < width; ++c) largest = std::max(largest, std::fabs(x[c]));
        const float scale = largest / 127.0f;
        scales[static_cast<size_t>(r)] = scale;
        for (int64_t c = 0; c < width; ++c) {
          const float q = scale > 0 ? std::nearbyint(x[c] / scale) : 0.0f;
          quantized[static_cast<size_t>(r * width + c)] = static_cast<int8_t>(std::clamp(q, -127.0f, 127.0f));
        }
      }
      array(name, "I8", {width}).write(quantized.data(), quantized.size());
      array(name + ".scale", "F32", {}).write(scales.data(), scales.size() * sizeof(float));
      return;
    }
    case VectorType::binary: {
      const int64_t bytes = (width + 7) / 8;
      std::vector<uint8_t> packed(static_cast<size_t>(rows * bytes), 0);
      for (int64_t i = 0; i < rows * width; ++i) {
        const int64_t r = i / width, c = i % width;
        if (dense.data<float>()[i] > 0)
          packed[static_cast<size_t>(r * bytes + c / 8)] |= static_cast<uint8_t>(0x80 >> (c % 8));
      }
      array(name, "U8", {bytes}).write(packed.data(), packed.size());
      return;
    }
  }
  fail("embeddings: the type must be a known one; it is number ", static_cast<int>(type_));
}

void EmbeddingWriter::append(const EmbeddingSet& set) {
  for (size_t l = 0; l < set.layers.size(); ++l) append_layer(set.layer_names[l], set.layers[l]);
  const auto append_numbers = [&](const EmbeddingArray& given, const Shape& row) {
    const Tensor dense = given.values.to_contiguous();
    array(given.name, "F32", row).write(dense.bytes(), dense.nbytes());
  };
  for (const EmbeddingArray& other : set.others) append_numbers(other, {other.values.size(1)});
  for (const EmbeddingArray& map : set.maps) append_numbers(map, {});
  const auto append_offsets = [&](const char* name, std::span<const int64_t> offsets, int64_t base) {
    std::vector<int64_t> all;
    for (size_t i = texts_ == 0 ? 0 : 1; i < offsets.size(); ++i) all.push_back(base + offsets[i]);
    array(name, "I64", {}).write(all.data(), all.size() * sizeof(int64_t));
  };
  if (!set.maps.empty()) append_offsets("attention_offsets", set.map_offsets, map_values_);
  append_offsets("offsets", set.offsets, rows_);
  std::string lines;
  for (const RowInfo& row : set.rows) lines += row_to_json(row, set.level).dump() + "\n";
  output_->rows.write(lines);
  output_->hash.update(lines);

  about_ = {{"level", std::string(name_of(set.level))},
            {"pooling", pooling_of(set)},
            {"layers", joined(set.layer_names)},
            {"normalized", set.normalized ? "true" : "false"}};
  if (type_ != VectorType::f32) about_["dtype"] = name_of(type_);
  rows_ += std::ssize(set.rows);
  texts_ += std::ssize(set.offsets) - 1;
  map_values_ += set.map_offsets.back();
}

void EmbeddingWriter::finish(const std::map<std::string, std::string>& metadata) {
  std::map<std::string, std::string> all = metadata;
  for (const auto& [key, value] : about_) all[key] = value;
  all["tokens_sha256"] = output_->hash.hex();
  Json meta = Json::object();
  for (const auto& [key, value] : all) meta.set(key, value);
  const std::string text = meta.dump();

  // The rows first: where the arrays stand, their meaning stands beside them. Of two writers of one path the rows of one
  // may come to stand beside the arrays of the other: the hash tells.
  if (is_folder(path_)) {
    for (const auto& array : arrays_) array->file->sync();
    output_->rows.commit();
    for (const auto& array : arrays_) array->file->commit();
    write_file_atomic(path_ + "meta.json", meta.dump(2) + "\n");
    return;
  }
  if (path_.ends_with(".safetensors")) {
    std::vector<RawTensor> described;
    for (const auto& array : arrays_) described.push_back(array->described());
    AtomicFile file(path_);
    write_safetensors(
        file, described, [&](std::size_t i, const auto& take) { arrays_[i]->spool->for_pieces(take); }, all);
    file.sync();
    output_->rows.commit();
    file.commit();
    return;
  }
  NpzWriter file(path_);
  for (const auto& array : arrays_) {
    const RawTensor described = array->described();
    file.begin(described.name, described.dtype, described.shape);
    array->spool->for_pieces([&](const void* data, std::size_t bytes) { file.write(data, bytes); });
    file.end();
    array->spool.reset();
  }
  file.add({"meta", "U8", {std::ssize(text)}, text.data(), text.size()});
  file.sync();
  output_->rows.commit();
  file.commit();
}

}  // namespace gradus
