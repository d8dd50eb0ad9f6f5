"""Holds the program to the transformers library: models of every family with random weights of odd sizes, saved by the
library, read by `gradus embed` and `gradus generate`. See README.md.

    python interop.py GRADUS [NAME...]
"""

import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "golden"))

import numpy  # noqa: E402
from make_golden import everything_in_double, fill  # noqa: E402  (it sets torch up before anything else does)
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from transformers import (  # noqa: E402
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    ModernBertConfig,
    Qwen2Config,
    Qwen3Config,
    RobertaConfig,
    XLMRobertaConfig,
)

BOUND = 2e-5  # of the reference's root mean square
LENGTHS = (1, 7, 129, 300)  # one token, and beyond the blocks in which attention goes
VOCAB = 211

SIZES = dict(vocab_size=VOCAB, bos_token_id=1, eos_token_id=2)
DECODER = dict(
    SIZES,
    num_hidden_layers=3,
    max_position_embeddings=512,
    hidden_size=60,
    intermediate_size=89,
    num_attention_heads=6,
    num_key_value_heads=2,
)
WHOLE = {key: value for key, value in DECODER.items() if key != "num_key_value_heads"}
ENCODER = dict(
    SIZES,
    num_hidden_layers=3,
    max_position_embeddings=512,
    hidden_size=51,
    intermediate_size=89,
    num_attention_heads=3,
    pad_token_id=0,
)

# Of each: the configuration, the class, and how an older generation of the library wrote some of its keys.
CAUSAL, MASKED, BARE = AutoModelForCausalLM, AutoModelForMaskedLM, AutoModel
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
YARN = dict(factor=4.0, original_max_position_embeddings=32)


def with_theta(theta: float, kind: str, numbers: dict) -> dict:
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=theta, **numbers))


MODELS = {
    "gpt2": (GPT2Config(**SIZES, n_embd=60, n_head=5, n_layer=3, n_positions=512), CAUSAL),
    "distilgpt2": (GPT2Config(**SIZES, n_embd=36, n_head=4, n_layer=2, n_positions=512, n_inner=71), BARE),
    "gpt_neox": (
        GPTNeoXConfig(**WHOLE, rotary_pct=0.2, rotary_emb_base=5000.0),
        CAUSAL,
    ),
    "gpt_neox_serial": (
        GPTNeoXConfig(**WHOLE, rotary_pct=1.0, use_parallel_residual=False),
        CAUSAL,
    ),
    "llama": (LlamaConfig(**DECODER, tie_word_embeddings=True), CAUSAL),
    "llama_llama3": (LlamaConfig(**DECODER, head_dim=14, **with_theta(500000.0, "llama3", LLAMA3)), CAUSAL),
    "llama_linear": (LlamaConfig(**DECODER, **with_theta(10000.0, "linear", dict(factor=3.0))), CAUSAL),
    "llama_yarn": (LlamaConfig(**DECODER, **with_theta(10000.0, "yarn", YARN)), CAUSAL),
    "llama_bare": (LlamaConfig(**DECODER), BARE),
    "mistral": (MistralConfig(**DECODER, sliding_window=70), CAUSAL),
    "mistral_whole": (MistralConfig(**DECODER, sliding_window=None), CAUSAL),
    "qwen2": (Qwen2Config(**DECODER, use_sliding_window=True, sliding_window=70, max_window_layers=2), CAUSAL),
    "qwen3": (Qwen3Config(**DECODER, head_dim=22, tie_word_embeddings=True), CAUSAL),
    "gemma3": (
        Gemma3TextConfig(**DECODER, head_dim=14, query_pre_attn_scalar=20, sliding_window=70, pad_token_id=0),
        CAUSAL,
    ),
    "bert": (BertConfig(**ENCODER), MASKED),
    "bert_bare": (BertConfig(**ENCODER, hidden_act="gelu_new"), BARE),
    "roberta": (RobertaConfig(**ENCODER | dict(pad_token_id=1), type_vocab_size=1, layer_norm_eps=1e-5), MASKED),
    "xlm_roberta": (XLMRobertaConfig(**ENCODER | dict(pad_token_id=1), type_vocab_size=1), MASKED),
    "distilbert": (
        DistilBertConfig(**SIZES, dim=52, hidden_dim=89, n_heads=4, n_layers=3, max_position_embeddings=512),
        MASKED,
    ),
    "modernbert": (ModernBertConfig(**ENCODER | dict(hidden_size=48), local_attention=70), MASKED),
}


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def fill_for_width(model) -> None:
    """Those of the golden files, whose width is about 14, scaled so that products grow no larger with the width."""
    fill(model)
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            parameter.data *= (14 / model.config.hidden_size) ** 0.5
            parameter.data = parameter.data.to(torch.bfloat16).double()  # what a file of floats holds exactly


def texts_for(name: str, config) -> list[list[int]]:
    draws = numpy.random.RandomState(zlib.crc32(name.encode()))
    return [draws.randint(5, VOCAB, size=length).tolist() for length in LENGTHS]


def segments_for(config, ids: list[int]) -> list[int] | None:
    if config.model_type != "bert":
        return None
    return [int(i >= len(ids) // 2) for i in range(len(ids))]


def reference(model, texts: list[list[int]]) -> dict[str, numpy.ndarray]:
    """What the library has: its hidden states, and the logits, of all texts end to end."""
    parts: dict[str, list[numpy.ndarray]] = {}
    with torch.no_grad():
        for ids in texts:
            inputs = dict(input_ids=torch.tensor([ids]), output_hidden_states=True)
            if segments := segments_for(model.config, ids):
                inputs["token_type_ids"] = torch.tensor([segments])
            found = model(**inputs)
            for k, state in enumerate(found.hidden_states):
                parts.setdefault(f"state_{k}", []).append(state[0].numpy())
            if "logits" in found:
                parts.setdefault("logits", []).append(found.logits[0].numpy())
            if found.get("pooler_output") is not None:
                pass  # the library's own; the program has rows
    return {key: numpy.concatenate(rows) for key, rows in parts.items()}


def difference(found: numpy.ndarray, expected: numpy.ndarray) -> float:
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return float(numpy.abs(found - expected).max() / numpy.sqrt((expected**2).mean()))


def ends_with_final(config) -> bool:
    return config.model_type not in ("bert", "roberta", "xlm-roberta", "distilbert")


def compare(gradus: Path, folder: Path, config, has_logits: bool, texts: list[list[int]], expected: dict) -> float:
    lines = []
    for ids in texts:
        line = {"ids": ids}
        if segments := segments_for(config, ids):
            line["segments"] = segments
        lines.append(json.dumps(line))
    (folder / "ids.jsonl").write_text("\n".join(lines) + "\n")
    out = folder / "out.safetensors"
    flags = ["--logits"] if has_logits else []
    run(gradus, "embed", folder, "--input", folder / "ids.jsonl", "--level", "token", "-o", out, "-q", *flags)
    found = load_file(out)
    states = sorted((key for key in expected if key.startswith("state_")), key=lambda key: int(key[6:]))
    worst = 0.0
    for k, key in enumerate(states):
        last = k == len(states) - 1
        name = "final" if last and ends_with_final(config) else f"layer_{k}"
        worst = max(worst, difference(found[name].astype(numpy.float64), expected[key]))
    if has_logits:
        worst = max(worst, difference(found["logits"].astype(numpy.float64), expected["logits"]))
    return worst


def older(config: dict) -> dict | None:
    """The same configuration in the keys that the library wrote before its fifth version; None where nothing differs."""
    old = dict(config)
    old["torch_dtype"] = old.pop("dtype", "float32")
    rope = old.pop("rope_parameters", None)
    if rope is None:
        return None
    kind = config["model_type"]
    if "full_attention" in rope:
        theta, local = rope["full_attention"]["rope_theta"], rope["sliding_attention"]["rope_theta"]
        if kind == "modernbert":
            old |= dict(global_rope_theta=theta, local_rope_theta=local)
        else:
            old |= dict(rope_theta=theta, rope_local_base_freq=local, rope_scaling=None)
        return old
    scaling = {key: value for key, value in rope.items() if key not in ("rope_theta", "partial_rotary_factor")}
    scaling["type"] = scaling.pop("rope_type")
    if kind == "gpt_neox":
        old |= dict(rotary_emb_base=rope["rope_theta"], rotary_pct=rope["partial_rotary_factor"])
    else:
        old["rope_theta"] = rope["rope_theta"]
    old["rope_scaling"] = None if scaling["type"] == "default" else scaling
    return old


def check(gradus: Path, name: str, config, auto) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with everything_in_double():
            model = auto.from_config(config, attn_implementation="eager").double().eval()
            fill_for_width(model)
            texts = texts_for(name, config)
            expected = reference(model, texts)
        has_logits = auto is not BARE
        # Several files with an index, as large models come.
        model.to(torch.float32).save_pretrained(folder, max_shard_size="100KB" if name == "llama" else "5GB")
        own = reference(model, texts)  # in float32, as the library computes it
        theirs = max(difference(own[key].astype(numpy.float64), expected[key]) for key in expected)
        worst = compare(gradus, folder, config, has_logits, texts, expected)
        written = json.loads((folder / "config.json").read_text())
        if (old := older(written)) is not None:
            (folder / "config.json").write_text(json.dumps(old))
            again = compare(gradus, folder, config, has_logits, texts, expected)
            assert again == worst, f"{name}: the older config.json gives another model ({again:.2g})"
        # Out again: the library opens what the program writes, and computes the same.
        exported = folder / "exported"
        run(gradus, "convert", folder, "-o", exported, "--to", "hf", "-q")
        loaded = auto.from_pretrained(exported, attn_implementation="eager")
        with everything_in_double():
            loaded.config.dtype = torch.float64
            model = auto.from_config(loaded.config, attn_implementation="eager").double().eval()
            model.load_state_dict(dict(loaded.named_parameters()), strict=False)  # no buffers, which are rounded
            again = reference(model, texts)
        apart = max(difference(again[key], expected[key]) for key in expected)
        assert apart < 1e-12, f"{name}: the library finds another model in what was written ({apart:.2g})"
        return worst, theirs


def main() -> int:
    gradus, names = Path(sys.argv[1]), sys.argv[2:] or list(MODELS)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    failed = 0
    for name in names:
        try:
            worst, theirs = check(gradus, name, *MODELS[name])
            bad = not worst <= BOUND
            print(f"{name:18} {worst:.1e}  the library in float32 {theirs:.1e}  {'too far' if bad else ''}", flush=True)
        except Exception as error:  # whatever the library raises is this model's
            bad = True
            print(f"{name:18} FAILED: {error}", flush=True)
        failed += bad
    print(f"{len(names) - failed} of {len(names)} models within {BOUND} of the library's root mean square")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
