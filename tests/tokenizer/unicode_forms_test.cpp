#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tokenizer/text/unicode.hpp"

using namespace gradus;

namespace {

constexpr NormalForm kForms[] = {NormalForm::nfc, NormalForm::nfd, NormalForm::nfkc, NormalForm::nfkd};

std::u32string normal_form(NormalForm form, const std::u32string& text) {
  std::vector<ChangedChar> chars;
  append_normal_form(form, text, chars);
  std::u32string result;
  for (const ChangedChar& c : chars) result += c.c;
  return result;
}

// As normalizers do it: characters that stand alone begin a part of their own.
std::u32string in_parts(NormalForm form, const std::u32string& text) {
  std::u32string result, part;
  for (const char32_t c : text) {
    if (stands_alone(form, c)) {
      result += normal_form(form, part);
      part.clear();
    }
    part += c;
  }
  return result + normal_form(form, part);
}

std::u32string code_points(const std::string& hex) {
  std::u32string result;
  for (size_t at = 0; at < hex.size();) {
    size_t length = 0;
    result += static_cast<char32_t>(std::stoul(hex.substr(at), &length, 16));
    at += length + 1;
  }
  return result;
}

// What a command prints, as lines.
std::vector<std::string> lines_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  REQUIRE(pipe != nullptr);
  std::vector<std::string> lines;
  std::string line;
  for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    lines.push_back(line);
    line.clear();
  }
  return lines;
}

}  // namespace

TEST_CASE("every line of Unicode's own test of normalisation holds") {
  const std::string plain = "/usr/share/unicode/NormalizationTest.txt";
  std::vector<std::string> lines;
  if (std::filesystem::exists(plain)) {
    lines = lines_of("cat " + plain);
  } else if (std::filesystem::exists(plain + ".bz2")) {
    lines = lines_of("bzip2 -dc " + plain + ".bz2");
  } else {
    WARN("SKIPPED: unicode-data is missing");
    return;
  }
  int64_t tests = 0;
  bool single = false;  // in the part that lists every character with a form that is not itself
  std::vector<bool> listed(0x110000);
  std::vector<std::string> wrong;
  for (const std::string& line : lines) {
    if (line[0] == '@') single = line.substr(0, 6) == "@Part1";
    if (line.empty() || line[0] == '#' || line[0] == '@') continue;
    std::array<std::u32string, 5> columns;
    for (size_t column = 0, at = 0; column < 5; ++column) {
      const size_t end = line.find(';', at);
      columns[column] = code_points(line.substr(at, end - at));
      at = end + 1;
    }
    if (single) listed[columns[0][0]] = true;
    for (size_t column = 0; column < 5; ++column) {
      for (const NormalForm form : kForms) {
        const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
        const bool composed = form == NormalForm::nfc || form == NormalForm::nfkc;
        const std::u32string& expected = columns[(compatible || column >= 3 ? 3 : 1) + (composed ? 0 : 1)];
        if (normal_form(form, columns[column]) != expected || in_parts(form, columns[column]) != expected) {
          wrong.push_back(line);
        }
      }
    }
    ++tests;
  }
  CHECK(tests > 18000);
  CHECK(wrong == std::vector<std::string>());
  // A character that the first part does not list is its own form, in all of them; so is one that stands alone.
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    for (const NormalForm form : kForms) {
      if (listed[c] && !stands_alone(form, c)) continue;
      if (normal_form(form, {c}) != std::u32string{c}) FAIL("U+" << std::hex << static_cast<uint32_t>(c));
    }
  }
}
