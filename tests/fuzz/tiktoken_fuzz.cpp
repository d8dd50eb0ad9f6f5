#include "tests/fuzz/fuzz.hpp"
#include "tokenizer/formats/load.hpp"

// Ranks of tiktoken.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradus;
  TiktokenFile file;
  if (!fuzz::accepts([&] { file = read_tiktoken(fuzz::bytes_of(data, size), "fuzz"); })) return 0;
  fuzz::require(read_tiktoken(write_tiktoken(file), "written").tokens == file.tokens,
                "ranks must be the same after writing and reading");
  fuzz::accepts([&] { recognise_tiktoken(file); });
  const auto size_of_ranks = static_cast<int32_t>(file.tokens.size());
  const TiktokenEncoding encoding{
      "fuzz", file.count(), find_tiktoken_encoding("gpt2")->pattern, {{"<|endoftext|>", size_of_ranks}}};
  // Ranks let any two neighbours merge that make a token; a list of merges names one pair for each.
  Tokenizer tokenizer;
  if (fuzz::accepts([&] { tokenizer = Tokenizer(parts_of(file, encoding)); }))
    fuzz::check_loaded(tokenizer, false);
  return 0;
}
