#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "models/word_vectors/draws.hpp"
#include "models/word_vectors/pieces.hpp"
#include "models/word_vectors/trainer.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// Skip-gram and CBOW, of words and with the pieces of their letters, by negative sampling.
///
/// The words that subsampling keeps are taken in rounds. All windows of a round are computed against the tables as they were
/// at its beginning; what each changes is written down, and then added to the tables in the windows' order, by whoever owns
/// the row. So nothing depends on threads. A round is short, at most 512 windows, fewer where the vocabulary is small, and ends
/// early where a word comes again and again: what is computed from old values and added up must stay small beside the values
/// themselves.
///
/// Noise is drawn once for a window and shared by its pairs, so that a window is three small products of matrices: scores, and
/// the changes of both sides.
///   skip-gram           inputs: the context's words; outputs: the word in the middle, and noise
///   CBOW                input: the mean of the context; outputs: the word in the middle, and noise
///   fastText skip-gram  input: the word in the middle, the mean of its rows; outputs: the context's words, and noise
///   fastText CBOW       as CBOW; the mean is of the rows of all words of the context
/// Of baskets a vector is the sum of a word's rows in both tables, as of GloVe: so words are near that stand together, not only
/// those that replace each other.
/// However many words of noise are drawn, they weigh as much as `negatives` for each pair.
/// With the corrected gradient of a mean, each of its n words gets (window + 1) / n of it: the share that the paper's formula
/// has, times the usual number of words, so that a step is as large as the original program's.
/// ref: Mikolov, Chen, Corrado, Dean (2013); Mikolov, Sutskever, Chen, Corrado, Dean (2013); Bojanowski, Grave, Joulin, Mikolov
///      (2017); Ji, Satish, Li, Dubey, "Parallelizing word2vec in shared and distributed memory" (2016) for the shared noise
class WindowTrainer : public WordVectorTrainer {
 public:
  /// `numbers` is the text as encode_words() writes it; both must outlive the trainer.
  WindowTrainer(const WordVectorOptions& options, const Vocabulary& vocabulary, const std::string& numbers);
  ~WindowTrainer() override;

  void advance() override;
  bool finished() const override;
  WordVectorProgress progress() override;
  std::vector<NamedTensor> state() const override;
  Metadata position() const override;
  void restore(const SafetensorsFile& state) override;
  Tensor vectors() const override;
  void set_vector(int64_t word, std::span<const float> values) override;

  /// The rows of words, then of the pieces, (rows, stride); only the first `width` of a row count.
  const Tensor& inputs() const { return inputs_; }
  const Tensor& outputs() const { return outputs_; }
  const WordPieces& pieces() const { return *pieces_; }
  /// Rounds of at most so many windows from here on; 1: each window is computed from what the one before has left. The result is
  /// another one; for tests, which hold it to single steps.
  void limit_windows(int64_t most) { most_windows_ = std::min(most_windows_, most); }
  /// Multiply-adds of the pairs' products so far: scores and both changes.
  int64_t multiply_adds() const { return multiply_adds_; }

  /// Writes a model of fastText, version 12; only of methods with pieces.
  void save_fasttext(const std::string& path, const std::function<void()>& on_step) const;

  /// Bytes that a training takes besides the text, at most.
  static uint64_t memory(const WordVectorOptions& options, const Vocabulary& vocabulary);

 private:
  struct Chunk;
  void limit_rounds();
  double shared_pieces(double all_kept) const;
  void start_epoch(int64_t at);
  void fill(std::size_t count);
  std::size_t round_end();
  void run_round();
  void compute(Chunk& chunk, std::size_t begin, std::size_t end, bool measure);
  void compute_skipgram(Chunk& chunk, std::size_t begin, std::size_t end, bool measure);
  void compute_average(Chunk& chunk, std::size_t begin, std::size_t end, bool measure);
  void compute_pieces(Chunk& chunk, std::size_t begin, std::size_t end, bool measure);
  void look_ahead(Chunk& chunk, std::size_t i, std::size_t end) const;
  int64_t noise_of_window() const;
  void measure_loss(Chunk& chunk, int64_t m, int64_t n) const;
  std::size_t reach(std::size_t i) const;
  float first_value(int64_t row, int64_t column) const;

  WordVectorOptions options_;
  const Vocabulary& vocabulary_;
  MappedFile numbers_;
  const int32_t* text_;
  int64_t text_size_;
  int64_t stride_;
  std::unique_ptr<WordPieces> pieces_;  // of fastText
  NoiseTable noise_;
  std::vector<uint32_t> kept_shares_;
  double usual_contexts_ = 0;  // words of a context, on average
  QuickRandom keep_draws_, noise_draws_, first_draws_;
  Tensor inputs_, outputs_;

  // The words of this epoch that are kept, from a little before the next one to be trained on.
  std::vector<int32_t> kept_;
  std::vector<uint32_t> lines_;
  std::vector<int64_t> places_;  // in the text
  std::size_t next_ = 0;         // in these
  int64_t read_ = 0;             // in the text
  uint32_t line_ = 0;
  int64_t epoch_ = 0;
  std::vector<uint16_t> occurrences_;  // in this round
  int64_t most_windows_ = 1;           // of a round
  uint16_t most_occurrences_ = 1;      // of a word in it

  float rate_ = 0;
  int64_t rounds_ = 0;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  double loss_ = 0;
  int64_t loss_pairs_ = 0;
  int64_t multiply_adds_ = 0;
};

}  // namespace gradus
