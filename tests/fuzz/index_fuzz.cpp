#include "models/files/safetensors_source.hpp"
#include "tensor/io/safetensors.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

namespace {

// Two parts of a model, which the index names or not.
struct Parts {
  fuzz::ScratchFolder folder;
  Parts() {
    save_safetensors(folder.path() + "/a",
                     std::vector<NamedTensor>{{"x", Tensor::zeros({2, 3})}, {"y", Tensor::zeros({1})}});
    save_safetensors(folder.path() + "/b", std::vector<NamedTensor>{{"z", Tensor::zeros({4})}});
  }
};

}  // namespace

// The index of a model in parts.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Parts parts;
  parts.folder.put("index", fuzz::bytes_of(data, size));
  if (size == 0) return 0;
  const std::string path = parts.folder.path() + "/index";
  fuzz::accepts([&] {
    const auto source = open_safetensors_index(path);
    for (const std::string& name : source->names()) {
      const std::string part = name == "z" ? "/b" : "/a";
      fuzz::require(source->file_of(name) == parts.folder.path() + part,
                    "a tensor must be found in its part");
      source->tensor(name).clone();
    }
  });
  return 0;
}
