// Vectors held against what people say of words, for gradus eval.

#include "tools/eval_vectors.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/embeddings/baskets.hpp"
#include "models/embeddings/cluster.hpp"
#include "models/embeddings/dictionary.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus::tools {
namespace {

std::string percent(double fraction) { return fixed(100 * fraction, 1) + " %"; }

// "50,100": ascending widths, each at most that of the vectors.
std::vector<int64_t> parse_dims(const std::string& text, int64_t width) {
  if (text.empty()) return {width};
  std::vector<int64_t> dims;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    int64_t value = 0;
    const auto read = std::from_chars(text.data() + begin, text.data() + end, value);
    check(read.ec == std::errc() && read.ptr == text.data() + end && value >= 1,
          "--dims must be numbers with commas, such as 50,100; it is '", text, "'");
    check(value <= width, "--dims must be at most the vectors' ", width, " numbers; one is ", value);
    dims.push_back(value);
    begin = end + 1;
  }
  return dims;
}

// A SOURCE, and its first columns.
struct Opened {
  std::string name;
  Vectors vectors;
  Tensor rows;

  Judged first(int64_t dims) const {
    const int64_t width = rows.size(1);
    if (dims == width) return {&vectors, rows};
    return {&vectors, rows.view({rows.size(0), dims}, {width, 1}, 0).to_contiguous()};
  }
};

// A figure, or null where nothing was measured.
Json figure(double value, bool measured) { return measured && std::isfinite(value) ? Json(value) : Json(); }
std::string shown(double value, int digits, bool measured) {
  return measured && std::isfinite(value) ? fixed(value, digits) : "-";
}

Json to_json(const AnalogyScore& score) {
  return Json::object()
      .set("accuracy", figure(score.accuracy(), score.covered > 0))
      .set("accuracy_all", figure(score.accuracy_all(), score.questions > 0))
      .set("right", score.right)
      .set("covered", score.covered)
      .set("questions", score.questions);
}

std::string line_of(const std::string& name, const AnalogyScore& score) {
  std::string padded = name;
  padded.resize(std::max<std::size_t>(padded.size(), 30), ' ');
  return "  " + padded + "  " + (score.covered > 0 ? percent(score.accuracy()) : std::string("-")) + " of " +
         std::to_string(score.covered) + " covered, " + percent(score.accuracy_all()) + " of all " +
         std::to_string(score.questions) + "\n";
}

struct List {
  std::string name;
  std::vector<RatedPair> pairs;
};

std::string name_of_file(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

void VectorJudging::add(Args& args) {
  args.heading("Vectors against people");
  args.files("--similarity", similarity,
             "lists of two words and a rating a line, as WordSim-353, SimLex-999, MEN, RG-65, RW and SimVerb "
             "are published: "
             "Spearman's rho with cosines");
  args.text("--analogy", analogy,
            "a list of four words a line under \": section\" lines, as Google's: the share answered right");
  args.text("--cluster", cluster,
            "a name and its label a line, a tab between: how groups of these rows, as many as labels, agree "
            "with them");
  args.text("--dictionary", dictionary,
            "a word and a translation a line: how often the nearest row of the second SOURCE translates one "
            "of the first");
  args.text("--baskets", baskets,
            "a basket of items a line: how often one taken out is among those that the others recommend, and "
            "among the most popular");
  args.integer("--recall-at", recall_at, "recommended items, of --baskets");
  args.choice(
      "--oov", oov, {"drop", "zero", "subword"},
      "pairs of which a word has no vector: left out, taken for not alike, or by the pieces of the word");
  args.choice("--method", method, {"3cosadd", "3cosmul"}, "how analogies are answered, see gradus analogy");
  args.integer("--restrict", restrict,
               "words and answers of analogies and of a dictionary are among the first N rows; 0: all");
  args.flag("--include-inputs", include_inputs, "let the three words of an analogy be its answer");
  args.text("--dims", dims,
            "judge the first N numbers of each vector, for each N of a list such as 50,100; --dictionary "
            "takes them whole");
}

int eval_vectors(const Args& args, const std::vector<std::string>& sources, const VectorJudging& judging,
                 const SourceArguments& given) {
  check(judging.restrict >= 0, "--restrict must be at least 0; it is ", judging.restrict);
  check(judging.recall_at >= 1, "--recall-at must be at least 1; it is ", judging.recall_at);
  args.no_effect({{judging.similarity.empty(), {"--oov"}, "without --similarity"},
                  {judging.analogy.empty(), {"--method", "--include-inputs"}, "without --analogy"},
                  {judging.analogy.empty() && judging.dictionary.empty(),
                   {"--restrict"},
                   "without --analogy or --dictionary"},
                  {judging.baskets.empty(), {"--recall-at"}, "without --baskets"},
                  {judging.similarity.empty() && judging.analogy.empty() && judging.cluster.empty() &&
                       judging.baskets.empty(),
                   {"--dims"},
                   "with --dictionary alone, which takes vectors whole"}});
  check(judging.dictionary.empty() || sources.size() >= 2,
        "eval: --dictionary is of two SOURCEs, source and target; there is one");
  const UnseenPolicy policy = parse_unseen_policy(judging.oov);
  std::vector<List> lists;
  for (const std::string& path : judging.similarity)
    lists.push_back({name_of_file(path), read_rated_pairs(read_file(path, stop_where_interrupted), path)});
  AnalogyList analogies;
  if (!judging.analogy.empty())
    analogies = read_analogies(read_file(judging.analogy, stop_where_interrupted), judging.analogy);

  std::vector<Opened> opened;
  for (const std::string& source : sources) {
    Vectors vectors = given.open(args, source);
    Tensor rows = vectors.layer(choose_layer(vectors, given.layer)).to_contiguous();
    check_world(rows.size(0) > 0, source, ": must have at least one row; it has none");
    check(policy != UnseenPolicy::subword || vectors.unseen, "eval: ", source,
          " has no pieces of words, which --oov subword takes; give drop or zero");
    opened.push_back({source, std::move(vectors), std::move(rows)});
  }

  Json results = Json::array();
  std::string text;
  std::vector<std::vector<SimilarityResult>> by_source(opened.size());  // at the last width
  for (std::size_t s = 0; s < opened.size(); ++s) {
    const Opened& one = opened[s];
    const std::vector<int64_t> widths = parse_dims(judging.dims, one.rows.size(1));
    for (const int64_t width : widths) {
      stop_where_interrupted();
      const Judged judged = one.first(width);
      Json result = Json::object().set("source", replace_invalid_utf8(one.name)).set("dims", width);
      text += one.name + "  " + std::to_string(one.rows.size(0)) + " rows, " +
              (width == one.rows.size(1) ? "" : "the first ") + std::to_string(width) + " numbers\n";
      Json similarity = Json::array();
      by_source[s].clear();
      for (const List& list : lists) {
        const SimilarityResult found = judge_similarity(judged, list.pairs, policy);
        const bool measured = (policy == UnseenPolicy::zero ? found.pairs : found.covered) > 1;
        similarity.push(Json::object()
                            .set("name", replace_invalid_utf8(list.name))
                            .set("spearman", figure(found.spearman, measured))
                            .set("low", figure(found.interval.low, measured))
                            .set("high", figure(found.interval.high, measured))
                            .set("pairs", found.pairs)
                            .set("covered", found.covered)
                            .set("spearman_drop", figure(found.spearman_drop, found.with_rows > 1))
                            .set("spearman_zero", figure(found.spearman_zero, found.pairs > 1)));
        std::string padded = list.name;
        padded.resize(std::max<std::size_t>(padded.size(), 30), ' ');
        text += "  " + padded + "  rho " + shown(found.spearman, 4, measured) + "  [" +
                shown(found.interval.low, 3, measured) + ", " + shown(found.interval.high, 3, measured) +
                "]  " + std::to_string(found.covered) + " of " + std::to_string(found.pairs) +
                " pairs; unseen left out " + shown(found.spearman_drop, 4, found.with_rows > 1) + ", as 0 " +
                shown(found.spearman_zero, 4, found.pairs > 1) + "\n";
        by_source[s].push_back(found);
      }
      if (!lists.empty()) result.set("similarity", similarity);
      if (!judging.analogy.empty()) {
        const AnalogyResult found = judge_analogies(judged, analogies,
                                                    {.method = parse_analogy_method(judging.method),
                                                     .restrict = judging.restrict,
                                                     .include_inputs = judging.include_inputs,
                                                     .on_step = stop_where_interrupted});
        tell_skipped(found.skipped, given.common);
        Json sections = Json::array();
        for (std::size_t i = 0; i < found.sections.size(); ++i) {
          Json section = to_json(found.sections[i]);
          section.set("name", replace_invalid_utf8(analogies.sections[i]));
          sections.push(section);
          text += line_of(analogies.sections[i], found.sections[i]);
        }
        text += line_of("semantic", found.semantic) + line_of("syntactic", found.syntactic) +
                line_of("total", found.total);
        result.set("analogy", Json::object()
                                  .set("total", to_json(found.total))
                                  .set("semantic", to_json(found.semantic))
                                  .set("syntactic", to_json(found.syntactic))
                                  .set("sections", sections)
                                  .set("method", judging.method)
                                  .set("restrict", judging.restrict));
      }
      if (!judging.cluster.empty()) {
        const LabelledRows labelled = read_labels(read_file(judging.cluster, stop_where_interrupted),
                                                  judging.cluster, one.vectors.names);
        Tensor rows = Tensor::empty({std::ssize(labelled.rows), width});
        float* to = rows.mutable_data<float>();
        for (const int64_t r : labelled.rows) {
          const float* const row = judged.rows.data<float>() + r * width;
          check_finite(one.vectors.names[r], {row, static_cast<std::size_t>(width)});
          to = std::copy_n(row, width, to);
        }
        const Clustering groups =
            cluster_rows(rows, {.k = std::ssize(labelled.names), .on_step = stop_where_interrupted});
        const Agreement agrees = agreement(groups.of, labelled.labels);
        Json figures = Json::object();
        set_agreement(figures, agrees);
        figures.set("labels", static_cast<int64_t>(labelled.names.size()))
            .set("covered", static_cast<int64_t>(labelled.rows.size()))
            .set("missing", labelled.missing);
        result.set("cluster", figures);
        text += "  " + name_of_file(judging.cluster) + ": " + std::to_string(labelled.rows.size()) +
                " rows of " + std::to_string(labelled.names.size()) + " labels, " +
                std::to_string(labelled.missing) + " without a row; " + agreement_text(agrees) + "\n";
      }
      if (!judging.baskets.empty()) {
        const BasketScore score = judge_baskets(judged, read_file(judging.baskets, stop_where_interrupted),
                                                judging.recall_at, stop_where_interrupted);
        tell_skipped(score.skipped, given.common);
        result.set("baskets", Json::object()
                                  .set("recall", figure(score.recall(), score.asked > 0))
                                  .set("recall_popular", figure(score.recall_popular(), score.asked > 0))
                                  .set("k", judging.recall_at)
                                  .set("baskets", score.baskets)
                                  .set("asked", score.asked)
                                  .set("missing", score.missing));
        const std::string at = "recall@" + std::to_string(judging.recall_at);
        text += "  " + name_of_file(judging.baskets) + ": " + at + " " +
                (score.asked > 0 ? percent(score.recall()) : "-") + ", by popularity " +
                (score.asked > 0 ? percent(score.recall_popular()) : "-") + "; " +
                std::to_string(score.asked) + " items of " + std::to_string(score.baskets) + " baskets, " +
                std::to_string(score.missing) + " without a row\n";
      }
      results.push(result);
    }
  }
  Json compared = Json::array();
  for (std::size_t s = 1; s < opened.size(); ++s) {
    for (std::size_t l = 0; l < lists.size(); ++l) {
      const SimilarityDifference found = compare_similarity(lists[l].pairs, by_source[0][l], by_source[s][l]);
      compared.push(Json::object()
                        .set("name", replace_invalid_utf8(lists[l].name))
                        .set("first", replace_invalid_utf8(opened[0].name))
                        .set("second", replace_invalid_utf8(opened[s].name))
                        .set("spearman_first", figure(found.first, true))
                        .set("spearman_second", figure(found.second, true))
                        .set("difference_low", figure(found.difference.low, true))
                        .set("difference_high", figure(found.difference.high, true))
                        .set("pairs", found.pairs));
      text += "both   " + lists[l].name + ", " + std::to_string(found.pairs) +
              " pairs that both cover: " + opened[0].name + " " + shown(found.first, 4, true) + ", " +
              opened[s].name + " " + shown(found.second, 4, true) + ", apart by [" +
              shown(found.difference.low, 3, true) + ", " + shown(found.difference.high, 3, true) + "]\n";
    }
  }
  Json translated;
  if (!judging.dictionary.empty()) {
    const Dictionary pairs =
        read_dictionary(read_file(judging.dictionary, stop_where_interrupted), judging.dictionary);
    const DictionaryScore score =
        judge_dictionary(pairs, {opened[0].vectors.names, opened[0].rows},
                         {opened[1].vectors.names, opened[1].rows}, judging.restrict, stop_where_interrupted);
    translated = Json::object()
                     .set("p_at_1", figure(score.p_at_1(), score.covered > 0))
                     .set("p_at_1_csls", figure(score.p_at_1_csls(), score.covered > 0))
                     .set("covered", score.covered)
                     .set("words", score.words);
    text += "words  " + name_of_file(judging.dictionary) + ": of " + std::to_string(score.covered) +
            " covered of " + std::to_string(score.words) + " the nearest row is a translation for " +
            (score.covered > 0 ? percent(score.p_at_1()) : "-") + ", by CSLS " +
            (score.covered > 0 ? percent(score.p_at_1_csls()) : "-") + "\n";
  }
  if (given.common.json) {
    // Of one SOURCE at one width the figures stand by themselves.
    Json json =
        results.as_array().size() == 1 ? results.as_array()[0] : Json::object().set("results", results);
    if (!compared.as_array().empty()) json.set("compared", compared);
    if (!translated.is_null()) json.set("dictionary", translated);
    print_json(json);
  } else {
    print_out(text);
  }
  flush_out();
  return 0;
}

}  // namespace gradus::tools
