#include "nn/optim.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "tensor/detail/visit_floating.hpp"
#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

constexpr int64_t kBlock = 16384;  // elements of one chunk: part of the definition of global_norm()

/// Σ g² of one dense gradient.
template <class T>
double sum_of_squares(const Tensor& gradient) {
  const T* g = gradient.data<T>();
  const int64_t n = gradient.numel();
  std::vector<double> partial(static_cast<std::size_t>((n + kBlock - 1) / kBlock), 0.0);
  parallel_ranges(n, kBlock, [&](int64_t begin, int64_t end) {
    partial[static_cast<std::size_t>(begin / kBlock)] =
        static_cast<double>(kernels::table<T>().squares({.x = g + begin, .n = end - begin}));
  });
  double sum = 0;
  for (const double value : partial) sum += value;
  return sum;
}

/// β^t, where math::pow wants β > 0.
double power(double beta, int64_t t) { return beta == 0 ? 0.0 : math::pow(beta, static_cast<double>(t)); }

/// What the updates of one parameter share.
template <class T>
kernels::AdamWArgs<T> update_args(const NamedTensor& parameter, const Tensor& gradient, const Tensor& m,
                                  const Tensor& v) {
  kernels::AdamWArgs<T> args{};
  args.x = parameter.tensor.mutable_data<T>();
  args.grad = gradient.data<T>();
  args.m = m.mutable_data<T>();
  args.v = v.mutable_data<T>();
  return args;
}

}  // namespace

double global_norm(const std::vector<NamedTensor>& parameters) {
  double sum = 0;
  for (const NamedTensor& parameter : parameters) {
    const Tensor gradient = parameter.tensor.grad();
    if (!gradient) continue;
    visit_floating(gradient.dtype(), "global_norm", [&]<class T>() { sum += sum_of_squares<T>(gradient); });
  }
  const double norm = math::sqrt(sum);
  if (!std::isfinite(norm)) {
    check_finite(parameters);
    fail_world("gradients: their norm must be finite; every element is, but the squares overflow; ",
               "use a lower learning rate, or look at what this step was given");
  }
  return norm;
}

void check_finite(const std::vector<NamedTensor>& parameters) {
  if (DryRunMemory::active()) return;  // nothing to read
  for (const NamedTensor& parameter : parameters) {
    const Tensor gradient = parameter.tensor.grad();
    if (!gradient) continue;
    const bool wide = gradient.dtype() == DType::f64;
    const int64_t at = first_non_finite(gradient);
    if (at < 0) continue;
    const double value = wide ? gradient.data<double>()[at] : static_cast<double>(gradient.data<float>()[at]);
    fail_world("gradients: every element must be finite; ", parameter.name, " ", gradient.shape(), " has ",
               value, " at element ", at, "; use a lower learning rate, or look at what this step was given");
  }
}

double clip_factor(double norm, double limit) {
  check(limit >= 0 && norm >= 0, "clip_factor: norm and limit must not be negative; norm ", norm, ", limit ",
        limit, "; a limit of 0 switches clipping off");
  return limit > 0 && norm > limit ? limit / norm : 1.0;
}

AdamW::AdamW(std::vector<NamedTensor> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  check(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1,
        "AdamW: beta1 and beta2 must be in [0, 1); they are ", options.beta1, " and ", options.beta2,
        "; 0.9 and 0.95 are usual");
  check(options.epsilon > 0 && options.weight_decay >= 0,
        "AdamW: epsilon must be positive and weight_decay not negative; they are ", options.epsilon, " and ",
        options.weight_decay, "; 1e-8 and 0.1 are usual");
  std::set<std::string> names;
  std::set<const Storage*> storages;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, tensor] = parameters_[i];
    check(tensor.defined() && is_floating(tensor.dtype()) && tensor.is_contiguous(),
          "AdamW: parameters must be dense tensors of f32 or f64; ", name,
          " is not; pass the parameter itself, not a view");
    check(names.insert(name).second, "AdamW: names of parameters must differ; ", name,
          " stands twice; name them by path");
    check(DryRunMemory::active() || storages.insert(tensor.storage().get()).second,
          "AdamW: parameters must not share memory; ", name,
          " shares that of an earlier one; list a tied weight once");
    m_.push_back(Tensor::zeros(tensor.shape(), tensor.dtype()));
    v_.push_back(Tensor::zeros(tensor.shape(), tensor.dtype()));
    for (int64_t begin = 0; begin < tensor.numel(); begin += kBlock) {
      blocks_.push_back({i, begin, std::min(kBlock, tensor.numel() - begin)});
    }
  }
  for (const std::string& name : options_.optional) {
    check(names.contains(name), "AdamW: optional must name parameters; ", name, " is none of them");
  }
}

void AdamW::step(double learning_rate, double clip_factor) {
  check(std::isfinite(learning_rate) && learning_rate >= 0 && std::isfinite(clip_factor),
        "AdamW: learning rate and clip factor must be finite, the rate not negative; they are ",
        learning_rate, " and ", clip_factor, "; check the schedule and the norm of the gradients");
  std::vector<Tensor> gradients;
  for (const NamedTensor& parameter : parameters_) {
    gradients.push_back(parameter.tensor.grad());
    const auto& optional = options_.optional;
    check(gradients.back().defined() ||
              std::find(optional.begin(), optional.end(), parameter.name) != optional.end(),
          "AdamW: every parameter must have a gradient; ", parameter.name,
          " has none; call backward() first, or leave out parameters that the loss does not depend on");
  }
  ++steps_;
  // Pointers are taken once, for taking one for writing counts as a write.
  struct Update {
    kernels::AdamWArgs<float> narrow{};
    kernels::AdamWArgs<double> wide{};
    bool is_there = false;
    bool is_wide = false;
    bool decays = false;
  };
  std::vector<Update> updates(parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    updates[i].is_there = gradients[i].defined();
    if (!updates[i].is_there) continue;
    updates[i].is_wide = parameters_[i].tensor.dtype() == DType::f64;
    updates[i].decays = parameters_[i].tensor.rank() >= 2;
    if (updates[i].is_wide) {
      updates[i].wide = update_args<double>(parameters_[i], gradients[i], m_[i], v_[i]);
    } else {
      updates[i].narrow = update_args<float>(parameters_[i], gradients[i], m_[i], v_[i]);
    }
  }
  const double decay_factor = 1.0 - learning_rate * options_.weight_decay;
  const double step_size = learning_rate / (1.0 - power(options_.beta1, steps_));
  const double v_scale = 1.0 / math::sqrt(1.0 - power(options_.beta2, steps_));
  parallel_for(static_cast<int64_t>(blocks_.size()), [&](int64_t chunk) {
    const Block& block = blocks_[static_cast<std::size_t>(chunk)];
    const Update& update = updates[block.parameter];
    if (!update.is_there) return;
    const auto run = [&]<class T>(kernels::AdamWArgs<T> args) {
      args.x += block.begin;
      args.grad += block.begin;
      args.m += block.begin;
      args.v += block.begin;
      args.n = block.count;
      args.clip = static_cast<T>(clip_factor);
      args.one_minus_beta1 = static_cast<T>(1.0 - options_.beta1);
      args.one_minus_beta2 = static_cast<T>(1.0 - options_.beta2);
      args.decay_factor = static_cast<T>(update.decays ? decay_factor : 1.0);
      args.step_size = static_cast<T>(step_size);
      args.v_scale = static_cast<T>(v_scale);
      args.epsilon = static_cast<T>(options_.epsilon);
      kernels::table<T>().adamw(args);
    };
    if (update.is_wide) {
      run(update.wide);
    } else {
      run(update.narrow);
    }
  });
}

void AdamW::clear_gradients() const {
  for (const NamedTensor& parameter : parameters_) parameter.tensor.clear_grad();
}

std::vector<NamedTensor> AdamW::state() const {
  std::vector<NamedTensor> result;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    result.push_back({"m." + parameters_[i].name, m_[i]});
    result.push_back({"v." + parameters_[i].name, v_[i]});
  }
  return result;
}

void AdamW::load_state(const std::vector<NamedTensor>& state, int64_t steps) {
  check(steps >= 0, "AdamW: steps must not be negative; they are ", steps,
        "; give the number saved with the state");
  std::map<std::string, Tensor> given;
  for (const auto& [name, tensor] : state) {
    check(given.emplace(name, tensor).second, "AdamW: names in the state must differ; ", name,
          " stands twice; ", "load the state of one run");
  }
  // Everything is checked before anything is written.
  const std::vector<NamedTensor> own = this->state();
  for (const auto& [name, tensor] : own) {
    const auto found = given.find(name);
    check(found != given.end() && found->second.defined(),
          "AdamW: the state must hold the moments of every parameter; ", name,
          " is missing; load the state of the same model");
    check(found->second.shape() == tensor.shape() && found->second.dtype() == tensor.dtype(),
          "AdamW: a moment must have its parameter's shape and type; ", name, " is ",
          dtype_name(found->second.dtype()), " ", found->second.shape(), ", not ", dtype_name(tensor.dtype()),
          " ", tensor.shape(), "; load the state of the same model");
  }
  if (given.size() != own.size()) {
    for (const auto& [name, tensor] : own) given.erase(name);
    fail("AdamW: the state must hold moments of this model's parameters only; ", given.begin()->first,
         " belongs to none; load the state of the same model");
  }
  for (const auto& [name, tensor] : own) tensor.copy_from(given.at(name));
  steps_ = steps;
}

}  // namespace gradus
