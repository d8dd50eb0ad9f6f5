#include "models/transformer/gguf_words.hpp"

#include <string>

#include "tokenizer/stages/presets.hpp"
#include "tokenizer/stages/splitters.hpp"

namespace gradus {
namespace {

constexpr GgufWordRule kRules[] = {
    {"gpt-2", kGpt2Regex},
    {"phi-2", kGpt2Regex},
    {"roberta-bpe", kGpt2Regex, false, false, false, true},
    {"olmo", kGpt2Regex, false, true},
    {"smollm", ""},
    {"starcoder", ""},
    {"refact", ""},
    {"llama-bpe", kCl100kRegex, true, false, true},
    {"llama3", kCl100kRegex, true, false, true},
    {"llama-v3", kCl100kRegex, true, false, true},
    {"qwen2", kQwen2Regex, false, true},
    {"deepseek-r1-qwen", kQwen2Regex, false, true},
    {"qwen35", kQwen35Regex, false, true},
    {"gpt-4o", kO200kRegex},
    {"llama4", kO200kRegex},
    {"tekken", kTekkenRegex, true, false, true},
};

}  // namespace

Json GgufWordRule::pre_tokenizer() const {
  if (regex == kGpt2Regex) return preset(kByteLevelWords);
  if (!regex.empty()) return byte_level_split(std::string(regex));
  const Json digits = Json::object({{"type", "Digits"}, {"individual_digits", true}});
  return Json::object(
      {{"type", "Sequence"}, {"pretokenizers", Json::array({digits, preset(kByteLevelWords)})}});
}

Json GgufWordRule::normalizer() const { return composed ? Json::object({{"type", "NFC"}}) : Json(); }

std::span<const GgufWordRule> gguf_word_rules() { return kRules; }

}  // namespace gradus
