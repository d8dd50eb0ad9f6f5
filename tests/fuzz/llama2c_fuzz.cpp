#include "models/files/llama2c_source.hpp"
#include "models/transformer/files.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

// A file of llama2.c.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile memory;
  const std::string_view bytes = fuzz::bytes_of(data, size);
  const std::string& path = memory.with(bytes);
  fuzz::accepts([&] {
    const auto source = open_llama2c(path);
    fuzz::require(is_llama2c(bytes), "a file that is read must be known as one");
    for (const std::string& name : source->names()) {
      const Tensor values = source->tensor(name);
      fuzz::require(values.shape() == source->info(name).shape,
                    "a tensor must have the shape that it is said to have");
      values.clone();  // reads all of them
    }
    fuzz::accepts([&] { load_transformer(path); });
  });
  return 0;
}
