#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// The names of a table's rows: any bytes, each perhaps several times.
class Names {
 public:
  Names() = default;
  Names(std::initializer_list<std::string_view> names);

  /// Names one row more.
  void add(std::string_view name);
  /// The first row of a name, which is a new one where it had none.
  int64_t find_or_add(std::string_view name);
  int64_t size() const { return static_cast<int64_t>(ends_.size()); }
  std::string_view operator[](int64_t row) const;
  /// The first row of a name.
  std::optional<int64_t> find(std::string_view name) const;
  /// Up to three names that are spelt most like one, within two edits; of equals the lower row first.
  std::vector<std::string_view> closest(std::string_view name) const;
  bool operator==(const Names& other) const { return bytes_ == other.bytes_ && ends_ == other.ends_; }

 private:
  void grow();

  std::string bytes_;  // all names, one behind the other
  std::vector<int64_t> ends_;
  // A hash table with open addressing of the first row of each name; -1 is free. The order of names follows the rows alone.
  std::vector<int64_t> slots_;
  int64_t distinct_ = 0;
};

}  // namespace gradus
