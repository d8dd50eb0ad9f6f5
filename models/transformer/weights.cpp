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

std::vector<FileWeight> weights_of(const Config& config) { return config.family->weights(config); }

std::map<std::string, Tensor> parameters_by_name(const Transformer& model) {
  std::map<std::string, Tensor> parameters;
  for (const NamedTensor& named : model.parameters()) parameters.emplace(named.name, named.tensor.detach());
  return parameters;
}

// The part of a parameter that one tensor of the file holds, as a view in the file's orientation.
Tensor part_of(const Tensor& parameter, const FileWeight& weight) {
  const int64_t end = weight.end < 0 ? parameter.size(0) : weight.end;
  const Tensor rows = slice(parameter, 0, weight.begin, end);
  return weight.transposed ? transpose(rows) : rows;
}

// Tensors of older files that hold no weights.
bool is_constant(const Family& family, const std::string& name) {
  return std::any_of(family.constants.begin(), family.constants.end(),
                     [&](std::string_view end) { return name.ends_with(end); });
}

// The file's name of a weight: as it stands, or without the base, as a model saved without its output layer has it.
std::string name_in(const TensorSource& source, const Family& family, const std::string& name) {
  if (!source.contains(name) && name.starts_with(family.base)) {
    const std::string bare = name.substr(family.base.size());
    if (source.contains(bare)) return bare;
  }
  return name;
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

std::vector<NamedTensor> file_weights(const Transformer& model) {
  const NoGrad no_grad_here;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  std::vector<NamedTensor> tensors;
  for (const FileWeight& weight : weights_of(model.config())) {
    check(parameters.contains(weight.parameter), "file_weights: the model must have its dense weights; '",
          weight.parameter, "' has been packed for inference; load the model again to save it");
    tensors.push_back({weight.name, part_of(parameters.at(weight.parameter), weight)});
  }
  return tensors;
}

void check_weights(const Transformer& model, const TensorSource& source) {
  const NoGrad no_grad_here;
  const Family& family = *model.config().family;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  std::set<std::string> used;
  for (const FileWeight& weight : weights_of(model.config())) {
    const std::string name = name_in(source, family, weight.name);
    check_world(source.contains(name), source.path(), ": must hold the tensor '", weight.name,
                "' of this configuration; it does not");
    const TensorInfo& info = source.info(name);
    const Shape expected = part_of(parameters.at(weight.parameter), weight).shape();
    check_world(info.shape == expected, source.file_of(name), ": tensor '", name, "' must have shape ",
                expected, " in this configuration; it has ", info.shape);
    check_world(is_weight_type(info.values), source.file_of(name), ": tensor '", name,
                "' must be F32, F64, BF16 or F16; it is ", info.dtype);
    used.insert(name);
  }
  for (const std::string& name : source.names()) {
    const bool tied_head = model.config().tie && name == family.output;
    check_world(used.contains(name) || is_constant(family, name) || tied_head, source.file_of(name),
                ": every tensor must belong to this configuration; '", name, "' does not");
  }
}

namespace {

// A tied output layer may stand in the file a second time; it must then be the same.
void check_tied_head(const TensorSource& source, const Transformer& model) {
  const Family& family = *model.config().family;
  if (!model.config().tie || !source.contains(family.output)) return;
  const Tensor& table = model.token_embedding.weight;
  const Tensor head = cast(source.tensor(family.output), table.dtype());
  std::string embedding;
  for (const FileWeight& weight : weights_of(model.config())) {
    if (weight.parameter == "token_embedding.weight") embedding = weight.name;
  }
  check_world(head.shape() == table.shape() && std::memcmp(head.bytes(), table.bytes(), table.nbytes()) == 0,
              source.file_of(family.output), ": '", family.output, "' must equal '", embedding,
              "', which it is tied to; it does not; set tie_word_embeddings to false in config.json");
}

// A weight that is not a number would spread over everything without a word.
void check_finite_weight(const TensorSource& source, const std::string& name, const Tensor& values) {
  const int64_t bad = first_non_finite(values);
  check_world(bad < 0, source.file_of(name), ": weights must be finite; element ", bad, " of tensor '", name,
              "' is not; the file is damaged, or the training that made it diverged");
}

void copy_weight(const TensorSource& source, const std::string& name, const FileWeight& weight,
                 const Tensor& parameter) {
  const Tensor target = part_of(parameter, weight);
  const Tensor read = source.tensor(name);
  const Tensor values = read.dtype() == target.dtype() ? read : cast(read, target.dtype());
  check_finite_weight(source, name, values);
  target.copy_from(values);
}

}  // namespace

void read_weights(Transformer& model, const TensorSource& source) {
  check_weights(model, source);  // a file of another model is refused before anything is overwritten
  const NoGrad no_grad_here;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  for (const FileWeight& weight : weights_of(model.config())) {
    copy_weight(source, name_in(source, *model.config().family, weight.name), weight,
                parameters.at(weight.parameter));
  }
  check_tied_head(source, model);
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
  const std::vector<FileWeight> weights = weights_of(model.config());
  std::map<std::string, std::vector<const FileWeight*>> parts;
  for (const FileWeight& weight : weights) parts[weight.parameter].push_back(&weight);
  model.visit("", [&](const std::string& name, Tensor& parameter) {
    const std::vector<const FileWeight*>& from = parts.at(name);
    const FileWeight& first = *from.front();
    const std::string first_name = name_in(source, *config.family, first.name);
    if (from.size() == 1 && !first.transposed && parameter.dtype() == DType::f32 &&
        source.info(first_name).values == DType::f32) {
      parameter = source.tensor(first_name);
      check_finite_weight(source, first_name, parameter);
      return;
    }
    parameter = Tensor::empty(parameter.shape(), parameter.dtype());
    for (const FileWeight* weight : from)
      copy_weight(source, name_in(source, *config.family, weight->name), *weight, parameter);
  });
  check_tied_head(source, model);
  return model;
}

}  // namespace gradus
