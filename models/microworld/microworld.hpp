#pragma once

#include <cstdint>
#include <string>

#include "tokenizer/progress.hpp"

namespace gradus {

struct MicroworldOptions {
  int64_t bytes = 20'000'000;  ///< of text.txt, to the end of a sentence; text2.txt is as large
  uint64_t seed = 1;
};

struct MicroworldReport {
  int64_t sentences = 0, tokens = 0, types = 0;  ///< of text.txt
  int64_t bytes = 0;
  int64_t baskets = 0;  ///< of both files
};

/// Writes a text about a made-up world, and what is true in it, into a new or empty folder: text.txt and text2.txt (a sentence
/// a line, in two languages), tokens.tsv (what each word of text.txt is), dictionary.tsv, analogies.txt, similarity.tsv,
/// families.tsv, baskets.train.txt, baskets.test.txt, README.md. See models/microworld/README.md.
/// note: the bytes depend on size and seed alone; memory does not grow with the size. `progress` counts bytes of both texts.
MicroworldReport write_microworld(const std::string& folder, const MicroworldOptions& options,
                                  const ProgressFn& progress = {});

}  // namespace gradus
