#include "models/files/safetensors_source.hpp"

#include <map>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/safetensors.hpp"

namespace gradus {
namespace {

class SafetensorsSource : public TensorSource {
 public:
  explicit SafetensorsSource(const std::string& path) : TensorSource(path) {}

  /// Adds all tensors of a file.
  const SafetensorsFile& open(const std::string& path) {
    const SafetensorsFile& file = shards_.emplace_back(SafetensorsFile::open(path));
    const std::size_t place = add_file(path);
    for (const std::string& name : file.names()) {
      const RawTensor& info = file.info(name);
      add(name, {.dtype = info.dtype,
                 .shape = info.shape,
                 .bytes = info.bytes,
                 .values = dtype_from_raw(info.dtype),
                 .file = place});
    }
    return file;
  }

 private:
  Tensor read(const std::string& name, const TensorInfo& info) const override {
    return shards_[info.file].tensor(name);
  }

  std::vector<SafetensorsFile> shards_;
};

/// Each tensor's shard, by the index.
std::map<std::string, std::string> read_index(const std::string& path) {
  const Json index = Json::parse(read_file(path), path);
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : index.at("weight_map").as_object()) {
    const std::string& name = shard.as_string();
    check_world(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos,
                shard.path(), ": must be the name of a file beside the index; it is '", name, "'");
    shard_of.emplace(tensor, folder + name);
  }
  check_world(!shard_of.empty(), path, ": the weight_map must name a tensor; it is empty");
  return shard_of;
}

}  // namespace

std::vector<std::string> safetensors_shards(const std::string& index_path) {
  std::map<std::string, std::string> first;
  for (const auto& [tensor, shard] : read_index(index_path)) first.emplace(shard, tensor);
  std::vector<std::string> shards;
  for (const auto& [shard, tensor] : first) shards.push_back(shard);
  return shards;
}

std::unique_ptr<TensorSource> open_safetensors(const std::string& path) {
  auto source = std::make_unique<SafetensorsSource>(path);
  source->open(path);
  return source;
}

std::unique_ptr<TensorSource> open_safetensors_index(const std::string& path) {
  const std::map<std::string, std::string> shard_of = read_index(path);
  std::map<std::string, std::string> first;  // shard -> one of its tensors
  for (const auto& [tensor, shard] : shard_of) first.emplace(shard, tensor);
  auto source = std::make_unique<SafetensorsSource>(path);
  for (const auto& [shard, tensor] : first) {
    check_world(file_exists(shard), shard, ": must be there, for ", path, " says that it holds ", tensor,
                "; it is not; fetch it, or the whole model again");
    for (const std::string& name : source->open(shard).names()) {
      check_world(shard_of.contains(name), shard, ": tensor ", name, " must stand in the weight_map of ",
                  path, "; it does not");
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    check_world(source->contains(tensor), shard, ": must hold tensor ", tensor, ", as ", path,
                " says; it does not");
    check_world(source->file_of(tensor) == shard, source->file_of(tensor), ": tensor ", tensor,
                " must stand in ", shard, ", as ", path, " says; it stands here");
  }
  return source;
}

}  // namespace gradus
