#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.hpp"
#include "tools/common.hpp"

/// What the benches share: samples that are taken in turns with the limit that they are held against.

namespace gradus::tools {

/// The benches, one file each; they read the arguments after their name.
int bench_peak(const Arguments& arguments);
int bench_gemm(const Arguments& arguments);
int bench_train(const Arguments& arguments);
int bench_growth(const Arguments& arguments);
int bench_generate(const Arguments& arguments);
int bench_embed(const Arguments& arguments);
int bench_tokenizer(const Arguments& arguments);
int bench_vectors(const Arguments& arguments);

/// The middle one; of an even number the upper of the two.
double median(std::vector<double> values);

/// Something whose time is taken; it may run any number of times.
using Work = std::function<void()>;
/// Units a second (operations, bytes) that the machine manages at most, as it is at this moment.
using Limit = std::function<double()>;

struct TurnOptions {
  int samples = 7;               ///< at least 5, so that a median means something
  double sample_seconds = 5e-3;  ///< a sample repeats its work until it is about so long; 0: once
  double rest_seconds = 0;       ///< before each sample, until threads of another library have fallen asleep
  std::function<void(int sample)> progress;
};

/// Samples of one or more works, in turns, with the limit measured before the first and after each round of samples: a
/// machine that is shared drifts by a quarter within minutes, and this way all of them see the same machine. A work runs
/// once or twice, untimed, before it is sampled.
/// note: throws Interrupted where Ctrl-C was pressed.
class Turns {
 public:
  Turns(const std::vector<Work>& works, const Limit& limit, const TurnOptions& options);

  /// Of one run of a work: the median of its samples.
  double seconds(std::size_t work = 0) const;
  /// The median of the limit's measurements.
  double limit() const;
  /// Which part of the limit a work reaches that takes `units` a run: the median over its samples, each held against
  /// the mean of the limit before and after its round.
  double fraction(double units, std::size_t work = 0) const;
  /// How many times as fast as `other` a work is: the median over the rounds.
  double speed_ratio(std::size_t work, std::size_t other) const;

 private:
  std::vector<std::vector<double>> seconds_;  // of each work, by round
  std::vector<double> limits_;                // one more than there are rounds
};

/// Fused-multiply-add peak of the threads in use, in operations a second, measured for about so many seconds.
double peak_flops(double seconds = 0.02);
/// Whether other programs kept the threads from their processors while peaks were measured, in a tenth of the
/// measurements or more.
bool disturbed();
/// Prints the object of a bench, with `disturbed` in it.
void print_bench_json(Json json);
/// Ends what a bench prints for people, with a line on stderr if it was disturbed.
void finish_text(const CommonOptions& common);
/// Bytes a second at which the threads in use read these arrays, all of them, once.
double read_bandwidth(const std::vector<Tensor>& arrays);
/// The same as a limit of what reads these arrays or copies of them: theirs, or that of a block of memory as large, if it
/// is more. On a machine that is itself a guest, one block of memory can be read half again as fast as another.
Limit read_limit(const std::vector<Tensor>& arrays);

/// Uniform in [-1, 1), a function of the name and the place alone.
Tensor random_tensor(const Shape& shape, const std::string& name);

/// "   93.1 %", nine characters wide.
std::string percent(double fraction);
/// A text filled up with spaces to a number of characters, on the right or, for numbers, on the left.
std::string left(const std::string& text, std::size_t width);
std::string right(const std::string& text, std::size_t width);
/// A row of the benches' one table: what was measured, how fast it is, and which part of which limit that is.
std::string bench_row(const std::string& name, const std::string& figure, double fraction,
                      const std::string& limit);
/// The product of the values to the power of one over their number.
double geometric_mean(const std::vector<double>& values);

}  // namespace gradus::tools
