#include <algorithm>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/math.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/ops/scratch.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"

namespace gradus {

Ragged uniform_sequences(int64_t batch, int64_t time) {
  const std::vector<int64_t> lengths(static_cast<std::size_t>(batch), time);
  return ragged_sequences(lengths);
}

Ragged ragged_sequences(std::span<const int64_t> lengths) {
  Ragged result;
  for (const int64_t length : lengths) {
    check(length >= 0, "ragged_sequences: lengths must be at least 0; ", length, " was given");
    result.offsets.push_back(result.offsets.back() + length);
  }
  return result;
}

namespace {

constexpr int64_t round_up(int64_t n) {
  return (n + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes;
}

/// Rows that kernels can walk: the last axis dense, any distance between rows.
Tensor dense_rows(const Tensor& x) {
  return x.strides()[1] == 1 || x.size(1) == 1 ? x.detach() : x.to_contiguous();
}

struct Sizes {
  int64_t rows, heads, kv_heads, width;
  double scale;
};

Sizes check_heads(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                  int64_t kv_heads, double scale) {
  check_same_dtype(op, q, k);
  check_same_dtype(op, q, v);
  check(q.rank() == 2 && k.rank() == 2 && v.rank() == 2 && k.shape() == v.shape() && q.size(0) == k.size(0),
        op, ": q must be (N, H·D), k and v (N, G·D); q is ", q.shape(), ", k is ", k.shape(), ", v is ",
        v.shape());
  check(heads > 0 && kv_heads > 0 && heads % kv_heads == 0, op,
        ": heads must be a multiple of kv_heads; heads is ", heads, ", kv_heads is ", kv_heads);
  check(q.size(1) > 0 && q.size(1) % heads == 0 && k.size(1) == q.size(1) / heads * kv_heads, op,
        ": widths must be heads·D and kv_heads·D; q has ", q.size(1), " columns for ", heads,
        " heads, k has ", k.size(1), " for ", kv_heads);
  const int64_t width = q.size(1) / heads;
  return {q.size(0), heads, kv_heads, width,
          scale != 0 ? scale : 1.0 / math::sqrt(static_cast<double>(width))};
}

void check_sequences(const char* op, const Ragged& sequences, const Tensor& q) {
  const std::vector<int64_t>& offsets = sequences.offsets;
  check(!offsets.empty() && offsets.front() == 0 && offsets.back() == q.size(0), op,
        ": the sequences must cover the rows; q is ", q.shape(), " but the last offset is ",
        offsets.empty() ? 0 : offsets.back());
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    check(offsets[b] <= offsets[b + 1], op, ": offsets must ascend; sequence ", b, " has ",
          offsets[b + 1] - offsets[b], " rows");
  }
}

void check_visibility(const char* op, const Visibility& visibility) {
  const auto fits = [](int64_t rows) { return rows >= 0 && rows <= Visibility::kAll; };
  check(fits(visibility.before) && fits(visibility.after), op,
        ": a row must see at least itself; the rows before and after it that it sees are ", visibility.before,
        " and ", visibility.after);
}

struct Tile {
  int64_t sequence;
  int64_t row;  // its first, counted in the sequence
};

/// The tiles of query rows of all sequences.
std::vector<Tile> query_tiles(const std::vector<int64_t>& offsets) {
  std::vector<Tile> tiles;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    for (int64_t row = 0; row < offsets[b + 1] - offsets[b]; row += kernels::kQueryBlock)
      tiles.push_back({static_cast<int64_t>(b), row});
  }
  return tiles;
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Ragged& sequences, int64_t heads,
                 int64_t kv_heads, const Visibility& visibility, double scale) {
  const Sizes size = check_heads("attention", q, k, v, heads, kv_heads, scale);
  const std::vector<int64_t>& offsets = sequences.offsets;
  check_sequences("attention", sequences, q);
  check_visibility("attention", visibility);
  const int64_t batch = sequences.count();
  const int64_t d = size.width;
  const int64_t width = round_up(d);
  const Tensor queries = dense_rows(q);
  const Tensor keys = dense_rows(k);
  const Tensor values = dense_rows(v);
  Tensor y = Tensor::empty(q.shape(), q.dtype());
  Tensor lse = Tensor::empty({size.rows, heads}, q.dtype());

  visit_floating(q.dtype(), "attention", [&]<class T>() {
    const auto& table = kernels::table<T>();
    // Where each sequence's packed keys and values start.
    std::vector<int64_t> packed(static_cast<std::size_t>(batch) + 1, 0);
    for (int64_t b = 0; b < batch; ++b) packed[b + 1] = packed[b] + round_up(offsets[b + 1] - offsets[b]);
    const std::vector<Tile> tiles = query_tiles(offsets);
    const int64_t padded = packed[batch];
    Tensor key_panels = Tensor::empty({kv_heads, padded, d}, q.dtype());
    Tensor value_panels = Tensor::empty({kv_heads, padded, width}, q.dtype());
    const int64_t tasks = std::ssize(tiles) * heads;
    detail::ScratchPool<T> scratch(tasks, kernels::attention_scratch(d));
    T* panels_out = key_panels.mutable_data<T>();
    T* values_out = value_panels.mutable_data<T>();
    const T* k_in = keys.data<T>();
    const T* v_in = values.data<T>();
    const int64_t k_row = keys.strides()[0];
    const int64_t v_row = values.strides()[0];
    parallel_for(batch * kv_heads, [&](int64_t task) {
      const int64_t b = task / kv_heads;
      const int64_t g = task % kv_heads;
      const int64_t rows = offsets[b + 1] - offsets[b];
      table.pack({.source = k_in + offsets[b] * k_row + g * d,
                  .k_stride = 1,
                  .n_stride = k_row,
                  .k = d,
                  .n = rows,
                  .panels = panels_out + (g * padded + packed[b]) * d,
                  .panel = d * 16});
      table.pack({.source = v_in + offsets[b] * v_row + g * d,
                  .k_stride = v_row,
                  .n_stride = 1,
                  .k = rows,
                  .n = d,
                  .panels = values_out + (g * padded + packed[b]) * width,
                  .panel = rows * 16});
    });
    const T* q_in = queries.data<T>();
    const int64_t q_row = queries.strides()[0];
    T* y_out = y.mutable_data<T>();
    T* lse_out = lse.mutable_data<T>();
    parallel_for(tasks, [&](int64_t task) {
      const auto [b, row] = tiles[static_cast<std::size_t>(task / heads)];
      const int64_t h = task % heads;
      const int64_t g = h / (heads / kv_heads);
      const int64_t rows = offsets[b + 1] - offsets[b];
      const int64_t first = offsets[b] + row;
      const typename detail::ScratchPool<T>::Loan room(scratch);
      table.attention({.q = q_in + first * q_row + h * d,
                       .q_row = q_row,
                       .key_panels = panels_out + (g * padded + packed[b]) * d,
                       .values = values_out + (g * padded + packed[b]) * width,
                       .value_panel = rows * 16,
                       .value_row = 16,
                       .y = y_out + first * heads * d + h * d,
                       .y_row = heads * d,
                       .lse = lse_out + first * heads + h,
                       .lse_row = heads,
                       .begin = row,
                       .end = std::min(row + kernels::kQueryBlock, rows),
                       .keys = rows,
                       .head_width = d,
                       .before = visibility.before,
                       .after = visibility.after,
                       .scale = static_cast<T>(size.scale),
                       .scratch = room.data()});
    });
  });

  if (!will_record({&q, &k, &v})) return y;
  return record("attention", y, {q, k, v},
                [saved_q = Saved("attention", queries), saved_k = Saved("attention", keys),
                 saved_v = Saved("attention", values), saved_y = Saved("attention", y),
                 saved_lse = Saved("attention", lse), offsets, size, batch, d, visibility](Backward& g) {
                  const int64_t group = size.heads / size.kv_heads;
                  Tensor dq = Tensor::empty(saved_q.get().shape(), g.dy().dtype());
                  Tensor dk = Tensor::empty(saved_k.get().shape(), g.dy().dtype());
                  Tensor dv = Tensor::empty(saved_v.get().shape(), g.dy().dtype());
                  visit_floating(g.dy().dtype(), "attention", [&]<class T>() {
                    int64_t longest = 0;
                    for (int64_t b = 0; b < batch; ++b)
                      longest = std::max(longest, offsets[b + 1] - offsets[b]);
                    detail::ScratchPool<T> scratch(batch * size.kv_heads,
                                                   kernels::attention_grad_scratch(longest, d));
                    const int64_t y_row = size.heads * d, kv_row = size.kv_heads * d;
                    const kernels::AttentionGradArgs<T> whole{.q = saved_q.get().data<T>(),
                                                              .q_row = saved_q.get().strides()[0],
                                                              .k = saved_k.get().data<T>(),
                                                              .k_row = saved_k.get().strides()[0],
                                                              .v = saved_v.get().data<T>(),
                                                              .v_row = saved_v.get().strides()[0],
                                                              .y = saved_y.get().data<T>(),
                                                              .y_row = y_row,
                                                              .dy = g.dy().data<T>(),
                                                              .dy_row = y_row,
                                                              .lse = saved_lse.get().data<T>(),
                                                              .lse_row = size.heads,
                                                              .dq = dq.mutable_data<T>(),
                                                              .dq_row = y_row,
                                                              .dk = dk.mutable_data<T>(),
                                                              .dk_row = kv_row,
                                                              .dv = dv.mutable_data<T>(),
                                                              .dv_row = kv_row,
                                                              .rows = 0,
                                                              .group = group,
                                                              .head_width = d,
                                                              .before = visibility.before,
                                                              .after = visibility.after,
                                                              .scale = static_cast<T>(size.scale),
                                                              .scratch = nullptr};
                    const auto run = kernels::table<T>().attention_grad;
                    parallel_for(batch * size.kv_heads, [&](int64_t task) {
                      const int64_t b = task / size.kv_heads;
                      const int64_t kv = task % size.kv_heads;
                      const int64_t first = offsets[b];
                      const int64_t h = kv * group;
                      const typename detail::ScratchPool<T>::Loan room(scratch);
                      kernels::AttentionGradArgs<T> part = whole;
                      part.q += first * part.q_row + h * d;
                      part.k += first * part.k_row + kv * d;
                      part.v += first * part.v_row + kv * d;
                      part.y += first * y_row + h * d;
                      part.dy += first * y_row + h * d;
                      part.lse += first * part.lse_row + h;
                      part.dq += first * y_row + h * d;
                      part.dk += first * kv_row + kv * d;
                      part.dv += first * kv_row + kv * d;
                      part.rows = offsets[b + 1] - first;
                      part.scratch = room.data();
                      run(part);
                    });
                  });
                  if (g.needs(0)) g.add(0, dq);
                  if (g.needs(1)) g.add(1, dk);
                  if (g.needs(2)) g.add(2, dv);
                });
}

KeyValueCache::KeyValueCache(int64_t capacity_rows, int64_t kv_heads, int64_t head_width, DType dtype)
    : capacity(capacity_rows) {
  check(capacity_rows > 0 && kv_heads > 0 && head_width > 0,
        "KeyValueCache: sizes must be positive; capacity ", capacity_rows, ", kv_heads ", kv_heads,
        ", head_width ", head_width);
  check(dtype == DType::f32 || dtype == DType::bf16, "KeyValueCache: the type must be f32 or bf16; it is ",
        dtype_name(dtype));
  keys = Tensor::zeros({kv_heads, round_up(capacity_rows) / kernels::kLanes, head_width, kernels::kLanes},
                       dtype);
  values = Tensor::zeros({kv_heads, capacity_rows, round_up(head_width)}, dtype);
}

namespace {

void check_caches(std::span<KeyValueCache* const> caches, const std::vector<int64_t>& offsets,
                  const Sizes& size) {
  check(caches.size() + 1 == offsets.size(), "attention_cached: each of ", offsets.size() - 1,
        " sequences must have a cache; there are ", caches.size());
  std::vector<std::pair<const Storage*, std::size_t>> owners;
  for (std::size_t b = 0; b < caches.size(); ++b) {
    const KeyValueCache* cache = caches[b];
    check(cache != nullptr && cache->keys.defined() && cache->keys.size(0) == size.kv_heads &&
              cache->keys.size(2) == size.width,
          "attention_cached: a cache must be made for ", size.kv_heads, " key/value heads of width ",
          size.width, "; that of sequence ", b, " is not");
    check(cache->keys.dtype() == caches[0]->keys.dtype(),
          "attention_cached: all caches must be of one type; sequence 0 has ",
          dtype_name(caches[0]->keys.dtype()), ", sequence ", b, " has ", dtype_name(cache->keys.dtype()));
    const int64_t rows = offsets[b + 1] - offsets[b];
    check(cache->rows + rows <= cache->capacity,
          "attention_cached: a cache must have room; that of sequence ", b, " holds ", cache->rows, " of ",
          cache->capacity, " rows and ", rows, " are new");
    owners.emplace_back(cache->keys.storage().get(), b);
  }
  std::sort(owners.begin(), owners.end());
  for (std::size_t i = 1; i < owners.size(); ++i) {
    check(owners[i].first != owners[i - 1].first,
          "attention_cached: each sequence must have a cache of its own; sequences ", owners[i - 1].second,
          " and ", owners[i].second, " share one");
  }
}

/// Copies each sequence's rows of k and v to their places in its cache, all in one element type.
template <class T>
void append_rows(const Tensor& k, const Tensor& v, const std::vector<int64_t>& offsets,
                 std::span<KeyValueCache* const> caches, const Sizes& size) {
  const int64_t d = size.width;
  const int64_t width = round_up(d);
  const T* k_in = k.data<T>();
  const T* v_in = v.data<T>();
  std::vector<std::pair<T*, T*>> starts;  // of each cache's keys and values
  for (KeyValueCache* cache : caches)
    starts.emplace_back(cache->keys.mutable_data<T>(), cache->values.mutable_data<T>());
  parallel_for(std::ssize(caches) * size.kv_heads, [&](int64_t task) {
    const int64_t b = task / size.kv_heads;
    const int64_t g = task % size.kv_heads;
    const KeyValueCache& cache = *caches[b];
    T* keys = starts[b].first + g * round_up(cache.capacity) * d;
    T* values = starts[b].second + g * cache.capacity * width;
    for (int64_t r = offsets[b]; r < offsets[b + 1]; ++r) {
      const int64_t at = cache.rows + r - offsets[b];
      T* panel = keys + at / kernels::kLanes * kernels::kLanes * d + at % kernels::kLanes;
      for (int64_t i = 0; i < d; ++i) panel[i * kernels::kLanes] = k_in[r * k.strides()[0] + g * d + i];
      std::copy_n(v_in + r * v.strides()[0] + g * d, d, values + at * width);
    }
  });
  for (std::size_t b = 0; b < caches.size(); ++b) caches[b]->rows += offsets[b + 1] - offsets[b];
}

}  // namespace

Tensor attention_cached(const Tensor& q, const Tensor& k, const Tensor& v, const Ragged& sequences,
                        std::span<KeyValueCache* const> caches, int64_t heads, int64_t kv_heads,
                        const Visibility& visibility, double scale) {
  const Sizes size = check_heads("attention_cached", q, k, v, heads, kv_heads, scale);
  const std::vector<int64_t>& offsets = sequences.offsets;
  check(q.dtype() == DType::f32, "attention_cached: tensors must be f32; q is ", dtype_name(q.dtype()));
  check_sequences("attention_cached", sequences, q);
  check_visibility("attention_cached", visibility);
  check(visibility.after == 0,
        "attention_cached: a row must not see those after it, which are yet to come; it sees ",
        visibility.after, " of them");
  check_caches(caches, offsets, size);
  const bool narrow = !caches.empty() && caches[0]->keys.dtype() == DType::bf16;
  const int64_t d = size.width;
  const int64_t width = round_up(d);
  const Tensor queries = dense_rows(q);
  const Tensor y = Tensor::empty(q.shape());
  const std::vector<Tile> tiles = query_tiles(offsets);
  const int64_t tasks = std::ssize(tiles) * heads;
  detail::ScratchPool<float> scratch(tasks, kernels::attention_scratch(d));
  if (narrow) {
    append_rows<bf16_t>(cast(k.detach(), DType::bf16), cast(v.detach(), DType::bf16), offsets, caches, size);
  } else {
    append_rows<float>(dense_rows(k), dense_rows(v), offsets, caches, size);
  }
  const float* q_in = queries.data<float>();
  const int64_t q_row = queries.strides()[0];
  float* y_out = y.mutable_data<float>();
  const auto& table = kernels::table<float>();
  parallel_for(tasks, [&](int64_t task) {
    const auto [b, row] = tiles[static_cast<std::size_t>(task / heads)];
    const int64_t h = task % heads;
    const int64_t g = h / (heads / kv_heads);
    const KeyValueCache& cache = *caches[b];
    const int64_t first = offsets[b] + row;
    const int64_t rows = offsets[b + 1] - offsets[b];
    const int64_t head_keys = round_up(cache.capacity) * d;
    const int64_t head_values = cache.capacity * width;
    const detail::ScratchPool<float>::Loan room(scratch);
    kernels::AttentionArgs<float> args{};
    args.q = q_in + first * q_row + h * d;
    args.q_row = q_row;
    if (narrow) {
      args.short_key_panels = &cache.keys.data<bf16_t>()[g * head_keys].bits;
      args.short_values = &cache.values.data<bf16_t>()[g * head_values].bits;
    } else {
      args.key_panels = cache.keys.data<float>() + g * head_keys;
      args.values = cache.values.data<float>() + g * head_values;
    }
    args.value_panel = 16;
    args.value_row = width;
    args.y = y_out + first * heads * d + h * d;
    args.y_row = heads * d;
    args.begin = row;
    args.end = std::min(row + kernels::kQueryBlock, rows);
    args.keys = cache.rows;
    args.head_width = d;
    args.shift = cache.rows - rows;
    args.before = visibility.before;
    args.after = 0;
    args.scale = static_cast<float>(size.scale);
    args.scratch = room.data();
    table.attention(args);
  });
  return no_grad("attention_cached", y);
}

}  // namespace gradus
