#pragma once

#include <string>
#include <vector>

#include "models/training/corpus.hpp"
#include "tensor/io/safetensors.hpp"

namespace gradus {

/// What a run's state remembers of its text, so that going on finds and checks it.
struct RunSource {
  /// Absolute, but for what nobody can read again (standard input, pipes): copies in the run's folder, by their names.
  std::vector<std::string> paths;
  std::string corpus_sha256;
  std::string tokenizer_sha256;
  std::string config_sha256;
  // How the texts are read. Runs of versions that did not say took every file as it is.
  std::string text_key = "text";
  bool json_lines = false;
  bool force_text = true;
};
Metadata source_metadata(const RunSource& source);
RunSource source_from_metadata(const Metadata& metadata, const std::string& file);

/// The text of the run in `folder`, read again; an error that ends with `advice` where that fails, or where it is another
/// by now.
Corpus load_run_corpus(const std::string& folder, const RunSource& source, double held_out,
                       const std::string& advice, const std::function<void()>& on_interrupt = {});

/// The training part of the text that the run in a folder learned from, whose checkpoint may be written meanwhile.
Corpus load_run_corpus(const std::string& folder, const std::string& advice,
                       const std::function<void()>& on_interrupt = {});

}  // namespace gradus
