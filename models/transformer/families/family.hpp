#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/transformer/config.hpp"

namespace gradus {

class ConfigKeys;
class GgufKeys;
class GgufKeyWriter;

/// Rows that stand in another order in the file: where the parameter counts them as (outer, a, b, inner), the file has
/// (outer, b, a, inner). 1, 1, 1: the same order.
struct RowSwap {
  int64_t outer = 1, a = 1, b = 1;
  bool operator==(const RowSwap&) const = default;
};

/// A tensor of a model's file, and the part of a parameter that it holds.
/// note: one tensor can hold several parts, one after the other along its rows: as many FileWeights of the same name, next
///       to each other.
struct FileWeight {
  std::string name;         ///< in the file
  std::string parameter;    ///< as Transformer::visit names it
  int64_t begin = 0;        ///< rows [begin, end) of the parameter …
  int64_t end = -1;         ///< … -1: all of them
  bool transposed = false;  ///< the file holds (inputs, outputs)
  RowSwap swap = {};
};

/// Another ending that the name of a tensor has in some files.
struct NameAlias {
  std::string_view end, other;
};

/// A tensor that stands in some files though another one, or the model without it, says the same.
struct RepeatedWeight {
  std::string name;       ///< in the file
  std::string parameter;  ///< that it must be equal to
};

/// How a family's models stand in GGUF files, which have words of their own for everything.
struct GgufLayout {
  std::string_view architecture;  ///< what general.architecture says
  /// Reads the architecture's keys, each by itself, and what the tensors that are there tell.
  void (*read)(GgufKeys& keys, Config& config);
  /// The tensors, each with its place in the model.
  std::vector<FileWeight> (*weights)(const Config& config);
  /// Sets the keys that read() reads; null where such files are only read.
  /// note: what they cannot say of a Config is found by reading them again.
  void (*write)(GgufKeyWriter& keys, const Config& config) = nullptr;
  /// How names end of tensors that are not weights.
  std::span<const std::string_view> passed_over = {};
};

/// All that tells one family of models from the others. Whoever wants to know something of a family asks for a field of
/// its record; nobody outside this folder compares which family a model is.
/// note: what a family's keys of config.json cannot say of a Config goes under the key `gradus` by itself: it is the
///       difference between the Config and what read() makes of the keys of write().
struct Family {
  std::string_view name;        ///< "llama": on the command line and in errors
  std::string_view model_type;  ///< of config.json
  std::string_view
      architecture;  ///< of config.json: the class of the Hugging Face library that has these tensors
  std::string_view bare_architecture;  ///< the class that has no output layer

  /// What names in the files begin with, all but the output layer's; a model saved without that layer leaves it out.
  std::string_view base;
  /// How names end of tensors that a model does not compute with: the masks of older files, or the layers of a task that
  /// is not here.
  std::span<const std::string_view> passed_over = {};
  std::span<const NameAlias> aliases = {};
  /// Whether the last of the `hidden_states` of the Hugging Face library is `final`, and not layer_L.
  bool last_state_is_final;

  /// The family's choices; all sizes 0.
  Config (*defaults)();
  /// The width of the feed-forward layer where nobody gives one.
  int64_t (*default_ffn)(int64_t n_embd);
  /// Reads the family's own keys of config.json, and sets `tie` to what a missing tie_word_embeddings means in it.
  void (*read)(ConfigKeys& keys, Config& config);
  /// Sets the family's own keys of config.json.
  void (*write)(Json& json, const Config& config);
  /// The tensors of the files, which is all that is saved, in a fixed order, each with its place in the model.
  std::vector<FileWeight> (*weights)(const Config& config);
  /// Tensors that may stand in a file a second time, such as a tied output layer.
  std::vector<RepeatedWeight> (*repeated)(const Config& config);

  /// Null where no GGUF file holds such a model. note: of families with the same architecture the first in the list is taken.
  const GgufLayout* gguf = nullptr;

  /// The deviation of a matrix's initial values; where there is none, the stack's, see Transformer::init().
  double (*deviation)(const Config& config, std::string_view parameter) = nullptr;
  /// Whether a loss may leave out this parameter, such as a pooler that the task does not use; where there is no function,
  /// a loss reaches all parameters.
  bool (*may_lack_gradient)(const Config& config, std::string_view parameter) = nullptr;
};

/// All families, in the order of the list in families.cpp.
std::span<const Family* const> families();
/// By name; an error lists the possible ones.
const Family& find_family(std::string_view name);
/// By the `model_type` of a config.json; nullptr where no family has it.
const Family* family_of_type(std::string_view model_type);
/// By the general.architecture of a GGUF file; nullptr where no family has it.
const Family* family_of_architecture(std::string_view architecture);
/// The same as default_config() of its name; for families that are in no list, too.
Config default_config(const Family& family);

}  // namespace gradus
