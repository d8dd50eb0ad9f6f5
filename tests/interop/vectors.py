"""Holds what the program makes of vectors to gensim, SciPy, scikit-learn and fastText, on the same files. See README.md.

    python vectors.py GRADUS TEXT
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import scipy.linalg
import scipy.stats
from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_vectors
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score, v_measure_score
from sklearn.metrics.cluster import contingency_matrix

BOUND = 1e-6  # of figures that are defined alike
failed = 0


def run(*command: object, **options) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def holds(what: str, apart: float, bound: float = BOUND) -> None:
    global failed
    bad = not apart <= bound
    print(f"{what:66} {apart:.1e} of {bound:.0e}{'  too far' if bad else ''}", flush=True)
    failed += bad


def equal(what: str, ours: object, theirs: object) -> None:
    global failed
    bad = ours != theirs
    print(f"{what:66} {'differ' if bad else 'equal'}", flush=True)
    if bad:
        print(f"  ours   {str(ours)[:300]}\n  theirs {str(theirs)[:300]}")
    failed += bad


class Structured:
    """Words in families: analogies and similarities come out right for some and wrong for others."""

    def __init__(self, width: int = 40, families: int = 60, size: int = 12, seed: int = 1):
        draw = numpy.random.default_rng(seed)
        roots = draw.standard_normal((families, width))
        kinds = draw.standard_normal((size, width)) * 0.8
        rows = roots[:, None, :] + kinds[None, :, :] + draw.standard_normal((families, size, width)) * 0.55
        self.rows = rows.reshape(-1, width).astype(numpy.float32)
        self.words = [f"w{family}k{kind}" for family in range(families) for kind in range(size)]
        self.families, self.size = families, size

    def analogies(self) -> str:
        lines = []
        for kind in range(1, self.size):
            lines.append(f": {'gram' if kind % 2 else 'capital'}{kind}")
            for family in range(self.families - 1):
                a, b = f"w{family}k0", f"w{family}k{kind}"
                c, d = f"w{family + 1}k0", f"w{family + 1}k{kind}"
                lines.append(f"{a} {b} {c} {d}")
        return "\n".join(lines) + "\n"


def save(vectors: KeyedVectors, path: Path, **options) -> None:
    vectors.save_word2vec_format(str(path), **options)


def check_files(gradus: str, place: Path, table: Structured, theirs: KeyedVectors) -> None:
    run(gradus, "convert", place / "g.vec", "-o", place / "ours.npy", "-q")
    equal("gensim's text, read", numpy.load(place / "ours.npy").tobytes(), theirs.vectors.tobytes())
    save(theirs, place / "g.bin", binary=True)
    run(gradus, "convert", place / "g.bin", "-o", place / "ours.npy", "-q")
    equal("gensim's binary, read", numpy.load(place / "ours.npy").tobytes(), table.rows.tobytes())
    for name, options in (("o.vec", {}), ("o.bin", {"binary": True}), ("o.txt", {"no_header": True})):
        run(gradus, "convert", place / "g.bin", "-o", place / name, "-q")
        opened = KeyedVectors.load_word2vec_format(str(place / name), **options)
        equal(f"our {name}, opened by gensim", (opened.index_to_key, opened.vectors.tobytes()), (table.words, table.rows.tobytes()))


def check_neighbors(gradus: str, place: Path, table: Structured, theirs: KeyedVectors) -> None:
    words = table.words[:200:7]
    found = json.loads(run(gradus, "neighbors", place / "g.vec", *words, "-k", 10, "--json", "-q"))
    same, apart = True, 0.0
    for word in words:
        expected = theirs.most_similar(word, topn=10)
        same &= [row["word"] for row in found[word]] == [name for name, _ in expected]
        apart = max(apart, max(abs(row["similarity"] - value) for row, (_, value) in zip(found[word], expected)))
    equal("neighbors, gensim's most_similar", same, True)
    holds("  its cosines", apart)
    for method, call in (("3cosadd", theirs.most_similar), ("3cosmul", theirs.most_similar_cosmul)):
        same = True
        for i in range(0, 120, 5):
            a, b, c = table.words[i], table.words[i + 3], table.words[i + table.size]
            ours = json.loads(run(gradus, "analogy", place / "g.vec", b, "-", a, "+", c, "--method", method, "--json", "-q"))
            same &= [row["word"] for row in ours["answers"]] == [name for name, _ in call(positive=[b, c], negative=[a], topn=10)]
        equal(f"analogy by {method}, gensim's", same, True)
    odd = [table.words[0], table.words[1], table.words[2], table.words[100]]
    equal("odd, gensim's doesnt_match", json.loads(run(gradus, "odd", place / "g.vec", *odd, "--json"))["odd"], theirs.doesnt_match(odd))


def check_evaluation(gradus: str, place: Path, table: Structured, theirs: KeyedVectors) -> None:
    draw = numpy.random.default_rng(3)
    lines = []
    for _ in range(300):
        a, b = draw.integers(0, len(table.words), 2)
        lines.append(f"{table.words[a]}\t{table.words[b]}\t{round(float(theirs.similarity(int(a), int(b))) + draw.normal() * 0.3, 1)}")
    lines += ["unknown\tw1k1\t0.5", "w0k0\tnobody\t0.1"]
    (place / "rated.tsv").write_text("\n".join(lines) + "\n")
    ours = json.loads(run(gradus, "eval", place / "g.vec", "--similarity", place / "rated.tsv", "--json"))["similarity"][0]
    _, (rho, _), missing = theirs.evaluate_word_pairs(str(place / "rated.tsv"), case_insensitive=False, restrict_vocab=None)
    holds("similarity, gensim's evaluate_word_pairs (SciPy's spearmanr)", abs(ours["spearman"] - rho))
    equal("  pairs covered", ours["covered"], 300)
    _, (zero, _), _ = theirs.evaluate_word_pairs(str(place / "rated.tsv"), case_insensitive=False, restrict_vocab=None, dummy4unknown=True)
    holds("  with 0 for unseen words", abs(ours["spearman_zero"] - zero))
    (place / "questions.txt").write_text(table.analogies())
    for restrict in (300000, 400):
        ours = json.loads(run(gradus, "eval", place / "g.vec", "--analogy", place / "questions.txt", "--restrict", restrict, "--json"))["analogy"]
        _, sections = theirs.evaluate_word_analogies(str(place / "questions.txt"), restrict_vocab=restrict, case_insensitive=False)
        expected = [[s["section"], len(s["correct"]), len(s["correct"]) + len(s["incorrect"])] for s in sections[:-1]]
        equal(f"analogies among {restrict}, gensim's evaluate_word_analogies",
              [[s["name"], s["right"], s["covered"]] for s in ours["sections"] if s["covered"]], [e for e in expected if e[2]])
    print(f"  {100 * ours['total']['accuracy']:.1f} % right: neither all nor none")


def check_algebra(gradus: str, place: Path, table: Structured) -> None:
    x = table.rows.astype(numpy.float64)
    for to in (2, 17, 40):
        run(gradus, "vectors", "reduce", place / "g.vec", "--to", to, "-o", place / "reduced.npy", "-q")
        expected = PCA(n_components=to, svd_solver="full").fit_transform(x)
        holds(f"pca to {to}, scikit-learn's", numpy.abs(numpy.load(place / "reduced.npy") - expected).max() / numpy.abs(expected).max())
    draw = numpy.random.default_rng(5)
    turn = numpy.linalg.qr(draw.standard_normal((40, 40)))[0]
    y = (x @ turn + draw.standard_normal(x.shape) * 0.5).astype(numpy.float32)
    others = KeyedVectors(40)
    others.add_vectors([f"t{word}" for word in table.words], y)
    save(others, place / "target.vec")
    pairs = [(word, f"t{word}") for word in table.words]
    (place / "train.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs[:100]))
    (place / "test.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in pairs[100:400]))
    told = json.loads(run(gradus, "vectors", "align", place / "g.vec", place / "target.vec", "--dictionary", place / "train.tsv",
                          "--test", place / "test.tsv", "-o", place / "aligned.npy", "--json", "-q"))
    unit = lambda rows: rows / numpy.linalg.norm(rows, axis=1, keepdims=True)
    rotation, _ = scipy.linalg.orthogonal_procrustes(unit(x[:100]), unit(y[:100].astype(numpy.float64)))
    aligned = x @ rotation
    holds("align, SciPy's orthogonal_procrustes", numpy.abs(numpy.load(place / "aligned.npy") - aligned).max() / numpy.abs(aligned).max())
    cosines = unit(aligned) @ unit(y.astype(numpy.float64)).T
    top = lambda values: numpy.sort(values, axis=1)[:, -10:].mean(axis=1)
    csls = 2 * cosines - top(cosines)[:, None] - top(cosines.T)[None, :]
    rows = numpy.arange(100, 400)
    equal("  P@1 and CSLS, NumPy's", (told["p_at_1"], told["p_at_1_csls"]),
          tuple(float((matrix[rows].argmax(axis=1) == rows).mean()) for matrix in (cosines, csls)))


def check_clusters(gradus: str, place: Path, table: Structured) -> None:
    labels = [f"{word}\t{word.split('k')[1]}\n" for word in table.words]
    (place / "labels.tsv").write_text("".join(labels))
    told = json.loads(run(gradus, "cluster", place / "g.vec", "--labels", place / "labels.tsv", "--rows", "--json"))
    groups = [row["group"] for row in told["of"]]
    kinds = [int(word.split("k")[1]) for word in table.words]
    holds("cluster: V-measure, scikit-learn's", abs(told["v_measure"] - v_measure_score(kinds, groups)))
    holds("  adjusted Rand index", abs(told["ari"] - adjusted_rand_score(kinds, groups)))
    holds("  silhouette", abs(told["silhouette"] - silhouette_score(table.rows.astype(numpy.float64), groups, metric="cosine")))
    cells = contingency_matrix(kinds, groups)
    holds("  purity", abs(told["purity"] - cells.max(axis=0).sum() / cells.sum()))


def check_fasttext(gradus: str, place: Path, text: str) -> None:
    for kind, options in (("skipgram", ()), ("cbow", ("-minn", "2", "-maxn", "5")), ("skipgram", ("-maxn", "0"))):
        run("fasttext", kind, "-input", text, "-output", place / "ft", "-dim", 24, "-minCount", 2, "-epoch", 2, "-bucket", 5000,
            "-thread", 1, *options)
        what = f"fastText {kind} {' '.join(options)}".strip()
        run(gradus, "convert", place / "ft.bin", "-o", place / "ft.npy", "-q")
        words = (place / "ft.npy.names").read_text().splitlines()
        theirs = load_facebook_vectors(str(place / "ft.bin"))
        equal(f"{what}: words", words, theirs.index_to_key)
        # fastText gives the line end no pieces, as its own program prints it; gensim does.
        plain = [i for i, word in enumerate(words) if word != "</s>"]
        apart = numpy.abs(numpy.load(place / "ft.npy") - numpy.stack([theirs[word] for word in words]))[plain]
        holds("  their vectors, gensim's", float(apart.max()))
        unseen = ["kinglets", "naïvely", "zzz"] if not options or options[0] != "-maxn" else []
        printed = run("fasttext", "print-word-vectors", place / "ft.bin", input="\n".join(words[:50] + unseen) + "\n")
        expected = numpy.array([[float(x) for x in line.split()[1:]] for line in printed.splitlines()])
        ours = run(gradus, "vectors", "get", place / "ft.bin", "-", input="\n".join(words[:50] + unseen) + "\n")
        found = numpy.array([[float(x) for x in line.split()[1:]] for line in ours.splitlines()])
        holds("  and of words never seen, as fastText prints them", float(numpy.abs(found - expected).max()), 1e-5)
        vec = KeyedVectors.load_word2vec_format(str(place / "ft.vec"))
        run(gradus, "convert", place / "ft.vec", "-o", place / "ftvec.npy", "-q")
        equal("  its .vec, read", numpy.load(place / "ftvec.npy").tobytes(), vec.vectors.tobytes())
    labelled = place / "labelled.txt"
    labelled.write_text("".join(f"__label__{i % 2} {line}\n" for i, line in enumerate(Path(text).read_text().splitlines()) if line.strip()))
    run("fasttext", "supervised", "-input", labelled, "-output", place / "sup", "-dim", 24, "-pretrainedVectors", place / "ours.vec"
        if run(gradus, "convert", place / "ft.bin", "-o", place / "ours.vec", "-q") == "" else "", "-thread", 1)
    print("our .vec, taken by fastText as pretrained vectors")


def main() -> int:
    gradus, text = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        table = Structured()
        theirs = KeyedVectors(table.rows.shape[1])
        theirs.add_vectors(table.words, table.rows)
        save(theirs, place / "g.vec")
        check_files(gradus, place, table, theirs)
        check_neighbors(gradus, place, table, theirs)
        check_evaluation(gradus, place, table, theirs)
        check_algebra(gradus, place, table)
        check_clusters(gradus, place, table)
        check_fasttext(gradus, place, text)
    print("too far" if failed else "all within their bounds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
