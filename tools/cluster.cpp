// gradus cluster: rows that point in similar directions, together.

#include <algorithm>
#include <charconv>

#include "models/embeddings/cluster.hpp"
#include "models/embeddings/nearest.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"

namespace gradus::tools {

int run_cluster(const Arguments& arguments) {
  std::string source, labels_file, k_text = "auto";
  int64_t restrict = 0, shown = 5;
  ClusterOptions options;
  bool rows_too = false;
  SourceArguments given;
  Args args("cluster",
            "Divides rows into groups that point in similar directions (spherical k-means), each named by "
            "its most typical "
            "rows; with --labels says how the groups agree with those of people.");
  args.positional("SOURCE", source, kSourceHelp);
  args.text("-k,--groups", k_text,
            "how many groups; auto: as many, from 2 to the root of the rows, as have the largest silhouette");
  args.text("--labels", labels_file,
            "a name and its label a line, a tab between: only these rows are divided; without -k into as "
            "many groups as there are labels");
  args.integer("--restrict", restrict, "only the first N rows; 0: all");
  args.integer("--restarts", options.restarts, "starts, of which the best counts");
  args.integer("--typical", shown, "rows that name a group");
  args.flag("--rows", rows_too, "print each row and the number of its group, too");
  args.seed("--seed", options.seed, "seed of the starts");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check(restrict >= 0 && shown >= 1 && options.restarts >= 1,
        "cluster: --restrict must be at least 0, --typical and --restarts at least 1");
  args.no_effect({{!labels_file.empty(), {"--restrict"}, "with --labels, whose rows are divided"}});
  int64_t k = 0;
  if (k_text != "auto") {
    const auto read = std::from_chars(k_text.data(), k_text.data() + k_text.size(), k);
    check(read.ec == std::errc() && read.ptr == k_text.data() + k_text.size() && k >= 1,
          "-k must be a number or auto; it is '", k_text, "'");
  }
  const Rows rows(given.open(args, source), given.layer);
  LabelledRows labelled;
  std::vector<int64_t> chosen;
  if (!labels_file.empty()) {
    labelled = read_labels(read_file(labels_file, stop_where_interrupted), labels_file, rows.names());
    chosen = labelled.rows;
    if (k == 0) k = std::ssize(labelled.names);
    if (labelled.missing > 0 && !given.common.quiet)
      say("note   " + std::to_string(labelled.missing) + " names of " + labels_file + " have no row");
  } else {
    const int64_t count = restrict > 0 ? std::min(restrict, rows.names().size()) : rows.names().size();
    for (int64_t r = 0; r < count; ++r) chosen.push_back(r);
  }
  Tensor x = Tensor::empty({std::ssize(chosen), rows.width()});
  float* to = x.mutable_data<float>();
  for (const int64_t r : chosen) {
    check_finite(rows.names()[r], rows.row(r));
    to = std::copy_n(rows.row(r).data(), rows.width(), to);
  }
  options.k = k;
  options.on_step = stop_where_interrupted;
  const Clustering found =
      k > 0 ? cluster_rows(x, options) : cluster_rows_auto(x, options, [&](int64_t tried, double value) {
        stop_where_interrupted();
        if (!given.common.quiet)
          status("cluster  " + std::to_string(tried) + " groups: silhouette " + fixed(value, 4));
      });
  const double width = silhouette(x, found.of);
  std::vector<std::vector<Neighbor>> members(static_cast<std::size_t>(found.centers.size(0)));
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const int64_t group = found.of[i];
    const std::span<const float> center(found.centers.data<float>() + group * rows.width(),
                                        static_cast<std::size_t>(rows.width()));
    members[static_cast<std::size_t>(group)].push_back({chosen[i], cosine(rows.row(chosen[i]), center)});
  }
  Json groups = Json::array();
  std::string text =
      std::to_string(members.size()) + " groups of " + std::to_string(chosen.size()) + " rows, " +
      (members.size() > 1 ? "silhouette " + fixed(width, 4) : std::string("no silhouette of one group")) +
      "\n";
  for (std::size_t g = 0; g < members.size(); ++g) {
    std::stable_sort(members[g].begin(), members[g].end(),
                     [](const Neighbor& a, const Neighbor& b) { return a.value > b.value; });
    Json typical = Json::array();
    std::string names;
    for (std::size_t i = 0; i < std::min(members[g].size(), static_cast<std::size_t>(shown)); ++i) {
      const std::string name(rows.names()[members[g][i].row]);
      typical.push(replace_invalid_utf8(name));
      names += "  " + name;
    }
    groups.push(Json::object().set("size", std::ssize(members[g])).set("typical", typical));
    text += "  " + std::to_string(g) + "  " + std::to_string(members[g].size()) + " rows:" + names + "\n";
  }
  Json json = Json::object()
                  .set("k", std::ssize(members))
                  .set("rows", std::ssize(chosen))
                  .set("silhouette", members.size() > 1 ? Json(width) : Json())
                  .set("groups", groups);
  if (!labels_file.empty()) {
    const Agreement agrees = agreement(found.of, labelled.labels);
    set_agreement(json, agrees);
    text += "labels  " + std::to_string(labelled.names.size()) + ": " + agreement_text(agrees) + "\n";
  }
  if (rows_too) {
    Json list = Json::array();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const std::string name(rows.names()[chosen[i]]);
      list.push(Json::object().set("name", replace_invalid_utf8(name)).set("group", found.of[i]));
      text += name + "\t" + std::to_string(found.of[i]) + "\n";
    }
    json.set("of", list);
  }
  if (given.common.json) {
    print_json(json);
  } else {
    print_out(text);
  }
  flush_out();
  return 0;
}

}  // namespace gradus::tools
