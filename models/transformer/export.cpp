#include "models/transformer/export.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "models/transformer/export_detail.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/ops.hpp"
#include "tokenizer/formats/hostile_texts.hpp"

namespace gradus {
namespace {

namespace fs = std::filesystem;

constexpr double kLargestHalf = 65504;

std::vector<float> floats_of(const Tensor& x) { return cast(x, DType::f32).to_vector<float>(); }

double difference(const Tensor& found, const Tensor& expected) {
  const std::vector<float> a = floats_of(found), b = floats_of(expected);
  double largest = 0, squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    squares += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return largest / std::sqrt(squares / static_cast<double>(b.size()));
}

// How far a weight may come to lie from what it was, in a row whose largest is `largest`: half a unit in the last place, of
// a block also what rounding its scale to f16 adds; a little more for the arithmetic of this bound.
double rounding(ExportType type, double weight, double largest) {
  constexpr double kMore = 1.001;
  switch (type) {
    case ExportType::f32: return 0;
    case ExportType::f16: return kMore * std::max(weight * 0x1p-11, 0x1p-25);
    case ExportType::bf16: return kMore * std::max(weight * 0x1p-8, 0x1p-134);
    case ExportType::q8_0: return kMore * std::max(largest * (0.5 / 127 + 0x1p-11), 127 * 0x1p-25);
  }
  return 0;
}

void check_weight(const NamedTensor& before, const Tensor& after, ExportType type, const std::string& path) {
  const NoGrad no_grad_here;
  const std::vector<float> a = floats_of(before.tensor), b = floats_of(after);
  check_world(a.size() == b.size(), path, ": '", before.name, "' must have ", a.size(), " values; it has ",
              b.size());
  const auto columns = static_cast<size_t>(before.tensor.size(-1));
  for (size_t begin = 0; begin < a.size(); begin += columns) {
    double largest = 0;
    for (size_t i = begin; i < begin + columns; ++i) largest = std::max(largest, std::fabs(double{a[i]}));
    for (size_t i = begin; i < begin + columns; ++i) {
      const double bound = rounding(type, std::fabs(double{a[i]}), largest);
      check_world(std::fabs(double{a[i]} - double{b[i]}) <= bound, path, ": '", before.name,
                  "' must be what it was but for rounding; element ", i, " (in row-major order) was ", a[i],
                  " and is ", b[i], "; this is a fault of the program");
    }
  }
}

void check_weights_kept(const LanguageModel& from, const LanguageModel& to, ExportType type) {
  std::map<std::string, Tensor> written;
  for (const NamedTensor& named : to.model.parameters()) written.emplace(named.name, named.tensor);
  for (const NamedTensor& named : from.model.parameters()) {
    const auto found = written.find(named.name);
    if (found != written.end()) check_weight(named, found->second, type, to.folder);
  }
}

}  // namespace

namespace detail {

std::string folder_beside(const std::string& model) {
  if (is_directory(model)) return model;
  const std::string parent = fs::path(model).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string model_name(const std::string& model) {
  const fs::path path = fs::absolute(model).lexically_normal();
  return is_directory(model) ? (path / "").parent_path().filename().string() : path.stem().string();
}

bool is_licence(const std::string& name) {
  std::string upper = name;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  for (const char* begin : {"LICENSE", "LICENCE", "NOTICE", "COPYING"}) {
    if (upper.starts_with(begin)) return true;
  }
  return false;
}

void check_range(const NamedTensor& named, ExportType type) {
  double largest = 0;
  switch (type) {
    case ExportType::f32:
    case ExportType::bf16: return;
    case ExportType::f16: largest = kLargestHalf; break;
    case ExportType::q8_0: largest = 127 * kLargestHalf; break;
  }
  const NoGrad no_grad_here;
  const std::vector<float> values = floats_of(named.tensor);
  const auto found =
      std::find_if(values.begin(), values.end(), [&](float x) { return !(std::fabs(double{x}) <= largest); });
  check(found == values.end(), "convert: weights must be within the range of the type, ", largest, "; of '",
        named.name, "' element ", found - values.begin(), " (in row-major order) is ",
        found == values.end() ? 0 : *found, "; choose bf16 or f32");
}

void compare_exported(const LanguageModel& from, const LanguageModel& to, ExportType type,
                      ExportReport& report) {
  const std::string& path = to.folder;
  const auto compare_ids = [&](const std::string& text, bool special_tokens) {
    const auto ids = [&](const LanguageModel& model, bool add) {
      return model.tokenizer.encode(text,
                                    {.special_tokens = special_tokens, .add_special = add, .whole = true});
    };
    std::vector<int32_t> expected;
    try {
      expected = ids(from, from.add_special);
    } catch (const std::exception&) {
      return;  // a text that it cannot take
    }
    check_world(ids(to, true) == expected, path,
                ": the tokenizer that was written must give the same ids; it does not of ",
                Json(text).dump());
    ++report.texts;
  };
  if (from.has_tokenizer) {
    for (const std::string& text : hostile_texts()) compare_ids(text, false);
    for (const std::string& text : texts_with_added_tokens(from.tokenizer)) compare_ids(text, true);
  }
  check_weights_kept(from, to, type);
  const Config& config = from.model.config();
  const auto time = std::min<int64_t>(config.block_size, 64);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < time; ++i) ids.push_back(static_cast<int32_t>((i * 7919 + 13) % config.vocab_size));
  const NoGrad no_grad_here;
  const Tensor input = Tensor::from(std::span<const int32_t>(ids), {time});
  const Tensor before = from.model.forward(input, Context::of_batch(1, time));
  const Tensor after = to.model.forward(input, Context::of_batch(1, time));
  report.hidden_state = difference(after, before);
  if (config.head != HeadKind::none && to.model.config().head != HeadKind::none)
    report.logits = difference(to.model.logits(after), from.model.logits(before));
  constexpr double kArithmetic = 2e-5;  // of sums in another type, and of angles from rounded factors
  for (const auto& [what, found] :
       {std::pair("last layer", report.hidden_state), {"logits", report.logits.value_or(0)}}) {
    check_world(std::isfinite(found) && (type != ExportType::f32 || found <= kArithmetic), path, ": the ",
                what, " of what was written must be the original's but for rounding; it is ", found,
                " of its root mean square off");
  }
}

}  // namespace detail

ExportFormat parse_export_format(std::string_view name) {
  if (name == "hf") return ExportFormat::hugging_face;
  if (name == "gguf") return ExportFormat::gguf;
  if (name == "sentence-transformers") return ExportFormat::sentence_transformers;
  fail("convert: the format must be hf, gguf or sentence-transformers; it is '", name, "'");
}

ExportType parse_export_type(std::string_view name) {
  if (name == "f32") return ExportType::f32;
  if (name == "f16") return ExportType::f16;
  if (name == "bf16") return ExportType::bf16;
  if (name == "q8_0") return ExportType::q8_0;
  fail("convert: the type must be f32, f16, bf16 or q8_0; it is '", name, "'");
}

ExportReport export_model(const LanguageModel& loaded, const std::string& out, const ExportOptions& options) {
  switch (options.format) {
    case ExportFormat::hugging_face:
    case ExportFormat::sentence_transformers: return detail::export_folder(loaded, out, options);
    case ExportFormat::gguf: return detail::export_gguf(loaded, out, options);
  }
  fail("convert: unknown format");
}

}  // namespace gradus
