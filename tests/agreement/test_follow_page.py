"""The page of a follow-up: what it says of two studies, and what it keeps back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scarseg.agreement.follow import MassChange
from scarseg.agreement.follow_page import page_figures, render_page
from scarseg.agreement.follow_study import MeasuredStudy, compare_studies, measure_study
from scarseg.agreement.follow_text import (
    change_text,
    comparison_notes,
    result_sentence,
    status_text,
)
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import SliceStatus
from scarseg.case.labels import Label
from scarseg.case.measurements import MassConvention, MassInterval
from scarseg.case.patient import Patient
from tests.conftest import make_phantom_stack, phantom_labels
from tests.report.pdf_text import text_of

NOBODY = Patient()
VOXEL_G = 1.5 * 1.25 * 8.0 * 1.05 / 1000


def study(
    day: str = "20240102",
    *,
    without_scar: tuple[int, ...] = (),
    status: SliceStatus = SliceStatus.ACCEPTED,
    half_width_g: float | None = 0.5,
    patient_id: str = "PHANTOM",
    weights: str = "a",
    patient: Patient = NOBODY,
) -> MeasuredStudy:
    """Return the phantom as a study of a day, read, with an interval of this half width."""
    stack = replace(
        make_phantom_stack(),
        patient_id=patient_id,
        patient_name="CANARY^ONE",
        study_date=day,
        patient=patient,
    )
    case = Case.new(stack)
    case.labels[:] = phantom_labels()
    for k in without_scar:
        case.labels[k][case.labels[k] == Label.SCAR] = Label.MYOCARDIUM
    case.readings = [replace(one, status=status) for one in case.readings]
    case.segmenter = ModelIdentity(f"weights-{weights}", weights * 64, True)
    interval = None
    if half_width_g is not None:
        grams = measure_study(case).mass.mass_g
        interval = MassInterval(
            grams - half_width_g, grams + half_width_g, (), "rule", MassConvention.THICKNESS
        )
    return measure_study(case, interval=interval)


def test_change_of_whole_and_segments_is_that_of_the_labels() -> None:
    found = compare_studies(study(), study("20250103", without_scar=(2,)))
    voxels = int((phantom_labels()[2] == Label.SCAR).sum())
    assert found.change.change_g == pytest.approx(-voxels * VOXEL_G)
    # The 90 % interval of each is 0.5 g to either side: sqrt(0.5^2 + 0.5^2) of the difference.
    assert found.change.low_g == pytest.approx(found.change.change_g - 0.5**0.5)
    assert found.days_between == 367
    assert found.change_percent == pytest.approx(-100 / 3)
    segments = [one.change_g for name, one in found.regions.items() if name.isdecimal()]
    assert sum(segments) == pytest.approx(found.change.change_g)
    assert found.linked.earlier_of(3) == 3


def test_sentence_names_the_smallest_change() -> None:
    assert "more scar" in result_sentence(MassChange(3.0, 1.0, 5.0, 2.4))
    assert "less scar" in result_sentence(MassChange(-3.0, -5.0, -1.0, 2.4))
    within = result_sentence(MassChange(1.0, -1.0, 3.0, 2.4))
    assert within.startswith("Within repeatability: up to 2.4 g")
    assert "not known" in result_sentence(MassChange(3.0))
    assert change_text(MassChange(3.04, -1.0, 5.0, 2.4)) == "+3.0 g (−1.0 to +5.0)"
    assert change_text(MassChange(-0.01)) == "0.0 g"


def test_what_limits_a_comparison_is_said() -> None:
    read, later = study(), study("20250103")
    assert comparison_notes(compare_studies(read, later)) == []
    proposed = study("20250103", status=SliceStatus.PROPOSED)
    assert status_text(proposed) == "proposed, 0 of 5 slices read"
    [note] = comparison_notes(compare_studies(read, proposed))
    assert note == "Not a reading: the later study is proposed."
    unseen = comparison_notes(compare_studies(study(status=SliceStatus.UNSEEN), study("20250103")))
    assert "Scar may be missing: 5 slices of the earlier study unseen." in unseen
    for other, words in (
        (study("20250103", patient_id="OTHER"), "different patient IDs"),
        (study("20250103", patient_id=" "), "no patient ID"),
        (study("20250103", weights="b"), "weights-a, then weights-b"),
        (study(""), "no date"),
        (study(), "same day"),
    ):
        [note] = comparison_notes(compare_studies(read, other))
        assert words in note


@pytest.mark.parametrize(
    ("earlier", "later", "note"),
    [
        (Patient(birth_date="19410203"), Patient(birth_date="19410204"), "the birth date differs"),
        (Patient(sex="F"), Patient(sex="M"), "the sex differs"),
        (Patient(name="a", sex="F"), Patient(name="b", sex="M"), "the name and sex differ"),
        (Patient(name="a", sex="F"), Patient(name="a"), ""),
    ],
)
def test_contradictory_patients_of_one_id_are_said(
    earlier: Patient, later: Patient, note: str
) -> None:
    said = comparison_notes(
        compare_studies(study(patient=earlier), study("20250103", patient=later))
    )
    text = f"One patient ID, but {note}: they may be of different patients."
    assert said == ([text] if note else [])


def test_page_has_the_figures_and_no_identity_unasked() -> None:
    found = compare_studies(study(), study("20250103", without_scar=(2,)))
    page = render_page(found)
    text = text_of(page)
    assert page == render_page(found)
    for words in ("2024-01-02", "2025-01-03", "367 days", "less scar", "weights-a", "a" * 64):
        assert words in text, words
    assert f"{found.earlier.mass.mass_g:.1f} g" in text
    assert "PHANTOM" not in text
    assert "CANARY" not in text
    assert "CANARY" in text_of(render_page(found, identify=True))


def test_page_without_wall_or_interval_says_so() -> None:
    bare = study("20250103", half_width_g=None)
    bare.case.labels[:] = 0
    text = text_of(render_page(compare_studies(study(), measure_study(bare.case))))
    assert "no interval" in text
    assert "no segments" in text
    assert "wall of one study closes nowhere" in text


def test_stack_of_many_slices_takes_more_sheets() -> None:
    many = study()
    stack = many.case.stack
    n = 20
    places = [2] * n
    long = replace(
        stack,
        pixels=stack.pixels[places],
        origins_mm=tuple((0.0, 0.0, 8.0 * k) for k in range(n)),
        sources=tuple(replace(stack.sources[0], sop_instance_uid=f"1.2.{k + 1}") for k in range(n)),
    )
    case = Case.new(long)
    case.labels[:] = phantom_labels()[places]
    assert len(page_figures(compare_studies(many, measure_study(case)))) == 2
