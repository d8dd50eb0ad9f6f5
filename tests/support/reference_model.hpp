#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "models/transformer/families/family.hpp"
#include "tensor/tensor.hpp"

namespace gradus::testing {

/// A model by its file alone, in plain loops and double: what GPT2LMHeadModel and LlamaForCausalLM compute, from the
/// tensors as those name and orient them; and the same with the other kinds of blocks.
class ReferenceModel {
 public:
  using Rows = std::vector<std::vector<double>>;

  ReferenceModel(const std::vector<NamedTensor>& tensors, const Config& config) : config_(config) {
    for (const NamedTensor& t : tensors) tensors_[t.name] = {t.tensor.to_vector<double>(), t.tensor.size(-1)};
  }

  Rows logits(const std::vector<int32_t>& ids) const {
    const bool gpt = config_.family->name == "gpt";
    const bool post = config_.block == BlockKind::post_norm;
    const std::string table = gpt ? "transformer.wte.weight" : "model.embed_tokens.weight";
    Rows x;
    for (size_t t = 0; t < ids.size(); ++t) {
      x.push_back(row(table, ids[t]));
      if (gpt) add(x[t], row("transformer.wpe.weight", static_cast<int64_t>(t)));
    }
    for (int64_t l = 0; l < config_.n_layer; ++l) {
      const std::string p = (gpt ? "transformer.h." : "model.layers.") + std::to_string(l);
      const std::string first = p + (gpt ? ".ln_1" : ".input_layernorm");
      const std::string second = p + (gpt ? ".ln_2" : ".post_attention_layernorm");
      const Rows entering = x;
      Rows h = post ? x : norm(x, first);
      Rows q, k, v;
      if (gpt) {
        const Rows all = dense(h, p + ".attn.c_attn");
        const auto c = static_cast<std::ptrdiff_t>(config_.n_embd);
        for (const auto& r : all) {
          q.emplace_back(r.begin(), r.begin() + c);
          k.emplace_back(r.begin() + c, r.begin() + 2 * c);
          v.emplace_back(r.begin() + 2 * c, r.end());
        }
      } else {
        q = rotated(dense(h, p + ".self_attn.q_proj"));
        k = rotated(dense(h, p + ".self_attn.k_proj"));
        v = dense(h, p + ".self_attn.v_proj");
      }
      add_rows(x, dense(attend(q, k, v), p + (gpt ? ".attn.c_proj" : ".self_attn.o_proj")));
      if (post) x = norm(x, first);
      if (config_.block == BlockKind::pre_norm) h = norm(x, second);
      if (post) h = x;
      if (config_.block == BlockKind::parallel) h = norm(entering, second);
      if (config_.block == BlockKind::parallel_shared) h = norm(entering, first);
      Rows up = dense(h, p + (gpt ? ".mlp.c_fc" : ".mlp.up_proj"));
      if (gpt) {
        for (auto& r : up) {
          for (double& u : r) u *= 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (u + 0.044715 * u * u * u)));
        }
      } else {
        const Rows gate = dense(h, p + ".mlp.gate_proj");
        for (size_t t = 0; t < up.size(); ++t) {
          for (size_t f = 0; f < up[t].size(); ++f) up[t][f] *= gate[t][f] / (1 + std::exp(-gate[t][f]));
        }
      }
      add_rows(x, dense(up, p + (gpt ? ".mlp.c_proj" : ".mlp.down_proj")));
      if (post) x = norm(x, second);
    }
    if (config_.final_norm) x = norm(x, gpt ? "transformer.ln_f" : "model.norm");
    return product(x, tensors_.at(config_.tie ? table : "lm_head.weight"), false);
  }

 private:
  struct Matrix {
    std::vector<double> values;
    int64_t columns;
  };

  std::vector<double> row(const std::string& name, int64_t r) const {
    const Matrix& m = tensors_.at(name);
    return {m.values.begin() + r * m.columns, m.values.begin() + (r + 1) * m.columns};
  }
  static void add(std::vector<double>& a, const std::vector<double>& b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  }
  static void add_rows(Rows& a, const Rows& b) {
    for (size_t t = 0; t < a.size(); ++t) add(a[t], b[t]);
  }
  // x · m where inputs come first, else x · mᵀ.
  static Rows product(const Rows& x, const Matrix& m, bool inputs_first) {
    const auto inputs = static_cast<int64_t>(x[0].size());
    const int64_t outputs = inputs_first ? m.columns : static_cast<int64_t>(m.values.size()) / inputs;
    Rows y(x.size(), std::vector<double>(static_cast<size_t>(outputs), 0.0));
    for (size_t t = 0; t < x.size(); ++t) {
      for (int64_t o = 0; o < outputs; ++o) {
        for (int64_t i = 0; i < inputs; ++i) {
          y[t][static_cast<size_t>(o)] +=
              x[t][static_cast<size_t>(i)] *
              m.values[static_cast<size_t>(inputs_first ? i * outputs + o : o * inputs + i)];
        }
      }
    }
    return y;
  }
  Rows dense(const Rows& x, const std::string& name) const {
    Rows y = product(x, tensors_.at(name + ".weight"), config_.family->name == "gpt");
    if (const auto bias = tensors_.find(name + ".bias"); bias != tensors_.end()) {
      for (auto& r : y) add(r, bias->second.values);
    }
    return y;
  }
  Rows norm(const Rows& x, const std::string& name) const {
    const std::vector<double>& w = tensors_.at(name + ".weight").values;
    const auto n = static_cast<double>(w.size());
    const bool rms = config_.family->name == "llama";
    Rows y = x;
    for (auto& r : y) {
      double mean = 0;
      for (const double u : r) mean += rms ? 0 : u / n;
      double variance = 0;
      for (const double u : r) variance += (u - mean) * (u - mean) / n;
      for (size_t c = 0; c < r.size(); ++c)
        r[c] = (r[c] - mean) / std::sqrt(variance + config_.norm_epsilon) * w[c];
      if (!rms) add(r, tensors_.at(name + ".bias").values);
    }
    return y;
  }
  Rows rotated(Rows x) const {
    const auto width = static_cast<size_t>(config_.n_embd / config_.n_head);
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t h = 0; h < x[t].size(); h += width) {
        for (size_t i = 0; i < width / 2; ++i) {
          const double angle =
              static_cast<double>(t) *
              std::pow(config_.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(width));
          const double a = x[t][h + i];
          const double b = x[t][h + i + width / 2];
          x[t][h + i] = a * std::cos(angle) - b * std::sin(angle);
          x[t][h + i + width / 2] = b * std::cos(angle) + a * std::sin(angle);
        }
      }
    }
    return x;
  }
  Rows attend(const Rows& q, const Rows& k, const Rows& v) const {
    const auto width = static_cast<size_t>(config_.n_embd / config_.n_head);
    const auto group = static_cast<size_t>(config_.n_head / config_.n_kv_head);
    Rows y(q.size(), std::vector<double>(q[0].size(), 0.0));
    for (size_t t = 0; t < q.size(); ++t) {
      for (size_t h = 0; h < static_cast<size_t>(config_.n_head); ++h) {
        const size_t g = h / group * width;
        const size_t seen = config_.causal ? t + 1 : q.size();
        std::vector<double> p(seen, 0.0);
        double sum = 0;
        for (size_t j = 0; j < seen; ++j) {
          for (size_t d = 0; d < width; ++d) p[j] += q[t][h * width + d] * k[j][g + d];
          p[j] = std::exp(p[j] / std::sqrt(static_cast<double>(width)));
          sum += p[j];
        }
        for (size_t j = 0; j < seen; ++j) {
          for (size_t d = 0; d < width; ++d) y[t][h * width + d] += p[j] / sum * v[j][g + d];
        }
      }
    }
    return y;
  }

  Config config_;
  std::map<std::string, Matrix> tensors_;
};

}  // namespace gradus::testing
