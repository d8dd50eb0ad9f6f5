"""Holds what the program writes to the programs that it is written for: the transformers library (folders, and the file of a
Llama), llama.cpp, and sentence-transformers. See README.md.

    python exports.py GRADUS TEXT NODE_MODULES
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"  # no progress bars

import numpy
import torch
import transformers
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertModel

BOUND = 2e-5  # of the reference's root mean square, or of a logarithm of a probability
TABLE_BOUND = 1e-3  # llama.cpp's GELU is a table of numbers of 16 bits
TEXTS = [
    "the king said to the son",
    "  Two  spaces,\n\nand lines; 12 and 3.4",
    "na\u00efve caf\u00e9 \u65e5\u672c\u8a9e \U0001f680!",
    "a",
    "It's what they're told: don't.",
]
WORDS = [text for text in TEXTS if "\n" not in text]  # a text a line
SMALL = ["--n-layer", "2", "--n-head", "2", "--n-embd", "64", "--block-size", "96", "--batch-size", "4"]


def run(*command: object, **options) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


class Programs:
    def __init__(self, gradus: str, modules: str):
        self.gradus, self.modules = gradus, modules

    def __call__(self, *words: object, **options) -> str:
        return run(self.gradus, *words, **options)

    def ids(self, model: Path, text: str) -> list[int]:
        # A run is trained without the tokens that its tokenizer adds.
        line = self("tokenizer", "encode", model, "--input", "-", "--special", "off", "-q", input=text)
        return [int(id) for id in line.split()]

    def logits(self, model: Path, ids: list[int], place: Path) -> numpy.ndarray:
        (place / "ids.jsonl").write_text(json.dumps({"ids": ids}) + "\n")
        out = place / "out.safetensors"
        self("embed", model, "--input", place / "ids.jsonl", "--level", "token", "--logits", "-o", out, "-q")
        return load_file(out)["logits"].astype(numpy.float64)

    def llama_cpp(self, model: Path, what: str, texts: list) -> list[dict]:
        script = Path(__file__).parent / "llama_cpp.mjs"
        environment = dict(os.environ, NODE_MODULES=self.modules)
        return json.loads(run("node", script, model, what, input=json.dumps(texts), env=environment))


def apart(found: numpy.ndarray, expected: numpy.ndarray) -> float:
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(numpy.abs(found - expected).max() / numpy.sqrt((expected**2).mean()))


def near(what: str, worst: float, bound: float = BOUND) -> None:
    print(f"  {what:62} {worst:.1e}", flush=True)
    assert worst <= bound, f"{what}: {worst:.2g} apart, more than {bound}"


def in_library(programs: Programs, model: Path, tokenizer, loaded, place: Path, what: str, texts=TEXTS) -> None:
    """The ids of texts, and the logits of each, as the library finds them in what was written."""
    worst = 0.0
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        assert ids == programs.ids(model, text), f"{what}: other ids of {text!r}: {ids}"
        with torch.no_grad():
            theirs = loaded(torch.tensor([ids])).logits[0].double().numpy()
        worst = max(worst, apart(programs.logits(model, ids, place), theirs))
    near(f"{what}: the same ids, and logits within", worst)


def in_llama_cpp(programs: Programs, model: Path, file: Path, place: Path, bound: float) -> None:
    worst = 0.0
    for text, found in zip(TEXTS, programs.llama_cpp(file, "logits", TEXTS)):
        ids = programs.ids(model, text)
        assert found["ids"] == ids, f"llama.cpp: other ids of {text!r}: {found['ids']}, not {ids}"
        last = programs.logits(model, ids, place)[-1]
        last = last - last.max()
        ours = last - numpy.log(numpy.exp(last).sum())
        worst = max(worst, max(abs(ours[id] - log) for id, log in found["logits"] if log > -12))
    near(f"llama.cpp, {file.name}: the same ids, and log probabilities within", worst, bound)


def decoders(programs: Programs, text: Path, place: Path) -> None:
    tokenizers = {"bpe": [], "spm-bpe": ["--spaces", "sentencepiece"]}
    for kind, options in tokenizers.items():
        programs("tokenizer", "train", text, "--kind", kind, "--vocab-size", 400, *options, "-o", place / f"{kind}.json", "-q")
    for arch, kind in (("gpt", "bpe"), ("llama", "bpe"), ("llama", "spm-bpe")):
        name = f"{arch}-{kind}"
        folder, exported, file = place / name, place / f"{name}-hf", place / f"{name}.gguf"
        programs(
            "train", text, "--tokenizer", place / f"{kind}.json", "--arch", arch, *SMALL, "--max-iters", 20,
            "--warmup", 5, "--learning-rate", 0.01, "-o", folder, "-q",
        )  # fmt: skip
        programs("convert", folder, "-o", exported, "--to", "hf", "-q")
        programs("convert", folder, "-o", file, "--to", "gguf", "-q")
        loaded = AutoModelForCausalLM.from_pretrained(exported, attn_implementation="eager").double()
        in_library(programs, folder, AutoTokenizer.from_pretrained(exported), loaded, place, f"transformers, {name}")
        if arch == "llama":
            loaded = AutoModelForCausalLM.from_pretrained(place, gguf_file=file.name, attn_implementation="eager")
            tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=file.name)
            # Of a SentencePiece model in a GGUF file the library puts no space before a text that begins with one;
            # SentencePiece and llama.cpp do.
            texts = [one.lstrip() for one in TEXTS] if kind == "spm-bpe" else TEXTS
            in_library(programs, folder, tokenizer, loaded.double(), place, f"transformers, {file.name}", texts)
        in_llama_cpp(programs, folder, file, place, TABLE_BOUND if arch == "gpt" else BOUND)


def encoder(programs: Programs, text: Path, place: Path) -> None:
    source, exported, file = place / "bert", place / "sentences", place / "bert.gguf"
    source.mkdir()
    programs(
        "tokenizer", "train", text, "--kind", "wordpiece", "--vocab-size", 400, "-o", source / "tokenizer.json", "-q"
    )
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=400, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=96,
    )  # fmt: skip
    BertModel(config).save_pretrained(source)
    programs("convert", source, "-o", exported, "--to", "sentence-transformers", "-q")
    programs("convert", exported, "-o", file, "--to", "gguf", "-q")
    out = place / "vectors.safetensors"
    programs("embed", exported, "--layers", "-1", "-o", out, "-q", *WORDS)
    ours = load_file(out)["layer_2"].astype(numpy.float64)
    theirs = SentenceTransformer(str(exported), device="cpu").double().encode(WORDS)
    near("sentence-transformers: vectors of a folder that was written", apart(ours, theirs.astype(numpy.float64)))

    found = programs.llama_cpp(file, "vectors", WORDS)
    unit = lambda rows: rows / numpy.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    vectors = unit(numpy.array([entry["vector"] for entry in found]))
    near("llama.cpp, bert.gguf: vectors of unit length", apart(vectors, unit(ours)), TABLE_BOUND)
    for one, entry in zip(WORDS, found):
        assert entry["ids"] == programs.ids(source, one), f"llama.cpp: other ids of {one!r}"


def main() -> int:
    programs, text = Programs(sys.argv[1], sys.argv[3]), Path(sys.argv[2])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    failed = 0
    for check in (decoders, encoder):
        print(check.__name__, flush=True)
        with tempfile.TemporaryDirectory() as place:
            try:
                check(programs, text, Path(place))
            except Exception as error:  # whatever a library raises
                failed += 1
                print(f"  FAILED: {error}", flush=True)
    print("what is written opens elsewhere" if not failed else f"{failed} of 2 failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
