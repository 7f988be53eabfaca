"""Which patients are evaluated, and how their hearts are moved off the centre."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scarseg.errors import InputError
from scarseg.evaluation.patients import as_stack, choose_patients, shifted_case
from scarseg.training.splits import Split
from tests.conftest import SPACING
from tests.evaluation.phantoms import phantom_case

CASES = [phantom_case(name) for name in ("P022", "P005", "A", "N024")]


def chosen(wanted: str | None) -> list[str]:
    return [case.name for case in choose_patients(CASES, wanted)[0]]


def test_lists_names_and_default() -> None:
    assert chosen("validation") == chosen(None) == ["N024", "P022"]
    assert chosen("inner") == ["P005"]
    assert chosen("all") == ["A", "N024", "P005", "P022"]
    assert chosen("P005,A") == ["A", "P005"]
    assert [one.name for one in choose_patients(CASES[2:3], None)[0]] == ["A"]


def test_files(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("A\n\nP022\n")
    assert chosen(str(names)) == ["A", "P022"]
    split = tmp_path / "split.json"
    Split(("P022",), ("A",), ("P005",)).save(split)
    assert chosen(str(split)) == ["P005"]
    Split(("P022",), ("A",), ()).save(split)
    assert chosen(str(split)) == ["A"]


@pytest.mark.parametrize("wanted", ["nobody", "P005,nobody"])
def test_patients_that_are_not_there(wanted: str) -> None:
    with pytest.raises(InputError, match="nobody") as caught:
        choose_patients(CASES, wanted)
    assert caught.value.code == "E_PATIENTS"


def test_none_of_a_list_and_one_name_twice() -> None:
    for cases, wanted in ((CASES[2:3], "inner"), (CASES[2:3] * 2, "all")):
        with pytest.raises(InputError) as caught:
            choose_patients(cases, wanted)
        assert caught.value.code == "E_PATIENTS"


def test_stacks_of_one_patient_go_together() -> None:
    both = [replace(CASES[2], patient="X"), replace(CASES[3], patient="X")]
    assert [one.name for one in choose_patients(both, "X")[0]] == ["A", "N024"]


def test_shifting_moves_the_heart_and_loses_no_truth() -> None:
    case = phantom_case()
    centres = []
    for seed in range(10):
        moved = shifted_case(case, np.random.default_rng(seed))
        assert moved.pixels.shape == moved.labels.shape
        assert np.bincount(moved.labels.ravel())[1:].tolist() == (
            np.bincount(case.labels.ravel())[1:].tolist()
        )
        rows, columns = np.nonzero(moved.labels[2])
        shape = moved.labels.shape
        centres.append((rows.mean() / shape[1], columns.mean() / shape[2]))
    assert np.ptp(centres, axis=0).min() > 0.1


def test_nothing_to_shift_round_is_said() -> None:
    case = phantom_case()
    with pytest.raises(InputError, match="P001 has no reference") as caught:
        shifted_case(replace(case, labels=case.labels * 0), np.random.default_rng(0))
    assert caught.value.code == "E_REFERENCE"


def test_slices_of_the_stack_touch() -> None:
    stack = as_stack(phantom_case())
    assert stack.slice_thickness_mm == stack.slice_spacing_mm == SPACING
