"""Prompts in training are prompts as readers give them."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.training.prompts import (
    CropPrompts,
    bounding_box,
    click_inside,
    components,
    corrective_click,
    draw_box,
    simulate_prompts,
)


def heart() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lv, wall and a scar of two parts."""
    rows, columns = np.mgrid[:80, :80] + 0.5
    radius = np.hypot(rows - 40, columns - 40)
    lv, wall = radius < 24, (radius < 24) & (radius >= 15)
    scar = wall & (np.abs(rows - 40) < 6)
    return lv, wall, scar


def test_bounding_box_is_half_open() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:5, 3:9] = True
    assert bounding_box(mask) == (3.0, 2.0, 9.0, 5.0)


def drawn(n: int = 400) -> list[tuple[CropPrompts, np.ndarray]]:
    """Draw prompts for the same slice with scar, again and again."""
    lv, wall, scar = heart()
    rng = np.random.default_rng(0)
    return [simulate_prompts(lv, scar, wall, rng) for _ in range(n)]


def test_boxes_grow_and_shrink() -> None:
    rng = np.random.default_rng(0)
    widths = [b[2] - b[0] for b in (draw_box((20, 20, 60, 50), rng) for _ in range(300))]
    assert min(widths) < 38 < 42 < max(widths)


def test_boxes_hold_all_of_the_scar_or_cut_into_it() -> None:
    held, cut = 0, 0
    for prompts, target in drawn():
        if prompts.boxes and target.any():
            rows, columns = np.nonzero(target)
            inside = np.zeros(rows.shape, dtype=bool)
            for c0, r0, c1, r1 in prompts.boxes:
                inside |= (columns >= c0) & (columns < c1) & (rows >= r0) & (rows < r1)
            held, cut = held + bool(inside.all()), cut + bool(not inside.all())
    assert cut > 0.15 * (held + cut)
    assert held > 0.15 * (held + cut)


def test_edges_miss_each_on_its_own() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([draw_box((20, 20, 60, 60), rng) for _ in range(400)])
    off = (boxes - (20, 20, 60, 60)) * (-1, -1, 1, 1)
    assert 0.05 < (off > 0).mean() < 0.95
    assert ((off > 0).any(axis=1) & (off < 0).any(axis=1)).mean() > 0.3


def test_one_box_over_all_or_one_for_each_part() -> None:
    _, _, scar = heart()
    parts = [bounding_box(part) for part in components(scar)]
    whole = bounding_box(scar)
    wide = [p.boxes for p, target in drawn() if p.boxes and (target == scar).all()]
    over_all = [boxes for boxes in wide if len(boxes) == 1]
    each = [boxes for boxes in wide if len(boxes) == 2]
    assert len(over_all) > 50
    assert len(each) > 50
    assert np.allclose(np.median([boxes[0] for boxes in over_all], axis=0), whole, atol=2)
    for boxes in each:
        for box, part in zip(boxes, parts, strict=True):
            middle = (np.array(box[:2]) + box[2:]) / 2
            assert np.hypot(*(middle - (np.array(part[:2]) + part[2:]) / 2)) < 4


def test_a_part_without_a_box_is_not_asked_for() -> None:
    _, _, scar = heart()
    fewer = [(p, target) for p, target in drawn() if (target != scar).any()]
    assert fewer
    for prompts, target in fewer:
        assert len(prompts.boxes) == 1
        assert len(components(target)) == 1


def test_points_say_inside_and_outside_truly() -> None:
    _, wall, _ = heart()
    seen = set()
    for prompts, target in drawn():
        for column, row, label in prompts.points:
            assert target[int(row), int(column)] == bool(label)
            assert wall[int(row), int(column)]
            seen.add(label)
        assert not prompts.points or prompts.points[0][2] == 1
    assert seen == {0, 1}


def test_often_there_is_no_prompt_but_the_ventricle_box() -> None:
    lv, _, scar = heart()
    alone = [(p, target) for p, target in drawn() if not p.boxes and not p.points]
    assert 0.2 < len(alone) / 400 < 0.4
    assert all((target == scar).all() for _, target in alone)
    boxes = np.array([p.lv_box for p, _ in alone])
    assert np.allclose(np.median(boxes, axis=0), bounding_box(lv), atol=1)
    assert boxes.std(axis=0).min() > 0.5


def test_components_keep_every_territory() -> None:
    _, _, scar = heart()
    assert len(components(scar)) == 2


def test_click_lies_inside() -> None:
    rng = np.random.default_rng(0)
    _, _, scar = heart()
    for central in (True, False):
        column, row = click_inside(scar, rng, central)
        assert scar[int(row), int(column)]


@pytest.mark.parametrize("miss", [True, False])
def test_corrective_click_goes_to_the_largest_error(miss: bool) -> None:
    _, _, scar = heart()
    part = components(scar)[0]
    target, answer = (scar, scar & ~part) if miss else (scar & ~part, scar)
    ((column, row, label),) = corrective_click(target, answer, np.random.default_rng(0))
    assert part[int(row), int(column)]
    assert label == int(miss)


def test_no_click_without_error() -> None:
    _, _, scar = heart()
    assert corrective_click(scar, scar, np.random.default_rng(0)) == []


def test_clicks_round_after_round_lead_to_the_truth() -> None:
    """Whoever answers each click by mending the part that was clicked is done in a few rounds."""
    _, wall, scar = heart()
    rng = np.random.default_rng(0)
    answer = wall & ~scar
    sizes = []
    for _ in range(8):
        clicks = corrective_click(scar, answer, rng)
        if not clicks:
            break
        column, row, label = clicks[0]
        wrong = (scar & ~answer) if label else (answer & ~scar)
        (part,) = [p for p in components(wrong) if p[int(row), int(column)]]
        assert part.sum() == max(
            p.sum() for e in (scar & ~answer, answer & ~scar) for p in components(e) if e.any()
        )
        sizes.append(int(part.sum()))
        answer = (answer | part) if label else (answer & ~part)
    assert (answer == scar).all()
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 4


def test_scar_free_slices_get_false_boxes_and_negative_clicks_and_stay_empty() -> None:
    lv, wall, _ = heart()
    nothing = np.zeros_like(wall)
    rng = np.random.default_rng(0)
    made = [simulate_prompts(lv, nothing, wall, rng) for _ in range(400)]
    assert not any(target.any() for _, target in made)
    boxed = [p for p, _ in made if p.boxes]
    clicked = [p for p, _ in made if p.points]
    assert 0.08 < len(boxed) / 400 < 0.25
    assert 0.08 < len(clicked) / 400 < 0.25
    assert all(point[2] == 0 for p in clicked for point in p.points)
    assert 0.5 < sum(not p.boxes and not p.points for p, _ in made) / 400 < 0.8
    for prompts in boxed:
        ((c0, r0, c1, r1),) = prompts.boxes
        assert wall[int(r0) : int(r1) + 1, int(c0) : int(c1) + 1].any()


def test_every_kind_of_prompt_is_drawn_on_scar() -> None:
    kinds = {(len(p.boxes), bool(p.points)) for p, _ in drawn()}
    assert {(0, False), (0, True), (1, False), (2, False), (1, True), (2, True)} <= kinds
