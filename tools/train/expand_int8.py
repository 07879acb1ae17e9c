"""
Turns a checkpoint with int8 weights into the plain float16 diffusers folder, bit for bit.

    python expand_int8.py SRC DST

A tensor T stored as int8 has its scale beside it as "T.scale" (float32, one per row of the first
axis): T = int8 × scale, exact in float16. Needs numpy and safetensors only.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from int8_grid import from_int8


def expand(source: Path, destination: Path) -> None:
    """Writes the folder `destination`; every file that holds no weights is copied as it is."""
    for path in sorted(source.rglob("*")):
        target = destination / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.suffix == ".safetensors":
            target.parent.mkdir(parents=True, exist_ok=True)
            save_file(expand_tensors(load_file(path)), target, metadata={"format": "pt"})
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def expand_tensors(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tensors = {}
    for name, tensor in stored.items():
        if name.endswith(".scale") and name.removesuffix(".scale") in stored:
            continue
        if tensor.dtype == np.int8:
            exact = from_int8(tensor, stored[f"{name}.scale"])
            tensor = exact.astype(np.float16)
            if not np.array_equal(tensor.astype(np.float32), exact):
                raise ValueError(f"{name}: int8 × scale is not exact in float16")
        tensors[name] = tensor
    return tensors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="checkpoint with int8 weights: models/emoji")
    parser.add_argument("destination", type=Path, help="folder to write")
    arguments = parser.parse_args()
    expand(arguments.source, arguments.destination)
