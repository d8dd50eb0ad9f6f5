#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"

extern "C" {
void gradus_kernels_scalar(gradus::kernels::Table<float>* table);
void gradus_kernels_scalar_f64(gradus::kernels::Table<double>* table);
void gradus_kernels_sse2(gradus::kernels::Table<float>* table);
void gradus_kernels_avx2(gradus::kernels::Table<float>* table);
void gradus_kernels_avx512(gradus::kernels::Table<float>* table);
void gradus_kernels_neon(gradus::kernels::Table<float>* table);
}

namespace gradus::kernels {
namespace {

struct Tables {
  std::vector<Table<float>> all;  // best last
  std::vector<const char*> names;
  Table<double> f64{};

  Tables() {
    add(gradus_kernels_scalar);
#ifdef GRADUS_HAS_SSE2
    add(gradus_kernels_sse2);  // part of x86-64 itself
#endif
#ifdef GRADUS_HAS_AVX2
    // The compiler's own check also asks whether the operating system saves the wide registers.
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) add(gradus_kernels_avx2);
#endif
#ifdef GRADUS_HAS_AVX512
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("fma")) {
      add(gradus_kernels_avx512);
    }
#endif
#ifdef GRADUS_HAS_NEON
    add(gradus_kernels_neon);
#endif
    gradus_kernels_scalar_f64(&f64);
  }

  void add(void (*fill)(Table<float>*)) {
    Table<float> table{};
    fill(&table);
    all.push_back(table);
    names.push_back(table.name);
  }

  const Table<float>& find(const char* name, const char* who) const {
    std::string known;
    for (const Table<float>& table : all) {
      if (std::strcmp(table.name, name) == 0) return table;
      known += known.empty() ? "" : ", ";
      known += table.name;
    }
    fail(who, ": the instruction set must be built in and present on this machine; '", name,
         "' is not; use one of ", known);
  }
};

const Tables& tables() {
  static const Tables instance;
  return instance;
}

std::atomic<const Table<float>*> chosen{nullptr};

}  // namespace

template <>
const Table<float>& table<float>() {
  const Table<float>* current = chosen.load(std::memory_order_acquire);
  if (current == nullptr) [[unlikely]] {
    const char* forced = std::getenv("GRADUS_ISA");
    current =
        forced != nullptr && *forced != '\0' ? &tables().find(forced, "GRADUS_ISA") : &tables().all.back();
    chosen.store(current, std::memory_order_release);
  }
  return *current;
}

template <>
const Table<double>& table<double>() {
  return tables().f64;
}

const char* const* available_isas(int* count) {
  *count = static_cast<int>(tables().names.size());
  return tables().names.data();
}

void select_isa(const char* name) { replace_table(tables().find(name, "select_isa")); }

const Table<float>& replace_table(const Table<float>& replacement) {
  const Table<float>& replaced = table<float>();
  chosen.store(&replacement, std::memory_order_release);
  return replaced;
}

}  // namespace gradus::kernels
