#include "models/files/llama2c_source.hpp"

#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "tensor/error.hpp"
#include "tensor/io/bounds.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/raw.hpp"

namespace gradus {
namespace {

using Numbers = std::array<int32_t, 7>;

constexpr std::string_view kMagic = "24ka";  // of versions 1 and 2
// Beyond these a number is no size of a model, but text or another format.
constexpr Numbers kMost = {1 << 17, 1 << 20, 1 << 12, 1 << 12, 1 << 12, 1 << 24, 1 << 24};

std::optional<Numbers> numbers_of(std::string_view bytes) {
  Numbers numbers;
  if (bytes.size() < sizeof numbers) return {};
  std::memcpy(numbers.data(), bytes.data(), sizeof numbers);
  return numbers;
}

// A tensor of each layer stands beside those of the other layers.
struct Part {
  std::string name;  // "" where nobody reads it
  Shape shape;       // of one
  bool of_layers = false;
};

std::vector<Part> parts_of(const Llama2cHeader& h) {
  const int64_t kv = h.n_embd / h.n_head * h.n_kv_head;
  std::vector<Part> parts = {
      {"token_embd.weight", {h.vocab_size, h.n_embd}},
      {"attn_norm.weight", {h.n_embd}, true},
      {"attn_q.weight", {h.n_embd, h.n_embd}, true},
      {"attn_k.weight", {kv, h.n_embd}, true},
      {"attn_v.weight", {kv, h.n_embd}, true},
      {"attn_output.weight", {h.n_embd, h.n_embd}, true},
      {"ffn_norm.weight", {h.n_embd}, true},
      {"ffn_gate.weight", {h.n_ffn, h.n_embd}, true},
      {"ffn_down.weight", {h.n_embd, h.n_ffn}, true},
      {"ffn_up.weight", {h.n_ffn, h.n_embd}, true},
      {"output_norm.weight", {h.n_embd}},
      {"", {h.block_size, h.n_embd / h.n_head}},  // cosines and sines
  };
  if (!h.tied) parts.push_back({"output.weight", {h.vocab_size, h.n_embd}});
  return parts;
}

class Llama2cSource : public TensorSource {
 public:
  explicit Llama2cSource(const std::string& path) : TensorSource(path, TensorNames::gguf) {
    const Llama2cHeader header = read_llama2c_header(path);
    map_ = std::make_shared<const MappedFile>(path);
    const std::size_t place = add_file(path);
    std::size_t begin = sizeof(Numbers);
    for (const Part& part : parts_of(header)) {
      const std::size_t bytes = static_cast<std::size_t>(part.shape.numel()) * sizeof(float);
      for (int64_t l = 0; l < (part.of_layers ? header.n_layer : 1); ++l, begin += bytes) {
        if (part.name.empty()) continue;
        const std::string name = part.of_layers ? "blk." + std::to_string(l) + "." + part.name : part.name;
        add(name, {.dtype = "F32", .shape = part.shape, .bytes = bytes, .values = DType::f32, .file = place});
        begins_.emplace(name, begin);
      }
    }
  }

 private:
  Tensor read(const std::string& name, const TensorInfo& info) const override {
    return tensor_over({name, info.dtype, info.shape, map_->data() + begins_.at(name), info.bytes}, path(),
                       map_);
  }

  std::shared_ptr<const MappedFile> map_;
  std::map<std::string, std::size_t> begins_;
};

}  // namespace

bool is_llama2c(std::string_view bytes) {
  if (bytes.starts_with(kMagic)) return true;
  const std::optional<Numbers> numbers = numbers_of(bytes);
  if (!numbers) return false;
  for (std::size_t i = 0; i < numbers->size(); ++i) {
    const int32_t number = (*numbers)[i];
    const bool is_vocab = i == 5;
    if (number == 0 || number > kMost[i] || number < (is_vocab ? -kMost[i] : 1)) return false;
  }
  return true;
}

bool is_llama2c_file(const std::string& path) {
  if (is_directory(path) || !file_exists(path)) return false;
  const MappedFile file(path);
  return is_llama2c(file.text());
}

Llama2cHeader read_llama2c_header(const std::string& path) {
  const MappedFile file(path);
  check_world(!file.text().starts_with(kMagic), path,
              ": must be a llama2.c file of version 0; it is of version 1 or 2; export the model again with "
              "--version 0, or as a folder of the Hugging Face library");
  check_world(is_llama2c(file.text()), path, ": must be a llama2.c file of version 0; it is none");
  const Numbers n = numbers_of(file.text()).value();
  const Llama2cHeader h{n[0], n[1], n[2], n[3], n[4], n[5] < 0 ? -int64_t{n[5]} : n[5], n[6], n[5] > 0};
  check_world(h.n_embd % h.n_head == 0 && h.n_embd / h.n_head % 2 == 0, path,
              ": the width must be n_heads times an even number; dim is ", h.n_embd, ", n_heads is ",
              h.n_head);
  check_world(h.n_head % h.n_kv_head == 0, path, ": n_heads must be a multiple of n_kv_heads; they are ",
              h.n_head, " and ", h.n_kv_head);
  std::optional<int64_t> expected = static_cast<int64_t>(sizeof(Numbers));
  for (const Part& part : parts_of(h)) {
    std::optional<int64_t> bytes = checked_multiply(part.shape.numel(), sizeof(float));
    if (bytes && part.of_layers) bytes = checked_multiply(*bytes, h.n_layer);
    expected = expected && bytes ? checked_add(*expected, *bytes) : std::nullopt;
  }
  check_world(expected == static_cast<int64_t>(file.size()), path, ": a llama2.c file of dim ", h.n_embd,
              ", hidden_dim ", h.n_ffn, ", ", h.n_layer, " layers, ", h.n_head, " heads, ", h.n_kv_head,
              " key/value heads, ", h.vocab_size, " tokens and seq_len ", h.block_size, " must have ",
              expected.value_or(0), " bytes; it has ", file.size());
  return h;
}

std::unique_ptr<TensorSource> open_llama2c(const std::string& path) {
  return std::make_unique<Llama2cSource>(path);
}

}  // namespace gradus
