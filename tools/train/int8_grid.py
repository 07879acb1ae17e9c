"""
The grid that every large weight of the published checkpoint lies on.

Each row of a tensor's first axis gets a scale with 4 significant bits, and its values are integers
of at most 7 bits times that scale. Such a product has 11 significant bits or fewer, which float16
holds exactly. So one set of weights has an int8, a float16 and a float32 form that are equal to the
last bit, and whatever runs them can be compared without a tolerance for storage.
"""

import numpy as np

SMALLEST_SCALE = 2.0**-24
"""float16's smallest positive number."""


def is_large(shape: tuple[int, ...]) -> bool:
    """Biases, norms and other small tensors stay float16: int8 would save nothing there."""
    return len(shape) >= 2 and int(np.prod(shape)) >= 2048


def round_scale_up(scale: np.ndarray) -> np.ndarray:
    """The next number with 4 significant bits; up, so that the largest value still fits 127."""
    mantissa, exponent = np.frexp(np.maximum(scale, SMALLEST_SCALE))
    return np.maximum(np.ldexp(np.ceil(mantissa * 16) / 16, exponent), SMALLEST_SCALE)


def to_int8(weight: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """
    Nearest point on the grid: int8 values and float32 scales, one per index of `axis`.

    Exact for a weight that is already on a grid. The largest value alone does not tell which one:
    rounding the scale up may have made it 120, not 127. So a few coarser scales are tried too, and
    the finest of them on which every value is an integer is taken.
    """
    weight = np.asarray(weight, np.float64)
    others = tuple(dimension for dimension in range(weight.ndim) if dimension != axis)
    scale = round_scale_up(np.abs(weight).max(others) / 127)
    best, found, candidate = scale.copy(), np.zeros(scale.shape, bool), scale.copy()
    for _ in range(4):
        ratio = weight / np.expand_dims(candidate, others)
        exact = (np.abs(ratio - np.rint(ratio)).max(others) < 1e-6) & ~found
        best[exact] = candidate[exact]
        found |= exact
        candidate = round_scale_up(candidate * (1 + 1e-9) + 2.0**-40)
    values = np.clip(np.rint(weight / np.expand_dims(best, others)), -127, 127)
    return values.astype(np.int8), best.astype(np.float32)


def from_int8(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """values × scale along the first axis, float32."""
    return values.astype(np.float32) * scale.reshape(-1, *[1] * (values.ndim - 1))
