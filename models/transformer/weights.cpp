#include "models/transformer/weights.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "models/files/tensor_source.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/transformer.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

// The tensors of a model's file, as its format has them.
std::vector<FileWeight> weights_of(const Config& config, TensorNames naming = TensorNames::hugging_face) {
  if (naming == TensorNames::hugging_face) return config.family->weights(config);
  check(config.family->gguf != nullptr, "weights: a GGUF file can hold models of some families; those of ",
        config.family->name, " have no names there");
  return config.family->gguf->weights(config);
}

std::span<const std::string_view> passed_over(const Family& family, const TensorSource& source) {
  return source.naming() == TensorNames::gguf ? family.gguf->passed_over : family.passed_over;
}

std::map<std::string, Tensor> parameters_by_name(const Transformer& model) {
  std::map<std::string, Tensor> parameters;
  for (const NamedTensor& named : model.parameters()) parameters.emplace(named.name, named.tensor.detach());
  return parameters;
}

// The part of a parameter that one tensor of the file holds, as a view in the file's order of axes; where rows stand in
// another order, of more axes than the file has, see RowSwap.
Tensor part_of(const Tensor& parameter, const FileWeight& weight) {
  const int64_t end = weight.end < 0 ? parameter.size(0) : weight.end;
  const Tensor rows = slice(parameter, 0, weight.begin, end);
  if (weight.transposed) return transpose(rows);
  const RowSwap& swap = weight.swap;
  if (swap == RowSwap()) return rows;
  std::vector<int64_t> axes = {swap.outer, swap.a, swap.b, rows.size(0) / (swap.outer * swap.a * swap.b)};
  for (int axis = 1; axis < rows.rank(); ++axis) axes.push_back(rows.size(axis));
  return transpose(reshape(rows, Shape(axes)), 1, 2);
}

// What part_of() is in the file.
Shape shape_of(const Tensor& parameter, const FileWeight& weight) {
  const Tensor part = part_of(parameter, weight);
  if (weight.swap == RowSwap()) return part.shape();
  std::vector<int64_t> axes = {part.size(0) * part.size(1) * part.size(2) * part.size(3)};
  for (int axis = 4; axis < part.rank(); ++axis) axes.push_back(part.size(axis));
  return Shape(axes);
}

// A tensor of the file and what it holds, its parts in their order.
using FileTensor = std::span<const FileWeight>;

std::vector<FileTensor> tensors_of(const std::vector<FileWeight>& weights) {
  std::vector<FileTensor> tensors;
  for (size_t begin = 0, end = 0; begin < weights.size(); begin = end) {
    while (end < weights.size() && weights[end].name == weights[begin].name) ++end;
    tensors.emplace_back(weights.data() + begin, end - begin);
  }
  return tensors;
}

bool ends_with_any(const std::string& name, std::span<const std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
}

// The file's name of a weight: as it stands; without the base, as a model saved without its output layer has it; or with
// another ending.
std::string name_in(const TensorSource& source, const Family& family, const std::string& name) {
  std::vector<std::string> names = {name};
  if (name.starts_with(family.base)) names.push_back(name.substr(family.base.size()));
  for (size_t i = 0, count = names.size(); i < count; ++i) {
    for (const NameAlias& alias : family.aliases) {
      if (!names[i].ends_with(alias.end)) continue;
      names.push_back(names[i].substr(0, names[i].size() - alias.end.size()) + std::string(alias.other));
    }
  }
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& n) { return source.contains(n); });
  return found == names.end() ? name : *found;
}

bool is_weight_type(std::optional<DType> dtype) {
  if (!dtype) return false;
  switch (*dtype) {
    case DType::f32:
    case DType::f64:
    case DType::bf16:
    case DType::f16: return true;
    case DType::i32: return false;
  }
  return false;
}

}  // namespace

std::vector<NamedTensor> file_weights(const Transformer& model, TensorNames naming) {
  const NoGrad no_grad_here;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  const std::vector<FileWeight> weights = weights_of(model.config(), naming);
  std::vector<NamedTensor> tensors;
  for (const FileTensor& tensor : tensors_of(weights)) {
    std::vector<Tensor> parts;
    for (const FileWeight& weight : tensor) {
      check(parameters.contains(weight.parameter), "file_weights: the model must have its dense weights; '",
            weight.parameter, "' has been packed for inference; load the model again to save it");
      const Tensor& parameter = parameters.at(weight.parameter);
      const Tensor part = part_of(parameter, weight);
      parts.push_back(weight.swap == RowSwap() ? part : reshape(part, shape_of(parameter, weight)));
    }
    tensors.push_back({tensor.front().name, parts.size() == 1 ? parts.front() : concat(parts, 0)});
  }
  return tensors;
}

Config fitted(const Config& config, const TensorSource& source) {
  Config result = config;
  const auto has_some = [&](std::string_view part, bool if_none_stands_there) {
    bool expected = false;
    for (const FileWeight& weight : weights_of(config.resolved(), source.naming())) {
      if (!weight.parameter.starts_with(part)) continue;
      if (source.contains(name_in(source, *config.family, weight.name))) return true;
      expected = true;
    }
    return expected ? false : if_none_stands_there;
  };
  if (result.pooler) result.pooler = has_some("pooler.", false);
  switch (result.head) {
    case HeadKind::none: break;
    case HeadKind::plain:
      if (!has_some("output.", true)) result.head = HeadKind::none;
      break;
    case HeadKind::transformed:
      if (!has_some("head.", true)) result.head = HeadKind::none;
      break;
  }
  return result;
}

void check_weights(const Transformer& model, const TensorSource& source) {
  const NoGrad no_grad_here;
  const Family& family = *model.config().family;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  const std::vector<FileWeight> weights = weights_of(model.config(), source.naming());
  std::set<std::string> used;
  for (const FileTensor& tensor : tensors_of(weights)) {
    const std::string name = name_in(source, family, tensor.front().name);
    check_world(source.contains(name), source.path(), ": must hold the tensor '", tensor.front().name,
                "' of this configuration; it does not");
    std::vector<int64_t> axes;
    for (const FileWeight& weight : tensor) {
      const Shape part = shape_of(parameters.at(weight.parameter), weight);
      if (axes.empty()) {
        axes.assign(part.begin(), part.end());
      } else {
        axes[0] += part[0];
      }
    }
    const TensorInfo& info = source.info(name);
    check_world(info.shape == Shape(axes), source.file_of(name), ": tensor '", name, "' must have shape ",
                Shape(axes), " in this configuration; it has ", info.shape);
    check_world(is_weight_type(info.values), source.file_of(name), ": tensor '", name,
                "' must be F32, F64, BF16 or F16; it is ", info.dtype);
    used.insert(name);
  }
  for (const RepeatedWeight& repeated : family.repeated(model.config()))
    used.insert(name_in(source, family, repeated.name));
  for (const std::string& name : source.names()) {
    check_world(used.contains(name) || ends_with_any(name, passed_over(family, source)), source.file_of(name),
                ": every tensor must belong to this configuration; '", name, "' does not");
  }
}

namespace {

// Of a model's file names, that which holds a whole parameter.
std::string file_name_of(const Config& config, const std::string& parameter) {
  for (const FileWeight& weight : weights_of(config)) {
    if (weight.parameter == parameter) return weight.name;
  }
  return parameter;
}

// What stands in the file a second time must be the same.
void check_repeated(const TensorSource& source, const Transformer& model) {
  const Family& family = *model.config().family;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  for (const RepeatedWeight& repeated : family.repeated(model.config())) {
    const std::string name = name_in(source, family, repeated.name);
    if (!source.contains(name)) continue;
    const Tensor& first = parameters.at(repeated.parameter);
    const Tensor second = cast(source.tensor(name), first.dtype());
    check_world(
        second.shape() == first.shape() && std::memcmp(second.bytes(), first.bytes(), first.nbytes()) == 0,
        source.file_of(name), ": '", name, "' must equal '", file_name_of(model.config(), repeated.parameter),
        "', which it is tied to; it does not; set tie_word_embeddings to false in config.json");
  }
}

// A weight that is not a number would spread over everything without a word.
void check_finite_weight(const TensorSource& source, const std::string& name, const Tensor& values,
                         int64_t first_element = 0) {
  const int64_t bad = first_non_finite(values);
  check_world(bad < 0, source.file_of(name), ": weights must be finite; element ", first_element + bad,
              " of tensor '", name, "' is not; the file is damaged, or the training that made it diverged");
}

// Copies a tensor of the file to the parts of parameters that it holds.
void copy_tensor(const TensorSource& source, const Family& family, const FileTensor& tensor,
                 const std::map<std::string, Tensor>& parameters) {
  const std::string name = name_in(source, family, tensor.front().name);
  const Tensor read = source.tensor(name);
  int64_t row = 0;
  for (const FileWeight& weight : tensor) {
    const Tensor& parameter = parameters.at(weight.parameter);
    const Tensor target = part_of(parameter, weight);
    const int64_t rows = shape_of(parameter, weight)[0];
    const Tensor part = tensor.size() == 1 ? read : slice(read, 0, row, row + rows);
    const Tensor values = part.dtype() == target.dtype() ? part : cast(part, target.dtype());
    check_finite_weight(source, name, values, row * (read.numel() / read.size(0)));
    target.copy_from(values.shape() == target.shape() ? values : reshape(values, target.shape()));
    row += rows;
  }
}

}  // namespace

void read_weights(Transformer& model, const TensorSource& source) {
  check_weights(model, source);  // a file of another model is refused before anything is overwritten
  const NoGrad no_grad_here;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  const std::vector<FileWeight> weights = weights_of(model.config(), source.naming());
  for (const FileTensor& tensor : tensors_of(weights))
    copy_tensor(source, *model.config().family, tensor, parameters);
  check_repeated(source, model);
}

Transformer map_weights(const Config& config, const TensorSource& source) {
  Transformer model;
  {
    // Sizes alone: the file must bear out what the configuration claims before memory is taken for it.
    const DryRunMemory dry_run;
    model = Transformer(config);
    check_weights(model, source);
  }
  const Position position = Transformer::make_position(config);
  if (!has_table(position.kind())) model.position = position;
  const NoGrad no_grad_here;
  const std::vector<FileWeight> weights = weights_of(model.config(), source.naming());
  const std::vector<FileTensor> tensors = tensors_of(weights);
  // How many tensors hold a part of each parameter.
  std::map<std::string, int> holders;
  for (const FileWeight& weight : weights) ++holders[weight.parameter];
  std::map<std::string, Tensor> mapped;
  for (const FileTensor& tensor : tensors) {
    const FileWeight& first = tensor.front();
    const std::string name = name_in(source, *config.family, first.name);
    if (tensor.size() > 1 || holders.at(first.parameter) > 1 || first.transposed || first.swap != RowSwap() ||
        model.config().dtype != DType::f32 || source.info(name).values != DType::f32) {
      continue;
    }
    mapped[first.parameter] = source.tensor(name);
    check_finite_weight(source, name, mapped[first.parameter]);
  }
  model.visit("", [&](const std::string& name, Tensor& parameter) {
    const auto found = mapped.find(name);
    parameter = found != mapped.end() ? found->second : Tensor::empty(parameter.shape(), parameter.dtype());
  });
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  for (const FileTensor& tensor : tensors) {
    if (!mapped.contains(tensor.front().parameter)) copy_tensor(source, *config.family, tensor, parameters);
  }
  check_repeated(source, model);
  return model;
}

}  // namespace gradus
