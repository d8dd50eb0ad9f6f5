// gradus bench gemm: matrix products at the shapes of training and generating, beside other libraries' if wanted.

#include <algorithm>
#include <cmath>

#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/ops.hpp"
#include "tensor/parallel.hpp"
#include "tools/bench_common.hpp"
#include "tools/bench_peers.hpp"

namespace gradus::tools {
namespace {

/// y (m,n) = a · b, k terms a sum. nt: a (m,k), b (n,k), a layer's output; nn: b (k,n), the gradient to its input;
/// tn: a (k,m), b (k,n), the gradient to its weight.
struct GemmShape {
  std::string name;
  int64_t m, n, k;
  std::string form;

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
  Shape a_shape() const { return form == "tn" ? Shape{k, m} : Shape{m, k}; }
  Shape b_shape() const { return form == "nt" ? Shape{n, k} : Shape{k, n}; }
};

/// The three products of each layer of a 10.6M and of a 124M model, at the tokens of a small and a large batch.
std::vector<GemmShape> training_products() {
  struct Layer {
    const char* name;
    int64_t outputs, inputs;
    std::vector<int64_t> tokens;
  };
  const std::vector<int64_t> small{4096, 8192}, large{256, 1024, 4096};
  const Layer layers[] = {
      {"10M qkv", 1152, 384, small},    {"10M projection", 384, 384, small},
      {"10M up", 1536, 384, small},     {"10M down", 384, 1536, small},
      {"124M qkv", 2304, 768, large},   {"124M projection", 768, 768, large},
      {"124M up", 3072, 768, large},    {"124M down", 768, 3072, large},
      {"124M head", 50257, 768, large},
  };
  std::vector<GemmShape> shapes;
  for (const Layer& layer : layers) {
    const std::string name = layer.name;
    for (const int64_t tokens : layer.tokens) {
      shapes.push_back({name + " forward", tokens, layer.outputs, layer.inputs, "nt"});
      shapes.push_back({name + " dx", tokens, layer.inputs, layer.outputs, "nn"});
      shapes.push_back({name + " dw", layer.outputs, layer.inputs, tokens, "tn"});
    }
  }
  return shapes;
}

/// Our own product, prepared: each call computes it again. A weight stands still while it is multiplied, so it is packed
/// once; the gradient to a weight multiplies two arrays that each step makes anew.
std::function<Tensor()> our_product(const GemmShape& shape, const Tensor& a, const Tensor& b,
                                    WeightFormat format) {
  if (shape.form == "tn") return [=] { return matmul(a, b, true, false); };
  return
      [a, weight = PackedWeight(shape.form == "nt" ? b : transpose(b), format)] { return linear(a, weight); };
}

/// Bytes that a packed number takes: of q8 one, and a 32nd of a scale.
double bytes_of(WeightFormat format) {
  switch (format) {
    case WeightFormat::f32: return 4;
    case WeightFormat::bf16: return 2;
    case WeightFormat::q8: return 1 + 2.0 / 32;
  }
  return 0;
}

/// The products of all libraries by turns, and a row of the table for each shape.
class Gemm {
 public:
  Gemm(const CommonOptions& common, WeightFormat format, const std::vector<std::unique_ptr<Peer>>& peers)
      : common_(common), format_(format), peers_(peers), fractions_(1 + peers.size()) {}

  void header(const std::string& title, const std::string& limit) const {
    if (common_.json || peers_.empty()) return;
    std::string line = left(title, 23) + right("m", 7) + right("n", 7) + right("k", 7) + right("GFLOP/s", 9) +
                       right(limit, 9);
    for (const auto& peer : peers_) line += right(peer->name(), 10);
    line += right("ours/best", 10);
    print_out(line + right("limit", 14) + "\n");
    flush_out();
  }

  /// One product again and again, against the peak of multiply-adds.
  void measure(const GemmShape& shape, bool counts) {
    check_fits(shape, 1);
    const NoGrad no_grad;
    const Tensor a = random_tensor(shape.a_shape(), "bench.gemm.a");
    const Tensor b = random_tensor(shape.b_shape(), "bench.gemm.b");
    const auto ours = our_product(shape, a, b, format_);
    std::vector<Work> works{[&] { ours(); }};
    std::vector<Tensor> results;
    for (const auto& peer : peers_) {
      results.push_back(Tensor::zeros({shape.m, shape.n}));
      works.push_back(peer->prepare(described(shape, a, b, results.back())));
    }
    compare(shape, ours(), works, results);
    const Turns turns(
        works, [] { return peak_flops(); }, options(shape.flops()));
    Json row = described(shape);
    row.set("gflops", gflops(shape.flops(), turns)).set("fraction_of_peak", turns.fraction(shape.flops()));
    row.set("peak_gflops", turns.limit() * 1e-9);
    finish_row(shape, shape.flops(), turns, fixed(turns.limit() * 1e-9, 1) + " GFLOP/s", row);
    if (!counts) return;
    for (std::size_t i = 0; i < works.size(); ++i) fractions_[i].push_back(turns.fraction(shape.flops(), i));
    if (!peers_.empty()) ratios_.push_back(turns.speed_ratio(0, best_peer(turns)));
  }

  /// The same few rows times one weight after the other, of together at least `bytes`, so that each comes from memory as
  /// in generating; against reading the weights or the peak, whichever is reached first.
  void measure_rotating(const GemmShape& shape, double bytes) {
    const double weight_bytes = bytes_of(format_) * static_cast<double>(shape.n * shape.k);
    const auto count = static_cast<int64_t>(bytes / weight_bytes) + 1;
    check_fits(shape, count);
    const NoGrad no_grad;
    const Tensor a = random_tensor(shape.a_shape(), "bench.gemm.a");
    std::vector<Tensor> weights, results;
    std::vector<std::function<Tensor()>> ours;
    // As many in f32 as there are bytes to read; of narrower weights there are more, packed from the same.
    const double f32_bytes = 4.0 * static_cast<double>(shape.n * shape.k);
    for (int64_t i = 0; static_cast<double>(i) * f32_bytes <= bytes; ++i)
      weights.push_back(random_tensor(shape.b_shape(), "bench.gemm.b." + std::to_string(i)));
    for (int64_t i = 0; i < count; ++i)
      ours.push_back(our_product(shape, a, weights[static_cast<std::size_t>(i) % weights.size()], format_));
    const auto all_of = [](const auto& list) {
      return [list] {
        for (const auto& product : list) product();
      };
    };
    std::vector<Work> works{all_of(ours)};
    for (const auto& peer : peers_) {
      results.push_back(Tensor::zeros({shape.m, shape.n}));
      std::vector<Work> products;
      for (const Tensor& weight : weights)
        products.push_back(peer->prepare(described(shape, a, weight, results.back())));
      works.push_back(all_of(products));
    }
    compare(shape, ours.back()(), works, results);
    const double flops = shape.flops() * static_cast<double>(count);
    std::vector<double> reads, peaks;
    const Limit read = read_limit(weights);
    const auto roof = [&] {
      reads.push_back(read());
      peaks.push_back(peak_flops());
      return std::min(peaks.back(), reads.back() * flops / (weight_bytes * static_cast<double>(count)));
    };
    const Turns turns(works, roof, options(flops));
    const bool by_peak = turns.limit() >= median(peaks);
    Json row = described(shape);
    row.set("weights", count)
        .set("gflops", gflops(flops, turns))
        .set("fraction_of_limit", turns.fraction(flops));
    row.set("limit", by_peak ? "f32 peak" : "read bandwidth");
    row.set("peak_gflops", median(peaks) * 1e-9).set("read_gb_per_second", median(reads) * 1e-9);
    finish_row(
        shape, flops, turns,
        by_peak ? fixed(median(peaks) * 1e-9, 1) + " GFLOP/s" : fixed(median(reads) * 1e-9, 1) + " GB/s",
        row);
  }

  void print_means() const {
    if (common_.json || fractions_[0].empty()) return;
    const std::string name = "geometric mean of " + std::to_string(fractions_[0].size());
    if (peers_.empty()) {
      print_out(bench_row(name, "", geometric_mean(fractions_[0]), "the peak"));
      flush_out();
      return;
    }
    std::string line = left(name, 53);
    for (std::size_t i = 0; i < fractions_.size(); ++i)
      line += right(percent(geometric_mean(fractions_[i])), i == 0 ? 9 : 10);
    line += right(fixed(geometric_mean(ratios_), 3), 10);
    print_out(line + "\n");
    flush_out();
  }

  void finish() const {
    if (!common_.json) {
      finish_text(common_);
      return;
    }
    Json json = Json::object().set("threads", int64_t{thread_count()});
    for (const auto& peer : peers_) json.set(peer->name(), peer->about());
    json.set("results", rows_);
    if (!fractions_[0].empty()) {
      Json means = Json::object().set("gradus", geometric_mean(fractions_[0]));
      for (std::size_t i = 0; i < peers_.size(); ++i)
        means.set(peers_[i]->name(), geometric_mean(fractions_[i + 1]));
      json.set("mean_fraction_of_peak", means);
      if (!ratios_.empty()) json.set("mean_ratio_to_best_peer", geometric_mean(ratios_));
    }
    print_bench_json(json);
  }

 private:
  static PeerProduct described(const GemmShape& shape, const Tensor& a, const Tensor& b, const Tensor& y) {
    PeerProduct product;
    product.m = shape.m;
    product.n = shape.n;
    product.k = shape.k;
    product.transpose_a = shape.form == "tn";
    product.transpose_b = shape.form == "nt";
    product.a = a.data<float>();
    product.b = b.data<float>();
    product.y = y.mutable_data<float>();
    // The gradient to a weight multiplies two arrays that each step makes anew.
    product.b_stands_still = shape.form != "tn";
    return product;
  }

  static Json described(const GemmShape& shape) {
    Json row = Json::object();
    row.set("name", shape.name).set("m", shape.m).set("n", shape.n).set("k", shape.k).set("form", shape.form);
    return row;
  }

  static double gflops(double flops, const Turns& turns, std::size_t work = 0) {
    return flops / turns.seconds(work) * 1e-9;
  }

  std::size_t best_peer(const Turns& turns) const {
    std::size_t best = 1;
    for (std::size_t i = 2; i <= peers_.size(); ++i) {
      if (turns.seconds(i) < turns.seconds(best)) best = i;
    }
    return best;
  }

  TurnOptions options(double flops) const {
    TurnOptions options;
    options.samples = flops > 5e10 ? 5 : 7;
    // The idle threads of OpenMP and OpenBLAS take processor time for up to 30 ms before they sleep.
    if (!peers_.empty() && thread_count() > 1) options.rest_seconds = 0.04;
    return options;
  }

  /// A wrong call would be a wrong comparison.
  void compare(const GemmShape& shape, const Tensor& ours, const std::vector<Work>& works,
               const std::vector<Tensor>& results) const {
    const auto count = static_cast<std::size_t>(shape.m * shape.n);
    const float* expected = ours.data<float>();
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      works[i + 1]();
      const float* found = results[i].data<float>();
      float largest = 0, difference = 0;
      for (std::size_t j = 0; j < count; ++j) {
        largest = std::max(largest, std::abs(expected[j]));
        difference = std::max(difference, std::abs(expected[j] - found[j]));
      }
      check_world(difference <= 1e-3f * largest, "bench gemm: the products must agree to 1e-3; ",
                  peers_[i]->name(), " differs by ", difference, " of ", largest, " in '", shape.name, "' ",
                  shape.m, " × ", shape.n, " × ", shape.k);
    }
  }

  void finish_row(const GemmShape& shape, double flops, const Turns& turns, const std::string& limit,
                  Json row) {
    const std::string speed = fixed(gflops(flops, turns), 1);
    const auto number = [](int64_t size) { return std::to_string(size); };
    std::string line;
    if (peers_.empty()) {
      line = bench_row(
          left(shape.name, 24) + number(shape.m) + " × " + number(shape.n) + " × " + number(shape.k),
          speed + " GFLOP/s", turns.fraction(flops), limit);
    } else {
      line = left(shape.name, 23) + right(number(shape.m), 7) + right(number(shape.n), 7) +
             right(number(shape.k), 7) + right(speed, 9) + right(percent(turns.fraction(flops)), 9);
      Json others = Json::object();
      for (std::size_t i = 1; i <= peers_.size(); ++i) {
        others.set(
            peers_[i - 1]->name(),
            Json::object().set("gflops", gflops(flops, turns, i)).set("fraction", turns.fraction(flops, i)));
        line += right(percent(turns.fraction(flops, i)), 10);
      }
      const double ratio = turns.speed_ratio(0, best_peer(turns));
      line += right(fixed(ratio, 3), 10);
      row.set("peers", others).set("ratio_to_best_peer", ratio);
      line += right(limit, 14) + "\n";
    }
    rows_.push(row);
    if (common_.json) {
      if (!common_.quiet) status("gemm  " + shape.name);
      return;
    }
    print_out(line);
    flush_out();
  }

  void check_fits(const GemmShape& shape, int64_t weights) const {
    // Of each weight every library may keep a copy in a form of its own, and reading is measured on one more.
    const auto copies = static_cast<double>(weights) * static_cast<double>(3 + peers_.size());
    const double bytes = 4.0 * (static_cast<double>(shape.m) * static_cast<double>(shape.k) +
                                copies * static_cast<double>(shape.n) * static_cast<double>(shape.k) +
                                static_cast<double>(2 + peers_.size()) * static_cast<double>(shape.m) *
                                    static_cast<double>(shape.n));
    const auto available = static_cast<double>(available_memory_bytes());
    check_world(bytes <= available, "bench gemm: the matrices of ", shape.m, " × ", shape.n, " × ", shape.k,
                " must fit in memory; they need ", bytes_text(bytes), " and ", bytes_text(available),
                " are available");
  }

  const CommonOptions& common_;
  WeightFormat format_;
  const std::vector<std::unique_ptr<Peer>>& peers_;
  Json rows_ = Json::array();
  // Of the products that the means are taken over: fractions of ours and of each peer, and our speed by the best peer's.
  std::vector<std::vector<double>> fractions_;
  std::vector<double> ratios_;
};

/// The other libraries, or an error where this program was built without them.
std::vector<std::unique_ptr<Peer>> find_peers() {
#ifdef GRADUS_BENCH_PEERS
  return make_peers(thread_count());
#else
  fail(
      "bench gemm: --peers needs a program that was configured with oneDNN and OpenBLAS; this one was not; "
      "run "
      "`make bench-peers`, or configure with -DGRADUS_BENCH_PEERS=ON");
#endif
}

}  // namespace

int bench_gemm(const Arguments& arguments) {
  CommonOptions common;
  int64_t m = 0, n = 0, k = 0;
  std::string form = "nt";
  std::string only;
  double rotate_mb = 0;
  bool with_peers = false;
  WeightsOption weights;
  Args args(
      "bench gemm",
      "Times matrix products at shapes of training and generating, or at one given shape. Weights are packed "
      "beforehand; for the gradients to them, packing is part of the time.");
  args.integer("--m", m, "rows of the result; 0: a list of shapes");
  args.integer("--n", n, "columns of the result");
  args.integer("--k", k, "length of the sums");
  args.choice("--form", form, {"nn", "nt", "tn"},
              "which factor is stored transposed: nt is x·wᵀ, tn a weight's gradient");
  args.text("--only", only, "of the list, the products whose names contain this text, for instance dw");
  args.number("--rotate-mb", rotate_mb,
              "a given nt product: weights of so many MB together take turns, so that each comes from "
              "memory; 0: one");
  weights.add(args);
  args.flag("--peers", with_peers, "time oneDNN and OpenBLAS too, and compare the results");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  constexpr int64_t kLimit = 1 << 24;
  check(m >= 0 && n >= 0 && k >= 0 && m < kLimit && n < kLimit && k < kLimit,
        "bench gemm: sizes must be in [1, 2^24); they are ", m, ", ", n, ", ", k);
  const bool one = m > 0 || n > 0 || k > 0;
  check(!one || (m > 0 && n > 0 && k > 0), "bench gemm: --m, --n and --k must be given together; they are ",
        m, ", ", n, ", ", k);
  args.no_effect({{one, {"--only"}, "with --m, --n and --k, which give one product"},
                  {!one, {"--form", "--rotate-mb"}, "without --m, --n and --k, whose product it is about"},
                  {one && form == "tn", {"--weights"}, "with --form tn, which multiplies no weights"}});
  check(rotate_mb >= 0 && rotate_mb <= 1e6, "bench gemm: --rotate-mb must be in [0, 1000000]; it is ",
        rotate_mb);
  check(rotate_mb == 0 || form == "nt", "bench gemm: --rotate-mb needs --form nt; it is ", form);
  check(!with_peers || weights.value() == WeightFormat::f32,
        "bench gemm: --peers multiply f32; leave out --weights ", weights.format);
  std::vector<GemmShape> list, apart, rotating;
  if (one) {
    (rotate_mb > 0 ? rotating : apart).push_back({"given " + form, m, n, k, form});
  } else {
    list = training_products();
    apart = {{"small", 64, 64, 64, "nn"}, {"short sums", 256, 256, 64, "nn"}};
    for (const int64_t rows : {1, 2, 4, 8}) rotating.push_back({"decode up", rows, 3072, 768, "nt"});
    for (const int64_t rows : {1, 2, 4, 8}) rotating.push_back({"decode down", rows, 768, 3072, "nt"});
  }
  const auto unwanted = [&](const GemmShape& shape) { return shape.name.find(only) == std::string::npos; };
  std::erase_if(list, unwanted);
  std::erase_if(apart, unwanted);
  std::erase_if(rotating, unwanted);
  check(!list.empty() || !apart.empty() || !rotating.empty(),
        "bench gemm: --only must match a product's name; '", only,
        "' matches none; the names are like '124M up dw'");
  std::vector<std::unique_ptr<Peer>> peers;
  if (with_peers) peers = find_peers();
  if (!common.json) {
    for (const auto& peer : peers) print_out(peer->name() + "  " + peer->about() + "\n");
  }
  Gemm gemm(common, weights.value(), peers);
  if (!list.empty() || !apart.empty()) gemm.header("product", "of peak");
  for (const GemmShape& shape : list) gemm.measure(shape, true);
  gemm.print_means();
  for (const GemmShape& shape : apart) gemm.measure(shape, false);
  if (!rotating.empty()) gemm.header("rows × many weights", "of limit");
  for (const GemmShape& shape : rotating)
    gemm.measure_rotating(shape, one ? rotate_mb * 1e6 : static_cast<double>(int64_t{512} << 20));
  gemm.finish();
  return 0;
}

}  // namespace gradus::tools
