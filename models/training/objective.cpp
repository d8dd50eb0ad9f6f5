#include "models/training/objective.hpp"

#include "tensor/error.hpp"

// A line an objective: its name, and the function of its file in objectives/ that makes it.
#define GRADUS_OBJECTIVES(OBJECTIVE) OBJECTIVE("next-token", make_next_token)

namespace gradus {
namespace {

constexpr std::string_view kPrefix = "val_";

}  // namespace

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

void add_report(const HeldOutReport& report, Json& json) {
  const auto key = [](std::string_view name) { return std::string(kPrefix) + std::string(name); };
  json.set(key("loss"), report.loss);
  for (const Measure& measure : report.measures) json.set(key(measure.name), measure.value);
  json.set(key("tokens"), report.tokens).set(key("bytes"), report.bytes).set(key("unknown"), report.unknown);
}

HeldOutReport report_from(const Json& json) {
  HeldOutReport report;
  for (const auto& [key, value] : json.as_object()) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    if (name == "loss") {
      report.loss = value.as_number();
    } else if (name == "tokens") {
      report.tokens = value.as_integer();
    } else if (name == "bytes") {
      report.bytes = value.as_integer();
    } else if (name == "unknown") {
      report.unknown = value.as_integer();
    } else {
      report.measures.push_back({name, value.as_number()});
    }
  }
  return report;
}

}  // namespace gradus
