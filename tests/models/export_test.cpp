// What is written for other programs, read back: golden models as GGUF files and folders, and what is refused.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "models/files/block_types.hpp"
#include "models/files/gguf_file.hpp"
#include "models/files/gguf_writer.hpp"
#include "models/transformer/export.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"
#include "tokenizer/training/train.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string golden(const std::string& name) { return GRADUS_SOURCE_DIR "/tests/golden/" + name; }

Tensor last_layer(const Transformer& model) {
  const int64_t time = std::min<int64_t>(model.config().block_size, 11);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < time; ++i)
    ids.push_back(static_cast<int32_t>((i * 7 + 2) % model.config().vocab_size));
  const NoGrad no_grad_here;
  return cast(model.forward(ids_tensor(ids), Context::of_batch(1, time)), DType::f32);
}

ExportReport convert(const std::string& model, const std::string& out, ExportFormat format,
                     ExportType type = ExportType::f32) {
  return export_model(load_language_model(model, false), out, {.format = format, .type = type});
}

std::string refusal(const std::string& name, const std::string& out, ExportFormat format = ExportFormat::gguf,
                    ExportType type = ExportType::f32) {
  return error_of<std::invalid_argument>([&] { convert(golden(name), out, format, type); });
}

// The formula of Q8_0 in double, for one block: what each value becomes.
std::vector<double> q8_0_in_double(const std::vector<float>& x) {
  double largest = 0;
  for (const float value : x) largest = std::max(largest, std::fabs(double{value}));
  const auto d = static_cast<float>(largest / 127);
  const double stored = cast(cast(Tensor::from(std::span<const float>(&d, 1), {1}), DType::f16), DType::f64)
                            .to_vector<double>()[0];
  std::vector<double> y;
  for (const float value : x) {
    const double q = d == 0 ? 0 : double{value} / double{d};
    y.push_back(stored * (q < 0 ? std::ceil(q - 0.5) : std::floor(q + 0.5)));
  }
  return y;
}

}  // namespace

TEST_CASE("A model written as a GGUF file and read back has the same bits") {
  const TemporaryFolder folder;
  for (const char* name : {"gpt2", "gpt_neox", "llama", "llama_linear", "mistral", "qwen3", "bert"}) {
    INFO(name);
    const std::string path = folder / (std::string(name) + ".gguf");
    const ExportReport report = convert(golden(name), path, ExportFormat::gguf);
    CHECK(report.hidden_state == 0);
    CHECK(report.files == std::vector<std::string>{std::string(name) + ".gguf"});
    CHECK(same_bits(last_layer(load_transformer(golden(name))), last_layer(load_transformer(path))) == "");
  }
  // Angles from factors in f32, and a model in f64, differ in the last digits.
  for (const char* name : {"llama_llama3", "llama_biases"}) {
    INFO(name);
    const ExportReport report =
        convert(golden(name), folder / (std::string(name) + ".gguf"), ExportFormat::gguf);
    CHECK(report.hidden_state <= 2e-6);
  }
}

TEST_CASE("A model of a family that shares its architecture with another is written as what it computes") {
  const TemporaryFolder folder;
  LanguageModel loaded = load_language_model(golden("mistral"), false);
  Config config = loaded.model.config();
  REQUIRE_FALSE(config.windows.empty());
  config.windows.clear();  // then nothing tells it from a Llama
  Transformer whole(config);
  whole.init(3);
  loaded.model = whole;
  export_model(loaded, folder / "m.gguf", {.format = ExportFormat::gguf});
  CHECK(same_bits(last_layer(whole), last_layer(load_transformer(folder / "m.gguf"))) == "");
}

TEST_CASE("A GGUF file in fewer bits has each weight rounded, and norms and biases as they were") {
  const TemporaryFolder folder;
  const Transformer model = load_transformer(golden("gpt2"));
  for (const auto& [type, dtype] :
       {std::pair(ExportType::f16, DType::f16), {ExportType::bf16, DType::bf16}}) {
    const std::string path = folder / (dtype == DType::f16 ? "h.gguf" : "b.gguf");
    convert(golden("gpt2"), path, ExportFormat::gguf, type);
    const Transformer written = load_transformer(path);
    const auto before = model.parameters(), after = written.parameters();
    REQUIRE(before.size() == after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      INFO(before[i].name);
      const bool rounded = before[i].tensor.rank() > 1 && before[i].name != "position_embedding.weight";
      const Tensor expected =
          rounded ? cast(cast(before[i].tensor, dtype), DType::f32) : before[i].tensor.detach();
      CHECK(same_bits(expected, after[i].tensor.detach()) == "");
    }
  }
  const ExportReport report =
      convert(golden("gpt2"), folder / "q.gguf", ExportFormat::gguf, ExportType::q8_0);
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes[0], ContainsSubstring("tensors are F16, as their rows are no whole blocks of 32"));
}

TEST_CASE("Blocks of Q8_0 are those of the formula") {
  std::vector<float> x = random_tensor({32 * 40}, 5).to_vector<float>();
  for (size_t i = 0; i < x.size(); ++i) x[i] *= std::pow(10.0F, static_cast<float>(i / 32 % 9) - 5);
  std::fill(x.begin(), x.begin() + 32, 0.0F);
  for (size_t i = 0; i < 32; ++i) x[32 + i] = static_cast<float>(i) * 0.5F - 8;  // with halves to round
  x[32 + 31] = 63.5F;
  const BlockType& type = block_type("Q8_0");
  const std::vector<std::byte> bytes = quantise(type, Tensor::from(std::span<const float>(x), {8, 160}));
  REQUIRE(bytes.size() == 40 * 34);
  const std::vector<float> y = dequantise(type, bytes.data(), {8, 160}).to_vector<float>();
  for (size_t block = 0; block < 40; ++block) {
    const std::vector<float> one(x.begin() + static_cast<std::ptrdiff_t>(32 * block),
                                 x.begin() + static_cast<std::ptrdiff_t>(32 * (block + 1)));
    const std::vector<double> expected = q8_0_in_double(one);
    double largest = 0;
    for (const double value : expected) largest = std::max(largest, std::fabs(value));
    for (size_t i = 0; i < 32; ++i) {
      INFO(block << ", " << i);
      // The product x · (1/d) in f32 may fall on the other side of a half.
      const double apart = std::fabs(double{y[32 * block + i]} - expected[i]);
      const double q = largest == 0 ? 0 : double{one[i]} * 127 / largest;
      const bool near_half = std::fabs(std::fabs(q - std::floor(q)) - 0.5) < 2e-3;
      CHECK((apart <= 1e-7 * largest || (near_half && apart <= 1.001 * largest / 127)));
    }
  }
  CHECK(y[32 + 31] == 63.5F);
  CHECK_THROWS_WITH(quantise(type, Tensor::zeros({2, 33})), ContainsSubstring("whole blocks of 32"));
  CHECK_THROWS_WITH(quantise(block_type("Q4_K"), Tensor::zeros({256})), ContainsSubstring("it is Q4_K"));
}

TEST_CASE("What a GGUF file cannot say is refused, and the file that stood there stays") {
  const TemporaryFolder folder;
  const std::string path = folder / "model.gguf";
  write_file_atomic(path, "mine");
  CHECK_THAT(refusal("qwen2", path),
             ContainsSubstring("of the architecture qwen2 cannot say what this model is: "
                               "use_sliding_window is true, and would be false"));
  CHECK_THAT(refusal("bert_2", path), ContainsSubstring("hidden_act is \"relu\", and would be \"gelu\""));
  CHECK_THAT(refusal("llama_yarn", path), ContainsSubstring("\"mscale\":1.5"));
  CHECK_THAT(refusal("gpt2_untied", path), ContainsSubstring("activation_function is \"gelu\""));
  for (const char* name : {"gemma3_text", "modernbert", "roberta", "distilbert", "xlm_roberta"})
    CHECK_THAT(refusal(name, path),
               ContainsSubstring("GGUF files can be written of the families gpt, llama"));
  CHECK(read_file(path) == "mine");
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) entries += entry.exists();
  CHECK(entries == 1);
}

TEST_CASE("What of a folder of sentences a GGUF file leaves out is told") {
  const TemporaryFolder folder;
  SentenceFolder sentences;
  sentences.width = 15;
  sentences.max_tokens = 7;
  sentences.prompts = {{"query", "find: "}};
  sentences.steps = {std::nullopt};
  sentences.pooling = {Pooling::cls, Pooling::max};
  const ExportReport report = export_model(load_language_model(golden("bert"), false), folder / "m.gguf",
                                           {.format = ExportFormat::gguf, .sentences = &sentences});
  std::string notes;
  for (const std::string& note : report.notes) notes += note + "\n";
  for (const char* part :
       {"the pooling cls", "brought to length 1", "at most 7 tokens", "no prompts", "no output layer"})
    CHECK_THAT(notes, ContainsSubstring(part));
  CHECK_FALSE(report.logits.has_value());
}

TEST_CASE("A weight beyond the range of the type is an error naming it") {
  const TemporaryFolder folder;
  LanguageModel loaded = load_language_model(golden("gpt2"), false);
  loaded.model.visit("", [](const std::string& name, Tensor& weight) {
    if (name != "blocks.0.mlp.up.weight") return;
    std::vector<float> values = weight.to_vector<float>();
    values[3] = 1e5F;
    weight = Tensor::from(std::span<const float>(values), weight.shape());
  });
  const std::string error = error_of<std::invalid_argument>([&] {
    export_model(loaded, folder / "m.gguf", {.format = ExportFormat::gguf, .type = ExportType::f16});
  });
  CHECK_THAT(error,
             ContainsSubstring("within the range of the type, 65504; of 'blk.0.ffn_up.weight' element 3 (in "
                               "row-major order) is 100000; choose bf16 or f32"));
  CHECK_FALSE(file_exists(folder / "m.gguf"));
  CHECK_THAT(error_of<std::invalid_argument>(
                 [&] { export_model(loaded, folder / "hf", {.type = ExportType::f16}); }),
             ContainsSubstring("of 'transformer.h.0.mlp.c_fc.weight' element "));
  CHECK_FALSE(file_exists(folder / "hf"));
}

TEST_CASE("A source that changes while it is converted is an error that says so, and nothing is left") {
  const TemporaryFolder folder;
  const std::string model = folder / "model";
  std::filesystem::copy(golden("gpt2"), model);
  const LanguageModel loaded = load_language_model(model, false);
  std::ofstream(model + "/model.safetensors", std::ios::in | std::ios::ate | std::ios::binary) << 'x';
  for (const ExportFormat format : {ExportFormat::hugging_face, ExportFormat::gguf}) {
    const std::string error = error_of([&] { export_model(loaded, folder / "m.gguf", {.format = format}); });
    CHECK_THAT(error, ContainsSubstring("must stay as it is while the model is used; it has changed"));
    CHECK_FALSE(file_exists(folder / "m.gguf"));
  }
  CHECK(names_in(folder.path()) == std::vector<std::string>{"model"});
}

TEST_CASE("The fields of a GGUF file are read as they were set") {
  GgufFields fields;
  fields.boolean("a.yes", true);
  fields.u32("a.count", 4294967295);
  fields.f32("a.small", 1e-5);
  fields.text("a.text", "na\u00efve");
  fields.texts("a.texts", {"x", "", "yz"});
  const std::vector<int32_t> numbers = {-1, 7};
  fields.i32s("a.numbers", numbers);
  const std::vector<float> scores = {0.5F, -2};
  fields.f32s("a.scores", scores);
  CHECK_THROWS_WITH(fields.u32("a.large", 4294967296), ContainsSubstring("must fit in 32 bits"));
  CHECK_THROWS_WITH(fields.u32("a.less", -1), ContainsSubstring("must fit in 32 bits"));
  CHECK_THROWS_WITH(fields.text("a.text", ""), ContainsSubstring("'a.text' is set twice"));
  GgufFields more;
  more.text("a.more", "m");
  fields.add(more);
  CHECK_THROWS_WITH(fields.add(more), ContainsSubstring("'a.more' is set twice"));
  const std::string bytes = gguf_head(fields);
  const GgufFile file = GgufFile::parse(bytes, "t");
  CHECK(file.keys().size() == 8);
  CHECK(file.at("a.more").as_string() == "m");
  CHECK(file.at("a.yes").as_boolean());
  CHECK(file.at("a.count").as_integer() == 4294967295);
  CHECK(file.at("a.small").as_decimal() == 1e-5);
  CHECK(file.at("a.text").as_string() == "na\u00efve");
  CHECK(file.at("a.texts").as_strings() == std::vector<std::string_view>{"x", "", "yz"});
  CHECK(file.at("a.numbers").as_integers() == std::vector<int64_t>{-1, 7});
  CHECK(file.at("a.scores").as_numbers() == std::vector<double>{0.5, -2});
  const Tensor x = Tensor::zeros({2, 33});
  CHECK_THROWS_WITH(gguf_head(fields, std::vector<GgufOutput>{{"w", x, &block_type("Q8_0")}}),
                    ContainsSubstring("rows of whole blocks; 'w' is (2, 33)"));
  CHECK_THROWS_WITH(gguf_head(fields, std::vector<GgufOutput>{{std::string(64, 'w'), x, &block_type("F32")}}),
                    ContainsSubstring("1 to 63 bytes"));
}

TEST_CASE("What a folder of sentences says is written and read again") {
  const TemporaryFolder folder;
  SentenceFolder sentences;
  sentences.width = 15;
  sentences.pooling = {Pooling::cls, Pooling::weightedmean};
  sentences.include_prompt = false;
  sentences.max_tokens = 9;
  sentences.prompts = {{"query", "find: "}, {"document", ""}};
  sentences.default_prompt = "query";
  sentences.similarity = "dot";
  sentences.truncate_dim = 5;
  Linear linear("d", 30, 6, true);
  linear.weight = random_tensor({6, 30}, 3);
  linear.bias = random_tensor({6}, 4);
  sentences.steps = {DenseLayer{linear, gelu}, std::nullopt};
  const Config config = load_config(golden("bert"));
  REQUIRE(config.n_embd == 15);

  // The model has no tokenizer; a small one stands beside its files.
  const std::string model = folder / "model";
  std::filesystem::create_directory(model);
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(golden("bert") + "/" + name, model + "/" + name);
  std::string alphabet;
  for (int64_t i = 0; i < config.vocab_size; ++i) alphabet += static_cast<char>(' ' + i);
  write_file_atomic(model + "/tokenizer.json", Tokenizer::train_char(alphabet).to_json());
  const std::string out = folder / "out";
  export_model(load_language_model(model), out,
               {.format = ExportFormat::sentence_transformers, .sentences = &sentences});
  const SentenceFolder found = read_sentence_folder(out);
  CHECK(found.pooling == sentences.pooling);
  CHECK(found.include_prompt == sentences.include_prompt);
  CHECK(found.width == sentences.width);
  CHECK(found.max_tokens == sentences.max_tokens);
  CHECK(found.prompts == sentences.prompts);
  CHECK(found.default_prompt == sentences.default_prompt);
  CHECK(found.similarity == sentences.similarity);
  CHECK(found.truncate_dim == sentences.truncate_dim);
  REQUIRE(found.steps.size() == 2);
  REQUIRE(found.steps[0].has_value());
  CHECK(same_bits(found.steps[0]->linear.weight, linear.weight) == "");
  CHECK(same_bits(found.steps[0]->linear.bias, linear.bias) == "");
  CHECK(found.steps[0]->activation == static_cast<Tensor (*)(const Tensor&)>(gelu));
  CHECK_FALSE(found.steps[1].has_value());
  CHECK(same_bits(last_layer(load_transformer(model)), last_layer(load_transformer(out))) == "");
}

TEST_CASE("What a model's makers say of it goes with it: its licence, and what its tokens are for") {
  const TemporaryFolder folder;
  const std::string text = "a padded text begins and ends; a text begins";
  const std::vector<std::string_view> documents = {text};
  const Tokenizer tokenizer = Tokenizer::train_bpe(documents, 270);
  const Config config = small_config("llama", tokenizer.vocab_size());
  const std::string model = folder / "model";
  std::filesystem::create_directory(model);
  Json described = config_to_json(config);
  described.set("pad_token_id", 5).set("bos_token_id", 7);
  write_file_atomic(model + "/config.json", described.dump());
  save_safetensors(model + "/model.safetensors", file_weights(small_model(config)));
  write_file_atomic(model + "/tokenizer.json", tokenizer.to_json());
  write_file_atomic(model + "/README.md",
                    "---\nlicense: other\nlicense_name: 'a name: of mine'\n---\nlicense_link: not here\n");
  const auto token = [&](int32_t id) { return tokenizer.token_text(id); };
  write_file_atomic(model + "/tokenizer_config.json",
                    Json::object()
                        .set("bos_token", token(70))
                        .set("pad_token", Json::object().set("content", token(71)))
                        .set("unk_token", "no such token")
                        .set("padding_side", "left")
                        .dump());

  const auto written = [&](const std::string& from, const char* to, ExportFormat format) {
    const std::string out = folder / to;
    export_model(load_language_model(from), out, {.format = format});
    return out;
  };
  const std::string file = written(model, "m.gguf", ExportFormat::gguf);
  const std::string again = written(file, "n.gguf", ExportFormat::gguf);
  for (const std::string& path : {file, again}) {
    INFO(path);
    const GgufFile found = GgufFile::open(path);
    CHECK(found.at("general.license").as_string() == "other");
    CHECK(found.at("general.license.name").as_string() == "a name: of mine");
    CHECK(found.find("general.license.link") == nullptr);
    CHECK(found.at("tokenizer.ggml.bos_token_id").as_integer() == 70);
    CHECK(found.at("tokenizer.ggml.padding_token_id").as_integer() == 71);
    CHECK(found.find("tokenizer.ggml.unknown_token_id") == nullptr);
    CHECK_FALSE(found.at("tokenizer.ggml.add_bos_token").as_boolean());
  }
  for (const std::string& from : {model, again}) {
    INFO(from);
    const std::string out = written(from, from == model ? "a" : "b", ExportFormat::hugging_face);
    const Json config_json = Json::parse(read_file(out + "/config.json"), "config.json");
    CHECK(config_json.at("bos_token_id").as_integer() == 70);
    CHECK(config_json.at("pad_token_id").as_integer() == 71);
    const Json tokens = Json::parse(read_file(out + "/tokenizer_config.json"), "tokenizer_config.json");
    CHECK((tokens.find("padding_side") != nullptr) == (from == model));
    CHECK(tokens.at("bos_token").as_string() == token(70));
    CHECK(tokens.at("pad_token").as_string() == token(71));
    CHECK(tokens.find("unk_token") == nullptr);
    const std::string card = read_file(out + "/README.md");
    CHECK_THAT(card, ContainsSubstring("base_model: ") && ContainsSubstring("license: ") &&
                         ContainsSubstring("license_name: "));
  }
  // The card of a folder whose model stands in a folder below.
  const std::string home = folder / "home";
  std::filesystem::create_directory(home);
  write_file_atomic(home + "/README.md", "---\nlicense: mit\n---\n");
  write_file_atomic(home + "/LICENSE", "mine");
  write_file_atomic(home + "/copying.md", "also");
  for (const ExportFormat format : {ExportFormat::gguf, ExportFormat::hugging_face}) {
    const bool is_file = format == ExportFormat::gguf;
    const std::string out = folder / (is_file ? "h.gguf" : "h");
    export_model(load_language_model(model), out, {.format = format, .home = home});
    if (is_file) {
      CHECK(GgufFile::open(out).at("general.name").as_string() == "home");
      CHECK(GgufFile::open(out).at("general.license").as_string() == "mit");
    } else {
      CHECK(read_file(out + "/README.md") == "---\nlicense: mit\nbase_model: \"home\"\n---\n");
      CHECK(read_file(out + "/LICENSE") == "mine");
      CHECK(read_file(out + "/copying.md") == "also");
    }
  }
  // Nobody has named tokens of the tokenizer: ids of config.json alone.
  std::filesystem::remove(model + "/tokenizer_config.json");
  const Json config_json =
      Json::parse(read_file(written(model, "c", ExportFormat::hugging_face) + "/config.json"), "config.json");
  CHECK(config_json.at("bos_token_id").as_integer() == 7);
  CHECK(config_json.at("pad_token_id").as_integer() == 5);
}

TEST_CASE("Special tokens of a WordPiece go through GGUF files, in texts and in what they are for") {
  const TemporaryFolder folder;
  const std::vector<std::string_view> documents = {"the king and the queen and the king of queens"};
  for (const bool bracketed : {true, false}) {
    TokenizerTraining training;
    training.kind = "wordpiece";
    training.vocab_size = 50;
    if (bracketed) {
      training.special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "<e1>"};
    } else {
      training.special = {"<|im_start|>", "[UNK]", "</s>"};
    }
    const Tokenizer tokenizer = train_tokenizer(documents, training);
    const std::string model = folder / (bracketed ? "a" : "b");
    std::filesystem::create_directory(model);
    const Config config = small_config("llama", tokenizer.vocab_size());
    write_file_atomic(model + "/config.json", config_to_json(config).dump());
    save_safetensors(model + "/model.safetensors", file_weights(small_model(config)));
    write_file_atomic(model + "/tokenizer.json", tokenizer.to_json());
    const std::string begin = bracketed ? "[SEP]" : "</s>";
    write_file_atomic(model + "/tokenizer_config.json",
                      Json::object().set("bos_token", begin).set("padding_side", "left").dump());
    const ExportReport report =
        export_model(load_language_model(model), model + ".gguf", {.format = ExportFormat::gguf});
    const LanguageModel loaded = load_language_model(model + ".gguf");
    for (const std::string& token : training.special) {
      INFO(token);
      const int32_t id = tokenizer.id_of(token).value();
      CHECK(loaded.tokenizer.is_special(id));
      for (const std::string& text : {token, "the " + token + " king", "king" + token + "s"}) {
        for (const bool parse : {false, true}) {
          CHECK(loaded.tokenizer.encode(text, {.special_tokens = parse}) ==
                tokenizer.encode(text, {.special_tokens = parse}));
        }
      }
    }
    std::string notes;
    for (const std::string& note : report.notes) notes += note + "\n";
    INFO(notes);
    CHECK_THAT(notes, ContainsSubstring("cannot say that texts are padded on the left"));
    // Where texts are surrounded, the token before them is the one that files can name.
    const Json tokens = Json::parse(read_file([&] {
                                      export_model(loaded, folder / (bracketed ? "c" : "d"),
                                                   {.format = ExportFormat::hugging_face});
                                      return folder / (bracketed ? "c" : "d");
                                    }() + "/tokenizer_config.json"),
                                    "tokenizer_config.json");
    const bool told = notes.find("cannot say that " + begin + " is its bos token") != std::string::npos;
    CHECK((tokens.at("bos_token").as_string() == begin) != told);
    CHECK(told == bracketed);
  }
}

TEST_CASE(
    "A GGUF file of a model that was trained without its tokenizer's special tokens says that it adds none") {
  const TemporaryFolder folder;
  TokenizerTraining training;
  training.kind = "wordpiece";
  training.vocab_size = 40;
  const std::vector<std::string_view> documents = {"the king and the queen and the king of queens"};
  const Tokenizer tokenizer = train_tokenizer(documents, training);
  Config config = small_config("llama", tokenizer.vocab_size());
  config.add_special = false;
  write_file_atomic(folder / "config.json", config_to_json(config).dump());
  save_safetensors(folder / "model.safetensors", file_weights(small_model(config)));
  write_file_atomic(folder / "tokenizer.json", tokenizer.to_json());
  for (const ExportFormat format : {ExportFormat::gguf, ExportFormat::hugging_face}) {
    const ExportReport report =
        export_model(load_language_model(folder.path()),
                     folder / (format == ExportFormat::gguf ? "m.gguf" : "m"), {.format = format});
    const auto said = [](const std::string& note) {
      return note.starts_with("the model was trained without the special tokens");
    };
    CHECK(std::count_if(report.notes.begin(), report.notes.end(), said) == 1);
  }
  CHECK(load_language_model(folder / "m.gguf").tokenizer.added_around().empty());
}

TEST_CASE("A card goes with a model whatever its front matter looks like, and gains what it does not say") {
  const TemporaryFolder folder;
  const std::string model = folder / "model";
  std::filesystem::create_directory(model);
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(golden("llama") + "/" + name, model + "/" + name);
  int number = 0;
  const auto converted = [&](const std::string& card) {
    write_file_atomic(model + "/README.md", card);
    const std::string out = folder / std::to_string(++number);
    convert(model, out, ExportFormat::hugging_face);
    return read_file(out + "/README.md");
  };
  const std::string base = "base_model: \"model\"\n";
  CHECK(converted("Words.\n") == "---\n" + base + "---\n\nWords.\n");
  CHECK(converted("---\na: b\n---\nWords.\n") == "---\na: b\n" + base + "---\nWords.\n");
  CHECK(converted("\xEF\xBB\xBF---\r\na: b\r\n---\r\nWords.\r\n") ==
        "---\r\na: b\r\n" + base + "---\r\nWords.\r\n");
  CHECK(converted("---\nA rule alone.\n") == "---\n" + base + "---\n\n---\nA rule alone.\n");
  for (const char* key :
       {"base_model: a/b", "base_model:\n- a/b", "\"base_model\": >-\n  a/b", "base_model : a"}) {
    const std::string card = std::string("---\n") + key + "\n---\nWords.\n";
    CHECK(converted(card) == card);
  }

  const auto licence = [&](const std::string& value) {
    write_file_atomic(model + "/README.md", "---\nlicense:" + value + "\nb: c\n---\n");
    const ExportReport report = convert(model, folder / "m.gguf", ExportFormat::gguf);
    const GgufFile file = GgufFile::open(folder / "m.gguf");
    const GgufValue* found = file.find("general.license");
    CHECK((found == nullptr) == (report.notes.size() == 1));
    return found ? std::string(found->as_string()) : "none: " + report.notes.at(0).substr(0, 18);
  };
  CHECK(licence(" mit") == "mit");
  CHECK(licence(" mit # of the weights") == "mit");
  CHECK(licence("  'a: phrase'  # of the weights") == "a: phrase");
  CHECK(licence(" a\"b'") == "a\"b'");
  for (const char* other :
       {"", "\n- mit", " [mit, apache-2.0]", " >-\n  mit", " \"a\\u0062\"", " 'mit' and more", " 'mit"})
    CHECK(licence(other) == "none: the card's licence");
}
