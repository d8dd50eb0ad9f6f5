"""Writes the golden files: what the transformers library computes for tiny models in double precision. See README.md."""

import copy
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

# Before torch is loaded: the same code on every processor, so that the same bytes come out.
os.environ.update(MKL_CBWR="COMPATIBLE", ATEN_CPU_CAPABILITY="default")

import numpy
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedConfig, PreTrainedModel

BATCH, TIME = 3, 11
STEPS, LEARNING_RATE, CLIP = 10, 1e-2, 1.0
ADAMW = dict(betas=(0.9, 0.95), eps=1e-8)
DECAY = 0.1  # of tensors of two or more axes

Tensors = dict[str, torch.Tensor]


@dataclass
class Golden:
    config: PreTrainedConfig
    final_norm: str  # the module between the last block and the output layer
    file_dtype: torch.dtype = torch.float32


# A folder for each. Two of a family differ in all that its configuration can vary.
SIZES = dict(vocab_size=61, bos_token_id=1, eos_token_id=2)
GPT2 = dict(SIZES, n_embd=12, n_head=3, n_layer=2, n_positions=16)
LLAMA = dict(SIZES, num_hidden_layers=2, max_position_embeddings=16)
MODELS = {
    "gpt2": Golden(GPT2Config(**GPT2), "transformer.ln_f"),
    "gpt2_untied": Golden(
        GPT2Config(**GPT2, n_inner=20, activation_function="gelu", layer_norm_epsilon=1e-3, tie_word_embeddings=False),
        "transformer.ln_f",
        torch.float64,
    ),
    "llama": Golden(
        LlamaConfig(
            **LLAMA, hidden_size=16, intermediate_size=20, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-3
        ),
        "model.norm",
    ),
    "llama_biases": Golden(
        LlamaConfig(
            **LLAMA,
            hidden_size=12,
            intermediate_size=17,
            num_attention_heads=3,
            num_key_value_heads=3,
            rope_parameters=dict(rope_type="default", rope_theta=500.0),
            attention_bias=True,
            mlp_bias=True,
            tie_word_embeddings=True,
        ),
        "model.norm",
        torch.float64,
    ),
}


@contextmanager
def everything_in_double() -> Iterator[None]:
    """The library computes norms, softmax, rotary angles and the loss in float32, whatever the model's type. Here not."""
    with ExitStack() as patches:
        for name in ("float", "float32"):
            patches.enter_context(mock.patch.object(torch, name, torch.float64))
        patches.enter_context(mock.patch.object(torch.Tensor, "float", torch.Tensor.double))
        yield


def fill(model: PreTrainedModel) -> None:
    """Values large enough that every part matters; all are floats, so that a file of either type holds them exactly."""
    for name, parameter in model.named_parameters():
        # NumPy promises that the numbers of this generator stay the same.
        draws = numpy.random.RandomState(zlib.crc32(name.encode())).standard_normal(parameter.shape)
        is_norm = parameter.dim() == 1 and name.endswith(".weight")
        parameter.data = torch.from_numpy((is_norm + 0.3 * draws).astype(numpy.float32)).double()


def loss_of(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    return model(ids, labels=ids).loss


def forward(model: PreTrainedModel, final_norm: str, ids: torch.Tensor) -> Tensors:
    """The logits and layer_0 ... layer_L, final: the library's own list has no row for what enters the final norm."""
    last = []
    hook = model.get_submodule(final_norm).register_forward_pre_hook(lambda _, inputs: last.append(inputs[0]))
    with torch.no_grad():
        output = model(ids, output_hidden_states=True)
    hook.remove()
    *layers, final = output.hidden_states
    tensors = {f"layer_{index}": layer for index, layer in enumerate([*layers, *last])}
    return {**tensors, "final": final, "logits": output.logits}


def gradients(model: PreTrainedModel, ids: torch.Tensor) -> Tensors:
    model.zero_grad()
    loss_of(model, ids).backward()
    return {f"gradient.{name}": parameter.grad.clone() for name, parameter in model.named_parameters()}


def train(model: PreTrainedModel, ids: torch.Tensor) -> Tensors:
    """The loss and the gradient's norm before each of some steps of AdamW on one batch."""
    parameters = list(model.parameters())
    groups = [
        dict(params=[p for p in parameters if p.dim() >= 2], weight_decay=DECAY),
        dict(params=[p for p in parameters if p.dim() < 2], weight_decay=0.0),
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, **ADAMW)
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, ids)
        loss.backward()
        norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in parameters]))
        for p in parameters:
            p.grad *= min(1.0, CLIP / norm)
        optimizer.step()
        losses.append(loss.detach())
        norms.append(norm)
    return {"losses": torch.stack(losses), "norms": torch.stack(norms)}


def write(folder: Path, golden: Golden) -> None:
    with everything_in_double():
        model = AutoModelForCausalLM.from_config(golden.config, attn_implementation="eager").double().eval()
        fill(model)
        draws = numpy.random.RandomState(zlib.crc32(folder.name.encode()))
        ids = torch.from_numpy(draws.randint(golden.config.vocab_size, size=(BATCH, TIME)))
        targets = torch.cat([ids[:, 1:], torch.full((BATCH, 1), -1)], dim=1)
        tensors = {"ids": ids.to(torch.int32), "targets": targets.to(torch.int32)}
        tensors |= forward(model, golden.final_norm, ids)
        tensors |= gradients(model, ids)
        untrained = copy.deepcopy(model)
        tensors |= train(model, ids)
    shutil.rmtree(folder, ignore_errors=True)
    untrained.to(golden.file_dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "golden.safetensors")


def main() -> None:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, golden in MODELS.items():
        write(Path(__file__).parent / name, golden)


if __name__ == "__main__":
    main()
