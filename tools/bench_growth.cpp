// gradus bench growth: how a training step's time and memory grow with each size of the model and of its batch.

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tools/bench_common.hpp"
#include "tools/model_options.hpp"

extern char** environ;

namespace gradus::tools {
namespace {

/// Runs this program again with other arguments, and reads the object that it prints. A process of its own has a peak of
/// memory of its own, and no threads or freed blocks of another.
Json run_again(const Arguments& arguments) {
  std::vector<char*> words;
  std::string name = "gradus";
  Arguments copies = arguments;
  words.push_back(name.data());
  for (std::string& word : copies) words.push_back(word.data());
  words.push_back(nullptr);
  int ends[2];
  check_world(pipe(ends) == 0, "bench growth: a pipe must open; ", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  pid_t child = 0;
  const int error = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t count = 1; error == 0 && count != 0;) {
    count = read(ends[0], buffer, sizeof buffer);
    if (count > 0) output.append(buffer, static_cast<std::size_t>(count));
    if (count < 0 && errno == EINTR && interrupted()) kill(child, SIGTERM);
    if (count < 0 && errno != EINTR) break;
  }
  close(ends[0]);
  check_world(error == 0, "bench growth: the program must start itself once more; ", std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (interrupted() || (WIFEXITED(status) && WEXITSTATUS(status) == kExitInterrupted)) throw Interrupted{};
  std::string command = "gradus";
  for (const std::string& argument : arguments) command += " " + argument;
  check_world(WIFEXITED(status) && WEXITSTATUS(status) == 0, "bench growth: `", command,
              "` must succeed; it did not");
  return Json::parse(output, command);
}

/// The sizes of one row.
struct Sizes {
  int64_t tokens, sequences, width, heads, vocabulary, threads;
};

/// What grows, and through which values.
struct Axis {
  std::string name;    // as --only takes it
  std::string column;  // what the values count
  std::vector<int64_t> values;
  int64_t Sizes::*field;
};

/// first, twice as many … up to last.
std::vector<int64_t> doubling(int64_t first, int64_t last) {
  std::vector<int64_t> values;
  for (int64_t value = first; value <= last; value *= 2) values.push_back(value);
  return values;
}

}  // namespace

int bench_growth(const Arguments& arguments) {
  CommonOptions common;
  ModelOptions shape;
  shape.block_size = 256;
  shape.batch_size = 4;
  int64_t vocab_size = 512;
  int64_t steps = 5;
  std::string only = "all";
  Args args("bench growth",
            "Shows how the time and memory of a training step grow with the tokens of a sequence, the "
            "sequences, the "
            "width, the vocabulary and the threads. Each row is a training in a process of its own.");
  shape.add(args);
  args.heading("Measuring");
  args.integer("--vocab-size", vocab_size, "tokens of the vocabulary");
  args.integer("--steps", steps, "steps to time of each row, after three that are not");
  args.choice("--only", only, {"all", "tokens", "sequences", "width", "vocabulary", "threads"}, "what grows");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(steps >= 5 && steps <= 1000000, "--steps must be in [5, 1000000], for a median; it is ", steps);
  check(!shape.n_kv_head,
        "bench growth: --n-kv-head must be left out, for heads are added as the width grows");
  args.no_effect(
      {shape.preset_without_effect(),
       {only == "tokens", {"--batch-size"}, "with --only tokens, which takes one sequence"},
       {only == "threads", {"--threads"}, "with --only threads, which goes through their numbers"}});
  const Config config = shape.config(vocab_size);
  check(shape.batch() >= 1 && shape.batch() <= (1 << 20), "--batch-size must be in [1, 1048576]; it is ",
        shape.batch());
  const int64_t head_width = config.channels_per_head();
  const Sizes base{config.block_size, shape.batch(), config.n_embd,
                   config.n_head,     vocab_size,    thread_count()};
  const int64_t least_width = std::max(base.width / 2 / head_width, int64_t{1}) * head_width;
  const std::vector<Axis> axes{
      {"tokens", "tokens", doubling(std::max<int64_t>(1, base.tokens / 4), base.tokens * 16), &Sizes::tokens},
      {"sequences", "sequences", doubling(1, base.sequences * 8), &Sizes::sequences},
      {"width", "width", doubling(least_width, base.width * 4), &Sizes::width},
      {"vocabulary", "vocabulary", doubling(base.vocabulary, base.vocabulary * 64), &Sizes::vocabulary},
      {"threads", "threads", doubling(1, available_cores()), &Sizes::threads}};
  Json tables = Json::object();
  for (const Axis& axis : axes) {
    if (only != "all" && only != axis.name) continue;
    Json rows = Json::array();
    if (!common.json) {
      if (only == "all" && axis.name != axes.front().name) print_out("\n");
      print_out(left(axis.column, 12) + right("ms a step", 11) + right("ratio", 7) + right("tok/s", 10) +
                right("of peak", 9) + right("planned", 10) + right("peak RSS", 10) + right("ratio", 7) +
                "  more of it costs\n");
      flush_out();
    }
    double last_seconds = 0, last_bytes = 0;
    int64_t last_value = 0;
    for (const int64_t value : axis.values) {
      if (interrupted()) throw Interrupted{};
      Sizes sizes = base;
      sizes.*axis.field = value;
      // One sequence, so that the longest is a matter of seconds.
      if (axis.name == "tokens") sizes.sequences = 1;
      // More width is more heads, as in larger models.
      if (axis.name == "width") sizes.heads = std::max<int64_t>(1, value / head_width);
      if (!common.quiet) status("growth  " + axis.name + " " + std::to_string(value));
      Arguments words{"bench",    "train",      "--json",       "--quiet", "--arch",
                      shape.arch, "--position", shape.position, "--tie",   shape.tie};
      const auto give = [&](const char* name, int64_t number) {
        words.push_back(name);
        words.push_back(std::to_string(number));
      };
      give("--n-layer", config.n_layer);
      give("--n-head", sizes.heads);
      give("--n-embd", sizes.width);
      give("--block-size", sizes.tokens);
      give("--batch-size", sizes.sequences);
      give("--vocab-size", sizes.vocabulary);
      give("--threads", sizes.threads);
      give("--steps", steps);
      words.push_back("--dropout");
      words.push_back(fixed(shape.dropout, 6));
      const Json result = run_again(words);
      const double seconds = result.at("step_seconds").as_number();
      const double bytes = result.at("peak_rss_bytes").as_number();
      const double planned = result.at("planned_bytes").as_number();
      const double fraction = result.at("fraction_of_peak").as_number();
      const double tokens_per_second = result.at("tokens_per_second").as_number();
      Json row = Json::object();
      row.set(axis.column, value).set("step_seconds", seconds).set("tokens_per_second", tokens_per_second);
      const bool was_disturbed = result.at("disturbed").as_boolean();
      row.set("disturbed", was_disturbed);
      row.set("fraction_of_peak", fraction).set("planned_bytes", planned).set("peak_rss_bytes", bytes);
      std::string line = left(std::to_string(value), 12) + right(fixed(seconds * 1e3, 2), 11);
      std::string ratio, memory_ratio, slope;
      if (last_value > 0) {
        const double more = (bytes - last_bytes) / static_cast<double>(value - last_value);
        row.set("time_ratio", seconds / last_seconds).set("memory_ratio", bytes / last_bytes);
        row.set("bytes_for_one_more", more);
        ratio = fixed(seconds / last_seconds, 2);
        memory_ratio = fixed(bytes / last_bytes, 2);
        slope = "  " + (more < 0 ? "-" + bytes_text(-more) : bytes_text(more)) + " each";
      }
      rows.push(row);
      if (!common.json) {
        print_out(line + right(ratio, 7) + right(fixed(tokens_per_second, 0), 10) +
                  right(percent(fraction), 9) + right(bytes_text(planned), 10) +
                  right(bytes_text(bytes), 10) + right(memory_ratio, 7) + slope +
                  (was_disturbed ? "   disturbed by other programs\n" : "\n"));
        flush_out();
      }
      last_seconds = seconds;
      last_bytes = bytes;
      last_value = value;
    }
    tables.set(axis.name, rows);
  }
  if (common.json) {
    tables.set("samples", steps);
    print_json(tables);
  }
  return 0;
}

}  // namespace gradus::tools
