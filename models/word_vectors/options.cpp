#include "models/word_vectors/options.hpp"

#include "tensor/error.hpp"

namespace gradus {

const std::vector<WordVectorMethod>& word_vector_methods() {
  using enum WordVectorMethod;
  static const std::vector<WordVectorMethod> methods = {skipgram, cbow, glove, fasttext, fasttext_cbow};
  return methods;
}

std::string_view name_of(WordVectorMethod method) {
  switch (method) {
    case WordVectorMethod::skipgram: return "skipgram";
    case WordVectorMethod::cbow: return "cbow";
    case WordVectorMethod::glove: return "glove";
    case WordVectorMethod::fasttext: return "fasttext";
    case WordVectorMethod::fasttext_cbow: return "fasttext-cbow";
  }
  return "?";
}

WordVectorMethod parse_word_vector_method(std::string_view name) {
  std::string all;
  for (const WordVectorMethod method : word_vector_methods()) {
    if (name == name_of(method)) return method;
    all += (all.empty() ? "" : ", ") + std::string(name_of(method));
  }
  fail("word vectors: the method must be one of ", all, "; it is '", std::string(name), "'");
}

WordVectorOptions WordVectorOptions::defaults(WordVectorMethod method) {
  WordVectorOptions options;
  options.method = method;
  if (method == WordVectorMethod::cbow) options.learning_rate = 0.05;
  if (options.has_pieces()) {
    options.learning_rate = 0.05;
    options.sample = 1e-4;
    options.noise_exponent = 0.5;
  }
  if (options.is_glove()) {
    options.width = 50;
    options.window = 15;
    options.epochs = 25;
    options.learning_rate = 0.05;
    options.min_count = 1;
  }
  return options;
}

void WordVectorOptions::validate() const {
  const auto within = [](const char* option, auto value, auto low, auto high) {
    check(value >= low && value <= high, option, " must be in [", low, ", ", high, "]; it is ", value);
  };
  within("--dim", width, int64_t{1}, int64_t{4096});
  within("--window", window, int64_t{1}, int64_t{1000});
  within("--epochs", epochs, int64_t{1}, int64_t{100000});
  within("--min-count", min_count, int64_t{1}, int64_t{1} << 40);
  check(learning_rate > 0 && learning_rate <= 10, "--lr must be above 0 and at most 10; it is ",
        learning_rate);
  within("--negative", negatives, int64_t{1}, int64_t{100});
  within("--sample", sample, 0.0, 1.0);
  within("--ns-exponent", noise_exponent, -10.0, 10.0);
  within("--minn", min_piece, int64_t{0}, int64_t{100});
  within("--maxn", max_piece, int64_t{0}, int64_t{100});
  check(max_piece == 0 || min_piece <= max_piece, "--minn must be at most --maxn; they are ", min_piece,
        " and ", max_piece);
  within("--bucket", buckets, int64_t{0}, int64_t{1} << 30);
  check(x_max > 0 && x_max <= 1e12, "--x-max must be above 0 and at most 1e12; it is ", x_max);
  within("--alpha", alpha, 0.0, 10.0);
}

Json options_to_json(const WordVectorOptions& o) {
  Json json = Json::object();
  json.set("method", std::string(name_of(o.method)))
      .set("width", o.width)
      .set("window", o.window)
      .set("epochs", o.epochs)
      .set("learning_rate", o.learning_rate)
      .set("min_count", o.min_count)
      .set("seed", std::to_string(o.seed))
      .set("baskets", o.baskets)
      .set("letters", o.letters)
      .set("lower", o.lower);
  if (o.is_glove()) return json.set("x_max", o.x_max).set("alpha", o.alpha);
  json.set("negatives", o.negatives).set("sample", o.sample).set("noise_exponent", o.noise_exponent);
  if (o.averages()) json.set("mean_gradient", o.mean_gradient);
  if (o.has_pieces())
    json.set("min_piece", o.min_piece).set("max_piece", o.max_piece).set("buckets", o.buckets);
  return json;
}

WordVectorOptions word_vector_options_from_json(const Json& json) {
  WordVectorOptions o = WordVectorOptions::defaults(parse_word_vector_method(json.at("method").as_string()));
  o.width = json.at("width").as_integer();
  o.window = json.at("window").as_integer();
  o.epochs = json.at("epochs").as_integer();
  o.learning_rate = json.at("learning_rate").as_number();
  o.min_count = json.at("min_count").as_integer();
  o.seed = std::stoull(json.at("seed").as_string());
  o.baskets = json.at("baskets").as_boolean();
  o.letters = json.at("letters").as_boolean();
  o.lower = json.at("lower").as_boolean();
  if (o.is_glove()) {
    o.x_max = json.at("x_max").as_number();
    o.alpha = json.at("alpha").as_number();
  } else {
    o.negatives = json.at("negatives").as_integer();
    o.sample = json.at("sample").as_number();
    o.noise_exponent = json.at("noise_exponent").as_number();
  }
  if (o.averages()) o.mean_gradient = json.at("mean_gradient").as_boolean();
  if (o.has_pieces()) {
    o.min_piece = json.at("min_piece").as_integer();
    o.max_piece = json.at("max_piece").as_integer();
    o.buckets = json.at("buckets").as_integer();
  }
  o.validate();
  return o;
}

}  // namespace gradus
