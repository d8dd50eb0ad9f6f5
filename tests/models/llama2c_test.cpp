// Files of llama2.c: a small model written by hand, held to the formulas of its program in double precision.

#include <cmath>
#include <vector>

#include "models/files/llama2c_source.hpp"
#include "models/transformer/files.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/file.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/draw.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/gguf_writer.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Sizes {
  int dim = 12, hidden = 17, layers = 2, heads = 3, kv_heads = 1, vocab = 11, positions = 9;
  bool tied = true;
};

/// A file's weights in their order there, and the file.
struct Llama2c {
  Sizes s;
  std::vector<float> token, att_norm, q, k, v, o, ffn_norm, gate, down, up, final_norm, output;

  explicit Llama2c(const Sizes& sizes) : s(sizes) {
    const int kv = s.dim / s.heads * s.kv_heads;
    const auto draw = [&](std::vector<float>& to, int count, double scale, double around = 0) {
      for (int i = 0; i < count; ++i)
        to.push_back(static_cast<float>(around + scale * draw_normal(7, static_cast<uint64_t>(drawn_++))));
    };
    draw(token, s.vocab * s.dim, 1);
    draw(att_norm, s.layers * s.dim, 0.1, 1);
    for (auto* matrix : {&q, &o}) draw(*matrix, s.layers * s.dim * s.dim, 0.3);
    for (auto* matrix : {&k, &v}) draw(*matrix, s.layers * kv * s.dim, 0.3);
    draw(ffn_norm, s.layers * s.dim, 0.1, 1);
    for (auto* matrix : {&gate, &down, &up}) draw(*matrix, s.layers * s.hidden * s.dim, 0.3);
    draw(final_norm, s.dim, 0.1, 1);
    if (!s.tied) draw(output, s.vocab * s.dim, 1);
  }

  std::string bytes() const {
    std::string file;
    for (const int number :
         {s.dim, s.hidden, s.layers, s.heads, s.kv_heads, s.tied ? s.vocab : -s.vocab, s.positions})
      file += le(number);
    const std::vector<float> angles(static_cast<size_t>(s.positions * (s.dim / s.heads)), 0.25F);
    for (const auto* part :
         {&token, &att_norm, &q, &k, &v, &o, &ffn_norm, &gate, &down, &up, &final_norm, &angles, &output}) {
      for (const float value : *part) file += le(value);
    }
    return file;
  }

  /// The scores behind the last token.
  std::vector<double> logits(const std::vector<int32_t>& ids) const {
    const int width = s.dim / s.heads, kv = width * s.kv_heads, time = static_cast<int>(ids.size());
    using Rows = std::vector<std::vector<double>>;
    const auto norm = [&](const std::vector<double>& x, const std::vector<float>& weight, int at) {
      double squares = 0;
      for (const double value : x) squares += value * value;
      const double scale = 1 / std::sqrt(squares / s.dim + 1e-5);
      std::vector<double> y;
      for (size_t i = 0; i < x.size(); ++i) y.push_back(x[i] * scale * weight[static_cast<size_t>(at) + i]);
      return y;
    };
    const auto multiply = [&](const std::vector<float>& w, int at, const std::vector<double>& x, int rows) {
      std::vector<double> y(static_cast<size_t>(rows));
      for (size_t r = 0; r < y.size(); ++r) {
        for (size_t c = 0; c < x.size(); ++c) y[r] += w[static_cast<size_t>(at) + r * x.size() + c] * x[c];
      }
      return y;
    };
    // Neighbours turn together.
    const auto turn = [&](std::vector<double>& x, int position) {
      for (size_t i = 0; i < x.size(); i += 2) {
        const double angle =
            position * std::pow(10000.0, -static_cast<double>(i % static_cast<size_t>(width)) / width);
        const double a = x[i], b = x[i + 1];
        x[i] = a * std::cos(angle) - b * std::sin(angle);
        x[i + 1] = a * std::sin(angle) + b * std::cos(angle);
      }
    };
    Rows x;
    for (const int32_t id : ids) x.emplace_back(token.begin() + id * s.dim, token.begin() + (id + 1) * s.dim);
    for (int l = 0; l < s.layers; ++l) {
      Rows queries, keys, values;
      for (int t = 0; t < time; ++t) {
        const std::vector<double> h = norm(x[static_cast<size_t>(t)], att_norm, l * s.dim);
        queries.push_back(multiply(q, l * s.dim * s.dim, h, s.dim));
        keys.push_back(multiply(k, l * kv * s.dim, h, kv));
        values.push_back(multiply(v, l * kv * s.dim, h, kv));
        turn(queries.back(), t);
        turn(keys.back(), t);
      }
      for (int t = 0; t < time; ++t) {
        std::vector<double> found(static_cast<size_t>(s.dim));
        for (int head = 0; head < s.heads; ++head) {
          const int group = head / (s.heads / s.kv_heads);
          std::vector<double> weights;
          double sum = 0;
          for (int j = 0; j <= t; ++j) {
            double score = 0;
            for (int i = 0; i < width; ++i) {
              score += queries[static_cast<size_t>(t)][static_cast<size_t>(head * width + i)] *
                       keys[static_cast<size_t>(j)][static_cast<size_t>(group * width + i)];
            }
            weights.push_back(std::exp(score / std::sqrt(width)));
            sum += weights.back();
          }
          for (int j = 0; j <= t; ++j) {
            for (int i = 0; i < width; ++i) {
              found[static_cast<size_t>(head * width + i)] +=
                  weights[static_cast<size_t>(j)] / sum *
                  values[static_cast<size_t>(j)][static_cast<size_t>(group * width + i)];
            }
          }
        }
        std::vector<double>& row = x[static_cast<size_t>(t)];
        const std::vector<double> attended = multiply(o, l * s.dim * s.dim, found, s.dim);
        for (size_t i = 0; i < row.size(); ++i) row[i] += attended[i];
        const std::vector<double> h = norm(row, ffn_norm, l * s.dim);
        std::vector<double> inner = multiply(gate, l * s.hidden * s.dim, h, s.hidden);
        const std::vector<double> other = multiply(up, l * s.hidden * s.dim, h, s.hidden);
        for (size_t i = 0; i < inner.size(); ++i) inner[i] *= other[i] / (1 + std::exp(-inner[i]));
        const std::vector<double> fed = multiply(down, l * s.hidden * s.dim, inner, s.dim);
        for (size_t i = 0; i < row.size(); ++i) row[i] += fed[i];
      }
    }
    return multiply(s.tied ? token : output, 0, norm(x.back(), final_norm, 0), s.vocab);
  }

 private:
  int drawn_ = 0;
};

}  // namespace

TEST_CASE("A file of llama2.c computes what its program does") {
  const TemporaryFolder folder;
  Sizes grouped, untied;
  untied = {.dim = 8,
            .hidden = 5,
            .layers = 3,
            .heads = 2,
            .kv_heads = 2,
            .vocab = 7,
            .positions = 6,
            .tied = false};
  for (const Sizes& sizes : {grouped, untied}) {
    const Llama2c file(sizes);
    const std::string path = folder / "model.bin";
    write_quickly(path, file.bytes());
    const LanguageModel loaded = load_language_model(path, false);
    CHECK_FALSE(loaded.has_tokenizer);
    CHECK(loaded.model.config().end_tokens == std::vector<int64_t>{1});
    const NoGrad no_grad_here;
    for (const std::vector<int32_t>& ids : {std::vector<int32_t>{1}, {1, 5, 0, 3, 6, 2}}) {
      const Tensor rows = loaded.model.forward(ids_tensor(ids), Context::of_batch(1, std::ssize(ids)));
      const std::vector<float> all = loaded.model.logits(rows).to_vector<float>();
      const std::vector<double> expected = file.logits(ids);
      for (size_t i = 0; i < expected.size(); ++i)
        CHECK(std::fabs(all[all.size() - expected.size() + i] - expected[i]) < 2e-5);
    }
  }
}

TEST_CASE(
    "A file of llama2.c that is not whole, of another version, or of sizes that do not fit is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "model.bin";
  const auto refusal = [&](const std::string& bytes) {
    write_quickly(path, bytes);
    return error_of([&] { load_transformer(path); });
  };
  const std::string whole = Llama2c({}).bytes();
  CHECK(refusal(whole) == "no error");
  const std::string sizes =
      "model.bin: a llama2.c file of dim 12, hidden_dim 17, 2 layers, 3 heads, 1 key/value heads, 11 tokens "
      "and "
      "seq_len 9 must have " +
      std::to_string(whole.size()) + " bytes; it has ";
  CHECK_THAT(refusal(whole.substr(0, whole.size() - 1)), ContainsSubstring(sizes));
  CHECK_THAT(refusal(whole + "x"), ContainsSubstring(sizes));
  CHECK_THAT(refusal(whole.substr(0, 28)), ContainsSubstring(sizes + "28"));
  CHECK_THAT(refusal("24ka" + whole), ContainsSubstring("it is of version 1 or 2; export the model again"));
  const auto with = [&](size_t number, int value) {
    std::string bytes = whole;
    return bytes.replace(4 * number, 4, le(value));
  };
  CHECK_THAT(refusal(with(3, 5)), ContainsSubstring("dim is 12, n_heads is 5"));
  CHECK_THAT(refusal(with(3, 4)), ContainsSubstring("dim is 12, n_heads is 4"));
  CHECK_THAT(refusal(with(4, 2)),
             ContainsSubstring("n_heads must be a multiple of n_kv_heads; they are 3 and 2"));
  CHECK_THAT(refusal(with(1, 1 << 20)), ContainsSubstring("must have "));
  // Not a size: another format.
  for (const int number : {0, 1, 2, 3, 4, 5, 6}) {
    CHECK_FALSE(is_llama2c(with(static_cast<size_t>(number), 0)));
    CHECK_FALSE(is_llama2c(with(static_cast<size_t>(number), 0x20202020)));
  }
  CHECK_FALSE(is_llama2c(with(2, -2)));
  CHECK(is_llama2c(with(5, -11)));
  CHECK_FALSE(is_llama2c(whole.substr(0, 27)));
}
