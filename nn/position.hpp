#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/module.hpp"
#include "nn/rotary.hpp"

namespace gradus {

/// How a model knows the order of its tokens.
enum class PositionKind {
  none,        ///< not at all, but for the causal mask
  learned,     ///< a trained vector for each position is added to the embeddings (GPT-2)
  sinusoidal,  ///< a fixed vector of sines and cosines is added to the embeddings
  rotary,      ///< queries and keys are rotated by angles that grow with the position (Llama)
};

/// Whether there is a trained vector for each position.
constexpr bool has_table(PositionKind kind) {
  switch (kind) {
    case PositionKind::learned: return true;
    case PositionKind::none:
    case PositionKind::sinusoidal:
    case PositionKind::rotary: return false;
  }
  return false;
}

/// Fixed vectors for positions: y[t, 2i] = sin(t f_i), y[t, 2i+1] = cos(t f_i), f_i = base^(-2i/C).
/// shape: (positions, C).   ref: Vaswani et al. (2017), section 3.5. No gradient.
Tensor sinusoidal_table(int64_t positions, int64_t width, double base = 10000.0, DType dtype = DType::f32);

/// The sizes and choices of positions.
struct PositionOptions {
  PositionKind kind = PositionKind::none;
  int64_t positions = 0;  ///< most in a sequence
  int64_t width = 0;      ///< learned, sinusoidal: C
  int64_t first_row =
      0;  ///< learned: the row of the table that position 0 has; those before it are never read
  double base = 10000.0;     ///< of the angles of rotary and sinusoidal positions
  int64_t rotated = 0;       ///< rotary: channels of a head that turn, an even number
  RopeScaling scaling = {};  ///< rotary
  double local_base =
      0;  ///< rotary: the base in layers that are local, which have no scaling; 0: they are like the others
};

/// All kinds of positions behind one switch: a model asks for rows and for turns, and the kind decides which of them
/// there are.
class Position {
 public:
  Position() = default;
  Position(std::string path, const PositionOptions& options, DType dtype = DType::f32);

  PositionKind kind() const { return options_.kind; }

  /// learned, sinusoidal: y = table[positions], the rows that are added to the embeddings; else an empty handle.
  /// shape: positions (N) i32 -> (N,C).
  Tensor rows(const Tensor& positions) const;
  /// rotary: each head of each row turned by its position (see rotary()); else x itself.   shape: x (N, heads·D).
  Tensor rotate(const Tensor& x, const Tensor& positions, int64_t heads, bool local = false) const;
  /// rotary: the angle that each pair of channels turns by from one position to the next; else none.
  std::vector<double> frequencies(bool local = false) const;

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    if (kind() == PositionKind::learned) f(join_path(prefix, "weight"), weight);
  }

  Tensor weight;  ///< learned: (first_row + positions, C); else empty

 private:
  struct Angles;

  Tensor table_;                          // sinusoidal: (positions, C)
  std::shared_ptr<Angles> angles_;        // rotary
  std::shared_ptr<Angles> local_angles_;  // rotary, where local layers have angles of their own
  PositionOptions options_;
  std::string path_;
};

}  // namespace gradus
