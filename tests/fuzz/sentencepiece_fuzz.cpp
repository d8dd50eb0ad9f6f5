#include "tests/fuzz/fuzz.hpp"
#include "tokenizer/formats/load.hpp"

// A SentencePiece model.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradus;
  SentencePieceFile file;
  if (!fuzz::accepts([&] { file = read_sentencepiece(fuzz::bytes_of(data, size), "fuzz"); })) return 0;
  fuzz::require(read_sentencepiece(write_sentencepiece(file), "written") == file,
                "a SentencePiece model must be the same after writing and reading");
  // Its order of merges, its user-defined symbols and its way with spaces have no equal there.
  Tokenizer tokenizer;
  if (fuzz::accepts([&] { tokenizer = Tokenizer(parts_of(file, "fuzz")); }))
    fuzz::check_loaded(tokenizer, false);
  return 0;
}
