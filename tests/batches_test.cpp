#include "models/training/batches.hpp"

#include <set>
#include <vector>

#include "tests/catch.hpp"

using namespace gradus;

TEST_CASE("an epoch reads every window of the text once, from a first place of its own") {
  constexpr int64_t kBlock = 8;
  const std::vector<int32_t> ids(1003, 1);
  const int64_t windows = 1002 / kBlock - 1;
  const Batches batches(ids, kBlock, 42);
  std::set<int64_t> first_places;
  for (int64_t epoch = 0; epoch < 5; ++epoch) {
    std::set<int64_t> starts;
    for (int64_t n = 0; n < windows; ++n) {
      const int64_t start = batches.start_of(epoch * windows + n);
      REQUIRE(start >= 0);
      REQUIRE(start + kBlock < static_cast<int64_t>(ids.size()));
      starts.insert(start);
    }
    REQUIRE(static_cast<int64_t>(starts.size()) == windows);
    REQUIRE(*starts.rbegin() - *starts.begin() == (windows - 1) * kBlock);
    for (const int64_t start : starts) REQUIRE((start - *starts.begin()) % kBlock == 0);
    first_places.insert(*starts.begin());
  }
  CHECK(first_places.size() > 1);
}

TEST_CASE(
    "windows of an epoch come in another order than they stand in the text, and in each epoch in another") {
  const std::vector<int32_t> ids(1003, 1);
  const Batches batches(ids, 8, 42);
  const int64_t windows = 1002 / 8 - 1;
  int ascending = 0;
  int as_before = 0;
  for (int64_t n = 0; n + 1 < windows; ++n) {
    ascending += batches.start_of(n) < batches.start_of(n + 1) ? 1 : 0;
    as_before += batches.start_of(n) / 8 == batches.start_of(windows + n) / 8 ? 1 : 0;
  }
  CHECK(ascending > windows / 4);
  CHECK(ascending < 3 * windows / 4);
  CHECK(as_before < 10);
}
