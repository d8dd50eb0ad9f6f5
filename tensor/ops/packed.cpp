#include "tensor/packed.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/ops/product.hpp"
#include "tensor/ops/scratch.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

using kernels::kLanes;
using kernels::PanelFormat;

constexpr int64_t kQuantizedPanels = 4;  // panels that one chunk quantizes
// A block that is dequantized for many rows of x stays in the second-level cache while they pass.
constexpr int64_t kWideColumns = 384;
constexpr int64_t kWideDepth = 384;
constexpr int64_t kWideRows = 192;
constexpr int64_t kPieceBytes = 128 * 1024;  // of weights that one chunk reads for few rows

constexpr int64_t panels_of(int64_t columns) { return (columns + kLanes - 1) / kLanes; }

PanelFormat panel_format(WeightFormat format) {
  switch (format) {
    case WeightFormat::f32: return PanelFormat::f32;
    case WeightFormat::bf16: return PanelFormat::bf16;
    case WeightFormat::q8: return PanelFormat::q8;
  }
  fail("weights: the format must be f32, bf16 or q8; it is number ", static_cast<int>(format));
}

const uint16_t* scales_of(const PackedWeight& w) {
  return w.scales() ? reinterpret_cast<const uint16_t*>(w.scales()->data()) : nullptr;
}

kernels::PackedPanels panels_in(const PackedWeight& w) {
  return {.format = panel_format(w.format()),
          .data = w.panels()->data(),
          .panels = panels_of(w.rows()),
          .scales = scales_of(w),
          .k = w.columns()};
}

int64_t few_rows(const kernels::Table<float>& table, PanelFormat format) {
  switch (format) {
    case PanelFormat::f32: return table.few_rows;
    case PanelFormat::bf16:
    case PanelFormat::q8: return table.few_rows_narrow;
  }
  return 0;
}

/// Whether a line of each of the rows finds no room in the first-level cache beside the others: 64 sets of 8 ways and more.
bool rows_share_sets(int64_t m, int64_t row_stride) {
  const int64_t period = 4096 / std::gcd(row_stride * static_cast<int64_t>(sizeof(float)), int64_t{4096});
  return m > 8 * period;
}

/// C (m,N) = activation(rows (m,K) · wᵀ (+ bias)). A block of C is activated while it is in the cache.
void multiply_packed(const float* rows, int64_t row_stride, int64_t m, const PackedWeight& w,
                     const float* bias, detail::ActivationKernel<float> activation, float* c) {
  const auto& table = kernels::table<float>();
  const int64_t n = w.rows();
  const int64_t k = w.columns();
  const kernels::PackedPanels b = panels_in(w);
  if (m <= few_rows(table, b.format)) {
    Tensor copy;  // with K = 2048, 24 rows reach 1.4 times the speed by it
    if (rows_share_sets(m, row_stride)) {
      copy = Tensor::empty({m, k + kLanes}, DType::f32);
      float* to = copy.mutable_data<float>();
      parallel_ranges(m, m, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) std::copy_n(rows + r * row_stride, k, to + r * (k + kLanes));
      });
      rows = to;
      row_stride = k + kLanes;
    }
    const int64_t panels = std::max<int64_t>(4, kPieceBytes / kernels::panel_bytes(b.format, k) / 4 * 4);
    const int64_t columns = m * n * k < detail::kWorthSharing ? n : panels * kLanes;
    parallel_ranges(n, columns, [&](int64_t begin, int64_t end) {
      table.gemm_few({.a = rows,
                      .a_row = row_stride,
                      .b = b,
                      .panel = begin / kLanes,
                      .c = c + begin,
                      .c_row = n,
                      .m = m,
                      .n = end - begin,
                      .bias = bias == nullptr ? nullptr : bias + begin});
      detail::activate(c + begin, n, m, end - begin, activation);
    });
    return;
  }
  if (b.format == PanelFormat::f32) {
    const detail::Matrix<float> nowhere{nullptr, 1, k};  // it is in the panels
    detail::multiply_panels<float>({.m = m,
                                    .n = n,
                                    .k = k,
                                    .a = {rows, row_stride, 1},
                                    .b = nowhere,
                                    .c = c,
                                    .c_row = n,
                                    .bias = bias,
                                    .activation = activation},
                                   static_cast<const float*>(b.data));
    return;
  }
  const int64_t across = (n + kWideColumns - 1) / kWideColumns;
  const int64_t down = (m + kWideRows - 1) / kWideRows;
  detail::ScratchPool<float> scratch(across * down, kWideColumns * std::min(k, kWideDepth));
  parallel_for(across * down, [&](int64_t chunk) {
    const detail::ScratchPool<float>::Loan room(scratch);
    const int64_t i = chunk / across * kWideRows;
    const int64_t j = chunk % across * kWideColumns;
    const int64_t columns = std::min(kWideColumns, n - j);
    for (int64_t p = 0; p < k; p += kWideDepth) {
      const int64_t depth = std::min(kWideDepth, k - p);
      table.dequantize({.b = b,
                        .panel = j / kLanes,
                        .count = panels_of(columns),
                        .k_begin = p,
                        .k_size = depth,
                        .to = room.data()});
      table.gemm({.a = rows + i * row_stride + p,
                  .a_row = row_stride,
                  .a_k = 1,
                  .b = room.data(),
                  .b_panel = depth * kLanes,
                  .b_row = kLanes,
                  .c = c + i * n + j,
                  .c_row = n,
                  .m = std::min(kWideRows, m - i),
                  .n = columns,
                  .k = depth,
                  .accumulate = p > 0,
                  .bias = bias != nullptr && p + depth == k ? bias + j : nullptr});
    }
    detail::activate(c + i * n + j, n, std::min(kWideRows, m - i), columns, activation);
  });
}

}  // namespace

std::string_view weight_format_name(WeightFormat format) {
  switch (format) {
    case WeightFormat::f32: return "f32";
    case WeightFormat::bf16: return "bf16";
    case WeightFormat::q8: return "q8";
  }
  return "?";
}

WeightFormat parse_weight_format(std::string_view name) {
  for (const WeightFormat format : {WeightFormat::f32, WeightFormat::bf16, WeightFormat::q8}) {
    if (name == weight_format_name(format)) return format;
  }
  fail("weights: the format must be f32, bf16 or q8; '", name, "' was given");
}

PackedWeight::PackedWeight(const Tensor& w, WeightFormat format) : format_(format) {
  check(w.rank() == 2 && w.dtype() == DType::f32 && w.size(0) > 0 && w.size(1) > 0,
        "PackedWeight: a weight must be f32 (N, K), both at least 1; it is ", dtype_name(w.dtype()), " ",
        w.shape());
  rows_ = w.size(0);
  columns_ = w.size(1);
  const auto& table = kernels::table<float>();
  const int64_t panels = panels_of(rows_);
  const int64_t k = columns_;
  const PanelFormat in = panel_format(format);
  const int64_t panel_bytes = kernels::panel_bytes(in, k);
  panels_ = Storage::allocate(static_cast<std::size_t>(panels * panel_bytes));
  if (format == WeightFormat::q8) {
    scales_ =
        Storage::allocate(static_cast<std::size_t>(panels * kernels::panel_scales(k)) * sizeof(uint16_t));
  }
  const auto pack = [&](int64_t begin, int64_t end, float* to) {
    table.pack({.source = w.data<float>() + begin * kLanes * w.strides()[0],
                .k_stride = w.strides()[1],
                .n_stride = w.strides()[0],
                .k = k,
                .n = std::min(end * kLanes, rows_) - begin * kLanes,
                .panels = to,
                .panel = k * kLanes});
  };
  if (format == WeightFormat::f32) {
    float* to = reinterpret_cast<float*>(panels_->mutable_data());
    parallel_ranges(panels, kQuantizedPanels,
                    [&](int64_t begin, int64_t end) { pack(begin, end, to + begin * k * kLanes); });
    return;
  }
  const int64_t chunks = (panels + kQuantizedPanels - 1) / kQuantizedPanels;
  std::vector<char> fits(static_cast<std::size_t>(chunks), 1);
  detail::ScratchPool<float> scratch(chunks, kQuantizedPanels * k * kLanes);
  parallel_for(chunks, [&](int64_t chunk) {
    const detail::ScratchPool<float>::Loan room(scratch);
    const int64_t begin = chunk * kQuantizedPanels;
    const int64_t end = std::min(begin + kQuantizedPanels, panels);
    pack(begin, end, room.data());
    uint16_t* scales = scales_ == nullptr ? nullptr : reinterpret_cast<uint16_t*>(scales_->mutable_data());
    fits[static_cast<std::size_t>(chunk)] =
        table.quantize({.source = room.data(),
                        .k = k,
                        .count = end - begin,
                        .format = in,
                        .data = panels_->mutable_data() + begin * panel_bytes,
                        .scales = scales == nullptr ? nullptr : scales + begin * kernels::panel_scales(k)});
  });
  const auto bad = std::find(fits.begin(), fits.end(), 0) - fits.begin();
  const std::string_view limit = scales_ == nullptr ? "" : " and below 8e6 in size";
  check(bad == chunks, "PackedWeight: in ", weight_format_name(format), " all numbers must be finite", limit,
        "; rows ", bad * kQuantizedPanels * kLanes, " to ",
        std::min((bad + 1) * kQuantizedPanels * kLanes, rows_) - 1, " hold another; use f32");
}

uint64_t PackedWeight::bytes() const {
  return (panels_ ? panels_->bytes() : 0) + (scales_ ? scales_->bytes() : 0);
}

Tensor PackedWeight::unpack() const {
  check(defined(), "PackedWeight: there must be a weight to unpack; there is none");
  const Tensor w = Tensor::empty({rows_, columns_});
  float* to = w.mutable_data<float>();
  const int64_t k = columns_;
  const auto& table = kernels::table<float>();
  const int64_t panels = panels_of(rows_);
  detail::ScratchPool<float> scratch(panels, k * kLanes);
  parallel_for(panels, [&](int64_t j) {
    const detail::ScratchPool<float>::Loan room(scratch);
    table.dequantize(
        {.b = panels_in(*this), .panel = j, .count = 1, .k_begin = 0, .k_size = k, .to = room.data()});
    const float* panel = room.data();
    const int64_t outputs = std::min(kLanes, rows_ - j * kLanes);
    for (int64_t l = 0; l < outputs; ++l) {
      for (int64_t p = 0; p < k; ++p) to[(j * kLanes + l) * k + p] = panel[p * kLanes + l];
    }
  });
  return w;
}

Tensor linear(const Tensor& x, const PackedWeight& w, const Tensor& bias, Activation activation) {
  check(w.defined(), "linear: the weight must be packed; it is empty");
  check(x.dtype() == DType::f32 && x.rank() >= 1 && x.size(-1) == w.columns(),
        "linear: x must be f32 (..., K) for a packed weight (N, K); x is ", dtype_name(x.dtype()), " ",
        x.shape(), ", the weight is ", Shape{w.rows(), w.columns()});
  const int64_t n = w.rows();
  if (bias.defined()) {
    check_same_dtype("linear", x, bias);
    check(bias.rank() == 1 && bias.size(0) == n, "linear: bias must be (", n, "); it is ", bias.shape());
  }
  const Tensor rows = detail::as_rows(x);
  const Tensor flat_bias = bias.defined() ? bias.to_contiguous() : Tensor();
  const float* offset = bias.defined() ? flat_bias.data<float>() : nullptr;
  const int64_t m = rows.size(0);
  Shape shape = x.shape();
  shape[x.rank() - 1] = n;
  const Tensor y = Tensor::empty(shape);
  float* to = y.mutable_data<float>();
  const auto activate = detail::activation_kernel<float>(activation);
  if (m > 0) multiply_packed(rows.data<float>(), rows.strides()[0], m, w, offset, activate, to);
  return no_grad("linear", y);
}

Tensor embedding(const PackedWeight& table, const Tensor& ids) {
  check(table.defined(), "embedding: the table must be packed; it is empty");
  check_id_type("embedding", "ids", ids);
  const Tensor flat = ids.to_contiguous();
  check_ids("embedding", "ids", flat, table.rows(), "check that the tokenizer belongs to the model");
  const int32_t* id = flat.data<int32_t>();
  const int64_t k = table.columns();
  Shape shape = ids.shape();
  shape.push_back(k);
  const Tensor y = Tensor::empty(shape);
  float* to = y.mutable_data<float>();
  detail::ScratchPool<float> scratch(flat.numel(), k * kLanes);
  parallel_for(flat.numel(), [&](int64_t i) {
    const detail::ScratchPool<float>::Loan room(scratch);
    kernels::table<float>().dequantize({.b = panels_in(table),
                                        .panel = id[i] / kLanes,
                                        .count = 1,
                                        .k_begin = 0,
                                        .k_size = k,
                                        .to = room.data()});
    const float* panel = room.data();
    for (int64_t p = 0; p < k; ++p) to[i * k + p] = panel[p * kLanes + id[i] % kLanes];
  });
  return no_grad("embedding", y);
}

}  // namespace gradus
