// A program that knows only the installed package: a matrix product, its sum, and the gradient.
#include <gradus/tensor/ops.hpp>
#include <gradus/tensor/tensor.hpp>

#include <cstdio>
#include <vector>

int main() {
  const std::vector<float> values = {1, 2, 3, 4};
  gradus::Tensor a = gradus::Tensor::from(std::span<const float>(values), {2, 2});
  gradus::Tensor b = gradus::Tensor::from(std::span<const float>(values), {2, 2});
  a.set_requires_grad();
  // The sum of all elements of a·b is 54; its gradient with respect to a is the row sums of b in each row.
  const gradus::Tensor y = gradus::sum(gradus::matmul(a, b));
  y.backward();
  const std::vector<float> da = a.grad().to_vector<float>();
  std::printf("y %g, da %g %g %g %g\n", y.item(), da[0], da[1], da[2], da[3]);
  return 0;
}
