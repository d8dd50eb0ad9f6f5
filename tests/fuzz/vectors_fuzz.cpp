#include "models/embeddings/formats/vector_file.hpp"
#include "models/embeddings/nearest.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gradus;

// A file of vectors in any format; arrays of others are refused for want of names.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile memory;
  const std::string_view bytes = fuzz::bytes_of(data, size);
  const std::string& path = memory.with(bytes);
  fuzz::accepts([&] {
    const Vectors vectors = load_vectors(path);
    fuzz::require(detect_vectors(bytes).has_value(), "a file that is read must be recognised");
    for (const Tensor& layer : vectors.layers) {
      fuzz::require(layer.rank() == 2 && layer.size(0) == vectors.rows(),
                    "a layer must have a row for each name");
      layer.clone();  // reads all of them
    }
    for (int64_t row = 0; row < vectors.rows(); ++row) {
      const auto found = vectors.names.find(vectors.names[row]);
      fuzz::require(found && *found <= row, "a name must be found at its first row");
    }
    fuzz::require(vectors.counts.empty() || std::ssize(vectors.counts) == vectors.rows(),
                  "there must be a count for each name, or none");
    const auto made = vectors.unseen ? vectors.unseen("unseen") : std::vector<float>();
    fuzz::require(made.empty() || std::ssize(made) == vectors.layers[0].size(1),
                  "a vector of pieces must be as wide as the others");
    if (vectors.rows() == 0 || first_non_finite(vectors.layers[0]) >= 0) return;
    const Tensor first =
        vectors.layers[0].view({1, vectors.layers[0].size(1)}, {vectors.layers[0].size(1), 1}, 0);
    for (const Metric metric : {Metric::cosine, Metric::euclidean, Metric::manhattan, Metric::dot})
      fuzz::require(!nearest(vectors.layers[0], first, {.k = 3, .metric = metric}).of[0].empty(),
                    "a row must have neighbours");
  });
  return 0;
}
