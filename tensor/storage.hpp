#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace gradus {

namespace detail {
struct MemoryPool;
}

/// One reference-counted block of memory that tensors share.
/// note: blocks that the library owns are 64-byte aligned and come from a pool of freed blocks, so that a training step
///       asks the system for nothing once the pool has seen its sizes. External blocks may have any alignment.
class Storage {
 public:
  /// A block of at least `bytes` bytes with undefined contents.
  static std::shared_ptr<Storage> allocate(std::size_t bytes);

  /// Memory that somebody else owns, read-only; `release` runs when the last tensor over it is gone.
  static std::shared_ptr<Storage> external(const void* data, std::size_t bytes,
                                           std::function<void()> release);

  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();

  /// The first byte; null only where DryRunMemory counted the block.
  const std::byte* data() const { return data_; }
  std::byte* mutable_data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  bool read_only() const { return read_only_; }

  /// Counts the writes; a tensor saved for backward remembers it, and a packed copy is fresh while it is unchanged.
  uint64_t version() const { return version_; }
  void bump_version() { ++version_; }

  /// A derived form of the contents (for instance a matrix in panels) kept beside them, with the version that it shows.
  struct Derived {
    std::shared_ptr<Storage> storage;
    uint64_t version = 0;
    uint64_t key = 0;
  };
  static constexpr int kDerivedSlots = 2;
  Derived& derived(int slot) { return derived_[slot]; }

 private:
  Storage() = default;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t capacity_ = 0;
  std::size_t place_ = 0;  // of a large block; see tensor/storage.cpp
  uint32_t segment_ = 0;
  uint64_t version_ = 0;
  bool read_only_ = false;
  std::shared_ptr<detail::MemoryPool> pool_;  // where the block returns to; empty over external memory
  std::function<void()> release_;
  Derived derived_[kDerivedSlots];
};

/// What the pool holds and has held, in bytes.
struct MemoryStatistics {
  std::size_t in_use = 0;    // blocks that tensors hold
  std::size_t reserved = 0;  // in_use plus freed blocks kept for reuse
  std::size_t peak_in_use = 0;
  std::size_t peak_reserved = 0;
  uint64_t system_allocations = 0;  // times the pool had to ask the system
  uint64_t allocated = 0;           // all blocks ever given out, in bytes
};
/// note: a block counts with the size that it takes: a multiple of 64 up to 4 KiB, then eight classes per doubling, from
///       64 KiB on a multiple of 4 KiB. Holes between large blocks count as reserved.
MemoryStatistics memory_statistics();

/// Starts the peaks again from what is held now.
void reset_memory_peaks();

/// Gives the freed blocks of the pool back to the system.
void release_free_memory();

/// While it lives, this thread's allocations are counted but not backed by memory, and parallel_for runs nothing.
/// A whole training step can be walked through in this way to learn what it would hold, for models of any size.
/// note: statistics of the walk are its own and start from zero.
class DryRunMemory {
 public:
  DryRunMemory();
  ~DryRunMemory();
  DryRunMemory(const DryRunMemory&) = delete;
  DryRunMemory& operator=(const DryRunMemory&) = delete;
  static bool active();
  MemoryStatistics statistics() const;

 private:
  std::shared_ptr<detail::MemoryPool> pool_;
  std::shared_ptr<detail::MemoryPool> previous_;
};

}  // namespace gradus
