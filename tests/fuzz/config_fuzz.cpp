#include "models/transformer/config.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

// A config.json.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::bytes_of(data, size);
  fuzz::accepts([&] {
    const Config config = config_from_json(Json::parse(std::string(bytes), "fuzz"));
    fuzz::accepts([&] { parameter_count(config); });
    std::string written;
    if (!fuzz::accepts([&] { written = config_to_json(config).dump(); })) return;
    Config again;
    const bool readable = fuzz::accepts([&] { again = config_from_json(Json::parse(written, "written")); });
    fuzz::require(readable, "what was written must be readable");
    fuzz::require(again == config, "what was written and read must be the same");
  });
  return 0;
}
