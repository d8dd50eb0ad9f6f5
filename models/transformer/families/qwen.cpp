#include "models/transformer/families/qwen.hpp"

#include <algorithm>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/rope_keys.hpp"

namespace gradus {

void read_qwen_windows(ConfigKeys& keys, Config& config) {
  bool used = false;
  int64_t window = 4096, first = 28;
  keys.optional("use_sliding_window", used);
  keys.optional("sliding_window", window);
  keys.optional("max_window_layers", first);
  if (const Json* types = keys.find("layer_types")) {
    config.windows = windows_from(*types, config.n_layer, used ? window : 0);
  } else if (used && first < config.n_layer) {
    config.windows.assign(static_cast<size_t>(config.n_layer), 0);
    std::fill(config.windows.begin() + std::max<int64_t>(first, 0), config.windows.end(), window);
  }
}

void write_qwen_windows(Json& json, const Config& c) {
  json.set("use_sliding_window", !c.windows.empty());
  if (c.windows.empty()) return;
  json.set("sliding_window", *std::max_element(c.windows.begin(), c.windows.end()));
  write_layer_types(json, c);
}

}  // namespace gradus
