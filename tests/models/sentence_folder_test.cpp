// Folders as the sentence-transformers library writes them: what stands in them, and what it makes of a model's rows.

#include "models/transformer/sentence_folder.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/training/train.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

using Files = std::map<std::string, std::string>;  // path in the folder -> text

std::string modules(const std::vector<std::pair<std::string, std::string>>& types_and_paths) {
  std::string text;
  for (size_t i = 0; i < types_and_paths.size(); ++i) {
    const std::string number = std::to_string(i);
    text += (text.empty() ? "[" : ", ") + std::string("{\"idx\": ") + number + ", \"name\": \"" + number +
            "\", \"path\": \"" + types_and_paths[i].second + "\", \"type\": \"sentence_transformers." +
            types_and_paths[i].first + "\"}";
  }
  return text + "]";
}

// As version 2 of the library wrote them, and as version 6 does.
Files old_folder() {
  return {
      {"modules.json", modules({{"models.Transformer", ""},
                                {"models.Pooling", "1_Pooling"},
                                {"models.Dense", "2_Dense"},
                                {"models.Normalize", "3_Normalize"}})},
      {"sentence_bert_config.json", R"({"max_seq_length": 256, "do_lower_case": false})"},
      {"1_Pooling/config.json",
       R"({"word_embedding_dimension": 6, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true,
               "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false})"},
      {"2_Dense/config.json", R"({"in_features": 6, "out_features": 5, "bias": true,
               "activation_function": "torch.nn.modules.activation.Tanh"})"},
      {"config_sentence_transformers.json", R"({"__version__": {"sentence_transformers": "2.0.0"}})"}};
}
Files new_folder() {
  return {
      {"modules.json", modules({{"base.modules.transformer.Transformer", ""},
                                {"sentence_transformer.modules.pooling.Pooling", "1_Pooling"},
                                {"base.modules.normalize.Normalize", "2_Normalize"}})},
      {"sentence_bert_config.json",
       R"({"transformer_task": "feature-extraction", "module_output_name": "token_embeddings", "modality_config":
               {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}})"},
      {"tokenizer_config.json", R"({"model_max_length": 128, "tokenizer_class": "BertTokenizer"})"},
      {"1_Pooling/config.json",
       R"({"embedding_dimension": 6, "pooling_mode": "lasttoken", "include_prompt": false})"},
      {"2_Normalize/config.json",
       R"({"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"})"},
      {"config_sentence_transformers.json",
       R"({"model_type": "SentenceTransformer", "prompts": {"query": "query: ", "document": "", "odd": null},
               "default_prompt_name": "query", "similarity_fn_name": "dot", "truncate_dim": 4})"}};
}

class Folder {
 public:
  explicit Folder(const Files& files) {
    for (const auto& [name, text] : files) write(name, text);
  }
  void write(const std::string& name, std::string_view text) const {
    create_directories((*this / name).substr(0, (*this / name).rfind('/')));
    write_quickly(*this / name, text);
  }
  // Returns the weight and the bias, random ones.
  std::pair<Tensor, Tensor> write_dense(const std::string& name, int64_t inputs, int64_t outputs) const {
    const Tensor weight = random_tensor({outputs, inputs}, 3);
    const Tensor bias = random_tensor({outputs}, 4);
    create_directories(*this / name);
    save_safetensors(*this / (name + "/model.safetensors"),
                     std::vector<NamedTensor>{{"linear.weight", weight}, {"linear.bias", bias}});
    return {weight, bias};
  }
  std::string operator/(const std::string& name) const { return folder_ / name; }
  const std::string& path() const { return folder_.path(); }
  SentenceFolder read() const { return read_sentence_folder(path()); }

 private:
  TemporaryFolder folder_;
};

// The same files, one of them with another text.
Files with(Files files, const std::string& name, const std::string& text) {
  files[name] = text;
  return files;
}

std::string error_of_read(const Files& files) {
  const Folder folder(files);
  folder.write_dense("2_Dense", 6, 5);
  try {
    folder.read();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

// Words of a small text, pieces of others, and [UNK] for what has other letters.
Tokenizer pieces() {
  TokenizerTraining training;
  training.kind = "wordpiece";
  training.vocab_size = 40;
  const std::vector<std::string_view> documents = {"the king and the queen and the king of queens"};
  return train_tokenizer(documents, training);
}

std::vector<int32_t> ids_of(const StaticTokens& tokens) {
  std::vector<int32_t> ids;
  for (const TokenSpan& span : tokens.spans) ids.push_back(span.id);
  return ids;
}

Tensor static_vector(const SentenceFolder& folder, std::string_view text) {
  const std::vector<int32_t> ids = ids_of(folder.static_model->tokens(text));
  return sentence_vectors(folder, folder.static_model->rows(ids), std::vector<RowRange>{{0, std::ssize(ids)}},
                          true);
}

}  // namespace

TEST_CASE("a folder of the first generation is read") {
  const Folder files(old_folder());
  const auto [weight, bias] = files.write_dense("2_Dense", 6, 5);
  REQUIRE(is_sentence_folder(files.path()));
  const SentenceFolder folder = files.read();
  CHECK(folder.model_folder == files.path());
  CHECK(!folder.static_model);
  CHECK(folder.max_tokens == 256);
  CHECK(!folder.lower_case);
  CHECK(folder.pooling == std::vector<Pooling>{Pooling::mean});
  CHECK(folder.include_prompt);
  CHECK(folder.width == 6);
  REQUIRE(folder.steps.size() == 2);
  REQUIRE(folder.steps[0]);
  CHECK(same_bits(folder.steps[0]->linear.weight, weight) == "");
  CHECK(same_bits(folder.steps[0]->linear.bias, bias) == "");
  CHECK(!folder.steps[1]);
  CHECK(folder.normalizes());
  CHECK(folder.prompts.empty());
  CHECK_THROWS_WITH(folder.prompt("query"),
                    "prompt: must be one of none, for the folder has no prompts; it is 'query'");
  CHECK_NOTHROW(check_width(folder, 6));
  CHECK_THROWS_WITH(check_width(folder, 8), ContainsSubstring("it says 6, the model's rows have 8 values"));

  Files moved = old_folder();
  moved["modules.json"] =
      modules({{"models.Transformer", "0_Transformer"}, {"models.Pooling", "1_Pooling/"}});
  moved.erase("sentence_bert_config.json");
  moved["0_Transformer/sentence_roberta_config.json"] = R"({"max_seq_length": 100, "do_lower_case": true})";
  const Folder below(moved);
  const SentenceFolder other = below.read();
  CHECK(other.model_folder == below / "0_Transformer");
  CHECK(other.max_tokens == 100);
  CHECK(other.lower_case);
  CHECK(other.steps.empty());
  CHECK(!other.normalizes());
}

TEST_CASE("a folder of the newest generation is read: its limit stands in tokenizer_config.json") {
  const SentenceFolder folder = Folder(new_folder()).read();
  CHECK(folder.max_tokens == 128);
  CHECK(folder.pooling == std::vector<Pooling>{Pooling::last});
  CHECK(!folder.include_prompt);
  CHECK(folder.width == 6);
  CHECK(folder.normalizes());
  CHECK(folder.similarity == "dot");
  CHECK(folder.truncate_dim == 4);
  CHECK(folder.default_prompt == "query");
  CHECK(folder.prompt("query") == "query: ");
  CHECK(folder.prompt("document").empty());
  CHECK_THROWS_WITH(folder.prompt("odd"), "prompt: must be one of query, document; it is 'odd'");

  const auto limit = [](const char* text) {
    return Folder(with(new_folder(), "tokenizer_config.json", text)).read().max_tokens;
  };
  CHECK(limit(R"({"model_max_length": 1000000000000000019884624838656})") == 0);
  CHECK(limit("{}") == 0);
  CHECK(Folder(with(new_folder(), "sentence_bert_config.json", R"({"max_seq_length": 64})"))
            .read()
            .max_tokens == 64);
}

TEST_CASE("several ways to pool lie in the library's order, or in that of their list") {
  const auto pooling = [](const char* text) {
    return names_of(Folder(with(new_folder(), "1_Pooling/config.json", text)).read().pooling);
  };
  CHECK(
      pooling(
          R"({"word_embedding_dimension": 6, "pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": true,
                    "pooling_mode_weightedmean_tokens": true, "pooling_mode_mean_sqrt_len_tokens": true,
                    "pooling_mode_max_tokens": true, "pooling_mode_cls_token": true})") ==
      "cls,max,mean,mean_sqrt_len_tokens,weightedmean,last");
  CHECK(pooling(R"({"embedding_dimension": 6, "pooling_mode": ["mean", "cls"]})") == "mean,cls");
  CHECK(pooling(R"({"embedding_dimension": 6, "pooling_mode": "cls", "pooling_mode_max_tokens": true})") ==
        "cls");
  CHECK(pooling(R"({"word_embedding_dimension": 6, "pooling_mode_mean_tokens": false})") == "mean");
  CHECK(pooling(R"({"word_embedding_dimension": 6})") == "mean");
}

TEST_CASE("what a folder holds beyond what is known is refused with its place") {
  const auto check = [](const char* file, const char* text, const char* expected) {
    INFO(file << " " << text);
    const Files files = std::string_view(file).starts_with("2_Dense") ? old_folder() : new_folder();
    CHECK_THAT(error_of_read(with(files, file, text)),
               ContainsSubstring(file) && ContainsSubstring(expected));
  };
  const auto check_modules = [&](const std::string& text, const char* expected) {
    check("modules.json", text.c_str(), expected);
  };
  REQUIRE(error_of_read(old_folder()) == "no error");
  REQUIRE(error_of_read(new_folder()) == "no error");

  check_modules("[]", "there must be a Pooling module");
  check_modules(modules({{"models.Transformer", ""}}), "there must be a Pooling module");
  check_modules(modules({{"models.BoW", ""}}), "number 0 and 'BoW'");
  check_modules(modules({{"models.Transformer", ""}, {"models.Transformer", "1"}}),
                "number 1 and 'Transformer'");
  check_modules(modules({{"models.Transformer", ""}, {"models.Normalize", "1"}}),
                "Pooling must come before 'Normalize'");
  check_modules(
      modules({{"models.Transformer", ""}, {"models.Pooling", "1_Pooling"}, {"models.Pooling", "1_Pooling"}}),
      "Pooling must come once");
  check_modules(
      modules({{"models.Transformer", ""}, {"models.Pooling", "1_Pooling"}, {"models.LayerNorm", "2"}}),
      "$[2].type: must be one of Transformer, StaticEmbedding, Pooling, Dense, Normalize, Dropout; it is "
      "'LayerNorm'");
  check_modules(modules({{"models.Transformer", "../other"}}), "$[0].path: must be a folder inside");
  check_modules(modules({{"models.Transformer", "/tmp"}}), "$[0].path: must be a folder inside");
  check_modules(R"([{"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}])",
                "$[0].type: must be a class of sentence_transformers; it is 'custom_st.Transformer'");
  check_modules(
      R"([{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer", "kwargs": ["task"]}])",
      "$[0].kwargs: must be empty");
  check_modules(
      R"([{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer", "device": 1}])",
      "'device' is not");

  for (const auto& [text, expected] : std::map<const char*, const char*>{
           {R"({"max_seq_length": 0})", "max_seq_length: must be at least 1; it is 0"},
           {R"({"speed": 1})", "'speed' is not"},
           {R"({"transformer_task": "fill-mask"})", "must be feature-extraction; it is 'fill-mask'"},
           {R"({"module_output_name": "sentence_embedding"})", "must be token_embeddings"},
           {R"({"modality_config": {"image": {}}})", "must have the key \"text\""},
           {R"({"modality_config": {"text": {"method": "get_text_features"}}})", "must be forward"},
           {R"({"modality_config": {"text": {"method_output_name": "logits"}}})",
            "must be last_hidden_state"},
           {R"({"model_args": {"torch_dtype": "bfloat16"}})", "model_args: must be empty"},
           {R"({"processing_kwargs": {"text": {"max_length": 3}}})", "processing_kwargs: must be empty"},
           {R"({"query_length": 32})", "query_length: must be null"}})
    check("sentence_bert_config.json", text, expected);
  check("tokenizer_config.json", R"({"model_max_length": 0})", "must be at least 1");

  for (const auto& [text, expected] : std::map<const char*, const char*>{
           {R"({"embedding_dimension": 6, "pooling_mode": "median"})",
            "pooling_mode: pooling: must be one of"},
           {R"({"embedding_dimension": 6, "pooling_mode": []})", "must name a way to pool"},
           {R"({"embedding_dimension": 6, "pooling_mode_median": true})", "'pooling_mode_median' is not"},
           {R"({"embedding_dimension": 0})", "must be in [1, 2147483647]; it is 0"},
           {R"({"embedding_dimension": 8333333333333333333})", "must be in [1, 2147483647]"},
           {R"({"pooling_mode": "cls"})", "word_embedding_dimension"}})
    check("1_Pooling/config.json", text, expected);
  check("2_Normalize/config.json", R"({"module_input_name": "token_embeddings"})",
        "must be sentence_embedding");
  check("2_Normalize/config.json", R"({"p": 1})", "'p' is not");

  for (const auto& [text, expected] : std::map<const char*, const char*>{
           {R"({"model_type": "SparseEncoder"})", "must be SentenceTransformer; it is 'SparseEncoder'"},
           {R"({"prompts": {}, "default_prompt_name": "query"})",
            "default_prompt_name: prompt: must be one of"},
           {R"({"similarity_fn_name": "maxsim"})", "must be one of cosine, dot, euclidean, manhattan"},
           {R"({"truncate_dim": 0})", "must be at least 1"},
           {R"({"colour": 0})", "'colour' is not"}})
    check("config_sentence_transformers.json", text, expected);

  for (
      const auto& [text, expected] : std::map<const char*, const char*>{
          {R"({"in_features": 7, "out_features": 5})", "in_features: must be 6"},
          {R"({"in_features": 6, "out_features": 5, "activation_function": "torch.nn.modules.activation.Mish"})",
           "must be one of torch.nn's Tanh, Identity, GELU, ReLU, SiLU, Sigmoid"},
          {R"({"in_features": 6, "out_features": 5, "activation_function": "mine.Tanh"})",
           "it is 'mine.Tanh'"},
          {R"({"in_features": 6, "out_features": 5, "use_residual": true})", "use_residual: must be false"},
          {R"({"in_features": 6, "out_features": 5, "module_input_name": "token_embeddings"})",
           "must be sentence_embedding"},
          {R"({"in_features": 6, "out_features": 5, "init": 1})", "'init' is not"}}) {
    check("2_Dense/config.json", text, expected);
  }
  // These name the file of the weights.
  CHECK_THAT(
      error_of_read(with(old_folder(), "2_Dense/config.json", R"({"in_features": 6, "out_features": 4})")),
      ContainsSubstring("2_Dense/model.safetensors: 'linear.weight' must have the shape (4, 6)"));
  CHECK_THAT(error_of_read(with(old_folder(), "2_Dense/config.json",
                                R"({"in_features": 6, "out_features": 5, "bias": false})")),
             ContainsSubstring("it has 'linear.bias'"));
}

TEST_CASE("a dense layer's pickle is not read, and the error says how to convert it") {
  const Folder folder(with(old_folder(), "2_Dense/pytorch_model.bin", "PK"));
  CHECK_THROWS_WITH(folder.read(),
                    ContainsSubstring("2_Dense: a dense layer's weights must stand in "
                                      "model.safetensors; there is none, and pytorch_model.bin is a "
                                      "pickle") &&
                        ContainsSubstring("safe_serialization=True"));
}

TEST_CASE(
    "a sentence vector is pooled, goes through the steps in their order, and no other layer through the "
    "dense one") {
  const int64_t count = 57;
  std::vector<RowRange> texts;
  for (int64_t begin = 0; begin < count; begin += 1 + begin % 7)
    texts.push_back({begin, std::min(begin + 1 + begin % 7, count)});
  const Tensor rows = random_tensor({count, 6}, 11, 0.7);
  const std::vector<float> x = rows.to_vector<float>();

  const std::map<std::string, std::function<double(double)>> activations = {
      {"activation.Tanh", [](double v) { return std::tanh(v); }},
      {"linear.Identity", [](double v) { return v; }},
      {"activation.GELU", [](double v) { return v * (1 + std::erf(v / std::sqrt(2.0))) / 2; }},
      {"activation.ReLU", [](double v) { return v > 0 ? v : 0; }},
      {"activation.SiLU", [](double v) { return v / (1 + std::exp(-v)); }},
      {"activation.Sigmoid", [](double v) { return 1 / (1 + std::exp(-v)); }}};
  for (const auto& [name, act] : activations) {
    INFO(name);
    Files with_act = with(old_folder(), "2_Dense/config.json",
                          R"({"in_features": 6, "out_features": 5, "bias": true, "activation_function":
                              "torch.nn.modules.)" +
                              name + "\"}");
    with_act["config_sentence_transformers.json"] = R"({"truncate_dim": 4})";
    const Folder files(with_act);
    const auto [weight, bias] = files.write_dense("2_Dense", 6, 5);
    const std::vector<float> w = weight.to_vector<float>();
    const std::vector<float> b = bias.to_vector<float>();
    const SentenceFolder folder = files.read();
    const UseThreads one(1);
    const Tensor last = sentence_vectors(folder, rows, texts, true);
    const Tensor other = sentence_vectors(folder, rows, texts, false);
    REQUIRE(last.shape() == Shape{std::ssize(texts), 4});
    REQUIRE(other.shape() == Shape{std::ssize(texts), 6});
    for (size_t t = 0; t < texts.size(); ++t) {
      std::vector<double> mean(6, 0);
      for (int64_t i = texts[t].begin; i < texts[t].end; ++i) {
        for (size_t c = 0; c < 6; ++c) mean[c] += static_cast<double>(x[static_cast<size_t>(i) * 6 + c]);
      }
      double length = 0;
      for (double& value : mean) {
        value /= static_cast<double>(texts[t].end - texts[t].begin);
        length += value * value;
      }
      for (size_t c = 0; c < 6; ++c) {
        CHECK(static_cast<double>(other.to_vector<float>()[t * 6 + c]) ==
              Approx(mean[c] / std::sqrt(length)).epsilon(1e-6));
      }
      std::vector<double> y(5);
      length = 0;
      for (size_t n = 0; n < 5; ++n) {
        double sum = static_cast<double>(b[n]);
        for (size_t c = 0; c < 6; ++c) sum += mean[c] * static_cast<double>(w[n * 6 + c]);
        y[n] = act(sum);
        length += y[n] * y[n];
      }
      for (size_t n = 0; n < 4; ++n) {
        CHECK(static_cast<double>(last.to_vector<float>()[t * 4 + n]) ==
              Approx(y[n] / std::sqrt(length)).epsilon(1e-5).margin(1e-6));
      }
      const Tensor alone = sentence_vectors(folder, slice(rows, 0, texts[t].begin, texts[t].end),
                                            std::vector<RowRange>{{0, texts[t].end - texts[t].begin}}, true);
      const auto at = static_cast<int64_t>(t);
      CHECK(same_bits(alone, slice(last, 0, at, at + 1)) == "");
    }
    const UseThreads four(4);
    CHECK(same_bits(sentence_vectors(folder, rows, texts, true), last) == "");
  }
}

TEST_CASE(
    "a prompt's tokens are pooled unless the folder leaves them out, and a special one at its end is none of "
    "them") {
  const Tokenizer tokenizer = pieces();
  const std::vector<int32_t> ids = tokenizer.encode("the king", {.add_special = true});
  REQUIRE(tokenizer.is_special(ids.back()));
  CHECK(prompt_length(ids, tokenizer) == std::ssize(ids) - 1);
  CHECK(prompt_length(tokenizer.encode("the king"), tokenizer) == std::ssize(ids) - 2);
  SentenceFolder folder;
  CHECK(pooled_range(folder, {3, 9}, 4) == RowRange{3, 9});
  folder.include_prompt = false;
  CHECK(pooled_range(folder, {3, 9}, 4) == RowRange{7, 9, 4});
  CHECK(pooled_range(folder, {3, 9}, 0) == RowRange{3, 9});
  CHECK_THROWS_WITH(
      pooled_range(folder, {3, 9}, 6),
      "pooling: a text must have a token behind its prompt; it has 6, the prompt 6; shorten the prompt");
}

TEST_CASE("a tokenizer is made to put texts in lower case, once") {
  TokenizerTraining training;
  training.kind = "unigram";
  training.vocab_size = 280;
  const std::vector<std::string_view> documents = {"the king and the queen and the king of queens"};
  const Tokenizer tokenizer = train_tokenizer(documents, training);
  REQUIRE(tokenizer.encode("THE KING") != tokenizer.encode("the king"));
  const Tokenizer lower = lower_cased(tokenizer);
  CHECK(lower.encode("THE KING") == tokenizer.encode("the king"));
  CHECK(lower.encode("of queens") == tokenizer.encode("of queens"));
  CHECK(lower_cased(lower).to_json() == lower.to_json());
}

TEST_CASE("a model2vec folder gives the mean of weighted rows, without unknown tokens, and cuts as it does") {
  const Tokenizer tokenizer = pieces();
  const int64_t vocab = tokenizer.vocab_size();
  REQUIRE(tokenizer.unknown_id());
  std::vector<int8_t> table(static_cast<size_t>(5 * 3));
  for (size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<int8_t>(static_cast<int>(i * i * 7 % 256) - 128);
  std::vector<int64_t> mapping(static_cast<size_t>(vocab));
  std::vector<float> weights(static_cast<size_t>(vocab));
  for (size_t i = 0; i < mapping.size(); ++i) {
    mapping[i] = static_cast<int64_t>(i * 3 % 5);
    weights[i] = 0.25F + static_cast<float>(i) / 16;
  }
  const RawTensor raw_table{"embeddings", "I8", {5, 3}, table.data(), table.size()};
  const RawTensor raw_mapping{"mapping", "I64", {vocab}, mapping.data(), mapping.size() * 8};
  const RawTensor raw_weights{"weights", "F32", {vocab}, weights.data(), weights.size() * 4};

  const Folder files(Files{{"config.json", R"({"normalize": false, "max_length": 5, "embedding_dtype": "int8",
                                           "model_type": "model2vec", "seq_length": 1000000, "apply_pca": 3})"}});
  tokenizer.save(files / "tokenizer.json");
  save_safetensors(files / "model.safetensors", std::vector<RawTensor>{raw_table, raw_mapping, raw_weights});
  REQUIRE(is_sentence_folder(files.path()));
  const SentenceFolder folder = files.read();
  REQUIRE(folder.static_model);
  const StaticModel& model = *folder.static_model;
  CHECK(folder.width == 3);
  CHECK(folder.max_tokens == 5);
  CHECK(!folder.normalizes());

  const StaticTokens tokens = model.tokens("king \xE7\x8E\x8B of the");
  CHECK(tokens.total == 5);
  CHECK(!tokens.truncated);
  CHECK(ids_of(tokens) == tokenizer.encode("king of the"));
  std::vector<double> mean(3, 0);
  for (const int32_t id : ids_of(tokens)) {
    const auto i = static_cast<size_t>(id);
    for (size_t c = 0; c < 3; ++c)
      mean[c] += static_cast<double>(weights[i]) * table[static_cast<size_t>(mapping[i]) * 3 + c] / 4;
  }
  const std::vector<float> y = static_vector(folder, "king \xE7\x8E\x8B of the").to_vector<float>();
  for (size_t c = 0; c < 3; ++c) CHECK(static_cast<double>(y[c]) == Approx(mean[c]).epsilon(1e-6));
  CHECK(static_vector(folder, "").to_vector<float>() == std::vector<float>{0, 0, 0});
  CHECK(static_vector(folder, "\xE7\x8E\x8B").to_vector<float>() == std::vector<float>{0, 0, 0});
  CHECK_THROWS_WITH(model.rows(std::vector<int32_t>{static_cast<int32_t>(vocab)}),
                    ContainsSubstring("an id must be in [0, " + std::to_string(vocab) + ")"));

  // The sixth token is cut off before unknown ones are left out; so are characters beyond 5 times the median length.
  const StaticTokens cut = model.tokens("the \xE7\x8E\x8B of the king");
  CHECK(cut.truncated);
  CHECK(cut.total == 6);
  CHECK(ids_of(cut) == tokenizer.encode("the of the"));
  REQUIRE(model.max_characters % 5 == 0);
  CHECK(model.tokens(std::string(static_cast<size_t>(model.max_characters), ' ')).truncated == false);
  CHECK(model.tokens("king" + std::string(static_cast<size_t>(model.max_characters), ' ')).truncated);

  const auto read_with = [&](const char* config) {
    files.write("config.json", config);
    return files.read();
  };
  CHECK(read_with("{}").max_tokens == 512);
  CHECK(read_with(R"({"max_length": null})").static_model->max_characters == 0);
  const SentenceFolder normal = read_with(R"({"normalize": true})");
  CHECK(normal.normalizes());
  const std::vector<float> n = static_vector(normal, "king of the").to_vector<float>();
  CHECK(std::hypot(n[0], n[1], n[2]) == Approx(1));
  CHECK_THROWS_WITH(read_with(R"({"model_type": "bert"})"),
                    ContainsSubstring("must be model2vec; it is 'bert'"));
  CHECK_THROWS_WITH(read_with(R"({"stride": 1})"), ContainsSubstring("'stride' is not"));

  // With a modules.json, as newer versions write it, both must say whether it normalises.
  files.write("modules.json", modules({{"models.StaticEmbedding", "."}}));
  CHECK(read_with(R"({"normalize": false})").static_model->left_out == tokenizer.unknown_id());
  CHECK_THROWS_WITH(read_with(R"({"normalize": true})"),
                    ContainsSubstring("modules.json: must have Normalize where"));
  remove_file(files / "modules.json");

  const auto error_with = [&](const std::vector<RawTensor>& tensors) {
    save_safetensors(files / "model.safetensors", tensors);
    try {
      read_with("{}");
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  mapping[2] = 5;
  CHECK_THAT(error_with({raw_table, raw_mapping, raw_weights}),
             ContainsSubstring(
                 "'mapping' must name one of the 5 rows of 'embeddings' for each token; for token 2 it "
                 "is 5"));
  mapping[2] = -1;
  CHECK_THAT(error_with({raw_table, raw_mapping}), ContainsSubstring("for token 2 it is -1"));
  CHECK_THAT(error_with({raw_table}), ContainsSubstring("every token must have a row"));
  CHECK_THAT(error_with({raw_table, raw_weights}),
             ContainsSubstring("'weights' must have a value for each of 5 tokens"));
  const RawTensor odd{"bias", "F32", {3}, weights.data(), 12};
  CHECK_THAT(error_with({raw_table, raw_mapping, odd}), ContainsSubstring("'bias' is not"));
  const RawTensor flat{"embeddings", "F32", {3}, weights.data(), 12};
  CHECK_THAT(error_with({flat}), ContainsSubstring("must have a row for each token; its shape is (3)"));
  const RawTensor words{"mapping", "F32", {vocab}, weights.data(), weights.size() * 4};
  CHECK_THAT(error_with({raw_table, words}), ContainsSubstring("'mapping' must be I64 or I32"));
}

TEST_CASE("a static module of sentence-transformers counts unknown tokens, and its rows stay in the file") {
  const Tokenizer tokenizer = pieces();
  const Tensor table = random_tensor({tokenizer.vocab_size(), 5}, 21);
  const Folder files(
      {{"modules.json",
        modules({{"sentence_transformer.modules.static_embedding.StaticEmbedding", "0_StaticEmbedding"},
                 {"models.Normalize", "1_Normalize"}})}});
  create_directories(files / "0_StaticEmbedding");
  CHECK_THROWS_WITH(files.read(),
                    ContainsSubstring("a static model's rows must stand in model.safetensors; there is "
                                      "none"));
  files.write("0_StaticEmbedding/pytorch_model.bin", "PK");
  CHECK_THROWS_WITH(files.read(), ContainsSubstring("pytorch_model.bin is a pickle"));
  tokenizer.save(files / "0_StaticEmbedding/tokenizer.json");
  const std::string weights = files / "0_StaticEmbedding/model.safetensors";
  save_safetensors(weights, std::vector<NamedTensor>{{"other", table}});
  CHECK_THROWS_WITH(files.read(),
                    ContainsSubstring("must hold 'embedding.weight' or 'embeddings'; it holds neither"));
  save_safetensors(weights, std::vector<NamedTensor>{{"embedding.weight", table}});

  const SentenceFolder folder = files.read();
  REQUIRE(folder.static_model);
  CHECK(folder.model_folder == files / "0_StaticEmbedding");
  CHECK(folder.max_tokens == 0);
  CHECK(find_mapped(folder.static_model->table.data<float>()));
  const char* text = "king \xE7\x8E\x8B of";
  const std::vector<int32_t> ids = tokenizer.encode(text);
  CHECK(ids_of(folder.static_model->tokens(text)) == ids);
  const std::vector<RowRange> all = {{0, std::ssize(ids)}};
  const Tensor expected = normalize_rows(pool_rows(folder.static_model->rows(ids), all, Pooling::mean));
  CHECK(same_bits(static_vector(folder, text), expected) == "");
  CHECK(folder.static_model->rows(std::vector<int32_t>{7}).to_vector<float>() ==
        slice(table, 0, 7, 8).to_vector<float>());

  // What tokenizer.json says of cutting holds here, and only its end can be cut off.
  Json json = Json::parse(tokenizer.to_json(), "t");
  json.set(
      "truncation",
      Json::object({{"direction", "Right"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 0}}));
  write_quickly(files / "0_StaticEmbedding/tokenizer.json", json.dump());
  const SentenceFolder limited = files.read();
  CHECK(limited.max_tokens == 2);
  CHECK(ids_of(limited.static_model->tokens(text)) == std::vector<int32_t>(ids.begin(), ids.begin() + 2));
  json.set(
      "truncation",
      Json::object({{"direction", "Left"}, {"max_length", 2}, {"strategy", "LongestFirst"}, {"stride", 0}}));
  write_quickly(files / "0_StaticEmbedding/tokenizer.json", json.dump());
  CHECK_THROWS_WITH(files.read(), ContainsSubstring("truncation must cut the end of a text"));
}
