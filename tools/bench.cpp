// gradus bench: how near the machine's limit the program comes. Every figure is a fraction of a limit that is measured
// in the same run.

#include <algorithm>
#include <chrono>
#include <vector>

#include "models/training/planner.hpp"
#include "models/training/trainer.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/ops.hpp"
#include "tensor/parallel.hpp"
#include "tools/common.hpp"
#include "tools/model_options.hpp"

namespace gradus::tools {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int bench_peak(const Arguments& arguments) {
  CommonOptions common;
  Args args(
      "bench peak",
      "Measures the machine's limits: fused multiply-adds on registers, and reading memory as a stream.");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  const MachinePeak peak = measure_peak(thread_count(), 1.0);
  const double read = measure_read_bandwidth(thread_count());
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{peak.threads})
        .set("f32_gflops", peak.f32_gflops)
        .set("read_gb_per_second", read);
    print_json(json);
  } else {
    print_out("threads " + std::to_string(peak.threads) + "  f32 " + fixed(peak.f32_gflops, 1) +
              " GFLOP/s  read " + fixed(read, 1) + " GB/s\n");
    flush_out();
  }
  return 0;
}

struct GemmShape {
  int64_t m, n, k;
  std::string form;
};

/// y = a · b in one of three forms: nn a (M,K) b (K,N); nt b (N,K); tn a (K,M).
double time_gemm(const GemmShape& shape) {
  const NoGrad no_grad;
  const bool ta = shape.form == "tn";
  const bool tb = shape.form == "nt";
  const Tensor a = Tensor::full(ta ? Shape{shape.k, shape.m} : Shape{shape.m, shape.k}, 0.5);
  const Tensor b = Tensor::full(tb ? Shape{shape.n, shape.k} : Shape{shape.k, shape.n}, 0.25);
  const double flops =
      2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  // Whole samples of at least a few milliseconds, so that the clock does not decide.
  const int repeats = std::max(1, static_cast<int>(5e8 / flops));
  std::vector<double> samples;
  Tensor y = matmul(a, b, ta, tb);
  const double begin = now_seconds();
  while (samples.size() < 7 || (now_seconds() - begin < 0.5 && samples.size() < 50)) {
    const double start = now_seconds();
    for (int i = 0; i < repeats; ++i) y = matmul(a, b, ta, tb);
    samples.push_back((now_seconds() - start) / repeats);
  }
  return flops / median(samples) * 1e-9;
}

int bench_gemm(const Arguments& arguments) {
  CommonOptions common;
  int64_t m = 0, n = 0, k = 0;
  std::string form = "nt";
  Args args("bench gemm",
            "Times matrix products (packing included) at shapes of training, or at one given shape.");
  args.integer("--m", m, "rows of the result; 0: a list of shapes");
  args.integer("--n", n, "columns of the result");
  args.integer("--k", k, "length of the sums");
  args.choice("--form", form, {"nn", "nt", "tn"},
              "which factor is stored transposed: nt is x·wᵀ, tn a weight's gradient");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  check(m >= 0 && n >= 0 && k >= 0 && m < (1 << 24) && n < (1 << 24) && k < (1 << 24),
        "bench gemm: sizes must be in [1, 2^24); they are ", m, ", ", n, ", ", k);
  std::vector<GemmShape> shapes;
  if (m > 0 || n > 0 || k > 0) {
    check(m > 0 && n > 0 && k > 0, "bench gemm: --m, --n and --k must be given together; they are ", m, ", ",
          n, ", ", k);
    shapes.push_back({m, n, k, form});
  } else {
    shapes = {{1024, 768, 768, "nt"},  {1024, 3072, 768, "nt"}, {1024, 768, 3072, "nt"},
              {1024, 768, 3072, "nn"}, {3072, 768, 1024, "tn"}, {4096, 384, 384, "nt"},
              {4096, 1536, 384, "nt"}, {64, 64, 64, "nn"},      {256, 256, 64, "nn"}};
  }
  Json results = Json::array();
  for (const GemmShape& shape : shapes) {
    const double peak = measure_peak(thread_count(), 0.2).f32_gflops;
    const double gflops = time_gemm(shape);
    results.push(Json::object()
                     .set("m", shape.m)
                     .set("n", shape.n)
                     .set("k", shape.k)
                     .set("form", shape.form)
                     .set("gflops", gflops)
                     .set("fraction_of_peak", gflops / peak));
    if (!common.json) {
      print_out(shape.form + "  " + std::to_string(shape.m) + " × " + std::to_string(shape.n) + " × " +
                std::to_string(shape.k) + "  " + fixed(gflops, 1) + " GFLOP/s  " +
                fixed(100 * gflops / peak, 1) + " % of " + fixed(peak, 1) + "\n");
      flush_out();
    }
  }
  if (common.json) print_json(Json::object().set("threads", int64_t{thread_count()}).set("results", results));
  return 0;
}

int bench_train(const Arguments& arguments) {
  CommonOptions common;
  ModelOptions shape;
  int64_t vocab_size = 2048;
  int64_t steps = 20;
  int64_t grad_accum = 1;
  Args args("bench train", "Times whole training steps: batch, forward, backward, clipping, AdamW.");
  shape.add(args);
  args.heading("Measuring");
  args.integer("--vocab-size", vocab_size, "tokens of the vocabulary");
  args.integer("--steps", steps, "steps to time, after three that are not");
  args.integer("--grad-accum", grad_accum, "batches of one step");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(steps > 0, "--steps must be at least 1; it is ", steps);
  const Config config = shape.config(vocab_size);
  TrainingOptions options;
  options.batch_size = shape.batch();
  options.grad_accum = grad_accum;
  options.validate();
  const uint64_t needed = plan_memory(config, options, 0);
  check_world(needed <= available_memory_bytes(), "bench train: the training must fit in memory; it needs ",
              bytes_text(static_cast<double>(needed)), " and ",
              bytes_text(static_cast<double>(available_memory_bytes())), " are available");
  Transformer model(config);
  model.init(1);
  const Random random(1, stream_of("bench.tokens"));
  std::vector<int32_t> ids(static_cast<std::size_t>(config.block_size * 64 + 1));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<int32_t>(random.below(i, static_cast<uint64_t>(vocab_size)));
  }
  const Tokenizer tokenizer = Tokenizer::bytes();
  Trainer trainer(model, options, tokenizer, ids, 1.0, {});
  for (int i = 0; i < 3; ++i) trainer.train_step();
  std::vector<double> seconds;
  // The peak is measured in turns with the steps, so that both see the same machine.
  std::vector<double> peaks{measure_peak(thread_count(), 0.2).f32_gflops};
  for (int64_t i = 0; i < steps; ++i) {
    if (interrupted()) throw Interrupted{};
    seconds.push_back(trainer.train_step().seconds);
    if ((i + 1) % std::max<int64_t>(1, steps / 4) == 0)
      peaks.push_back(measure_peak(thread_count(), 0.1).f32_gflops);
    if (!common.quiet) status("step " + std::to_string(i + 1) + "/" + std::to_string(steps));
  }
  const double step = median(seconds);
  const double peak = median(peaks);
  const double tokens_per_second =
      static_cast<double>(options.sequences_per_step() * config.block_size) / step;
  const double fraction = tokens_per_second * training_flops_per_token(config) / (peak * 1e9);
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()}).set("parameters", parameter_count(config));
    json.set("tokens_per_second", tokens_per_second).set("step_seconds", step);
    json.set("fraction_of_peak", fraction).set("peak_gflops", peak);
    json.set("flops_per_token", training_flops_per_token(config));
    json.set("peak_rss_bytes", static_cast<int64_t>(peak_resident_bytes()));
    print_json(json);
  } else {
    print_out("train  " + count_text(static_cast<double>(parameter_count(config))) + " parameters  " +
              fixed(tokens_per_second, 0) + " tok/s  " + fixed(step * 1e3, 2) + " ms a step  " +
              fixed(100 * fraction, 1) + " % of " + fixed(peak, 1) + " GFLOP/s  " +
              bytes_text(static_cast<double>(peak_resident_bytes())) + "\n");
    flush_out();
  }
  return 0;
}

}  // namespace

int run_bench(const Arguments& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  const Arguments rest(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  if (what == "peak") return bench_peak(rest);
  if (what == "gemm") return bench_gemm(rest);
  if (what == "train") return bench_train(rest);
  if (what == "--help" || what == "-h") {
    print_out("gradus bench peak | gemm | train   each shows its options with --help\n");
    flush_out();
    return 0;
  }
  throw UsageError("bench: peak, gemm or train must follow; " +
                   (what.empty() ? std::string("nothing did") : "'" + what + "' did"));
}

}  // namespace gradus::tools
