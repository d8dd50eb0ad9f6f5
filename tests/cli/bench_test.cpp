#include "tests/support/catch.hpp"
#include "tools/bench_common.hpp"

using namespace gradus;
using namespace gradus::tools;

TEST_CASE("turns run each work as often as the others, between two measurements of the limit") {
  std::string order;
  TurnOptions options;
  options.samples = 5;
  options.sample_seconds = 0;
  const Turns turns(
      {[&] { order += 'a'; }, [&] { order += 'b'; }},
      [&] {
        order += '|';
        return 8.0;
      },
      options);
  CHECK(order == "aabb|ab|ab|ab|ab|ab|");
  CHECK(turns.limit() == 8.0);
  CHECK(turns.seconds(0) > 0);
}

TEST_CASE("a fraction of the limit is units a second over the limit before and after them") {
  TurnOptions options;
  options.samples = 5;
  options.sample_seconds = 0;
  const Turns steady(
      {[] {}}, [] { return 8.0; }, options);
  CHECK(steady.fraction(24.0) == Approx(24.0 / steady.seconds() / 8.0));
  // 1 before and 3 after the first sample, and so on by turns: 2 on average.
  double limit = 3;
  const Turns changing(
      {[] {}}, [&] { return limit = 4 - limit; }, options);
  CHECK(changing.fraction(24.0) == Approx(24.0 / changing.seconds() / 2.0));
}

TEST_CASE("columns count characters, not bytes") {
  CHECK(left("8 × 8", 7) == "8 × 8  ");
  CHECK(right("8 × 8", 7) == "  8 × 8");
  CHECK(left("too long", 3) == "too long");
  CHECK(percent(0.9312) == "   93.1 %");
}

TEST_CASE("the geometric mean of ratios is that of their inverses, inverted") {
  CHECK(geometric_mean({2.0, 8.0}) == Approx(4.0));
  CHECK(geometric_mean({0.5, 0.125}) == Approx(0.25));
  CHECK(median({5, 1, 9, 7, 3}) == 5);
}
