#include "models/training/options.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <set>
#include <system_error>

#include "tensor/error.hpp"

namespace gradus {
namespace {

/// Of what options_to_json() writes. 1 did not say its number; 2 has objective and grad_shards.
constexpr int64_t kVersion = 2;

/// Shows every field with its name, and since which version it is there: one list for writing, reading and the check for
/// unknown keys.
template <class Options, class F>
void each_field(Options& options, F&& field_since) {
  const auto field = [&](const char* name, auto& value) { field_since(name, value, 1); };
  field("batch_size", options.batch_size);
  field("grad_accum", options.grad_accum);
  field("max_iters", options.max_iters);
  field("learning_rate", options.learning_rate);
  field("min_lr", options.min_lr);
  field("warmup", options.warmup);
  field("schedule", options.schedule);
  field("weight_decay", options.weight_decay);
  field("beta1", options.beta1);
  field("beta2", options.beta2);
  field("grad_clip", options.grad_clip);
  field("seed", options.seed);
  field("val_fraction", options.val_fraction);
  field("eval_interval", options.eval_interval);
  field("sample_every", options.sample_every);
  field("checkpoint_every", options.checkpoint_every);
  field("keep", options.keep);
  field_since("objective", options.objective, 2);
  field_since("grad_shards", options.grad_shards, 2);
}

Json to_json(const std::string& value) { return Json(value); }
Json to_json(int64_t value) { return Json(value); }
Json to_json(double value) { return Json(value); }
// A seed uses all 64 bits, more than JSON's integers are trusted with.
Json to_json(uint64_t value) { return Json(std::to_string(value)); }

void from_json(const Json& json, std::string& value) { value = json.as_string(); }
void from_json(const Json& json, int64_t& value) { value = json.as_integer(); }
void from_json(const Json& json, double& value) { value = json.as_number(); }
void from_json(const Json& json, uint64_t& value) {
  const std::string& text = json.as_string();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check_world(error == std::errc() && end == text.data() + text.size(), json.path(),
              ": must be a number below 2^64 in quotes; it is '", text, "'");
}

}  // namespace

void TrainingOptions::validate() const {
  const auto in_range = [](const char* name, auto value, auto low, auto high) {
    check(value >= low && value <= high, "training: TrainingOptions::", name, " must be in [", low, ", ",
          high, "]; it is ", value);
  };
  constexpr int64_t kMany = int64_t{1} << 40;
  in_range("batch_size", batch_size, int64_t{1}, int64_t{1} << 20);
  in_range("grad_accum", grad_accum, int64_t{1}, int64_t{1} << 20);
  in_range("grad_shards", grad_shards, int64_t{1}, int64_t{1} << 20);
  in_range("max_iters", max_iters, int64_t{0}, kMany);
  in_range("learning_rate", learning_rate, 0.0, 100.0);
  in_range("min_lr", min_lr, 0.0, 100.0);
  in_range("warmup", warmup, int64_t{0}, kMany);
  in_range("weight_decay", weight_decay, 0.0, 100.0);
  check(beta1 >= 0 && beta1 < 1, "training: TrainingOptions::beta1 must be in [0, 1); it is ", beta1);
  check(beta2 >= 0 && beta2 < 1, "training: TrainingOptions::beta2 must be in [0, 1); it is ", beta2);
  in_range("grad_clip", grad_clip, 0.0, 1e30);
  in_range("val_fraction", val_fraction, 0.0, 0.5);
  in_range("eval_interval", eval_interval, int64_t{0}, kMany);
  in_range("sample_every", sample_every, int64_t{0}, kMany);
  in_range("checkpoint_every", checkpoint_every, int64_t{1}, kMany);
  in_range("keep", keep, int64_t{0}, int64_t{1000000});
  check(std::has_single_bit(static_cast<uint64_t>(grad_shards)) && sequences_per_step() % grad_shards == 0,
        "training: TrainingOptions::grad_shards must be a power of two that divides the ",
        sequences_per_step(), " sequences of a step; it is ", grad_shards,
        "; choose another, or another TrainingOptions::batch_size");
  check(schedule == "cosine" || schedule == "linear" || schedule == "constant" || schedule == "wsd",
        "training: TrainingOptions::schedule must be cosine, linear, constant or wsd; it is '", schedule,
        "'");
  check(schedule == "constant" || min_lr <= learning_rate,
        "training: TrainingOptions::min_lr must not be above TrainingOptions::learning_rate; they are ",
        min_lr, " and ", learning_rate, "; lower the one or raise the other");
  const int64_t decay = schedule_of(*this).decay;
  check(schedule != "wsd" || max_iters == 0 || warmup + decay <= max_iters,
        "training: TrainingOptions::warmup and the fall of wsd must fit into the steps; they are ", warmup,
        " and ", decay, " of ", max_iters, " steps; use a smaller TrainingOptions::warmup or more steps");
}

double default_min_lr(double learning_rate) { return std::min(1e-4, learning_rate / 10); }

Schedule schedule_of(const TrainingOptions& options) {
  // ref: Hu et al., MiniCPM (2024), which finds 10 % of the steps and more to suffice
  const int64_t decay = options.max_iters * 2 / 5;
  return {schedule_kind(options.schedule),
          options.learning_rate,
          options.min_lr,
          options.warmup,
          options.max_iters,
          decay};
}

int64_t checkpoints_after(const TrainingOptions& options, int64_t begin) {
  if (begin >= options.max_iters) return 0;
  // Of the multiples of checkpoint_every up to a step, 0 among them.
  const auto multiples = [&](int64_t step) { return step < 0 ? 0 : step / options.checkpoint_every + 1; };
  return multiples(options.max_iters) - multiples(begin) +
         (options.max_iters % options.checkpoint_every != 0 ? 1 : 0);
}

Json options_to_json(const TrainingOptions& options) {
  Json json = Json::object().set("version", kVersion);
  each_field(options, [&](const char* name, const auto& value, int64_t) { json.set(name, to_json(value)); });
  return json;
}

TrainingOptions options_from_json(const Json& json) {
  TrainingOptions options;
  std::set<std::string> known = {"version"};
  const Json* said = json.find("version");
  const int64_t version = said ? said->as_integer() : 1;
  check_world(version >= 1 && version <= kVersion, said ? said->path() : "",
              ": must be a version of at most ", kVersion, ", which this program knows; it is ", version,
              "; use the program that wrote it, or a later one");
  each_field(options, [&](const char* name, auto& value, int64_t since) {
    if (version < since) return;
    from_json(json.at(name), value);
    known.insert(name);
  });
  for (const auto& [key, value] : json.as_object()) {
    check_world(known.contains(key), value.path(), ": is not an option of version ", version, "; remove it");
  }
  return options;
}

}  // namespace gradus
