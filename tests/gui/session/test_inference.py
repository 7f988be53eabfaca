"""Models run behind the window: late answers never land elsewhere, failures cost no tool."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtGui import QMouseEvent

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.errors import ModelError, WeightsError
from scarseg.gui.session.inference_state import Readiness
from scarseg.models import Models
from scarseg.segmentation import pipeline
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter, fake_models


class Gate(FakeSegmenter):
    """A segmenter that answers only once it is let."""

    def __init__(self) -> None:
        self.embeds, self.answers = threading.Event(), threading.Event()
        self.asked: list[object] = []

    def let(self) -> None:
        self.embeds.set()
        self.answers.set()

    def embed(self, image, lv_box):
        assert self.embeds.wait(10)
        return super().embed(image, lv_box)

    def predict(self, embedding, prompts, previous=None, quick=False):
        self.asked.append(prompts)
        assert self.answers.wait(10)
        return super().predict(embedding, prompts, previous, quick)


class Broken(FakeSegmenter):
    """A segmenter that cannot embed, or gives nothing usable."""

    def embed(self, image, lv_box):
        raise ModelError("E_MODEL_NAN", "The segmenter gave no numbers.")


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.let()


@pytest.fixture
def slow(make_reader, phantom_stack, gate):
    """A reader whose models have not answered anything yet."""
    reader = make_reader(Models(gate, FakeDetector()))
    reader.open(phantom_stack)
    return reader


def test_a_box_that_comes_too_early_waits_and_is_then_answered(slow, gate):
    slow.wait(lambda: slow.session.models is not None)
    slow.drag_box(40, 15, 50, 45)
    k = slow.document.current
    assert k in slow.inference.pending
    assert slow.window.canvas.prompt_layer.waits
    assert "waiting" in slow.window.canvas.corner.text()
    gate.let()
    slow.wait_ready()
    slow.wait_answer()
    assert not slow.window.canvas.prompt_layer.waits
    assert (slow.case.labels[k] == Label.SCAR).any()
    assert slow.case.readings[k].edited


def test_an_automatic_threshold_follows_the_proposals(slow, gate):
    slow.act("threshold")
    assert "brightest tenth" in slow.window.view_row.threshold_text.toolTip()
    gate.let()
    slow.wait_ready()
    assert "halfway" in slow.window.view_row.threshold_text.toolTip()
    assert slow.window.canvas.threshold == 125


def test_a_box_drawn_before_the_models_are_loaded_is_answered(make_reader, phantom_stack):
    loaded = threading.Event()

    def load() -> Models:
        assert loaded.wait(10)
        return fake_models()

    reader = make_reader(loader=load)
    reader.open(phantom_stack)
    reader.drag_box(40, 15, 50, 45)
    loaded.set()
    reader.wait_ready()
    reader.wait_answer()
    assert (reader.document.labels == Label.SCAR).any()


def test_an_answer_to_an_older_prompt_is_dropped(slow, gate):
    gate.let()
    slow.wait_ready()
    slow.go_to(2)
    gate.answers.clear()
    gate.asked.clear()
    slow.drag_box(40, 15, 50, 30)
    slow.wait(lambda: gate.asked)
    labels = slow.document.labels.copy()
    slow.undo()
    slow.go_to(0)
    gate.answers.set()
    slow.settle()
    np.testing.assert_array_equal(slow.case.labels[2], labels)
    np.testing.assert_array_equal(
        slow.case.labels, pipeline.propose_case(slow.case.stack, fake_models()).labels
    )
    assert not slow.inference.pending


def test_a_case_left_in_the_middle_is_finished_behind_the_next(slow, gate):
    slow.wait(lambda: slow.session.models is not None)
    left = slow.case
    other = replace(make_phantom_stack(), series_uid="1.2.3.9", study_uid="1.2.8")
    slow.open(other)
    gate.let()
    slow.wait_ready()
    statuses = lambda: {reading.status for reading in left.readings}  # noqa: E731
    slow.wait(lambda: SliceStatus.UNSEEN not in statuses())
    slow.wait(lambda: not slow.session.closing.cases)
    assert left.labels.any()
    assert slow.case.labels.any()


def test_a_proposal_does_not_cover_what_was_drawn_meanwhile(slow, gate):
    slow.wait(lambda: slow.session.models is not None)
    k = slow.document.current
    slow.paint((10, 10), (14, 10))
    drawn = slow.document.labels.copy()
    gate.let()
    slow.wait_ready()
    np.testing.assert_array_equal(slow.case.labels[k], drawn)
    assert all(slow.case.labels[i].any() for i in range(5))


def test_the_current_slice_is_proposed_first(make_reader, phantom_stack, monkeypatch):
    order = []
    propose = pipeline.propose_slice

    def watched(image, models, *more, **named):
        order.append(next(k for k in range(5) if image.pixels is phantom_stack_image(k)))
        return propose(image, models, *more, **named)

    images = [phantom_stack.image(k).pixels for k in range(5)]
    monkeypatch.setattr(type(phantom_stack), "image", _same_images(phantom_stack, images))

    def phantom_stack_image(k):
        return images[k]

    monkeypatch.setattr(pipeline, "propose_slice", watched)
    reader = make_reader()
    reader.open(phantom_stack)
    reader.wait_ready()
    assert order[0] == 2
    assert sorted(order) == list(range(5))


def _same_images(stack, images):
    real = type(stack).image
    return lambda self, k: replace(real(self, k), pixels=images[k])


def test_a_cancelled_proposal_leaves_slices_to_be_asked_for(slow, gate):
    slow.wait(lambda: slow.inference.proposing)
    slow.window.status_bar.cancel.click()
    gate.let()
    slow.settle()
    assert Readiness.WAITING not in slow.inference.readiness
    slow.act("segment")
    slow.wait_answer()
    slow.wait(lambda: slow.inference.readiness[slow.document.current] is Readiness.READY)


def test_a_failing_model_says_so_and_leaves_the_brush(make_reader, phantom_stack):
    reader = make_reader(Models(Broken(), FakeDetector()))
    reader.open(phantom_stack)
    reader.wait(lambda: Readiness.WAITING not in reader.inference.readiness)
    assert "E_MODEL_NAN" in reader.window.banner.text.text()
    assert reader.window.banner.isVisible()
    reader.paint((30, 30), (34, 30))
    assert (reader.document.labels == Label.SCAR).any()
    reader.accept()
    assert reader.case.n_slices_reviewed == 1


def test_missing_weights_leave_the_manual_tools(make_reader, phantom_stack):
    def load() -> Models:
        raise WeightsError("E_WEIGHTS_MISSING", "There are no weights.")

    reader = make_reader(loader=load)
    reader.open(phantom_stack)
    reader.settle()
    assert "E_WEIGHTS_MISSING" in reader.window.banner.text.text()
    reader.paint((30, 30), (34, 30))
    reader.accept()
    assert reader.case.n_slices_reviewed == 1


def test_proposals_equal_those_of_the_command_line(reading):
    whole = pipeline.propose_case(reading.case.stack, fake_models())
    np.testing.assert_array_equal(reading.case.labels, whole.labels)
    assert reading.case.readings == whole.readings


def test_an_accepted_slice_is_proposed_again_only_when_asked(reading):
    reading.go_to(2)
    reading.paint((10, 10), (14, 10))
    reading.accept()
    drawn = reading.case.labels[2].copy()
    reading.inference.start(reading.session.models)
    reading.settle()
    np.testing.assert_array_equal(reading.case.labels[2], drawn)
    reading.go_to(2)
    reading.act("propose_again")
    reading.settle()
    assert reading.case.labels[2, 10, 10] != Label.SCAR
    assert reading.case.readings[2].status is SliceStatus.PROPOSED
    reading.undo()
    np.testing.assert_array_equal(reading.case.labels[2], drawn)


def test_a_ventricle_box_brings_the_wall_anew(reading):
    reading.go_to(1)
    reading.act("ventricle")
    reading.drag((20.0, 16.0), (18.0, 14.0))
    reading.settle()
    assert reading.document.undo_stack.count() <= 2
    assert (reading.document.labels == Label.MYOCARDIUM).any()


def test_a_proposal_that_comes_while_the_hand_is_down_is_kept(slow, gate):
    slow.wait(lambda: slow.session.models is not None)
    k = slow.document.current
    slow.act("brush")
    slow.mouse(QMouseEvent.Type.MouseButtonPress, (10, 10))
    slow.mouse(QMouseEvent.Type.MouseMove, (14, 10))
    gate.let()
    slow.wait_ready()
    slow.mouse(QMouseEvent.Type.MouseButtonRelease, (14, 10))
    assert slow.case.labels[k, 10, 12] == Label.SCAR
    assert (slow.case.labels[k] == Label.BLOOD_POOL).any()
    slow.undo()
    assert slow.case.labels[k, 10, 12] == Label.BACKGROUND
    assert (slow.case.labels[k] == Label.BLOOD_POOL).any()


def test_boxes_that_come_while_one_is_drawn_are_kept(slow, gate):
    slow.wait(lambda: slow.session.models is not None)
    slow.act("box")
    slow.mouse(QMouseEvent.Type.MouseButtonPress, (10, 10))
    slow.mouse(QMouseEvent.Type.MouseMove, (20, 20))
    gate.let()
    slow.wait_ready()
    slow.mouse(QMouseEvent.Type.MouseButtonRelease, (20, 20))
    slow.wait_answer()
    assert len(slow.prompts.boxes) == 2
