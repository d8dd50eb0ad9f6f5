#include <string_view>

#include "models/files/gguf_source.hpp"
#include "models/files/llama2c_source.hpp"
#include "models/files/safetensors_source.hpp"
#include "models/files/tensor_source.hpp"
#include "tensor/io/file.hpp"

namespace gradus {
namespace {

// The first bytes of a safetensors file are the length of its header, of which the upper ones are 0; those of a text never.
bool is_json(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, 8);
  return head.starts_with('{') && head.find('\0') == std::string_view::npos;
}

bool is_any(std::string_view) { return true; }

struct Format {
  bool (*recognises)(std::string_view bytes);
  std::unique_ptr<TensorSource> (*open)(const std::string& path);
};

// One line a format; the first that recognises a file opens it. The last one says what it is that nobody knows.
constexpr Format kFormats[] = {
    {is_gguf, open_gguf},
    {is_llama2c, open_llama2c},
    {is_json, open_safetensors_index},
    {is_any, open_safetensors},
};

}  // namespace

std::unique_ptr<TensorSource> open_tensors(const std::string& path) {
  const Format* format = kFormats;
  {
    const MappedFile file(path);
    while (!format->recognises(file.text())) ++format;
  }
  return format->open(path);
}

}  // namespace gradus
