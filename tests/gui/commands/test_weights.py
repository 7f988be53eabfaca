"""A checkpoint chosen in the window: loaded behind it, embedded in steps, remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QSettings

from scarseg.case.case import ModelIdentity
from scarseg.case.history import SliceStatus
from scarseg.case.stack import SliceImage, Stack
from scarseg.errors import WeightsError
from scarseg.gui.commands.weights import SEGMENTER_KEY, remembered_segmenter
from scarseg.gui.dialogs.weights import WeightsChoice, WeightsDialog
from scarseg.gui.session.weights import ChosenWeights
from scarseg.models import Models
from tests.fakes import FakeDetector, FakeSegmenter, fake_models
from tests.gui.conftest import Reader

STEPS = 4


class SlowSegmenter(FakeSegmenter):
    """The fake segmenter under another name, whose embeddings take steps."""

    identity = ModelIdentity("mine, wall by fake-segmenter", "2" * 64, False)

    def __init__(self) -> None:
        self.steps: dict[bytes, int] = {}

    def embed_step(self, image: SliceImage) -> float:
        key = np.ascontiguousarray(image.pixels).tobytes()
        self.steps[key] = min(self.steps.get(key, 0) + 1, STEPS)
        return self.steps[key] / STEPS


def choose(reader: Reader, path: Path | None, again: bool = True) -> None:
    reader.dialogs.choice = WeightsChoice(path, again)
    reader.act("weights")


def serve(reader: Reader, segmenter: SlowSegmenter) -> None:
    """Make the window load this segmenter for every file, and the fakes for its own weights."""
    reader.session.weights.load = lambda path: (
        fake_models() if path is None else Models(segmenter, FakeDetector())
    )


def test_chosen_weights_are_used_named_and_remembered(
    reading: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, path = SlowSegmenter(), tmp_path / "mine.pth"
    serve(reading, slow)
    choose(reading, path)
    reading.wait(lambda: reading.session.models.segmenter is slow)
    reading.wait_ready()
    assert reading.dialogs.weights_in_use == ("fake-segmenter", None)
    assert set(slow.steps.values()) == {STEPS}
    assert reading.case.segmenter == slow.identity
    assert "mine" in reading.window.status_bar.models.text()
    settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    settings.sync()
    assert remembered_segmenter(settings) == path
    runs = [step.model_run for step in reading.case.record.steps if step.model_run]
    assert runs[-1].segmenter_sha256 == "2" * 64
    choose(reading, None)
    reading.wait(lambda: reading.session.models.segmenter is not slow)
    settings.sync()
    assert str(settings.value(SEGMENTER_KEY)) == ""


def test_only_slices_that_nobody_read_are_proposed_again(reading: Reader, tmp_path: Path) -> None:
    slow = SlowSegmenter()
    serve(reading, slow)
    reading.go_to(1)
    reading.accept()
    names = [step.name for step in reading.case.record.steps]
    choose(reading, tmp_path / "mine.pth")
    reading.wait(lambda: reading.session.models.segmenter is slow)
    reading.wait_ready()
    assert reading.case.readings[1].status is SliceStatus.ACCEPTED
    new = [step.name for step in reading.case.record.steps][len(names) :]
    again = [name for name in new if "propose again" in name.lower()]
    assert len(again) == 4
    assert not any("slice 2" in name for name in again)
    for _ in range(4):
        reading.undo()
    assert reading.case.readings[1].status is SliceStatus.ACCEPTED


def test_embedding_goes_step_by_step_and_a_click_need_not_wait(
    make_reader: Callable[..., Reader], phantom_stack: Stack
) -> None:
    slow = SlowSegmenter()
    reader = make_reader(Models(slow, FakeDetector()))
    texts: list[str] = []
    reader.session.front.proposing_changed.connect(
        lambda: texts.append(reader.window.status_bar.models.text())
    )
    shown: list[tuple[int, float] | None] = []
    reader.session.front.proposing_changed.connect(
        lambda: shown.append(reader.inference.embedding_now)
    )
    reader.open(phantom_stack)
    reader.wait_ready()
    parts = [one[1] for one in shown if one is not None]
    assert {0.25, 0.5, 0.75} <= set(parts)
    assert set(slow.steps.values()) == {STEPS}


def test_cancel_stops_between_two_steps(
    make_reader: Callable[..., Reader], phantom_stack: Stack
) -> None:
    slow = SlowSegmenter()
    reader = make_reader(Models(slow, FakeDetector()))

    def cancel_once() -> None:
        if reader.inference.embedding_now is not None and not stopped:
            stopped.append(True)
            reader.window.status_bar.cancelled.emit()

    stopped: list[bool] = []
    reader.session.front.proposing_changed.connect(cancel_once)
    reader.open(phantom_stack)
    reader.wait(lambda: stopped and not reader.session.inference_worker.busy)
    assert any(n < STEPS for n in slow.steps.values()) or len(slow.steps) < 5
    reader.act("propose_again")
    k = reader.document.current
    reader.wait(lambda: reader.inference.embeddings[k] is not None)


def test_weights_that_do_not_load_leave_those_in_use(reading: Reader, tmp_path: Path) -> None:
    def load(path: Path | None) -> Models:
        raise WeightsError("E_WEIGHTS_UNKNOWN", "The weights file is not a SAM checkpoint.")

    reading.session.weights.load = load
    before = reading.session.models
    choose(reading, tmp_path / "holiday.pth")
    reading.wait(lambda: reading.window.banner.isVisible())
    assert "E_WEIGHTS_UNKNOWN" in reading.window.banner.text.text()
    assert reading.session.models is before
    settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    settings.sync()
    assert remembered_segmenter(settings) is None


def test_a_remembered_file_that_is_gone_is_said_and_replaced(tmp_path: Path) -> None:
    def load(path: Path | None) -> Models:
        if path is not None:
            raise WeightsError("E_WEIGHTS_MISSING", f"No segmenter weights {path} here.")
        return fake_models()

    weights = ChosenWeights(tmp_path / "gone.pth", load)
    assert weights().segmenter.identity.name == "fake-segmenter"
    assert "E_WEIGHTS_MISSING" in weights.problem
    assert "own weights are in use" in weights.problem


def test_dialog_takes_only_files_that_are_there(qtbot, tmp_path: Path) -> None:
    there = tmp_path / "sam.pth"
    there.write_bytes(b"0" * 3_000_000)
    dialog = WeightsDialog(None, "scarseg-compact-3", None, lambda: there)  # type: ignore[arg-type]
    qtbot.addWidget(dialog)
    assert dialog.use.isEnabled()
    assert dialog.choice == WeightsChoice(None, True)
    dialog.checkpoint.setChecked(True)
    assert not dialog.use.isEnabled()
    dialog.choose.click()
    assert dialog.choice == WeightsChoice(there, True)
    assert "3 MB" in dialog.cost.text()
    dialog.path.setText(str(tmp_path / "none.pth"))
    assert not dialog.use.isEnabled()
