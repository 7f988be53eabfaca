"""The prompts file: version 1, checked to the last number."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.changes import move_wall
from scarseg.case.contours import contour_mask
from scarseg.case.history import Cause, SliceReading
from scarseg.case.labels import Label
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import SliceSource, Stack
from scarseg.errors import InputError, OutputError
from scarseg.io.prompts_json import read_prompts, write_prompts

GOOD: dict[str, Any] = {
    "version": 1,
    "slices": [
        {
            "sop_instance_uid": "1.2.3.4.2",
            "boxes": [[30, 20.5, 50, 40]],
            "points": [[41.5, 30, 1], [36, 30, 0]],
            "no_scar": False,
            "lv_box": [20, 16, 52, 44],
        },
        {"sop_instance_uid": "1.2.3.4.3", "no_scar": True},
    ],
}


def written(tmp_path: Path, data: object) -> Path:
    path = tmp_path / "prompts.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_prompts_reach_their_slices(tmp_path: Path, phantom_stack: Stack) -> None:
    prompts = read_prompts(written(tmp_path, GOOD))
    assert prompts.for_stack(phantom_stack) == {
        1: SlicePrompts(
            (Box(30, 20.5, 50, 40, Origin.READER),),
            (Point(41.5, 30, True), Point(36, 30, False)),
            Box(20, 16, 52, 44),
        ),
        2: SlicePrompts(no_scar=True),
    }
    assert prompts.keys_in(phantom_stack) == set(prompts.slices)


def test_other_stacks_are_not_spoken_of(tmp_path: Path, phantom_stack: Stack) -> None:
    prompts = read_prompts(written(tmp_path, GOOD))
    other = replace(phantom_stack, sources=tuple(SliceSource(f"9.{k}") for k in range(5)))
    assert prompts.for_stack(other) == {}
    assert prompts.keys_in(other) == set()


def test_frames_tell_slices_of_one_file_apart(tmp_path: Path, phantom_stack: Stack) -> None:
    frames = replace(
        phantom_stack, sources=tuple(SliceSource("5.5", frame=k + 1) for k in range(5))
    )
    entry = {"sop_instance_uid": "5.5", "boxes": [[1, 1, 9, 9]]}
    with_frame = {"version": 1, "slices": [{**entry, "frame": 4}]}
    assert list(read_prompts(written(tmp_path, with_frame)).for_stack(frames)) == [3]
    without = {"version": 1, "slices": [entry]}
    with pytest.raises(InputError, match=r"E_PROMPTS.*frame"):
        read_prompts(written(tmp_path, without)).for_stack(frames)


def slices(**changes: object) -> dict[str, Any]:
    return {"version": 1, "slices": [{"sop_instance_uid": "1.2.3.4.2", **changes}]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("\xff", "not JSON"),
        ("[]", "version"),
        ({"version": 2, "slices": []}, "version 2"),
        ({"version": True, "slices": []}, "version"),
        ({"version": "1", "slices": []}, "version"),
        ({"slices": []}, "version"),
        ({"version": 1, "slices": [], "more": 1}, "nothing else"),
        ({"version": "5.4.1", "shapes": [], "imagePath": "a.png"}, "labelme.*sop_instance_uid"),
        ({"images": [], "annotations": [], "categories": []}, "COCO.*sop_instance_uid"),
        ({"markups": []}, "3D Slicer.*sop_instance_uid"),
        ({"version": 1, "slices": {}}, "list"),
        ({"version": 1, "slices": [3]}, r"slices\[0\]"),
        ({"version": 1, "slices": [{"boxes": []}]}, "sop_instance_uid"),
        ({"version": 1, "slices": [{"sop_instance_uid": 5}]}, "sop_instance_uid"),
        (slices(box=[]), "unknown key 'box'"),
        (slices(boxes=[[1, 2, 3]]), r"boxes\[0\] must be 4 numbers"),
        (slices(boxes=[[1, 2, 3, "4"]]), "4 numbers"),
        (slices(boxes=[[1, 2, 3, True]]), "4 numbers"),
        (slices(boxes=[[5, 2, 3, 4]]), "smaller corner first"),
        (slices(boxes=[[1, 2, 1, 4]]), "smaller corner first"),
        (slices(boxes={}), "list"),
        (slices(boxes=None), "list"),
        ('{"version": 1, "slices": [{"sop_instance_uid": "1", "boxes": [[0,0,1,NaN]]}]}', "NaN"),
        (
            '{"version": 1, "slices": [{"sop_instance_uid": "1", "boxes": [[0,0,1,1e999]]}]}',
            "finite",
        ),
        ('{"version": 1, "version": 1, "slices": []}', "twice"),
        (slices(points=[[1, 2]]), "3 numbers"),
        (slices(points=[[1, 2, 2]]), "1 .inside. or 0 .outside."),
        (slices(no_scar=1), "true or false"),
        (slices(no_scar=True, boxes=[[1, 2, 3, 4]]), "no_scar and asks"),
        (slices(frame=0), "frame"),
        (slices(frame=1.0), "frame"),
        (slices(lv_box=[1, 2, 3]), "lv_box"),
        ({"version": 1, "slices": GOOD["slices"] * 2}, "twice"),
    ],
)
def test_what_is_wrong_is_said(data: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_prompts(written(tmp_path, data))
    assert caught.value.code == "E_PROMPTS"


@pytest.mark.parametrize("word", ["myocardium", "MVO", 2, None, ["wall"]])
def test_a_point_asks_for_what_can_be_asked_for(word: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"E_PROMPTS.*points\[0\] must name 'scar', 'wall'"):
        read_prompts(written(tmp_path, slices(points=[[4, 5, 1, word]])))


def test_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E_PROMPTS"):
        read_prompts(tmp_path / "none.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"boxes": [[72, 5, 80, 9]]},
        {"points": [[10, 60, 1]]},
        {"lv_box": [-9, 0, -1, 5]},
        {"pool_box": [-9, 0, -1, 5]},
    ],
)
def test_what_lies_off_the_image_is_refused(
    changes: dict[str, Any], tmp_path: Path, phantom_stack: Stack
) -> None:
    prompts = read_prompts(written(tmp_path, slices(**changes)))
    with pytest.raises(InputError, match=r"E_PROMPTS.*off slice"):
        prompts.for_stack(phantom_stack)


def test_what_the_window_writes_is_read_back(tmp_path: Path, phantom_stack: Stack) -> None:
    case = Case.new(phantom_stack)
    wall = Point(7, 8, True, Label.MYOCARDIUM)
    pool = Point(7, 9, False, Label.BLOOD_POOL)
    asked = {
        1: SlicePrompts((Box(1, 2, 3, 4),), (Point(5, 6, False), wall), Box(0, 0, 9, 9)),
        2: SlicePrompts(points=(wall, pool)),
        3: SlicePrompts(no_scar=True, points=(pool,)),
        4: SlicePrompts(pool_box=Box(2, 2, 7, 7)),
    }
    for k, prompts in asked.items():
        case.readings[k] = SliceReading(prompts)
    path = tmp_path / "p.json"
    write_prompts(path, case)
    assert read_prompts(path).for_stack(phantom_stack) == asked
    with pytest.raises(OutputError, match="E_EXISTS"):
        write_prompts(path, case)


SQUARE = [[22.0, 18.0], [50.0, 18.0], [50.0, 42.0], [22.0, 42.0]]
INNER = [[28.0, 24.0], [44.0, 24.0], [44.0, 36.0], [28.0, 36.0]]


def with_contours(**contours: object) -> dict[str, Any]:
    return {"version": 1, "slices": [{"sop_instance_uid": "1.2.3.4.2", **contours}]}


def test_contours_of_the_wall_are_read_and_written_again(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    given = with_contours(endocardium=INNER, epicardium=[*SQUARE, SQUARE[0]])
    read = read_prompts(written(tmp_path, given)).for_stack(phantom_stack)[1]
    assert read.endocardium == tuple(map(tuple, INNER))
    assert read.epicardium == tuple(map(tuple, SQUARE)), "the last corner repeats the first"
    case = Case.new(phantom_stack)
    case.readings[1] = SliceReading(prompts=read)
    write_prompts(tmp_path / "again.json", case)
    assert read_prompts(tmp_path / "again.json").for_stack(phantom_stack) == {1: read}


@pytest.mark.parametrize(
    ("contours", "words"),
    [
        ({"epicardium": SQUARE[:2]}, r"slices\[0\]\.epicardium must be a contour of 3 to 2000"),
        ({"epicardium": [[1, 1], [5, 1], [1, 1]]}, "3 to 2000 corners, not 2"),
        ({"epicardium": [[1, 1], [5, 5], [9, 9]]}, "encloses nothing"),
        ({"endocardium": [[1, 2, 3], [4, 5], [6, 7]]}, r"endocardium\[0\] must be 2 numbers"),
        ({"endocardium": "round"}, "endocardium must be a list"),
        ({"endocardium": [[1, 2], [True, 5], [6, 7]]}, "must be 2 numbers"),
        ({"endocardium": [[1, 2], [1e999, 5], [6, 7]]}, "Infinity is no number"),
        (
            {"epicardium": [[10, 10], [30, 30], [30, 10], [10, 30]]},
            "encloses nothing|crosses itself",
        ),
        ({"epicardium": [[10, 10], [40, 30], [40, 10], [10, 20]]}, "crosses itself"),
        ({"epicardium": [[x + 500, y] for x, y in SQUARE]}, "the epicardium encloses no pixel"),
        ({"epicardium": [[9.6, 9.6], [9.9, 9.6], [9.8, 9.9]]}, "the epicardium encloses no pixel"),
        ({"epicardium": INNER, "endocardium": SQUARE}, "does not lie within the epicardium"),
        (
            {"epicardium": SQUARE, "endocardium": [[x - 22, y + 10] for x, y in INNER]},
            "does not lie within the epicardium",
        ),
    ],
)
def test_contours_that_enclose_no_wall_are_refused(
    tmp_path: Path, phantom_stack: Stack, contours: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        read_prompts(written(tmp_path, with_contours(**contours))).for_stack(phantom_stack)
    assert refused.value.code == "E_PROMPTS"
    # JSON that is none is refused before its slices are known.
    named = ("1.2.3.4.2", "slices[0]", "Infinity")
    assert any(word in refused.value.message for word in named)


def test_a_contour_may_cross_itself_a_little(tmp_path: Path, phantom_stack: Stack) -> None:
    # The last edge overshoots the corner (22, 18) by half a pixel and turns back.
    drawn = [[22.0, 17.5], [50.0, 18.0], [50.0, 42.0], [22.5, 42.0], [22.0, 17.0], [22.6, 17.9]]
    read = read_prompts(written(tmp_path, with_contours(epicardium=drawn)))
    assert read.for_stack(phantom_stack)[1].epicardium is not None


def test_contours_that_were_dragged_are_written_as_they_are_now(
    tmp_path: Path, phantom_stack: Stack
) -> None:
    case = Case.new(phantom_stack)
    rows, columns = np.mgrid[: phantom_stack.rows, : phantom_stack.columns]
    away = np.hypot(rows - 30.2, columns - 36.4)
    labels = np.where(away < 8, 1, np.where(away < 15, 2, 0)).astype(np.uint8)
    labels[(away >= 8) & (away < 15) & (columns > 44)] = Label.SCAR
    case.apply(move_wall(case, 1, "drag the epicardium", labels), Cause.CONTOUR)
    write_prompts(tmp_path / "prompts.json", case)
    read = read_prompts(tmp_path / "prompts.json").for_stack(phantom_stack)[1]
    assert read.endocardium is not None and read.epicardium is not None
    shape = (phantom_stack.rows, phantom_stack.columns)
    np.testing.assert_array_equal(contour_mask(read.endocardium, shape), away < 8)
    np.testing.assert_array_equal(contour_mask(read.epicardium, shape), away < 15)
