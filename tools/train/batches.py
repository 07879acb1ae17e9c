"""Endless batches of tokenized captions and layouts, drawn by worker processes."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from captions import Captions
from text import load_tokenizer, tokenize

PAIR_SHARE = 0.16
"""Share of a batch that shows two objects."""


class LayoutBatches(IterableDataset):
    """
    Yields whole batches: `ids`, `mask` int64 [B, 32]; `first`, `second` picture indices [B];
    `hue`, `flip` [B]; `background` [B, 3] in 0..1; `jitter` [B, 3] uniform in 0..1;
    `pairs`: how many rows at the end are pairs.
    """

    def __init__(self, pack: Path | str, batch: int, pair_share: float = PAIR_SHARE, seed: int = 0):
        self.pack = pack
        self.batch = batch
        self.pairs = int(batch * pair_share)
        self.seed = seed

    def __iter__(self) -> Iterator[dict[str, Tensor | int]]:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        worker = get_worker_info()
        rng = random.Random(self.seed * 1000 + (worker.id if worker else 0))
        captions, tokenizer = Captions(self.pack), load_tokenizer(self.pack)
        while True:
            rows = [
                captions.sample(rng, pair=row >= self.batch - self.pairs)
                for row in range(self.batch)
            ]
            ids, mask = tokenize(tokenizer, [row.caption for row in rows])
            jitter = torch.Generator().manual_seed(rng.getrandbits(60))
            yield {
                "ids": ids,
                "mask": mask,
                "first": torch.tensor([row.first for row in rows]),
                "second": torch.tensor([row.second for row in rows]),
                "hue": torch.tensor([row.hue for row in rows], dtype=torch.float32),
                "flip": torch.tensor([row.flip for row in rows], dtype=torch.float32),
                "background": torch.tensor([row.background for row in rows]).float() / 255.0,
                "jitter": torch.rand(self.batch, 3, generator=jitter),
                "pairs": self.pairs,
            }


def load_batches(
    pack: Path | str, batch: int, workers: int, seed: int = 0, pair_share: float = PAIR_SHARE
) -> Iterator[dict[str, Tensor | int]]:
    dataset = LayoutBatches(pack, batch, pair_share, seed)
    if not workers:
        return iter(DataLoader(dataset, batch_size=None))
    return iter(
        DataLoader(
            dataset,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4,
            persistent_workers=True,
            pin_memory=torch.cuda.is_available(),
        )
    )
