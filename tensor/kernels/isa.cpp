// Compiled once per instruction set, with GRADUS_KERNEL_ISA naming it and the flags that go with it; fills one table.
// The only symbols that leave the object file are the functions at the end.

#include "tensor/kernels/attention.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/gemm.hpp"
#include "tensor/kernels/gemm_few.hpp"
#include "tensor/kernels/norm.hpp"
#include "tensor/kernels/optim.hpp"
#include "tensor/kernels/panels.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/kernels/rope.hpp"
#include "tensor/kernels/softmax.hpp"
#include "tensor/kernels/word_vectors.hpp"

#define GRADUS_STRING_INNER(x) #x
#define GRADUS_STRING(x) GRADUS_STRING_INNER(x)

namespace gradus::kernels {
namespace {

template <class T>
void fill(Table<T>& table) {
  table.name = GRADUS_STRING(GRADUS_KERNEL_ISA);
  fill_panels(table);
  fill_gemm(table);
  fill_gemm_few(table);
  fill_elementwise(table);
  fill_reduce(table);
  fill_softmax(table);
  fill_norm(table);
  fill_rope(table);
  fill_attention(table);
  fill_optim(table);
  fill_word_vectors(table);
}

}  // namespace
}  // namespace gradus::kernels

extern "C" void GRADUS_JOIN(gradus_kernels_, GRADUS_KERNEL_ISA)(gradus::kernels::Table<float>* table) {
  gradus::kernels::fill(*table);
}

#if GRADUS_ISA_ID == GRADUS_ISA_ID_scalar
// Gradient checks run in double, on plain C++ alone.
extern "C" void gradus_kernels_scalar_f64(gradus::kernels::Table<double>* table) {
  gradus::kernels::fill(*table);
}
#endif
