#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

#include "tokenizer/tokenizer.hpp"

/// What libFuzzer, or replay_main.cpp in its place, calls with each input. y = 0
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace gradus::fuzz {

/// Ends the program, which makes the input a finding, unless `holds`.
void require(bool holds, const char* what);

/// Ends the program unless a message has the form of the library's own.
void require_message(const std::exception& error);

/// Runs what may refuse its input. y: whether it went through
/// note: only the library's own errors are a refusal. Anything else that is thrown ends the program: an error of the
///       standard library is derived from the same classes and would be a mistake here.
template <class Work>
bool accepts(const Work& work) {
  try {
    work();
    return true;
  } catch (const std::runtime_error& error) {
    if (typeid(error) != typeid(std::runtime_error)) throw;
    require_message(error);
  } catch (const std::invalid_argument& error) {
    if (typeid(error) != typeid(std::invalid_argument)) throw;
    require_message(error);
  }
  return false;
}

/// The bytes of an input.
std::string_view bytes_of(const uint8_t* data, size_t size);

/// An input cut in two at the first zero byte, which is in neither part. y: what is before it, what is after it
std::pair<std::string_view, std::string_view> halves_of(std::string_view bytes);

/// A file in memory, for readers that take a path.
class MemoryFile {
 public:
  MemoryFile();
  /// The path; the file holds these bytes and no others.
  const std::string& with(std::string_view bytes);

 private:
  int descriptor_;
  std::string path_;
};

/// A folder of its own in the memory's file system, where there is one, removed at the program's end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  const std::string& path() const { return path_; }
  /// Makes a file, or removes it where there are no bytes.
  void put(const std::string& name, std::string_view bytes) const;

 private:
  std::string path_;
};

/// Checks what must hold of encoding a text with any tokenizer, whether or not it refuses the text.
/// note: `in_order`: whether tokens stand in the order of the text, as they do unless something moves marks.
void check_encoding(const Tokenizer& tokenizer, std::string_view text, bool in_order);

/// Checks what must hold of decoding ids that need not come from any text: each byte counts as an id.
/// note: `streamed`: whether ids that are decoded one at a time must give the same text.
void check_decoding(const Tokenizer& tokenizer, std::string_view bytes, bool streamed);

/// Checks a tokenizer that was read from a file: what it makes of a short text, and that it can be written and read.
/// note: `exactly`: whether a tokenizer.json can say all that it does; else what was written may give other ids or be refused.
void check_loaded(const Tokenizer& tokenizer, bool exactly);

}  // namespace gradus::fuzz
