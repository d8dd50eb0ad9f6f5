#include "models/transformer/gguf_model.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

// The model that a GGUF file says it holds, and the tokenizer.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::bytes_of(data, size);
  fuzz::accepts([&] {
    const GgufFile file = GgufFile::parse(bytes, "fuzz");
    fuzz::accepts([&] {
      const Config config = config_from_gguf(file);
      config.validate();
      fuzz::require(config == config.resolved(), "a configuration that is read must be resolved");
    });
    fuzz::accepts([&] { pooling_from_gguf(file); });
    fuzz::accepts([&] {
      const auto found = tokenizer_from_gguf(file);
      if (!found) return;
      fuzz::check_encoding(found->tokenizer, "the King's  12 \u00E9\n", false);
      fuzz::check_decoding(found->tokenizer, "abc", false);
    });
  });
  return 0;
}
