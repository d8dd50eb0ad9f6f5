#include "models/transformer/explain.hpp"

#include <limits>
#include <utility>

#include "models/embeddings/nearest.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/math.hpp"

namespace gradus {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr double kTurn = 6.283185307179586;  // 2π

std::span<const float> row_of(const Tensor& rows, int64_t row) {
  return {rows.data<float>() + row * rows.size(1), static_cast<size_t>(rows.size(1))};
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

double norm(std::span<const float> x) { return math::sqrt(dot(x, x)); }

Context context_of(const Transformer& model, std::span<const int32_t> ids) {
  check(model.config().dtype == DType::f32, "explain: the model must compute in f32; it computes in ",
        dtype_name(model.config().dtype));
  const int64_t lengths[] = {std::ssize(ids)};
  return Context::of_lengths(lengths);
}

// A row, `count` times.
Tensor repeated(const Tensor& rows, int64_t row, int64_t count) {
  return embedding(rows, Tensor::full({count}, row, DType::i32));
}

}  // namespace

std::vector<RowParts> explain_rows(const Transformer& model, std::span<const int32_t> ids) {
  const NoGrad no_grad_here;
  const Context context = context_of(model, ids);
  const Tensor tokens = Tensor::from(ids, {std::ssize(ids)});
  const std::vector<NamedTensor> parts = model.input_parts(tokens, context);
  Tensor sum = parts[0].tensor;
  for (size_t p = 1; p < parts.size(); ++p) sum = sum + parts[p].tensor;
  const int64_t first[] = {0};
  const Tensor layer_0 = model.hidden_states(tokens, context, first).front();

  std::vector<RowParts> rows;
  for (int64_t t = 0; t < std::ssize(ids); ++t) {
    RowParts row;
    const std::span<const float> whole = row_of(sum, t);
    for (const NamedTensor& part : parts) {
      const std::span<const float> x = row_of(part.tensor, t);
      row.parts.push_back({part.name, norm(x), cosine(x, whole)});
    }
    row.sum_norm = norm(whole);
    row.layer_0_norm = norm(row_of(layer_0, t));
    check_world(row.sum_norm < kInfinite && row.layer_0_norm < kInfinite,
                "explain: vectors must be finite; that of token ", t,
                " is not; the model's weights are damaged, or its training diverged");
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<double> rotary_wavelengths(const Transformer& model, bool local) {
  std::vector<double> waves = model.position.frequencies(local);
  for (double& wave : waves) wave = kTurn / wave;
  return waves;
}

Rotation explain_rotation(const Transformer& model, std::span<const int32_t> ids,
                          const RotationOptions& options) {
  const NoGrad no_grad_here;
  const Config& config = model.config();
  const int64_t count = std::ssize(ids);
  check(config.position == PositionKind::rotary,
        "explain: positions must be rotary for queries and keys to turn; they are ",
        name_of(config.position));
  check(options.layer >= 1 && options.layer <= config.n_layer, "explain: the layer must be in [1, ",
        config.n_layer, "]: block l is what layer_l leaves; it is ", options.layer);
  check(options.head >= 0 && options.head < config.n_head, "explain: the head must be in [0, ",
        config.n_head - 1, "]; it is ", options.head);
  for (const int64_t token : {options.query, options.key}) {
    check(token >= 0 && token < count, "explain: a token must be in [0, ", count - 1,
          "], its place in the text; it is ", token);
  }

  const int64_t below[] = {options.layer - 1};
  const Tensor entering =
      model.hidden_states(Tensor::from(ids, {count}), context_of(model, ids), below).front();
  const Block& block = model.blocks[static_cast<size_t>(options.layer - 1)];
  const AttentionOptions& o = block.attention.options();
  const Attention::Projections projections = block.attention.project(block.attention_rows(entering));
  const auto head_of = [&](const Tensor& rows, int64_t head) {  // (N, H·D) -> (N, D)
    return slice(rows, 1, head * o.head_width, (head + 1) * o.head_width).to_contiguous();
  };
  const Tensor queries = head_of(projections.queries, options.head);
  const Tensor keys = head_of(projections.keys, options.head / (o.heads / o.kv_heads));

  // Row d is the tokens at distance d, the last row where they stand in the text.
  const int64_t sign = options.query >= options.key ? 1 : -1;
  std::vector<int32_t> query_at, key_at;
  for (int64_t d = 0; d < count; ++d) {
    query_at.push_back(static_cast<int32_t>(sign > 0 ? d : 0));
    key_at.push_back(static_cast<int32_t>(sign > 0 ? 0 : d));
  }
  query_at.push_back(static_cast<int32_t>(options.query));
  key_at.push_back(static_cast<int32_t>(options.key));
  const auto turned = [&](const Tensor& rows, int64_t row, const std::vector<int32_t>& at) {
    return model.position.rotate(repeated(rows, row, count + 1), Tensor::from(at, {count + 1}), 1, o.local);
  };
  const Tensor turned_queries = turned(queries, options.query, query_at);
  const Tensor turned_keys = turned(keys, options.key, key_at);

  Rotation result;
  result.scale = o.scale != 0 ? o.scale : 1.0 / math::sqrt(static_cast<double>(o.head_width));
  const std::span<const float> q = row_of(queries, options.query), k = row_of(keys, options.key);
  const std::span<const float> turned_q = row_of(turned_queries, count),
                               turned_k = row_of(turned_keys, count);
  const std::vector<double> waves = rotary_wavelengths(model, o.local);
  const size_t half = waves.size();
  for (size_t i = 0; i < half; ++i) {
    const auto part = [&](std::span<const float> a, std::span<const float> b) {
      const float x[] = {a[i], a[i + half]}, y[] = {b[i], b[i + half]};
      return result.scale * dot(x, y);
    };
    result.pairs.push_back(
        {waves[i], {q[i], q[i + half]}, {k[i], k[i + half]}, part(q, k), part(turned_q, turned_k)});
  }
  result.unturned = result.scale * dot(q.subspan(2 * half), k.subspan(2 * half));
  result.before = result.scale * dot(q, k);
  result.after = result.scale * dot(turned_q, turned_k);
  check_world(result.before < kInfinite && result.before > -kInfinite,
              "explain: products of queries and keys must be finite; that of tokens ", options.query, " and ",
              options.key, " is not; the model's weights are damaged, or its training diverged");
  for (int64_t d = 0; d < count; ++d) {
    const int64_t distance = sign * d;
    result.by_distance.push_back({distance,
                                  result.scale * dot(row_of(turned_queries, d), row_of(turned_keys, d)),
                                  distance <= o.visibility.before && -distance <= o.visibility.after});
  }
  return result;
}

}  // namespace gradus
