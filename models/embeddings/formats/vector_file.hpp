#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "models/embeddings/vectors.hpp"

/// Files of vectors: a name and its numbers a row. What a file holds is recognised by its contents, and how one is written
/// by its name.

namespace gradus {

enum class VectorFormat {
  text,  ///< a line a row, numbers in decimals: word2vec's, with "ROWS WIDTH" first; GloVe's, fastText's .vec
  binary,       ///< word2vec's: "ROWS WIDTH\n", then of each row its name, a space, and f32 numbers
  fasttext,     ///< fastText's models, version 11 and 12: rows of words and of the pieces of their letters
  npy,          ///< one array, its rows' names in a file beside it
  npz,          ///< several of them: of `embed`, or of anybody
  safetensors,  ///< the same; and our own tables, which are used as they lie in the file
};
std::string_view name_of(VectorFormat format);

struct VectorReadOptions {
  /// A file with a row's name a line, for arrays that come without; "": FILE.tokens.jsonl of `embed`, or FILE.names.
  std::string names_file = {};
  /// Whether names that are not UTF-8 are an error; else they are kept as they are, and counted in a note.
  bool strict_encoding = false;
  /// Called now and then while a pipe is waited for and while rows are read; it may throw.
  std::function<void()> on_interrupt = {};
};

/// What a file of vectors is, judged by its beginning alone; nothing where it is something else.
/// note: an array or a file of safetensors is recognised whatever it holds: reading it tells whether its rows have names.
std::optional<VectorFormat> detect_vectors(std::string_view bytes);
/// The same of a file, of which only the beginning is read; nothing of a folder and a pipe.
std::optional<VectorFormat> detect_vectors_at(const std::string& path);

/// Reads a file of vectors, a pipe, or "-" for standard input; of safetensors and .npy the numbers stay in the file until they are looked at.
/// note: a damaged file is an error that names the line, the byte or the array.
/// note: of rows with one name the first counts; the others are left out, and counted in a note. Rows of arrays all stay.
/// note: notes also tell of names that are not UTF-8, and of more or fewer rows than the beginning says.
Vectors load_vectors(const std::string& path, const VectorReadOptions& options = {});

/// How a file of this name is written: .vec and .txt text, .bin word2vec's binary, .npy, .safetensors. A name with .txt
/// gets no line "ROWS WIDTH", as GloVe's files. Another ending is an error that lists these.
VectorFormat format_of_vectors(const std::string& path);

/// Writes vectors whole or not at all, see AtomicFile. `layer` is the one written; "": all of them, which only
/// .safetensors can hold where they are several.
/// note: text has the shortest decimals that read back as the same f32.
/// note: a name that the format cannot hold is an error: line ends in .vec, .txt, .bin and .npy, spaces in .bin, one
///       that stands twice in .vec, .txt and .bin.
/// note: in text, a name that ends in a space or a tab, or makes the beginning of the file look like something else, is one,
///       too. `on_step` is called now and then; it may throw.
void save_vectors(const std::string& path, const Vectors& vectors, const std::string& layer = {},
                  const std::function<void()>& on_step = {});

/// Appends each number behind a space, as the shortest decimals that read back as the same f32.
void append_numbers(std::string& text, std::span<const float> numbers);

}  // namespace gradus
