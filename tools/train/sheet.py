"""
Contact sheets to look at: of what a checkpoint draws, and of what training sees.

    python sheet.py model --checkpoint OUT/checkpoint/fp16 --out sheet.png
    python sheet.py data --pack PACK --out data.png
"""

import argparse
from pathlib import Path

import torch.nn.functional as F
from PIL import Image, ImageDraw

from batches import load_batches
from captions import EVAL_PROMPTS, PARAPHRASED_PROMPTS
from images import compose, load_images, save_grid
from make_reference import CALL, draw_latents, load_pipeline
from text import load_tokenizer

COLUMNS, SIZE, LABEL = 8, 256, 18
"""Pictures a row, pixels a picture, pixels of the line of text under it."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    model = commands.add_parser("model", help="48 prompts, half of them paraphrases, labelled")
    model.add_argument(
        "--checkpoint", type=Path, required=True, help="plain diffusers folder (expand_int8.py)"
    )
    model.add_argument("--out", type=Path, required=True, help="picture to write")
    model.add_argument("--count", type=int, help="only the first COUNT prompts")
    data = commands.add_parser("data", help="48 composed training pictures; prints their captions")
    data.add_argument("--pack", type=Path, required=True, help="folder of the data pack")
    data.add_argument("--out", type=Path, required=True, help="picture to write")
    data.add_argument("--seed", type=int, default=5, help="of the captions")
    data.add_argument("--limit", type=int, help="use only the first LIMIT pictures")
    return parser.parse_args()


def draw_model_sheet(checkpoint: Path, out: Path, count: int | None) -> None:
    """Prompt k is drawn with seed 100 + k."""
    prompts = [*EVAL_PROMPTS, *PARAPHRASED_PROMPTS][:count]
    pipeline = load_pipeline(checkpoint)
    rows = -(-len(prompts) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIZE, rows * (SIZE + LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, prompt in enumerate(prompts):
        latents = draw_latents(100 + index, SIZE)
        picture = pipeline(prompt=prompt, height=SIZE, width=SIZE, latents=latents, **CALL).images[
            0
        ]
        left, top = index % COLUMNS * SIZE, index // COLUMNS * (SIZE + LABEL)
        sheet.paste(picture, (left, top))
        draw.text((left + 4, top + SIZE + 2), f"{index + 1}. {prompt}", fill="black")
    sheet.save(out)


def draw_data_sheet(pack: Path, out: Path, seed: int, limit: int | None) -> None:
    images = load_images(pack, limit=limit)
    batch = next(load_batches(pack, 48, workers=0, seed=seed, pair_share=0.25))
    save_grid(F.avg_pool2d(compose(images, batch, SIZE), 2), out, columns=12)
    tokenizer = load_tokenizer(pack)
    for index, ids in enumerate(batch["ids"].tolist()):
        print(f"{index + 1:2}. {tokenizer.decode(ids)}")


def main() -> None:
    args = parse_arguments()
    if args.command == "model":
        draw_model_sheet(args.checkpoint, args.out, args.count)
    else:
        draw_data_sheet(args.pack, args.out, args.seed, args.limit)


if __name__ == "__main__":
    main()
