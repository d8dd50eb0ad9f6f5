#include "tensor/storage.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "tensor/detail/best_fit_heap.hpp"
#include "tensor/error.hpp"

#ifndef GRADUS_NO_MIMALLOC
#include <mimalloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#define GRADUS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GRADUS_POISON 1
#endif
#endif
#ifdef GRADUS_POISON
#include <sanitizer/asan_interface.h>
#endif

namespace gradus {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmall = 4096;  // below: one class per multiple of 64
#if defined(__linux__)
constexpr std::size_t kLarge = std::size_t{64} << 10;  // from here on: a place in a range of huge pages
#else
constexpr std::size_t kLarge = ~std::size_t{0};
#endif
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kMaxBytes = std::size_t{1} << 62;
constexpr int kSmallClasses = kSmall / kAlignment;  // 1 … 64 multiples
constexpr int kClassesPerDoubling = 8;
constexpr int kClasses = kSmallClasses + kClassesPerDoubling * (62 - 12);

struct SizeClass {
  int index;
  std::size_t bytes;
};

/// The smallest class that holds `bytes` <= kMaxBytes.
SizeClass class_of(std::size_t bytes) {
  if (bytes <= kSmall) {
    const std::size_t units = bytes == 0 ? 1 : (bytes + kAlignment - 1) / kAlignment;
    return {static_cast<int>(units) - 1, units * kAlignment};
  }
  const int exponent = std::bit_width(bytes - 1) - 1;  // 2^exponent < bytes <= 2^(exponent + 1)
  const std::size_t base = std::size_t{1} << exponent;
  const std::size_t step = base / kClassesPerDoubling;
  const std::size_t steps = (bytes - base + step - 1) / step;  // 1 … 8
  return {kSmallClasses + (exponent - 12) * kClassesPerDoubling + static_cast<int>(steps) - 1,
          base + steps * step};
}

/// A range of addresses for large blocks. Only what has been written takes memory.
struct Segment {
  std::byte* base = nullptr;  // null in dry-run memory
  std::size_t bytes = 0;
  detail::BestFitHeap heap;
  std::size_t reached = 0;  // the furthest end since the last trim
};

#if defined(__linux__)
/// Address space of at least `bytes`, aligned to a huge page so that the kernel can back it with them; as much as the
/// machine has memory, so that all large blocks can share it. Its base is null if the system refuses.
Segment map_segment(std::size_t bytes) {
  const auto machine =
      static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (std::size_t size = std::max(bytes, machine);; size = std::max(bytes, size / 2)) {
    // What exceeds the machine is the kernel's to refuse, so it is not asked to look away.
    const int lenient = size <= machine ? MAP_NORESERVE : 0;
    void* raw =
        mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | lenient, -1, 0);
    if (raw == MAP_FAILED) {
      if (size == bytes) return {};
      continue;
    }
    auto* start = static_cast<std::byte*>(raw);
    start += (kHugePage - reinterpret_cast<std::uintptr_t>(start) % kHugePage) % kHugePage;
#ifdef MADV_HUGEPAGE
    // Advice: a kernel without huge pages refuses, and nothing is lost.
    madvise(start, size, MADV_HUGEPAGE);
#endif
    return {start, size, {}, 0};
  }
}

/// Gives back the whole pages of a range. Where pages are larger than BestFitHeap::kUnit (16 KiB on some arm64 machines),
/// those at its ends may hold parts of blocks that live on.
void forget(const Segment& segment, std::size_t begin, std::size_t end) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (segment.base != nullptr && begin < end) madvise(segment.base + begin, end - begin, MADV_DONTNEED);
}
#else
Segment map_segment(std::size_t) { return {}; }
void forget(const Segment&, std::size_t, std::size_t) {}
#endif

std::byte* system_allocate(std::size_t bytes) {
#ifndef GRADUS_NO_MIMALLOC
  return static_cast<std::byte*>(mi_malloc_aligned(bytes, kAlignment));
#else
  return static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes));
#endif
}

void system_free(std::byte* block) {
#ifndef GRADUS_NO_MIMALLOC
  mi_free(block);
#else
  std::free(block);
#endif
}

// Freed blocks and the slack behind a block are closed to the address sanitizer, which knows nothing of pools.
void open_bytes([[maybe_unused]] std::byte* block, [[maybe_unused]] std::size_t bytes) {
#ifdef GRADUS_POISON
  if (block != nullptr) ASAN_UNPOISON_MEMORY_REGION(block, bytes);
#endif
}
void close_bytes([[maybe_unused]] std::byte* block, [[maybe_unused]] std::size_t bytes) {
#ifdef GRADUS_POISON
  if (block != nullptr) ASAN_POISON_MEMORY_REGION(block, bytes);
#endif
}

}  // namespace

namespace detail {

/// A block as its storage remembers it.
struct Block {
  std::byte* data = nullptr;  // null in dry-run memory
  std::size_t capacity = 0;
  std::size_t segment = 0;  // of a large block, with its place there
  std::size_t place = BestFitHeap::kNone;
};

/// Freed blocks: small ones by size class, large ones as holes of a segment. A dry run's pool runs the same steps without
/// memory, so that its numbers are those of a real run.
struct MemoryPool {
  explicit MemoryPool(bool is_dry_run) : dry_run(is_dry_run) {}

  std::mutex mutex;
  std::array<std::vector<std::byte*>, kClasses> free;
  std::vector<Segment> segments;
  MemoryStatistics statistics;
  const bool dry_run;

  Block take(std::size_t requested) {
    const std::scoped_lock lock(mutex);
    if (requested > kMaxBytes) refuse(requested);
    Block block;
    bool found = requested >= kLarge ? take_large(requested, block) : take_small(requested, block);
    if (!found) {
      release();
      found = requested >= kLarge ? take_large(requested, block) : take_small(requested, block);
    }
    if (!found) refuse(requested);
    statistics.in_use += block.capacity;
    statistics.allocated += block.capacity;
    statistics.peak_in_use = std::max(statistics.peak_in_use, statistics.in_use);
    statistics.peak_reserved = std::max(statistics.peak_reserved, statistics.reserved);
    return block;
  }

  void give(const Block& block) {
    const std::scoped_lock lock(mutex);
    if (block.place != BestFitHeap::kNone) {
      segments[block.segment].heap.give(block.place, block.capacity);
    } else {
      free[static_cast<std::size_t>(class_of(block.capacity).index)].push_back(block.data);
    }
    statistics.in_use -= block.capacity;
  }

  /// note: the mutex is held by the caller.
  void release() {
    for (std::size_t i = 0; i < free.size(); ++i) {
      const std::size_t bytes = class_bytes(static_cast<int>(i));
      for (std::byte* block : free[i]) {
        open_bytes(block, bytes);
        if (!dry_run) system_free(block);
        statistics.reserved -= bytes;
      }
      free[i].clear();
    }
    for (Segment& segment : segments) {
      segment.heap.trim();
      forget(segment, segment.heap.end(), segment.reached);
      statistics.reserved -= segment.reached - segment.heap.end();
      segment.reached = segment.heap.end();
      // Holes between blocks that are in use still count as reserved, though nothing backs them now.
      for (const BestFitHeap::Hole& hole : segment.heap.holes())
        forget(segment, hole.at, hole.at + hole.bytes);
    }
#ifndef GRADUS_NO_MIMALLOC
    if (!dry_run) mi_collect(true);
#endif
  }

 private:
  bool take_small(std::size_t requested, Block& block) {
    const SizeClass size = class_of(requested);
    block.capacity = size.bytes;
    auto& list = free[static_cast<std::size_t>(size.index)];
    if (!list.empty()) {
      block.data = list.back();
      list.pop_back();
      return true;
    }
    if (!dry_run) {
      block.data = system_allocate(size.bytes);
      if (block.data == nullptr) return false;
    }
    list.reserve(list.size() + 1);
    ++statistics.system_allocations;
    statistics.reserved += size.bytes;
    return true;
  }

  bool take_large(std::size_t requested, Block& block) {
    block.capacity = BestFitHeap::rounded(requested);
    for (block.segment = 0;; ++block.segment) {
      if (block.segment == segments.size()) {
        Segment fresh = dry_run ? Segment{nullptr, ~std::size_t{0} >> 1, {}, 0} : map_segment(block.capacity);
        if (!dry_run && fresh.base == nullptr) return false;
        segments.push_back(std::move(fresh));
      }
      Segment& segment = segments[block.segment];
      block.place = segment.heap.take(block.capacity, segment.bytes);
      if (block.place == BestFitHeap::kNone) continue;
      if (segment.heap.end() > segment.reached) {
        ++statistics.system_allocations;
        statistics.reserved += segment.heap.end() - segment.reached;
        segment.reached = segment.heap.end();
      }
      block.data = dry_run ? nullptr : segment.base + block.place;
      return true;
    }
  }

  static std::size_t class_bytes(int index) {
    if (index < kSmallClasses) return static_cast<std::size_t>(index + 1) * kAlignment;
    const int exponent = 12 + (index - kSmallClasses) / kClassesPerDoubling;
    const auto steps = static_cast<std::size_t>((index - kSmallClasses) % kClassesPerDoubling) + 1;
    const std::size_t base = std::size_t{1} << exponent;
    return base + steps * (base / kClassesPerDoubling);
  }

  [[noreturn]] void refuse(std::size_t requested) const {
    fail_world("memory: the system must be able to give a block of ", requested, " bytes; it refused with ",
               statistics.in_use, " bytes in use; use a smaller batch, context or model, or free memory");
  }
};

}  // namespace detail

namespace {

using detail::MemoryPool;

/// note: never destroyed, since tensors with static lifetime may be freed later than anything else.
const std::shared_ptr<MemoryPool>& real_pool() {
  static const auto* const pool = new std::shared_ptr<MemoryPool>(std::make_shared<MemoryPool>(false));
  return *pool;
}

thread_local std::shared_ptr<MemoryPool> dry_run_pool;

const std::shared_ptr<MemoryPool>& current_pool() { return dry_run_pool ? dry_run_pool : real_pool(); }

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes) {
  std::shared_ptr<Storage> storage(new Storage);
  const std::shared_ptr<MemoryPool>& pool = current_pool();
  const detail::Block block = pool->take(bytes);
  storage->data_ = block.data;
  storage->capacity_ = block.capacity;
  storage->segment_ = static_cast<uint32_t>(block.segment);
  storage->place_ = block.place;
  storage->pool_ = pool;
  storage->bytes_ = bytes;
  open_bytes(storage->data_, bytes);
  close_bytes(storage->data_ + (storage->data_ == nullptr ? 0 : bytes), storage->capacity_ - bytes);
  return storage;
}

std::shared_ptr<Storage> Storage::external(const void* data, std::size_t bytes,
                                           std::function<void()> release) {
  std::shared_ptr<Storage> storage(new Storage);
  // Never written: read_only_ refuses every mutable access.
  storage->data_ = const_cast<std::byte*>(static_cast<const std::byte*>(data));
  storage->bytes_ = bytes;
  storage->read_only_ = true;
  storage->release_ = std::move(release);
  return storage;
}

Storage::~Storage() {
  for (Derived& derived : derived_) derived.storage.reset();
  if (pool_) {
    close_bytes(data_, capacity_);
    pool_->give({data_, capacity_, segment_, place_});
  }
  if (release_) release_();
}

MemoryStatistics memory_statistics() {
  MemoryPool& pool = *real_pool();
  const std::scoped_lock lock(pool.mutex);
  return pool.statistics;
}

void reset_memory_peaks() {
  MemoryPool& pool = *current_pool();
  const std::scoped_lock lock(pool.mutex);
  pool.statistics.peak_in_use = pool.statistics.in_use;
  pool.statistics.peak_reserved = pool.statistics.reserved;
}

void release_free_memory() {
  MemoryPool& pool = *current_pool();
  const std::scoped_lock lock(pool.mutex);
  pool.release();
}

DryRunMemory::DryRunMemory() : pool_(std::make_shared<MemoryPool>(true)), previous_(dry_run_pool) {
  dry_run_pool = pool_;
}

DryRunMemory::~DryRunMemory() { dry_run_pool = previous_; }

bool DryRunMemory::active() { return dry_run_pool != nullptr; }

MemoryStatistics DryRunMemory::statistics() const {
  const std::scoped_lock lock(pool_->mutex);
  return pool_->statistics;
}

}  // namespace gradus
