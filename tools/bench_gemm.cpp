// gradus bench gemm: matrix products at the shapes of training and generating.

#include <algorithm>

#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/ops.hpp"
#include "tensor/parallel.hpp"
#include "tools/bench_common.hpp"

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

/// The library's own product. A weight stands still while it is multiplied: here is what a model would do with it.
Tensor our_product(const GemmShape& shape, const Tensor& a, const Tensor& b) {
  if (shape.form == "nt") return linear(a, b);
  return matmul(a, b, shape.form == "tn", false);
}

/// Measures products and prints a row for each.
class Gemm {
 public:
  explicit Gemm(const CommonOptions& common) : common_(common) {}

  void header() const {
    if (common_.json) return;
    print_out(left("product", 24) + right("m", 7) + right("n", 7) + right("k", 7) + right("GFLOP/s", 10) +
              right("of peak", 9) + right("peak", 8) + "\n");
  }

  void measure(const GemmShape& shape, bool counts) {
    check_fits(shape);
    const NoGrad no_grad;
    const Tensor a = random_tensor(shape.a_shape(), "bench.gemm.a");
    const Tensor b = random_tensor(shape.b_shape(), "bench.gemm.b");
    TurnOptions options;
    options.samples = shape.flops() > 5e10 ? 5 : 7;
    const Turns turns({[&] { our_product(shape, a, b); }}, peak_flops, options);
    const double fraction = turns.fraction(shape.flops());
    if (counts) fractions_.push_back(fraction);
    const double gflops = shape.flops() / turns.seconds() * 1e-9;
    const double peak = turns.limit() * 1e-9;
    Json row = Json::object();
    row.set("name", shape.name).set("m", shape.m).set("n", shape.n).set("k", shape.k).set("form", shape.form);
    row.set("gflops", gflops).set("fraction_of_peak", fraction).set("peak_gflops", peak);
    rows_.push(row);
    if (common_.json) return;
    print_out(left(shape.name, 24) + right(std::to_string(shape.m), 7) + right(std::to_string(shape.n), 7) +
              right(std::to_string(shape.k), 7) + right(fixed(gflops, 1), 10) + right(percent(fraction), 9) +
              right(fixed(peak, 1), 8) + "\n");
    flush_out();
  }

  void finish() const {
    const double mean = fractions_.empty() ? 0 : geometric_mean(fractions_);
    if (common_.json) {
      Json json = Json::object().set("threads", int64_t{thread_count()}).set("results", rows_);
      if (!fractions_.empty()) json.set("mean_fraction_of_peak", mean);
      print_json(json);
    } else if (!fractions_.empty()) {
      print_out("geometric mean of " + std::to_string(fractions_.size()) + ": " + fixed(100 * mean, 1) +
                " % of peak\n");
      flush_out();
    }
  }

 private:
  static void check_fits(const GemmShape& shape) {
    const double bytes =
        4.0 * static_cast<double>(shape.m * shape.k + 2 * shape.n * shape.k + 2 * shape.m * shape.n);
    const auto available = static_cast<double>(available_memory_bytes());
    check_world(bytes <= available, "bench gemm: the matrices of ", shape.m, " × ", shape.n, " × ", shape.k,
                " must fit in memory; they need ", bytes_text(bytes), " and ", bytes_text(available),
                " are available");
  }

  const CommonOptions& common_;
  Json rows_ = Json::array();
  std::vector<double> fractions_;  // of the products that the mean is taken over
};

}  // namespace

int bench_gemm(const Arguments& arguments) {
  CommonOptions common;
  int64_t m = 0, n = 0, k = 0;
  std::string form = "nt";
  std::string only;
  Args args("bench gemm",
            "Times matrix products (packing included) at shapes of training, or at one given shape.");
  args.integer("--m", m, "rows of the result; 0: a list of shapes");
  args.integer("--n", n, "columns of the result");
  args.integer("--k", k, "length of the sums");
  args.choice("--form", form, {"nn", "nt", "tn"},
              "which factor is stored transposed: nt is x·wᵀ, tn a weight's gradient");
  args.text("--only", only, "of the list, the products whose names contain this text, for instance dw");
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
  check(!one || only.empty(), "bench gemm: --only chooses from the list; leave out --m, --n and --k");
  check(one || !args.given("--form"), "bench gemm: --form is that of --m, --n and --k; give these too");
  std::vector<GemmShape> list, apart;
  if (one) {
    apart.push_back({form, m, n, k, form});
  } else {
    list = training_products();
    apart = {{"small", 64, 64, 64, "nn"}, {"short sums", 256, 256, 64, "nn"}};
  }
  const auto unwanted = [&](const GemmShape& shape) { return shape.name.find(only) == std::string::npos; };
  std::erase_if(list, unwanted);
  std::erase_if(apart, unwanted);
  check(!list.empty() || !apart.empty(), "bench gemm: --only must match a product's name; '", only,
        "' matches none; the names are like '124M up dw'");
  Gemm gemm(common);
  gemm.header();
  for (const GemmShape& shape : list) gemm.measure(shape, true);
  for (const GemmShape& shape : apart) gemm.measure(shape, false);
  gemm.finish();
  return 0;
}

}  // namespace gradus::tools
