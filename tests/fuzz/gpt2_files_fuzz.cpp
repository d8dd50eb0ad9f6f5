#include "tests/fuzz/fuzz.hpp"
#include "tokenizer/formats/load.hpp"

// A vocab.json, a zero byte, a merges.txt.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradus;
  const auto [vocab, merges] = fuzz::halves_of(fuzz::bytes_of(data, size));
  const auto read = [](std::string_view left, std::string_view right) {
    return read_gpt2_files(left, "vocab", right, "merges");
  };
  Gpt2Files files;
  if (!fuzz::accepts([&, &vocab = vocab, &merges = merges] { files = read(vocab, merges); })) return 0;
  const Gpt2Files again = read(write_vocab_json(files.tokens), write_merges_txt(files.merges));
  fuzz::require(again.tokens == files.tokens && again.merges == files.merges,
                "a vocabulary and its merges must be the same after writing and reading");
  Tokenizer tokenizer;
  if (fuzz::accepts([&] { tokenizer = Tokenizer(parts_of(files)); })) fuzz::check_loaded(tokenizer, true);
  return 0;
}
