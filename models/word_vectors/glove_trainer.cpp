#include "models/word_vectors/glove_trainer.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "models/word_vectors/cooccurrence.hpp"
#include "models/word_vectors/draws.hpp"
#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr uint64_t kMagic = 0x31766c6c65637267u;  // "grcellv1"
constexpr int64_t kMostParts = 32;
constexpr int64_t kWordsOfPart = 32;  // a part of fewer words is not worth its round

int64_t padded(int64_t width) { return (width + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes; }

void shuffle(std::vector<kernels::CountCell>& cells, const QuickRandom& draws, uint64_t first) {
  for (std::size_t i = cells.size(); i > 1; --i) {
    const uint64_t bits = draws.bits(first + i);
    const auto other = static_cast<std::size_t>(((bits >> 32) * i) >> 32);
    std::swap(cells[i - 1], cells[other]);
  }
}

}  // namespace

GloveParts::GloveParts(int64_t vocabulary)
    : words(vocabulary),
      parts(std::clamp(vocabulary / kWordsOfPart, int64_t{1}, kMostParts)),
      rows_of_part((vocabulary + parts - 1) / parts) {}

GloveCellsReport write_glove_cells(const WordVectorOptions& options, const Vocabulary& vocabulary,
                                   const std::string& numbers, uint64_t memory, const std::string& cells_file,
                                   const std::function<void(int64_t done, int64_t total)>& on_progress) {
  const GloveParts parts(vocabulary.size());
  const QuickRandom draws(options.seed, "word_vectors.cells");
  const auto one = static_cast<double>(DistanceWeights(options.window).one());
  CooccurrenceOptions counting;
  counting.window = options.window;
  counting.baskets = options.baskets;
  counting.memory = memory;
  counting.on_progress = on_progress;
  for (int64_t part = 0; part < parts.parts; ++part) {
    for (int64_t word = part; word < vocabulary.size(); word += parts.parts)
      counting.rows.push_back(static_cast<int32_t>(word));
  }
  AtomicFile file(cells_file);
  GloveCellsHeader header = {kMagic, vocabulary.size(), parts.parts, 0, options.x_max, options.alpha};
  std::vector<uint64_t> ends(static_cast<std::size_t>(parts.parts * parts.parts), 0);
  file.write(&header, sizeof header);
  file.write(ends.data(), ends.size() * sizeof(uint64_t));
  std::vector<std::vector<kernels::CountCell>> blocks(static_cast<std::size_t>(parts.parts));
  int64_t current = 0;
  const auto flush = [&] {
    // The logarithms and the order of each block are its own.
    parallel_for(parts.parts, [&](int64_t b) {
      auto& block = blocks[static_cast<std::size_t>(b)];
      for (kernels::CountCell& cell : block) {
        const double x = static_cast<double>(cell.log_count);
        cell.log_count = static_cast<float>(math::log(x));
        cell.weight =
            x < options.x_max ? static_cast<float>(math::pow(x / options.x_max, options.alpha)) : 1.0f;
      }
      shuffle(block, draws, static_cast<uint64_t>(current * parts.parts + b) << 40);
    });
    for (int64_t b = 0; b < parts.parts; ++b) {
      auto& block = blocks[static_cast<std::size_t>(b)];
      file.write(block.data(), block.size() * sizeof(kernels::CountCell));
      header.cells += std::ssize(block);
      ends[static_cast<std::size_t>(current * parts.parts + b)] = static_cast<uint64_t>(header.cells);
      block.clear();
    }
  };
  count_cooccurrences(numbers, vocabulary.size(), counting,
                      [&](int32_t word, const std::vector<Cooccurrence>& row) {
                        if (parts.part_of(word) != current) {
                          flush();
                          current = parts.part_of(word);
                        }
                        const auto word_row = static_cast<int32_t>(parts.row_of(word));
                        for (const Cooccurrence& cell : row) {
                          blocks[static_cast<std::size_t>(parts.part_of(cell.context))].push_back(
                              {word_row, static_cast<int32_t>(parts.row_of(cell.context)),
                               static_cast<float>(static_cast<double>(cell.sum) / one), 0});
                        }
                      });
  flush();
  check_world(header.cells > 0,
              "word vectors: the text must have two words of the vocabulary in one line; it has none");
  file.write_at(0, &header, sizeof header);
  file.write_at(sizeof header, ends.data(), ends.size() * sizeof(uint64_t));
  file.commit();
  return {header.cells};
}

GloveTrainer::GloveTrainer(const WordVectorOptions& options, const Vocabulary& vocabulary,
                           const std::string& cells_file)
    : options_(options),
      vocabulary_(vocabulary),
      parts_(vocabulary.size()),
      file_(cells_file),
      stride_(padded(options.width + 2)),
      last_loss_(std::numeric_limits<double>::quiet_NaN()) {
  const auto blocks = static_cast<std::size_t>(parts_.parts * parts_.parts);
  const std::size_t first = sizeof(GloveCellsHeader) + blocks * sizeof(uint64_t);
  GloveCellsHeader header = {};
  if (file_.size() >= first) std::memcpy(&header, file_.data(), sizeof header);
  check_world(header.magic == kMagic && header.words == vocabulary.size() && header.parts == parts_.parts &&
                  header.cells >= 0 &&
                  file_.size() == first + static_cast<std::size_t>(header.cells) * sizeof(kernels::CountCell),
              cells_file,
              ": must hold the co-occurrences of the run's words; it holds something else; restore it");
  cells_ = header.cells;
  block_ends_ = reinterpret_cast<const uint64_t*>(file_.data() + sizeof header);
  first_ = reinterpret_cast<const kernels::CountCell*>(file_.data() + first);
  words_ = Tensor::zeros({parts_.rows(), 2 * stride_});
  contexts_ = Tensor::zeros({parts_.rows(), 2 * stride_});
  // [-½, ½) / width, biases too; the squares begin with 1.
  const double scale = 1.0 / static_cast<double>(options.width);
  for (const bool context : {false, true}) {
    const QuickRandom draws(options.seed, context ? "word_vectors.init_context" : "word_vectors.init");
    float* rows = (context ? contexts_ : words_).mutable_data<float>();
    for (int64_t word = 0; word < vocabulary.size(); ++word) {
      float* row = rows + parts_.row_of(word) * 2 * stride_;
      const auto draw = [&](int64_t c) {
        const uint64_t bits = draws.bits(static_cast<uint64_t>(word * (options.width + 1) + c));
        return static_cast<float>((static_cast<double>(bits >> 11) * 0x1p-53 - 0.5) * scale);
      };
      for (int64_t c = 0; c < options.width; ++c) row[c] = draw(c);
      row[options.width + (context ? 1 : 0)] = draw(options.width);
      row[options.width + (context ? 0 : 1)] = 1;
      std::fill_n(row + stride_, stride_, 1.0f);
    }
  }
}

void GloveTrainer::advance() {
  if (finished()) return;
  std::vector<double> losses(static_cast<std::size_t>(parts_.parts), 0);
  const auto& table = kernels::table<float>();
  std::vector<int64_t> sizes(losses.size(), 0);
  float* const words = words_.mutable_data<float>();
  float* const contexts = contexts_.mutable_data<float>();
  parallel_for(parts_.parts, [&](int64_t part) {
    const auto block =
        static_cast<std::size_t>(part * parts_.parts + (part + round_ + epoch_) % parts_.parts);
    const uint64_t begin = block == 0 ? 0 : block_ends_[block - 1];
    sizes[static_cast<std::size_t>(part)] = static_cast<int64_t>(block_ends_[block] - begin);
    losses[static_cast<std::size_t>(part)] =
        table.count_cells({.words = words,
                           .contexts = contexts,
                           .width = stride_,
                           .constant_of_word = options_.width + 1,
                           .constant_of_context = options_.width,
                           .rate = static_cast<float>(options_.learning_rate),
                           .cells = first_ + begin,
                           .count = sizes[static_cast<std::size_t>(part)]});
  });
  for (const double loss : losses) epoch_loss_ += loss;
  for (const int64_t size : sizes) done_ += size;
  file_.forget(file_.size());  // each cell is used once an epoch
  if (++round_ == parts_.parts) {
    round_ = 0;
    ++epoch_;
    last_loss_ = std::exchange(epoch_loss_, 0) / static_cast<double>(cells_);
  }
}

WordVectorProgress GloveTrainer::progress() {
  return {done_, options_.epochs * cells_, options_.learning_rate, last_loss_};
}

std::vector<NamedTensor> GloveTrainer::state() const { return {{"words", words_}, {"contexts", contexts_}}; }

Metadata GloveTrainer::position() const {
  return {{"epoch", std::to_string(epoch_)},
          {"round", std::to_string(round_)},
          {"done", std::to_string(done_)},
          {"epoch_loss", Json(epoch_loss_).dump()},
          {"last_loss", last_loss_ == last_loss_ ? Json(last_loss_).dump() : ""}};
}

void GloveTrainer::restore(const SafetensorsFile& state) {
  words_.copy_from(state.tensor("words"));
  contexts_.copy_from(state.tensor("contexts"));
  const Metadata& at = state.metadata();
  epoch_ = integer_of(at, "epoch", state.path());
  round_ = integer_of(at, "round", state.path());
  done_ = integer_of(at, "done", state.path());
  check_world(epoch_ >= 0 && epoch_ <= options_.epochs && round_ >= 0 && round_ < parts_.parts, state.path(),
              ": the state must stand at a round of the run; it is at round ", round_, " of epoch ", epoch_);
  epoch_loss_ = Json::parse(text_of(at, "epoch_loss", state.path()), state.path()).as_number();
  const std::string& last = text_of(at, "last_loss", state.path());
  last_loss_ =
      last.empty() ? std::numeric_limits<double>::quiet_NaN() : Json::parse(last, state.path()).as_number();
}

void GloveTrainer::set_vector(int64_t word, std::span<const float> values) {
  // A word's vector is the sum of both rows.
  for (Tensor* table : {&words_, &contexts_}) {
    float* row = table->mutable_data<float>() + parts_.row_of(word) * 2 * stride_;
    for (std::size_t c = 0; c < values.size(); ++c) row[c] = values[c] * 0.5f;
  }
}

std::optional<kernels::CountCell> GloveTrainer::cell(int64_t word, int64_t context) const {
  const auto block = static_cast<std::size_t>(parts_.part_of(word) * parts_.parts + parts_.part_of(context));
  const kernels::CountCell* const end = first_ + block_ends_[block];
  const kernels::CountCell* const found =
      std::find_if(first_ + (block == 0 ? 0 : block_ends_[block - 1]), end, [&](const kernels::CountCell& c) {
        return c.word == parts_.row_of(word) && c.context == parts_.row_of(context);
      });
  return found == end ? std::nullopt : std::optional(*found);
}

double GloveTrainer::fitted(int64_t word, int64_t context) const {
  const float* x = words_.data<float>() + parts_.row_of(word) * 2 * stride_;
  const float* y = contexts_.data<float>() + parts_.row_of(context) * 2 * stride_;
  double sum = 0;
  for (int64_t c = 0; c < options_.width + 2; ++c)
    sum += static_cast<double>(x[c]) * static_cast<double>(y[c]);
  return sum;
}

Tensor GloveTrainer::vectors() const {
  Tensor result = Tensor::empty({vocabulary_.size(), options_.width});
  float* to = result.mutable_data<float>();
  for (int64_t word = 0; word < vocabulary_.size(); ++word) {
    const float* x = words_.data<float>() + parts_.row_of(word) * 2 * stride_;
    const float* y = contexts_.data<float>() + parts_.row_of(word) * 2 * stride_;
    for (int64_t c = 0; c < options_.width; ++c) to[word * options_.width + c] = x[c] + y[c];
  }
  return result;
}

uint64_t GloveTrainer::memory(const WordVectorOptions& options, int64_t vocabulary) {
  return static_cast<uint64_t>(4 * GloveParts(vocabulary).rows() * padded(options.width + 2)) * sizeof(float);
}

}  // namespace gradus
