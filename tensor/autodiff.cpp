#include "tensor/autodiff.hpp"

#include <algorithm>
#include <atomic>
#include <span>
#include <utility>

#include "tensor/detail/tensor_impl.hpp"
#include "tensor/detail/visit_floating.hpp"
#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tensor/profile.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 16384;  // elements that one chunk adds

std::atomic<int64_t> live{0};
std::atomic<uint64_t> created{0};
thread_local bool recording_off = false;

uint64_t this_thread() {
  static std::atomic<uint64_t> threads{0};
  thread_local const uint64_t number = ++threads;
  return number;
}

/// The opposite of NoGrad, for checkpoint(), whose second run happens inside backward.
class Recording {
 public:
  Recording() : previous_(recording_off) { recording_off = false; }
  ~Recording() { recording_off = previous_; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  bool previous_;
};

template <class T>
void add_elements(T* y, const T* a, const T* b, int64_t count) {
  parallel_ranges(count, kGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
  });
}

/// y = a + b, all dense; y may be a.
void add_dense(const Tensor& y, const Tensor& a, const Tensor& b) {
  if (y.dtype() == DType::f64) {
    add_elements(y.mutable_data<double>(), a.data<double>(), b.data<double>(), y.numel());
  } else {
    add_elements(y.mutable_data<float>(), a.data<float>(), b.data<float>(), y.numel());
  }
}

template <class T>
void add_sparse_as(T* table, int64_t row_size, const std::vector<const T*>& sources,
                   const std::vector<int64_t>& starts) {
  // starts[id] … starts[id + 1] are the rows of one id, in order of arrival; an id's row belongs to one chunk.
  const auto ids = static_cast<int64_t>(starts.size()) - 1;
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, row_size));
  parallel_ranges(ids, grain, [&](int64_t begin, int64_t end) {
    for (int64_t id = begin; id < end; ++id) {
      T* y = table + id * row_size;
      for (auto r = starts[static_cast<std::size_t>(id)]; r < starts[static_cast<std::size_t>(id) + 1]; ++r) {
        const T* x = sources[static_cast<std::size_t>(r)];
        for (int64_t c = 0; c < row_size; ++c) y[c] += x[c];
      }
    }
  });
}

/// Adds rows to the dense gradient of a table: each id's rows one after another in order of arrival.
template <class T>
void add_sparse(const Tensor& dense, std::span<const SparseRows> pending) {
  T* table = dense.mutable_data<T>();
  if (table == nullptr || dense.numel() == 0 || DryRunMemory::active()) return;
  const int64_t ids = dense.shape()[0];
  const int64_t row_size = dense.numel() / ids;
  // A counting sort by id: it is stable.
  std::vector<int64_t> starts(static_cast<std::size_t>(ids) + 1, 0);
  for (const SparseRows& part : pending) {
    const auto* id = part.ids.data<int32_t>();
    for (int64_t n = 0; n < part.ids.numel(); ++n) {
      check(id[n] >= 0 && id[n] < ids, "backward: ids of rows must be in [0, ", ids, "); id ", id[n],
            "; check the ids that were looked up");
      ++starts[static_cast<std::size_t>(id[n]) + 1];
    }
  }
  for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
  std::vector<const T*> sources(static_cast<std::size_t>(starts.back()));
  std::vector<int64_t> next(starts.begin(), starts.end() - 1);
  for (const SparseRows& part : pending) {
    const auto* id = part.ids.data<int32_t>();
    const T* rows = part.rows.data<T>();
    for (int64_t n = 0; n < part.ids.numel(); ++n) {
      sources[static_cast<std::size_t>(next[static_cast<std::size_t>(id[n])]++)] = rows + n * row_size;
    }
  }
  add_sparse_as(table, row_size, sources, starts);
}

void merge_sparse(const Tensor& dense, std::span<const SparseRows> pending) {
  visit_floating(dense.dtype(), "backward", [&]<class T>() { add_sparse<T>(dense, pending); });
}

void check_not_freed(const Node& node) {
  check(!node.consumed, "backward: one forward allows one backward; the way back goes through the result of ",
        node.op, ", but its graph was freed by an earlier backward; run the forward again");
}

/// One call of backward(): the nodes that have a gradient and wait, the youngest on top.
class Run {
 public:
  /// Nodes numbered up to `floor` belong to the run that this one is nested in.
  explicit Run(uint64_t floor) : floor_(floor), outer_(current) { current = this; }
  ~Run() {
    for (const auto& node : heap_) node->grad = Tensor();  // only after an error
    current = outer_;
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void push(const std::shared_ptr<Node>& node) {
    if (outer_ != nullptr && node->number <= floor_) return outer_->push(node);
    heap_.push_back(node);
    std::push_heap(heap_.begin(), heap_.end(), older);
  }

  void run();

 private:
  static bool older(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) {
    return a->number < b->number;
  }
  static thread_local Run* current;

  std::vector<std::shared_ptr<Node>> heap_;
  uint64_t floor_;
  Run* outer_;
};

thread_local Run* Run::current = nullptr;

/// What the backward of one node works on.
class Context final : public Backward {
 public:
  Context(Run& run, const Node& node, const std::vector<Edge>& edges, Tensor dy)
      : run_(run), op_(node.op), edges_(edges) {
    dy_ = std::move(dy);
  }

  bool needs(int i) const override { return edge(i).needed(); }

  void add(int i, const Tensor& dx) override {
    if (!edge(i).needed()) return;
    check_gradient(i, dx);
    const bool shared = dx.storage() == dy_.storage();
    if (!dx.is_contiguous()) {
      deposit(edge(i), dx.clone(), true, false);
    } else {
      // Whether to keep it is decided before this function makes handles of its own.
      const bool own = !shared && Autodiff::exclusive(dx);
      deposit(edge(i), dx, own, shared);
    }
  }

  Tensor into(int i, bool& fresh) override {
    const Edge& target = edge(i);
    check(target.needed(), op_, ": into() is for inputs that need a gradient; input ", i,
          " needs none; ask needs() first");
    if (aliased(i)) {
      // Two inputs are one tensor: buffers of their own, added when the op is through, keep the kernels apart.
      const auto found =
          std::find_if(apart_.begin(), apart_.end(), [i](const auto& part) { return part.first == i; });
      fresh = found == apart_.end();
      if (!fresh) return found->second;
      apart_.emplace_back(i, Tensor::empty(target.shape, target.dtype));
      return apart_.back().second;
    }
    Tensor& grad = gradient(target);
    fresh = !grad.defined();
    if (fresh) {
      reach(target);
      grad = Tensor::empty(target.shape, target.dtype);
    } else {
      own(target);
    }
    return grad;
  }

  void add_rows(int i, const Tensor& ids, const Tensor& rows) override {
    const Edge& target = edge(i);
    if (!target.needed()) return;
    const int64_t count = ids.numel();
    const int64_t table = target.shape.rank() > 0 ? target.shape[0] : 0;
    check(table >= 0 && target.shape.rank() > 0 && ids.dtype() == DType::i32 &&
              rows.dtype() == target.dtype &&
              (table == 0 ? count == 0 : rows.numel() == count * (target.shape.numel() / table)),
          op_, ": add_rows() takes one row for each id; table ", target.shape, ", ids ", ids.shape(), " of ",
          dtype_name(ids.dtype()), ", rows ", rows.shape(), " of ", dtype_name(rows.dtype()),
          "; a bug in the op");
    const bool own_rows =
        rows.is_contiguous() && (rows.storage() == dy_.storage() || Autodiff::exclusive(rows));
    // The ids are the caller's, who may fill the same array with the next batch.
    SparseRows part{ids.clone(), own_rows ? rows : rows.clone()};
    if (target.leaf.defined()) {
      Autodiff::impl(target.leaf).sparse.push_back(std::move(part));
      return;
    }
    Tensor& grad = target.node->grad;
    if (!grad.defined()) {
      reach(target);
      grad = Tensor::zeros(target.shape, target.dtype);
    } else {
      own(target);
    }
    merge_sparse(grad, {&part, 1});
  }

  /// The buffer with what input i has gathered so far, to add to in place; empty where there is none of its own.
  Tensor running(int i) const {
    const Edge& target = edge(i);
    if (aliased(i) || !gradient(target).defined()) return Tensor();
    own(target);
    return gradient(target);
  }

  /// Adds what was kept apart.
  void finish() {
    for (auto& [i, part] : apart_) {
      const Tensor dx = std::move(part);
      deposit(edge(i), dx, true, false);
    }
    apart_.clear();
  }

 private:
  const Edge& edge(int i) const {
    check(i >= 0 && i < static_cast<int>(edges_.size()), op_, ": backward must name an input in [0, ",
          edges_.size(), "); input ", i, "; a bug in the op");
    return edges_[static_cast<std::size_t>(i)];
  }

  bool aliased(int i) const {
    for (int j = 0; j < static_cast<int>(edges_.size()); ++j) {
      if (j != i && edge(j).needed() && edge(j).same_target(edge(i))) return true;
    }
    return false;
  }

  void check_gradient(int i, const Tensor& dx) const {
    check(dx.shape() == edge(i).shape && dx.dtype() == edge(i).dtype, op_,
          ": a gradient must have its input's shape and type; input ", i, " is ", edge(i).shape, " of ",
          dtype_name(edge(i).dtype), ", the gradient ", dx.shape(), " of ", dtype_name(dx.dtype()),
          "; a bug in the op");
  }

  static Tensor& gradient(const Edge& target) {
    return target.node ? target.node->grad : Autodiff::impl(target.leaf).grad;
  }

  /// Before the first gradient of a target.
  void reach(const Edge& target) {
    if (!target.node) return;
    check_not_freed(*target.node);
    run_.push(target.node);
  }

  /// Makes a gradient that may share its storage with others the target's own, before it is written.
  static void own(const Edge& target) {
    if (!target.node || !target.node->borrowed) return;
    if (!Autodiff::exclusive(target.node->grad)) target.node->grad = target.node->grad.clone();
    target.node->borrowed = false;
  }

  /// Adds a dense dx. `owned`: nobody else will use it. `shared`: it shares its storage with dy.
  void deposit(const Edge& target, const Tensor& dx, bool owned, bool shared) {
    Tensor& grad = gradient(target);
    if (!grad.defined()) {
      reach(target);
      if (owned || (shared && target.node)) {
        grad = dx.requires_grad() ? dx.detach() : dx;
        if (target.node) target.node->borrowed = !owned;
      } else {
        grad = dx.clone();
      }
      return;
    }
    if (target.node && target.node->borrowed && !Autodiff::exclusive(grad)) {
      const Tensor sum = Tensor::empty(target.shape, target.dtype);
      add_dense(sum, grad, dx);
      grad = sum;
    } else {
      add_dense(grad, grad, dx);
    }
    if (target.node) target.node->borrowed = false;
  }

  Run& run_;
  const char* op_;
  const std::vector<Edge>& edges_;
  std::vector<std::pair<int, Tensor>> apart_;
};

void Run::run() {
  const NoGrad no_grad;
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), older);
    const std::shared_ptr<Node> node = std::move(heap_.back());
    heap_.pop_back();
    // All that the node holds moves here, so that it is freed at the end of this round, error or not.
    struct Taken {
      std::vector<Edge> edges;
      BackwardFn backward;
      ~Taken() {
        backward = nullptr;
        for (Edge& edge : edges) release_node(std::move(edge.node));
      }
    } taken{std::move(node->inputs), std::move(node->backward)};
    Context context(*this, *node, taken.edges, std::move(node->grad));
    node->consume();
    taken.backward(context);
    context.finish();
    if (Profile::active()) Profile::mark(node->op, "backward", node->shape);
  }
}

/// Runs everything behind `root` with the gradient `upstream`, which is dense and `root`'s alone unless `borrowed`.
void run_backward(const Tensor& root, const Tensor& upstream, bool borrowed, uint64_t floor) {
  const std::shared_ptr<Node>& node = root.node();
  if (!node) {
    const Tensor& grad = Autodiff::impl(root).grad;
    if (grad.defined()) {
      add_dense(grad, grad, upstream);
    } else {
      Autodiff::impl(root).grad = borrowed ? upstream.clone() : upstream;
    }
    return;
  }
  check_not_freed(*node);
  check(node->thread == this_thread(),
        "backward: a graph belongs to the thread that recorded it; the result of ", node->op,
        " was recorded on another thread; call backward there");
  Run run(floor);
  node->grad = upstream;
  node->borrowed = borrowed;
  run.push(node);
  run.run();
}

}  // namespace

Node::Node() { live.fetch_add(1, std::memory_order_relaxed); }

Node::~Node() {
  if (!consumed) consume();
}

void Node::consume() {
  consumed = true;
  live.fetch_sub(1, std::memory_order_relaxed);
  // What was saved goes first: its tensors may name the same nodes as the edges, which then are freed one by one.
  backward = nullptr;
  for (Edge& edge : inputs) release_node(std::move(edge.node));
  inputs.clear();
  grad = Tensor();
}

void release_node(std::shared_ptr<Node>&& node) {
  // The nodes whose last owner has gone, while a first call further up this thread's stack frees them one by one.
  thread_local std::vector<std::shared_ptr<Node>>* waiting = nullptr;
  std::shared_ptr<Node> mine = std::move(node);
  if (mine.use_count() != 1) return;
  if (waiting != nullptr) {
    waiting->push_back(std::move(mine));
    return;
  }
  std::vector<std::shared_ptr<Node>> list;
  list.push_back(std::move(mine));
  waiting = &list;
  while (!list.empty()) {
    std::shared_ptr<Node> next = std::move(list.back());
    list.pop_back();
    next.reset();
  }
  waiting = nullptr;
}

bool will_record(std::initializer_list<const Tensor*> inputs) {
  if (recording_off) return false;
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const Tensor* input) { return input && input->defined() && input->requires_grad(); });
}

Tensor record(const char* op, Tensor output, std::vector<Tensor> inputs, BackwardFn backward) {
  check(backward != nullptr, op, ": record() needs a backward; none was given; write one or use no_grad()");
  // An op may return its input itself, or a view that shares its handle; the result has a history of its own.
  if (output.requires_grad()) output = output.detach();
  const bool needed = !recording_off && std::any_of(inputs.begin(), inputs.end(), [](const Tensor& input) {
    return input.defined() && input.requires_grad();
  });
  if (!needed) return output;
  check(is_floating(output.dtype()), op, ": a result with a gradient must be f32 or f64; it is ",
        dtype_name(output.dtype()), "; use no_grad()");
  auto node = std::make_shared<Node>();
  node->op = op;
  node->number = ++created;
  node->thread = this_thread();
  node->shape = output.shape();
  node->dtype = output.dtype();
  node->inputs.reserve(inputs.size());
  for (const Tensor& input : inputs) {
    Edge edge;
    if (input.defined()) {
      edge.shape = input.shape();
      edge.dtype = input.dtype();
      if (input.node()) {
        check(input.node()->thread == node->thread, op,
              ": a graph belongs to one thread; an input was recorded on ",
              "another thread; use detach(), or run both on one thread");
        edge.node = input.node();
      } else if (input.requires_grad()) {
        edge.leaf = input;
      }
    }
    node->inputs.push_back(std::move(edge));
  }
  node->backward = std::move(backward);
  Autodiff::impl(output).node = std::move(node);
  if (Profile::active()) Profile::mark(op, "forward", output.shape());
  return output;
}

Tensor no_grad(const char* op, Tensor output) {
  check(output.defined(), op, ": the result must be defined; it is empty; a bug in the op");
  if (Profile::active() && !recording_off) Profile::mark(op, "forward", output.shape());
  return output.requires_grad() ? output.detach() : output;
}

Saved::Saved(const char* op, const Tensor& tensor) : op_(op) {
  if (!tensor.defined()) return;
  const auto& impl = Autodiff::impl(tensor);
  if (impl.recompute != nullptr && impl.storage->version() == impl.recompute_version) {
    recompute_ = impl.recompute;
    return;
  }
  // Without history: an op that saves its own result would otherwise own itself.
  tensor_ = tensor.detach();
  version_ = tensor_.storage()->version();
}

Tensor Saved::get() const {
  if (recompute_ != nullptr) return (*recompute_)();
  check(
      !tensor_.defined() || tensor_.storage()->version() == version_, op_,
      ": a tensor saved for backward was written after the op ran; clone it before writing, or write later");
  return tensor_;
}

Tensor Saved::take() const {
  Tensor tensor = get();
  tensor_ = Tensor();
  return tensor;
}

bool last_owner(const Tensor& tensor) { return Autodiff::exclusive(tensor); }

Tensor recomputable(Tensor output, std::function<Tensor()> recompute) {
  if (!output.requires_grad() || output.nbytes() < kRecomputeBytes || !output.is_contiguous()) return output;
  auto& impl = Autodiff::impl(output);
  impl.recompute = std::make_shared<const std::function<Tensor()>>(std::move(recompute));
  impl.recompute_version = impl.storage->version();
  return output;
}

NoGrad::NoGrad() : previous_(recording_off) { recording_off = true; }
NoGrad::~NoGrad() { recording_off = previous_; }
bool NoGrad::active() { return recording_off; }

Tensor checkpoint(const std::function<Tensor(const std::vector<Tensor>&)>& body,
                  const std::vector<Tensor>& inputs, const std::vector<Tensor>& parameters) {
  check(body != nullptr, "checkpoint: body must be a function; it is empty; pass one");
  std::vector<Tensor> all = inputs;
  all.insert(all.end(), parameters.begin(), parameters.end());
  const bool needed = !recording_off && std::any_of(all.begin(), all.end(), [](const Tensor& tensor) {
    return tensor.defined() && tensor.requires_grad();
  });
  if (!needed) return body(inputs);
  std::vector<Saved> saved;
  for (const Tensor& input : inputs) saved.emplace_back("checkpoint", input);
  Tensor y;
  {
    const NoGrad no_grad;
    y = body(inputs);
  }
  return record("checkpoint", y, std::move(all), [body, saved = std::move(saved)](Backward& g) {
    std::vector<Tensor> leaves;
    std::vector<bool> continued(saved.size(), false);
    for (std::size_t i = 0; i < saved.size(); ++i) {
      leaves.push_back(saved[i].get());
      if (!leaves[i].defined()) continue;
      leaves[i] = leaves[i].detach();
      if (!g.needs(static_cast<int>(i))) continue;
      leaves[i].set_requires_grad();
      // The second run continues the sum of the gradients that have arrived: the bits are those of a plain run.
      Autodiff::impl(leaves[i]).grad = static_cast<const Context&>(g).running(static_cast<int>(i));
      continued[i] = Autodiff::impl(leaves[i]).grad.defined();
    }
    const uint64_t floor = created.load();
    Tensor inner;
    {
      const Recording recording;
      inner = body(leaves);
    }
    if (inner.requires_grad()) run_backward(inner, g.dy(), true, floor);
    inner = Tensor();
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      if (!leaves[i].defined() || !g.needs(static_cast<int>(i))) continue;
      const Tensor dx = leaves[i].grad();
      leaves[i].clear_grad();  // so that dx has one owner and moves on without a copy
      if (dx.defined() && !continued[i]) g.add(static_cast<int>(i), dx);
    }
  });
}

int64_t live_nodes() { return live.load(); }

// The part of Tensor that belongs to autodiff.

bool Tensor::requires_grad() const {
  const Impl& self = impl("requires_grad");
  return self.requires_grad || self.node != nullptr;
}

Tensor& Tensor::set_requires_grad(bool on) {
  const Impl& self = impl("set_requires_grad");
  check(!self.node, "set_requires_grad: the tensor must be a leaf; it is the result of ",
        self.node ? self.node->op : "", "; use detach() first");
  check(!on || is_floating(self.dtype), "set_requires_grad: element type must be f32 or f64; it is ",
        dtype_name(self.dtype), "; use cast()");
  impl_->requires_grad = on;
  return *this;
}

Tensor Tensor::grad() const {
  const Impl& self = impl("grad");
  check(!self.node, "grad: only leaves keep a gradient; this tensor is the result of ",
        self.node ? self.node->op : "", "; ask a parameter");
  if (!self.sparse.empty()) {
    if (!self.grad.defined()) impl_->grad = zeros(self.shape, self.dtype);
    const std::vector<SparseRows> pending = std::move(impl_->sparse);
    impl_->sparse.clear();
    merge_sparse(self.grad, pending);
  }
  return self.grad;
}

void Tensor::set_grad(const Tensor& gradient) const {
  const Impl& self = impl("set_grad");
  if (!gradient.defined()) return clear_grad();
  check(!self.node && is_floating(self.dtype),
        "set_grad: only leaves of f32 or f64 keep a gradient; this is ",
        self.node ? self.node->op : dtype_name(self.dtype), "; set it on a parameter");
  check(gradient.shape() == self.shape && gradient.dtype() == self.dtype,
        "set_grad: the gradient must have the tensor's shape and type; the tensor is ", self.shape, " of ",
        dtype_name(self.dtype), ", the gradient ", gradient.shape(), " of ", dtype_name(gradient.dtype()),
        "; reshape or cast it");
  impl_->sparse.clear();
  impl_->grad = gradient.storage()->read_only() ? gradient.clone() : gradient.to_contiguous();
}

void Tensor::clear_grad() const {
  impl("clear_grad");
  impl_->grad = Tensor();
  impl_->sparse.clear();
}

void Tensor::backward() const {
  const Impl& self = impl("backward");
  check(self.numel == 1, "backward: without an upstream gradient the tensor must have one element; shape ",
        self.shape, "; reduce it, or give backward() an upstream gradient");
  check(requires_grad(),
        "backward: the tensor must depend on a parameter with requires_grad; this one has no graph; ",
        "call set_requires_grad() on the parameters before the forward, outside NoGrad");
  run_backward(*this, full(self.shape, 1.0, self.dtype), false, 0);
}

void Tensor::backward(const Tensor& upstream) const {
  const Impl& self = impl("backward");
  check(requires_grad(),
        "backward: the tensor must depend on a parameter with requires_grad; this one has no graph; ",
        "call set_requires_grad() on the parameters before the forward, outside NoGrad");
  check(upstream.shape() == self.shape && upstream.dtype() == self.dtype,
        "backward: the upstream gradient must have the tensor's shape and type; the tensor is ", self.shape,
        " of ", dtype_name(self.dtype), ", the upstream ", upstream.shape(), " of ",
        dtype_name(upstream.dtype()), "; reshape or cast it");
  check(!upstream.requires_grad(),
        "backward: gradients of gradients are not computed; the upstream requires a gradient; use detach()");
  run_backward(*this, upstream.clone(), false, 0);
}

}  // namespace gradus
