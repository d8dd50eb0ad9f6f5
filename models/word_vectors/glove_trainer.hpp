#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "models/word_vectors/trainer.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// What stands at the beginning of a file of cells.
struct GloveCellsHeader {
  uint64_t magic;
  int64_t words, parts, cells;
  double x_max, alpha;
};

/// How GloVe's cells and tables are divided. Words are dealt to `parts` parts by their frequency, and a cell belongs to the block
/// of its word's and its context's part. `parts` blocks that share neither can be trained at once, whoever trains them; their
/// rows fit a core's cache.
struct GloveParts {
  explicit GloveParts(int64_t vocabulary);
  int64_t words, parts, rows_of_part;
  /// Where a word's row stands: those of a part lie together.
  int64_t row_of(int64_t word) const { return word % parts * rows_of_part + word / parts; }
  int64_t part_of(int64_t word) const { return word % parts; }
  int64_t rows() const { return parts * rows_of_part; }
};

struct GloveCellsReport {
  int64_t cells = 0;
};

/// Counts a text's co-occurrences and writes them, in blocks, those of a block in random order, to a file: see GloveTrainer.
GloveCellsReport write_glove_cells(const WordVectorOptions& options, const Vocabulary& vocabulary,
                                   const std::string& numbers, uint64_t memory, const std::string& cells_file,
                                   const std::function<void(int64_t done, int64_t total)>& on_progress);

/// GloVe: vectors whose products, with a bias for each word, are the logarithms of how often words stand near each other.
/// loss = Σ f(X_ij) (w_i · c_j + b_i + b_j - ln X_ij)² over the cells that are not 0; a word's vector is w_i + c_i
///
/// An epoch goes through all cells by stochastic gradient descent with AdaGrad, in rounds of `parts` blocks that share no row:
/// nothing is computed from old values, and nothing depends on threads.
/// ref: Pennington, Socher, Manning (2014); Gemulla, Nijkamp, Haas, Sismanis, "Large-scale matrix factorization with distributed
///      stochastic gradient descent" (2011) for the rounds
/// note: the authors' program goes through the cells in one random order.
class GloveTrainer : public WordVectorTrainer {
 public:
  GloveTrainer(const WordVectorOptions& options, const Vocabulary& vocabulary, const std::string& cells_file);

  void advance() override;
  bool finished() const override { return epoch_ >= options_.epochs; }
  WordVectorProgress progress() override;
  std::vector<NamedTensor> state() const override;
  Metadata position() const override;
  void restore(const SafetensorsFile& state) override;
  Tensor vectors() const override;
  void set_vector(int64_t word, std::span<const float> values) override;

  /// What the model gives for ln X of a word and a context.
  double fitted(int64_t word, int64_t context) const;
  int64_t cells() const { return cells_; }
  /// The cell of a word and a context; nothing where it is 0.
  std::optional<kernels::CountCell> cell(int64_t word, int64_t context) const;

  static uint64_t memory(const WordVectorOptions& options, int64_t vocabulary);

 private:
  WordVectorOptions options_;
  const Vocabulary& vocabulary_;
  GloveParts parts_;
  MappedFile file_;
  const uint64_t* block_ends_;  // of the blocks, row by row
  const kernels::CountCell* first_;
  int64_t cells_;
  int64_t stride_;
  Tensor words_, contexts_;  // (rows, 2 stride): a row, and the sums of its squares
  int64_t epoch_ = 0, round_ = 0;
  int64_t done_ = 0;
  double epoch_loss_ = 0, last_loss_;
};

}  // namespace gradus
