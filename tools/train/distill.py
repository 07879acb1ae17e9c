"""
Stage 4: four Euler steps without guidance instead of twenty guided ones.

    python distill.py --pack PACK --vae OUT/vae.safetensors --teacher OUT/flow.safetensors \
        --out OUT --minutes 8

The noise levels are cut into as many windows as the student has steps. Within each the teacher
walks its own guided path in small steps; the student learns the straight line from a window's
start to its end (the idea of PeRFlow: piecewise rectified flow). Four lines in a row then end
where the teacher's twenty guided steps end. Writes OUT/student.safetensors, OUT/distill.log and
sample grids.
"""

import argparse
import copy
from itertools import pairwise
from pathlib import Path

import torch
from diffusers import Flux2Transformer2DModel
from torch import Tensor

from batches import load_batches
from captions import EVAL_PROMPTS
from checkpoint_parts import load_part, save_part
from images import save_grid
from model import (
    PACKED_CHANNELS,
    PIXELS_PER_TOKEN,
    decode_tokens,
    make_transformer,
    make_vae,
    noise_levels,
    position_ids,
    sample,
)
from progress import Log, Schedule, ema_decay
from text import embed, embed_prompts, load_text_encoder, load_tokenizer


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, required=True, help="folder of the data pack")
    parser.add_argument("--vae", type=Path, required=True, help="vae.safetensors of stage 1")
    parser.add_argument("--teacher", type=Path, required=True, help="flow.safetensors of stage 3")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--resume", type=Path, help="start from this student.safetensors")
    parser.add_argument("--minutes", type=float, default=8, help="time for the run, setup too")
    parser.add_argument(
        "--max-steps", type=int, default=10**9, help="stop after this many teacher batches"
    )
    parser.add_argument("--windows", type=int, default=4, help="steps of the student")
    parser.add_argument(
        "--teacher-steps", type=int, default=5, help="Euler steps of the teacher in each window"
    )
    parser.add_argument("--guidance", type=float, default=3.0, help="guidance of the teacher")
    parser.add_argument(
        "--shift", type=float, default=3.0, help="shift of the noise levels, fixed from here on"
    )
    parser.add_argument("--batch", type=int, default=256, help="prompts per teacher batch")
    parser.add_argument("--share-128", type=float, default=0.2, help="share of 128 px batches")
    parser.add_argument("--lr", type=float, default=2e-4, help="peak learning rate of AdamW")
    parser.add_argument("--ema", type=float, default=0.995, help="decay of the averaged weights")
    parser.add_argument("--workers", type=int, default=6, help="processes that draw captions")
    parser.add_argument("--no-compile", action="store_true", help="run the blocks uncompiled")
    return parser.parse_args()


class Teacher:
    """Walks guided paths from pure noise and says where they stand at the windows' borders."""

    def __init__(
        self,
        transformer: Flux2Transformer2DModel,
        unconditional: Tensor,
        sigmas: list[float],
        steps: int,
        guidance: float,
    ):
        self.transformer = transformer
        self.unconditional = unconditional
        self.sigmas = sigmas
        self.guidance = guidance
        self.levels = [
            [start + (end - start) * step / steps for step in range(steps + 1)]
            for start, end in pairwise(sigmas)
        ]

    @torch.no_grad()
    def walk(
        self, embeddings: Tensor, side: int, ids: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """
        Latent tokens at each window's start, and the constant velocity that leads from there to
        its end, both [B, windows, side², 48].
        """
        batch, device = embeddings.shape[0], embeddings.device
        both = torch.cat([embeddings, self.unconditional.expand_as(embeddings)])
        tokens = torch.randn(batch, side * side, PACKED_CHANNELS, device=device)
        starts, lines = [], []
        for window, levels in enumerate(self.levels):
            start = tokens
            for sigma, following in pairwise(levels):
                velocity = self.transformer(
                    hidden_states=torch.cat([tokens, tokens]),
                    encoder_hidden_states=both,
                    timestep=torch.full((2 * batch,), sigma, device=device),
                    img_ids=ids[0],
                    txt_ids=ids[1],
                    return_dict=False,
                )[0].float()
                guided, free = velocity.chunk(2)
                tokens = tokens + (following - sigma) * (free + self.guidance * (guided - free))
            starts.append(start)
            lines.append((tokens - start) / (self.sigmas[window + 1] - self.sigmas[window]))
        return torch.stack(starts, 1), torch.stack(lines, 1)


def main() -> None:
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "distill.log")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cuda = device == "cuda"
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")

    encoder = load_text_encoder(args.pack).to(device)
    tokenizer = load_tokenizer(args.pack)
    vae = make_vae().to(device).eval().requires_grad_(False)
    load_part(vae, args.vae)
    original = make_transformer().to(device).eval().requires_grad_(False)
    load_part(original, args.teacher)
    student = make_transformer().to(device)
    load_part(student, args.resume or args.teacher)
    average = copy.deepcopy(student).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0, fused=cuda
    )
    if not args.no_compile:
        original.compile_repeated_blocks(dynamic=False)
        student.compile_repeated_blocks(dynamic=False)

    sigmas = noise_levels(args.windows, args.shift)
    log(f"sigmas {[round(sigma, 4) for sigma in sigmas]}, on {device}")
    batches = load_batches(args.pack, args.batch, args.workers, seed=501)
    empty = embed_prompts(encoder, tokenizer, [""]).float()
    teacher = Teacher(original, empty, sigmas, args.teacher_steps, args.guidance)
    sizes = torch.Generator().manual_seed(5)
    reserve = 25 if cuda else 3  # seconds for the sample grids
    schedule = Schedule(args.minutes * 60 - log.elapsed() - reserve, args.max_steps)
    updates = 0

    while not schedule.finished():
        rate = args.lr * schedule.rate(warmup_steps=50, decay=0.5, floor=0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        resolution = 128 if torch.rand((), generator=sizes).item() < args.share_128 else 256
        side = resolution // PIXELS_PER_TOKEN
        image_ids, text_ids = position_ids(side, side, device)
        layouts = next(batches)
        embeddings = embed(encoder, layouts["ids"].to(device), layouts["mask"].to(device)).float()
        with torch.autocast(device, torch.bfloat16, enabled=cuda):
            starts, lines = teacher.walk(embeddings, side, (image_ids, text_ids))
        rows = torch.arange(len(embeddings), device=device)
        levels = torch.tensor(sigmas[: args.windows], device=device)
        errors = []
        # each update holds every window, each path another one; after all updates, all of them
        for turn in range(args.windows):
            window = (rows + turn) % args.windows
            with torch.autocast(device, torch.bfloat16, enabled=cuda):
                velocity = student(
                    hidden_states=starts[rows, window],
                    encoder_hidden_states=embeddings,
                    timestep=levels[window],
                    img_ids=image_ids,
                    txt_ids=text_ids,
                    return_dict=False,
                )[0]
            squared = (velocity.float() - lines[rows, window]) ** 2
            loss = straightness_loss(squared)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            updates += 1
            if schedule.step % 10 == 0:
                errors.append(squared.mean().item())
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(average.parameters()),
                    list(student.parameters()),
                    1 - ema_decay(args.ema, updates, delay=9),
                )
        schedule.step += 1
        if errors:
            log(
                f"batch {schedule.step} {resolution} px error {sum(errors) / len(errors):.4f}"
                f" lr {rate:.1e} batches/s {schedule.step / schedule.elapsed():.2f}"
            )

    save_part(average.state_dict(), args.out / "student.safetensors")
    log(f"saved the student after {schedule.step} batches, {updates} updates")
    prompts = EVAL_PROMPTS if cuda else EVAL_PROMPTS[:6]
    embeddings = embed_prompts(encoder, tokenizer, prompts)
    with torch.autocast(device, torch.bfloat16, enabled=cuda):
        for resolution in (256, 128):
            side = resolution // PIXELS_PER_TOKEN
            tokens = sample(average, embeddings, resolution, sigmas)
            save_grid(
                decode_tokens(vae, tokens, side, side), args.out / f"student_{resolution}.png"
            )
    log("wrote sample grids")


def straightness_loss(squared: Tensor) -> Tensor:
    """
    Mean over examples of the root of each one's mean squared error (a pseudo-Huber loss): paths
    that are hard to straighten pull less than they would squared, so the student does not give up
    the many for the few.
    """
    return torch.sqrt(squared.mean((1, 2)) + 1e-4).mean()


if __name__ == "__main__":
    main()
