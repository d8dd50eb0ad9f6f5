#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "models/files/gguf_file.hpp"
#include "models/files/gguf_writer.hpp"
#include "models/transformer/families/family.hpp"

namespace gradus {

/// The keys of a GGUF file that begin with the name of its architecture, asked for by what follows it ("block_count"); it
/// knows which were. Numbers in f32 are taken as the shortest decimal that they are: 1e-05.
class GgufKeys {
 public:
  explicit GgufKeys(const GgufFile& file);

  const std::string& path() const { return file_.path(); }
  std::string_view architecture() const { return architecture_; }
  /// The value, or nullptr where it is missing.
  const GgufValue* find(std::string_view key);
  /// A value that must be there.
  int64_t integer(std::string_view key);
  /// Sets the field where the key is there.
  void optional(std::string_view key, int64_t& field);
  void optional(std::string_view key, double& field);
  void optional(std::string_view key, bool& field);
  /// A feature that is not here may stand in the file as long as it is switched off.
  void must_be(std::string_view key, bool expected);
  void must_be(std::string_view key, int64_t expected);
  void must_be(std::string_view key, double expected);
  /// An error at the first of these keys that nobody asked for.
  void finish() const;

  bool has_tensor(std::string_view name) const { return find_tensor(name) != nullptr; }
  /// The rows of a tensor that must be there.
  int64_t rows(std::string_view name) const;
  /// The values of a tensor that must be there, as numbers.
  std::vector<double> values(std::string_view name) const;

 private:
  const GgufTensor* find_tensor(std::string_view name) const;
  const GgufTensor& tensor(std::string_view name) const;
  std::string named(std::string_view key) const { return architecture_ + "." + std::string(key); }

  const GgufFile& file_;
  std::string architecture_;
  std::set<std::string> seen_;
};

/// Sets keys that begin with the name of an architecture.
class GgufKeyWriter {
 public:
  GgufKeyWriter(GgufFields& fields, std::string_view architecture)
      : fields_(fields), begin_(std::string(architecture) + ".") {}

  void integer(std::string_view key, int64_t value) { fields_.u32(named(key), value); }
  void number(std::string_view key, double value) { fields_.f32(named(key), value); }
  void boolean(std::string_view key, bool value) { fields_.boolean(named(key), value); }
  void text(std::string_view key, std::string_view value) { fields_.text(named(key), value); }

 private:
  std::string named(std::string_view key) const { return begin_ + std::string(key); }

  GgufFields& fields_;
  std::string begin_;
};

/// Reads what the files of all architectures have: sizes, and the epsilon of the norms.
void read_gguf_sizes(GgufKeys& keys, Config& config);
void write_gguf_sizes(GgufKeyWriter& keys, const Config& config);
/// Reads rotary positions: base, channels that turn, and scaling.
void read_gguf_rope(GgufKeys& keys, Config& config);
/// Sets the keys of the same; the factors of a llama3 scaling are a tensor, see llama3_factors().
void write_gguf_rope(GgufKeyWriter& keys, const Config& config);

/// The llama3 scaling that divides the frequencies of this base by the factors.
/// note: only where these begin and end matters, not in which text length they are counted; an error where no such scaling
///       gives the factors, to the precision of f32.
RopeScaling llama3_scaling(const std::vector<double>& factors, int64_t rotated, double base,
                           const std::string& path);
/// The same the other way round: what a scaling divides each frequency by.   shape: (R/2)
Tensor llama3_factors(const RopeScaling& scaling, int64_t rotated, double base);

}  // namespace gradus
