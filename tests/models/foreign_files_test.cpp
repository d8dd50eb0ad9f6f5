// Files as others have written them over the years: another order, old names, tensors that say nothing new, other types.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <vector>

#include "models/transformer/files.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string golden(const std::string& name) { return GRADUS_SOURCE_DIR "/tests/golden/" + name; }

struct Entry {
  std::string name, dtype;
  Shape shape;
  std::string bytes;
};

std::vector<Entry> entries_of(const std::string& folder) {
  const SafetensorsFile file = SafetensorsFile::open(folder + "/" + kWeightsFile);
  std::vector<Entry> entries;
  for (const std::string& name : file.names()) {
    const RawTensor raw = file.array(name);
    entries.push_back(
        {name, raw.dtype, raw.shape, std::string(static_cast<const char*>(raw.data), raw.bytes)});
  }
  return entries;
}

Entry entry(std::string name, const Tensor& tensor) {
  return {std::move(name), std::string(raw_dtype(tensor.dtype())), tensor.shape(),
          std::string(reinterpret_cast<const char*>(tensor.bytes()), tensor.nbytes())};
}

Tensor tensor_of(const Entry& e) {
  return tensor_over({e.name, e.dtype, e.shape, e.bytes.data(), e.bytes.size()}, "entry", nullptr).clone();
}

// A file without checksums, its tensors in this order.
std::string file_of(const std::vector<Entry>& entries, const std::string& metadata) {
  std::string header = "{" + metadata, data;
  for (const Entry& e : entries) {
    std::string shape;
    for (const int64_t size : e.shape) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    header += (header.size() > 1 ? ",\"" : "\"") + e.name + "\":{\"dtype\":\"" + e.dtype + "\",\"shape\":[" +
              shape + "],\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + e.bytes.size()) + "]}";
    data += e.bytes;
  }
  header += "}";
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + header + data;
}

using Change = std::function<void(std::vector<Entry>&)>;

// Loads a golden model whose file has been changed.
Transformer changed(const std::string& name, const Change& change, const std::string& metadata = "") {
  const TemporaryFolder folder;
  std::vector<Entry> entries = entries_of(golden(name));
  change(entries);
  std::filesystem::copy_file(golden(name) + "/" + kConfigFile, folder / kConfigFile);
  write_quickly(folder / kWeightsFile, file_of(entries, metadata));
  return load_transformer(folder.path());
}

Tensor outputs(const Transformer& model) {
  const NoGrad no_grad_here;
  const Tensor ids = ids_tensor({3, 1, 4, 1, 5});
  const Tensor last = model.forward(ids, Context::of_batch(1, 5));
  if (model.config().head == HeadKind::none) return last;
  const Tensor both[] = {reshape(last, {last.numel()}),
                         reshape(model.logits(last), {5 * model.config().vocab_size})};
  return concat(both, 0);
}

void replace_end(std::vector<Entry>& entries, const std::string& end, const std::string& other) {
  int count = 0;
  for (Entry& e : entries) {
    if (!e.name.ends_with(end)) continue;
    e.name.replace(e.name.size() - end.size(), end.size(), other);
    ++count;
  }
  REQUIRE(count > 0);
}

const Entry& find(const std::vector<Entry>& entries, const std::string& end) {
  const auto found =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.name.ends_with(end); });
  REQUIRE(found != entries.end());
  return *found;
}

void repeat(std::vector<Entry>& entries, const std::string& end, const std::string& name) {
  Entry again = find(entries, end);
  again.name = name;
  entries.push_back(again);
}

void check_same(const std::string& name, const Change& change, const std::string& metadata = "") {
  CHECK(same_bits(outputs(load_transformer(golden(name))), outputs(changed(name, change, metadata))) == "");
}

void drop_base(std::vector<Entry>& entries, const std::string& base) {
  for (Entry& e : entries) {
    if (e.name.starts_with(base)) e.name.erase(0, base.size());
  }
}

void in_double(std::vector<Entry>& entries) {
  for (Entry& e : entries) e = entry(e.name, cast(tensor_of(e), DType::f64));
}

}  // namespace

TEST_CASE("A file is read whatever the order of its tensors and whether it has metadata") {
  const auto reverse = [](std::vector<Entry>& entries) { std::reverse(entries.begin(), entries.end()); };
  for (const char* name : {"gpt2", "llama", "bert", "qwen3", "modernbert"}) {
    INFO(name);
    check_same(name, [](auto&) {});
    check_same(name, reverse);
    check_same(name, reverse, R"("__metadata__":{"format":"pt","total":"7"})");
    check_same(name, in_double);  // holds the same values
  }
}

TEST_CASE("Names and tensors of older files are known") {
  SECTION("BERT's norms in files converted from TensorFlow, its positions, and its head's other names") {
    check_same("bert", [](auto& entries) {
      replace_end(entries, ".LayerNorm.weight", ".LayerNorm.gamma");
      replace_end(entries, ".LayerNorm.bias", ".LayerNorm.beta");
    });
    check_same("bert", [](auto& entries) {
      entries.push_back({"bert.embeddings.position_ids", "I64", {1, 2}, std::string(16, '\0')});
    });
    check_same("bert", [](auto& entries) {
      repeat(entries, "word_embeddings.weight", "cls.predictions.decoder.weight");
      repeat(entries, "cls.predictions.bias", "cls.predictions.decoder.bias");
    });
  }
  SECTION("GPT-2's masks, its base, its output layer beside the table that it is tied to") {
    check_same("gpt2", [](auto& entries) {
      entries.push_back({"transformer.h.0.attn.bias", "U8", {1, 1, 2, 2}, std::string(4, '\1')});
      entries.push_back({"transformer.h.0.attn.masked_bias", "F32", {}, std::string(4, '\0')});
    });
    check_same("gpt2", [](auto& entries) { drop_base(entries, "transformer."); });
    check_same("gpt2", [](auto& entries) { repeat(entries, "wte.weight", "lm_head.weight"); });
  }
  SECTION("a Llama's frequencies") {
    check_same("llama", [](auto& entries) {
      entries.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {2}, std::string(8, '\0')});
    });
  }
  SECTION("what repeats a tensor must repeat it") {
    CHECK_THAT(error_of([] {
                 changed("gpt2", [](auto& entries) {
                   repeat(entries, "wte.weight", "lm_head.weight");
                   entries.back().bytes[3] ^= 1;
                 });
               }),
               ContainsSubstring("lm_head.weight"));
  }
}

TEST_CASE("Weights of 64 bits are rounded to 32 where a model is used, and it is said") {
  for (const char* name : {"llama_biases", "gpt2_untied", "bert_2", "qwen3_tied"}) {
    INFO(name);
    CHECK(load_transformer(golden(name)).config().dtype == DType::f64);
    LanguageModel loaded = load_language_model(golden(name), false);
    CHECK(loaded.model.config().dtype == DType::f32);
    CHECK_THAT(loaded.note, ContainsSubstring("weights of 64 bits are rounded to 32"));
    loaded.model.pack(WeightFormat::f32);
    CHECK(outputs(loaded.model).dtype() == DType::f32);
  }
  CHECK(load_language_model(golden("gpt2"), false).note == "");
}

TEST_CASE("A file may mix f32, f16 and bf16") {
  // Each matrix rounded first, so that the file holds it exactly.
  const auto mixed = [](std::vector<Entry>& entries, bool as_floats) {
    size_t i = 0;
    for (Entry& e : entries) {
      if (e.shape.rank() < 2) continue;
      const DType dtype = i++ % 2 == 0 ? DType::f16 : DType::bf16;
      const Tensor rounded = cast(tensor_of(e), dtype);
      e = entry(e.name, as_floats ? cast(rounded, DType::f32) : rounded);
    }
  };
  for (const char* name : {"gpt2", "llama", "bert"}) {
    INFO(name);
    const Transformer floats = changed(name, [&](auto& entries) { mixed(entries, true); });
    const Transformer halves = changed(name, [&](auto& entries) { mixed(entries, false); });
    CHECK(same_bits(outputs(floats), outputs(halves)) == "");
  }
}
