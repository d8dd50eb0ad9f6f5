#include "models/training/metrics.hpp"

#include <cmath>
#include <functional>
#include <string_view>

#include "tensor/io/json.hpp"
#include "tensor/machine.hpp"

namespace gradus {
namespace {

/// Calls line(text, json) for each whole line, with its line end; json is nullptr where it cannot be read. It returns
/// whether to go on.
void for_lines(const std::string& text, const std::string& path,
               const std::function<bool(std::string_view, const Json*)>& line) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;  // a line cut off by a crash
    const std::string_view written = std::string_view(text).substr(begin, end - begin + 1);
    begin = end + 1;
    Json json;
    const Json* read = nullptr;
    try {
      json = Json::parse(written, path);
      json.at("step").as_integer();
      json.at("loss").as_number();
      read = &json;
    } catch (const std::runtime_error&) {
    }
    if (!line(written, read)) return;
  }
}

/// Cuts a log behind the line of step `last`: what follows was not checkpointed and will be made again. Returns the path.
/// `missing` is how many steps before `last` have no line behind the last that has one.
const std::string& cut_behind(const std::string& path, int64_t last, int64_t& unreadable, int64_t& missing) {
  missing = last;
  if (!file_exists(path)) return path;
  const std::string text = read_file(path);
  std::size_t kept = 0;
  for_lines(text, path, [&](std::string_view written, const Json* json) {
    if (json != nullptr && json->at("step").as_integer() > last) return false;
    if (json == nullptr) ++unreadable;
    if (json != nullptr) missing = last - json->at("step").as_integer();
    kept += written.size();
    return true;
  });
  if (kept != text.size()) write_file_atomic(path, std::string_view(text).substr(0, kept));
  return path;
}

}  // namespace

MetricsLog::MetricsLog(const std::string& path, int64_t last)
    : file_(cut_behind(path, last, unreadable_, missing_)) {}

void MetricsLog::append(const StepEvent& event) {
  Json line = Json::object();
  line.set("step", event.step).set("loss", event.loss);
  for (const Measure& measure : event.measures) line.set(measure.name, measure.value);
  line.set("lr", event.learning_rate).set("grad_norm", event.grad_norm);
  line.set("tokens_per_second", std::round(event.tokens_per_second));
  line.set("rss_bytes", static_cast<int64_t>(resident_bytes()));
  line.set("eta_seconds", std::round(event.seconds_left * 10) / 10);
  if (event.held_out) {
    line.set("val_loss", event.held_out->loss);
    for (const Measure& measure : event.held_out->measures) line.set("val_" + measure.name, measure.value);
  }
  file_.append(line.dump() + "\n");
}

RunHistory read_history(const std::string& path) {
  RunHistory history;
  int64_t lines = 0;
  for_lines(read_file(path), path, [&](std::string_view, const Json* json) {
    if (json == nullptr) {
      ++history.unreadable_lines;
      return true;
    }
    history.steps = json->at("step").as_integer();
    history.last_loss = json->at("loss").as_number();
    if (lines++ == 0) history.first_loss = history.last_loss;
    const Json* held_out = json->find("val_loss");
    if (held_out && (history.best_step == 0 || held_out->as_number() < history.best_held_out_loss)) {
      history.best_held_out_loss = held_out->as_number();
      history.best_step = history.steps;
    }
    return true;
  });
  return history;
}

}  // namespace gradus
