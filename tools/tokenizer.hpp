#pragma once

#include "tokenizer/tokenizer.hpp"
#include "tools/common.hpp"

namespace gradus::tools {

/// The actions of `gradus tokenizer`.
int run_tokenizer_train(const Arguments& arguments);
int run_tokenizer_encode(const Arguments& arguments);
int run_tokenizer_decode(const Arguments& arguments);
int run_tokenizer_show(const Arguments& arguments);
int run_tokenizer_compare(const Arguments& arguments);

}  // namespace gradus::tools
