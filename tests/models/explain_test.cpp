// What explain says of a model, held to what the model does.

#include "models/transformer/explain.hpp"

#include <cmath>
#include <filesystem>
#include <set>

#include "models/files/safetensors_source.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

// Calls `test(model)` with the golden model of each family, in single precision.
template <class Test>
void with_each_family(Test&& test) {
  int models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(GRADUS_SOURCE_DIR "/tests/golden")) {
    if (!entry.is_directory()) continue;
    const std::string folder = entry.path().string();
    INFO(folder);
    Config config = load_config(folder);
    config.dtype = DType::f32;
    Transformer model(config);
    read_weights(model, *open_safetensors(folder + "/" + kWeightsFile));
    test(model);
    ++models;
  }
  CHECK(models >= 20);
}

std::vector<int32_t> seven_ids(const Transformer& model) { return some_ids(7, model.config().vocab_size); }

Context context_of(int64_t rows) { return Context::of_batch(1, rows); }

double length_of(const std::vector<float>& x) {
  double squares = 0;
  for (const float value : x) squares += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(squares);
}

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

std::vector<float> row(const Tensor& x, int64_t t) { return slice(x, 0, t, t + 1).to_vector<float>(); }

}  // namespace

TEST_CASE("the parts of each row add up to layer_0, bit for bit in their order, in every family") {
  std::set<std::string> kinds;
  with_each_family([&](const Transformer& model) {
    const Config& config = model.config();
    const std::vector<int32_t> ids = seven_ids(model);
    const std::vector<NamedTensor> parts = model.input_parts(ids_tensor(ids), context_of(7));
    const Tensor layer_0 = model.hidden_states(ids_tensor(ids), context_of(7)).front();
    Tensor sum = parts[0].tensor;
    std::string names = parts[0].name;
    for (size_t p = 1; p < parts.size(); ++p) {
      sum = sum + parts[p].tensor;
      names += " " + parts[p].name;
    }
    kinds.insert(names);
    CHECK(same_bits(config.embedding_norm ? model.embedding_norm(sum) : sum, layer_0) == "");
    CHECK(names == std::string("token") + (config.n_segment > 0 ? " segment" : "") +
                       (has_table(config.position) ? " position" : ""));

    const Tensor table = model.token_embedding.weight;
    const float scale = config.embedding_scale ? std::sqrt(static_cast<float>(config.n_embd)) : 1.0f;
    const std::vector<RowParts> rows = explain_rows(model, ids);
    REQUIRE(rows.size() == 7);
    for (int64_t t = 0; t < 7; ++t) {
      const RowParts& found = rows[static_cast<size_t>(t)];
      CHECK(same_bits(
                slice(parts[0].tensor, 0, t, t + 1),
                slice(table, 0, ids[static_cast<size_t>(t)], ids[static_cast<size_t>(t)] + 1) * scale) == "");
      REQUIRE(found.parts.size() == parts.size());
      const std::vector<float> whole = row(sum, t);
      CHECK(found.sum_norm == Approx(length_of(whole)).epsilon(1e-12));
      CHECK(found.layer_0_norm == Approx(length_of(row(layer_0, t))).epsilon(1e-12));
      for (size_t p = 0; p < parts.size(); ++p) {
        const std::vector<float> x = row(parts[p].tensor, t);
        CHECK(found.parts[p].name == parts[p].name);
        CHECK(found.parts[p].norm == Approx(length_of(x)).epsilon(1e-12));
        CHECK(found.parts[p].cosine ==
              Approx(dot(x, whole) / length_of(x) / length_of(whole)).epsilon(1e-12));
      }
    }
  });
  CHECK(kinds == std::set<std::string>{"token", "token position", "token segment position"});
}

TEST_CASE("sinusoidal rows are a part, and a model without positions has none") {
  Config config = small_config("gpt");
  for (const auto& [kind, parts] :
       {std::pair(PositionKind::sinusoidal, 2), std::pair(PositionKind::none, 1)}) {
    config.position = kind;
    CHECK(explain_rows(small_model(config), std::vector<int32_t>{1, 2})[1].parts.size() ==
          static_cast<size_t>(parts));
  }
}

TEST_CASE("the products explained are those that attention weighs its values by, in every rotary family") {
  int rotary_models = 0;
  int windows = 0;
  with_each_family([&](const Transformer& model) {
    const Config& config = model.config();
    if (config.position != PositionKind::rotary) return;
    ++rotary_models;
    const std::vector<int32_t> ids = seven_ids(model);
    const int64_t count = 7;
    const std::vector<Tensor> states = model.hidden_states(ids_tensor(ids), context_of(count));
    for (int64_t l = 1; l <= config.n_layer; ++l) {
      const Block& block = model.blocks[static_cast<size_t>(l - 1)];
      const AttentionOptions& o = block.attention.options();
      const Tensor entering = block.attention_rows(states[static_cast<size_t>(l - 1)]);
      const Tensor values = block.attention.project(entering).values;
      // What attention gives for token 4 by the products and nothing else.
      std::vector<double> mixed;
      for (int64_t h = 0; h < o.heads; ++h) {
        double total = 0;
        std::vector<double> head(static_cast<size_t>(o.head_width));
        for (int64_t j = 0; j < count; ++j) {
          const Rotation rotation =
              explain_rotation(model, ids, {.layer = l, .head = h, .query = 4, .key = j});
          REQUIRE(rotation.by_distance.size() == 7);
          const ProductAt& at = rotation.by_distance[static_cast<size_t>(std::abs(4 - j))];
          CHECK(at.distance == 4 - j);
          CHECK(at.product == Approx(rotation.after).margin(1e-5));
          double before = rotation.unturned, after = rotation.unturned;
          for (const RotatedPair& pair : rotation.pairs) {
            before += pair.before;
            after += pair.after;
          }
          CHECK(rotation.before == Approx(before).margin(1e-9));
          CHECK(rotation.after == Approx(after).margin(1e-9));
          if (!at.visible) {
            ++windows;
            continue;
          }
          const double weight = std::exp(rotation.after);
          total += weight;
          const int64_t first = h / (o.heads / o.kv_heads) * o.head_width;
          const std::vector<float> v = row(values, j);
          for (int64_t c = 0; c < o.head_width; ++c)
            head[static_cast<size_t>(c)] += weight * static_cast<double>(v[static_cast<size_t>(first + c)]);
        }
        for (const double x : head) mixed.push_back(x / total);
      }
      const Tensor expected = block.attention(entering, model.position, context_of(count));
      const Tensor found =
          block.attention.output(cast(Tensor::from(mixed, {1, o.heads * o.head_width}), DType::f32));
      const std::vector<float> a = found.to_vector<float>(), b = row(expected, 4);
      for (size_t c = 0; c < a.size(); ++c) CHECK(a[c] == Approx(b[c]).margin(1e-4));
    }
  });
  CHECK(rotary_models >= 10);
  CHECK(windows > 100);  // keys after the query, and those out of a window
}

TEST_CASE("each pair turns by its distance over its wavelength") {
  Config config = small_config("llama");
  config.head_width = 10;
  config.rotated = 4;
  config.rope_base = 50;
  config.attention_scale = 0.25;
  const Transformer model = small_model(config);
  const std::vector<int32_t> ids = seven_ids(model);
  const Rotation rotation = explain_rotation(model, ids, {.layer = 2, .head = 3, .query = 6, .key = 1});
  CHECK(rotation.scale == 0.25);
  const double pi = std::acos(-1.0);
  REQUIRE(rotation.pairs.size() == 2);
  CHECK(rotation.pairs[0].wavelength == Approx(2 * pi));
  CHECK(rotation.pairs[1].wavelength == Approx(2 * pi * std::sqrt(50.0)));
  CHECK(std::fabs(rotation.unturned) > 1e-3);
  for (const RotatedPair& pair : rotation.pairs) {
    const double angle = 2 * pi * 5 / pair.wavelength;
    const double q0 = pair.query[0], q1 = pair.query[1], k0 = pair.key[0], k1 = pair.key[1];
    CHECK(pair.before == Approx(0.25 * (q0 * k0 + q1 * k1)).margin(1e-9));
    CHECK(pair.after ==
          Approx(0.25 * ((q0 * k0 + q1 * k1) * std::cos(angle) + (q0 * k1 - q1 * k0) * std::sin(angle)))
              .margin(1e-6));
  }
  // Side by side nothing is turned; a key before which the query stands is not seen.
  CHECK(rotation.by_distance[0].product == Approx(rotation.before).margin(1e-9));
  CHECK(rotation.by_distance[5].product == Approx(rotation.after).margin(1e-5));
  const Rotation back = explain_rotation(model, ids, {.layer = 2, .head = 3, .query = 1, .key = 6});
  CHECK(back.by_distance[0].visible);
  CHECK(back.by_distance[1].distance == -1);
  CHECK(!back.by_distance[1].visible);
}

TEST_CASE("wavelengths are those of the scaling, and of layers with a window their own") {
  Config config = small_config("llama");  // heads of 6 channels
  const double turn = 2 * std::acos(-1.0);
  const auto waves = [&](bool local) { return rotary_wavelengths(Transformer(config), local); };
  CHECK(waves(false)[2] == Approx(turn * std::pow(10000.0, 4.0 / 6)));
  CHECK(waves(true) == waves(false));
  config.rope_scaling = {.kind = RopeScalingKind::linear, .factor = 4};
  config.rope_local_base = 100;
  config.windows = {3, 0};
  CHECK(waves(false)[2] == Approx(4 * turn * std::pow(10000.0, 4.0 / 6)));
  CHECK(waves(true)[2] == Approx(turn * std::pow(100.0, 4.0 / 6)));
  // The block with a window turns by its own.
  const Transformer model = small_model(config);
  const std::vector<int32_t> ids = {1, 2, 3, 4};
  CHECK(explain_rotation(model, ids, {.layer = 1}).pairs[2].wavelength == waves(true)[2]);
  CHECK(explain_rotation(model, ids, {.layer = 2}).pairs[2].wavelength == waves(false)[2]);
  CHECK(!explain_rotation(model, ids, {.layer = 1, .query = 3}).by_distance[3].visible);
  CHECK(explain_rotation(model, ids, {.layer = 2, .query = 3}).by_distance[3].visible);
  config = small_config("gpt");
  CHECK(waves(false).empty());
}

TEST_CASE("what explain cannot show are errors that say why") {
  const Transformer model = small_model(small_config("llama"));
  const std::vector<int32_t> ids = {1, 2, 3};
  const auto refused = [&](const RotationOptions& options, const std::string& text) {
    CHECK_THROWS_WITH(explain_rotation(model, ids, options), text);
  };
  refused({.layer = 0}, "explain: the layer must be in [1, 2]: block l is what layer_l leaves; it is 0");
  refused({.layer = 3}, "explain: the layer must be in [1, 2]: block l is what layer_l leaves; it is 3");
  refused({.head = 4}, "explain: the head must be in [0, 3]; it is 4");
  refused({.query = 3}, "explain: a token must be in [0, 2], its place in the text; it is 3");
  refused({.key = -1}, "explain: a token must be in [0, 2], its place in the text; it is -1");
  CHECK_THROWS_WITH(explain_rotation(small_model(small_config("gpt")), ids, {}),
                    "explain: positions must be rotary for queries and keys to turn; they are learned");
  CHECK_THROWS_WITH(explain_rows(model, std::vector<int32_t>{29}), ContainsSubstring("token_embedding"));
  Config wide = small_config("gpt");
  wide.dtype = DType::f64;
  CHECK_THROWS_WITH(explain_rows(Transformer(wide), ids), ContainsSubstring("must compute in f32"));
  const float nothing = std::nanf("");
  model.token_embedding.weight.copy_from(Tensor::full(model.token_embedding.weight.shape(), double{nothing}));
  CHECK_THROWS_WITH(explain_rows(model, ids), ContainsSubstring("vectors must be finite; that of token 0"));
  CHECK_THROWS_WITH(explain_rotation(model, ids, {}), ContainsSubstring("products of queries and keys"));
}
