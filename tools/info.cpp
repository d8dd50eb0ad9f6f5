// gradus info: what a run folder, a model, a file of arrays or a tokenizer holds.

#include <algorithm>
#include <cstring>
#include <regex>
#include <set>

#include "models/embeddings/files.hpp"
#include "models/training/run_folder.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"
#include "tokenizer/formats/detect.hpp"
#include "tools/common.hpp"

namespace gradus::tools {
namespace {

constexpr const char* kIndexFile = "model.safetensors.index.json";

struct Description {
  Json json = Json::object();
  std::string text;
};

/// A list of arrays, whatever file they stand in.
struct Tensors {
  Json list = Json::array();
  std::string text;
  int64_t elements = 0;
  std::size_t bytes = 0;

  void add(const RawTensor& info) {
    Json shape = Json::array();
    for (const int64_t size : info.shape) shape.push(size);
    list.push(Json::object()
                  .set("name", info.name)
                  .set("dtype", info.dtype)
                  .set("shape", shape)
                  .set("bytes", static_cast<int64_t>(info.bytes)));
    std::string padded = info.name;
    padded.resize(std::max<std::size_t>(padded.size(), 48), ' ');
    text += "  " + padded + "  " + info.dtype + "  " + info.shape.to_string();
    if (raw_dtype_bytes(info.dtype) == 0)
      text += "  " + bytes_text(static_cast<double>(info.bytes)) + " of a type that is not known here";
    text += "\n";
    elements += info.shape.numel();
    bytes += info.bytes;
  }
  void add(const SafetensorsFile& file) {
    for (const std::string& name : file.names()) add(file.info(name));
  }
  std::string summary() const {
    return count_text(static_cast<double>(elements)) + " elements, " + bytes_text(static_cast<double>(bytes));
  }
};

/// What a run's metrics tell of it.
Json describe_history(const std::string& path, std::string& text) {
  const RunHistory history = read_history(path);
  Json result = Json::object().set("steps", history.steps);
  text = "history  no step yet";
  if (history.steps > 0) {
    result.set("first_loss", history.first_loss).set("last_loss", history.last_loss);
    text = "history  " + std::to_string(history.steps) + " steps, loss " + fixed(history.first_loss, 4) +
           " to " + fixed(history.last_loss, 4);
  }
  if (history.best_step > 0) {
    result.set("best_val_loss", history.best_held_out_loss).set("best_val_step", history.best_step);
    text += ", best held out " + fixed(history.best_held_out_loss, 4) + " at step " +
            std::to_string(history.best_step);
  }
  if (history.unreadable_lines > 0) {
    result.set("unreadable_lines", history.unreadable_lines);
    text += ", " + std::to_string(history.unreadable_lines) + " lines cannot be read";
  }
  text += "\n";
  return result;
}

// What is known of the rows that embed's output describes beside it.
void tell_rows(const std::string& path, const std::string& tokens_sha256, Description& found) {
  const bool belong = rows_belong(path, tokens_sha256);
  found.json.set("rows_belong", belong);
  found.text += "rows     " + path + ".tokens.jsonl " +
                (belong ? "describes them"
                        : "is missing or of another writer: what its lines say is not what the rows are") +
                "\n";
}

// The hash of the rows in the `meta` of embed's .npz; "" in an array of that name which is something else.
std::string rows_hash_in(std::string_view meta) {
  try {
    const Json json = Json::parse(meta, "meta");
    const Json* hash = json.find("tokens_sha256");
    return hash == nullptr ? "" : hash->as_string();
  } catch (const std::runtime_error&) {
    return {};
  }
}

Description describe_safetensors(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  Tensors tensors;
  tensors.add(file);
  Description found;
  found.json.set("kind", "safetensors").set("elements", tensors.elements);
  found.text = "kind     safetensors, " + tensors.summary();
  std::smatch shard;
  if (std::regex_search(path, shard, std::regex("-0*(\\d{1,9})-of-0*(\\d{1,9})\\.safetensors$"))) {
    found.json.set("shard", int64_t{std::stoi(shard[1])}).set("shards", int64_t{std::stoi(shard[2])});
    found.text += ", part " + shard[1].str() + " of " + shard[2].str() + " of a model";
  }
  found.json.set("tensors", tensors.list);
  found.text += "\n" + tensors.text;
  for (const auto& [key, value] : file.metadata())
    found.text += "  " + key + ": " + one_line(value, 80) + "\n";
  if (const auto hash = file.metadata().find("tokens_sha256"); hash != file.metadata().end())
    tell_rows(path, hash->second, found);
  return found;
}

Description describe_arrays(const std::string& path, bool many) {
  Tensors arrays;
  std::string rows_hash;
  if (many) {
    const NpzFile file(path);
    for (const std::string& name : file.names()) {
      const NpyArray array = file.array(name);
      arrays.add(array);
      if (name == "meta" && array.dtype == "U8")
        rows_hash = rows_hash_in({static_cast<const char*>(array.data), array.bytes});
    }
  } else {
    arrays.add(load_npy(path));
  }
  const std::string kind = many ? "npz" : "npy";
  Description found;
  found.json.set("kind", kind).set("elements", arrays.elements).set("tensors", arrays.list);
  found.text = "kind     " + kind + ", " + arrays.summary() + "\n" + arrays.text;
  if (!rows_hash.empty()) tell_rows(path, rows_hash, found);
  return found;
}

/// The files of a model in several parts, by the index beside them. A part that is not there is said, not refused.
Description describe_shards(const std::string& index_path) {
  const std::string folder = index_path.substr(0, index_path.rfind('/') + 1);
  const Json index = Json::parse(read_file(index_path), index_path);
  std::set<std::string> files;
  for (const auto& [name, file] : index.at("weight_map").as_object()) files.insert(file.as_string());
  Tensors tensors;
  Json shards = Json::array();
  std::string missing;
  for (const std::string& name : files) {
    Json shard = Json::object().set("file", name);
    try {
      const SafetensorsFile file = SafetensorsFile::open(folder + name);
      tensors.add(file);
      shard.set("tensors", static_cast<int64_t>(file.names().size()));
    } catch (const std::runtime_error& error) {
      shard.set("error", error.what());
      missing += "missing  " + std::string(error.what()) + "\n";
    }
    shards.push(shard);
  }
  Description found;
  found.json.set("kind", "shards").set("elements", tensors.elements).set("shards", shards);
  found.json.set("tensors", tensors.list);
  found.text = "kind     a model in " + std::to_string(files.size()) + " parts, " + tensors.summary() +
               "; no verb runs a model in parts yet\n" + missing + tensors.text;
  return found;
}

Description describe_tokenizer(const std::string& path) {
  const char* const formats[] = {"tokenizer.json", "SentencePiece model", "tiktoken ranks", "vocab.txt",
                                 "vocab.json with merges.txt"};
  const std::string format = formats[static_cast<int>(detect_tokenizer(path).format)];
  const Tokenizer tokenizer = Tokenizer::load(path);
  Json special = Json::array();
  std::string list;
  int64_t tokens = 0, count = 0;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.token_text(id).empty()) ++tokens;
    if (!tokenizer.is_special(id)) continue;
    ++count;
    special.push(Json::object().set("id", int64_t{id}).set("token", tokenizer.token_text(id)));
    list += "  " + std::to_string(id) + "  " + in_one_line(tokenizer.token_text(id)) + "\n";
  }
  Description found;
  found.json.set("kind", "tokenizer").set("tokenizer", tokenizer.kind()).set("format", format);
  found.json.set("vocab_size", tokenizer.vocab_size()).set("tokens", tokens);
  found.json.set("special_tokens", special).set("lossless", tokenizer.lossless());
  found.text = "kind     tokenizer, " + tokenizer.kind() + ", a " + format + "\n";
  found.text +=
      "tokens   " + std::to_string(tokens) + ", " + std::to_string(count) + " of them special" +
      (tokens == tokenizer.vocab_size() ? "" : ", ids below " + std::to_string(tokenizer.vocab_size())) +
      (tokenizer.lossless() ? ", any text comes back byte for byte" : ", text is normalised") + "\n" + list;
  return found;
}

Description describe_model(const std::string& folder) {
  Description found;
  const bool is_run = file_exists(folder + "/" + kStateFile);
  const Config config = load_config(folder);
  Tensors tensors;
  tensors.add(SafetensorsFile::open(folder + "/" + kWeightsFile));
  const std::string kind = std::string(name_of(config.arch)) + (is_run ? " run" : " model");
  const double embedding_bytes = static_cast<double>(config.vocab_size * config.n_embd) * 4;
  found.json.set("kind", kind)
      .set("config", config_to_json(config))
      .set("parameters", parameter_count(config));
  found.json.set("embedding", Json::object()
                                  .set("vocabulary", config.vocab_size)
                                  .set("width", config.n_embd)
                                  .set("bytes", static_cast<int64_t>(embedding_bytes)));
  found.json.set("tensors", tensors.list);
  found.text =
      "kind     " + kind + ", " + count_text(static_cast<double>(parameter_count(config))) + " parameters\n";
  found.text += "config   " + std::to_string(config.n_layer) + " layers, " + std::to_string(config.n_head) +
                " heads, " + std::to_string(config.n_kv_head) + " key/value heads, width " +
                std::to_string(config.n_embd) + ", " + std::to_string(config.n_ffn) + " in between, block " +
                std::to_string(config.block_size) + ", positions " + std::string(name_of(config.position)) +
                (config.tie ? ", tied output" : "") + "\n";
  found.text += "embed    " + std::to_string(config.vocab_size) + " tokens × " +
                std::to_string(config.n_embd) + " = " + bytes_text(embedding_bytes) + "\n";
  if (file_exists(folder + "/" + kTokenizerFile)) {
    const Tokenizer tokenizer = Tokenizer::load(folder + "/" + kTokenizerFile);
    found.json.set("tokenizer", tokenizer.kind());
    found.text += "tokens   " + tokenizer.kind() + "\n";
  }
  if (const std::string metrics = folder + "/" + kMetricsFile; is_run && file_exists(metrics)) {
    std::string line;
    found.json.set("history", describe_history(metrics, line));
    found.text += line;
  }
  found.text += tensors.text;
  return found;
}

Description describe_folder(const std::string& folder) {
  const auto has = [&](const char* name) { return file_exists(folder + "/" + name); };
  if (!has(kWeightsFile) && has(kIndexFile)) return describe_shards(folder + "/" + kIndexFile);
  if (has(kWeightsFile) || has(kConfigFile) || has(kStateFile)) return describe_model(folder);
  try {
    return describe_tokenizer(folder);
  } catch (const std::runtime_error& error) {
    fail_world(folder, ": must be a run folder, a model's folder or a tokenizer's; it holds no ",
               kWeightsFile, ", and no tokenizer: ", error.what());
  }
}

bool begins_safetensors(std::string_view bytes) {
  uint64_t header_bytes = 0;
  if (bytes.size() < 9) return false;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  return header_bytes <= bytes.size() - 8 && bytes[8] == '{';
}

/// What a file is, its contents say.
Description describe_file(const std::string& path) {
  const MappedFile file(path);
  const std::string_view bytes = file.text();
  if (bytes.starts_with("PK\x03\x04")) return describe_arrays(path, true);
  if (bytes.starts_with("\x93NUMPY")) return describe_arrays(path, false);
  if (path.ends_with(".safetensors") || begins_safetensors(bytes)) return describe_safetensors(path);
  if (path.ends_with(".safetensors.index.json")) return describe_shards(path);
  try {
    detect_tokenizer_format(bytes, path);
  } catch (const std::runtime_error& error) {
    fail_world(path,
               ": must be a .safetensors, .npz or .npy file, or a tokenizer's; it is none: ", error.what());
  }
  return describe_tokenizer(path);
}

}  // namespace

int run_info(const Arguments& arguments) {
  std::string path;
  CommonOptions common;
  Args args("info",
            "Shows what a run folder, a model folder (also one in several parts), a file of arrays or a "
            "tokenizer holds.");
  args.positional("DIR|FILE", path, "folder, or a .safetensors, .npz, .npy or tokenizer's file");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  const Description found = is_directory(path) ? describe_folder(path) : describe_file(path);
  if (common.json) {
    print_json(found.json);
  } else {
    print_out(found.text);
    flush_out();
  }
  return 0;
}

}  // namespace gradus::tools
