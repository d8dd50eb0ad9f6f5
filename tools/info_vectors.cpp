// Files of word vectors, for gradus info.

#include <algorithm>
#include <cmath>

#include "models/embeddings/formats/vector_file.hpp"
#include "models/embeddings/nearest.hpp"
#include "models/word_vectors/run.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"
#include "tools/info.hpp"

namespace gradus::tools {

Description describe_vectors(const std::string& path) {
  const auto format = detect_vectors_at(path);
  const Vectors vectors = load_vectors(path, {.on_interrupt = stop_where_interrupted});
  const Tensor& rows = vectors.layers.front();
  const std::string kind = format ? std::string(name_of(*format)) : "";
  Description found;
  found.json.set("kind", "vectors")
      .set("format", kind)
      .set("rows", vectors.rows())
      .set("width", rows.size(1));
  found.text = "kind     word vectors, " + kind + "\n" + "rows     " + std::to_string(vectors.rows()) +
               " of " + std::to_string(rows.size(1)) + " numbers\n";
  constexpr int64_t kShown = 8;
  Json first = Json::array();
  std::string names;
  for (int64_t row = 0; row < std::min(vectors.rows(), kShown); ++row) {
    const std::string name = replace_invalid_utf8(vectors.names[row]);
    first.push(name);
    names += (names.empty() ? "" : " ") + name;
  }
  found.json.set("first", first);
  if (!names.empty())
    found.text += "names    " + in_one_line(names) + (vectors.rows() > kShown ? " …" : "") + "\n";
  found.json.set("unseen", static_cast<bool>(vectors.unseen));
  if (vectors.unseen) found.text += "pieces   words that were never seen have vectors, too\n";
  if (vectors.rows() > 0) {
    double shortest = 0, longest = 0;
    int64_t odd = 0;
    for (int64_t row = 0; row < vectors.rows(); ++row) {
      const double length =
          norm_l2({rows.data<float>() + row * rows.size(1), static_cast<std::size_t>(rows.size(1))});
      odd += std::isfinite(length) ? 0 : 1;
      shortest = row == 0 ? length : std::min(shortest, length);
      longest = std::max(longest, length);
    }
    if (odd == 0) {
      found.json.set("shortest", shortest).set("longest", longest);
      found.text += "lengths  " + fixed(shortest, 3) + " to " + fixed(longest, 3) + "\n";
    }
    found.json.set("not_finite", odd);
    if (odd > 0) found.text += "numbers  " + std::to_string(odd) + " rows hold a NaN or an infinity\n";
  }
  Json notes = Json::array();
  for (const std::string& note : vectors.notes) {
    notes.push(replace_invalid_utf8(note));
    found.text += "note     " + in_one_line(note) + "\n";
  }
  found.json.set("notes", notes);
  return found;
}

Description describe_word_vectors(const std::string& folder) {
  WordVectorRun run = WordVectorRun::open(folder);
  const WordVectorProgress progress = run.trainer().progress();
  const std::string table = folder + "/" + kWordVectorTable;
  const bool written = file_exists(table);
  const double share =
      static_cast<double>(progress.done) / static_cast<double>(std::max<int64_t>(progress.total, 1));
  Description found = written ? describe_vectors(table) : Description{};
  found.json.set("training", options_to_json(run.options()))
      .set("words", run.words())
      .set("vocabulary", run.vocabulary().size())
      .set("done", share)
      .set("out", replace_invalid_utf8(run.out()));
  found.text += "training " + std::string(name_of(run.options().method)) + ", " +
                std::to_string(run.vocabulary().size()) + " words, " + std::to_string(run.words()) +
                " words of text, " + std::to_string(run.options().epochs) + " epochs\n" + "done     " +
                fixed(100 * share, 1) + " %" + (written ? "" : ", then " + run.out()) + "\n";
  return found;
}

}  // namespace gradus::tools
