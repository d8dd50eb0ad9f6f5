// The program `gradus`: finds the verb, runs it, and turns errors into texts and exit codes.

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "tools/common.hpp"

namespace {

using namespace gradus::tools;

struct Verb {
  const char* name;
  int (*run)(const Arguments&);
  const char* about;
};

/// The verbs by what they are for.
struct VerbGroup {
  const char* name;
  std::vector<Verb> verbs;
};

const std::vector<VerbGroup>& verb_groups() {
  static const std::vector<VerbGroup> groups = {
      {"train",
       {{"train", run_train, "train a language model on text files"},
        {"resume", run_resume, "continue a training where its last checkpoint stands"},
        {"corpus", run_corpus, "write a text about a made-up world, with what is true in it"}}},
      {"use",
       {{"generate", run_generate, "continue a text with a trained model"},
        {"embed", run_embed, "write every layer's vectors of texts, words or tokens"},
        {"eval", run_eval, "how well a model predicts a file, or vectors agree with people"}}},
      {"look",
       {{"explain", run_explain, "what a model's input rows are made of, and how positions turn them"},
        {"neighbors", run_neighbors,
         "the rows nearest to a word: of a file of vectors, or a layer of a model"},
        {"similarity", run_similarity, "how alike two words or texts are, by every metric"},
        {"analogy", run_analogy, "what stands to one word as another does to a third"},
        {"odd", run_odd, "the word that belongs to the others the least"},
        {"cluster", run_cluster, "rows that point in similar directions, together"},
        {"polysemy", run_polysemy, "one word in many sentences: how its senses fall apart, layer by layer"}}},
      {"vectors", {{"vectors", run_vectors, "print vectors; trim, merge, reduce and align tables of them"}}},
      {"files",
       {{"tokenizer", run_tokenizer, "train, encode, decode, show, compare tokenizers"},
        {"convert", run_convert, "write vectors, a tokenizer or a model in another format"},
        {"info", run_info, "what a run folder or a file holds"}}},
      {"machine",
       {{"bench", run_bench,
         "fractions of the machine's limit: peak, gemm, train, growth, generate, embed, tokenizer"},
        {"doctor", run_doctor, "what this machine has and what the program chose"}}}};
  return groups;
}

std::string usage() {
  std::string text =
      "gradus trains, inspects and exports small language models and embeddings on your own CPU\n\nusage: "
      "gradus VERB ...\n";
  for (const VerbGroup& group : verb_groups()) {
    text += std::string("\n") + group.name + "\n";
    for (const Verb& verb : group.verbs) {
      std::string name = verb.name;
      name.resize(12, ' ');
      text += "  " + name + verb.about + "\n";
    }
  }
  return text + "\ngradus VERB --help shows a verb's options with their types and defaults.";
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    say(usage());
    return kExitUsage;
  }
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help") {
    print_out(usage() + "\n");
    flush_out();
    return 0;
  }
  if (name == "--version") {
    print_out("gradus " + version() + "\n");
    flush_out();
    return 0;
  }
  std::vector<std::string> names;
  for (const VerbGroup& group : verb_groups()) {
    for (const Verb& verb : group.verbs) {
      if (name == verb.name) return verb.run({arguments.begin() + 1, arguments.end()});
      names.emplace_back(verb.name);
    }
  }
  const std::string near = nearest_name(name, names);
  throw UsageError("'" + name + "' is not a verb" +
                   (near.empty() ? "; gradus --help lists them" : "; did you mean " + near + "?"));
}

}  // namespace

int main(int argc, char** argv) {
  prepare_process();
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const Interrupted&) {
    say("gradus: interrupted");
    return kExitInterrupted;
  } catch (const ClosedPipe&) {
    return kExitClosedPipe;
  } catch (const std::invalid_argument& error) {
    say("gradus: " + in_option_words(error.what()));
    return kExitUsage;
  } catch (const std::bad_alloc&) {
    say("gradus: out of memory");
    return kExitFailed;
  } catch (const std::exception& error) {
    say("gradus: " + in_option_words(error.what()));
    return kExitFailed;
  }
}
