"""Makes a full-size FLUX.2-klein checkpoint of random weights, in seconds: names, shapes, dtypes,
shards and configs are the real one's, numbers are not.

    python3 make_checkpoint.py /dev/shm/klein-9b --shape 9b

Names and shapes come from the classes of diffusers and transformers themselves, built on the meta
device. A tensor's numbers depend on its name only, so the same machine makes the same checkpoint
again.
"""

import argparse
import json
import math
import os
import pathlib
import re
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import torch

from checkpoint_configs import SHAPES
from tokenizer_files import write_tokenizer

SHARD_BYTES = 5_000_000_000
CHUNK_BYTES = 64 << 20
DTYPE_NAMES = {torch.bfloat16: "BF16", torch.int64: "I64"}


def describe(shape):
    """Tensors of every component as (name, shape), in the order in which their classes have them."""
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
    from transformers import Qwen3Config, Qwen3ForCausalLM

    with torch.device("meta"):
        encoder = Qwen3Config(**shape["text_encoder"])
        models = {
            "transformer": Flux2Transformer2DModel.from_config(shape["transformer"]),
            "vae": AutoencoderKLFlux2.from_config(shape["vae"]),
            "text_encoder": Qwen3ForCausalLM(encoder),
        }
    tensors = {
        name: [(key, list(value.shape)) for key, value in model.state_dict().items()]
        for name, model in models.items()
    }
    # A file has no second copy of the embedding where the output layer is tied to it.
    if encoder.tie_word_embeddings:
        tensors["text_encoder"] = [entry for entry in tensors["text_encoder"] if entry[0] != "lm_head.weight"]
    return tensors


def draw(name, shape, device):
    """Numbers for one tensor: activations stay near one through all layers, as trained weights keep them.

    Gains of norms are near one, and a matrix keeps the size of what it is given. The transformer's
    way back to its residual stream passes gates of about 0.2 here, which the triple size makes up
    for.
    """
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64, device=device)
    generator = torch.Generator(device).manual_seed(zlib.crc32(name.encode()))
    values = torch.randn(shape, generator=generator, device=device, dtype=torch.bfloat16)
    if name.endswith("running_var"):
        return values.mul_(0.1).exp_()
    if name.endswith(("bias", "running_mean")):
        return values.mul_(0.02)
    if len(shape) == 1:
        return values.mul_(0.02).add_(1)
    if name.endswith("embed_tokens.weight"):
        return values
    # Each neuron of linear and convolution has shape[1:] inputs.
    gain = (
        3
        if re.search(r"transformer_blocks.*(to_out\.0|to_add_out|linear_out|attn\.to_out)\.weight$", name)
        else 1
    )
    return values.mul_(gain / math.sqrt(math.prod(shape[1:])))


def shards_of(tensors):
    """Shards of at most SHARD_BYTES: lists of (name, shape, bytes), by name as safetensors writes them."""
    shards, room = [], 0
    for name, shape in tensors:
        size = math.prod(shape) * (8 if name.endswith("num_batches_tracked") else 2)
        if not shards or size > room:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append((name, shape, size))
        room -= size
    return [sorted(shard) for shard in shards]


class Writer:
    """Writes tensors that lie on a device: one pinned buffer and one stream a thread."""

    def __init__(self, device):
        self.device = device
        self.local = threading.local()

    def write_shard(self, file, shard):
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for name, shape, size in shard:
            dtype = "I64" if name.endswith("num_batches_tracked") else "BF16"
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header, separators=(",", ":")).encode()
        # Data begins at a multiple of 8, as in files that safetensors writes.
        text += b" " * (-len(text) % 8)
        with open(file, "wb", buffering=0) as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for name, shape, size in shard:
                self.write_tensor(out, name, shape, size)

    def write_tensor(self, out, name, shape, size):
        if self.device.type == "cpu":
            out.write(bytes_of(draw(name, shape, self.device)))
            return
        if not hasattr(self.local, "stream"):
            self.local.stream = torch.cuda.Stream(self.device)
            self.local.pinned = torch.empty(CHUNK_BYTES, dtype=torch.uint8, pin_memory=True)
        stream, pinned = self.local.stream, self.local.pinned
        with torch.cuda.stream(stream):
            source = draw(name, shape, self.device).reshape(-1).view(torch.uint8)
            for begin in range(0, size, CHUNK_BYTES):
                part = source[begin : begin + CHUNK_BYTES]
                pinned[: part.numel()].copy_(part, non_blocking=True)
                stream.synchronize()
                out.write(pinned[: part.numel()].numpy())


def bytes_of(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy()


def write_component(pool, writer, folder, stem, config_name, config, tensors):
    """Starts writing one component; returns what to wait for."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / config_name, config)
    shards = shards_of(tensors)
    of = len(shards)
    names = [
        f"{stem}-{place + 1:05}-of-{of:05}.safetensors" if of > 1 else f"{stem}.safetensors"
        for place in range(of)
    ]
    if of > 1:
        total = sum(size for shard in shards for _, _, size in shard)
        where = {name: file for shard, file in zip(shards, names, strict=True) for name, _, _ in shard}
        write_json(
            folder / f"{stem}.safetensors.index.json",
            {"metadata": {"total_size": total}, "weight_map": where},
        )
    return [
        pool.submit(writer.write_shard, folder / file, shard)
        for shard, file in zip(shards, names, strict=True)
    ]


def write_json(file, value):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "out", type=pathlib.Path, help="folder to make; tmpfs for figures that are about PCIe"
    )
    parser.add_argument("--shape", choices=[name for name in SHAPES if name != "tiny"], default="9b")
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="the same classes in a few MB, to try everything on a CPU",
    )
    arguments = parser.parse_args()

    began = time.monotonic()
    shape = SHAPES["tiny" if arguments.tiny else arguments.shape]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    described = describe(shape)
    print(f"classes described in {time.monotonic() - began:.1f} s", flush=True)

    began = time.monotonic()
    write_json(arguments.out / "model_index.json", shape["model_index"])
    write_json(arguments.out / "scheduler" / "scheduler_config.json", shape["scheduler"])
    write_tokenizer(arguments.out / "tokenizer")
    writer = Writer(device)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        pending = []
        for name, stem in (
            ("transformer", "diffusion_pytorch_model"),
            ("text_encoder", "model"),
            ("vae", "diffusion_pytorch_model"),
        ):
            folder = arguments.out / name
            pending += write_component(
                pool, writer, folder, stem, "config.json", shape[name], described[name]
            )
        for shard in pending:
            shard.result()
    write_json(arguments.out / "text_encoder" / "generation_config.json", {"do_sample": False})
    total = sum(file.stat().st_size for file in arguments.out.rglob("*.safetensors"))
    seconds = time.monotonic() - began
    print(
        f"{total / 1e9:.2f} GB in {seconds:.1f} s = {total / 1e9 / seconds:.2f} GB/s, on {device}",
        flush=True,
    )


if __name__ == "__main__":
    main()
