#include "tensor/tensor.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "tensor/detail/best_fit_heap.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/machine.hpp"
#include "tensor/ops.hpp"
#include "tensor/parallel.hpp"
#include "tensor/random.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::counting;

namespace {

/// The elements of a view by its definition, one index at a time.
template <class T>
std::vector<T> by_definition(const Tensor& t) {
  std::vector<T> result;
  const Shape& shape = t.shape();
  const int64_t count = shape.numel();
  for (int64_t n = 0; n < count; ++n) {
    int64_t rest = n;
    int64_t offset = 0;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      offset += rest % shape[i] * t.strides()[i];
      rest /= shape[i];
    }
    T value;
    std::memcpy(&value, t.bytes() + offset * static_cast<int64_t>(sizeof(T)), sizeof value);
    result.push_back(value);
  }
  return result;
}

}  // namespace

TEST_CASE("A shape counts its elements and refuses what does not fit") {
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{2, 3, 4}.numel() == 24);
  CHECK(Shape{2, 0, 4}.numel() == 0);
  CHECK(Shape{2, 3}.to_string() == "(2, 3)");
  CHECK(Shape{2, 3}.at(-1) == 3);
  CHECK(Shape{2, 3, 4}.without(1) == Shape{2, 4});
  CHECK(dense_strides({2, 3, 4}) == Strides{12, 4, 1});
  CHECK_THROWS_WITH((Shape{int64_t{1} << 40, int64_t{1} << 40}.numel()), ContainsSubstring("63 bits"));
  CHECK_THROWS_WITH((Shape{0, int64_t{1} << 40, int64_t{1} << 40}.numel()), ContainsSubstring("63 bits"));
  CHECK_THROWS_WITH((Shape{2, 3}.at(2)), ContainsSubstring("axis 2 of shape (2, 3)"));
  CHECK_THROWS_AS((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), std::invalid_argument);
}

TEST_CASE("Shapes broadcast from the last axis back, or the error names both") {
  CHECK(broadcast_shape({2, 3}, {3}, "add") == Shape{2, 3});
  CHECK(broadcast_shape({2, 1, 4}, {5, 1}, "add") == Shape{2, 5, 4});
  CHECK(broadcast_shape({}, {2, 2}, "add") == Shape{2, 2});
  CHECK(broadcast_shape({1, 3}, {0, 1}, "add") == Shape{0, 3});
  CHECK_THROWS_WITH(broadcast_shape({2, 3}, {2}, "add"), ContainsSubstring("add: ") &&
                                                             ContainsSubstring("(2, 3)") &&
                                                             ContainsSubstring("b is (2)"));
}

TEST_CASE("Constructors give the values they promise") {
  CHECK(Tensor::zeros({2, 3}).to_vector<float>() == std::vector<float>(6, 0.0f));
  CHECK(Tensor::full({3}, 2.5).to_vector<float>() == std::vector<float>(3, 2.5f));
  CHECK(Tensor::full({2}, 0.1, DType::f64).to_vector<double>() == std::vector<double>(2, 0.1));
  CHECK(Tensor::full({2}, -7, DType::i32).to_vector<int32_t>() == std::vector<int32_t>(2, -7));
  CHECK(Tensor::arange(4).to_vector<int32_t>() == std::vector<int32_t>{0, 1, 2, 3});
  CHECK(Tensor::arange(100000).to_vector<int32_t>()[99999] == 99999);
  CHECK(Tensor::zeros({3}, DType::bf16).nbytes() == 6);
  const std::vector<double> values = {1, 2, 3, 4};
  const Tensor t = Tensor::from(std::span<const double>(values), {2, 2});
  CHECK(t.dtype() == DType::f64);
  CHECK(t.to_vector<double>() == values);
  CHECK(t.is_contiguous());
  CHECK(t.rank() == 2);
  CHECK(t.size(-1) == 2);
  CHECK_THROWS_WITH(Tensor::from(std::span<const double>(values), {3}),
                    ContainsSubstring("4 values, shape (3)"));
  CHECK_THROWS_WITH(Tensor::full({2}, 0.5, DType::i32), ContainsSubstring("whole number"));
  CHECK_THROWS_WITH(Tensor::full({2}, 1, DType::bf16), ContainsSubstring("use cast()"));
  CHECK_THROWS_WITH(Tensor::empty({2, -1}), ContainsSubstring("negative"));
  CHECK_THROWS_WITH(Tensor::empty({int64_t{1} << 62}), ContainsSubstring("63 bits"));
}

TEST_CASE("Values in braces give the shape that they are written in, or the error names the ragged one") {
  CHECK(Tensor::from({1, 2, 3}).shape() == Shape{3});
  const Tensor square = Tensor::from({{1, 2}, {3, 4.5}});
  CHECK(square.shape() == Shape{2, 2});
  CHECK(square.to_vector<float>() == std::vector<float>{1, 2, 3, 4.5f});
  CHECK(Tensor::from({{1}, {2}, {3}}).shape() == Shape{3, 1});
  CHECK(Tensor::from({{1, 2}}).shape() == Shape{1, 2});
  const Tensor cube = Tensor::from({{{1, 2, 3}}, {{4, 5, 6}}}, DType::i32);
  CHECK(cube.shape() == Shape{2, 1, 3});
  CHECK(cube.to_vector<int32_t>() == std::vector<int32_t>{1, 2, 3, 4, 5, 6});
  CHECK(Tensor::from({{{{1}, {2}}}}, DType::f64).shape() == Shape{1, 1, 2, 1});
  CHECK(Tensor::from(7).shape() == Shape{});
  CHECK(Tensor::from({{}, {}}).shape() == Shape{2, 0});
  const float x = 0.1f;  // variables too
  CHECK(Tensor::from({{x, 2 * x}}).to_vector<float>() == std::vector<float>{x, 2 * x});
  CHECK_THROWS_WITH(Tensor::from({{1, 2}, {3, 4}, {5}}),
                    ContainsSubstring("must all have the same shape; the first is (2), number 2 is (1)"));
  CHECK_THROWS_AS(Tensor::from({1, {2}}), std::invalid_argument);
  CHECK_THROWS_WITH(Tensor::from({1.5}, DType::i32),
                    ContainsSubstring("a whole number of 32 bits; it is 1.5"));
  CHECK_THROWS_WITH(Tensor::from({1}, DType::bf16), ContainsSubstring("it is bf16; use cast()"));
}

TEST_CASE("An element type is asked for by name and a mismatch is an error") {
  const Tensor ids = Tensor::arange(3);
  CHECK_THROWS_WITH(ids.data<float>(), "tensor: element type must be f32; it is i32; use cast()");
  CHECK_THROWS_WITH(ids.mutable_data<double>(), ContainsSubstring("must be f64; it is i32"));
  CHECK_THROWS_WITH(ids.to_vector<float>(), ContainsSubstring("use cast()"));
}

TEST_CASE("An empty handle is an error and not a crash") {
  const Tensor none;
  CHECK_FALSE(none.defined());
  CHECK_THROWS_WITH(none.shape(), ContainsSubstring("handle is empty"));
  CHECK_THROWS_AS(none.data<float>(), std::invalid_argument);
  CHECK_THROWS_AS(none.clone(), std::invalid_argument);
  CHECK_THROWS_AS(none.backward(), std::invalid_argument);
}

TEST_CASE("item() reads the one element and refuses more") {
  CHECK(Tensor::full({}, 1.5).item() == 1.5);
  CHECK(Tensor::full({1, 1}, -3, DType::i32).item() == -3);
  CHECK(Tensor::full({1}, 0.1, DType::f64).item() == 0.1);
  CHECK_THROWS_WITH(Tensor::zeros({2}).item(), ContainsSubstring("shape (2)"));
  CHECK_THROWS_WITH(Tensor::zeros({1}, DType::f16).item(), ContainsSubstring("it is f16"));
}

TEST_CASE("A view shares the array and cannot leave it") {
  const Tensor a = counting({4, 6});
  const Tensor column = a.view({4}, {6}, 2);
  CHECK(column.to_vector<float>() == std::vector<float>{2, 8, 14, 20});
  CHECK_FALSE(column.is_contiguous());
  CHECK(a.view({2, 6}, {6, 1}, 6).is_contiguous());
  CHECK(a.view({1, 6}, {99, 1}, 6).is_contiguous());
  const Tensor inner = a.view({2, 2}, {6, 1}, 7).view({2}, {6}, 1);
  CHECK(inner.to_vector<float>() == std::vector<float>{8, 14});
  CHECK(a.view({3, 2}, {0, 1}, 4).to_vector<float>() == std::vector<float>{4, 5, 4, 5, 4, 5});
  column.copy_from(Tensor::full({4}, -1));
  CHECK(a.to_vector<float>()[8] == -1);
  CHECK(a.view({0}, {1}, 24).numel() == 0);
  CHECK_THROWS_WITH(a.view({25}, {1}, 0), ContainsSubstring("inside the storage"));
  CHECK_THROWS_WITH(a.view({2}, {1}, -1), ContainsSubstring("inside the storage"));
  CHECK_THROWS_WITH(a.view({2}, {-1}, 0), ContainsSubstring("inside the storage"));
  CHECK_THROWS_AS(a.view({3}, {int64_t{1} << 62}, 0), std::invalid_argument);
  CHECK_THROWS_WITH(a.view({2}, {1, 1}, 0), ContainsSubstring("same rank"));
}

TEST_CASE("A dense copy of any strided view holds its elements in order") {
  // Sizes beyond one chunk of the copy, odd, and with every axis first.
  const Shape shape = {3, 7, 41, 65};
  const Tensor a = counting(shape);
  int axes[4] = {0, 1, 2, 3};
  do {
    Shape permuted;
    Strides strides;
    for (const int axis : axes) {
      permuted.push_back(shape[axis]);
      strides.push_back(a.strides()[axis]);
    }
    const Tensor view = a.view(permuted, strides, 0);
    REQUIRE(view.to_contiguous().is_contiguous());
    REQUIRE(view.to_vector<float>() == by_definition<float>(view));
  } while (std::next_permutation(axes, axes + 4));
  const Tensor odd = a.view({2, 3, 1, 20, 31}, {a.strides()[0], 0, 5, 2 * 65, 2}, 66);
  CHECK(odd.to_vector<float>() == by_definition<float>(odd));
  const Tensor back = a.view({50000}, {-1}, 50000);
  CHECK(back.to_vector<float>() == by_definition<float>(back));
}

TEST_CASE("Strided copies hold for elements of 2, 4 and 8 bytes") {
  const auto try_type = [](DType dtype, std::size_t bytes) {
    const Tensor a = Tensor::empty({5, 70, 30}, dtype);
    std::byte* p = a.mutable_bytes();
    for (std::size_t i = 0; i < a.nbytes(); ++i) p[i] = static_cast<std::byte>(i * 37 + i / 251);
    const Tensor swapped = a.view({30, 5, 70}, {1, 2100, 30}, 0);
    const Tensor copy = swapped.clone();
    bool equal = true;
    for (std::size_t k = 0; k < 30; ++k) {
      for (std::size_t i = 0; i < 5; ++i) {
        for (std::size_t j = 0; j < 70; ++j) {
          equal = equal && std::memcmp(copy.bytes() + ((k * 5 + i) * 70 + j) * bytes,
                                       p + ((i * 70 + j) * 30 + k) * bytes, bytes) == 0;
        }
      }
    }
    CHECK(equal);
  };
  try_type(DType::bf16, 2);
  try_type(DType::i32, 4);
  try_type(DType::f64, 8);
}

TEST_CASE("copy_from writes through views, also over itself, and checks shape and type") {
  const Tensor a = counting({3, 3});
  const Tensor transposed = a.view({3, 3}, {1, 3}, 0);
  a.copy_from(transposed);
  CHECK(a.to_vector<float>() == std::vector<float>{0, 3, 6, 1, 4, 7, 2, 5, 8});
  transposed.copy_from(counting({3, 3}));
  CHECK(a.to_vector<float>() == std::vector<float>{0, 3, 6, 1, 4, 7, 2, 5, 8});
  CHECK_THROWS_WITH(a.copy_from(counting({9})), ContainsSubstring("this is (3, 3), source is (9)"));
  CHECK_THROWS_WITH(a.copy_from(Tensor::zeros({3, 3}, DType::f64)), ContainsSubstring("source is f64"));
}

TEST_CASE("Arrays without elements work everywhere") {
  const Tensor none = Tensor::zeros({3, 0, 2});
  CHECK(none.numel() == 0);
  CHECK(none.is_contiguous());
  CHECK(none.bytes() != nullptr);
  CHECK(none.to_vector<float>().empty());
  CHECK(none.clone().shape() == Shape{3, 0, 2});
  none.copy_from(Tensor::full({3, 0, 2}, 1));
  CHECK(none.view({0, 3}, {5, 0}, 0).clone().numel() == 0);
  CHECK(Tensor::from(std::span<const float>(), {0}).numel() == 0);
  CHECK(Tensor::arange(0).numel() == 0);
  CHECK(Tensor::external(nullptr, {0}, DType::f32, nullptr).to_vector<float>().empty());
}

TEST_CASE("External memory may be misaligned, is read-only, and is released once with the last handle") {
  std::vector<std::byte> raw(4 * 12 + 1);
  for (int i = 0; i < 12; ++i) {
    const float value = static_cast<float>(i);
    std::memcpy(raw.data() + 1 + 4 * i, &value, 4);
  }
  int released = 0;
  {
    Tensor a = Tensor::external(raw.data() + 1, {3, 4}, DType::f32, [&released] { ++released; });
    CHECK(a.bytes() == raw.data() + 1);
    CHECK(a.to_contiguous().same(a));
    CHECK(a.to_vector<float>() == counting({3, 4}).to_vector<float>());
    CHECK(a.view({1}, {1}, 7).item() == 7);
    CHECK(a.view({4, 3}, {1, 4}, 0).to_vector<float>() == by_definition<float>(a.view({4, 3}, {1, 4}, 0)));
    CHECK_THROWS_WITH(a.mutable_data<float>(), ContainsSubstring("read-only; use clone()"));
    CHECK_THROWS_WITH(a.copy_from(counting({3, 4})), ContainsSubstring("read-only"));
    const Tensor copy = a.clone();
    copy.mutable_data<float>()[0] = 5;
    const Tensor view = a.view({2}, {1}, 0);
    a = Tensor();
    CHECK(released == 0);
  }
  CHECK(released == 1);
  CHECK_THROWS_WITH(Tensor::external(nullptr, {2}, DType::f32, nullptr), ContainsSubstring("null"));
}

TEST_CASE("Every write bumps the version of the storage and reading does not") {
  const Tensor a = counting({4});
  const Tensor view = a.view({2}, {1}, 1);
  const uint64_t before = a.storage()->version();
  (void)a.data<float>();
  (void)a.to_vector<float>();
  CHECK(a.storage()->version() == before);
  (void)view.mutable_data<float>();
  CHECK(a.storage()->version() == before + 1);
  a.copy_from(counting({4}));
  CHECK(a.storage()->version() == before + 2);
}

TEST_CASE("Storage is aligned to 64 bytes, and huge blocks to two MiB where the system maps them") {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{65}, std::size_t{5000},
                                  std::size_t{1} << 20, (std::size_t{4} << 20) + 1}) {
    const auto block = Storage::allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(block->data()) % 64 == 0);
    CHECK(block->bytes() == bytes);
#ifdef __linux__
    if (bytes > std::size_t{4} << 20) CHECK(reinterpret_cast<std::uintptr_t>(block->data()) % (2 << 20) == 0);
#endif
    if (bytes > 0) std::memset(block->mutable_data(), 1, bytes);
  }
}

TEST_CASE("A freed block is reused, and the statistics say so") {
  release_free_memory();
  const MemoryStatistics start = memory_statistics();
  CHECK(start.reserved == start.in_use);
  const std::byte* first = nullptr;
  {
    const auto block = Storage::allocate(50000);
    first = block->data();
    const MemoryStatistics now = memory_statistics();
    CHECK(now.in_use - start.in_use == 53248);  // the next of eight classes between 32768 and 65536
    CHECK(now.reserved - start.reserved == 53248);
    CHECK(now.system_allocations == start.system_allocations + 1);
  }
  CHECK(memory_statistics().in_use == start.in_use);
  CHECK(memory_statistics().reserved - start.reserved == 53248);
  {
    const auto block = Storage::allocate(53248);
    CHECK(block->data() == first);
    CHECK(memory_statistics().system_allocations == start.system_allocations + 1);
  }
  release_free_memory();
  CHECK(memory_statistics().reserved == start.reserved);
}

TEST_CASE(
    "Large blocks share one range: a hole is filled by what fits it best, and neighbouring holes join") {
  release_free_memory();
  const MemoryStatistics start = memory_statistics();
  std::vector<std::shared_ptr<Storage>> blocks;
  for (const std::size_t kib : {1000, 300, 200, 100, 400, 64}) blocks.push_back(Storage::allocate(kib << 10));
  CHECK(memory_statistics().reserved - start.reserved == std::size_t{2064} << 10);
  const std::byte* const at_300 = blocks[1]->data();
  const std::byte* const at_100 = blocks[3]->data();
  blocks[1] = nullptr;
  blocks[3] = nullptr;
  blocks[1] = Storage::allocate(90 << 10);
  CHECK(blocks[1]->data() == at_100);
  blocks[2] = nullptr;
  blocks[3] = Storage::allocate(500 << 10);
  CHECK(blocks[3]->data() == at_300);
  CHECK(memory_statistics().reserved - start.reserved == std::size_t{2064} << 10);
  for (auto& block : blocks) {
    if (block) std::memset(block->mutable_data(), 1, block->bytes());
  }
  blocks.clear();
  release_free_memory();
  CHECK(memory_statistics().reserved == start.reserved);
}

TEST_CASE("Places of large blocks never overlap, holes never touch, and all that is not in use is a hole") {
  constexpr std::size_t kUnit = detail::BestFitHeap::kUnit, kLimit = 300 * kUnit;
  const Random random(1, stream_of("heap"));
  detail::BestFitHeap heap;
  std::map<std::size_t, std::size_t> blocks;  // place -> bytes
  int refused = 0;
  bool sound = true;
  for (uint64_t step = 0; step < 4000; ++step) {
    if (blocks.empty() || random.below(3 * step, 100) < (step / 500 % 2 == 0 ? 60u : 40u)) {
      const std::size_t bytes = (1 + random.below(3 * step + 1, 20)) * kUnit;
      const std::size_t place = heap.take(bytes, kLimit);
      if (place == detail::BestFitHeap::kNone) {
        ++refused;
        for (const auto& hole : heap.holes()) sound = sound && hole.bytes < bytes;
      } else {
        sound = sound && blocks.emplace(place, bytes).second;
      }
    } else {
      const auto block =
          std::next(blocks.begin(), static_cast<std::ptrdiff_t>(random.below(3 * step + 2, blocks.size())));
      heap.give(block->first, block->second);
      blocks.erase(block);
    }
    if (step % 100 == 99) heap.trim();
    // Blocks and holes in ascending order fill the range without a gap; no hole follows a hole.
    std::map<std::size_t, std::pair<std::size_t, bool>> parts;
    for (const auto& [place, bytes] : blocks) parts[place] = {bytes, false};
    for (const auto& hole : heap.holes()) sound = sound && parts.insert({hole.at, {hole.bytes, true}}).second;
    std::size_t reached = 0;
    bool after_hole = false;
    for (const auto& [place, part] : parts) {
      sound = sound && place == reached && part.first > 0 && !(after_hole && part.second);
      reached = place + part.first;
      after_hole = part.second;
    }
    sound = sound && reached == heap.end() && reached <= kLimit;
    REQUIRE(sound);
  }
  CHECK(refused > 0);
}

TEST_CASE("A block just below the large ones is reused as the small block that it is") {
  // Its class ends where the large blocks begin.
  std::vector<std::shared_ptr<Storage>> blocks;
  for (int round = 0; round < 3; ++round) {
    for (const std::size_t bytes : {63u << 10, 64u << 10, (64u << 10) - 1, (64u << 10) + 1}) {
      blocks.push_back(Storage::allocate(bytes));
      std::memset(blocks.back()->mutable_data(), round, bytes);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto* bytes = blocks[i]->data();
      CHECK(static_cast<int>(bytes[0]) == round);
      CHECK(static_cast<int>(bytes[blocks[i]->bytes() - 1]) == round);
    }
    blocks.clear();
  }
}

TEST_CASE("Storage may be freed on another thread than allocated it") {
  release_free_memory();
  const MemoryStatistics start = memory_statistics();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      std::vector<std::shared_ptr<Storage>> mine;
      for (int i = 0; i < 300; ++i) {
        mine.push_back(Storage::allocate(static_cast<std::size_t>(1 + (i * 977 + t) % 20000)));
        std::memset(mine.back()->mutable_data(), t, mine.back()->bytes());
        if (i % 3 == 0) mine.erase(mine.begin());
      }
      std::thread([mine = std::move(mine)]() mutable { mine.clear(); }).join();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(memory_statistics().in_use == start.in_use);
  release_free_memory();
  CHECK(memory_statistics().reserved == start.reserved);
}

TEST_CASE("Memory that the system refuses is an error with both numbers") {
  CHECK_THROWS_WITH(Storage::allocate(std::size_t{1} << 61),
                    ContainsSubstring("2305843009213693952 bytes") && ContainsSubstring("bytes in use"));
  CHECK_THROWS_AS(Storage::allocate(~std::size_t{0}), std::runtime_error);
  CHECK(Storage::allocate(64)->bytes() == 64);
}

TEST_CASE("A walk through dry-run memory counts what a real run of the same allocations reserves") {
  const auto walk = [] {
    const Random random(11, stream_of("walk"));
    std::vector<Tensor> held(40);
    for (uint64_t i = 0; i < 2000; ++i) {
      const auto bytes = static_cast<int64_t>(random.below(2 * i, 18) < 9 ? random.below(2 * i + 1, 5000)
                                                                          : random.below(2 * i + 1, 3000000));
      held[random.below(i + 100000, held.size())] =
          i % 7 == 0 ? Tensor::zeros({bytes}) : Tensor::empty({bytes});
      if (i == 1000) release_free_memory();
    }
    held[0].clone();
    return held;
  };
  release_free_memory();
  reset_memory_peaks();
  const MemoryStatistics before = memory_statistics();
  auto kept = walk();
  const MemoryStatistics real = memory_statistics();
  kept.clear();

  std::vector<Tensor> survivors;
  {
    const DryRunMemory dry_run;
    CHECK(DryRunMemory::active());
    CHECK(dry_run.statistics().reserved == 0);
    auto blocks = walk();
    const MemoryStatistics counted = dry_run.statistics();
    CHECK(counted.in_use == real.in_use - before.in_use);
    CHECK(counted.reserved == real.reserved - before.reserved);
    CHECK(counted.peak_in_use == real.peak_in_use - before.in_use);
    CHECK(counted.peak_reserved == real.peak_reserved - before.reserved);
    CHECK(counted.system_allocations == real.system_allocations - before.system_allocations);
    survivors.push_back(blocks[1]);
    blocks.clear();
    CHECK(dry_run.statistics().in_use >= survivors[0].nbytes());
    CHECK(dry_run.statistics().in_use < counted.in_use);
    CHECK(dry_run.statistics().reserved == counted.reserved);
    survivors.clear();
    CHECK(dry_run.statistics().in_use == 0);
    survivors.push_back(Tensor::zeros({10}));
  }
  CHECK_FALSE(DryRunMemory::active());
  const MemoryStatistics after = memory_statistics();
  survivors.clear();  // a block that outlives the dry run does not enter the real pool
  CHECK(memory_statistics().reserved == after.reserved);
  CHECK(memory_statistics().in_use == after.in_use);
}

TEST_CASE(
    "Under dry-run memory nothing is backed, written or run, and models of any size can be walked through") {
  const Tensor real = counting({4, 5});
  const DryRunMemory dry_run;
  const Tensor huge = Tensor::full({int64_t{1} << 20, int64_t{1} << 20}, 3);
  CHECK(dry_run.statistics().in_use == std::size_t{1} << 42);
  CHECK(huge.bytes() == nullptr);
  CHECK(huge.view({1}, {1}, 77).item() == 0);
  CHECK(huge.clone().shape() == huge.shape());
  const std::vector<float> values(20, 1.0f);
  const Tensor from = Tensor::from(std::span<const float>(values), {4, 5});
  CHECK(from.to_vector<float>() == std::vector<float>(20));
  from.copy_from(real);
  real.view({5, 4}, {1, 5}, 0).to_contiguous();
  CHECK(Tensor::arange(5).view({2}, {2}, 1).to_contiguous().numel() == 2);
  int runs = 0;
  parallel_for(3, [&](int64_t) { ++runs; });
  CHECK(runs == 0);
  CHECK(real.data<float>()[19] == 19);
  {
    const DryRunMemory inner;
    CHECK(inner.statistics().in_use == 0);
  }
  CHECK(DryRunMemory::active());
  bool other_thread = true;
  std::thread([&] { other_thread = DryRunMemory::active(); }).join();
  CHECK_FALSE(other_thread);
}

TEST_CASE("detach and to_contiguous share the array and drop the history") {
  Tensor a = counting({2, 2});
  a.set_requires_grad();
  CHECK(a.requires_grad());
  CHECK_FALSE(a.detach().requires_grad());
  CHECK(a.detach().bytes() == a.bytes());
  CHECK_FALSE(a.to_contiguous().requires_grad());
  CHECK(a.to_contiguous().bytes() == a.bytes());
  CHECK_FALSE(a.clone().requires_grad());
  CHECK(a.clone().bytes() != a.bytes());
  const Tensor handle = a;
  CHECK(handle.same(a));
  CHECK_FALSE(a.detach().same(a));
  CHECK_THROWS_WITH(Tensor::arange(2).set_requires_grad(), ContainsSubstring("it is i32"));
}

TEST_CASE("a tensor of more than 2^31 elements goes through ops and a file", "[tensor][.slow]") {
  const testing::TemporaryFolder folder;
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  constexpr int64_t kRows = (1 << 16) + 1;
  constexpr int64_t kWidth = 1 << 15;
  const uint64_t memory = available_memory_bytes();
  const uint64_t disk = free_disk_bytes(folder.path());
  if (memory < 10 * kGiB || disk < 9 * kGiB) {
    WARN("SKIPPED: 2^31 elements need 10 GiB of memory and 9 GiB of disk; " << memory << " and " << disk
                                                                            << " bytes are available");
    return;
  }
  const Tensor column = reshape(Tensor::arange(kRows), {kRows, 1});
  const Tensor row = reshape(Tensor::arange(kWidth), {1, kWidth});
  const auto value = [](int64_t r, int64_t c) { return static_cast<float>(r + c); };  // exact in f32
  // Elements before, at and beyond 2^31, and the last one.
  const std::vector<std::pair<int64_t, int64_t>> places = {
      {0, 0}, {1, 2}, {kRows / 2, 7}, {kRows - 2, kWidth - 1}, {kRows - 1, 0}, {kRows - 1, kWidth - 1}};
  const auto wrong = [&](const Tensor& y) {
    int count = 0;
    for (const auto& [r, c] : places) {
      if (y.data<float>()[r * kWidth + c] != value(r, c)) ++count;
    }
    return count;
  };
  const Tensor y = cast(column, DType::f32) + cast(row, DType::f32);
  REQUIRE(y.shape() == Shape{kRows, kWidth});
  REQUIRE(y.numel() > int64_t{1} << 31);
  CHECK(wrong(y) == 0);

  const std::vector<float> row_sums = sum(y, 1).to_vector<float>();
  const std::vector<float> column_sums = sum(y, 0).to_vector<float>();
  const std::vector<float> row_maxima = max(y, 1).to_vector<float>();
  const std::vector<int32_t> largest = argmax(y).to_vector<int32_t>();
  std::vector<float> one_hot(static_cast<std::size_t>(kWidth));
  one_hot.back() = 1;
  const std::vector<float> last_column = matmul(y, Tensor::from(one_hot, {kWidth, 1})).to_vector<float>();
  for (const auto& [r, c] : places) {
    CAPTURE(r, c);
    const auto i = static_cast<std::size_t>(r);
    const auto j = static_cast<std::size_t>(c);
    CHECK(row_sums[i] == Approx(kWidth * (static_cast<double>(r) + (kWidth - 1) / 2.0)));
    CHECK(column_sums[j] == Approx(kRows * (static_cast<double>(c) + (kRows - 1) / 2.0)).epsilon(1e-4));
    CHECK(row_maxima[i] == value(r, kWidth - 1));
    CHECK(largest[i] == kWidth - 1);
    CHECK(last_column[i] == value(r, kWidth - 1));
  }
  const std::vector<float> last_row = slice(y, 0, kRows - 1, kRows).to_vector<float>();
  const std::vector<int32_t> ids = {static_cast<int32_t>(kRows - 1), 0};
  const std::vector<float> looked_up = embedding(y, Tensor::from(ids, {2})).to_vector<float>();
  CHECK(std::equal(last_row.begin(), last_row.end(), looked_up.begin()));
  CHECK(last_row.back() == value(kRows - 1, kWidth - 1));
  CHECK(looked_up.back() == value(0, kWidth - 1));

  const std::string path = folder / "a.safetensors";
  save_safetensors(path, std::vector<NamedTensor>{{"y", y}, {"after", Tensor::full({3}, 2.5)}});
  const SafetensorsFile file = SafetensorsFile::open(path);
  CHECK(file.tensor("after").to_vector<float>() == std::vector<float>{2.5f, 2.5f, 2.5f});
  const Tensor back = file.tensor("y");
  REQUIRE(back.shape() == y.shape());
  CHECK(wrong(back) == 0);
  CHECK(std::memcmp(back.bytes(), y.bytes(), y.nbytes()) == 0);
}
