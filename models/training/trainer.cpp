#include "models/training/trainer.hpp"

#include <algorithm>
#include <bit>

#include "models/files/tensor_source.hpp"
#include "models/training/checkpoint.hpp"
#include "models/training/kept_rows.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tensor/machine.hpp"
#include "tensor/profile.hpp"

namespace gradus {
namespace {

constexpr std::string_view kPrefix = "val_";

// Members "val_loss", "val_bits_per_byte" …, as a run's state holds them.
void add_report(const HeldOutReport& report, Json& json) {
  const auto key = [](std::string_view name) { return std::string(kPrefix) + std::string(name); };
  json.set(key("loss"), report.loss);
  for (const Measure& measure : report.measures) json.set(key(measure.name), measure.value);
  json.set(key("tokens"), report.tokens).set(key("bytes"), report.bytes).set(key("unknown"), report.unknown);
}

HeldOutReport report_from(const Json& json) {
  HeldOutReport report;
  for (const auto& [key, value] : json.as_object()) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    if (name == "loss") {
      report.loss = value.as_number();
    } else if (name == "tokens") {
      report.tokens = value.as_integer();
    } else if (name == "bytes") {
      report.bytes = value.as_integer();
    } else if (name == "unknown") {
      report.unknown = value.as_integer();
    } else {
      report.measures.push_back({name, value.as_number()});
    }
  }
  return report;
}

}  // namespace

Trainer::Trainer(Transformer& model, const TrainingOptions& options,
                 std::unique_ptr<const Objective> objective)
    : model_(model),
      options_((options.validate(), options)),
      objective_(std::move(objective)),
      parameters_((model.set_requires_grad(true), model.parameters())),
      optimizer_(parameters_, {.beta1 = options.beta1,
                               .beta2 = options.beta2,
                               .weight_decay = options.weight_decay,
                               .optional = model.optional_parameters()}),
      schedule_(schedule_of(options)),
      kept_row_bytes_(kept_row_bytes(model.config())) {}

Trainer::Trainer(Transformer& model, const TrainingOptions& options, const Tokenizer& tokenizer,
                 const EncodedCorpus& text)
    : Trainer(model, options, make_objective({model.config(), options, tokenizer, text})) {}

void Trainer::set_share(int64_t index, int64_t count) {
  check(std::has_single_bit(static_cast<uint64_t>(count)) && count <= options_.grad_shards,
        "training: the trainers of a step must be a power of two, and no more than its "
        "TrainingOptions::grad_shards ",
        options_.grad_shards, "; they are ", count);
  check(index >= 0 && index < count, "training: a share must be in [0, ", count - 1, "]; it is ", index);
  share_ = index;
  shares_ = count;
}

TrainingBatch Trainer::batch(int64_t shard, int64_t number) const {
  const int64_t begin = number * options_.batch_size;
  const int64_t count = std::min(options_.batch_size, options_.sequences_per_shard() - begin);
  TrainingBatch batch = objective_->batch(step_, shard * options_.sequences_per_shard() + begin, count);
  Profile::mark("batch", "step");
  return batch;
}

double Trainer::accumulate_shard(int64_t shard, double divisor) {
  const int64_t batches = options_.batches_per_shard();
  const int64_t once =
      batches - batches_read_twice(model_.config(), options_, kept_row_bytes_) / options_.grad_shards;
  // Each batch's loss is divided by the whole step's divisor.
  double sum = 0;
  // Rows of tables are added as soon as nothing of the table's gradient comes before them, so that they do not pile up.
  const Tensor& tied = model_.token_embedding.weight;
  const auto add_rows = [&](bool with_tied) {
    for (const NamedTensor& parameter : parameters_) {
      if (with_tied || !parameter.tensor.same(tied)) parameter.tensor.grad();
    }
  };
  for (int64_t i = 0; i < once; ++i) {
    const TrainingBatch here = batch(shard, i);
    const Tensor loss =
        objective_->loss(model_, model_.forward(here.inputs, here.context), here, divisor, sum);
    loss.backward();
    add_rows(!model_.config().tie);
  }
  if (once == batches) return sum;
  for (int64_t i = once; i < batches; ++i) {
    const TrainingBatch here = batch(shard, i);
    Tensor hidden;
    {
      const NoGrad no_grad;
      hidden = model_.forward(here.inputs, here.context);
    }
    const Tensor loss = objective_->loss(model_, hidden, here, divisor, sum);
    loss.backward();
  }
  add_rows(true);
  Transformer rest = model_;  // handles, of which the output layer's asks for no gradient
  rest.token_embedding.weight = tied.detach();
  for (int64_t i = once; i < batches; ++i) {
    const TrainingBatch here = batch(shard, i);
    double counted_before = 0;
    const Tensor loss =
        objective_->loss(rest, model_.forward(here.inputs, here.context), here, divisor, counted_before);
    loss.backward();
    add_rows(true);
  }
  return sum;
}

double Trainer::accumulate_gradient() {
  const double divisor = objective_->divisor(step_);
  double sum = 0;
  if (options_.grad_shards == 1 && !reducer_) {
    sum = accumulate_shard(0, divisor);
  } else {
    GradientTree tree;
    const int64_t count = options_.grad_shards / shares_;
    for (int64_t shard = share_ * count; shard < (share_ + 1) * count; ++shard) {
      const double shard_sum = accumulate_shard(shard, divisor);
      tree.push(detail::take_gradient(parameters_, shard_sum));
    }
    Gradient gradient = tree.total();
    if (reducer_) gradient = reducer_(std::move(gradient));
    detail::give_gradient(parameters_, gradient);
    sum = gradient.loss_sum;
  }
  const double loss = sum / divisor;
  return model_.config().dtype == DType::f32 ? static_cast<double>(static_cast<float>(loss)) : loss;
}

StepEvent Trainer::train_step() {
  const double begin = now_seconds();
  Profile::skip();
  optimizer_.clear_gradients();
  const double loss = accumulate_gradient();

  StepEvent event;
  const double update_begin = now_seconds();
  event.grad_norm = global_norm(parameters_);
  if (!(event.grad_norm <= 1e300) || !(loss <= 1e300)) {
    check_finite(parameters_);  // names the parameter
    fail_world("training: the loss must be finite; it is ", loss, " at step ", step_ + 1,
               "; resume from the last checkpoint with a smaller TrainingOptions::learning_rate");
  }
  Profile::mark("gradient norm", "step");
  event.learning_rate = learning_rate(schedule_, step_);
  optimizer_.step(event.learning_rate, clip_factor(event.grad_norm, options_.grad_clip));
  Profile::mark("AdamW", "step");
  ++step_;

  last_loss_ = loss;
  last_rate_ = event.learning_rate;
  event.step = step_;
  event.loss = loss;
  event.measures = objective_->measures(loss);
  event.seconds = now_seconds() - begin;
  event.update_seconds = now_seconds() - update_begin;
  event.tokens_per_second =
      static_cast<double>(options_.sequences_per_step() * model_.config().block_size) / event.seconds;
  return event;
}

HeldOutReport Trainer::evaluate_held_out() const {
  check(objective_->has_held_out(),
        "training: some text must be held out; raise TrainingOptions::val_fraction");
  return objective_->evaluate(model_);
}

void Trainer::save(const std::string& folder, const Metadata& state_metadata) const {
  CheckpointFiles files;
  files.model = file_weights(model_);
  // What the Hugging Face library wants to find before it opens a file.
  files.model_metadata["format"] = "pt";
  files.state = optimizer_.state();
  files.state_metadata = state_metadata;
  files.state_metadata["options"] = options_to_json(options_).dump();
  files.state_metadata[kFusedKey] = has_fused_multiply_add() ? "yes" : "no";
  Json last = Json::object();
  last.set("loss", last_loss_).set("lr", last_rate_);
  if (last_evaluation_) add_report(*last_evaluation_, last);
  files.state_metadata["last"] = last.dump();
  write_checkpoint(folder, step_, std::move(files), options_.keep);
}

void Trainer::restore(const std::string& folder) {
  const int64_t step = recover_checkpoint(folder);
  read_weights(model_, *open_tensors(folder + "/" + kWeightsFile));
  const SafetensorsFile state = SafetensorsFile::open(folder + "/" + kStateFile);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : state.names()) tensors.push_back({name, state.tensor(name)});
  optimizer_.load_state(tensors, step);
  step_ = saved_step_ = step;
  const auto entry = state.metadata().find("last");
  check_world(entry != state.metadata().end(), state.path(),
              ": the metadata must say how training stood; 'last' is missing");
  const Json last = Json::parse(entry->second, state.path());
  last_loss_ = last.at("loss").as_number();
  if (const Json* rate = last.find("lr")) last_rate_ = rate->as_number();
  last_evaluation_.reset();
  if (last.find("val_loss")) last_evaluation_ = report_from(last);
}

bool Trainer::run(RunFolder& folder, TrainingObserver& observer, const std::atomic<bool>& cancel) {
  MetricsLog& metrics = folder.metrics();
  const auto checkpoint = [&] {
    if (saved_step_ == step_) return;
    metrics.sync();  // a checkpoint that survives a loss of power has the lines of its steps
    save(folder.path(), folder.state_metadata());
    saved_step_ = step_;
    observer.on_checkpoint({step_});
  };
  const auto due = [&](int64_t interval) { return interval > 0 && step_ % interval == 0; };
  const double begin = now_seconds();
  const int64_t first = step_;
  if (step_ == 0) checkpoint();
  while (step_ < options_.max_iters && !cancel.load()) {
    StepEvent event = train_step();
    const bool last = step_ == options_.max_iters;
    if (objective_->has_held_out() && options_.eval_interval > 0 && (due(options_.eval_interval) || last)) {
      event.held_out = last_evaluation_ = evaluate_held_out();
    }
    event.seconds_left = static_cast<double>(options_.max_iters - step_) * (now_seconds() - begin) /
                         static_cast<double>(step_ - first);
    metrics.append(event);
    observer.on_step(event);
    // What may fail comes after what it must not cost.
    if (due(options_.checkpoint_every) || last) checkpoint();
    if (due(options_.sample_every)) observer.on_sample(step_, model_);
  }
  if (cancel.load()) checkpoint();
  return step_ >= options_.max_iters;
}

}  // namespace gradus
