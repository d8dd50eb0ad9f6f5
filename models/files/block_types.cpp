#include "models/files/block_types.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/autodiff.hpp"
#include "tensor/detail/half.hpp"
#include "tensor/error.hpp"
#include "tensor/io/raw.hpp"
#include "tensor/ops.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

// Each struct is one type: the bytes of a block, its elements, and their values. In the comments, fields in their order:
// f16 d is the scale, f16 m the value of q = 0; q4[n] are n elements of 4 bits, which lie two in a byte.

float half_at(const uint8_t* at) {
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return float_from_half(bits);
}

constexpr int kSmall = 32;   // elements of a block whose scale is a number
constexpr int kSuper = 256;  // of one whose scales are numbers of few bits, times a common one

struct Q8_0 {  // f16 d, i8 q[32]: y = d·q
  static constexpr int64_t kBytes = 2 + kSmall, kElements = kSmall;
  static void read(const uint8_t* block, float* y) {
    const float d = half_at(block);
    for (int i = 0; i < kSmall; ++i) y[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
  }
  static void write(const float* x, uint8_t* block) {
    float largest = 0;
    for (int i = 0; i < kSmall; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float d = largest / 127;
    const float inverse = d == 0 ? 0 : 1 / d;
    const uint16_t bits = half_from_float(d);
    std::memcpy(block, &bits, sizeof bits);
    for (int i = 0; i < kSmall; ++i)
      block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(x[i] * inverse)));
  }
};

/// Element i of 32 has the lower half of byte i, element 16 + i the upper one.
struct Nibbles {
  const uint8_t* bytes;
  int operator()(int i) const { return i < kSmall / 2 ? bytes[i] & 15 : bytes[i - kSmall / 2] >> 4; }
};

/// The same with a fifth bit, bit i of 32 for element i.
struct FiveBits {
  const uint8_t* fifth;
  Nibbles nibbles;
  int operator()(int i) const { return nibbles(i) | (fifth[i / 8] >> (i % 8) & 1) << 4; }
};

struct Q4_0 {  // f16 d, q4[32]: y = d·(q − 8)
  static constexpr int64_t kBytes = 2 + kSmall / 2, kElements = kSmall;
  static void read(const uint8_t* block, float* y) {
    const float d = half_at(block);
    const Nibbles q{block + 2};
    for (int i = 0; i < kSmall; ++i) y[i] = d * static_cast<float>(q(i) - 8);
  }
};

struct Q4_1 {  // f16 d, f16 m, q4[32]: y = d·q + m
  static constexpr int64_t kBytes = 4 + kSmall / 2, kElements = kSmall;
  static void read(const uint8_t* block, float* y) {
    const float d = half_at(block), m = half_at(block + 2);
    const Nibbles q{block + 4};
    for (int i = 0; i < kSmall; ++i) y[i] = d * static_cast<float>(q(i)) + m;
  }
};

struct Q5_0 {  // f16 d, 32 fifth bits, q4[32]: y = d·(q − 16)
  static constexpr int64_t kBytes = 6 + kSmall / 2, kElements = kSmall;
  static void read(const uint8_t* block, float* y) {
    const float d = half_at(block);
    const FiveBits q{block + 2, {block + 6}};
    for (int i = 0; i < kSmall; ++i) y[i] = d * static_cast<float>(q(i) - 16);
  }
};

struct Q5_1 {  // f16 d, f16 m, 32 fifth bits, q4[32]: y = d·q + m
  static constexpr int64_t kBytes = 8 + kSmall / 2, kElements = kSmall;
  static void read(const uint8_t* block, float* y) {
    const float d = half_at(block), m = half_at(block + 2);
    const FiveBits q{block + 4, {block + 8}};
    for (int i = 0; i < kSmall; ++i) y[i] = d * static_cast<float>(q(i)) + m;
  }
};

/// Scale and minimum, 6 bits each, of eight parts of 32 elements, in 12 bytes: parts 0 to 3 have the lower 6 bits of bytes
/// 0 to 3 and 4 to 7; parts 4 to 7 the two halves of bytes 8 to 11, and above them the upper 2 bits of bytes 0 to 7.
struct PartScales {
  const uint8_t* bytes;
  int scale(int part) const {
    return part < 4 ? bytes[part] & 63 : (bytes[part + 4] & 15) | bytes[part - 4] >> 6 << 4;
  }
  int minimum(int part) const {
    return part < 4 ? bytes[part + 4] & 63 : bytes[part + 4] >> 4 | bytes[part] >> 6 << 4;
  }
};

/// What Q4_K and Q5_K share: y = (d·scale)·q − dmin·minimum. Part p has bit p of each of 32 bytes `fifth`, where they are;
/// of 32 bytes for two parts the even one has the lower halves.
void read_parts(const uint8_t* block, const uint8_t* fifth, const uint8_t* nibbles, float* y) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const PartScales scales{block + 4};
  for (int part = 0; part < 8; ++part, y += kSmall) {
    const float scale = d * static_cast<float>(scales.scale(part));
    const float minimum = dmin * static_cast<float>(scales.minimum(part));
    const uint8_t* bytes = nibbles + part / 2 * kSmall;
    const int shift = part % 2 * 4;
    for (int i = 0; i < kSmall; ++i) {
      const int high = fifth == nullptr ? 0 : (fifth[i] >> part & 1) << 4;
      y[i] = scale * static_cast<float>((bytes[i] >> shift & 15) | high) - minimum;
    }
  }
}

struct Q4_K {  // f16 d, f16 dmin, PartScales, q4[256]
  static constexpr int64_t kBytes = 16 + kSuper / 2, kElements = kSuper;
  static void read(const uint8_t* block, float* y) { read_parts(block, nullptr, block + 16, y); }
};

struct Q5_K {  // f16 d, f16 dmin, PartScales, 256 fifth bits, q4[256]
  static constexpr int64_t kBytes = 16 + kSuper / 8 + kSuper / 2, kElements = kSuper;
  static void read(const uint8_t* block, float* y) {
    read_parts(block, block + 16, block + 16 + kSuper / 8, y);
  }
};

struct Q6_K {  // q4[256], 256 upper pairs of bits, i8 scale[16], f16 d: y = (d·scale)·(q − 32)
  static constexpr int64_t kBytes = kSuper / 2 + kSuper / 4 + kSuper / 16 + 2, kElements = kSuper;
  static void read(const uint8_t* block, float* y) {
    const float d = half_at(block + kBytes - 2);
    const uint8_t* scales = block + kSuper / 2 + kSuper / 4;
    for (int part = 0; part < 8; ++part, y += kSmall) {  // four parts to a half of the block
      const uint8_t* low = block + part / 4 * 64 + part % 2 * kSmall;
      const uint8_t* high = block + kSuper / 2 + part / 4 * kSmall;
      const int low_shift = part % 4 / 2 * 4, high_shift = part % 4 * 2;
      for (int i = 0; i < kSmall; ++i) {
        const float scale = d * static_cast<float>(static_cast<int8_t>(scales[2 * part + i / 16]));
        const int q = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
        y[i] = scale * static_cast<float>(q - 32);
      }
    }
  }
};

template <class Type>
void read_all(const std::byte* blocks, int64_t count, float* y) {
  const auto* at = reinterpret_cast<const uint8_t*>(blocks);
  for (int64_t i = 0; i < count; ++i) Type::read(at + i * Type::kBytes, y + i * Type::kElements);
}

template <class Type>
void write_all(const float* x, int64_t count, std::byte* blocks) {
  auto* at = reinterpret_cast<uint8_t*>(blocks);
  for (int64_t i = 0; i < count; ++i) Type::write(x + i * Type::kElements, at + i * Type::kBytes);
}

template <class Type>
constexpr BlockType readable(uint32_t number, std::string_view name) {
  return {number, name, Type::kElements, Type::kBytes, read_all<Type>};
}

template <class Type>
constexpr BlockType writable(uint32_t number, std::string_view name) {
  return {number, name, Type::kElements, Type::kBytes, read_all<Type>, write_all<Type>};
}

// Numbers that are missing were types once, and no file may have them.
constexpr BlockType kTypes[] = {
    {0, "F32", 1, 4},           {1, "F16", 1, 2},           readable<Q4_0>(2, "Q4_0"),
    readable<Q4_1>(3, "Q4_1"),  readable<Q5_0>(6, "Q5_0"),  readable<Q5_1>(7, "Q5_1"),
    writable<Q8_0>(8, "Q8_0"),  {9, "Q8_1", 32, 36},        {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},     readable<Q4_K>(12, "Q4_K"), readable<Q5_K>(13, "Q5_K"),
    readable<Q6_K>(14, "Q6_K"), {15, "Q8_K", 256, 292},     {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},    {18, "IQ3_XXS", 256, 98},   {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},     {21, "IQ3_S", 256, 110},    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},   {24, "I8", 1, 1},           {25, "I16", 1, 2},
    {26, "I32", 1, 4},          {27, "I64", 1, 8},          {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},     {30, "BF16", 1, 2},         {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},     {39, "MXFP4", 32, 17},      {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},      {42, "Q2_0", 64, 18},
};

constexpr int64_t kGrain = 16384;  // elements that one thread reads at a time

}  // namespace

const BlockType* find_block_type(uint32_t number) {
  for (const BlockType& type : kTypes) {
    if (type.number == number) return &type;
  }
  return nullptr;
}

const BlockType& block_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const BlockType& type) { return type.name == name; });
  check(found != std::end(kTypes), "block_type: the name must be that of a type; it is '", name, "'");
  return *found;
}

std::optional<DType> values_of(const BlockType& type) {
  return type.dequantise != nullptr ? DType::f32 : dtype_from_raw(type.name);
}

Tensor dequantise(const BlockType& type, const std::byte* blocks, const Shape& shape) {
  check(type.dequantise != nullptr, "dequantise: the type must be one of blocks that can be read; it is ",
        type.name);
  check(shape.rank() > 0 && shape.at(-1) % type.elements == 0, "dequantise: rows must have whole blocks of ",
        type.elements, " elements; the shape is ", shape);
  const Tensor y = Tensor::empty(shape);
  float* values = y.mutable_data<float>();
  parallel_ranges(y.numel() / type.elements, kGrain / type.elements, [&](int64_t begin, int64_t end) {
    type.dequantise(blocks + begin * type.bytes, end - begin, values + begin * type.elements);
  });
  return y;
}

std::vector<std::byte> quantise(const BlockType& type, const Tensor& x) {
  const NoGrad no_grad_here;
  const std::optional<DType> plain = type.dequantise == nullptr ? dtype_from_raw(type.name) : std::nullopt;
  check(plain || type.quantise != nullptr, "quantise: the type must be one that is written here; it is ",
        type.name);
  if (plain) {
    const Tensor dense = cast(x, *plain).to_contiguous();
    return {dense.bytes(), dense.bytes() + dense.nbytes()};
  }
  check(x.rank() > 0 && x.size(-1) % type.elements == 0, "quantise: rows must have whole blocks of ",
        type.elements, " elements; the shape is ", x.shape());
  const Tensor dense = cast(x, DType::f32).to_contiguous();
  const float* values = dense.data<float>();
  const int64_t count = dense.numel() / type.elements;
  std::vector<std::byte> bytes(static_cast<size_t>(count * type.bytes));
  parallel_ranges(count, kGrain / type.elements, [&](int64_t begin, int64_t end) {
    type.quantise(values + begin * type.elements, end - begin, bytes.data() + begin * type.bytes);
  });
  return bytes;
}

}  // namespace gradus
