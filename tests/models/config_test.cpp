#include "models/transformer/config.hpp"

#include "models/transformer/transformer.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_model.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("configurations of published models are read") {
  const Json gpt2 = Json::parse(R"({"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
    "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null, "summary_first_dropout": 0.1,
    "summary_proj_to_labels": true, "summary_type": "cls_index", "summary_use_proj": true,
    "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}, "vocab_size": 50257})",
                                "gpt2.json");
  Config expected = make_config("gpt", find_preset("gpt2"), 50257);
  expected.dropout = 0.1;
  expected.end_tokens = {50256};
  CHECK(config_from_json(gpt2) == expected);

  const Json llama =
      Json::parse(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 1,
    "eos_token_id": [2, 3], "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.04, "intermediate_size": 1536,
    "is_llama_config": true, "max_position_embeddings": 2048, "mlp_bias": false, "model_type": "llama",
    "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1,
    "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
    "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers_version": "4.42.3", "use_cache": true,
    "vocab_size": 49152})",
                  "llama.json");
  const Config config = config_from_json(llama);
  CHECK(config.n_kv_head == 3);
  CHECK(config.rope_base == 100000);
  CHECK(config.end_tokens == std::vector<int64_t>{2, 3});
  CHECK(config.tie);
  CHECK(parameter_count(config) == 134515008);
}

TEST_CASE("config.json has the same bytes as ever") {
  Config config = small_config("gpt");
  config.position = PositionKind::rotary;
  config.dropout = 0.25;
  config.end_tokens = {28};
  config.add_special = false;
  CHECK(config_to_json(config).dump() ==
        R"({"architectures":["GPT2LMHeadModel"],"model_type":"gradus_gpt2","vocab_size":29,"n_positions":32,)"
        R"("n_embd":24,"n_layer":2,"n_head":4,"n_inner":40,"activation_function":"gelu_new",)"
        R"("layer_norm_epsilon":1e-05,"resid_pdrop":0.25,"embd_pdrop":0.25,"attn_pdrop":0.0,)"
        R"("initializer_range":0.02,"tie_word_embeddings":true,"bos_token_id":28,"eos_token_id":28,)"
        R"("torch_dtype":"float32","gradus":{"position":"rotary","add_special":false}})");
  config = small_config("llama");
  config.dropout = 0.25;
  config.end_tokens = {28, 3};
  CHECK(config_to_json(config).dump() ==
        R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":29,)"
        R"("max_position_embeddings":32,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,)"
        R"("num_attention_heads":4,"num_key_value_heads":2,"head_dim":6,"rms_norm_eps":1e-05,)"
        R"("rope_theta":10000.0,"attention_bias":false,"mlp_bias":false,"hidden_act":"silu",)"
        R"("initializer_range":0.02,"tie_word_embeddings":true,"bos_token_id":28,"eos_token_id":[28,3],)"
        R"("torch_dtype":"float32","gradus":{"dropout":0.25}})");
}

TEST_CASE("a key of config.json that may change the model is refused") {
  const auto refused = [](std::string_view arch, const char* key, Json value, const std::string& text) {
    Json json = config_to_json(small_config(arch));
    json.set(key, std::move(value));
    CHECK_THROWS_WITH(config_from_json(Json::parse(json.dump(), "config.json")), ContainsSubstring(text));
  };
  refused(
      "llama", "sliding_window", 64,
      "config.json: $.sliding_window: every key must be known, for it may change what the model computes");
  refused("llama", "rope_scaling", Json::object().set("type", "dynamic"),
          "$.rope_scaling: rotary positions must be default, linear, llama3 or yarn; they are 'dynamic'");
  refused("llama", "rope_scaling", Json::object().set("type", "linear"),
          "$.rope_scaling: must have the key \"factor\"");
  refused("llama", "rope_scaling", Json::object().set("type", "linear").set("factor", 0.0),
          "factor must be positive");
  refused("llama", "rope_scaling", Json::object().set("type", "linear").set("factor", 2).set("beta_fast", 3),
          "$.rope_scaling.beta_fast: every key must be known");
  refused("llama", "rope_scaling", Json::object().set("type", "linear").set("rope_type", "yarn"),
          "$.rope_scaling.type: must equal rope_type");
  refused("llama", "rope_parameters", Json::object().set("rope_theta", 500.0),
          "$.rope_parameters: rope_theta must equal rope_theta, 10000; it is 500");
  refused("llama", "partial_rotary_factor", 0.5, "$.partial_rotary_factor: must be 1; it is 0.5");
  refused("llama", "num_key_value_heads", 0, "$.num_key_value_heads: must be at least 1; it is 0");
  refused("llama", "hidden_act", "gelu_new", "$.hidden_act: must be silu");
  refused("llama", "head_dim", 5, "rotary positions need an even head width; it is 5");
  refused("gpt", "model_type", "t5", "; it is 't5'; models of this type are not supported");
  refused("gpt", "is_decoder", true, "$.is_decoder: must be false");
  refused("gemma3", "attn_logit_softcapping", 30.0, "$.attn_logit_softcapping: must be null");
  refused("bert", "position_embedding_type", "relative_key", "$.position_embedding_type: must be absolute");
  refused("modernbert", "layer_types", Json::array({"full_attention"}),
          "$.layer_types: must name the kind of each of 2 layers; it names 1");
  refused("gpt", "scale_attn_by_inverse_layer_idx", true, "must be false; it is not");
  refused("gpt", "activation_function", "quick_gelu", "must be one of gelu_new");
  refused("gpt", "embd_pdrop", 0.5, "$.embd_pdrop: must equal resid_pdrop, 0, as there is one dropout here");
  refused("gpt", "n_head", 5, "n_embd must be a multiple of n_head");
  refused("gpt", "n_ctx", 31, "$.n_ctx: must be 32; it is 31");
  refused("gpt", "gradus", Json::object().set("alibi", true), "$.gradus.alibi: every key must be known");
  refused("gpt", "gradus", Json::object().set("position", "alibi"),
          "position must be one of none, learned, sinusoidal, rotary; it is 'alibi'");
  refused("gpt", "torch_dtype", "int8", "$.torch_dtype: must be float32");
}

TEST_CASE("a configuration that no model can have is an error that says why") {
  const auto refused = [](auto change, const std::string& text) {
    Config config = small_config("llama");
    change(config);
    CHECK_THROWS_WITH(config.validate(), text);
    CHECK_THROWS_AS(Transformer(config), std::invalid_argument);
  };
  refused([](Config& c) { c.n_head = 5; },
          "config: n_embd must be a multiple of n_head; n_embd is 24, n_head is 5; each head takes n_embd / "
          "n_head "
          "channels");
  refused([](Config& c) { c.n_kv_head = 3; },
          "config: n_head must be a multiple of n_kv_head; n_head is 4, n_kv_head is 3; each key/value head "
          "serves "
          "n_head / n_kv_head query heads");
  refused([](Config& c) { c.n_kv_head = 8; }, "config: n_kv_head must be in [1, 4]; it is 8");
  refused([](Config& c) { c.n_head = c.n_kv_head = 8; },
          "config: rotary positions need an even head width; n_embd / n_head is 3; choose another n_embd or "
          "n_head");
  refused([](Config& c) { c.vocab_size = 0; }, "config: vocab_size must be in [1, 2147483647]; it is 0");
  refused([](Config& c) { c.block_size = 0; }, "config: block_size must be in [1, 1048576]; it is 0");
  refused([](Config& c) { c.n_layer = 0; }, "config: n_layer must be in [1, 100000]; it is 0");
  refused([](Config& c) { c.n_embd = -24; }, "config: n_embd must be in [1, 2147483647]; it is -24");
  refused([](Config& c) { c.family = nullptr; },
          "config: a family must be given; none is; begin with default_config(\"gpt\") or another");
  refused([](Config& c) { c.dropout = 1; }, "config: dropout must be in [0, 1); it is 1");
  refused([](Config& c) { c.norm_epsilon = 0; }, "config: norm_epsilon must be in (0, 1); it is 0");
  refused([](Config& c) { c.rope_base = 1; }, "config: rope_base must be in (1, 1e15); it is 1");
  refused(
      [](Config& c) {
        c.end_tokens = {3, 29};
      },
      "config: end_tokens must be ids below vocab_size 29; one is 29");
  refused([](Config& c) { c.dtype = DType::bf16; }, "config: dtype must be f32 or f64; it is bf16");
  refused(
      [](Config& c) {
        c.vocab_size = 2147483647;
        c.n_embd = 2147483640;
        c.n_ffn = 2147483647;
        c.n_layer = 100000;
      },
      "config: the number of parameters must fit in 63 bits; choose a smaller vocab_size, n_embd, n_ffn or "
      "n_layer");
  CHECK_THROWS_WITH(find_preset("tiny"),
                    "config: preset must be one of nano, micro, small, gpt2; it is 'tiny'");
  CHECK_THROWS_WITH(default_config("t5"), ContainsSubstring("config: arch must be one of gpt, llama, "));
  CHECK_THROWS_WITH(parse_activation("swish"),
                    ContainsSubstring("activation must be one of gelu, gelu_tanh"));
}
