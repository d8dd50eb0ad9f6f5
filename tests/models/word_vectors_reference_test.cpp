#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "models/word_vectors/cooccurrence.hpp"
#include "models/word_vectors/corpus.hpp"
#include "models/word_vectors/draws.hpp"
#include "models/word_vectors/glove_trainer.hpp"
#include "models/word_vectors/window_trainer.hpp"
#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/draw.hpp"
#include "tests/support/temporary_folder.hpp"

/// The trainers held to step-by-step versions: the published formulas, a pair at a time in double, each step from what the one before
/// has left. At a small learning rate the order of steps is of second order, so that what the rounds of the trainers add up must
/// come to the same; the draws are the trainers' own.

using namespace gradus;
using namespace gradus::testing;

namespace {

struct Table {
  int64_t width;
  std::vector<double> values;
  double* row(int64_t r) { return values.data() + r * width; }
};

Table table_of(const Tensor& rows, int64_t width) {
  Table table = {width, {}};
  const std::vector<float> all = rows.to_vector<float>();
  for (int64_t r = 0; r < rows.size(0); ++r) {
    for (int64_t c = 0; c < width; ++c)
      table.values.push_back(static_cast<double>(all[static_cast<std::size_t>(r * rows.size(1) + c)]));
  }
  return table;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// A word that subsampling has kept.
struct Kept {
  int32_t word;
  int64_t line, place;
};

struct Setting {
  WordVectorOptions options;
  WordCorpus corpus;
  std::vector<int32_t> text;
  std::vector<Kept> kept;
  std::vector<uint64_t> reaches;
};

Setting set_up(const WordVectorOptions& options, const std::string& folder) {
  std::string contents;
  for (uint64_t i = 0; i < 10000; ++i) {
    const double u = draw_uniform(21, i);
    contents += "word" + std::to_string(static_cast<int64_t>(u * u * 150)) +
                (draw_bits(22, i) % 11 == 0 ? "\n" : " ");
  }
  write_file_atomic(folder + "/text", contents);
  Setting setting;
  setting.options = options;
  setting.corpus = encode_words({folder + "/text"}, options, {}, nullptr, folder + "/ids");
  const std::string bytes = read_file(folder + "/ids");
  setting.text.resize(bytes.size() / sizeof(int32_t));
  std::memcpy(setting.text.data(), bytes.data(), bytes.size());
  const QuickRandom draws(options.seed, "word_vectors.keep");
  const std::vector<uint32_t> shares = kept_shares(setting.corpus.vocabulary, options.sample);
  int64_t line = 0;
  for (std::size_t at = 0; at < setting.text.size(); ++at) {
    if (setting.text[at] == kLineEnd) {
      ++line;
      continue;
    }
    const uint64_t bits = draws.bits(at);
    if ((bits & 0xFFFFFFFFu) > shares[static_cast<std::size_t>(setting.text[at])]) continue;
    setting.kept.push_back({setting.text[at], line, static_cast<int64_t>(at)});
    setting.reaches.push_back(1 + (((bits >> 32) * static_cast<uint64_t>(options.window)) >> 32));
  }
  return setting;
}

std::vector<int32_t> contexts_of(const Setting& s, std::size_t i) {
  std::vector<int32_t> words;
  for (std::size_t j = i - std::min<std::size_t>(i, s.reaches[i]); j <= i + s.reaches[i] && j < s.kept.size();
       ++j) {
    if (j != i && s.kept[j].line == s.kept[i].line) words.push_back(s.kept[j].word);
  }
  return words;
}

std::vector<int32_t> noise_of(const Setting& s, const NoiseTable& table, std::size_t i, int64_t count,
                              bool middle_too) {
  const QuickRandom draws(s.options.seed, "word_vectors.noise");
  std::vector<int32_t> words;
  for (uint64_t draw = 0; std::ssize(words) < count; ++draw) {
    const int32_t word = table.draw(draws.bits(static_cast<uint64_t>(s.kept[i].place) * 256 + draw));
    if (middle_too || word != s.kept[i].word) words.push_back(word);
  }
  return words;
}

/// One pair: adds the output's part to `change`, and changes the output.
void step(const std::vector<double>& input, double* output, double label, double rate,
          std::vector<double>& change) {
  double s = 0;
  for (std::size_t c = 0; c < input.size(); ++c) s += input[c] * output[c];
  const double g = rate * (label - sigmoid(s));
  for (std::size_t c = 0; c < input.size(); ++c) {
    change[c] += g * output[c];
    output[c] += g * input[c];
  }
}

/// The distance of two results, as a part of what training has changed.
double apart(const Table& begin, const Table& reference, const Table& found) {
  double difference = 0, change = 0;
  for (std::size_t i = 0; i < begin.values.size(); ++i) {
    difference += std::pow(reference.values[i] - found.values[i], 2);
    change += std::pow(reference.values[i] - begin.values[i], 2);
  }
  REQUIRE(change > 0);
  return std::sqrt(difference / change);
}

WordVectorOptions small_steps(WordVectorMethod method) {
  WordVectorOptions options = WordVectorOptions::defaults(method);
  options.width = 12;
  options.epochs = 1;
  options.min_count = 1;
  options.sample = 0.01;
  options.buckets = 300;
  options.learning_rate = 0.002;
  return options;
}

/// Runs the steps of a method over what was kept, from these tables.
void run_steps(const Setting& s, const WordPieces* pieces, Table& in, Table& out) {
  const WordVectorOptions& o = s.options;
  const NoiseTable noise(s.corpus.vocabulary.counts, o.noise_exponent);
  const auto width = static_cast<std::size_t>(o.width);
  const double lines = static_cast<double>(std::count(s.text.begin(), s.text.end(), kLineEnd));
  const double usual =
      std::min(static_cast<double>(o.window + 1), static_cast<double>(s.text.size()) / lines - 2);
  for (std::size_t i = 0; i < s.kept.size(); ++i) {
    const double rate = o.learning_rate * std::max(1e-4, 1 - static_cast<double>(s.kept[i].place) /
                                                                 static_cast<double>(s.text.size()));
    const std::vector<int32_t> contexts = contexts_of(s, i);
    if (contexts.empty()) continue;
    const auto n = static_cast<double>(contexts.size());
    const auto rows_of = [&](int32_t word) {
      if (pieces == nullptr) return std::vector<int32_t>{word};
      const std::span<const int32_t> rows = pieces->rows(word);
      return std::vector<int32_t>(rows.begin(), rows.end());
    };
    const auto mean_of = [&](const std::vector<int32_t>& rows) {
      std::vector<double> mean(width, 0);
      for (const int32_t row : rows) {
        for (std::size_t c = 0; c < width; ++c) mean[c] += in.row(row)[c] / static_cast<double>(rows.size());
      }
      return mean;
    };
    const auto add = [&](const std::vector<int32_t>& rows, const std::vector<double>& change, double factor) {
      for (const int32_t row : rows) {
        for (std::size_t c = 0; c < width; ++c) in.row(row)[c] += factor * change[c];
      }
    };
    if (o.averages()) {
      std::vector<int32_t> rows;
      for (const int32_t word : contexts) {
        for (const int32_t row : rows_of(word)) rows.push_back(row);
      }
      std::vector<double> change(width, 0);
      const std::vector<double> mean = mean_of(rows);
      step(mean, out.row(s.kept[i].word), 1, rate, change);
      for (const int32_t word : noise_of(s, noise, i, o.negatives, false))
        step(mean, out.row(word), 0, rate, change);
      add(rows, change, o.mean_gradient ? usual / n : 1);
    } else if (pieces != nullptr) {
      const std::vector<int32_t> rows = rows_of(s.kept[i].word);
      const int64_t drawn = o.negatives * std::min<int64_t>(8, std::ssize(contexts));
      const std::vector<int32_t> words = noise_of(s, noise, i, drawn, true);
      for (const int32_t context : contexts) {
        std::vector<double> change(width, 0);
        const std::vector<double> mean = mean_of(rows);
        step(mean, out.row(context), 1, rate, change);
        for (const int32_t word : words) {
          if (word != context)
            step(mean, out.row(word), 0, rate * static_cast<double>(o.negatives) / static_cast<double>(drawn),
                 change);
        }
        add(rows, change, 1);
      }
    } else {
      const std::vector<int32_t> words = noise_of(s, noise, i, 2 * o.negatives, false);
      for (const int32_t context : contexts) {
        std::vector<double> change(width, 0);
        const std::vector<double> input(in.row(context), in.row(context) + width);
        step(input, out.row(s.kept[i].word), 1, rate, change);
        for (const int32_t word : words) step(input, out.row(word), 0, rate / 2, change);
        add({context}, change, 1);
      }
    }
  }
}

}  // namespace

TEST_CASE("skip-gram, CBOW and fastText come to what steps a pair at a time come to") {
  const TemporaryFolder folder;
  using enum WordVectorMethod;
  for (const WordVectorMethod method : {skipgram, cbow, fasttext, fasttext_cbow}) {
    for (const bool corrected : {true, false}) {
      WordVectorOptions options = small_steps(method);
      if (!corrected && !options.averages()) continue;
      options.mean_gradient = corrected;
      INFO(name_of(method) << (corrected ? "" : " with the original gradient"));
      const Setting setting = set_up(options, folder.path());
      // Of a window alone, only its own pairs see values from before it; a round's windows see those from before the round.
      for (const int64_t windows : {1, 256}) {
        INFO(windows << " windows");
        WindowTrainer trainer(options, setting.corpus.vocabulary, folder.path() + "/ids");
        trainer.limit_windows(windows);
        const Table in_begin = table_of(trainer.inputs(), options.width);
        const Table out_begin = table_of(trainer.outputs(), options.width);
        Table in = in_begin, out = out_begin;
        run_steps(setting, options.has_pieces() ? &trainer.pieces() : nullptr, in, out);
        while (!trainer.finished()) trainer.advance();
        const double most = windows == 1 ? 0.01 : 0.25;
        CHECK(apart(in_begin, in, table_of(trainer.inputs(), options.width)) < most);
        CHECK(apart(out_begin, out, table_of(trainer.outputs(), options.width)) < most);
      }
    }
  }
}

TEST_CASE("GloVe comes to what steps a cell at a time come to") {
  const TemporaryFolder folder;
  WordVectorOptions options = small_steps(WordVectorMethod::glove);
  options.window = 4;
  options.x_max = 20;
  options.epochs = 2;
  options.learning_rate = 0.001;
  const Setting s = set_up(options, folder.path());
  const auto words = static_cast<std::size_t>(s.corpus.vocabulary.size()),
             width = static_cast<std::size_t>(options.width);
  write_glove_cells(options, s.corpus.vocabulary, folder.path() + "/ids", 1 << 30, folder.path() + "/cells",
                    {});
  GloveTrainer trainer(options, s.corpus.vocabulary, folder.path() + "/cells");

  // Vectors, a bias behind each.
  const GloveParts parts(s.corpus.vocabulary.size());
  const auto read = [&](const Tensor& rows, std::size_t bias) {
    const std::vector<float> all = rows.to_vector<float>();
    Table table = {options.width + 1, {}};
    for (std::size_t w = 0; w < words; ++w) {
      const float* row = all.data() + parts.row_of(static_cast<int64_t>(w)) * rows.size(1);
      for (std::size_t c = 0; c < width; ++c) table.values.push_back(static_cast<double>(row[c]));
      table.values.push_back(static_cast<double>(row[bias]));
    }
    return table;
  };
  const auto tables = [&] {
    const std::vector<NamedTensor> state = trainer.state();
    return std::pair(read(state[0].tensor, width), read(state[1].tensor, width + 1));
  };
  const auto begin = tables();
  auto [x, y] = begin;
  std::vector<double> x_squares(x.values.size(), 1), y_squares(y.values.size(), 1);

  std::map<std::pair<int32_t, int32_t>, double> counts;
  for (std::size_t i = 0; i < s.text.size(); ++i) {
    for (std::size_t d = 1; d <= 4 && s.text[i] >= 0 && i + d < s.text.size() && s.text[i + d] >= 0; ++d) {
      counts[{s.text[i], s.text[i + d]}] += 1.0 / static_cast<double>(d);
      counts[{s.text[i + d], s.text[i]}] += 1.0 / static_cast<double>(d);
    }
  }
  CHECK(trainer.cells() == std::ssize(counts));
  double loss = 0;
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    loss = 0;
    for (const auto& [cell, count] : counts) {
      double* a = x.row(cell.first);
      double* b = y.row(cell.second);
      double d = a[width] + b[width] - std::log(count);
      for (std::size_t c = 0; c < width; ++c) d += a[c] * b[c];
      const double weight = std::min(1.0, std::pow(count / options.x_max, options.alpha));
      loss += 0.5 * weight * d * d / static_cast<double>(counts.size());
      const auto move = [&](double& value, double& squares, double slope) {
        value -= options.learning_rate * slope / std::sqrt(squares);
        squares += std::pow(options.learning_rate * slope, 2);
      };
      for (std::size_t c = 0; c <= width; ++c) {
        const double a_slope = weight * d * (c < width ? b[c] : 1),
                     b_slope = weight * d * (c < width ? a[c] : 1);
        move(a[c], x_squares[static_cast<std::size_t>(cell.first) * (width + 1) + c], a_slope);
        move(b[c], y_squares[static_cast<std::size_t>(cell.second) * (width + 1) + c], b_slope);
      }
    }
  }
  while (!trainer.finished()) trainer.advance();
  const auto end = tables();
  CHECK(apart(begin.first, x, end.first) < 0.03);
  CHECK(apart(begin.second, y, end.second) < 0.03);
  CHECK_THAT(trainer.progress().loss, Catch::Matchers::WithinRel(loss, 0.01));
}
