#include "tools/bench_common.hpp"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"
#include "tensor/random.hpp"

namespace gradus::tools {
namespace {

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// Of all threads of this process.
double processor_seconds() {
  timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// The part of the processors wanted that each measurement of the peak got.
std::vector<double> processor_shares;

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Turns::Turns(const std::vector<Work>& works, const Limit& limit, const TurnOptions& options)
    : seconds_(works.size()) {
  // What is short enough to be repeated is also run before each sample: the sample before was another work's, whose
  // numbers now fill the caches.
  std::vector<int> repeats;
  for (const Work& work : works) {
    double once = 0;
    // The first run is the slower one; where it takes long, that matters little.
    for (int run = 0; run < 2 && once < 0.2; ++run) {
      const double begin = now_seconds();
      work();
      once = std::max(now_seconds() - begin, 1e-9);
    }
    repeats.push_back(std::max(1, static_cast<int>(std::min(options.sample_seconds / once, 1e6))));
  }
  const auto rest = [&] {
    if (options.rest_seconds > 0)
      std::this_thread::sleep_for(std::chrono::duration<double>(options.rest_seconds));
  };
  rest();
  limits_.push_back(limit());
  for (int sample = 0; sample < options.samples; ++sample) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      if (interrupted()) throw Interrupted{};
      rest();
      if (repeats[i] > 1) works[i]();
      const double begin = now_seconds();
      for (int run = 0; run < repeats[i]; ++run) works[i]();
      seconds_[i].push_back((now_seconds() - begin) / repeats[i]);
    }
    rest();
    limits_.push_back(limit());
    if (options.progress) options.progress(sample + 1);
  }
}

double Turns::seconds(std::size_t work) const { return median(seconds_[work]); }

double Turns::limit() const { return median(limits_); }

double Turns::fraction(double units, std::size_t work) const {
  std::vector<double> fractions;
  for (std::size_t i = 0; i < seconds_[work].size(); ++i) {
    fractions.push_back(units / seconds_[work][i] / ((limits_[i] + limits_[i + 1]) / 2));
  }
  return median(fractions);
}

double Turns::speed_ratio(std::size_t work, std::size_t other) const {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < seconds_[work].size(); ++i)
    ratios.push_back(seconds_[other][i] / seconds_[work][i]);
  return median(ratios);
}

double peak_flops(double seconds) {
  const double begin = now_seconds();
  const double processor_begin = processor_seconds();
  const double peak = measure_peak(thread_count(), seconds).f32_gflops * 1e9;
  // All threads are busy all the time here, if they are let.
  processor_shares.push_back((processor_seconds() - processor_begin) / (now_seconds() - begin) /
                             cores_used(thread_count()));
  return peak;
}

bool disturbed() {
  if (processor_shares.empty()) return false;
  std::sort(processor_shares.begin(), processor_shares.end());
  // With many threads, a seventh of an undisturbed measurement is spent by one of them alone.
  return processor_shares[processor_shares.size() / 10] < 0.8;
}

void print_bench_json(Json json) { print_json(json.set("disturbed", disturbed())); }

void finish_text(const CommonOptions& common) {
  flush_out();
  if (common.quiet || !disturbed()) return;
  say("note   other programs kept the threads from their processors in a tenth of the measurements or more; "
      "run it again when they have ended");
}

double read_bandwidth(const std::vector<Tensor>& arrays) {
  constexpr int64_t kPiece = int64_t{1} << 20;  // bytes
  struct Piece {
    const float* data;
    int64_t count;
  };
  std::vector<Piece> pieces;
  double bytes = 0;
  for (const Tensor& array : arrays) {
    // The kernel reads floats; of numbers of another type it reads the same bytes.
    const auto* data = reinterpret_cast<const float*>(array.bytes());
    const auto count = static_cast<int64_t>(array.nbytes() / sizeof(float));
    constexpr int64_t kCount = kPiece / static_cast<int64_t>(sizeof(float));
    for (int64_t i = 0; i < count; i += kCount) pieces.push_back({data + i, std::min(kCount, count - i)});
    bytes += static_cast<double>(array.nbytes());
  }
  const auto& table = kernels::table<float>();
  std::vector<float> results(pieces.size());
  const double begin = now_seconds();
  parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    const Piece& piece = pieces[static_cast<std::size_t>(i)];
    results[static_cast<std::size_t>(i)] = table.read({.x = piece.data, .n = piece.count});
  });
  const double seconds = now_seconds() - begin;
  volatile float sink = 0;
  for (const float result : results) sink = sink + result;
  return bytes / seconds;
}

Limit read_limit(const std::vector<Tensor>& arrays) {
  int64_t bytes = 0;
  for (const Tensor& array : arrays) bytes += static_cast<int64_t>(array.nbytes());
  const std::vector<Tensor> block{Tensor::full({bytes / static_cast<int64_t>(sizeof(float))}, 1)};
  return [=] { return std::max(read_bandwidth(arrays), read_bandwidth(block)); };
}

Tensor random_tensor(const Shape& shape, const std::string& name) {
  const Tensor tensor = Tensor::empty(shape);
  const Random random(1, stream_of(name));
  float* data = tensor.mutable_data<float>();
  const int64_t count = tensor.numel();
  parallel_ranges((count + 3) / 4, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto words = random.block(static_cast<uint64_t>(i));
      for (int64_t j = 0; j < 4 && 4 * i + j < count; ++j) {
        const auto word = static_cast<int32_t>(words[static_cast<std::size_t>(j)]);
        data[4 * i + j] = static_cast<float>(word) * 0x1p-31f;
      }
    }
  });
  return tensor;
}

std::string percent(double fraction) { return right(fixed(100 * fraction, 1), 7) + " %"; }

std::string left(const std::string& text, std::size_t width) {
  const std::size_t length = characters(text);
  return length < width ? text + std::string(width - length, ' ') : text;
}

std::string right(const std::string& text, std::size_t width) {
  const std::size_t length = characters(text);
  return length < width ? std::string(width - length, ' ') + text : text;
}

std::string bench_row(const std::string& name, const std::string& figure, double fraction,
                      const std::string& limit) {
  return left(name, 46) + right(figure, 16) + percent(fraction) + " of " + limit + "\n";
}

double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += math::log(value);
  return math::exp(sum / static_cast<double>(values.size()));
}

}  // namespace gradus::tools
