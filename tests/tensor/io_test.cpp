// Files, checksums and JSON.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tensor/io/bounds.hpp"
#include "tensor/io/detail/checksum.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/json.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_folder.hpp"

namespace {

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::names_in;
using gradus::testing::TemporaryFolder;
using gradus::testing::write_quickly;
namespace fs = std::filesystem;

/// While it lives, no file of this process grows beyond `bytes`: writing more fails like on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

std::string message_of(const std::string& text) {
  return testing::error_of([&] { Json::parse(text, "f.json"); });
}

}  // namespace

TEST_CASE("sizes and places that a file claims do not overflow") {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  CHECK(checked_multiply(3, 5) == 15);
  CHECK(checked_multiply(kMost, 1) == kMost);
  CHECK_FALSE(checked_multiply(kMost / 2 + 1, 2).has_value());
  CHECK_FALSE(checked_multiply(-1, 0).has_value());
  CHECK(checked_add(kMost - 1, 1) == kMost);
  CHECK_FALSE(checked_add(kMost, 1).has_value());
  CHECK_FALSE(checked_add(3, -1).has_value());
  constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();
  CHECK(lies_within(3, 5, 8));
  CHECK(lies_within(8, 0, 8));
  CHECK_FALSE(lies_within(4, 5, 8));
  CHECK_FALSE(lies_within(9, 0, 8));
  CHECK_FALSE(lies_within(kAll, 2, 8));  // their sum is 1
  CHECK_FALSE(lies_within(2, kAll, 8));
}

TEST_CASE("a file is read whole, and what cannot be read is named with the reason", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  std::string contents(3'000'000, '\0');
  for (std::size_t i = 0; i < contents.size(); ++i) contents[i] = static_cast<char>(i * 7 + i / 256);
  std::ofstream(path, std::ios::binary) << contents;
  CHECK(read_file(path) == contents);
  CHECK(file_bytes(path) == contents.size());
  std::ofstream(folder / "empty");
  CHECK(read_file(folder / "empty").empty());
  CHECK(!read_file("/proc/self/status").empty());  // its size is given as 0

  CHECK_THROWS_WITH(read_file(folder / "none"),
                    ContainsSubstring("/none: ") && ContainsSubstring("No such file or directory"));
  CHECK_THROWS_WITH(read_file(folder.path()), ContainsSubstring("must be a file; it is a directory"));
  CHECK_THROWS_AS(read_file(folder / "none"), std::runtime_error);
}

TEST_CASE("a mapped file shows the file's bytes, and an empty file has none", "[io]") {
  const TemporaryFolder folder;
  std::ofstream(folder / "a") << "some bytes";
  const MappedFile file(folder / "a");
  CHECK(file.text() == "some bytes");
  std::ofstream(folder / "empty");
  CHECK(MappedFile(folder / "empty").size() == 0);
  CHECK_THROWS_WITH(MappedFile(folder.path()), ContainsSubstring("it is a directory"));
  CHECK_THROWS_WITH(MappedFile(folder / "none"), ContainsSubstring("No such file"));
  CHECK_THROWS_WITH(AtomicFile("/dev/null"), ContainsSubstring("must be a regular file"));
  CHECK_THROWS_WITH(MappedFile("/dev/null"), ContainsSubstring("must be a regular file"));
}

TEST_CASE("what a large-file store leaves in a file's place is told from the file", "[io]") {
  const TemporaryFolder folder;
  const std::string version = "version https://git-lfs.github.com/spec/v1\n";
  const std::string pointer = version + "oid sha256:" + std::string(64, '7') + "\nsize 548105171\n";
  testing::write_quickly(folder / "f", pointer);
  for (const auto& read : std::vector<std::function<void()>>{[&] { read_file(folder / "f"); },
                                                             [&] { MappedFile(folder / "f"); }}) {
    CHECK_THROWS_WITH(read(), ContainsSubstring(folder / "f") &&
                                  ContainsSubstring("only a pointer to one of 548105171 bytes") &&
                                  ContainsSubstring("git lfs pull"));
  }
  // A text about pointers is none, nor is one that only mentions them.
  for (const std::string& text : {pointer + std::string(1024, 'x'), "a " + pointer, version.substr(0, 30)}) {
    testing::write_quickly(folder / "f", text);
    CHECK(read_file(folder / "f") == text);
    CHECK(MappedFile(folder / "f").text() == text);
  }
}

TEST_CASE("a file written atomically replaces the old one only when it is whole", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  write_file_atomic(path, "old");
  {
    AtomicFile file(path);
    file.write("ne");
    CHECK(read_file(path) == "old");
    file.write("w?");
    file.write_at(3, "!", 1);
    CHECK(file.size() == 4);
    CHECK_THROWS_AS(file.write_at(4, "x", 1), std::invalid_argument);
    CHECK(read_file(path) == "old");
    file.commit();
    CHECK(read_file(path) == "new!");
    CHECK_THROWS_AS(file.commit(), std::invalid_argument);
    CHECK_THROWS_AS(file.write("x"), std::invalid_argument);
  }
  CHECK(read_file(path) == "new!");
  {
    AtomicFile abandoned(path);
    abandoned.write("half");
    CHECK(names_in(folder.path()).size() == 2);
  }
  CHECK(read_file(path) == "new!");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("of two writers of one file the last to finish wins, whole, and neither disturbs the other",
          "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  AtomicFile first(path);
  first.write("first, ");
  AtomicFile second(path);
  second.write("second, ");
  first.write("whole");
  second.write("also whole");
  second.commit();
  CHECK(read_file(path) == "second, also whole");
  first.commit();
  CHECK(read_file(path) == "first, whole");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("what a writer that died has left is removed, and nothing else of a name like it", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  for (const char* left : {"a.4711-0.partial", "a.1-22.partial"}) write_quickly(folder / left, "half");
  const std::vector<std::string> others = {"a.-1.partial",    "a.1-.partial",  "a.1-2.part",
                                           "a.12.partial",    "a.partial",     "aa.1-2.partial",
                                           "a.1-2.partial.x", "a.1-2x.partial"};
  for (const std::string& other : others) write_quickly(folder / other, "somebody's");
  write_file_atomic(path, "new");
  std::vector<std::string> expected = others;
  expected.emplace_back("a");
  std::sort(expected.begin(), expected.end());
  CHECK(names_in(folder.path()) == expected);
}

TEST_CASE("a symbolic link stays, and what it leads to is replaced", "[io]") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "below");
  write_quickly(folder / "below/target", "old");
  fs::create_symlink("below/target", folder / "link");
  fs::create_symlink(folder / "link", folder / "second");
  write_file_atomic(folder / "second", "new");
  CHECK(fs::is_symlink(folder / "second"));
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "below/target") == "new");
  CHECK(names_in(folder / "below") == std::vector<std::string>{"target"});
  CHECK(names_in(folder.path()) == std::vector<std::string>{"below", "link", "second"});
  fs::create_symlink("below/not yet", folder / "dangling");
  write_file_atomic(folder / "dangling", "made");
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(read_file(folder / "below/not yet") == "made");
  fs::create_symlink("circle", folder / "circle");
  CHECK_THROWS_WITH(write_file_atomic(folder / "circle", "x"), ContainsSubstring("in a circle"));
}

TEST_CASE("an address of a mapped file is told by its file and byte", "[io]") {
  const TemporaryFolder folder;
  write_quickly(folder / "a", std::string(10'000, 'a'));
  write_quickly(folder / "b", std::string(10, 'b'));
  const void* gone = nullptr;
  {
    const MappedFile a(folder / "a");
    const MappedFile b(folder / "b");
    const auto place = find_mapped(a.data() + 5000);
    REQUIRE(place.has_value());
    CHECK(place->path == folder / "a");
    CHECK(place->byte == 5000);
    REQUIRE(find_mapped(b.data()).has_value());
    CHECK(find_mapped(b.data())->path == folder / "b");
    CHECK_FALSE(find_mapped(b.data() + 10).has_value());
    CHECK_FALSE(find_mapped(&gone).has_value());
    gone = a.data();
  }
  CHECK_FALSE(find_mapped(gone).has_value());
}

TEST_CASE("a write that fails keeps the old file, removes the new one and says how far it came", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  write_file_atomic(path, "old");
  const std::string large(100'000, 'x');
  {
    const FileSizeLimit limit(64 * 1024);
    CHECK_THROWS_WITH(write_file_atomic(path, large),
                      ContainsSubstring(path) &&
                          ContainsSubstring("writing 100000 bytes failed at byte 65536") &&
                          ContainsSubstring("File too large") && ContainsSubstring("unchanged"));
    AtomicFile file(path);
    CHECK_THROWS_AS(file.write(large), std::runtime_error);
    CHECK_THROWS_AS(file.write("more"), std::invalid_argument);
    CHECK_THROWS_AS(file.commit(), std::invalid_argument);
  }
  CHECK(read_file(path) == "old");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"a"});
  write_file_atomic(path, large);
  CHECK(read_file(path) == large);
}

TEST_CASE("a full disk is told by its name", "[io]") {
  if (!file_exists("/dev/full")) return;
  AppendFile full("/dev/full");
  CHECK_THROWS_WITH(full.append("a line"), ContainsSubstring("/dev/full: appending 7 bytes") &&
                                               ContainsSubstring("No space left on device"));
}

TEST_CASE("several files are staged first and published afterwards", "[io]") {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "old a");
  write_file_atomic(folder / "b", "old b");
  AtomicFile a(folder / "a");
  a.write("new a");
  a.sync_as(folder / "a.next");
  AtomicFile b(folder / "b");
  b.write("new b");
  CHECK_THROWS_AS(b.sync_as("/elsewhere/b"), std::invalid_argument);
  b.sync_as(folder / "b.next");
  CHECK(read_file(folder / "a") == "old a");
  CHECK(read_file(folder / "a.next") == "new a");
  rename_synced(folder / "a.next", folder / "a");
  rename_synced(folder / "b.next", folder / "b");
  CHECK(read_file(folder / "a") == "new a");
  CHECK(read_file(folder / "b") == "new b");
  CHECK_FALSE(file_exists(folder / "a.next"));
  CHECK_THROWS_WITH(rename_synced(folder / "a.next", folder / "a"), ContainsSubstring("No such file"));
  remove_file(folder / "b");
  CHECK_FALSE(file_exists(folder / "b"));
  CHECK_NOTHROW(remove_file(folder / "b"));
  CHECK_THROWS_WITH(remove_file(folder.path()), ContainsSubstring("cannot be removed"));
}

TEST_CASE("an output that cannot be made is refused before anything is written", "[io]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(AtomicFile(folder / "none/a"), ContainsSubstring("none/a: cannot be written") &&
                                                       ContainsSubstring("No such file or directory"));
  CHECK_THROWS_WITH(AtomicFile(folder.path()), ContainsSubstring("it is a directory"));
  CHECK_THROWS_WITH(AppendFile(folder.path()), ContainsSubstring("Is a directory"));

  create_directories(folder / "x/y/z");
  CHECK(is_directory(folder / "x/y/z"));
  CHECK_NOTHROW(create_directories(folder / "x//y/z/"));
  write_file_atomic(folder / "x/file", "");
  CHECK_THROWS_WITH(create_directories(folder / "x/file/below"),
                    ContainsSubstring("x/file: a file of that name is in the way"));
  CHECK_THROWS_WITH(create_directories("/proc/gradus"),
                    ContainsSubstring("/proc/gradus: the folder cannot be made"));
  CHECK_THROWS_AS(create_directories(""), std::invalid_argument);
  CHECK(free_disk_bytes(folder / "x/not/yet/there") > 0);
}

TEST_CASE("a log grows by whole lines only", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder / "log";
  {
    AppendFile log(path);
    log.append("one");
    log.append("two\nthree\n");
    log.sync();
  }
  {
    AppendFile log(path);
    log.append("four");
    CHECK(log.size() == 19);
    const FileSizeLimit limit(64);
    CHECK_THROWS_WITH(log.append(std::string(100, 'x')),
                      ContainsSubstring("appending 101 bytes to its 19 failed"));
  }
  CHECK(read_file(path) == "one\ntwo\nthree\nfour\n");
  AppendFile log(path);
  log.truncate(4);
  log.append("2");
  CHECK(read_file(path) == "one\n2\n");
}

TEST_CASE("SHA-256 and CRC-32 give the published values in one piece and in many", "[io]") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1'000'000, 'a');
  const std::string expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
  CHECK(sha256_hex(million) == expected);
  Sha256 hash;
  for (std::size_t i = 0; i < million.size(); i += 999) hash.update(std::string_view(million).substr(i, 999));
  CHECK(hash.hex() == expected);
  CHECK(hash.hex() == expected);
  CHECK(hash.update("b").hex() == sha256_hex(million + "b"));
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", million);
  CHECK(sha256_file(folder / "a") == expected);

  CHECK(detail::crc32("123456789", 9) == 0xcbf43926u);
  CHECK(detail::crc32(nullptr, 0) == 0u);
  CHECK(detail::crc32("6789", 4, detail::crc32("12345", 5)) == 0xcbf43926u);
}

TEST_CASE("JSON is read with its order, its kinds and its paths", "[io][json]") {
  const Json json = Json::parse(
      " {\"z\": 1, \"a\": [true, null, -7, 2.0, 1e3, \"x\\u00e9\\ud83d\\ude00\\n\"], \"o\": {\"b c\": {}}} "
      "\n",
      "f.json");
  CHECK(json.as_object()[0].first == "z");
  CHECK(json.at("z").as_integer() == 1);
  CHECK(json.at("z").as_number() == 1.0);
  const Json::Array& items = json.at("a").as_array();
  REQUIRE(items.size() == 6);
  CHECK(items[0].as_boolean());
  CHECK(items[1].is_null());
  CHECK(items[2].as_integer() == -7);
  CHECK(items[3].kind() == Json::Kind::number);
  CHECK(items[4].as_number() == 1000.0);
  CHECK(items[5].as_string() == "x\xc3\xa9\xf0\x9f\x98\x80\n");
  CHECK(json.find("none") == nullptr);
  CHECK(json.path() == "f.json: $");
  CHECK(items[5].path() == "f.json: $.a[5]");
  CHECK(json.at("o").at("b c").path() == "f.json: $.o[\"b c\"]");
  const Json copy = items[2];
  CHECK(copy.path() == "f.json: $.a[2]");
  CHECK(Json(1).path().empty());
  CHECK(Json::parse("9223372036854775807", "f").as_integer() == std::numeric_limits<int64_t>::max());
  CHECK(Json::parse("-9223372036854775808", "f").as_integer() == std::numeric_limits<int64_t>::min());
}

TEST_CASE("an integer beyond 64 bits is read as a number, and is no integer", "[io][json]") {
  // As tokenizer_config.json has it where a tokenizer knows no limit.
  CHECK(Json::parse("1000000000000000019884624838656", "f").as_number() == 1e30);
  CHECK(Json::parse("9223372036854775808", "f").as_number() == 9223372036854775808.0);
  CHECK(Json::parse("-9223372036854775809", "f").as_number() == -9223372036854775808.0);
  CHECK_THROWS_WITH(Json::parse("[18446744073709551616]", "f").as_array()[0].as_integer(),
                    "f: $[0]: must be an integer; it is a number");
}

TEST_CASE("a byte-order mark before JSON is passed over, and nowhere else", "[io][json]") {
  CHECK(Json::parse("\xEF\xBB\xBF{\"a\": 1}", "t").dump() == "{\"a\":1}");
  CHECK_THROWS_AS(Json::parse("\xEF\xBB{}", "t"), std::runtime_error);
  CHECK_THROWS_AS(Json::parse("{}\xEF\xBB\xBF", "t"), std::runtime_error);
}

TEST_CASE("a JSON value of the wrong kind is an error that tells where it stood", "[io][json]") {
  const Json json = Json::parse("{\"rope\": {\"factor\": [1.5, \"x\"]}}", "config.json");
  CHECK_THROWS_WITH(json.at("rope").at("factor").as_array()[1].as_number(),
                    "config.json: $.rope.factor[1]: must be a number; it is a string");
  CHECK_THROWS_WITH(json.at("rope").at("factor").as_array()[0].as_integer(),
                    "config.json: $.rope.factor[0]: must be an integer; it is a number");
  CHECK_THROWS_WITH(json.at("rope").at("scale"),
                    "config.json: $.rope: must have the key \"scale\"; there is none");
  CHECK_THROWS_AS(json.at("rope").as_array(), std::runtime_error);
  CHECK_THROWS_WITH(Json("x").as_boolean(), "json: must be a boolean; it is a string");
  CHECK_THROWS_AS(Json("x").as_object(), std::invalid_argument);
  CHECK_THROWS_AS(Json(1).find("x"), std::invalid_argument);
}

TEST_CASE("what is not JSON is refused with line, column and path", "[io][json]") {
  CHECK(message_of("") == "f.json: must be a JSON document; it is empty");
  CHECK_THAT(message_of("{\"a\": 1,\n \"b\": 2, \"a\": 3}"),
             ContainsSubstring("f.json: $.a (line 2, column 12)") && ContainsSubstring("twice"));
  CHECK_THAT(message_of("[1e400]"), ContainsSubstring("$[0] (line 1") && ContainsSubstring("overflow"));
  CHECK_THAT(message_of("{\"m\": {\"x\": [1, 2,\n 3,,4]}}"),
             ContainsSubstring("$.m.x[3] (line 2, column 4)"));
  CHECK_THAT(message_of("\"a\xff\""), ContainsSubstring("UTF-8") && ContainsSubstring("\\xff"));
  CHECK_THAT(message_of("\"\\ud800\""), ContainsSubstring("surrogate"));
  CHECK_THAT(message_of("[1] x"), ContainsSubstring("line 1, column 5"));
  for (const char* text :
       {"NaN", "[Infinity]", "-Infinity", "{", "[1,", "[1,]", "{\"a\" 1}", "{a: 1}", "[01]", "[.5]", "'a'",
        "// no\n1", "\"a", "tru", "1 2", "[\"a\nb\"]", "[+1]", "{\"a\":}", "\x01"}) {
    INFO(text);
    CHECK_THAT(message_of(text), ContainsSubstring("f.json: $") && ContainsSubstring("line "));
  }
  const std::string deep(Json::kMaxDepth, '[');
  CHECK_NOTHROW(Json::parse(deep + std::string(Json::kMaxDepth, ']'), "f"));
  CHECK_THAT(message_of("[" + deep), ContainsSubstring("at most 100 deep"));
  CHECK_THAT(message_of(std::string(1'000'000, '[')), ContainsSubstring("at most 100 deep"));
  // Long input gives no long message.
  CHECK(message_of(std::string(1'000'000, 'x').insert(0, 1, '"')).size() < 400);
}

TEST_CASE("duplicate keys are found in large objects", "[io][json]") {
  std::string text = "{";
  for (int i = 0; i < 5000; ++i)
    text += "\"key " + std::to_string(i * 31 % 5003) + "\": " + std::to_string(i) + ",";
  const Json json = Json::parse(text + "\"last\": 0}", "f.json");
  CHECK(json.as_object().size() == 5001);
  CHECK(json.at("key 31").as_integer() == 1);
  CHECK_THAT(message_of(text + "\"key 4990\": 0}"),
             ContainsSubstring("$[\"key 4990\"]") && ContainsSubstring("twice"));
}

TEST_CASE("JSON that was cut or damaged is an error or another value, never a crash", "[io][json]") {
  const std::string text =
      "{\"a\":[1,-2.5e3,\"\\u00e9\\n\xc3\xa9\",true,null],\"b\":{\"c\":false,\"d\":[[],{}]}}";
  REQUIRE_NOTHROW(Json::parse(text, "f"));
  for (std::size_t size = 0; size < text.size(); ++size) {
    INFO(size);
    CHECK_THROWS_AS(Json::parse(text.substr(0, size), "f"), std::runtime_error);
  }
  int refused = 0;
  for (std::size_t i = 0; i < text.size() * 8; ++i) {
    std::string damaged = text;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << (i % 8)));
    try {
      Json::parse(damaged, "f").dump();
    } catch (const std::runtime_error&) {
      ++refused;
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("JSON is written deterministically, and reading it gives the same values", "[io][json]") {
  Json json;
  json.set("b", 1)
      .set("a", Json::array({1.0, 0.1, -0.0, 1e300, "x\"\\\n\x01\xc3\xa9", nullptr, true}))
      .set("b", 2);
  json.set("e", Json::array()).set("o", Json::object());
  CHECK(json.dump() ==
        "{\"b\":2,\"a\":[1.0,0.1,-0.0,1e+300,\"x\\\"\\\\\\n\\u0001\xc3\xa9\",null,true],\"e\":[],\"o\":{}}");
  CHECK(Json::parse(json.dump(), "f").dump() == json.dump());
  CHECK(Json::parse(json.dump(2), "f").dump() == json.dump());
  CHECK(Json().set("a", Json::array({1, 2})).dump(2) == "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
  Json list;
  list.push(1).push("two");
  CHECK(list.dump() == "[1,\"two\"]");

  uint64_t bits = 1;
  for (int i = 0; i < 2000; ++i) {
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    const double back = Json::parse(Json(value).dump(), "f").as_number();
    CHECK(std::memcmp(&back, &value, sizeof value) == 0);
  }

  CHECK_THROWS_AS(Json(std::nan("")).dump(), std::invalid_argument);
  CHECK_THROWS_AS(Json(INFINITY).dump(), std::invalid_argument);
  for (const char* bad :
       {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80", "a\x80"}) {
    CHECK_THROWS_WITH(Json(bad).dump(), ContainsSubstring("must be UTF-8"));
  }
  Json deep;
  for (int i = 0; i <= Json::kMaxDepth; ++i) deep = Json::array({deep});
  CHECK_THROWS_AS(deep.dump(), std::invalid_argument);
}

TEST_CASE("a copy of a JSON value does not change with the original", "[io][json]") {
  Json original = Json::parse("{\"a\": {\"b\": 1}, \"l\": [1]}", "f");
  Json copy = original;
  copy.set("a", 5);
  CHECK(original.at("a").at("b").as_integer() == 1);
  Json list = original.at("l");
  list.push(2);
  CHECK(original.at("l").as_array().size() == 1);
  original.set("a", original);  // a value can go into itself
  CHECK(original.at("a").at("a").at("b").as_integer() == 1);
  CHECK_THROWS_AS(list.set("a", 1), std::runtime_error);
}
