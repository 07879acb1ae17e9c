"""
Stages 2 and 3: the denoiser (Flux2Transformer2DModel) as a rectified flow, conditioned on MiniLM.

    python train_flow.py --pack PACK --vae OUT/vae.safetensors --out OUT --state OUT/flow_state.pt \
        --minutes 4.3 --part-128 1 --decay 0                # 128 px, constant learning rate
    python train_flow.py --pack PACK --vae OUT/vae.safetensors --out OUT --state OUT/flow_state.pt \
        --minutes 9.2 --part-128 0 --mix-128 0.2 --decay 0.5 --warmup 100     # mostly 256 px

A 128 px image has 64 latent tokens, a 256 px one 256: what things look like is learned at the
small size, for a quarter of the tokens, and only then the details. Writes the averaged weights as
OUT/flow.safetensors, OUT/flow.log and sample grids; the second run continues from --state.
"""

import argparse
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLFlux2
from torch import Tensor

from batches import load_batches
from captions import EVAL_PROMPTS
from checkpoint_parts import load_part, save_part
from images import compose, load_images, save_grid
from model import (
    PIXELS_PER_TOKEN,
    decode_tokens,
    keep_group_norm_in_bf16,
    latent_statistics,
    make_transformer,
    make_vae,
    noise_levels,
    pack_tokens,
    patchify,
    position_ids,
    sample,
    sampling_shift,
)
from progress import Log, Schedule, ema_decay
from text import MAX_TOKENS, embed, embed_prompts, load_text_encoder, load_tokenizer


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, required=True, help="folder of the data pack")
    parser.add_argument("--vae", type=Path, required=True, help="vae.safetensors of stage 1")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--state",
        type=Path,
        help="weights, averages and optimizers: read if it exists, written at the end",
    )
    parser.add_argument(
        "--resume", type=Path, help="start from this flow.safetensors where there is no state"
    )
    parser.add_argument("--minutes", type=float, default=9, help="time for the run, setup too")
    parser.add_argument("--max-steps", type=int, default=10**9, help="stop after this many updates")
    parser.add_argument("--batch-128", type=int, default=1024, help="images per update at 128 px")
    parser.add_argument("--batch-256", type=int, default=384, help="images per update at 256 px")
    parser.add_argument(
        "--part-128", type=float, default=0.45, help="first part of the run, only 128 px"
    )
    parser.add_argument(
        "--mix-128", type=float, default=0.15, help="share of 128 px updates after that part"
    )
    parser.add_argument(
        "--shift-128", type=float, default=1.3, help="shift of the noise levels at 128 px"
    )
    parser.add_argument(
        "--shift-256", type=float, default=2.2, help="the same at 256 px: more noise, more pixels"
    )
    parser.add_argument(
        "--optimizer",
        choices=["muon", "adamw"],
        default="muon",
        help="of the blocks' matrices; everything else always uses AdamW",
    )
    parser.add_argument("--lr", type=float, default=1.2e-3, help="peak learning rate")
    parser.add_argument("--warmup", type=int, default=300, help="updates until the peak")
    parser.add_argument(
        "--decay",
        type=float,
        default=0.4,
        help="last part of the run, in which the rate falls to 0; 0 if another run follows",
    )
    parser.add_argument("--ema", type=float, default=0.9985, help="decay of the averaged weights")
    parser.add_argument(
        "--reuse",
        type=int,
        default=4,
        help="how often an encoded image is used on average, with new noise each time",
    )
    parser.add_argument("--bank", type=int, default=16384, help="encoded images that are kept")
    parser.add_argument("--workers", type=int, default=5, help="caption processes per resolution")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT pictures")
    parser.add_argument("--no-compile", action="store_true", help="run the blocks uncompiled")
    parser.add_argument(
        "--guidance",
        type=float,
        nargs="+",
        default=[1, 2, 3, 4.5],
        help="guidance scales of the 256 px sample grid, one block of rows each",
    )
    parser.add_argument("--eval-steps", type=int, default=24, help="steps of the sample grids")
    return parser.parse_args()


class LatentBank:
    """
    A ring of encoded images of one resolution, with their captions.

    Each update adds `batch / reuse` images to the ring and draws a whole batch from it, so that
    composing and encoding are paid once for several uses. Mean and deviation are kept, not one
    sample of them, so even a repeated image differs.
    """

    def __init__(
        self,
        vae: AutoencoderKLFlux2,
        images: Tensor,
        args: argparse.Namespace,
        resolution: int,
        seed: int,
    ):
        self.vae = vae
        self.images = images
        self.resolution = resolution
        self.batch = args.batch_128 if resolution == 128 else args.batch_256
        self.fresh = max(4, self.batch // args.reuse)
        self.capacity = max(self.fresh, min(args.bank, 8 * self.batch) // self.fresh * self.fresh)
        self.batches = load_batches(args.pack, self.fresh, args.workers, seed=seed)
        self.mean, self.deviation = latent_statistics(vae)
        self.rows: dict[str, Tensor] = {}
        self.place = 0
        self.filled = 0

    @torch.no_grad()
    def refresh(self) -> None:
        """Encodes one new part of a batch into the ring's oldest place."""
        layouts = next(self.batches)
        device, cuda = self.images.device, self.images.is_cuda
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            pictures = compose(self.images, layouts, self.resolution)
            pictures = pictures.contiguous(memory_format=torch.channels_last)
            mean, log_variance = self.vae.encoder(pictures).float().chunk(2, 1)
        deviation = (log_variance.clamp(-20, 10) * 0.5).exp()
        values = {
            "mean": pack_tokens((patchify(mean.contiguous()) - self.mean) / self.deviation),
            "deviation": pack_tokens(patchify(deviation.contiguous()) / self.deviation),
            "ids": layouts["ids"].to(device),
            "mask": layouts["mask"].to(device),
        }
        if not self.rows:
            latents = (values["mean"].shape[1:], torch.bfloat16 if cuda else torch.float32)
            text = ((MAX_TOKENS,), torch.long)
            shapes = {"mean": latents, "deviation": latents, "ids": text, "mask": text}
            self.rows = {
                name: torch.zeros(self.capacity, *shape, dtype=dtype, device=device)
                for name, (shape, dtype) in shapes.items()
            }
        end = self.place + self.fresh
        for name, value in values.items():
            self.rows[name][self.place : end] = value
        self.filled = max(self.filled, end)
        self.place = end % self.capacity

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Latent tokens [B, h·w, 48], token ids and mask [B, 32]."""
        self.refresh()
        while self.filled < self.capacity:
            self.refresh()
        device = self.images.device
        picked = torch.randint(0, self.filled, (self.batch,), device=device)
        mean = self.rows["mean"][picked].float()
        deviation = self.rows["deviation"][picked].float()
        latents = mean + deviation * torch.randn(mean.shape, device=device)
        return latents, self.rows["ids"][picked], self.rows["mask"][picked]


def make_optimizers(
    transformer: torch.nn.Module, args: argparse.Namespace, cuda: bool
) -> list[torch.optim.Optimizer]:
    """
    Muon for the blocks' matrices, which is what it is made for, AdamW for embeddings, modulation
    and everything 1-D. `match_rms_adamw` scales Muon's steps so that one rate suits both.
    """
    if args.optimizer == "adamw":
        return [
            torch.optim.AdamW(
                transformer.parameters(),
                lr=args.lr,
                betas=(0.9, 0.98),
                weight_decay=0.01,
                fused=cuda,
            )
        ]
    matrices = [
        parameter
        for name, parameter in transformer.named_parameters()
        if parameter.ndim == 2 and "transformer_blocks" in name
    ]
    chosen = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in transformer.parameters() if id(parameter) not in chosen]
    return [
        torch.optim.Muon(
            matrices,
            lr=args.lr,
            weight_decay=0.02,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(
            others, lr=args.lr * 0.6, betas=(0.9, 0.98), weight_decay=0.0, fused=cuda
        ),
    ]


def main() -> None:
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "flow.log")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cuda = device == "cuda"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    if cuda:
        keep_group_norm_in_bf16()

    images = load_images(args.pack, limit=args.limit).to(device)
    encoder = load_text_encoder(args.pack).to(device)
    vae = make_vae().to(device).eval().requires_grad_(False)
    load_part(vae, args.vae)
    vae.to(memory_format=torch.channels_last)
    transformer = make_transformer().to(device)
    if args.resume:
        load_part(transformer, args.resume)
    parameters = sum(p.numel() for p in transformer.parameters())
    log(f"{len(images)} images, {parameters / 1e6:.2f} M parameters, on {device}")

    average = copy.deepcopy(transformer).eval().requires_grad_(False)
    optimizers = make_optimizers(transformer, args, cuda)
    done = 0
    if args.state and args.state.exists():
        state = torch.load(args.state, map_location=device)
        transformer.load_state_dict(state["transformer"])
        average.load_state_dict(state["average"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        done = state["step"]
        log(f"continues after step {done}")
    # the state of the optimizers brings the last run's rate along, so the peak is set anew
    peaks = [args.lr, args.lr * 0.6][: len(optimizers)]
    if not args.no_compile:
        # by block: one double and one single block are compiled, not nine
        transformer.compile_repeated_blocks(dynamic=False)

    banks = {
        resolution: LatentBank(vae, images, args, resolution, seed=seed + done)
        for resolution, seed in ((128, 11), (256, 77))
    }
    sizes = torch.Generator().manual_seed(3)
    seen = 0
    reserve = 30 if cuda else 5  # seconds for the sample grids
    schedule = Schedule(args.minutes * 60 - log.elapsed() - reserve, args.max_steps)
    log(f"trains for {schedule.seconds:.0f} s")

    while not schedule.finished():
        small = (
            schedule.progress() < args.part_128
            or torch.rand((), generator=sizes).item() < args.mix_128
        )
        resolution = 128 if small else 256
        rate = schedule.rate(args.warmup, args.decay, floor=0.01)
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate

        latents, ids, mask = banks[resolution].draw()
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=cuda):
            embeddings = embed(encoder, ids, mask).float()
        sigma = draw_noise_levels(len(latents), args.shift_128 if small else args.shift_256, device)
        noise = torch.randn_like(latents)
        weight = sigma.view(-1, 1, 1)
        side = resolution // PIXELS_PER_TOKEN
        image_ids, text_ids = position_ids(side, side, device)
        with torch.autocast(device, torch.bfloat16, enabled=cuda):
            velocity = transformer(
                hidden_states=(1 - weight) * latents + weight * noise,
                encoder_hidden_states=embeddings,
                timestep=sigma,
                img_ids=image_ids,
                txt_ids=text_ids,
                return_dict=False,
            )[0]
        loss = ((velocity.float() - (noise - latents)) ** 2).mean()
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(transformer.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        schedule.step += 1
        seen += len(latents)
        step = done + schedule.step
        with torch.no_grad():
            torch._foreach_lerp_(
                list(average.parameters()),
                list(transformer.parameters()),
                1 - ema_decay(args.ema, step, delay=15),
            )
        if schedule.step % 50 == 0 or schedule.step <= 3:
            log(
                f"step {step} {resolution} px loss {loss.item():.4f} gradient {norm.item():.2f}"
                f" rate ×{rate:.3f} images {seen} images/s {seen / schedule.elapsed():.0f}"
                f" progress {schedule.progress():.2f}"
            )

    step = done + schedule.step
    save_part(average.state_dict(), args.out / "flow.safetensors")
    if args.state:
        torch.save(
            {
                "transformer": transformer.state_dict(),
                "average": average.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "step": step,
            },
            args.state,
        )
    log(f"saved the average at step {step}")

    prompts = EVAL_PROMPTS if cuda else EVAL_PROMPTS[:6]
    tokenizer = load_tokenizer(args.pack)
    embeddings = embed_prompts(encoder, tokenizer, prompts)
    empty = embed_prompts(encoder, tokenizer, [""] * len(prompts))
    with torch.autocast(device, torch.bfloat16, enabled=cuda):
        for resolution in (256, 128):
            sigmas = noise_levels(args.eval_steps, sampling_shift(resolution))
            side = resolution // PIXELS_PER_TOKEN
            rows = []
            for guidance in args.guidance if resolution == 256 else [3.0]:
                tokens = sample(average, embeddings, resolution, sigmas, empty, guidance)
                pictures = decode_tokens(vae, tokens, side, side)
                rows.append(F.avg_pool2d(pictures, resolution // 128))
            save_grid(torch.cat(rows), args.out / f"flow_{resolution}.png", columns=12)
    log(f"wrote sample grids: {len(prompts)} prompts for each guidance of {args.guidance}")


def draw_noise_levels(count: int, shift: float, device: str) -> Tensor:
    """
    Sigmas [count] of the training examples: logit-normal, so that most lie between the ends, where
    the velocity is hard to tell; then shifted towards noise, as more pixels average more of it out.
    """
    level = torch.sigmoid(torch.randn(count, device=device))
    return shift * level / (1 + (shift - 1) * level)


if __name__ == "__main__":
    main()
