"""What training shows while it runs: a live bar on a terminal, one plain line per epoch elsewhere."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["Progress"]


class Progress:
    """Shows epochs and their steps on `stream`; `quiet` (every process but the first) shows nothing.

    `seconds` is the time that the steps may take at most, if they are bounded.

    >>> with Progress(1, 2, stream=sys.stdout) as progress:
    ...     progress.start_epoch(0)
    ...     for loss in (0.9, 0.7):
    ...         progress.step(loss=loss, lr=0.01, wait=0.1, busy=1.0, images=8)
    ...     progress.end_epoch({"epoch": 1, "loss": 0.8})
    epoch 1/1  loss 0.8  8.0 images/s  data wait 10 %  took 0:00:02
    """

    def __init__(
        self, epochs: int, steps: int, *, seconds: float | None = None, quiet: bool = False, stream: TextIO | None = None
    ) -> None:
        self.epochs, self.steps, self.quiet = epochs, steps, quiet
        self.stream = stream or sys.stdout
        self.seconds = seconds
        self.live: Any = None
        self.start_epoch(0)

    def __enter__(self) -> Self:
        if not self.quiet and self.stream.isatty():
            self.live = _live(self.stream)
            self.live.start()
            self.task = self.live.add_task("", total=self.steps, text="")
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def start_epoch(self, epoch: int, step: int = 0) -> None:
        """Epoch number `epoch`, from 0, begins or goes on after `step` steps."""
        self.epoch, self.done, self.counted, self.images, self.wait, self.busy = epoch, step, 0, 0, 0.0, 0.0
        if self.live:
            self.live.reset(self.task, total=self.steps, completed=step, description=f"epoch {epoch + 1}/{self.epochs}")

    def step(self, *, loss: float, lr: float, wait: float, busy: float, images: int) -> None:
        """One step is done: it took `busy` seconds, `wait` of them waiting for its `images` images."""
        self.done, self.counted = self.done + 1, self.counted + 1
        self.images, self.wait, self.busy = self.images + images, self.wait + wait, self.busy + busy
        if self.seconds is not None:
            self.seconds = max(self.seconds - busy, 0.0)
        if self.live:
            text = f"loss {loss:.4g}  lr {lr:.2g}  {self.pace()}  {_clock(self.seconds_left())}"
            self.live.update(self.task, completed=self.done, text=text)

    def end_epoch(self, row: Mapping[str, float], table: str | None = None) -> None:
        """One line from the numbers of the epoch, then the table of its evaluation."""
        numbers = [f"{name} {value:.4g}" for name, value in row.items() if name not in ("epoch", "wait", "seconds")]
        self.say("  ".join([f"epoch {self.epoch + 1}/{self.epochs}", *numbers, self.pace(), f"took {_clock(self.busy)}"]))
        if table:
            self.say(table)

    @property
    def wait_share(self) -> float:
        """The share of the epoch's time so far that went into waiting for data."""
        return self.wait / max(self.busy, 1e-9)

    def pace(self) -> str:
        """Images per second and the share of waiting, over the epoch so far."""
        return f"{self.images / max(self.busy, 1e-9):.1f} images/s  data wait {100 * self.wait_share:.0f} %"

    def seconds_left(self) -> float:
        """To the end of the last epoch, at the mean speed of this epoch's steps, or to the end of the time if that is sooner."""
        left = self.busy / max(self.counted, 1) * ((self.epochs - self.epoch) * self.steps - self.done)
        return left if self.seconds is None else min(left, self.seconds)

    def say(self, text: str) -> None:
        """A line of text, above the bar where there is one."""
        if self.live:
            self.live.console.print(text, markup=False, soft_wrap=True)  # numbers in colour, above the bar
        elif not self.quiet:
            print(text, file=self.stream, flush=True)


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds: 0:01:05."""
    return str(timedelta(seconds=round(seconds)))


def _live(stream: TextIO) -> Any:
    """The bar of rich, which only a terminal needs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
    return Bars(*columns, console=Console(file=stream), transient=True, expand=True)
