#include "tokenizer/training/train.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/stages/splitters.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/subword/char_model.hpp"
#include "tokenizer/subword/unigram_model.hpp"
#include "tokenizer/subword/wordpiece_model.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/space_mark.hpp"
#include "tokenizer/text/split_text.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/bpe_trainer.hpp"
#include "tokenizer/training/spm_bpe_trainer.hpp"
#include "tokenizer/training/unigram_trainer.hpp"
#include "tokenizer/training/word_counts.hpp"
#include "tokenizer/training/wordpiece_trainer.hpp"

namespace gradus {
namespace {

// Progress over several stages, each counting what it likes: the documents' bytes, a part of them for each stage.
class Stages {
 public:
  Stages(const ProgressFn& progress, std::span<const std::string_view> documents) : progress_(progress) {
    for (const std::string_view document : documents) bytes_ += static_cast<int64_t>(document.size());
  }
  void read(int64_t bytes) {
    if (progress_) progress_(bytes, 2 * bytes_);
  }
  ProgressFn training() const {
    if (!progress_) return {};
    return [this](int64_t done, int64_t total) {
      progress_(bytes_ + (total == 0
                              ? 0
                              : static_cast<int64_t>(static_cast<double>(bytes_) * static_cast<double>(done) /
                                                     static_cast<double>(total))),
                2 * bytes_);
    };
  }
  int64_t bytes() const { return bytes_; }

 private:
  const ProgressFn& progress_;
  int64_t bytes_ = 0;
};

WordCounts count_words(std::span<const std::string_view> documents, const CutFn& cut, const SplitFn& split,
                       const TokenizerTraining& options, const TrainingMemory& memory, Stages& stages) {
  constexpr size_t kBatchBytes = size_t{32} << 20;
  WordCounter counter(cut, {split, options.memory_bytes, memory});
  int64_t done = 0;
  stages.read(0);
  for (size_t first = 0; first < documents.size();) {
    size_t last = first;
    size_t bytes = 0;
    while (last < documents.size() && (last == first || bytes + documents[last].size() <= kBatchBytes)) {
      bytes += documents[last++].size();
    }
    counter.add(documents.subspan(first, last - first));
    done += static_cast<int64_t>(bytes);
    stages.read(done);
    first = last;
  }
  return counter.finish();
}

// What training may still take beside the words that were counted.
int64_t memory_left(const TokenizerTraining& options, const WordCounts& counts) {
  return options.memory_bytes == 0 ? 0 : std::max<int64_t>(1, options.memory_bytes - counts.table.bytes());
}

// What of the text is not in the vocabulary's statistics.
std::string dropped_note(const WordCounts& counts) {
  if (counts.dropped_occurrences == 0) return {};
  const double all = static_cast<double>(counts.occurrences + counts.dropped_occurrences);
  return detail::join("train_tokenizer: to keep to the memory allowed, ", counts.dropped_occurrences,
                      " occurrences of rare words (",
                      100.0 * static_cast<double>(counts.dropped_occurrences) / all,
                      " % of all) were not counted; allow more memory");
}

std::string join_notes(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + "\n" + b;
}

std::string size_note(const char* name, int64_t size, int64_t asked, const char* why) {
  if (size >= asked) return {};
  return detail::join(name, ": the vocabulary has ", size, " entries, not the ", asked, " asked for: ", why,
                      "; give more text or ask for less");
}

std::string characters_note(std::span<const DroppedChar> dropped) {
  if (dropped.empty()) return {};
  int64_t occurrences = 0;
  for (const DroppedChar& one : dropped) occurrences += one.count;
  return detail::join("train_tokenizer: ", dropped.size(), " rare characters with ", occurrences,
                      " occurrences are not in the vocabulary, the most frequent of them ",
                      describe_char(dropped.front().c));
}

// The vocabulary must hold what it begins with, and more.
void check_vocab_size(const TokenizerTraining& options, size_t fixed, const char* what) {
  check(options.vocab_size > static_cast<int64_t>(fixed) && options.vocab_size <= INT32_MAX,
        "train_tokenizer: the vocabulary must have more than ", fixed, " entries, ", what, "; ",
        options.vocab_size, " was asked for; give a larger number, such as 8000");
}

// Where a special token stands that the kind cannot do without.
size_t needed_token(const TokenizerTraining& options, std::string_view name) {
  const auto found = std::find(options.special.begin(), options.special.end(), name);
  check(found != options.special.end(), "train_tokenizer: the kind ", options.kind, " needs ", name,
        " among its special tokens; name it");
  return static_cast<size_t>(found - options.special.begin());
}

// ---- Byte-level BPE ----

void cut_gpt2(std::string_view text, WordCountTable& words) {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const char* next = gpt2_word_end(at, end);
    words.add({at, static_cast<size_t>(next - at)});
    at = next;
  }
}

Tokenizer train_bpe(std::span<const std::string_view> documents, const TokenizerTraining& options,
                    Stages& stages) {
  const auto specials = static_cast<int64_t>(options.special.size());
  check(options.vocab_size >= 256 + specials && options.vocab_size <= INT32_MAX,
        "train_bpe: the vocabulary must have at least ", 256 + specials, " entries, the 256 bytes and ",
        specials == 1 ? options.special[0] : std::to_string(specials) + " special tokens",
        ", and at most 2147483647; ", options.vocab_size,
        " was asked for; give a number between, such as 2048");
  BpeTrainingOptions training_options;
  training_options.vocab_size = options.vocab_size - specials;
  training_options.progress = stages.training();
  for (const std::string& name : options.special) {
    if (auto bytes = text_to_bytes(name)) training_options.excluded.push_back(std::move(*bytes));
  }
  const WordCounts counts =
      count_words(documents, cut_gpt2, split_at_line, options, bpe_training_memory(training_options), stages);
  training_options.memory_bytes = memory_left(options, counts);
  BpeTraining training = train_byte_bpe(counts.words, training_options);
  const auto size = static_cast<int64_t>(training.tokens.size()) + specials;
  const std::string note = size_note("train_bpe", size, options.vocab_size,
                                     "no pair of neighbouring tokens occurs twice any more");
  BpeParts bpe;
  for (const std::string& token : training.tokens) bpe.tokens.push_back(bytes_to_text(token));
  for (const BpeTraining::Merge& merge : training.merges) {
    bpe.merges.push_back({merge.left, merge.right, merge.result, static_cast<uint32_t>(bpe.merges.size())});
  }
  std::vector<AddedToken> added = special_tokens(options.special, static_cast<int32_t>(bpe.tokens.size()));
  // Other libraries look for them in the vocabulary too.
  for (const AddedToken& token : added) bpe.tokens.push_back(token.content);
  return Tokenizer(assemble(std::make_shared<const BpeModel>(std::move(bpe)), std::move(added), {},
                            preset(kByteLevelWords), preset(kByteLevelPost), preset(kByteLevelDecoder)),
                   join_notes(note, dropped_note(counts)));
}

// ---- The SentencePiece kinds ----

// Words as SentencePiece sees them, cut at white space, with the mark of a space before them: each, or, where the text is
// to come back as it was, those that a space is before; there no word holds the mark itself.
void cut_marked(std::string_view text, bool exact, WordCountTable& words) {
  const std::string mark(kSpaceText);
  std::string word = exact ? "" : mark;
  const auto take = [&](bool marked) {
    if (!word.empty() && word != mark) words.add(word);
    word = marked ? mark : "";
  };
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    check_world(length > 0, "train_tokenizer: the text must be UTF-8 for a tokenizer of characters; byte ",
                at, " of a part of it begins no character; convert the text, or train the kind bpe");
    if (char_class(c) == CharClass::space || (exact && c == kSpaceMark)) {
      take(!exact || c == U' ');
    } else {
      word.append(text, at, static_cast<size_t>(length));
    }
    at += static_cast<size_t>(length);
  }
  take(false);
}

bool is_exact(const TokenizerTraining& options) { return options.spaces == TokenizerTraining::Spaces::exact; }

// Special tokens, then the 256 bytes, then what was learned.
struct PieceVocabulary {
  std::vector<std::string> tokens;
  std::vector<double> scores;
  size_t first_piece = 0;
};

PieceVocabulary lay_out_pieces(const TokenizerTraining& options, const PieceTraining& training) {
  PieceVocabulary vocabulary;
  const auto add = [&](std::string token, double score) {
    vocabulary.tokens.push_back(std::move(token));
    vocabulary.scores.push_back(score);
  };
  for (const std::string& name : options.special) add(name, 0);
  for (int byte = 0; byte < 256; ++byte) add(byte_token(byte), 0);
  vocabulary.first_piece = vocabulary.tokens.size();
  for (const ScoredPiece& piece : training.pieces) {
    add(is_exact(options) ? replace_all(piece.text, kSpaceText, " ") : piece.text,
        static_cast<double>(piece.score));
  }
  return vocabulary;
}

int64_t piece_places(const TokenizerTraining& options) {
  const size_t fixed = options.special.size() + 256;
  check_vocab_size(options, fixed, "the 256 bytes and the special tokens");
  needed_token(options, "<unk>");
  return options.vocab_size - static_cast<int64_t>(fixed);
}

std::string piece_notes(const std::string& kind, const PieceTraining& training, const WordCounts& counts) {
  const std::string name = kind == "unigram" ? "train_unigram: " : "train_spm_bpe: ";
  const std::string note = training.note.empty() ? "" : name + training.note;
  return join_notes(join_notes(note, characters_note(training.dropped)), dropped_note(counts));
}

void check_memory(int64_t needed, const TokenizerTraining& options) {
  if (options.memory_bytes == 0 || needed <= options.memory_bytes) return;
  fail_world("train_tokenizer: training needs ", needed, " bytes for the words that were counted; ",
             options.memory_bytes, " are allowed; allow more");
}

struct TrainedPieces {
  PieceVocabulary vocabulary;
  std::string note;
};

// Counts words and trains pieces on them: bytes_needed(words, training_options) tells the memory, of which each word takes
// `per_word` and each of its bytes `per_byte`.
template <class Options>
TrainedPieces train_pieces(std::span<const std::string_view> documents, const TokenizerTraining& options,
                           Stages& stages, int64_t per_word, int64_t per_byte,
                           int64_t (*bytes_needed)(std::span<const CountedWord>, const Options&),
                           PieceTraining (*train)(std::span<const CountedWord>, const Options&,
                                                  const ProgressFn&)) {
  Options training_options;
  training_options.places = piece_places(options);
  const bool exact = is_exact(options);
  for (const std::string& name : options.special) {
    if (exact && name.find(kSpaceText) != std::string::npos) continue;  // no piece holds one
    training_options.rules.excluded.push_back(exact ? replace_all(name, " ", kSpaceText) : name);
  }
  const CutFn cut = [exact](std::string_view text, WordCountTable& words) { cut_marked(text, exact, words); };
  const TrainingMemory memory{bytes_needed({}, training_options), per_word, per_byte};
  const WordCounts counts = count_words(documents, cut, split_at_space, options, memory, stages);
  check_memory(bytes_needed(counts.words, training_options), options);
  const PieceTraining training = train(counts.words, training_options, stages.training());
  return {lay_out_pieces(options, training), piece_notes(options.kind, training, counts)};
}

Tokenizer assemble_pieces(std::shared_ptr<const SubwordModel> model, std::vector<AddedToken> added,
                          const Json& post, const TokenizerTraining& options, const std::string& note) {
  if (is_exact(options)) {
    return Tokenizer(assemble(std::move(model), std::move(added), {}, preset(kSpacedWords), post,
                              preset(kByteFallbackDecoder)),
                     note);
  }
  return Tokenizer(assemble(std::move(model), std::move(added), preset(kMarkedSpaces), {}, post,
                            sentencepiece_decoder("", "", true)),
                   note);
}

Tokenizer train_spm_bpe_kind(std::span<const std::string_view> documents, const TokenizerTraining& options,
                             Stages& stages) {
  auto [vocabulary, note] = train_pieces<SpmBpeTrainingOptions>(documents, options, stages, 32, 40,
                                                                spm_bpe_training_bytes, train_spm_bpe);
  BpeParts bpe;
  bpe.byte_level = false;
  bpe.order = BpeParts::Order::scores;
  bpe.tokens = std::move(vocabulary.tokens);
  bpe.scores.assign(vocabulary.scores.begin(), vocabulary.scores.end());
  bpe.in_merges.assign(bpe.tokens.size(), true);
  std::fill_n(bpe.in_merges.begin(), vocabulary.first_piece, false);
  bpe.unk_token = "<unk>";
  bpe.fuse_unk = true;
  bpe.byte_fallback = true;
  // A tokenizer.json holds a list of merges, so that is what the tokenizer goes by from the beginning.
  const auto list = BpeModel(bpe).merge_list();
  TokenTable ids(bpe.tokens.size());
  ids.insert_all(bpe.tokens, [](size_t) { return true; });
  for (const auto& [left, right] : list) {
    const int32_t result =
        ids.find(bpe.tokens[static_cast<size_t>(left)] + bpe.tokens[static_cast<size_t>(right)]);
    bpe.merges.push_back({left, right, result, static_cast<uint32_t>(bpe.merges.size())});
  }
  bpe.order = BpeParts::Order::merges;
  bpe.scores.clear();
  bpe.in_merges.clear();
  std::vector<AddedToken> added = special_tokens(options.special, 0);
  const Json post = template_json(added, "<s>", "");
  return assemble_pieces(std::make_shared<const BpeModel>(std::move(bpe)), std::move(added), post, options,
                         note);
}

Tokenizer train_unigram_kind(std::span<const std::string_view> documents, const TokenizerTraining& options,
                             Stages& stages) {
  auto [vocabulary, note] = train_pieces<UnigramTrainingOptions>(documents, options, stages, 32, 250,
                                                                 unigram_training_bytes, train_unigram);
  std::vector<std::pair<std::string, double>> pieces;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    pieces.emplace_back(std::move(vocabulary.tokens[id]), vocabulary.scores[id]);
  }
  std::vector<AddedToken> added = special_tokens(options.special, 0);
  const auto unknown = static_cast<int32_t>(needed_token(options, "<unk>"));
  const Json post = template_json(added, "", "</s>");
  return assemble_pieces(std::make_shared<const UnigramModel>(std::move(pieces), unknown, true),
                         std::move(added), post, options, note);
}

// ---- WordPiece and words ----

CutFn cutter(const Json& normalizer, const char* pre_tokenizer) {
  const auto normalize = read_normalizer(normalizer);
  const auto cut = read_pre_tokenizer(preset(pre_tokenizer));
  return [normalize, cut](std::string_view text, WordCountTable& words) {
    AlignedText aligned(text, 0, false);
    if (normalize != nullptr) normalize->apply(aligned);
    const auto size = static_cast<uint32_t>(aligned.text().size());
    PreTokenized parts{std::move(aligned), {}};
    if (size > 0) parts.words.push_back({0, size});
    cut->apply(parts);
    for (const ByteSpan word : parts.words)
      words.add(parts.text.text().substr(word.begin, word.end - word.begin));
  };
}

Tokenizer train_wordpiece_kind(std::span<const std::string_view> documents, const TokenizerTraining& options,
                               Stages& stages) {
  needed_token(options, "[UNK]");
  check_vocab_size(options, options.special.size(), "the special tokens");
  WordPieceTrainingOptions training_options;
  training_options.vocab_size = options.vocab_size;
  training_options.special_tokens = options.special;
  training_options.progress = stages.training();
  const WordCounts counts = count_words(documents, cutter(bert_normalizer(true), kBertWords), split_at_line,
                                        options, bpe_training_memory(training_options), stages);
  training_options.memory_bytes = memory_left(options, counts);
  WordPieceTraining training = train_wordpiece(counts.words, training_options);
  std::vector<DroppedChar> dropped = std::move(training.dropped);
  std::sort(dropped.begin(), dropped.end(), [](const auto& a, const auto& b) { return a.count > b.count; });
  const auto size = static_cast<int64_t>(training.tokens.size());
  std::string note = size_note("train_wordpiece", size, options.vocab_size,
                               "no pair of neighbouring pieces occurs twice any more");
  note = join_notes(note, join_notes(characters_note(dropped), dropped_note(counts)));
  std::vector<AddedToken> added = special_tokens(options.special, 0);
  const Json post = template_json(added, "[CLS]", "[SEP]");
  auto model = std::make_shared<const WordPieceModel>(WordVocabulary(std::move(training.tokens)),
                                                      WordPieceModel::Options{});
  return Tokenizer(assemble(std::move(model), std::move(added), bert_normalizer(true), preset(kBertWords),
                            post, preset(kWordPieceDecoder)),
                   note);
}

Tokenizer train_words(std::span<const std::string_view> documents, const TokenizerTraining& options,
                      Stages& stages) {
  needed_token(options, "<unk>");
  check_vocab_size(options, options.special.size(), "the special tokens");
  WordCounts counts =
      count_words(documents, cutter({}, kWhitespaceWords), split_at_line, options, {}, stages);
  std::stable_sort(counts.words.begin(), counts.words.end(),
                   [](const CountedWord& a, const CountedWord& b) { return a.count > b.count; });
  std::vector<std::string> tokens = options.special;
  int64_t unknown = 0;
  for (const CountedWord& word : counts.words) {
    const bool taken =
        std::find(options.special.begin(), options.special.end(), word.bytes) != options.special.end();
    if (static_cast<int64_t>(tokens.size()) < options.vocab_size && !taken) {
      tokens.emplace_back(word.bytes);
    } else {
      unknown += word.count;
    }
  }
  std::string note = size_note("train_words", static_cast<int64_t>(tokens.size()), options.vocab_size,
                               "the text has no more different words");
  if (unknown > 0) {
    note = join_notes(note, detail::join("train_tokenizer: ", unknown, " of ", counts.occurrences,
                                         " words of the text are not in the vocabulary"));
  }
  auto model = std::make_shared<const WordLevelModel>(WordVocabulary(std::move(tokens)), "<unk>");
  return Tokenizer(
      assemble(std::move(model), special_tokens(options.special, 0), {}, preset(kWhitespaceWords), {}, {}),
      join_notes(note, dropped_note(counts)));
}

// What the vocabulary of a kind begins with cannot be a special token as well: text is made of it.
void check_special(const TokenizerTraining& options, const std::string& name) {
  const std::string& kind = options.kind;
  const auto refuse = [&](const char* what) {
    fail("train_tokenizer: a special token must not be what text is made of; '", name, "' is ", what,
         " in a vocabulary of the kind ", kind, "; give it another text, such as <|", name, "|>");
  };
  check(all_utf8(name), "train_tokenizer: special tokens must be UTF-8; '", name, "' is not");
  if (kind == "bpe" && text_to_bytes(name).value_or("").size() == 1) refuse("a byte");
  const bool pieces = kind == "spm-bpe" || kind == "unigram";
  if (pieces && byte_of_token(name)) refuse("a byte");
  if (pieces && single_char(name)) refuse("a character");
  // Where spaces are written so, ordinary words look like it.
  if (kind == "unigram" && !is_exact(options) && name.find(kSpaceText) != std::string::npos)
    refuse("a word with its space");
  if (kind != "wordpiece") return;
  const bool inside = name.starts_with("##") && name.size() > 2;
  if (single_char(inside ? std::string_view(name).substr(2) : name)) refuse("a character");
}

Tokenizer train_char_kind(std::span<const std::string_view> documents, const TokenizerTraining&, Stages&) {
  std::string whole;
  for (const std::string_view document : documents) whole += document;
  return Tokenizer::train_char(whole);
}

// The kinds, one a row: the special tokens that each has where none are named, and how it is trained.
struct Kind {
  const char* name;
  std::vector<std::string> (*special)();
  Tokenizer (*train)(std::span<const std::string_view> documents, const TokenizerTraining& options,
                     Stages& stages);
};

using Names = std::vector<std::string>;

constexpr Kind kKinds[] = {
    {"bpe", [] { return special_token_preset("gpt"); }, train_bpe},
    {"spm-bpe", [] { return special_token_preset("llama"); }, train_spm_bpe_kind},
    {"unigram", [] { return special_token_preset("llama"); }, train_unigram_kind},
    {"wordpiece", [] { return special_token_preset("bert"); }, train_wordpiece_kind},
    {"words", [] { return Names{"<unk>"}; }, train_words},
    {"char", [] { return Names(); }, train_char_kind},
    {"byte", [] { return Names(); }, [](auto, const auto&, auto&) { return Tokenizer::bytes(); }},
};

}  // namespace

std::vector<std::string> tokenizer_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

std::vector<std::string> special_token_preset(std::string_view name) {
  if (name == "gpt") return {std::string(kEndOfText)};
  if (name == "bert") return bert_special_tokens();
  if (name == "llama") return {"<unk>", "<s>", "</s>"};
  return {};
}

Tokenizer train_tokenizer(std::span<const std::string_view> documents, const TokenizerTraining& options,
                          const ProgressFn& progress) {
  const auto* known = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const Kind& kind) { return options.kind == kind.name; });
  if (known == std::end(kKinds)) {
    std::string names;
    for (const std::string& name : tokenizer_kinds()) names += (names.empty() ? "" : ", ") + name;
    fail("train_tokenizer: the kind must be one of ", names, "; it is '", options.kind, "'");
  }
  TokenizerTraining filled = options;
  if (filled.special.empty()) filled.special = known->special();
  check(filled.special.empty() || !known->special().empty(), "train_tokenizer: a tokenizer of the kind ",
        options.kind, " has no special tokens; leave them out");
  for (size_t i = 0; i < filled.special.size(); ++i) {
    const auto begin = filled.special.begin();
    check(!filled.special[i].empty() && std::find(begin, begin + static_cast<int64_t>(i),
                                                  filled.special[i]) == begin + static_cast<int64_t>(i),
          "train_tokenizer: special tokens must differ and have a text; '", filled.special[i],
          "' stands twice or is empty");
    check_special(filled, filled.special[i]);
  }
  Stages stages(progress, documents);
  return known->train(documents, filled, stages);
}

// ---- What the handle offers by itself ----

Tokenizer Tokenizer::train_char(std::string_view text) {
  return Tokenizer(
      assemble(CharModel::train(text), {}, {}, preset(kCharacterSplit), {}, preset(kFuseDecoder)));
}

Tokenizer Tokenizer::bytes() {
  BpeParts bpe;
  for (int byte = 0; byte < 256; ++byte)
    bpe.tokens.push_back(bytes_to_text(std::string(1, static_cast<char>(byte))));
  return Tokenizer(assemble(std::make_shared<const BpeModel>(std::move(bpe)), {}, {}, preset(kByteLevelWords),
                            preset(kByteLevelPost), preset(kByteLevelDecoder)));
}

Tokenizer Tokenizer::train_bpe(std::span<const std::string_view> documents, int64_t vocab_size,
                               const ProgressFn& progress) {
  return train_tokenizer(documents, {"bpe", vocab_size, {}, 0}, progress);
}

}  // namespace gradus
