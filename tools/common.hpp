#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/json.hpp"
#include "tensor/packed.hpp"
#include "tools/args.hpp"

namespace gradus::tools {

using Arguments = std::vector<std::string>;

/// The verbs: each reads its arguments and returns the exit code; errors are exceptions that main() prints.
int run_train(const Arguments& arguments);
int run_resume(const Arguments& arguments);
int run_generate(const Arguments& arguments);
int run_embed(const Arguments& arguments);
int run_explain(const Arguments& arguments);
int run_neighbors(const Arguments& arguments);
int run_similarity(const Arguments& arguments);
int run_analogy(const Arguments& arguments);
int run_odd(const Arguments& arguments);
int run_cluster(const Arguments& arguments);
int run_polysemy(const Arguments& arguments);
int run_vectors(const Arguments& arguments);
int run_corpus(const Arguments& arguments);
int run_eval(const Arguments& arguments);
int run_tokenizer(const Arguments& arguments);
int run_convert(const Arguments& arguments);
int run_info(const Arguments& arguments);
int run_bench(const Arguments& arguments);
int run_doctor(const Arguments& arguments);

/// A verb of a verb, such as `tokenizer train`.
struct Action {
  const char* name;
  int (*run)(const Arguments&);
  const char* about;
};
/// Runs the action that the first argument names, with the others; an error lists them.
int run_action(const std::string& verb, const Arguments& arguments, const std::vector<Action>& actions);

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitClosedPipe = 141;

/// The program's version, "0.1.0".
std::string version();

/// Options that most verbs have.
struct CommonOptions {
  bool json = false;
  bool quiet = false;
  int64_t threads = 0;  ///< 0: all cores

  void add(Args& args, bool with_json = true);
  /// Sets the thread count and settles the instruction set, so that a wrong GRADUS_ISA is said at once.
  void apply() const;
};

/// --weights, for verbs that only read a model.
struct WeightsOption {
  std::string format = "f32";
  void add(Args& args);
  WeightFormat value() const { return parse_weight_format(format); }
};

/// Set by Ctrl-C (SIGINT), SIGTERM and SIGHUP once watch_interrupts() has run; a second one ends the process at once.
/// note: a SIGHUP that was ignored before, as under nohup, stays so.
std::atomic<bool>& interrupted();
void watch_interrupts();
/// Thrown where work stops because of interrupted(): exit code 130.
struct Interrupted {};
void stop_where_interrupted();

/// What has to hold before anything is done:
/// - descriptors 0 to 2 are open, so that no file of ours gets one of them, and with it what is printed;
/// - a closed pipe or a limit on files is an error of the call, not the end of the process: a training goes on without
///   anybody who reads its progress;
/// - where a mapped file is cut short while it is read (SIGBUS), the program says which file and byte, and exits with 1.
void prepare_process();
/// Thrown where nobody reads stdout any more: exit code 141, as SIGPIPE would have it, without a word.
struct ClosedPipe {};

/// What a terminal may be sent: of a name, a text or a tensor, control characters (C0 but line end and tab, DEL, C1)
/// and bytes that are not UTF-8 are written like \x1b, for they could move the cursor, or set the terminal's title.
std::string for_terminal(std::string_view text);
/// The same, with line ends and tabs written like \n: a token as a line of a table shows it.
std::string in_one_line(std::string_view text);

/// The library's names of settings, as errors hold them, in those of the command line: "TrainingOptions::min_lr" becomes
/// "--min-lr".
std::string in_option_words(const std::string& error);

/// Prints to stderr. A status line overwrites itself on a terminal; elsewhere it is left out.
/// note: on a terminal, what these and print_out() print goes through for_terminal(); elsewhere it stays byte for byte.
void say(const std::string& line);
void status(const std::string& line);

/// "4.1 MB", "28.1k", "1m36s", "12.3 %".
std::string bytes_text(double bytes);
std::string count_text(double count);
std::string duration_text(double seconds);
/// A number with so many digits behind the point.
std::string fixed(double value, int digits);
/// One line: line ends become spaces, and at most `characters` characters, cut between two.
std::string one_line(const std::string& text, std::size_t characters);

/// Prints the object and a line end on stdout; a failed write is an error.
void print_json(const Json& json);
void print_out(const std::string& text);
void flush_out();

}  // namespace gradus::tools
