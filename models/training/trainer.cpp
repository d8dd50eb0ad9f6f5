#include "models/training/trainer.hpp"

#include <algorithm>
#include <chrono>

#include "models/files/tensor_source.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/math.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/loss.hpp"
#include "tensor/profile.hpp"

namespace gradus {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr double kLn2 = 0.693147180559945309417;

}  // namespace

Trainer::Trainer(Transformer& model, const TrainingOptions& options, const Tokenizer& tokenizer,
                 std::span<const int32_t> training_ids, double bytes_per_token, const TokenText& held_out)
    : model_(model),
      options_((options.validate(), options)),
      tokenizer_(tokenizer),
      held_out_(held_out.ids),
      held_out_bytes_(held_out.bytes_of),
      bytes_per_token_(bytes_per_token),
      batches_(training_ids, model.config().block_size, options.seed),
      parameters_((model.set_requires_grad(true), model.parameters())),
      optimizer_(parameters_, {.beta1 = options.beta1,
                               .beta2 = options.beta2,
                               .weight_decay = options.weight_decay,
                               .optional = model.optional_parameters()}),
      schedule_(schedule_of(options)),
      kept_row_bytes_(kept_row_bytes(model.config())) {}

int64_t kept_row_bytes(const Config& config) {
  return std::max(int64_t{64} << 20,
                  config.vocab_size * config.n_embd * static_cast<int64_t>(dtype_bytes(config.dtype)));
}

int64_t batches_read_twice(const Config& config, const TrainingOptions& options, int64_t kept) {
  if (!config.tie) return 0;
  const int64_t rows = options.batch_size * config.block_size;
  const int64_t bytes = rows * config.n_embd * static_cast<int64_t>(dtype_bytes(config.dtype));
  // While the first batch's gradient is made no rows wait yet.
  return std::max<int64_t>(0, options.grad_accum - 1 - kept / bytes);
}

Trainer::Part Trainer::part(int64_t number) const {
  const int64_t sequences = options_.sequences_per_step();
  const int64_t first = number * options_.batch_size;
  Part part{batches_.sequences(step_ * sequences + first, options_.batch_size),
            Context::for_training(options_.batch_size, model_.config().block_size, options_.seed,
                                  static_cast<uint64_t>(step_), static_cast<uint64_t>(sequences),
                                  static_cast<uint64_t>(first))};
  Profile::mark("batch", "step");
  return part;
}

double Trainer::accumulate_gradient() {
  const double divisor = static_cast<double>(options_.sequences_per_step() * model_.config().block_size);
  const int64_t once = options_.grad_accum - batches_read_twice(model_.config(), options_, kept_row_bytes_);
  // Each batch's loss is divided by the whole step's tokens, and the last one's is the step's mean.
  double sum = 0;
  double loss = 0;
  const auto loss_of = [&](const Tensor& logits, const Part& part) {
    const Tensor mean = detail::cross_entropy_part(logits, part.batch.targets, divisor, sum);
    loss = mean.item();
    return mean;
  };
  // Rows of tables are added as soon as nothing of the table's gradient comes before them, so that they do not pile up.
  const Tensor& tied = model_.token_embedding.weight;
  const auto add_rows = [&](bool with_tied) {
    for (const NamedTensor& parameter : parameters_) {
      if (with_tied || !parameter.tensor.same(tied)) parameter.tensor.grad();
    }
  };
  for (int64_t i = 0; i < once; ++i) {
    const Part here = part(i);
    const Tensor mean = loss_of(model_.logits(model_.forward(here.batch.inputs, here.context)), here);
    mean.backward();
    add_rows(!model_.config().tie);
  }
  if (once == options_.grad_accum) return loss;
  for (int64_t i = once; i < options_.grad_accum; ++i) {
    const Part here = part(i);
    Tensor hidden;
    {
      const NoGrad no_grad;
      hidden = model_.forward(here.batch.inputs, here.context);
    }
    const Tensor mean = loss_of(model_.logits(hidden), here);
    mean.backward();
  }
  add_rows(true);
  Transformer rest = model_;  // handles, of which the output layer's asks for no gradient
  rest.token_embedding.weight = tied.detach();
  for (int64_t i = once; i < options_.grad_accum; ++i) {
    const Part here = part(i);
    const Tensor mean = cross_entropy(rest.logits(model_.forward(here.batch.inputs, here.context)),
                                      here.batch.targets, divisor);
    mean.backward();
    add_rows(true);
  }
  return loss;
}

StepEvent Trainer::train_step() {
  const double begin = now_seconds();
  Profile::skip();
  optimizer_.clear_gradients();
  const double loss = accumulate_gradient();
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
  last_rate_ = event.learning_rate;
  event.step = step_;
  event.loss = loss;
  event.bits_per_byte = loss / kLn2 / bytes_per_token_;
  event.seconds = now_seconds() - begin;
  event.update_seconds = now_seconds() - update_begin;
  event.tokens_per_second =
      static_cast<double>(options_.sequences_per_step() * model_.config().block_size) / event.seconds;
  return event;
}

Evaluation Trainer::evaluate_held_out() const {
  check(has_held_out(), "eval: some text must be held out; raise --val-fraction");
  return evaluate(model_, tokenizer_, held_out_, held_out_bytes_);
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
  if (last_evaluation_) {
    last.set("val_loss", last_evaluation_->loss).set("val_bits_per_byte", last_evaluation_->bits_per_byte);
    last.set("val_tokens", last_evaluation_->tokens).set("val_bytes", last_evaluation_->bytes);
    last.set("val_unknown", last_evaluation_->unknown);
  }
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
  if (last.find("val_loss")) {
    last_evaluation_ = Evaluation{last.at("val_loss").as_number(), math::exp(last.at("val_loss").as_number()),
                                  last.at("val_bits_per_byte").as_number(),
                                  last.at("val_tokens").as_integer(), last.at("val_bytes").as_integer()};
    if (const Json* unknown = last.find("val_unknown")) last_evaluation_->unknown = unknown->as_integer();
  }
}

bool Trainer::run(const std::string& folder, const Metadata& state_metadata, TrainingObserver& observer,
                  const std::atomic<bool>& cancel) {
  const auto checkpoint = [&] {
    if (saved_step_ == step_) return;
    observer.before_checkpoint();
    save(folder, state_metadata);
    saved_step_ = step_;
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
    // What may fail comes after what it must not cost.
    if (due(options_.checkpoint_every) || last) checkpoint();
    if (due(options_.sample_every)) observer.on_sample(step_, model_);
  }
  if (cancel.load()) checkpoint();
  return step_ >= options_.max_iters;
}

}  // namespace gradus
