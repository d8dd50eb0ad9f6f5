#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "nn/mlp.hpp"
#include "tensor/io/json.hpp"

namespace gradus {

/// The members of an object of config.json, read one after the other by key; it knows which were asked for.
class ConfigKeys {
 public:
  explicit ConfigKeys(const Json& json) : json_(json), seen_(json.as_object().size(), false) {}

  /// Where the object stands, for errors.
  std::string path() const { return json_.path(); }
  /// The member, or nullptr where it is missing or null.
  const Json* find(std::string_view key);
  /// Whether the member is there, be it null.
  bool contains(std::string_view key) const { return json_.find(key) != nullptr; }
  /// A member that must be there.
  int64_t integer(std::string_view key);
  /// Sets the field where the member is there.
  template <class T>
  void optional(std::string_view key, T& field) {
    if (const Json* value = find(key)) read(*value, field);
  }
  template <class T, class Read>
  void optional(std::string_view key, T& field, Read&& read_value) {
    if (const Json* value = find(key)) field = read_value(*value);
  }
  /// Sets a size where the member is there; it must then be at least 1, for 0 stands for a default here.
  void optional_size(std::string_view key, int64_t& field);
  /// A feature that is not here may stand in the file as long as it is switched off.
  void must_be(std::string_view key, bool expected);
  void must_be(std::string_view key, int64_t expected);
  void must_be(std::string_view key, double expected);
  /// A feature that is not here may stand in the file as null.
  void must_be_null(std::string_view key);
  /// An error at the first member that nobody asked for.
  void finish() const;

 private:
  static void read(const Json& value, int64_t& field) { field = value.as_integer(); }
  static void read(const Json& value, double& field) { field = value.as_number(); }
  static void read(const Json& value, bool& field) { field = value.as_boolean(); }

  const Json& json_;
  std::vector<bool> seen_;
};

/// An activation by its name in the Hugging Face library; an error lists those that are known.
MlpKind activation_from(const Json& value);
/// The name to write, or "" where that library has none.
std::string_view activation_name(MlpKind kind);

}  // namespace gradus
