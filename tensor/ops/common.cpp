#include "tensor/ops/common.hpp"

namespace gradus {

void check_ids(const char* op, const char* what, const Tensor& ids, int64_t limit, const char* advice) {
  const auto* values = ids.data<int32_t>();
  int64_t bad = -1;
  parallel_for(1, [&](int64_t) {  // where nothing runs (see DryRunMemory) there is nothing to read either
    for (int64_t n = 0; n < ids.numel() && bad < 0; ++n) {
      const int32_t id = load_element(values + n);
      if (id < 0 || id >= limit) bad = n;
    }
  });
  check(bad < 0, op, ": ", what, " must be in [0, ", limit - 1, "]; element ", bad, " of ", what, " ",
        ids.shape(), " is ", bad < 0 ? 0 : load_element(values + bad), "; ", advice);
}

void check_id_type(const char* op, const char* what, const Tensor& ids) {
  check(ids.dtype() == DType::i32, op, ": ", what, " must be i32; they are ", dtype_name(ids.dtype()),
        "; use cast()");
}

}  // namespace gradus
