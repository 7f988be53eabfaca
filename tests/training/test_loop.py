"""The loop of every run: when it tries, saves, stops, gives up, and what it leaves then."""

from __future__ import annotations

import errno
import io
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scarseg.errors import ModelError, OutputError
from scarseg.io import files
from scarseg.training import runs
from scarseg.training.loop import Ending, Limits, StopRequest, ValidationHistory, run_training
from scarseg.training.progress_display import (
    BarDisplay,
    LogDisplay,
    RunProgress,
    describe_progress,
    format_duration,
    open_display,
)

OFTEN = Limits(patience=0, validation_share=0.0, least_seconds=0.0, spacing=0.0)


class Scripted:
    """Learns in no time; losses and scores stand in a script."""

    def __init__(
        self,
        folder: Path,
        steps: int = 6,
        losses: Callable[[int], float | None] = lambda step: 1.0 / step,
        scores: Callable[[int], float | None] = lambda step: None,
    ) -> None:
        self.folder, self.steps = folder, steps
        self.losses, self.scores = losses, scores
        self.step, self.seconds = 0, 0.0
        self.history = ValidationHistory()
        self.is_untrained = True
        self.best: list[int] = []
        self.saved: list[int] = []

    def done(self) -> float:
        return self.step / self.steps

    def train_step(self) -> float | None:
        self.step += 1
        return self.losses(self.step)

    def validate(self, stop: StopRequest) -> dict[str, float] | None:
        score = self.scores(self.step)
        return None if score is None or stop.requested else {"score": score}

    def save_best(self) -> None:
        self.best.append(self.step)

    def save(self) -> None:
        self.saved.append(self.step)


def test_a_run_ends_with_its_budget_and_a_checkpoint(tmp_path: Path) -> None:
    training = Scripted(tmp_path)
    assert run_training(training) is Ending.FINISHED
    assert training.saved == [6]
    assert training.history.validations == []


def test_the_best_of_all_tries_is_kept(tmp_path: Path) -> None:
    script = {1: 0.2, 2: 0.5, 3: 0.4, 4: 0.6, 5: 0.1, 6: 0.3}
    training = Scripted(tmp_path, scores=script.get)
    assert run_training(training, OFTEN) is Ending.FINISHED
    assert training.best == [1, 2, 4]
    assert (training.history.best, training.history.best_step) == (0.6, 4)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 7


def test_a_run_without_progress_ends_early(tmp_path: Path) -> None:
    training = Scripted(tmp_path, steps=100, scores=lambda step: 0.5 if step == 3 else 0.1)
    assert run_training(training, replace(OFTEN, patience=4)) is Ending.EARLY
    assert training.step == 7
    assert training.saved[-1] == 7


def test_what_a_run_began_with_is_tried_but_not_kept(tmp_path: Path) -> None:
    training = Scripted(tmp_path, steps=2, scores=lambda step: 0.9 if step == 0 else 0.5)
    training.is_untrained = False
    run_training(training, OFTEN)
    assert training.history.initial_score == 0.9
    assert training.history.best == 0.5
    assert training.best == [1]


def test_patience_outlives_a_stop(tmp_path: Path) -> None:
    training = Scripted(tmp_path, steps=100, scores=lambda step: -float(step))
    training.history = ValidationHistory(best=0.0, since_best=3)
    training.history.validations.append({"step": 0.0, "minutes": 0.0, "score": 0.0})
    restored = ValidationHistory.restored(training.history.state())
    assert restored == training.history
    assert run_training(training, replace(OFTEN, patience=4)) is Ending.EARLY
    assert training.step == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(tmp_path: Path, number: signal.Signals) -> None:
    def losses(step: int) -> float:
        if step == 3:
            os.kill(os.getpid(), number)
        return 1.0

    training = Scripted(tmp_path, steps=100, losses=losses, scores=lambda _: 0.5)
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert run_training(training, None, None, stop) is Ending.STOPPED
    assert training.saved == [3]
    assert signal.getsignal(number) is before


def test_a_second_signal_interrupts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_steps_without_a_number_are_counted_and_passed_over(tmp_path: Path) -> None:
    said = io.StringIO()
    training = Scripted(tmp_path, losses=lambda step: None if step in (2, 3) else 1.0)
    assert run_training(training, None, LogDisplay(said)) is Ending.FINISHED
    assert training.history.skipped == 2
    assert said.getvalue().count("step 2 left out") == 1
    assert "step 3 left out" not in said.getvalue()


@pytest.mark.parametrize("steps", [4, 1000])
def test_a_run_of_nothing_but_no_numbers_fails(tmp_path: Path, steps: int) -> None:
    training = Scripted(tmp_path, steps=steps, losses=lambda _: None)
    with pytest.raises(ModelError, match="E_TRAINING"):
        run_training(training)
    assert training.step == min(steps, 50)
    assert training.saved == [], "the last good checkpoint stands"


def test_a_full_disk_is_told_and_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    runs.write_file(path, b"before")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "write", full)
    with pytest.raises(OutputError, match=r"E_WRITE.*No space left") as caught:
        runs.write_file(path, b"after")
    assert caught.value.path == str(path)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert path.read_bytes() == b"before"


def test_two_programs_do_not_train_in_one_folder(tmp_path: Path) -> None:
    with (
        runs.lock_folder(tmp_path),
        pytest.raises(OutputError, match="E_RUN_LOCKED"),
        runs.lock_folder(tmp_path),
    ):
        pass
    with runs.lock_folder(tmp_path):
        pass


def test_standings_in_words() -> None:
    standing = RunProgress(0.25, 120, 1.234, 0.5, 90.0, 0.61, 0.64)
    assert describe_progress(standing) == (
        "step 120  loss 1.234  validation 0.610  best 0.640  0.50 s/step  90 min left"
    )
    nothing = RunProgress(0.0, 0, float("nan"), float("nan"), float("inf"))
    assert describe_progress(nothing) == "step 0"
    assert [format_duration(m) for m in (0.5, 59, 185)] == ["30 s", "59 min", "3 h 05 min"]


def test_a_bar_in_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = RunProgress(0.5, 7, 0.5, 0.1, 3.0)
    plain = io.StringIO()
    with open_display(plain) as display:
        assert isinstance(display, LogDisplay)
        display.update(standing)
        display.update(standing)
    assert plain.getvalue() == "step 7  loss 0.500  0.10 s/step  3 min left\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = io.StringIO()
    with open_display(terminal) as display:
        assert isinstance(display, BarDisplay)
        display.update(standing)
        display.print_line("validation [at] step 7")
    assert "50 %" in terminal.getvalue()
    assert "validation [at] step 7" in terminal.getvalue()
