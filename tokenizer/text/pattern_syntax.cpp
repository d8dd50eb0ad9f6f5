#include "tokenizer/text/pattern_syntax.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

// Members of a class [...]. White space is spelled out because PCRE2 counts U+180E as white space; words because
// Oniguruma's are letters, marks, digits, connectors and letters in circles. Outside of classes they are Latin-1's
// numbers as well (measured with the library's release 0.22.2).
constexpr std::string_view kSpaceMembers =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr std::string_view kWordMembers =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
constexpr std::string_view kLatinNumberMembers = R"(\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
constexpr std::string_view kHexMembers = "0-9a-fA-F";

constexpr size_t kLongest = 65536;  // bytes of a regular expression: larger ones are attacks
constexpr int kDeepest = 100;       // classes inside classes

// What both \p{name} and [[:name:]] know, then what only the former does.
struct NamedSet {
  std::string_view name;
  std::string_view members;
};
constexpr NamedSet kNamedSets[] = {
    {"alpha", R"(\p{Alphabetic})"}, {"alnum", R"(\p{Alphabetic}\p{Nd})"},
    {"digit", R"(\p{Nd})"},         {"space", kSpaceMembers},
    {"word", kWordMembers},         {"xdigit", kHexMembers},
    {"upper", R"(\p{Uppercase})"},  {"lower", R"(\p{Lowercase})"},
    {"any", R"(\x{0}-\x{10FFFF})"}, {"ascii", R"(\x{0}-\x{7F})"},
};
constexpr size_t kPosixSets = 8;

// nullptr where none of the first `count` is called so.
const NamedSet* find_set(std::string_view name, size_t count) {
  const auto* end = kNamedSets + count;
  const auto* found = std::find_if(kNamedSets, end, [&](const NamedSet& set) { return set.name == name; });
  return found == end ? nullptr : found;
}

bool is_ascii_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }
char32_t lowered(char32_t c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }

std::string literal(char32_t c) {
  if (is_ascii_letter(c) || is_ascii_digit(c)) return std::string(1, static_cast<char>(c));
  char text[16];
  std::snprintf(text, sizeof text, "\\x{%X}", static_cast<unsigned>(c));
  return text;
}

std::string bracket(std::string_view members, bool negated) {
  return (negated ? "[^" : "[") + std::string(members) + "]";
}

std::string comparable(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c != ' ' && c != '-' && c != '_') text += static_cast<char>(lowered(static_cast<unsigned char>(c)));
  }
  return text;
}

// What stands for one character: the members of a class, or what is not any of them.
struct CharSet {
  std::string members;
  bool negated = false;
};

// A set that stands by itself.
std::string standing(const CharSet& set) {
  const bool words = set.members == kWordMembers;
  return bracket(set.members + std::string(words ? kLatinNumberMembers : ""), set.negated);
}

class Translator {
 public:
  Translator(std::string_view regex, const std::string& where) : regex_(regex), where_(where) {
    check_world(regex.size() <= kLongest, where, ": a regular expression must not be longer than ", kLongest,
                " bytes; it has ", regex.size());
  }

  std::string run() {
    while (at_ < regex_.size()) step();
    if (!groups_.empty()) refuse("a ( without its )");
    return std::move(out_);
  }

 private:
  struct Group {
    size_t start;   // in out_
    bool caseless;  // as it was outside
  };
  static constexpr size_t kNoAtom = static_cast<size_t>(-1);

  [[noreturn]] void refuse(const std::string& what) const {
    const std::string_view shown = regex_.substr(0, 200);
    fail_world(where_, ": the regular expression has ", what, " at byte ", at_,
               ", which is not supported; it is ", "`", shown, "`");
  }

  char peek(size_t ahead = 0) const { return at_ + ahead < regex_.size() ? regex_[at_ + ahead] : '\0'; }
  bool take(std::string_view text) {
    if (regex_.substr(at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }
  char32_t take_char() {
    char32_t c = 0;
    const int length = decode_utf8(regex_.data() + at_, regex_.data() + regex_.size(), c);
    if (length == 0) refuse("bytes that are not UTF-8");
    at_ += static_cast<size_t>(length);
    return c;
  }

  void begin_atom() {
    atom_ = out_.size();
    quantified_ = false;
    last_letter_ = 0;
  }
  // What has no width cannot be repeated.
  void emit_assertion(std::string_view text) {
    out_ += text;
    atom_ = kNoAtom;
    last_letter_ = 0;
  }
  void emit_atom(std::string_view text) {
    begin_atom();
    out_ += text;
  }

  void step();
  void open_group();
  void close_group();
  void escape();
  void quantifier(const std::string& text, bool can_be_possessive, bool can_be_lazy);
  bool interval();
  void emit_literal(char32_t c);
  void check_caseless(char32_t c) const;

  bool shorthand(char letter, CharSet& set) const;
  CharSet property(bool negated);
  CharSet posix_class();
  char32_t escaped_char(char letter);
  char32_t hex_code();
  std::string char_class_expression(int depth, CharSet& simple);

  std::string_view regex_;
  const std::string& where_;
  size_t at_ = 0;
  std::string out_;
  std::vector<Group> groups_;
  bool caseless_ = false;
  size_t atom_ = kNoAtom;  // where in out_ the last atom begins
  bool quantified_ = false;
  char32_t last_letter_ = 0;  // the literal letter that out_ ends with, where case is ignored
};

// Oniguruma ignores case by full case folding, in which some letters equal two; PCRE2 does not. Pairs and letters that
// could take part are refused.
void Translator::check_caseless(char32_t c) const {
  const CharClass kind = char_class(c);
  if (c >= 128 && (kind == CharClass::letter || kind == CharClass::mark || kind == CharClass::number)) {
    refuse("the case of " + describe_char(c) + " ignored");
  }
}

void Translator::emit_literal(char32_t c) {
  const char32_t before = last_letter_;
  if (caseless_) check_caseless(c);
  emit_atom(literal(c));
  if (!caseless_ || !is_ascii_letter(c)) return;
  last_letter_ = lowered(c);
  const std::string pair = {static_cast<char>(before), static_cast<char>(last_letter_)};
  for (const std::string_view ligature : {"ss", "st", "ff", "fi", "fl"}) {
    if (pair == ligature) refuse("the case of '" + pair + "' ignored, which also stands for one letter");
  }
}

void Translator::step() {
  const char c = peek();
  switch (c) {
    case '(': return open_group();
    case ')': return close_group();
    case '\\': return escape();
    case '[': {
      ++at_;
      CharSet simple;
      return emit_atom(char_class_expression(0, simple));
    }
    case '|':
    case '^':
    case '$': ++at_; return emit_assertion(std::string_view(&c, 1));
    case '.': ++at_; return emit_atom(".");
    case '*':
    case '+':
    case '?': ++at_; return quantifier(std::string(1, c), true, true);
    case '{':
      if (interval()) return;
      break;
    default: break;
  }
  emit_literal(take_char());
}

void Translator::open_group() {
  begin_atom();
  const Group group = {out_.size(), caseless_};
  for (const std::string_view plain : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
    if (take(plain)) {
      out_ += plain;
      groups_.push_back(group);
      return;
    }
  }
  if (peek(1) != '?') {
    ++at_;
    out_ += "(";
    groups_.push_back(group);
    return;
  }
  // Options, (?i) or (?i:...). Oniguruma's m lets the dot match line ends, which is s elsewhere.
  size_t i = at_ + 2;
  bool on = true;
  std::string options;
  bool caseless = caseless_;
  for (; i < regex_.size() && (regex_[i] == 'i' || regex_[i] == 'm' || regex_[i] == '-'); ++i) {
    if (regex_[i] == '-') on = false;
    if (regex_[i] == 'i') caseless = on;
    options += regex_[i] == 'm' ? 's' : regex_[i];
  }
  const char stop = i < regex_.size() ? regex_[i] : '\0';
  // In the middle of an alternation (?i) reaches further in one syntax than in the other.
  const bool whole = stop == ')' && at_ == 0;
  if (options.empty() || (stop != ':' && !whole)) refuse("a group of this kind");
  out_ += "(?" + options + stop;
  at_ = i + 1;
  caseless_ = caseless;
  if (whole) {
    atom_ = kNoAtom;
  } else {
    groups_.push_back(group);
  }
}

void Translator::close_group() {
  if (groups_.empty()) refuse("a ) without its (");
  ++at_;
  out_ += ")";
  atom_ = groups_.back().start;
  caseless_ = groups_.back().caseless;
  groups_.pop_back();
  quantified_ = false;
  last_letter_ = 0;
}

void Translator::quantifier(const std::string& text, bool can_be_possessive, bool can_be_lazy) {
  if (atom_ == kNoAtom) refuse("nothing before " + text);
  if (quantified_) {  // repeats what is repeated
    out_.insert(atom_, "(?:");
    out_ += ")";
  }
  out_ += text;
  const char suffix = peek();
  if ((suffix == '+' && can_be_possessive) || (suffix == '?' && can_be_lazy)) {
    out_ += suffix;
    ++at_;
  }
  quantified_ = true;
  last_letter_ = 0;
}

// {n}, {n,}, {n,m} and {,m}; other braces are literal. Here + does not make an interval possessive, it repeats it; and
// {n}? is an optional {n}.
bool Translator::interval() {
  size_t i = at_ + 1;
  const auto digits = [&] {
    const size_t first = i;
    while (i < regex_.size() && is_ascii_digit(static_cast<unsigned char>(regex_[i]))) ++i;
    return std::string(regex_.substr(first, i - first));
  };
  const std::string low = digits();
  const bool comma = i < regex_.size() && regex_[i] == ',';
  if (comma) ++i;
  const std::string high = comma ? digits() : low;
  if (i >= regex_.size() || regex_[i] != '}' || (low.empty() && high.empty())) return false;
  if (low.size() > 5 || high.size() > 5) refuse("a number of repetitions that is too large");
  if (!high.empty() && std::stoi(low.empty() ? "0" : low) > std::stoi(high)) refuse("an interval that falls");
  if (last_letter_ != 0) refuse("a letter repeated by an interval, its case ignored");
  at_ = i + 1;
  quantifier("{" + (low.empty() ? "0" : low) + (comma ? "," + high : "") + "}", false, comma);
  return true;
}

bool Translator::shorthand(char letter, CharSet& set) const {
  switch (letter) {
    case 'w':
    case 'W': set.members = kWordMembers; break;
    case 's':
    case 'S': set.members = kSpaceMembers; break;
    case 'h':
    case 'H': set.members = kHexMembers; break;
    case 'd':
    case 'D': set.members = R"(\p{Nd})"; break;
    default: return false;
  }
  set.negated = letter < 'a';
  return true;
}

// After \p or \P: {name} or {^name}.
CharSet Translator::property(bool negated) {
  const size_t close = regex_.find('}', at_);
  if (peek() != '{' || close == std::string_view::npos) refuse("a property without braces");
  if (caseless_) refuse("a property whose case is ignored");
  std::string_view name = regex_.substr(at_ + 1, close - at_ - 1);
  if (!name.empty() && name[0] == '^') {
    negated = !negated;
    name.remove_prefix(1);
  }
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return is_ascii_letter(static_cast<unsigned char>(c)) || c == '_' || c == ' ' || c == '-';
  });
  if (!plain) refuse("the property " + std::string(name));
  const std::string key = comparable(name);
  CharSet set;
  set.negated = negated;
  if (const NamedSet* known = find_set(key, std::size(kNamedSets))) {
    set.members = known->members;
  } else if (key.size() <= 2) {  // a general category
    set.members = R"(\p{)" + std::string(1, static_cast<char>(key[0] - 'a' + 'A')) + key.substr(1) + "}";
  } else {  // a script; without sc: PCRE2 would also match characters that scripts share
    set.members = R"(\p{sc:)" + key + "}";
  }
  at_ = close + 1;
  return set;
}

char32_t Translator::hex_code() {
  const auto value = [](char c) {
    return is_ascii_digit(static_cast<unsigned char>(c)) ? c - '0' : static_cast<char>(c | 0x20) - 'a' + 10;
  };
  const auto is_hex = [](char c) {
    const char32_t small = lowered(static_cast<unsigned char>(c));
    return is_ascii_digit(small) || (small >= 'a' && small <= 'f');
  };
  const bool braces = peek() == '{';
  if (braces) ++at_;
  const size_t most = braces ? 8 : regex_[at_ - 1] == 'u' ? 4 : 2;
  char32_t code = 0;
  size_t count = 0;
  for (; count < most && is_hex(peek()); ++count, ++at_)
    code = code * 16 + static_cast<char32_t>(value(peek()));
  if (count == 0 || (braces && !take("}")) || (most == 4 && count != 4))
    refuse("an incomplete hexadecimal code");
  if (most == 2 && code >= 0x80) refuse("a byte of a character");
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) refuse("a code that is no character");
  return code;
}

// The character behind a backslash and a letter or any other sign.
char32_t Translator::escaped_char(char letter) {
  switch (letter) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'f': return '\f';
    case 'v': return '\v';
    case 'a': return '\a';
    case 'e': return 0x1B;
    case 'x':
    case 'u': return hex_code();
    default: break;
  }
  const auto c = static_cast<unsigned char>(letter);
  if (is_ascii_letter(c) || is_ascii_digit(c)) refuse(std::string("\\") + letter);
  --at_;
  return take_char();
}

void Translator::escape() {
  if (at_ + 1 >= regex_.size()) refuse("a \\ at its end");
  const char letter = peek(1);
  at_ += 2;
  CharSet set;
  if (shorthand(letter, set)) return emit_atom(standing(set));
  switch (letter) {
    case 'p':
    case 'P': set = property(letter == 'P'); return emit_atom(standing(set));
    case 'A':
    case 'z':
    case 'Z':
    case 'G': return emit_assertion({regex_.data() + at_ - 2, 2});
    case 'b':
    case 'B': {
      const std::string word = standing({std::string(kWordMembers), false});
      const std::string here = letter == 'b' ? "(?!" : "(?=";
      const std::string there = letter == 'b' ? "(?=" : "(?!";
      return emit_assertion("(?:(?<=" + word + ")" + here + word + ")|(?<!" + word + ")" + there + word +
                            "))");
    }
    default: break;
  }
  if (letter >= '1' && letter <= '9') {
    if (is_ascii_digit(static_cast<unsigned char>(peek()))) refuse("a backreference of two digits");
    return emit_atom(std::string("\\g{") + letter + "}");
  }
  emit_literal(escaped_char(letter));
}

// After [:name:] has been seen to begin.
CharSet Translator::posix_class() {
  const size_t close = regex_.find(":]", at_);
  const std::string name(regex_.substr(at_ + 2, close - at_ - 2));
  const NamedSet* known = find_set(name, kPosixSets);
  if (known == nullptr) refuse("the class [:" + name + ":]");
  at_ = close + 2;
  return {std::string(known->members), false};
}

// What follows a [ up to its ]: an expression that matches one character. `simple` gets its members where the class is
// nothing but a list of them.
std::string Translator::char_class_expression(int depth, CharSet& simple) {
  if (depth > kDeepest) refuse("too many classes inside classes");
  const bool negated = take("^");
  if (peek() == ']') refuse("an empty class or a ] in front of one");

  std::vector<std::string> operands;  // of &&
  std::string members;
  std::vector<std::string> alternatives;  // what is not a list of members
  const auto add = [&](const CharSet& set) {
    if (caseless_) refuse("a class inside a class whose case is ignored");
    if (set.negated) {
      alternatives.push_back(bracket(set.members, true));
    } else {
      members += set.members;
    }
  };
  const auto operand = [&] {
    if (members.empty() && alternatives.empty()) refuse("an empty operand of &&");
    std::string text = members.empty() ? "" : bracket(members, false);
    for (const std::string& alternative : alternatives) text += (text.empty() ? "" : "|") + alternative;
    return alternatives.empty() || (members.empty() && alternatives.size() == 1) ? text : "(?:" + text + ")";
  };

  while (!take("]")) {
    if (at_ >= regex_.size()) refuse("a [ without its ]");
    if (take("&&")) {
      operands.push_back(operand());
      members.clear();
      alternatives.clear();
      continue;
    }
    if (peek() == '[') {
      if (peek(1) == ':' && regex_.find(":]", at_) != std::string_view::npos) {
        add(posix_class());
        continue;
      }
      ++at_;
      CharSet nested;
      const std::string expression = char_class_expression(depth + 1, nested);
      if (nested.members.empty()) {
        alternatives.push_back(expression);
      } else {
        add(nested);
      }
      continue;
    }
    const auto one_char = [&](CharSet& set) -> char32_t {  // or a set, if it is not empty
      if (!take("\\")) return take_char();
      if (at_ >= regex_.size()) refuse("a \\ at its end");
      const char letter = peek();
      ++at_;
      if (shorthand(letter, set)) return 0;
      if (letter == 'p' || letter == 'P') {
        set = property(letter == 'P');
        return 0;
      }
      return escaped_char(letter);
    };
    CharSet set;
    const char32_t first = one_char(set);
    const bool range = peek() == '-' && peek(1) != ']' && at_ + 1 < regex_.size();
    if (!set.members.empty()) {
      if (range) refuse("a - behind a set of characters");
      add(set);
      continue;
    }
    if (caseless_) check_caseless(first);
    members += literal(first);
    if (!range) continue;
    ++at_;
    if (peek() == '[' || regex_.substr(at_, 2) == "&&") refuse("a range without its end");
    const char32_t last = one_char(set);
    if (!set.members.empty() || last < first) refuse("a range without its end");
    if (caseless_ && last >= 128) refuse("a range beyond ASCII whose case is ignored");
    members += "-" + literal(last);
  }

  if (operands.empty() && alternatives.empty()) {
    simple = {members, negated};
    return bracket(members, negated);
  }
  std::string expression;
  for (const std::string& other : operands) expression += "(?=" + other + ")";
  expression += operand();
  if (negated) return "(?:(?!" + expression + ")(?s:.))";
  return operands.empty() ? expression : "(?:" + expression + ")";
}

}  // namespace

std::string to_pcre2(std::string_view regex, const std::string& where) {
  return Translator(regex, where).run();
}

}  // namespace gradus
