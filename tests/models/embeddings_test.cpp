#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "models/embeddings/files.hpp"
#include "models/embeddings/nearest.hpp"
#include "models/embeddings/text_rows.hpp"
#include "models/files/tensor_source.hpp"
#include "models/transformer/contextual.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "models/transformer/word_contexts.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/text.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/train.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::vector<std::string_view> kTexts = {"the king's men", "a", "and all of the king's horses, they say",
                                              "not left but right", "left"};

// [CLS] and [SEP] around a text; words in lower case.
Tokenizer wordpiece() {
  TokenizerTraining training;
  training.kind = "wordpiece";
  training.vocab_size = 40;
  const std::vector<std::string_view> documents = {"the king and the queen and the king of queens"};
  return train_tokenizer(documents, training);
}

Tensor rows_of(const EmbeddingSet& set, size_t layer, size_t text) {
  return slice(set.layers[layer], 0, set.offsets[text], set.offsets[text + 1]);
}

}  // namespace

TEST_CASE("pooling takes the mean, the last or the largest of a range of rows") {
  const Tensor x = Tensor::from(std::vector<float>{1, 5, 3, -2, 8, 0}, {3, 2});
  const std::vector<RowRange> ranges = {{0, 3}, {1, 2}, {0, 2}};
  CHECK(pool_rows(x, ranges, Pooling::mean).to_vector<float>() == std::vector<float>{4, 1, 3, -2, 2, 1.5});
  CHECK(pool_rows(x, ranges, Pooling::last).to_vector<float>() == std::vector<float>{8, 0, 3, -2, 3, -2});
  CHECK(pool_rows(x, ranges, Pooling::max).to_vector<float>() == std::vector<float>{8, 5, 3, -2, 3, 5});
  CHECK_THROWS_WITH(pool_rows(x, std::vector<RowRange>{{2, 2}}, Pooling::mean),
                    "pool_rows: a range must hold at least one of 3 rows; it is [2, 2)");
  CHECK(parse_pooling("last") == Pooling::last);
  CHECK_THROWS_WITH(
      parse_pooling("first"),
      "pooling: must be one of mean, cls, max, last, mean_sqrt_len_tokens, weightedmean; it is 'first'");
  CHECK_THROWS_WITH(parse_level("page"), "level: must be one of sentence, word, token; it is 'page'");
}

TEST_CASE("words are pooled from the tokens that share a byte with them") {
  // "ab, cd" with tokens "a" "b," " c" "d": the second token belongs to two words.
  const std::vector<TokenSpan> pieces = {{0, 0, 1}, {1, 1, 3}, {2, 3, 5}, {3, 5, 6}};
  const std::vector<WordSpan> words = find_words("ab, cd");
  REQUIRE(words == std::vector<WordSpan>{{0, 2}, {2, 3}, {4, 6}});
  CHECK(align_words(words, pieces) == std::vector<RowRange>{{0, 2}, {1, 2}, {2, 4}});
  const std::vector<TokenSpan> whole = {{0, 0, 6}};
  CHECK(align_words(words, whole) == std::vector<RowRange>{{0, 1}, {0, 1}, {0, 1}});

  const Tokenizer tokenizer = Tokenizer::bytes();
  const TextRows tokens =
      lay_out_rows({.tokens = pieces, .text = "ab, cd", .number = 3}, Level::token, &tokenizer);
  std::vector<int64_t> of_word;
  for (const RowInfo& row : tokens.rows) of_word.push_back(row.word);
  CHECK(of_word == std::vector<int64_t>{0, 0, 2, 2});
  const auto bytes = tokenizer.encode_spans("ab, cd");
  of_word.clear();
  for (const RowInfo& row : lay_out_rows({.tokens = bytes, .text = "ab, cd"}, Level::token, &tokenizer).rows)
    of_word.push_back(row.word);
  CHECK(of_word == std::vector<int64_t>{0, 0, 1, -1, 2, 2});  // the space is in no word
}

TEST_CASE("rows tell where they come from, and pooled rows are pooled token rows") {
  const Transformer model = byte_model("gpt");
  const Tokenizer tokenizer = Tokenizer::bytes();
  EmbedOptions options;
  const EmbeddingSet tokens = embed_texts(model, tokenizer, kTexts, options);
  REQUIRE(tokens.layer_names == std::vector<std::string>{"layer_0", "layer_1", "layer_2", "final"});
  REQUIRE(tokens.offsets.size() == 6);
  REQUIRE(tokens.offsets[1] == 14);
  CHECK(tokens.rows[2].token == "e");
  CHECK(tokens.rows[2].id == 'e');
  CHECK(tokens.rows[5].start == 5);
  CHECK(tokens.rows[5].end == 6);
  CHECK(tokens.rows[5].word == 1);
  CHECK(tokens.rows[14].text == 1);
  const auto expected =
      model.hidden_states(ids_tensor(tokenizer.encode(kTexts[3])), Context::of_batch(1, 18));
  for (size_t l = 0; l < 4; ++l) CHECK(same_bits(rows_of(tokens, l, 3), expected[l]) == "");

  for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::max}) {
    options.pooling = pooling;
    options.level = Level::word;
    const EmbeddingSet words = embed_texts(model, tokenizer, kTexts, options);
    CHECK(words.rows[1].token == "king's");
    CHECK(words.rows[1].start == 4);
    CHECK(words.rows[1].end == 10);
    CHECK(words.rows[1].word == 1);
    CHECK(words.offsets[1] == 3);
    const RowRange king[] = {{4, 10}};
    CHECK(same_bits(slice(words.layers[1], 0, 1, 2), pool_rows(tokens.layers[1], king, pooling)) == "");
    options.level = Level::sentence;
    const EmbeddingSet sentences = embed_texts(model, tokenizer, kTexts, options);
    REQUIRE(sentences.rows.size() == 5);
    CHECK(sentences.rows[2].end == static_cast<int64_t>(kTexts[2].size()));
    const RowRange third[] = {{tokens.offsets[2], tokens.offsets[3]}};
    CHECK(same_bits(slice(sentences.layers[3], 0, 2, 3), pool_rows(tokens.layers[3], third, pooling)) == "");
  }
}

TEST_CASE(
    "embedding some layers gives the bits of embedding all, runs no block above them and holds no other") {
  Config config = small_config("gpt", 256, 64);
  config.n_layer = 9;
  config.n_ffn = 24;
  Transformer model = small_model(config);
  const Tokenizer tokenizer = Tokenizer::bytes();
  EmbedOptions options;
  options.level = Level::sentence;
  const auto peak = [&] {
    reset_memory_peaks();
    const size_t before = memory_statistics().in_use;
    embed_texts(model, tokenizer, kTexts, options);
    return static_cast<int64_t>(memory_statistics().peak_in_use - before);
  };
  const EmbeddingSet all = embed_texts(model, tokenizer, kTexts, options);
  int64_t tokens = 0;
  for (const std::string_view text : kTexts) tokens += std::ssize(text);
  const int64_t everything = peak();
  options.layers = {9};
  CHECK(peak() + 8 * tokens * 24 * 4 <= everything);

  for (Block& block : model.blocks)
    fill_normal("x", block.mlp.down.weight, std::numeric_limits<double>::quiet_NaN());
  CHECK_THROWS_WITH(embed_texts(model, tokenizer, kTexts, options),
                    ContainsSubstring("vectors must be finite; at layer_9"));
  options.layers = {0};
  const EmbeddingSet entering = embed_texts(model, tokenizer, kTexts, options);
  CHECK(entering.layer_names == std::vector<std::string>{"layer_0"});
  CHECK(same_bits(entering.layers[0], all.layers[0]) == "");
}

TEST_CASE("a text's embeddings are the same bits alone, beside longer ones, in any order and batch") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Transformer model = byte_model(arch);
    const Tokenizer tokenizer = Tokenizer::bytes();
    const EmbeddingSet together = embed_texts(model, tokenizer, kTexts, {});
    EmbedOptions small;
    small.batch_tokens = 20;
    const EmbeddingSet batched = embed_texts(model, tokenizer, kTexts, small);
    const std::vector<std::string_view> reversed(kTexts.rbegin(), kTexts.rend());
    const EmbeddingSet backwards = embed_texts(model, tokenizer, reversed, {});
    for (size_t l = 0; l < 4; ++l) {
      CHECK(same_bits(together.layers[l], batched.layers[l]) == "");
      for (size_t i = 0; i < kTexts.size(); ++i) {
        const EmbeddingSet alone = embed_texts(model, tokenizer, std::span(kTexts).subspan(i, 1), {});
        CHECK(same_bits(rows_of(together, l, i), alone.layers[l]) == "");
        CHECK(same_bits(rows_of(together, l, i), rows_of(backwards, l, kTexts.size() - 1 - i)) == "");
      }
    }
  }
}

TEST_CASE("texts that cannot be embedded are errors that give their number") {
  const Transformer model = byte_model("gpt", 16);
  const Tokenizer tokenizer = Tokenizer::bytes();
  const auto embed = [&](std::vector<std::string_view> texts) {
    return embed_texts(model, tokenizer, texts, {});
  };
  CHECK_THROWS_WITH(
      embed({"short", "a text of 21 letters.."}),
      "embed: a text must have at most block_size tokens; text 1 has 22, block_size is 16; split it, or "
      "have it cut off there (truncate)");
  EmbedOptions declared;
  declared.max_tokens = 9;
  CHECK_THROWS_WITH(embed_texts(model, tokenizer, std::vector<std::string_view>{"ten letters"}, declared),
                    ContainsSubstring("at most max_seq_length tokens; text 0 has 11, max_seq_length is 9;"));
  CHECK_THROWS_WITH(embed({"short", "x", ""}),
                    "embed: a text must have at least one token; text 2 has none; leave it out");
  CHECK_THROWS_WITH(
      embed_texts(model, Tokenizer::train_char("ab"), kTexts, {}),
      ContainsSubstring(
          "embed: the tokenizer must have the model's vocabulary; it has 2 tokens, the model 256"));
  CHECK(embed({}).rows.empty());
}

TEST_CASE("errors name a text as its file does") {
  EmbedOptions options;
  const auto named = [](std::vector<EmbedText> texts) {
    for (size_t i = 0; i < texts.size(); ++i) texts[i].name = "list:" + std::to_string(i + 1);
    return texts;
  };
  const std::vector<EmbedText> texts = named({EmbedText("short"), EmbedText("a text of 21 letters..")});
  CHECK_THROWS_WITH(embed_texts(byte_model("gpt", 16), Tokenizer::bytes(), texts, options),
                    ContainsSubstring("list:2 has 22"));
  const std::vector<EmbedText> broken = named({EmbedText("short"), EmbedText("br\xFFken")});
  const Tokenizer words = wordpiece();
  const Transformer model = small_model(small_config("gpt", words.vocab_size()));
  CHECK_THROWS_WITH(embed_texts(model, words, broken, options), ContainsSubstring("list:2: "));
}

TEST_CASE("what a tokenizer.json says of truncation and padding is not obeyed where a model runs") {
  const Tokenizer plain = wordpiece();
  Json json = Json::parse(plain.to_json(), "plain");
  json.set("truncation",
           Json::parse(R"({"direction":"Right","max_length":3,"strategy":"LongestFirst","stride":0})", "t"));
  json.set("padding", Json::parse(R"({"strategy":{"Fixed":9},"direction":"Right","pad_to_multiple_of":null,
      "pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"})",
                                  "p"));
  const Tokenizer cutting = Tokenizer::parse(json.dump(), "cutting");
  const std::string_view text = "the king and the queen";
  REQUIRE(cutting.encode_full(text).ids.size() == 9);
  CHECK(cutting.encode_spans(text, {.whole = true}) == plain.encode_spans(text));
  const Transformer model = small_model(small_config("gpt", plain.vocab_size()));
  for (const Level level : {Level::sentence, Level::word, Level::token}) {
    EmbedOptions options;
    options.level = level;
    const std::vector<std::string_view> texts = {text, "king"};
    const EmbeddingSet one = embed_texts(model, plain, texts, options);
    const EmbeddingSet two = embed_texts(model, cutting, texts, options);
    REQUIRE(one.offsets == two.offsets);
    for (size_t l = 0; l < one.layers.size(); ++l) CHECK(same_bits(one.layers[l], two.layers[l]) == "");
  }
  WordTableOptions often;
  often.min_count = 1;
  const std::vector<std::string_view> documents = {text};
  const Vectors table = make_word_table(model, cutting, documents, often);
  CHECK(same_bits(table.layers[2], make_word_table(model, plain, documents, often).layers[2]) == "");
}

TEST_CASE("special tokens stand around a text: rows of no byte, in no word, counted in a sentence") {
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(small_config("gpt", tokenizer.vocab_size()));
  const std::vector<std::string_view> texts = {"the king"};
  EmbedOptions options;
  options.add_special = true;
  const EmbeddingSet tokens = embed_texts(model, tokenizer, texts, options);
  const int64_t last = tokens.offsets[1] - 1;
  REQUIRE(last >= 3);
  for (const int64_t row : {int64_t{0}, last}) {
    const RowInfo& info = tokens.rows[static_cast<size_t>(row)];
    CHECK(info.token == (row == 0 ? "[CLS]" : "[SEP]"));
    CHECK(info.start == info.end);
    CHECK(info.word == -1);
  }
  std::vector<int32_t> ids;
  for (const RowInfo& row : tokens.rows) ids.push_back(static_cast<int32_t>(row.id));
  const auto states = model.hidden_states(ids_tensor(ids), Context::of_batch(1, last + 1));
  for (size_t l = 0; l < states.size(); ++l) CHECK(same_bits(tokens.layers[l], states[l]) == "");

  options.level = Level::sentence;
  const RowRange all[] = {{0, last + 1}};
  CHECK(same_bits(embed_texts(model, tokenizer, texts, options).layers[1],
                  pool_rows(states[1], all, Pooling::mean)) == "");
  options.level = Level::word;
  const EmbeddingSet words = embed_texts(model, tokenizer, texts, options);
  REQUIRE(words.rows.size() == 2);
  CHECK(words.rows[0].token == "the");
  CHECK(words.rows[1].token == "king");
  const RowRange king[] = {{last - (tokens.rows[2].word == 1 ? last - 2 : last - 3), last}};
  CHECK(same_bits(slice(words.layers[2], 0, 1, 2), pool_rows(states[2], king, Pooling::mean)) == "");
}

TEST_CASE("a text that is too long is cut where that is asked for, counted, and keeps its special tokens") {
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(small_config("gpt", tokenizer.vocab_size(), 8));
  EmbedOptions options;
  options.add_special = true;
  options.truncate = true;
  const std::vector<std::string_view> texts = {"the king and the queen and the king and the queen", "king"};
  const EmbeddingSet set = embed_texts(model, tokenizer, texts, options);
  CHECK(set.truncated == 1);
  REQUIRE(set.offsets[1] == 8);
  CHECK(set.rows[0].token == "[CLS]");
  CHECK(set.rows[6].id == tokenizer.encode(texts[0])[5]);
  CHECK(set.rows[7].token == "[SEP]");
  options.level = Level::word;
  CHECK(embed_texts(model, tokenizer, texts, options).dropped_words > 0);  // those that were cut off
}

TEST_CASE("a word that no token stands for has no row, and is counted") {
  // A BERT normalizer leaves out control characters, of which some are words here.
  const Tokenizer tokenizer = wordpiece();
  const Transformer model = small_model(small_config("gpt", tokenizer.vocab_size()));
  const std::vector<std::string_view> texts = {"the \x01 king"};
  EmbedOptions options;
  options.level = Level::word;
  const EmbeddingSet set = embed_texts(model, tokenizer, texts, options);
  REQUIRE(set.rows.size() == 2);
  CHECK(set.dropped_words == 1);
  CHECK(set.rows[1].token == "king");
  CHECK(set.rows[1].word == 2);
  const std::vector<std::string_view> bare = {"the king"};
  CHECK(same_bits(set.layers[2], embed_texts(model, tokenizer, bare, options).layers[2]) == "");
  WordTableOptions often;
  often.min_count = 1;
  const Vectors table = make_word_table(model, tokenizer, texts, often);
  CHECK(table.names == Names{"king", "the"});
  CHECK(table.counts.size() == 2);
  CHECK(table.layers[0].size(0) == 2);
  CHECK(table.notes ==
        std::vector<std::string>{"1 frequent words have no row: no token stands for them, as of characters "
                                 "that the tokenizer leaves out"});
}

TEST_CASE("weights and vectors that are not finite are errors that name them") {
  const float bad[] = {std::nanf(""), std::numeric_limits<float>::infinity()};
  for (const float value : bad) {
    CAPTURE(value);
    Transformer model = byte_model("gpt");
    model.blocks[1].mlp.down.weight.mutable_data<float>()[37] = value;
    CHECK_THROWS_WITH(embed_texts(model, Tokenizer::bytes(), kTexts, {}),
                      ContainsSubstring("vectors must be finite; at layer_2 that of text 2 is not"));
    WordTableOptions often;
    often.min_count = 1;
    CHECK_THROWS_WITH(make_word_table(model, Tokenizer::bytes(), kTexts, often),
                      ContainsSubstring("vectors must be finite; at layer_2 that of '"));
    for (const std::string_view arch : {"gpt", "llama"}) {
      const TemporaryFolder folder;
      Transformer damaged = byte_model(arch);
      Tensor& weight = arch == "gpt" ? damaged.blocks[1].mlp.down.weight : damaged.token_embedding.weight;
      weight.mutable_data<float>()[37] = value;
      save_transformer(folder.path(), damaged);
      CHECK_THROWS_WITH(
          load_transformer(folder.path()),
          ContainsSubstring(folder / kWeightsFile) && ContainsSubstring("weights must be finite; element") &&
              ContainsSubstring(arch == "gpt" ? "h.1.mlp.c_proj.weight" : "embed_tokens.weight"));
      Transformer other = byte_model(arch);
      CHECK_THROWS_WITH(read_weights(other, *open_tensors(folder / kWeightsFile)),
                        ContainsSubstring("weights must be finite"));
    }
  }
  CHECK(first_non_finite(Tensor::from(std::vector<float>{1, -3e38f, 1e-40f}, {3})) == -1);
  CHECK(first_non_finite(Tensor::from(std::vector<double>{1, 1e300, -INFINITY}, {3})) == 2);
  std::vector<float> many(200'000, 1.0f);
  many[70'000] = many[150'000] = bad[0];
  for (const int threads : {1, 2, 4}) {
    const UseThreads scope(threads);
    CHECK(first_non_finite(Tensor::from(many, {200, 1000})) == 70'000);
  }
}

TEST_CASE("arrays and rows of one writer belong together, and a reader can tell") {
  const TemporaryFolder folder;
  const EmbeddingSet set = embed_texts(byte_model("gpt"), Tokenizer::bytes(), kTexts, {});
  save_embeddings(folder / "a.safetensors", set);
  CHECK(SafetensorsFile::open(folder / "a.safetensors").metadata().at("tokens_sha256") ==
        sha256_hex(read_file(folder / "a.safetensors.tokens.jsonl")));
}

TEST_CASE("layers can be chosen, and progress counts the texts") {
  const Transformer model = byte_model("gpt");
  EmbedOptions options;
  options.layers = {1, 3};
  options.batch_tokens = 30;
  std::vector<int64_t> done;
  const EmbeddingSet set = embed_texts(model, Tokenizer::bytes(), kTexts, options, [&](int64_t i, int64_t n) {
    done.push_back(i);
    CHECK(n == 5);
  });
  CHECK(set.layer_names == std::vector<std::string>{"layer_1", "final"});
  CHECK(set.layers.size() == 2);
  CHECK(done == std::vector<int64_t>{1, 2, 5});
}

TEST_CASE("embeddings are written with their rows and metadata in both formats") {
  const TemporaryFolder folder;
  const Transformer model = byte_model("gpt");
  const std::vector<std::string_view> texts = {"the king", "\xC3\xA9t\xFF"};
  const EmbeddingSet set = embed_texts(model, Tokenizer::bytes(), texts, {});
  const std::string npz_path = folder / "out.npz";
  const std::string safetensors_path = folder / "out.safetensors";
  save_embeddings(npz_path, set, {{"model_sha256", "abc"}});
  save_embeddings(safetensors_path, set, {{"model_sha256", "abc"}});

  const NpzFile npz(npz_path);
  CHECK(npz.names() == std::vector<std::string>{"layer_0", "layer_1", "layer_2", "final", "offsets", "meta"});
  CHECK(same_bits(npz.tensor("layer_2"), set.layers[2]) == "");
  CHECK(same_bits(npz.tensor("final"), model.final_norm(npz.tensor("layer_2"))) == "");
  const NpyArray offsets = npz.array("offsets");
  CHECK(offsets.dtype == "I64");
  CHECK(std::memcmp(offsets.data, set.offsets.data(), 24) == 0);
  const NpyArray meta = npz.array("meta");
  const Json json = Json::parse({static_cast<const char*>(meta.data), meta.bytes}, "meta");
  CHECK(json.at("model_sha256").as_string() == "abc");
  CHECK(json.at("level").as_string() == "token");
  CHECK(json.at("layers").as_string() == "layer_0,layer_1,layer_2,final");
  CHECK(json.at("normalized").as_string() == "false");

  const SafetensorsFile file = SafetensorsFile::open(safetensors_path);
  for (size_t l = 0; l < 4; ++l) CHECK(same_bits(file.tensor(set.layer_names[l]), set.layers[l]) == "");
  CHECK(same_bits(file.tensor("final"), model.final_norm(file.tensor("layer_2"))) == "");
  CHECK(same_bits(file.tensor("final"), file.tensor("layer_2")) != "");
  CHECK(file.metadata().at("pooling") == "none");

  const std::vector<std::string> lines = lines_of(read_file(npz_path + ".tokens.jsonl"));
  REQUIRE(lines.size() == 12);
  CHECK(lines[4] == R"({"text":0,"token":"k","id":107,"start":4,"end":5,"word":1})");
  CHECK(lines == lines_of(read_file(safetensors_path + ".tokens.jsonl")));

  EmbedOptions words;
  words.level = Level::word;
  save_embeddings(npz_path, embed_texts(model, Tokenizer::bytes(), texts, words));
  CHECK(lines_of(read_file(npz_path + ".tokens.jsonl")) ==
        std::vector<std::string>{R"({"text":0,"token":"the","start":0,"end":3,"word":0})",
                                 R"({"text":0,"token":"king","start":4,"end":8,"word":1})",
                                 R"({"text":1,"token":"ét","start":0,"end":3,"word":0})",
                                 "{\"text\":1,\"token\":\"\xEF\xBF\xBD\",\"start\":3,\"end\":4,\"word\":1}"});
  words.pooling = Pooling::max;
  save_embeddings(safetensors_path, embed_texts(model, Tokenizer::bytes(), texts, words));
  const SafetensorsFile pooled = SafetensorsFile::open(safetensors_path);
  CHECK(pooled.metadata().at("pooling") == "max");
  CHECK(pooled.metadata().at("level") == "word");
  words.level = Level::sentence;
  save_embeddings(npz_path, embed_texts(model, Tokenizer::bytes(), texts, words));
  CHECK(lines_of(read_file(npz_path + ".tokens.jsonl"))[0] ==
        R"({"text":0,"token":"the king","start":0,"end":8})");
  CHECK_THROWS_WITH(
      save_embeddings(folder / "out.csv", set),
      "embeddings: the file must be named .npz or .safetensors, or be a folder, NAME/; it is '" +
          (folder / "out.csv") + "'");
}

TEST_CASE("a word's vector is the mean over its first occurrences of the mean of its tokens") {
  const Transformer model = byte_model("llama", 16);
  const Tokenizer tokenizer = Tokenizer::bytes();
  // Words cross the windows of 16 tokens, and "rare" is seen too rarely.
  const std::string_view first = "king and queen and king and rare king and jester and queen and king";
  const std::string_view second = "and king";
  const std::vector<std::string_view> documents = {first, second};
  WordTableOptions options;
  options.min_count = 2;
  options.occurrences = 3;
  const Vectors table = make_word_table(model, tokenizer, documents, options);
  CHECK(table.names == Names{"and", "king", "queen"});
  CHECK(table.counts == std::vector<int64_t>{7, 5, 2});
  REQUIRE(table.layers.size() == 4);

  // By hand: all windows of the first document, then the tokens of three kings.
  std::vector<std::vector<float>> rows;
  for (size_t begin = 0; begin < first.size(); begin += 16) {
    const auto ids = tokenizer.encode(first.substr(begin, 16));
    const auto length = static_cast<int64_t>(ids.size());
    const auto values =
        model.hidden_states(ids_tensor(ids), Context::of_batch(1, length))[2].to_vector<float>();
    for (size_t t = 0; t < ids.size(); ++t)
      rows.emplace_back(values.begin() + t * 24, values.begin() + (t + 1) * 24);
  }
  const auto king = slice(table.layers[2], 0, 1, 2).to_vector<float>();
  for (size_t c = 0; c < 24; ++c) {
    double expected = 0;
    for (const size_t start : {size_t{0}, size_t{19}, size_t{33}}) {
      REQUIRE(first.substr(start, 4) == "king");
      for (size_t t = start; t < start + 4; ++t) expected += static_cast<double>(rows[t][c]) / 12;
    }
    CHECK(king[c] == Approx(expected).margin(1e-6));
  }

  // A window of the second document is another than the first's at the same place.
  const std::vector<std::string_view> apart = {"king king", "queen queen"};
  const std::vector<std::string_view> only_second = {"queen queen"};
  const Vectors both = make_word_table(model, tokenizer, apart, options);
  const Vectors one = make_word_table(model, tokenizer, only_second, options);
  for (size_t l = 0; l < 4; ++l) CHECK(same_bits(slice(both.layers[l], 0, 1, 2), one.layers[l]) == "");

  options.batch_tokens = 1;
  const Vectors again = make_word_table(model, tokenizer, documents, options);
  for (size_t l = 0; l < 4; ++l) CHECK(same_bits(table.layers[l], again.layers[l]) == "");

  options.layers = {1, 3};
  const Vectors two = make_word_table(model, tokenizer, documents, options);
  CHECK(two.layer_names == std::vector<std::string>{"layer_1", "final"});
  REQUIRE(two.layers.size() == 2);
  CHECK(same_bits(two.layers[0], table.layers[1]) == "");
  CHECK(same_bits(two.layers[1], table.layers[3]) == "");

  options.occurrences = 1;  // then only the first window is needed, "queen" crossing none
  std::vector<int64_t> windows;
  make_word_table(model, tokenizer, documents, options,
                  [&](int64_t done, int64_t) { windows.push_back(done); });
  CHECK(windows == std::vector<int64_t>{1});

  options.min_count = 100;
  const Vectors empty = make_word_table(model, tokenizer, documents, options);
  CHECK(empty.rows() == 0);
  CHECK(empty.layers[0].shape() == Shape{0, 24});
}

TEST_CASE("a vector's cosine with itself is never above 1, whatever is rounded") {
  for (int i = 0; i < 200; ++i) {
    const Tensor x = Tensor::empty({7});
    fill_normal("x" + std::to_string(i), x, 1);
    const std::vector<float> values = x.to_vector<float>();
    const double similarity = cosine(values, values);
    CHECK((similarity <= 1 && similarity > 1 - 1e-14));
  }
}

TEST_CASE("a folder's tokenizer must have the vocabulary of its model") {
  const TemporaryFolder folder;
  save_transformer(folder.path(), byte_model("gpt"));
  Tokenizer::bytes().save(folder / kTokenizerFile);
  const LanguageModel loaded = load_language_model(folder.path());
  CHECK(loaded.tokenizer.vocab_size() == 256);
  CHECK(model_sha256(folder.path()).size() == 64);
  // Padded for speed: the tokenizer may have a little less.
  std::string alphabet;
  for (int c = 0; c < 250; ++c) append_utf8(static_cast<char32_t>(c), alphabet);
  Tokenizer::train_char(alphabet).save(folder / kTokenizerFile);
  CHECK(load_language_model(folder.path()).note ==
        "the model has 256 ids, of which the tokenizer has a token for 250: the others are never generated");
  Tokenizer::train_char("abc").save(folder / kTokenizerFile);
  CHECK_THROWS_WITH(load_language_model(folder.path()),
                    folder.path() +
                        ": the tokenizer must have the model's vocabulary; tokenizer.json has 3 tokens, "
                        "config.json says vocab_size 256; use the tokenizer that the model was trained with");
}
