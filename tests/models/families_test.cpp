#include "models/transformer/families/family.hpp"

#include <cmath>

#include "models/transformer/transformer.hpp"
#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/small_training.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

// A family of nobody's: GPT-2 with initial values of its own, whose losses need not reach its final norm.
const Family& unlisted() {
  static const Family family = [] {
    Family copy = find_family("gpt");
    copy.name = "unlisted";
    copy.deviation = [](const Config&, std::string_view parameter) {
      return parameter.ends_with("mlp.up.weight") ? 0.5 : 0.25;
    };
    copy.may_lack_gradient = [](const Config&, std::string_view parameter) {
      return parameter.starts_with("final_norm.");
    };
    return copy;
  }();
  return family;
}

}  // namespace

TEST_CASE(
    "the README says of each family whether the library's last hidden state is final, and what GGUF calls "
    "it") {
  const std::string readme = read_file(GRADUS_SOURCE_DIR "/models/transformer/README.md");
  for (const Family* family : families()) {
    INFO(family->name);
    const std::string begin =
        "\n| " + std::string(family->name) + " | `" + std::string(family->model_type) + "` | ";
    const size_t at = readme.find(begin);
    REQUIRE(at != std::string::npos);
    const std::string row = readme.substr(at + 1, readme.find('\n', at + 1) - at - 1);
    std::string end = family->last_state_is_final ? " | `final` | " : " | `layer_L` | ";
    if (family->gguf) {
      end += "`" + std::string(family->gguf->architecture) +
             (family->gguf->write ? "`, both ways |" : "`, read |");
    } else {
      end += "|";
    }
    CHECK_THAT(row, Catch::Matchers::EndsWith(end));
  }
}

TEST_CASE("families are found by name and by model_type") {
  CHECK(families().front() == &default_family());
  for (const Family* family : families()) {
    CHECK(&find_family(family->name) == family);
    CHECK(family_of_type(family->model_type) == family);
    CHECK(default_config(*family).family == family);
  }
  CHECK(family_of_type("t5") == nullptr);
  CHECK_THROWS_WITH(find_family("t5"), ContainsSubstring("config: arch must be one of gpt, llama, ") &&
                                           ContainsSubstring("; it is 't5'"));
}

TEST_CASE("what a family's keys cannot say stands under gradus, and only that") {
  Config config = small_config("gpt");
  CHECK(config_to_json(config).find("gradus") == nullptr);
  config.add_special = true;
  CHECK(config_to_json(config).at("gradus").dump() == R"({"add_special":true})");
  CHECK(config_to_json(config).at("model_type").as_string() == "gpt2");  // the function is GPT-2's
  config.block = BlockKind::post_norm;
  config.causal = false;
  config.final_norm = false;
  config.activation = MlpKind::swiglu;
  CHECK(
      config_to_json(config).at("gradus").dump() ==
      R"({"activation":"swiglu","block":"post_norm","causal":false,"final_norm":false,"add_special":true})");
  CHECK(config_to_json(config).at("model_type").as_string() == "gradus_gpt2");
  config = small_config("llama");
  config.dropout = 0.5;
  config.attention_bias = config.attention_output_bias = true;  // a key of this family
  CHECK(config_to_json(config).at("gradus").dump() == R"({"dropout":0.5})");
  CHECK(config_to_json(config).at("model_type").as_string() == "llama");
  config.attention_output_bias = false;
  CHECK(config_to_json(config).at("gradus").dump() == R"({"attention_output_bias":false,"dropout":0.5})");
  CHECK(config_from_json(config_to_json(config)) == config);
  config = small_config("gpt");
  config.attention_bias = config.attention_output_bias = false;
  CHECK(config_to_json(config).at("gradus").dump() == R"({"attention_bias":false})");  // of both
  CHECK(config_from_json(config_to_json(config)) == config);
}

TEST_CASE("a model of a family's defaults is one of the library that its model_type names") {
  for (const Family* family : families()) {
    INFO(family->name);
    const Config config = small_config(family->name);
    CHECK(config_to_json(config).find("gradus") == nullptr);
    CHECK(is_standard(config));
  }
}

TEST_CASE("a family's own deviations replace the stack's") {
  Config config = small_config("gpt", 300);
  config.family = &unlisted();
  Transformer model(config);
  model.init(3);
  const auto deviation = [](const Tensor& tensor) {
    double squares = 0;
    for (const float x : tensor.to_vector<float>())
      squares += static_cast<double>(x) * static_cast<double>(x);
    return std::sqrt(squares / static_cast<double>(tensor.numel()));
  };
  CHECK(deviation(model.blocks[1].mlp.up.weight) == Approx(0.5).epsilon(0.1));
  CHECK(deviation(model.token_embedding.weight) == Approx(0.25).epsilon(0.1));
}

TEST_CASE("a parameter that the loss does not reach is no error where the family says so") {
  Config config = small_config("gpt", kVocab, 16);
  // Between backward and the update, as if the loss had passed by the final norm, whose parameters are the last two.
  const auto without = [](Gradient gradient) {
    for (size_t last : {1, 2}) gradient.tensors[gradient.tensors.size() - last] = Tensor();
    return gradient;
  };
  {
    Training training(config, few_steps(3));
    CHECK(training.model.optional_parameters().empty());
    training.trainer.set_reducer(without);
    CHECK_THROWS_WITH(training.trainer.train_step(),
                      ContainsSubstring("every parameter must have a gradient; final_norm.weight has none"));
  }
  config.family = &unlisted();
  Training training(config, few_steps(3));
  CHECK(training.model.optional_parameters() ==
        std::vector<std::string>{"final_norm.weight", "final_norm.bias"});
  training.trainer.set_reducer(without);
  const Tensor before = training.model.final_norm.weight.clone();
  const Tensor other = training.model.blocks[0].mlp_norm.weight.clone();
  training.steps(2);
  CHECK(same_bits(training.model.final_norm.weight, before) == "");
  CHECK(same_bits(training.model.blocks[0].mlp_norm.weight, other) != "");
}
