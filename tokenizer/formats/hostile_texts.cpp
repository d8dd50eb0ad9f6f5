#include "tokenizer/formats/hostile_texts.hpp"

#include <algorithm>

#include "tensor/random.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus {
namespace {

// What tokenizers trip over, each by itself and as the parts of mixtures.
const char* const kParts[] = {"a",
                              "the",
                              "The",
                              "THE",
                              "King's",
                              "I'll",
                              "WE'VE",
                              "don't",
                              "x'S",
                              "'",
                              "''",
                              "\u2019s",
                              "hello",
                              "world",
                              "camelCaseWord",
                              "snake_case",
                              "HTTPServer2",
                              " ",
                              "  ",
                              "   ",
                              "\n",
                              "\n\n",
                              "\r\n",
                              "\t",
                              " \n ",
                              "\u00A0",
                              "\u3000",
                              "\u2028",
                              "\u200B",
                              "\u200D",
                              "\uFEFF",
                              "\u0085",
                              "\u180E",
                              "0",
                              "12",
                              "123",
                              "1234",
                              "3.14",
                              "1,000,000",
                              "\u0663\u0664",
                              "\u00BD",
                              "\u2167",
                              "\u00B2",
                              "!",
                              "!!!",
                              "...",
                              "\u2026",
                              "?!",
                              "--",
                              "/",
                              "//",
                              "\\",
                              "{}",
                              "();",
                              "=>",
                              "<|",
                              "|>",
                              "<unk>",
                              "<s>",
                              "</s>",
                              "<|endoftext|>",
                              "[CLS]",
                              "[MASK]",
                              "##",
                              "##ing",
                              "\u2581",
                              "\u2581a",
                              "<0x0A>",
                              "\u0120",
                              "\u00E9",
                              "e\u0301",
                              "\u00E0 la carte",
                              "na\u00EFve",
                              "Stra\u00DFe",
                              "\u0130stanbul",
                              "\uFB01ne",
                              "\uFF21\uFF22\uFF13",
                              "\u212B",
                              "\u03A3\u03AF\u03C3\u03C5\u03C6\u03BF\u03C2",
                              "\u041F\u0440\u0438\u0432\u0435\u0442",
                              "\u05E9\u05DC\u05D5\u05DD",
                              "\u0645\u0631\u062D\u0628\u0627",
                              "\u0928\u092E\u0938\u094D\u0924\u0947",
                              "\u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35",
                              "\u4F60\u597D",
                              "\u4E16\u754C\u3002",
                              "\u3053\u3093\u306B\u3061\u306F",
                              "\u30AB\u30BF",
                              "\uD55C\uAD6D\uC5B4",
                              "\u1100\u1161\u11A8",
                              "\U0001F44D",
                              "\U0001F44D\U0001F3FD",
                              "\U0001F468\u200D\U0001F469\u200D\U0001F467",
                              "\U0001D400",
                              "\U00020000",
                              "\u0301",
                              "\u0301\u0323",
                              "a\u0323\u0301",
                              "\u20AC",
                              "\u00A9",
                              "\u2122",
                              "\uFFFD",
                              "\uE000",
                              "\x01",
                              "\x7F",
                              "aaaaaaaa",
                              "^^^^^^^^",
                              "________",
                              "\u0130",
                              "\u017F",
                              "'\u017F",
                              "\u212A",
                              "\u01C5"};

}  // namespace

std::vector<std::string> hostile_texts() {
  std::vector<std::string> texts = {"",
                                    std::string(1, '\0'),
                                    std::string(300, 'a'),
                                    std::string(300, ' '),
                                    std::string(300, '^'),
                                    std::string(200, '\n')};
  for (const char* part : kParts) {
    texts.emplace_back(part);
    texts.push_back(" " + std::string(part));
    texts.push_back(std::string(part) + " ");
  }
  constexpr uint64_t kMixtures = 4000;
  constexpr uint64_t kMostParts = 24;
  const Random random(1, stream_of("tokenizer.hostile_texts"));
  const uint64_t count = std::size(kParts);
  for (uint64_t i = 0; i < kMixtures; ++i) {
    std::string text;
    const uint64_t first = i * (kMostParts + 1);
    const uint64_t parts = 2 + random.below(first, kMostParts - 1);
    for (uint64_t j = 1; j <= parts; ++j) {
      const uint64_t draw = random.below(first + j, 2 * count);
      text += draw < count ? kParts[draw] : draw % 2 == 0 ? " " : kParts[draw % 16];
    }
    texts.push_back(std::move(text));
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  return texts;
}

std::vector<std::string> texts_with_added_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  for (const AddedToken& token : tokenizer.parts().added_tokens) {
    for (const auto& [before, after] : {std::pair("", ""), {"the ", " dog"}, {"a", "b"}, {" .", ". "}})
      texts.push_back(before + token.content + after);
  }
  return texts;
}

}  // namespace gradus
