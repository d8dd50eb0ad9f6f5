#include "tests/fuzz/fuzz.hpp"

// A tokenizer.json.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradus;
  Tokenizer tokenizer;
  if (!fuzz::accepts([&] { tokenizer = Tokenizer::parse(fuzz::bytes_of(data, size), "fuzz"); })) return 0;
  fuzz::check_loaded(tokenizer, true);
  return 0;
}
