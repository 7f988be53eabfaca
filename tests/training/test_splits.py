"""Splits: by patient, even in scar, kept in a file that later runs reuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scarseg.errors import InputError
from scarseg.training.cases import INNER, VALIDATION, TrainingCase
from scarseg.training.splits import Split, folds, keep_split, make_split


def case(name: str, scar: bool = True, kind: str = "lge", patient: str = "") -> TrainingCase:
    labels = np.zeros((2, 4, 4), dtype=np.uint8)
    labels[0, 0, 0] = 3 if scar else 2
    pixels = np.zeros(labels.shape, dtype=np.float32)
    return TrainingCase(name, kind, pixels, labels, (1.0, 1.0), 8.0, patient=patient)


def cohort(n: int = 20, first: int = 0) -> list[TrainingCase]:
    """Return patients of which every second has scar."""
    return [case(f"case-{k:03d}", scar=k % 2 == 0) for k in range(first, first + n)]


def test_no_patient_is_in_two_parts_and_none_is_lost() -> None:
    cases = cohort()
    split = make_split(cases, seed=1)
    assert set(split.training) | set(split.validation) == {c.name for c in cases}
    assert not set(split.training) & set(split.validation)
    assert len(split.validation) == 4
    with pytest.raises(InputError, match="more than once: B"):
        Split(("A", "B"), ("B",))


def test_scar_is_spread_evenly() -> None:
    for seed in range(10):
        split = make_split(cohort(), seed)
        assert sum(int(name[-3:]) % 2 == 0 for name in split.validation) == 2


def test_stacks_of_one_patient_stay_together() -> None:
    cases = [case(f"stack{k}", patient=f"patient{k // 2}") for k in range(20)]
    for seed in range(5):
        split = make_split(cases, seed)
        training, validation = split.cases(cases), split.cases(cases, "validation")
        assert len(training) + len(validation) == 20
        assert not {c.patient for c in training} & {c.patient for c in validation}
        assert validation


def test_the_seed_decides_and_the_order_of_cases_does_not() -> None:
    cases = cohort()
    assert make_split(cases, 3) == make_split(cases[::-1], 3)
    assert len({make_split(cases, seed).validation for seed in range(6)}) > 1


def test_patients_kept_for_figures_are_never_trained_or_watched() -> None:
    cases = [case(name, name.startswith("P")) for name in (*VALIDATION, *INNER)] + cohort()
    for fixed in (INNER, VALIDATION, ()):
        split = make_split(cases, 0, fixed_validation=fixed)
        assert set(split.held_out) == set(VALIDATION)
    assert set(INNER) <= set(make_split(cases, 0).validation)
    assert set(make_split(cases, 0, share=0).validation) == set(INNER)


def test_real_patients_validate_and_simulated_ones_only_without_them() -> None:
    made = [case(f"SIM{k}", kind="simulated") for k in range(10)]
    cine = [case(f"cine{k}", scar=False, kind="cine") for k in range(10)]
    mixed = make_split([*made, *cine, *cohort(10)], 0)
    assert all(name.startswith("case-") for name in mixed.validation)
    assert len(mixed.validation) == 2
    alone = make_split([*made, *cine], 0)
    assert len(alone.validation) == 2
    assert all(name.startswith("SIM") for name in alone.validation)


def test_a_handful_of_patients_spares_one_and_three_spare_none() -> None:
    assert len(make_split(cohort(5), 0).validation) == 1
    assert make_split(cohort(3), 0, share=0.1).validation == ()
    assert make_split(cohort(5), 0, share=0).validation == ()


def test_a_kept_split_never_moves_a_patient(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    first = keep_split(path, cohort(20), seed=1)
    written = path.read_bytes()
    assert keep_split(path, cohort(20), seed=2) == first
    assert keep_split(path, cohort(12), seed=2) == first
    assert path.read_bytes() == written
    later = keep_split(path, cohort(40), seed=2)
    assert Split.load(path) == later
    assert set(first.training) <= set(later.training)
    assert set(first.validation) <= set(later.validation)
    assert set(later.patients) == {c.name for c in cohort(40)}
    assert len(later.validation) == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 9, "training": [], "validation": [], "held_out": []}',
        '{"version": 1, "training": [1], "validation": [], "held_out": []}',
        '{"version": 1, "training": ["A"], "validation": ["A"], "held_out": []}',
    ],
)
def test_another_file_is_no_split(tmp_path: Path, text: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Split.load(path)
    assert caught.value.code == "E_INPUT_UNREADABLE"
    with pytest.raises(InputError, match="no split file"):
        Split.load(tmp_path / "none.json")


def test_folds_deal_every_patient_once_and_kinds_evenly() -> None:
    names = [f"P{k:03d}" for k in range(23)] + [f"N{k:03d}" for k in range(12)]
    dealt = folds(names, 5, seed=0)
    assert sorted(name for fold in dealt for name in fold) == sorted(names)
    assert {sum(name.startswith("N") for name in fold) for fold in dealt} <= {2, 3}
    assert dealt == folds(names[::-1], 5, seed=0)
