"""Pooled figures, each worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.evaluation.metrics import PatientFigures, SliceFigures
from scarseg.evaluation.summary import (
    Column,
    challenge_dice,
    dice_gain,
    distribution,
    group_columns,
    pooled_dice,
    roc_area,
    sensitivity_at,
    strata,
    summarise,
)


def patient(name: str, true_g: float, found_g: float, dice: float | None) -> PatientFigures:
    return PatientFigures(
        patient=name,
        kind="lge",
        segmenter="S",
        prompts="auto",
        n_slices=4,
        n_scar_slices=2 if true_g else 0,
        true_scar_mass_g=true_g,
        scar_mass_g=found_g,
        dice=dice,
        hd95_mm=4.0 if dice else None,
        true_lv_mass_g=100.0,
        lv_mass_g=110.0,
        scar_error_percent_lv=found_g - true_g,
        redrawn_scar_mass_g=found_g + 1.0 if true_g else None,
        image_quality="good" if true_g < 6 else "poor",
        proposal_seconds=2.0,
    )


def one_slice(k: int, area: float, found: float, score: float, **named: int) -> SliceFigures:
    return SliceFigures(
        patient="A",
        segmenter="S",
        prompts="auto",
        slice_index=k,
        true_scar_area_mm2=area,
        scar_area_mm2=found,
        scar_mass_g=found / 100,
        scar_score_mm2=score,
        lv_iou=0.9 if k else 0.4,
        **named,
    )


PATIENTS = (
    patient("A", 10.0, 12.0, 0.8),
    patient("B", 20.0, 16.0, 0.6),
    patient("C", 5.0, 0.0, 0.0),
    patient("N", 0.0, 0.5, 0.0),
    patient("M", 0.0, 0.0, None),
)
SLICES = (
    one_slice(0, 100, 90, 9, n_true_boxes=2, n_boxes=1, n_boxes_iou10=1, n_boxes_iou50=0),
    one_slice(1, 50, 0, 3, n_true_boxes=1, n_boxes=0, n_boxes_iou10=0, n_boxes_iou50=0),
    one_slice(2, 0, 0, 4, n_true_boxes=0, n_boxes=2, n_boxes_iou10=0, n_boxes_iou50=0),
    one_slice(3, 0, 20, 2, n_true_boxes=0, n_boxes=1, n_boxes_iou10=0, n_boxes_iou50=0),
)
COLUMN = Column("S", "auto", PATIENTS, SLICES)


def test_patients_with_scar_make_the_dice_and_the_errors() -> None:
    figures = summarise(COLUMN)
    counts = ("patients", "patients_with_scar", "patients_without_scar")
    assert [figures[name] for name in counts] == [5, 3, 2]
    scar = figures["scar"]
    assert scar["dice"]["mean"] == pytest.approx(1.4 / 3)
    assert scar["dice"]["n"] == 3
    assert scar["hd95_mm"]["n"] == 2
    # Errors 2, -4, -5 g.
    assert scar["mass_absolute_error_g"]["mean"] == pytest.approx(11 / 3)
    assert scar["mass_absolute_error_g"]["median"] == pytest.approx(4)
    assert scar["mass_absolute_error_g"]["lower_quartile"] == pytest.approx(3)
    assert scar["mass_absolute_error_g"]["upper_quartile"] == pytest.approx(4.5)
    assert scar["mass_agreement"]["bland_altman"]["bias"] == pytest.approx(-7 / 3)
    assert scar["mass_error_percent_lv"]["mean"] == pytest.approx(-7 / 3)
    # Means 28/3 and 35/3; covariance 40, variances 416/9 and 350/9: sums over patients / 3.
    x, y = np.array([12.0, 16.0, 0.0]), np.array([10.0, 20.0, 5.0])
    ccc = 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (7 / 3) ** 2)
    assert scar["mass_agreement"]["concordance"]["ccc"] == pytest.approx(ccc)


def test_the_challenge_counts_all_patients() -> None:
    # 0.8, 0.6 and 0 with scar; without: 0.5 g found is 0, nothing found is 1.
    assert summarise(COLUMN)["challenge_dice"] == pytest.approx((0.8 + 0.6 + 0 + 0 + 1) / 5)
    assert challenge_dice(()) is None


def test_pooled_dice_weighs_patients_by_their_scar() -> None:
    # Shared 0.8 * 11 and 0.6 * 18 of 22 + 36 + 5.
    assert pooled_dice(PATIENTS[:3]) == pytest.approx(2 * (8.8 + 10.8) / 63)


def test_false_scar_is_told_apart() -> None:
    false = summarise(COLUMN)["false_scar"]
    assert false["on_patients_without_scar_g"]["mean"] == pytest.approx(0.25)
    assert false["patients_left_empty_percent"] == 50
    assert false["on_slices_without_scar_g"]["mean"] == pytest.approx(0.1)
    assert (false["slices_without_scar"], false["slices_with_false_scar"]) == (2, 1)


def test_slices_with_scar_are_told_from_those_without() -> None:
    slices = summarise(COLUMN)["slices"]
    assert (slices["sensitivity"], slices["specificity"]) == (0.5, 0.5)
    # No false alarm allowed: only the score of 9 lies above 4.
    assert slices["sensitivity_at_specificity_0.9"] == 0.5
    assert slices["roc_area"] == 0.75


def test_a_cut_may_let_one_in_ten_through() -> None:
    true = np.array([True] * 4 + [False] * 10)
    scores = np.array([8.0, 7, 5, 1, 6, *np.linspace(0, 2, 9)])
    assert sensitivity_at(scores, true, 0.9) == pytest.approx(0.75)
    assert sensitivity_at(scores, true, 1.0) == pytest.approx(0.5)
    assert roc_area(np.ones(4), np.array([True, False, True, False])) == 0.5


def test_the_heart_is_counted_over_slices() -> None:
    heart = summarise(COLUMN)["heart"]
    assert heart["lv_iou"]["mean"] == pytest.approx((0.4 + 3 * 0.9) / 4)
    assert heart["lv_found_percent"] == 75
    assert heart["lv_mass_agreement"]["bland_altman"]["bias"] == pytest.approx(10)


def test_boxes_have_recall_and_precision() -> None:
    boxes = summarise(COLUMN)["boxes"]
    assert (boxes["recall_iou10"], boxes["precision_iou10"]) == (1 / 3, 1 / 4)
    assert boxes["recall_iou50"] == 0
    assert boxes["false_boxes_per_slice_without_scar"] == 1.5


def test_a_second_reading_is_compared_with_the_first() -> None:
    again = summarise(COLUMN)["repeatability"]
    assert again["mean_absolute_difference_g"] == pytest.approx(1.0)
    x = np.array([12.0, 16.0, 0.0])
    assert again["ccc"] == pytest.approx(2 * x.var() / (2 * x.var() + 1))


def test_clicks_count_those_that_never_got_there() -> None:
    clicked = [
        replace(one, prompts="clicks:3", clicks_to_dice_075=n)
        for one, n in zip(PATIENTS, (0, 2, None, None, None), strict=True)
    ]
    figures = summarise(Column("S", "clicks:3", tuple(clicked), ()))["clicks"]
    to_goal = figures["to_dice_0.75_per_patient"]
    assert to_goal["reached_percent"] == pytest.approx(200 / 3)
    assert to_goal["median_where_reached"] == 1.0
    assert to_goal["mean_rest_at_most"] == pytest.approx(5 / 3)


def test_gain_is_patient_by_patient() -> None:
    fwhm = tuple(replace(one, prompts="fwhm", dice=0.5) for one in reversed(PATIENTS[:3]))
    figures = dice_gain(COLUMN, Column("S", "fwhm", fwhm, ()))
    assert figures["over"] == "fwhm"
    assert figures["dice_difference"]["mean"] == pytest.approx(1.4 / 3 - 0.5)


def test_strata_by_scar_size_and_quality() -> None:
    groups = strata(COLUMN)
    assert [one["patients"] for one in groups["scar_size"].values()] == [1, 1, 1]
    assert groups["image_quality"]["good"]["patients"] == 1
    assert groups["image_quality"]["poor"]["mass_mae_g"] == pytest.approx(3.0)
    assert "kind" not in groups


def test_failed_patients_are_left_out_and_columns_keep_their_order() -> None:
    failed = PatientFigures(
        patient="F", kind="lge", segmenter="S", prompts="auto", error_code="E_INTERNAL"
    )
    box = replace(PATIENTS[0], prompts="box")
    found = group_columns([failed, box, *PATIENTS], SLICES)
    assert [(one.prompts, len(one.patients), len(one.slices)) for one in found] == [
        ("box", 1, 0),
        ("auto", 5, 4),
    ]


def test_nobody_with_scar_is_no_error() -> None:
    figures = summarise(Column("S", "auto", PATIENTS[3:], ()))
    assert "scar" not in figures
    assert figures["false_scar"]["on_patients_without_scar_g"]["mean"] == pytest.approx(0.25)
    assert distribution(np.array([])) == {}
