// Models as GGUF files.

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "models/files/gguf_writer.hpp"
#include "models/transformer/export_detail.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/families/gguf_keys.hpp"
#include "models/transformer/gguf_model.hpp"
#include "models/transformer/gguf_tokenizer_writer.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus::detail {
namespace {

namespace fs = std::filesystem;

struct StoredAs {
  std::string_view block_type;
  int64_t file_type;  // of general.file_type
};

StoredAs stored_as(ExportType type) {
  switch (type) {
    case ExportType::f32: return {"F32", 0};
    case ExportType::f16: return {"F16", 1};
    case ExportType::bf16: return {"BF16", 32};
    case ExportType::q8_0: return {"Q8_0", 7};
  }
  fail("convert: unknown type");
}

const GgufLayout& layout_of(const Config& config) {
  const GgufLayout* layout = config.family->gguf;
  std::string names;
  for (const Family* family : families()) {
    if (family->gguf && family->gguf->write) names += (names.empty() ? "" : ", ") + std::string(family->name);
  }
  check(layout != nullptr && layout->write != nullptr, "convert: GGUF files can be written of the families ",
        names, "; this model is of the family ", config.family->name);
  return *layout;
}

void write_about(GgufFields& fields, const std::string& home, std::string_view architecture,
                 ExportType type) {
  fields.text("general.architecture", architecture);
  fields.text("general.type", "model");
  fields.text("general.name", model_name(home));
  fields.u32("general.base_model.count", 1);
  fields.text("general.base_model.0.name", model_name(home));
  fields.u32("general.file_type", stored_as(type).file_type);
  if (type == ExportType::q8_0) fields.u32("general.quantization_version", 2);
}

// The numbers of llama.cpp's enumeration.
void write_pooling(GgufFields& fields, std::string_view architecture, const SentenceFolder& sentences,
                   ExportReport& report) {
  const std::optional<int64_t> number =
      sentences.pooling.size() == 1 ? gguf_pooling_number(sentences.pooling.front()) : std::nullopt;
  if (number) {
    fields.u32(std::string(architecture) + ".pooling_type", *number);
  } else {
    report.notes.push_back("a GGUF file cannot say the pooling " + names_of(sentences.pooling) +
                           "; how a text becomes one vector is left out");
  }
  const bool dense = std::any_of(sentences.steps.begin(), sentences.steps.end(),
                                 [](const auto& step) { return step.has_value(); });
  if (dense) report.notes.push_back("a GGUF file has no dense layers behind pooling; they are left out");
  if (sentences.normalizes())
    report.notes.push_back("a GGUF file cannot say that vectors are brought to length 1; it is left out");
  if (sentences.max_tokens > 0) {
    report.notes.push_back("a GGUF file cannot say that texts have at most " +
                           std::to_string(sentences.max_tokens) + " tokens; it is left out");
  }
  if (!sentences.prompts.empty()) report.notes.push_back("a GGUF file has no prompts; they are left out");
}

std::vector<GgufOutput> outputs_of(const LanguageModel& loaded, ExportType type, ExportReport& report) {
  const Config& config = loaded.model.config();
  const BlockType& f32 = block_type("F32");
  const BlockType& chosen = block_type(stored_as(type).block_type);
  std::vector<GgufOutput> outputs;
  int64_t cut = 0;
  for (NamedTensor& named : file_weights(loaded.model, TensorNames::gguf)) {
    // Tables of positions and segments are added, not multiplied; llama.cpp adds in f32.
    const bool added = named.name == "position_embd.weight" || named.name == "token_types.weight";
    const BlockType* stored = named.tensor.rank() < 2 || added ? &f32 : &chosen;
    if (named.tensor.size(-1) % stored->elements != 0) {
      stored = &block_type("F16");
      ++cut;
    }
    if (stored != &f32) check_range(named, stored == &chosen ? type : ExportType::f16);
    outputs.push_back({named.name, named.tensor, stored});
  }
  if (cut > 0) {
    report.notes.push_back(std::to_string(cut) + " tensors are F16, as their rows are no whole blocks of " +
                           std::to_string(chosen.elements));
  }
  if (config.rope_scaling.kind == RopeScalingKind::llama3) {
    outputs.push_back({"rope_freqs.weight",
                       llama3_factors(config.rope_scaling, config.rotated_channels(), config.rope_base),
                       &f32});
  }
  return outputs;
}

// A llama3 scaling stands in the file as factors, which other numbers give, too.
bool same_factors(const Config& a, const Config& b) {
  constexpr auto kKind = RopeScalingKind::llama3;
  if (a.rope_scaling.kind != kKind || b.rope_scaling.kind != kKind || a.rope_base != b.rope_base)
    return false;
  const auto factors = [&](const Config& c) {
    return llama3_factors(c.rope_scaling, a.rotated_channels(), a.rope_base).to_vector<float>();
  };
  const std::vector<float> first = factors(a), second = factors(b);
  return std::equal(first.begin(), first.end(), second.begin(), second.end(),
                    [](float x, float y) { return std::fabs(x / y - 1) < 4e-6F; });
}

// What was read back must be what was written, but for what is of training alone and what such files never hold.
void check_config(const Config& written, const Config& found, const std::string& architecture,
                  ExportReport& report) {
  Config expected = written;
  // Families that share an architecture differ in the names of their other files alone.
  if (found.family->gguf && found.family->gguf->architecture == architecture) expected.family = found.family;
  expected.dropout = found.dropout;
  expected.add_special = found.add_special;
  expected.dtype = found.dtype;
  if (!expected.causal) expected.end_tokens = found.end_tokens;  // it goes through no text to an end
  if (same_factors(written, found)) expected.rope_scaling = found.rope_scaling;
  if (expected.pooler && !found.pooler) {
    expected.pooler = false;
    report.notes.push_back("a GGUF file of this architecture has no pooler; it is left out");
  }
  if (!expected.causal && expected.head != HeadKind::none && found.head == HeadKind::none) {
    report.notes.push_back("a GGUF file of this architecture has no output layer; it is left out");
    expected.head = found.head;
    expected.head_bias = found.head_bias;
    expected.head_layer_bias = found.head_layer_bias;
    expected.head_activation = found.head_activation;
    expected.tie = found.tie;
  }
  if (expected == found) return;
  const Json a = config_to_json(expected), b = config_to_json(found);
  for (const auto& [key, value] : a.as_object()) {
    if (key == "model_type" || key == "architectures") continue;  // what follows says why
    const Json* other = b.find(key);
    check(other != nullptr && other->dump() == value.dump(), "convert: a GGUF file of the architecture ",
          architecture, " cannot say what this model is: ", key, " is ", value.dump(), ", and would be ",
          other ? other->dump() : "nothing");
  }
  fail("convert: a GGUF file of the architecture ", architecture,
       " cannot say what this model is: ", b.find("gradus") ? b.at("gradus").dump() : "its configuration");
}

void tell_lost_roles(const std::map<std::string, int64_t>& said, const std::map<std::string, int64_t>& kept,
                     const Tokenizer& tokenizer, ExportReport& report) {
  for (const auto& [role, id] : said) {
    const auto found = kept.find(role);
    if (id >= tokenizer.vocab_size() || (found != kept.end() && found->second == id)) continue;
    report.notes.push_back("a GGUF file of this tokenizer cannot say that " +
                           tokenizer.token_text(static_cast<int32_t>(id)) + " is its " + role +
                           " token; it is left out");
  }
}

}  // namespace

ExportReport export_gguf(const LanguageModel& loaded, const std::string& path, const ExportOptions& options) {
  const NoGrad no_grad_here;
  const Config& config = loaded.model.config();
  const GgufLayout& layout = layout_of(config);
  const std::string architecture(layout.architecture);
  ExportReport report;
  GgufFields fields;
  const std::string& home = options.home.empty() ? loaded.folder : options.home;
  write_about(fields, home, architecture, options.type);
  const ModelAbout about = model_about(loaded, home);
  write_licence(fields, about);
  if (about.licence_unread)
    report.notes.push_back("the card's licence is more than a phrase on one line; the file does not say it");
  GgufKeyWriter keys(fields, architecture);
  layout.write(keys, config);
  if (config.n_segment > 0) fields.u32("tokenizer.ggml.token_type_count", config.n_segment);
  if (options.sentences) write_pooling(fields, architecture, *options.sentences, report);
  if (loaded.has_tokenizer) {
    const std::string note = write_gguf_tokenizer(
        fields, loaded.tokenizer, {config.vocab_size, config.end_tokens, loaded.add_special, about.roles});
    if (!note.empty()) report.notes.push_back(note);
    if (!loaded.add_special && !loaded.tokenizer.added_around().empty()) report.notes.push_back(kAddsNone);
    const TokenizerParts& parts = loaded.tokenizer.parts();
    if (note.empty() && (parts.truncation || parts.padding))
      report.notes.push_back("a GGUF file cannot say that texts are cut or padded; it is left out");
  } else {
    fields.text("tokenizer.ggml.model", "none");
    write_gguf_end_tokens(fields, config.end_tokens);
  }
  if (about.padding_side == "left")
    report.notes.push_back("a GGUF file cannot say that texts are padded on the left; it is left out");
  if (!loaded.chat_template.empty()) fields.text("tokenizer.chat_template", loaded.chat_template);

  if (options.on_progress) options.on_progress();
  AtomicFile file(path);
  write_gguf(file, fields, outputs_of(loaded, options.type, report));
  file.sync();
  if (options.on_progress) options.on_progress();
  check_unchanged(loaded);
  const std::string& partial = file.partial();
  try {
    check_config(config, config_from_gguf(GgufFile::open(partial)), architecture, report);
    const LanguageModel back = load_language_model(partial, loaded.has_tokenizer);
    compare_exported(loaded, back, options.type, report);
    if (loaded.has_tokenizer)
      tell_lost_roles(about.roles, model_about(back, partial).roles, loaded.tokenizer, report);
  } catch (const std::runtime_error& error) {
    // What is wrong with the file is something that it cannot say; it has no name yet.
    std::string reason = error.what();
    if (reason.starts_with(partial + ": ")) reason.erase(0, partial.size() + 2);
    fail("convert: a GGUF file of the architecture ", architecture,
         " cannot say what this model is: ", reason);
  }
  if (options.on_progress) options.on_progress();
  file.commit();
  report.files.push_back(fs::path(path).filename().string());
  for (const auto& entry : fs::directory_iterator(folder_beside(home))) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && is_licence(name))
      report.notes.push_back(entry.path().string() + " goes with the file wherever it goes; it is not in it");
  }
  return report;
}

}  // namespace gradus::detail
