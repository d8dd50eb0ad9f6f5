#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/tensor.hpp"

/// The inside of a Tensor handle and of a graph node: for tensor.cpp and autodiff.cpp alone.

namespace gradus {

/// Rows that wait to be added to the gradient of a table.
struct SparseRows {
  Tensor ids;   // (N), i32, its own copy
  Tensor rows;  // (N, C)
};

struct Tensor::Impl {
  std::shared_ptr<Storage> storage;
  Shape shape;
  Strides strides;
  int64_t offset = 0;
  int64_t numel = 0;
  DType dtype = DType::f32;
  bool contiguous = true;

  bool requires_grad = false;      // a leaf that gathers a gradient
  Tensor grad;                     // of a leaf: dense, its own
  std::vector<SparseRows> sparse;  // of a leaf: in order of arrival, not yet in grad
  std::shared_ptr<Node> node;      // the op that made this tensor

  std::shared_ptr<const std::function<Tensor()>> recompute;  // makes the same values; see recomputable()
  uint64_t recompute_version = 0;                            // of the storage that holds them

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();
};

/// Where the gradient of an op's input goes: a node, a leaf, or nowhere. It holds no array of a node's output, so that
/// only what an op saves stays in memory.
struct Edge {
  std::shared_ptr<Node> node;
  Tensor leaf;
  Shape shape;
  DType dtype = DType::f32;
  bool needed() const { return node != nullptr || leaf.defined(); }
  bool same_target(const Edge& other) const { return node ? node == other.node : leaf.same(other.leaf); }
};

/// One recorded op.
struct Node {
  const char* op = "";
  uint64_t number = 0;  // of creation: larger than that of every node it depends on
  uint64_t thread = 0;
  Shape shape;  // of the output
  DType dtype = DType::f32;
  std::vector<Edge> inputs;
  BackwardFn backward;
  Tensor grad;            // of the output, while backward runs
  bool borrowed = false;  // grad may share its storage with other gradients: copy before writing
  bool consumed = false;

  Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();
  /// Frees what the op saved and its edges.
  void consume();
};

/// Nodes alive in this process; a test holds it to zero after backward.
int64_t live_nodes();

/// Lets go of a node without recursion, however long the chain behind it is.
void release_node(std::shared_ptr<Node>&& node);

/// The inside of a handle, for the files of autodiff.
class Autodiff {
 public:
  static Tensor::Impl& impl(const Tensor& tensor) { return *tensor.impl_; }
  static bool exclusive(const Tensor& tensor);
};

}  // namespace gradus
