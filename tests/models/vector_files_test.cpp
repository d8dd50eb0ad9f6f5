#include <cmath>
#include <cstring>
#include <limits>

#include "models/embeddings/embedding_writer.hpp"
#include "models/embeddings/formats/table.hpp"
#include "models/embeddings/formats/vector_file.hpp"
#include "models/embeddings/nearest.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/fasttext_writer.hpp"
#include "tests/support/gguf_writer.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

Vectors read(const TemporaryFolder& folder, const std::string& bytes, const VectorReadOptions& options = {}) {
  write_quickly(folder / "vectors", bytes);
  return load_vectors(folder / "vectors", options);
}
// What is wrong with a file, without its folder.
std::string wrong(const TemporaryFolder& folder, const std::string& bytes,
                  const VectorReadOptions& options = {}) {
  std::string error = error_of<std::exception>([&] { read(folder, bytes, options); });
  if (const size_t at = error.find(folder.path()); at != std::string::npos)
    error.erase(at, folder.path().size() + 1);
  return error;
}
std::vector<float> numbers(const Vectors& vectors) { return vectors.layers.at(0).to_vector<float>(); }

std::string floats(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) bytes += le(value);
  return bytes;
}

}  // namespace

TEST_CASE(
    "text is read with and without a first line of sizes, whatever stands between and behind its fields") {
  const TemporaryFolder folder;
  const std::vector<float> expected = {1, -2.5f, 3e-5f, 4};
  for (const char* text :
       {"2 2\nking 1 -2.5\nqueen 3e-5 4\n", "2 2\nking 1 -2.5 \nqueen 3e-5 4 \n", "king 1 -2.5\nqueen 3e-5 4",
        "king\t1\t-2.5\r\nqueen  3e-5 4\r\n\r\n", "\xEF\xBB\xBFking 1 -2.5\nqueen +3E-05 4.0\n",
        "2 2 \r\nking 1 -2.5\r\nqueen 3e-5 4"}) {
    const Vectors vectors = read(folder, text);
    INFO(text);
    CHECK(vectors.names == Names{"king", "queen"});
    CHECK(numbers(vectors) == expected);
    CHECK(vectors.layer_names == std::vector<std::string>{"vectors"});
    CHECK(vectors.notes.empty());
  }
  // A name that is a number, and names with spaces.
  CHECK(read(folder, "2 2\n7 1 2\n8 3 4\n").names == Names{"7", "8"});
  const Vectors spaced = read(folder, "a 1 2\nNew York 3 4\n. . . 5 6\n");
  CHECK(spaced.names == Names{"a", "New York", ". . ."});
  CHECK(numbers(spaced) == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(read(folder, "2 1\nNew York 3\nx 4\n").names == Names{"New York", "x"});
  CHECK(read(folder, "New York 3 4\nx 4 5\n").names == Names{"New York", "x"});
  CHECK(read(folder, "0 5\n").layers[0].shape() == Shape{0, 5});
}

TEST_CASE("numbers of text become the nearest f32, at its ends too") {
  const TemporaryFolder folder;
  const Vectors vectors =
      read(folder, "a 0.1 16777217 1e-46 -1e-60 1e39 -1e400 nan inf 1.4e-45 3.4028235e38\n");
  const std::vector<float> found = numbers(vectors);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  CHECK(found[0] == 0.1f);
  CHECK(found[1] == 16777216.0f);
  CHECK((found[2] == 0 && !std::signbit(found[2])));
  CHECK((found[3] == 0 && std::signbit(found[3])));
  CHECK(found[4] == kInf);
  CHECK(found[5] == -kInf);
  CHECK(std::isnan(found[6]));
  CHECK(found[7] == kInf);
  CHECK(found[8] == std::numeric_limits<float>::denorm_min());
  CHECK(found[9] == std::numeric_limits<float>::max());
}

TEST_CASE("a line of text that is no row is an error that names it") {
  const TemporaryFolder folder;
  CHECK(wrong(folder, "2 2\na 1 2\nb 1\n") ==
        "vectors:3: a line must be a name and 2 numbers; it has 2 fields in all; is the file cut off?");
  CHECK(wrong(folder, "a 1 2\nb 1 x2\n") ==
        "vectors:2: the last 2 fields of a line must be numbers; one is \"x2\"");
  CHECK(wrong(folder, "a 1 2\n\nb 1 2\n") == "vectors:2: a line must be a name and 2 numbers; it is empty");
  CHECK(wrong(folder, "3 2\na 1 2\nb 1 2\n") ==
        "vectors: the first line says 3 rows; the file has 2; it is cut off, or its first line is wrong");
  CHECK_THAT(wrong(folder, ""), ContainsSubstring("must have rows; it is empty"));
  CHECK_THAT(wrong(folder, "no vectors here\n"), ContainsSubstring("its contents are none of these"));
  CHECK_THAT(wrong(folder, "\x1f\x8b\x08"), ContainsSubstring("is compressed with gzip"));
  CHECK_THAT(wrong(folder, "a 1 2\n", {.names_file = "x"}),
             ContainsSubstring("has names of its own; leave out --names"));
  CHECK_THROWS_AS(load_vectors(folder / "none"), std::runtime_error);
}

TEST_CASE("names that repeat or are no UTF-8, and rows beyond those announced, are counted") {
  const TemporaryFolder folder;
  const Vectors vectors = read(folder, "2 1\na 1\n\xff 2\na 3\nb 4\n\xff 5\n");
  CHECK(vectors.names == Names{"a", "\xff", "b"});
  CHECK(numbers(vectors) == std::vector<float>{1, 2, 4});
  CHECK(vectors.notes ==
        std::vector<std::string>{"2 rows left out, of names that had one before, such as \"a\"",
                                 "2 names are not UTF-8, and kept as they are",
                                 "the first line says 2 rows; all 5 are read"});
  CHECK(wrong(folder, "a 1 2\n\xff 2 3\n", {.strict_encoding = true}) ==
        "vectors:2: a name must be UTF-8; it is \"\\xFF\"");
}

TEST_CASE("large text is read the same by any number of threads") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 60000; ++i)
    text += "w" + std::to_string(i % 59990) + " " + std::to_string(i) + ".5 -" + std::to_string(i % 7) +
            "e-3 0.125\n";
  REQUIRE(text.size() > (1 << 20));
  write_quickly(folder / "vectors", text);
  const Vectors first = load_vectors(folder / "vectors");
  CHECK(first.rows() == 59990);
  CHECK(first.layers[0].to_vector<float>()[3 * 59989] == 59989.5f);
  for (const int threads : {1, 2, 4}) {
    const UseThreads use(threads);
    const Vectors again = load_vectors(folder / "vectors");
    CHECK(again.names == first.names);
    CHECK(same_bits(again.layers[0], first.layers[0]) == "");
  }
  text += "broken 1\n";
  CHECK_THAT(wrong(folder, text), ContainsSubstring("vectors:60001: a line must be a name and 3 numbers"));
}

TEST_CASE("word2vec's binary is read with and without a line end behind each row") {
  const TemporaryFolder folder;
  const std::vector<float> king = {1, 2.5f}, queen = {-3, 1e-40f};
  const std::string header = "2 2\n";
  const std::string lines = header + "king " + floats(king) + "\nqueen " + floats(queen) + "\n";
  const std::string packed = header + "king " + floats(king) + "queen " + floats(queen);
  for (const std::string& bytes : {lines, packed, lines.substr(0, lines.size() - 1)}) {
    const Vectors vectors = read(folder, bytes);
    CHECK(vectors.names == Names{"king", "queen"});
    CHECK(numbers(vectors) == std::vector<float>{1, 2.5f, -3, 1e-40f});
    CHECK(vectors.notes.empty());
    for (size_t cut = header.size() + 1; cut + 1 < packed.size(); ++cut) {
      INFO("cut at " << cut);
      CHECK_THAT(wrong(folder, bytes.substr(0, cut)), ContainsSubstring("cut off"));
    }
  }
  // Where rows end in line ends, it is known where a name with spaces ends.
  const Vectors spaced = read(
      folder, "3 1\na " + floats({1}) + "\nNew York " + floats({2}) + "\nx y z " + floats({0x1p-99f}) + "\n");
  CHECK(spaced.names == Names{"a", "New York", "x y z"});
  CHECK(numbers(spaced) == std::vector<float>{1, 2, 0x1p-99f});
  CHECK(read(folder, lines + "more").notes ==
        std::vector<std::string>{"4 bytes behind the 2 rows that the first line says are not read"});
  CHECK(read(folder, header + "a " + floats(king) + "\na " + floats(queen) + "\n").names == Names{"a"});
  CHECK_THAT(wrong(folder, "9000000000000000000 4000000000000000000\na " + floats(king)),
             ContainsSubstring("it is cut off"));
  CHECK_THAT(wrong(folder, "3 2\nking " + floats(king) + "\nqueen " + floats(queen) + "\n"),
             ContainsSubstring("cut off"));
}

TEST_CASE("a model of fastText gives each word the mean of its row and of those of its pieces") {
  const TemporaryFolder folder;
  FastTextWriter model;
  model.words = {{"</s>", 9}, {"king", 5}, {"\xC3\xA9t\xC3\xA9", 2}};
  for (const int32_t version : {11, 12}) {
    model.version = version;
    const Vectors vectors = read(folder, model.bytes());
    CHECK(vectors.names == Names{"</s>", "king", "\xC3\xA9t\xC3\xA9"});
    CHECK(vectors.counts == std::vector<int64_t>{9, 5, 2});
    for (int64_t w = 0; w < 3; ++w) {
      const std::vector<double> expected = model.vector(model.words[static_cast<size_t>(w)].first, w);
      for (size_t c = 0; c < expected.size(); ++c)
        CHECK(numbers(vectors)[static_cast<size_t>(w) * expected.size() + c] ==
              Approx(expected[c]).margin(1e-6));
    }
    REQUIRE(vectors.unseen);
    const std::vector<double> expected = model.vector("kings", -1);
    const std::vector<float> found = vectors.unseen("kings");
    REQUIRE(found.size() == expected.size());
    for (size_t c = 0; c < expected.size(); ++c) CHECK(found[c] == Approx(expected[c]).margin(1e-6));
  }
  model.longest = 0;
  const Vectors plain = read(folder, model.bytes());
  CHECK(!plain.unseen);
  CHECK(numbers(plain) == std::vector<float>(model.matrix.begin(), model.matrix.begin() + 3 * model.width));
  model.longest = 4;
  const std::string whole = model.bytes();
  for (size_t cut = 1; cut < whole.size(); cut += cut < 200 ? 1 : 7) {
    INFO("cut at " << cut);
    CHECK(wrong(folder, whole.substr(0, cut)) != "no error");
  }
  model.quantized = true;
  CHECK_THAT(wrong(folder, model.bytes()), ContainsSubstring("is a quantised model of fastText (.ftz)"));
  model.quantized = false;
  model.version = 13;
  CHECK_THAT(wrong(folder, model.bytes()), ContainsSubstring("must be 11 or 12; it is 13"));
  model.version = 12;
  model.words[1].first = "</s>";
  CHECK(read(folder, model.bytes()).names == Names{"</s>", "\xC3\xA9t\xC3\xA9"});
}

TEST_CASE("what is written in a format is what is read back, to the last bit") {
  const TemporaryFolder folder;
  Vectors vectors;
  vectors.names = {"king", "\xC3\xA9t\xC3\xA9", "x", "-0"};
  vectors.layer_names = {"vectors"};
  vectors.layers = {random_tensor({4, 37}, 1)};
  float* x = vectors.layers[0].mutable_data<float>();
  x[0] = -0.0f;
  x[1] = std::numeric_limits<float>::denorm_min();
  x[2] = std::numeric_limits<float>::max();
  x[3] = 1e-40f;
  for (const char* name : {"a.vec", "a.txt", "a.bin", "a.npy", "a.safetensors"}) {
    save_vectors(folder / name, vectors);
    const Vectors again = load_vectors(folder / name);
    INFO(name);
    CHECK(again.names == vectors.names);
    CHECK(same_bits(again.layers[0], vectors.layers[0]) == "");
    CHECK(again.notes.empty());
  }
  CHECK(read_file(folder / "a.vec").starts_with("4 37\nking -0 1e-45 3.4028235e+38 1e-40 "));
  CHECK(read_file(folder / "a.txt").starts_with("king -0 "));
  CHECK(read_file(folder / "a.npy.names") == "king\n\xC3\xA9t\xC3\xA9\nx\n-0\n");
  CHECK_THROWS_WITH(save_vectors(folder / "a.csv", vectors),
                    ContainsSubstring("must end in .vec, .txt, .bin, .npy or .safetensors"));
  vectors.names = {"king", "New York", "x", ""};
  CHECK_THROWS_WITH(save_vectors(folder / "b.bin", vectors),
                    ContainsSubstring("ends at the first space; row 2 is 'New York'"));
  for (const char* name : {"b.vec", "b.npy", "b.safetensors"}) {
    save_vectors(folder / name, vectors);
    CHECK(load_vectors(folder / name).names == vectors.names);
  }
  vectors.names = {"a", "ends in a space ", "x", "y"};
  CHECK_THROWS_WITH(save_vectors(folder / "c.vec", vectors),
                    ContainsSubstring("that of row 2 is 'ends in a space '"));
  vectors.names = {"", "a", "x", "y"};
  CHECK_THROWS_WITH(save_vectors(folder / "c.vec", vectors),
                    ContainsSubstring("would be taken for something else"));
  vectors.names = {"room 1", "room 2", "room 3", "room 4"};
  CHECK_THROWS_WITH(save_vectors(folder / "c.txt", vectors), ContainsSubstring("names that end in numbers"));
  vectors.names = {"two\nlines", "New York", "x", ""};
  for (const char* name : {"c.vec", "c.bin", "c.npy"})
    CHECK_THROWS_WITH(save_vectors(folder / name, vectors), ContainsSubstring("row 1 is 'two\nlines'"));
  save_vectors(folder / "c.safetensors", vectors);
  CHECK(load_vectors(folder / "c.safetensors").names == vectors.names);
  CHECK(!file_exists(folder / "c.vec"));
  vectors.names = {"a", "b", "a", "c"};
  for (const char* name : {"c.vec", "c.bin", "c.txt"})
    CHECK_THROWS_WITH(save_vectors(folder / name, vectors), ContainsSubstring("'a' stands in rows 1 and 3"));
  save_vectors(folder / "e.npy", vectors);
  CHECK(load_vectors(folder / "e.npy").names == vectors.names);
  vectors.layer_names = {"layer_0", "layer_1"};
  vectors.layers.push_back(vectors.layers[0]);
  CHECK_THROWS_WITH(save_vectors(folder / "d.vec", vectors),
                    ContainsSubstring("can hold one layer; there are 2"));
  save_vectors(folder / "d.safetensors", vectors);
  CHECK(load_vectors(folder / "d.safetensors").layer_names == vectors.layer_names);
}

TEST_CASE(
    "a table comes back from its file with all that is in it, and one that does not fit together is "
    "refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "words.safetensors";
  Vectors table;
  table.names = {"king", "\xC3\xA9t\xC3\xA9", "left"};
  table.counts = {30, 25, 20};
  for (const char* name : {"layer_0", "layer_1", "final"}) {
    table.layer_names.push_back(name);
    table.layers.push_back(random_tensor({3, 5}, table.layers.size()));
  }
  save_vector_table(path, table, {{"model_sha256", "abc"}});
  const auto open = [&] { return read_vector_table(SafetensorsFile::open(path)); };
  const Vectors loaded = open();
  CHECK(loaded.names == table.names);
  CHECK(loaded.counts == table.counts);
  CHECK(loaded.layer_names == table.layer_names);
  CHECK(SafetensorsFile::open(path).metadata().at("model_sha256") == "abc");
  for (size_t l = 0; l < 3; ++l) CHECK(same_bits(loaded.layers[l], table.layers[l]) == "");
  CHECK(same_bits(loaded.layer("final"), table.layers[2]) == "");
  CHECK_THROWS_WITH(loaded.layer("layer_9"),
                    "vectors: the layer must be one of layer_0, layer_1, final; it is 'layer_9'");
  CHECK(choose_layer(loaded, "") == "layer_1");
  CHECK(choose_layer(loaded, "-2") == "layer_0");
  CHECK(choose_layer(loaded, "0") == "layer_0");
  CHECK(choose_layer(loaded, "final") == "final");
  for (const char* choice : {"2", "-3", "layer_7", "x", "1x"})
    CHECK_THROWS_AS(choose_layer(loaded, choice), std::invalid_argument);
  CHECK(loaded.row("left") == 2);
  CHECK_THROWS_WITH(loaded.row("kings"),
                    "vectors: a name must be one of the 3 there are; 'kings' is not; did you mean king?");
  CHECK_THROWS_WITH(loaded.row("q"), ContainsSubstring("'q' is not"));
  // Those that fewer edits make of it come first, then the lower rows; three are enough.
  CHECK(Names{"ring", "thing", "kings", "sing", "king", "wing"}.closest("kin") ==
        std::vector<std::string_view>{"king", "ring", "kings"});

  Vectors none;
  none.layer_names = {"final"};
  none.layers = {Tensor::zeros({0, 5})};
  save_vector_table(path, none);
  CHECK(open().layers[0].shape() == Shape{0, 5});
  save_safetensors(path, std::vector<NamedTensor>{{"final", Tensor::zeros({3, 5})}});
  CHECK_THROWS_WITH(open(), ContainsSubstring("must hold the array 'words'; it does not"));
  const RawTensor two_words = {"words", "U8", {3}, "a\nb", 3};
  const std::vector<int64_t> three = {1, 2, 9};
  const RawTensor counts = {"counts", "I64", {3}, three.data(), 24},
                  ends = {"words.ends", "I64", {3}, three.data(), 24};
  save_safetensors(path, std::vector<RawTensor>{two_words, counts});
  CHECK_THROWS_WITH(open(), ContainsSubstring("'counts' must have a number for each of 2 names; it has 3"));
  save_safetensors(path, std::vector<RawTensor>{two_words, ends});
  CHECK_THROWS_WITH(open(), ContainsSubstring("'words.ends' must ascend to at most 3; behind 2 comes 9"));
  save_safetensors(path, std::vector<RawTensor>{two_words});
  CHECK_THROWS_WITH(open(), ContainsSubstring("must hold a layer; it has none"));
  const std::vector<float> zeros(15);
  save_safetensors(path, std::vector<RawTensor>{two_words, {"final", "F32", {3, 5}, zeros.data(), 60}});
  CHECK_THROWS_WITH(open(), ContainsSubstring("'final' must be F32 with a row for each of 2 names"));
  table.layers[1] = Tensor::zeros({2, 5});
  CHECK_THROWS_WITH(save_vector_table(path, table), ContainsSubstring("layer_1 is (2, 5)"));
}

TEST_CASE("a table's numbers stay in the file until they are looked at") {
  const TemporaryFolder folder;
  Vectors vectors;
  for (int i = 0; i < 5000; ++i) vectors.names.add(std::to_string(i));
  vectors.layer_names = {"vectors"};
  vectors.layers = {random_tensor({5000, 100}, 1)};
  save_vectors(folder / "t.safetensors", vectors);
  // A byte of the numbers has changed: only who asks for the checksum sees it.
  std::string bytes = read_file(folder / "t.safetensors");
  bytes[bytes.size() / 2] ^= 1;
  write_quickly(folder / "t.safetensors", bytes);
  const Vectors opened = load_vectors(folder / "t.safetensors");
  CHECK(opened.rows() == 5000);
  CHECK(!(same_bits(opened.layers[0], vectors.layers[0]) == ""));
  CHECK_THROWS_WITH(SafetensorsFile::open(folder / "t.safetensors").verify(),
                    ContainsSubstring("have changed"));
}

TEST_CASE("outputs of embed are read with the names of their rows, in every type of numbers") {
  const TemporaryFolder folder;
  EmbeddingSet set;
  set.layer_names = {"layer_0", "layer_1", "final"};
  for (int l = 0; l < 3; ++l) set.layers.push_back(random_tensor({3, 6}, static_cast<uint64_t>(l)));
  set.others = {{"logits", Tensor::zeros({3, 9})}};
  set.maps = {{"attention_1", Tensor::zeros({4})}};
  set.map_offsets = {0, 4, 4};
  set.offsets = {0, 2, 3};
  for (const char* name : {"king", "queen", "king"}) {
    set.rows.push_back({});
    set.rows.back().token = name;
  }
  for (const char* name : {"a.npz", "a.safetensors", "a/"}) {
    for (const VectorType type : {VectorType::f32, VectorType::f16, VectorType::int8}) {
      const std::string path = folder / std::string(name_of(type)) + name;
      EmbeddingWriter writer(path, type);
      writer.append(set);
      writer.finish();
      const Vectors vectors = load_vectors(path);
      INFO(path);
      CHECK(vectors.names == Names{"king", "queen", "king"});
      CHECK(vectors.names.find("king") == 0);
      REQUIRE(vectors.layer_names.size() == 3);
      CHECK(choose_layer(vectors, "") == "layer_1");
      for (int l = 0; l < 3; ++l) {
        const auto found = vectors.layer(set.layer_names[static_cast<size_t>(l)]).to_vector<float>();
        const auto expected = set.layers[static_cast<size_t>(l)].to_vector<float>();
        for (size_t i = 0; i < found.size(); ++i)
          CHECK(found[i] == Approx(expected[i])
                                .margin(type == VectorType::f32   ? 0
                                        : type == VectorType::f16 ? 2e-3
                                                                  : 2e-2));
      }
    }
  }
  EmbeddingWriter writer(folder / "bits.npz", VectorType::binary);
  writer.append(set);
  writer.finish();
  CHECK_THROWS_WITH(load_vectors(folder / "bits.npz"),
                    ContainsSubstring("must have an array of two axes in f32"));
}

TEST_CASE("anybody's arrays are read with a file of names") {
  const TemporaryFolder folder;
  const Tensor rows = random_tensor({3, 4}, 1);
  save_npy(folder / "a.npy", raw_tensor("", rows));
  CHECK_THROWS_WITH(
      load_vectors(folder / "a.npy"),
      ContainsSubstring("has rows without names; give --names FILE, a name a line for each of its 3 rows"));
  write_quickly(folder / "names", "a\nb c\r\nd");
  const Vectors vectors = load_vectors(folder / "a.npy", {.names_file = folder / "names"});
  CHECK(vectors.names == Names{"a", "b c", "d"});
  CHECK(same_bits(vectors.layers[0], rows) == "");
  write_quickly(folder / "names", "a\nb\n");
  CHECK_THROWS_WITH(load_vectors(folder / "a.npy", {.names_file = folder / "names"}),
                    ContainsSubstring("must have a name for each of 3 rows, one a line; it has 2"));
  write_quickly(folder / "names", "a\nb\n\n");
  CHECK(load_vectors(folder / "a.npy", {.names_file = folder / "names"}).names == Names{"a", "b", ""});
  write_quickly(folder / "latin", "a\n\xff\nc\n");
  CHECK(load_vectors(folder / "a.npy", {.names_file = folder / "latin"}).notes ==
        std::vector<std::string>{"1 name is not UTF-8, and kept as they are"});
  CHECK_THROWS_WITH(load_vectors(folder / "a.npy", {.names_file = folder / "latin", .strict_encoding = true}),
                    ContainsSubstring("latin:2: a name must be UTF-8"));
  const std::vector<double> wide = {1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> whole(6);
  save_npz(folder / "a.npz",
           {{"x", "F64", {3, 2}, wide.data(), 48}, {"ids", "I64", {3, 2}, whole.data(), 48}});
  const Vectors cast = load_vectors(folder / "a.npz", {.names_file = folder / "names"});
  CHECK(numbers(cast) == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(cast.notes == std::vector<std::string>{"not read, as no layers of 3 rows: ids I64 (3, 2)"});
}

TEST_CASE("files are recognised by what is in them") {
  CHECK(detect_vectors("2 3\na 1 2 3\n") == VectorFormat::text);
  CHECK(detect_vectors("a 1 2 3\n") == VectorFormat::text);
  CHECK(detect_vectors("2 1\na " + floats({1}) + "\nb " + floats({2}) + "\n") == VectorFormat::binary);
  CHECK(detect_vectors("\x93NUMPY\x01") == VectorFormat::npy);
  CHECK(detect_vectors("PK\x03\x04") == VectorFormat::npz);
  CHECK(detect_vectors(FastTextWriter().bytes()) == VectorFormat::fasttext);
  CHECK(detect_vectors(le(uint64_t{20}) + "{\"a\":") == VectorFormat::safetensors);
  for (const char* other : {"", "\n", "the king\n", "{\"model\": 1}", "GGUF\x03", "king", "[PAD]\n[UNK]\n",
                            "12\n", "IQ== 0\nIg== 1\n"}) {
    INFO(other);
    CHECK(!detect_vectors(other));
  }
}
