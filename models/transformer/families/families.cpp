#include "models/transformer/families/family.hpp"
#include "tensor/error.hpp"

// One line a family: the name of its record, and of the file that holds it.
#define GRADUS_FAMILIES \
  FAMILY(gpt2)          \
  FAMILY(llama)         \
  FAMILY(gpt_neox)      \
  FAMILY(mistral)       \
  FAMILY(qwen2)         \
  FAMILY(qwen3)         \
  FAMILY(gemma3)        \
  FAMILY(bert)          \
  FAMILY(roberta)       \
  FAMILY(xlm_roberta)   \
  FAMILY(distilbert)    \
  FAMILY(modernbert)

namespace gradus {
namespace records {
#define FAMILY(record) extern const Family record;
GRADUS_FAMILIES
#undef FAMILY
}  // namespace records

namespace {

#define FAMILY(record) &records::record,
constexpr const Family* kFamilies[] = {GRADUS_FAMILIES};
#undef FAMILY

}  // namespace

std::span<const Family* const> families() { return kFamilies; }

const Family& default_family() { return *kFamilies[0]; }

const Family& find_family(std::string_view name) {
  std::string names;
  for (const Family* family : kFamilies) {
    if (family->name == name) return *family;
    names += (names.empty() ? "" : ", ") + std::string(family->name);
  }
  fail("config: arch must be one of ", names, "; it is '", name, "'");
}

const Family* family_of_type(std::string_view model_type) {
  for (const Family* family : kFamilies) {
    if (family->model_type == model_type) return family;
  }
  return nullptr;
}

const Family* family_of_architecture(std::string_view architecture) {
  for (const Family* family : kFamilies) {
    if (family->gguf && family->gguf->architecture == architecture) return family;
  }
  return nullptr;
}

Config default_config(const Family& family) {
  Config config = family.defaults();
  config.family = &family;
  return config;
}

Config default_config(std::string_view family) { return default_config(find_family(family)); }

}  // namespace gradus
