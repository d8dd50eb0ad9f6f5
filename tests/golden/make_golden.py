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
from transformers import (
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
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    RobertaConfig,
    XLMRobertaConfig,
)

BATCH, TIME = 3, 11
SECOND_SEGMENTS = 4, 7, TIME  # where that of each text begins: the last text has none
LABELLED = 0.2  # of the tokens of a masked model
PROMPT, CONTINUATION = 5, 8
IGNORED = -100  # the library's label of a token without one
STEPS, LEARNING_RATE, CLIP = 10, 1e-2, 1.0
ADAMW = dict(betas=(0.9, 0.95), eps=1e-8)
DECAY = 0.1  # of tensors of two or more axes

Tensors = dict[str, torch.Tensor]


@dataclass
class Golden:
    config: PreTrainedConfig
    final_norm: str | None  # the module between the last block and the output layer
    file_dtype: torch.dtype = torch.float32
    auto: type = AutoModelForCausalLM
    trained: bool = False  # gradients and steps, not the loss alone
    continued: bool = True  # a causal model's greedy continuation


# A folder for each. Two of a family differ in all that its configuration can vary.
SIZES = dict(vocab_size=61, bos_token_id=1, eos_token_id=2)
GPT2 = dict(SIZES, n_embd=12, n_head=3, n_layer=2, n_positions=16)
LLAMA = dict(SIZES, num_hidden_layers=2, max_position_embeddings=16)
GROUPED = dict(LLAMA, hidden_size=12, intermediate_size=17, num_attention_heads=3, num_key_value_heads=1)
BERT = dict(LLAMA, pad_token_id=0)
MODERNBERT = dict(SIZES, max_position_embeddings=16, pad_token_id=0, cls_token_id=1, sep_token_id=2)
MODELS = {
    "gpt2": Golden(GPT2Config(**GPT2), "transformer.ln_f", trained=True, continued=False),
    "gpt2_untied": Golden(
        GPT2Config(**GPT2, n_inner=20, activation_function="gelu", layer_norm_epsilon=1e-3, tie_word_embeddings=False),
        "transformer.ln_f",
        torch.float64,
        trained=True,
        continued=False,
    ),
    "gpt_neox": Golden(
        GPTNeoXConfig(
            **LLAMA, hidden_size=24, intermediate_size=29, num_attention_heads=3, rotary_pct=0.5, rotary_emb_base=200.0
        ),
        "gpt_neox.final_layer_norm",
    ),
    "gpt_neox_serial": Golden(
        GPTNeoXConfig(
            **LLAMA,
            hidden_size=32,
            intermediate_size=11,
            num_attention_heads=2,
            hidden_act="gelu_new",
            layer_norm_eps=1e-3,
            use_parallel_residual=False,
            attention_bias=False,
            tie_word_embeddings=True,
        ),
        "gpt_neox.final_layer_norm",
    ),
    "llama": Golden(
        LlamaConfig(
            **LLAMA, hidden_size=16, intermediate_size=20, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-3
        ),
        "model.norm",
        trained=True,
        continued=False,
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
        trained=True,
        continued=False,
    ),
    "llama_linear": Golden(
        LlamaConfig(**GROUPED, rope_parameters=dict(rope_type="linear", rope_theta=700.0, factor=2.5)), "model.norm"
    ),
    # The angles of a head: two are kept, two are between.
    "llama_yarn": Golden(
        LlamaConfig(
            **GROUPED | dict(eos_token_id=[2, 5], max_position_embeddings=32),
            head_dim=8,
            rope_parameters=dict(
                rope_type="yarn",
                rope_theta=20.0,
                factor=4.0,
                original_max_position_embeddings=8,
                beta_fast=0.5,
                beta_slow=0.07,
                mscale=1.5,
                mscale_all_dim=0.5,
                truncate=False,
            ),
        ),
        "model.norm",
    ),
    # The angles of a head: one is kept, one is between, two are divided.
    "llama_llama3": Golden(
        LlamaConfig(
            **GROUPED | dict(num_key_value_heads=3),
            head_dim=8,
            rope_parameters=dict(
                rope_type="llama3",
                rope_theta=50.0,
                factor=3.0,
                original_max_position_embeddings=10,
                low_freq_factor=0.4,
                high_freq_factor=1.5,
            ),
        ),
        "model.norm",
    ),
    "mistral": Golden(
        MistralConfig(
            **LLAMA,
            hidden_size=16,
            intermediate_size=20,
            num_attention_heads=4,
            num_key_value_heads=2,
            sliding_window=4,
            rms_norm_eps=1e-3,
        ),
        "model.norm",
    ),
    "qwen2": Golden(
        Qwen2Config(
            **GROUPED | dict(num_hidden_layers=3),
            use_sliding_window=True,
            sliding_window=3,
            max_window_layers=1,
            tie_word_embeddings=True,
        ),
        "model.norm",
    ),
    "qwen3": Golden(
        Qwen3Config(
            **LLAMA, hidden_size=16, intermediate_size=20, num_attention_heads=4, num_key_value_heads=2, head_dim=6
        ),
        "model.norm",
        trained=True,
    ),
    "qwen3_tied": Golden(
        Qwen3Config(
            **GROUPED | dict(max_position_embeddings=64),
            head_dim=8,
            rms_norm_eps=1e-3,
            attention_bias=True,
            tie_word_embeddings=True,
            use_sliding_window=True,
            sliding_window=4,
            max_window_layers=1,
            rope_parameters=dict(rope_type="yarn", rope_theta=10.0, factor=4.0, original_max_position_embeddings=16),
        ),
        "model.norm",
        torch.float64,
        trained=True,
    ),
    "gemma3_text": Golden(
        Gemma3TextConfig(
            **GROUPED | dict(hidden_size=15, num_hidden_layers=3),
            pad_token_id=0,
            head_dim=6,
            query_pre_attn_scalar=9,
            sliding_window=4,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            rope_parameters=dict(
                full_attention=dict(rope_type="linear", rope_theta=900.0, factor=2.0),
                sliding_attention=dict(rope_type="default", rope_theta=30.0),
            ),
        ),
        "model.norm",
    ),
    "bert": Golden(
        BertConfig(**BERT, hidden_size=15, intermediate_size=17, num_attention_heads=3),
        None,
        auto=AutoModelForMaskedLM,
        trained=True,
    ),
    "bert_2": Golden(
        BertConfig(
            **BERT | dict(num_hidden_layers=3, max_position_embeddings=13),
            hidden_size=12,
            intermediate_size=13,
            num_attention_heads=2,
            hidden_act="relu",
            layer_norm_eps=1e-3,
        ),
        None,
        torch.float64,
        auto=AutoModelForMaskedLM,
        trained=True,
    ),
    "bert_bare": Golden(
        BertConfig(**BERT, hidden_size=10, intermediate_size=13, num_attention_heads=2, hidden_act="gelu_new"),
        None,
        auto=AutoModel,
    ),
    "roberta": Golden(
        RobertaConfig(
            **LLAMA,
            pad_token_id=1,
            hidden_size=15,
            intermediate_size=17,
            num_attention_heads=3,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        ),
        None,
        auto=AutoModelForMaskedLM,
    ),
    # The head's activation is the exact gelu, whatever that of the blocks is.
    "xlm_roberta": Golden(
        XLMRobertaConfig(
            **LLAMA,
            pad_token_id=3,
            hidden_size=12,
            intermediate_size=13,
            num_attention_heads=2,
            hidden_act="relu",
            layer_norm_eps=1e-3,
        ),
        None,
        auto=AutoModelForMaskedLM,
    ),
    "distilbert": Golden(
        DistilBertConfig(**SIZES, dim=14, hidden_dim=19, n_heads=2, n_layers=2, max_position_embeddings=16),
        None,
        auto=AutoModelForMaskedLM,
    ),
    "modernbert": Golden(
        ModernBertConfig(
            **MODERNBERT,
            hidden_size=12,
            intermediate_size=11,
            num_attention_heads=2,
            num_hidden_layers=4,
            global_attn_every_n_layers=3,
            local_attention=4,
        ),
        "model.final_norm",
        auto=AutoModelForMaskedLM,
        trained=True,
    ),
    "modernbert_2": Golden(
        ModernBertConfig(
            **MODERNBERT,
            hidden_size=16,
            intermediate_size=9,
            num_attention_heads=4,
            num_hidden_layers=3,
            hidden_activation="silu",
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            local_attention=7,
            rope_parameters=dict(
                full_attention=dict(rope_type="default", rope_theta=300.0),
                sliding_attention=dict(rope_type="default", rope_theta=20.0),
            ),
            norm_eps=1e-3,
            norm_bias=True,
            attention_bias=True,
            mlp_bias=True,
            classifier_bias=True,
            classifier_activation="relu",
            decoder_bias=False,
        ),
        "model.final_norm",
        auto=AutoModelForMaskedLM,
        trained=True,
    ),
}


@contextmanager
def everything_in_double() -> Iterator[None]:
    """The library computes norms, softmax, rotary angles and the loss in float32, whatever the model's type. Here not."""
    with ExitStack() as patches:
        for name in ("float", "float32"):
            patches.enter_context(mock.patch.object(torch, name, torch.float64))
        patches.enter_context(mock.patch.object(torch.Tensor, "float", torch.Tensor.double))
        patches.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)
        yield


def fill(model: PreTrainedModel) -> None:
    """Values large enough that every part matters; all are floats, so that a file of either type holds them exactly."""
    for name, parameter in model.named_parameters():
        # NumPy promises that the numbers of this generator stay the same.
        draws = numpy.random.RandomState(zlib.crc32(name.encode())).standard_normal(parameter.shape)
        is_norm = parameter.dim() == 1 and name.endswith(".weight")
        middle = parameter.numpy(force=True) if is_norm else 0  # the library's own: 1, but 0 where it adds 1 itself
        parameter.data = torch.from_numpy((middle + 0.3 * draws).astype(numpy.float32)).double()


def draw(draws: numpy.random.RandomState, golden: Golden) -> tuple[Tensors, Tensors]:
    """What the model is given, and the same as the file has it."""
    vocab, pad, shape = golden.config.vocab_size, golden.config.pad_token_id, (BATCH, TIME)
    ids = draws.randint(vocab - (pad is not None), size=shape)
    if pad is not None:
        ids += ids >= pad  # no padding: the library gives its row no gradient, and RoBERTa no position
    batch = {"input_ids": torch.from_numpy(ids)}
    stored = {"ids": batch["input_ids"]}
    if golden.auto is AutoModelForCausalLM:
        batch["labels"] = batch["input_ids"]  # the library shifts them
        stored["targets"] = torch.cat([batch["labels"][:, 1:], torch.full((BATCH, 1), -1)], dim=1)
    if getattr(golden.config, "type_vocab_size", 1) > 1:
        batch["token_type_ids"] = (torch.arange(TIME) >= torch.tensor(SECOND_SEGMENTS)[:, None]).long()
        stored["segments"] = batch["token_type_ids"]
    if golden.auto is AutoModelForMaskedLM:
        labelled = torch.from_numpy(draws.random_sample(shape) < LABELLED)
        labels = torch.from_numpy(draws.randint(vocab, size=shape))
        batch["labels"] = torch.where(labelled, labels, IGNORED)
        stored["targets"] = torch.where(labelled, labels, -1)
    return batch, {name: tensor.to(torch.int32) for name, tensor in stored.items()}


def forward(model: PreTrainedModel, golden: Golden, batch: Tensors) -> Tensors:
    """What the model computes, with layer_0 ... layer_L, final: the library's own list lacks what enters the final norm."""
    with ExitStack() as hooks, torch.no_grad():
        last = []
        if golden.final_norm:
            norm = model.get_submodule(golden.final_norm)
            hooks.callback(norm.register_forward_pre_hook(lambda _, inputs: last.append(inputs[0])).remove)
        output = model(**batch, output_hidden_states=True)
    layers = list(output.hidden_states)
    final = {"final": layers.pop()} if golden.final_norm else {}
    tensors = {f"layer_{index}": layer for index, layer in enumerate([*layers, *last])} | final
    if golden.auto is AutoModel:
        return tensors | {"pooled": output.pooler_output}
    return tensors | {"logits": output.logits} | ({} if golden.trained else {"loss": output.loss})


def continuation(model: PreTrainedModel, ids: torch.Tensor) -> Tensors:
    """The likeliest token after the beginning of each text, and so on; no token ends it."""
    ids = ids[:, :PROMPT]
    with torch.no_grad():
        for _ in range(CONTINUATION):
            ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(dim=-1)], dim=1)
    return {"greedy": ids[:, PROMPT:].to(torch.int32)}


def gradients(model: PreTrainedModel, batch: Tensors) -> Tensors:
    model.zero_grad()
    model(**batch).loss.backward()
    return {f"gradient.{name}": parameter.grad.clone() for name, parameter in model.named_parameters()}


def train(model: PreTrainedModel, batch: Tensors) -> Tensors:
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
        loss = model(**batch).loss
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
        model = golden.auto.from_config(golden.config, attn_implementation="eager").double().eval()
        fill(model)
        batch, tensors = draw(numpy.random.RandomState(zlib.crc32(folder.name.encode())), golden)
        tensors |= forward(model, golden, batch)
        if golden.continued and golden.auto is AutoModelForCausalLM:
            tensors |= continuation(model, batch["input_ids"])
        untrained = copy.deepcopy(model)
        if golden.trained:
            tensors |= gradients(model, batch)
            tensors |= train(model, batch)
    shutil.rmtree(folder, ignore_errors=True)
    untrained.to(golden.file_dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
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
