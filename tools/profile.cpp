#include "tools/profile.hpp"

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tools/common.hpp"

namespace gradus::tools {
namespace {

struct Total {
  int64_t calls = 0;
  double seconds = 0;
  uint64_t bytes = 0;
};

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string space(width - std::min(width, text.size()), ' ');
  return right ? space + text : text + space;
}

}  // namespace

std::string profile_table(const Profile& profile, int64_t steps) {
  std::map<std::pair<std::string, std::string>, Total> totals;
  double seconds = 0;
  for (const ProfileEvent& event : profile.events()) {
    Total& total = totals[{event.op, event.phase}];
    ++total.calls;
    total.seconds += event.seconds;
    total.bytes += event.bytes;
    seconds += event.seconds;
  }
  std::vector<std::pair<std::pair<std::string, std::string>, Total>> rows(totals.begin(), totals.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  const double count = static_cast<double>(std::max<int64_t>(steps, 1));
  const auto line = [](const std::string& op, const std::string& phase, const std::string& calls,
                       const std::string& time, const std::string& share, const std::string& bytes) {
    return padded(op, 18, false) + padded(phase, 10, false) + padded(calls, 7, true) +
           padded(time, 11, true) + padded(share, 8, true) + padded(bytes, 11, true) + "\n";
  };
  std::string text = line("op", "phase", "calls", "ms a step", "share", "allocated");
  for (const auto& [name, total] : rows) {
    text += line(name.first, name.second, fixed(static_cast<double>(total.calls) / count, 0),
                 fixed(1e3 * total.seconds / count, 3),
                 fixed(seconds > 0 ? 100 * total.seconds / seconds : 0, 1) + " %",
                 bytes_text(static_cast<double>(total.bytes) / count));
  }
  return text + line("all", "", "", fixed(1e3 * seconds / count, 3), "100.0 %", "");
}

void write_trace(const Profile& profile, const std::string& path) {
  // Written event by event: a thousand steps of a deep model are millions of events.
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  AtomicFile file(path);
  std::string text = "{\"traceEvents\":[";
  bool first = true;
  for (const ProfileEvent& event : profile.events()) {
    std::ostringstream shape;
    shape << event.shape;
    Json json = Json::object();
    json.set("name", event.op).set("cat", event.phase).set("ph", "X");
    json.set("ts", event.begin * 1e6).set("dur", event.seconds * 1e6);
    json.set("pid", int64_t{1}).set("tid", int64_t{1});
    json.set(
        "args",
        Json::object().set("shape", shape.str()).set("allocated_bytes", static_cast<int64_t>(event.bytes)));
    text += (first ? "" : ",") + json.dump();
    first = false;
    if (text.size() >= kPiece) {
      file.write(text);
      text.clear();
    }
  }
  file.write(text + "],\"displayTimeUnit\":\"ms\"}\n");
  file.commit();
}

}  // namespace gradus::tools
