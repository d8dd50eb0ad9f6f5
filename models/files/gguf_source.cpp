#include "models/files/gguf_source.hpp"

#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"

namespace gradus {
namespace {

class GgufSource : public TensorSource {
 public:
  explicit GgufSource(GgufFile file) : TensorSource(file.path(), TensorNames::gguf), file_(std::move(file)) {
    const std::size_t place = add_file(path());
    for (const GgufTensor& tensor : file_.tensors()) {
      add(tensor.name, {.dtype = std::string(tensor.type->name),
                        .shape = tensor.shape,
                        .bytes = tensor.bytes,
                        .values = values_of(*tensor.type),
                        .file = place});
    }
  }

 private:
  Tensor read(const std::string& name, const TensorInfo&) const override { return file_.tensor(name); }

  GgufFile file_;
};

}  // namespace

bool is_gguf(std::string_view bytes) { return bytes.starts_with("GGUF"); }

bool is_gguf_file(const std::string& path) {
  if (is_directory(path) || !file_exists(path)) return false;
  const MappedFile file(path);
  return is_gguf(file.text());
}

GgufFile open_gguf_model(const std::string& path) {
  GgufFile file = GgufFile::open(path);
  const GgufValue* parts = file.find("split.count");
  check_world(parts == nullptr || parts->as_integer() <= 1, path, ": must be a whole model; it is one of ",
              parts == nullptr ? 1 : parts->as_integer(), " parts; join them with llama-gguf-split --merge");
  return file;
}

std::unique_ptr<TensorSource> open_gguf(const std::string& path) {
  return std::make_unique<GgufSource>(open_gguf_model(path));
}

}  // namespace gradus
