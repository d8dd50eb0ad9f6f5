#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace gradus {

/// The number with the fewest digits that is this f32: 1e-05, and not what it is in f64.
double shortest_decimal(float number);

/// A JSON value: null, boolean, integer, number, string, array or object; objects keep their order.
/// note: copies share arrays and objects until one of them is changed.
class Json {
 public:
  enum class Kind { null, boolean, integer, number, string, array, object };
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  /// Values inside values, in documents read and written.
  static constexpr int kMaxDepth = 100;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value);
  Json(int value);
  Json(int64_t value);
  Json(double value);
  Json(const char* value);
  Json(std::string_view value);
  Json(std::string value);
  static Json array(Array items = {});
  static Json object(Object members = {});

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  bool is_null() const { return kind() == Kind::null; }

  /// The value as the named kind; an error naming `path` (where it stood in its file) and both kinds otherwise.
  /// note: as_number accepts integers; as_integer accepts only integers in int64.
  bool as_boolean() const;
  int64_t as_integer() const;
  double as_number() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  const Object& as_object() const;

  /// The member of an object, or nullptr where there is none.
  /// note: looks at the members one after the other; to use many members of a large object, walk as_object().
  const Json* find(std::string_view key) const;
  /// The member of an object; an error naming the path and the key where there is none.
  const Json& at(std::string_view key) const;
  /// Appends or replaces a member of an object (null becomes an object); returns *this for chaining.
  Json& set(std::string key, Json value);
  /// Appends to an array (null becomes an array).
  Json& push(Json value);

  /// Where the value stood in its file, e.g. `config.json: $.rope_scaling.factor`; empty for built values.
  std::string path() const;

  /// The value as text; `indent` < 0 gives one line. Numbers are printed so that reading gives the same double;
  /// a NaN or infinity is an error. Strings must be UTF-8 (an error otherwise); only what JSON demands is escaped.
  std::string dump(int indent = -1) const;

  /// Reads one JSON document.
  /// note: duplicate keys, depth beyond kMaxDepth, numbers outside double's finite range, bytes after the document, and
  ///       invalid UTF-8 are errors that name `source`, the line, the column and the path; what is no int64 is a number.
  static Json parse(std::string_view text, const std::string& source);

 private:
  struct Origin;
  class Reader;
  struct Writer;

  // In the order of Kind. Shared, because a copy is often made only to be read.
  std::variant<std::monostate, bool, int64_t, double, std::string, std::shared_ptr<Array>,
               std::shared_ptr<Object>>
      value_;
  // The container that the value was read in, and its place there: enough to tell the path when an error needs it.
  std::shared_ptr<const Origin> origin_;
  uint32_t index_ = 0;
};

}  // namespace gradus
