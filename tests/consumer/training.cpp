// Trains a small model on a text, goes on with it as if on another day, and looks at two sentences through it.
#include <gradus/models/training/trainer.hpp>
#include <gradus/models/transformer/contextual.hpp>

#include <atomic>
#include <iostream>

using namespace gradus;

int main() {
  const Corpus corpus = load_corpus({"text.txt"}, 0.1);  // the last tenth is held out
  const Tokenizer tokenizer = Tokenizer::train_bpe(corpus.training, 300);
  const TrainingText text = encode_corpus(corpus, tokenizer, false);
  const Config config = make_config("gpt", find_preset("nano"), tokenizer.vocab_size());
  Transformer model(config);
  TrainingOptions options;
  options.max_iters = 20;
  options.warmup = 5;
  TrainingObserver observer;              // one of your own sees every step
  const std::atomic<bool> cancel{false};  // one that becomes true ends the training
  {
    model.init(options.seed);
    RunFolder run = RunFolder::create("run", {config, tokenizer, corpus, options});
    Trainer(model, options, tokenizer, text).run(run, observer, cancel);
  }
  RunFolder run = RunFolder::open("run");
  options.max_iters = 30;
  Trainer trainer(model, options, run.tokenizer(), text);
  trainer.restore(run.path());
  trainer.run(run, observer, cancel);
  const std::vector<std::string_view> sentences = {"the king went up the hill", "the queen came down"};
  const EmbeddingSet set = embed_texts(model, tokenizer, sentences, {.level = Level::sentence});
  std::cout << "step " << trainer.step() << ", " << set.layer_names.size() << " layers, each "
            << set.layers.front().shape() << "\n";
}
