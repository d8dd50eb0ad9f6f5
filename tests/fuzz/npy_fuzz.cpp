#include "tensor/io/npy.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

namespace {

void check(const NpyArray& array) {
  const auto bytes = raw_bytes(array.dtype, array.shape);
  fuzz::require(bytes && *bytes == array.bytes, "an array must have the bytes of its type and shape");
  fuzz::accepts([&] {
    const Tensor values = array.tensor();
    fuzz::require(values.shape() == array.shape, "a tensor must have the shape that its file gives it");
    values.clone();  // reads all of them
  });
}

}  // namespace

// A .npy or .npz file of NumPy's.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile memory;
  const std::string_view bytes = fuzz::bytes_of(data, size);
  const std::string& path = memory.with(bytes);
  if (!bytes.starts_with("PK")) {
    fuzz::accepts([&] { check(load_npy(path)); });
    return 0;
  }
  fuzz::accepts([&] {
    const NpzFile file(path);
    for (const std::string& name : file.names()) {
      fuzz::require(file.contains(name), "a name that is listed must be there");
      fuzz::accepts([&] { check(file.array(name)); });
    }
  });
  return 0;
}
