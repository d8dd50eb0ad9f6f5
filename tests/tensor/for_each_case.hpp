#pragma once

#include <exception>
#include <functional>
#include <string>

#include "tests/support/catch.hpp"
#include "tests/tensor/op_cases.hpp"

namespace gradus::testing {

/// Calls `check`, which returns what is wrong, for each case of the op table, and reports every case that fails. One
/// section a row: `-c "softmax(Tensor)"` runs that row alone.
inline void for_each_case(const std::function<std::string(const Case&)>& check) {
  for (const Row& row : op_rows()) {
    DYNAMIC_SECTION(row.signature) {
      for (const Case& test : row.cases) {
        std::string problem;
        try {
          problem = check(test);
        } catch (const std::exception& error) {
          problem = std::string("exception: ") + error.what();
        }
        if (!problem.empty()) FAIL_CHECK(test.name << ": " << problem);
      }
      SUCCEED();
    }
  }
}

}  // namespace gradus::testing
