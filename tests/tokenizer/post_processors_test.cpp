#include "tokenizer/stages/post_processors.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/text.hpp"

#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tokenizer/stages/truncation.hpp"

using namespace gradus;
using gradus::testing::replaced;

namespace {

// Token ids 0 to 6; 7 and 8 are added tokens. Expected values come from the Hugging Face library 0.22.2.
const std::vector<std::string> kTokens = {"a",       "\u0120a", "\u0120\u0120", "b\u0120",
                                          "\u3000a", "\u00A0",  "a\u0120\u0120"};
constexpr int32_t kCls = 100;
constexpr int32_t kSep = 101;

std::shared_ptr<const PostProcessor> parse(const std::string& json) {
  const std::vector<int32_t> added = {7, 8};
  return read_post_processor(
      Json::parse(json, "t.json"), static_cast<int64_t>(kTokens.size()),
      [](int32_t id) -> std::string_view { return kTokens[static_cast<size_t>(id)]; }, added);
}

const std::string kTemplate =
    R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},)"
    R"({"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],)"
    R"("pair":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":2}},)"
    R"({"Sequence":{"id":"B","type_id":1}}],)"
    R"("special_tokens":{"[CLS]":{"id":"[CLS]","ids":[100],"tokens":["[CLS]"]},)"
    R"("[SEP]":{"id":"[SEP]","ids":[101,102],"tokens":["[SEP]","x"]}}})";
const std::string kBert = R"({"type":"BertProcessing","sep":["[SEP]",101],"cls":["[CLS]",100]})";

std::string roberta(bool trim, bool prefix) {
  const auto name = [](bool value) { return value ? "true" : "false"; };
  return std::string(R"({"type":"RobertaProcessing","sep":["</s>",101],"cls":["<s>",100],"trim_offsets":)") +
         name(trim) + R"(,"add_prefix_space":)" + name(prefix) + "}";
}

std::string byte_level(bool trim, bool prefix) {
  const auto name = [](bool value) { return value ? "true" : "false"; };
  return std::string(R"({"type":"ByteLevel","add_prefix_space":)") + name(prefix) + R"(,"trim_offsets":)" +
         name(trim) + R"(,"use_regex":true})";
}

Encoding tokens(std::vector<int32_t> ids, std::vector<TextRange> offsets = {}) {
  Encoding encoding;
  encoding.ids = std::move(ids);
  encoding.offsets = std::move(offsets);
  return encoding;
}

std::vector<TextRange> trimmed(const std::string& json, std::vector<int32_t> ids,
                               std::vector<TextRange> offsets, const std::string& text) {
  return parse(json)
      ->process(tokens(std::move(ids), std::move(offsets)), std::nullopt, false, text, "")
      .offsets;
}

using Ranges = std::vector<TextRange>;
using Ids = std::vector<int32_t>;
using Bytes = std::vector<uint8_t>;
using Sequences = std::vector<int8_t>;

std::string read_error(const std::string& json) {
  return testing::error_of([&] { parse(json); });
}

}  // namespace

TEST_CASE("without a post-processor a pair is joined, the second text as type 1") {
  const auto none = parse("null");
  const Encoding single = none->process(tokens({1, 2}, {{0, 2}, {2, 4}}), std::nullopt, true, " a  ", "");
  CHECK(single.ids == Ids{1, 2});
  CHECK(single.offsets == Ranges{{0, 2}, {2, 4}});
  CHECK(single.type_ids == Bytes{0, 0});
  CHECK(single.sequence == Sequences{0, 0});
  const Encoding pair = none->process(tokens({1}, {{0, 2}}), tokens({0}, {{0, 1}}), true, " a", "a");
  CHECK(pair.ids == Ids{1, 0});
  CHECK(pair.type_ids == Bytes{0, 1});
  CHECK(pair.sequence == Sequences{0, 1});
  CHECK(pair.special == Bytes{0, 0});
  CHECK(none->added_tokens(true) == 0);
  CHECK(none->to_json().is_null());
}

TEST_CASE("a template puts its tokens around texts, with its type ids") {
  const auto post = parse(kTemplate);
  CHECK(post->added_tokens(false) == 3);
  CHECK(post->added_tokens(true) == 2);
  CHECK(post->to_json().dump() == kTemplate);
  const Encoding single = post->process(tokens({0, 1}, {{0, 1}, {1, 3}}), std::nullopt, true, "a a", "");
  CHECK(single.ids == Ids{100, 0, 1, 101, 102});
  CHECK(single.offsets == Ranges{{0, 0}, {0, 1}, {1, 3}, {0, 0}, {0, 0}});
  CHECK(single.type_ids == Bytes{0, 0, 0, 0, 0});
  CHECK(single.special == Bytes{1, 0, 0, 1, 1});
  CHECK(single.sequence == Sequences{-1, 0, 0, -1, -1});
  const Encoding pair = post->process(tokens({0}, {{0, 1}}), tokens({1}, {{0, 2}}), true, "a", " a");
  CHECK(pair.ids == Ids{0, 101, 102, 1});
  CHECK(pair.type_ids == Bytes{0, 2, 2, 1});
  CHECK(pair.sequence == Sequences{0, -1, -1, 1});
  const Encoding bare = post->process(tokens({0}, {{0, 1}}), tokens({1}, {{0, 2}}), false, "a", " a");
  CHECK(bare.ids == Ids{0, 1});
  CHECK(bare.type_ids == Bytes{0, 1});
}

TEST_CASE("a template's short forms mean the same as its objects") {
  const std::string tokens_json =
      R"("special_tokens":{"[CLS]":{"id":"[CLS]","ids":[100],"tokens":["[CLS]"]},)"
      R"("[SEP]":{"id":"[SEP]","ids":[101,102],"tokens":["[SEP]","x"]}}})";
  CHECK(parse(R"({"type":"TemplateProcessing","single":"[CLS] $ [SEP]","pair":"$A [SEP]:2 $B:1",)" +
              tokens_json)
            ->to_json()
            .dump() == kTemplate);
  CHECK(
      parse(
          R"({"type":"TemplateProcessing","single":["[CLS]","$0","[SEP]:0"],"pair":["$a","[SEP]:2","$b:1"],)" +
          tokens_json)
          ->to_json()
          .dump() == kTemplate);
  const auto typed =
      parse(R"({"type":"TemplateProcessing","single":"$3","pair":"$1:2 $B","special_tokens":{}})");
  CHECK(typed->process(tokens({0}), std::nullopt, true, "", "").type_ids == Bytes{3});
  CHECK(typed->process(tokens({0}), tokens({0}), true, "", "").type_ids == Bytes{2, 0});
}

TEST_CASE("the processors of BERT and RoBERTa add their tokens") {
  const auto bert = parse(kBert);
  CHECK(bert->to_json().dump() == kBert);
  CHECK(bert->added_tokens(false) == 2);
  CHECK(bert->added_tokens(true) == 3);
  const Encoding pair = bert->process(tokens({0}), tokens({1}), true, "", "");
  CHECK(pair.ids == Ids{kCls, 0, kSep, 1, kSep});
  CHECK(pair.type_ids == Bytes{0, 0, 0, 1, 1});
  CHECK(pair.offsets.empty());
  const auto rob = parse(roberta(true, false));
  CHECK(rob->to_json().dump() == roberta(true, false));
  CHECK(rob->added_tokens(true) == 4);
  const Encoding both = rob->process(tokens({0}, {{0, 1}}), tokens({1}, {{0, 2}}), true, "a", " a");
  CHECK(both.ids == Ids{kCls, 0, kSep, kSep, 1, kSep});
  CHECK(both.type_ids == Bytes(6, 0));
  CHECK(both.offsets == Ranges{{0, 0}, {0, 1}, {0, 0}, {0, 0}, {1, 2}, {0, 0}});
}

TEST_CASE("trimmed offsets leave out the spaces of their tokens") {
  const std::string trim = byte_level(true, false);
  CHECK(trimmed(trim, {0, 1, 2, 3}, {{0, 1}, {1, 3}, {3, 5}, {5, 7}}, "a a  b ") ==
        Ranges{{0, 1}, {2, 3}, {5, 5}, {5, 6}});
  // Characters count, not bytes: U+3000 has three.
  CHECK(trimmed(trim, {4, 5}, {{0, 4}, {4, 6}}, "\u3000a\u00A0") == Ranges{{3, 4}, {6, 6}});
  CHECK(trimmed(byte_level(false, false), {1}, {{0, 2}}, " a") == Ranges{{0, 2}});
  // Spaces that normalization added are not there to be trimmed.
  CHECK(trimmed(trim, {6}, {{0, 1}}, "a") == Ranges{{0, 1}});
}

TEST_CASE("a space that was put before a text is not trimmed from the text") {
  const std::string trim = byte_level(true, true);
  CHECK(trimmed(trim, {1, 1}, {{0, 1}, {1, 3}}, "a a") == Ranges{{0, 1}, {2, 3}});
  CHECK(trimmed(trim, {2, 1}, {{0, 2}, {2, 4}}, "   a") == Ranges{{2, 2}, {3, 4}});
  CHECK(trimmed(byte_level(true, false), {1}, {{0, 1}}, "a") == Ranges{{1, 1}});
}

TEST_CASE("added tokens are trimmed by the spaces that they matched in the text") {
  CHECK(trimmed(byte_level(true, false), {7, 8}, {{0, 6}, {6, 11}}, "<ad>  \u3000<l>") ==
        Ranges{{0, 4}, {9, 11}});
}

TEST_CASE("steps in a sequence follow each other") {
  const std::string json =
      R"({"type":"Sequence","processors":[)" + byte_level(true, false) + "," + kTemplate + "]}";
  const auto post = parse(json);
  CHECK(post->to_json().dump() == json);
  CHECK(post->added_tokens(false) == 3);
  const Encoding single = post->process(tokens({1}, {{0, 2}}), std::nullopt, true, " a", "");
  CHECK(single.ids == Ids{100, 1, 101, 102});
  CHECK(single.offsets == Ranges{{0, 0}, {1, 2}, {0, 0}, {0, 0}});
}

TEST_CASE("post-processors that cannot be followed exactly are refused") {
  const std::string sequence = R"({"type":"Sequence","processors":[)";
  CHECK(read_error(R"({"type":"Other"})").starts_with("t.json: $.type: must be a known post-processor"));
  CHECK(read_error(replaced(kBert, "}", R"(,"x":1})"))
            .starts_with("t.json: $.x: must be a key with a known meaning"));
  CHECK(read_error(replaced(kBert, "101", "-1")).starts_with("t.json: $.sep[1]: must be from 0"));
  CHECK(read_error(replaced(kTemplate, R"("type_id":2)", R"("type_id":256)"))
            .find("type_id: must be from 0 to 255") != std::string::npos);
  CHECK(read_error(replaced(kTemplate, R"("id":"[SEP]","type_id":2)", R"("id":"[X]","type_id":2)"))
            .starts_with("t.json: $.pair[1].SpecialToken.id: each token of a template must be among"));
  CHECK(read_error(replaced(kTemplate, R"("ids":[100])", R"("ids":[100,1])")).find("as many tokens as ids") !=
        std::string::npos);
  CHECK(read_error(replaced(kTemplate, R"({"Sequence":{"id":"A","type_id":0}})",
                            R"({"Sequence":{"id":"B","type_id":0}})"))
            .starts_with("t.json: $.single: must have a place for the text"));
  CHECK(read_error(sequence + kBert + "," + kTemplate + "]}").find("only one step may add tokens") !=
        std::string::npos);
  CHECK(read_error(sequence + kBert + "," + byte_level(true, false) + "]}").find("must be trimmed before") !=
        std::string::npos);
  const auto half = parse(R"({"type":"TemplateProcessing","single":"$A","pair":"$A","special_tokens":{}})");
  CHECK_THROWS_AS(half->process(tokens({0}), tokens({0}), true, "", ""), std::runtime_error);
  CHECK_THROWS_AS(half->process(tokens({0, 1}, {{0, 1}}), std::nullopt, true, "a", ""),
                  std::invalid_argument);
  CHECK_THROWS_AS(trimmed(byte_level(true, false), {1}, {{0, 9}}, "a"), std::invalid_argument);
}

// ---- Truncation and padding ----

namespace {

Encoding counted(int32_t count) {
  Encoding encoding;
  for (int32_t i = 0; i < count; ++i) encoding.ids.push_back(i);
  return encoding;
}

Truncation truncation(int64_t length, Truncation::Strategy strategy, int64_t stride = 0,
                      Side side = Side::right) {
  return {length, strategy, stride, side};
}

}  // namespace

TEST_CASE("truncation shortens a text from either side") {
  using enum Truncation::Strategy;
  Encoding text = counted(10);
  truncate(text, nullptr, truncation(5, longest_first, 1), 1);
  CHECK(text.ids == Ids{0, 1, 2, 3});
  text = counted(10);
  truncate(text, nullptr, truncation(3, only_first, 0, Side::left), 0);
  CHECK(text.ids == Ids{7, 8, 9});
  text = counted(3);
  truncate(text, nullptr, truncation(3, longest_first, 7), 0);
  CHECK(text.ids.size() == 3);
  truncate(text, nullptr, truncation(2, longest_first, 7), 2);
  CHECK(text.ids.empty());
  text = counted(3);
  Encoding pair = counted(0);
  truncate(text, &pair, truncation(2, only_second), 2);
  CHECK(text.ids.empty());
}

TEST_CASE("truncation shares what there is between two texts") {
  using enum Truncation::Strategy;
  const auto lengths = [](int32_t a, int32_t b, const Truncation& how) {
    Encoding first = counted(a);
    Encoding pair = counted(b);
    truncate(first, &pair, how, 0);
    return std::pair(first.ids.size(), pair.ids.size());
  };
  CHECK(lengths(3, 10, truncation(8, longest_first)) == std::pair<size_t, size_t>(3, 5));
  CHECK(lengths(10, 3, truncation(8, longest_first)) == std::pair<size_t, size_t>(5, 3));
  CHECK(lengths(10, 9, truncation(7, longest_first)) == std::pair<size_t, size_t>(4, 3));
  CHECK(lengths(9, 10, truncation(7, longest_first)) == std::pair<size_t, size_t>(3, 4));
  CHECK(lengths(4, 10, truncation(7, longest_first)) == std::pair<size_t, size_t>(3, 4));
  CHECK(lengths(4, 4, truncation(7, only_first)) == std::pair<size_t, size_t>(3, 4));
  CHECK(lengths(4, 4, truncation(7, only_second)) == std::pair<size_t, size_t>(4, 3));
}

TEST_CASE("truncation that the strategy does not allow is an error") {
  using enum Truncation::Strategy;
  Encoding first = counted(5);
  Encoding pair = counted(5);
  CHECK_THROWS_AS(truncate(first, &pair, truncation(5, only_first), 0), std::invalid_argument);
  CHECK_THROWS_AS(truncate(first, nullptr, truncation(4, only_second), 0), std::invalid_argument);
  CHECK_THROWS_AS(truncate(first, nullptr, truncation(4, longest_first, 4), 0), std::invalid_argument);
  CHECK_THROWS_AS(truncate(first, nullptr, truncation(2, longest_first), 3), std::invalid_argument);
}

TEST_CASE("padding makes a batch equally long") {
  std::vector<Encoding> batch;
  for (const int32_t count : {1, 3}) {
    batch.push_back(parse("null")->process(counted(count), std::nullopt, true, "", ""));
  }
  batch[0].offsets = {{0, 1}};
  Padding padding;
  padding.multiple = 4;
  padding.id = 9;
  padding.type_id = 2;
  padding.side = Side::left;
  pad(batch, padding);
  CHECK(batch[0].ids == Ids{9, 9, 9, 0});
  CHECK(batch[0].offsets == Ranges{{0, 0}, {0, 0}, {0, 0}, {0, 1}});
  CHECK(batch[0].type_ids == Bytes{2, 2, 2, 0});
  CHECK(batch[0].special == Bytes{1, 1, 1, 0});
  CHECK(batch[0].sequence == Sequences{-1, -1, -1, 0});
  CHECK(batch[0].attention == Bytes{0, 0, 0, 1});
  CHECK(batch[1].ids == Ids{9, 0, 1, 2});
  CHECK(batch[1].offsets.empty());
  padding.length = 2;
  padding.multiple = 0;
  padding.side = Side::right;
  batch = {parse("null")->process(counted(1), std::nullopt, true, "", ""),
           parse("null")->process(counted(3), std::nullopt, true, "", "")};
  pad(batch, padding);
  CHECK(batch[0].ids == Ids{0, 9});
  CHECK(batch[1].ids == Ids{0, 1, 2});
  CHECK(batch[1].attention == Bytes{1, 1, 1});
}

TEST_CASE("truncation and padding are read and written as the file has them") {
  const std::string truncation_json =
      R"({"direction":"Left","max_length":12,"strategy":"OnlySecond","stride":3})";
  const std::string padding_json =
      R"({"strategy":{"Fixed":7},"direction":"Left","pad_to_multiple_of":8,"pad_id":3,"pad_type_id":1,"pad_token":"<p>"})";
  CHECK(to_json(*read_truncation(Json::parse(truncation_json, "t"))).dump() == truncation_json);
  CHECK(to_json(*read_padding(Json::parse(padding_json, "t"))).dump() == padding_json);
  const std::string longest =
      R"({"strategy":"BatchLongest","direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"x"})";
  CHECK(to_json(*read_padding(Json::parse(longest, "t"))).dump() == longest);
  CHECK(!read_truncation(Json()).has_value());
  CHECK(!read_padding(Json()).has_value());
  for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
           {"OnlySecond", "Shortest"}, {"Left", "Up"}, {"12", "-1"}, {"stride", "Stride"}}) {
    CHECK_THROWS_AS(read_truncation(Json::parse(replaced(truncation_json, what, with), "t")),
                    std::runtime_error);
  }
  for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
           {"Fixed", "Fix"}, {"\"pad_id\":3", "\"pad_id\":-3"}, {"7", "99999999999"}, {"Left", "left"}}) {
    CHECK_THROWS_AS(read_padding(Json::parse(replaced(padding_json, what, with), "t")), std::runtime_error);
  }
}
