// GGUF: metadata, tensors and blocks come back, and every rule of the format has a file that breaks it.

#include <cmath>
#include <cstring>
#include <limits>

#include "models/files/gguf_file.hpp"
#include "models/files/tensor_source.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/draw.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/gguf_writer.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/use_threads.hpp"

namespace {

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

std::string bytes_of(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) bytes += le(value);
  return bytes;
}

GgufWriter sample() {
  GgufWriter file;
  file.string("general.architecture", "llama").u32("llama.block_count", 2);
  file.tensor({"a.weight", {3, 2}, 0, bytes_of({1, 2, 3, 4, 5, 6})});
  file.tensor({"b.weight", {3}, 1, std::string("\0\x3c\0\xc0\0\x7b", 6)});
  return file;
}

/// What reading a file that must be refused says.
std::string message_of(const GgufWriter& writer) {
  const std::string bytes = writer.bytes();
  return error_of([&] { GgufFile::parse(bytes, "f"); });
}

uint8_t byte_at(std::string_view bytes, std::size_t i) { return static_cast<uint8_t>(bytes[i]); }

double half_of(std::string_view bytes, std::size_t i) {
  const int bits = byte_at(bytes, i) | byte_at(bytes, i + 1) << 8;
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  double size = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  if (exponent == 31) size = mantissa != 0 ? std::nan("") : std::numeric_limits<double>::infinity();
  return bits >> 15 != 0 ? -size : size;
}

/// Bits [first, first + count) of a block as a number, the lowest of the first byte first.
int bits_of(std::string_view block, std::size_t first, int count) {
  int value = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    value |= (byte_at(block, (first + i) / 8) >> (first + i) % 8 & 1) << i;
  }
  return value;
}

/// The four bits of element i, of which `half` follow one another in the lower halves of bytes from `begin` on.
int nibble(std::string_view block, std::size_t begin, std::size_t i, std::size_t half) {
  const std::size_t byte = begin + i / (2 * half) * half + i % half;
  return bits_of(block, 8 * byte + (i / half % 2) * 4, 4);
}

int signed_byte(std::string_view block, std::size_t i) {
  return byte_at(block, i) < 128 ? byte_at(block, i) : byte_at(block, i) - 256;
}

/// Scale and minimum of 32 elements of Q4_K and Q5_K, with the common ones.
std::pair<double, double> k_scales(std::string_view block, std::size_t part) {
  const std::string_view scales = block.substr(4, 12);
  int scale = 0, minimum = 0;
  if (part < 4) {
    scale = bits_of(scales, 8 * part, 6);
    minimum = bits_of(scales, 8 * (part + 4), 6);
  } else {
    scale = bits_of(scales, 8 * (part + 4), 4) + 16 * bits_of(scales, 8 * (part - 4) + 6, 2);
    minimum = bits_of(scales, 8 * (part + 4) + 4, 4) + 16 * bits_of(scales, 8 * part + 6, 2);
  }
  return {half_of(block, 0) * scale, half_of(block, 2) * minimum};
}

struct Reference {
  uint32_t number;
  std::string name;
  std::size_t elements, bytes;
  double (*element)(std::string_view block, std::size_t i);
};

// In double precision each value is exact, so that one rounding gives what roundings in between must not change.
const std::vector<Reference> kReferences = {
    {2, "Q4_0", 32, 18, [](auto b, auto i) { return half_of(b, 0) * (nibble(b, 2, i, 16) - 8); }},
    {3, "Q4_1", 32, 20, [](auto b, auto i) { return half_of(b, 0) * nibble(b, 4, i, 16) + half_of(b, 2); }},
    {6, "Q5_0", 32, 22,
     [](auto b, auto i) { return half_of(b, 0) * (nibble(b, 6, i, 16) + 16 * bits_of(b, 16 + i, 1) - 16); }},
    {7, "Q5_1", 32, 24,
     [](auto b, auto i) {
       return half_of(b, 0) * (nibble(b, 8, i, 16) + 16 * bits_of(b, 32 + i, 1)) + half_of(b, 2);
     }},
    {8, "Q8_0", 32, 34, [](auto b, auto i) { return half_of(b, 0) * signed_byte(b, 2 + i); }},
    {12, "Q4_K", 256, 144,
     [](auto b, auto i) {
       const auto [scale, minimum] = k_scales(b, i / 32);
       return scale * nibble(b, 16, i, 32) - minimum;
     }},
    {13, "Q5_K", 256, 176,
     [](auto b, auto i) {
       const auto [scale, minimum] = k_scales(b, i / 32);
       return scale * (nibble(b, 48, i, 32) + 16 * bits_of(b, 8 * (16 + i % 32) + i / 32, 1)) - minimum;
     }},
    {14, "Q6_K", 256, 210,
     [](auto b, auto i) {
       // Of 128 elements, the first 64 have the lower halves of 64 bytes, and each quarter two bits of 32 bytes.
       const int high = bits_of(b, 8 * (128 + i / 128 * 32 + i % 32) + 2 * (i % 128 / 32), 2);
       return half_of(b, 208) * signed_byte(b, 192 + i / 16) * (nibble(b, 0, i, 64) + 16 * high - 32);
     }},
};

std::string random_blocks(const Reference& type, std::size_t count) {
  std::string bytes;
  for (uint64_t i = 0; i < count * type.bytes; ++i)
    bytes += static_cast<char>(draw_bits(draw_seed(type.name), i));
  return bytes;
}

}  // namespace

TEST_CASE("metadata of every type comes back from a GGUF file", "[gguf]") {
  GgufWriter writer;
  writer.value("u8", 0, le(uint8_t{200})).value("i8", 1, le(int8_t{-3}));
  writer.value("u16", 2, le(uint16_t{65535})).value("i16", 3, le(int16_t{-300}));
  writer.u32("u32", 4000000000).value("i32", 5, le(int32_t{-70000})).value("f32", 6, le(0.1f));
  writer.value("yes", 7, "\1").value("no", 7, std::string(1, '\0')).string("text", "caf\xc3\xa9");
  writer.value("u64", 10, le(uint64_t{1} << 62)).value("large", 10, le(~uint64_t{0}));
  writer.value("i64", 11, le(int64_t{-1} << 40)).value("f64", 12, le(-0.1)).string("empty", "");
  writer.value(
      "words", 9,
      GgufWriter::array(8, 3, GgufWriter::text("a") + GgufWriter::text("") + GgufWriter::text("\xff")));
  writer.value("ids", 9, GgufWriter::array(5, 3, le(1) + le(-2) + le(3)));
  writer.value("scores", 9, GgufWriter::array(6, 2, le(-1.5f) + le(2.0f)));
  writer.value("global", 9, GgufWriter::array(7, 3, std::string("\1\0\1", 3)));
  writer.value("none", 9, GgufWriter::array(8, 0, ""));
  for (const uint32_t version : {2u, 3u}) {
    writer.version = version;
    const std::string bytes = writer.bytes();
    const GgufFile file = GgufFile::parse(bytes, "f");
    CHECK(file.version() == version);
    CHECK(file.at("u8").as_integer() == 200);
    CHECK(file.at("i8").as_integer() == -3);
    CHECK(file.at("u16").as_integer() == 65535);
    CHECK(file.at("i16").as_integer() == -300);
    CHECK(file.at("u32").as_integer() == 4000000000);
    CHECK(file.at("i32").as_integer() == -70000);
    CHECK(file.at("i32").as_number() == -70000);
    CHECK(file.at("f32").as_number() == 0.1f);
    CHECK(file.at("yes").as_boolean());
    CHECK_FALSE(file.at("no").as_boolean());
    CHECK(file.at("text").as_string() == "caf\xc3\xa9");
    CHECK(file.at("empty").as_string().empty());
    CHECK(file.at("u64").as_integer() == int64_t{1} << 62);
    CHECK(file.at("large").as_number() == 0x1p64);
    CHECK(file.at("i64").as_integer() == -(int64_t{1} << 40));
    CHECK(file.at("f64").as_number() == -0.1);
    CHECK(file.at("words").as_strings() == std::vector<std::string_view>{"a", "", "\xff"});
    CHECK(file.at("ids").as_integers() == std::vector<int64_t>{1, -2, 3});
    CHECK(file.at("ids").as_numbers() == std::vector<double>{1, -2, 3});
    CHECK(file.at("scores").as_numbers() == std::vector<double>{-1.5, 2});
    CHECK(file.at("global").as_booleans() == std::vector<bool>{true, false, true});
    CHECK(file.at("none").size() == 0);
    CHECK(file.keys().size() == 20);
    CHECK(file.keys()[9] == "text");
    CHECK(file.find("nowhere") == nullptr);
  }
}

TEST_CASE("a value of another type than asked for is named with its key and byte", "[gguf]") {
  GgufWriter writer = sample();
  writer.value("large", 10, le(~uint64_t{0})).value("ids", 9, GgufWriter::array(5, 1, le(1)));
  writer.value("rate", 6, le(0.5f));
  const std::string bytes = writer.bytes();
  const GgufFile file = GgufFile::parse(bytes, "f");
  CHECK(error_of([&] { file.at("nowhere"); }) ==
        "f: the metadata must have the key nowhere; it has 5 others");
  CHECK(error_of([&] { file.at("general.architecture").as_integer(); }) ==
        "f: key general.architecture at byte 24 must have an integer; it has a value of type string");
  CHECK(error_of([&] { file.at("ids").as_integer(); }) ==
        "f: key ids at byte 127 must have an integer; it has an array of type i32");
  CHECK_THAT(error_of([&] { file.at("rate").as_integer(); }), ContainsSubstring("a value of type f32"));
  CHECK_THAT(error_of([&] { file.at("rate").as_numbers(); }),
             ContainsSubstring("must have an array of numbers"));
  CHECK_THAT(error_of([&] { file.at("rate").as_string(); }), ContainsSubstring("must have a string"));
  CHECK_THAT(error_of([&] { file.at("rate").as_boolean(); }), ContainsSubstring("must have a boolean"));
  CHECK_THAT(error_of([&] { file.at("ids").as_strings(); }),
             ContainsSubstring("must have an array of strings"));
  CHECK_THAT(error_of([&] { file.at("ids").as_booleans(); }),
             ContainsSubstring("must have an array of booleans"));
  CHECK_THAT(error_of([&] { file.at("large").as_integer(); }),
             ContainsSubstring("key large") && ContainsSubstring("63 bits; it has 18446744073709551615"));
}

TEST_CASE("plain tensors of a GGUF file are the mapped bytes, with the sizes outermost first", "[gguf]") {
  const TemporaryFolder folder;
  GgufWriter writer = sample();
  writer.tensor({"c", {1, 2, 2, 1}, 28, le(0.1) + le(-1e300) + le(3.0) + le(4.0)});
  writer.tensor({"bf16", {2}, 30, std::string("\x80\x3f\0\xc0", 4)});
  writer.tensor({"ids", {2}, 26, le(7) + le(-8)});
  writer.tensor({"one", {}, 0, le(2.5f)}).tensor({"none", {0, 4}, 0, ""});
  write_quickly(folder / "model", writer.bytes());
  Tensor a;
  {
    const auto source = open_tensors(folder / "model");
    CHECK(source->names() ==
          std::vector<std::string>{"a.weight", "b.weight", "c", "bf16", "ids", "one", "none"});
    CHECK(source->info("a.weight").shape == Shape{2, 3});
    CHECK(source->info("a.weight").dtype == "F32");
    CHECK(source->info("a.weight").bytes == 24);
    CHECK(source->info("b.weight").values == DType::f16);
    a = source->tensor("a.weight");
    CHECK(a.bytes() == source->tensor("a.weight").bytes());
    CHECK(source->tensor("b.weight").dtype() == DType::f16);
    CHECK(source->tensor("bf16").dtype() == DType::bf16);
    CHECK(source->tensor("c").shape() == Shape{1, 2, 2, 1});
    CHECK(source->tensor("c").to_vector<double>() == std::vector<double>{0.1, -1e300, 3, 4});
    CHECK(source->tensor("ids").to_vector<int32_t>() == std::vector<int32_t>{7, -8});
    CHECK(source->tensor("one").item() == 2.5);
    CHECK(source->tensor("none").shape() == Shape{4, 0});
    CHECK_THAT(error_of([&] { source->tensor("d"); }), ContainsSubstring("must have a tensor named d"));
  }
  CHECK(a.shape() == Shape{2, 3});
  CHECK(a.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK_THROWS(a.mutable_data<float>());
}

TEST_CASE("blocks of every type that is read have the values of their formula, at any number of threads",
          "[gguf]") {
  for (const Reference& type : kReferences) {
    INFO(type.name);
    // Rows of an odd number of blocks, more than one thread takes at a time, with scales of every kind.
    const std::size_t in_row = type.elements == 32 ? 411 : 53, rows = 5;
    GgufWriter writer;
    writer.alignment = 8;
    writer.u32("general.alignment", 8);
    writer.tensor({"first", {1}, 24, "x"});
    writer.tensor({"w",
                   {static_cast<int64_t>(in_row * type.elements), rows},
                   type.number,
                   random_blocks(type, in_row * rows)});
    const std::string bytes = writer.bytes();
    const std::string& blocks = writer.tensors[1].data;
    const GgufFile file = GgufFile::parse(bytes, "f");
    CHECK(file.tensors()[1].type->name == type.name);
    for (const int threads : {1, 2, 4}) {
      const UseThreads use(threads);
      const Tensor w = file.tensor("w");
      REQUIRE(w.shape() == Shape{static_cast<int64_t>(rows), static_cast<int64_t>(in_row * type.elements)});
      REQUIRE(w.dtype() == DType::f32);
      const std::vector<float> values = w.to_vector<float>();
      std::size_t wrong = 0, numbers = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::string_view block =
            std::string_view(blocks).substr(i / type.elements * type.bytes, type.bytes);
        const auto expected = static_cast<float>(type.element(block, i % type.elements));
        const bool same = std::isnan(expected) ? std::isnan(values[i]) : values[i] == expected;
        if (!same) ++wrong;
        if (std::isfinite(expected)) ++numbers;
      }
      CHECK(wrong == 0);
      CHECK(numbers > values.size() / 2);
    }
  }
}

TEST_CASE("tensors of types that cannot be read are listed and refused by name", "[gguf]") {
  const TemporaryFolder folder;
  GgufWriter writer = sample();
  writer.tensor({"q2", {256, 2}, 10, std::string(168, 'x')}).tensor({"mx", {32}, 39, std::string(17, 'x')});
  writer.tensor({"i8", {3}, 24, "abc"}).tensor({"last", {1}, 0, le(7.0f)});
  write_quickly(folder / "f", writer.bytes());
  const auto source = open_tensors(folder / "f");
  CHECK(source->info("q2").dtype == "Q2_K");
  CHECK(source->info("q2").bytes == 168);
  CHECK(source->info("q2").shape == Shape{2, 256});
  CHECK_FALSE(source->info("q2").values.has_value());
  CHECK_FALSE(source->info("i8").values.has_value());
  CHECK(source->tensor("last").item() == 7);
  CHECK(error_of([&] { source->tensor("mx"); }) ==
        (folder / "f") + ": tensor mx must have a type that can be read; it is MXFP4");
  CHECK(error_of([&] { GgufFile::open(folder / "f").tensor("q2"); }) ==
        (folder / "f") + ": tensor q2 must have a type that can be read; it is Q2_K");
}

TEST_CASE("one part of a GGUF model in several is refused", "[gguf]") {
  const TemporaryFolder folder;
  GgufWriter writer = sample();
  writer.value("split.count", 2, le(uint16_t{3}));
  write_quickly(folder / "f", writer.bytes());
  CHECK_THROWS_WITH(open_tensors(folder / "f"), ContainsSubstring("it is one of 3 parts; join them"));
  GgufWriter whole = sample();
  whole.value("split.count", 2, le(uint16_t{1}));
  write_quickly(folder / "g", whole.bytes());
  CHECK_NOTHROW(open_tensors(folder / "g"));
}

TEST_CASE("the padding behind the last tensor may be absent, in whole or in part", "[gguf]") {
  GgufWriter writer = sample();
  const std::string padded = writer.bytes();
  writer.pad_last = false;
  const std::string bare = writer.bytes();
  CHECK(padded.size() == bare.size() + 26);
  for (std::size_t size = bare.size(); size <= padded.size(); ++size) {
    const std::string bytes = padded.substr(0, size);
    CHECK(GgufFile::parse(bytes, "f").tensor("b.weight").numel() == 3);
  }
  GgufWriter nothing;
  nothing.u32("n", 1);
  const std::string bytes = nothing.bytes();
  CHECK(GgufFile::parse(bytes, "f").tensors().empty());
}

TEST_CASE("each broken rule of GGUF's header and metadata is named with its byte", "[gguf]") {
  const auto with = [](const auto& change) {
    GgufWriter writer = sample();
    change(writer);
    return message_of(writer);
  };
  CHECK(with([](GgufWriter& f) { f.magic = "GGML"; }) ==
        "f: a GGUF file begins with the bytes GGUF; this one does not");
  CHECK_THAT(with([](GgufWriter& f) { f.version = 0x03000000; }),
             ContainsSubstring(
                 "must be little-endian; its version at byte 4, 50331648, reads as that of a big-endian"));
  CHECK_THAT(with([](GgufWriter& f) { f.version = 1; }),
             ContainsSubstring("byte 4 gives it version 1; convert"));
  CHECK(with([](GgufWriter& f) { f.version = 4; }) ==
        "f: must be GGUF of version 2 or 3; byte 4 gives it version 4");
  CHECK_THAT(with([](GgufWriter& f) { f.version = 0; }), ContainsSubstring("gives it version 0"));
  for (const uint64_t count : {uint64_t{1} << 60, ~uint64_t{0}, uint64_t{10}}) {
    CHECK_THAT(with([&](GgufWriter& f) { f.tensor_count = count; }),
               ContainsSubstring("gives it " + std::to_string(count) +
                                 " tensors at byte 8, which take at least 25"));
  }
  CHECK_THAT(with([](GgufWriter& f) { f.value_count = uint64_t{1} << 63; }),
             ContainsSubstring("9223372036854775808 values of metadata at byte 16, which take at least 14"));
  CHECK(with([](GgufWriter& f) { f.u32("", 1); }) ==
        "f: a key must have 1 to 65535 bytes; the one at byte 102 has 0");
  CHECK_THAT(with([](GgufWriter& f) { f.u32(std::string(65536, 'k'), 1); }),
             ContainsSubstring("the one at byte 102 has 65536"));
  CHECK(with([](GgufWriter& f) { f.u32("\xc3\xa9", 1); }) ==
        "f: a key must be printable ASCII; the one at byte 102 has the byte 0xc3");
  CHECK_THAT(with([](GgufWriter& f) { f.u32("a\x1b", 1); }), ContainsSubstring("has the byte 0x1b"));
  CHECK(with([](GgufWriter& f) { f.u32("llama.block_count", 1); }) ==
        "f: key llama.block_count must stand in the metadata once; it stands at bytes 69 and 102");
  CHECK(with([](GgufWriter& f) { f.value("k", 13, le(1)); }) ==
        "f: key k must have a type from 0 to 12; byte 111 gives it 13");
  CHECK(with([](GgufWriter& f) { f.value("k", 9, GgufWriter::array(99, 1, le(1))); }) ==
        "f: key k must have a type from 0 to 12; byte 115 gives it 99");
  CHECK(with([](GgufWriter& f) {
          f.value("k", 9, GgufWriter::array(9, 1, GgufWriter::array(4, 1, le(1))));
        }) == "f: key k at byte 102 must not have an array of arrays, which nobody reads; it has");
  CHECK(with([](GgufWriter& f) { f.value("k", 7, "\2"); }) ==
        "f: key k must have booleans that are 0 or 1; byte 115 is 2");
  CHECK_THAT(with([](GgufWriter& f) { f.value("k", 9, GgufWriter::array(7, 2, "\1\xff")); }),
             ContainsSubstring("byte 128 is 255"));
  CHECK_THAT(with([](GgufWriter& f) { f.value("k", 8, le(uint64_t{1} << 62)); }),
             ContainsSubstring("truncated: a string of key k takes 4611686018427387904 bytes from byte 123"));
  for (const auto& [type, size] :
       {std::pair{4u, uint64_t{1} << 62}, {8u, uint64_t{1} << 61}, {0u, ~uint64_t{0}}}) {
    CHECK_THAT(with([type = type, size = size](GgufWriter& f) {
                 f.value("k", 9, GgufWriter::array(type, size, ""));
               }),
               ContainsSubstring("truncated: the array of key k has " + std::to_string(size) + " elements"));
  }
  for (const uint32_t alignment : {0u, 4u, 24u, 1u << 21}) {
    CHECK(with([&](GgufWriter& f) { f.u32("general.alignment", alignment); }) ==
          "f: key general.alignment at byte 102 must be a power of two from 8 to 1048576; it is " +
              std::to_string(alignment));
  }
  CHECK(with([](GgufWriter& f) { f.value("general.alignment", 10, le(uint64_t{32})); }) ==
        "f: key general.alignment at byte 102 must have a value of type u32; it has a value of type u64");
}

TEST_CASE("each broken rule of GGUF's tensors is named with the tensor and its byte", "[gguf]") {
  const auto with = [](GgufWriter::TensorEntry entry) {
    return message_of(sample().tensor(std::move(entry)));
  };
  const std::string four = le(1.0f);
  CHECK(with({"", {1}, 0, four}) ==
        "f: the name of a tensor must have 1 to 63 bytes; the one at byte 190 has 0");
  CHECK_THAT(with({std::string(64, 'n'), {1}, 0, four}), ContainsSubstring("the one at byte 190 has 64"));
  CHECK(message_of(sample().tensor({std::string(63, 'n'), {1}, 0, four})) == "no error");
  CHECK(with({"n\xff", {1}, 0, four}) ==
        "f: the name of a tensor must be UTF-8 without a zero byte; the one at byte 190 is not");
  CHECK_THAT(with({std::string("n\0m", 3), {1}, 0, four}), ContainsSubstring("the one at byte 190 is not"));
  CHECK(with({"a.weight", {1}, 0, four}) ==
        "f: tensor a.weight must stand in the file once; it is number 0 and 2, at byte 190");
  CHECK(with({"n", {1, 1, 1, 1, 1}, 0, four}) ==
        "f: tensor n must have at most 4 dimensions; byte 199 gives it 5");
  CHECK_THAT(with({"n", {}, 0, "", {}, 0xffffffffu}), ContainsSubstring("byte 199 gives it 4294967295"));
  CHECK(with({"n", {-1}, 0, four}) ==
        "f: the size of tensor n must fit in 63 bits; byte 203 gives it the shape (-1), the innermost size "
        "first");
  for (const std::vector<int64_t>& sizes :
       {std::vector<int64_t>{int64_t{1} << 31, int64_t{1} << 31, int64_t{1} << 31},
        {0, int64_t{1} << 40, int64_t{1} << 40},
        {int64_t{1} << 61}}) {
    CHECK_THAT(with({"n", sizes, 0, four}),
               ContainsSubstring("the size of tensor n must fit in 63 bits; byte 203"));
  }
  CHECK(with({"n", {1}, 5, four}) == "f: tensor n must have a type that is known; byte 211 gives it 5");
  CHECK_THAT(with({"n", {1}, 0xffffffffu, four}), ContainsSubstring("byte 211 gives it 4294967295"));
  CHECK(with({"n", {33, 32}, 8, four}) ==
        "f: tensor n of type Q8_0 must have rows of whole blocks, each of 32 elements; byte 203 gives it "
        "rows of 33");
  CHECK_THAT(with({"n", {}, 2, four}), ContainsSubstring("byte 203 gives it rows of 1"));
  CHECK(with({"n", {1}, 0, four, 32}) ==
        "f: tensor n must begin at byte 64 of the data, where the padding of the one before it ends; byte "
        "215 gives it 32");
  CHECK_THAT(with({"n", {1}, 0, four, 96}), ContainsSubstring("byte 215 gives it 96"));
  CHECK_THAT(with({"n", {1}, 0, four, 65}), ContainsSubstring("byte 215 gives it 65"));
  CHECK(with({"n", {40}, 0, four}) ==
        "f: the file is truncated: tensor n takes bytes 288 to 448, but the file ends at 320");
  GgufWriter large = sample();
  const int64_t most = int64_t{1} << 60;
  for (const uint64_t offset : {0, 1, 2}) {
    large.tensor(
        {"n" + std::to_string(offset), {most}, 0, "", 64 + offset * 4 * static_cast<uint64_t>(most)});
  }
  CHECK_THAT(message_of(large), ContainsSubstring("the sizes of all tensors up to n1") &&
                                    ContainsSubstring("must fit in 63 bits together"));
  const std::string longer = sample().bytes() + "x";
  CHECK(error_of([&] { GgufFile::parse(longer, "f"); }) ==
        "f: the file must end with its last tensor and its padding at byte 256; it has 257 bytes");
}

TEST_CASE("a GGUF file cut at any byte is refused, and one with any bit flipped never crashes", "[gguf]") {
  GgufWriter writer = sample();
  writer.value("words", 9, GgufWriter::array(8, 2, GgufWriter::text("a") + GgufWriter::text("bc")));
  writer.pad_last = false;
  const std::string bytes = writer.bytes();
  const auto message = [](const std::string& damaged) {
    return error_of([&] {
      const GgufFile file = GgufFile::parse(damaged, "f");
      for (const GgufTensor& tensor : file.tensors()) file.tensor(tensor.name).clone();
    });
  };
  REQUIRE(message(bytes) == "no error");
  int crossed = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    if (message(bytes.substr(0, size)).find("f: ") != 0) ++crossed;
  }
  CHECK(crossed == 0);
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string damaged = bytes;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ 1 << i % 8);
    const std::string said = message(damaged);
    if (said != "no error" && said.find("f: ") != 0) ++crossed;
  }
  CHECK(crossed == 0);
}
