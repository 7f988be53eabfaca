"""The flow of a reading: in sight first, nothing lost, nothing late, everything can be stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from scarseg.case.case import CaseStatus
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.case.prompts import Box
from scarseg.gui.session.inference_state import Readiness
from scarseg.models import Detection, Models, Structure
from scarseg.segmentation import pipeline
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter, fake_models

BOX = (40.0, 15.0, 50.0, 45.0)


class Held:
    """Pass so many calls, then wait to be released."""

    def __init__(self, free: int = 0) -> None:
        self.free, self.calls = free, 0
        self.open = threading.Event()

    def pass_by(self) -> None:
        self.calls += 1
        if self.calls > self.free:
            assert self.open.wait(10)


class HeldDetector(FakeDetector):
    def __init__(self, held: Held, stray: Callable[[float], bool] = lambda corner: False) -> None:
        self.held, self.stray = held, stray

    def detect(self, image):
        self.held.pass_by()
        if self.stray(float(image.pixels[0, 0])):
            return [Detection(Box(2, 2, 12, 12), Structure.LEFT_VENTRICLE, 0.9)]
        return super().detect(image)


class NarrowSegmenter(FakeSegmenter):
    """Sees nothing outside the box it was told to look at."""

    def embed(self, image, lv_box):
        pixels = np.full_like(image.pixels, 10)
        if lv_box is not None:
            rows = slice(int(lv_box.row0), int(lv_box.row1) + 1)
            columns = slice(int(lv_box.column0), int(lv_box.column1) + 1)
            pixels[rows, columns] = image.pixels[rows, columns]
        return super().embed(replace(image, pixels=pixels), lv_box)


class HeldSegmenter(FakeSegmenter):
    """Counts what it is asked, and answers once it is let."""

    def __init__(self) -> None:
        self.embedding, self.answering = Held(free=99), Held(free=99)
        self.asked: list[object] = []

    def let(self) -> None:
        self.embedding.open.set()
        self.answering.open.set()

    def embed(self, image, lv_box):
        self.embedding.pass_by()
        return super().embed(image, lv_box)

    def predict(self, embedding, prompts, previous=None, quick=False):
        self.asked.append(prompts)
        self.answering.pass_by()
        return super().predict(embedding, prompts, previous, quick)


@pytest.fixture
def held():
    held = Held(free=1)
    yield held
    held.open.set()


@pytest.fixture
def segmenter():
    segmenter = HeldSegmenter()
    yield segmenter
    segmenter.let()


def hold_answers(segmenter: HeldSegmenter) -> None:
    segmenter.answering.free = segmenter.answering.calls
    segmenter.asked.clear()


def test_the_slice_in_sight_can_be_clicked_before_the_others_are_looked_at(
    make_reader, phantom_stack, held
):
    reader = make_reader(Models(FakeSegmenter(), HeldDetector(held)))
    reader.open(phantom_stack)
    reader.wait(lambda: reader.inference.readiness[2] is Readiness.READY)
    assert held.calls <= 2 and reader.inference.n_ready == 1
    assert (reader.document.labels == Label.SCAR).any()
    held.open.set()
    reader.wait_ready()
    whole = pipeline.propose_case(phantom_stack, fake_models())
    np.testing.assert_array_equal(reader.case.labels, whole.labels)
    assert reader.case.readings == whole.readings


@pytest.mark.parametrize("touched", [False, True])
def test_a_slice_the_stack_disagrees_with_is_settled_unless_it_was_touched(
    make_reader, phantom_stack, held, touched
):
    pixels = phantom_stack.pixels.copy()
    pixels[2, 0, 0] = 17  # else slices 1 to 3 are alike
    phantom_stack = replace(phantom_stack, pixels=pixels)
    models = Models(NarrowSegmenter(), HeldDetector(held, lambda corner: corner == 17))
    reader = make_reader(models)
    reader.open(phantom_stack)
    reader.wait(lambda: reader.inference.readiness[2] is Readiness.READY)
    alone = reader.case.readings[2]
    assert alone.prompts.lv_box.column0 == 2 and not reader.document.labels.any()
    if touched:
        reader.accept()
    held.open.set()
    reader.wait_ready()
    reader.settle()
    whole = pipeline.propose_case(phantom_stack, models)
    assert whole.readings[2].prompts.lv_box.column0 > 10
    if touched:
        assert reader.case.readings[2] == replace(alone, status=SliceStatus.ACCEPTED)
    else:
        assert reader.case.readings == whole.readings
        np.testing.assert_array_equal(reader.case.labels, whole.labels)
        assert not reader.document.undo_stack.count()


def test_of_several_clicks_the_newest_is_answered_and_none_is_lost(
    make_reader, phantom_stack, segmenter
):
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    hold_answers(segmenter)
    for row in (22, 30, 38):
        reader.click(46, row)
    assert list(reader.inference.pending) == [2]
    reader.wait(lambda: segmenter.asked)
    segmenter.let()
    reader.wait_answer()
    assert len(segmenter.asked) == 2
    assert [len(prompts.points) for prompts in segmenter.asked] == [1, 3]
    assert len(reader.prompts.points) == 3
    twin = dict(pipeline.propose_stack(phantom_stack, fake_models()))[2]
    wanted, _ = pipeline.segment(
        fake_models(), twin.embedding, reader.prompts, twin.labels, twin.logits
    )
    np.testing.assert_array_equal(reader.document.labels, wanted)


def test_answers_land_on_the_slice_that_was_asked_the_one_in_sight_first(
    make_reader, phantom_stack, segmenter
):
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    before = reader.case.labels.copy()
    hold_answers(segmenter)
    for k in (1, 3, 2):
        reader.go_to(k)
        reader.drag_box(10, 10, 12 + k, 12)
    assert set(reader.inference.pending) == {1, 2, 3}
    segmenter.let()
    reader.wait_answer()
    right = [round(prompts.boxes[-1].column1) for prompts in segmenter.asked]
    assert right == [13, 14, 15]
    np.testing.assert_array_equal(reader.case.labels[[0, 4]], before[[0, 4]])
    for k in (1, 2, 3):
        assert reader.case.readings[k].edited


def test_escape_gives_up_one_answer_and_space_asks_again(make_reader, phantom_stack, segmenter):
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    before = reader.document.labels.copy()
    hold_answers(segmenter)
    reader.drag_box(10, 10, 20, 20)
    reader.wait(lambda: segmenter.asked)
    reader.press_key(Qt.Key.Key_Escape)
    assert not reader.inference.pending
    assert "Space" in reader.window.status_bar.message.text()
    segmenter.let()
    reader.settle()
    np.testing.assert_array_equal(reader.document.labels, before)
    assert len(reader.prompts.boxes) == 2
    reader.press_key(Qt.Key.Key_Space)
    reader.wait_answer()
    assert reader.document.reading.edited


def test_escape_lets_go_of_the_hand_before_the_answer(make_reader, phantom_stack, segmenter):
    from PyQt6.QtGui import QMouseEvent

    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait_ready()
    hold_answers(segmenter)
    reader.drag_box(10, 10, 20, 20)
    reader.mouse(QMouseEvent.Type.MouseButtonPress, (30, 10))
    reader.mouse(QMouseEvent.Type.MouseMove, (36, 20))
    reader.press_key(Qt.Key.Key_Escape)
    reader.mouse(QMouseEvent.Type.MouseButtonRelease, (36, 20))
    assert list(reader.inference.pending) == [2]
    assert len(reader.prompts.boxes) == 2


def test_after_a_cancel_the_prompts_stay_and_space_asks_again(
    make_reader, phantom_stack, segmenter
):
    segmenter.embedding.free = 0
    reader = make_reader(Models(segmenter, FakeDetector()))
    reader.open(phantom_stack)
    reader.wait(lambda: segmenter.embedding.calls)
    reader.drag_box(*BOX)
    assert list(reader.inference.pending) == [2]
    reader.window.status_bar.cancel.click()
    assert not reader.inference.pending and not reader.inference.proposing
    segmenter.let()
    reader.settle()
    assert not reader.case.labels.any() and segmenter.embedding.calls == 1
    assert len(reader.prompts.boxes) == 1
    reader.press_key(Qt.Key.Key_Space)
    reader.wait_answer()
    assert (reader.document.labels == Label.SCAR).any()
    reader.settle()
    assert reader.inference.n_ready == 1


def test_a_finished_reading_rests_until_something_is_asked(make_reader, phantom_stack):
    reader = make_reader()
    reader.open(phantom_stack)
    reader.wait_ready()
    for _ in range(5):
        reader.accept()
    reader.wait_saved()
    reader.session.shut_down()
    reader.window.close()

    segmenter = HeldSegmenter()
    again = make_reader(Models(segmenter, FakeDetector()))
    again.open(phantom_stack)
    again.wait(lambda: again.session.models is not None)
    again.settle()
    assert again.case.status is CaseStatus.READ
    assert set(again.inference.readiness) == {Readiness.RESTING}
    assert segmenter.embedding.calls == 0 and not again.inference.proposing
    read = again.case.labels.copy()

    segmenter.embedding.free = 0
    again.drag_box(40, 15, 50, 30)
    k = again.document.current
    assert again.window.canvas.prompt_layer.waits
    segmenter.let()
    again.wait_answer()
    again.wait_ready()
    others = [each for each in range(5) if each != k]
    np.testing.assert_array_equal(again.case.labels[others], read[others])
    assert again.case.readings[k].edited


def test_an_export_of_the_list_can_be_cancelled(make_reader, phantom_stack, tmp_path, monkeypatch):
    from scarseg.gui.session import export

    reader = make_reader()
    reader.open(phantom_stack)
    reader.wait_ready()
    other = replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8")
    reader.session.open_stack(other)
    reader.wait(lambda: reader.case.stack.series_uid == "1.2.3.9")
    reader.wait_ready()
    reached, go_on = threading.Event(), threading.Event()
    real = export._saved

    def saved(*more):
        reached.set()
        assert go_on.wait(10)
        return real(*more)

    monkeypatch.setattr(export, "_saved", saved)
    reader.dialogs.path = tmp_path / "scar.csv"
    reader.act("export_all")
    reader.wait(reached.is_set)
    assert reader.window.status_bar.cancel.isVisible()
    reader.window.status_bar.cancel.click()
    go_on.set()
    reader.settle()
    assert not (tmp_path / "scar.csv").exists()
    assert not reader.window.status_bar.cancel.isVisible()
