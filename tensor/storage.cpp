#include "tensor/storage.hpp"

#include <array>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "tensor/error.hpp"

#ifndef GRADUS_NO_MIMALLOC
#include <mimalloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
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
constexpr std::size_t kSmall = 4096;                 // below: one class per multiple of 64
constexpr std::size_t kHuge = std::size_t{4} << 20;  // from here on: mapped directly, in huge pages
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

#if defined(__linux__)
/// Address space aligned to a huge page, so that the kernel can back it with huge pages; null if refused.
std::byte* map_huge(std::size_t bytes) {
  const std::size_t span = bytes + kHugePage;
  void* raw = mmap(nullptr, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* start = static_cast<std::byte*>(raw);
  const std::size_t skip = (kHugePage - reinterpret_cast<std::uintptr_t>(start) % kHugePage) % kHugePage;
  if (skip > 0) munmap(start, skip);
  munmap(start + skip + bytes, kHugePage - skip);
#ifdef MADV_HUGEPAGE
  madvise(start + skip, bytes,
          MADV_HUGEPAGE);  // advice: a kernel without huge pages refuses, and nothing is lost
#endif
  return start + skip;
}
#endif

std::byte* system_allocate(std::size_t bytes) {
#if defined(__linux__)
  if (bytes >= kHuge) return map_huge(bytes);
#endif
#ifndef GRADUS_NO_MIMALLOC
  return static_cast<std::byte*>(mi_malloc_aligned(bytes, kAlignment));
#else
  return static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes));
#endif
}

void system_free(std::byte* block, std::size_t bytes) {
#if defined(__linux__)
  if (bytes >= kHuge) {
    munmap(block, bytes);
    return;
  }
#endif
  (void)bytes;
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

/// Freed blocks by size class. A ghost pool runs the same steps with null blocks, so that its numbers are those of a
/// real run.
struct MemoryPool {
  explicit MemoryPool(bool is_ghost) : ghost(is_ghost) {}

  std::mutex mutex;
  std::array<std::vector<std::byte*>, kClasses> free;
  MemoryStatistics statistics;
  const bool ghost;

  std::byte* take(std::size_t requested, std::size_t& capacity) {
    const SizeClass size = requested <= kMaxBytes ? class_of(requested) : SizeClass{0, 0};
    const std::scoped_lock lock(mutex);
    if (requested > kMaxBytes) refuse(requested);
    std::byte* block = nullptr;
    auto& list = free[static_cast<std::size_t>(size.index)];
    if (!list.empty()) {
      block = list.back();
      list.pop_back();
    } else {
      if (!ghost) {
        block = system_allocate(size.bytes);
        if (block == nullptr) {
          release();
          block = system_allocate(size.bytes);
        }
        if (block == nullptr) refuse(requested);
      }
      list.reserve(list.size() + 1);
      ++statistics.system_allocations;
      statistics.reserved += size.bytes;
      statistics.peak_reserved = std::max(statistics.peak_reserved, statistics.reserved);
    }
    statistics.in_use += size.bytes;
    statistics.peak_in_use = std::max(statistics.peak_in_use, statistics.in_use);
    capacity = size.bytes;
    return block;
  }

  void give(std::byte* block, std::size_t capacity) {
    const SizeClass size = class_of(capacity);
    assert(size.bytes == capacity);
    const std::scoped_lock lock(mutex);
    free[static_cast<std::size_t>(size.index)].push_back(block);
    statistics.in_use -= capacity;
  }

  /// note: the mutex is held by the caller.
  void release() {
    for (std::size_t i = 0; i < free.size(); ++i) {
      const std::size_t bytes = class_bytes(static_cast<int>(i));
      for (std::byte* block : free[i]) {
        open_bytes(block, bytes);
        if (!ghost) system_free(block, bytes);
        statistics.reserved -= bytes;
      }
      free[i].clear();
    }
#ifndef GRADUS_NO_MIMALLOC
    if (!ghost) mi_collect(true);
#endif
  }

 private:
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

thread_local std::shared_ptr<MemoryPool> ghost_pool;

const std::shared_ptr<MemoryPool>& current_pool() { return ghost_pool ? ghost_pool : real_pool(); }

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes) {
  std::shared_ptr<Storage> storage(new Storage);
  const std::shared_ptr<MemoryPool>& pool = current_pool();
  storage->data_ = pool->take(bytes, storage->capacity_);
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
    pool_->give(data_, capacity_);
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

GhostMemory::GhostMemory() : pool_(std::make_shared<MemoryPool>(true)), previous_(ghost_pool) {
  ghost_pool = pool_;
}

GhostMemory::~GhostMemory() { ghost_pool = previous_; }

bool GhostMemory::active() { return ghost_pool != nullptr; }

MemoryStatistics GhostMemory::statistics() const {
  const std::scoped_lock lock(pool_->mutex);
  return pool_->statistics;
}

}  // namespace gradus
