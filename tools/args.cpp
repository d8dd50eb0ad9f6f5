#include "tools/args.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <set>

#include "tensor/io/file.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"
#include "tools/common.hpp"

namespace gradus::tools {
namespace {

std::string dashed(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// The name in "--name=value".
std::string option_name(const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  return word.rfind("--", 0) == 0 ? dashed(name) : name;
}

/// The value of a config line without its quotes and the comment behind it: a # between quotes is part of it.
std::string config_value(const std::string& text, const std::string& where) {
  const std::string value = trimmed(text);
  if (value.empty() || (value[0] != '"' && value[0] != '\'')) {
    return trimmed(value.substr(0, value.find('#')));
  }
  const auto end = value.find(value[0], 1);
  const std::string rest = end == std::string::npos ? "" : trimmed(value.substr(end + 1));
  if (end == std::string::npos || (!rest.empty() && rest[0] != '#')) {
    throw UsageError(where + "a value that begins with a quote must end with the same; it is " + value);
  }
  return value.substr(1, end - 1);
}

/// Checks for CLI11, which by itself takes "-1" for a large seed and cuts down what is too large: empty, or what is wrong.
template <class T>
std::string whole_number(const std::string& text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return "";
  return "must be a whole number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
         std::to_string(std::numeric_limits<T>::max()) + "; it is '" + text + "'";
}

std::string decimal_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return "";
  return "must be a number; it is '" + text + "'";
}

}  // namespace

struct Args::Impl {
  CLI::App app;
  std::string verb;
  std::string group = "Options";
  std::map<std::string, CLI::Option*> options;  // by each of its names, with dashes
  std::set<std::string> flags;
  // Texts go around CLI11, which reads "[a, b]" as two values and "{}" as none, and for an empty one takes the next
  // argument: it sees the number of each in `given_texts`.
  std::vector<std::string> given_texts;
  std::map<CLI::Option*, std::string*> texts;
  std::map<CLI::Option*, std::vector<std::string>*> text_lists;
  std::set<CLI::Option*> may_be_empty, paths;
  std::set<CLI::Option*> once;
  std::map<const CLI::Option*, std::string> config_lines;  // where a config file sets an option
  struct Positional {
    std::string name;
    bool required;
  };
  std::vector<Positional> positionals;
  bool positionals_end = true;  // the last is only one
  std::string config;
  bool has_config = false;

  Impl(const std::string& verb_name, const std::string& about)
      : app(about, "gradus " + verb_name), verb(verb_name) {
    app.set_help_flag();
    app.get_formatter()->column_width(34);
  }

  void remember(const std::string& names, CLI::Option* option, bool is_flag) {
    option->group(group);
    std::string rest = names;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      const std::string name = rest.substr(0, comma);
      options[name] = option;
      if (is_flag) flags.insert(name);
      rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    }
  }

  /// Only lists may be given again; the command line wins over the config file before this is asked.
  void only_once(const std::string& name, const std::string& where) {
    CLI::Option* option = options.at(name);
    if (!text_lists.contains(option) && !once.insert(option).second) {
      throw UsageError(where + name + " must be given once; it is given again");
    }
  }

  std::string number_of(const std::string& text) {
    given_texts.push_back(text);
    return std::to_string(given_texts.size() - 1);
  }

  /// `-` would be taken for a file of that name.
  static void check_path(const std::string& name, const std::string& value, const std::string& where) {
    if (value != "-") return;
    throw UsageError(where + name +
                     " must name a file or folder; '-', a stream, is not taken here; a file of " +
                     "that name is ./-");
  }

  /// An option with its value as CLI11 is to see them.
  std::string joined(const std::string& name, const std::string& value, const std::string& where) {
    CLI::Option* option = options.at(name);
    const bool is_text = texts.contains(option) || text_lists.contains(option);
    if (value.empty() && !may_be_empty.contains(option)) {
      throw UsageError(where + name + " needs a value; it is empty");
    }
    if (paths.contains(option)) check_path(name, value, where);
    return "--" + option->get_lnames().at(0) + "=" + (is_text ? number_of(value) : value);
  }

  /// Puts the texts where CLI11 left their numbers.
  void restore_texts() {
    for (const auto& [option, value] : texts) {
      if (option->count() > 0) *value = given_texts.at(std::stoul(*value));
    }
    for (const auto& [option, values] : text_lists) {
      if (option->count() == 0) continue;
      for (std::string& value : *values) value = given_texts.at(std::stoul(value));
    }
  }

  [[noreturn]] void unknown(const std::string& name, const std::string& where) const {
    std::vector<std::string> names;
    for (const auto& [known, option] : options) names.push_back(known);
    const std::string near = nearest_name(name, names);
    throw UsageError(
        where + name + " is not an option of gradus " + verb +
        (near.empty() ? "; gradus " + verb + " --help lists them" : "; did you mean " + near + "?"));
  }

  /// Whether --help stands where an option can, not where the value of one does.
  bool asks_help(const std::vector<std::string>& arguments) const {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string& word = arguments[i];
      if (word == "--") return false;
      if (word == "--help" || word == "-h") return true;
      const std::string name = option_name(word);
      if (options.contains(name) && !flags.contains(name) && word.find('=') == std::string::npos) ++i;
    }
    return false;
  }

  /// An argument without a name, the one that comes after `count` others.
  std::string positional_word(const std::string& word, std::size_t count) {
    if (count >= positionals.size() && positionals_end) {
      std::string names;
      for (const Positional& known : positionals) names += known.name + " and ";
      throw UsageError(verb + " takes " + (names.empty() ? "only " : names) + "options; '" + word +
                       "' is one argument too many");
    }
    const Positional& here = positionals[std::min(count, positionals.size() - 1)];
    if (word.empty() && here.required)
      throw UsageError(verb + ": " + here.name + " must not be empty; it is");
    if (here.name.find("DIR") != std::string::npos) check_path(here.name, word, verb + ": ");
    return number_of(word);
  }

  /// The arguments with every long option spelt with dashes and joined to its value, so that a value may look like an
  /// option ("--layers -1").
  std::vector<std::string> normalized(const std::vector<std::string>& arguments) {
    std::vector<std::string> result;
    std::size_t positional_count = 0;
    bool only_positional = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string& word = arguments[i];
      if (word == "--" && !only_positional) {
        only_positional = true;
        continue;
      }
      const bool is_long = word.size() > 2 && word[0] == '-' && word[1] == '-';
      const bool is_short =
          word.size() > 1 && word[0] == '-' && !is_long && !(word[1] >= '0' && word[1] <= '9');
      if (only_positional || (!is_long && !is_short)) {
        result.push_back(positional_word(word, positional_count++));
        continue;
      }
      const auto equals = word.find('=');
      const std::string name = option_name(word);
      const auto option = options.find(name);
      if (option == options.end()) unknown(name, "");
      only_once(name, "");
      if (flags.contains(name)) {
        if (equals != std::string::npos) throw UsageError(name + " takes no value; '" + word + "' was given");
        result.push_back(name);
        continue;
      }
      std::string value;
      if (equals != std::string::npos) {
        value = word.substr(equals + 1);
      } else if (i + 1 < arguments.size()) {
        value = arguments[++i];
      } else {
        throw UsageError(name + " needs a value; none was given");
      }
      result.push_back(joined(name, value, ""));
    }
    return result;
  }

  /// The options of the config file that the command line does not give.
  std::vector<std::string> from_config(const std::vector<std::string>& given) {
    std::vector<std::string> result;
    std::ifstream file(config);
    if (!file || is_directory(config))
      throw UsageError(config + ": the config file must be readable; it is not");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    for (LineReader lines(text); lines.next();) {
      const std::string where = config + ":" + std::to_string(lines.number()) + ": ";
      const std::string content = trimmed(std::string(lines.line()));
      if (content.empty() || content[0] == '#') continue;
      const auto equals = content.find('=');
      if (content.find('\0') != content.npos)
        throw UsageError(where + "a line must be text; it has a zero byte");
      if (content.find('#') < equals || equals == std::string::npos)
        throw UsageError(where + "a line must read key = value; it is '" + content + "'");
      const std::string name = "--" + dashed(trimmed(content.substr(0, equals)));
      const std::string value = config_value(content.substr(equals + 1), where);
      if (!options.contains(name)) unknown(name, where);
      if (name == "--config") throw UsageError(where + "a config file must not name another; it does");
      const bool on_command_line = std::any_of(given.begin(), given.end(), [&](const std::string& word) {
        return word == name || word.rfind(name + "=", 0) == 0;
      });
      if (on_command_line) continue;
      only_once(name, where);
      config_lines[options.at(name)] = where;
      if (!flags.contains(name)) {
        result.push_back(joined(name, value, where));
      } else if (value == "true" || value == "on" || value == "1") {
        result.push_back(name);
      } else if (value != "false" && value != "off" && value != "0") {
        throw UsageError(where + name.substr(2) + " must be true or false; it is '" + value + "'");
      }
    }
    // A folder opens like a file, and fails at the first line.
    if (file.bad()) throw UsageError(config + ": the config file must be readable; it is not");
    return result;
  }
};

Args::Args(std::string verb, std::string about) : impl_(std::make_unique<Impl>(verb, about)) {}
Args::~Args() = default;

void Args::heading(const std::string& title) { impl_->group = title; }

void Args::text(const std::string& names, std::string& value, const std::string& help, Empty empty) {
  auto* option = impl_->app.add_option(names, value, help)->capture_default_str();
  impl_->texts[option] = &value;
  if (empty == Empty::allowed) impl_->may_be_empty.insert(option);
  impl_->remember(names, option, false);
}

void Args::path(const std::string& names, std::string& value, const std::string& help) {
  text(names, value, help);
  impl_->paths.insert(impl_->options.at(names.substr(0, names.find(','))));
}

void Args::texts(const std::string& names, std::vector<std::string>& values, const std::string& help) {
  auto* option = impl_->app.add_option(names, values, help + " (may be repeated)");
  option->expected(1)->take_all()->allow_extra_args(false);
  impl_->text_lists[option] = &values;
  impl_->may_be_empty.insert(option);
  impl_->remember(names, option, false);
}

void Args::files(const std::string& names, std::vector<std::string>& values, const std::string& help) {
  auto* option = impl_->app.add_option(names, values, help);
  option->expected(1, -1)->take_all()->type_name("FILE ...");
  impl_->text_lists[option] = &values;
  impl_->remember(names, option, false);
}

void Args::integer(const std::string& names, int64_t& value, const std::string& help) {
  auto* option = impl_->app.add_option(names, value, help)->capture_default_str();
  impl_->remember(names, option->type_name("INT")->check(whole_number<int64_t>), false);
}

void Args::integer(const std::string& names, std::optional<int64_t>& value, const std::string& help) {
  auto* option = impl_->app.add_option_function<int64_t>(
      names, [&value](const int64_t& given) { value = given; }, help);
  impl_->remember(names, option->type_name("INT")->check(whole_number<int64_t>), false);
}

void Args::seed(const std::string& names, uint64_t& value, const std::string& help) {
  auto* option = impl_->app.add_option(names, value, help)->capture_default_str();
  impl_->remember(names, option->type_name("INT")->check(whole_number<uint64_t>), false);
}

void Args::number(const std::string& names, double& value, const std::string& help) {
  auto* option = impl_->app.add_option(names, value, help)->capture_default_str();
  impl_->remember(names, option->type_name("NUMBER")->check(decimal_number), false);
}

void Args::choice(const std::string& names, std::string& value, const std::vector<std::string>& choices,
                  const std::string& help) {
  auto* option = impl_->app.add_option(names, value, help)->capture_default_str();
  option->check([choices](const std::string& given) {
    if (std::find(choices.begin(), choices.end(), given) != choices.end()) return std::string();
    std::string message = "must be one of";
    for (const std::string& choice : choices) message += " " + choice;
    message += "; it is '" + given + "'";
    const std::string near = nearest_name(given, choices);
    return near.empty() ? message : message + "; did you mean " + near + "?";
  });
  std::string type;
  for (const std::string& choice : choices) type += (type.empty() ? "" : "|") + choice;
  option->type_name(type);
  impl_->remember(names, option, false);
}

void Args::flag(const std::string& names, bool& value, const std::string& help) {
  impl_->remember(names, impl_->app.add_flag(names, value, help), true);
}

void Args::positional(const std::string& name, std::string& value, const std::string& help, bool required) {
  impl_->texts[impl_->app.add_option(name, value, help)->required(required)->type_name("")] = &value;
  impl_->positionals.push_back({name, required});
}

void Args::positionals(const std::string& name, std::vector<std::string>& values, const std::string& help,
                       bool required) {
  impl_->text_lists[impl_->app.add_option(name, values, help)->required(required)->type_name("")] = &values;
  impl_->positionals.push_back({name, required});
  impl_->positionals_end = false;
}

void Args::config_file() {
  impl_->has_config = true;
  path("--config", impl_->config, "file of `key = value` lines with these names; the command line wins");
}

void Args::footer(const std::string& text) { impl_->app.footer(text); }

bool Args::parse(const std::vector<std::string>& arguments) {
  if (impl_->asks_help(arguments)) {
    print_out(impl_->app.help() + "\n  -h,--help                       this text\n");
    flush_out();
    return false;
  }
  std::vector<std::string> words = impl_->normalized(arguments);
  if (impl_->has_config) {
    for (const std::string& word : words) {
      if (word.rfind("--config=", 0) == 0) impl_->config = impl_->given_texts.at(std::stoul(word.substr(9)));
    }
    if (!impl_->config.empty()) {
      const std::vector<std::string> more = impl_->from_config(words);
      words.insert(words.begin(), more.begin(), more.end());
    }
  }
  std::reverse(words.begin(), words.end());  // the form that CLI11 takes a vector in
  try {
    impl_->app.parse(words);
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  impl_->restore_texts();
  return true;
}

bool Args::given(const std::string& name) const { return impl_->options.at(name)->count() > 0; }

void Args::no_effect(const std::vector<NoEffect>& rules) const {
  std::string ignored;
  int64_t count = 0;
  for (const NoEffect& rule : rules) {
    for (const std::string& name : rule.names) {
      if (!rule.holds || !given(name)) continue;
      const auto line = impl_->config_lines.find(impl_->options.at(name));
      if (line == impl_->config_lines.end()) {
        throw UsageError(impl_->verb + ": " + name + " has no effect " + rule.why + "; " + rule.advice);
      }
      ignored += "\n       " + line->second + name + " has no effect " + rule.why;
      ++count;
    }
  }
  if (count == 0) return;
  say("note   " + std::to_string(count) + (count == 1 ? " option" : " options") + " of " + impl_->config +
      " without effect" + ignored);
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = name.size() / 3 + 2;  // as many mistakes as still look like a slip
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

double parse_duration(const std::string& text, const std::string& option) {
  std::size_t end = 0;
  double value = -1;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
  }
  const std::string unit = text.substr(std::min(end, text.size()));
  const double factor = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (!(value > 0) || factor == 0 || value * factor > 1e9) {
    throw UsageError(option + " must be a duration like 90s, 3m or 1.5h; it is '" + text + "'");
  }
  return value * factor;
}

int64_t parse_bytes(const std::string& text, const std::string& option) {
  std::size_t end = 0;
  double value = -1;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
  }
  std::string unit = text.substr(std::min(end, text.size()));
  if (unit.ends_with('B') || unit.ends_with('b')) unit.pop_back();
  const std::string units = "kmgt";
  double factor = 1;
  if (!unit.empty()) {
    const std::size_t place =
        units.find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit[0]))));
    factor =
        place == std::string::npos || unit.size() > 1 ? -1 : std::pow(1000.0, static_cast<double>(place + 1));
  }
  if (!(value > 0 && factor > 0 && value * factor >= 1 && value * factor < 1e18))
    throw UsageError(option + ": a size such as 512MB or 2GB must be given; it is '" + text + "'");
  return static_cast<int64_t>(value * factor);
}

}  // namespace gradus::tools
