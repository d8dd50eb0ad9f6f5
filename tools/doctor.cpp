// gradus doctor: what this machine has and what the program chose.

#include <fstream>

#include "tensor/build.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"

namespace gradus::tools {
namespace {

/// The choice in brackets of the kernel's "always [madvise] never".
std::string huge_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string word;
  while (file >> word) {
    if (word.size() > 2 && word.front() == '[') return word.substr(1, word.size() - 2);
  }
  return "unknown";
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

int run_doctor(const Arguments& arguments) {
  CommonOptions common;
  Args args("doctor", "Shows what this machine has and what the program chose.");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  int count = 0;
  const char* const* names = kernels::available_isas(&count);
  Json available = Json::array();
  std::string list;
  for (int i = 0; i < count; ++i) {
    available.push(names[i]);
    list += std::string(i > 0 ? ", " : "") + names[i];
  }
  const std::string chosen = kernels::table<float>().name;
  const BuildInfo build = build_info();
  if (common.json) {
    Json json = Json::object();
    json.set("cores", int64_t{available_cores()}).set("threads", int64_t{thread_count()});
    json.set("processor", processor()).set("isa_available", available).set("isa_chosen", chosen);
    json.set("memory_bytes", static_cast<int64_t>(total_memory_bytes()));
    json.set("available_memory_bytes", static_cast<int64_t>(available_memory_bytes()));
    json.set("huge_pages", huge_pages()).set("unicode", unicode_version());
    json.set("version", build.version).set("compiler", build.compiler).set("build_type", build.build_type);
    print_json(json);
    return 0;
  }
  print_out("cores    " + std::to_string(available_cores()) + " (" + processor() + ")\n");
  print_out("threads  " + std::to_string(thread_count()) + "\n");
  print_out("isa      " + chosen + " (available: " + list + "; GRADUS_ISA=NAME forces one)\n");
  print_out("memory   " + bytes_text(static_cast<double>(total_memory_bytes())) + ", " +
            bytes_text(static_cast<double>(available_memory_bytes())) +
            " available; transparent huge pages: " + huge_pages() + "\n");
  print_out("unicode  " + unicode_version() + "\n");
  print_out("gradus   " + build.text() + "\n");
  flush_out();
  return 0;
}

}  // namespace gradus::tools
