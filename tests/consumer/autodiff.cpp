// Two small layers learn the exclusive or.
#include <gradus/nn/init.hpp>
#include <gradus/tensor/ops.hpp>

#include <iostream>

int main() {
  using namespace gradus;
  const Tensor x = Tensor::from({{0, 0}, {0, 1}, {1, 0}, {1, 1}});
  const Tensor target = Tensor::from({{0}, {1}, {1}, {0}});
  const Tensor w1 = xavier_uniform({8, 2}, 1, "w1").set_requires_grad();
  const Tensor w2 = xavier_uniform({1, 8}, 1, "w2").set_requires_grad();
  const auto model = [&] { return linear(tanh(linear(x, w1)), w2); };
  for (int step = 0; step < 1000; ++step) {
    mean(square(model() - target)).backward();
    for (const Tensor& w : {w1, w2}) {
      w.copy_from(w.detach() - 0.3 * w.grad());
      w.clear_grad();
    }
  }
  std::cout << cast(model() + 0.5, DType::i32) << "\n";
}
