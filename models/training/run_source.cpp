#include "models/training/run_source.hpp"

#include <charconv>

#include "models/training/options.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

// JSON holds UTF-8 alone, names of files any bytes: others are kept in hexadecimal digits.
Json path_to_json(const std::string& path) {
  if (replace_invalid_utf8(path) == path) return path;
  std::string digits;
  for (const char c : path) {
    constexpr char kDigits[] = "0123456789abcdef";
    digits += kDigits[static_cast<unsigned char>(c) >> 4];
    digits += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return Json::object().set("hex", digits);
}

std::string path_from_json(const Json& json) {
  if (json.kind() == Json::Kind::string) return json.as_string();
  const std::string& digits = json.at("hex").as_string();
  std::string path;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data() + i, digits.data() + i + 2, value, 16);
    check_world(error == std::errc() && end == digits.data() + i + 2, json.path(),
                ": must be hexadecimal digits; it is ", digits);
    path += static_cast<char>(value);
  }
  return path;
}

}  // namespace

Metadata source_metadata(const RunSource& source) {
  Json paths = Json::array();
  for (const std::string& path : source.paths) paths.push(path_to_json(path));
  return {{"paths", paths.dump()},
          {"corpus_sha256", source.corpus_sha256},
          {"tokenizer_sha256", source.tokenizer_sha256},
          {"config_sha256", source.config_sha256},
          {"texts", Json::object()
                        .set("key", source.text_key)
                        .set("json_lines", source.json_lines)
                        .set("force", source.force_text)
                        .dump()}};
}

RunSource source_from_metadata(const Metadata& metadata, const std::string& file) {
  const auto get = [&](const char* key) {
    const auto entry = metadata.find(key);
    check_world(entry != metadata.end(), file, ": the metadata must hold '", key, "'; it does not");
    return entry->second;
  };
  RunSource source;
  const Json paths = Json::parse(get("paths"), file);
  for (const Json& path : paths.as_array()) source.paths.push_back(path_from_json(path));
  source.corpus_sha256 = get("corpus_sha256");
  source.tokenizer_sha256 = get("tokenizer_sha256");
  source.config_sha256 = get("config_sha256");
  if (const auto entry = metadata.find("texts"); entry != metadata.end()) {
    const Json texts = Json::parse(entry->second, file);
    source.text_key = texts.at("key").as_string();
    source.json_lines = texts.at("json_lines").as_boolean();
    source.force_text = texts.at("force").as_boolean();
  }
  return source;
}

Corpus load_run_corpus(const std::string& folder, const RunSource& source, double held_out,
                       const std::string& advice, const std::function<void()>& on_interrupt) {
  std::vector<std::string> paths;
  for (const std::string& path : source.paths)
    paths.push_back(path.starts_with('/') ? path : folder + "/" + path);
  TextOptions options{.json_lines = source.json_lines,
                      .key = source.text_key,
                      .force = source.force_text,
                      .on_interrupt = on_interrupt};
  Corpus corpus;
  try {
    corpus = load_corpus(paths, held_out, options);
  } catch (const std::runtime_error& error) {
    fail_world(error.what(), "; ", advice);
  }
  check_world(corpus.sha256 == source.corpus_sha256, paths.front(),
              paths.size() > 1 ? detail::join(" and ", paths.size() - 1, " more") : "",
              ": must be the text that the run was started with; it has changed; ", advice);
  return corpus;
}

Corpus load_run_corpus(const std::string& folder, const std::string& advice,
                       const std::function<void()>& on_interrupt) {
  const SafetensorsFile state = SafetensorsFile::open(folder + "/" + kStateFile);
  const RunSource source = source_from_metadata(state.metadata(), state.path());
  const TrainingOptions options =
      options_from_json(Json::parse(state.metadata().at("options"), state.path()));
  return load_run_corpus(folder, source, options.val_fraction, advice, on_interrupt);
}

}  // namespace gradus
