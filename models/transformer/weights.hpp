#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"

namespace gradus {

class SafetensorsFile;
class Transformer;
struct Config;

/// A tensor of a model's file, and the part of a parameter that it holds.
struct FileWeight {
  std::string name;         ///< in the file
  std::string parameter;    ///< as Transformer::visit names it
  int64_t begin = 0;        ///< rows [begin, end) of the parameter …
  int64_t end = -1;         ///< … -1: all of them
  bool transposed = false;  ///< the file holds (inputs, outputs)
};

/// The weights of a model in the layout of its family's files, each with its name there, in a fixed order.
/// note: views of the model's memory, transposed where the file holds them so.
std::vector<NamedTensor> file_weights(const Transformer& model);

/// An error naming the tensor and the file where one is missing, unexpected, or of another shape than in the model.
/// note: passed over is only what holds no weights: the masks and rotary frequencies that old files carry, and an output
///       layer that is tied to the embedding. Looks at no values, so the model may stand in DryRunMemory.
void check_weights(const Transformer& model, const SafetensorsFile& file);

/// Copies a file's tensors into the model, after check_weights().
/// note: 16-bit and f64 tensors are converted; a tied output layer in the file must equal the embedding.
void read_weights(Transformer& model, const SafetensorsFile& file);

/// A model with a file's weights, after check_weights(): parameters that the file holds as they are, f32 and in one piece,
/// stay there, read-only, and come into memory when they are used; the others are copied as by read_weights().
Transformer map_weights(const Config& config, const SafetensorsFile& file);

}  // namespace gradus
