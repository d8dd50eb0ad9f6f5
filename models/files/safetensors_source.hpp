#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/files/tensor_source.hpp"

namespace gradus {

/// One safetensors file; an error that says what a file is instead.
std::unique_ptr<TensorSource> open_safetensors(const std::string& path);

/// A model in several safetensors files, its shards, by the index beside them: `weight_map` names the shard of each tensor.
/// note: the index and the shards must agree: a shard that is missing, a tensor that is not where the index says, one that
///       stands in two shards and one that the index does not name are errors naming the file and the tensor. The rest of
///       the index (its `metadata`) is for people.
std::unique_ptr<TensorSource> open_safetensors_index(const std::string& path);

/// The paths of the shards that an index names, in the order of their names, be they there or not.
std::vector<std::string> safetensors_shards(const std::string& index_path);

}  // namespace gradus
