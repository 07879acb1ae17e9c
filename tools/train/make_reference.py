"""
The reference cases: what diffusers computes in float32, step by step, for tests to compare with.

    python make_reference.py --checkpoint OUT/checkpoint/fp16 --out OUT/reference

Each case is a folder: case.json (request, token ids, sigmas, and name, shape and SHA-256 of every
tensor), image.png, and little-endian float32 files: initial_latents and latents_1…4 [1, h·w, 48],
velocity_1…4 (the transformer's output), prompt_embeds [1, 32, 1152], vae_input [1, 12, H/8, W/8].
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from torch import Tensor

from model import PACKED_CHANNELS, PIXELS_PER_TOKEN, pack_tokens
from text import HIDDEN_LAYERS, MAX_TOKENS

STEPS = 4

CASES = [
    ("a red heart", 1, 256),
    ("a robot, flat style", 7, 256),
    ("a penguin on a blue background", 42, 256),
    ("a birthday cake", 3, 128),
]
"""Prompt, seed, pixels a side; case1 is the first."""

CALL = {
    "num_inference_steps": STEPS,
    "guidance_scale": 1.0,
    "max_sequence_length": MAX_TOKENS,
    "text_encoder_out_layers": HIDDEN_LAYERS,
}
"""How the pipeline has to be called for this checkpoint."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="plain diffusers folder (expand_int8.py)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the cases")
    parser.add_argument(
        "--cases",
        type=int,
        nargs="+",
        choices=range(1, len(CASES) + 1),
        default=range(1, len(CASES) + 1),
        help="which cases to make; all by default",
    )
    return parser.parse_args()


def load_pipeline(checkpoint: Path) -> Flux2KleinPipeline:
    pipeline = Flux2KleinPipeline.from_pretrained(checkpoint, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw_latents(seed: int, resolution: int) -> Tensor:
    """Initial noise [1, 48, h, w] as the pipeline draws it from a CPU generator with this seed."""
    side = resolution // PIXELS_PER_TOKEN
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(1, PACKED_CHANNELS, side, side, generator=generator)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Recorder:
    """Hooks into a pipeline and keeps what passes through it."""

    def __init__(self, pipeline: Flux2KleinPipeline):
        self.timesteps: list[float] = []
        self.tensors: dict[str, Tensor] = {}
        self.handles = [
            pipeline.transformer.register_forward_hook(self.after_transformer, with_kwargs=True),
            pipeline.vae.decoder.register_forward_pre_hook(self.before_decoder),
        ]

    def after_transformer(self, _module, _args, kwargs, output) -> None:
        self.timesteps.append(float(kwargs["timestep"][0]))
        self.keep("prompt_embeds", kwargs["encoder_hidden_states"])
        self.keep(f"velocity_{len(self.timesteps)}", output[0])

    def before_decoder(self, _module, args) -> None:
        self.keep("vae_input", args[0])

    def after_step(self, _pipeline, step: int, _timestep, values: dict) -> dict:
        self.keep(f"latents_{step + 1}", values["latents"])
        return values

    def keep(self, name: str, tensor: Tensor) -> None:
        self.tensors[name] = tensor.detach().clone()

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def make_case(
    pipeline: Flux2KleinPipeline, folder: Path, prompt: str, seed: int, resolution: int
) -> None:
    folder.mkdir(parents=True)
    size = {"height": resolution, "width": resolution}
    latents = draw_latents(seed, resolution)
    recorder = Recorder(pipeline)
    recorder.keep("initial_latents", pack_tokens(latents))
    image = pipeline(
        prompt=prompt, latents=latents, callback_on_step_end=recorder.after_step, **size, **CALL
    ).images[0]
    recorder.close()
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = pipeline(prompt=prompt, generator=generator, **size, **CALL).images[0]
    if not np.array_equal(np.asarray(image), np.asarray(drawn)):
        raise ValueError(f"{prompt!r}: the pipeline draws other noise from seed {seed}")

    image.save(folder / "image.png")
    tensors = {}
    for name, tensor in recorder.tensors.items():
        path = folder / f"{name}.bin"
        tensor.numpy().astype("<f4").tofile(path)
        tensors[name] = {
            "file": path.name,
            "dtype": "float32",
            "shape": list(tensor.shape),
            "sha256": sha256(path),
        }
    tokens = pipeline.tokenizer(
        prompt, padding="max_length", truncation=True, max_length=MAX_TOKENS
    )
    case = {
        "prompt": prompt,
        "seed": seed,
        **size,
        "num_inference_steps": STEPS,
        "guidance_scale": CALL["guidance_scale"],
        "sigmas": [float(sigma) for sigma in pipeline.scheduler.sigmas],
        "transformer_timesteps": recorder.timesteps,
        "input_ids": tokens["input_ids"],
        "attention_mask": tokens["attention_mask"],
        "image": {"file": "image.png", "sha256": sha256(folder / "image.png")},
        "tensors": tensors,
        "made_with": f"diffusers {diffusers.__version__} Flux2KleinPipeline, CPU, float32",
        "ids": "img_ids = (0,row,col,0), txt_ids = (0,0,0,pos)",
    }
    (folder / "case.json").write_text(json.dumps(case, indent=1), encoding="utf-8")
    print(f"{folder.name}: {prompt!r}, seed {seed}, {resolution} px")


def main() -> None:
    args = parse_arguments()
    # how sums are split among threads decides their last bits
    torch.set_num_threads(2)
    pipeline = load_pipeline(args.checkpoint)
    for number in args.cases:
        folder = args.out / f"case{number}"
        shutil.rmtree(folder, ignore_errors=True)
        make_case(pipeline, folder, *CASES[number - 1])


if __name__ == "__main__":
    main()
