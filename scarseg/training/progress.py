"""What a person sees of a run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


@dataclass(frozen=True)
class Standing:
    """How far a run is.

    Args:
        done: share of its time or steps, 0 to 1.
        step: steps behind it.
        loss: running mean; NaN before the first.
        seconds_per_step: of late; NaN before the first.
        minutes_left: until the budget is spent; infinite where nothing can be said yet.
        score, best: the last and the best validation score, None before the first.
    """

    done: float
    step: int
    loss: float
    seconds_per_step: float
    minutes_left: float
    score: float | None = None
    best: float | None = None


class Board(Protocol):
    """Where a run shows itself."""

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def show(self, standing: Standing) -> None:
        """Show how far the run is; called after every step."""
        ...


class Silent:
    """Show nothing."""

    def say(self, text: str) -> None:
        pass

    def show(self, standing: Standing) -> None:
        pass


class Lines:
    """Print a line now and then: for logs and pipes."""

    def __init__(self, stream: TextIO, seconds: float = 30.0) -> None:
        self.stream, self.seconds = stream, seconds
        self.last = -math.inf

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def show(self, standing: Standing) -> None:
        now = time.monotonic()
        if now - self.last >= self.seconds:
            self.last = now
            self.say(describe(standing))


class Bar:
    """Draw a bar that follows the run; lines that stay scroll above it."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("", total=1.0)
        self.last = -math.inf

    def say(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, standing: Standing) -> None:
        now = time.monotonic()
        if now - self.last >= 0.2:
            self.last = now
            self.bar.update(
                self.task, completed=standing.done, description=describe(standing), refresh=True
            )


@contextmanager
def board_on(stream: TextIO) -> Iterator[Board]:
    """Give a bar where ``stream`` is a terminal, lines elsewhere."""
    console = Console(file=stream)
    if not console.is_terminal:
        yield Lines(stream)
        return
    columns = (
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.description}"),
    )
    # No thread of its own: data workers are forked beside it.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        yield Bar(bar)


def describe(standing: Standing) -> str:
    """Put a standing in one line."""
    parts = [f"step {standing.step}"]
    if math.isfinite(standing.loss):
        parts.append(f"loss {standing.loss:.3f}")
    if standing.score is not None:
        parts.append(f"validation {standing.score:.3f}")
        if standing.best is not None:
            parts.append(f"best {standing.best:.3f}")
    if math.isfinite(standing.seconds_per_step):
        parts.append(f"{standing.seconds_per_step:.2f} s/step")
    if math.isfinite(standing.minutes_left):
        parts.append(f"{duration(standing.minutes_left)} left")
    return "  ".join(parts)


def duration(minutes: float) -> str:
    """Write minutes as a person reads them: 45 s, 12 min, 3 h 05 min."""
    seconds = round(minutes * 60)
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def figures_line(figures: Mapping[str, float]) -> str:
    """Put figures of a validation in one line."""
    return "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())
