#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/tensor/counting_table.hpp"
#include "tests/tensor/op_cases.hpp"

/// Nothing is left out of the op table: each function of tensor/ops.hpp and each entry of the kernel table has a row.

namespace gradus::testing {
namespace {

/// A header without its comments.
std::string code_of(const std::string& path) {
  std::ifstream file(std::string(GRADUS_SOURCE_DIR) + "/" + path);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return std::regex_replace(text.str(), std::regex("//[^\n]*"), "");
}

std::string trimmed(std::string text) {
  text = std::regex_replace(text, std::regex("\\s+"), " ");
  text = std::regex_replace(text, std::regex("^ | $"), "");
  return text;
}

/// "const Tensor& x = {}" becomes "Tensor".
std::string parameter_type(std::string parameter) {
  parameter = parameter.substr(0, parameter.find('='));
  parameter = std::regex_replace(parameter, std::regex("\\bconst\\b|std::|gradus::"), "");
  parameter = std::regex_replace(parameter, std::regex("&"), " ");
  parameter = trimmed(parameter);
  // The last word is the name, if more than the type stands there.
  parameter = std::regex_replace(parameter, std::regex(" \\w+$"), "");
  return std::regex_replace(parameter, std::regex(" "), "");
}

/// Calls `statement` for each declaration directly in the innermost namespace; bodies are dropped.
std::vector<std::string> declarations_of(const std::string& code) {
  std::vector<std::string> found;
  std::string current;
  int depth = 0;
  const std::size_t begin = code.find("namespace gradus {") + std::strlen("namespace gradus {");
  for (std::size_t i = begin; i < code.size(); ++i) {
    const char c = code[i];
    if (c == '{') {
      // "= {}" inside parentheses is a default argument, not a body.
      const bool argument =
          std::count(current.begin(), current.end(), '(') > std::count(current.begin(), current.end(), ')');
      if (depth == 0 && !argument) found.push_back(trimmed(current));
      if (depth == 0 && argument) {
        current += "{}";
        i = code.find('}', i);
        continue;
      }
      ++depth;
    } else if (c == '}') {
      --depth;
      current.clear();
    } else if (depth == 0 && c == ';') {
      found.push_back(trimmed(current));
      current.clear();
    } else if (depth == 0) {
      current += c;
    }
    if (c == '{') current.clear();
  }
  return found;
}

/// "add(Tensor, double)" for each function that the header declares.
std::set<std::string> functions_of(const std::string& path) {
  std::set<std::string> found;
  for (const std::string& declaration : declarations_of(code_of(path))) {
    std::smatch match;
    if (!std::regex_search(declaration, match, std::regex("(operator ?[^ (]+|\\w+) ?\\((.*)\\)"))) continue;
    if (std::regex_search(declaration, std::regex("^(struct|class|enum|using|namespace)\\b"))) continue;
    std::string signature = match[1].str() + "(";
    std::istringstream parameters(match[2].str());
    std::string parameter;
    for (int i = 0; std::getline(parameters, parameter, ','); ++i)
      signature += (i ? ", " : "") + parameter_type(parameter);
    found.insert(signature + ")");
  }
  return found;
}

/// The members of an enumeration but its `count`.
std::vector<std::string> members_of(const std::string& code, const std::string& enumeration) {
  std::smatch match;
  REQUIRE(std::regex_search(code, match, std::regex("enum class " + enumeration + " \\{([^}]*)\\}")));
  std::vector<std::string> members;
  std::istringstream list(match[1].str());
  for (std::string member; std::getline(list, member, ',');) {
    if (trimmed(member) != "count") members.push_back(trimmed(member));
  }
  return members;
}

/// The entries of kernels::Table in order, one for each element of an array: "gemm", "unary[exp]".
std::vector<std::string> kernel_entries() {
  const std::string code = code_of("tensor/kernels/kernels.hpp");
  const std::size_t begin = code.find("struct Table {");
  REQUIRE(begin != std::string::npos);
  const std::string body = code.substr(begin, code.find("};", begin) - begin);
  std::vector<std::string> entries;
  const std::regex entry("\\(\\*(\\w+)(\\[static_cast<int>\\((\\w+)::count\\)\\])?\\)");
  for (std::sregex_iterator it(body.begin(), body.end(), entry), end; it != end; ++it) {
    if (!(*it)[3].matched) {
      entries.push_back((*it)[1]);
      continue;
    }
    for (const std::string& member : members_of(code, (*it)[3]))
      entries.push_back((*it)[1].str() + "[" + member + "]");
  }
  return entries;
}

TEST_CASE("every function of tensor/ops.hpp has a row in the op table, and every row a function") {
  std::set<std::string> declared = functions_of("tensor/ops.hpp"), rows;
  CHECK(declared.size() > 60);
  for (const Row& row : op_rows()) {
    if (row.signature.rfind("kernels::", 0) != 0) rows.insert(row.signature);
  }
  for (const std::string& function : declared) {
    INFO(function << " is declared in tensor/ops.hpp; add a row to tests/tensor/op_cases_*.cpp");
    CHECK(rows.count(function) == 1);
  }
  for (const std::string& row : rows) {
    INFO(row << " has a row but is not declared in tensor/ops.hpp");
    CHECK(declared.count(row) == 1);
  }
}

TEST_CASE("every row has cases and a benchmark, and every differentiable op a gradient case") {
  for (const Row& row : op_rows()) {
    INFO(row.signature);
    CHECK(!row.cases.empty());
    bool gradient = false, differentiable = false;
    for (const Case& test : row.cases) {
      gradient |= test.gradient;
      differentiable |= test.differentiable;
    }
    CHECK(gradient == differentiable);
    const bool takes_sizes_only = row.signature.find("_sequences(") != std::string::npos;
    CHECK(row.benches.empty() == takes_sizes_only);
  }
}

TEST_CASE("every benchmark's inputs fit its op") {
  const NoGrad quiet;
  for (const Row& row : op_rows()) {
    for (const Case& test : row.benches) {
      Tensors inputs;
      for (const Input& input : test.inputs) {
        inputs.push_back(Tensor::zeros(input.shape, input.ids ? DType::i32 : DType::f32));
      }
      INFO(test.name);
      CHECK_NOTHROW(test.op(inputs, DType::f32));
    }
  }
}

TEST_CASE("every entry of the kernel table is called by a row, as counted while the rows run") {
  const std::vector<std::string> entries = kernel_entries();
  REQUIRE(entries.size() == CountingTable::kEntries);
  // These two measure the machine; the tests below run them.
  const std::set<std::string> measuring = {"peak", "read"};
  const CountingTable counting;
  for (const Row& row : op_rows()) {
    for (const Case& test : row.cases) run(test, make_inputs(test, DType::f32), DType::f32);
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    INFO(entries[i] << " of kernels::Table; is it one of Entries, and does a row call it?");
    REQUIRE(counting.counts(i));
    const bool called = counting.calls(i) > 0;
    CHECK(called == (measuring.count(entries[i]) == 0));
  }
}

template <class T>
void check_no_null(const std::string& isa) {
  const std::vector<std::string> entries = kernel_entries();
  const kernels::Table<T>& table = kernels::table<T>();
  // Nothing but pointers from the first entry to the end, so that a new entry cannot be forgotten here.
  std::vector<void*> pointers((sizeof(table) - offsetof(kernels::Table<T>, gemm)) / sizeof(void*));
  REQUIRE(pointers.size() == entries.size());
  std::memcpy(pointers.data(), reinterpret_cast<const char*>(&table) + offsetof(kernels::Table<T>, gemm),
              pointers.size() * sizeof(void*));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    INFO(entries[i] << " of " << isa);
    CHECK(pointers[i] != nullptr);
  }
}

TEST_CASE("no entry of any kernel table is null") {
  check_no_null<double>("scalar f64");
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    CHECK(kernels::table<float>().name == isa);
    check_no_null<float>(isa);
  }
}

TEST_CASE("the kernel that measures reading depends on every element") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    for (const int64_t n : {1, 5, 16, 67, 300}) {
      std::vector<float> x(static_cast<std::size_t>(n), 1.0f);
      const float all_ones = kernels::table<float>().read({.x = x.data(), .n = n});
      int ignored = 0;
      for (float& element : x) {
        element = 2.0f;
        ignored += kernels::table<float>().read({.x = x.data(), .n = n}) == all_ones;
        element = 1.0f;
      }
      INFO(isa << ", " << n << " elements");
      CHECK(ignored == 0);
    }
  }
}

TEST_CASE("the kernel that measures the peak runs on every instruction set") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    INFO(isa);
    CHECK(kernels::table<float>().registers > 0);
    const float few = kernels::table<float>().peak({.rounds = 10});
    CHECK(few == few);
  }
}

TEST_CASE("a kernel table that this machine does not have is an error that lists those it has") {
  const std::string message = error_of<std::invalid_argument>([] { kernels::select_isa("mmx"); });
  CHECK(message.find("mmx") != std::string::npos);
  for (const std::string& isa : available_isas()) CHECK(message.find(isa) != std::string::npos);
}

}  // namespace
}  // namespace gradus::testing
