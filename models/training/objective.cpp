#include "models/training/objective.hpp"

#include "tensor/error.hpp"

// A line an objective: its name, and the function of its file in objectives/ that makes it.
#define GRADUS_OBJECTIVES(OBJECTIVE) OBJECTIVE("next-token", make_next_token)

namespace gradus {

#define DECLARE(name, make) std::unique_ptr<Objective> make(const ObjectiveSource&);
GRADUS_OBJECTIVES(DECLARE)
#undef DECLARE

const std::vector<std::string>& objective_names() {
#define NAME(name, make) name,
  static const std::vector<std::string> names = {GRADUS_OBJECTIVES(NAME)};
#undef NAME
  return names;
}

std::unique_ptr<Objective> make_objective(const ObjectiveSource& source) {
#define MAKE(name, make) \
  if (source.options.objective == (name)) return make(source);
  GRADUS_OBJECTIVES(MAKE)
#undef MAKE
  std::string names;
  for (const std::string& name : objective_names()) names += (names.empty() ? "" : ", ") + name;
  fail("training: TrainingOptions::objective must be one of ", names, "; it is '", source.options.objective,
       "'");
}

std::string Measure::unit() const {
  std::string text = name;
  constexpr std::string_view kPer = "_per_";
  if (const std::size_t at = text.find(kPer); at != text.npos) text.replace(at, kPer.size(), "/");
  for (char& c : text) c = c == '_' ? ' ' : c;
  return text;
}

}  // namespace gradus
