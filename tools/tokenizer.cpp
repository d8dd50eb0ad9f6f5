// gradus tokenizer: train, encode, decode, show, compare.

#include "tools/tokenizer.hpp"

namespace gradus::tools {

int run_tokenizer(const Arguments& arguments) {
  return run_action("tokenizer", arguments,
                    {{"train", run_tokenizer_train, "learn a tokenizer from text files"},
                     {"encode", run_tokenizer_encode, "text to ids"},
                     {"decode", run_tokenizer_decode, "ids to text"},
                     {"show", run_tokenizer_show, "how a tokenizer cuts a text"},
                     {"compare", run_tokenizer_compare, "tokenizers side by side on one text"}});
}

}  // namespace gradus::tools
