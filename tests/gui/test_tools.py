"""Gestures to prompts and drawings, without a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarseg.case import changes as case_changes
from scarseg.case.case import Case
from scarseg.case.labels import Label
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.gui.tools import drawing
from scarseg.gui.tools import prompts as tools_prompts
from scarseg.gui.viewer import painting
from tests.conftest import make_phantom_stack, phantom_labels

SHAPE = (60, 72)
PROMPTS = SlicePrompts(boxes=(Box(10, 10, 30, 40, Origin.DETECTOR, 0.9),))


def _drag(tool, prompts, start, end, new=False):
    tool.press(prompts, start, 1.0, SHAPE, new)
    return tool.release(end)


@pytest.mark.parametrize(
    ("start", "end", "corners"),
    [
        ((10, 10), (8, 7), (8, 7, 30, 40)),
        ((30, 25), (35, 99), (10, 10, 35, 40)),
        ((15, 10), (-50, 10), (0, 10, 20, 40)),
        ((30, 40), (200, 200), (10, 10, 72, 60)),
    ],
)
def test_boxes_are_pulled_by_corner_side_and_border_and_stay_on_the_slice(start, end, corners):
    box = _drag(tools_prompts.BoxTool(), PROMPTS, start, end).prompts.boxes[0]
    assert (box.column0, box.row0, box.column1, box.row1) == pytest.approx(corners)
    assert box.origin is Origin.READER and box.score is None


@pytest.mark.parametrize(("start", "ctrl"), [((15, 15), False), ((15, 10), True)])
def test_a_box_is_drawn_inside_another_and_with_ctrl_from_its_border(start, ctrl):
    mine = SlicePrompts((Box(10, 10, 30, 40),))
    outcome = _drag(tools_prompts.BoxTool(), mine, start, (22, 22), new=ctrl)
    assert outcome.prompts.boxes == (mine.boxes[0], Box(*start, 22, 22))
    assert outcome.verb == "add box"


def test_a_side_has_a_handle_only_where_there_is_border_beside_it():
    box = Box(10, 10, 30, 15)
    assert set(tools_prompts.handles(box, 1.0)) == {"nw", "ne", "sw", "se", "n", "s"}
    assert set(tools_prompts.handles(box, 4.0)) == {"nw", "ne", "sw", "se"}
    assert tools_prompts.grip_at((box,), (20, 10), 1.0).part == "n"
    assert tools_prompts.grip_at((box,), (15, 10), 1.0).part == tools_prompts.BORDER
    assert tools_prompts.grip_at((box,), (20, 10), 4.0).part == tools_prompts.BORDER


@pytest.mark.parametrize("reach", [0.5, 4.0, 50.0])
def test_every_box_keeps_an_inside_to_draw_in_and_a_corner_to_pull(reach):
    for box in (Box(10, 10, 30, 40), Box(10, 10, 12, 12)):
        assert tools_prompts.grip_at((box,), box.centre, reach) is None
        assert tools_prompts.grip_at((box,), (box.column1, box.row1), reach).part == "se"


def test_a_ventricle_box_replaces_the_old_one_and_leaves_scar_alone():
    prompts = replace(PROMPTS, lv_box=Box(0, 0, 5, 5))
    outcome = _drag(tools_prompts.BoxTool(Label.MYOCARDIUM), prompts, (20, 20), (50, 50))
    assert outcome.prompts.boxes == PROMPTS.boxes
    assert outcome.prompts.lv_box == Box(20, 20, 50, 50)
    assert outcome.verb == tools_prompts.VENTRICLE


def test_a_box_drawn_over_a_proposed_one_takes_its_place():
    others = (Box(50, 10, 60, 20, Origin.DETECTOR, 0.8), Box(10, 10, 30, 40))
    prompts = replace(PROMPTS, boxes=(*PROMPTS.boxes, *others))
    outcome = _drag(tools_prompts.BoxTool(), prompts, (12, 12), (34, 41))
    assert outcome.prompts.boxes == (Box(12, 12, 34, 41), *others)
    assert outcome.verb == "correct box"


@pytest.mark.parametrize("drawn", [(15, 15, 22, 22), (5, 5, 60, 50), (20, 8, 34, 42)])
def test_a_box_inside_round_or_half_over_a_proposed_one_takes_its_place(drawn):
    outcome = _drag(tools_prompts.BoxTool(), PROMPTS, drawn[:2], drawn[2:])
    assert outcome.prompts.boxes == (Box(*drawn),)
    assert outcome.verb == "correct box"


@pytest.mark.parametrize("drawn", [(26, 36, 44, 50), (28, 8, 38, 42), (31, 10, 40, 40)])
def test_a_box_that_shares_little_with_a_proposed_one_is_another(drawn):
    outcome = _drag(tools_prompts.BoxTool(), PROMPTS, drawn[:2], drawn[2:], new=True)
    assert outcome.prompts.boxes == (*PROMPTS.boxes, Box(*drawn))
    assert outcome.verb == "add box"


def test_when_the_last_box_goes_there_is_no_scar_until_something_asks_for_it_again():
    gone = tools_prompts.without(PROMPTS, "box", 0).prompts
    assert gone == SlicePrompts(no_scar=True)
    clicked = replace(PROMPTS, points=(Point(20, 20),))
    assert not tools_prompts.without(clicked, "box", 0).prompts.no_scar
    case = Case.new(make_phantom_stack())
    case.apply(case.change("Propose", 1, replace(case.readings[1], prompts=PROMPTS)))
    case.apply(case_changes.set_prompts(case, 1, "delete box", gone))
    assert case.readings[1].prompts == gone
    case.apply(case_changes.set_prompts(case, 1, "add point", gone.with_point(Point(3, 3))))
    assert case.readings[1].prompts == SlicePrompts(points=(Point(3, 3),))


def test_one_box_bounds_the_pool_and_the_scars_stay():
    tool = tools_prompts.BoxTool(Label.BLOOD_POOL)
    drawn = _drag(tool, PROMPTS, (12, 12), (28, 38))
    assert (drawn.prompts.pool_box, drawn.prompts.boxes) == (Box(12, 12, 28, 38), PROMPTS.boxes)
    pulled = _drag(tool, drawn.prompts, (12, 12), (8, 9))
    assert pulled.prompts.pool_box == Box(8, 9, 28, 38)
    assert tools_prompts.without(pulled.prompts, "pool", 0).prompts == PROMPTS
    assert tools_prompts.without(PROMPTS, "pool", 0) is None


@pytest.mark.parametrize(
    ("structure", "positive", "verb"),
    [
        (Label.SCAR, False, "add negative point"),
        (Label.MYOCARDIUM, True, "add wall point"),
        (Label.BLOOD_POOL, False, "add negative blood pool point"),
    ],
)
def test_a_point_names_what_it_asks_for(structure, positive, verb):
    outcome = tools_prompts.add_point(PROMPTS, (4, 5), positive, structure)
    assert outcome.verb == verb
    assert outcome.prompts.points == (Point(4, 5, positive, structure),)


def test_a_trembling_hand_draws_no_box():
    assert _drag(tools_prompts.BoxTool(), SlicePrompts(), (5, 5), (6, 20)) is None


def test_a_box_turned_inside_out_stays_a_box():
    box = _drag(tools_prompts.BoxTool(), PROMPTS, (30, 40), (2, 3)).prompts.boxes[0]
    assert (box.column0, box.row0, box.column1, box.row1) == (2, 3, 10, 10)


def test_points_are_found_and_deleted():
    prompts = SlicePrompts(points=(Point(5, 5), Point(20, 20, False)))
    assert tools_prompts.point_at(prompts, (19, 20.5), 2) == 1
    assert tools_prompts.point_at(prompts, (12, 12), 2) is None
    assert tools_prompts.without(prompts, "point", 0).prompts.points == (Point(20, 20, False),)
    assert tools_prompts.without(prompts, "box", 0) is None


def test_the_brush_is_round_in_millimetres():
    mask = drawing.disc((100, 100), (50, 50), (50, 50), 9.0, (1.5, 0.75))
    rows, columns = np.nonzero(mask)
    assert np.ptp(rows) + 1 == 12 and np.ptp(columns) + 1 == 24
    assert mask.sum() * 1.5 * 0.75 == pytest.approx(np.pi * 81, rel=0.04)


def test_a_tiny_brush_still_paints_the_pixel_under_it():
    assert drawing.disc(SHAPE, (3.2, 4.9), (3.2, 4.9), 0.01, (1.5, 1.25)).sum() == 1
    assert drawing.disc(SHAPE, (3.2, 4.9), (3.2, 4.9), 0.01, (1.5, 1.25))[4, 3]


def test_erasing_uncovers_layer_by_layer():
    labels = np.array([[0, 1, 2, 3, 4]], dtype=np.uint8)
    ground = np.array([[0, 1, 2, 2, 0]], dtype=np.uint8)
    mask = np.ones((1, 5), dtype=bool)
    expected = {
        Label.BLOOD_POOL: [0, 0, 2, 3, 4],
        Label.MYOCARDIUM: [0, 1, 0, 0, 0],
        Label.SCAR: [0, 1, 2, 2, 0],
        Label.MVO: [0, 1, 2, 3, 3],
        Label.BACKGROUND: [0, 1, 2, 3, 4],
    }
    for label, after in expected.items():
        assert drawing.erased(labels, ground, mask, label).tolist() == [after]


def test_a_polygon_takes_the_pixels_whose_centre_it_holds():
    out = drawing.polygon(
        np.zeros(SHAPE, np.uint8), [(10, 10), (20, 10), (20, 30), (10, 30)], Label.SCAR
    )
    rows, columns = np.nonzero(out.labels)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 29, 10, 19)
    assert drawing.polygon(np.zeros(SHAPE, np.uint8), [(1, 1), (2, 2)], Label.SCAR) is None


def test_outlines_lie_where_the_voxels_are():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[20:25, 30:40] = True
    bounds = painting.outline(mask).boundingRect()
    assert (bounds.left(), bounds.top(), bounds.right(), bounds.bottom()) == (30, 20, 40, 25)
    edge = np.ones(SHAPE, dtype=bool)
    bounds = painting.outline(edge).boundingRect()
    assert (bounds.left(), bounds.top(), bounds.right(), bounds.bottom()) == (0, 0, 72, 60)


VERBS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "no_scar", "paint", "answer", "copy", "not_assessable"]),
        st.integers(0, 4),
        st.integers(0, 50),
    ),
    max_size=12,
)


@given(VERBS)
def test_every_verb_is_undone_to_the_byte(verbs):
    case = Case.new(make_phantom_stack())
    case.labels[:] = phantom_labels()
    before = case.labels.tobytes(), list(case.readings)
    done = []
    for verb, k, at in verbs:
        labels = case.labels[k].copy()
        labels[at, at : at + 5] = Label.SCAR
        change = {
            "accept": lambda k=k: case_changes.accept(case, k),
            "no_scar": lambda k=k: case_changes.mark_no_scar(case, k),
            "paint": lambda k=k, labels=labels: case_changes.paint(case, k, "paint", labels),
            "answer": lambda k=k, labels=labels: case_changes.apply_prediction(case, k, labels),
            "copy": lambda k=k: case_changes.copy_slice(case, k, (k + 1) % 5),
            "not_assessable": lambda k=k: case_changes.mark_not_assessable(case, k, "why"),
        }[verb]()
        case.apply(change)
        done.append(change)
    for change in reversed(done):
        case.apply(change.inverse())
    assert (case.labels.tobytes(), list(case.readings)) == before


@given(st.integers(0, 50), st.integers(0, 50))
def test_two_changes_joined_are_undone_as_one(first_at, second_at):
    case = Case.new(make_phantom_stack())
    before = case.labels.tobytes()
    changes = []
    for at in (first_at, second_at):
        labels = case.labels[1].copy()
        labels[at : at + 4, at : at + 4] = Label.SCAR if at % 2 else Label.MVO
        change = case_changes.paint(case, 1, "paint", labels)
        case.apply(change)
        changes.append(change)
    joined = case_changes.merge(changes[0], changes[1], case.labels)
    case.apply(joined.inverse())
    assert case.labels.tobytes() == before
    assert case.readings[1] == changes[0].before
