#include <string>

#include "models/files/gguf_file.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace gradus;

// Every way to read a value: one that fits its type is an answer, the others are refused.
void check_value(const GgufValue& value) {
  int answers = 0;
  const auto ask = [&](const auto& work) { answers += fuzz::accepts(work) ? 1 : 0; };
  ask([&] { value.as_boolean(); });
  ask([&] { value.as_number(); });
  ask([&] { value.as_string(); });
  ask([&] { value.as_booleans(); });
  ask([&] { value.as_numbers(); });
  ask([&] { value.as_strings(); });
  fuzz::require(answers == 1, "a value must be of one kind");
  fuzz::accepts([&] { value.as_integer(); });
  fuzz::accepts([&] { value.as_integers(); });
}

}  // namespace

// A GGUF file.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::bytes_of(data, size);
  fuzz::accepts([&] {
    const GgufFile file = GgufFile::parse(bytes, "fuzz");
    for (const std::string_view key : file.keys()) check_value(file.at(key));
    for (const GgufTensor& tensor : file.tensors()) {
      const bool readable = values_of(*tensor.type).has_value();
      const bool read = fuzz::accepts([&] {
        const Tensor values = file.tensor(tensor.name);
        fuzz::require(values.shape() == tensor.shape, "a tensor must have the shape that its file gives it");
        const Tensor copy = values.clone();  // reads all of them
        fuzz::require(copy.nbytes() == values.nbytes(), "a copy must be as large");
      });
      fuzz::require(read == readable, "a tensor must be read if its type can be, and refused otherwise");
    }
  });
  return 0;
}
