#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "tensor/kernels/kernels.hpp"

namespace gradus::testing {

/// While it lives, every kernel in f32 is called through a thunk that counts the calls of its entry of the table.
class CountingTable {
  using Table = kernels::Table<float>;

 public:
  CountingTable() : table_(kernels::table<float>()) {
    Table::Entries<Wrapped>::wrap(*this);
    replaced_ = &kernels::replace_table(table_);
  }
  ~CountingTable() { kernels::replace_table(*replaced_); }
  CountingTable(const CountingTable&) = delete;
  CountingTable& operator=(const CountingTable&) = delete;

  /// Entries of the table, each of an array for itself.
  static constexpr std::size_t kEntries = (sizeof(Table) - offsetof(Table, gemm)) / sizeof(void (*)());
  /// Whether entry `i`, counted in the order of the table, is one of Table::Entries.
  bool counts(std::size_t i) const { return calls_[i] != nullptr; }
  int64_t calls(std::size_t i) const { return calls_[i]->load(); }

 private:
  template <auto Entry, std::size_t I, class Function>
  struct Thunk;
  template <auto Entry, std::size_t I, class Result, class Args>
  struct Thunk<Entry, I, Result (*)(const Args&)> {
    static inline Result (*real)(const Args&) = nullptr;
    static inline std::atomic<int64_t> calls{0};
    static Result call(const Args& args) {
      ++calls;
      return real(args);
    }
  };

  template <auto... Entries>
  struct Wrapped {
    static void wrap(CountingTable& counting) {
      (counting.wrap_entry<Entries>(counting.table_.*Entries), ...);
    }
  };
  template <auto Entry, class Member>
  void wrap_entry(Member& member) {
    if constexpr (std::is_array_v<Member>) {
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        (wrap_function<Thunk<Entry, I, std::remove_extent_t<Member>>>(member[I]), ...);
      }
      (std::make_index_sequence<std::extent_v<Member>>());
    } else {
      wrap_function<Thunk<Entry, 0, Member>>(member);
    }
  }
  template <class Counted, class Function>
  void wrap_function(Function& function) {
    Counted::real = function;
    Counted::calls = 0;
    const auto* const first = reinterpret_cast<const char*>(&table_.gemm);
    const std::ptrdiff_t offset = reinterpret_cast<const char*>(&function) - first;
    calls_[static_cast<std::size_t>(offset) / sizeof(void (*)())] = &Counted::calls;
    function = Counted::call;
  }

  Table table_;
  const Table* replaced_;
  std::array<const std::atomic<int64_t>*, kEntries> calls_{};
};

}  // namespace gradus::testing
