"""The loop of every training run: steps, tries on validation patients, checkpoints, the end."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from scarseg.errors import ModelError
from scarseg.training.runs import append_line


@dataclass(frozen=True)
class RunProgress:
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


class ProgressDisplay(Protocol):
    """Where a run shows itself."""

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def show(self, standing: RunProgress) -> None:
        """Show how far the run is; called after every step."""
        ...


class NoDisplay:
    """Show nothing."""

    def say(self, text: str) -> None:
        pass

    def show(self, standing: RunProgress) -> None:
        pass


class LogDisplay:
    """Print a line now and then: for logs and pipes."""

    def __init__(self, stream: TextIO, seconds: float = 30.0) -> None:
        self.stream, self.seconds = stream, seconds
        self.last = -math.inf

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def show(self, standing: RunProgress) -> None:
        now = time.monotonic()
        if now - self.last >= self.seconds:
            self.last = now
            self.say(describe_progress(standing))


class BarDisplay:
    """Draw a bar that follows the run; lines that stay scroll above it."""

    def __init__(self, bar: Progress) -> None:
        self.bar = bar
        self.task = bar.add_task("", total=1.0)
        self.last = -math.inf

    def say(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, standing: RunProgress) -> None:
        now = time.monotonic()
        if now - self.last >= 0.2:
            self.last = now
            self.bar.update(
                self.task,
                completed=standing.done,
                description=describe_progress(standing),
                refresh=True,
            )


@contextmanager
def open_display(stream: TextIO) -> Iterator[ProgressDisplay]:
    """Give a bar where ``stream`` is a terminal, lines elsewhere."""
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


def describe_progress(standing: RunProgress) -> str:
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
        parts.append(f"{format_duration(standing.minutes_left)} left")
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
    """Put figures of a validation in one line."""
    return "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())


SCORE = "score"
"""The figure that the best checkpoint is chosen by."""


class Ending(StrEnum):
    """How a call of :func:`run_training` ended."""

    FINISHED = "finished"
    EARLY = "early"
    """Nothing had improved for a while."""
    STOPPED = "stopped"
    """Asked to stop; it can go on from its checkpoint."""


_FIELDS = {"tries": "validations", "left_out": "skipped"}
"""Keys of a checkpoint whose fields have another name."""


@dataclass
class ValidationHistory:
    """What a run has been through; travels in its checkpoint.

    ``validations`` holds the figures of every validation with ``step`` and ``minutes``; ``skipped``
    counts steps whose loss or gradient was no number.
    """

    best: float | None = None
    best_step: int = 0
    since_best: int = 0
    skipped: int = 0
    validations: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def restored(cls, state: Mapping[str, Any] | None) -> ValidationHistory:
        """Read what :meth:`state` returned; empty for a checkpoint that has none."""
        return cls(**{_FIELDS.get(key, key): value for key, value in (state or {}).items()})

    def state(self) -> dict[str, Any]:
        """Return the fields under the keys of a checkpoint."""
        keys = {name: key for key, name in _FIELDS.items()}
        return {keys.get(name, name): value for name, value in asdict(self).items()}

    @property
    def score(self) -> float | None:
        return self.validations[-1][SCORE] if self.validations else None

    @property
    def initial_score(self) -> float | None:
        """Give the score of what the run began with, None where that was chance."""
        return (
            self.validations[0][SCORE]
            if self.validations and self.validations[0]["step"] == 0
            else None
        )


class TrainingRun(Protocol):
    """What the loop drives: networks, their optimiser, and how far they are."""

    folder: Path
    step: int
    seconds: float
    history: ValidationHistory

    @property
    def is_untrained(self) -> bool:
        """Tell whether the weights are still chance."""
        ...

    def done(self) -> float:
        """Give the share of the budget that is spent."""
        ...

    def train_step(self) -> float | None:
        """Make one step; give its loss, or None when it was left out as no number."""
        ...

    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        """Try the weights on the validation patients; None without any or when stopped."""
        ...

    def save_best(self) -> None:
        """Write the weights just tried, the best so far."""
        ...

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        ...


@dataclass(frozen=True)
class Limits:
    """When the loop tries, saves and gives up.

    Args:
        patience: tries without a better score after which the run ends; 0: never.
        validation_share: a try is due after this share of the budget, but not within
            ``least_seconds`` of the last, nor ``spacing`` times as long as one takes; and after
            ``most_seconds`` at the latest.
        save_seconds: between checkpoints.
        max_skipped_in_a_row: steps in a row whose loss is no number, after which the run fails.
    """

    patience: int = 10
    validation_share: float = 0.05
    least_seconds: float = 20.0
    most_seconds: float = 300.0
    spacing: float = 8.0
    save_seconds: float = 180.0
    max_skipped_in_a_row: int = 50


class StopRequest:
    """Turn Ctrl-C and SIGTERM into a wish that the loop sees; a second one interrupts at once."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


class _Pace:
    """Running means of loss and seconds per step."""

    def __init__(self) -> None:
        self.loss = self.seconds = math.nan

    def add(self, loss: float | None, seconds: float) -> None:
        self.seconds = seconds if math.isnan(self.seconds) else 0.95 * self.seconds + 0.05 * seconds
        if loss is not None:
            self.loss = loss if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * loss


class _Due:
    """When the next try is due."""

    def __init__(self, training: TrainingRun, limits: Limits) -> None:
        self.training, self.limits = training, limits
        self.tried(0.0)

    def tried(self, seconds: float) -> None:
        """Count from now, knowing how long a try takes."""
        self.took, self.at, self.share = seconds, time.monotonic(), self.training.done()

    def __call__(self) -> bool:
        waited = time.monotonic() - self.at
        if waited < max(self.limits.least_seconds, self.limits.spacing * self.took):
            return False
        gone = self.training.done() - self.share
        return gone >= self.limits.validation_share or waited > self.limits.most_seconds


def run_training(
    training: TrainingRun,
    limits: Limits | None = None,
    display: ProgressDisplay | None = None,
    stop: StopRequest | None = None,
) -> Ending:
    """Drive a run until its budget is spent, nothing improves any more, or it is asked to stop.

    Time spent on tries counts as spent. A checkpoint is written at the end, however it ends.

    Raises:
        ModelError: E_TRAINING when the loss has been no number for too long.
        OutputError: E_WRITE; the checkpoint before it stands.
    """
    limits, display, stop = limits or Limits(), display or NoDisplay(), stop or StopRequest()
    pace, in_a_row = _Pace(), 0
    due = _Due(training, limits)
    ending = Ending.FINISHED
    last_save = time.monotonic()
    if not training.history.validations and not training.is_untrained:
        due.tried(_try(training, display, stop))
    while training.done() < 1:
        if stop.requested:
            ending = Ending.STOPPED
            break
        begin = time.monotonic()
        loss = training.train_step()
        now = time.monotonic()
        training.seconds += now - begin
        pace.add(loss, now - begin)
        in_a_row = in_a_row + 1 if loss is None else 0
        _count_skipped(training, in_a_row, limits, display)
        if due():
            due.tried(_try(training, display, stop))
        display.show(progress_of(training, pace.loss, pace.seconds))
        if limits.patience and training.history.since_best >= limits.patience:
            ending = Ending.EARLY
            break
        if now - last_save > limits.save_seconds:
            training.save()
            _log(training, pace)
            last_save = time.monotonic()
    tried = training.history.validations
    if ending is Ending.FINISHED and (not tried or tried[-1]["step"] < training.step):
        _try(training, display, stop)
    if training.step and training.history.skipped >= training.step:
        raise _no_numbers(training.step)
    training.save()
    _log(training, pace)
    return ending


def progress_of(training: TrainingRun, loss: float, seconds_per_step: float) -> RunProgress:
    """Say how far a run is; time left as the share done so far took."""
    done = training.done()
    left = training.seconds / 60 * (1 / done - 1) if done > 1e-4 else math.inf
    return RunProgress(
        min(1.0, done),
        training.step,
        loss,
        seconds_per_step,
        max(0.0, left),
        training.history.score,
        training.history.best,
    )


def _try(training: TrainingRun, display: ProgressDisplay, stop: StopRequest) -> float:
    """Try the weights; remember the figures, and the weights when they are the best.

    What a run began with is tried to compare with; it is never what the run exports.

    Returns:
        the seconds it took.
    """
    begin = time.monotonic()
    figures = training.validate(stop)
    took = time.monotonic() - begin
    training.seconds += took
    if figures is None:
        return took
    history, minutes = training.history, training.seconds / 60
    history.validations.append({"step": float(training.step), "minutes": minutes, **figures})
    append_line(training.folder / "log.jsonl", json.dumps(history.validations[-1]))
    said = f"validation at step {training.step}: {format_figures(figures)}"
    if training.step == 0:
        display.say(f"{said}  (what it began with)")
        return took
    if history.best is None or figures[SCORE] > history.best:
        history.best, history.best_step, history.since_best = figures[SCORE], training.step, 0
        training.save_best()
        said += "  (best so far)"
    else:
        history.since_best += 1
    display.say(said)
    return took


def _count_skipped(
    training: TrainingRun, in_a_row: int, limits: Limits, display: ProgressDisplay
) -> None:
    if in_a_row == 0:
        return
    training.history.skipped += 1
    if in_a_row == 1:
        display.say(f"step {training.step} left out: its loss or gradient is not a number")
    if in_a_row >= limits.max_skipped_in_a_row:
        raise _no_numbers(in_a_row)


def _no_numbers(steps: int) -> ModelError:
    return ModelError(
        "E_TRAINING",
        f"The loss was not a number in {steps} steps in a row; a lower --rate may help, or the"
        " data hold values that are not numbers. The last good checkpoint stands.",
    )


def _log(training: TrainingRun, pace: _Pace) -> None:
    line = {
        "step": training.step,
        "minutes": round(training.seconds / 60, 3),
        "loss": None if math.isnan(pace.loss) else round(pace.loss, 4),
        "left_out": training.history.skipped,
    }
    append_line(training.folder / "log.jsonl", json.dumps(line))
