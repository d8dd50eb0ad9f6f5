#include "tokenizer/text/pattern.hpp"

#include "tensor/error.hpp"
#include "tokenizer/text/pattern_syntax.hpp"
#include "tokenizer/text/unicode.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace gradus {

bool PatternMatches::next(size_t& begin, size_t& end) {
  while (from_ <= text_.size() && pattern_.find(text_, from_, begin, end)) {
    from_ = end;
    if (begin != end || end != last_end_) {
      last_end_ = end;
      return true;
    }
    from_ += char_length(text_, end);
  }
  from_ = text_.size() + 1;
  return false;
}

namespace {

constexpr uint32_t kMostSteps = 10'000'000;      // of backtracking, for one match
constexpr uint32_t kMostKilobytes = 256 * 1024;  // to remember them in, without the just-in-time compiler
constexpr size_t kMostStack = size_t{64} << 20;  // the same, with it; only what is used becomes memory

std::string message_of(int error) {
  unsigned char text[256] = "";
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

// What a thread needs to match: kept from one match to the next, because making it takes longer than most matches.
struct Matcher {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 * 1024, kMostStack, nullptr);

  Matcher() {
    check_world(data != nullptr && context != nullptr,
                "pattern: there must be memory for matching; there is none");
    pcre2_set_match_limit(context, kMostSteps);
    pcre2_set_heap_limit(context, kMostKilobytes);
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Matcher() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;
};

}  // namespace

struct Pattern::Code {
  pcre2_code* code = nullptr;

  Code(std::string_view regex, const std::string& where) {
    const std::string text = to_pcre2(regex, where);
    // Subjects need no check of their own this way, which would cost their whole length at every match.
    const uint32_t options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
    check_world(context != nullptr, where, ": there must be memory for a regular expression; there is none");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int error = 0;
    size_t at = 0;
    code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options, &error, &at, context);
    pcre2_compile_context_free(context);
    check_world(code != nullptr, where, ": the regular expression `", regex.substr(0, 200),
                "` must be one that PCRE2 can compile; it says: ", message_of(error));
    // Where the system forbids making code, PCRE2 interprets the expression instead.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  }
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

Pattern::Pattern(std::string_view regex, const std::string& where)
    : where_(where), code_(std::make_unique<const Code>(regex, where)) {}

bool Pattern::find(std::string_view text, size_t from, size_t& begin, size_t& end) const {
  thread_local const Matcher matcher;
  const char* const bytes = text.data() != nullptr ? text.data() : "";
  const int found = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(bytes), text.size(), from, 0,
                                matcher.data, matcher.context);
  if (found == PCRE2_ERROR_NOMATCH) return false;
  check_world(found >= 0, where_,
              ": the regular expression must find its matches with less work than PCRE2's limits (",
              kMostSteps, " steps); from byte ", from, " of a text of ", text.size(),
              " bytes it does not: ", message_of(found));
  const size_t* const ends = pcre2_get_ovector_pointer(matcher.data);
  begin = ends[0];
  end = ends[1];
  return true;
}

Pattern::~Pattern() = default;

}  // namespace gradus
