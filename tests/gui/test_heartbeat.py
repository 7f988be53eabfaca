"""The window lives on while models, disk and imports work: a heart that beats on its thread."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from PyQt6.QtCore import QObject, QTimer

from scarseg.gui.session.studies import stored_case
from scarseg.models import Models
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter

PATIENCE_S = 10.0
BEAT_MS = 5
LEAST_S = 0.1
ENOUGH = 8
"""A window that is blocked beats once at most, however long it is waited for."""


class Heart(QObject):
    """Beats on the GUI thread; tells how often it did while something burned."""

    def __init__(self) -> None:
        super().__init__()
        self.beats: list[float] = []
        self.burns: list[tuple[float, float]] = []
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)

    def _beat(self) -> None:
        self.beats.append(time.perf_counter())

    def stop(self) -> None:
        self._timer.stop()

    def burn(self, patience_s: float = PATIENCE_S) -> None:
        """Keep the interpreter busy, as Python code round a model does, until it has beaten."""
        begin, before = time.perf_counter(), len(self.beats)
        while time.perf_counter() < begin + patience_s:
            sum(range(1000))
            if len(self.beats) >= before + ENOUGH and time.perf_counter() > begin + LEAST_S:
                break
        self.burns.append((begin, time.perf_counter()))

    def fewest(self) -> int:
        """Return the beats during the burning that had fewest."""
        assert self.burns
        return min(sum(begin <= beat <= end for beat in self.beats) for begin, end in self.burns)


class BurningSegmenter(FakeSegmenter):
    """Burns where it is told to, once."""

    def __init__(self, heart: Heart, where: str = "") -> None:
        self.heart, self.where = heart, where

    def _at(self, where: str) -> None:
        if where == self.where:
            self.where = ""
            self.heart.burn()

    def embed(self, image, lv_box):
        self._at("embed")
        return super().embed(image, lv_box)

    def predict(self, embedding, prompts, previous=None, quick=False):
        self._at("predict")
        return super().predict(embedding, prompts, previous, quick)


class BurningDetector(FakeDetector):
    def __init__(self, heart: Heart) -> None:
        self.heart = heart

    def detect(self, image):
        if not self.heart.burns:
            self.heart.burn()
        return super().detect(image)


@pytest.fixture
def heart(qapp):
    heart = Heart()
    yield heart
    heart.stop()


def test_a_window_that_is_blocked_has_no_pulse(heart, qtbot):
    QTimer.singleShot(0, lambda: heart.burn(patience_s=0.5))
    qtbot.waitUntil(lambda: bool(heart.burns))
    assert heart.fewest() <= 1


@pytest.mark.parametrize("where", ["detect", "embed", "predict"])
def test_it_beats_while_slices_are_proposed(heart, make_reader, phantom_stack, where):
    detector = BurningDetector(heart) if where == "detect" else FakeDetector()
    reader = make_reader(Models(BurningSegmenter(heart, where), detector))
    reader.open(phantom_stack)
    reader.wait_ready()
    assert heart.fewest() >= ENOUGH


def test_it_beats_while_a_click_is_answered(heart, make_reader, phantom_stack):
    segmenter = BurningSegmenter(heart)
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    segmenter.where = "predict"
    reader.click(46, 30)
    reader.wait_answer()
    assert heart.fewest() >= ENOUGH


def test_it_beats_while_models_load_and_a_case_is_opened_and_saved(
    heart, make_reader, phantom_stack, monkeypatch
):
    from scarseg.gui.session import autosave

    def burning(real):
        def burned(*more, **named):
            heart.burn()
            return real(*more, **named)

        return burned

    models = Models(FakeSegmenter(), FakeDetector())
    monkeypatch.setattr("scarseg.gui.session.opening.open_case", burning(stored_case.open_case))
    monkeypatch.setattr(autosave, "_save", burning(autosave._save))
    reader = make_reader(loader=burning(lambda: models))
    reader.open(phantom_stack)
    reader.wait_ready()
    reader.act("save")
    reader.wait_saved()
    other = replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8")
    reader.open(other)
    reader.wait_ready()
    assert len(heart.burns) >= 4
    assert heart.fewest() >= ENOUGH
