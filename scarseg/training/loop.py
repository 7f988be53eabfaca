"""The loop of every training run: steps, tries on validation patients, checkpoints, the end."""

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
from scarseg.training.progress import Board, Silent, Standing, figures_line
from scarseg.training.runs import append_line

SCORE = "score"
"""The figure that the best checkpoint is chosen by."""


class Ending(StrEnum):
    """How a call of :func:`run` ended."""

    FINISHED = "finished"
    EARLY = "early"
    """Nothing had improved for a while."""
    STOPPED = "stopped"
    """Asked to stop; it can go on from its checkpoint."""


@dataclass
class History:
    """What a run has been through; travels in its checkpoint.

    ``tries`` holds the figures of every validation with ``step`` and ``minutes``; ``left_out``
    counts steps whose loss or gradient was no number.
    """

    best: float | None = None
    best_step: int = 0
    since_best: int = 0
    left_out: int = 0
    tries: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def restored(cls, state: Mapping[str, Any] | None) -> History:
        """Make it of what :meth:`state` gave; empty for a checkpoint that has none."""
        return cls(**state) if state else cls()

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def score(self) -> float | None:
        return self.tries[-1][SCORE] if self.tries else None

    @property
    def at_start(self) -> float | None:
        """Give the score of what the run began with, None where that was chance."""
        return self.tries[0][SCORE] if self.tries and self.tries[0]["step"] == 0 else None


class Learner(Protocol):
    """What the loop drives: networks, their optimiser, and how far they are."""

    folder: Path
    step: int
    seconds: float
    history: History

    @property
    def is_blank(self) -> bool:
        """Tell whether the weights are still chance."""
        ...

    def done(self) -> float:
        """Give the share of the budget that is spent."""
        ...

    def learn(self) -> float | None:
        """Make one step; give its loss, or None when it was left out as no number."""
        ...

    def examine(self, stop: Stop) -> dict[str, float] | None:
        """Try the weights on the validation patients; None without any or when stopped."""
        ...

    def keep_best(self) -> None:
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
        try_share: a try is due after this share of the budget, but not within
            ``least_seconds`` of the last, nor ``spacing`` times as long as one takes; and after
            ``most_seconds`` at the latest.
        save_seconds: between checkpoints.
        most_left_out: steps in a row whose loss is no number, after which the run fails.
    """

    patience: int = 10
    try_share: float = 0.05
    least_seconds: float = 20.0
    most_seconds: float = 300.0
    spacing: float = 8.0
    save_seconds: float = 180.0
    most_left_out: int = 50


class Stop:
    """Turn Ctrl-C and SIGTERM into a wish that the loop sees; a second one interrupts at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


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

    def __init__(self, learner: Learner, limits: Limits) -> None:
        self.learner, self.limits = learner, limits
        self.tried(0.0)

    def tried(self, seconds: float) -> None:
        """Count from now, knowing how long a try takes."""
        self.took, self.at, self.share = seconds, time.monotonic(), self.learner.done()

    def __call__(self) -> bool:
        waited = time.monotonic() - self.at
        if waited < max(self.limits.least_seconds, self.limits.spacing * self.took):
            return False
        gone = self.learner.done() - self.share
        return gone >= self.limits.try_share or waited > self.limits.most_seconds


def run(
    learner: Learner,
    limits: Limits | None = None,
    board: Board | None = None,
    stop: Stop | None = None,
) -> Ending:
    """Drive a run until its budget is spent, nothing improves any more, or it is asked to stop.

    Time spent on tries counts as spent. A checkpoint is written at the end, however it ends.

    Raises:
        ModelError: E_TRAINING when the loss has been no number for too long.
        OutputError: E_WRITE; the checkpoint before it stands.
    """
    limits, board, stop = limits or Limits(), board or Silent(), stop or Stop()
    pace, in_a_row = _Pace(), 0
    due = _Due(learner, limits)
    ending = Ending.FINISHED
    last_save = time.monotonic()
    if not learner.history.tries and not learner.is_blank:
        due.tried(_try(learner, board, stop))
    while learner.done() < 1:
        if stop.asked:
            ending = Ending.STOPPED
            break
        begin = time.monotonic()
        loss = learner.learn()
        now = time.monotonic()
        learner.seconds += now - begin
        pace.add(loss, now - begin)
        in_a_row = in_a_row + 1 if loss is None else 0
        _count_left_out(learner, in_a_row, limits, board)
        if due():
            due.tried(_try(learner, board, stop))
        board.show(standing(learner, pace.loss, pace.seconds))
        if limits.patience and learner.history.since_best >= limits.patience:
            ending = Ending.EARLY
            break
        if now - last_save > limits.save_seconds:
            learner.save()
            _log(learner, pace)
            last_save = time.monotonic()
    tried = learner.history.tries
    if ending is Ending.FINISHED and (not tried or tried[-1]["step"] < learner.step):
        _try(learner, board, stop)
    if learner.step and learner.history.left_out >= learner.step:
        raise _no_numbers(learner.step)
    learner.save()
    _log(learner, pace)
    return ending


def standing(learner: Learner, loss: float, seconds_per_step: float) -> Standing:
    """Say how far a run is; time left as the share done so far took."""
    done = learner.done()
    left = learner.seconds / 60 * (1 / done - 1) if done > 1e-4 else math.inf
    return Standing(
        min(1.0, done),
        learner.step,
        loss,
        seconds_per_step,
        max(0.0, left),
        learner.history.score,
        learner.history.best,
    )


def _try(learner: Learner, board: Board, stop: Stop) -> float:
    """Try the weights; remember the figures, and the weights when they are the best.

    What a run began with is tried to compare with; it is never what the run exports.

    Returns:
        the seconds it took.
    """
    begin = time.monotonic()
    figures = learner.examine(stop)
    took = time.monotonic() - begin
    learner.seconds += took
    if figures is None:
        return took
    history, minutes = learner.history, learner.seconds / 60
    history.tries.append({"step": float(learner.step), "minutes": minutes, **figures})
    append_line(learner.folder / "log.jsonl", json.dumps(history.tries[-1]))
    said = f"validation at step {learner.step}: {figures_line(figures)}"
    if learner.step == 0:
        board.say(f"{said}  (what it began with)")
        return took
    if history.best is None or figures[SCORE] > history.best:
        history.best, history.best_step, history.since_best = figures[SCORE], learner.step, 0
        learner.keep_best()
        said += "  (best so far)"
    else:
        history.since_best += 1
    board.say(said)
    return took


def _count_left_out(learner: Learner, in_a_row: int, limits: Limits, board: Board) -> None:
    if in_a_row == 0:
        return
    learner.history.left_out += 1
    if in_a_row == 1:
        board.say(f"step {learner.step} left out: its loss or gradient is not a number")
    if in_a_row >= limits.most_left_out:
        raise _no_numbers(in_a_row)


def _no_numbers(steps: int) -> ModelError:
    return ModelError(
        "E_TRAINING",
        f"The loss was not a number in {steps} steps in a row; a lower --rate may help, or the"
        " data hold values that are not numbers. The last good checkpoint stands.",
    )


def _log(learner: Learner, pace: _Pace) -> None:
    line = {
        "step": learner.step,
        "minutes": round(learner.seconds / 60, 3),
        "loss": None if math.isnan(pace.loss) else round(pace.loss, 4),
        "left_out": learner.history.left_out,
    }
    append_line(learner.folder / "log.jsonl", json.dumps(line))
