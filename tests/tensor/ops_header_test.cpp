#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/text.hpp"

/// tensor/ops.hpp as a map: each section names the files that hold its ops.

namespace gradus::testing {
namespace {

std::vector<std::string> source_lines(const std::string& path) {
  return lines_of(read_file(std::string(GRADUS_SOURCE_DIR) + "/" + path));
}

/// The function that a line at the margin declares or defines; "" if none.
std::string function_of(const std::string& line) {
  std::smatch match;
  return std::regex_search(line, match, std::regex(R"(^[A-Z][\w:<>]* (\w+)\()")) ? match[1].str() : "";
}

TEST_CASE("every op is defined in one of the files that its section of tensor/ops.hpp names") {
  std::map<std::string, int> defined;  // functions of the current section's files
  std::string section;
  int declared = 0;
  for (const std::string& line : source_lines("tensor/ops.hpp")) {
    std::smatch match;
    if (std::regex_search(line, match, std::regex(R"(^// ---- (.*) \(tensor/ops/([^)]*)\))"))) {
      section = match[1];
      defined.clear();
      std::istringstream files(match[2].str());
      for (std::string file; std::getline(files >> std::ws, file, ',');) {
        for (const std::string& definition : source_lines("tensor/ops/" + file))
          ++defined[function_of(definition)];
      }
    } else if (const std::string function = function_of(line); !function.empty()) {
      INFO(function << " stands under \"" << section << "\" of tensor/ops.hpp, whose files do not define it");
      CHECK(defined[function] > 0);
      ++declared;
    }
  }
  CHECK(declared > 70);
}

}  // namespace
}  // namespace gradus::testing
