// What embed's options make of texts: pairs, ids, prompts, parts, what stands beside the layers, and how it is written.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "models/embeddings/embedding_writer.hpp"
#include "models/embeddings/files.hpp"
#include "models/transformer/contextual.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/transformer/static_embedder.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"
#include "tokenizer/training/train.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

// [CLS] and [SEP] around texts and between them; words in lower case.
Tokenizer wordpiece() {
  TokenizerTraining training;
  training.kind = "wordpiece";
  training.vocab_size = 40;
  const std::vector<std::string_view> documents = {"the king and the queen and the king of queens"};
  return train_tokenizer(documents, training);
}

Config encoder_config(const Tokenizer& tokenizer) { return small_config("bert", tokenizer.vocab_size()); }

std::vector<int32_t> ids_in(const EmbeddingSet& set) {
  std::vector<int32_t> ids;
  for (const RowInfo& row : set.rows) ids.push_back(static_cast<int32_t>(row.id));
  return ids;
}

Tensor rows(const Tensor& x, int64_t begin, int64_t end) { return slice(x, 0, begin, end); }

}  // namespace

TEST_CASE("a pair is read together, each token told its segment and counted in its own text") {
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(encoder_config(tokenizer));
  EmbedText pair("the king");
  pair.pair = "queens and";
  const EmbedText texts[] = {EmbedText("the queen"), pair};
  EmbedOptions options;
  options.add_special = true;
  const EmbeddingSet set = embed_texts(model, tokenizer, std::span(texts), options);

  const Encoding expected =
      tokenizer.encode_full("the king", "queens and", {.add_special = true, .whole = true});
  const std::vector<int32_t> ids = ids_in(set);
  const auto begin = static_cast<size_t>(set.offsets[1]);
  REQUIRE(std::vector<int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.end()) == expected.ids);
  Context context = Context::of_batch(1, std::ssize(expected.ids));
  const std::vector<int32_t> segments(expected.type_ids.begin(), expected.type_ids.end());
  context.segments = ids_tensor(segments);
  const NoGrad quiet;
  const std::vector<Tensor> states = model.hidden_states(ids_tensor(expected.ids), context);
  for (size_t l = 0; l < states.size(); ++l)
    CHECK(same_bits(rows(set.layers[l], set.offsets[1], set.offsets[2]), states[l]) == "");
  int in_second = 0;
  for (size_t r = begin; r < set.rows.size(); ++r) {
    const RowInfo& row = set.rows[r];
    CHECK(row.segment == segments[r - begin]);
    if (row.start == row.end) CHECK(row.word == -1);
    if (row.segment != 1 || row.start == row.end) continue;
    CHECK(row.start >= 0);
    CHECK(row.end <= 10);
    ++in_second;
  }
  CHECK(in_second > 0);
  CHECK(set.rows[0].segment == -1);  // of no pair

  options.level = Level::word;
  const EmbeddingSet words = embed_texts(model, tokenizer, std::span(texts), options);
  std::string found;
  for (const RowInfo& row : words.rows) found += row.token + std::to_string(row.segment) + " ";
  CHECK(found == "the-1 queen-1 the0 king0 queens1 and1 ");
}

TEST_CASE(
    "the text of a special token is that token where it is asked for, and letters like others where not") {
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(encoder_config(tokenizer));
  const int32_t mask = tokenizer.id_of("[MASK]").value(), sep = tokenizer.id_of("[SEP]").value();
  const auto has = [](const EmbeddingSet& set, int32_t id) {
    const std::vector<int32_t> ids = ids_in(set);
    return std::count(ids.begin(), ids.end(), id);
  };
  const EmbedText single("the [MASK] king");
  EmbedText pair("the [MASK]");
  pair.pair = "[SEP] queen";
  for (const bool parse : {false, true}) {
    for (const Chunks chunks : {Chunks{}, Chunks{30, 0}}) {
      const EmbedOptions options{.add_special = true, .parse_special = parse, .chunks = chunks};
      CHECK(has(embed_texts(model, tokenizer, std::span(&single, 1), options), mask) == parse);
    }
    const EmbedOptions options{.add_special = true, .parse_special = parse};
    const EmbeddingSet both = embed_texts(model, tokenizer, std::span(&pair, 1), options);
    CHECK(has(both, mask) == parse);
    CHECK(has(both, sep) == 2 + parse);
  }
  SentenceFolder folder;
  folder.width = 3;
  folder.static_model = StaticModel{};
  folder.static_model->tokenizer = tokenizer;
  folder.static_model->table = random_tensor({tokenizer.vocab_size(), 3}, 5);
  for (const bool parse : {false, true}) {
    const EmbedOptions options{.parse_special = parse};
    CHECK(has(StaticEmbedder(folder, options).embed(std::span(&single, 1)), mask) == parse);
  }
}

TEST_CASE("an empty text is read where the tokenizer adds tokens, which are then all it has") {
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(encoder_config(tokenizer));
  const EmbedText texts[] = {EmbedText(""), EmbedText(" "), EmbedText("the king")};
  EmbedOptions options{.level = Level::sentence, .add_special = true};
  const EmbeddingSet set = embed_texts(model, tokenizer, std::span(texts), options);
  EmbedText ids;
  ids.ids = {tokenizer.id_of("[CLS]").value(), tokenizer.id_of("[SEP]").value()};
  const EmbeddingSet expected = embed_texts(model, tokenizer, std::span(&ids, 1), options);
  for (size_t l = 0; l < set.layers.size(); ++l) {
    CHECK(same_bits(rows(set.layers[l], 0, 1), expected.layers[l]) == "");
    CHECK(same_bits(rows(set.layers[l], 1, 2), expected.layers[l]) == "");
  }
  options.add_special = false;
  CHECK_THROWS_WITH(embed_texts(model, tokenizer, std::span(texts), options),
                    "embed: a text must have at least one token; text 0 has none; leave it out");
}

TEST_CASE("ids are read as they are, with their segments, and need no tokenizer") {
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(encoder_config(tokenizer));
  EmbedText text;
  text.ids = {3, 7, 7, 9};
  text.segments = {0, 0, 1, 1};
  const EmbedText texts[] = {text};
  EmbedOptions options;
  options.add_special = true;  // nothing is added
  TextEmbedder embedder(model, nullptr, options);
  const EmbeddingSet set = embedder.embed(texts);
  CHECK(ids_in(set) == text.ids);
  for (const RowInfo& row : set.rows) CHECK((row.start == 0 && row.end == 0 && row.token.empty()));
  Context context = Context::of_batch(1, 4);
  context.segments = ids_tensor(text.segments);
  CHECK(same_bits(set.layers.back(), model.forward(ids_tensor(text.ids), context)) == "");

  const auto refused = [&](auto change, const std::string& why) {
    EmbedText bad = text;
    bad.name = "list:3";
    change(bad);
    const EmbedText list[] = {bad};
    CHECK_THROWS_WITH(embedder.embed(list), ContainsSubstring(why));
  };
  refused([](EmbedText& t) { t.ids[1] = 4000; }, "list:3: ids must be in [0, ");
  refused([](EmbedText& t) { t.segments[1] = 2; }, "list:3: segments must be in [0, 1]; number 1 is 2");
  refused([](EmbedText& t) { t.segments.pop_back(); }, "list:3: there must be a segment for each of 4 ids");
  refused([](EmbedText& t) { t.ids.assign(33, 1), t.segments.clear(); },
          "list:3: a text must have at most 32 tokens");
  refused([](EmbedText& t) { t.ids.clear(), t.text = "the"; }, "a text needs the model's tokenizer");
}

TEST_CASE("a prompt stands before a text in one piece, its tokens rows without bytes") {
  const Transformer model = byte_model("gpt");
  const Tokenizer tokenizer = Tokenizer::bytes();
  EmbedOptions options;
  const std::vector<std::string_view> joined = {"query: the king"}, text = {"the king"};
  const EmbeddingSet whole = embed_texts(model, tokenizer, joined, options);
  options.prompt = "query: ";
  const EmbeddingSet prompted = embed_texts(model, tokenizer, text, options);
  for (size_t l = 0; l < whole.layers.size(); ++l)
    CHECK(same_bits(whole.layers[l], prompted.layers[l]) == "");
  for (size_t r = 0; r < 7; ++r)
    CHECK((prompted.rows[r].start == 0 && prompted.rows[r].end == 0 && prompted.rows[r].word == -1));
  CHECK((prompted.rows[7].start == 0 && prompted.rows[7].end == 1 && prompted.rows[7].word == 0));
  CHECK(prompted.rows[12].word == 1);

  options.level = Level::sentence;
  const RowRange all[] = {{0, 15}}, own[] = {{7, 15}};
  CHECK(same_bits(embed_texts(model, tokenizer, text, options).layers[1],
                  pool_rows(whole.layers[1], all, Pooling::mean)) == "");
  options.include_prompt = false;
  CHECK(same_bits(embed_texts(model, tokenizer, text, options).layers[1],
                  pool_rows(whole.layers[1], own, Pooling::mean)) == "");
}

TEST_CASE(
    "a long text is read in parts that overlap, each a text of its own, its bytes counted in the whole") {
  const Transformer model = byte_model("gpt", 16);
  const Tokenizer tokenizer = Tokenizer::bytes();
  const std::string_view text = "the king and all of his men";  // 27 bytes
  const std::vector<std::string_view> texts = {"short", text};
  EmbedOptions options;
  options.chunks = {.size = 12, .overlap = 2};
  const EmbeddingSet set = embed_texts(model, tokenizer, texts, options);
  CHECK(set.offsets == std::vector<int64_t>{0, 5, 17, 29, 36});  // parts from 0, 10 and 20
  const std::vector<std::string_view> alone = {text.substr(10, 12)};
  const EmbeddingSet part = embed_texts(model, tokenizer, alone, {});
  for (size_t l = 0; l < set.layers.size(); ++l)
    CHECK(same_bits(rows(set.layers[l], 17, 29), part.layers[l]) == "");
  CHECK((set.rows[17].text == 1 && set.rows[17].chunk == 1 && set.rows[17].start == 10));
  CHECK(set.rows[0].chunk == 0);

  options.level = Level::sentence;
  const EmbeddingSet sentences = embed_texts(model, tokenizer, texts, options);
  REQUIRE(sentences.rows.size() == 4);
  CHECK((sentences.rows[2].start == 10 && sentences.rows[2].end == 22 && sentences.rows[2].chunk == 1));
  options.chunks = {.size = 17, .overlap = 0};
  CHECK_THROWS_WITH(embed_texts(model, tokenizer, texts, options),
                    ContainsSubstring("a part must fit in the 16"));
}

TEST_CASE("attention maps give the heads' values their weights, and hide what a row does not see") {
  Config config = small_config("mistral", 256);
  config.n_kv_head = 2;
  config.windows = {0, 3};
  const Transformer model = small_model(config);
  const Tokenizer tokenizer = Tokenizer::bytes();
  const std::vector<std::string_view> texts = {"the king", "a", "men"};
  EmbedOptions options;
  options.heads = options.maps = true;
  options.batch_tokens = 9;
  const EmbeddingSet set = embed_texts(model, tokenizer, texts, options);
  REQUIRE(set.others.size() == 2);
  REQUIRE(set.maps.size() == 2);
  CHECK(set.others[0].name == "heads_1");
  CHECK(set.maps[1].name == "attention_2");
  CHECK(set.map_offsets == std::vector<int64_t>{0, 4 * 64, 4 * 65, 4 * 65 + 4 * 9});
  const NoGrad quiet;
  for (size_t i = 0; i < texts.size(); ++i) {
    const int64_t time = std::ssize(texts[i]);
    const std::vector<Tensor> states =
        model.hidden_states(ids_tensor(tokenizer.encode(texts[i])), Context::of_batch(1, time));
    for (int64_t l = 0; l < 2; ++l) {
      const Block& block = model.blocks[static_cast<size_t>(l)];
      const Tensor v =
          slice(block.attention.qkv(block.attention_norm(states[static_cast<size_t>(l)])), 1, 36, 48);
      const Tensor flat = set.maps[static_cast<size_t>(l)].values;
      for (int64_t h = 0; h < 4; ++h) {
        const int64_t at = set.map_offsets[i] + h * time * time;
        const Tensor map = reshape(slice(flat, 0, at, at + time * time), {time, time});
        const std::vector<float> weights = map.to_vector<float>();
        for (int64_t t = 0; t < time; ++t) {
          double sum = 0;
          for (int64_t j = 0; j < time; ++j) {
            const float weight = weights[static_cast<size_t>(t * time + j)];
            if (j > t || (l == 1 && j <= t - 3)) CHECK(weight == 0);
            sum += static_cast<double>(weight);
          }
          CHECK(sum == Approx(1).epsilon(1e-5));
        }
        const auto found = matmul(map, slice(v, 1, h / 2 * 6, h / 2 * 6 + 6)).to_vector<float>();
        const Tensor heads =
            rows(set.others[static_cast<size_t>(l)].values, set.offsets[i], set.offsets[i + 1]);
        const auto expected = slice(heads, 1, h * 6, h * 6 + 6).to_contiguous().to_vector<float>();
        for (size_t k = 0; k < found.size(); ++k) CHECK(found[k] == Approx(expected[k]).margin(1e-5));
      }
    }
  }
  options.layers = {0};
  CHECK_THROWS_WITH(embed_texts(model, tokenizer, texts, options),
                    ContainsSubstring("attention is of a block"));
}

TEST_CASE(
    "scores are those of the output layer, whatever layers are asked for, and refused where there is none") {
  const Transformer model = byte_model("llama");
  const Tokenizer tokenizer = Tokenizer::bytes();
  const std::vector<std::string_view> texts = {"the king", "a"};
  EmbedOptions options;
  options.layers = {1};
  options.logits = true;
  const EmbeddingSet set = embed_texts(model, tokenizer, texts, options);
  REQUIRE(set.others.size() == 1);
  CHECK(set.layers.size() == 1);
  const NoGrad quiet;
  const Tensor expected =
      model.logits(model.forward(ids_tensor(tokenizer.encode("the king")), Context::of_batch(1, 8)));
  CHECK(same_bits(rows(set.others[0].values, 0, 8), expected) == "");
  Config bare = small_config("bert", 256);
  bare.head = HeadKind::none;
  CHECK_THROWS_WITH(embed_texts(small_model(bare), tokenizer, texts, options),
                    ContainsSubstring("must have an output layer to give scores"));
}

TEST_CASE("a folder of sentence-transformers says how a text becomes one vector, layer by layer") {
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(encoder_config(tokenizer));
  SentenceFolder folder;
  folder.width = 24;
  folder.pooling = {Pooling::cls, Pooling::mean};
  DenseLayer dense{Linear("dense", 48, 7, true), nullptr};
  fill_normal("dense", dense.linear.weight, 0.3);
  folder.steps = {dense, std::nullopt};
  EmbedOptions options;
  options.level = Level::sentence;
  options.add_special = true;
  options.sentences = &folder;
  const EmbedText texts[] = {EmbedText("the king"), EmbedText("the queen of queens")};
  TextEmbedder embedder(model, &tokenizer, options);
  CHECK(embedder.width() == 7);
  const EmbeddingSet set = embedder.embed(texts);
  CHECK(set.normalized);
  CHECK(set.poolings == "cls,mean");
  options.level = Level::token;
  const EmbeddingSet tokens = embed_texts(model, tokenizer, std::span(texts), options);
  const RowRange ranges[] = {{0, tokens.offsets[1]}, {tokens.offsets[1], tokens.offsets[2]}};
  REQUIRE(set.layers.size() == 3);
  for (size_t l = 0; l < 3; ++l)
    CHECK(same_bits(set.layers[l], sentence_vectors(folder, tokens.layers[l], ranges, l == 2)) == "");
  CHECK(set.layers[0].shape() == Shape{2, 48});
  CHECK(set.layers[2].shape() == Shape{2, 7});
}

TEST_CASE("a static model's rows are its table's, and its sentences those of its folder") {
  SentenceFolder folder;
  folder.width = 3;
  folder.steps = {std::nullopt};
  StaticModel model;
  model.tokenizer = wordpiece();
  model.table = random_tensor({model.tokenizer.vocab_size(), 3}, 5);
  folder.static_model = model;
  EmbedOptions options;
  const EmbedText texts[] = {EmbedText("the king"), EmbedText("queens")};
  const EmbeddingSet tokens = StaticEmbedder(folder, options).embed(texts);
  CHECK(tokens.layer_names == std::vector<std::string>{"layer_0"});
  CHECK(same_bits(tokens.layers[0], embedding(model.table, ids_tensor(ids_in(tokens)))) == "");
  options.level = Level::sentence;
  const EmbeddingSet sentences = StaticEmbedder(folder, options).embed(texts);
  const RowRange ranges[] = {{0, tokens.offsets[1]}, {tokens.offsets[1], tokens.offsets[2]}};
  CHECK(same_bits(sentences.layers[0], sentence_vectors(folder, tokens.layers[0], ranges, true)) == "");
  CHECK((sentences.rows[1].text == 1 && sentences.rows[1].end == 6));
  options.heads = true;
  CHECK_THROWS_WITH(StaticEmbedder(folder, options), ContainsSubstring("a static model has no blocks"));
}

TEST_CASE("layers are cut to their first channels, and then brought to length 1") {
  const Transformer model = byte_model("gpt");
  const Tokenizer tokenizer = Tokenizer::bytes();
  const std::vector<std::string_view> texts = {"the king", "a"};
  EmbedOptions options;
  options.level = Level::sentence;
  const EmbeddingSet plain = embed_texts(model, tokenizer, texts, options);
  options.truncate_width = 5;
  options.normalize = true;
  const EmbeddingSet set = embed_texts(model, tokenizer, texts, options);
  CHECK(set.normalized);
  for (size_t l = 0; l < set.layers.size(); ++l) {
    REQUIRE(set.layers[l].shape() == Shape{2, 5});
    for (int64_t r = 0; r < 2; ++r) {
      const auto x = slice(rows(plain.layers[l], r, r + 1), 1, 0, 5).to_contiguous().to_vector<float>();
      const auto y = rows(set.layers[l], r, r + 1).to_contiguous().to_vector<float>();
      double length = 0;
      for (const float value : x) length += static_cast<double>(value) * static_cast<double>(value);
      for (size_t c = 0; c < 5; ++c) CHECK(y[c] == Approx(static_cast<double>(x[c]) / std::sqrt(length)));
    }
  }
}

TEST_CASE("texts given in several calls are numbered on and written as if given at once, in every format") {
  const Transformer model = byte_model("gpt");
  const Tokenizer tokenizer = Tokenizer::bytes();
  const std::vector<EmbedText> texts = {EmbedText("the king"), EmbedText("a"), EmbedText("men of war"),
                                        EmbedText("b")};
  EmbedOptions options;
  options.maps = options.heads = true;
  const TemporaryFolder folder;
  const auto write = [&](const std::string& path, size_t at_once) {
    TextEmbedder embedder(model, &tokenizer, options);
    EmbeddingWriter writer(path);
    for (size_t i = 0; i < texts.size(); i += at_once)
      writer.append(embedder.embed(std::span(texts).subspan(i, std::min(at_once, texts.size() - i))));
    writer.finish({{"model_sha256", "x"}});
  };
  for (const char* name : {"a.npz", "a.safetensors"}) {
    write(folder / name, 4);
    write(folder / (std::string("pieces_") + name), 1);
    CHECK(read_file(folder / name) == read_file(folder / (std::string("pieces_") + name)));
    CHECK(read_file(folder / (std::string(name) + ".tokens.jsonl")) ==
          read_file(folder / (std::string("pieces_") + name + ".tokens.jsonl")));
  }
  write(folder / "rows/", 3);
  const SafetensorsFile file = SafetensorsFile::open(folder / "a.safetensors");
  for (const std::string& name : file.names()) {
    const NpyArray array = load_npy(folder / ("rows/" + name + ".npy"));
    const RawTensor expected = file.array(name);
    CHECK(array.dtype == expected.dtype);
    CHECK(array.shape == expected.shape);
    CHECK(std::string_view(static_cast<const char*>(array.data), array.bytes) ==
          std::string_view(static_cast<const char*>(expected.data), expected.bytes));
  }
  CHECK(file.contains("attention_2"));
  const std::string lines = read_file(folder / "rows/tokens.jsonl");
  CHECK(lines == read_file(folder / "a.npz.tokens.jsonl"));
  const std::string meta = folder / "rows/meta.json";
  CHECK(Json::parse(read_file(meta), meta).at("tokens_sha256").as_string() == sha256_hex(lines));
  CHECK_THROWS_WITH(EmbeddingWriter(folder / "rows/"), ContainsSubstring("must be new or empty"));
  CHECK_THROWS_WITH(EmbeddingWriter(folder / "rows"),
                    ContainsSubstring("must be named .npz or .safetensors"));
  // Nothing half-written is left where nobody finishes.
  { EmbeddingWriter(folder / "lost.npz").append(embed_texts(model, tokenizer, std::span(texts), options)); }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    CHECK(entry.path().filename().string().rfind("lost", 0) != 0);
}

TEST_CASE("layers are written as halves, as bytes with a scale, or as bits") {
  EmbeddingSet set;
  set.level = Level::sentence;
  set.layer_names = {"layer_0"};
  const std::vector<float> values = {1, -2, 0, 0.5f, 3, -0.25f, 1e-3f, -127, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  set.layers = {Tensor::from(std::span<const float>(values), {2, 9})};
  set.rows.resize(2);
  set.offsets = {0, 1, 2};
  const TemporaryFolder folder;
  const auto written = [&](VectorType type) {
    const std::string path = folder / (std::string(name_of(type)) + ".safetensors");
    EmbeddingWriter writer(path, type);
    writer.append(set);
    writer.finish();
    return SafetensorsFile::open(path);
  };
  const SafetensorsFile half = written(VectorType::f16);
  CHECK(half.metadata().at("dtype") == "f16");
  CHECK(same_bits(half.tensor("layer_0"), cast(set.layers[0], DType::f16)) == "");
  const SafetensorsFile bytes = written(VectorType::int8);
  const auto* q = static_cast<const int8_t*>(bytes.array("layer_0").data);
  CHECK(std::vector<int>(q, q + 9) ==
        std::vector<int>{1, -2, 0, 0, 3, 0, 0, -127, 100});  // 0.5 to the even 0
  CHECK(bytes.tensor("layer_0.scale").to_vector<float>() == std::vector<float>{1, 0});
  const SafetensorsFile bits = written(VectorType::binary);
  const auto* b = static_cast<const uint8_t*>(bits.array("layer_0").data);
  CHECK(bits.info("layer_0").shape == Shape{2, 2});
  CHECK(std::vector<int>(b, b + 4) == std::vector<int>{0b10011010, 0b10000000, 0, 0});
}
