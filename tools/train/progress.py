"""A log that goes to the terminal and to a file."""

import time
from pathlib import Path


class Log:
    """Prints lines with the seconds since it was made, and appends them to a file."""

    def __init__(self, path: Path | str):
        self.file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 (open as long as the run)
        self.start = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def __call__(self, message: str) -> None:
        line = f"[{self.elapsed():7.1f}s] {message}"
        print(line, flush=True)
        self.file.write(f"{line}\n")
        self.file.flush()


class Schedule:
    """
    How far a run has come, and the learning rate that belongs to it.

    A run ends after `seconds`, or after `max_steps`, whichever is first: what is bought is a
    machine's minutes, so the decay follows the clock, not a step count that is guessed beforehand.
    """

    def __init__(self, seconds: float, max_steps: int):
        self.seconds = seconds
        self.max_steps = max_steps
        self.start = time.monotonic()
        self.step = 0

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def finished(self) -> bool:
        return self.elapsed() > self.seconds or self.step >= self.max_steps

    def progress(self) -> float:
        """0 at the start, 1 at the end."""
        return min(1.0, max(self.elapsed() / self.seconds, self.step / self.max_steps))

    def rate(self, warmup_steps: int, decay: float, floor: float) -> float:
        """
        Factor on the learning rate: a linear rise over `warmup_steps`, then 1, then a linear fall
        over the last `decay` of the run, never under `floor`. `decay` 0 keeps it constant.
        """
        rise = min(1.0, (self.step + 1) / warmup_steps)
        left = 1 - self.progress()
        return rise * (1.0 if not decay or left > decay else max(floor, left / decay))


def ema_decay(limit: float, step: int, delay: int) -> float:
    """Decay of the averaged weights after `step` updates: short memory first, then `limit`."""
    return min(limit, (step + 1) / (step + delay))
