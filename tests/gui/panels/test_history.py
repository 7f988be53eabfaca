"""History panel: undo and redo by its list, and the counted interactions."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt

from scarseg.case.history import Cause, SliceStatus
from scarseg.case.labels import Label
from scarseg.gui.panels import history

pytestmark = pytest.mark.usefixtures("no_late_doubts")


def lines(reader) -> list[str]:
    steps = reader.window.history.steps
    return [str(steps.index(row).data()) for row in range(steps.rowCount())]


def undone(reader) -> list[bool]:
    steps = reader.window.history.steps
    return [bool(steps.index(row).data(history.UNDONE)) for row in range(steps.rowCount())]


def click_line(reader, row: int) -> None:
    view = reader.window.history.view
    index = reader.window.history.steps.index(row)
    view.scrollTo(index)
    at = view.visualRect(index).center()
    reader.qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(at))


def three_steps(reader) -> list[np.ndarray]:
    """Paint on slices 0 and 1 and accept slice 0; give the labels after each step."""
    states = [reader.case.labels.copy()]
    for k, verb in ((0, "paint"), (1, "paint"), (0, "accept")):
        reader.go_to(k)
        reader.paint((5, 5), (9, 5)) if verb == "paint" else reader.accept()
        states.append(reader.case.labels.copy())
    return states


def test_a_click_goes_back_and_forward_and_shows_the_slice(reading):
    states = three_steps(reading)
    reading.act("history")
    assert lines(reading) == ["as opened", "paint", "paint", "accept"]
    assert undone(reading) == [False] * 4
    click_line(reading, 1)
    np.testing.assert_array_equal(reading.case.labels, states[1])
    assert reading.document.current == 0
    assert reading.case.readings[0].status is not SliceStatus.ACCEPTED
    assert undone(reading) == [False, False, True, True]
    click_line(reading, 0)
    np.testing.assert_array_equal(reading.case.labels, states[0])
    click_line(reading, 2)
    np.testing.assert_array_equal(reading.case.labels, states[2])
    assert reading.document.current == 1
    click_line(reading, 3)
    assert reading.case.readings[0].status is SliceStatus.ACCEPTED
    assert undone(reading) == [False] * 4
    reading.undo()
    assert undone(reading) == [False, False, False, True]
    reading.wait_saved()


def test_the_history_works_by_keyboard_alone(reading):
    states = three_steps(reading)
    reading.press_key(Qt.Key.Key_Y)
    view = reading.window.history.view
    assert view.isVisible() and view.hasFocus()
    for _ in range(2):
        reading.qtbot.keyClick(view, Qt.Key.Key_Up)
    np.testing.assert_array_equal(reading.case.labels, states[1])
    reading.qtbot.keyClick(view, Qt.Key.Key_Home)
    np.testing.assert_array_equal(reading.case.labels, states[0])
    reading.qtbot.keyClick(view, Qt.Key.Key_End)
    np.testing.assert_array_equal(reading.case.labels, states[3])
    reading.qtbot.keyClick(view, Qt.Key.Key_Return)
    assert not view.isVisible()
    assert reading.window.views.active.hasFocus()


def test_a_jump_signals_each_slice_once(reading):
    three_steps(reading)
    for _ in range(3):
        reading.go_to(2)
        reading.paint((5, 5), (9, 5))
    told: list[int] = []
    reading.document.slice_changed.connect(told.append)
    reading.window.commands.slices.go_to_step(0)
    assert told == [0, 1, 2]


def test_every_case_has_its_own_history(reading, phantom_stack):
    from dataclasses import replace

    three_steps(reading)
    reading.act("history")
    first = reading.session.current.entry
    reading.open(replace(phantom_stack, series_uid="1.2.3.9", study_uid="1.2.8"))
    assert lines(reading) == ["as opened"]
    reading.paint((5, 5), (9, 5))
    assert lines(reading) == ["as opened", "paint"]
    reading.settle()
    reading.session.open(first)
    reading.wait(lambda: reading.session.current.entry is first)
    steps = reading.window.history.steps
    assert lines(reading) == ["as opened"]
    tip = steps.index(0).data(Qt.ItemDataRole.ToolTipRole)
    assert "accept, slice 1" in tip and "paint, slice 2" in tip


def test_the_recorded_history_reproduces_the_labels(reading):
    three_steps(reading)
    reading.go_to(2)
    reading.drag_box(30, 20, 50, 40)
    reading.wait_answer()
    reading.click(10, 10, positive=False)
    reading.wait_answer()
    reading.undo()
    reading.act("propose_again")
    # MVO is looked for after it, as a step of its own.
    reading.wait(lambda: reading.case.history[-2].startswith("propose again"))
    reading.window.commands.slices.go_to_step(1)
    reading.window.commands.slices.go_to_step(4)
    labels, readings = reading.case.record.final_state()
    np.testing.assert_array_equal(labels, reading.case.labels)
    assert readings == reading.case.readings
    causes = {step.cause for step in reading.case.record.steps}
    assert causes >= {Cause.READER, Cause.ANSWER, Cause.PROPOSAL, Cause.UNDO, Cause.MODEL_RUN}
    looks = [step.model_run for step in reading.case.record.steps if step.model_run is not None]
    assert {look.segmenter_sha256 for look in looks} == {"1" * 64}
    assert looks[0].lv_box is not None


def test_the_proposal_stays_what_it_was_until_the_models_start_over(reading):
    reading.go_to(2)
    assert not any(reading.case.differs_from_proposal(k) for k in range(5))
    reading.act("label_3")
    reading.paint((5, 5), (9, 5))
    assert reading.case.differs_from_proposal(2)
    first = reading.case.proposed[2]
    assert not (first.unpacked() == Label.SCAR).all()
    reading.act("propose_again")
    reading.wait(lambda: not reading.case.differs_from_proposal(2))
    reading.undo()
    assert reading.case.differs_from_proposal(2)
    assert reading.case.proposed[2] is first
    reading.undo()
    assert not reading.case.differs_from_proposal(2)


def test_labels_under_scar_are_kept_after_reopening(reading, make_reader, phantom_stack):
    reading.go_to(0)
    reading.act("label_3")
    reading.paint((36, 30), (38, 30))
    grounds = reading.document.labels_under_scar.copy()
    assert (grounds[0][reading.case.labels[0] == Label.SCAR] == Label.BLOOD_POOL).any()
    reading.window.close()
    again = make_reader()
    again.open(phantom_stack)
    again.wait_ready()
    np.testing.assert_array_equal(again.document.labels_under_scar, grounds)
    assert again.case.slice_interactions == [1, 0, 0, 0, 0]


def test_prompts_strokes_verbs_and_undo_count_on_their_slice_and_scrolling_does_not(reading):
    reading.go_to(1)
    reading.wheel(-120)
    reading.wheel(120)
    assert reading.case.interactions == 0
    reading.paint((5, 5), (9, 5))
    reading.undo()
    reading.go_to(3)
    reading.act("no_scar")
    assert reading.case.slice_interactions == [0, 2, 0, 1, 0]
    assert reading.case.interactions == 3


def test_recorded_predictions_are_reproduced(reading, tmp_path, models):
    """Made again from the case file alone: same labels after each answer of the models."""
    from scarseg.case.history import DetectorScope
    from scarseg.case.prompts import SlicePrompts
    from scarseg.io.casefile import store
    from scarseg.segmentation import pipeline

    reading.go_to(2)
    reading.drag_box(30, 20, 50, 40)
    reading.wait_answer()
    reading.click(44, 30, positive=False)
    reading.wait_answer()
    reading.undo()
    reading.act("propose_again")
    reading.wait(lambda: reading.case.history[-2].startswith("propose again"))  # then MVO
    reading.settle()
    path = tmp_path / "case.scarseg"
    store.save_case(reading.document.case.copy(), path)
    stack = reading.case.stack
    record = store.load_case(path, stack).record
    labels = np.zeros(record.shape, dtype=np.uint8)
    prompts = [SlicePrompts() for _ in labels]
    located = pipeline.locate_hearts(stack, models)
    looked, logits, made = {}, {}, []
    for step in record.steps:
        k = step.slice_index
        if step.reading is not None:
            prompts[k] = step.reading.prompts
        if step.model_run is not None:
            known = located[k] if step.model_run.detector_scope is DetectorScope.STACK else None
            looked[k] = pipeline.propose_slice(
                stack.image(k), models, step.model_run.lv_hint, located=known
            )
            found, settled = looked[k].embedding.lv_box, step.model_run.lv_box
            assert (found.centre, found.width) == (settled.centre, settled.width)
            logits[k] = looked[k].logits
        again = None
        if step.cause is Cause.ANSWER:
            again, logits[k] = pipeline.segment(
                models, looked[k].embedding, prompts[k], labels[k].copy(), logits[k]
            )
        elif step.cause is Cause.PROPOSAL:
            again = looked[k].labels
        if step.patch is not None:
            step.patch.apply(labels[k])
        if again is not None:
            made.append(step.cause)
            np.testing.assert_array_equal(again, labels[k])
    assert made.count(Cause.ANSWER) == 2 and made.count(Cause.PROPOSAL) == 6
    np.testing.assert_array_equal(labels, reading.case.labels)
