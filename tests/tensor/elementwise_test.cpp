#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/ops.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"

// Spot checks beside the op table: broadcasting, views, casts and texts of errors.

namespace {

using namespace gradus;
using namespace gradus::testing;

std::vector<float> list(const Tensor& x) { return x.to_vector<float>(); }

}  // namespace

TEST_CASE("operands broadcast in every position, whatever their strides", "[ops]") {
  const Tensor a = counting({2, 3, 4});
  const Tensor column = counting({3, 1});
  const Tensor turned = transpose(counting({4, 3}));  // (3, 4), strided
  const std::vector<float> sums = list(a + column);
  const std::vector<float> products = list(a * turned);
  const std::vector<float> quotients = list(column / (turned + 1.0));
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      for (int k = 0; k < 4; ++k) {
        const auto at = static_cast<std::size_t>((i * 3 + j) * 4 + k);
        const auto x = static_cast<float>(at);
        CHECK(sums[at] == x + static_cast<float>(j));
        CHECK(products[at] == x * static_cast<float>(k * 3 + j));
        CHECK(quotients[static_cast<std::size_t>(j * 4 + k)] ==
              static_cast<float>(j) / static_cast<float>(k * 3 + j + 1));
      }
    }
  }
  CHECK((a + Tensor::full({}, 2)).shape() == Shape({2, 3, 4}));
  CHECK((counting({3, 1}) * counting({1, 5})).shape() == Shape({3, 5}));
}

TEST_CASE("a shape beyond one chunk gives the same elements through one axis and through many", "[ops]") {
  const Tensor a = random_tensor({37, 5, 301}, 1);
  const Tensor b = random_tensor({37, 1, 301}, 99);
  const Tensor y = a * b;
  const Tensor swapped = transpose(transpose(a, 0, 2) * transpose(b, 0, 2), 0, 2);
  CHECK(same_bits(y, swapped) == "");
  CHECK(same_bits(y, a * broadcast_to(b, a.shape())) == "");
}

TEST_CASE("gradients of stretched operands are summed to their shapes", "[ops]") {
  Tensor a = counting({2, 1, 4});
  Tensor b = counting({3, 1});
  a.set_requires_grad();
  b.set_requires_grad();
  sum(a * b).backward();
  CHECK(list(a.grad()) == std::vector<float>(8, 3.0f));              // 0 + 1 + 2
  CHECK(list(b.grad()) == std::vector<float>{28.0f, 28.0f, 28.0f});  // 0 + … + 7
}

TEST_CASE("a bias gradient has the same bits in one batch and in micro-batches", "[ops]") {
  const Tensor x = random_tensor({96, 70}, 1);
  const auto gradient = [&](std::vector<int64_t> sizes) {
    Tensor bias = Tensor::zeros({70});
    bias.set_requires_grad();
    for (const Tensor& part : split(x, sizes, 0)) sum(square(part + bias)).backward();
    return bias.grad();
  };
  const Tensor whole = gradient({96});
  CHECK(same_bits(whole, gradient({1, 31, 64})) == "");
  CHECK(same_bits(whole, gradient({32, 32, 32})) == "");
}

TEST_CASE("an operand used twice gathers both gradients", "[ops]") {
  Tensor x = Tensor::from(std::vector<float>{1, -2, 3}, {3});
  x.set_requires_grad();
  sum(x * x + x / x - x).backward();
  CHECK(list(x.grad()) == std::vector<float>{1, -5, 5});
}

TEST_CASE("a NaN survives maximum, minimum, relu, max and argmax", "[ops]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor x = Tensor::from(std::vector<float>{nan, 1}, {2});
  const Tensor y = Tensor::from(std::vector<float>{1, nan}, {2});
  for (const Tensor& z : {maximum(x, y), minimum(x, y)}) {
    CHECK(std::isnan(list(z)[0]));
    CHECK(std::isnan(list(z)[1]));
  }
  CHECK(std::isnan(list(relu(x))[0]));
  const Tensor rows = Tensor::from(std::vector<float>{5, nan, 7, nan, 1, 9, 9, 2}, {2, 4});
  CHECK(std::isnan(list(max(rows, -1))[0]));
  CHECK(list(max(rows, -1))[1] == 9.0f);
  CHECK(argmax(rows).to_vector<int32_t>() == std::vector<int32_t>{1, 1});
}

TEST_CASE("zeros keep the signs of IEEE arithmetic with a number on either side", "[ops]") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor zeros = cast(Tensor::from({0.0F, -0.0F}), dtype);
    const auto signs = [](const Tensor& x) {
      const std::vector<float> values = list(cast(x, DType::f32));
      return std::vector<bool>{std::signbit(values[0]), std::signbit(values[1])};
    };
    using Signs = std::vector<bool>;
    CHECK(signs(0.0 - zeros) == Signs{false, false});
    CHECK(signs(-0.0 - zeros) == Signs{true, false});
    CHECK(signs(zeros - 0.0) == Signs{false, true});
    CHECK(signs(zeros + 0.0) == Signs{false, false});
    CHECK(signs(zeros + -0.0) == Signs{false, true});
    CHECK(signs(zeros * 2.0) == Signs{false, true});
    CHECK(signs(-1.0 * zeros) == Signs{true, false});
    CHECK(signs(-zeros) == Signs{true, false});
  }
}

TEST_CASE("max finds its first largest along any axis and sends the gradient there", "[ops]") {
  Tensor x = Tensor::from(std::vector<float>{1, 7, 3, 7, 7, 0}, {3, 2});
  x.set_requires_grad();
  const Tensor y = max(x, 0);
  CHECK(list(y) == std::vector<float>{7, 7});
  y.backward(Tensor::from(std::vector<float>{10, 20}, {2}));
  CHECK(list(x.grad()) == std::vector<float>{0, 20, 0, 0, 10, 0});
  CHECK(max(x, -1, true).shape() == Shape({3, 1}));
}

TEST_CASE("sum takes chunks of 4096 elements on 16 lanes and joins them in order", "[ops]") {
  const int64_t count = 3 * 4096 + 77;
  const Tensor x = random_tensor({count}, 1);
  const std::vector<float> values = list(x);
  float total = 0;
  for (int64_t begin = 0; begin < count; begin += 4096) {
    float lanes[16] = {};
    for (int64_t i = begin; i < std::min(count, begin + 4096); ++i)
      lanes[(i - begin) % 16] += values[static_cast<std::size_t>(i)];
    for (int width = 8; width > 0; width /= 2) {
      for (int l = 0; l < width; ++l) lanes[l] += lanes[l + width];
    }
    total += lanes[0];
  }
  CHECK(sum(x).item() == static_cast<double>(total));
}

TEST_CASE("sums of tensors without elements are 0, means of them are errors", "[ops]") {
  Tensor x = Tensor::zeros({0, 3});
  CHECK(sum(x).item() == 0);
  CHECK(list(sum(x, 0)) == std::vector<float>{0, 0, 0});
  CHECK(sum(x, 1).shape() == Shape({0}));
  CHECK((x + Tensor::full({3}, 1)).shape() == Shape({0, 3}));
  CHECK(gelu(x).numel() == 0);
  CHECK(transpose(x).shape() == Shape({3, 0}));
  CHECK(slice(x, 1, 1, 2).shape() == Shape({0, 1}));
  CHECK(cast(x, DType::i32).shape() == Shape({0, 3}));
  x.set_requires_grad();
  sum(exp(x) * Tensor::full({3}, 2)).backward();
  CHECK(x.grad().shape() == Shape({0, 3}));
  CHECK_THROWS_AS(mean(x), std::invalid_argument);
  CHECK_THROWS_AS(max(x, 0), std::invalid_argument);
}

TEST_CASE("views share memory; a reshape of a strided tensor is a copy", "[ops]") {
  const Tensor x = counting({2, 3, 4});
  CHECK(reshape(x, {6, -1}).storage() == x.storage());
  CHECK(transpose(x).storage() == x.storage());
  CHECK(slice(x, 1, 1, 3).storage() == x.storage());
  CHECK(broadcast_to(x, {5, 2, 3, 4}).storage() == x.storage());
  CHECK(contiguous(x).same(x));
  const Tensor turned = reshape(transpose(x, 0, 2), {24});
  CHECK(turned.storage() != x.storage());
  CHECK(list(slice(turned, 0, 0, 4)) == std::vector<float>{0, 12, 4, 16});
  const int order[] = {2, 0, -2};
  CHECK(permute(x, order).shape() == Shape({4, 2, 3}));
  CHECK(list(slice(slice(x, 1, 1, 3), 2, 3, 4)) == std::vector<float>{7, 11, 19, 23});
}

TEST_CASE("gradients of views are the inverse views", "[ops]") {
  Tensor x = counting({2, 3, 4});
  x.set_requires_grad();
  const int order[] = {2, 0, 1};
  const Tensor weights = random_tensor({4, 2, 3}, 1);
  sum(permute(x, order) * weights).backward();
  const int inverse[] = {1, 2, 0};
  CHECK(same_bits(x.grad(), permute(weights, inverse)) == "");

  x.clear_grad();
  const Tensor row = random_tensor({6, 4}, 1);
  sum(reshape(transpose(x, 0, 1), {6, 4}) * row).backward();
  CHECK(same_bits(x.grad(), transpose(reshape(row, {3, 2, 4}), 0, 1)) == "");
}

TEST_CASE("slices of one tensor add into their own region of its gradient", "[ops]") {
  Tensor x = counting({4, 6});
  x.set_requires_grad();
  const Tensor doubled = x * 1.0;  // the gradient of a result, not of a leaf
  const int64_t sizes[] = {1, 3, 2};
  const std::vector<Tensor> parts = split(doubled, sizes, 1);
  const Tensor overlap = slice(doubled, 1, 3, 5);
  (sum(parts[0] * 10.0) + sum(parts[2] * 30.0) + sum(overlap)).backward();
  const std::vector<float> row = {10, 0, 0, 1, 31, 30};
  for (std::size_t i = 0; i < 24; ++i) CHECK(list(x.grad())[i] == row[i % 6]);
}

TEST_CASE("concat joins along any axis and undoes split", "[ops]") {
  Tensor x = random_tensor({3, 7, 2}, 1);
  x.set_requires_grad();
  const int64_t sizes[] = {2, 0, 5};
  const Tensor joined = concat(split(x, sizes, 1), 1);
  CHECK(same_bits(joined, x) == "");
  const Tensor weights = random_tensor({3, 7, 2}, 5);
  sum(joined * weights).backward();
  CHECK(same_bits(x.grad(), weights) == "");
  const Tensor ids[] = {Tensor::arange(2), Tensor::arange(3)};
  CHECK(concat(ids, 0).to_vector<int32_t>() == std::vector<int32_t>{0, 1, 0, 1, 2});
}

TEST_CASE("where chooses without arithmetic, so the other side may be NaN", "[ops]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor a = Tensor::from(std::vector<float>{1, nan, 3}, {3});
  Tensor b = Tensor::from(std::vector<float>{nan, 5}, {2, 1});
  a.set_requires_grad();
  b.set_requires_grad();
  const Tensor condition = Tensor::from(std::vector<int32_t>{1, 0, 2}, {3});
  const Tensor y = where(condition, a, b);
  CHECK(y.shape() == Shape({2, 3}));
  CHECK(list(y)[0] == 1.0f);
  CHECK(list(y)[2] == 3.0f);
  CHECK(list(y)[4] == 5.0f);
  y.backward(Tensor::full({2, 3}, 1));
  CHECK(list(a.grad()) == std::vector<float>{2, 0, 2});
  CHECK(list(b.grad()) == std::vector<float>{1, 1});
}

TEST_CASE("comparisons give i32 and take ids, too", "[ops]") {
  const Tensor ids = Tensor::arange(3);
  CHECK(equal(ids, Tensor::full({}, 1, DType::i32)).to_vector<int32_t>() == std::vector<int32_t>{0, 1, 0});
  CHECK(less(ids, Tensor::full({1}, 1, DType::i32)).to_vector<int32_t>() == std::vector<int32_t>{1, 0, 0});
  Tensor x = counting({2});
  x.set_requires_grad();
  const Tensor y = greater(x, Tensor::full({}, 0.5));
  CHECK(y.to_vector<int32_t>() == std::vector<int32_t>{0, 1});
  CHECK(!y.requires_grad());
}

TEST_CASE("casts to 16 bits round once, to nearest even", "[ops]") {
  const auto brain = [](double x) {
    return cast(Tensor::from(std::vector<double>{x}, {1}), DType::bf16).to_vector<bf16_t>()[0].bits;
  };
  const auto half = [](double x) {
    return cast(Tensor::from(std::vector<double>{x}, {1}), DType::f16).to_vector<f16_t>()[0].bits;
  };
  CHECK(brain(1.0) == 0x3f80);
  CHECK(brain(1.0 + 0x1p-8) == 0x3f80);            // a tie goes to even
  CHECK(brain(1.0 + 0x1p-8 + 0x1p-40) == 0x3f81);  // by way of float it would be a tie
  CHECK(brain(1.0 + 3 * 0x1p-8) == 0x3f82);
  CHECK(brain(3.4e38) == 0x7f80);
  CHECK(half(1.0) == 0x3c00);
  CHECK(half(65519.0) == 0x7bff);
  CHECK(half(65520.0) == 0x7c00);
  CHECK(half(0x1p-24) == 1);
  CHECK(half(0x1p-25) == 0);
  CHECK(half(0x1.8p-25) == 1);
  CHECK(half(-0x1.ffep-15) == 0x8400);
  CHECK((half(std::numeric_limits<double>::quiet_NaN()) & 0x7fff) > 0x7c00);
}

TEST_CASE("every 16-bit number survives the way to f32, f64 and back", "[ops]") {
  std::vector<uint16_t> all(65536);
  std::iota(all.begin(), all.end(), uint16_t{0});
  for (const DType type : {DType::bf16, DType::f16}) {
    const Tensor x = Tensor::external(all.data(), {65536}, type, [] {});
    for (const DType wide : {DType::f32, DType::f64}) {
      const Tensor back = cast(cast(x, wide), type);
      const auto* bits = reinterpret_cast<const uint16_t*>(back.bytes());
      const int infinity = type == DType::f16 ? 0x7c00 : 0x7f80;
      const int quiet = type == DType::f16 ? 0x0200 : 0x0040;
      int different = 0;
      for (int i = 0; i < 65536; ++i) different += bits[i] != ((i & 0x7fff) > infinity ? (i | quiet) : i);
      CHECK(different == 0);
    }
    // The two ways down agree where f32 holds the number.
    const Tensor x32 = random_tensor({5000}, 1) * 1e-3;
    const Tensor direct = cast(x32, type);
    const Tensor detour = cast(cast(x32, DType::f64), type);
    CHECK(std::memcmp(direct.bytes(), detour.bytes(), direct.nbytes()) == 0);
  }
}

TEST_CASE("casts to i32 go towards zero and refuse what does not fit", "[ops]") {
  const Tensor x = Tensor::from(std::vector<float>{1.9f, -1.9f, 0.2f, -2147483648.0f}, {2, 2});
  CHECK(cast(x, DType::i32).to_vector<int32_t>() == std::vector<int32_t>{1, -1, 0, -2147483647 - 1});
  const Tensor large = Tensor::from(std::vector<double>{0, 0, 2147483648.0}, {3});
  CHECK(error_of<std::invalid_argument>([&] { cast(large, DType::i32); }) ==
        "cast: values must fit in i32; element 2 (in row-major order) of (3) is 2.14748e+09; clip the values "
        "first, or "
        "choose a floating type");
  const Tensor nan = Tensor::from(std::vector<float>{std::numeric_limits<float>::quiet_NaN()}, {1});
  CHECK_THROWS_AS(cast(nan, DType::i32), std::invalid_argument);
}

TEST_CASE("a cast between f32 and f64 passes its gradient", "[ops]") {
  Tensor x = counting({3});
  x.set_requires_grad();
  sum(square(cast(x, DType::f64))).backward();
  CHECK(list(x.grad()) == std::vector<float>{0, 2, 4});
  CHECK(!cast(x, DType::bf16).requires_grad());
}

TEST_CASE("elementwise ops read external memory at any alignment", "[ops]") {
  std::vector<std::byte> memory(4 * 100 + 1);
  const Tensor numbers = random_tensor({100}, 1);
  std::memcpy(memory.data() + 1, numbers.bytes(), numbers.nbytes());
  const Tensor x = Tensor::external(memory.data() + 1, {100}, DType::f32, [] {});
  const Tensor aligned = x.clone();
  CHECK(same_bits(x, numbers) == "");
  CHECK(same_bits(gelu(x), gelu(aligned)) == "");
  CHECK(same_bits(x + x, aligned + aligned) == "");
  CHECK(same_bits(where(greater(x, x * 0.5), x, Tensor::full({}, 0)), relu(aligned)) == "");
  CHECK(sum(x).item() == sum(aligned).item());
  CHECK(cast(x, DType::f64).to_vector<double>()[7] == static_cast<double>(list(numbers)[7]));
}

TEST_CASE("writing an operand that backward needs is an error naming the op", "[ops]") {
  Tensor a = counting({3});
  const Tensor b = counting({3});
  a.set_requires_grad();
  const Tensor y = sum(a * b);
  b.mutable_data<float>()[0] = 5;
  CHECK_THAT(error_of<std::invalid_argument>([&] { y.backward(); }),
             Catch::Matchers::StartsWith("mul: a tensor saved for backward was written"));
}

TEST_CASE("a walk through dry-run memory runs every elementwise op without touching memory", "[ops]") {
  const DryRunMemory dry_run;
  Tensor x = Tensor::empty({1000, 1000, 1000});
  x.set_requires_grad();
  const Tensor bias = Tensor::empty({1000});
  const Tensor y = gelu(x + bias) * 2.0;
  const Tensor parts[] = {slice(y, 1, 0, 500), slice(y, 1, 500, 1000)};
  const Tensor joined = swiglu(concat(parts, 1), maximum(y, bias));
  (mean(joined) + sum(max(joined, 0)) + sum(sum(cast(joined, DType::f64), 1)).item() * 0).backward();
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("errors of elementwise ops and views say what must hold, what was given and what to do", "[ops]") {
  const Tensor a = counting({2, 3});
  CHECK(error_of<std::invalid_argument>([&] { add(a, counting({2})); }) ==
        "add: shapes must broadcast (equal, or 1, from the last axis back); a is (2, 3), b is (2)");
  CHECK(error_of<std::invalid_argument>([&] { mul(a, Tensor::zeros({3}, DType::f64)); }) ==
        "mul: operands must have the same element type; they are f32 and f64; use cast()");
  CHECK(error_of<std::invalid_argument>([&] { exp(Tensor::arange(3)); }) ==
        "exp: element type must be f32 or f64; it is i32; use cast()");
  CHECK(error_of<std::invalid_argument>([&] {
          swiglu(a, counting({3, 2}));
        }) ==
        "swiglu: gate and up must have the same shape; gate is (2, 3), up is (3, 2); use reshape() or "
        "broadcast_to()");
  CHECK(error_of<std::invalid_argument>([&] { where(a, a, a); }) ==
        "where: condition must be i32; it is f32; compare with equal(), less() or greater(), or use cast()");
  CHECK(error_of<std::invalid_argument>([&] {
          reshape(a, {4, -1});
        }) ==
        "reshape: the sizes given must divide the number of elements; x is (2, 3) (6 elements), the new "
        "shape is (4, -1); "
        "give all sizes");
  CHECK(error_of<std::invalid_argument>([&] { reshape(a, {7}); }) ==
        "reshape: the number of elements must stay the same; x is (2, 3) (6 elements), the new shape is (7) "
        "(7); use -1 for "
        "one size");
  CHECK(error_of<std::invalid_argument>([&] { slice(a, 1, 2, 4); }) ==
        "slice: 0 <= begin <= end <= size must hold; begin is 2, end is 4, axis 1 of shape (2, 3); the size "
        "is 3");
  CHECK(error_of<std::invalid_argument>([&] { sum(a, 2); }) ==
        "sum: axis must be in [-2, 1]; axis 2 of shape (2, 3)");
  const int twice[] = {0, 0};
  CHECK(error_of<std::invalid_argument>([&] { permute(a, twice); }) ==
        "permute: the order must name each axis once; x is (2, 3), the order is (0, 0); give each of 0 ... "
        "rank-1 once");
  const Tensor parts[] = {a, counting({3, 3})};
  CHECK(error_of<std::invalid_argument>([&] { concat(parts, 1); }) ==
        "concat: all sizes but that of axis 1 must be equal; part 0 is (2, 3), part 1 is (3, 3); use "
        "reshape() or slice()");
  const int64_t sizes[] = {1, 1};
  CHECK_THROWS_AS(split(a, sizes, 1), std::invalid_argument);
  CHECK_THROWS_AS(broadcast_to(a, {3}), std::invalid_argument);
}
