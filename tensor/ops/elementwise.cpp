#include <array>
#include <cmath>
#include <utility>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/math.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/ops/reduce.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

using kernels::Binary;
using kernels::Unary;

// ---- two operands ----

/// y = f(a, b) over the broadcast shape, without autodiff.
Tensor binary_forward(Binary kind, const char* op, const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty(broadcast_shape(a.shape(), b.shape(), op), a.dtype());
  const Loop<2> loop(y.shape(), {&a, &b});
  visit_floating(a.dtype(), op, [&]<class T>() {
    const auto kernel = kernels::table<T>().binary[static_cast<int>(kind)];
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* py = y.mutable_data<T>();
    loop.for_each_run([&](int64_t first, const std::array<int64_t, 2>& at, int64_t count) {
      kernel({.a = pa + at[0],
              .a_stride = loop.step(0),
              .b = pb + at[1],
              .b_stride = loop.step(1),
              .y = py + first,
              .n = count});
    });
  });
  return y;
}

void check_floating(const char* op, const Tensor& x) {
  check(is_floating(x.dtype()), op, ": element type must be f32 or f64; it is ", dtype_name(x.dtype()),
        "; use cast()");
}

void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  check_floating(op, a);
  check_same_dtype(op, a, b);
}

/// y[i] = choose(a[i], b[i]) over the shape of y, which is dense; the operands stretch to it.
template <class A, class B, class Y, class Choose>
void map_pairs(const Tensor& a, const Tensor& b, const Tensor& y, Choose&& choose) {
  const Loop<2> loop(y.shape(), {&a, &b});
  const A* pa = a.data<A>();
  const B* pb = b.data<B>();
  Y* py = y.mutable_data<Y>();
  loop.for_each_run([&](int64_t first, const std::array<int64_t, 2>& at, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      py[first + i] =
          choose(load_element(pa + at[0] + i * loop.step(0)), load_element(pb + at[1] + i * loop.step(1)));
    }
  });
}

/// dy where mask equals `side`, else 0; mask broadcasts to dy's shape.
Tensor masked(const Tensor& mask, int32_t side, const Tensor& dy) {
  Tensor y = Tensor::empty(dy.shape(), dy.dtype());
  visit_floating(dy.dtype(), "where", [&]<class T>() {
    map_pairs<int32_t, T, T>(mask, dy, y,
                             [side](int32_t m, T value) { return (m != 0) == (side != 0) ? value : T(0); });
  });
  return y;
}

/// Maximum and minimum: dy goes to the operand that `first_wins` names where both are compared.
template <class Compare>
Tensor record_choice(const char* op, Tensor y, const Tensor& a, const Tensor& b, Compare first_wins) {
  if (!will_record({&a, &b})) return y;
  return record(op, std::move(y), {a, b},
                [op, sa = Saved(op, a), sb = Saved(op, b), first_wins](Backward& g) {
                  const Tensor saved_a = sa.get();
                  const Tensor saved_b = sb.get();
                  const Tensor mask = Tensor::empty(g.dy().shape(), DType::i32);
                  visit_floating(saved_a.dtype(), op, [&]<class T>() {
                    map_pairs<T, T, int32_t>(saved_a, saved_b, mask,
                                             [&](T x, T z) { return first_wins(x, z) ? 1 : 0; });
                  });
                  if (g.needs(0)) add_summed(g, 0, masked(mask, 1, g.dy()), saved_a.shape());
                  if (g.needs(1)) add_summed(g, 1, masked(mask, 0, g.dy()), saved_b.shape());
                });
}

template <class Compare>
Tensor compare(const char* op, const Tensor& a, const Tensor& b, Compare holds) {
  check_same_dtype(op, a, b);
  Tensor y = Tensor::empty(broadcast_shape(a.shape(), b.shape(), op), DType::i32);
  const auto run = [&]<class T>() {
    map_pairs<T, T, int32_t>(a, b, y, [&](T x, T z) { return holds(x, z) ? 1 : 0; });
  };
  if (a.dtype() == DType::i32) {
    run.template operator()<int32_t>();
  } else {
    check(is_floating(a.dtype()), op, ": element type must be f32, f64 or i32; it is ", dtype_name(a.dtype()),
          "; use cast()");
    visit_floating(a.dtype(), op, run);
  }
  return no_grad(op, y);
}

/// What changes no number when it is added: +0 would make +0 of -0.
constexpr double kNoOffset = -0.0;

/// y = scale · x + offset, without autodiff.
Tensor affine_forward(const char* op, const Tensor& x, double scale, double offset) {
  const Tensor dense = x.to_contiguous();
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), op, [&]<class T>() {
    const auto kernel = kernels::table<T>().affine;
    const T* px = dense.data<T>();
    T* py = y.mutable_data<T>();
    parallel_ranges(y.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
      kernel({.x = px + begin,
              .y = py + begin,
              .n = end - begin,
              .scale = static_cast<T>(scale),
              .offset = static_cast<T>(offset)});
    });
  });
  return y;
}

/// A scalar that an op of x takes for its other operand.
Tensor number(const char* op, double value, const Tensor& x) {
  check_floating(op, x);
  return Tensor::full({}, value, x.dtype());
}

/// x^exponent, x below 0 too, where the exponent is a whole number; one rounding from double.
double power(double x, double exponent) {
  const bool negative = std::signbit(x) && std::trunc(exponent) == exponent;
  const double size = math::pow(negative ? -x : x, exponent);
  return negative && std::fmod(exponent, 2) != 0 ? -size : size;
}

Tensor powers(const Tensor& x, double exponent) {
  const Tensor dense = x.to_contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), "pow", [&]<class T>() {
    const T* px = dense.data<T>();
    T* py = y.mutable_data<T>();
    parallel_ranges(y.numel(), kElementwiseGrain / 32, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) py[i] = static_cast<T>(power(load_element(px + i), exponent));
    });
  });
  return y;
}

// ---- one operand ----

/// y = f(x) of a dense x, without autodiff.
Tensor unary_forward(Unary kind, const char* op, const Tensor& x) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), op, [&]<class T>() {
    const auto kernel = kernels::table<T>().unary[static_cast<int>(kind)];
    const T* px = x.data<T>();
    T* py = y.mutable_data<T>();
    parallel_ranges(y.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
      kernel({.x = px + begin, .y = py + begin, .n = end - begin});
    });
  });
  return y;
}

Tensor negated(const Tensor& x) { return unary_forward(Unary::neg, "neg", x); }

/// Which of its two sides a derivative is written with, so that only that one is kept.
enum class Keeps { nothing, x, y };

Tensor unary(Unary kind, const char* op, const Tensor& x, Keeps keeps) {
  const Tensor dense = x.to_contiguous();
  Tensor y = unary_forward(kind, op, dense);
  if (!will_record({&x})) return y;
  Saved saved;
  switch (keeps) {
    case Keeps::nothing: break;
    case Keeps::x: saved = Saved(op, dense); break;
    case Keeps::y: saved = Saved(op, y); break;
  }
  return record(op, std::move(y), {x}, [kind, op, keeps, saved](Backward& g) {
    if (!g.needs(0)) return;
    const Tensor kept = saved.get();
    Tensor dx = Tensor::empty(g.dy().shape(), g.dy().dtype());
    visit_floating(dx.dtype(), op, [&]<class T>() {
      const auto kernel = kernels::table<T>().unary_grad[static_cast<int>(kind)];
      const T* px = nullptr;
      const T* py = nullptr;
      if (keeps == Keeps::x) px = kept.data<T>();
      if (keeps == Keeps::y) py = kept.data<T>();
      const T* pdy = g.dy().data<T>();
      T* pdx = dx.mutable_data<T>();
      parallel_ranges(dx.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
        kernel({.x = px ? px + begin : nullptr,
                .y = py ? py + begin : nullptr,
                .dy = pdy + begin,
                .dx = pdx + begin,
                .n = end - begin});
      });
    });
    g.add(0, dx);
  });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  check_operands("add", a, b);
  Tensor y = binary_forward(Binary::add, "add", a, b);
  return record("add", std::move(y), {a, b}, [shape_a = a.shape(), shape_b = b.shape()](Backward& g) {
    if (g.needs(0)) add_summed(g, 0, g.dy(), shape_a);
    if (g.needs(1)) add_summed(g, 1, g.dy(), shape_b);
  });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  check_operands("sub", a, b);
  Tensor y = binary_forward(Binary::sub, "sub", a, b);
  return record("sub", std::move(y), {a, b}, [shape_a = a.shape(), shape_b = b.shape()](Backward& g) {
    if (g.needs(0)) add_summed(g, 0, g.dy(), shape_a);
    if (g.needs(1)) add_summed(g, 1, negated(g.dy()), shape_b);
  });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  check_operands("mul", a, b);
  Tensor y = binary_forward(Binary::mul, "mul", a, b);
  if (!will_record({&a, &b})) return y;
  return record("mul", std::move(y), {a, b}, [sa = Saved("mul", a), sb = Saved("mul", b)](Backward& g) {
    const Tensor saved_a = sa.get();
    const Tensor saved_b = sb.get();
    if (g.needs(0)) add_summed(g, 0, binary_forward(Binary::mul, "mul", g.dy(), saved_b), saved_a.shape());
    if (g.needs(1)) add_summed(g, 1, binary_forward(Binary::mul, "mul", g.dy(), saved_a), saved_b.shape());
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  check_operands("div", a, b);
  Tensor y = binary_forward(Binary::div, "div", a, b);
  if (!will_record({&a, &b})) return y;
  const Saved saved_y("div", y);
  return record("div", std::move(y), {a, b},
                [shape_a = a.shape(), sb = Saved("div", b), saved_y](Backward& g) {
                  const Tensor b_kept = sb.get();
                  const Tensor da = binary_forward(Binary::div, "div", g.dy(), b_kept);
                  if (g.needs(1)) {
                    const Tensor db = negated(binary_forward(Binary::mul, "div", da, saved_y.get()));
                    add_summed(g, 1, db, b_kept.shape());
                  }
                  if (g.needs(0)) add_summed(g, 0, da, shape_a);
                });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  check_operands("maximum", a, b);
  return record_choice("maximum", binary_forward(Binary::maximum, "maximum", a, b), a, b,
                       [](auto x, auto z) { return x >= z; });
}

Tensor minimum(const Tensor& a, const Tensor& b) {
  check_operands("minimum", a, b);
  return record_choice("minimum", binary_forward(Binary::minimum, "minimum", a, b), a, b,
                       [](auto x, auto z) { return x <= z; });
}

Tensor add(const Tensor& x, double value) {
  Tensor y = affine_forward("add", x, 1, value);
  return record("add", std::move(y), {x}, [](Backward& g) { g.add(0, g.dy()); });
}

Tensor sub(const Tensor& x, double value) {
  Tensor y = affine_forward("sub", x, 1, -value);
  return record("sub", std::move(y), {x}, [](Backward& g) { g.add(0, g.dy()); });
}

Tensor sub(double value, const Tensor& x) {
  Tensor y = affine_forward("sub", x, -1, value);
  return record("sub", std::move(y), {x}, [](Backward& g) { g.add(0, negated(g.dy())); });
}

Tensor mul(const Tensor& x, double value) {
  Tensor y = affine_forward("mul", x, value, kNoOffset);
  return record("mul", std::move(y), {x}, [value](Backward& g) {
    if (g.needs(0)) g.add(0, affine_forward("mul", g.dy(), value, kNoOffset));
  });
}

Tensor div(const Tensor& x, double value) {
  const Tensor divisor = number("div", value, x);
  Tensor y = binary_forward(Binary::div, "div", x, divisor);
  return record("div", std::move(y), {x},
                [divisor](Backward& g) { g.add(0, binary_forward(Binary::div, "div", g.dy(), divisor)); });
}

Tensor div(double value, const Tensor& x) { return div(number("div", value, x), x); }

Tensor pow(const Tensor& x, double exponent) {
  check_floating("pow", x);
  check(std::isfinite(exponent), "pow: the exponent must be finite; it is ", exponent, "; give a number");
  if (exponent == -1) return div(1.0, x);
  if (exponent == 0.5) return sqrt(x);
  if (exponent == 1) return x;
  if (exponent == 2) return square(x);
  Tensor y = powers(x, exponent);
  if (!will_record({&x})) return y;
  return record("pow", std::move(y), {x}, [exponent, saved = Saved("pow", x)](Backward& g) {
    const Tensor slope = exponent == 0
                             ? Tensor::zeros(g.dy().shape(), g.dy().dtype())
                             : affine_forward("pow", powers(saved.get(), exponent - 1), exponent, kNoOffset);
    g.add(0, binary_forward(Binary::mul, "pow", g.dy(), slope));
  });
}

Tensor clamp(const Tensor& x, double low, double high) {
  check(low <= high, "clamp: low must not be above high; they are ", low, " and ", high, "; swap them");
  return minimum(maximum(x, number("clamp", low, x)), number("clamp", high, x));
}

Tensor equal(const Tensor& a, const Tensor& b) {
  return compare("equal", a, b, [](auto x, auto z) { return x == z; });
}
Tensor less(const Tensor& a, const Tensor& b) {
  return compare("less", a, b, [](auto x, auto z) { return x < z; });
}
Tensor greater(const Tensor& a, const Tensor& b) {
  return compare("greater", a, b, [](auto x, auto z) { return x > z; });
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check(condition.dtype() == DType::i32, "where: condition must be i32; it is ",
        dtype_name(condition.dtype()), "; compare with equal(), less() or greater(), or use cast()");
  check_operands("where", a, b);
  const Shape shape =
      broadcast_shape(condition.shape(), broadcast_shape(a.shape(), b.shape(), "where"), "where");
  Tensor y = Tensor::empty(shape, a.dtype());
  const Loop<3> loop(shape, {&condition, &a, &b});
  visit_floating(a.dtype(), "where", [&]<class T>() {
    const auto* pc = condition.data<int32_t>();
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* py = y.mutable_data<T>();
    loop.for_each_run([&](int64_t first, const std::array<int64_t, 3>& at, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        const bool chosen = load_element(pc + at[0] + i * loop.step(0)) != 0;
        const T value_a = load_element(pa + at[1] + i * loop.step(1));
        const T value_b = load_element(pb + at[2] + i * loop.step(2));
        py[first + i] = chosen ? value_a : value_b;
      }
    });
  });
  if (!will_record({&a, &b})) return y;
  return record("where", std::move(y), {a, b},
                [saved = Saved("where", condition), shape_a = a.shape(), shape_b = b.shape()](Backward& g) {
                  const Tensor mask = saved.get();
                  if (g.needs(0)) add_summed(g, 0, masked(mask, 1, g.dy()), shape_a);
                  if (g.needs(1)) add_summed(g, 1, masked(mask, 0, g.dy()), shape_b);
                });
}

// The derivatives stand beside the values in tensor/kernels/elementwise.hpp.
Tensor neg(const Tensor& x) { return unary(Unary::neg, "neg", x, Keeps::nothing); }
Tensor abs(const Tensor& x) { return unary(Unary::abs, "abs", x, Keeps::x); }
Tensor square(const Tensor& x) { return unary(Unary::square, "square", x, Keeps::x); }
Tensor sqrt(const Tensor& x) { return unary(Unary::sqrt, "sqrt", x, Keeps::y); }
Tensor rsqrt(const Tensor& x) { return unary(Unary::rsqrt, "rsqrt", x, Keeps::y); }
Tensor exp(const Tensor& x) { return unary(Unary::exp, "exp", x, Keeps::y); }
Tensor log(const Tensor& x) { return unary(Unary::log, "log", x, Keeps::x); }
Tensor sin(const Tensor& x) { return unary(Unary::sin, "sin", x, Keeps::x); }
Tensor cos(const Tensor& x) { return unary(Unary::cos, "cos", x, Keeps::x); }
Tensor tanh(const Tensor& x) { return unary(Unary::tanh, "tanh", x, Keeps::y); }
Tensor erf(const Tensor& x) { return unary(Unary::erf, "erf", x, Keeps::x); }
Tensor sigmoid(const Tensor& x) { return unary(Unary::sigmoid, "sigmoid", x, Keeps::y); }
Tensor relu(const Tensor& x) { return unary(Unary::relu, "relu", x, Keeps::x); }
Tensor relu_squared(const Tensor& x) { return unary(Unary::relu_squared, "relu_squared", x, Keeps::x); }
Tensor gelu(const Tensor& x) { return unary(Unary::gelu, "gelu", x, Keeps::x); }
Tensor gelu_tanh(const Tensor& x) { return unary(Unary::gelu_tanh, "gelu_tanh", x, Keeps::x); }
Tensor silu(const Tensor& x) { return unary(Unary::silu, "silu", x, Keeps::x); }

namespace {

Tensor dense_swiglu(const Tensor& gate, const Tensor& up) {
  const Tensor y = Tensor::empty(gate.shape(), gate.dtype());
  visit_floating(gate.dtype(), "swiglu", [&]<class T>() {
    const auto kernel = kernels::table<T>().swiglu;
    const T* pg = gate.data<T>();
    const T* pu = up.data<T>();
    T* py = y.mutable_data<T>();
    parallel_ranges(y.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
      kernel({.gate = pg + begin, .up = pu + begin, .y = py + begin, .n = end - begin});
    });
  });
  return y;
}

}  // namespace

Tensor swiglu(const Tensor& gate, const Tensor& up) {
  check_operands("swiglu", gate, up);
  check(gate.shape() == up.shape(), "swiglu: gate and up must have the same shape; gate is ", gate.shape(),
        ", up is ", up.shape(), "; use reshape() or broadcast_to()");
  const Tensor dense_gate = gate.to_contiguous();
  const Tensor dense_up = up.to_contiguous();
  const Tensor y = dense_swiglu(dense_gate, dense_up);
  if (!will_record({&gate, &up})) return y;
  const Saved sg("swiglu", dense_gate);
  const Saved su("swiglu", dense_up);
  const Tensor result = record("swiglu", y, {gate, up}, [sg, su](Backward& g) {
    const Tensor kept_gate = sg.get();
    const Tensor kept_up = su.get();
    Tensor dgate = Tensor::empty(kept_gate.shape(), kept_gate.dtype());
    Tensor dup = Tensor::empty(kept_gate.shape(), kept_gate.dtype());
    visit_floating(kept_gate.dtype(), "swiglu", [&]<class T>() {
      const auto kernel = kernels::table<T>().swiglu_grad;
      const T* pg = kept_gate.data<T>();
      const T* pu = kept_up.data<T>();
      const T* pdy = g.dy().data<T>();
      T* pdg = dgate.mutable_data<T>();
      T* pdu = dup.mutable_data<T>();
      parallel_ranges(dup.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
        kernel({.gate = pg + begin,
                .up = pu + begin,
                .dy = pdy + begin,
                .dgate = pdg + begin,
                .dup = pdu + begin,
                .n = end - begin});
      });
    });
    g.add(0, dgate);
    g.add(1, dup);
  });
  return recomputable(result, [sg, su] { return dense_swiglu(sg.get(), su.get()); });
}

}  // namespace gradus
