"""Trains word vectors beside gensim, in turns: words a second, peak memory, and what the vectors know. See ../README.md.

    python word_vectors.py GRADUS CACHE [--threads 1,2] [--rounds 3] [--only words] [--text FILE]
                           [--similarity FILE...] [--analogy FILE] [--methods skipgram,cbow,fasttext]

Both learn from the same words with the same settings: 100 dimensions, window 5, 5 words of noise, sample 1e-4, min-count 5, and
gensim's learning rate and exponent of noise. Times are of training alone; reading the text and its words is apart. Words are
counted as they stand in the text. Without --text the text is a microworld of 20 MB. With lists, vectors of 5 epochs are judged
by `gradus eval`, analogies among the 30,000 most frequent words, one seed a round.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

SETTINGS = {"dim": 100, "window": 5, "negative": 5, "sample": 1e-4, "min-count": 5}
WORDS_OF_LINE = 1000  # gensim cuts longer lines; both get lines of this length

PEER = """
import resource, sys, time
from gensim.models import FastText, Word2Vec
method, text, workers, epochs, seed, out = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6]
kind = FastText if method.startswith("fasttext") else Word2Vec
model = kind(sg=int(method in ("skipgram", "fasttext")), vector_size=100, window=5, negative=5, sample=1e-4, min_count=5,
             workers=workers, seed=seed)
model.build_vocab(corpus_file=text)
begin = time.perf_counter()
model.train(corpus_file=text, total_words=model.corpus_total_words, total_examples=model.corpus_count, epochs=epochs)
print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
if out != "-":
    model.wv.save_word2vec_format(out, binary=True)
"""


def in_lines(text, path):
    # In pieces: a process that is started while this one holds much memory counts it as its own.
    words = 0
    with text.open(encoding="utf-8") as source, path.open("w", encoding="utf-8") as file:
        left = ""
        while piece := source.read(1 << 20):
            found = (left + piece).split()
            left = found.pop() if found and not piece[-1].isspace() else ""
            for word in found:
                words += 1
                file.write(word + ("\n" if words % WORDS_OF_LINE == 0 else " "))
        if left:
            words += 1
            file.write(left)
        file.write("\n")
    return words


def of_gensim(method, text, threads, epochs, seed, out):
    answer = subprocess.run([sys.executable, "-c", PEER, method, str(text), str(threads), str(epochs), str(seed), str(out)],
                            check=True, capture_output=True, text=True).stdout.split()
    return float(answer[0]), float(answer[1])


def of_ours(program, method, text, threads, epochs, seed, out):
    options = [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]
    options += ["--lr", "0.025", "--ns-exponent", "0.75"]
    answer = json.loads(subprocess.run([program, "vectors", "train", method, str(text), "-o", str(out), *options, "--epochs",
                                        str(epochs), "--seed", str(seed), "--threads", str(threads), "--json", "-q"],
                                       check=True, capture_output=True, text=True).stdout)
    return answer["seconds"], answer["peak_rss_bytes"]


def judge(program, vectors, lists):
    words = [program, "eval", str(vectors), "--json", "-q"]
    if lists.similarity:
        words += ["--similarity", *lists.similarity]
    if lists.analogy:
        words += ["--analogy", lists.analogy, "--restrict", "30000"]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    figures = {one["name"]: one["spearman"] for one in found.get("similarity", [])}
    if lists.analogy:
        figures["analogies"] = found["analogy"]["total"]["accuracy"]
    return figures


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("cache", type=Path)
    arguments.add_argument("--threads", default="1,2")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", choices=("embed", "generate", "vectors", "words"))
    arguments.add_argument("--text", type=Path)
    arguments.add_argument("--similarity", nargs="*", default=[])
    arguments.add_argument("--analogy", default="")
    arguments.add_argument("--methods", default="skipgram,cbow,fasttext")
    given = arguments.parse_args()
    if given.only not in (None, "words"):
        return
    given.cache.mkdir(parents=True, exist_ok=True)
    text = given.text
    if text is None:
        world = given.cache / "microworld"
        if not world.exists():
            subprocess.run([given.program, "corpus", "microworld", "--size", "20MB", "-o", str(world), "-q"], check=True)
        text = world / "text.txt"
    lines = given.cache / "word_vectors.txt"
    words = in_lines(text, lines)
    for threads in map(int, given.threads.split(",")):
        for method in given.methods.split(","):
            speeds, memory, ratios = {"ours": [], "gensim": []}, {}, []
            for round_ in range(given.rounds):
                for name, work in (("gensim", of_gensim), ("ours", lambda *a: of_ours(given.program, *a))):
                    seconds, memory[name] = work(method, lines, threads, 1, round_ + 1,
                                                 given.cache / "ours.bin" if name == "ours" else "-")
                    speeds[name].append(words / seconds)
                ratios.append(speeds["ours"][-1] / speeds["gensim"][-1])
            print(f"{method:10} {threads} threads  ours {statistics.median(speeds['ours']) / 1e3:6.0f} k words/s, "
                  f"{memory['ours'] / 1e6:5.0f} MB   gensim {statistics.median(speeds['gensim']) / 1e3:6.0f}, "
                  f"{memory['gensim'] / 1e6:5.0f} MB   ratio {statistics.median(ratios):.2f}", flush=True)
    if not (given.similarity or given.analogy):
        return
    for method in given.methods.split(","):
        figures = {"ours": [], "gensim": []}
        for seed in range(1, given.rounds + 1):
            out = given.cache / "judged.bin"
            of_gensim(method, lines, 1, 5, seed, out)
            figures["gensim"].append(judge(given.program, out, given))
            of_ours(given.program, method, lines, 2, 5, seed, out)
            figures["ours"].append(judge(given.program, out, given))
        for name, found in figures.items():
            parts = [f"{key} {100 * statistics.mean(one[key] for one in found):.1f} "
                     f"[{100 * min(one[key] for one in found):.1f}, {100 * max(one[key] for one in found):.1f}]"
                     for key in found[0]]
            print(f"{method:10} {name:7} " + "   ".join(parts), flush=True)


if __name__ == "__main__":
    main()
