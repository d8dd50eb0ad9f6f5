// Models held to what the transformers library computed for them, see tests/golden.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "models/files/safetensors_source.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/transformer.hpp"
#include "models/transformer/weights.hpp"
#include "nn/optim.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/raw.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/use_isa.hpp"

using namespace gradus;
using namespace gradus::testing;

namespace {

// The largest differences allowed.
struct Bounds {
  double tensor;  // as a fraction of the tensor's root mean square
  double loss;
};
constexpr Bounds kSingle = {2e-5, 1e-4};
constexpr Bounds kDouble = {1e-13, 1e-13};

// The largest |a - b| / rms(b).
double difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.numel() == b.numel());
  const std::vector<double> x = cast(a.detach(), DType::f64).to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  double largest = 0;
  double squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!(std::fabs(x[i] - y[i]) <= largest)) largest = std::fabs(x[i] - y[i]);
    squares += y[i] * y[i];
  }
  return largest / std::sqrt(squares / static_cast<double>(y.size()));
}

struct Golden {
  std::string folder;
  Config config;
  SafetensorsFile weights;
  SafetensorsFile expected;
  int64_t batch, time;

  explicit Golden(const std::string& path)
      : folder(path),
        config(load_config(path)),
        weights(SafetensorsFile::open(path + "/" + kWeightsFile)),
        expected(SafetensorsFile::open(path + "/golden.safetensors")),
        batch(expected.info("ids").shape[0]),
        time(expected.info("ids").shape[1]) {}

  Tensor rows(const char* name) const { return reshape(expected.tensor(name), {batch * time}); }
  Context context() const { return Context::of_batch(batch, time); }
  Tensor loss(const Transformer& model) const { return model.loss(rows("ids"), rows("targets"), context()); }

  // A model with the file's weights in memory of its own.
  Transformer model() const {
    Transformer model(config);
    read_weights(model, *open_safetensors(folder + "/" + kWeightsFile));
    return model;
  }
};

std::vector<std::string> golden_folders() {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(GRADUS_SOURCE_DIR "/tests/golden")) {
    if (entry.is_directory()) folders.push_back(entry.path().string());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// Calls `test(golden, bounds)` with each model, in single precision on every instruction set, and in double.
template <class Test>
void with_each_golden(Test&& test) {
  for (const std::string& folder : golden_folders()) {
    Golden golden(folder);
    golden.config.dtype = DType::f32;
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      INFO(folder << ", f32, " << isa);
      test(golden, kSingle);
    }
    golden.config.dtype = DType::f64;
    INFO(folder << ", f64");
    test(golden, kDouble);
  }
}

}  // namespace

TEST_CASE("Two golden models of each family are there, and load with the type that their files name") {
  std::map<std::string, std::set<DType>> types;
  for (const std::string& folder : golden_folders()) {
    INFO(folder);
    const Golden golden(folder);
    const Transformer model = load_transformer(folder);
    for (const std::string& name : golden.weights.names()) {
      CHECK(golden.weights.info(name).dtype == raw_dtype(model.config().dtype));
    }
    const Tensor logits = model.logits(model.forward(golden.rows("ids"), golden.context()));
    CHECK(logits.dtype() == golden.config.dtype);
    CHECK(difference(logits, golden.expected.tensor("logits")) <=
          (golden.config.dtype == DType::f64 ? kDouble : kSingle).tensor);
    const std::string path = folder + "/" + kConfigFile;
    types[Json::parse(read_file(path), path).at("model_type").as_string()].insert(golden.config.dtype);
  }
  const std::set<DType> both = {DType::f32, DType::f64};
  CHECK(types == std::map<std::string, std::set<DType>>{{"gpt2", both}, {"llama", both}});
}

TEST_CASE("Every hidden state and the logits are those of the transformers library") {
  with_each_golden([](const Golden& golden, const Bounds& bounds) {
    const Transformer model = golden.model();
    const std::vector<Tensor> layers = model.hidden_states(golden.rows("ids"), golden.context());
    const int64_t n_layer = model.config().n_layer;
    REQUIRE(static_cast<int64_t>(layers.size()) == n_layer + 2);
    for (int64_t l = 0; l < n_layer + 2; ++l) {
      INFO(layer_name(l, n_layer));
      CHECK(difference(layers[static_cast<size_t>(l)], golden.expected.tensor(layer_name(l, n_layer))) <=
            bounds.tensor);
    }
    CHECK(difference(model.logits(layers.back()), golden.expected.tensor("logits")) <= bounds.tensor);
  });
}

TEST_CASE("The loss and every gradient are those of the transformers library") {
  with_each_golden([](const Golden& golden, const Bounds& bounds) {
    Transformer model = golden.model();
    model.set_requires_grad(true);
    const Tensor loss = golden.loss(model);
    loss.backward();
    CHECK(std::fabs(loss.item() - golden.expected.tensor("losses").to_vector<double>().front()) <=
          bounds.loss);

    // A model whose parameters are the gradients gives them the names and the layout of the file.
    Transformer gradients = model;
    gradients.visit("", [](const std::string&, Tensor& tensor) { tensor = tensor.grad(); });
    std::set<std::string> compared;
    for (const NamedTensor& gradient : file_weights(gradients)) {
      INFO(gradient.name);
      const Tensor expected = golden.expected.tensor("gradient." + gradient.name);
      CHECK(gradient.tensor.shape() == expected.shape());
      CHECK(difference(gradient.tensor, expected) <= bounds.tensor);
      compared.insert("gradient." + gradient.name);
    }
    for (const std::string& name : golden.expected.names()) {
      if (name.starts_with("gradient.")) CHECK(compared.contains(name));
    }
  });
}

TEST_CASE("Ten losses of AdamW with clipped gradients are those of PyTorch") {
  with_each_golden([](const Golden& golden, const Bounds& bounds) {
    const std::vector<double> losses = golden.expected.tensor("losses").to_vector<double>();
    const std::vector<double> norms = golden.expected.tensor("norms").to_vector<double>();
    REQUIRE(losses.size() == 10);
    Transformer model = golden.model();
    model.set_requires_grad(true);
    // The numbers are those of make_golden.py.
    AdamW optimizer(model.parameters(), {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1});
    for (size_t step = 0; step < losses.size(); ++step) {
      INFO("step " << step + 1);
      optimizer.clear_gradients();
      const Tensor loss = golden.loss(model);
      loss.backward();
      const double norm = global_norm(optimizer.parameters());
      CHECK(std::fabs(loss.item() - losses[step]) <= bounds.loss);
      CHECK(std::fabs(norm - norms[step]) <= bounds.loss);
      optimizer.step(1e-2, clip_factor(norm, 1.0));
    }
  });
}

TEST_CASE("A model that differs a little from a golden one is told from it") {
  for (const std::string& folder : golden_folders()) {
    INFO(folder);
    const auto changed = [&](auto&& change) {
      Golden golden(folder);
      golden.config.dtype = DType::f32;
      change(golden.config);
      const Transformer model = golden.model();
      return difference(model.logits(model.forward(golden.rows("ids"), golden.context())),
                        golden.expected.tensor("logits"));
    };
    const Config config = load_config(folder);
    CHECK(changed([](Config&) {}) <= kSingle.tensor);
    CHECK(changed([](Config& c) { c.norm_epsilon *= 2; }) > kSingle.tensor);
    if (config.position == PositionKind::rotary) {
      CHECK(changed([](Config& c) { c.rope_base *= 1.01; }) > kSingle.tensor);
    }
    if (config.activation == MlpKind::gelu || config.activation == MlpKind::gelu_tanh) {
      CHECK(changed([](Config& c) {
              c.activation = c.activation == MlpKind::gelu ? MlpKind::gelu_tanh : MlpKind::gelu;
            }) > kSingle.tensor);
    }
  }
}
