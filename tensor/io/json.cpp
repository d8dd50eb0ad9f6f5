#include "tensor/io/json.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tensor/error.hpp"

namespace gradus {
namespace {

const char* kind_name(Json::Kind kind) {
  switch (kind) {
    case Json::Kind::null: return "null";
    case Json::Kind::boolean: return "a boolean";
    case Json::Kind::integer: return "an integer";
    case Json::Kind::number: return "a number";
    case Json::Kind::string: return "a string";
    case Json::Kind::array: return "an array";
    case Json::Kind::object: return "an object";
  }
  return "?";
}

/// What errors about a value begin with: its path, or for values that were built the word json.
std::string subject(const Json& value) {
  std::string path = value.path();
  return path.empty() ? "json" : path;
}

[[noreturn]] void fail_kind(const Json& value, const char* wanted) {
  const std::string message =
      detail::join(subject(value), ": must be ", wanted, "; it is ", kind_name(value.kind()));
  if (value.path().empty()) fail_argument(message);
  fail_runtime(message);
}

/// The bytes of the UTF-8 character that begins at text[at], or 0 where none does.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  const std::size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length == 0 || length > text.size() - at) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(at + 1);
  const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool outside = (lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90);
  return overlong || outside ? 0 : length;
}

/// At most `most` bytes of a text that may be anything, fit for an error message: the middle of a long one is left
/// out, and what is not UTF-8 is shown as \xNN.
std::string readable(std::string_view text, std::size_t most) {
  std::string shown;
  for (std::size_t i = 0; i < text.size();) {
    if (text.size() > most && i >= most / 2 && i < text.size() - most / 2) {
      shown += "...";
      i = text.size() - most / 2;
      while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) ++i;
      continue;
    }
    const std::size_t length = utf8_length(text, i);
    if (length > 0) {
      shown.append(text, i, length);
      i += length;
    } else {
      constexpr char hex[] = "0123456789abcdef";
      shown += {'\\', 'x', hex[(text[i] >> 4) & 15], hex[text[i] & 15]};
      ++i;
    }
  }
  return shown;
}

/// Bytes of a text, telling somebody else how far reading has come.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

}  // namespace

/// A container of a document: what the values in it need to tell their path.
struct Json::Origin {
  std::shared_ptr<const Origin> parent;  // the container around it; none: the document itself
  uint32_t index = 0;                    // its place there
  bool is_object = false;
  std::string source;          // of the document
  std::string keys;            // of an object, one behind the other,
  std::vector<uint32_t> ends;  // and where each one ends

  std::size_t size() const { return ends.size(); }
  std::string_view key(std::size_t i) const {
    const uint32_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(keys).substr(begin, ends[i] - begin);
  }

  /// The path of the value at `place`.
  std::string path(uint32_t place) const {
    if (parent == nullptr) return source + ": $";
    std::string text = parent->path(index);
    if (!is_object) return text + "[" + std::to_string(place) + "]";
    const std::string_view name = place < size() ? key(place) : "?";
    bool plain = !name.empty() && !(name[0] >= '0' && name[0] <= '9');
    for (char c : name) {
      plain =
          plain && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_');
    }
    if (plain) return text + "." + readable(name, 100);
    return text + "[" + Json(readable(name, 100)).dump() + "]";
  }
};

/// Takes the events of nlohmann's parser, checks what it does not, and builds the value.
class Json::Reader {
 public:
  Reader(std::string_view text, const std::string& source)
      : text_(text), source_(source), reached_(text.data()) {
    auto root = std::make_shared<Origin>();
    root->source = source;
    root_ = std::move(root);
  }

  Json read() {
    const char* end = text_.data() + text_.size();
    nlohmann::json::sax_parse(Cursor(text_.data(), &reached_), Cursor(end, &reached_), this);
    return std::move(result_);
  }

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(int64_t value) { return add(Json(value)); }
  bool number_unsigned(uint64_t value) {
    if (value > static_cast<uint64_t>(INT64_MAX)) return add(Json(static_cast<double>(value)));
    return add(Json(static_cast<int64_t>(value)));
  }
  bool number_float(double value, const std::string&) { return add(Json(value)); }
  bool string(std::string& value) { return add(Json(std::move(value))); }
  bool binary(nlohmann::json::binary_t&) { return false; }

  bool start_object(std::size_t) { return open(true); }
  bool start_array(std::size_t) { return open(false); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& value) {
    Frame& frame = frames_.back();
    Origin& origin = *frame.origin;
    const bool is_new = frame.insert(value);
    origin.keys += value;
    origin.ends.push_back(static_cast<uint32_t>(origin.keys.size()));
    if (!is_new) fail_here(0, "the key stands twice in this object; each may stand once");
    frame.key = std::move(value);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) {
    // "[json.exception.kind.101] parse error at line 1, column 2: syntax error …": the place is told in our way.
    std::string_view reason = error.what();
    if (const auto bracket = reason.find("] "); bracket != std::string_view::npos)
      reason.remove_prefix(bracket + 2);
    constexpr std::string_view place = "parse error at line ";
    if (reason.substr(0, place.size()) == place) {
      const auto colon = reason.find(": ");
      if (colon != std::string_view::npos) reason.remove_prefix(colon + 2);
    }
    fail_here(0, readable(reason, 160));
  }

 private:
  struct Frame {
    std::shared_ptr<Origin> origin;
    bool is_object = false;
    Array items;
    Object members;
    std::string key;
    std::vector<uint32_t> slots;  // a hash table of 1 + index of a key, once there are many

    /// Whether the key is new; its place will be origin->size().
    bool insert(std::string_view name) {
      constexpr std::size_t few = 16;
      const std::size_t count = origin->size();
      if (count < few) {
        for (std::size_t i = 0; i < count; ++i) {
          if (origin->key(i) == name) return false;
        }
        return true;
      }
      if (slots.size() < 2 * (count + 1)) {
        slots.assign(4 * std::bit_ceil(count + 1), 0);
        for (std::size_t i = 0; i < count; ++i) slots[slot(origin->key(i))] = static_cast<uint32_t>(i + 1);
      }
      uint32_t& place = slots[slot(name)];
      if (place != 0) return false;
      place = static_cast<uint32_t>(count + 1);
      return true;
    }
    std::size_t slot(std::string_view name) const {
      const std::size_t mask = slots.size() - 1;
      std::size_t at = std::hash<std::string_view>()(name) & mask;
      while (slots[at] != 0 && origin->key(slots[at] - 1) != name) at = (at + 1) & mask;
      return at;
    }
    /// Makes room for one more. Lists of the size of a vocabulary grow in large steps: what is reserved and not written
    /// costs no memory, but moving what is there does, as often as that is done.
    template <class List>
    static void make_room(List& list) {
      constexpr std::size_t large = 1024;
      constexpr std::size_t too_large = 1 << 20;
      if (list.size() == list.capacity() && list.size() >= large && list.size() < too_large)
        list.reserve(8 * list.size());
    }
    uint32_t next_place() const { return static_cast<uint32_t>(is_object ? members.size() : items.size()); }
  };

  bool open(bool is_object) {
    if (frames_.size() >= static_cast<std::size_t>(kMaxDepth)) {
      fail_here(0, detail::join("arrays and objects may stand at most ", kMaxDepth, " deep"));
    }
    Frame frame;
    frame.is_object = is_object;
    frame.origin = std::make_shared<Origin>();
    frame.origin->is_object = is_object;
    if (frames_.empty()) {
      frame.origin->parent = root_;
    } else {
      frame.origin->parent = frames_.back().origin;
      frame.origin->index = frames_.back().next_place();
    }
    frames_.push_back(std::move(frame));
    return true;
  }

  bool close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    return add(frame.is_object ? Json::object(std::move(frame.members))
                               : Json::array(std::move(frame.items)));
  }

  bool add(Json value) {
    if (frames_.empty()) {
      value.origin_ = root_;
      result_ = std::move(value);
      return true;
    }
    Frame& frame = frames_.back();
    value.origin_ = frame.origin;
    value.index_ = frame.next_place();
    if (frame.is_object) {
      Frame::make_room(frame.members);
      frame.members.emplace_back(std::move(frame.key), std::move(value));
    } else {
      Frame::make_room(frame.items);
      frame.items.push_back(std::move(value));
    }
    return true;
  }

  /// `ahead`: the bytes that the parser has seen behind the place to be named.
  [[noreturn]] void fail_here(std::size_t ahead, std::string_view reason) const {
    std::size_t at = static_cast<std::size_t>(reached_ - text_.data());
    at -= std::min(at, ahead + (at > 0 ? 1 : 0));
    std::size_t line = 1;
    std::size_t column = 1;
    for (std::size_t i = 0; i < at; ++i) {
      ++column;
      if (text_[i] == '\n') {
        ++line;
        column = 1;
      }
    }
    // The path of the value that was being read: a key that has no value yet is the next member.
    std::string where = source_ + ": $";
    if (!frames_.empty()) {
      const Frame& frame = frames_.back();
      const uint32_t next = frame.next_place();
      const bool between = frame.is_object && frame.origin->size() <= next;
      where = between ? frame.origin->parent->path(frame.origin->index) : frame.origin->path(next);
    }
    fail_world(where, " (line ", line, ", column ", column, "): ", reason);
  }

  std::string_view text_;
  const std::string& source_;
  const char* reached_;
  std::shared_ptr<const Origin> root_;
  std::vector<Frame> frames_;
  Json result_;
};

double shortest_decimal(float number) {
  char text[32];
  double decimal = number;
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  std::from_chars(text, end, decimal);
  return decimal;
}

Json::Json(bool value) : value_(value) {}
Json::Json(int value) : value_(static_cast<int64_t>(value)) {}
Json::Json(int64_t value) : value_(value) {}
Json::Json(double value) : value_(value) {}
Json::Json(const char* value) : value_(std::string(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(std::string value) : value_(std::move(value)) {}

Json Json::array(Array items) {
  Json result;
  result.value_ = std::make_shared<Array>(std::move(items));
  return result;
}

Json Json::object(Object members) {
  Json result;
  result.value_ = std::make_shared<Object>(std::move(members));
  return result;
}

bool Json::as_boolean() const {
  if (const bool* value = std::get_if<bool>(&value_)) return *value;
  fail_kind(*this, "a boolean");
}

int64_t Json::as_integer() const {
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return *value;
  fail_kind(*this, "an integer");
}

double Json::as_number() const {
  if (const double* value = std::get_if<double>(&value_)) return *value;
  if (const int64_t* value = std::get_if<int64_t>(&value_)) return static_cast<double>(*value);
  fail_kind(*this, "a number");
}

const std::string& Json::as_string() const {
  if (const std::string* value = std::get_if<std::string>(&value_)) return *value;
  fail_kind(*this, "a string");
}

const Json::Array& Json::as_array() const {
  if (const auto* value = std::get_if<std::shared_ptr<Array>>(&value_)) return **value;
  fail_kind(*this, "an array");
}

const Json::Object& Json::as_object() const {
  if (const auto* value = std::get_if<std::shared_ptr<Object>>(&value_)) return **value;
  fail_kind(*this, "an object");
}

const Json* Json::find(std::string_view key) const {
  for (const auto& [name, value] : as_object()) {
    if (name == key) return &value;
  }
  return nullptr;
}

const Json& Json::at(std::string_view key) const {
  if (const Json* value = find(key)) return *value;
  const std::string message =
      detail::join(subject(*this), ": must have the key \"", key, "\"; there is none");
  if (origin_ == nullptr) fail_argument(message);
  fail_runtime(message);
}

Json& Json::set(std::string key, Json value) {
  if (is_null()) value_ = std::make_shared<Object>();
  auto* object = std::get_if<std::shared_ptr<Object>>(&value_);
  if (object == nullptr) fail_kind(*this, "an object");
  if (object->use_count() > 1) *object = std::make_shared<Object>(**object);
  for (auto& [name, old] : **object) {
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  }
  (*object)->emplace_back(std::move(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) value_ = std::make_shared<Array>();
  auto* items = std::get_if<std::shared_ptr<Array>>(&value_);
  if (items == nullptr) fail_kind(*this, "an array");
  if (items->use_count() > 1) *items = std::make_shared<Array>(**items);
  (*items)->push_back(std::move(value));
  return *this;
}

std::string Json::path() const { return origin_ == nullptr ? std::string() : origin_->path(index_); }

struct Json::Writer {
  std::string out;
  int indent;

  void write(const Json& value, int depth) {
    check(depth <= kMaxDepth, "json: arrays and objects may stand at most ", kMaxDepth, " deep");
    switch (value.kind()) {
      case Kind::null: out += "null"; break;
      case Kind::boolean: out += std::get<bool>(value.value_) ? "true" : "false"; break;
      case Kind::integer: out += std::to_string(std::get<int64_t>(value.value_)); break;
      case Kind::number: write_number(std::get<double>(value.value_)); break;
      case Kind::string: write_string(std::get<std::string>(value.value_)); break;
      case Kind::array: {
        out += '[';
        const char* separator = "";
        for (const Json& item : value.as_array()) {
          out += separator;
          separator = ",";
          new_line(depth + 1);
          write(item, depth + 1);
        }
        if (*separator != 0) new_line(depth);
        out += ']';
        break;
      }
      case Kind::object: {
        out += '{';
        const char* separator = "";
        for (const auto& [name, member] : value.as_object()) {
          out += separator;
          separator = ",";
          new_line(depth + 1);
          write_string(name);
          out += indent < 0 ? ":" : ": ";
          write(member, depth + 1);
        }
        if (*separator != 0) new_line(depth);
        out += '}';
        break;
      }
    }
  }

  void new_line(int depth) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(depth), ' ');
  }

  void write_number(double value) {
    check(std::isfinite(value), "json: numbers must be finite; ", value, " was given");
    char digits[40];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    const std::string_view text(digits, static_cast<std::size_t>(end - digits));
    out += text;
    // Keeps a number a number: 1 would be read as an integer.
    if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
  }

  void write_string(std::string_view text) {
    out += '"';
    for (std::size_t i = 0; i < text.size();) {
      const char c = text[i];
      const std::size_t length = utf8_length(text, i);
      check(length > 0, "json: strings must be UTF-8; byte ", i, " of a string of ", text.size(),
            " bytes is 0x", std::hex, static_cast<unsigned>(static_cast<unsigned char>(c)));
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (static_cast<unsigned char>(c) >= 0x20) {
        out.append(text, i, length);
      } else if (c == '\n' || c == '\t' || c == '\r') {
        out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
      } else {
        constexpr char hex[] = "0123456789abcdef";
        out += "\\u00";
        out += hex[(c >> 4) & 15];
        out += hex[c & 15];
      }
      i += length;
    }
    out += '"';
  }
};

std::string Json::dump(int indent) const {
  Writer writer{{}, indent};
  writer.write(*this, 0);
  return std::move(writer.out);
}

Json Json::parse(std::string_view text, const std::string& source) {
  // Places are kept in 32 bits.
  check_world(text.size() < UINT32_MAX, source, ": a JSON document must be smaller than 4 GiB; it has ",
              text.size(), " bytes");
  check_world(!text.empty(), source, ": must be a JSON document; it is empty");
  return Reader(text, source).read();
}

}  // namespace gradus
