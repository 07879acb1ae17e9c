"""What one stage hands to the next: a float16 safetensors file for each network."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def save_part(state: dict[str, Tensor], path: Path | str) -> None:
    """Stores a state dict as float16; integers keep their type."""
    stored = {}
    for name, tensor in state.items():
        dtype = torch.float16 if tensor.is_floating_point() else tensor.dtype
        # a compiled module prefixes its parameters' names
        stored[name.replace("_orig_mod.", "")] = tensor.detach().to("cpu", dtype).contiguous()
    save_file(stored, path, metadata={"format": "pt"})


def load_part(module: nn.Module, path: Path | str) -> None:
    """Loads a part into a module as float32."""
    state = load_file(path)
    module.load_state_dict(
        {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    )
