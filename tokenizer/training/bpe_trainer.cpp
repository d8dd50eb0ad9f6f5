#include "tokenizer/training/bpe_trainer.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/pair_merger.hpp"

namespace gradus {
namespace {

constexpr int64_t kMostText = int64_t{1} << 30;  // bytes of all tokens

// What both trainers do after the first tokens: merges until the vocabulary is full. spell(left, right) gives the id of
// the two tokens' join, which is new if it equals the number of tokens made so far; may_merge(left, right) says whether
// they may be joined.
template <class MayMerge, class Spell>
std::vector<BpeTraining::Merge> learn_merges(bpe::PairMerger& merger, const BpeTrainingOptions& options,
                                             int64_t first, MayMerge&& may_merge, Spell&& spell) {
  std::vector<BpeTraining::Merge> merges;
  int64_t made = first;
  int64_t reported = first;
  int64_t text = 0;
  const auto report = [&](int64_t done) {
    if (options.progress) options.progress(done, options.vocab_size);
  };
  report(first);
  while (made < options.vocab_size) {
    const auto best = merger.take_best();
    if (!best) break;
    const int32_t left = merger.token_of(best->left);
    const int32_t right = merger.token_of(best->right);
    if (!may_merge(left, right)) continue;
    const auto [token, bytes] = spell(left, right);
    merges.push_back({left, right, token});
    merger.merge(*best, token);
    if (token == made) {
      ++made;
      text += bytes;
      check_world(text <= kMostText, options.name, ": the tokens must have fewer than ", kMostText,
                  " bytes in all; the first ", made, " have ", text, "; set max_token_length");
    }
    if ((made - reported) * 100 >= options.vocab_size - first) {
      reported = made;
      report(made);
    }
  }
  report(options.vocab_size);
  return merges;
}

void check_options(const BpeTrainingOptions& options, int64_t bytes_of_words) {
  check(options.vocab_size <= std::numeric_limits<int32_t>::max(), options.name,
        ": vocab_size must be below 2^31; it is ", options.vocab_size);
  check(options.min_frequency >= 0, options.name, ": min_frequency must not be negative; it is ",
        options.min_frequency);
  check(options.max_token_length >= 0, options.name, ": max_token_length must not be negative; it is ",
        options.max_token_length);
  check(options.memory_bytes >= 0, options.name, ": memory_bytes must not be negative; it is ",
        options.memory_bytes);
  check_world(options.memory_bytes == 0 || bytes_of_words <= options.memory_bytes, options.name,
              ": these words need ", bytes_of_words, " bytes of memory to train on; ", options.memory_bytes,
              " are given; give more, or drop rare words");
}

}  // namespace

BpeTraining train_byte_bpe(std::span<const CountedWord> words, const BpeTrainingOptions& options) {
  check_options(options, bpe_training_bytes(words, options));
  check(options.vocab_size >= 256, "train_bpe: vocab_size must be at least 256, the bytes; it is ",
        options.vocab_size);
  BpeTraining training;
  std::array<int32_t, 256> ids{};
  for (size_t id = 0; id < 256; ++id) {
    ids[byte_order()[id]] = static_cast<int32_t>(id);
    training.tokens.emplace_back(1, static_cast<char>(byte_order()[id]));
  }
  bpe::PairMerger merger(bpe::lay_out(words, total_bytes(words), options,
                                      [&](const CountedWord& word, std::vector<int32_t>& places) {
                                        for (const char byte : word.bytes)
                                          places.push_back(ids[static_cast<uint8_t>(byte)]);
                                      }),
                         256, options);
  // No two pairs spell the same bytes: wherever these stand with nothing merged across their ends, all merges so far
  // have cut them alike.
  const auto joined = [&](int32_t left, int32_t right) {
    return training.tokens[static_cast<size_t>(left)] + training.tokens[static_cast<size_t>(right)];
  };
  const auto may_merge = [&](int32_t left, int32_t right) {
    const auto& excluded = options.excluded;
    return excluded.empty() ||
           std::find(excluded.begin(), excluded.end(), joined(left, right)) == excluded.end();
  };
  training.merges = learn_merges(merger, options, 256, may_merge, [&](int32_t left, int32_t right) {
    const auto id = static_cast<int32_t>(training.tokens.size());
    training.tokens.push_back(joined(left, right));
    return std::pair(id, static_cast<int64_t>(training.tokens.back().size()));
  });
  return training;
}

namespace {

// Calls visit(character, whether it is the last) for each character of a word.
template <class Visit>
void visit_characters(std::string_view word, const BpeTrainingOptions& options, Visit&& visit) {
  const char* at = word.data();
  const char* const end = at + word.size();
  while (at < end) {
    char32_t c = 0;
    const int length = decode_utf8(at, end, c);
    check_world(length > 0, options.name, ": the words must be UTF-8; byte ", at - word.data(), " of \"",
                word, "\" is not; train on bytes or clean the text");
    at += length;
    visit(c, at == end);
  }
}

std::string utf8(char32_t c) {
  std::string text;
  append_utf8(c, text);
  return text;
}

// The tokens made so far, and the way back from their text.
class Vocabulary {
 public:
  int32_t find(const std::string& text) const {
    const auto found = ids_.find(text);
    return found == ids_.end() ? -1 : found->second;
  }
  int32_t find_or_add(const std::string& text) {
    const auto [place, added] = ids_.try_emplace(text, static_cast<int32_t>(tokens_.size()));
    if (added) tokens_.push_back(text);
    return place->second;
  }
  const std::string& text(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  std::vector<std::string> take() { return std::move(tokens_); }

 private:
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
};

// The characters of the words and the initial ones, less the rarest ones beyond the limit, which go to `dropped`; sorted.
std::u32string alphabet_of(std::span<const CountedWord> words, const CharBpeOptions& options,
                           std::vector<DroppedChar>& dropped) {
  constexpr int64_t kAbsent = -1;
  constexpr int64_t kKept = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> counts(kCodePoints, kAbsent);
  for (const CountedWord& word : words) {
    visit_characters(word.bytes, options,
                     [&](char32_t c, bool) { counts[c] = std::max(counts[c], int64_t{0}) + word.count; });
  }
  for (const char32_t c : options.initial_alphabet) {
    check(c < kCodePoints, options.name, ": the initial alphabet must be characters; ",
          static_cast<uint32_t>(c), " is none");
    counts[c] = kKept;
  }
  std::u32string alphabet;
  for (char32_t c = 0; c < kCodePoints; ++c) {
    if (counts[c] != kAbsent) alphabet.push_back(c);
  }
  const auto limit = static_cast<size_t>(options.alphabet_limit);
  if (limit == 0 || alphabet.size() <= limit) return alphabet;
  std::sort(alphabet.begin(), alphabet.end(),
            [&](char32_t a, char32_t b) { return counts[a] != counts[b] ? counts[a] > counts[b] : a < b; });
  std::sort(alphabet.begin() + options.alphabet_limit, alphabet.end());
  for (const char32_t c : std::u32string_view(alphabet).substr(limit)) {
    dropped.push_back({c, counts[c] == kKept ? 0 : counts[c]});
  }
  alphabet.resize(limit);
  std::sort(alphabet.begin(), alphabet.end());
  return alphabet;
}

// The tokens of the characters, each in up to four forms: the first of a word or a later one, the last or not.
class CharacterForms {
 public:
  CharacterForms(const std::u32string& alphabet, const CharBpeOptions& options, Vocabulary& vocabulary)
      : options_(options), vocabulary_(vocabulary), slots_(kCodePoints, -1) {
    for (const std::string& token : options.special_tokens) vocabulary.find_or_add(token);
    for (const char32_t c : alphabet) vocabulary.find_or_add(utf8(c));
    // A special token of one character keeps it, whatever the limit.
    for (const char32_t c : alphabet) add(c);
    for (const std::string& token : options.special_tokens) {
      const std::optional<char32_t> c = single_char(token);
      if (c && slots_[*c] < 0) add(*c);
    }
  }

  // The token of a character, made where it is the first of its form; -1 for one that is dropped.
  int32_t operator()(char32_t c, bool first, bool last) {
    if (slots_[c] < 0) return -1;
    int32_t& form = forms_[static_cast<size_t>(slots_[c])][(first ? 0u : 1u) + (last ? 2u : 0u)];
    if (form < 0) {
      form = vocabulary_.find_or_add((first ? "" : options_.continuing_subword_prefix) + utf8(c) +
                                     (last ? options_.end_of_word_suffix : ""));
    }
    return form;
  }

 private:
  void add(char32_t c) {
    slots_[c] = static_cast<int32_t>(forms_.size());
    forms_.push_back({-1, -1, -1, -1});
  }

  const CharBpeOptions& options_;
  Vocabulary& vocabulary_;
  std::vector<int32_t> slots_;  // by code point
  std::vector<std::array<int32_t, 4>> forms_;
};

void erase_repeated(std::vector<BpeTraining::Merge>& merges) {
  PairMap seen;
  int32_t count = 0;
  std::erase_if(merges, [&](const BpeTraining::Merge& merge) {
    const int32_t number = count++;
    return seen.find_or_insert(merge.left, merge.right, number) != number;
  });
}

}  // namespace

CharBpeTraining train_char_bpe(std::span<const CountedWord> words, const CharBpeOptions& options) {
  check_options(options, bpe_training_bytes(words, options));
  check(options.alphabet_limit >= 0, options.name, ": alphabet_limit must not be negative; it is ",
        options.alphabet_limit);
  CharBpeTraining training;
  Vocabulary vocabulary;
  CharacterForms form(alphabet_of(words, options, training.dropped), options, vocabulary);
  // Forms get their ids in the order of the words given, which is not that of the layout.
  int64_t symbols = 0;
  const auto visit_symbols = [&](std::string_view word, auto&& visit) {
    bool first = true;
    visit_characters(word, options, [&](char32_t c, bool last) {
      const int32_t symbol = form(c, first, last);
      if (symbol >= 0) visit(symbol);
      first = false;
    });
  };
  for (const CountedWord& word : words) visit_symbols(word.bytes, [&](int32_t) { ++symbols; });
  const int64_t first = vocabulary.size();
  check(first <= options.vocab_size, options.name, ": vocab_size must be at least ", first,
        ", the special tokens and the characters; it is ", options.vocab_size,
        "; raise it or set alphabet_limit");
  bpe::PairMerger merger(bpe::lay_out(words, symbols, options,
                                      [&](const CountedWord& word, std::vector<int32_t>& places) {
                                        visit_symbols(word.bytes,
                                                      [&](int32_t symbol) { places.push_back(symbol); });
                                      }),
                         static_cast<int32_t>(first), options);
  const auto may_merge = [](int32_t, int32_t) { return true; };
  training.merges = learn_merges(merger, options, first, may_merge, [&](int32_t left, int32_t right) {
    std::string_view tail = vocabulary.text(right);
    if (tail.starts_with(options.continuing_subword_prefix))
      tail.remove_prefix(options.continuing_subword_prefix.size());
    const std::string text = vocabulary.text(left) + std::string(tail);
    return std::pair(vocabulary.find_or_add(text), static_cast<int64_t>(text.size()));
  });
  erase_repeated(training.merges);
  training.tokens = vocabulary.take();
  return training;
}

// Measured: English takes 20 to 25 bytes a byte of the different words, Chinese 20 to 35, random letters in one long word 15
// to 20. Only text in which nearly all pairs are different, and wanted, can take more, and then PairMerger ends it.
TrainingMemory bpe_training_memory(const BpeTrainingOptions& options) {
  return {.fixed = (int64_t{16} << 20) + 256 * options.vocab_size, .per_word = 8, .per_byte = 40};
}

int64_t bpe_training_bytes(std::span<const CountedWord> words, const BpeTrainingOptions& options) {
  const TrainingMemory memory = bpe_training_memory(options);
  return memory.fixed + memory.per_word * static_cast<int64_t>(words.size()) +
         memory.per_byte * total_bytes(words);
}

}  // namespace gradus
