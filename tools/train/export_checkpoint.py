"""
Stage 5: the trained parts as a checkpoint in diffusers' layout.

    python export_checkpoint.py --pack PACK --vae OUT/vae.safetensors \
        --transformer OUT/student.safetensors --out OUT/checkpoint

Writes OUT/checkpoint/fp16, which Flux2KleinPipeline loads as it is, and OUT/checkpoint/int8, the
same weights in half the space: that one is published as models/emoji. `expand_int8.py` makes the
first from the second; this script checks that it does, and that the pipeline loads the result.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline
from safetensors.numpy import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerFast

from checkpoint_parts import load_part
from expand_int8 import expand
from int8_grid import from_int8, is_large, to_int8
from model import make_transformer, make_vae
from text import MAX_TOKENS, load_text_encoder

CHAT_TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
"""The pipeline always applies a chat template; this one leaves the prompt as it is."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, required=True, help="folder of the data pack")
    parser.add_argument("--vae", type=Path, required=True, help="vae.safetensors")
    parser.add_argument(
        "--transformer", type=Path, required=True, help="student.safetensors (or flow.safetensors)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write, emptied first")
    parser.add_argument("--shift", type=float, default=3.0, help="shift that distill.py used")
    parser.add_argument(
        "--not-distilled", action="store_true", help="the transformer still needs guidance"
    )
    return parser.parse_args()


@torch.no_grad()
def snap(module: nn.Module) -> None:
    """Moves a float32 module's weights onto the int8 grid in place; small ones to float16."""
    for tensor in [*module.parameters(), *module.buffers()]:
        if not tensor.is_floating_point():
            continue
        if is_large(tuple(tensor.shape)):
            tensor.copy_(torch.from_numpy(from_int8(*to_int8(tensor.detach().numpy()))))
        else:
            tensor.copy_(tensor.half().float())


def build_pipeline(args: argparse.Namespace) -> Flux2KleinPipeline:
    """The whole pipeline in float32, with every weight on the grid."""
    encoder = load_text_encoder(args.pack, pooler=True)
    vae, transformer = make_vae().eval(), make_transformer().eval()
    load_part(vae, args.vae)
    load_part(transformer, args.transformer)
    for module in (encoder, vae, transformer):
        snap(module)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{args.pack}/tokenizer/tokenizer.json",
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=MAX_TOKENS,
        padding_side="right",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=args.shift, use_dynamic_shifting=False),
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=not args.not_distilled,
    )


def save_float16(pipeline: Flux2KleinPipeline, folder: Path) -> None:
    for module in (pipeline.text_encoder, pipeline.vae, pipeline.transformer):
        module.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    # the class name by which every release of transformers finds the tokenizer
    name = "PreTrainedTokenizerFast"
    edit_json(folder / "model_index.json", tokenizer=["transformers", name])
    edit_json(
        folder / "tokenizer" / "tokenizer_config.json",
        tokenizer_class=name,
        chat_template=CHAT_TEMPLATE,
    )
    # transformers computes in the type that the config names; the others default to float32
    edit_json(folder / "text_encoder" / "config.json", dtype="float32")
    make_readable(folder)


def edit_json(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def save_int8(source: Path, folder: Path) -> None:
    """A copy of the float16 folder with every large tensor as int8 and its scales."""
    shutil.copytree(source, folder)
    for path in folder.rglob("*.safetensors"):
        stored = {}
        for name, tensor in load_file(path).items():
            if tensor.dtype != np.float16 or not is_large(tensor.shape):
                stored[name] = tensor
                continue
            values, scale = to_int8(tensor.astype(np.float32))
            if not np.array_equal(from_int8(values, scale).astype(np.float16), tensor):
                raise ValueError(f"{path.name}: {name} is not on the int8 grid")
            stored[name], stored[f"{name}.scale"] = values, scale
        save_file(stored, path, metadata={"format": "pt"})
    make_readable(folder)


def make_readable(folder: Path) -> None:
    """safetensors writes files that only their owner may read."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def check(float16: Path, int8: Path) -> None:
    """Expands the int8 folder, compares it with the float16 one, and loads it."""
    with tempfile.TemporaryDirectory() as temporary:
        expanded = Path(temporary) / "expanded"
        expand(int8, expanded)
        for path in float16.rglob("*.safetensors"):
            want, got = load_file(path), load_file(expanded / path.relative_to(float16))
            if want.keys() != got.keys():
                raise ValueError(f"{path.name}: other tensors after expanding the int8 folder")
            for name in want:
                if not np.array_equal(want[name], got[name]):
                    raise ValueError(f"{path.name}: {name} differs after expanding")
        Flux2KleinPipeline.from_pretrained(expanded)


def main() -> None:
    args = parse_arguments()
    shutil.rmtree(args.out, ignore_errors=True)
    float16, int8 = args.out / "fp16", args.out / "int8"
    save_float16(build_pipeline(args), float16)
    save_int8(float16, int8)
    check(float16, int8)
    for folder in (float16, int8):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{folder}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
