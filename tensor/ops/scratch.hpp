#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "tensor/parallel.hpp"
#include "tensor/tensor.hpp"

namespace gradus::detail {

/// Working memory for the chunks of one parallel_for: as many blocks as threads can be inside it at once, lent out chunk
/// by chunk. Contents are undefined at the start of each loan, so who had a block before cannot show in a result.
template <class T>
class ScratchPool {
 public:
  ScratchPool(int64_t chunks, int64_t size)
      : size_(size),
        count_(std::min<int64_t>(chunks, thread_count())),
        blocks_(Tensor::empty({count_, size}, dtype_of<T>::value)),
        data_(blocks_.mutable_data<T>()),
        taken_(static_cast<std::size_t>(count_)) {}

  class Loan {
   public:
    explicit Loan(ScratchPool& pool) : pool_(pool) {
      while (pool_.taken_[slot_].exchange(true, std::memory_order_acquire)) {
        slot_ = (slot_ + 1) % pool_.taken_.size();
      }
    }
    ~Loan() { pool_.taken_[slot_].store(false, std::memory_order_release); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    T* data() const { return pool_.data_ + static_cast<int64_t>(slot_) * pool_.size_; }

   private:
    ScratchPool& pool_;
    std::size_t slot_ = 0;
  };

 private:
  int64_t size_;
  int64_t count_;
  Tensor blocks_;
  T* data_;
  std::vector<std::atomic<bool>> taken_;
};

}  // namespace gradus::detail
