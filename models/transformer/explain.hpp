#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/transformer/transformer.hpp"

namespace gradus {

/// A part of a token's row beside the row itself.
struct PartOfRow {
  std::string name;   ///< as Transformer::input_parts() has it
  double norm = 0;    ///< its length, √Σ x²
  double cosine = 0;  ///< to the sum of all parts
};

/// What a token's row of layer_0 is made of.
struct RowParts {
  std::vector<PartOfRow> parts;
  double sum_norm = 0;      ///< of the sum of the parts
  double layer_0_norm = 0;  ///< of what enters the first block: the same, unless the model normalises the sum
};

/// What the row of each token of a text is made of where it enters the first block: a part for the token, one for its segment
/// and one for its position, as far as the model has them.
/// note: norms and cosines are taken in f64 of the rows that the model adds; a cosine with a row of zeros is 0.
std::vector<RowParts> explain_rows(const Transformer& model, std::span<const int32_t> ids);

/// Which query and key are compared.
struct RotationOptions {
  int64_t layer = 1;  ///< the block that layer_l leaves, from 1
  int64_t head = 0;
  int64_t query = 0;  ///< the token that looks, by its place in the text
  int64_t key = 0;    ///< the token that is looked at
};

/// Two channels of a head that turn together.
struct RotatedPair {
  double wavelength = 0;  ///< positions in which it turns once, 2π/f
  float query[2] = {};    ///< before the rotation, channels i and i + R/2
  float key[2] = {};
  double before = 0;  ///< its part of the scaled product q·k before the rotation
  double after = 0;   ///< and after it, with both tokens where they stand in the text
};

/// The same product if the tokens stood elsewhere.
struct ProductAt {
  int64_t distance = 0;  ///< position of the query less that of the key
  double product = 0;
  bool visible = true;  ///< whether a query sees a key so far away
};

/// One comparison of attention in a model with rotary positions, taken apart: what the rotation makes of scale · q·k.
struct Rotation {
  double scale = 1;  ///< 1/√D, where the model says nothing else
  std::vector<RotatedPair> pairs;
  double unturned = 0;  ///< the part of those channels that do not turn
  double before = 0;    ///< scale · q·k before the rotation: Σ pairs' before + unturned
  double after = 0;     ///< and after it
  /// After it, for distances 0, 1 … up to the length of the text, less than 0 where the query stands before the key.
  std::vector<ProductAt> by_distance;
};

/// note: q and k are the very numbers that attention compares, products are taken in f64. Away from their places in the text
///       the tokens have the vectors that they have there, so that nothing but the distance differs.
Rotation explain_rotation(const Transformer& model, std::span<const int32_t> ids,
                          const RotationOptions& options);

/// The positions in which each pair of channels turns once, 2π/f, as the model's scaling has it; of the layers with a window
/// with `local`. Empty where positions are not rotary.
std::vector<double> rotary_wavelengths(const Transformer& model, bool local = false);

}  // namespace gradus
