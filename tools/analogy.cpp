// gradus analogy: what stands to one word as another does to a third.

#include <algorithm>

#include "models/embeddings/analogy.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"

namespace gradus::tools {
namespace {

struct Term {
  std::string word;
  bool plus;
};

// "king - man + woman", of whose words signs stand between; three words without one: A − B + C.
std::vector<Term> parse_expression(const std::vector<std::string>& given) {
  std::vector<std::string> parts;
  for (const std::string& argument : given) {
    // Of an expression in one argument the signs stand between spaces; names have spaces too.
    const bool spaced = given.size() == 1;
    std::size_t begin = 0;
    while (spaced && begin < argument.size()) {
      const std::size_t sign = std::min(argument.find(" - ", begin), argument.find(" + ", begin));
      if (sign == std::string::npos) break;
      parts.push_back(argument.substr(begin, sign - begin));
      parts.push_back(argument.substr(sign + 1, 1));
      begin = sign + 3;
    }
    parts.push_back(argument.substr(begin));
  }
  const auto is_sign = [](const std::string& part) { return part == "+" || part == "-"; };
  const bool signs = std::any_of(parts.begin(), parts.end(), is_sign);
  std::vector<Term> terms;
  if (!signs) {
    check(parts.size() == 3,
          "analogy: give three words A B C for A - B + C, or words with + and - between; there are ",
          parts.size(), parts.size() == 1 ? " word" : " words", " and no sign");
    return {{parts[0], true}, {parts[1], false}, {parts[2], true}};
  }
  bool plus = true, word_next = true;
  for (const std::string& part : parts) {
    if (is_sign(part)) {
      check(!word_next || terms.empty(),
            "analogy: a word must stand behind each sign; two signs follow each other");
      plus = part == "+";
      word_next = true;
    } else {
      check(word_next, "analogy: a sign must stand between two words; there is none before '", part, "'");
      terms.push_back({part, plus});
      word_next = false;
    }
  }
  check(!word_next, "analogy: a word must stand behind each sign; there is none behind the last");
  return terms;
}

}  // namespace

int run_analogy(const Arguments& arguments) {
  std::string source;
  std::vector<std::string> expression;
  AnalogyOptions options{.k = 10, .restrict = 300000};
  std::string method = "3cosadd";
  bool include_inputs = false;
  SourceArguments given;
  Args args("analogy",
            "Answers king - man + woman: the rows most like the words added and least like those taken away. "
            "Three words "
            "without signs, A B C, mean A - B + C.");
  args.positional("SOURCE", source, kSourceHelp);
  args.positionals("WORD", expression, "words with + and - between");
  args.integer("-k,--count", options.k, "how many to list");
  args.choice("--method", method, {"3cosadd", "3cosmul"},
              "the sum of the cosines, or the quotient of their products (Levy and Goldberg, 2014)");
  args.integer("--restrict", options.restrict,
               "only the first N rows are answers, the frequent ones in most files; 0: all");
  args.flag("--include-inputs", include_inputs, "let the words of the question be answers");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check(options.k > 0, "-k must be at least 1; it is ", options.k);
  check(options.restrict >= 0, "--restrict must be at least 0; it is ", options.restrict);
  options.method = parse_analogy_method(method);
  const std::vector<Term> terms = parse_expression(expression);

  const Rows rows(given.open(args, source), given.layer);
  AnalogyQuestion question;
  std::vector<std::string> words;
  std::string query;
  for (const Term& term : terms) {
    query += query.empty() && term.plus ? term.word
                                        : (query.empty() ? "- "
                                           : term.plus   ? " + "
                                                         : " - ") +
                                              term.word;
    (term.plus ? question.plus : question.minus).push_back(std::ssize(words));
    words.push_back(term.word);
    if (const auto own = rows.names().find(term.word); own && !include_inputs)
      question.leave_out.push_back(*own);
  }
  check(!question.plus.empty(), "analogy: at least one word must be added; all are taken away");
  const Nearest found = solve_analogies(rows.table(), rows.vectors(words), std::span(&question, 1), options);
  tell_skipped(found.skipped, given.common);
  Json list = Json::array();
  std::string lines = query + "\n";
  for (const Neighbor& neighbor : found.of[0]) {
    const std::string name(rows.names()[neighbor.row]);
    lines += "  " + fixed(neighbor.value, 4) + "  " + name + "\n";
    list.push(Json::object().set("word", replace_invalid_utf8(name)).set("score", neighbor.value));
  }
  if (given.common.json) {
    print_json(
        Json::object().set("query", replace_invalid_utf8(query)).set("method", method).set("answers", list));
  } else {
    print_out(lines);
  }
  flush_out();
  return 0;
}

}  // namespace gradus::tools
