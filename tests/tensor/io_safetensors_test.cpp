// safetensors: round trips, every rule of the format, and files made to break a reader.

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tensor/io/safetensors.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_folder.hpp"

namespace {

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::names_in;
using gradus::testing::TemporaryFolder;
using gradus::testing::write_quickly;

/// The bytes of a file with this header, whatever it says.
std::string file_with(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
         offsets + "]}";
}

/// What opening these bytes and reading everything in them says.
std::string message_of(const TemporaryFolder& folder, const std::string& bytes) {
  write_quickly(folder / "f", bytes);
  return testing::error_of([&] {
    const SafetensorsFile file = SafetensorsFile::open(folder / "f");
    for (const std::string& name : file.names()) {
      file.array(name);
      if (dtype_from_raw(file.info(name).dtype)) file.tensor(name).clone();
    }
  });
}

std::vector<NamedTensor> sample() {
  return {{"b", Tensor::from(std::vector<int32_t>{1, -2, 3}, {3})},
          {"w", Tensor::from(std::vector<float>{1.5f, -0.0f, 3e38f, 4, 5, 6}, {2, 3})},
          {"d", Tensor::from(std::vector<double>{0.1, -1e300}, {2, 1})},
          {"s", Tensor::full({}, 7)},
          {"none", Tensor::empty({0, 4})}};
}

}  // namespace

TEST_CASE("tensors come back from a safetensors file with their names, types, shapes and bits", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  save_safetensors(path, sample(), {{"format", "pt"}, {"step", "12"}});
  const SafetensorsFile file = SafetensorsFile::open(path);
  CHECK(file.names() == std::vector<std::string>{"d", "b", "w", "s", "none"});  // larger elements first
  CHECK(file.metadata() == Metadata{{"format", "pt"}, {"step", "12"}});
  CHECK(file.contains("w"));
  CHECK_FALSE(file.contains("x"));
  for (const NamedTensor& named : sample()) {
    INFO(named.name);
    const Tensor back = file.tensor(named.name);
    CHECK(back.shape() == named.tensor.shape());
    REQUIRE(back.dtype() == named.tensor.dtype());
    CHECK((back.nbytes() == 0 || std::memcmp(back.bytes(), named.tensor.bytes(), back.nbytes()) == 0));
  }
  CHECK_NOTHROW(file.verify());
  CHECK(file.info("w").dtype == "F32");
  CHECK_THROWS_WITH(file.tensor("x"),
                    ContainsSubstring(path) && ContainsSubstring("a tensor named x; it has 5 others: d, b"));
  CHECK_THROWS_AS(file.tensor("x"), std::runtime_error);
}

TEST_CASE("a safetensors file has the bytes that its arguments give it, data at a multiple of 64", "[io]") {
  const TemporaryFolder folder;
  save_safetensors(folder / "a", sample(), {{"k", "v"}});
  save_safetensors(folder / "b", sample(), {{"k", "v"}});
  const std::string bytes = read_file(folder / "a");
  CHECK(bytes == read_file(folder / "b"));
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  CHECK((header + 8) % 64 == 0);
  CHECK(bytes[8] == '{');
  const std::vector<uint8_t> one{0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39};
  save_safetensors(folder / "c", std::vector<RawTensor>{{"t", "U8", {9}, one.data(), 9}});
  const std::string expected =
      "{\"__metadata__\":{\"crc32.t\":\"cbf43926\"},\"t\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":["
      "0,9]}}";
  CHECK(read_file(folder / "c") ==
        file_with(expected + std::string(120 - expected.size(), ' '), "123456789"));
}

TEST_CASE("a tensor from a safetensors file shows the mapped bytes, read-only, and outlives the file object",
          "[io]") {
  const TemporaryFolder folder;
  save_safetensors(folder / "a", sample());
  Tensor w;
  {
    const SafetensorsFile file = SafetensorsFile::open(folder / "a");
    w = file.tensor("w");
    CHECK(static_cast<const void*>(w.bytes()) == file.array("w").data);
    CHECK_THROWS(w.mutable_data<float>());
  }
  // A new file under the name, not new bytes in the old one.
  write_file_atomic(folder / "a", "something else");
  CHECK(w.to_vector<float>() == std::vector<float>{1.5f, -0.0f, 3e38f, 4, 5, 6});
}

TEST_CASE("a strided tensor is saved dense", "[io]") {
  const TemporaryFolder folder;
  const Tensor w = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  save_safetensors(folder / "a", {{"t", w.view({3, 2}, {1, 3}, 0)}});
  const Tensor back = SafetensorsFile::open(folder / "a").tensor("t");
  CHECK(back.shape() == Shape{3, 2});
  CHECK(back.to_vector<float>() == std::vector<float>{1, 4, 2, 5, 3, 6});
}

TEST_CASE("one tensor of an unknown type keeps no other from being read", "[io]") {
  const TemporaryFolder folder;
  write_quickly(folder / "f",
                file_with("{" + entry("a", "F32", "1", "0,4") + "," + entry("b", "F4", "3,2", "4,7") + "," +
                              entry("c", "U8", "1", "7,8") + "}",
                          std::string("\0\0\x80\x3f"
                                      "abcd",
                                      8)));
  const SafetensorsFile file = SafetensorsFile::open(folder / "f");
  CHECK(file.tensor("a").to_vector<float>() == std::vector<float>{1});
  CHECK(file.info("b").dtype == "F4");
  CHECK(file.info("b").bytes == 3);
  CHECK(file.info("b").shape == Shape{3, 2});
  CHECK(*static_cast<const char*>(file.array("c").data) == 'd');
  for (const auto& use :
       std::vector<std::function<void()>>{[&] { file.array("b"); }, [&] { file.tensor("b"); }}) {
    CHECK_THROWS_WITH(use(),
                      ContainsSubstring("tensor b must have a type that this program knows; it is F4"));
  }
}

TEST_CASE("arrays of types that tensors do not have go through safetensors as well", "[io]") {
  const TemporaryFolder folder;
  const std::vector<int64_t> offsets{0, 5, int64_t{1} << 40};
  const std::vector<uint8_t> meta{'{', '}'};
  save_safetensors(folder / "a", std::vector<RawTensor>{{"meta", "U8", {2}, meta.data(), 2},
                                                        {"offsets", "I64", {3}, offsets.data(), 24}});
  const SafetensorsFile file = SafetensorsFile::open(folder / "a");
  const RawTensor back = file.array("offsets");
  CHECK(back.dtype == "I64");
  REQUIRE(back.bytes == 24);
  CHECK(std::memcmp(back.data, offsets.data(), 24) == 0);
  CHECK_THROWS_WITH(file.tensor("offsets"),
                    ContainsSubstring("tensor offsets must be F32") && ContainsSubstring("I64"));
}

TEST_CASE("a safetensors file can be staged beside the old one", "[io]") {
  const TemporaryFolder folder;
  save_safetensors(folder / "a", {{"t", Tensor::full({2}, 1)}});
  AtomicFile next(folder / "a");
  write_safetensors(next, std::vector<NamedTensor>{{"t", Tensor::full({2}, 2)}});
  next.sync_as(folder / "a.next");
  CHECK(SafetensorsFile::open(folder / "a").tensor("t").to_vector<float>()[0] == 1);
  CHECK(SafetensorsFile::open(folder / "a.next").tensor("t").to_vector<float>()[0] == 2);
}

TEST_CASE("what cannot stand in a safetensors file is refused when it is written", "[io]") {
  const TemporaryFolder folder;
  const Tensor t = Tensor::full({2}, 1);
  const auto save = [&](const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
    save_safetensors(folder / "a", tensors, metadata);
  };
  CHECK_THROWS_WITH(save({{"t", t}, {"t", t}}, {}), ContainsSubstring("t is given twice"));
  CHECK_THROWS_WITH(save({{"__metadata__", t}}, {}), ContainsSubstring("must not be called __metadata__"));
  CHECK_THROWS_WITH(save({{"t", Tensor()}}, {}), ContainsSubstring("t is empty"));
  CHECK_THROWS_WITH(save({{"t", t}}, {{"crc32.t", "0"}}), ContainsSubstring("must not begin with crc32."));
  CHECK_THROWS_WITH(save({{"\xff", t}}, {}), ContainsSubstring("UTF-8"));
  const auto save_raw = [&](const RawTensor& array) {
    save_safetensors(folder / "a", std::vector<RawTensor>{array});
  };
  CHECK_THROWS_WITH(save_raw({"t", "F31", {2}, t.bytes(), 8}), ContainsSubstring("t has F31"));
  CHECK_THROWS_WITH(save_raw({"t", "F32", {3}, t.bytes(), 8}), ContainsSubstring("(3) with 8 bytes"));
  CHECK_THROWS_AS(save_raw({"t", "F32", {-2}, t.bytes(), 8}), std::invalid_argument);
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("files of other safetensors writers are read", "[io]") {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& bytes) {
    write_file_atomic(folder / "f", bytes);
    return SafetensorsFile::open(folder / "f");
  };
  CHECK(open(file_with("{}", "")).names().empty());
  // Keys in any order, spaces before and after, no checksums, tensors listed in another order than they stand.
  const std::string two(8, '\0');
  const SafetensorsFile file =
      open(file_with(" {\"b\":{\"shape\":[1],\"data_offsets\":[4,8],\"dtype\":\"F32\"}, " +
                         entry("a", "F32", "1,1", "0,4") + "}  ",
                     two));
  CHECK(file.names() == std::vector<std::string>{"a", "b"});
  CHECK_NOTHROW(file.verify());
  // An odd address: the values are copied to an even one.
  const float value = 2.5f;
  std::string data(5, '\0');
  std::memcpy(data.data() + 1, &value, 4);
  const std::string header = "{" + entry("u", "U8", "1", "0,1") + "," + entry("f", "F32", "", "1,5") + "}";
  const SafetensorsFile odd = open(file_with(header + std::string(8 - header.size() % 8, ' '), data));
  CHECK(odd.tensor("f").item() == 2.5);
  CHECK(odd.tensor("f").rank() == 0);
  // Empty tensors share their place with others.
  CHECK(open(file_with("{" + entry("a", "F32", "0", "4,4") + "," + entry("b", "F32", "1", "0,4") + "," +
                           entry("c", "F32", "2,0", "0,0") + "}",
                       "1234"))
            .names() == std::vector<std::string>{"c", "b", "a"});
}

TEST_CASE("each broken rule of safetensors is named with file and tensor", "[io]") {
  const TemporaryFolder folder;
  const auto with = [&](const std::string& members, std::size_t data_bytes) {
    const std::string message =
        message_of(folder, file_with("{" + members + "}", std::string(data_bytes, 'x')));
    CHECK_THAT(message, ContainsSubstring((folder / "f") + ": "));
    return message;
  };
  const std::string a = entry("a", "F32", "2", "0,8");
  CHECK_THAT(with(a + "," + entry("b", "F32", "2", "4,12"), 12),
             ContainsSubstring("must not overlap; b begins at byte 4"));
  CHECK_THAT(with(a + "," + entry("b", "F32", "2", "0,8"), 8), ContainsSubstring("must not overlap; b"));
  CHECK_THAT(
      with(a + "," + entry("b", "F32", "1", "12,16"), 16),
      ContainsSubstring("without gaps; b begins at byte 12") && ContainsSubstring("the end of a at 8"));
  CHECK_THAT(with(entry("b", "F32", "1", "4,8"), 8), ContainsSubstring("without gaps"));
  CHECK_THAT(with(a, 9), ContainsSubstring("must end with its last tensor; 1 bytes follow"));
  CHECK_THAT(with(a + "," + entry("b", "F32", "2", "8,16"), 13),
             ContainsSubstring("truncated") && ContainsSubstring("take 16 bytes, but only 13 are there") &&
                 ContainsSubstring("tensor b (bytes 8 to 16) is incomplete"));
  CHECK_THAT(with(entry("a", "F31", "2", "0,8"), 8),
             ContainsSubstring("tensor a must have a type") && ContainsSubstring("F31"));
  CHECK_THAT(
      with(entry("a", "F32", "3", "0,8"), 8),
      ContainsSubstring("tensor a of type F32 and shape (3) must have 12 bytes; data_offsets give it 8"));
  CHECK_THAT(with(entry("a", "F32", "-2", "0,8"), 8), ContainsSubstring("must fit in 63 bits"));
  CHECK_THAT(with(entry("a", "F32", "4294967296,4294967296,4294967296", "0,0"), 0),
             ContainsSubstring("must fit in 63 bits"));
  CHECK_THAT(with(entry("a", "F32", "0,4294967296,4294967296", "0,0"), 0),
             ContainsSubstring("must fit in 63 bits"));
  CHECK_THAT(with(entry("a", "F32", "4611686018427387904,4", "0,0"), 0),
             ContainsSubstring("must fit in 63 bits"));
  CHECK_THAT(with(entry("a", "U8", "9223372036854775807", "0,9223372036854775807"), 8),
             ContainsSubstring("truncated"));
  CHECK_THAT(with(entry("a", "F32", "1,1,1,1,1,1,1,1,1", "0,4"), 4),
             ContainsSubstring("at most 8 dimensions; it has 9"));
  CHECK_THAT(with(entry("a", "F32", "2", "8,0"), 8), ContainsSubstring("data_offsets of tensor a"));
  CHECK_THAT(with(entry("a", "F32", "2", "-8,0"), 8), ContainsSubstring("data_offsets of tensor a"));
  CHECK_THAT(with(entry("a", "F32", "2", "0,8,8"), 8), ContainsSubstring("data_offsets of tensor a"));
  CHECK_THAT(with(entry("a", "F32", "2.0", "0,8"), 8), ContainsSubstring("$.a.shape[0]: must be an integer"));
  CHECK_THAT(with(entry("a", "F32", "2", "0,99999999999999999999"), 8),
             ContainsSubstring("must be an integer"));
  CHECK_THAT(with(a + "," + a, 8), ContainsSubstring("$.a (line 1") && ContainsSubstring("twice"));
  CHECK_THAT(with("\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", 8),
             ContainsSubstring("$.a.dtype (line 1") && ContainsSubstring("twice"));
  CHECK_THAT(with("\"a\":{\"dtype\":\"F32\",\"shape\":[2]}", 8),
             ContainsSubstring("must have the key \"data_offsets\""));
  CHECK_THAT(with("\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"extra\":1}", 8),
             ContainsSubstring("$.a.extra: is not a key of the format"));
  CHECK_THAT(with("\"a\":7", 0), ContainsSubstring("$.a: must be an object"));
  CHECK_THAT(with("\"__metadata__\":{\"k\":1}", 0), ContainsSubstring("$.__metadata__.k: must be a string"));
  CHECK_THAT(with("\"__metadata__\":{\"crc32.a\":\"xyz\"}," + a, 8),
             ContainsSubstring("checksum of tensor a must be 8"));
  CHECK_THAT(with("\"__metadata__\":{\"crc32.a\":\"00000000\"}," + a, 8),
             ContainsSubstring("tensor a have changed"));
}

TEST_CASE("metadata with any bit flipped is refused", "[io]") {
  const TemporaryFolder folder;
  const Metadata metadata = {{"options", "{\"learning_rate\":0.001}"}, {"step", "12"}};
  save_safetensors(folder / "a", sample(), metadata);
  const std::string bytes = read_file(folder / "a");
  CHECK(SafetensorsFile::open(folder / "a").metadata() == metadata);
  const std::size_t begin = bytes.find("\"options\"");
  const std::size_t end = bytes.find("\"step\":\"12\"") + 11;
  for (std::size_t i = begin * 8; i < end * 8; ++i) {
    std::string damaged = bytes;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
    INFO(i);
    CHECK(message_of(folder, damaged) != "no error");
  }
}

TEST_CASE("files that are no safetensors files are told by what they are", "[io]") {
  const TemporaryFolder folder;
  CHECK_THAT(message_of(folder, ""), ContainsSubstring("at least 8 bytes; it has 0"));
  CHECK_THAT(message_of(folder, "1234567"), ContainsSubstring("at least 8 bytes; it has 7"));
  CHECK_THAT(message_of(folder, std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)),
             ContainsSubstring("the header may have at most"));
  CHECK_THAT(message_of(folder, std::string("\x03\0\0\0\0\0\0\0{}", 10)),
             ContainsSubstring("its header takes 3 bytes, but only 2 are there"));
  CHECK_THAT(message_of(folder, file_with("[]", "")), ContainsSubstring("must be an object"));
  CHECK_THAT(message_of(folder, file_with("", "")), ContainsSubstring("it is empty"));
  CHECK_THAT(message_of(folder, file_with("{\"\xff\":1}", "")), ContainsSubstring("UTF-8"));
  CHECK_THAT(message_of(folder, "PK\x03\x04 and so on"), ContainsSubstring("a zip archive"));
  CHECK_THAT(message_of(folder, "\x80\x02}q"), ContainsSubstring("a Python pickle"));
  CHECK_THAT(message_of(folder, "GGUF and so on"), ContainsSubstring("a GGUF file"));
  CHECK_THROWS_WITH(SafetensorsFile::open(folder.path()), ContainsSubstring("it is a directory"));
  CHECK_THROWS_WITH(SafetensorsFile::open(folder / "none"), ContainsSubstring("No such file"));
}

TEST_CASE("a safetensors file cut at any byte or with any bit of its data flipped is refused", "[io]") {
  const TemporaryFolder folder;
  save_safetensors(folder / "a", sample(), {{"format", "pt"}});
  const std::string bytes = read_file(folder / "a");
  REQUIRE(message_of(folder, bytes) == "no error");
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  int crossed = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    const std::string message = message_of(folder, bytes.substr(0, size));
    if (message == "no error" || message.find(folder / "f") != 0) ++crossed;
  }
  CHECK(crossed == 0);
  // Beyond the header every bit counts; in it a flip may give another name or a space, but never a crash.
  for (std::size_t i = 0; i < bytes.size() * 8; i += i < (header + 8) * 8 ? 3 : 1) {
    std::string damaged = bytes;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
    const std::string message = message_of(folder, damaged);
    if (i >= (header + 8) * 8 && message.find("have changed since they were written") == std::string::npos)
      ++crossed;
  }
  CHECK(crossed == 0);
}
