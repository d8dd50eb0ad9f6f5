// .npy, .npz and the zip archives under them.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tensor/io/detail/checksum.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/machine.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_folder.hpp"

namespace {

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::TemporaryFolder;
using gradus::testing::write_quickly;

std::string little(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xff);
  return text;
}

/// The bytes of a .npy file with this header, whatever it says.
std::string npy_with(const std::string& header, const std::string& values, int version = 1) {
  return std::string("\x93NUMPY") + static_cast<char>(version) + '\0' +
         little(header.size(), version == 1 ? 2 : 4) + header + values;
}

std::string header_of(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
}

/// The text deflated with the fixed codes of RFC 1951: its bytes one by one, or 258 that stood `period` bytes before.
std::string deflated(const std::string& text, std::size_t period) {
  std::string packed;
  unsigned filled = 8;
  const auto bit = [&](unsigned value) {
    if (filled == 8) packed += '\0', filled = 0;
    packed.back() = static_cast<char>(static_cast<unsigned char>(packed.back()) | (value << filled++));
  };
  const auto number = [&](unsigned value, int bits) {
    for (int i = 0; i < bits; ++i) bit((value >> i) & 1);
  };
  const auto code = [&](unsigned value, int bits) {
    for (int i = bits; i-- > 0;) bit((value >> i) & 1);
  };
  REQUIRE((period == 1 || (period > 384 && period <= 512)));
  number(1 | 1 << 1, 3);  // the last block, with fixed codes
  for (std::size_t i = 0; i < text.size();) {
    if (i >= period && i + 258 <= text.size() && text.compare(i, 258, text, i - period, 258) == 0) {
      code(0xc5, 8);
      code(period == 1 ? 0 : 17, 5);
      if (period > 1) number(static_cast<unsigned>(period - 385), 7);
      i += 258;
    } else {
      const unsigned byte = static_cast<unsigned char>(text[i++]);
      byte < 144 ? code(0x30 + byte, 8) : code(0x190 + byte - 144, 9);
    }
  }
  code(0, 7);
  return packed;
}

/// Entries with their directory behind them.
std::string archive(const std::string& entries, const std::string& directory, uint64_t count) {
  return entries + directory + "PK\5\6" + little(0, 4) + little(count, 2) + little(count, 2) +
         little(directory.size(), 4) + little(entries.size(), 4) + little(0, 2);
}

/// The same with the numbers in 64 bits; `full` are the 32-bit fields that then are: count, bytes, place.
std::string archive64(const std::string& entries, const std::string& directory, uint64_t count,
                      std::array<bool, 3> full) {
  const std::string end64 = "PK\6\6" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) +
                            little(count, 8) + little(count, 8) + little(directory.size(), 8) +
                            little(entries.size(), 8);
  const std::string locator =
      "PK\6\7" + little(0, 4) + little(entries.size() + directory.size(), 8) + little(1, 4);
  const auto number = [](bool is_full, uint64_t value, int bytes) {
    return little(is_full ? ~uint64_t{0} : value, bytes);
  };
  return entries + directory + end64 + locator + "PK\5\6" + little(0, 4) + number(full[0], count, 2) +
         number(full[0], count, 2) + number(full[1], directory.size(), 4) +
         number(full[2], entries.size(), 4) + little(0, 2);
}

/// An archive of one entry, each field of which can be wrong.
struct ZipOf {
  std::string name = "a.npy";
  std::string packed;
  uint64_t bytes = 0;
  int method = 8;
  int flags = 0;
  uint64_t checksum = 0;
  bool wide = false;             // sizes in front of the bytes have 64 bits
  std::array<bool, 3> full{};    // so have these in the directory: bytes, packed bytes, place
  std::size_t missing = 0;       // 64-bit numbers that the directory lacks, at their end
  std::string other_extra = "";  // stands before them
  bool streamed = false;         // sizes and checksum stand behind the bytes

  ZipOf(const std::string& contents, bool deflate, std::size_t period = 1)
      : packed(deflate ? deflated(contents, period) : contents) {
    bytes = contents.size();
    method = deflate ? 8 : 0;
    checksum = detail::crc32(contents.data(), contents.size());
  }
  std::string common(uint64_t sum) const {
    return little(static_cast<uint64_t>(flags | (streamed ? 8 : 0)), 2) +
           little(static_cast<uint64_t>(method), 2) + little(0, 4) + little(sum, 4);
  }
  std::string lengths(const std::string& extra) const {
    return little(name.size(), 2) + little(extra.size(), 2);
  }
  static std::string extra64(const std::string& numbers) {
    return little(1, 2) + little(numbers.size(), 2) + numbers;
  }
  std::string entry() const {
    const std::string sizes = little(packed.size(), 4) + little(bytes, 4);
    const std::string extra = wide ? extra64(little(bytes, 8) + little(packed.size(), 8)) : "";
    return "PK\3\4" + little(20, 2) + common(streamed ? 0 : checksum) +
           (wide       ? little(~uint64_t{0}, 8)
            : streamed ? little(0, 8)
                       : sizes) +
           lengths(extra) + name + extra + packed + (streamed ? "PK\7\10" + little(checksum, 4) + sizes : "");
  }
  std::string directory(uint64_t place = 0) const {
    std::string numbers;
    const auto number = [&](bool is_full, uint64_t value) {
      if (is_full) numbers += little(value, 8);
      return little(is_full ? ~uint64_t{0} : value, 4);
    };
    const std::string bytes_field = number(full[0], bytes);
    const std::string sizes = number(full[1], packed.size()) + bytes_field;
    const std::string place_field = number(full[2], place);
    const bool any = !numbers.empty();
    numbers.resize(numbers.size() - 8 * missing);
    const std::string extra = other_extra + (any ? extra64(numbers) : "");
    return "PK\1\2" + little(20, 2) + little(20, 2) + common(checksum) + sizes + lengths(extra) +
           little(0, 2) + little(0, 2) + little(0, 2) + little(0, 4) + place_field + name + extra;
  }
  std::string text() const { return archive(entry(), directory(), 1); }
};

/// What reading everything in these bytes says.
std::string npz_message(const TemporaryFolder& folder, const std::string& bytes) {
  write_quickly(folder / "f.npz", bytes);
  return testing::error_of([&] {
    const NpzFile file(folder / "f.npz");
    for (const std::string& name : file.names()) file.array(name);
  });
}

std::string npy_message(const TemporaryFolder& folder, const std::string& bytes) {
  write_quickly(folder / "f.npy", bytes);
  return testing::error_of([&] { load_npy(folder / "f.npy"); });
}

}  // namespace

TEST_CASE("arrays come back from an .npz file with their types, shapes and bits", "[io]") {
  const TemporaryFolder folder;
  const std::vector<float> f{1.5f, -0.0f, 3e38f, 4, 5, 6};
  const std::vector<int64_t> offsets{0, 5, int64_t{1} << 40};
  const std::vector<int32_t> ids{-1, 2};
  const std::string meta = "{\"level\":\"word\"}";
  const std::vector<RawTensor> arrays{
      {"layer_0", "F32", {2, 3}, f.data(), 24},
      {"offsets", "I64", {3}, offsets.data(), 24},
      {"ids", "I32", {1, 2, 1}, ids.data(), 8},
      {"meta", "U8", {static_cast<int64_t>(meta.size())}, meta.data(), meta.size()},
      {"one", "F32", {}, f.data(), 4},
      {"none", "F32", {0, 7}, nullptr, 0}};
  save_npz(folder / "a.npz", arrays);
  save_npz(folder / "b.npz", arrays);
  CHECK(read_file(folder / "a.npz") == read_file(folder / "b.npz"));
  const NpzFile file(folder / "a.npz");
  REQUIRE(file.names().size() == arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    INFO(arrays[i].name);
    CHECK(file.names()[i] == arrays[i].name);
    const NpyArray back = file.array(arrays[i].name);
    CHECK(back.name == arrays[i].name);
    CHECK(back.dtype == arrays[i].dtype);
    CHECK(back.shape == arrays[i].shape);
    REQUIRE(back.bytes == arrays[i].bytes);
    CHECK((back.bytes == 0 || std::memcmp(back.data, arrays[i].data, back.bytes) == 0));
  }
  CHECK(file.tensor("layer_0").to_vector<float>() == f);
  CHECK(file.tensor("one").item() == 1.5);
  CHECK_THROWS_WITH(file.tensor("offsets"), ContainsSubstring("offsets must be F32"));
  Tensor outlives = NpzFile(folder / "b.npz").tensor("layer_0");
  CHECK(outlives.to_vector<float>() == f);
  save_npy(folder / "c.npy", arrays[0]);
  CHECK(load_npy(folder / "c.npy").tensor().to_vector<float>() == f);
  CHECK(file.contains("ids"));
  CHECK_FALSE(file.contains("x"));
  CHECK_THROWS_WITH(file.array("x"), ContainsSubstring("a.npz: must have an entry named x.npy"));
}

TEST_CASE("an .npz array can be written in pieces and gives the same file", "[io]") {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  save_npz(folder / "a.npz", {{"t", "F32", {3, 2}, values.data(), 24}});
  {
    NpzWriter writer(folder / "b.npz");
    writer.begin("t", "F32", {3, 2});
    writer.write(values.data(), 8);
    CHECK_THROWS_AS(writer.end(), std::invalid_argument);
    writer.write(values.data() + 2, 16);
    CHECK_THROWS_AS(writer.write(values.data(), 1), std::invalid_argument);
    CHECK_THROWS_AS(writer.begin("u", "F32", {1}), std::invalid_argument);
    writer.end();
    CHECK_FALSE(file_exists(folder / "b.npz"));
    writer.commit();
  }
  CHECK(read_file(folder / "a.npz") == read_file(folder / "b.npz"));

  NpzWriter writer(folder / "b.npz");
  CHECK_THROWS_WITH(writer.begin("../t", "F32", {1}), ContainsSubstring("relative paths"));
  CHECK_THROWS_WITH(writer.begin("t", "BF16", {1}), ContainsSubstring("BF16; cast it to F32"));
  CHECK_THROWS_AS(writer.begin("t", "F32", {-1}), std::invalid_argument);
  writer.add({"t", "F32", {1}, values.data(), 4});
  CHECK_THROWS_WITH(writer.add({"t", "F32", {1}, values.data(), 4}), ContainsSubstring("given twice"));
}

TEST_CASE("a .npy file has the bytes that NumPy gives it", "[io]") {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const auto header_for = [&](const Shape& shape) {
    const auto bytes = static_cast<std::size_t>(shape.numel()) * 4;
    save_npy(folder / "a.npy", {"", "F32", shape, values.data(), bytes});
    const std::string text = read_file(folder / "a.npy");
    CHECK((text.size() - bytes) % 64 == 0);
    CHECK(text.substr(text.size() - bytes) ==
          std::string(reinterpret_cast<const char*>(values.data()), bytes));
    CHECK(load_npy(folder / "a.npy").shape == shape);
    return text.substr(0, text.size() - bytes);
  };
  // As numpy.save writes them.
  const std::string two = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  CHECK(header_for({2, 3}) ==
        std::string("\x93NUMPY\x01\x00\x76\x00", 10) + two + std::string(117 - two.size(), ' ') + '\n');
  CHECK_THAT(header_for({6}), ContainsSubstring("'shape': (6,), }"));
  CHECK_THAT(header_for({}), ContainsSubstring("'shape': (), }"));
  CHECK_THAT(header_for({1, 0, 3}), ContainsSubstring("'shape': (1, 0, 3), }"));
}

TEST_CASE("all versions and spellings of .npy headers are read", "[io]") {
  const TemporaryFolder folder;
  const std::string values(24, '\1');
  for (int version : {1, 2, 3}) {
    CHECK(npy_message(folder, npy_with(header_of("<f4", "(2, 3)"), values, version)) == "no error");
  }
  for (const char* header : {"{\"shape\":(2L,3L),\"fortran_order\":False,\"descr\":\"<i4\"}",
                             "{ 'descr' : '=u4' , 'shape' : ( 6 , ) , 'fortran_order' : True }   \n",
                             "{'descr': '|u1', 'fortran_order': False, 'shape': (24,), }",
                             "{'descr': '>i1', 'fortran_order': False, 'shape': (1,24), }"}) {
    INFO(header);
    CHECK(npy_message(folder, npy_with(header, values)) == "no error");
  }
}

TEST_CASE("what is wrong with a .npy file is named, and pickles are never read", "[io]") {
  const TemporaryFolder folder;
  const auto with = [&](const std::string& descr, const std::string& shape, const std::string& values) {
    const std::string message = npy_message(folder, npy_with(header_of(descr, shape), values));
    CHECK_THAT(message, ContainsSubstring((folder / "f.npy") + ": "));
    return message;
  };
  const std::string eight(8, 'x');
  CHECK_THAT(with("|O", "(1,)", eight), ContainsSubstring("pickles"));
  CHECK_THAT(with(">f4", "(2,)", eight),
             ContainsSubstring("little-endian") && ContainsSubstring(".astype('<f4')"));
  CHECK_THAT(with("<U2", "(1,)", eight), ContainsSubstring("'<U2'"));
  CHECK_THAT(with("|f4", "(2,)", eight), ContainsSubstring("'|f4'"));  // of no byte order
  CHECK_THAT(with("<c8", "(1,)", eight), ContainsSubstring("'<c8'"));
  CHECK_THAT(with("", "(1,)", eight), ContainsSubstring("''"));
  CHECK_THAT(with("<f4", "(3,)", eight),
             ContainsSubstring("must have 12 bytes; 8 are there: it is truncated"));
  CHECK_THAT(with("<f4", "(1,)", eight), ContainsSubstring("must have 4 bytes; 8 are there"));
  CHECK_THAT(with("<f4", "(4294967296, 4294967296)", eight), ContainsSubstring("must fit in 63 bits"));
  CHECK_THAT(with("<f4", "(0, 4294967296, 4294967296)", ""),
             ContainsSubstring("must fit in 63 bits"));  // its strides
  CHECK_THAT(with("<f4", "(99999999999999999999,)", eight), ContainsSubstring("63 bits"));
  CHECK_THAT(with("<f4", "(-2,)", eight), ContainsSubstring("63 bits"));
  CHECK_THAT(with("<f4", "(1,1,1,1,1,1,1,1,2)", eight), ContainsSubstring("more than 8 dimensions"));
  CHECK_THAT(
      npy_message(folder, npy_with("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", eight)),
      ContainsSubstring("Fortran order") && ContainsSubstring("ascontiguousarray"));
  CHECK_THAT(
      npy_message(folder,
                  npy_with("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", eight)),
      ContainsSubstring("arrays of records"));
  for (const char* header :
       {"", "{", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'shape': __import__('os')}", "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}",
        "{'descr': '<f4", "{'descr': '<f\\x34'", "{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}",
        "{'descr': '<f4' 'shape': (2,)}"}) {
    INFO(header);
    CHECK_THAT(npy_message(folder, npy_with(header, eight)),
               ContainsSubstring("the .npy header is damaged at its byte"));
  }
  CHECK_THAT(npy_message(folder, "not"), ContainsSubstring("must be a .npy array"));
  CHECK_THAT(npy_message(folder, npy_with(header_of("<f4", "(2,)"), eight, 4)),
             ContainsSubstring("it is 4.0"));
  const std::string whole = npy_with(header_of("<f4", "(2,)"), eight);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK(npy_message(folder, whole.substr(0, size)) != "no error");
  }
  CHECK_THAT(npy_message(folder, "\x93NUMPY\x02" + std::string(1, '\0') + "\xff\xff\xff\xff{}"),
             ContainsSubstring("4294967295"));
}

TEST_CASE("deflated and 64-bit zip entries are read", "[io]") {
  const TemporaryFolder folder;
  std::vector<float> values(50'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 100);
  const std::string npy =
      npy_with(header_of("<f4", "(500, 100)"), {reinterpret_cast<const char*>(values.data()), 200'000});
  for (const bool deflate : {false, true}) {
    for (const bool wide : {false, true}) {
      ZipOf zip(npy, deflate, 400);
      zip.wide = wide;
      zip.full = {wide, wide, false};
      write_file_atomic(folder / "f.npz", zip.text());
      CHECK((zip.packed.size() < 3000) == deflate);
      CHECK(NpzFile(folder / "f.npz").tensor("a").to_vector<float>() == values);
    }
  }
  // A comment at the end is allowed, of up to 65535 bytes.
  for (const std::size_t length : {3, 65535}) {
    std::string text = ZipOf(npy, true).text();
    text.replace(text.size() - 2, 2, little(length, 2));
    CHECK(npz_message(folder, text + std::string(length, 'c')) == "no error");
  }
}

TEST_CASE("any 32-bit fields of an entry can be full: those have 64-bit ones, of bytes, packed bytes, place",
          "[io]") {
  const TemporaryFolder folder;
  const std::string npy = npy_with(header_of("<f4", "(500,)"), std::string(2000, '\1'));
  const auto check_read = [&](const std::string& bytes) {
    CHECK(npz_message(folder, bytes) == "no error");
    CHECK(NpzFile(folder / "f.npz").array("a").bytes == 2000);
  };
  const std::string stub = "in front of the archive";  // so that the place is not 0
  for (const bool deflate : {false, true}) {
    for (unsigned bits = 0; bits < 8; ++bits) {
      CAPTURE(deflate, bits);
      ZipOf zip(npy, deflate);
      zip.full = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
      check_read(archive(stub + zip.entry(), zip.directory(stub.size()), 1));
      zip.other_extra = little(0x5455, 2) + little(5, 2) + "\3time";  // as zip writes it
      check_read(archive(stub + zip.entry(), zip.directory(stub.size()), 1));
      if (bits == 0) continue;
      zip.missing = 1;
      CHECK_THAT(npz_message(folder, archive(stub + zip.entry(), zip.directory(stub.size()), 1)),
                 ContainsSubstring("entry a.npy has no 64-bit size"));
      std::string none = zip.directory(stub.size());
      none[none.find("\3time") + 5] = 2;  // no extra field of 64-bit numbers at all
      CHECK(npz_message(folder, archive(stub + zip.entry(), none, 1)) != "no error");
    }
    // As writers do who learn the sizes last, and NumPy, whose directory is narrow where it can be.
    ZipOf zip(npy, deflate);
    zip.wide = true;
    check_read(zip.text());
    zip.streamed = true;
    check_read(zip.text());
    zip.wide = false;
    check_read(zip.text());
  }
}

TEST_CASE("any 32-bit fields of an archive's end can be full: its 64-bit record then holds all numbers",
          "[io]") {
  const TemporaryFolder folder;
  const ZipOf zip(npy_with(header_of("<f4", "(500,)"), std::string(2000, '\1')), true);
  const auto with = [&](std::array<bool, 3> full) {
    return archive64(zip.entry(), zip.directory(), 1, full);
  };
  for (unsigned bits = 0; bits < 8; ++bits) {
    CAPTURE(bits);
    // Without a full field the record is passed over, and stands where the directory must end.
    CHECK((npz_message(folder, with({(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0})) == "no error") ==
          (bits != 0));
  }
  const std::string good = with({true, true, true});
  std::string damaged = good;
  damaged[damaged.find("PK\6\7")] = 'x';
  CHECK_THAT(npz_message(folder, damaged), ContainsSubstring("its 64-bit part is missing"));
  damaged = good;
  ++damaged[damaged.find("PK\6\7") + 8];
  CHECK_THAT(npz_message(folder, damaged), ContainsSubstring("its 64-bit part is not at byte"));
  damaged = good;
  damaged[damaged.find("PK\6\6") + 20] = 1;
  CHECK_THAT(npz_message(folder, damaged), ContainsSubstring("in several parts"));
}

TEST_CASE("an entry beyond 4 GiB is written with 64-bit fields, and read here and by NumPy", "[io][.slow]") {
  const TemporaryFolder folder;
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  const int64_t rows = 4200;
  const int64_t width = 1 << 18;
  if (const uint64_t there = free_disk_bytes(folder.path()); there < 6 * kGiB) {
    WARN("SKIPPED: an archive beyond 4 GiB needs 6 GiB of disk; " << there << " bytes are free");
    return;
  }
  std::vector<float> row(static_cast<std::size_t>(width), 1.5f);
  {
    NpzWriter writer(folder / "a.npz");
    writer.begin("big", "F32", {rows, width});
    for (int64_t i = 0; i < rows; ++i) {
      row.front() = row.back() = static_cast<float>(i);
      writer.write(row.data(), row.size() * 4);
    }
    writer.end();
    writer.add({"after", "F32", {2}, row.data(), 8});
    writer.commit();
  }
  const NpzFile file(folder / "a.npz");
  CHECK(file.names() == std::vector<std::string>{"big", "after"});
  CHECK(file.tensor("after").to_vector<float>() == std::vector<float>{4199, 1.5f});
  if (const uint64_t there = available_memory_bytes(); there < 6 * kGiB) {
    WARN("SKIPPED: reading the large entry needs 6 GiB of memory; " << there << " bytes are available");
    return;
  }
  {
    const NpyArray big = file.array("big");
    const auto* values = static_cast<const float*>(big.data);
    CHECK(big.shape == Shape{rows, width});
    CHECK(values[(rows - 1) * width] == 4199);
    CHECK(values[rows * width - 1] == 4199);
  }
  if (std::system("python3 -c 'import numpy' 2> /dev/null") != 0) {
    WARN("SKIPPED: python3 with NumPy is missing");
    return;
  }
  write_file_atomic(folder / "read.py", R"(
import numpy, sys
arrays = numpy.load(sys.argv[1])
assert sorted(arrays) == ["after", "big"]
assert arrays["after"].tolist() == [4199, 1.5]
big = arrays["big"]
assert big.shape == (4200, 1 << 18) and big.dtype == numpy.float32
rows = numpy.arange(4200)
assert (big[:, 0] == rows).all() and (big[:, -1] == rows).all() and (big[:, 1] == 1.5).all()
)");
  CHECK(std::system(("python3 " + (folder / "read.py") + " " + (folder / "a.npz")).c_str()) == 0);
}

TEST_CASE("what is wrong with a zip archive is named", "[io]") {
  const TemporaryFolder folder;
  const std::string npy = npy_with(header_of("<f4", "(500,)"), std::string(2000, '\1'));
  const auto with = [&](const auto& change) {
    ZipOf zip(npy, true);
    change(zip);
    const std::string message = npz_message(folder, zip.text());
    CHECK_THAT(message, ContainsSubstring((folder / "f.npz") + ": "));
    return message;
  };
  REQUIRE(npz_message(folder, ZipOf(npy, true).text()) == "no error");
  CHECK_THAT(with([](ZipOf& z) { z.bytes = 1 << 30; }), ContainsSubstring("cannot have 1073741824 bytes"));
  CHECK_THAT(with([](ZipOf& z) {
               z.bytes = uint64_t{1} << 62, z.full = {true, true, false};
             }),
             ContainsSubstring("cannot have"));
  CHECK_THAT(with([](ZipOf& z) { z.bytes -= 1; }), ContainsSubstring("is damaged"));
  CHECK_THAT(with([](ZipOf& z) { z.bytes += 1; }), ContainsSubstring("is damaged"));
  CHECK_THAT(with([](ZipOf& z) { z.checksum ^= 1; }),
             ContainsSubstring("have changed since they were written"));
  CHECK_THAT(with([](ZipOf& z) { z.packed += 'x'; }), ContainsSubstring("is damaged"));
  CHECK_THAT(with([](ZipOf& z) { z.packed.pop_back(); }), ContainsSubstring("is damaged"));
  CHECK_THAT(with([](ZipOf& z) { z.method = 12; }), ContainsSubstring("its compression is 12"));
  CHECK_THAT(with([](ZipOf& z) { z.method = 0; }), ContainsSubstring("cannot have"));
  CHECK_THAT(with([](ZipOf& z) { z.flags = 1; }), ContainsSubstring("encrypted"));
  CHECK_THAT(with([](ZipOf& z) { z.name = "a.txt"; }), ContainsSubstring("the entry a.txt"));
  for (const char* name : {"../a.npy", "/a.npy", "a/../../b.npy", "a\\b.npy", "a//b.npy", "./a.npy"}) {
    INFO(name);
    CHECK_THAT(with([&](ZipOf& z) { z.name = name; }), ContainsSubstring("not a relative path"));
  }
  CHECK_THAT(npz_message(folder, ""), ContainsSubstring("at least 22 bytes"));
  CHECK_THAT(npz_message(folder, std::string(1000, 'x')), ContainsSubstring("no directory at its end"));

  // What the directory says, its end and the entries must fit together.
  const ZipOf zip(npy, true);
  const std::string entry = zip.entry();
  CHECK_THAT(npz_message(folder, archive(entry, zip.directory() + zip.directory(), 1)),
             ContainsSubstring("bytes follow its 1 entries"));
  CHECK_THAT(npz_message(folder, archive(entry, zip.directory(), 2)),
             ContainsSubstring("entry 1 of 2 is not at"));
  std::string text = zip.text();
  text[text.find("a.npy")] = 'b';
  CHECK_THAT(npz_message(folder, text), ContainsSubstring("has another name where its bytes are"));
  text = zip.text();
  text[text.find("PK\5\6") + 4] = 1;
  CHECK_THAT(npz_message(folder, text), ContainsSubstring("in several parts"));
  // An entry within another's bytes.
  ZipOf inner(npy, false);
  inner.name = "b.npy";
  const ZipOf outer(inner.entry(), false);
  const std::string outer_entry = outer.entry();
  CHECK_THAT(
      npz_message(folder, archive(outer_entry,
                                  outer.directory() + inner.directory(outer_entry.find("PK\3\4", 1)), 2)),
      ContainsSubstring("entries overlap"));

  // Two names for the same bytes: how a small file pretends to be a large one.
  const std::string twice = archive(entry, zip.directory() + zip.directory(), 2);
  CHECK_THAT(npz_message(folder, twice), ContainsSubstring("stands in it twice"));
}

TEST_CASE("a flipped bit in the bytes of a stored entry is found by their checksum", "[io]") {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, 4};
  save_npz(folder / "a.npz", {{"t", "F32", {2, 2}, values.data(), 16}});
  const std::string bytes = read_file(folder / "a.npz");
  const std::size_t begin = bytes.find("\x93NUMPY");
  REQUIRE(bytes.find("PK\1\2") == begin + 128 + 16);
  for (std::size_t i = 0; i < 128 + 16; ++i) {
    std::string damaged = bytes;
    damaged[begin + i] = static_cast<char>(damaged[begin + i] ^ (1 << (i % 8)));
    CAPTURE(i);
    CHECK_THAT(npz_message(folder, damaged),
               ContainsSubstring("the bytes of entry t.npy have changed since they were written: checksum"));
  }
}

TEST_CASE("names beyond ASCII are written as UTF-8 that says so, and come back", "[io]") {
  const TemporaryFolder folder;
  const float value = 1;
  save_npz(folder / "a.npz", {{"a", "F32", {1}, &value, 4}, {"\xc3\xa9t\xc3\xa9", "F32", {1}, &value, 4}});
  CHECK(NpzFile(folder / "a.npz").names() == std::vector<std::string>{"a", "\xc3\xa9t\xc3\xa9"});
  const std::string bytes = read_file(folder / "a.npz");
  const auto flags = [&](const char* magic, std::size_t entry, std::size_t place) {
    std::size_t at = bytes.find(magic);
    if (entry == 1) at = bytes.find(magic, at + 1);
    return bytes.substr(at + place, 2);
  };
  CHECK(flags("PK\3\4", 0, 6) == little(0, 2));
  CHECK(flags("PK\3\4", 1, 6) == little(1 << 11, 2));
  CHECK(flags("PK\1\2", 0, 8) == little(0, 2));
  CHECK(flags("PK\1\2", 1, 8) == little(1 << 11, 2));
}

TEST_CASE("an .npz file cut at any byte is refused, and flipped bits never crash the reader", "[io]") {
  const TemporaryFolder folder;
  const std::vector<float> values{1, 2, 3, 4};
  save_npz(folder / "a.npz", {{"t", "F32", {2, 2}, values.data(), 16}, {"u", "F32", {3}, values.data(), 12}});
  const std::string stored = read_file(folder / "a.npz");
  const std::string packed = ZipOf(npy_with(header_of("<f4", "(100,)"), std::string(400, '\7')), true).text();
  for (const std::string& bytes : {stored, packed}) {
    REQUIRE(npz_message(folder, bytes) == "no error");
    int accepted = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      if (npz_message(folder, bytes.substr(0, size)) == "no error") ++accepted;
    }
    CHECK(accepted == 0);
    int refused = 0;
    for (std::size_t i = 0; i < bytes.size() * 8; i += 3) {
      std::string damaged = bytes;
      damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
      if (npz_message(folder, damaged) != "no error") ++refused;
    }
    CHECK(refused > static_cast<int>(bytes.size()) / 2);
  }
}
