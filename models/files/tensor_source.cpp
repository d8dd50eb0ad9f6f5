#include "models/files/tensor_source.hpp"

#include <algorithm>
#include <utility>

#include "tensor/error.hpp"

namespace gradus {

const TensorInfo& TensorSource::info(std::string_view name) const {
  const auto found = infos_.find(name);
  if (found != infos_.end()) return found->second;
  std::string some;
  for (std::size_t i = 0; i < std::min<std::size_t>(names_.size(), 5); ++i)
    some += (i > 0 ? ", " : ": ") + names_[i];
  fail_world(path_, ": must have a tensor named ", name, "; it has ", names_.size(), " others", some,
             names_.size() > 5 ? " ..." : "");
}

Tensor TensorSource::tensor(std::string_view name) const {
  const TensorInfo& found = info(name);
  check_world(found.values.has_value(), files_[found.file], ": tensor ", name,
              " must have a type that can be read; it is ", found.dtype);
  return read(std::string(name), found);
}

std::size_t TensorSource::add_file(std::string path) {
  files_.push_back(std::move(path));
  return files_.size() - 1;
}

void TensorSource::add(std::string name, TensorInfo info) {
  const auto before = infos_.find(name);
  check_world(before == infos_.end(), files_[info.file], ": tensor ", name,
              " must stand in one file; it also stands in ",
              before == infos_.end() ? "" : files_[before->second.file]);
  names_.push_back(name);
  infos_.emplace(std::move(name), std::move(info));
}

}  // namespace gradus
