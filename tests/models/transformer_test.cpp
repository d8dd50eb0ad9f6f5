#include "models/transformer/transformer.hpp"

#include <cmath>
#include <limits>
#include <map>

#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/generate.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/grad_check.hpp"
#include "tests/support/reference_model.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<NamedTensor> widened(const std::vector<NamedTensor>& tensors) {
  const NoGrad quiet;
  std::vector<NamedTensor> result;
  for (const NamedTensor& t : tensors) result.push_back({t.name, cast(t.tensor, DType::f64)});
  return result;
}

std::vector<Config> both_families() { return {small_config("gpt"), small_config("llama")}; }

// What no family of the list does: each kind of block, with and without a final norm, in one direction and in both.
std::vector<Config> unusual_stacks() {
  std::vector<Config> configs;
  for (Config config : both_families()) {
    config.block = BlockKind::post_norm;
    config.causal = false;
    config.final_norm = false;
    configs.push_back(config);
    config.block = BlockKind::parallel;
    configs.push_back(config);
    config.causal = true;
    config.final_norm = true;
    configs.push_back(config);
    config.block = BlockKind::parallel_shared;
    configs.push_back(config);
    config.block = BlockKind::pre_norm;
    config.causal = false;
    configs.push_back(config);
  }
  return configs;
}

std::string stack_name(const Config& c) {
  return std::string(c.family->name) + " " + std::string(name_of(c.block)) +
         (c.causal ? " causal" : " both ways") + (c.final_norm ? "" : ", no final norm");
}

// The largest difference of a model's logits from those of plain loops, relative to their size.
double worst_difference(const Transformer& model) {
  const std::vector<int32_t> ids = some_ids(11, model.config().vocab_size);
  const std::vector<float> logits =
      model.logits(model.forward(ids_tensor(ids), Context::of_batch(1, 11))).to_vector<float>();
  const auto expected = ReferenceModel(widened(file_weights(model)), model.config()).logits(ids);
  double worst = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double e = expected[i / 29][i % 29];
    worst = std::max(worst, std::abs(static_cast<double>(logits[i]) - e) / (1 + std::abs(e)));
  }
  return worst;
}

// The parameter counts of a preset by its tensors, made of nothing.
int64_t counted(const Config& config) {
  const DryRunMemory dry_run;
  int64_t total = 0;
  for (const NamedTensor& p : Transformer(config).parameters()) total += p.tensor.numel();
  return total;
}

}  // namespace

TEST_CASE("the model computes what GPT-2 and Llama compute with the tensors of its file") {
  for (Config config : both_families()) {
    for (const bool tie : {true, false}) {
      config.tie = tie;
      CHECK(worst_difference(small_model(config)) < 1e-5);
    }
  }
}

TEST_CASE("blocks with the norm behind, in parallel and in both directions compute their formulas") {
  for (Config config : unusual_stacks()) {
    INFO(stack_name(config));
    const Transformer model = small_model(config);
    CHECK(worst_difference(model) < 1e-5);
    CHECK(parameter_count(config) == counted(config));

    // A text's rows are the same bits in any company, and at any number of threads; so are all gradients.
    const Tensor ids = ids_tensor(some_ids(30, 29));
    const int64_t lengths[] = {6, 24};
    const int64_t alone[] = {24};
    CHECK(same_bits(slice(model.forward(ids, Context::of_lengths(lengths)), 0, 6, 30),
                    model.forward(slice(ids, 0, 6, 30), Context::of_lengths(alone))) == "");
    const auto gradients = [&](int threads) {
      const UseThreads use(threads);
      Transformer copy = small_model(config);
      copy.set_requires_grad(true);
      copy.loss(ids, ids_tensor(some_ids(30, 29, 8)), Context::of_lengths(lengths)).backward();
      return copy.parameters();
    };
    const auto one = gradients(1);
    for (const int threads : {2, 4}) {
      const auto more = gradients(threads);
      for (size_t i = 0; i < one.size(); ++i)
        CHECK(same_bits(one[i].tensor.grad(), more[i].tensor.grad()) == "");
    }
  }
}

TEST_CASE("a model that reads in both directions has no cache, and says so") {
  Config config = small_config("gpt");
  config.causal = false;
  const Transformer model = small_model(config);
  const std::string why = "only a causal model can generate with caches";
  CHECK_THROWS_WITH(model.make_caches(8), ContainsSubstring(why));
  CHECK_THROWS_WITH(DecodingSession(model, some_ids(3, 29)), ContainsSubstring(why));
  const NoGrad quiet;
  LayerCaches caches(2, KeyValueCache(8, 4, 6));
  CHECK_THROWS_WITH(model.forward(ids_tensor({1, 2}), Context::of_caches({&caches}, {2})),
                    ContainsSubstring("blocks.0.attention: attention with a cache must be causal"));
}

TEST_CASE("a model without a final norm has no layer final") {
  Config config = small_config("llama");
  config.final_norm = false;
  const Transformer model = small_model(config);
  const Tensor ids = ids_tensor(some_ids(9, 29));
  const std::vector<Tensor> states = model.hidden_states(ids, Context::of_batch(1, 9));
  REQUIRE(states.size() == 3);
  CHECK(same_bits(states[2], model.forward(ids, Context::of_batch(1, 9))) == "");
  CHECK(parse_layers("all", config) == std::vector<int64_t>{0, 1, 2});
  CHECK(parse_layers("-1", config) == std::vector<int64_t>{2});
  CHECK_THROWS_WITH(
      parse_layers("final", config),
      "layers: 'final' must be there to be chosen; this model has no norm behind its last block; its "
      "last layer is 2, or -1");
  for (const NamedTensor& parameter : model.parameters()) CHECK(parameter.name != "final_norm.weight");
  for (const NamedTensor& weight : file_weights(model)) CHECK(weight.name != "model.norm.weight");
}

TEST_CASE("the last of the hidden states of the Hugging Face library is final, where there is one") {
  Config config = small_config("gpt");
  CHECK(library_state(0, config) == 0);
  CHECK(library_state(1, config) == 1);
  CHECK(library_state(2, config) == 3);
  config.final_norm = false;
  CHECK(library_state(2, config) == 2);
  CHECK_THROWS_WITH(library_state(3, config), ContainsSubstring("must be in [0, 2]"));
}

TEST_CASE("gpt2 has 124,439,808 parameters, and every count equals the tensors") {
  const Config gpt2 = make_config("gpt", find_preset("gpt2"), 50257);
  CHECK(gpt2.block_size == 1024);
  CHECK(gpt2.n_ffn == 3072);
  CHECK(parameter_count(gpt2) == 124439808);
  CHECK(counted(gpt2) == 124439808);
  CHECK(matrix_weight_count(gpt2) == 12 * 12 * 768 * 768 + 50257 * 768);
  for (const std::string_view arch : {"gpt", "llama"}) {
    for (const Preset& preset : presets()) {
      Config config = make_config(arch, preset, 1000);
      CHECK(parameter_count(config) == counted(config));
      config.tie = false;
      config.attention_bias = !config.attention_bias;
      config.n_kv_head = config.n_head / 2;
      config.position = PositionKind::sinusoidal;
      CHECK(parameter_count(config) == counted(config));
    }
  }
  CHECK(make_config("llama", find_preset("micro"), 10).n_ffn == 1024);
  CHECK(make_config("llama", find_preset("nano"), 10).n_ffn == 352);  // 341.3 rounded up
}

TEST_CASE("every gradient of a whole model equals central differences in f64") {
  std::vector<Config> configs = both_families();
  for (const Config& config : unusual_stacks()) configs.push_back(config);
  for (Config config : configs) {
    config.dtype = DType::f64;
    config.vocab_size = 13;
    config.n_embd = 16;
    config.n_ffn = 20;
    const Transformer model = small_model(config);
    const Tensor ids = ids_tensor(some_ids(9, 13));
    const Tensor targets = ids_tensor(some_ids(9, 13, 8));
    const int64_t lengths[] = {6, 3};
    std::vector<Tensor> inputs;
    std::vector<int> all;
    for (const NamedTensor& p : model.parameters()) {
      all.push_back(static_cast<int>(inputs.size()));
      inputs.push_back(p.tensor);
    }
    const auto loss = [&](const std::vector<Tensor>& values) {
      Transformer copy = model;
      size_t i = 0;
      copy.visit("", [&](const std::string&, Tensor& tensor) { tensor = values[i++]; });
      return copy.loss(ids, targets, Context::of_lengths(lengths));
    };
    GradCheck settings;
    settings.elements = 3;
    settings.tolerance = 1e-6;
    CHECK(check_gradient(stack_name(config), loss, inputs, all, settings) == "");
  }
}

TEST_CASE("the gradient of a tied table is the sum of its two uses") {
  Config config = small_config("gpt");
  config.dtype = DType::f64;
  Transformer tied = small_model(config);
  config.tie = false;
  Transformer untied = small_model(config);
  untied.output.weight.copy_from(tied.token_embedding.weight);
  const Tensor ids = ids_tensor(some_ids(10, 29));
  const Tensor targets = ids_tensor(some_ids(10, 29, 8));
  for (Transformer* model : {&tied, &untied}) {
    model->set_requires_grad(true);
    model->loss(ids, targets, Context::of_batch(2, 5)).backward();
  }
  const auto both = tied.token_embedding.weight.grad().to_vector<double>();
  const auto input = untied.token_embedding.weight.grad().to_vector<double>();
  const auto output = untied.output.weight.grad().to_vector<double>();
  for (size_t i = 0; i < both.size(); ++i) REQUIRE(both[i] == Approx(input[i] + output[i]).margin(1e-14));
}

TEST_CASE("initial values have their deviations and depend on their own name alone") {
  Config config = make_config("gpt", find_preset("nano"), 300);
  Transformer model(config);
  model.init(5);
  Config deeper_config = config;
  deeper_config.n_layer = 9;
  Transformer deeper(deeper_config);
  deeper.init(5);
  Transformer other(config);
  other.init(6);

  const auto deviation = [](const Tensor& tensor) {
    double squares = 0;
    for (const float x : tensor.to_vector<float>())
      squares += static_cast<double>(x) * static_cast<double>(x);
    return std::sqrt(squares / static_cast<double>(tensor.numel()));
  };
  CHECK(deviation(model.token_embedding.weight) == Approx(0.02).epsilon(0.02));
  const double matrix = 0.02 * std::sqrt(768.0 / 128);
  CHECK(deviation(model.blocks[1].attention.qkv.weight) == Approx(matrix).epsilon(0.02));
  CHECK(deviation(model.blocks[3].mlp.down.weight) == Approx(matrix / std::sqrt(8.0)).epsilon(0.02));
  CHECK(deviation(model.blocks[3].attention.output.weight) == Approx(matrix / std::sqrt(8.0)).epsilon(0.02));
  CHECK(deviation(model.blocks[0].attention.qkv.bias) == 0);
  CHECK(same_bits(model.blocks[2].mlp_norm.weight, Tensor::full({128}, 1.0)) == "");
  CHECK(same_bits(model.blocks[2].mlp.up.weight, deeper.blocks[2].mlp.up.weight) == "");
  CHECK(same_bits(model.blocks[2].mlp.up.weight, model.blocks[1].mlp.up.weight) != "");
  CHECK(same_bits(model.blocks[2].mlp.up.weight, other.blocks[2].mlp.up.weight) != "");
}

TEST_CASE("two micro-batches give the loss and gradients of one batch bit for bit, with dropout") {
  for (Config config : both_families()) {
    config.dropout = 0.2;
    const Tensor ids = ids_tensor(some_ids(24, 29));
    const Tensor targets = ids_tensor(some_ids(24, 29, 8));
    const auto gradients = [&](std::vector<int64_t> cuts) {
      Transformer model = small_model(config);
      model.set_requires_grad(true);
      int64_t begin = 0;
      for (const int64_t batch : cuts) {
        const Context context = Context::for_training(batch, 6, 3, 17, 4, static_cast<uint64_t>(begin));
        const int64_t end = begin + batch;
        model.loss(slice(ids, 0, begin * 6, end * 6), slice(targets, 0, begin * 6, end * 6), context, 24)
            .backward();
        begin = end;
      }
      return model.parameters();
    };
    const auto whole = gradients({4});
    const auto parts = gradients({1, 3});
    for (size_t i = 0; i < whole.size(); ++i) {
      INFO(whole[i].name);
      CHECK(same_bits(whole[i].tensor.grad(), parts[i].tensor.grad()) == "");
    }
  }
}

TEST_CASE("the embeddings drop out by the path of the table while training") {
  Config config = small_config("gpt");
  config.dropout = 0.3;
  const Transformer model = small_model(config);
  const Tensor ids = ids_tensor(some_ids(12, 29));
  const Context context = Context::for_training(2, 6, 1, 2, 2, 0);
  const Tensor entering = model.hidden_states(ids, Context::of_batch(2, 6))[0];
  const Dropout dropout("token_embedding.dropout", 0.3);
  CHECK(same_bits(model.hidden_states(ids, context)[0], dropout(entering, context)) == "");
  CHECK(same_bits(model.hidden_states(ids, context)[0], entering) != "");
}

TEST_CASE("hidden states are named, and a text's are the same bits in any company") {
  for (const Config& config : both_families()) {
    const Transformer model = small_model(config);
    const std::vector<int32_t> ids = some_ids(30, 29);
    const int64_t lengths[] = {5, 1, 24};
    const std::vector<Tensor> together = model.hidden_states(ids_tensor(ids), Context::of_lengths(lengths));
    REQUIRE(together.size() == 4);
    CHECK(same_bits(together[3], model.forward(ids_tensor(ids), Context::of_lengths(lengths))) == "");
    const int64_t alone_length[] = {24};
    const std::vector<int32_t> last(ids.begin() + 6, ids.end());
    const std::vector<Tensor> alone =
        model.hidden_states(ids_tensor(last), Context::of_lengths(alone_length));
    for (size_t l = 0; l < 4; ++l) CHECK(same_bits(slice(together[l], 0, 6, 30), alone[l]) == "");
  }
  CHECK(layer_name(0, 2) == "layer_0");
  CHECK(layer_name(2, 2) == "layer_2");
  CHECK(layer_name(3, 2) == "final");
}

TEST_CASE("layer_0 enters the first block, layer_l leaves block l, and final is the norm of the last") {
  for (const Config& config : both_families()) {
    const Transformer model = small_model(config);
    const Tensor ids = ids_tensor(some_ids(9, 29));
    const Context context = Context::of_batch(1, 9);
    const std::vector<Tensor> states = model.hidden_states(ids, context);
    REQUIRE(states.size() == 4);
    const Tensor tokens = model.token_embedding(ids);
    const Tensor positions = model.position.rows(context.positions);
    CHECK(positions.defined() == (config.position == PositionKind::learned));
    CHECK(same_bits(states[0], positions.defined() ? tokens + positions : tokens) == "");
    for (size_t l = 0; l < 2; ++l) {
      CHECK(same_bits(states[l + 1], model.blocks[l](states[l], model.position, context)) == "");
    }
    CHECK(same_bits(states[3], model.final_norm(states[2])) == "");
    CHECK(same_bits(states[3], states[2]) != "");
  }
}

TEST_CASE(
    "a forward runs the blocks below the last layer wanted, gives only what is asked for, and holds no "
    "more") {
  for (Config config : both_families()) {
    config.n_layer = 9;
    config.n_ffn = 24;
    Transformer model = small_model(config);
    const int64_t rows = 96, layer_bytes = rows * 24 * 4;
    const Tensor ids = ids_tensor(some_ids(rows, 29));
    const Context context = Context::of_batch(3, 32);
    const NoGrad quiet;
    const std::vector<Tensor> all = model.hidden_states(ids, context);
    REQUIRE(all.size() == 11);
    const auto some = [&](std::vector<int64_t> layers) { return model.hidden_states(ids, context, layers); };
    const auto peak = [&](const std::vector<int64_t>& layers) {
      reset_memory_peaks();
      const size_t before = memory_statistics().in_use;
      some(layers);
      return static_cast<int64_t>(memory_statistics().peak_in_use - before);
    };
    for (const char* text : {"final", "4", "0,5,9", "8,final"}) {
      const std::vector<int64_t> layers = parse_layers(text, config);
      const std::vector<Tensor> states = some(layers);
      REQUIRE(states.size() == layers.size());
      for (size_t i = 0; i < layers.size(); ++i)
        CHECK(same_bits(states[i], all[static_cast<size_t>(layers[i])]) == "");
    }
    // Those that are not wanted are gone while the last is made.
    const int64_t everything = peak({});
    CHECK(peak({9}) < peak({1}) + layer_bytes);
    CHECK(peak({9}) + 8 * layer_bytes <= everything);
    CHECK(peak({0, 9}) + 7 * layer_bytes <= everything);

    // Blocks and norms that would show if they ran.
    const auto poison = [](Tensor& weight) {
      fill_normal("x", weight, std::numeric_limits<double>::quiet_NaN());
    };
    poison(model.final_norm.weight);
    CHECK(same_bits(some({9})[0], all[9]) == "");
    CHECK(same_bits(some({10})[0], all[10]) != "");
    poison(model.blocks[4].attention_norm.weight);
    CHECK(same_bits(some({4})[0], all[4]) == "");
    CHECK(same_bits(some({5})[0], all[5]) != "");
    for (Block& block : model.blocks) poison(block.attention_norm.weight);
    CHECK(same_bits(some({0})[0], all[0]) == "");

    CHECK_THROWS_WITH(
        some({11}),
        "transformer: layers must be ascending numbers in [0, 10]; number 0 of those given is 11");
    CHECK_THROWS_WITH(some({2, 1}), ContainsSubstring("number 1 of those given is 1"));
    CHECK_THROWS_WITH(some({3, 3}), ContainsSubstring("must be ascending"));
  }
}

TEST_CASE("layers are chosen by number, name or all") {
  const Config two_layers = small_config("gpt");
  CHECK(parse_layers("all", two_layers) == std::vector<int64_t>{0, 1, 2, 3});
  CHECK(parse_layers("final", two_layers) == std::vector<int64_t>{3});
  CHECK(parse_layers("-1,0,2,final", two_layers) == std::vector<int64_t>{0, 2, 3});
  CHECK(parse_layers("-3", two_layers) == std::vector<int64_t>{0});
  CHECK_THROWS_WITH(
      parse_layers("99", two_layers),
      "layers: each must be a number in [-3, 2], 'final' or 'all'; '99' was given; the model has 2 layers, "
      "and layer 0 is what enters the first");
  for (const char* bad : {"", "1,", "-4", "x", "1 ", "3"})
    CHECK_THROWS_AS(parse_layers(bad, two_layers), std::invalid_argument);
}

TEST_CASE("a model that is saved and loaded is the same, in both layouts and with unusual choices") {
  std::vector<Config> configs = both_families();
  configs.push_back(configs[0]);
  configs.back().position = PositionKind::rotary;
  configs.back().n_kv_head = 2;
  configs.back().activation = MlpKind::swiglu;
  configs.back().mlp_bias = false;
  configs.back().dropout = 0.25;
  configs.push_back(configs[0]);
  configs.back().norm = NormKind::rms;
  configs.back().activation = MlpKind::relu_squared;
  configs.back().position = PositionKind::sinusoidal;
  configs.back().rope_base = 500.0;
  configs.back().attention_bias = false;
  configs.back().end_tokens = {28, 3};
  configs.push_back(configs[1]);
  configs.back().norm = NormKind::layer;
  configs.back().position = PositionKind::learned;
  configs.back().activation = MlpKind::gelu;
  configs.back().attention_bias = true;
  configs.back().mlp_bias = true;
  configs.back().tie = false;
  configs.back().dropout = 0.5;
  configs.push_back(configs[1]);
  configs.back().dtype = DType::f64;
  configs.back().position = PositionKind::none;
  for (const Config& config : unusual_stacks()) configs.push_back(config);
  for (const Config& config : configs) {
    const Transformer model = small_model(config);
    const TemporaryFolder folder;
    save_transformer(folder.path(), model, {{"note", "a test"}});
    const Transformer loaded = load_transformer(folder.path());
    CHECK(loaded.config() == config);
    const auto before = model.parameters();
    const auto after = loaded.parameters();
    REQUIRE(before.size() == after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      CHECK(before[i].name == after[i].name);
      CHECK(same_bits(before[i].tensor, after[i].tensor) == "");
    }
    CHECK(SafetensorsFile::open(folder / kWeightsFile).metadata().at("note") == "a test");
  }
}

TEST_CASE("files have the names and orientation of the Hugging Face library") {
  const TemporaryFolder folder;
  Transformer gpt = small_model(small_config("gpt"));
  save_transformer(folder.path(), gpt);
  {
    const SafetensorsFile file = SafetensorsFile::open(folder / kWeightsFile);
    CHECK(file.names().size() == 2 + 2 * 12 + 2);
    CHECK_FALSE(file.contains("lm_head.weight"));
    CHECK(file.info("transformer.h.1.attn.c_attn.weight").shape == Shape{24, 72});
    CHECK(file.info("transformer.h.0.mlp.c_proj.weight").shape == Shape{40, 24});
    CHECK(same_bits(file.tensor("transformer.h.1.attn.c_attn.weight"),
                    transpose(gpt.blocks[1].attention.qkv.weight)) == "");
    CHECK(same_bits(file.tensor("transformer.wte.weight"), gpt.token_embedding.weight) == "");
    const Json json = Json::parse(read_file(folder / kConfigFile), "config.json");
    CHECK(json.at("model_type").as_string() == "gpt2");
    CHECK(json.at("architectures").as_array()[0].as_string() == "GPT2LMHeadModel");
    CHECK(json.at("tie_word_embeddings").as_boolean());
    CHECK(json.find("gradus") == nullptr);
  }
  Config config = small_config("llama");
  config.tie = false;
  Transformer llama = small_model(config);
  save_transformer(folder.path(), llama);
  {
    const SafetensorsFile file = SafetensorsFile::open(folder / kWeightsFile);
    CHECK(file.info("lm_head.weight").shape == Shape{29, 24});
    CHECK(file.info("model.layers.1.self_attn.k_proj.weight").shape == Shape{12, 24});
    CHECK(same_bits(file.tensor("model.layers.1.self_attn.k_proj.weight"),
                    slice(llama.blocks[1].attention.qkv.weight, 0, 24, 36)) == "");
    CHECK(load_config(folder.path()) == config);
    CHECK(config_to_json(config).at("hidden_act").as_string() == "silu");
    CHECK(Json::parse(read_file(folder / kConfigFile), "config.json").at("model_type").as_string() ==
          "llama");
  }
  config.position = PositionKind::sinusoidal;
  CHECK(config_to_json(config).at("model_type").as_string() == "gradus_llama");
}

TEST_CASE("tensors that are missing, unexpected or of another shape are errors that name them") {
  const TemporaryFolder folder;
  const Transformer model = small_model(small_config("gpt"));
  save_transformer(folder.path(), model);
  const std::vector<NamedTensor> good = file_weights(model);
  const std::string path = folder / kWeightsFile;
  const auto load = [&] { return load_transformer(folder.path()); };

  std::vector<NamedTensor> tensors = good;
  tensors.erase(tensors.begin() + 5);
  save_safetensors(path, tensors);
  CHECK_THROWS_WITH(load(),
                    path +
                        ": must hold the tensor 'transformer.h.0.attn.c_attn.bias' of this configuration; "
                        "it does not");
  tensors = good;
  tensors.push_back({"transformer.h.2.ln_1.weight", Tensor::zeros({24})});
  save_safetensors(path, tensors);
  CHECK_THROWS_WITH(load(),
                    path +
                        ": every tensor must belong to this configuration; 'transformer.h.2.ln_1.weight' "
                        "does not");
  tensors = good;
  tensors[4].tensor = Tensor::zeros({72, 24});  // not transposed
  save_safetensors(path, tensors);
  CHECK_THROWS_WITH(load(),
                    path +
                        ": tensor 'transformer.h.0.attn.c_attn.weight' must have shape (24, 72) in this "
                        "configuration; it has (72, 24)");
  tensors = good;
  tensors.push_back({"lm_head.weight", Tensor::zeros({29, 24})});
  save_safetensors(path, tensors);
  CHECK_THROWS_WITH(load(), ContainsSubstring("'lm_head.weight' must equal 'transformer.wte.weight'"));
  tensors.back().tensor = good[0].tensor;
  save_safetensors(path, tensors);
  CHECK_NOTHROW(load());

  // As the model without its output layer is saved, in 16 bits, with the masks of old versions.
  const NoGrad quiet;
  tensors.clear();
  for (const NamedTensor& t : good) {
    tensors.push_back({t.name.substr(t.name.find('.') + 1), cast(t.tensor, DType::bf16)});
  }
  tensors.push_back({"h.0.attn.bias", Tensor::zeros({1, 1, 32, 32})});
  save_safetensors(path, tensors);
  CHECK(same_bits(load().token_embedding.weight, cast(cast(good[0].tensor, DType::bf16), DType::f32)) == "");

  // A configuration that asks for more memory than there is must not get any.
  Json json = config_to_json(model.config());
  json.set("vocab_size", int64_t{2000000000}).set("n_embd", 1000000);
  write_file_atomic(folder / kConfigFile, json.dump());
  CHECK_THROWS_WITH(load(), ContainsSubstring("must have shape (2000000000, 1000000)"));
}

TEST_CASE("inputs that a model cannot take are errors that say why") {
  const Transformer model = small_model(small_config("gpt"));
  const auto run = [&](const Tensor& ids, const Context& context) { return model.forward(ids, context); };
  CHECK_THROWS_WITH(
      run(ids_tensor(some_ids(33, 29)), Context::of_batch(1, 33)),
      "transformer: a sequence may have at most block_size tokens; sequence 0 has 33, block_size is 32; "
      "cut it into shorter ones");
  CHECK_THROWS_WITH(run(ids_tensor({1, 2}), Context::of_batch(1, 3)),
                    ContainsSubstring("as many rows as there are ids"));
  CHECK_THROWS_WITH(run(Tensor::zeros({3}), Context::of_batch(1, 3)), ContainsSubstring("ids must be i32"));
  CHECK_THROWS_WITH(run(ids_tensor({1, 29}), Context::of_batch(1, 2)),
                    ContainsSubstring("token_embedding: "));
  const NoGrad quiet;
  LayerCaches caches = model.make_caches(8), others = model.make_caches(64);
  CHECK_THROWS_WITH(run(ids_tensor({1, 2}), Context::of_caches({&caches, &caches}, {1, 1})),
                    ContainsSubstring("sequences 0 and 1 share one"));
  CHECK_THROWS_WITH(run(ids_tensor(some_ids(11, 29)), Context::of_caches({&others, &caches}, {2, 9})),
                    ContainsSubstring("that of sequence 1 holds 0 of 8 rows and 9 are new"));
  CHECK_THROWS_WITH(run(ids_tensor(some_ids(35, 29)), Context::of_caches({&caches, &others}, {2, 33})),
                    ContainsSubstring("sequence 1 has 33, block_size is 32"));
  CHECK_THROWS_WITH(
      model.hidden_states(ids_tensor({1}), Context::of_caches({&caches}, {1}), std::vector<int64_t>{1}),
      ContainsSubstring("with caches every block must run"));
  CHECK(caches[0].rows == 0);
  run(ids_tensor({1}), Context::of_caches({&caches}, {1}));
  caches[1].rows = 0;
  CHECK_THROWS_WITH(Context::of_caches({&others, &caches}, {1, 1}),
                    ContainsSubstring("those of sequence 1 hold 1 and 0"));
  caches.pop_back();
  CHECK_THROWS_WITH(run(ids_tensor({1}), Context::of_caches({&caches}, {1})),
                    ContainsSubstring("a cache for each of 2 layers; sequence 0 has 1"));
  CHECK_THROWS_WITH(Context::of_caches({&caches}, {1, 1}),
                    ContainsSubstring("each of 2 sequences must have caches"));
  CHECK_THROWS_WITH(Context::of_caches({nullptr}, {1}), ContainsSubstring("sequence 0 has none"));
}
