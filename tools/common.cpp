#include "tools/common.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <regex>

#include "tensor/build.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus::tools {
namespace {

std::atomic<bool> interrupt_flag{false};
bool status_open = false;  // a status line stands on the terminal without a line end

std::atomic<int64_t> interrupt_second{0};

void on_interrupt(int signal) {
  // Only what is allowed in a handler: a second signal means that waiting for the end of a step is too long. One that comes
  // at once is the same one: a terminal, or a program such as timeout, sends it to a process and to its group.
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto second = static_cast<int64_t>(now.tv_sec);
  if (!interrupt_flag.exchange(true)) {
    interrupt_second = second;
  } else if (second > interrupt_second + 1) {
    _exit(128 + signal);
  }
}

/// Only what is allowed in a handler: no memory, no locks.
void on_lost_page(int, siginfo_t* info, void*) {
  const auto write_text = [](const char* text) {
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) _exit(kExitFailed);
  };
  const std::optional<MappedPlace> place = find_mapped(info->si_addr);
  if (!place) {
    // None of our files: the signal comes again and ends the process as it would have.
    ::signal(SIGBUS, SIG_DFL);
    return;
  }
  char digits[24] = {};
  char* at = digits + sizeof digits - 1;
  for (uint64_t left = place->byte; at == digits + sizeof digits - 1 || left > 0; left /= 10)
    *--at = static_cast<char>('0' + left % 10);
  write_text("\ngradus: ");
  write_text(place->path);
  write_text(": the file must stay as it is while it is read; byte ");
  write_text(at);
  write_text(" is gone: it was cut short, or its disk failed; try again when nothing writes to it\n");
  _exit(kExitFailed);
}

bool is_terminal(std::FILE* stream) {
  static const bool out = isatty(STDOUT_FILENO) != 0;
  static const bool err = isatty(STDERR_FILENO) != 0;
  return stream == stdout ? out : err;
}

bool put(const std::string& text, std::FILE* stream) {
  const std::string shown = is_terminal(stream) ? for_terminal(text) : text;
  return std::fwrite(shown.data(), 1, shown.size(), stream) == shown.size();
}

void close_status() {
  if (status_open) std::fputs("\r\033[K", stderr);
  status_open = false;
}

}  // namespace

std::string version() { return build_info().version; }

void CommonOptions::add(Args& args, bool with_json) {
  args.heading("Common");
  if (with_json) args.flag("--json", json, "print one JSON object on stdout");
  args.integer("--threads", threads,
               "threads, at most 256; 0 is one for each core. Results do not depend on it");
  args.flag("-q,--quiet", quiet, "no progress on stderr");
}

void WeightsOption::add(Args& args) {
  args.choice(
      "--weights", format, {"f32", "bf16", "q8"},
      "how weights are kept in memory: bf16 takes half of it, q8 a quarter, with slightly other results");
}

void CommonOptions::apply() const {
  check(threads >= 0 && threads <= kMaxThreads, "--threads must be in [0, ", kMaxThreads, "]; it is ",
        threads);
  set_thread_count(threads > 0 ? static_cast<int>(threads) : std::min(available_cores(), kMaxThreads));
  kernels::table<float>();
}

std::atomic<bool>& interrupted() { return interrupt_flag; }

void watch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;  // who waits looks at the flag
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction before = {};
  sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
}

std::string for_terminal(std::string_view text) {
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    const auto bytes = static_cast<std::size_t>(std::max(1, length));
    const bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0);
    for (std::size_t i = at; i < at + bytes; ++i) {
      if (length > 0 && !control) {
        shown += text[i];
      } else {
        const auto byte = static_cast<unsigned char>(text[i]);
        shown += std::string("\\x") + "0123456789abcdef"[byte >> 4] + "0123456789abcdef"[byte & 15];
      }
    }
    at += bytes;
  }
  return shown;
}

std::string in_one_line(std::string_view text) {
  std::string shown;
  for (const char c : for_terminal(text)) {
    if (c == '\n') {
      shown += "\\n";
    } else if (c == '\t') {
      shown += "\\t";
    } else {
      shown += c;
    }
  }
  return shown;
}

void stop_where_interrupted() {
  if (interrupted()) throw Interrupted{};
}

void prepare_process() {
  // A closed descriptor is filled, so that no file gets its number: the lowest free one is this. Who reads closed input or
  // writes a result to closed output gets the error of a closed file; messages to closed errors are dropped.
  const std::pair<int, int> fillings[] = {
      {STDIN_FILENO, O_WRONLY}, {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_RDWR}};
  for (const auto& [standard, mode] : fillings) {
    if (::fcntl(standard, F_GETFD) < 0 && ::open("/dev/null", mode) < 0) _exit(kExitFailed);
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action = {};
  action.sa_sigaction = on_lost_page;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

void say(const std::string& line) {
  close_status();
  put(line + "\n", stderr);
}

void status(const std::string& line) {
  if (!is_terminal(stderr)) return;
  std::fputs("\r\033[K", stderr);
  put(line, stderr);
  std::fflush(stderr);
  status_open = true;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string in_option_words(const std::string& error) {
  static const std::regex setting("(TrainingOptions|TextOptions|Config)::([a-z0-9_]+)");
  std::string text;
  auto rest = error.begin();
  for (std::sregex_iterator found(error.begin(), error.end(), setting), none; found != none; ++found) {
    text.append(rest, (*found)[0].first);
    rest = (*found)[0].second;
    std::string name = (*found)[2];
    if ((*found)[1] == "TextOptions") name = name == "force" ? "force-text" : "text-" + name;
    std::replace(name.begin(), name.end(), '_', '-');
    text += "--" + name;
  }
  return text.append(rest, error.end());
}

std::string bytes_text(double bytes) {
  if (bytes < 1e3) return fixed(bytes, 0) + " B";
  if (bytes < 1e6) return fixed(bytes / 1e3, bytes < 1e5 ? 1 : 0) + " kB";
  if (bytes < 1e9) return fixed(bytes / 1e6, bytes < 1e8 ? 1 : 0) + " MB";
  return fixed(bytes / 1e9, 2) + " GB";
}

std::string count_text(double count) {
  if (count < 1e4) return fixed(count, 0);
  if (count < 1e6) return fixed(count / 1e3, 1) + "k";
  if (count < 1e9) return fixed(count / 1e6, 1) + " M";
  return fixed(count / 1e9, 1) + " G";
}

std::string duration_text(double seconds) {
  if (seconds < 10) return fixed(seconds, 1) + "s";
  const int64_t whole = static_cast<int64_t>(seconds + 0.5);
  const auto two = [](int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  if (whole < 60) return std::to_string(whole) + "s";
  if (whole < 3600) return std::to_string(whole / 60) + "m" + two(whole % 60) + "s";
  if (whole < 86400 * 3) return std::to_string(whole / 3600) + "h" + two(whole % 3600 / 60) + "m";
  return std::to_string(whole / 86400) + " days";
}

std::string one_line(const std::string& text, std::size_t characters) {
  std::string line;
  std::size_t count = 0;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (begins && count++ == characters) return line + "…";
    line += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  }
  return line;
}

namespace {

void check_written(bool written) {
  if (!written && errno == EPIPE) throw ClosedPipe{};
  check_world(written, "stdout: cannot write; ", std::strerror(errno));
}

}  // namespace

void print_out(const std::string& text) {
  close_status();
  check_written(put(text, stdout));
}

void flush_out() { check_written(std::fflush(stdout) == 0); }

void print_json(const Json& json) {
  print_out(json.dump() + "\n");
  flush_out();
}

int run_action(const std::string& verb, const Arguments& arguments, const std::vector<Action>& actions) {
  if (!arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::string usage = "usage: gradus " + verb + " ACTION ...\n\n";
    std::size_t longest = 8;
    for (const Action& action : actions) longest = std::max(longest, std::string(action.name).size());
    for (const Action& action : actions) {
      std::string name = action.name;
      name.resize(longest, ' ');
      usage += "  " + name + " " + action.about + "\n";
    }
    print_out(usage + "\ngradus " + verb + " ACTION --help shows an action's options.\n");
    flush_out();
    return 0;
  }
  std::vector<std::string> names;
  std::string known;
  for (const Action& action : actions) {
    if (!arguments.empty() && arguments[0] == action.name)
      return action.run({arguments.begin() + 1, arguments.end()});
    known += (names.empty() ? "" : &action == &actions.back() ? " and " : ", ") + std::string(action.name);
    names.emplace_back(action.name);
  }
  if (arguments.empty()) throw UsageError(verb + ": an action must follow: " + known);
  const std::string near = nearest_name(arguments[0], names);
  throw UsageError(verb + ": '" + arguments[0] + "' is not an action; " +
                   (near.empty() ? "there are " + known : "did you mean " + near + "?"));
}

}  // namespace gradus::tools
