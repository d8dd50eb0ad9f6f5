#include "tests/fuzz/fuzz.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/formats/vocab_txt.hpp"

// A vocab.txt of WordPiece.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradus;
  std::vector<std::string> tokens;
  if (!fuzz::accepts([&] { tokens = read_vocab_txt(fuzz::bytes_of(data, size), "fuzz"); })) return 0;
  // A token that ends in a carriage return can be read, but not written.
  std::string written;
  if (fuzz::accepts([&] { written = write_vocab_txt(tokens); })) {
    fuzz::require(read_vocab_txt(written, "written") == tokens,
                  "a vocabulary must be the same after writing and reading");
  }
  Tokenizer tokenizer;
  if (fuzz::accepts([&] { tokenizer = Tokenizer(parts_of_vocab_txt(tokens, "fuzz")); })) {
    fuzz::check_loaded(tokenizer, true);
  }
  return 0;
}
