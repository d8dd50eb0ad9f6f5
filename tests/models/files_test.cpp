#include <map>

#include "models/files/tensor_source.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/safetensors.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string shard_name(size_t number) {
  return "model-0000" + std::to_string(number) + "-of-00003.safetensors";
}

// A model in three shards, every third tensor in each, and what its index says.
struct Sharded {
  TemporaryFolder folder;
  std::map<std::string, std::string> weight_map;
  std::vector<std::vector<NamedTensor>> shards{3};

  explicit Sharded(const Transformer& model) {
    size_t next = 0;
    for (const NamedTensor& tensor : file_weights(model)) {
      shards[next % 3].push_back(tensor);
      weight_map[tensor.name] = shard_name(next++ % 3 + 1);
    }
    write_file_atomic(folder / kConfigFile, config_to_json(model.config()).dump());
    write();
  }
  void write() const {
    for (size_t i = 0; i < shards.size(); ++i) save_safetensors(folder / shard_name(i + 1), shards[i]);
    Json map = Json::object();
    for (const auto& [tensor, shard] : weight_map) map.set(tensor, shard);
    const Json index =
        Json::object().set("metadata", Json::object().set("total_size", 1)).set("weight_map", map);
    write_file_atomic(folder / kWeightsIndexFile, index.dump(2));
  }
};

bool same_parameters(const Transformer& a, const Transformer& b) {
  const auto x = a.parameters();
  const auto y = b.parameters();
  bool same = x.size() == y.size();
  for (size_t i = 0; same && i < x.size(); ++i) {
    same = x[i].name == y[i].name && same_bits(x[i].tensor, y[i].tensor).empty();
  }
  return same;
}

// Another source's tensors, counted as they are read.
class Counted : public TensorSource {
 public:
  explicit Counted(const TensorSource& source) : TensorSource(source.path()), source_(source) {
    for (const std::string& file : source.files()) add_file(file);
    for (const std::string& name : source.names()) add(name, source.info(name));
  }
  mutable std::map<std::string, int> reads;

 private:
  Tensor read(const std::string& name, const TensorInfo&) const override {
    ++reads[name];
    return source_.tensor(name);
  }
  const TensorSource& source_;
};

// A format of the day after tomorrow, whose matrices stand in blocks of 8 elements: a scale and 8 signed bytes.
class Blocks : public TensorSource {
 public:
  explicit Blocks(const std::vector<NamedTensor>& tensors) : TensorSource("model.blocks"), tensors_(tensors) {
    const size_t file = add_file("model.blocks");
    for (const NamedTensor& t : tensors) {
      const auto blocks = static_cast<uint64_t>(t.tensor.numel()) / 8;
      add(t.name, {.dtype = "Q8_8",
                   .shape = t.tensor.shape(),
                   .bytes = blocks * 12,
                   .values = DType::f32,
                   .file = file});
    }
    add("inv.rotary_emb.inv_freq", {.dtype = "Q1_X", .shape = {8}, .bytes = 1, .values = {}, .file = file});
  }

 private:
  Tensor read(const std::string& name, const TensorInfo&) const override {
    for (const NamedTensor& t : tensors_) {
      if (t.name == name) return t.tensor.clone();
    }
    return {};
  }
  std::vector<NamedTensor> tensors_;
};

}  // namespace

TEST_CASE("a model in shards is the model, and its folder opens like any other") {
  for (const char* family : {"gpt", "llama"}) {
    const Transformer model = small_model(small_config(family));
    const Sharded sharded(model);
    CHECK(same_parameters(load_transformer(sharded.folder.path()), model));
    Transformer other = small_model(small_config(family));
    other.init(1);
    read_weights(other, *open_tensors(weights_path(sharded.folder.path())));
    CHECK(same_parameters(other, model));

    const auto source = open_tensors(sharded.folder / kWeightsIndexFile);
    CHECK(source->files().size() == 3);
    const std::string name = sharded.shards[1][0].name;
    CHECK(source->file_of(name) == sharded.folder / shard_name(2));
    CHECK(source->info(name).dtype == "F32");
    CHECK(source->info(name).bytes == sharded.shards[1][0].tensor.nbytes());
    CHECK(source->tensor(name).storage()->read_only());  // mapped
    CHECK_THROWS_WITH(source->info("y"),
                      ContainsSubstring("index.json: must have a tensor named y; it has "));

    std::string lines;
    for (const size_t i : {1, 2, 3})
      lines += sha256_file(sharded.folder / shard_name(i)) + "  " + shard_name(i) + "\n";
    CHECK(model_sha256(sharded.folder.path()) == sha256_hex(lines));
    CHECK(weights_files(sharded.folder.path()).size() == 4);
  }
}

TEST_CASE("loading asks for each tensor once, whatever the files") {
  Config config = small_config("llama");
  const Transformer model = small_model(config);
  Sharded sharded(model);
  // The tied output layer a second time, as some write it.
  sharded.shards[2].push_back({"lm_head.weight", model.token_embedding.weight});
  sharded.weight_map["lm_head.weight"] = shard_name(3);
  sharded.write();
  const auto source = open_tensors(sharded.folder / kWeightsIndexFile);
  const Counted counted(*source);
  CHECK(same_parameters(map_weights(config, counted), model));
  CHECK(counted.reads.size() == source->names().size());
  for (const auto& [name, reads] : counted.reads) {
    INFO(name);
    CHECK(reads == 1);
  }
}

TEST_CASE("an index and shards that disagree are errors naming file and tensor") {
  const Transformer model = small_model(small_config("gpt"));
  const auto refused = [&](auto&& change, const std::string& text) {
    Sharded sharded(model);
    change(sharded);
    INFO(text);
    CHECK_THROWS_WITH(load_transformer(sharded.folder.path()), ContainsSubstring(text));
  };
  const std::string table = "transformer.wte.weight";      // in shard 1
  const std::string positions = "transformer.wpe.weight";  // in shard 2
  refused([](Sharded& s) { remove_file(s.folder / shard_name(2)); },
          "model-00002-of-00003.safetensors: must be there, for ");
  refused(
      [](Sharded& s) {
        write_file_atomic(s.folder / shard_name(3), read_file(s.folder / shard_name(3)).substr(0, 900));
      },
      "model-00003-of-00003.safetensors: the file is truncated");
  refused(
      [&](Sharded& s) {
        s.weight_map[table] = shard_name(2);
        s.write();
      },
      "model-00001-of-00003.safetensors: tensor transformer.wte.weight must stand in ");
  refused(
      [&](Sharded& s) {
        s.shards[2].push_back(s.shards[0][0]);
        s.write();
      },
      "model-00003-of-00003.safetensors: tensor transformer.wte.weight must stand in one file; it also "
      "stands in ");
  refused(
      [&](Sharded& s) {
        s.weight_map.erase(positions);
        s.write();
      },
      "model-00002-of-00003.safetensors: tensor transformer.wpe.weight must stand in the weight_map of ");
  refused(
      [&](Sharded& s) {
        s.weight_map["x"] = shard_name(3);
        s.write();
      },
      "model-00003-of-00003.safetensors: must hold tensor x, as ");
  refused(
      [&](Sharded& s) {
        s.weight_map[table] = "../model.safetensors";
        s.write();
      },
      "must be the name of a file beside the index; it is '../model.safetensors'");
  refused([](Sharded& s) { write_file_atomic(s.folder / kWeightsIndexFile, R"({"weight_map": {}})"); },
          "the weight_map must name a tensor");
  // A tensor of another shape is an error of its shard.
  refused(
      [&](Sharded& s) {
        s.shards[1][0].tensor = Tensor::zeros({3, 24});
        s.write();
      },
      "model-00002-of-00003.safetensors: tensor 'transformer.wpe.weight' must have shape (32, 24)");
}

TEST_CASE("a model comes from tensors in blocks of a type of their own") {
  const Config config = small_config("llama");
  const Transformer model = small_model(config);
  const Blocks source(file_weights(model));
  CHECK(source.info("model.embed_tokens.weight").dtype == "Q8_8");
  CHECK(source.info("model.embed_tokens.weight").bytes == 29 * 24 / 8 * 12);
  CHECK(same_parameters(map_weights(config, source), model));
  CHECK_THROWS_WITH(
      source.tensor("inv.rotary_emb.inv_freq"),
      "model.blocks: tensor inv.rotary_emb.inv_freq must have a type that can be read; it is Q1_X");
}

TEST_CASE("a file of tensors is known by its contents") {
  const TemporaryFolder folder;
  save_safetensors(folder / "any.name", std::vector<NamedTensor>{{"w", Tensor::full({2}, 1)}});
  CHECK(open_tensors(folder / "any.name")->names() == std::vector<std::string>{"w"});
  write_file_atomic(folder / "any.safetensors", "GGUF and more");
  CHECK_THROWS_WITH(open_tensors(folder / "any.safetensors"),
                    ContainsSubstring("must be GGUF of version 2 or 3"));
  write_file_atomic(folder / "any.gguf", "PK\x03\x04 and more");
  CHECK_THROWS_WITH(open_tensors(folder / "any.gguf"), ContainsSubstring("it is a zip archive"));
}
