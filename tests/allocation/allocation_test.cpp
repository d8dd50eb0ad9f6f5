#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "models/training/trainer.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"
#include "tests/support/small_model.hpp"

// Between steps 3 and 20 a training takes no memory from the system.
//
// This program stands between the training and the system: its own malloc and relatives, operator new and mmap count and
// pass on to whatever comes next, which is mimalloc where that is linked, else the C library. What those take from the
// system without passing here, by brk or a call of their own, shows as a growth of the address space.
//
//   gradus_allocation_test            prints the counts, exits 1 if a promise is broken
//   gradus_allocation_test --sites    and where the small allocations come from

// ---- counting ----

namespace {

constexpr std::size_t kLarge = std::size_t{64} << 10;

struct Counts {
  std::atomic<int64_t> small{0};  // calls of malloc and relatives, operator new among them
  std::atomic<int64_t> small_bytes{0};
  std::atomic<int64_t> large{0};  // those of kLarge bytes and more
  std::atomic<int64_t> mapped{0};
};
Counts counts;
std::atomic<bool> counting{false};
bool with_sites = false;

struct Site {
  static constexpr int kFrames = 7;
  void* frames[kFrames] = {};
  int64_t calls = 0;
  int64_t bytes = 0;
};
constexpr int kMaxSites = 4096;
Site sites[kMaxSites];
int site_count = 0;
std::atomic_flag sites_lock = ATOMIC_FLAG_INIT;
thread_local bool inside = false;

void note_site(std::size_t bytes) {
  if (inside) return;
  inside = true;  // backtrace() may allocate
  void* frames[Site::kFrames + 3] = {};
  backtrace(frames, Site::kFrames + 3);
  void** callers = frames + 3;  // without note_site, count and malloc
  while (sites_lock.test_and_set()) {
  }
  int i = 0;
  while (i < site_count && std::memcmp(sites[i].frames, callers, sizeof sites[i].frames) != 0) ++i;
  if (i < kMaxSites) {
    if (i == site_count) {
      ++site_count;
      std::memcpy(sites[i].frames, callers, sizeof sites[i].frames);
    }
    ++sites[i].calls;
    sites[i].bytes += static_cast<int64_t>(bytes);
  }
  sites_lock.clear();
  inside = false;
}

__attribute__((noinline)) void count(std::size_t bytes) {
  if (!counting.load(std::memory_order_relaxed) || inside) return;
  if (bytes >= kLarge) {
    ++counts.large;
  } else {
    ++counts.small;
    counts.small_bytes += static_cast<int64_t>(bytes);
  }
  if (with_sites) note_site(bytes);
}

/// The next definition of a function after this program's. dlsym() itself allocates a little while nothing is known yet.
template <class Function>
Function* next_of(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

using Malloc = void*(std::size_t);
using Calloc = void*(std::size_t, std::size_t);
using Realloc = void*(void*, std::size_t);
using Free = void(void*);
using AlignedAlloc = void*(std::size_t, std::size_t);
using PosixMemalign = int(void**, std::size_t, std::size_t);
using Mmap = void*(void*, std::size_t, int, int, int, off_t);

Malloc* next_malloc;
Calloc* next_calloc;
Realloc* next_realloc;
Free* next_free;
AlignedAlloc* next_aligned_alloc;
PosixMemalign* next_posix_memalign;
Mmap* next_mmap;

alignas(64) char early[1 << 16];  // what is asked for while dlsym() runs; never given back
std::size_t early_used = 0;
bool is_early(const void* p) { return p >= early && p < early + sizeof early; }

bool ready() {
  static bool started = false;
  if (next_malloc != nullptr) return true;
  if (started) return false;
  started = true;
  next_calloc = next_of<Calloc>("calloc");
  next_realloc = next_of<Realloc>("realloc");
  next_free = next_of<Free>("free");
  next_aligned_alloc = next_of<AlignedAlloc>("aligned_alloc");
  next_posix_memalign = next_of<PosixMemalign>("posix_memalign");
  next_mmap = next_of<Mmap>("mmap");
  next_malloc = next_of<Malloc>("malloc");
  return true;
}

void* take_early(std::size_t bytes) {
  const std::size_t at = early_used;
  early_used += (bytes + 63) / 64 * 64;
  return early_used <= sizeof early ? early + at : nullptr;
}

}  // namespace

extern "C" {
void* malloc(std::size_t bytes) noexcept {
  if (!ready()) return take_early(bytes);
  count(bytes);
  return next_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  if (!ready()) return take_early(n * size);
  count(n * size);
  return next_calloc(n, size);
}
void* realloc(void* p, std::size_t bytes) noexcept {
  if (!ready()) return nullptr;
  count(bytes);
  if (!is_early(p)) return next_realloc(p, bytes);
  void* const copy = next_malloc(bytes);
  if (copy != nullptr)
    std::memcpy(copy, p,
                std::min(bytes, sizeof early - static_cast<std::size_t>(static_cast<char*>(p) - early)));
  return copy;
}
void free(void* p) noexcept {
  if (!is_early(p) && ready()) next_free(p);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  if (!ready()) return nullptr;
  count(bytes);
  return next_aligned_alloc(alignment, bytes);
}
int posix_memalign(void** p, std::size_t alignment, std::size_t bytes) noexcept {
  if (!ready()) return ENOMEM;
  count(bytes);
  return next_posix_memalign(p, alignment, bytes);
}
void* mmap(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  if (!ready()) return MAP_FAILED;
  if (counting) ++counts.mapped;
  return next_mmap(at, bytes, protection, flags, file, offset);
}
void* mmap64(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  return mmap(at, bytes, protection, flags, file, offset);
}
}

// The forms for arrays, sizes and no exceptions of the standard library call these.
void* operator new(std::size_t bytes) {
  void* const p = std::malloc(bytes);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  void* p = nullptr;
  if (posix_memalign(&p, static_cast<std::size_t>(alignment), bytes) != 0) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

// ---- a training ----

namespace gradus {
namespace {

/// Pages of the address space and of memory, without allocating.
struct Pages {
  long long space = 0, resident = 0;
};
Pages pages() {
  char text[128] = {};
  const int file = open("/proc/self/statm", O_RDONLY);
  if (file < 0 || read(file, text, sizeof text - 1) <= 0) std::abort();
  close(file);
  Pages result;
  std::sscanf(text, "%lld %lld", &result.space, &result.resident);
  return result;
}

void print_sites(int steps) {
  std::sort(sites, sites + site_count, [](const Site& a, const Site& b) { return a.calls > b.calls; });
  for (int i = 0; i < std::min(site_count, 25); ++i) {
    std::printf("  %.1f calls, %.0f bytes a step:\n", static_cast<double>(sites[i].calls) / steps,
                static_cast<double>(sites[i].bytes) / steps);
    for (void* frame : sites[i].frames) {
      Dl_info info;
      if (frame == nullptr || dladdr(frame, &info) == 0) continue;
      char* name = info.dli_sname == nullptr ? nullptr
                                             : abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, nullptr);
      std::printf("    %.150s\n", name != nullptr             ? name
                                  : info.dli_sname != nullptr ? info.dli_sname
                                                              : info.dli_fname);
      std::free(name);
    }
  }
}

/// Trains 20 steps and returns whether 3 to 20 took nothing from the system.
bool check_training(Arch arch, int threads) {
  constexpr int kFirst = 3, kLast = 20, kSteps = kLast - kFirst + 1;
  set_thread_count(threads);
  Config config = default_config(arch);
  config.vocab_size = 29;
  config.block_size = 64;
  config.n_layer = 3;
  config.n_head = 4;
  config.n_embd = 64;
  config.dropout = 0.1;
  Transformer model = testing::small_model(config.resolved());
  TrainingOptions options;
  options.batch_size = 8;
  options.grad_accum = 2;
  options.max_iters = kLast;
  options.warmup = 2;
  options.grad_clip = 0.5;
  std::string letters = "abcdefghijklmnopqrstuvwxyz .,";
  const Tokenizer tokenizer = Tokenizer::train_char(letters);
  const TrainingText text{{testing::some_ids(4000, 29), {}, 4000}, {}};
  Trainer trainer(model, options, tokenizer, text);

  for (int step = 1; step < kFirst; ++step) trainer.train_step();
  counts.small = counts.small_bytes = counts.large = counts.mapped = 0;
  site_count = 0;
  const MemoryStatistics pool_before = memory_statistics();
  const Pages before = pages();
  counting = true;
  for (int step = kFirst; step <= kLast; ++step) trainer.train_step();
  counting = false;
  const Pages after = pages();
  const MemoryStatistics pool_after = memory_statistics();

  const long long asked =
      static_cast<long long>(pool_after.system_allocations - pool_before.system_allocations);
  std::printf(
      "%s, %d thread(s), steps %d to %d: %lld calls of mmap, %lld blocks of 64 KiB and more, %lld requests "
      "of the tensor "
      "pool, %+lld pages of address space, %+lld resident; small blocks: %.1f a step, %.0f bytes\n",
      arch == Arch::gpt ? "gpt" : "llama", threads, kFirst, kLast,
      static_cast<long long>(counts.mapped.load()), static_cast<long long>(counts.large.load()), asked,
      after.space - before.space, after.resident - before.resident,
      static_cast<double>(counts.small.load()) / kSteps,
      static_cast<double>(counts.small_bytes.load()) / kSteps);
  if (with_sites) print_sites(kSteps);
  const bool kept = counts.mapped == 0 && counts.large == 0 && asked == 0 && after.space <= before.space;
  if (!kept) std::printf("FAILED: a training step took memory from the system\n");
  return kept;
}

/// Whether the counters see what they are there for.
bool check_counters() {
  counts.small = counts.large = counts.mapped = 0;
  counting = true;
  int* volatile number = new int(7);
  char* volatile block = static_cast<char*>(std::malloc(kLarge));
  void* const mapped = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  counting = false;
  munmap(mapped, 4096);
  std::free(block);
  delete number;
  const bool seen = counts.small == 1 && counts.large == 1 && counts.mapped >= 1;
  if (!seen) std::printf("FAILED: the counters saw nothing of a malloc, a new and a mmap\n");
  return seen;
}

}  // namespace
}  // namespace gradus

int main(int argc, char** argv) {
  with_sites = argc > 1 && std::string(argv[1]) == "--sites";
  void* frame[1];
  backtrace(frame, 1);  // loads what it needs
  bool kept = gradus::check_counters();
  for (const gradus::Arch arch : {gradus::Arch::gpt, gradus::Arch::llama}) {
    for (const int threads : {1, 2}) kept = gradus::check_training(arch, threads) && kept;
  }
  std::printf(kept ? "ok: no memory was taken from the system\n" : "");
  return kept ? 0 : 1;
}
