#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "tests/fuzz/fuzz.hpp"

// Runs a fuzz target without libFuzzer, always in the same way:
//
//   TARGET FILE-OR-FOLDER...    each file, and changes of it unless its name begins with slow_
//   TARGET --as-is FILE...      each file as it is, for instance a `finding` that an earlier run has left
//
// An input that ends the program is named, and left in the present folder as the file `finding`.

// Where a sanitizer is linked: what it calls before it ends the program.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

constexpr size_t kMostTruncations = 200;
constexpr size_t kMostFlippedBytes = 300;
// Of each file: of longer ones, changes at even distances (odd ones, which go through all bits of a byte).
constexpr size_t kFlips = 300;
constexpr size_t kSplices = 30;
constexpr long kMostKilobytes = 1 << 20;

std::string current;       // the input that runs
std::string current_name;  // and what it is
int64_t inputs = 0;

void leave_finding() {
  const auto put = [](int file, const char* bytes, size_t size) {
    if (write(file, bytes, size) < 0) _exit(1);
  };
  put(STDERR_FILENO, "finding: ", 9);
  put(STDERR_FILENO, current_name.data(), current_name.size());
  put(STDERR_FILENO, "\n", 1);
  const int file = open("finding", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return;
  put(file, current.data(), current.size());
  close(file);
}

void on_signal(int number) {
  leave_finding();
  signal(number, SIG_DFL);
  raise(number);
}

long most_memory() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

void run() {
  // A copy of exactly this size, so that a sanitizer sees any step beyond it.
  const std::vector<uint8_t> bytes(current.begin(), current.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  ++inputs;
}

void run_changed(std::string input, const char* how, size_t where) {
  const size_t name = current_name.size();
  current_name += std::string(", ") + how + " " + std::to_string(where);
  current = std::move(input);
  run();
  current_name.resize(name);
}

void run_changes(const std::string& input, const std::vector<std::string>& all, std::mt19937_64& random) {
  for (size_t size = 0; size < std::min(input.size(), kMostTruncations); ++size) {
    run_changed(input.substr(0, size), "cut off at byte", size);
  }
  const size_t bits = 8 * std::min(input.size(), kMostFlippedBytes);
  for (size_t bit = 0; bit < bits; bit += bits / kFlips | 1) {
    std::string flipped = input;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    run_changed(std::move(flipped), "flipped bit", bit);
  }
  for (size_t i = 0; i < kSplices; ++i) {
    const std::string& other = all[random() % all.size()];
    const size_t head = random() % (input.size() + 1);
    const size_t tail = random() % (other.size() + 1);
    run_changed(input.substr(0, head) + other.substr(tail), "splice", i);
  }
}

std::vector<std::string> files_of(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path))
      files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  const bool as_is = argc > 1 && std::strcmp(argv[1], "--as-is") == 0;
  const std::vector<std::string> files = files_of({argv + 1 + as_is, argv + argc});
  std::vector<std::string> contents;
  for (const std::string& path : files) {
    std::ifstream file(path, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    gradus::fuzz::require(file.good() || file.eof(), path.c_str());
  }
  if (files.empty()) {
    std::fprintf(stderr, "usage: %s [--as-is] FILE-OR-FOLDER...\n", argv[0]);
    return 2;
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(leave_finding);
  for (const int number : {SIGABRT, SIGFPE, SIGILL}) signal(number, on_signal);
  // A sanitizer says more about this one than a handler of ours.
  if (__sanitizer_set_death_callback == nullptr) signal(SIGSEGV, on_signal);

  std::mt19937_64 random(7);
  for (size_t i = 0; i < files.size(); ++i) {
    current_name = files[i];
    current = contents[i];
    run();
    const bool slow = std::filesystem::path(files[i]).filename().string().starts_with("slow_");
    if (!as_is && !slow) run_changes(contents[i], contents, random);
    gradus::fuzz::require(most_memory() < kMostKilobytes, "an input must not take a gigabyte of memory");
  }
  std::printf("%lld inputs, no finding\n", static_cast<long long>(inputs));
  return 0;
}
