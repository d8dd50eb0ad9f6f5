#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "tensor/ops.hpp"
#include "tensor/tensor.hpp"

/// Tensors as text, laid out by NumPy's rules (numpy.set_printoptions describes them).

namespace gradus {
namespace {

constexpr int64_t kMaxElements = 1000;  // of more than these, the ends of each axis
constexpr int64_t kEdge = 3;
constexpr std::size_t kLineWidth = 75;
constexpr std::size_t kFractionDigits = 8;

template <class T, class... Format>
std::string to_text(T value, Format... format) {
  char buffer[64];  // plain numbers are below 1e8
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value, format...).ptr);
}

/// The fewest digits that give the number back, at most kFractionDigits after the point.
template <class T>
std::string shortest(T value, std::chars_format format) {
  const std::string text = to_text(value, format);
  const std::size_t end = std::min(text.find('e'), text.size());
  const std::size_t point = text.find('.');
  const bool long_fraction = point != std::string::npos && end - point - 1 > kFractionDigits;
  std::string digits = long_fraction ? to_text(value, format, static_cast<int>(kFractionDigits)) : text;
  std::string exponent;
  if (const std::size_t e = digits.find('e'); e != std::string::npos) {
    exponent = digits.substr(e);
    digits.resize(e);
  }
  if (digits.find('.') == std::string::npos) digits += '.';
  while (digits.back() == '0') digits.pop_back();
  return digits + exponent;
}

/// A number of a 16-bit type as the nearest one of so many significant digits, which still tells its neighbours apart.
float rounded(double value, int digits) {
  const std::string text = to_text(value, std::chars_format::scientific, digits - 1);
  float result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

std::string number(double value, DType dtype, std::chars_format format) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  switch (dtype) {
    case DType::i32: return std::to_string(static_cast<int32_t>(value));
    case DType::f64: return shortest(value, format);
    case DType::f32: return shortest(static_cast<float>(value), format);
    case DType::f16: return shortest(rounded(value, 5), format);
    case DType::bf16: return shortest(rounded(value, 4), format);
  }
  return "";
}

/// Powers of ten where a plain number would be long.
std::chars_format format_of(const std::vector<double>& values) {
  double largest = 0, smallest = 0;
  for (double value : values) {
    const double size = std::fabs(value);
    if (!std::isfinite(size) || size == 0) continue;
    largest = std::max(largest, size);
    smallest = smallest == 0 ? size : std::min(smallest, size);
  }
  const bool plain = largest == 0 || (largest < 1e8 && smallest >= 1e-4 && largest / smallest <= 1000);
  return plain ? std::chars_format::fixed : std::chars_format::scientific;
}

/// Columns of one width, their points one below the other.
void align(std::vector<std::string>& texts) {
  const auto point_of = [](const std::string& text) { return text.find('.'); };
  const auto fraction_end = [](const std::string& text) { return std::min(text.find('e'), text.size()); };
  std::size_t fraction = 0;
  for (const std::string& text : texts) {
    if (point_of(text) != std::string::npos)
      fraction = std::max(fraction, fraction_end(text) - point_of(text));
  }
  std::size_t width = 0;
  for (std::string& text : texts) {
    if (point_of(text) != std::string::npos) {
      const std::size_t end = fraction_end(text);
      const char filler = end < text.size() ? '0' : ' ';  // before an exponent there is no gap
      text.insert(end, fraction - (end - point_of(text)), filler);
    }
    width = std::max(width, text.size());
  }
  for (std::string& text : texts) text.insert(0, width - text.size(), ' ');
}

/// Walks the elements that are shown, twice: once for their values, once to write them.
class Layout {
 public:
  explicit Layout(const Tensor& x) : x_(x.detach()), rank_(x.rank()), summarised_(x.numel() > kMaxElements) {}

  std::string text() {
    if (x_.numel() == 0) return "[]";
    collect(0, 0);
    const std::chars_format format = format_of(values_);
    for (double value : values_) texts_.push_back(number(value, x_.dtype(), format));
    align(texts_);
    write(0);
    return std::move(out_);
  }

 private:
  /// Calls show(i) for each index of an axis that is shown, and skip() where some are left out.
  template <class Show, class Skip>
  void for_each_shown(int axis, const Show& show, const Skip& skip) const {
    const int64_t size = x_.shape()[axis];
    const bool shortened = summarised_ && size > 2 * kEdge;
    for (int64_t i = 0; i < size; ++i) {
      if (shortened && i == kEdge) {
        skip();
        i = size - kEdge;
      }
      show(i);
    }
  }

  void collect(int axis, int64_t offset) {
    if (axis < rank_) {
      for_each_shown(
          axis, [&](int64_t i) { collect(axis + 1, offset + i * x_.strides()[axis]); }, [] {});
      return;
    }
    const Tensor element = x_.view({}, {}, offset);
    const bool short_type = dtype_bytes(x_.dtype()) == 2;
    values_.push_back((short_type ? cast(element, DType::f32) : element).item());
  }

  void write(int axis) {
    if (axis == rank_) {
      out_ += texts_[next_++];
      return;
    }
    out_ += '[';
    const bool last = axis == rank_ - 1;
    bool first = true;
    const auto separate = [&](std::size_t width) {
      if (!first && last && out_.size() - line_ + 1 + width + static_cast<std::size_t>(rank_) <= kLineWidth) {
        out_ += ' ';
      } else if (!first) {
        out_.append(last ? 1 : static_cast<std::size_t>(rank_ - 1 - axis), '\n');
        line_ = out_.size();
        out_.append(static_cast<std::size_t>(axis + 1), ' ');
      }
      first = false;
    };
    for_each_shown(
        axis,
        [&](int64_t) {
          separate(texts_[next_].size());
          write(axis + 1);
        },
        [&] {
          separate(3);
          out_ += "...";
        });
    out_ += ']';
  }

  Tensor x_;
  int rank_;
  bool summarised_;
  std::vector<double> values_;
  std::vector<std::string> texts_;
  std::size_t next_ = 0;
  std::string out_;
  std::size_t line_ = 0;  // where the line begins
};

}  // namespace

std::string to_string(const Tensor& x) {
  if (!x.defined()) return "an empty handle";
  return std::string(dtype_name(x.dtype())) + " " + x.shape().to_string() + "\n" + Layout(x).text();
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_string(x); }

}  // namespace gradus
