#include "models/training/trainer.hpp"

#include <chrono>

#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/profile.hpp"

namespace gradus {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr double kLn2 = 0.693147180559945309417;

/// wsd decays over the last 40 % of the steps.   ref: Hu et al., MiniCPM (2024), which finds 10 % and more to suffice
int64_t decay_steps(const TrainingOptions& options) { return options.max_iters * 2 / 5; }

}  // namespace

Trainer::Trainer(Transformer& model, const TrainingOptions& options, const Tokenizer& tokenizer,
                 std::span<const int32_t> training_ids, double bytes_per_token,
                 std::span<const int32_t> held_out_ids)
    : model_(model),
      options_((options.validate(), options)),
      tokenizer_(tokenizer),
      held_out_(held_out_ids),
      bytes_per_token_(bytes_per_token),
      batches_(training_ids, model.config().block_size, options.seed),
      parameters_((model.set_requires_grad(true), model.parameters())),
      optimizer_(parameters_,
                 {.beta1 = options.beta1, .beta2 = options.beta2, .weight_decay = options.weight_decay}),
      schedule_{schedule_kind(options.schedule),
                options.learning_rate,
                options.min_lr,
                options.warmup,
                options.max_iters,
                decay_steps(options)} {}

StepEvent Trainer::train_step() {
  const double begin = now_seconds();
  Profile::skip();
  const int64_t block = model_.config().block_size;
  const int64_t sequences = options_.sequences_per_step();
  const double divisor = static_cast<double>(sequences * block);
  optimizer_.clear_gradients();
  // Each batch's loss is already divided by the whole step's tokens: the sum over batches is the step's mean.
  double loss = 0;
  for (int64_t part = 0; part < options_.grad_accum; ++part) {
    const int64_t first = part * options_.batch_size;
    const Batches::Batch batch = batches_.sequences(step_ * sequences + first, options_.batch_size);
    const Context context =
        Context::for_training(options_.batch_size, block, options_.seed, static_cast<uint64_t>(step_),
                              static_cast<uint64_t>(sequences), static_cast<uint64_t>(first));
    Profile::mark("batch", "step");
    const Tensor mean = model_.loss(batch.inputs, batch.targets, context, divisor);
    loss += mean.item();
    mean.backward();
  }
  if (reducer_) reducer_(parameters_);

  StepEvent event;
  const double update_begin = now_seconds();
  event.grad_norm = global_norm(parameters_);
  if (!(event.grad_norm <= 1e300) || !(loss <= 1e300)) {
    check_finite(parameters_);  // names the parameter
    fail_world("train: the loss must be finite; it is ", loss, " at step ", step_ + 1,
               "; resume from the last checkpoint with a smaller --learning-rate");
  }
  Profile::mark("gradient norm", "step");
  event.learning_rate = learning_rate(schedule_, step_);
  optimizer_.step(event.learning_rate, clip_factor(event.grad_norm, options_.grad_clip));
  Profile::mark("AdamW", "step");
  ++step_;

  last_loss_ = loss;
  event.step = step_;
  event.loss = loss;
  event.bits_per_byte = loss / kLn2 / bytes_per_token_;
  event.seconds = now_seconds() - begin;
  event.update_seconds = now_seconds() - update_begin;
  event.tokens_per_second = divisor / event.seconds;
  return event;
}

Evaluation Trainer::evaluate_held_out() const {
  check(has_held_out(), "eval: some text must be held out; raise --val-fraction");
  return evaluate(model_, tokenizer_, held_out_);
}

void Trainer::save(const std::string& folder, const Metadata& state_metadata) const {
  CheckpointFiles files;
  files.model = file_weights(model_);
  // What the Hugging Face library wants to find before it opens a file.
  files.model_metadata["format"] = "pt";
  files.state = optimizer_.state();
  files.state_metadata = state_metadata;
  files.state_metadata["options"] = options_to_json(options_).dump();
  Json last = Json::object();
  last.set("loss", last_loss_);
  if (last_evaluation_) {
    last.set("val_loss", last_evaluation_->loss).set("val_bits_per_byte", last_evaluation_->bits_per_byte);
    last.set("val_tokens", last_evaluation_->tokens).set("val_bytes", last_evaluation_->bytes);
  }
  files.state_metadata["last"] = last.dump();
  write_checkpoint(folder, step_, std::move(files), options_.keep);
}

void Trainer::restore(const std::string& folder) {
  const int64_t step = recover_checkpoint(folder);
  read_weights(model_, SafetensorsFile::open(folder + "/" + kWeightsFile));
  const SafetensorsFile state = SafetensorsFile::open(folder + "/" + kStateFile);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : state.names()) tensors.push_back({name, state.tensor(name)});
  optimizer_.load_state(tensors, step);
  step_ = step;
  const auto entry = state.metadata().find("last");
  check_world(entry != state.metadata().end(), state.path(),
              ": the metadata must say how training stood; 'last' is missing");
  const Json last = Json::parse(entry->second, state.path());
  last_loss_ = last.at("loss").as_number();
  last_evaluation_.reset();
  if (last.find("val_loss")) {
    last_evaluation_ = Evaluation{last.at("val_loss").as_number(), math::exp(last.at("val_loss").as_number()),
                                  last.at("val_bits_per_byte").as_number(),
                                  last.at("val_tokens").as_integer(), last.at("val_bytes").as_integer()};
  }
}

bool Trainer::run(const std::string& folder, const Metadata& state_metadata, TrainingObserver& observer,
                  const std::atomic<bool>& cancel) {
  int64_t saved = -1;
  const auto checkpoint = [&] {
    if (saved == step_) return;
    observer.before_checkpoint();
    save(folder, state_metadata);
    saved = step_;
    observer.on_checkpoint({step_});
  };
  const auto due = [&](int64_t interval) { return interval > 0 && step_ % interval == 0; };
  if (step_ == 0) checkpoint();
  while (step_ < options_.max_iters && !cancel.load()) {
    StepEvent event = train_step();
    const bool last = step_ == options_.max_iters;
    if (has_held_out() && options_.eval_interval > 0 && (due(options_.eval_interval) || last)) {
      event.held_out = last_evaluation_ = evaluate_held_out();
    }
    observer.on_step(event);
    if (due(options_.sample_every)) observer.on_sample(step_, model_);
    if (due(options_.checkpoint_every) || last) checkpoint();
  }
  if (step_ > 0 && saved != step_ && cancel.load()) checkpoint();
  return step_ >= options_.max_iters;
}

}  // namespace gradus
