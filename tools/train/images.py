"""Pictures: reading the data pack, painting a batch from layouts, writing grids."""

import io
import multiprocessing
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from captions import read_items

CHUNK = 128
"""Pictures that one worker decodes at a time."""


def load_images(
    pack: Path | str, size: int = 256, processes: int | None = None, limit: int | None = None
) -> Tensor:
    """Every picture of the pack (or the first `limit`) as uint8 RGBA [N, size, size, 4]."""
    count = len(read_items(pack))
    count = min(count, limit or count)
    jobs = [(str(pack), start, min(start + CHUNK, count), size) for start in range(0, count, CHUNK)]
    # fork: the caller has not touched CUDA yet, and spawn would import torch once a worker
    with multiprocessing.get_context("fork").Pool(processes or os.cpu_count()) as pool:
        parts = pool.starmap(decode, jobs)
    return torch.from_numpy(np.concatenate(parts))


def decode(pack: str, start: int, end: int, size: int) -> np.ndarray:
    pictures = []
    with open(f"{pack}/pack.bin", "rb") as file:
        for item in read_items(pack)[start:end]:
            file.seek(item["o"])
            picture = Image.open(io.BytesIO(file.read(item["n"]))).convert("RGBA")
            if picture.size[0] != size:
                picture = picture.resize((size, size), Image.Resampling.LANCZOS)
            pictures.append(np.asarray(picture))
    return np.stack(pictures)


def rotate_hue(rgb: Tensor, turns: Tensor) -> Tensor:
    """Turns the hue of `rgb` [B, 3, H, W] (0..1) by `turns` [B]; value and saturation stay."""
    largest, channel = rgb.max(1)
    spread = largest - rgb.min(1).values
    divisor = spread.clamp_min(1e-6)
    red, green, blue = rgb.unbind(1)
    sector = torch.where(
        channel == 0,
        ((green - blue) / divisor) % 6,
        torch.where(channel == 1, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sector = ((sector / 6 + turns.view(-1, 1, 1)) % 1.0) * 6

    def channel_value(offset: int) -> Tensor:
        """One channel of HSV → RGB, in the form with a single formula for all six sectors."""
        phase = (offset + sector) % 6
        return largest - spread * torch.clamp(torch.minimum(phase, 4 - phase), 0, 1)

    return torch.stack([channel_value(5), channel_value(3), channel_value(1)], 1)


def premultiplied(rgba: Tensor, reduction: int) -> Tensor:
    """
    [B, 4, S, S] → [B, 4, S/reduction, S/reduction] with colour × alpha, so that scaling and adding
    do not bleed the colour of transparent pixels into the edges.
    """
    alpha = rgba[:, 3:]
    result = torch.cat([rgba[:, :3] * alpha, alpha], 1)
    return F.avg_pool2d(result, reduction) if reduction > 1 else result


def place(
    objects: Tensor, resolution: int, scale: Tensor, x: Tensor, y: Tensor, flip: Tensor
) -> Tensor:
    """
    Draws each object on an empty canvas [B, 4, resolution, resolution]: `scale` is its share of
    the canvas, (`x`, `y`) its centre in -1..1, `flip` 1 mirrors it; all [B].
    """
    direction = 1 - 2 * flip
    # affine_grid maps canvas to object, hence the inverse of the placement
    theta = torch.zeros(objects.shape[0], 2, 3, device=objects.device)
    theta[:, 0, 0] = direction / scale
    theta[:, 1, 1] = 1 / scale
    theta[:, 0, 2] = -x * direction / scale
    theta[:, 1, 2] = -y / scale
    shape = (objects.shape[0], 4, resolution, resolution)
    grid = F.affine_grid(theta, shape, align_corners=False)
    return F.grid_sample(objects, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@torch.no_grad()
def compose(images: Tensor, batch: dict[str, Tensor], resolution: int) -> Tensor:
    """
    Paints a batch of layouts (`batches.LayoutBatches`) on the images' device.

    @param images     uint8 [N, S, S, 4]
    @param resolution pixels a side of the result
    @returns [B, 3, resolution, resolution] in -1..1; pairs are the last rows, as in the batch
    """
    device, size = images.device, images.shape[1]
    moved = {
        key: value.to(device, non_blocking=True)
        for key, value in batch.items()
        if isinstance(value, Tensor)
    }
    first, second = moved["first"] % images.shape[0], moved["second"] % images.shape[0]
    jitter = moved["jitter"]
    pairs = int(batch["pairs"])
    singles = first.shape[0] - pairs

    def objects(indices: Tensor) -> Tensor:
        return images[indices].permute(0, 3, 1, 2).float() / 255.0

    rgba = objects(first[:singles])
    hue = moved["hue"][:singles]
    rgb = torch.where((hue != 0).view(-1, 1, 1, 1), rotate_hue(rgba[:, :3], hue), rgba[:, :3])
    canvas = place(
        premultiplied(torch.cat([rgb, rgba[:, 3:]], 1), max(1, size // resolution)),
        resolution,
        scale=0.86 + 0.12 * jitter[:singles, 0],
        x=(jitter[:singles, 1] - 0.5) * 0.08,
        y=(jitter[:singles, 2] - 0.5) * 0.08,
        flip=moved["flip"][:singles],
    )
    if pairs:
        jitter = jitter[singles:]
        scale = 0.47 + 0.05 * jitter[:, 0]
        zero = torch.zeros(pairs, device=device)
        # half the size on the canvas, so twice the reduction before it
        reduction = max(1, 2 * size // resolution)
        sides = [
            place(
                premultiplied(objects(indices[singles:]), reduction),
                resolution,
                scale,
                x=x + zero,
                y=(jitter[:, column] - 0.5) * 0.16,
                flip=zero,
            )
            for indices, x, column in ((first, -0.49, 1), (second, 0.49, 2))
        ]
        canvas = torch.cat([canvas, sides[0] + sides[1]])
    uncovered = (1 - canvas[:, 3:]).clamp(0, 1)
    painted = canvas[:, :3] + uncovered * moved["background"].view(-1, 3, 1, 1)
    return painted.clamp(0, 1) * 2 - 1


def save_grid(pictures: Tensor, path: Path | str, columns: int = 6) -> None:
    """Writes [B, 3, H, W] in -1..1 as one PNG, row by row."""
    pixels = ((pictures.cpu() + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    count, height, width, _ = pixels.shape
    rows = -(-count // columns)
    grid = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for index, picture in enumerate(pixels):
        top, left = index // columns * height, index % columns * width
        grid[top : top + height, left : left + width] = picture
    Image.fromarray(grid).save(path)
