#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensor/error.hpp"
#include "tensor/ops.hpp"

/// What all layers have in common. A layer is a plain value: it owns its parameters as tensors, is given its path in the
/// model when it is made ("blocks.3.attention"), and knows nothing of optimisers and files. Copying a layer copies
/// handles: the copy shares the arrays.
///
/// The path names the layer in errors, seeds its random numbers, and with the tensor's own name it is the name of a
/// parameter; nothing depends on the order in which layers are made.

namespace gradus {

/// A layer that shows its parameters: f(name, tensor) for each, always in the same order.
/// note: the tensor is passed by reference, so that whoever loads a model may put another one in its place.
template <class M>
concept Module = requires(M module, void (*f)(const std::string&, Tensor&)) {
  module.visit(std::string(), f);
};

/// "blocks.3" and "norm" make "blocks.3.norm"; an empty prefix adds nothing.
inline std::string join_path(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

/// What attention found in a forward pass, block after block, for those who look inside.
struct AttentionRecord {
  bool maps = false;   ///< whether to keep the maps …
  bool heads = false;  ///< … and what the heads found
  /// Of each block, the weights p of each sequence after the other, flat, each (H,T,T): row t of head h holds what token t
  /// takes of each token's value; 0 of those that it does not see.
  std::vector<Tensor> map;
  std::vector<Tensor>
      head;  ///< of each block (N, H·D): the values that the heads took, before the output projection
};

/// The keys and values of one sequence: a cache a layer.
using LayerCaches = std::vector<KeyValueCache>;

/// All that a forward pass knows besides its inputs. The rows of several sequences are laid end to end (see Ragged);
/// no layer mixes rows of different sequences, so the rest of the batch cannot change a sequence's result.
struct Context {
  Ragged sequences;  ///< where each sequence begins and ends
  Tensor positions;  ///< i32 (N): each row's place in its sequence
  Tensor segments;   ///< i32 (N): which of a sequence's texts each row belongs to; empty: all to the first

  /// Draw dropout masks. Their numbers are functions of (seed, the layer's path, the row's global number, channel).
  bool training = false;
  uint64_t seed = 0;
  /// Global number of the first row; those after it count on. For training batches of B sequences of T rows:
  /// (step · sequences_per_step + number of the first sequence in the step) · T.
  uint64_t first_row = 0;

  /// Where set, attention writes into it, without a gradient. It must not be used with caches.
  AttentionRecord* record = nullptr;

  /// For generation: the caches of each sequence; its rows then continue what is in there. Else empty.
  std::vector<LayerCaches*> caches;

  /// Sequences of the given lengths, each from position 0, without dropout.
  static Context of_lengths(std::span<const int64_t> lengths);
  /// `batch` sequences of `time` rows each, without dropout.
  static Context of_batch(int64_t batch, int64_t time);
  /// The same for training. `first_sequence` counts the sequences of this step that stand before these.
  static Context for_training(int64_t batch, int64_t time, uint64_t seed, uint64_t step,
                              uint64_t sequences_per_step, uint64_t first_sequence);
  /// lengths[b] further rows of the sequence in *caches[b]: a prompt, a single token, or anything between.
  static Context of_caches(std::vector<LayerCaches*> caches, const std::vector<int64_t>& lengths);
};

/// Calls body; an error of it gets the layer's path in front.
template <class Body>
auto at_path(const std::string& path, Body&& body) {
  try {
    return body();
  } catch (const std::invalid_argument& error) {
    fail(path, ": ", error.what());
  } catch (const std::runtime_error& error) {
    fail_world(path, ": ", error.what());
  }
}

}  // namespace gradus
