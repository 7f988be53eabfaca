"""Prompts in training are prompts as readers give them."""

from __future__ import annotations

import numpy as np
import pytest

from scarseg.training.prompting import (
    bounding_box,
    click_inside,
    components,
    corrective_click,
    draw_box,
    simulate_prompts,
)


def heart() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give lv, wall and a scar of two parts."""
    rows, columns = np.mgrid[:80, :80] + 0.5
    radius = np.hypot(rows - 40, columns - 40)
    lv, wall = radius < 24, (radius < 24) & (radius >= 15)
    scar = wall & (np.abs(rows - 40) < 6)
    return lv, wall, scar


def test_bounding_box_is_half_open() -> None:
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:5, 3:9] = True
    assert bounding_box(mask) == (3.0, 2.0, 9.0, 5.0)


def test_boxes_grow_shrink_and_cut() -> None:
    rng = np.random.default_rng(0)
    widths = [b[2] - b[0] for b in (draw_box((20, 20, 60, 50), rng) for _ in range(300))]
    assert min(widths) < 38 < 42 < max(widths)


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


def test_scar_free_slices_get_false_boxes_and_negative_clicks_and_stay_empty() -> None:
    lv, wall, _ = heart()
    nothing = np.zeros_like(wall)
    rng = np.random.default_rng(0)
    drawn = [simulate_prompts(lv, nothing, wall, rng) for _ in range(300)]
    assert not any(target.any() for _, target in drawn)
    assert any(prompts.boxes for prompts, _ in drawn)
    assert any(point[2] == 0 for prompts, _ in drawn for point in prompts.points)
    assert any(not prompts.boxes and not prompts.points for prompts, _ in drawn)


def test_every_kind_of_prompt_is_drawn_on_scar() -> None:
    lv, wall, scar = heart()
    rng = np.random.default_rng(0)
    drawn = [simulate_prompts(lv, scar, wall, rng) for _ in range(400)]
    kinds = {(len(p.boxes), bool(p.points)) for p, _ in drawn}
    assert {(0, False), (0, True), (1, False), (2, False), (1, True), (2, True)} <= kinds
    assert any(point[2] == 0 for p, _ in drawn for point in p.points)
    assert any((target != scar).any() for _, target in drawn), "one component left out"
