#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tokenizer/tokenizer.hpp"
#include "tools/common.hpp"

extern char** environ;

using namespace gradus;
using namespace gradus::tools;
using namespace gradus::testing;

namespace {

/// What the program, which must exit with `code`, sends to a terminal, or to a pipe, on stdout and stderr.
std::string shown(bool terminal, int code, std::vector<std::string> words) {
  int ends[2] = {-1, -1};
  std::string name;
  if (terminal) {
    ends[0] = ::posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(ends[0] >= 0);
    REQUIRE(::grantpt(ends[0]) == 0);
    REQUIRE(::unlockpt(ends[0]) == 0);
    ends[1] = ::open(::ptsname(ends[0]), O_RDWR | O_NOCTTY);
  } else {
    REQUIRE(::pipe(ends) == 0);
  }
  REQUIRE(ends[1] >= 0);
  words.insert(words.begin(), "gradus");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  pid_t child = 0;
  const int error = posix_spawn(&child, GRADUS_PROGRAM, &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(error == 0);
  ::close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == code);
  return text;
}

}  // namespace

TEST_CASE("a terminal is sent no control characters, and every other character as it is") {
  CHECK(for_terminal("") == "");
  const std::string plain = "two\nlines,\ta tab, Grüße, 日本語, 😀, \xC2\xA0 and ~";
  CHECK(for_terminal(plain) == plain);
  CHECK(for_terminal("a\x1b]0;title\x07") == "a\\x1b]0;title\\x07");
  CHECK(for_terminal(std::string_view("\0\r\x08\x1f\x7f", 5)) == "\\x00\\x0d\\x08\\x1f\\x7f");
  // C1: U+009B begins a command as ESC [ does; U+0085 is a line end.
  CHECK(for_terminal("\xC2\x9B"
                     "2J\xC2\x80\xC2\x9F\xC2\x85") == "\\xc2\\x9b2J\\xc2\\x80\\xc2\\x9f\\xc2\\x85");
  // Bytes that are not UTF-8: a lone C1 byte, a cut character, an overlong ESC, a surrogate.
  CHECK(for_terminal("\x9B"
                     "a\xE6\x97") == "\\x9ba\\xe6\\x97");
  CHECK(for_terminal("\xC0\x9B\xED\xA0\x80z") == "\\xc0\\x9b\\xed\\xa0\\x80z");
}

TEST_CASE("texts, names and tokens reach a terminal escaped, and anything else byte for byte") {
  const TemporaryFolder folder;
  Tokenizer::bytes().save(folder / "bytes.json");
  const std::vector<std::string> decode{"tokenizer", "decode", folder / "bytes.json", "27", "91", "50",
                                        "155",       "10"};
  CHECK(shown(true, 0, decode) == "\\x1b[2\\x9b\r\n\r\n");
  CHECK(shown(false, 0, decode) == "\x1b[2\x9b\n\n");
  const std::vector<std::string> wrong{"info", folder / "no\x1bwhere"};
  CHECK(shown(true, 1, wrong) ==
        "gradus: " + folder.path() + "/no\\x1bwhere: cannot be opened; No such file or directory\r\n");
  CHECK(shown(false, 1, wrong) ==
        "gradus: " + folder.path() + "/no\x1bwhere: cannot be opened; No such file or directory\n");
  // A line of progress still overwrites the one before.
  write_quickly(folder / "text", "the king and the sea and the king\n");
  const std::vector<std::string> train{"tokenizer", "train", folder / "text",  "--vocab-size",
                                       "260",       "-o",    folder / "t.json"};
  CHECK(shown(true, 0, train).find("\r\033[Ktokenizer") != std::string::npos);
  CHECK(shown(false, 0, train).find('\033') == std::string::npos);
}

TEST_CASE("a stream is read to its end, and Ctrl-C ends the wait for more of it") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "some text", 9) == 9);
  const auto read = [&] { return read_descriptor(ends[0], "a pipe", stop_where_interrupted); };
  interrupted() = true;
  CHECK_THROWS_AS(read(), Interrupted);
  interrupted() = false;
  ::close(ends[1]);
  CHECK(read() == "some text");
  ::close(ends[0]);
  CHECK_THROWS_AS(read(), std::runtime_error);
}
