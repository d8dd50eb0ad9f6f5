// gradus info: what a run folder or a model file holds.

#include <algorithm>

#include "models/training/checkpoint.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/safetensors.hpp"
#include "tools/common.hpp"

namespace gradus::tools {
namespace {

struct Tensors {
  Json list = Json::array();
  std::string text;
  int64_t elements = 0;
  std::size_t bytes = 0;
};

Tensors list_tensors(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  Tensors tensors;
  for (const std::string& name : file.names()) {
    const RawTensor& info = file.info(name);
    Json shape = Json::array();
    for (const int64_t size : info.shape) shape.push(size);
    Json item = Json::object();
    item.set("name", name).set("dtype", info.dtype).set("shape", shape);
    tensors.list.push(item);
    std::string padded = name;
    padded.resize(std::max<std::size_t>(padded.size(), 48), ' ');
    tensors.text += "  " + padded + "  " + info.dtype + "  " + info.shape.to_string() + "\n";
    tensors.elements += info.shape.numel();
    tensors.bytes += info.bytes;
  }
  return tensors;
}

/// The first and last lines of a run's metrics, and the best evaluation between them.
Json history(const std::string& path, std::string& text) {
  Json result = Json::object();
  const std::string contents = read_file(path);
  int64_t lines = 0;
  double first = 0, last = 0, best = 0;
  int64_t step = 0, best_step = 0;
  bool evaluated = false;
  for (std::size_t begin = 0; begin < contents.size();) {
    const std::size_t end = contents.find('\n', begin);
    if (end == std::string::npos) break;
    const Json line = Json::parse(std::string_view(contents).substr(begin, end - begin), path);
    step = line.at("step").as_integer();
    last = line.at("loss").as_number();
    if (lines++ == 0) first = last;
    if (const Json* value = line.find("val_loss"); value && (!evaluated || value->as_number() < best)) {
      best = value->as_number();
      best_step = step;
      evaluated = true;
    }
    begin = end + 1;
  }
  result.set("steps", step).set("first_loss", first).set("last_loss", last);
  text = "history  " + std::to_string(step) + " steps, loss " + fixed(first, 4) + " to " + fixed(last, 4);
  if (evaluated) {
    result.set("best_val_loss", best).set("best_val_step", best_step);
    text += ", best held out " + fixed(best, 4) + " at step " + std::to_string(best_step);
  }
  text += "\n";
  return result;
}

}  // namespace

int run_info(const Arguments& arguments) {
  std::string path;
  CommonOptions common;
  Args args("info", "Shows what a run folder, a model folder or a safetensors file holds.");
  args.positional("DIR|FILE", path, "run folder, model folder or .safetensors file");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  Json json = Json::object();
  std::string text;
  if (!is_directory(path)) {
    const Tensors tensors = list_tensors(path);
    json.set("kind", "safetensors").set("elements", tensors.elements).set("tensors", tensors.list);
    text = "kind     safetensors, " + count_text(static_cast<double>(tensors.elements)) + " elements, " +
           bytes_text(static_cast<double>(tensors.bytes)) + "\n" + tensors.text;
    const SafetensorsFile file = SafetensorsFile::open(path);
    for (const auto& [key, value] : file.metadata()) {
      text += "  " + key + ": " + one_line(value, 80) + "\n";
    }
  } else {
    const bool is_run = file_exists(path + "/" + kStateFile);
    const Config config = load_config(path);
    const Tensors tensors = list_tensors(path + "/" + kWeightsFile);
    const std::string kind = std::string(name_of(config.arch)) + (is_run ? " run" : " model");
    const double embedding_bytes = static_cast<double>(config.vocab_size * config.n_embd) * 4;
    json.set("kind", kind).set("config", config_to_json(config)).set("parameters", parameter_count(config));
    json.set("embedding", Json::object()
                              .set("vocabulary", config.vocab_size)
                              .set("width", config.n_embd)
                              .set("bytes", static_cast<int64_t>(embedding_bytes)));
    json.set("tensors", tensors.list);
    text = "kind     " + kind + ", " + count_text(static_cast<double>(parameter_count(config))) +
           " parameters\n";
    text += "config   " + std::to_string(config.n_layer) + " layers, " + std::to_string(config.n_head) +
            " heads, " + std::to_string(config.n_kv_head) + " key/value heads, width " +
            std::to_string(config.n_embd) + ", " + std::to_string(config.n_ffn) + " in between, block " +
            std::to_string(config.block_size) + ", positions " + std::string(name_of(config.position)) +
            (config.tie ? ", tied output" : "") + "\n";
    text += "embed    " + std::to_string(config.vocab_size) + " tokens × " + std::to_string(config.n_embd) +
            " = " + bytes_text(embedding_bytes) + "\n";
    if (file_exists(path + "/" + kTokenizerFile)) {
      const Tokenizer tokenizer = Tokenizer::load(path + "/" + kTokenizerFile);
      json.set("tokenizer", tokenizer.kind());
      text += "tokens   " + tokenizer.kind() + "\n";
    }
    if (is_run && file_exists(path + "/metrics.jsonl")) {
      std::string line;
      json.set("history", history(path + "/metrics.jsonl", line));
      text += line;
    }
    text += tensors.text;
  }
  if (common.json) {
    print_json(json);
  } else {
    print_out(text);
    flush_out();
  }
  return 0;
}

}  // namespace gradus::tools
