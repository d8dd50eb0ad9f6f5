#include "tools/model_options.hpp"

#include "models/transformer/families/family.hpp"
#include "tensor/error.hpp"

namespace gradus::tools {

void ModelOptions::add(Args& args, bool training) {
  std::vector<std::string> names;
  std::string usual;  // "learned for gpt, rotary for llama"
  for (const Family* family : families()) {
    names.emplace_back(family->name);
    usual += (usual.empty() ? "" : ", ") + std::string(name_of(default_config(*family).position)) + " for " +
             names.back();
  }
  args.heading("Model");
  args.choice("--arch", arch, names, "family of the model");
  args.choice("--preset", preset, {"nano", "micro", "small", "gpt2"},
              "sizes (layers/heads/width/block/batch): nano 4/4/128/64/12, micro 6/6/384/256/16, small "
              "8/8/512/512/8, "
              "gpt2 12/12/768/1024/4");
  args.choice("--position", position, {"default", "none", "learned", "sinusoidal", "rotary"},
              "how the order of tokens is known; default: " + usual);
  args.choice("--tie", tie, {"on", "off"}, "whether the output layer is the token embedding");
  const std::string rule = "; default: the preset's";
  args.integer("--n-layer", n_layer, "layers" + rule);
  args.integer("--n-head", n_head, "query heads" + rule);
  args.integer("--n-kv-head", n_kv_head, "key/value heads; default: as many as query heads");
  args.integer("--n-embd", n_embd, "width" + rule);
  args.integer("--block-size", block_size, "most tokens that the model sees at once" + rule);
  if (!training) return;
  args.integer("--batch-size", batch_size, "sequences that go through the model at once" + rule);
  args.number("--dropout", dropout, "probability of dropping an activation while training");
}

Config ModelOptions::config(int64_t vocab_size) const {
  Config config = make_config(arch, find_preset(preset), vocab_size);
  const auto replace = [](int64_t& field, const std::optional<int64_t>& value, const char* name) {
    if (!value) return;
    check(*value > 0, name, " must be at least 1; it is ", *value);
    field = *value;
  };
  replace(config.n_layer, n_layer, "--n-layer");
  replace(config.n_head, n_head, "--n-head");
  replace(config.n_embd, n_embd, "--n-embd");
  replace(config.block_size, block_size, "--block-size");
  config.n_kv_head = 0;
  replace(config.n_kv_head, n_kv_head, "--n-kv-head");
  config.n_ffn = 0;
  if (position != "default") config.position = parse_position(position);
  config.tie = tie == "on";
  config.dropout = dropout;
  config = config.resolved();
  config.validate();
  return config;
}

NoEffect ModelOptions::preset_without_effect(bool training) const {
  const bool all = n_layer && n_head && n_embd && block_size && (batch_size || !training);
  return {all, {"--preset"}, "where every one of its sizes is given"};
}

NoEffect ModelOptions::without_effect(bool given) {
  return {given,
          {"--arch", "--preset", "--position", "--tie", "--n-layer", "--n-head", "--n-kv-head", "--n-embd",
           "--block-size"},
          "with a model, which has its own"};
}

int64_t ModelOptions::batch() const { return batch_size.value_or(find_preset(preset).batch_size); }

}  // namespace gradus::tools
