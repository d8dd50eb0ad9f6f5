#include "models/files/gguf_source.hpp"

#include <utility>

#include "models/files/gguf_file.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

class GgufSource : public TensorSource {
 public:
  explicit GgufSource(GgufFile file) : TensorSource(file.path()), file_(std::move(file)) {
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

std::unique_ptr<TensorSource> open_gguf(const std::string& path) {
  GgufFile file = GgufFile::open(path);
  const GgufValue* parts = file.find("split.count");
  check_world(parts == nullptr || parts->as_integer() <= 1, path, ": must be a whole model; it is one of ",
              parts == nullptr ? 1 : parts->as_integer(), " parts; join them with llama-gguf-split --merge");
  return std::make_unique<GgufSource>(std::move(file));
}

}  // namespace gradus
