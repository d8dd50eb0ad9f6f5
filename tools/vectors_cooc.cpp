// gradus vectors cooc: a cell of the table that a training of GloVe has counted, and what its vectors make of it.

#include "models/word_vectors/glove_trainer.hpp"
#include "models/word_vectors/run.hpp"
#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/vectors.hpp"

namespace gradus::tools {

int run_vectors_cooc(const Arguments& arguments) {
  std::string folder, word, context;
  CommonOptions common;
  Args args("vectors cooc",
            "Shows how often a word has another near it, each time counted 1 / distance, what GloVe's "
            "vectors give for "
            "the logarithm, and how much of the table is 0.");
  args.positional(
      "DIR", folder,
      "the folder of a training of glove: what -o DIR has kept, or NAME.run where it was stopped");
  args.positional("WORD", word, "a word");
  args.positional("CONTEXT", context, "another, near it");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  WordVectorRun run = WordVectorRun::open(folder);
  const auto* glove = dynamic_cast<const GloveTrainer*>(&run.trainer());
  check(glove != nullptr, "vectors cooc: ", folder, " must be a training of glove; it is one of ",
        std::string(name_of(run.options().method)));
  const auto number = [&](const std::string& name) {
    const auto found = run.vocabulary().words.find(name);
    check(found.has_value(), "vectors cooc: '", name, "' is not in the vocabulary");
    return *found;
  };
  const int64_t i = number(word), j = number(context);
  const auto cell = glove->cell(i, j);
  const double log_count = cell ? static_cast<double>(cell->log_count) : 0;
  const double fitted = glove->fitted(i, j);
  const auto size = static_cast<double>(run.vocabulary().size());
  const double zero = 1 - static_cast<double>(glove->cells()) / (size * size);
  if (common.json) {
    print_json(Json::object()
                   .set("word", replace_invalid_utf8(word))
                   .set("context", replace_invalid_utf8(context))
                   .set("count", cell ? math::exp(log_count) : 0)
                   .set("log_count", cell ? Json(log_count) : Json())
                   .set("weight", cell ? static_cast<double>(cell->weight) : 0)
                   .set("fitted_log_count", fitted)
                   .set("cells", glove->cells())
                   .set("zero_share", zero));
    return 0;
  }
  print_out(word + " " + context + "  count " + (cell ? fixed(math::exp(log_count), 2) : "0") +
            (cell ? "  ln " + fixed(log_count, 4) + "  weight " + fixed(static_cast<double>(cell->weight), 4)
                  : "") +
            "  fitted ln " + fixed(fitted, 4) + "\n");
  flush_out();
  if (!common.quiet)
    say("note   " + std::to_string(glove->cells()) + " cells of " + std::to_string(run.vocabulary().size()) +
        " × " + std::to_string(run.vocabulary().size()) + " are not 0: " + fixed(100 * zero, 2) + " % are");
  return 0;
}

}  // namespace gradus::tools
