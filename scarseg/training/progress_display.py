"""Display of a training run: a bar on a terminal, lines in a log."""

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
class RunProgress:
    """Progress of a run.

    Args:
        done: share of its time or steps, 0 to 1.
        step: steps behind it.
        loss: running mean; NaN before the first.
        seconds_per_step: of late; NaN before the first.
        minutes_left: until the budget is spent; infinite where nothing is known yet.
        score, best: the last and the best validation score, None before the first.
    """

    done: float
    step: int
    loss: float
    seconds_per_step: float
    minutes_left: float
    score: float | None = None
    best: float | None = None


class ProgressDisplay(Protocol):
    """Display of the progress of a run."""

    def print_line(self, text: str) -> None:
        """Print a line that stays."""
        ...

    def update(self, run_progress: RunProgress) -> None:
        """Show how far the run is; called after every step."""
        ...


class NoDisplay:
    """Show nothing."""

    def print_line(self, text: str) -> None:
        pass

    def update(self, run_progress: RunProgress) -> None:
        pass


class LogDisplay:
    """Print a line now and then: for logs and pipes."""

    def __init__(self, stream: TextIO, seconds: float = 30.0) -> None:
        self.stream, self.seconds = stream, seconds
        self.last = -math.inf

    def print_line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def update(self, run_progress: RunProgress) -> None:
        now = time.monotonic()
        if now - self.last >= self.seconds:
            self.last = now
            self.print_line(describe_progress(run_progress))


class BarDisplay:
    """Draw a bar that follows the run; lines that stay scroll above it."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("", total=1.0)
        self.last = -math.inf

    def print_line(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def update(self, run_progress: RunProgress) -> None:
        now = time.monotonic()
        if now - self.last >= 0.2:
            self.last = now
            self.bar.update(
                self.task,
                completed=run_progress.done,
                description=describe_progress(run_progress),
                refresh=True,
            )


@contextmanager
def open_display(stream: TextIO) -> Iterator[ProgressDisplay]:
    """Return a bar where ``stream`` is a terminal, lines elsewhere."""
    console = Console(file=stream)
    if not console.is_terminal:
        yield LogDisplay(stream)
        return
    columns = (
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.description}"),
    )
    # No thread of its own: data workers are forked beside it.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        yield BarDisplay(bar)


def describe_progress(run_progress: RunProgress) -> str:
    """Return the progress of a run as one line."""
    parts = [f"step {run_progress.step}"]
    if math.isfinite(run_progress.loss):
        parts.append(f"loss {run_progress.loss:.3f}")
    if run_progress.score is not None:
        parts.append(f"validation {run_progress.score:.3f}")
        if run_progress.best is not None:
            parts.append(f"best {run_progress.best:.3f}")
    if math.isfinite(run_progress.seconds_per_step):
        parts.append(f"{run_progress.seconds_per_step:.2f} s/step")
    if math.isfinite(run_progress.minutes_left):
        parts.append(f"{format_duration(run_progress.minutes_left)} left")
    return "  ".join(parts)


def format_duration(minutes: float) -> str:
    """Write minutes as a person reads them: 45 s, 12 min, 3 h 05 min."""
    seconds = round(minutes * 60)
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def format_figures(figures: Mapping[str, float]) -> str:
    """Return the figures of a validation as one line."""
    return "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())
