// gradus info: what a run folder, a model, a file of arrays or a tokenizer holds.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <regex>

#include "models/embeddings/files.hpp"
#include "models/embeddings/formats/table.hpp"
#include "models/embeddings/formats/vector_file.hpp"
#include "models/files/gguf_file.hpp"
#include "models/files/gguf_source.hpp"
#include "models/files/llama2c_source.hpp"
#include "models/files/safetensors_source.hpp"
#include "models/training/run_folder.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/gguf_model.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/word_vectors/run.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/io/safetensors.hpp"
#include "tokenizer/formats/detect.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"
#include "tools/info.hpp"

namespace gradus::tools {
namespace {

/// A list of arrays, whatever file they stand in.
struct Tensors {
  Json list = Json::array();
  std::string text;
  int64_t elements = 0;
  std::size_t bytes = 0;

  void add(const RawTensor& info) {
    add(info, raw_dtype_bytes(info.dtype) > 0 ? "" : " of a type that is not known here");
  }
  /// `kind` is what to say of bytes that are not those of plain elements.
  void add(const RawTensor& info, const std::string& kind) {
    Json shape = Json::array();
    for (const int64_t size : info.shape) shape.push(size);
    list.push(Json::object()
                  .set("name", info.name)
                  .set("dtype", info.dtype)
                  .set("shape", shape)
                  .set("bytes", static_cast<int64_t>(info.bytes)));
    std::string padded = in_one_line(info.name);
    padded.resize(std::max<std::size_t>(padded.size(), 48), ' ');
    text += "  " + padded + "  " + info.dtype + "  " + info.shape.to_string();
    if (!kind.empty()) text += "  " + bytes_text(static_cast<double>(info.bytes)) + kind;
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
    text += ", " + std::to_string(history.unreadable_lines) +
            (history.unreadable_lines == 1 ? " line" : " lines") + " cannot be read";
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
  if (is_vector_table(file)) {
    const int64_t rows = read_vector_table(file).rows();
    found.json.set("rows", rows);
    found.text += ", a table of " + std::to_string(rows) + " vectors with names";
  }
  found.text += "\n" + tensors.text;
  for (const auto& [key, value] : file.metadata())
    found.text += "  " + key + ": " + one_line(value, 80) + "\n";
  if (const auto hash = file.metadata().find("tokens_sha256"); hash != file.metadata().end())
    tell_rows(path, hash->second, found);
  return found;
}

constexpr std::size_t kShownElements = 8;

/// An element of metadata as JSON can say it: a string in UTF-8, what is no number of JSON as text.
Json json_of(std::string_view text) { return replace_invalid_utf8(text); }
Json json_of(bool value) { return value; }
Json json_of(double number) {
  if (!std::isfinite(number)) return std::to_string(number);
  const auto whole = static_cast<int64_t>(std::clamp(number, -0x1p53, 0x1p53));
  return static_cast<double>(whole) == number ? Json(whole) : Json(number);
}

template <class Elements>
Json first_of(const Elements& elements) {
  Json list = Json::array();
  for (std::size_t i = 0; i < std::min(elements.size(), kShownElements); ++i) list.push(json_of(elements[i]));
  return list;
}

Json first_elements(const GgufValue& value) {
  if (value.type() == GgufType::string) return first_of(value.as_strings());
  if (value.type() == GgufType::boolean) return first_of(value.as_booleans());
  std::vector<double> numbers = value.as_numbers();
  if (value.type() == GgufType::f32) {
    for (double& number : numbers) number = shortest_decimal(static_cast<float>(number));
  }
  return first_of(numbers);
}

Json single_value(const GgufValue& value) {
  if (value.type() == GgufType::string) return json_of(value.as_string());
  if (value.type() == GgufType::boolean) return value.as_boolean();
  return json_of(value.as_decimal());
}

std::string parameters_text(const Config& config) {
  return count_text(static_cast<double>(parameter_count(config))) + " parameters";
}

// How large a model is, the same of a folder and of a GGUF file.
void tell_model(const Config& config, Description& found) {
  const double embedding_bytes = static_cast<double>(config.vocab_size * config.n_embd) * 4;
  found.json.set("config", config_to_json(config)).set("parameters", parameter_count(config));
  found.json.set("embedding", Json::object()
                                  .set("vocabulary", config.vocab_size)
                                  .set("width", config.n_embd)
                                  .set("bytes", static_cast<int64_t>(embedding_bytes)));
  found.text += "config   " + std::to_string(config.n_layer) + " layers, " + std::to_string(config.n_head) +
                " heads, " + std::to_string(config.n_kv_head) + " key/value heads, width " +
                std::to_string(config.n_embd) + ", " + std::to_string(config.n_ffn) + " in between, block " +
                std::to_string(config.block_size) + ", positions " + std::string(name_of(config.position)) +
                (config.tie ? ", tied output" : "") + "\n";
  found.text += "embed    " + std::to_string(config.vocab_size) + " tokens × " +
                std::to_string(config.n_embd) + " = " + bytes_text(embedding_bytes) + "\n";
}

void tell_tokenizer(const Tokenizer& tokenizer, Description& found) {
  found.json.set("tokenizer", tokenizer.kind());
  found.text += "tokens   " + tokenizer.kind() + "\n";
}

// A part of a description that what is there does not allow.
void tell_error(const std::runtime_error& error, Description& found) {
  found.json.set("error", replace_invalid_utf8(error.what()));
  found.text += "error    " + in_one_line(error.what()) + "\n";
}

/// How a text becomes one vector, as a folder of sentences or a GGUF file says it.
void tell_sentences(const SentenceFolder& folder, Description& found) {
  const std::string pooling = names_of(folder.pooling);
  std::string text = std::to_string(sentence_width(folder)) + " values a text, " +
                     (folder.static_model ? "the mean of its tokens" : "pooling " + pooling);
  Json steps = Json::array();
  for (const std::optional<DenseLayer>& step : folder.steps) {
    const std::string name =
        step ? "dense " + std::to_string(step->linear.weight.size(0)) : std::string("normalized");
    steps.push(name);
    text += ", " + name;
  }
  if (folder.truncate_dim > 0) text += ", cut to " + std::to_string(folder.truncate_dim);
  if (folder.max_tokens > 0) text += ", of at most " + std::to_string(folder.max_tokens) + " tokens";
  if (folder.lower_case) text += ", in lower case";
  if (!folder.similarity.empty()) text += ", compared by " + folder.similarity;
  found.text += "vectors  " + text + "\n";
  Json prompts = Json::object();
  std::string names;
  for (const auto& [name, prompt] : folder.prompts) {
    prompts.set(replace_invalid_utf8(name), replace_invalid_utf8(prompt));
    names +=
        (names.empty() ? "" : ", ") + name + (name == folder.default_prompt ? " (taken unless told)" : "");
  }
  if (!names.empty()) found.text += "prompts  " + in_one_line(names) + "\n";
  found.json.set("sentences", Json::object()
                                  .set("width", sentence_width(folder))
                                  .set("pooling", folder.static_model ? "mean" : pooling)
                                  .set("steps", steps)
                                  .set("truncate_dim", folder.truncate_dim)
                                  .set("max_tokens", folder.max_tokens)
                                  .set("lower_case", folder.lower_case)
                                  .set("include_prompt", folder.include_prompt)
                                  .set("prompts", prompts)
                                  .set("default_prompt", replace_invalid_utf8(folder.default_prompt))
                                  .set("similarity", folder.similarity));
}

void tell_sentences_in(const std::string& path, Description& found) {
  if (!is_sentence_folder(path)) return;
  try {
    tell_sentences(read_sentence_folder(path), found);
  } catch (const std::runtime_error& error) {
    tell_error(error, found);
  }
}

// The model in a GGUF file, as far as there is one that runs here.
void tell_gguf_model(const std::string& path, const GgufFile& file, Description& found) {
  try {
    const Config config = config_from_gguf(file);
    found.text += "model    " + std::string(config.family->name) + ", " + parameters_text(config) + "\n";
    tell_model(config, found);
    if (const auto own = tokenizer_from_gguf(file)) tell_tokenizer(own->tokenizer, found);
  } catch (const std::runtime_error& error) {
    return tell_error(error, found);
  }
  tell_sentences_in(path, found);
}

Description describe_gguf(const std::string& path) {
  const GgufFile file = GgufFile::open(path);
  Tensors tensors;
  for (const GgufTensor& tensor : file.tensors()) {
    const bool plain = tensor.type->elements == 1;
    tensors.add({tensor.name, std::string(tensor.type->name), tensor.shape, nullptr, tensor.bytes},
                !values_of(*tensor.type) ? " of a type that cannot be read"
                : plain                  ? ""
                                         : " in blocks");
  }
  Json metadata = Json::array();
  std::string lines;
  for (const std::string_view key : file.keys()) {
    const GgufValue& value = file.at(key);
    const std::string type(gguf_type_name(value.type()));
    Json entry = Json::object().set("key", std::string(key)).set("type", type);
    std::string text;
    if (value.is_array()) {
      const Json first = first_elements(value);
      entry.set("size", value.size()).set("first", first);
      text = std::to_string(value.size()) + " of " + type + ": " + first.dump() +
             (value.size() > static_cast<int64_t>(kShownElements) ? " …" : "");
    } else {
      const Json single = single_value(value);
      entry.set("value", single);
      text = value.type() == GgufType::string ? single.as_string() : single.dump();
    }
    metadata.push(entry);
    lines += "  " + std::string(key) + ": " + one_line(in_one_line(text), 80) + "\n";
  }
  Description found;
  found.json.set("kind", "gguf").set("version", int64_t{file.version()}).set("elements", tensors.elements);
  found.json.set("metadata", metadata).set("tensors", tensors.list);
  found.text = "kind     GGUF of version " + std::to_string(file.version()) + ", " + tensors.summary() + "\n";
  tell_gguf_model(path, file, found);
  found.text += tensors.text + lines;
  return found;
}

Description describe_llama2c(const std::string& path) {
  const std::unique_ptr<TensorSource> source = open_llama2c(path);
  Tensors tensors;
  for (const std::string& name : source->names()) {
    const TensorInfo& info = source->info(name);
    tensors.add({name, info.dtype, info.shape, nullptr, info.bytes});
  }
  const Config config = load_config(path);
  Description found;
  found.json.set("kind", "llama2.c").set("elements", tensors.elements);
  found.text = "kind     llama2.c, " + parameters_text(config) + "; it has no tokenizer\n";
  tell_model(config, found);
  found.json.set("tensors", tensors.list);
  found.text += tensors.text;
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

/// What the files of a model in several parts hold, by the index beside them. A part that is not there is said, not refused.
struct Parts {
  Tensors tensors;
  Json list = Json::array();
  std::string count;     // "3 parts"
  std::string problems;  // a line each
};

Parts list_parts(const std::string& index_path) {
  Parts parts;
  const std::vector<std::string> shards = safetensors_shards(index_path);
  parts.count = std::to_string(shards.size()) + (shards.size() == 1 ? " part" : " parts");
  for (const std::string& path : shards) {
    Json shard = Json::object().set("file", path.substr(path.rfind('/') + 1));
    try {
      const SafetensorsFile file = SafetensorsFile::open(path);
      parts.tensors.add(file);
      shard.set("tensors", static_cast<int64_t>(file.names().size()));
    } catch (const std::runtime_error& error) {
      shard.set("error", error.what());
      parts.problems += (file_exists(path) ? "damaged  " : "missing  ") + std::string(error.what()) + "\n";
    }
    parts.list.push(shard);
  }
  if (!parts.problems.empty()) return parts;
  try {
    open_tensors(index_path);
  } catch (const std::runtime_error& error) {
    parts.problems = "wrong    " + std::string(error.what()) + "\n";
  }
  return parts;
}

Description describe_parts(const std::string& index_path) {
  const Parts parts = list_parts(index_path);
  Description found;
  found.damaged = !parts.problems.empty();
  found.json.set("kind", "shards").set("elements", parts.tensors.elements).set("shards", parts.list);
  found.json.set("tensors", parts.tensors.list);
  found.text = "kind     a model in " + parts.count + ", " + parts.tensors.summary() + "\n" + parts.problems +
               parts.tensors.text;
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

/// `sentences` is the folder whose modules speak of the model, where there is one.
Description describe_model(const std::string& folder, const std::string& sentences = {}) {
  Description found;
  const bool is_run = file_exists(folder + "/" + kStateFile);
  const std::string weights = weights_path(folder);
  const bool in_parts = weights.ends_with(kWeightsIndexFile);
  Parts parts;
  if (in_parts) {
    parts = list_parts(weights);
  } else {
    parts.tensors.add(SafetensorsFile::open(weights));
  }
  found.damaged = !parts.problems.empty();
  const Config config = found.damaged ? read_config(folder) : load_config(folder);
  const std::string kind = std::string(config.family->name) + (is_run ? " run" : " model");
  found.json.set("kind", kind);
  found.text = "kind     " + kind + ", " + parameters_text(config) + (in_parts ? " in " + parts.count : "") +
               "\n" + parts.problems;
  tell_model(config, found);
  if (in_parts) found.json.set("shards", parts.list);
  found.json.set("tensors", parts.tensors.list);
  if (file_exists(folder + "/" + kTokenizerFile))
    tell_tokenizer(Tokenizer::load(folder + "/" + kTokenizerFile), found);
  if (!sentences.empty()) tell_sentences_in(sentences, found);
  if (const std::string metrics = folder + "/" + kMetricsFile; is_run && file_exists(metrics)) {
    std::string line;
    found.json.set("history", describe_history(metrics, line));
    found.text += line;
  }
  found.text += parts.tensors.text;
  return found;
}

Description describe_static_model(const SentenceFolder& folder) {
  const StaticModel& model = *folder.static_model;
  const int64_t rows = model.table.size(0), width = model.table.size(1);
  Tensors tensors;
  tensors.add(SafetensorsFile::open(folder.model_folder + "/" + kWeightsFile));
  Description found;
  found.json.set("kind", "static model").set("parameters", rows * width);
  found.json.set("embedding", Json::object()
                                  .set("vocabulary", rows)
                                  .set("width", width)
                                  .set("bytes", static_cast<int64_t>(tensors.bytes)));
  found.text = "kind     static model, a vector for each token: " + std::to_string(rows) + " × " +
               std::to_string(width) + "\n";
  tell_tokenizer(model.tokenizer, found);
  tell_sentences(folder, found);
  found.json.set("tensors", tensors.list);
  found.text += tensors.text;
  return found;
}

Description describe_sentences(const std::string& folder) {
  std::optional<SentenceFolder> sentences;
  try {
    sentences = read_sentence_folder(folder);
  } catch (const std::runtime_error&) {
    // Where the model stands beside the modules, it is told, and what is wrong with them.
    if (!file_exists(folder + "/" + kConfigFile)) throw;
    return describe_model(folder, folder);
  }
  return sentences->static_model ? describe_static_model(*sentences)
                                 : describe_model(sentences->model_folder, folder);
}

Description describe_folder(const std::string& folder) {
  if (WordVectorRun::is_run(folder)) return describe_word_vectors(folder);
  if (is_sentence_folder(folder)) return describe_sentences(folder);
  const auto has = [&](const char* name) { return file_exists(folder + "/" + name); };
  if (!has(kConfigFile) && !has(kWeightsFile) && has(kWeightsIndexFile))
    return describe_parts(folder + "/" + kWeightsIndexFile);
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
  if (is_gguf(bytes)) return describe_gguf(path);
  if (const auto format = detect_vectors_at(path);
      format == VectorFormat::text || format == VectorFormat::binary || format == VectorFormat::fasttext)
    return describe_vectors(path);
  if (is_llama2c(bytes)) return describe_llama2c(path);
  if (path.ends_with(".safetensors") || begins_safetensors(bytes)) return describe_safetensors(path);
  if (path.ends_with(".safetensors.index.json")) return describe_parts(path);
  try {
    detect_tokenizer_format(bytes, path);
  } catch (const std::runtime_error& error) {
    fail_world(path,
               ": must be a .safetensors, .gguf, .npz or .npy file, or a tokenizer's, or hold word vectors; "
               "it is none: ",
               error.what());
  }
  return describe_tokenizer(path);
}

}  // namespace

int run_info(const Arguments& arguments) {
  std::string path;
  CommonOptions common;
  Args args("info",
            "Shows what a run folder, a model folder (also one in several parts), a file of arrays or of "
            "word vectors, "
            "or a tokenizer holds.");
  args.positional(
      "DIR|FILE", path,
      "folder, or a .safetensors, .gguf, llama2.c, .npz, .npy, word vectors' or tokenizer's file");
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
  return found.damaged ? kExitFailed : 0;
}

}  // namespace gradus::tools
