"""All slices at once are edited as one is: whatever a hand does lands where it began."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication

from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.case.stack import Stack
from scarseg.gui.tools.contours import HeartContours
from scarseg.gui.viewer import montage as viewer_montage
from scarseg.gui.viewer.canvas import Canvas
from scarseg.gui.viewer.montage import Cell
from scarseg.models import Models
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter

pytestmark = pytest.mark.usefixtures("no_late_doubts")

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NOTHING, ALT, SHIFT = (
    Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ShiftModifier,
)  # fmt: skip
PRESS, MOVE, RELEASE, TWICE = (
    QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease,
    QEvent.Type.MouseButtonDblClick,
)  # fmt: skip


def _stack(uid: str, n: int = 5) -> Stack:
    """Return a phantom of ``n`` slices."""
    stack = make_phantom_stack()
    order = [k % 5 for k in range(n)]
    return replace(
        stack,
        pixels=stack.pixels[order],
        origins_mm=tuple((0.0, 0.0, 10.0 * k) for k in range(n)),
        sources=tuple(replace(stack.sources[0], sop_instance_uid=f"{uid}.{k}") for k in range(n)),
        series_uid=uid,
    )


class SlowSegmenter(FakeSegmenter):
    """Answers after a while, so that much happens in between."""

    def embed(self, *args, **options):
        time.sleep(0.03)
        return super().embed(*args, **options)

    def predict(self, *args, **options):
        time.sleep(0.03)
        return super().predict(*args, **options)


class Montage:
    """A reader's hand over the cells. Positions are source pixels (column, row)."""

    def __init__(self, reader) -> None:
        self.reader = reader

    @property
    def grid(self) -> viewer_montage.Grid:
        return self.reader.window.views.grid

    def cell(self, k: int) -> Cell:
        return self.grid.cells[k]

    def mouse(self, k: int, kind, at, button=LEFT, modifiers=NOTHING) -> None:
        canvas = self.cell(k).canvas
        place = canvas.from_source(*at)
        held = Qt.MouseButton.NoButton if kind is RELEASE else button
        changed = Qt.MouseButton.NoButton if kind is MOVE else button
        QApplication.sendEvent(canvas, QMouseEvent(kind, place, place, changed, held, modifiers))

    def drag(self, k: int, *path, button=LEFT, modifiers=NOTHING) -> None:
        self.mouse(k, PRESS, path[0], button, modifiers)
        for at in path[1:]:
            self.mouse(k, MOVE, at, button, modifiers)
        self.mouse(k, RELEASE, path[-1], button, modifiers)

    def wheel(self, k: int, turned: int, modifiers) -> None:
        canvas = self.cell(k).canvas
        at, nothing = QPointF(canvas.rect().center()), Qt.MouseButton.NoButton
        phase = Qt.ScrollPhase.NoScrollPhase
        event = QWheelEvent(at, at, QPoint(), QPoint(0, turned), nothing, modifiers, phase, False)
        QApplication.sendEvent(canvas, event)


@pytest.fixture
def montage(reading) -> Montage:
    """The phantom with every slice proposed, all of them in sight."""
    reading.act("montage")
    return Montage(reading)


def _state(case, k: int) -> tuple[bytes, object]:
    return case.labels[k].tobytes(), case.readings[k]


def _all(case) -> list[tuple[bytes, object]]:
    return [_state(case, k) for k in range(case.stack.n_slices)]


def _changed(case, before) -> list[int]:
    return [k for k, state in enumerate(_all(case)) if state != before[k]]


def test_m_shows_all_slices_and_back_again(reading):
    window = reading.window
    reading.press_key(Qt.Key.Key_M)
    assert window.views.montage and window.strip.isHidden() and len(window.views.grid.cells) == 5
    assert all(cell.isVisible() for cell in window.views.grid.cells)
    assert window.actions_by_name["montage"].isChecked()
    reading.press_key(Qt.Key.Key_M)
    assert not window.views.montage and window.strip.isVisible() and window.canvas.isVisible()


def test_a_fine_drag_of_a_contour_counts_with_the_tool_for_contours_alone(montage):
    """Three screen pixels: a click to other tools, to this one half a voxel and more of wall."""
    reading, labels = montage.reader, montage.reader.document.labels
    endocardium = HeartContours.trace(reading.document.labels_under_scar[2]).endocardium
    column, row = endocardium.points[endocardium.nearest((0.0, 30.0))[0]]
    step = 3 / montage.cell(2).canvas.screen_per_pixel
    for tool, counts in (("box", False), ("contour", True)):
        reading.act(tool)
        before = labels.copy()
        montage.drag(2, (column, row), (column - step, row))
        assert (reading.document.labels != before).any() == counts


def test_cells_say_how_their_slices_stand(montage):
    reading = montage.reader
    grams = reading.window.presenter.measured.slices[2].scar_mass_thickness_g
    assert montage.cell(2).accessibleName() == f"Slice 3, {grams:.1f} g, proposed"
    assert [cell.chosen for cell in montage.grid.cells].index(True) == reading.document.current
    reading.go_to(2)
    reading.accept()
    assert montage.cell(2).accessibleName().endswith("g, accepted")
    assert montage.cell(reading.document.current).chosen and not montage.cell(2).chosen
    reading.act("not_assessable")
    assert any("n/a: Artefact" in cell.accessibleName() for cell in montage.grid.cells)


@pytest.mark.parametrize("k", range(5))
def test_a_box_drawn_in_a_cell_lands_on_its_slice(montage, k):
    reading = montage.reader
    reading.go_to((k + 2) % 5)
    before = _all(reading.case)
    montage.drag(k, (20, 20), (34, 32), modifiers=Qt.KeyboardModifier.ControlModifier)
    assert reading.document.current == k and reading.case.readings[k].prompts.boxes
    reading.wait_answer()
    assert _changed(reading.case, before) == [k]
    box = reading.case.readings[k].prompts.boxes[-1]
    assert (box.column0, box.row1) == pytest.approx((20, 32), abs=0.2)
    reading.undo()
    assert _all(reading.case) == before


def test_a_box_is_resized_and_deleted_in_its_cell(montage):
    reading = montage.reader
    box = reading.case.readings[1].prompts.boxes[0]
    montage.drag(1, (box.column1, box.row1), (box.column1 + 3, box.row1 + 2))
    reading.wait_answer()
    assert reading.case.readings[1].prompts.boxes[0].column1 == pytest.approx(
        box.column1 + 3, abs=1
    )
    other = len(reading.case.readings[2].prompts.boxes)
    montage.drag(1, (box.column1, box.row1 + 2))
    reading.act("delete")
    reading.wait_answer()
    assert not reading.case.readings[1].prompts.boxes
    assert len(reading.case.readings[2].prompts.boxes) == other


def test_points_are_clicked_and_taken_back_in_a_cell(montage):
    reading = montage.reader
    reading.act("point")
    before = _all(reading.case)
    montage.drag(3, (36, 24))
    montage.drag(3, (30, 30), modifiers=ALT)
    montage.drag(3, (42, 30), button=RIGHT)
    reading.wait_answer()
    points = reading.case.readings[3].prompts.points
    assert [point.positive for point in points] == [True, False, False]
    montage.drag(3, (36, 24))
    reading.wait_answer()
    assert [point.positive for point in reading.case.readings[3].prompts.points] == [False, False]
    assert _changed(reading.case, before) == [3]


@pytest.mark.parametrize("tool", ["brush", "threshold", "eraser", "lasso", "polygon", "flood"])
def test_every_hand_tool_draws_on_the_slice_of_its_cell(montage, tool):
    reading = montage.reader
    reading.go_to(4)
    reading.act(tool)
    before = _all(reading.case)
    scar = np.argwhere(reading.case.labels[2] == Label.SCAR)
    row, column = scar[len(scar) // 2]
    at = (column + 0.5, row + 0.5)
    if tool == "flood":
        reading.act("label_4")
        montage.drag(2, at)
    elif tool == "polygon":
        for corner in ((10, 10), (20, 10), (20, 20)):
            montage.drag(2, corner)
        montage.mouse(2, TWICE, (10, 20))
    elif tool == "lasso":
        montage.drag(2, (10, 10), (20, 10), (20, 20), (10, 20))
    else:
        reading.window.views.shared.set("threshold", -1e9)
        start = at if tool == "eraser" else (12, 12)
        montage.drag(2, start, (start[0] + 3, start[1] + 2))
    assert _changed(reading.case, before) == [2] and reading.document.current == 2
    reading.undo()
    assert _all(reading.case) == before


def test_a_slice_is_not_accepted_over_a_half_drawn_box(montage):
    reading = montage.reader
    reading.go_to(1)
    montage.mouse(1, PRESS, (20, 20), modifiers=Qt.KeyboardModifier.ControlModifier)
    montage.mouse(1, MOVE, (30, 28))
    status = reading.case.readings[1].status
    reading.act("accept")
    assert reading.document.current == 1
    assert reading.case.readings[1].status is status
    montage.mouse(1, RELEASE, (30, 28))


@pytest.mark.parametrize("verb", ["next_slice", "no_scar", "undo"])
def test_a_gesture_in_hand_lands_where_it_began_though_the_reader_goes_on(montage, verb):
    reading = montage.reader
    reading.go_to(0)
    reading.act("no_scar")
    reading.go_to(1)
    montage.mouse(1, PRESS, (20, 20), modifiers=Qt.KeyboardModifier.ControlModifier)
    montage.mouse(1, MOVE, (30, 28))
    reading.act(verb)
    assert reading.document.current != 1
    before = _all(reading.case)
    montage.mouse(1, RELEASE, (30, 28))
    assert reading.document.current == 1 and _changed(reading.case, before) == [1]
    assert reading.case.readings[1].prompts.boxes[-1].column0 == pytest.approx(20, abs=0.2)
    reading.wait_answer()
    assert _changed(reading.case, before) == [1]


def test_a_stroke_keeps_what_an_answer_brought_meanwhile(montage):
    reading = montage.reader
    reading.act("brush")
    montage.mouse(2, PRESS, (10, 10))
    montage.mouse(2, MOVE, (14, 10))
    box = reading.case.readings[2].prompts.boxes[0]
    reading.inference.propose_again(2)
    reading.inference.segment(3)
    reading.wait(lambda: not reading.session.inference_worker.busy)
    others = [_state(reading.case, k) for k in (0, 1, 3, 4)]
    answer = reading.case.labels[2].copy()
    montage.mouse(2, RELEASE, (14, 10))
    drawn = reading.case.labels[2] != answer
    assert drawn[10, 10:14].all() and drawn[:, 24:].sum() == 0
    assert [_state(reading.case, k) for k in (0, 1, 3, 4)] == others
    assert box in reading.case.readings[2].prompts.boxes


def test_hands_in_many_cells_while_answers_arrive_land_each_on_its_own(make_reader):
    reader = make_reader(Models(SlowSegmenter(), FakeDetector()))
    reader.open(make_phantom_stack())
    reader.act("montage")
    hands = Montage(reader)
    rng = np.random.default_rng(3)
    for turn in range(25):
        k = int(rng.integers(5))
        column, row = (float(v) for v in rng.uniform(8, 40, 2))
        before = [len(reading.prompts.boxes) for reading in reader.case.readings]
        hands.mouse(k, PRESS, (column, row), modifiers=Qt.KeyboardModifier.ControlModifier)
        hands.mouse(k, MOVE, (column + 6, row + 5))
        QApplication.processEvents()
        reader.act(("next_slice", "previous_slice")[turn % 2])
        QApplication.processEvents()
        now = [len(reading.prompts.boxes) for reading in reader.case.readings]
        hands.mouse(k, RELEASE, (column + 6, row + 5))
        after = [len(reading.prompts.boxes) for reading in reader.case.readings]
        assert [b - a for a, b in zip(now, after, strict=True)] == [int(j == k) for j in range(5)]
        last = reader.case.readings[k].prompts.boxes[-1]
        assert (last.column0, last.row0) == pytest.approx((column, row), abs=0.2), before
    reader.wait(lambda: not reader.session.inference_worker.busy)


def test_what_was_half_made_is_let_go_with_the_slice(montage):
    reading = montage.reader
    reading.act("polygon")
    for corner in ((10, 10), (20, 10)):
        montage.drag(2, corner)
    montage.drag(3, (5, 5))
    for corner in ((20, 10), (20, 20), (10, 20)):
        montage.drag(2, corner)
    before = _all(reading.case)
    labels = reading.case.labels[2].copy()
    montage.mouse(2, TWICE, (10, 20))
    assert _changed(reading.case, before) == [2]
    drawn = reading.case.labels[2] != labels
    assert drawn[18, 13] and not drawn[11, 11], "a triangle, not the square begun before"


def test_a_double_click_opens_a_slice_large_unless_the_tool_clicks(montage):
    reading = montage.reader
    reading.act("point")
    for kind in (PRESS, RELEASE, TWICE, RELEASE):
        montage.mouse(1, kind, (36, 24))
    reading.wait_answer()
    assert reading.window.views.montage and not reading.case.readings[1].prompts.points
    reading.act("box")
    before = _all(reading.case)
    for kind in (PRESS, RELEASE, TWICE, RELEASE):
        montage.mouse(3, kind, (8, 8))
    assert not reading.window.views.montage and reading.document.current == 3
    assert _all(reading.case) == before and not montage.cell(3).canvas.busy


def test_switching_keeps_tool_sizes_levels_and_what_was_zoomed(montage):
    reading = montage.reader
    window = reading.window
    reading.act("eraser")
    montage.wheel(1, 360, SHIFT)
    montage.drag(1, (30, 30), (40, 34), button=RIGHT)
    montage.wheel(1, 240, Qt.KeyboardModifier.ControlModifier)
    seen, levels = montage.cell(1).canvas.seen, window.canvas.levels
    radius = window.view_row.brush.value() / 2
    assert radius > 4 and montage.cell(4).canvas.radius_mm == radius
    assert montage.cell(4).canvas.levels == levels
    for _ in range(2):
        reading.act("montage")
        assert window.canvas.tool == "eraser" and window.canvas.radius_mm == radius
        assert window.canvas.levels == levels
    assert montage.cell(1).canvas.seen == seen != montage.cell(1).canvas.heart_mm
    reading.go_to(1)
    reading.act("fit")
    assert montage.cell(1).canvas.seen == montage.cell(1).canvas.heart_mm


def test_all_cells_are_panned_and_zoomed_together(montage):
    cells, large = montage.grid.cells, montage.reader.window.canvas
    before = large.seen
    montage.wheel(1, 240, Qt.KeyboardModifier.ControlModifier)
    zoomed = cells[1].canvas.seen
    assert zoomed.width() < cells[1].canvas.heart_mm.width()
    montage.drag(2, (30, 30), (34, 32), button=Qt.MouseButton.MiddleButton)
    assert cells[2].canvas.seen.topLeft() != zoomed.topLeft()
    assert len({(c.canvas.seen.x(), c.canvas.seen.width()) for c in cells}) == 1
    assert large.seen == before


def test_h_hides_what_lies_over_every_cell(montage):
    reading = montage.reader
    key = QEvent.Type.KeyPress
    for held in (True, False):
        key = reading.qtbot.keyPress if held else reading.qtbot.keyRelease
        key(montage.cell(1).canvas, Qt.Key.Key_H)
        assert all(cell.canvas.outlines.isVisible() is not held for cell in montage.grid.cells)


def test_keys_step_through_the_cells(montage):
    reading = montage.reader
    reading.go_to(2)
    for key, where in ((Qt.Key.Key_Left, 1), (Qt.Key.Key_Right, 2), (Qt.Key.Key_Down, 3)):
        reading.qtbot.keyClick(montage.cell(0).canvas, key)
        assert reading.document.current == where
    montage.wheel(0, 120, NOTHING)
    assert reading.document.current == 2
    reading.qtbot.keyClick(montage.cell(0).canvas, Qt.Key.Key_N)
    assert reading.case.readings[2].status is SliceStatus.NO_SCAR


def test_prompts_that_wait_show_as_ghosts_in_their_cell(make_reader):
    reader = make_reader(Models(SlowSegmenter(), FakeDetector()))
    reader.open(make_phantom_stack())
    reader.act("montage")
    hands = Montage(reader)
    assert any(cell.word == "proposing" for cell in hands.grid.cells)
    hands.drag(4, (20, 20), (30, 30))
    assert hands.cell(4).word == "waiting …" and hands.cell(4).canvas.prompt_layer.waits
    reader.wait_answer()
    assert hands.cell(4).word == "proposed" and not hands.cell(4).canvas.prompt_layer.waits


def test_another_case_takes_the_cells_over_and_leaves_no_widget(montage):
    reading = montage.reader
    for n, uid in ((9, "1.2.9"), (1, "1.2.1"), (12, "1.2.12"), (3, "1.2.3.3")):
        reading.open(_stack(uid, n))
        reading.wait_ready()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        window = reading.window
        assert len(window.findChildren(Cell)) == n and len(window.findChildren(Canvas)) == n + 1
        for k, cell in enumerate(montage.grid.cells):
            assert cell.index == k
            np.testing.assert_array_equal(cell.canvas.image.pixels, reading.case.stack.pixels[k])
        before = _all(reading.case)
        montage.drag(n - 1, (20, 20), (31, 30), modifiers=Qt.KeyboardModifier.ControlModifier)
        reading.wait_answer()
        assert _changed(reading.case, before) == [n - 1]


def test_cells_out_of_sight_do_not_hold_on_to_a_case(montage):
    reading = montage.reader
    reading.act("montage")
    reading.open(_stack("1.2.79", 7))
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not montage.grid.cells and len(reading.window.findChildren(Canvas)) == 1
    reading.act("montage")
    reading.wait_ready()
    assert [cell.word for cell in montage.grid.cells] == ["proposed"] * 7


def test_a_gesture_does_not_outlive_its_case(montage):
    reading = montage.reader
    reading.act("brush")
    montage.mouse(1, PRESS, (20, 20))
    reading.open(_stack("1.2.77"))
    reading.wait_ready()
    before = _all(reading.case)
    montage.mouse(1, RELEASE, (24, 24))
    assert _all(reading.case) == before and not montage.cell(1).canvas.busy


def test_the_view_is_remembered_from_window_to_window(montage, make_reader):
    montage.reader.window.close()
    again = make_reader()
    again.open(_stack("1.2.78"))
    assert again.window.views.montage and again.window.strip.isHidden()
    again.wait_ready()
    assert all(cell.canvas.outlines.traced for cell in again.window.views.grid.cells)


def test_pictures_come_out_of_the_montage_too(montage):
    reading = montage.reader
    large = reading.window.views.size()
    reading.act("copy_slice")
    image = QApplication.clipboard().image()
    assert (image.width(), image.height()) == (large.width(), large.height())
    reading.act("copy_montage")
    assert QApplication.clipboard().image().width() > 300


def test_read_only_cells_change_nothing(montage):
    reading = montage.reader
    reading.window.views.shared.set("editable", False)
    before = _all(reading.case)
    montage.drag(1, (20, 20), (31, 30))
    assert _all(reading.case) == before


@pytest.mark.parametrize("size", [(812, 700), (1250, 600), (2000, 1300), (400, 300)])
@pytest.mark.parametrize("n", [1, 2, 7, 11, 12, 20, 30])
def test_cells_fill_the_window_or_scroll(n, size):
    width, height = size
    planned = viewer_montage.plan(n, width, height)
    rows = -(-n // planned.columns)
    assert planned.columns * (planned.width + viewer_montage.GAP) + viewer_montage.GAP <= width
    assert planned.total == rows * (planned.height + viewer_montage.GAP) + viewer_montage.GAP
    side = min(planned.width, planned.height - viewer_montage.CAPTION)
    assert side >= min(viewer_montage.SMALLEST, width - 2 * viewer_montage.GAP)
    if planned.total <= height:
        wasted = n * side * side / (width * height)
        assert n == 1 or wasted > 0.25
    else:
        assert side < viewer_montage.SMALLEST + 20 or planned.columns == 1
