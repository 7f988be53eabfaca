"""What a prompt asks for, in case files old and new."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from scarseg.case.case import Case
from scarseg.case.history import SliceReading
from scarseg.case.labels import Label
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.io.casefile import file_format

ASKED = SlicePrompts(
    points=(Point(4, 5), Point(6, 7, False, Label.MYOCARDIUM), Point(8, 9, True, Label.BLOOD_POOL)),
    pool_box=Box(1, 2, 30, 40),
)


def kept(stack: Stack, prompts: SlicePrompts) -> file_format.CaseContent:
    case = Case.new(stack)
    case.readings[2] = SliceReading(prompts)
    return file_format.parse_case(file_format.encode_case(case))


def test_points_and_boxes_keep_what_they_ask_for(phantom_stack: Stack) -> None:
    again = file_format.build_case(kept(phantom_stack, ASKED), phantom_stack)
    assert again.readings[2].prompts == ASKED


def rewritten(content: file_format.CaseContent, change: Callable[[dict], None]) -> bytes:
    document = json.loads(content.records["case"])
    change(document)
    return file_format.seal({**content.records, "case": json.dumps(document).encode()})


def test_points_of_older_files_are_for_scar(phantom_stack: Stack) -> None:
    content = kept(phantom_stack, SlicePrompts(points=(Point(4, 5), Point(6, 7, False))))
    reading = json.loads(content.records["case"])["readings"][2]
    assert reading["points"] == [[4.0, 5.0, True], [6.0, 7.0, False]]

    def drop(document: dict) -> None:
        for one in document["readings"]:
            del one["pool_box"]

    older = file_format.parse_case(rewritten(content, drop))
    prompts = file_format.build_case(older, phantom_stack).readings[2].prompts
    assert [point.structure for point in prompts.points] == [Label.SCAR] * 2
    assert prompts.pool_box is None


@pytest.mark.parametrize("structure", [0, 4, 9, "wall", None])
def test_a_point_that_asks_for_nothing_is_damage(structure: object, phantom_stack: Stack) -> None:
    def change(document: dict) -> None:
        document["readings"][2]["points"][1][3] = structure

    data = rewritten(kept(phantom_stack, ASKED), change)
    with pytest.raises(file_format.DamagedCaseError):
        file_format.build_case(file_format.parse_case(data), phantom_stack)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seconds", -0.25),
        ("interactions", -1),
        ("read_number", 0),
        ("slice_seconds", [0.0, -3.0, 0.0, 0.0, 0.0]),
        ("slice_interactions", [0, 0, -2, 0, 0]),
    ],
)
def test_times_and_counts_below_zero_are_damage(
    key: str, value: object, phantom_stack: Stack
) -> None:
    assert phantom_stack.n_slices == 5
    data = rewritten(kept(phantom_stack, ASKED), lambda document: document.update({key: value}))
    with pytest.raises(file_format.DamagedCaseError):
        file_format.build_case(file_format.parse_case(data), phantom_stack)
