"""Tokenizer and frozen text encoder: prompts become embeddings as Flux2KleinPipeline makes them."""

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertConfig, BertModel

MAX_TOKENS = 32
"""Every prompt is padded or cut to this many tokens; the transformer sees all of them, unmasked."""

HIDDEN_LAYERS = (2, 4, 6)
"""MiniLM's hidden states that are concatenated, as the pipeline does with Qwen3's 9, 18 and 27."""

EMBEDDING_WIDTH = 384 * len(HIDDEN_LAYERS)


def load_tokenizer(pack: Path | str) -> Tokenizer:
    tokenizer = Tokenizer.from_file(f"{pack}/tokenizer/tokenizer.json")
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]", length=MAX_TOKENS)
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def tokenize(tokenizer: Tokenizer, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both int64 [B, 32]."""
    encoded = tokenizer.encode_batch(texts)
    ids = torch.tensor([entry.ids for entry in encoded])
    return ids, torch.tensor([entry.attention_mask for entry in encoded])


def load_text_encoder(pack: Path | str, pooler: bool = False) -> BertModel:
    """
    The pack's int8 MiniLM as a frozen float32 BertModel.

    `pooler` adds a zero pooling layer. Nothing uses it, but `from_pretrained` expects one and
    would otherwise report missing weights for the exported checkpoint.
    """
    folder = Path(pack) / "text_encoder"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for key in ("model_type", "architectures"):
        config.pop(key, None)
    model = BertModel(BertConfig(**config), add_pooling_layer=pooler)
    state = read_int8_weights(folder / "weights_int8.npz")
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [key for key in missing if not key.startswith("pooler.")]
    if missing or unexpected:
        raise ValueError(
            f"{folder} does not fit its config [missing={missing}, unexpected={unexpected}]"
        )
    if model.pooler is not None:
        for parameter in model.pooler.parameters():
            torch.nn.init.zeros_(parameter)
    return model.eval().requires_grad_(False)


def read_int8_weights(path: Path) -> dict[str, Tensor]:
    """
    float32 weights from the pack's .npz, where `NAME|q` is int8 and `NAME|s` its float32 scale
    [rows, 1]; 1-D tensors are stored as they are.
    """
    arrays = np.load(path)
    state = {}
    for key in arrays.files:
        name, _, kind = key.partition("|")
        if kind == "q":
            state[name] = torch.from_numpy(arrays[key].astype(np.float32) * arrays[f"{name}|s"])
        elif not kind:
            state[name] = torch.from_numpy(arrays[key].astype(np.float32))
    return state


@torch.no_grad()
def embed(encoder: BertModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Prompt embeddings [B, 32, 1152], in the order in which the pipeline stacks hidden states."""
    states = encoder(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    return torch.cat([states[layer] for layer in HIDDEN_LAYERS], -1)


def embed_prompts(encoder: BertModel, tokenizer: Tokenizer, prompts: list[str]) -> Tensor:
    """Prompt embeddings [B, 32, 1152] on the encoder's device."""
    ids, mask = tokenize(tokenizer, prompts)
    return embed(encoder, ids.to(encoder.device), mask.to(encoder.device))
