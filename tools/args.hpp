#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradus::tools {

/// The program was used wrongly: exit code 2.
class UsageError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// Whether a text may be empty.
enum class Empty { refused, allowed };

/// Options that change nothing beside the others: whether that holds, and why ("with --temp 0").
struct NoEffect {
  bool holds = false;
  std::vector<std::string> names;
  std::string why;
  std::string advice = "leave it out";
};

/// The options of one verb, bound to variables whose values at the time of binding are the defaults.
///
/// `-` and `_` are equal in long options, as nanoGPT writes them. An option that does not exist is an error naming the
/// nearest one that does. With config_file(), options may also stand in a file as `key = value`; the command line wins.
/// note: a value must not be empty but where an empty text means something; see Empty.
class Args {
 public:
  Args(std::string verb, std::string about);
  ~Args();
  Args(const Args&) = delete;
  Args& operator=(const Args&) = delete;

  /// `names` is like "--out" or "-o,--out"; options of one kind follow under the last heading().
  void heading(const std::string& title);
  void text(const std::string& names, std::string& value, const std::string& help,
            Empty empty = Empty::refused);
  /// A file or folder; `-` is refused, for nothing here reads or writes a stream by that name.
  void path(const std::string& names, std::string& value, const std::string& help);
  void texts(const std::string& names, std::vector<std::string>& values, const std::string& help);
  /// One or more values, up to the next option.
  void files(const std::string& names, std::vector<std::string>& values, const std::string& help);
  void integer(const std::string& names, int64_t& value, const std::string& help);
  /// Without a default of its own: empty unless given.
  void integer(const std::string& names, std::optional<int64_t>& value, const std::string& help);
  void seed(const std::string& names, uint64_t& value, const std::string& help);
  void number(const std::string& names, double& value, const std::string& help);
  void choice(const std::string& names, std::string& value, const std::vector<std::string>& choices,
              const std::string& help);
  void flag(const std::string& names, bool& value, const std::string& help);
  /// Arguments without a name, in this order; only the last may be several. One that is required must not be empty, and
  /// one called after DIR or FILE is as path() has it.
  void positional(const std::string& name, std::string& value, const std::string& help, bool required = true);
  void positionals(const std::string& name, std::vector<std::string>& values, const std::string& help,
                   bool required = true);
  /// Adds --config FILE.
  void config_file();
  /// A line below the options in --help.
  void footer(const std::string& text);

  /// Reads the arguments after the verb. Returns false where --help was asked for and printed; errors are UsageError.
  bool parse(const std::vector<std::string>& arguments);
  /// Whether an option ("--max-iters") stood on the command line or in the config file.
  bool given(const std::string& name) const;
  /// Refuses options that stood on the command line without having an effect. Those of a config file, which may serve
  /// several uses, are said and counted on stderr instead; a default never counts as given.
  void no_effect(const std::vector<NoEffect>& rules) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The candidate with the smallest edit distance, or "" where none is near enough to be meant.
std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);

/// Seconds in "90", "90s", "3m", "1.5h"; an error names the option.
double parse_duration(const std::string& text, const std::string& option);

/// Bytes in "512MB", "2GB", "64k", "1000"; an error names the option.
int64_t parse_bytes(const std::string& text, const std::string& option);

}  // namespace gradus::tools
