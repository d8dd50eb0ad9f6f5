// gradus tokenizer train: learns a tokenizer from text.

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>

#include "tensor/error.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/train.hpp"
#include "tools/text_options.hpp"
#include "tools/tokenizer.hpp"

namespace gradus::tools {
namespace {

// An error naming the first byte that is not UTF-8.
void check_utf8(const std::string& file, std::string_view text, const std::string& kind) {
  const size_t utf8 = utf8_prefix(text);
  check_world(utf8 == text.size(), file, ": must be UTF-8 for a tokenizer of the kind ", kind, "; byte ",
              utf8, " begins no character; convert the file, or train the kind bpe, which takes any bytes");
}

// Names separated by commas, or of a preset.
std::vector<std::string> parse_special(const std::string& text) {
  std::vector<std::string> names = special_token_preset(text);
  if (!names.empty() || text.empty()) return names;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

}  // namespace

int run_tokenizer_train(const Arguments& arguments) {
  std::vector<std::string> paths;
  std::string out;
  std::string special;
  std::string memory;
  std::string spaces = "exact";
  TokenizerTraining training;
  training.vocab_size = 8000;
  TextFileOptions text_files;
  CommonOptions common;
  Args args("tokenizer train", "Learns a tokenizer from text and writes it as a tokenizer.json.");
  args.positionals("TEXT", paths,
                   "text files, folders of them, or - for standard input; of a .jsonl each line is a text");
  args.choice("--kind", training.kind, tokenizer_kinds(),
              "bpe: pairs of bytes, as GPT has it; spm-bpe: of characters, as Llama 2; unigram: by "
              "probability, as T5; "
              "wordpiece: as BERT; words: at white space");
  args.integer("--vocab-size", training.vocab_size, "tokens in all");
  args.text("--special", special,
            "special tokens, separated by commas, or gpt (<|endoftext|>), bert "
            "([PAD],[UNK],[CLS],[SEP],[MASK]), llama "
            "(<unk>,<s>,</s>); left out: those of the kind");
  args.choice(
      "--spaces", spaces, {"exact", "sentencepiece"},
      "of spm-bpe and unigram. exact: tokens hold their spaces, and any text comes back as it was; "
      "sentencepiece: as in Llama 2 and T5, written \u2581 and with one more before a text, so that the "
      "tokenizer can become a .model");
  args.text("--memory", memory, "the most that counting and training may take beside the text, such as 2GB");
  args.path("-o,--out", out, "file to write");
  text_files.add(args);
  common.add(args);
  args.footer("gradus convert writes the result in other formats.");
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!out.empty(), "tokenizer train: -o FILE must be given");
  const bool fixed_size = training.kind == "char" || training.kind == "byte";
  const bool pieces = training.kind == "spm-bpe" || training.kind == "unigram";
  args.no_effect(
      {{fixed_size,
        {"--vocab-size", "--special", "--memory"},
        "with --kind " + training.kind + ", which has as many tokens as it needs and counts nothing"},
       {!pieces,
        {"--spaces"},
        "with --kind " + training.kind + ", whose spaces are always exact or left out"}});
  if (spaces == "sentencepiece") training.spaces = TokenizerTraining::Spaces::sentencepiece;
  training.special = parse_special(special);
  training.memory_bytes = memory.empty() ? 0 : parse_bytes(memory, "--memory");
  TextReader reader(paths, text_files.options());
  const std::vector<std::string>& files = reader.files();
  text_files.check_effect(args, files);
  check_not_input(out, files);
  std::vector<std::string_view> documents;
  const bool takes_bytes = training.kind == "bpe" || training.kind == "byte";
  for (const TextItem& item : reader.all()) {
    if (!takes_bytes) check_utf8(item.where(), item.text, training.kind);
    documents.push_back(item.text);
    if (item.pair) documents.push_back(*item.pair);
  }
  if (!common.quiet && !reader.passed_over().empty()) say("note   " + reader.passed_over());
  int64_t bytes = 0;
  for (const std::string_view document : documents) bytes += static_cast<int64_t>(document.size());
  check_world(bytes > 0, files.front(), ": the text must not be empty; there is none in ", files.size(),
              files.size() == 1 ? " file" : " files");
  if (!common.quiet) {
    say("train  " + training.kind + (fixed_size ? "" : ":" + std::to_string(training.vocab_size)) + " on " +
        bytes_text(static_cast<double>(bytes)) + " in " + std::to_string(files.size()) +
        (files.size() == 1 ? " file" : " files"));
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  const Tokenizer tokenizer = train_tokenizer(documents, training, [&](int64_t done, int64_t total) {
    if (interrupted()) throw Interrupted{};
    if (common.quiet || total <= 0 || done <= 0) return;
    const double part = static_cast<double>(done) / static_cast<double>(total);
    status("tokenizer  " + std::to_string(static_cast<int>(100 * part)) + " %, " +
           duration_text(elapsed() * (1 - part) / part) + " left");
  });
  save_tokenizer_as(tokenizer, out, TokenizerFormat::tokenizer_json);
  if (common.json) {
    print_json(Json::object()
                   .set("file", replace_invalid_utf8(out))
                   .set("kind", tokenizer.kind())
                   .set("vocab_size", tokenizer.vocab_size())
                   .set("bytes", bytes)
                   .set("seconds", elapsed())
                   .set("note", tokenizer.training_note()));
  }
  if (!common.quiet) {
    if (!tokenizer.training_note().empty()) say("note   " + tokenizer.training_note());
    say("wrote  " + out + ": " + tokenizer.kind() + ", " + std::to_string(tokenizer.vocab_size()) +
        " tokens, in " + duration_text(elapsed()) + "; see it cut a text with: gradus tokenizer show " + out +
        " 'some text'");
  }
  return 0;
}

}  // namespace gradus::tools
