// Models and tokenizers in GGUF files: golden models as llama.cpp's conversion would write them, held to the same numbers.

#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "models/files/gguf_source.hpp"
#include "models/transformer/families/gguf_keys.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/gguf_model.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/gguf_writer.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tokenizer/formats/load.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr uint32_t kF32 = 6, kBool = 7, kArray = 9;

std::string golden(const std::string& name) { return GRADUS_SOURCE_DIR "/tests/golden/" + name; }

// What the conversion does to a tensor of so many rows and columns.
using Change = std::function<std::vector<float>(const std::vector<float>&, int64_t rows, int64_t columns)>;

// Rows (outer, a, b) become (outer, b, a).
Change swapped(int64_t outer, int64_t a) {
  return [=](const std::vector<float>& x, int64_t rows, int64_t columns) {
    const int64_t b = rows / outer / a;
    std::vector<float> y;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < b; ++j) {
        for (int64_t i = 0; i < a; ++i) {
          const auto from = x.begin() + ((o * a + i) * b + j) * columns;
          y.insert(y.end(), from, from + columns);
        }
      }
    }
    return y;
  };
}

// (heads, 3, D) become (3, heads, D).
Change by_kind(int64_t heads) {
  return [=](const std::vector<float>& x, int64_t rows, int64_t columns) {
    const int64_t width = rows / heads / 3;
    std::vector<float> y;
    for (int64_t kind = 0; kind < 3; ++kind) {
      for (int64_t head = 0; head < heads; ++head) {
        const auto from = x.begin() + (head * 3 + kind) * width * columns;
        y.insert(y.end(), from, from + width * columns);
      }
    }
    return y;
  };
}

std::vector<float> transposed(const std::vector<float>& x, int64_t rows, int64_t columns) {
  std::vector<float> y;
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) y.push_back(x[static_cast<size_t>(i * columns + j)]);
  }
  return y;
}

std::vector<float> plus_one(const std::vector<float>& x, int64_t, int64_t) {
  std::vector<float> y = x;
  for (float& value : y) value += 1;
  return y;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

using Names = std::vector<std::pair<std::string, std::string>>;

const Names kDecoderNames = {{"model.embed_tokens", "token_embd"},
                             {"model.layers.", "blk."},
                             {"model.norm", "output_norm"},
                             {"lm_head", "output"},
                             {"input_layernorm", "attn_norm"},
                             {"self_attn.q_proj", "attn_q"},
                             {"self_attn.k_proj", "attn_k"},
                             {"self_attn.v_proj", "attn_v"},
                             {"self_attn.o_proj", "attn_output"},
                             {"self_attn.q_norm", "attn_q_norm"},
                             {"self_attn.k_norm", "attn_k_norm"},
                             {"mlp.gate_proj", "ffn_gate"},
                             {"mlp.up_proj", "ffn_up"},
                             {"mlp.down_proj", "ffn_down"}};
const Names kGemmaNames = {{"pre_feedforward_layernorm", "ffn_norm"},
                           {"post_feedforward_layernorm", "post_ffw_norm"},
                           {"post_attention_layernorm", "post_attention_norm"}};
const Names kLlamaNames = {{"post_attention_layernorm", "ffn_norm"}};
const Names kGpt2Names = {
    {"transformer.", ""},    {"wte", "token_embd"},       {"wpe", "position_embd"},
    {"h.", "blk."},          {"ln_1", "attn_norm"},       {"ln_2", "ffn_norm"},
    {"ln_f", "output_norm"}, {"attn.c_attn", "attn_qkv"}, {"attn.c_proj", "attn_output"},
    {"mlp.c_fc", "ffn_up"},  {"mlp.c_proj", "ffn_down"}};
const Names kNeoxNames = {{"gpt_neox.embed_in", "token_embd"},
                          {"gpt_neox.layers.", "blk."},
                          {"gpt_neox.final_layer_norm", "output_norm"},
                          {"embed_out", "output"},
                          {"input_layernorm", "attn_norm"},
                          {"post_attention_layernorm", "ffn_norm"},
                          {"attention.query_key_value", "attn_qkv"},
                          {"attention.dense", "attn_output"},
                          {"mlp.dense_h_to_4h", "ffn_up"},
                          {"mlp.dense_4h_to_h", "ffn_down"}};
const Names kBertNames = {{"bert.", ""},
                          {"embeddings.word_embeddings", "token_embd"},
                          {"embeddings.position_embeddings", "position_embd"},
                          {"embeddings.token_type_embeddings", "token_types"},
                          {"embeddings.LayerNorm", "token_embd_norm"},
                          {"encoder.layer.", "blk."},
                          {"attention.self.query", "attn_q"},
                          {"attention.self.key", "attn_k"},
                          {"attention.self.value", "attn_v"},
                          {"attention.output.dense", "attn_output"},
                          {"attention.output.LayerNorm", "attn_output_norm"},
                          {"intermediate.dense", "ffn_up"},
                          {"output.dense", "ffn_down"},
                          {"output.LayerNorm", "layer_output_norm"}};

// A golden model as a GGUF file: the sizes of all architectures, and its tensors under their names there.
struct Conversion {
  std::string folder, architecture;
  std::vector<Names> names;
  std::function<Change(const std::string& name)> change;  // of a tensor, by its name in GGUF
  std::function<void(GgufWriter& file)> keys;             // beside the sizes

  GgufWriter file() const {
    const Config c = load_config(golden(folder));
    GgufWriter file;
    const std::string a = architecture + ".";
    file.string("general.architecture", architecture).string("general.name", folder);
    file.u32(a + "block_count", static_cast<uint32_t>(c.n_layer))
        .u32(a + "context_length", static_cast<uint32_t>(c.block_size));
    file.u32(a + "embedding_length", static_cast<uint32_t>(c.n_embd));
    file.u32(a + "feed_forward_length", static_cast<uint32_t>(c.n_ffn));
    file.u32(a + "attention.head_count", static_cast<uint32_t>(c.n_head));
    file.u32(a + "attention.head_count_kv", static_cast<uint32_t>(c.n_kv_head));
    file.u32(a + "attention.key_length", static_cast<uint32_t>(c.channels_per_head()));
    file.u32(a + "attention.value_length", static_cast<uint32_t>(c.channels_per_head()));
    file.value(
        a + (c.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"),
        kF32, le(static_cast<float>(c.norm_epsilon)));
    if (keys) keys(file);
    const SafetensorsFile weights = SafetensorsFile::open(golden(folder) + "/" + kWeightsFile);
    for (const std::string& name : weights.names()) {
      if (name.starts_with("cls.") || name.find("pooler.") != std::string::npos) continue;
      std::string own = name;
      for (const Names& list : names) {
        for (const auto& [from, to] : list) own = replaced(own, from, to);
      }
      const Tensor tensor = weights.tensor(name);
      std::vector<float> values = cast(tensor, DType::f32).to_vector<float>();
      const int64_t rows = tensor.size(0), columns = tensor.rank() > 1 ? tensor.size(1) : 1;
      std::vector<int64_t> sizes = {rows};
      if (tensor.rank() > 1) sizes = {columns, rows};
      if (const Change changed = change ? change(own) : Change()) {
        const std::vector<float> before = values;
        values = changed(values, rows, columns);
        if (tensor.rank() > 1 && architecture == "gpt2") sizes = {rows, columns};
        CHECK((values != before || rows * columns == 1));
      }
      std::string data;
      for (const float value : values) data += le(value);
      file.tensor({.name = own, .sizes = sizes, .data = data});
    }
    return file;
  }
};

std::function<Change(const std::string&)> permuted(int64_t heads, int64_t kv_heads) {
  return [=](const std::string& name) -> Change {
    if (name.find(".attn_q.") != std::string::npos) return swapped(heads, 2);
    if (name.find(".attn_k.") != std::string::npos) return swapped(kv_heads, 2);
    return {};
  };
}

Change of_gpt2(const std::string& name) {
  for (const char* matrix : {"attn_qkv.weight", "attn_output.weight", "ffn_up.weight", "ffn_down.weight"}) {
    if (name.ends_with(matrix)) return transposed;
  }
  return {};
}

void add_rope(GgufWriter& file, const std::string& a, uint32_t channels, float base) {
  file.u32(a + ".rope.dimension_count", channels).value(a + ".rope.freq_base", kF32, le(base));
}

void add_llama3(GgufWriter& file) {
  add_rope(file, "llama", 8, 50);
  // Factor 3, low 0.4, high 1.5, 10 positions, as the conversion computes it.
  std::string data;
  for (int i = 0; i < 4; ++i) {
    const double frequency = std::pow(50.0, -i / 4.0), wave = 2 * 3.141592653589793 / frequency;
    const double smooth = (10 / wave - 0.4) / (1.5 - 0.4);
    const double factor = wave < 10 / 1.5 ? 1 : wave > 10 / 0.4 ? 3 : 1 / ((1 - smooth) / 3 + smooth);
    data += le(static_cast<float>(factor));
  }
  file.tensor({.name = "rope_freqs.weight", .sizes = {4}, .data = data});
}

std::vector<Conversion> conversions() {
  return {
      {"llama",
       "llama",
       {kDecoderNames, kLlamaNames},
       permuted(4, 2),
       [](GgufWriter& file) { add_rope(file, "llama", 4, 10000); }},
      {"llama_biases",
       "llama",
       {kDecoderNames, kLlamaNames},
       [](const std::string& name) {
         const Config c = load_config(golden("llama_biases"));
         return permuted(c.n_head, c.n_kv_head)(name);
       },
       [](GgufWriter& file) {
         const Config c = load_config(golden("llama_biases"));
         add_rope(file, "llama", static_cast<uint32_t>(c.channels_per_head()),
                  static_cast<float>(c.rope_base));
       }},
      {"llama_llama3", "llama", {kDecoderNames, kLlamaNames}, permuted(3, 3), add_llama3},
      {"mistral",
       "llama",
       {kDecoderNames, kLlamaNames},
       permuted(4, 2),
       [](GgufWriter& file) { file.u32("llama.attention.sliding_window", 4); }},
      {"qwen3",
       "qwen3",
       {kDecoderNames, kLlamaNames},
       {},
       [](GgufWriter& file) { file.value("qwen3.rope.freq_base", kF32, le(10000.0F)); }},
      {"gemma3_text",
       "gemma3",
       {kDecoderNames, kGemmaNames},
       [](const std::string& name) { return name.ends_with("norm.weight") ? Change(plus_one) : Change(); },
       [](GgufWriter& file) {
         file.value("gemma3.rope.freq_base", kF32, le(900.0F))
             .value("gemma3.rope.freq_base_swa", kF32, le(30.0F));
         file.string("gemma3.rope.scaling.type", "linear")
             .value("gemma3.rope.scaling.factor", kF32, le(2.0F));
         file.u32("gemma3.attention.sliding_window", 4).u32("gemma3.attention.sliding_window_pattern", 2);
         file.value("gemma3.attention.scale", kF32, le(1.0F / 3));
       }},
      {"gpt2", "gpt2", {kGpt2Names}, of_gpt2, {}},
      {"gpt_neox",
       "gptneox",
       {kNeoxNames},
       [](const std::string& name) {
         return name.find("attn_qkv") != std::string::npos ? by_kind(3) : Change();
       },
       [](GgufWriter& file) {
         add_rope(file, "gptneox", 4, 200);
         file.value("gptneox.use_parallel_residual", kBool, "\1");
       }},
      {"bert",
       "bert",
       {kBertNames},
       {},
       [](GgufWriter& file) {
         file.value("bert.attention.causal", kBool, std::string(1, '\0')).u32("bert.pooling_type", 1);
       }},
  };
}

// The largest |a - b| / rms(b).
double difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.numel() == b.numel());
  const std::vector<double> x = cast(a.detach(), DType::f64).to_vector<double>();
  const std::vector<double> y = b.to_vector<double>();
  double largest = 0, squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!(std::fabs(x[i] - y[i]) <= largest)) largest = std::fabs(x[i] - y[i]);
    squares += y[i] * y[i];
  }
  return largest / std::sqrt(squares / static_cast<double>(y.size()));
}

// The vocabulary of a tokenizer as the conversion writes it.
void add_tokens(GgufWriter& file, const std::string& model, const std::vector<std::string>& tokens,
                const std::vector<int32_t>& types) {
  std::string texts, numbers;
  for (const std::string& token : tokens) texts += GgufWriter::text(token);
  for (const int32_t type : types) numbers += le(type);
  file.string("tokenizer.ggml.model", model);
  file.value("tokenizer.ggml.tokens", kArray, GgufWriter::array(8, tokens.size(), texts));
  file.value("tokenizer.ggml.token_type", kArray, GgufWriter::array(5, types.size(), numbers));
}

GgufWriter byte_level_file(const Tokenizer& tokenizer, const std::string& rule) {
  GgufWriter file;
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    tokens.push_back(tokenizer.token_text(id));
    types.push_back(tokenizer.is_special(id) ? 3 : 1);
  }
  add_tokens(file, "gpt2", tokens, types);
  std::string merges;
  uint64_t count = 0;
  const Json json = Json::parse(tokenizer.to_json(), "t");
  for (const Json& merge : json.at("model").at("merges").as_array()) {
    const std::string pair = merge.kind() == Json::Kind::string
                                 ? merge.as_string()
                                 : merge.as_array()[0].as_string() + " " + merge.as_array()[1].as_string();
    merges += GgufWriter::text(pair);
    ++count;
  }
  file.value("tokenizer.ggml.merges", kArray, GgufWriter::array(8, count, merges));
  file.string("tokenizer.ggml.pre", rule);
  return file;
}

Tokenizer tokenizer_in(const GgufWriter& writer) {
  const std::string bytes = writer.bytes();
  const auto found = tokenizer_from_gguf(GgufFile::parse(bytes, "t.gguf"));
  REQUIRE(found.has_value());
  return found->tokenizer;
}

const std::vector<std::string> kTexts = {
    "the king and the queen",      "  two  spaces\n\nand lines ",       "1234 and 5,678.9",
    "I'll say it's <|endoftext|>", "na\u00efve caf\u00e9 \u65e5\u672c", ""};

}  // namespace

TEST_CASE("Models of each architecture in GGUF files have the numbers of the transformers library") {
  const TemporaryFolder folder;
  for (const Conversion& conversion : conversions()) {
    INFO(conversion.folder);
    const std::string path = folder / (conversion.folder + ".gguf");
    write_quickly(path, conversion.file().bytes());
    const SafetensorsFile expected = SafetensorsFile::open(golden(conversion.folder) + "/golden.safetensors");
    const int64_t batch = expected.info("ids").shape[0], time = expected.info("ids").shape[1];
    Context context = Context::of_batch(batch, time);
    if (expected.contains("segments"))
      context.segments = reshape(expected.tensor("segments"), {batch * time});
    const Transformer model = load_transformer(path);
    const Config& config = model.config();
    const Tensor last = model.forward(reshape(expected.tensor("ids"), {batch * time}), context);
    CHECK(difference(last, expected.tensor(layer_name(config.last_layer(), config.n_layer))) <= 2e-5);
    if (config.head != HeadKind::none)
      CHECK(difference(model.logits(last), expected.tensor("logits")) <= 2e-5);
  }
}

TEST_CASE("A GGUF file says the configuration that the model's folder says") {
  for (const Conversion& conversion : conversions()) {
    INFO(conversion.folder);
    const std::string bytes = conversion.file().bytes();
    const Config found = config_from_gguf(GgufFile::parse(bytes, "m.gguf"));
    Config expected = load_config(golden(conversion.folder));
    expected.end_tokens.clear();
    expected.dropout = 0;
    expected.dtype = DType::f32;
    // What the file cannot say, or says otherwise.
    if (conversion.architecture == "bert") {
      expected.head = HeadKind::none;
      expected.pooler = false;
    }
    if (conversion.architecture == "gemma3") {
      expected.norm_offset = false;
      CHECK(std::fabs(found.attention_scale - expected.attention_scale) < 1e-7);
      expected.attention_scale = found.attention_scale;
    }
    if (conversion.folder == "llama_llama3") expected.rope_scaling = found.rope_scaling;
    CHECK(found == expected);
  }
}

TEST_CASE("The factors of rotary frequencies become the scaling that they were made by") {
  RopeScaling scaling;
  scaling.kind = RopeScalingKind::llama3;
  const auto again = [&](int64_t rotated, double base) {
    const std::vector<double> plain = rotary_frequencies(rotated, base, {});
    const std::vector<double> scaled = rotary_frequencies(rotated, base, scaling);
    std::vector<double> factors;
    for (size_t i = 0; i < plain.size(); ++i)
      factors.push_back(static_cast<double>(static_cast<float>(plain[i] / scaled[i])));
    return llama3_scaling(factors, rotated, base, "m.gguf");
  };
  scaling.factor = 32;
  scaling.original_positions = 8192;
  CHECK(again(64, 500000) == scaling);
  scaling.low_freq_factor = 2;
  scaling.high_freq_factor = 5.5;
  CHECK(again(128, 500000) == scaling);
  scaling.original_positions = 4096;
  const RopeScaling other = again(64, 10000);
  CHECK(std::fabs(other.low_freq_factor - 4) < 1e-4);
  CHECK(std::fabs(other.high_freq_factor - 11) < 1e-4);
  CHECK(llama3_scaling({1, 1}, 4, 10000, "m.gguf") == RopeScaling());
  CHECK_THROWS_WITH(llama3_scaling({1, 3, 2, 5}, 8, 10000, "m.gguf"),
                    ContainsSubstring("must be those of the scaling llama3"));
  CHECK_THROWS_WITH(llama3_scaling({1, 3}, 8, 10000, "m.gguf"),
                    ContainsSubstring("a factor for every two of 8"));
}

TEST_CASE("What a GGUF file says that would change the result and is not known is refused by name") {
  const Conversion llama = conversions().front();
  const auto refusal = [&](const std::function<void(GgufWriter&)>& more) {
    GgufWriter file = llama.file();
    more(file);
    const std::string bytes = file.bytes();
    return error_of([&] { config_from_gguf(GgufFile::parse(bytes, "m.gguf")); });
  };
  CHECK(refusal([](GgufWriter& file) { file.string("general.license", "mit"); }) == "no error");
  CHECK(refusal([](GgufWriter& file) { file.u32("llama.expert_count", 0); }) == "no error");
  CHECK_THAT(refusal([](GgufWriter& file) { file.u32("llama.expert_count", 8); }),
             ContainsSubstring("llama.expert_count must be 0; it is 8"));
  CHECK_THAT(refusal([](GgufWriter& file) { file.u32("llama.attention.q_lora_rank", 8); }),
             ContainsSubstring("'llama.attention.q_lora_rank' is not"));
  CHECK_THAT(refusal([](GgufWriter& file) { file.u32("adapter.lora.alpha", 8); }),
             ContainsSubstring("'adapter.lora.alpha' is not"));
  CHECK_THAT(refusal([](GgufWriter& file) { file.string("general.type", "mmproj"); }),
             ContainsSubstring("general.type must be model; it is 'mmproj'"));
  CHECK_THAT(refusal([](GgufWriter& file) { file.string("llama.rope.scaling.type", "longrope"); }),
             ContainsSubstring("must be none, linear or yarn; it is 'longrope'"));
  GgufWriter other;
  other.string("general.architecture", "mamba");
  const std::string bytes = other.bytes();
  CHECK_THROWS_WITH(
      config_from_gguf(GgufFile::parse(bytes, "m.gguf")),
      ContainsSubstring("must be one of gpt2, llama, gptneox, qwen2, qwen3, gemma3, bert; it is 'mamba'"));
}

TEST_CASE("More layers than a GGUF file has tensors for are refused before memory is taken") {
  GgufWriter file;
  file.string("general.architecture", "llama");
  for (const char* key :
       {"context_length", "embedding_length", "feed_forward_length", "attention.head_count"})
    file.u32(std::string("llama.") + key, 4);
  file.u32("llama.block_count", 4000000000U);
  file.tensor({.name = "token_embd.weight", .sizes = {4, 4}, .data = std::string(64, '\0')});
  const std::string bytes = file.bytes();
  CHECK_THROWS_WITH(config_from_gguf(GgufFile::parse(bytes, "m.gguf")),
                    ContainsSubstring("there is no tensor 'blk.3999999999.ffn_down.weight'"));
}

TEST_CASE("A byte-level BPE in a GGUF file gives the ids of the tokenizer that was put in") {
  const std::string text = "the king and the queen said that the king is the king and 1234 more";
  const Tokenizer tokenizer = Tokenizer::train_bpe(std::vector<std::string_view>{text, text}, 300);
  const Tokenizer found = tokenizer_in(byte_level_file(tokenizer, "gpt-2"));
  for (const std::string& one : kTexts) {
    INFO(one);
    CHECK(found.encode(one) == tokenizer.encode(one));
    CHECK(found.encode(one, {.special_tokens = true}) == tokenizer.encode(one, {.special_tokens = true}));
    CHECK(found.decode(found.encode(one)) == one);
  }
  // Digits apart, as SmolLM has them.
  const Tokenizer apart = tokenizer_in(byte_level_file(tokenizer, "smollm"));
  CHECK(apart.encode("1234").size() == 4);
  // Around a text stands what the file says.
  GgufWriter file = byte_level_file(tokenizer, "gpt-2");
  file.u32("tokenizer.ggml.bos_token_id", 70).u32("tokenizer.ggml.eos_token_id", 71);
  file.value("tokenizer.ggml.add_bos_token", kBool, "\1").value("tokenizer.ggml.add_eos_token", kBool, "\1");
  const std::vector<int32_t> ids = tokenizer_in(file).encode("the", {.add_special = true});
  CHECK(ids.front() == 70);
  CHECK(ids.back() == 71);
}

TEST_CASE("A tokenizer that a GGUF file names and nobody knows is refused by name") {
  const Tokenizer tokenizer = Tokenizer::train_bpe(std::vector<std::string_view>{"ab ab"}, 260);
  const auto refusal = [&](const GgufWriter& file) {
    const std::string bytes = file.bytes();
    return error_of([&] { tokenizer_from_gguf(GgufFile::parse(bytes, "m.gguf")); });
  };
  CHECK_THAT(refusal(byte_level_file(tokenizer, "bloom")),
             ContainsSubstring("it is 'bloom'; give the model's own with --tokenizer"));
  GgufWriter odd = byte_level_file(tokenizer, "gpt-2");
  odd.u32("tokenizer.ggml.dropout", 1);
  CHECK_THAT(refusal(odd), ContainsSubstring("'tokenizer.ggml.dropout' is not"));
  GgufWriter outside = byte_level_file(tokenizer, "gpt-2");
  outside.u32("tokenizer.ggml.bos_token_id", 5000).value("tokenizer.ggml.add_bos_token", kBool, "\1");
  CHECK_THAT(refusal(outside), ContainsSubstring("bos_token_id must be the id of one of"));
  GgufWriter rwkv;
  rwkv.string("tokenizer.ggml.model", "rwkv");
  CHECK_THAT(refusal(rwkv), ContainsSubstring("must be gpt2, llama or bert; it is 'rwkv'"));
  GgufWriter twice;
  add_tokens(twice, "bert", {"[UNK]", "a", "a"}, {2, 1, 1});
  CHECK_THAT(refusal(twice), ContainsSubstring("has the ids 1 and 2"));
  GgufWriter none;
  none.string("tokenizer.ggml.model", "none");
  const std::string bytes = none.bytes();
  CHECK(!tokenizer_from_gguf(GgufFile::parse(bytes, "m.gguf")).has_value());
}

TEST_CASE("A SentencePiece model in a GGUF file cuts as its scores say, with bytes for the rest") {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  std::vector<float> scores = {0, 0, 0};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
    tokens.push_back(text);
    types.push_back(6);
    scores.push_back(0);
  }
  for (const char* piece : {"\u2581a", "ab", "\u2581ab", "\u2581", "a", "b"}) {
    tokens.push_back(piece);
    types.push_back(1);
    scores.push_back(-static_cast<float>(tokens.size()));
  }
  GgufWriter file;
  add_tokens(file, "llama", tokens, types);
  std::string numbers;
  for (const float score : scores) numbers += le(score);
  file.value("tokenizer.ggml.scores", kArray, GgufWriter::array(6, scores.size(), numbers));
  const Tokenizer found = tokenizer_in(file);
  CHECK(found.encode("a", {.add_special = true}) == std::vector<int32_t>{1, 259});
  // "▁a" has a better score than "ab", but then "▁a" + "b" joins.
  CHECK(found.encode("ab b") == std::vector<int32_t>{261, 262, 264});
  CHECK(found.encode("\n") == std::vector<int32_t>{262, 3 + 10});
  CHECK(found.decode(found.encode("ab b")) == "ab b");
  // As the Hugging Face library has such models: a lone mark of a space stands for the first character, special tokens are
  // found in texts where that is asked for, and the unknown token is decoded as it is written.
  CHECK(found.encode_spans("b").front() == TokenSpan{262, 0, 1});
  CHECK(found.encode("b</s>", {.special_tokens = true}) == std::vector<int32_t>{262, 264, 2});
  CHECK(found.encode("b</s>").size() > 3);
  CHECK(found.decode(std::vector<int32_t>{261, 0}) == "ab<unk>");
}

TEST_CASE(
    "A BERT's tokenizer in a GGUF file gives the ids of its vocab.txt, and says what the file does not") {
  const std::vector<std::string> plain = {"[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
                                          "play",  "##ing",     "the",   "!",     "##s"};
  std::vector<std::string> converted;
  std::vector<int32_t> types;
  for (const std::string& token : plain) {
    const bool control = token.front() == '[' && token != "[unused0]";
    types.push_back(control ? 3 : 1);
    converted.push_back(control ? token : token.starts_with("##") ? token.substr(2) : "\u2581" + token);
  }
  GgufWriter file;
  add_tokens(file, "bert", converted, types);
  file.u32("tokenizer.ggml.bos_token_id", 3).u32("tokenizer.ggml.seperator_token_id", 4);
  const std::string bytes = file.bytes();
  const auto found = tokenizer_from_gguf(GgufFile::parse(bytes, "m.gguf"));
  REQUIRE(found.has_value());
  const Tokenizer expected(parts_of_vocab_txt(plain, "vocab.txt"));
  for (const char* text : {"the playing!", "Plays \u00e9", "[MASK] unknown"}) {
    CHECK(found->tokenizer.encode(text, {.add_special = true}) ==
          expected.encode(text, {.add_special = true}));
  }
  CHECK(found->tokenizer.token_text(1) == "[unused0]");
  CHECK_THAT(found->note, ContainsSubstring("does not say whether texts are lower-cased"));
  // A file of later programs does say it.
  file.value("tokenizer.ggml.normalizer.lowercase", kBool, std::string(1, '\0'));
  const std::string said = file.bytes();
  const auto cased = tokenizer_from_gguf(GgufFile::parse(said, "m.gguf"));
  CHECK(cased->note.empty());
  CHECK(cased->tokenizer.encode("The") == std::vector<int32_t>{2});
}

TEST_CASE(
    "A GGUF file stands in the place of a model's folder, and a tokenizer that is given wins over its own") {
  const TemporaryFolder folder;
  const std::string path = folder / "m.gguf";
  GgufWriter file = conversions().front().file();
  file.string("tokenizer.ggml.model", "rwkv").string("tokenizer.chat_template", "{{ x }}");
  write_quickly(path, file.bytes());
  CHECK_THROWS_WITH(load_language_model(path), ContainsSubstring("it is 'rwkv'"));
  std::string alphabet;
  for (int i = 0; i < 61; ++i) alphabet += static_cast<char>('A' + i);
  Tokenizer::train_char(alphabet).save(folder / "t.json");
  const LanguageModel loaded = load_language_model(path, true, folder / "t.json");
  CHECK(loaded.tokenizer.vocab_size() == 61);
  CHECK(loaded.add_special);
  CHECK(weights_files(path) == std::vector<std::string>{path});
  CHECK(model_sha256(path).size() == 64);
  check_unchanged(loaded);
  write_quickly(path, file.bytes() + std::string(32, '\0'));
  CHECK_THROWS_WITH(check_unchanged(loaded), ContainsSubstring("must stay as it is"));
}
