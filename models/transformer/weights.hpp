#pragma once

#include <vector>

#include "models/files/tensor_source.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

class Transformer;
struct Config;

/// The weights of a model in the layout of its family's files, each with its name there, in a fixed order.
/// note: views of the model's memory, transposed where the file holds them so.
std::vector<NamedTensor> file_weights(const Transformer& model,
                                      TensorNames naming = TensorNames::hugging_face);

/// The configuration without the parts that a file does not have: a model is often saved without its output layer or its
/// pooler, and its config.json does not say so.
/// note: a part of which some tensors are there stays, so that check_weights() names what is missing.
Config fitted(const Config& config, const TensorSource& source);

/// An error naming the tensor and the file where one is missing, unexpected, or of another shape than in the model.
/// note: passed over is only what the family says that no model of it computes with: the masks and rotary frequencies that
///       old files carry, and what repeats another tensor, such as an output layer that is tied to the embedding. Looks at
///       no values, so the model may stand in DryRunMemory.
void check_weights(const Transformer& model, const TensorSource& source);

/// Copies a file's tensors into the model, after check_weights().
/// note: 16-bit and f64 tensors are converted; what repeats another tensor must equal it.
void read_weights(Transformer& model, const TensorSource& source);

/// A model with a file's weights, after check_weights(): parameters that the file holds as they are, f32 and in one piece,
/// stay there, read-only, and come into memory when they are used; the others are copied as by read_weights().
/// note: each tensor is asked for once.
Transformer map_weights(const Config& config, const TensorSource& source);

}  // namespace gradus
