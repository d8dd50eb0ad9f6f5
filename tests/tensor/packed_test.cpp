#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_isa.hpp"

namespace gradus::testing {
namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::f32, WeightFormat::bf16, WeightFormat::q8};

TEST_CASE("a product with a packed weight has the bits of the product with its unpacked numbers") {
  const Tensor bias = random_tensor({100}, 7);
  // Sums of every remainder; 1024, where rows share sets of the first-level cache. Rows up to where whole blocks begin.
  for (const int64_t k : {75, 702, 1024}) {
    const Tensor w = random_tensor({100, k}, 7, 0.1);
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      for (const WeightFormat format : kFormats) {
        const PackedWeight packed(w, format);
        const Tensor dense = packed.unpack();
        for (int64_t m = 1; m <= 50; m += k == 75 ? 1 : 4) {
          const Tensor x = random_tensor({m, k}, 7);
          INFO(isa << " " << weight_format_name(format) << " " << k << " " << m);
          CHECK(same_bits(linear(x, packed, bias), linear(x, dense, bias)).empty());
        }
      }
    }
  }
}

TEST_CASE("every instruction set packs the same numbers") {
  const Tensor w = random_tensor({37, 70}, 7, 0.1);
  for (const WeightFormat format : kFormats) {
    const Tensor first = PackedWeight(w, format).unpack();
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      CHECK(same_bits(PackedWeight(w, format).unpack(), first).empty());
    }
  }
}

TEST_CASE("packing in f32 keeps every bit, of transposed views too") {
  const Tensor w = random_tensor({40, 33}, 7);
  CHECK(same_bits(PackedWeight(w, WeightFormat::f32).unpack(), w).empty());
  const Tensor turned = transpose(w);
  CHECK(same_bits(PackedWeight(turned, WeightFormat::f32).unpack(), turned.to_contiguous()).empty());
}

TEST_CASE("packing again what bf16 and q8 hold changes nothing") {
  const Tensor w = random_tensor({33, 100}, 7, 0.02);
  for (const WeightFormat format : kFormats) {
    const Tensor once = PackedWeight(w, format).unpack();
    CHECK(same_bits(PackedWeight(once, format).unpack(), once).empty());
  }
}

TEST_CASE("q8 is at most half a step from each number, and takes a byte and a sixteenth for it") {
  const Tensor w = random_tensor({64, 96}, 7, 3);
  const PackedWeight packed(w, WeightFormat::q8);
  CHECK(packed.bytes() == 64 * 96 + 64 * 96 / 32 * 2);
  CHECK(PackedWeight(w, WeightFormat::bf16).bytes() == 64 * 96 * 2);
  const std::vector<float> exact = w.to_vector<float>(), kept = packed.unpack().to_vector<float>();
  for (std::size_t group = 0; group < exact.size(); group += 32) {
    float largest = 0;
    for (std::size_t i = group; i < group + 32; ++i) largest = std::max(largest, std::fabs(exact[i]));
    for (std::size_t i = group; i < group + 32; ++i) {
      REQUIRE(std::fabs(exact[i] - kept[i]) <= 0.501f * largest / 127 * 1.001f);
    }
  }
}

TEST_CASE("q8 keeps a group of zeros, and of numbers too small for its scale, as zeros") {
  for (const double value : {0.0, 1e-8, 1e-30}) {
    const PackedWeight packed(Tensor::full({3, 40}, value), WeightFormat::q8);
    for (const float x : packed.unpack().to_vector<float>()) REQUIRE(x == 0.0f);
  }
}

TEST_CASE("packing refuses numbers that the format cannot hold, and says in which rows") {
  for (const float bad : {INFINITY, -INFINITY, NAN, 1e9f}) {
    std::vector<float> values(200 * 20, 0.5f);
    values[130 * 20 + 3] = bad;
    const Tensor w = Tensor::from(std::span<const float>(values), {200, 20});
    CHECK_NOTHROW(PackedWeight(w, WeightFormat::f32));
    CHECK_THROWS_WITH(PackedWeight(w, WeightFormat::q8),
                      Catch::Matchers::ContainsSubstring("rows 128 to 191"));
    if (bad == 1e9f) continue;
    CHECK_THROWS_WITH(PackedWeight(w, WeightFormat::bf16),
                      Catch::Matchers::ContainsSubstring("must be finite"));
  }
  CHECK_THROWS_WITH(PackedWeight(random_tensor({4}, 7), WeightFormat::q8),
                    Catch::Matchers::ContainsSubstring("(N, K)"));
  CHECK_THROWS_WITH(parse_weight_format("q4"), Catch::Matchers::ContainsSubstring("f32, bf16 or q8"));
}

TEST_CASE("a packed weight of another width is refused with both shapes") {
  const PackedWeight packed(random_tensor({4, 6}, 7), WeightFormat::bf16);
  CHECK_THROWS_WITH(
      linear(random_tensor({2, 5}, 7), packed),
      Catch::Matchers::ContainsSubstring("(2, 5)") && Catch::Matchers::ContainsSubstring("(4, 6)"));
  CHECK_THROWS_WITH(linear(random_tensor({2, 6}, 7), PackedWeight()),
                    Catch::Matchers::ContainsSubstring("empty"));
  const int32_t outside[] = {4};
  CHECK_THROWS_WITH(embedding(packed, Tensor::from(std::span<const int32_t>(outside), {1})),
                    Catch::Matchers::ContainsSubstring("[0, 3]"));
}

}  // namespace
}  // namespace gradus::testing
