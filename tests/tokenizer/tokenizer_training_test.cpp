// Training of every kind through its one door, and the files that come of it.

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/subword/wordpiece_model.hpp"
#include "tokenizer/training/train.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

using Spaces = TokenizerTraining::Spaces;
using Names = std::vector<std::string>;

std::string lands() {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "the king and the queen of the land, | a singing king; the ring\n";
  return text;
}

Tokenizer trained(const std::string& kind, int64_t size, const Names& special = {},
                  Spaces spaces = Spaces::exact) {
  static const std::string text = lands();
  const std::vector<std::string_view> documents = {text};
  return train_tokenizer(documents, {kind, size, special, 0, spaces});
}

}  // namespace

TEST_CASE("a special token that text is made of is refused before training") {
  const std::vector<std::pair<std::string, Names>> refused = {
      {"bpe", {"|", "e", "\u0120", "\u0142"}},
      {"spm-bpe", {"<0x41>", "<0xff>", "|", "e", "\u2581", "\u65E5"}},
      {"unigram", {"<0x41>", "|", "e", "\u2581"}},
      {"wordpiece", {"|", "e", "##e"}},
      {"bpe", {"a\xFF"}},
  };
  const std::vector<std::string_view> documents = {"the king"};
  for (const auto& [kind, names] : refused) {
    for (const std::string& name : names) {
      INFO(kind << ": " << name);
      bool begun = false;
      const TokenizerTraining options{kind, 400, {"<unk>", "[UNK]", name}};
      CHECK_THROWS_WITH(train_tokenizer(documents, options, [&](int64_t, int64_t) { begun = true; }),
                        StartsWith("train_tokenizer: ") && ContainsSubstring("special token") &&
                            ContainsSubstring("'" + name + "' is "));
      CHECK(!begun);
    }
  }
  // Of SentencePiece's unigram, where any piece of the vocabulary may be the most probable one, words with their space too.
  TokenizerTraining options{"unigram", 400, {"<unk>", "\u2581the"}};
  options.spaces = Spaces::sentencepiece;
  CHECK_THROWS_WITH(train_tokenizer(documents, options), ContainsSubstring("is a word with its space"));
}

TEST_CASE("a special token that could be learned is not, and no text becomes it unless asked for") {
  struct Row {
    const char* kind;
    int64_t size;
    Names special;
    Spaces spaces = Spaces::exact;
  };
  const std::vector<Row> rows = {
      {"bpe", 290, {"the", "\u0120king", "<|endoftext|>"}},
      {"spm-bpe", 300, {"<unk>", "the", " king", "\u2581the"}},
      {"spm-bpe", 300, {"<unk>", "the", "\u2581king", " the"}, Spaces::sentencepiece},
      {"unigram", 300, {"<unk>", "the", " king", "\u2581the"}},
      {"wordpiece", 60, {"[UNK]", "the", "##ing", "##ng"}},
      {"words", 10, {"<unk>", "the", "king;"}},
  };
  for (const Row& row : rows) {
    INFO(row.kind);
    const Tokenizer plain = trained(row.kind, row.size, {}, row.spaces);
    const Tokenizer tokenizer = trained(row.kind, row.size, row.special, row.spaces);
    std::set<std::string> texts;
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) texts.insert(tokenizer.token_text(id));
    CHECK(std::ssize(texts) == tokenizer.vocab_size());
    // They would be learned.
    CHECK(std::any_of(row.special.begin() + 1, row.special.end(),
                      [&](const std::string& name) { return plain.id_of(name).has_value(); }));
    const Tokenizer back = as_tokenizer_json(tokenizer, "t.json");
    for (const Tokenizer* one : {&tokenizer, &back}) {
      for (const int32_t id : one->encode(lands() + "##ing \u0120king \u2581the " + row.special[1])) {
        if (one->is_special(id) && id != one->unknown_id()) FAIL_CHECK(one->token_text(id));
      }
      for (const std::string& name : row.special) {
        CHECK(one->encode(name, {.special_tokens = true}) == std::vector<int32_t>{*one->id_of(name)});
      }
    }
    if (tokenizer.lossless()) CHECK(tokenizer.decode(tokenizer.encode(lands())) == lands());
  }
}

TEST_CASE("what a file calls special is text where special tokens are not looked for") {
  const std::string special =
      R"("added_tokens": [{"id": 1, "content": "</s>", "special": true, "normalized": false}])";
  const auto read = [&](const std::string& rest) {
    return Tokenizer::parse(R"({"version": "1.0", )" + special + ", " + rest + "}", "t.json");
  };
  const Tokenizer unigram = read(
      R"("pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
         "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["</s>", 0], ["▁a", -1], ["a", -2], ["<", -3],
                   ["/", -3], ["s", -3], [">", -3]]})");
  CHECK(unigram.encode("a</s>a") == std::vector<int32_t>{2, 4, 5, 6, 7, 3});
  CHECK(unigram.encode("a</s>", {true}) == std::vector<int32_t>{2, 1});
  const Tokenizer words = read(
      R"("pre_tokenizer": {"type": "WhitespaceSplit"},
         "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "</s>": 1, "a": 2}})");
  CHECK(words.encode("a </s> a") == std::vector<int32_t>{2, 0, 2});
  CHECK(words.encode("a </s> a", {true}) == std::vector<int32_t>{2, 1, 2});
  const Tokenizer wordpiece = read(
      R"("pre_tokenizer": {"type": "WhitespaceSplit"},
         "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 99,
                   "vocab": {"[UNK]": 0, "</s>": 1, "</": 2, "##s>": 3}})");
  CHECK(wordpiece.encode("</s>") == std::vector<int32_t>{2, 3});
  CHECK(wordpiece.encode("</s>", {true}) == std::vector<int32_t>{1});
  for (const char* ignore : {"true", "false"}) {
    const Tokenizer bpe = read(
        std::string(R"("model": {"type": "BPE", "ignore_merges": )") + ignore +
        R"(, "vocab": {"<": 0, "</s>": 1, "/": 2, "s": 3, ">": 4, "</": 5, "s>": 6}, "merges": ["< /", "s >", "</ s>"]})");
    CHECK(bpe.encode("</s>") == std::vector<int32_t>{5, 6});
    CHECK(bpe.encode("</s>", {true}) == std::vector<int32_t>{1});
  }
}

TEST_CASE("notes and errors of training name the kind that is trained") {
  const std::vector<std::string_view> documents = {"the king"};
  const auto note = [&](const char* kind) {
    return train_tokenizer(documents, {kind, 5000, {}}).training_note();
  };
  CHECK_THAT(note("bpe"), StartsWith("train_bpe: the vocabulary has "));
  CHECK_THAT(note("wordpiece"), StartsWith("train_wordpiece: the vocabulary has "));
  CHECK_THAT(note("words"), StartsWith("train_words: the vocabulary has "));
  CHECK_THAT(note("spm-bpe"), StartsWith("train_spm_bpe: the text is too small "));
  CHECK_THAT(note("unigram"), StartsWith("train_unigram: the text is too small "));
  CHECK_THROWS_WITH(train_tokenizer(documents, {"wordpiece", 8, {}}),
                    StartsWith("train_wordpiece: vocab_size must be at least "));
}

TEST_CASE("what cannot become a .model says why, and what to train instead") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/t.model";
  const auto save = [&](const Tokenizer& tokenizer) {
    save_tokenizer_as(tokenizer, path, TokenizerFormat::sentencepiece);
  };
  for (const char* kind : {"spm-bpe", "unigram"}) {
    INFO(kind);
    CHECK_THROWS_WITH(save(trained(kind, 300)), ContainsSubstring("tells spaces from U+2581") &&
                                                    ContainsSubstring("--spaces sentencepiece"));
    const Tokenizer marked = trained(kind, 300, {}, Spaces::sentencepiece);
    save(marked);
    const Tokenizer back = load_tokenizer(path);
    for (const char* text : {"the king", "   the \u2581 land  ", "na\u00EFve\n"}) {
      CHECK(back.encode(text) == marked.encode(text));
      CHECK(back.decode(back.encode(text)) == marked.decode(marked.encode(text)));
    }
    TokenizerParts parts = marked.parts();
    parts.normalizer = nullptr;
    parts.pre_tokenizer = read_pre_tokenizer(preset(kMetaspaceWords));
    CHECK_THROWS_WITH(save(Tokenizer(std::move(parts))),
                      ContainsSubstring("(Metaspace) puts none before a text that begins with a space") &&
                          ContainsSubstring("--spaces sentencepiece"));
  }
  CHECK_THROWS_WITH(save(trained("words", 10)), ContainsSubstring("train the kind spm-bpe or unigram"));
}

TEST_CASE("nothing is written that could not be read back") {
  const testing::TemporaryFolder folder;
  const std::string ranks = folder.path() + "/t.tiktoken";
  CHECK_THROWS_WITH(save_tokenizer_as(trained("bpe", 280), ranks, TokenizerFormat::tiktoken),
                    ContainsSubstring("these 279 ranks are of none; write a tokenizer.json"));
  CHECK(!file_exists(ranks));
  // Two tokens of one name.
  TokenizerParts twice = trained("bpe", 280).parts();
  BpeParts bpe = static_cast<const BpeModel&>(*twice.model).parts();
  bpe.tokens.back() = "e";
  twice.added_tokens = special_tokens({"e"}, 279);
  twice.model = std::make_shared<const BpeModel>(std::move(bpe));
  const std::string json = folder.path() + "/t.json";
  CHECK_THROWS_WITH(
      save_tokenizer_as(Tokenizer(std::move(twice)), json, TokenizerFormat::tokenizer_json),
      ContainsSubstring("t.json: $.model.vocab.e") && ContainsSubstring("the key stands twice"));
  CHECK(!file_exists(json));
  // As the first line of a vocab.txt this looks like JSON.
  TokenizerParts parts;
  parts.model =
      std::make_shared<const WordPieceModel>(WordVocabulary({"{", "[UNK]", "a"}), WordPieceModel::Options{});
  parts.normalizer = read_normalizer(bert_normalizer(true));
  parts.pre_tokenizer = read_pre_tokenizer(preset(kBertWords));
  parts.decoder = read_decoder(preset(kWordPieceDecoder));
  const std::string vocabulary = folder.path() + "/t.txt";
  CHECK_THROWS_WITH(
      save_tokenizer_as(Tokenizer(std::move(parts)), vocabulary, TokenizerFormat::vocab_txt),
      ContainsSubstring("t.txt: not written, for its contents look like a file of another format"));
  CHECK(!file_exists(vocabulary));
}
