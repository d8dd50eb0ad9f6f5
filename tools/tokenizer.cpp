// gradus tokenizer: train, encode, decode, show, compare.

#include "tools/tokenizer.hpp"

namespace gradus::tools {

int run_tokenizer(const Arguments& arguments) {
  struct Action {
    const char* name;
    int (*run)(const Arguments&);
    const char* about;
  };
  constexpr Action kActions[] = {
      {"train", run_tokenizer_train, "learn a tokenizer from text files"},
      {"encode", run_tokenizer_encode, "text to ids"},
      {"decode", run_tokenizer_decode, "ids to text"},
      {"show", run_tokenizer_show, "how a tokenizer cuts a text"},
      {"compare", run_tokenizer_compare, "tokenizers side by side on one text"},
  };
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::string usage = "usage: gradus tokenizer ACTION ...\n\n";
    for (const Action& action : kActions) {
      std::string name = action.name;
      name.resize(8, ' ');
      usage += "  " + name + " " + action.about + "\n";
    }
    print_out(usage + "\ngradus tokenizer ACTION --help shows an action's options.\n");
    flush_out();
    return 0;
  }
  std::vector<std::string> names;
  for (const Action& action : kActions) {
    if (!arguments.empty() && arguments[0] == action.name) {
      return action.run({arguments.begin() + 1, arguments.end()});
    }
    names.emplace_back(action.name);
  }
  const std::string known = "train, encode, decode, show and compare";
  if (arguments.empty()) throw UsageError("tokenizer: an action must follow: " + known);
  const std::string near = nearest_name(arguments[0], names);
  throw UsageError("tokenizer: '" + arguments[0] + "' is not an action; " +
                   (near.empty() ? "there are " + known : "did you mean " + near + "?"));
}

}  // namespace gradus::tools
