#include "models/word_vectors/window_trainer.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "models/embeddings/subwords.hpp"
#include "models/word_vectors/cooccurrence.hpp"
#include "models/word_vectors/corpus.hpp"
#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr int64_t kChunkWindows = 16;  // computed by one thread, one after the other
constexpr int64_t kOwners = 8;         // parts of the tables, whose rows change at once
constexpr int64_t kRoundsOfAdvance = 512;
constexpr int64_t kMeasuredRounds = 16;  // of so many rounds the loss of one is looked at
constexpr std::size_t kBehind = std::size_t{1}
                                << 16;  // kept words that stay before they are cut off, at most
// Words of noise are drawn for a window, not for each of its pairs: so many times `negatives`, each of a weight that makes up for
// it. Fewer would be faster, and learn less from each word.
constexpr int64_t kNoiseOfInputs = 2;       // where the context's words are the inputs
constexpr int64_t kMostNoiseOfOutputs = 8;  // where they are the outputs: as many as they are, at most

int64_t padded(int64_t width) { return (width + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes; }

}  // namespace

/// What one thread needs for some windows, and what they change.
struct WindowTrainer::Chunk {
  struct Change {
    std::vector<int32_t> rows, slots;
    std::vector<float> factors;
  };
  Tensor changes;  // (slots, stride)
  float* first_slot = nullptr;
  int64_t stride = 0, used = 0;
  // By the owner of the rows; inputs and outputs.
  std::array<Change, kOwners> input_changes, output_changes;

  std::vector<const float*> inputs, outputs;
  std::vector<float*> input_slots, output_slots;
  std::vector<int32_t> noise, ahead;  // of this window and of the next one
  std::vector<float> labels, weights, scores, slopes;
  std::vector<uint8_t> touched;
  std::vector<int32_t> members, member_slots;
  std::vector<float> shares;
  double loss = 0;
  int64_t pairs = 0;
  int64_t multiply_adds = 0;

  float* slot(int64_t s) const { return first_slot + s * stride; }
  int64_t take() { return used++; }
  /// A row += factor · slot.
  static void put(std::array<Change, kOwners>& to, int32_t row, int64_t slot, float factor = 1) {
    Change& change = to[static_cast<std::size_t>(row % kOwners)];
    change.rows.push_back(row);
    change.slots.push_back(static_cast<int32_t>(slot));
    change.factors.push_back(factor);
  }
  /// One slot for each word that windows from `begin` to `end` can reach, zeros at first.
  void take_around(std::size_t count) {
    used = static_cast<int64_t>(count);
    std::fill_n(first_slot, used * stride, 0.0f);
    touched.assign(count, 0);
  }
};

WindowTrainer::~WindowTrainer() = default;

WindowTrainer::WindowTrainer(const WordVectorOptions& options, const Vocabulary& vocabulary,
                             const std::string& numbers)
    : options_(options),
      vocabulary_(vocabulary),
      numbers_(numbers),
      text_(reinterpret_cast<const int32_t*>(numbers_.data())),
      text_size_(static_cast<int64_t>(numbers_.size() / sizeof(int32_t))),
      stride_(padded(options.width)),
      noise_(vocabulary.counts, options.noise_exponent),
      kept_shares_(gradus::kept_shares(vocabulary, options.sample)),
      keep_draws_(options.seed, "word_vectors.keep"),
      noise_draws_(options.seed, "word_vectors.noise"),
      first_draws_(options.seed, "word_vectors.init"),
      occurrences_(static_cast<std::size_t>(vocabulary.size()), 0) {
  if (options.has_pieces()) pieces_ = std::make_unique<WordPieces>(vocabulary, options);
  const int64_t rows = pieces_ ? pieces_->row_count() : vocabulary.size();
  inputs_ = Tensor::zeros({rows, stride_});
  outputs_ = Tensor::zeros({vocabulary.size(), stride_});
  float* values = inputs_.mutable_data<float>();
  parallel_ranges(rows, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t number =
          row < vocabulary.size()
              ? row
              : vocabulary.size() + pieces_->buckets()[static_cast<std::size_t>(row - vocabulary.size())];
      for (int64_t c = 0; c < options_.width; ++c) values[row * stride_ + c] = first_value(number, c);
    }
  });
  // Twice the mean of 1 … window, or the others of a line.
  const auto lines = static_cast<double>(std::count(text_, text_ + text_size_, kLineEnd));
  const double others = std::max(1.0, static_cast<double>(text_size_) / std::max(lines, 1.0) - 2);
  usual_contexts_ = std::min(others, options.baskets ? static_cast<double>(2 * kBasketReach)
                                                     : static_cast<double>(options.window + 1));
  limit_rounds();
  const std::size_t contexts = 2 * reach(0);
  const auto noise = static_cast<std::size_t>(options.negatives * noise_of_window());
  const std::size_t outputs = contexts + 1 + noise;
  const std::size_t scores =
      std::max((contexts + 1) * ((1 + noise + 15) / 16 * 16), (outputs + 15) / 16 * 16);
  for (int64_t i = 0; i < (most_windows_ + kChunkWindows - 1) / kChunkWindows; ++i) {
    auto chunk = std::make_unique<Chunk>();
    const auto windows = static_cast<std::size_t>(kChunkWindows);
    const std::size_t slots = 2 * (windows + contexts) + 1 + windows * (2 + noise);
    chunk->changes = Tensor::empty({static_cast<int64_t>(slots), stride_});
    chunk->first_slot = chunk->changes.mutable_data<float>();
    chunk->stride = stride_;
    chunk->scores.resize(scores + 16);
    chunk->slopes.resize(scores + 16);
    chunk->labels.resize(outputs + 16);
    chunk->weights.resize(outputs + 16);
    chunks_.push_back(std::move(chunk));
  }
  start_epoch(0);
}

// Uniform in [-1, 1) / width, as fastText and gensim begin; word2vec.c with half of it. The rows of buckets follow those of words.
float WindowTrainer::first_value(int64_t row, int64_t column) const {
  const double scale = 2.0 / static_cast<double>(options_.width);
  const uint64_t bits = first_draws_.bits(static_cast<uint64_t>(row * options_.width + column));
  return static_cast<float>((static_cast<double>(bits >> 11) * 0x1p-53 - 0.5) * scale);
}

// Draws the noise of the window at i, and asks for the rows that it is the first to look at: they come while the one before is
// computed.
void WindowTrainer::look_ahead(Chunk& chunk, std::size_t i, std::size_t end) const {
  chunk.ahead.clear();
  if (i >= end) return;
  // Words that are drawn again where they are what stands there.
  constexpr uint64_t kDrawsOfWindow = 256;
  const uint64_t first = static_cast<uint64_t>(epoch_ * text_size_ + places_[i]) * kDrawsOfWindow;
  // Where the word in the middle is the input, it can be noise.
  const bool noise_may_be_middle = options_.has_pieces() && !options_.averages();
  const int64_t most = noise_of_window();
  const int64_t count =
      options_.negatives * (noise_may_be_middle ? std::min(most, 2 * static_cast<int64_t>(reach(i))) : most);
  const auto ask_for = [this](const float* row) {
    constexpr int64_t kLine = 16;
    for (int64_t c = 0; c < stride_; c += kLine) __builtin_prefetch(row + c);
  };
  const float* in = inputs_.data<float>();
  const float* out = outputs_.data<float>();
  for (uint64_t draw = 0; std::ssize(chunk.ahead) < count && draw < kDrawsOfWindow; ++draw) {
    const int32_t word = noise_.draw(noise_draws_.bits(first + draw));
    if (word == kept_[i] && !noise_may_be_middle) continue;
    chunk.ahead.push_back(word);
    // So many rows as the others have would push each other out.
    if (!noise_may_be_middle) ask_for(out + word * stride_);
  }
  if (noise_may_be_middle) {
    for (const int32_t row : pieces_->rows(kept_[i])) ask_for(in + row * stride_);
  } else {
    ask_for(out + kept_[i] * stride_);
  }
  const std::size_t entering = i + static_cast<std::size_t>(options_.window);
  if (!options_.baskets && entering < kept_.size())
    ask_for((noise_may_be_middle ? out : in) + kept_[entering] * stride_);
}

// Words of noise drawn for a window, in multiples of `negatives`, at most.
int64_t WindowTrainer::noise_of_window() const {
  return options_.averages() ? 1 : options_.has_pieces() ? kMostNoiseOfOutputs : kNoiseOfInputs;
}

void WindowTrainer::measure_loss(Chunk& chunk, int64_t m, int64_t n) const {
  const int64_t row = (n + 15) / 16 * 16;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const auto at = static_cast<std::size_t>(i * row + j);
      const double s = chunk.labels[static_cast<std::size_t>(j)] > 0 ? chunk.scores[at] : -chunk.scores[at];
      chunk.loss += static_cast<double>(chunk.weights[static_cast<std::size_t>(j)]) *
                    (s > 0 ? math::log(1 + math::exp(-s)) : math::log(1 + math::exp(s)) - s);
      if (chunk.labels[static_cast<std::size_t>(j)] > 0) ++chunk.pairs;
    }
  }
}

void WindowTrainer::compute_skipgram(Chunk& chunk, std::size_t begin, std::size_t end, bool measure) {
  const auto& table = kernels::table<float>();
  const auto window =
      options_.baskets ? static_cast<std::size_t>(kBasketReach) : static_cast<std::size_t>(options_.window);
  const std::size_t low = begin - std::min(begin, window), high = std::min(kept_.size(), end + window);
  // Each word around has one slot for all windows here.
  chunk.take_around(high - low);
  const float* in = inputs_.data<float>();
  const float* out = outputs_.data<float>();
  look_ahead(chunk, begin, end);
  for (std::size_t i = begin; i < end; ++i) {
    std::swap(chunk.noise, chunk.ahead);
    look_ahead(chunk, i + 1, end);
    const std::size_t r = reach(i);
    chunk.inputs.clear();
    chunk.input_slots.clear();
    for (std::size_t j = i - std::min(i, r); j < std::min(kept_.size(), i + r + 1); ++j) {
      if (j == i || lines_[j] != lines_[i]) continue;
      chunk.inputs.push_back(in + kept_[j] * stride_);
      chunk.input_slots.push_back(chunk.slot(static_cast<int64_t>(j - low)));
      chunk.touched[j - low] = 1;
    }
    if (chunk.inputs.empty()) continue;
    chunk.outputs.clear();
    chunk.output_slots.clear();
    const auto add_output = [&](int32_t word) {
      chunk.outputs.push_back(out + word * stride_);
      const int64_t slot = chunk.take();
      chunk.output_slots.push_back(chunk.slot(slot));
      Chunk::put(chunk.output_changes, word, slot);
    };
    add_output(kept_[i]);
    for (const int32_t word : chunk.noise) add_output(word);
    const int64_t m = std::ssize(chunk.inputs), n = std::ssize(chunk.outputs);
    for (int64_t j = 0; j < n; ++j) {
      chunk.labels[static_cast<std::size_t>(j)] = j == 0 ? 1.0f : 0.0f;
      chunk.weights[static_cast<std::size_t>(j)] = j == 0 ? 1.0f : 1.0f / static_cast<float>(kNoiseOfInputs);
    }
    table.sampled({.inputs = chunk.inputs.data(),
                   .input_changes = chunk.input_slots.data(),
                   .outputs = chunk.outputs.data(),
                   .output_changes = chunk.output_slots.data(),
                   .labels = chunk.labels.data(),
                   .weights = chunk.weights.data(),
                   .rate = rate_,
                   .m = m,
                   .n = n,
                   .width = stride_,
                   .continue_inputs = true,
                   .continued_outputs = 0,
                   .changed_outputs = n,
                   .scores = chunk.scores.data(),
                   .slopes = chunk.slopes.data(),
                   .scores_row = (n + 15) / 16 * 16});
    chunk.multiply_adds += 3 * m * n * stride_;
    if (measure) measure_loss(chunk, m, n);
  }
  for (std::size_t i = low; i < high; ++i) {
    if (chunk.touched[i - low]) Chunk::put(chunk.input_changes, kept_[i], static_cast<int64_t>(i - low));
  }
}

void WindowTrainer::compute_average(Chunk& chunk, std::size_t begin, std::size_t end, bool measure) {
  const auto& table = kernels::table<float>();
  const auto window =
      options_.baskets ? static_cast<std::size_t>(kBasketReach) : static_cast<std::size_t>(options_.window);
  const std::size_t low = begin - std::min(begin, window), high = std::min(kept_.size(), end + window);
  chunk.take_around(high - low);
  const float* in = inputs_.data<float>();
  const float* out = outputs_.data<float>();
  // With pieces, the sum of each word's rows, once for all windows.
  std::vector<const float*> words(high - low);
  std::vector<int64_t> sizes(high - low, 1);
  for (std::size_t i = low; i < high; ++i) {
    if (pieces_ == nullptr) {
      words[i - low] = in + kept_[i] * stride_;
      continue;
    }
    const std::span<const int32_t> rows = pieces_->rows(kept_[i]);
    chunk.inputs.clear();
    for (const int32_t row : rows) chunk.inputs.push_back(in + row * stride_);
    float* sum = chunk.slot(chunk.take());
    table.sum_rows({.rows = chunk.inputs.data(),
                    .count = std::ssize(chunk.inputs),
                    .scale = 1,
                    .y = sum,
                    .width = stride_});
    words[i - low] = sum;
    sizes[i - low] = std::ssize(rows);
  }
  const int64_t change_slot = chunk.take();
  float* change = chunk.slot(change_slot);
  look_ahead(chunk, begin, end);
  for (std::size_t i = begin; i < end; ++i) {
    std::swap(chunk.noise, chunk.ahead);
    look_ahead(chunk, i + 1, end);
    const std::size_t r = reach(i);
    chunk.inputs.clear();
    chunk.members.clear();
    int64_t rows = 0;
    for (std::size_t j = i - std::min(i, r); j < std::min(kept_.size(), i + r + 1); ++j) {
      if (j == i || lines_[j] != lines_[i]) continue;
      chunk.inputs.push_back(words[j - low]);
      chunk.members.push_back(static_cast<int32_t>(j - low));
      chunk.touched[j - low] = 1;
      rows += sizes[j - low];
    }
    if (chunk.inputs.empty()) continue;
    const auto share = static_cast<float>(1.0 / static_cast<double>(rows));
    const int64_t mean_slot = chunk.take();
    float* mean = chunk.slot(mean_slot);
    table.sum_rows({.rows = chunk.inputs.data(),
                    .count = std::ssize(chunk.inputs),
                    .scale = share,
                    .y = mean,
                    .width = stride_});
    chunk.outputs.clear();
    const auto add_output = [&](int32_t word, float label) {
      chunk.labels[chunk.outputs.size()] = label;
      chunk.weights[chunk.outputs.size()] = 1;
      chunk.outputs.push_back(out + word * stride_);
    };
    add_output(kept_[i], 1);
    for (const int32_t word : chunk.noise) add_output(word, 0);
    const int64_t n = std::ssize(chunk.outputs);
    const float* const one_input = mean;
    table.sampled({.inputs = &one_input,
                   .input_changes = &change,
                   .outputs = chunk.outputs.data(),
                   .output_changes = nullptr,
                   .labels = chunk.labels.data(),
                   .weights = chunk.weights.data(),
                   .rate = rate_,
                   .m = 1,
                   .n = n,
                   .width = stride_,
                   .continue_inputs = false,
                   .continued_outputs = 0,
                   .changed_outputs = 0,
                   .scores = chunk.scores.data(),
                   .slopes = chunk.slopes.data(),
                   .scores_row = (n + 15) / 16 * 16});
    chunk.multiply_adds += 3 * n * stride_;
    if (measure) measure_loss(chunk, 1, n);
    Chunk::put(chunk.output_changes, kept_[i], mean_slot, chunk.slopes[0]);
    for (std::size_t j = 0; j < chunk.noise.size(); ++j)
      Chunk::put(chunk.output_changes, chunk.noise[j], mean_slot, chunk.slopes[j + 1]);
    chunk.member_slots.assign(chunk.members.size(), static_cast<int32_t>(change_slot));
    const auto contexts = static_cast<double>(chunk.members.size());
    chunk.shares.assign(chunk.members.size(),
                        options_.mean_gradient ? static_cast<float>(usual_contexts_ / contexts) : 1.0f);
    table.add_rows({.table = chunk.first_slot,
                    .table_row = stride_,
                    .targets = chunk.members.data(),
                    .changes = chunk.first_slot,
                    .sources = chunk.member_slots.data(),
                    .factors = chunk.shares.data(),
                    .count = std::ssize(chunk.members),
                    .width = stride_});
  }
  for (std::size_t i = low; i < high; ++i) {
    if (!chunk.touched[i - low]) continue;
    if (pieces_ == nullptr) {
      Chunk::put(chunk.input_changes, kept_[i], static_cast<int64_t>(i - low));
      continue;
    }
    for (const int32_t row : pieces_->rows(kept_[i]))
      Chunk::put(chunk.input_changes, row, static_cast<int64_t>(i - low));
  }
}

void WindowTrainer::compute_pieces(Chunk& chunk, std::size_t begin, std::size_t end, bool measure) {
  const auto& table = kernels::table<float>();
  const auto window =
      options_.baskets ? static_cast<std::size_t>(kBasketReach) : static_cast<std::size_t>(options_.window);
  const std::size_t low = begin - std::min(begin, window), high = std::min(kept_.size(), end + window);
  chunk.take_around(high - low);
  const float* in = inputs_.data<float>();
  const float* out = outputs_.data<float>();
  look_ahead(chunk, begin, end);
  for (std::size_t i = begin; i < end; ++i) {
    std::swap(chunk.noise, chunk.ahead);
    look_ahead(chunk, i + 1, end);
    const std::size_t r = reach(i);
    chunk.outputs.clear();
    chunk.output_slots.clear();
    chunk.members.clear();
    for (std::size_t j = i - std::min(i, r); j < std::min(kept_.size(), i + r + 1); ++j) {
      if (j == i || lines_[j] != lines_[i]) continue;
      chunk.labels[chunk.outputs.size()] = 1;
      chunk.weights[chunk.outputs.size()] = 1;
      chunk.outputs.push_back(out + kept_[j] * stride_);
      chunk.output_slots.push_back(chunk.slot(static_cast<int64_t>(j - low)));
      chunk.members.push_back(kept_[j]);
      chunk.touched[j - low] = 1;
    }
    if (chunk.outputs.empty()) continue;
    const int64_t contexts = std::ssize(chunk.members);
    // So many draws in all as `negatives` for each pair; few words stand for all of them.
    const int64_t drawn = options_.negatives * std::min(kMostNoiseOfOutputs, contexts);
    if (std::ssize(chunk.noise) > drawn) chunk.noise.resize(static_cast<std::size_t>(drawn));
    for (const int32_t word : chunk.noise) {
      // Noise for a pair is never the pair's own word.
      const int64_t others =
          contexts - std::count(chunk.members.begin(), chunk.members.begin() + contexts, word);
      if (others == 0) continue;
      chunk.labels[chunk.outputs.size()] = 0;
      chunk.weights[chunk.outputs.size()] = static_cast<float>(
          static_cast<double>(options_.negatives * others) / static_cast<double>(chunk.noise.size()));
      chunk.outputs.push_back(out + word * stride_);
      chunk.members.push_back(word);
    }
    const std::span<const int32_t> rows = pieces_->rows(kept_[i]);
    chunk.inputs.clear();
    for (const int32_t row : rows) chunk.inputs.push_back(in + row * stride_);
    const int64_t mean_slot = chunk.take();
    float* mean = chunk.slot(mean_slot);
    table.sum_rows({.rows = chunk.inputs.data(),
                    .count = std::ssize(chunk.inputs),
                    .scale = static_cast<float>(1.0 / static_cast<double>(rows.size())),
                    .y = mean,
                    .width = stride_});
    const int64_t change_slot = chunk.take();
    float* change = chunk.slot(change_slot);
    const float* const one_input = mean;
    const int64_t n = std::ssize(chunk.outputs);
    table.sampled({.inputs = &one_input,
                   .input_changes = &change,
                   .outputs = chunk.outputs.data(),
                   .output_changes = chunk.output_slots.data(),
                   .labels = chunk.labels.data(),
                   .weights = chunk.weights.data(),
                   .rate = rate_,
                   .m = 1,
                   .n = n,
                   .width = stride_,
                   .continue_inputs = false,
                   .continued_outputs = contexts,
                   .changed_outputs = contexts,
                   .scores = chunk.scores.data(),
                   .slopes = chunk.slopes.data(),
                   .scores_row = (n + 15) / 16 * 16});
    chunk.multiply_adds += 3 * n * stride_;
    if (measure) measure_loss(chunk, 1, n);
    for (auto j = static_cast<std::size_t>(contexts); j < chunk.members.size(); ++j)
      Chunk::put(chunk.output_changes, chunk.members[j], mean_slot, chunk.slopes[j]);
    for (const int32_t row : rows) Chunk::put(chunk.input_changes, row, change_slot);
  }
  for (std::size_t i = low; i < high; ++i) {
    if (chunk.touched[i - low]) Chunk::put(chunk.output_changes, kept_[i], static_cast<int64_t>(i - low));
  }
}

void WindowTrainer::compute(Chunk& chunk, std::size_t begin, std::size_t end, bool measure) {
  chunk.used = 0;
  for (auto* changes : {&chunk.input_changes, &chunk.output_changes}) {
    for (Chunk::Change& change : *changes) {
      change.rows.clear();
      change.slots.clear();
      change.factors.clear();
    }
  }
  if (begin >= end) return;
  if (options_.averages()) {
    compute_average(chunk, begin, end, measure);
  } else if (options_.has_pieces()) {
    compute_pieces(chunk, begin, end, measure);
  } else {
    compute_skipgram(chunk, begin, end, measure);
  }
}

void WindowTrainer::run_round() {
  const std::size_t end = round_end();
  const double share =
      (static_cast<double>(epoch_) * static_cast<double>(text_size_) + static_cast<double>(places_[next_])) /
      (static_cast<double>(options_.epochs) * static_cast<double>(text_size_));
  rate_ = static_cast<float>(options_.learning_rate * std::max(1e-4, 1 - share));
  const auto windows = static_cast<int64_t>(end - next_);
  const int64_t chunks = (windows + kChunkWindows - 1) / kChunkWindows;
  const bool measure = rounds_++ % kMeasuredRounds == 0;
  parallel_for(chunks, [&](int64_t c) {
    const std::size_t begin = next_ + static_cast<std::size_t>(c * kChunkWindows);
    compute(*chunks_[static_cast<std::size_t>(c)], begin,
            std::min(end, begin + static_cast<std::size_t>(kChunkWindows)), measure && c == 0);
  });
  const auto& table = kernels::table<float>();
  float* const tables[] = {inputs_.mutable_data<float>(), outputs_.mutable_data<float>()};
  parallel_for(kOwners, [&](int64_t owner) {
    for (int64_t c = 0; c < chunks; ++c) {
      const Chunk& chunk = *chunks_[static_cast<std::size_t>(c)];
      for (const bool outputs : {false, true}) {
        const Chunk::Change& change =
            (outputs ? chunk.output_changes : chunk.input_changes)[static_cast<std::size_t>(owner)];
        table.add_rows({.table = tables[outputs ? 1 : 0],
                        .table_row = stride_,
                        .targets = change.rows.data(),
                        .changes = chunk.first_slot,
                        .sources = change.slots.data(),
                        .factors = change.factors.data(),
                        .count = std::ssize(change.rows),
                        .width = stride_});
      }
    }
  });
  for (int64_t c = 0; c < chunks; ++c)
    multiply_adds_ += std::exchange(chunks_[static_cast<std::size_t>(c)]->multiply_adds, 0);
  if (measure) {
    loss_ += std::exchange(chunks_[0]->loss, 0);
    loss_pairs_ += std::exchange(chunks_[0]->pairs, 0);
  }
  next_ = end;
  // What no window reaches any more is cut off now and then.
  const auto window =
      options_.baskets ? static_cast<std::size_t>(kBasketReach) : static_cast<std::size_t>(options_.window);
  if (next_ > kBehind + window) {
    const auto cut = static_cast<std::ptrdiff_t>(next_ - window);
    kept_.erase(kept_.begin(), kept_.begin() + cut);
    lines_.erase(lines_.begin(), lines_.begin() + cut);
    places_.erase(places_.begin(), places_.begin() + cut);
    next_ = window;
  }
}

void WindowTrainer::advance() {
  for (int64_t i = 0; i < kRoundsOfAdvance && !finished(); ++i) {
    fill(next_ + 1);
    if (next_ == kept_.size()) {
      ++epoch_;
      start_epoch(0);
    } else {
      run_round();
    }
  }
}

bool WindowTrainer::finished() const { return epoch_ >= options_.epochs; }

WordVectorProgress WindowTrainer::progress() {
  WordVectorProgress progress;
  const int64_t at = next_ < places_.size() ? places_[next_] : finished() ? 0 : read_;
  progress.done = epoch_ * text_size_ + at;
  progress.total = options_.epochs * text_size_;
  progress.learning_rate = rate_;
  progress.loss =
      loss_pairs_ > 0 ? loss_ / static_cast<double>(loss_pairs_) : std::numeric_limits<double>::quiet_NaN();
  loss_ = 0;
  loss_pairs_ = 0;
  return progress;
}

std::vector<NamedTensor> WindowTrainer::state() const { return {{"inputs", inputs_}, {"outputs", outputs_}}; }

Metadata WindowTrainer::position() const {
  const int64_t at = next_ < places_.size() ? places_[next_] : read_;
  return {
      {"epoch", std::to_string(epoch_)}, {"place", std::to_string(at)}, {"rounds", std::to_string(rounds_)}};
}

void WindowTrainer::restore(const SafetensorsFile& state) {
  inputs_.copy_from(state.tensor("inputs"));
  outputs_.copy_from(state.tensor("outputs"));
  epoch_ = integer_of(state.metadata(), "epoch", state.path());
  rounds_ = integer_of(state.metadata(), "rounds", state.path());
  const int64_t place = integer_of(state.metadata(), "place", state.path());
  check_world(epoch_ >= 0 && epoch_ <= options_.epochs && place >= 0 && place <= text_size_, state.path(),
              ": the state must stand in the run's text; it is at place ", place, " of epoch ", epoch_);
  start_epoch(place);
}

Tensor WindowTrainer::vectors() const {
  Tensor result = Tensor::empty({vocabulary_.size(), options_.width});
  std::vector<float> mean(static_cast<std::size_t>(stride_));
  const float* in = inputs_.data<float>();
  float* to = result.mutable_data<float>();
  for (int64_t word = 0; word < vocabulary_.size(); ++word) {
    const float* row = in + word * stride_;
    if (pieces_ != nullptr) {
      // As the readers of fastText's models add them up.
      std::fill(mean.begin(), mean.end(), 0.0f);
      const std::span<const int32_t> rows = pieces_->rows(static_cast<int32_t>(word));
      for (const int32_t r : rows) {
        for (int64_t c = 0; c < options_.width; ++c) mean[static_cast<std::size_t>(c)] += in[r * stride_ + c];
      }
      const auto share = static_cast<float>(1.0 / static_cast<double>(rows.size()));
      for (float& value : mean) value *= share;
      row = mean.data();
    }
    std::copy_n(row, options_.width, to + word * options_.width);
    if (!options_.baskets) continue;
    const float* out = outputs_.data<float>() + word * stride_;
    for (int64_t c = 0; c < options_.width; ++c) to[word * options_.width + c] += out[c];
  }
  return result;
}

void WindowTrainer::set_vector(int64_t word, std::span<const float> values) {
  float* row = inputs_.mutable_data<float>() + word * stride_;
  std::copy(values.begin(), values.end(), row);
}

uint64_t WindowTrainer::memory(const WordVectorOptions& options, const Vocabulary& vocabulary) {
  const int64_t words = vocabulary.size();
  uint64_t bytes = static_cast<uint64_t>(2 * words * padded(options.width)) * sizeof(float);
  bytes += static_cast<uint64_t>(words) * 16;
  if (options.has_pieces()) {
    const Subwords subwords = {static_cast<int32_t>(options.min_piece),
                               static_cast<int32_t>(options.max_piece), options.buckets};
    std::vector<bool> seen(static_cast<std::size_t>(options.buckets), false);
    uint64_t pieces = 0, rows = 0;
    for (int64_t word = 0; word < words; ++word) {
      subwords.for_buckets(vocabulary.words[word], [&](int32_t bucket) {
        ++pieces;
        if (!seen[static_cast<std::size_t>(bucket)]) ++rows;
        seen[static_cast<std::size_t>(bucket)] = true;
      });
    }
    bytes += rows * static_cast<uint64_t>(padded(options.width)) * sizeof(float);
    bytes += pieces * 2 * sizeof(int32_t) + static_cast<uint64_t>(options.buckets) * 12;
  }
  return bytes + (uint64_t{16} << 20);
}

}  // namespace gradus
