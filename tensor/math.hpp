#pragma once

/// Elementary functions in double that give the same bits with every compiler, library and machine.
/// note: only + - * / and exact operations, never fused; used wherever a number reaches a tensor, a schedule or a sample
///       outside the kernels. The largest errors that tests see are stated in units of the last place (ULP).

namespace gradus::math {

/// e^x; 0 below -745.2, infinity above 709.79. error: 0.9 ULP
double exp(double x);
/// Natural logarithm; -infinity at 0, NaN below. error: 1.0 ULP
double log(double x);
/// Sine and cosine of radians, for every finite x; infinities give NaN. error: 0.8 ULP
double sin(double x);
double cos(double x);
/// Hyperbolic tangent. error: 1.4 ULP
double tanh(double x);
/// Error function. error: 1.8 ULP   ref: Abramowitz and Stegun 7.1.5 (series), 7.1.14 (continued fraction)
double erf(double x);
/// x^y = exp(y ln x) for x >= 0, with ln x in twice the precision; NaN below. error: 1.0 ULP
double pow(double x, double y);
/// Correctly rounded by IEEE 754 everywhere.
double sqrt(double x);

}  // namespace gradus::math
