#include "models/transformer/sentence_folder.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

// What a folder of sentence-transformers says: the files of its modules, with a zero byte between.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fuzz::ScratchFolder folder;
  auto [modules, rest] = fuzz::halves_of(fuzz::bytes_of(data, size));
  folder.put("modules.json", modules);
  for (const char* name :
       {"1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json"}) {
    const auto [file, others] = fuzz::halves_of(rest);
    folder.put(name, file);
    rest = others;
  }
  fuzz::accepts([&] {
    if (!is_sentence_folder(folder.path())) return;
    const SentenceFolder found = read_sentence_folder(folder.path());
    if (found.static_model) return;
    fuzz::require(!found.pooling.empty() && sentence_width(found) >= 1, "there must be a vector");
    folder.put("1_Pooling/config.json", pooling_to_json(found).dump());
    folder.put("config_sentence_transformers.json", prompts_to_json(found).dump());
    SentenceFolder again;
    const bool readable = fuzz::accepts([&] { again = read_sentence_folder(folder.path()); });
    fuzz::require(readable, "what was written must be readable");
    fuzz::require(again.prompts == found.prompts && again.default_prompt == found.default_prompt &&
                      again.similarity == found.similarity && again.width == found.width &&
                      again.include_prompt == found.include_prompt &&
                      again.truncate_dim == found.truncate_dim,
                  "what was written and read must be the same");
  });
  return 0;
}
