// gradus tokenizer encode, decode and show.

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/npy.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/text_options.hpp"
#include "tools/tokenizer.hpp"

namespace gradus::tools {
namespace {

// Options of encode and show.
struct EncodeArguments {
  std::string special = "on";
  std::string parse_special = "on";
  std::string offset_unit = "byte";

  void add(Args& args) {
    args.choice("--special", special, {"on", "off"},
                "whether the tokens are added that the tokenizer puts around a text");
    args.choice("--parse-special", parse_special, {"on", "off"},
                "whether the text of a special token, such as <|endoftext|>, becomes that token");
    args.choice("--offsets", offset_unit, {"byte", "char"}, "what offsets count");
  }
  EncodeOptions options() const { return {parse_special == "on", special == "on"}; }
};

// Places in a text counted in characters: of a part that begins or ends inside a character, that whole character.
class CharacterPlaces {
 public:
  // A byte that is not UTF-8 counts as a character.
  explicit CharacterPlaces(std::string_view text) : before_(text.size() + 1), inside_(text.size() + 1) {
    int64_t count = 0;
    for (size_t at = 0; at < text.size(); ++count) {
      const size_t length = char_length(text, at);
      for (size_t i = 0; i < length; ++i) {
        before_[at + i] = count;
        inside_[at + i] = i > 0;
      }
      at += length;
    }
    before_[text.size()] = count;
  }
  TextRange of(TextRange bytes) const {
    const auto end = static_cast<size_t>(bytes.end);
    return {before_[static_cast<size_t>(bytes.begin)], before_[end] + (inside_[end] ? 1 : 0)};
  }

 private:
  std::vector<int64_t> before_;  // characters that end at or before a byte
  std::vector<bool> inside_;     // whether a byte continues a character
};

// The tokens of the vocabulary as JSON strings, each written once.
class TokenNames {
 public:
  explicit TokenNames(const Tokenizer& tokenizer) {
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
      names_.push_back(Json(tokenizer.token_text(id)).dump());
  }
  const std::string& operator[](int32_t id) const { return names_[static_cast<size_t>(id)]; }

 private:
  std::vector<std::string> names_;
};

template <class Write>
void append_list(std::string& line, const char* key, size_t count, Write write) {
  line += key;
  line += '[';
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) line += ',';
    write(i);
  }
  line += ']';
}

std::string json_line(const Encoding& encoding, const TextItem& item, bool characters,
                      const TokenNames& names) {
  std::string line;
  append_list(line, "{\"ids\":", encoding.ids.size(),
              [&](size_t i) { line += std::to_string(encoding.ids[i]); });
  append_list(line, ",\"pieces\":", encoding.ids.size(), [&](size_t i) { line += names[encoding.ids[i]]; });
  std::optional<CharacterPlaces> places[2];
  if (characters) {
    places[0].emplace(item.text);
    places[1].emplace(item.pair.value_or(""));
  }
  append_list(line, ",\"offsets\":", encoding.ids.size(), [&](size_t i) {
    TextRange range = encoding.offsets[i];
    if (characters && encoding.sequence[i] >= 0) range = places[encoding.sequence[i]]->of(range);
    line += "[" + std::to_string(range.begin) + "," + std::to_string(range.end) + "]";
  });
  if (item.pair) {
    append_list(line, ",\"type_ids\":", encoding.type_ids.size(),
                [&](size_t i) { line += std::to_string(encoding.type_ids[i]); });
  }
  return line + "}\n";
}

// Where encode's ids go: a line a text on stdout, or one array in a file.
class IdWriter {
 public:
  IdWriter(std::string path, int64_t vocab_size) : path_(std::move(path)), narrow_(vocab_size <= 65536) {
    if (path_.empty()) return;
    check(path_.ends_with(".npy") || path_.ends_with(".bin"),
          "tokenizer encode: -o must name a .npy or a .bin file; it is '", path_, "'");
  }

  void add(const std::vector<int32_t>& ids) {
    count_ += static_cast<int64_t>(ids.size());
    if (!path_.empty()) {
      all_.insert(all_.end(), ids.begin(), ids.end());
      return;
    }
    std::string line;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (i > 0) line += ' ';
      line += std::to_string(ids[i]);
    }
    print_out(line + "\n");
  }

  // note: .bin holds 16-bit numbers where the vocabulary fits in them, else 32-bit ones, little-endian, nothing else.
  void finish() {
    if (path_.empty()) return flush_out();
    if (path_.ends_with(".npy")) {
      RawTensor array;
      array.name = "ids";
      array.dtype = "I32";
      array.shape = {count_};
      array.data = reinterpret_cast<const std::byte*>(all_.data());
      array.bytes = all_.size() * sizeof(int32_t);
      save_npy(path_, array);
      return;
    }
    AtomicFile file(path_);
    if (narrow_) {
      const std::vector<uint16_t> ids(all_.begin(), all_.end());
      file.write(ids.data(), ids.size() * sizeof(uint16_t));
    } else {
      file.write(all_.data(), all_.size() * sizeof(int32_t));
    }
    file.commit();
  }

  int64_t count() const { return count_; }

 private:
  std::string path_;
  bool narrow_;
  std::vector<int32_t> all_;
  int64_t count_ = 0;
};

std::vector<int32_t> ids_of_json(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& item : list.as_array()) {
    const int64_t id = item.as_integer();
    check_world(id >= 0 && id <= INT32_MAX, item.path(), ": an id must be from 0 to 2147483647; it is ", id);
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

std::vector<int32_t> ids_of_words(std::string_view text, const std::string& where) {
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(" \t\r\n,"); at < text.size();
       at = text.find_first_not_of(" \t\r\n,", at)) {
    const size_t end = std::min(text.find_first_of(" \t\r\n,", at), text.size());
    int32_t id = -1;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, id);
    check(error == std::errc() && stop == text.data() + end && id >= 0, where,
          ": ids must be numbers from 0 on; '", text.substr(at, end - at), "' is none");
    ids.push_back(id);
    at = end;
  }
  return ids;
}

std::vector<int32_t> ids_of_file(const std::string& path, int64_t vocab_size) {
  if (path.ends_with(".npy")) {
    const NpyArray array = load_npy(path);
    check_world(array.dtype == "I32" && array.shape.rank() == 1, path,
                ": must be one row of 32-bit integers; it is ", array.dtype, " with ", array.shape.rank(),
                " dimensions");
    const auto* ids = reinterpret_cast<const int32_t*>(array.data);
    return {ids, ids + array.bytes / sizeof(int32_t)};
  }
  const MappedFile file(path);
  const size_t width = vocab_size <= 65536 ? 2 : 4;
  check_world(file.size() % width == 0, path, ": must hold ids of ", width, " bytes each; it has ",
              file.size(), " bytes; it was written with another vocabulary or cut short");
  std::vector<int32_t> ids(file.size() / width);
  for (size_t i = 0; i < ids.size(); ++i) std::memcpy(&ids[i], file.data() + i * width, width);
  return ids;
}

}  // namespace

int run_tokenizer_encode(const Arguments& arguments) {
  std::string path;
  std::vector<std::string> texts;
  std::string input;
  std::string out;
  bool by_lines = false;
  EncodeArguments encode;
  TextFileOptions files;
  CommonOptions common;
  Args args("tokenizer encode", "Prints the ids of texts, a line each, or writes them into one file.");
  args.positional("DIR|FILE", path, "a run folder, a tokenizer's file or a GGUF file");
  args.positionals("TEXT", texts, "texts", false);
  args.text(
      "--input", input,
      std::string("instead of TEXT: a file, a folder of them, or - for standard input; of a .jsonl each line "
                  "is a text"));
  args.flag("--lines", by_lines, "each line of --input is a text");
  args.path("-o,--out", out,
            "file for all ids one after the other: .npy, or .bin with 16-bit numbers where they fit");
  encode.add(args);
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(texts.empty() != input.empty(), "tokenizer encode: give either texts or --input FILE");
  args.no_effect({{input.empty(), {"--lines"}, "without --input"},
                  {!common.json, {"--offsets"}, "without --json, which prints them"}});
  check(!common.json || out.empty(), "tokenizer encode: --json prints, -o writes; give one of them");
  if (!out.empty()) check_not_input(out, {path, path + "/" + kTokenizerFile});
  const Tokenizer tokenizer = open_tokenizer(path);
  const TokenNames names(common.json ? tokenizer : Tokenizer::bytes());
  IdWriter ids(out, tokenizer.vocab_size());
  const EncodeOptions options = encode.options();
  // Ids alone come sooner, but neither cut nor padded.
  const bool cuts = tokenizer.parts().truncation || tokenizer.parts().padding;
  int64_t bytes = 0;
  int64_t count = 0;
  const auto take = [&](const std::vector<TextItem>& items) {
    if (interrupted()) throw Interrupted{};
    std::vector<std::string> lines(common.json ? items.size() : 0);
    std::vector<std::vector<int32_t>> lists(common.json ? 0 : items.size());
    std::vector<std::string> errors(items.size());
    parallel_for(static_cast<int64_t>(items.size()), [&](int64_t index) {
      const auto i = static_cast<size_t>(index);
      try {
        if (common.json) {
          const Encoding encoding = tokenizer.encode_full(items[i].text, items[i].pair, options);
          lines[i] = json_line(encoding, items[i], encode.offset_unit == "char", names);
        } else if (items[i].pair || cuts) {
          lists[i] = tokenizer.encode_full(items[i].text, items[i].pair, options).ids;
        } else {
          lists[i] = tokenizer.encode(items[i].text, options);
        }
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    });
    for (size_t i = 0; i < items.size(); ++i) {
      const auto number = std::to_string(count + static_cast<int64_t>(i) + 1);
      check_world(errors[i].empty(), items[i].file ? items[i].where() : "text " + number, ": ", errors[i]);
      bytes += static_cast<int64_t>(items[i].text.size() + items[i].pair.value_or("").size());
      if (common.json) {
        print_out(lines[i]);
      } else {
        ids.add(lists[i]);
      }
    }
    count += static_cast<int64_t>(items.size());
  };
  if (input.empty()) {
    args.no_effect({{true, {"--text-key", "--force-text"}, "without --input"}});
    std::vector<TextItem> items;
    for (const std::string& text : texts) items.push_back({text});
    take(items);
  } else {
    check_lines(input, by_lines);
    TextReader reader({input}, files.options(by_lines));
    if (!out.empty()) check_not_input(out, reader.files());
    files.check_effect(args, reader.files());
    reader.for_batches(4096, take);
    if (!common.quiet && !reader.passed_over().empty()) say("note   " + reader.passed_over());
  }
  ids.finish();
  flush_out();
  if (!common.quiet && !common.json) {
    say((out.empty() ? "" : "wrote  " + out + ": ") + std::to_string(ids.count()) + " ids of " +
        std::to_string(count) + (count == 1 ? " text, " : " texts, ") +
        bytes_text(static_cast<double>(bytes)) + ", tokenizer " + tokenizer.kind());
  }
  return 0;
}

int run_tokenizer_decode(const Arguments& arguments) {
  std::string path;
  std::vector<std::string> words;
  std::string input;
  bool skip_special = false;
  CommonOptions common;
  Args args("tokenizer decode", "Prints the text of ids.");
  args.positional("DIR|FILE", path, "a run folder, a tokenizer's file or a GGUF file");
  args.positionals("ID", words, "ids", false);
  args.text("--input", input,
            "a file instead: .npy or .bin as encode writes them, .jsonl with an array of ids a line, or ids "
            "as text (- for standard input)");
  args.flag("--skip-special", skip_special, "leave out special tokens");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(words.empty() != input.empty(), "tokenizer decode: give either ids or --input FILE");
  const Tokenizer tokenizer = open_tokenizer(path);
  const auto give = [&](const std::vector<int32_t>& ids, bool line_end) {
    const std::string text = tokenizer.decode(ids, {skip_special, common.json});
    print_out(common.json ? Json(replace_invalid_utf8(text)).dump() + "\n" : line_end ? text + "\n" : text);
  };
  if (input.empty()) {
    std::string joined;
    for (const std::string& word : words) joined += word + " ";
    give(ids_of_words(joined, "tokenizer decode"), true);
  } else if (input.ends_with(".jsonl")) {
    const MappedFile file(input);
    for (LineReader lines(file.text()); lines.next();)
      give(ids_of_json(Json::parse(lines.line(), input + ":" + std::to_string(lines.number()))), true);
  } else if (input.ends_with(".npy") || input.ends_with(".bin")) {
    give(ids_of_file(input, tokenizer.vocab_size()), false);
  } else {
    const bool typed = input == "-";
    const std::string words_of_file =
        typed ? read_descriptor(STDIN_FILENO, "standard input", stop_where_interrupted)
              : read_file(input, stop_where_interrupted);
    give(ids_of_words(words_of_file, typed ? "standard input" : input), false);
  }
  flush_out();
  return 0;
}

int run_tokenizer_show(const Arguments& arguments) {
  std::string path;
  std::string text;
  std::string input;
  EncodeArguments encode;
  TextFileOptions files;
  CommonOptions common;
  Args args(
      "tokenizer show",
      "Shows the tokens of a text: their ids, their places in the text, and how the vocabulary writes them.");
  args.positional("DIR|FILE", path, "a run folder, a tokenizer's file or a GGUF file");
  args.positional("TEXT", text, "the text", false);
  args.text(
      "--input", input,
      "instead of TEXT: a file, a folder of them, or - for standard input; of a .jsonl each line is a text");
  encode.add(args);
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(input.empty() != text.empty(), "tokenizer show: give TEXT or --input FILE",
        text.empty() ? "" : ", not both");
  const Tokenizer tokenizer = open_tokenizer(path);
  const auto take = [&](const std::vector<TextItem>& items) {
    for (const TextItem& item : items) {
      const Encoding encoding =
          naming(item, [&] { return tokenizer.encode_full(item.text, item.pair, encode.options()); });
      if (common.json) {
        print_out(json_line(encoding, item, encode.offset_unit == "char", TokenNames(tokenizer)));
        continue;
      }
      std::optional<CharacterPlaces> places;
      if (encode.offset_unit == "char") places.emplace(item.text);
      for (size_t i = 0; i < encoding.ids.size(); ++i) {
        TextRange at = encoding.offsets[i];
        if (places && encoding.sequence[i] == 0) at = places->of(at);
        std::string id = std::to_string(encoding.ids[i]);
        std::string range = std::to_string(at.begin) + "-" + std::to_string(at.end);
        if (encoding.special[i] != 0) range = "added";
        id.insert(0, id.size() < 7 ? 7 - id.size() : 0, ' ');
        range.resize(std::max<std::size_t>(range.size(), 11), ' ');
        print_out(id + "  " + range + "  " + in_one_line(tokenizer.token_text(encoding.ids[i])) + "\n");
      }
      flush_out();
      if (!common.quiet) {
        say(std::to_string(encoding.ids.size()) + " tokens for " + std::to_string(item.text.size()) +
            " bytes, tokenizer " + tokenizer.kind());
      }
    }
  };
  if (input.empty()) {
    args.no_effect({{true, {"--text-key", "--force-text"}, "without --input"}});
    take({{text}});
  } else {
    TextReader reader({input}, files.options());
    files.check_effect(args, reader.files());
    reader.for_batches(1, take);
  }
  flush_out();
  return 0;
}

}  // namespace gradus::tools
