"""
Stage 1: the autoencoder (AutoencoderKLFlux2, ×8, 12 channels) on freshly composed pictures.

    python train_vae.py --pack PACK --out OUT --minutes 4.4

Writes OUT/vae.safetensors, OUT/vae.log and OUT/vae_reconstruction.png.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from batches import load_batches
from checkpoint_parts import load_part, save_part
from images import compose, load_images, save_grid
from model import keep_group_norm_in_bf16, make_vae, patchify
from progress import Log, Schedule, ema_decay


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, required=True, help="folder of the data pack")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=4.4, help="time for the run, setup too")
    parser.add_argument("--max-steps", type=int, default=10**9, help="stop after this many updates")
    parser.add_argument("--batch", type=int, default=192, help="crops per update")
    parser.add_argument("--crop", type=int, default=128, help="pixels a side that are trained on")
    parser.add_argument("--lr", type=float, default=8e-4, help="peak learning rate of AdamW")
    parser.add_argument("--kl", type=float, default=3e-4, help="weight of the KL term")
    parser.add_argument("--workers", type=int, default=6, help="processes that draw captions")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT pictures")
    parser.add_argument("--resume", type=Path, help="start from this vae.safetensors")
    return parser.parse_args()


def reconstruction_loss(output: Tensor, target: Tensor) -> Tensor:
    """
    L1 on pixels and, at half weight, on their differences to the right and downwards, at four
    scales of halving weight. Emoji are flat areas with sharp edges: L1 keeps the areas even, the
    differences keep the edges sharp, the coarse scales keep the colours right. There is no
    perceptual or adversarial term, hence no second network.
    """
    loss, weight = torch.zeros((), device=output.device), 1.0
    for scale in range(4):
        error = output - target
        loss = loss + weight * error.abs().mean()
        right = error[..., 1:] - error[..., :-1]
        down = error[..., 1:, :] - error[..., :-1, :]
        loss = loss + weight * 0.5 * (right.abs().mean() + down.abs().mean())
        if scale < 3:
            output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
            weight *= 0.5
    return loss


def main() -> None:
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "vae.log")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cuda = device == "cuda"
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    if cuda:
        keep_group_norm_in_bf16()

    images = load_images(args.pack, limit=args.limit).to(device)
    vae = make_vae().to(device).to(memory_format=torch.channels_last)
    if args.resume:
        load_part(vae, args.resume)
    parameters = sum(p.numel() for p in vae.parameters())
    log(f"{len(images)} images, {parameters / 1e6:.2f} M parameters, on {device}")
    optimizer = torch.optim.AdamW(
        vae.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=cuda
    )
    average = {name: tensor.detach().clone() for name, tensor in vae.state_dict().items()}
    averaged = [
        name
        for name, tensor in average.items()
        if tensor.is_floating_point() and not name.startswith("bn.")
    ]
    batches = load_batches(args.pack, args.batch, args.workers, seed=1)
    crops = torch.Generator().manual_seed(0)
    schedule = Schedule(args.minutes * 60 - log.elapsed(), args.max_steps)

    while not schedule.finished():
        rate = args.lr * schedule.rate(warmup_steps=100, decay=0.5, floor=0.02)
        for group in optimizer.param_groups:
            group["lr"] = rate
        pictures = draw_crops(images, next(batches), args.crop, crops)
        with torch.autocast(device, torch.bfloat16, enabled=cuda):
            mean, log_variance = vae.encoder(pictures).float().chunk(2, 1)
            log_variance = log_variance.clamp(-20, 10)
            latents = mean + torch.randn_like(mean) * (log_variance * 0.5).exp()
            target = pictures
            if schedule.step % 4 == 3:
                # half-size latents must mean the half-size picture: smoother latents, and 128 px
                # images that look like 256 px ones
                latents, target = F.avg_pool2d(latents, 2), F.avg_pool2d(pictures, 2)
            output = vae.decoder(latents.to(pictures.dtype))
        reconstruction = reconstruction_loss(output.float(), target.float())
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        optimizer.zero_grad(set_to_none=True)
        (reconstruction + args.kl * divergence).backward()
        norm = torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step += 1
        with torch.no_grad():
            state = vae.state_dict()
            torch._foreach_lerp_(
                [average[name] for name in averaged],
                [state[name] for name in averaged],
                1 - ema_decay(0.998, schedule.step, delay=20),
            )
        if schedule.step % 100 == 0 or schedule.step <= 3:
            speed = schedule.step * args.batch / schedule.elapsed()
            log(
                f"step {schedule.step} loss {reconstruction.item():.4f} kl {divergence.item():.3f}"
                f" gradient {norm.item():.2f} lr {rate:.1e} images/s {speed:.0f}"
            )

    vae.load_state_dict(average)
    vae.eval()
    measure_latents(
        vae, images, batches, log, batch_count=12 if cuda else 2, rows=96 if cuda else 8
    )
    show_reconstruction(vae, compose(images, next(batches), 256), args.out, log)
    save_part(vae.state_dict(), args.out / "vae.safetensors")
    log(f"saved after {schedule.step} steps")


def draw_crops(
    images: Tensor, batch: dict[str, Tensor], crop: int, generator: torch.Generator
) -> Tensor:
    """
    Pictures [B, 3, crop, crop]: a third of the batches whole at that size, the others windows of
    the 256 px picture at multiples of 8, so that both sizes are seen at a small one's cost.
    """
    whole = torch.rand((), generator=generator).item() < 0.35
    pictures = compose(images, batch, crop if whole else 256)
    if not whole:
        corner = torch.randint(0, 256 - crop + 1, (2,), generator=generator) // 8 * 8
        top, left = corner.tolist()
        pictures = pictures[:, :, top : top + crop, left : left + crop]
    return pictures.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def measure_latents(vae, images: Tensor, batches, log: Log, batch_count: int, rows: int) -> None:
    """Puts mean and variance of the patched latents into `vae.bn`, where FLUX.2 keeps them."""
    channels = []
    for index in range(batch_count):
        pictures = compose(images, next(batches), 256 if index % 3 else 128)[:rows]
        patches = patchify(vae.encode(pictures).latent_dist.sample()).float()
        channels.append(patches.permute(1, 0, 2, 3).flatten(1))
    values = torch.cat(channels, 1)
    vae.bn.running_mean.copy_(values.mean(1))
    vae.bn.running_var.copy_(values.var(1))
    log(f"standard deviation of the latents {values.std(1).mean().item():.3f}")


@torch.no_grad()
def show_reconstruction(vae, pictures: Tensor, out: Path, log: Log) -> None:
    """Six single objects and six pairs, each row above its reconstruction."""
    pictures = torch.cat([pictures[:6], pictures[-6:]])
    output = vae.decode(vae.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
    error = output - pictures
    psnr = 10 * torch.log10(4 / (error**2).mean())
    log(f"reconstruction: L1 {error.abs().mean().item() / 2:.4f} of 1, PSNR {psnr.item():.1f} dB")
    rows = [pictures[:6], output[:6], pictures[6:], output[6:]]
    save_grid(torch.cat(rows), out / "vae_reconstruction.png")


if __name__ == "__main__":
    main()
