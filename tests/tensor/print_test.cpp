#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

#include "tensor/ops.hpp"
#include "tensor/tensor.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"

/// Tensors as text. The layouts are those of NumPy.

namespace gradus::testing {
namespace {

/// The text below its first line.
std::string body(const Tensor& x) {
  const std::string text = to_string(x);
  return text.substr(text.find('\n') + 1);
}

TEST_CASE("a tensor prints its type, its shape and its values in aligned columns") {
  std::ostringstream out;
  out << Tensor::from({{1, 2.5, -3}, {4, 5, 6}});
  CHECK(out.str() == "f32 (2, 3)\n[[ 1.   2.5 -3. ]\n [ 4.   5.   6. ]]");
  CHECK(to_string(Tensor::from({{7, -12}, {100, 3}}, DType::i32)) == "i32 (2, 2)\n[[  7 -12]\n [100   3]]");
  CHECK(to_string(reshape(Tensor::arange(12), {2, 3, 2})) ==
        "i32 (2, 3, 2)\n[[[ 0  1]\n  [ 2  3]\n  [ 4  5]]\n\n [[ 6  7]\n  [ 8  9]\n  [10 11]]]");
}

TEST_CASE("printing has a form for scalars, nothing, and an empty handle") {
  CHECK(to_string(Tensor::from(3.5)) == "f32 ()\n3.5");
  CHECK(to_string(Tensor::full({}, -2, DType::i32)) == "i32 ()\n-2");
  CHECK(to_string(Tensor::zeros({2, 0})) == "f32 (2, 0)\n[]");
  CHECK(to_string(Tensor::zeros({0, 5000}, DType::f64)) == "f64 (0, 5000)\n[]");
  CHECK(to_string(Tensor()) == "an empty handle");
}

TEST_CASE(
    "a number prints the fewest digits that tell it apart in its own type, eight after the point at most") {
  CHECK(body(Tensor::from({0.1, 1.0 / 3, 1e-3})) == "[0.1        0.33333334 0.001     ]");
  CHECK(body(Tensor::from({0.1, 1.0 / 3, 1e-3}, DType::f64)) == "[0.1        0.33333333 0.001     ]");
  CHECK(body(Tensor::from({-0.0, 16777216})) == "[      -0. 16777216.]");
  const Tensor tenth = Tensor::from({0.1, -1.0 / 3, 1024});
  CHECK(body(cast(tenth, DType::bf16)) == "[ 1.001e-01 -3.340e-01  1.024e+03]");
  CHECK(body(cast(slice(tenth, 0, 0, 2), DType::bf16)) == "[ 0.1001 -0.334 ]");
  CHECK(body(cast(slice(tenth, 0, 0, 2), DType::f16)) == "[ 0.099976 -0.33325 ]");
}

TEST_CASE("numbers of very different sizes print as powers of ten") {
  CHECK(body(Tensor::from({1e-5, 1, 3e10})) == "[1.e-05 1.e+00 3.e+10]");
  CHECK(body(Tensor::from({1e-5, 1.25, -3e10})) == "[ 1.00e-05  1.25e+00 -3.00e+10]");
  CHECK(body(Tensor::from({1, 1000})) == "[   1. 1000.]");
  CHECK(body(Tensor::from({1, 1001})) == "[1.000e+00 1.001e+03]");
  CHECK(body(Tensor::from({5e-324, 1e308}, DType::f64)) == "[5.e-324 1.e+308]");
}

TEST_CASE("not a number and infinities print beside numbers and alone") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(body(Tensor::from({nan, INFINITY, -1.5})) == "[ nan  inf -1.5]");
  CHECK(body(Tensor::from({nan, -INFINITY})) == "[ nan -inf]");
  CHECK(body(Tensor::from({nan, 1e-9})) == "[   nan 1.e-09]");
}

TEST_CASE("of more than a thousand elements the first and last three along each axis are printed") {
  CHECK(to_string(Tensor::arange(2000)) == "i32 (2000)\n[   0    1    2 ... 1997 1998 1999]");
  CHECK(body(Tensor::arange(1000)).find("...") == std::string::npos);
  CHECK(body(counting({100, 300})) ==
        "[[0.0000e+00 1.0000e+00 2.0000e+00 ... 2.9700e+02 2.9800e+02 2.9900e+02]\n"
        " [3.0000e+02 3.0100e+02 3.0200e+02 ... 5.9700e+02 5.9800e+02 5.9900e+02]\n"
        " [6.0000e+02 6.0100e+02 6.0200e+02 ... 8.9700e+02 8.9800e+02 8.9900e+02]\n"
        " ...\n"
        " [2.9100e+04 2.9101e+04 2.9102e+04 ... 2.9397e+04 2.9398e+04 2.9399e+04]\n"
        " [2.9400e+04 2.9401e+04 2.9402e+04 ... 2.9697e+04 2.9698e+04 2.9699e+04]\n"
        " [2.9700e+04 2.9701e+04 2.9702e+04 ... 2.9997e+04 2.9998e+04 2.9999e+04]]");
  // An axis of six has no middle; between matrices stands an empty line, so too before the dots.
  CHECK(body(reshape(Tensor::arange(1001 * 6), {1001, 1, 6}))
            .starts_with("[[[   0    1    2    3    4    5]]\n\n"));
  CHECK(body(reshape(Tensor::arange(7 * 150), {7, 150, 1})).find("\n\n ...\n\n ") != std::string::npos);
}

TEST_CASE("long rows are wrapped at 75 characters") {
  CHECK(body(div(counting({16}), 3)) ==
        "[0.         0.33333334 0.6666667  1.         1.3333334  1.6666666\n"
        " 2.         2.3333333  2.6666667  3.         3.3333333  3.6666667\n"
        " 4.         4.3333335  4.6666665  5.        ]");
}

TEST_CASE("a strided view prints what it shows") {
  CHECK(body(transpose(Tensor::from({{1, 2, 3}, {4, 5, 6}}))) == "[[1. 4.]\n [2. 5.]\n [3. 6.]]");
  CHECK(body(broadcast_to(Tensor::from({{1}, {2}}), {2, 3})) == "[[1. 1. 1.]\n [2. 2. 2.]]");
  CHECK(body(select(Tensor::from({{1, 2, 3}, {4, 5, 6}}), 1, -1)) == "[3. 6.]");
}

}  // namespace
}  // namespace gradus::testing
