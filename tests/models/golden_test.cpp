// Models held to what the transformers library computed for them, see tests/golden.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "models/files/safetensors_source.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/transformer.hpp"
#include "models/transformer/weights.hpp"
#include "nn/optim.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/raw.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"
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

double root_mean_square(const Tensor& x) {
  double squares = 0;
  for (const double value : cast(x.detach(), DType::f64).to_vector<double>()) squares += value * value;
  return std::sqrt(squares / static_cast<double>(x.numel()));
}

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

  bool has(const std::string& name) const { return expected.contains(name); }
  Tensor rows(const char* name) const { return reshape(expected.tensor(name), {batch * time}); }
  Context context() const {
    Context context = Context::of_batch(batch, time);
    if (has("segments")) context.segments = rows("segments");
    return context;
  }
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

int64_t counted(const Transformer& model) {
  int64_t count = 0;
  for (const NamedTensor& parameter : model.parameters()) count += parameter.tensor.numel();
  return count;
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

TEST_CASE("A golden model of each family is there, and loads with the type that its file names") {
  std::set<std::string> types;
  for (const std::string& folder : golden_folders()) {
    INFO(folder);
    const Golden golden(folder);
    const Transformer model = load_transformer(folder);
    for (const std::string& name : golden.weights.names()) {
      CHECK(golden.weights.info(name).dtype == raw_dtype(model.config().dtype));
    }
    const Tensor last = model.forward(golden.rows("ids"), golden.context());
    CHECK(last.dtype() == golden.config.dtype);
    const double bound = (golden.config.dtype == DType::f64 ? kDouble : kSingle).tensor;
    CHECK(difference(last, golden.expected.tensor(
                               layer_name(golden.config.last_layer(), golden.config.n_layer))) <= bound);
    const std::string path = folder + "/" + kConfigFile;
    types.insert(Json::parse(read_file(path), path).at("model_type").as_string());
  }
  for (const Family* family : families()) CHECK(types.contains(std::string(family->model_type)));
}

TEST_CASE("Every hidden state and the logits are those of the transformers library") {
  with_each_golden([](const Golden& golden, const Bounds& bounds) {
    const Transformer model = golden.model();
    const std::vector<Tensor> layers = model.hidden_states(golden.rows("ids"), golden.context());
    const int64_t n_layer = model.config().n_layer;
    REQUIRE(static_cast<int64_t>(layers.size()) == model.config().last_layer() + 1);
    CHECK(golden.has("final") == model.config().final_norm);
    for (int64_t l = 0; l <= model.config().last_layer(); ++l) {
      INFO(layer_name(l, n_layer));
      CHECK(difference(layers[static_cast<size_t>(l)], golden.expected.tensor(layer_name(l, n_layer))) <=
            bounds.tensor);
    }
    CHECK(golden.has("logits") == (model.config().head != HeadKind::none));
    if (golden.has("logits"))
      CHECK(difference(model.logits(layers.back()), golden.expected.tensor("logits")) <= bounds.tensor);
    CHECK(golden.has("pooled") == model.config().pooler);
    if (golden.has("pooled")) {
      CHECK(difference(model.pooled(layers.back(), golden.context().sequences),
                       golden.expected.tensor("pooled")) <= bounds.tensor);
    }
    if (golden.has("loss")) {
      CHECK(std::fabs(golden.loss(model).item() - golden.expected.tensor("loss").item()) <= bounds.loss);
    }
  });
}

TEST_CASE("Greedy continuations are those of the transformers library, with caches and without") {
  int models = 0;
  for (const std::string& folder : golden_folders()) {
    const Golden golden(folder);
    if (!golden.has("greedy")) continue;
    INFO(folder);
    ++models;
    const Transformer model = golden.model();
    const Tensor expected = golden.expected.tensor("greedy");
    const Tensor ids = golden.expected.tensor("ids");
    const auto best = [&](const Tensor& rows) {
      return argmax(model.logits(slice(rows, 0, rows.size(0) - 1, rows.size(0)))).to_vector<int32_t>()[0];
    };
    const NoGrad quiet;
    for (int64_t b = 0; b < golden.batch; ++b) {
      std::vector<int32_t> text = slice(slice(ids, 0, b, b + 1), 1, 0, 5).to_vector<int32_t>();
      std::vector<int32_t> found, cached;
      LayerCaches caches;
      const bool f32 = golden.config.dtype == DType::f32;  // a cache holds no other numbers
      if (f32) caches = model.make_caches(16);
      std::vector<int32_t> fresh = text;
      for (int64_t i = 0; i < expected.size(1); ++i) {
        const int64_t length[] = {std::ssize(text)};
        const int32_t next = best(model.forward(ids_tensor(text), Context::of_lengths(length)));
        if (f32)
          cached.push_back(
              best(model.forward(ids_tensor(fresh), Context::of_caches({&caches}, {std::ssize(fresh)}))));
        fresh = {next};
        found.push_back(next);
        text.push_back(next);
      }
      CHECK(found == slice(expected, 0, b, b + 1).to_vector<int32_t>());
      if (f32) CHECK(cached == found);
    }
  }
  CHECK(models >= 9);
}

TEST_CASE("The loss and every gradient are those of the transformers library") {
  std::set<std::string> types;
  with_each_golden([&](const Golden& golden, const Bounds& bounds) {
    if (!golden.has("losses")) return;
    types.insert(std::string(golden.config.family->model_type));
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
      if (const size_t at = gradient.name.find(".key.bias"); at != std::string::npos) {
        // What is added to all keys alike softmax does not see: the gradient is 0, and the file holds rounding.
        std::string queries = "gradient." + gradient.name;
        queries.replace(queries.find(".key."), 5, ".query.");
        CHECK(root_mean_square(gradient.tensor) <=
              bounds.tensor * root_mean_square(golden.expected.tensor(queries)));
      } else {
        CHECK(difference(gradient.tensor, expected) <= bounds.tensor);
      }
      compared.insert("gradient." + gradient.name);
    }
    for (const std::string& name : golden.expected.names()) {
      if (name.starts_with("gradient.")) CHECK(compared.contains(name));
    }
  });
  CHECK(types == std::set<std::string>{"bert", "gpt2", "llama", "modernbert", "qwen3"});
}

TEST_CASE("Ten losses of AdamW with clipped gradients are those of PyTorch") {
  with_each_golden([](const Golden& golden, const Bounds& bounds) {
    if (!golden.has("losses")) return;
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

TEST_CASE("A golden model that is saved has the tensors of its file, and a config.json that says the same") {
  for (const std::string& folder : golden_folders()) {
    INFO(folder);
    const Golden golden(folder);
    const Transformer model = load_transformer(folder);
    CHECK(parameter_count(golden.config) == counted(model));
    const TemporaryFolder saved;
    save_transformer(saved.path(), model);
    const SafetensorsFile file = SafetensorsFile::open(saved / kWeightsFile);
    const std::set<std::string> names(file.names().begin(), file.names().end());
    std::set<std::string> expected;
    for (const std::string& name : golden.weights.names()) {
      // A model without an output layer is saved without the base of its names.
      const std::string full = names.contains(name) ? name : std::string(golden.config.family->base) + name;
      expected.insert(full);
      REQUIRE(names.contains(full));
      CHECK(same_bits(file.tensor(full), golden.weights.tensor(name)) == "");
    }
    CHECK(names == expected);
    CHECK(load_config(saved.path()) == golden.config);
    const std::string path = saved / kConfigFile;
    CHECK(Json::parse(read_file(path), path).at("model_type").as_string() ==
          golden.config.family->model_type);
  }
}

TEST_CASE("A model that differs a little from a golden one is told from it") {
  for (const std::string& folder : golden_folders()) {
    INFO(folder);
    const auto changed = [&](auto&& change) {
      Golden golden(folder);
      golden.config.dtype = DType::f32;
      change(golden.config);
      const Transformer model = golden.model();
      const Tensor last = model.forward(golden.rows("ids"), golden.context());
      const bool scores = golden.has("logits");
      return difference(scores ? model.logits(last) : last,
                        golden.expected.tensor(
                            scores ? "logits" : layer_name(golden.config.n_layer, golden.config.n_layer)));
    };
    const Config config = load_config(folder);
    CHECK(changed([](Config&) {}) <= kSingle.tensor);
    const auto told = [&](bool there, auto&& change) {
      if (there) CHECK(changed(change) > kSingle.tensor);
    };
    told(config.norm_epsilon >= 1e-6, [](Config& c) { c.norm_epsilon *= 2; });
    const bool rotary = config.position == PositionKind::rotary;
    told(rotary, [](Config& c) { c.rope_base *= 1.01; });
    told(config.rope_local_base > 0, [](Config& c) { c.rope_local_base *= 1.01; });
    told(config.rope_scaling.kind != RopeScalingKind::none, [](Config& c) { c.rope_scaling.factor *= 1.01; });
    told(config.rotated > 0, [](Config& c) { c.rotated = 0; });
    told(!config.windows.empty(), [](Config& c) { c.windows.clear(); });
    told(!config.windows.empty(), [](Config& c) {
      for (int64_t& window : c.windows) window += 2 * (window > 0);
    });
    told(config.attention_scale > 0, [](Config& c) { c.attention_scale *= 1.01; });
    told(config.embedding_scale, [](Config& c) { c.embedding_scale = false; });
    told(config.norm_offset, [](Config& c) { c.norm_offset = false; });
    const Activation activation = config.activation.activation;
    told(activation == Activation::gelu || activation == Activation::gelu_tanh, [](Config& c) {
      Activation& a = c.activation.activation;
      a = a == Activation::gelu ? Activation::gelu_tanh : Activation::gelu;
    });
    told(config.head == HeadKind::transformed, [](Config& c) {
      c.head_activation = c.head_activation == MlpKind::gelu ? MlpKind::gelu_tanh : MlpKind::gelu;
    });
  }
}
