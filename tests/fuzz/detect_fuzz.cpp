#include "tests/fuzz/fuzz.hpp"
#include "tokenizer/formats/detect.hpp"

// A file of any format.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradus;
  const std::string_view bytes = fuzz::bytes_of(data, size);
  TokenizerFormat format{};
  if (!fuzz::accepts([&] { format = detect_tokenizer_format(bytes, "fuzz"); })) return 0;
  fuzz::require(detect_tokenizer_format(std::string(bytes), "again") == format,
                "a format must follow from the bytes alone");
  return 0;
}
