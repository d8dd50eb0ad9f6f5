#include "tensor/io/safetensors.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

// A safetensors file.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile memory;
  const std::string& path = memory.with(fuzz::bytes_of(data, size));
  fuzz::accepts([&] {
    const SafetensorsFile file = SafetensorsFile::open(path);
    fuzz::accepts([&] { file.verify(); });
    for (const std::string& name : file.names()) {
      const RawTensor& info = file.info(name);
      const bool known = raw_dtype_bytes(info.dtype) > 0;
      fuzz::require(!known || raw_bytes(info.dtype, info.shape) == info.bytes,
                    "an array must have the bytes of its type and shape");
      fuzz::accepts([&] {
        const Tensor values = file.tensor(name);
        fuzz::require(values.shape() == info.shape, "a tensor must have the shape that its file gives it");
        values.clone();  // reads all of them
      });
    }
  });
  return 0;
}
