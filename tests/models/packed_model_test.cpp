#include <vector>

#include "models/transformer/files.hpp"
#include "models/transformer/generate.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/use_isa.hpp"

/// Models whose weights are packed for inference, or stay in their file.

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

Transformer long_model(std::string_view arch, bool tie) {
  Config config = small_config(arch, 256, 400);
  config.tie = tie;
  return small_model(config);
}

Tensor logits_of(const Transformer& model, const std::vector<int32_t>& ids) {
  const NoGrad quiet;
  const auto rows = static_cast<int64_t>(ids.size());
  return model.logits(model.forward(ids_tensor(ids), Context::of_batch(1, rows)));
}

/// The last row of the logits when a text is read in pieces of the given sizes.
std::vector<float> read_in_pieces(const Transformer& model, const std::vector<int32_t>& ids,
                                  const std::vector<int64_t>& sizes, DType cache) {
  const NoGrad quiet;
  LayerCaches caches = model.make_caches(static_cast<int64_t>(ids.size()), cache);
  Tensor hidden;
  int64_t at = 0;
  for (const int64_t size : sizes) {
    const auto piece = std::span(ids).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
    const Context context = Context::of_caches({&caches}, {size});
    hidden = model.forward(Tensor::from(piece, {size}), context);
    at += size;
  }
  REQUIRE(at == static_cast<int64_t>(ids.size()));
  return model.logits(slice(hidden, 0, sizes.back() - 1, sizes.back())).to_vector<float>();
}

}  // namespace

TEST_CASE("packing a model in f32 changes no bit of what it computes") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    for (const bool tie : {true, false}) {
      Transformer model = long_model(arch, tie);
      const std::vector<int32_t> ids = some_ids(100, 256);
      const Tensor before = logits_of(model, ids);
      model.pack(WeightFormat::f32);
      CHECK(same_bits(logits_of(model, ids), before) == "");
    }
  }
}

TEST_CASE(
    "a model in bf16 or q8 has the bits of a dense one with rounded weights, token by token as at once") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    for (const WeightFormat format : {WeightFormat::bf16, WeightFormat::q8}) {
      Transformer model = long_model(arch, true);
      Transformer rounded = long_model(arch, true);
      rounded.visit("", [&](const std::string& name, Tensor& tensor) {
        const bool packed = tensor.rank() == 2 && name != "position_embedding.weight";
        if (packed) tensor = PackedWeight(tensor, format).unpack();
      });
      const std::vector<int32_t> ids = some_ids(150, 256);
      CHECK(same_bits(logits_of(model, ids), logits_of(rounded, ids)) != "");
      model.pack(format);
      CHECK(same_bits(logits_of(model, ids), logits_of(rounded, ids)) == "");
      const std::vector<float> all = logits_of(model, ids).to_vector<float>();
      const std::vector<float> last(all.end() - 256, all.end());
      CHECK(read_in_pieces(model, ids, {150}, DType::f32) == last);
      CHECK(read_in_pieces(model, ids, {9, 8, 1, 131, 1}, DType::f32) == last);
      CHECK(read_in_pieces(model, ids, std::vector<int64_t>(150, 1), DType::f32) == last);
    }
  }
}

TEST_CASE("with a bf16 cache a text gives the same bits however it is cut, near those of an f32 cache") {
  const Transformer model = long_model("llama", true);
  const std::vector<int32_t> ids = some_ids(300, 256);  // three blocks of keys
  const std::vector<float> exact = read_in_pieces(model, ids, {300}, DType::f32);
  const std::vector<float> rounded = read_in_pieces(model, ids, {300}, DType::bf16);
  CHECK(rounded != exact);
  float largest = 0, difference = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    largest = std::max(largest, std::abs(exact[i]));
    difference = std::max(difference, std::abs(exact[i] - rounded[i]));
  }
  CHECK(difference < 0.02f * largest);
  for (const std::string& isa : available_isas()) {
    if (!has_fma(isa)) continue;
    const UseIsa use(isa);
    CHECK(read_in_pieces(model, ids, {100, 60, 1, 139}, DType::bf16) == rounded);
    CHECK(read_in_pieces(model, ids, std::vector<int64_t>(300, 1), DType::bf16) == rounded);
  }
  CHECK_THROWS_WITH(KeyValueCache(8, 1, 16, DType::f64), ContainsSubstring("f32 or bf16"));
}

TEST_CASE("a packed model cannot be saved, and says so") {
  Transformer model = long_model("gpt", true);
  model.pack(WeightFormat::q8);
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(save_transformer(folder.path(), model), ContainsSubstring("packed for inference"));
}

TEST_CASE("parameters that a file holds as they are stay in it, read-only, and survive its replacement") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const TemporaryFolder folder;
    save_transformer(folder.path(), long_model(arch, true));
    const Transformer loaded = load_transformer(folder.path());
    // The queries', keys' and values' matrices are one in the model, and GPT-2's files hold (inputs, outputs).
    CHECK(loaded.token_embedding.weight.storage()->read_only());
    CHECK(loaded.blocks[0].mlp.down.weight.storage()->read_only() == (arch == "llama"));
    CHECK_FALSE(loaded.blocks[0].attention.qkv.weight.storage()->read_only());
    const std::vector<int32_t> ids = some_ids(20, 256);
    const Tensor before = logits_of(loaded, ids);
    Transformer other = long_model(arch, true);
    other.init(99);
    save_transformer(folder.path(), other);
    CHECK(same_bits(logits_of(loaded, ids), before) == "");
  }
}
