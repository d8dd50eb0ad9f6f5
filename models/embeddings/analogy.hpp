#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "models/embeddings/nearest.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// How the rows that stand to some words as others do are found; x is a row, p the words added, n those taken away.
/// ref: Mikolov, Yih, Zweig (2013), of 3cosadd; Levy, Goldberg (2014), of 3cosmul
enum class AnalogyMethod {
  cos_add,  ///< Σ cos(x, p) − Σ cos(x, n)
  cos_mul,  ///< Π s(x, p) / Π (s(x, n) + 1e-6), with s = (1 + cos) / 2
};
std::string_view name_of(AnalogyMethod method);
/// An error lists the possible names.
AnalogyMethod parse_analogy_method(std::string_view name);

/// "king − man + woman": rows of the words' matrix.
struct AnalogyQuestion {
  std::vector<int64_t> plus, minus;
  std::vector<int64_t> leave_out =
      {};  ///< rows of the table that are no answers, such as the words themselves
};

struct AnalogyOptions {
  AnalogyMethod method = AnalogyMethod::cos_add;
  int64_t k = 1;
  int64_t restrict = 0;                ///< only the first so many rows are answers; 0: all
  std::function<void()> on_step = {};  ///< called now and then; it may throw
};

/// The k rows with the largest scores of each question, exactly: see nearest(), whose notes hold here too. The scores are
/// computed in f64, their terms in the order of the question.
/// shape: table f32 (V,C), words f32 (W,C).
/// note: each word is multiplied with the table once, however many questions name it.
Nearest solve_analogies(const Tensor& table, const Tensor& words, std::span<const AnalogyQuestion> questions,
                        const AnalogyOptions& options);

}  // namespace gradus
