#pragma once

#include <string>
#include <vector>

#include "tensor/kernels/kernels.hpp"

namespace gradus::testing {

/// While it lives, the kernels of this instruction set are used.
class UseIsa {
 public:
  explicit UseIsa(const std::string& name) : previous_(kernels::table<float>().name) {
    kernels::select_isa(name.c_str());
  }
  ~UseIsa() { kernels::select_isa(previous_.c_str()); }
  UseIsa(const UseIsa&) = delete;
  UseIsa& operator=(const UseIsa&) = delete;

 private:
  std::string previous_;
};

inline std::vector<std::string> available_isas() {
  int count = 0;
  const char* const* names = kernels::available_isas(&count);
  return {names, names + count};
}

/// Whether an instruction set multiplies and adds in one rounding: these give the same bits.
inline bool has_fma(const std::string& isa) { return isa == "avx2" || isa == "avx512" || isa == "neon"; }

}  // namespace gradus::testing
