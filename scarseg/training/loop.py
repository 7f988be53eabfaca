"""The loop of every training run: steps, validation, checkpoints, early stop."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from scarseg.errors import ModelError
from scarseg.training.progress_display import (
    NoDisplay,
    ProgressDisplay,
    RunProgress,
    format_figures,
)
from scarseg.training.runs import append_line

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
    """Validations of a run so far; kept in its checkpoint.

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
        """Score of the initial weights, None where they were random."""
        return (
            self.validations[0][SCORE]
            if self.validations and self.validations[0]["step"] == 0
            else None
        )


class TrainingRun(Protocol):
    """Interface of a run to the loop; see :class:`scarseg.training.trainer.Trainer`."""

    folder: Path
    step: int
    seconds: float
    history: ValidationHistory

    @property
    def is_untrained(self) -> bool:
        """Return whether the weights are still random."""
        ...

    def done(self) -> float:
        """Return the share of the budget that is spent."""
        ...

    def train_step(self) -> float | None:
        """Run one step; return its loss, or None when it was skipped as not a number."""
        ...

    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        """Measure the weights on the validation patients; None without any or when stopped."""
        ...

    def save_best(self) -> None:
        """Write the weights just measured, the best so far."""
        ...

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        ...


@dataclass(frozen=True)
class Limits:
    """When the loop validates, saves and ends.

    Args:
        patience: validations without a better score after which the run ends; 0: never.
        validation_share: a validation is due after this share of the budget, but not within
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
    """Turn Ctrl-C and SIGTERM into a request to stop; a second one interrupts at once."""

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
    """When the next validation is due."""

    def __init__(self, training: TrainingRun, limits: Limits) -> None:
        self.training, self.limits = training, limits
        self.restart(0.0)

    def restart(self, seconds: float) -> None:
        """Count from now on, knowing how long a validation takes."""
        self.duration, self.since, self.share = seconds, time.monotonic(), self.training.done()

    def __call__(self) -> bool:
        waited = time.monotonic() - self.since
        if waited < max(self.limits.least_seconds, self.limits.spacing * self.duration):
            return False
        gone = self.training.done() - self.share
        return gone >= self.limits.validation_share or waited > self.limits.most_seconds


def run_training(
    training: TrainingRun,
    limits: Limits | None = None,
    display: ProgressDisplay | None = None,
    stop: StopRequest | None = None,
) -> Ending:
    """Run until the budget is spent, nothing improves any more, or a stop is requested.

    Time spent on validation counts. A checkpoint is written at the end, however it ends.

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
        due.restart(_validate(training, display, stop))
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
            due.restart(_validate(training, display, stop))
        display.update(progress_of(training, pace.loss, pace.seconds))
        if limits.patience and training.history.since_best >= limits.patience:
            ending = Ending.EARLY
            break
        if now - last_save > limits.save_seconds:
            training.save()
            _log(training, pace)
            last_save = time.monotonic()
    validations = training.history.validations
    if ending is Ending.FINISHED and (not validations or validations[-1]["step"] < training.step):
        _validate(training, display, stop)
    if training.step and training.history.skipped >= training.step:
        raise _not_a_number(training.step)
    training.save()
    _log(training, pace)
    return ending


def progress_of(training: TrainingRun, loss: float, seconds_per_step: float) -> RunProgress:
    """Return the progress of a run; time left is extrapolated from the share done."""
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


def _validate(training: TrainingRun, display: ProgressDisplay, stop: StopRequest) -> float:
    """Validate; keep the figures, and the weights when they are the best.

    The initial weights are validated for comparison; a run never exports them.

    Returns:
        the seconds it took.
    """
    begin = time.monotonic()
    figures = training.validate(stop)
    seconds = time.monotonic() - begin
    training.seconds += seconds
    if figures is None:
        return seconds
    history, minutes = training.history, training.seconds / 60
    history.validations.append({"step": float(training.step), "minutes": minutes, **figures})
    append_line(training.folder / "log.jsonl", json.dumps(history.validations[-1]))
    line = f"validation at step {training.step}: {format_figures(figures)}"
    if training.step == 0:
        display.print_line(f"{line}  (what it began with)")
        return seconds
    if history.best is None or figures[SCORE] > history.best:
        history.best, history.best_step, history.since_best = figures[SCORE], training.step, 0
        training.save_best()
        line += "  (best so far)"
    else:
        history.since_best += 1
    display.print_line(line)
    return seconds


def _count_skipped(
    training: TrainingRun, in_a_row: int, limits: Limits, display: ProgressDisplay
) -> None:
    if in_a_row == 0:
        return
    training.history.skipped += 1
    if in_a_row == 1:
        display.print_line(f"step {training.step} left out: its loss or gradient is not a number")
    if in_a_row >= limits.max_skipped_in_a_row:
        raise _not_a_number(in_a_row)


def _not_a_number(steps: int) -> ModelError:
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
