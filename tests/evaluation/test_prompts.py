"""Ways of asking, and a hand whose prompts depend on nothing but patient, slice and draw."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from scarseg.errors import InputError
from scarseg.evaluation.prompts import (
    DEFAULT_STRATEGIES,
    PromptKind,
    PromptStrategy,
    RandomStream,
    parse_strategies,
    reader_boxes,
    reader_points,
    reader_wall,
    rng_for,
)
from tests.conftest import phantom_labels


def test_names_are_read_once_each_in_order() -> None:
    found = parse_strategies(["auto,box", "clicks:3", "box", "box+points", "points"])
    assert [one.name for one in found] == ["auto", "box", "clicks:3", "box+points", "point"]
    assert found[2] == PromptStrategy(PromptKind.CLICKS, 3)
    assert [one.name for one in parse_strategies(DEFAULT_STRATEGIES)] == list(DEFAULT_STRATEGIES)


@pytest.mark.parametrize("word", ["clicks", "clicks:0", "clicks:x", "box:2", "fwhm", "magic"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_strategies([word])
    assert caught.value.code == "E_PROMPTS"


def test_one_box_and_one_click_per_component() -> None:
    scar = phantom_labels()[2] == 3
    scar[2:6, 3:9] = True
    boxes = reader_boxes(scar, np.random.default_rng(0))
    points = reader_points(scar, np.random.default_rng(0))
    assert len(boxes) == len(points) == 2
    for box in boxes:
        assert box.width * box.height > 0.5 * scar.sum() / 2
    assert all(scar[p.pixel[1], p.pixel[0]] and p.positive for p in points)
    nothing = np.zeros_like(scar)
    assert reader_boxes(nothing, np.random.default_rng(0)) == ()


def test_the_hand_is_steady() -> None:
    def draw(*words: int | str) -> list[float]:
        seed, patient, k, n, hand = words
        return rng_for(seed, patient, k, n, hand).random(3).tolist()

    first = draw(7, "P001", 2, 0, RandomStream.BOXES)
    assert first == draw(7, "P001", 2, 0, RandomStream.BOXES)
    others = [
        draw(8, "P001", 2, 0, RandomStream.BOXES),
        draw(7, "P002", 2, 0, RandomStream.BOXES),
        draw(7, "P001", 3, 0, RandomStream.BOXES),
        draw(7, "P001", 2, 1, RandomStream.BOXES),
        draw(7, "P001", 2, 0, RandomStream.CLICKS),
    ]
    assert len({tuple(one) for one in [first, *others]}) == 6


def test_boxes_are_drawn_as_they_always_were() -> None:
    """Figures of different days compare only while the hand stays the same."""
    rng = rng_for(7, "P001", 2, 0, RandomStream.BOXES)
    [box] = reader_boxes(phantom_labels()[2] == 3, rng)
    corners = (box.column0, box.row0, box.column1, box.row1)
    assert corners == pytest.approx((41.01, 22.96, 48.38, 37.07), abs=0.01)


def test_edges_of_boxes_are_off_by_six_per_cent_and_no_box_is_grown() -> None:
    """A square of 50 pixels: each edge off by a normal error of 3 pixels, on average by none."""
    scar = np.zeros((120, 120), dtype=bool)
    scar[30:80, 40:90] = True
    edges = np.array(
        [
            (box.column0 - 40, box.row0 - 30, box.column1 - 90, box.row1 - 80)
            for seed in range(400)
            for box in reader_boxes(scar, np.random.default_rng(seed))
        ]
    )
    assert np.abs(edges.mean(axis=0)).max() < 0.5
    assert edges.std(axis=0) == pytest.approx(3.0, abs=0.35)


def test_a_readers_contours_are_a_millimetre_off() -> None:
    rows, columns = np.mgrid[:100, :120]
    radius = np.hypot((rows - 50) * 1.2, (columns - 60) * 1.0)
    pool, heart = radius < 22, radius < 31
    offsets = []
    for seed in range(30):
        inner, wall = reader_wall(pool, heart, (1.2, 1.0), np.random.default_rng(seed))
        assert not (inner & wall).any()
        drawn = inner | wall
        rim = drawn & ~ndimage.binary_erosion(drawn)
        offsets.append(float(np.sqrt(np.mean((radius[rim] - 30.5) ** 2))))
    assert 0.8 < np.mean(offsets) < 1.4
