#include "models/training/run_folder.hpp"

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "models/training/checkpoint.hpp"
#include "models/training/trainer.hpp"
#include "models/transformer/files.hpp"
#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/temporary_folder.hpp"

/// A run's folder as a library's user has it.

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A text in a file, and what a run of it is made of.
struct Given {
  TemporaryFolder folder;
  Corpus corpus;
  Config config = small_config("gpt", kVocab, 16);
  TrainingOptions options = few_steps(6);
  Given() {
    std::string text;
    for (const int32_t id : some_ids(600, kVocab, 3)) text += letters().token_bytes(id);
    write_file_atomic(folder / "text.txt", text);
    options.eval_interval = 2;
    corpus = load_corpus({folder / "text.txt"}, options.val_fraction);
  }
  RunFolder create(const std::string& name = "run") {
    return RunFolder::create(folder / name, {config, letters(), corpus, options});
  }
};

/// Goes on to the end of what the run's options say.
void finish(RunFolder& run, const Corpus& corpus, Recorder& recorder) {
  const EncodedCorpus text = encode_corpus(corpus, run.tokenizer(), false);
  Transformer model(run.config());
  model.init(run.options().seed);
  Trainer trainer(model, run.options(), run.tokenizer(), text);
  if (file_exists(run.path() + "/" + kStateFile)) trainer.restore(run.path());
  trainer.run(run, recorder, Training::never());
}

}  // namespace

TEST_CASE("a run is made, left and taken up through the library, to the bits of one that was never left") {
  Given given;
  std::string whole;
  {
    RunFolder run = given.create("whole");
    Recorder recorder;
    finish(run, given.corpus, recorder);
    whole = read_file(run.path() + "/" + kWeightsFile);
  }
  {
    RunFolder run = given.create();
    const EncodedCorpus text = encode_corpus(given.corpus, letters(), false);
    Transformer model(given.config);
    model.init(given.options.seed);
    Trainer trainer(model, given.options, letters(), text);
    std::atomic<bool> cancel{false};
    Recorder recorder;
    recorder.after_step = [&](int64_t step) { cancel = step == 3; };
    CHECK_FALSE(trainer.run(run, recorder, cancel));
    CHECK_THROWS_WITH(RunFolder::open(run.path()), ContainsSubstring(run.path()));  // one at a time
  }
  RunFolder run = RunFolder::open(given.folder / "run");
  CHECK(run.step() == 3);
  CHECK(run.options() == given.options);
  CHECK(run.config() == given.config.resolved());
  CHECK(run.tokenizer().vocab_size() == kVocab);
  CHECK(run.last_rate() > 0);
  CHECK(run.fused_multiply_add().has_value());
  const Corpus corpus = run.read_texts();
  CHECK(corpus.sha256 == given.corpus.sha256);
  Recorder recorder;
  finish(run, corpus, recorder);
  CHECK(recorder.steps.size() == 3);
  CHECK((read_file(run.path() + "/" + kWeightsFile) == whole));
  CHECK(load_language_model(run.path()).model.config() == given.config.resolved());
}

TEST_CASE("a run of a version that recorded neither instruction set nor rate is taken up without them") {
  Given given;
  {
    RunFolder run = given.create();
    Recorder recorder;
    finish(run, given.corpus, recorder);
  }
  const std::string path = given.folder / "run/state.safetensors";
  std::vector<NamedTensor> tensors;
  Metadata metadata;
  {
    const SafetensorsFile state = SafetensorsFile::open(path);
    for (const std::string& name : state.names()) tensors.push_back({name, state.tensor(name).clone()});
    metadata = state.metadata();
  }
  metadata.erase(kFusedKey);
  metadata["last"] = R"({"loss":1})";
  save_safetensors(path, tensors, metadata);
  const RunFolder run = RunFolder::open(given.folder / "run");
  CHECK_FALSE(run.fused_multiply_add().has_value());
  CHECK_FALSE(run.last_rate().has_value());
  CHECK(run.step() == 6);
}

TEST_CASE("a run's metrics have a line a step, without those of steps that will be made again") {
  Given given;
  {
    RunFolder run = given.create();
    Recorder recorder;
    finish(run, given.corpus, recorder);
  }
  const std::string path = given.folder / "run/metrics.jsonl";
  const std::string text = read_file(path);
  const RunHistory history = read_history(path);
  CHECK(history.steps == 6);
  CHECK(history.best_step > 0);
  CHECK(history.unreadable_lines == 0);
  const Json line = Json::parse(text.substr(0, text.find('\n')), path);
  std::string keys;
  for (const auto& [key, value] : line.as_object()) keys += key + " ";
  CHECK(keys == "step loss bits_per_byte lr grad_norm tokens_per_second rss_bytes eta_seconds ");
  CHECK(history.first_loss == line.at("loss").as_number());
  CHECK(text.find("\"val_loss\"") != text.npos);
  CHECK(text.find("\"val_bits_per_byte\"") != text.npos);
  // A process died behind step 8, whose checkpoint was of step 6, and in the middle of a line.
  write_file_atomic(path, text + "not a line\n{\"step\":7,\"loss\":1}\n{\"step\":8,\"loss\":1}\n{\"st");
  RunFolder run = RunFolder::open(given.folder / "run");
  CHECK(run.metrics().unreadable_lines() == 1);
  CHECK((read_file(path) == text + "not a line\n"));
  CHECK(run.metrics().missing_steps() == 0);
}

TEST_CASE("a run whose metrics were cut says how many steps have no line") {
  Given given;
  {
    RunFolder run = given.create();
    Recorder recorder;
    finish(run, given.corpus, recorder);
  }
  const std::string path = given.folder / "run/metrics.jsonl";
  const std::string text = read_file(path);
  write_file_atomic(path, text.substr(0, text.find("{\"step\":5")));
  CHECK(RunFolder::open(given.folder / "run").metrics().missing_steps() == 2);
  remove_file(path);
  CHECK(RunFolder::open(given.folder / "run").metrics().missing_steps() == 6);
}

TEST_CASE(
    "a folder that holds something else takes no run, and what was begun without a checkpoint can be begun "
    "anew") {
  Given given;
  { given.create(); }
  CHECK_NOTHROW(RunFolder::check_free(given.folder / "run"));
  { given.create(); }
  write_file_atomic(given.folder / "run/notes", "mine");
  CHECK_THROWS_WITH(given.create(), ContainsSubstring("it holds notes, which is not of a run"));
  CHECK(read_file(given.folder / "run/notes") == "mine");
  CHECK_THROWS_WITH(RunFolder::open(given.folder / "run"), ContainsSubstring("must hold model.safetensors"));
  CHECK_THROWS_WITH(RunFolder::open(given.folder / "none"), ContainsSubstring("there is no such folder"));
  CHECK_THROWS_WITH(RunFolder::check_free(given.folder / "text.txt"), ContainsSubstring("must be a folder"));
}

TEST_CASE("a run's texts that have moved are found again, and others are refused") {
  Given given;
  {
    RunFolder run = given.create();
    Recorder recorder;
    finish(run, given.corpus, recorder);
  }
  RunFolder run = RunFolder::open(given.folder / "run");
  std::filesystem::rename(given.folder / "text.txt", given.folder / "moved.txt");
  CHECK_THROWS_WITH(run.read_texts("look for it"), ContainsSubstring("look for it"));
  write_file_atomic(given.folder / "other.txt", "another text");
  CHECK_THROWS_WITH(run.move_texts({given.folder / "other.txt"}),
                    ContainsSubstring("must be the text that the run was started with"));
  CHECK_THROWS_WITH(run.move_texts({"-"}), ContainsSubstring("'-' is a stream"));
  CHECK(run.move_texts({given.folder / "moved.txt"}).sha256 == given.corpus.sha256);
  CHECK(run.read_texts().sha256 == given.corpus.sha256);
  CHECK(run.text_paths().front() == given.folder / "moved.txt");
}

TEST_CASE("a run whose tokenizer or configuration was exchanged is refused by the file's name") {
  Given given;
  {
    RunFolder run = given.create();
    Recorder recorder;
    finish(run, given.corpus, recorder);
  }
  const auto refused = [&](const char* file, const std::string& from, const std::string& to) {
    const std::string path = given.folder / (std::string("run/") + file);
    const std::string text = read_file(path);
    std::string changed = text;
    REQUIRE(changed.find(from) != changed.npos);
    changed.replace(changed.find(from), from.size(), to);
    write_file_atomic(path, changed);
    CHECK_THROWS_WITH(RunFolder::open(given.folder / "run"), ContainsSubstring(file));
    write_file_atomic(path, text);
  };
  refused(kConfigFile, "\"layer_norm_epsilon\"", "\"layer_norm_epsilon\": 0.5, \"use_cache\"");
  refused(kTokenizerFile, "\"a\"", "\"A\"");
  CHECK_NOTHROW(RunFolder::open(given.folder / "run"));
}
