#include "tensor/detail/control_group.hpp"

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

/// What a machine says of itself.

using namespace gradus;
using gradus::testing::TemporaryFolder;
using gradus::testing::write_quickly;

TEST_CASE("files that a control group has in its cache and nobody uses are available memory") {
  const TemporaryFolder folder;
  CHECK(detail::group_memory(folder.path()).limit == UINT64_MAX);
  CHECK(detail::group_memory(folder.path()).available == UINT64_MAX);
  SECTION("version 2") {
    write_quickly(folder / "memory.max", "max\n");
    write_quickly(folder / "memory.current", "900\n");
    CHECK(detail::group_memory(folder.path()).available == UINT64_MAX);
    write_quickly(folder / "memory.max", "1000\n");
    CHECK(detail::group_memory(folder.path()).available == 100);
    write_quickly(folder / "memory.stat", "anon 200\nfile 700\nactive_file 100\ninactive_file 600\nslab 7\n");
  }
  SECTION("version 1") {
    write_quickly(folder / "memory.limit_in_bytes", "1000\n");
    write_quickly(folder / "memory.usage_in_bytes", "900\n");
    write_quickly(folder / "memory.stat",
                  "inactive_file 5\ntotal_active_file 100\ntotal_inactive_file 600\n");
  }
  CHECK(detail::group_memory(folder.path()).limit == 1000);
  CHECK(detail::group_memory(folder.path()).available == 700);
  // Counters are read one after the other and may not fit together.
  write_quickly(folder / "memory.stat", "total_inactive_file 5000\ninactive_file 5000\n");
  CHECK(detail::group_memory(folder.path()).available == 1000);
}
