// .npy, .npz and the zip archives under them.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tensor/io/checksum.hpp"
#include "tensor/io/npy.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

namespace {

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::test::TemporaryFolder;
using gradus::test::write_quickly;

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

/// An archive of one entry, each field of which can be wrong.
struct ZipOf {
  std::string name = "a.npy";
  std::string packed;
  uint64_t bytes = 0;
  int method = 8;
  int flags = 0;
  uint64_t checksum = 0;
  bool wide = false;

  ZipOf(const std::string& contents, bool deflate, std::size_t period = 1)
      : packed(deflate ? deflated(contents, period) : contents) {
    bytes = contents.size();
    method = deflate ? 8 : 0;
    checksum = crc32(contents.data(), contents.size());
  }
  std::string text() const {
    const std::string common = little(static_cast<uint64_t>(flags), 2) +
                               little(static_cast<uint64_t>(method), 2) + little(0, 4) + little(checksum, 4);
    const std::string sizes =
        wide ? little(0xffffffff, 4) + little(0xffffffff, 4) : little(packed.size(), 4) + little(bytes, 4);
    const std::string extra =
        wide ? little(1, 2) + little(16, 2) + little(bytes, 8) + little(packed.size(), 8) : "";
    const std::string lengths = little(name.size(), 2) + little(extra.size(), 2);
    const std::string local = "PK\3\4" + little(20, 2) + common + sizes + lengths + name + extra + packed;
    const std::string directory = "PK\1\2" + little(20, 2) + little(20, 2) + common + sizes + lengths +
                                  little(0, 2) + little(0, 2) + little(0, 2) + little(0, 4) + little(0, 4) +
                                  name + extra;
    return local + directory + "PK\5\6" + little(0, 4) + little(1, 2) + little(1, 2) +
           little(directory.size(), 4) + little(local.size(), 4) + little(0, 2);
  }
};

/// What reading everything in these bytes says.
std::string npz_message(const TemporaryFolder& folder, const std::string& bytes) {
  write_quickly(folder / "f.npz", bytes);
  try {
    const NpzFile file(folder / "f.npz");
    for (const std::string& name : file.names()) file.array(name);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
}

std::string npy_message(const TemporaryFolder& folder, const std::string& bytes) {
  write_quickly(folder / "f.npy", bytes);
  try {
    load_npy(folder / "f.npy");
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "no error";
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
  CHECK_THAT(with("<c8", "(1,)", eight), ContainsSubstring("'<c8'"));
  CHECK_THAT(with("", "(1,)", eight), ContainsSubstring("''"));
  CHECK_THAT(with("<f4", "(3,)", eight),
             ContainsSubstring("must have 12 bytes; 8 are there: it is truncated"));
  CHECK_THAT(with("<f4", "(1,)", eight), ContainsSubstring("must have 4 bytes; 8 are there"));
  CHECK_THAT(with("<f4", "(4294967296, 4294967296)", eight), ContainsSubstring("must fit in 63 bits"));
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
      write_file_atomic(folder / "f.npz", zip.text());
      CHECK((zip.packed.size() < 3000) == deflate);
      CHECK(NpzFile(folder / "f.npz").tensor("a").to_vector<float>() == values);
    }
  }
  // A comment at the end is allowed.
  std::string text = ZipOf(npy, true).text();
  text[text.size() - 2] = 3;
  write_file_atomic(folder / "f.npz", text + "abc");
  CHECK(NpzFile(folder / "f.npz").names().size() == 1);
}

TEST_CASE("an archive beyond 4 GiB is written and read with 64-bit fields", "[io][.slow]") {
  const TemporaryFolder folder;
  const int64_t rows = 4200;
  const std::vector<float> row(1 << 18, 1.5f);
  if (free_disk_bytes(folder.path()) < uint64_t{6} << 30) return;
  {
    NpzWriter writer(folder / "a.npz");
    writer.begin("big", "F32", {rows, 1 << 18});
    for (int64_t i = 0; i < rows; ++i) writer.write(row.data(), row.size() * 4);
    writer.end();
    writer.add({"after", "F32", {2}, row.data(), 8});
    writer.commit();
  }
  const NpzFile file(folder / "a.npz");
  CHECK(file.names() == std::vector<std::string>{"big", "after"});
  CHECK(file.tensor("after").to_vector<float>() == std::vector<float>{1.5f, 1.5f});
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
  CHECK_THAT(with([](ZipOf& z) { z.bytes = uint64_t{1} << 62, z.wide = true; }),
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

  // Two names for the same bytes: how a small file pretends to be a large one.
  const std::string one = ZipOf(npy, true).text();
  const std::size_t directory = one.find("PK\1\2");
  const std::size_t end = one.find("PK\5\6");
  std::string second = one.substr(directory, end - directory);
  const std::string twice = one.substr(0, end) + second + "PK\5\6" + little(0, 4) + little(2, 2) +
                            little(2, 2) + little(2 * second.size(), 4) + little(directory, 4) + little(0, 2);
  CHECK_THAT(npz_message(folder, twice), ContainsSubstring("stands in it twice"));
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
