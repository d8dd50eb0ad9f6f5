#include "models/transformer/weights.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "models/transformer/gpt.hpp"
#include "models/transformer/llama.hpp"
#include "models/transformer/transformer.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

constexpr const char* kHead = "lm_head.weight";

std::vector<FileWeight> weights_of(const Config& config) {
  return config.arch == Arch::gpt ? gpt_weights(config) : llama_weights(config);
}

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

// Tensors of older files that hold no weights: GPT-2's causal masks and Llama's rotary frequencies.
bool is_constant(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||
         name.ends_with(".rotary_emb.inv_freq");
}

// The file's name of a weight: as it stands, or without the first part, as a model saved without its output layer has it.
std::string name_in(const SafetensorsFile& file, const std::string& name) {
  if (!file.contains(name)) {
    const std::string bare = name.substr(name.find('.') + 1);
    if (name != kHead && file.contains(bare)) return bare;
  }
  return name;
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

void check_weights(const Transformer& model, const SafetensorsFile& file) {
  const NoGrad no_grad_here;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  std::set<std::string> used;
  for (const FileWeight& weight : weights_of(model.config())) {
    const std::string name = name_in(file, weight.name);
    check_world(file.contains(name), file.path(), ": must hold the tensor '", weight.name,
                "' of this configuration; it does not");
    const RawTensor& info = file.info(name);
    const Shape expected = part_of(parameters.at(weight.parameter), weight).shape();
    check_world(info.shape == expected, file.path(), ": tensor '", name, "' must have shape ", expected,
                " in this configuration; it has ", info.shape);
    check_world(info.dtype == "F32" || info.dtype == "F64" || info.dtype == "BF16" || info.dtype == "F16",
                file.path(), ": tensor '", name, "' must be F32, F64, BF16 or F16; it is ", info.dtype);
    used.insert(name);
  }
  for (const std::string& name : file.names()) {
    const bool tied_head = model.config().tie && name == kHead;
    check_world(used.contains(name) || is_constant(name) || tied_head, file.path(),
                ": every tensor must belong to this configuration; '", name, "' does not");
  }
}

namespace {

// A tied output layer may stand in the file a second time; it must then be the same.
void check_tied_head(const SafetensorsFile& file, const FileWeight& embedding) {
  if (!file.contains(kHead)) return;
  const Tensor head = file.tensor(kHead);
  const Tensor table = file.tensor(name_in(file, embedding.name));
  check_world(head.dtype() == table.dtype() && head.shape() == table.shape() &&
                  std::memcmp(head.bytes(), table.bytes(), table.nbytes()) == 0,
              file.path(), ": '", kHead, "' must equal '", embedding.name,
              "', which it is tied to; it does not; set tie_word_embeddings to false in config.json");
}

// A weight that is not a number would spread over everything without a word.
void check_finite_weight(const SafetensorsFile& file, const std::string& name, const Tensor& values) {
  const int64_t bad = first_non_finite(values);
  check_world(bad < 0, file.path(), ": weights must be finite; element ", bad, " of tensor '", name,
              "' is not; the file is damaged, or the training that made it diverged");
}

void copy_weight(const SafetensorsFile& file, const FileWeight& weight, const Tensor& parameter) {
  const std::string name = name_in(file, weight.name);
  const Tensor source = file.tensor(name);
  const Tensor target = part_of(parameter, weight);
  const Tensor values = source.dtype() == target.dtype() ? source : cast(source, target.dtype());
  check_finite_weight(file, name, values);
  target.copy_from(values);
}

}  // namespace

void read_weights(Transformer& model, const SafetensorsFile& file) {
  check_weights(model, file);  // a file of another model is refused before anything is overwritten
  const NoGrad no_grad_here;
  const std::map<std::string, Tensor> parameters = parameters_by_name(model);
  const std::vector<FileWeight> weights = weights_of(model.config());
  for (const FileWeight& weight : weights) copy_weight(file, weight, parameters.at(weight.parameter));
  if (model.config().tie) check_tied_head(file, weights.front());
}

Transformer map_weights(const Config& config, const SafetensorsFile& file) {
  Transformer model;
  {
    // Sizes alone: the file must bear out what the configuration claims before memory is taken for it.
    const DryRunMemory dry_run;
    model = Transformer(config);
    check_weights(model, file);
  }
  const Position position = Transformer::make_position(config);
  if (position.kind() != PositionKind::learned) model.position = position;
  const NoGrad no_grad_here;
  const std::vector<FileWeight> weights = weights_of(model.config());
  std::map<std::string, std::vector<const FileWeight*>> parts;
  for (const FileWeight& weight : weights) parts[weight.parameter].push_back(&weight);
  model.visit("", [&](const std::string& name, Tensor& parameter) {
    const std::vector<const FileWeight*>& from = parts.at(name);
    const RawTensor& first = file.info(name_in(file, from.front()->name));
    if (from.size() == 1 && !from.front()->transposed && first.dtype == "F32" &&
        parameter.dtype() == DType::f32) {
      parameter = file.tensor(first.name);
      check_finite_weight(file, first.name, parameter);
      return;
    }
    parameter = Tensor::empty(parameter.shape(), parameter.dtype());
    for (const FileWeight* weight : from) copy_weight(file, *weight, parameter);
  });
  if (model.config().tie) check_tied_head(file, weights.front());
  return model;
}

}  // namespace gradus
