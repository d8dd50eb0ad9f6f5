"""Times what the program makes of word vectors beside gensim and faiss, in turns: neighbours, reading a text, analogies. See
../README.md.

    python vectors.py GRADUS CACHE [--threads 1,2] [--rounds 3] [--only vectors]

The table has 400,000 rows of 300 random numbers, as fastText's published ones have sizes; it is written to CACHE. Ours are times
of whole processes, reading the table included; a peer's are those of the call alone, with all in its memory, but for reading,
which is what is timed. gensim answers one query at a time, and few of them: its time is scaled to all.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from models import last_json, run

ROWS, WIDTH, QUERIES, NEAREST = 400_000, 300, 1000, 10
QUESTIONS, ASKED_WORDS, AMONG = 19_544, 905, 300_000  # as in Google's list, and as many answers as gensim takes
SAMPLED_QUERIES, SAMPLED_QUESTIONS = 50, 40


def queries():
    return range(0, ROWS, ROWS // QUERIES)


def word(row):
    return f"w{row}"


def write_table(cache):
    import numpy

    numbers = numpy.random.default_rng(1).standard_normal((ROWS, WIDTH), dtype=numpy.float32)
    numpy.save(cache / "table.npy", numbers)
    (cache / "table.npy.names").write_text("".join(word(row) + "\n" for row in range(ROWS)))
    random = numpy.random.default_rng(2)
    words = random.choice(AMONG, ASKED_WORDS, replace=False)
    lines = [" ".join(map(word, random.choice(words, 4, replace=False))) + "\n" for _ in range(QUESTIONS)]
    (cache / "questions.txt").write_text(": random\n" + "".join(lines))
    (cache / "sampled.txt").write_text(": random\n" + "".join(lines[:SAMPLED_QUESTIONS]))


# ---- one peer, in a process of its own: seconds for all queries or questions ----


def in_gensim(cache, rows):
    import numpy
    from gensim.models import KeyedVectors

    vectors = KeyedVectors(WIDTH)
    vectors.index_to_key = [word(row) for row in range(rows)]
    vectors.key_to_index = {name: row for row, name in enumerate(vectors.index_to_key)}
    vectors.vectors = numpy.load(cache / "table.npy")[:rows]
    vectors.norms = None
    vectors.fill_norms()
    return vectors


def faiss_neighbors(cache, threads):
    import faiss
    import numpy

    faiss.omp_set_num_threads(threads)
    numbers = numpy.load(cache / "table.npy")
    numbers /= numpy.linalg.norm(numbers, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(WIDTH)
    index.add(numbers)
    asked = numbers[list(queries())]
    begin = time.perf_counter()
    _, found = index.search(asked, NEAREST + 1)  # the first is the query
    return time.perf_counter() - begin, [row[1:] for row in found.tolist()]


def gensim_neighbors(cache, threads):
    vectors = in_gensim(cache, ROWS)
    asked = [word(row) for row in queries()][:SAMPLED_QUERIES]
    begin = time.perf_counter()
    found = [vectors.most_similar(name, topn=NEAREST) for name in asked]
    seconds = (time.perf_counter() - begin) * QUERIES / len(asked)
    return seconds, [[int(name[1:]) for name, _ in near] for near in found]


def gensim_reading(cache, threads):
    from gensim.models import KeyedVectors

    begin = time.perf_counter()
    KeyedVectors.load_word2vec_format(cache / "table.vec")
    return time.perf_counter() - begin, []


def gensim_analogies(cache, threads):
    vectors = in_gensim(cache, AMONG)
    begin = time.perf_counter()
    vectors.evaluate_word_analogies(cache / "sampled.txt")
    return (time.perf_counter() - begin) * QUESTIONS / SAMPLED_QUESTIONS, []


PEERS = {f.__name__.replace("_", " "): f for f in (faiss_neighbors, gensim_neighbors, gensim_reading, gensim_analogies)}


# ---- tables ----


def ours(gradus, *arguments):
    begin = time.perf_counter()
    output = run([gradus, *arguments, "-q"])
    return time.perf_counter() - begin, output


def row(what, found, peers):
    """A line for what was timed: `found` holds each program's seconds, a peer's as many times as ours."""
    cells = [f"{what:34} gradus {statistics.median(found['gradus']):7.2f} s"]
    for peer in peers:
        ratio = statistics.median(theirs / mine for theirs, mine in zip(found[peer], found["gradus"]))
        cells.append(f"{peer.split()[0]} {statistics.median(found[peer]):7.1f} s, ours {ratio:.2f} times as fast")
    print("   ".join(cells), flush=True)


def compare(gradus, cache, threads, rounds):
    on = ["--threads", threads]
    words = [word(row) for row in queries()]
    table = cache / "table.safetensors"
    print(f"\n{ROWS} rows of {WIDTH} numbers, {threads} threads; gensim's queries and questions on one, times of few scaled up")
    tasks = {
        f"{QUERIES} queries of {NEAREST}": (
            ["neighbors", table, *words, "-k", NEAREST, "--json", *on],
            ["faiss neighbors", "gensim neighbors"],
        ),
        "reading a text": (["vectors", "get", cache / "table.vec", word(5), *on], ["gensim reading"]),
        f"{QUESTIONS} analogies in {AMONG}": (
            ["eval", table, "--analogy", cache / "questions.txt", "--restrict", AMONG, *on],
            ["gensim analogies"],
        ),
    }
    for what, (command, peers) in tasks.items():
        found = {name: [] for name in ("gradus", *peers)}
        for _ in range(rounds):
            seconds, output = ours(gradus, *command)
            found["gradus"].append(seconds)
            for peer in peers:
                worker = [sys.executable, __file__, "--peer", peer, gradus, cache, "--threads", threads]
                seconds, rows = last_json(run(worker, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads)))
                found[peer].append(seconds)
                answers = json.loads(output) if rows else {}
                for asked, theirs in zip(words, rows):
                    mine = [near["word"] for near in answers[asked]]
                    if mine != [word(row) for row in theirs]:
                        sys.exit(f"vectors.py: {peer} finds other rows for {asked}: {theirs}; ours are {mine}")
        row(what, found, peers)
    opening = [ours(gradus, "vectors", "get", table, word(5), *on)[0] for _ in range(rounds)]
    print(f"{'one row of a table of safetensors':34} gradus {statistics.median(opening):7.2f} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gradus", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("embed", "generate", "vectors", "words"))
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return print(json.dumps(PEERS[args.peer](args.cache, int(args.threads))))
    if args.only not in (None, "vectors"):
        return
    args.cache.mkdir(parents=True, exist_ok=True)
    write_table(args.cache)
    for name in ("table.vec", "table.safetensors"):
        run([args.gradus, "convert", args.cache / "table.npy", "-o", args.cache / name, "-q"])
    for threads in map(int, args.threads.split(",")):
        compare(args.gradus, args.cache, threads, args.rounds)
    for file in ("table.npy", "table.npy.names", "table.vec", "table.safetensors"):  # 2.5 GB
        os.remove(args.cache / file)


if __name__ == "__main__":
    main()
