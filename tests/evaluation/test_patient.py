"""Figures of one patient, checked against the phantom's known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.prompts import SlicePrompts
from scarseg.evaluation.metrics import PatientFigures, SliceFigures, clicks_to
from scarseg.evaluation.patient import PatientResult, Protocol, evaluate_patient
from scarseg.evaluation.prompts import DEFAULT_STRATEGIES, parse_strategies
from scarseg.models import Embedding, Logits, Models
from scarseg.segmentation.proposal import RULES
from scarseg.training.cases import TrainingCase
from tests.conftest import COLUMN_SPACING, ROW_SPACING, phantom_labels
from tests.evaluation.phantoms import VOXEL_G, healthy_case, phantom_case, unread_scar
from tests.fakes import FakeDetector, FakeSegmenter, fake_models

ALL = Protocol(parse_strategies([*DEFAULT_STRATEGIES, "point", "box+points", "box+wall"]), seed=1)


def rows(result: PatientResult) -> dict[str, PatientFigures]:
    return {row.prompts: row for row in result.patients}


def slices(result: PatientResult, prompts: str) -> list[SliceFigures]:
    return [row for row in result.slices if row.prompts == prompts]


def evaluated(case: TrainingCase, models: Models | None = None) -> PatientResult:
    return evaluate_patient(case, models or fake_models(), ALL)


def test_a_model_that_is_right_scores_one() -> None:
    result = evaluated(phantom_case())
    found = rows(result)
    clicks = [f"clicks:{n}" for n in (1, 2, 3)]
    assert list(found) == [
        *("auto", "box", *clicks, "detector", "point", "box+points", "box+wall", "fwhm")
    ]
    grams = (phantom_labels() == 3).sum() * VOXEL_G
    wall = (phantom_labels() >= 2).sum() * VOXEL_G
    for name in ("auto", "detector"):
        row = found[name]
        assert row.true_scar_mass_g == pytest.approx(grams)
        assert row.true_lv_mass_g == pytest.approx(wall)
        assert row.true_scar_percent_lv == pytest.approx(100 * grams / wall)
        assert (row.n_slices, row.n_scar_slices, row.n_interactions) == (5, 3, 0)
        for value in (row.dice, row.slice_dice, row.wall_dice, row.pool_dice, row.lv_iou):
            assert value == pytest.approx(1.0)
        for value in (row.hd_mm, row.hd95_3d_mm, row.scar_error_g, row.false_scar_mass_g):
            assert value == pytest.approx(0.0)
        assert row.lv_found_percent == 100
        assert row.redrawn_scar_mass_g is None
    assert found["box"].n_interactions == 3
    assert found["box+points"].n_interactions == 6
    assert found["box"].redrawn_dice is not None
    assert found["fwhm"].wall_dice is None
    assert 0.5 < (found["box+wall"].wall_dice or 0) < 1, "the contours are a millimetre off"
    assert (found["box+wall"].pool_dice or 0) > 0.8


def test_slices_without_a_mark_are_exact() -> None:
    result = evaluated(phantom_case())
    auto = slices(result, "auto")
    assert [row.slice_index for row in auto] == [0, 1, 2, 3, 4]
    areas = (phantom_labels() == 3).sum(axis=(1, 2)) * ROW_SPACING * COLUMN_SPACING
    assert [row.true_scar_area_mm2 for row in auto] == pytest.approx(areas.tolist())
    assert [row.dice for row in auto] == [None, 1.0, 1.0, 1.0, None]
    assert [row.n_true_boxes for row in auto] == [0, 1, 1, 1, 0]
    assert [row.n_boxes_iou50 for row in slices(result, "detector")] == [0, 1, 1, 1, 0]
    scores = [row.scar_score_mm2 for row in auto]
    assert min(scores[1:4]) > max(scores[0], scores[4])


def test_errors_are_found_minus_true() -> None:
    case = unread_scar(phantom_case())
    extra = int((phantom_labels() == 3).sum() - (case.labels == 3).sum())
    assert extra > 0
    row = rows(evaluated(case))["auto"]
    assert row.scar_error_g == pytest.approx(extra * VOXEL_G)
    assert row.scar_error_percent_lv == pytest.approx(100 * extra * VOXEL_G / row.true_lv_mass_g)
    n = int((case.labels == 3).sum())
    assert row.dice == pytest.approx(2 * n / (2 * n + extra))
    assert (row.recall, row.precision) == pytest.approx((1.0, n / (n + extra)))


class Precise(FakeSegmenter):
    """A segmenter that clears only 1.5 pixels round a click outside; no rule adds to that."""

    def predict(
        self, embedding: Embedding, prompts: SlicePrompts, *_: object, **__: object
    ) -> Logits:
        positive = tuple(point for point in prompts.points if point.positive)
        logits = super().predict(embedding, replace(prompts, points=positive))
        rows, columns = np.mgrid[: logits.scar.shape[0], : logits.scar.shape[1]] + 0.5
        for point in set(prompts.points) - set(positive):
            logits.scar[np.hypot(columns - point.column, rows - point.row) < 1.5] = -5
        return logits


def test_clicks_correct_what_the_box_got_wrong() -> None:
    protocol = replace(ALL, rules=replace(RULES, click_radius_mm=0.0))
    models = Models(Precise(), FakeDetector())
    result = evaluate_patient(unread_scar(phantom_case()), models, protocol)
    found = rows(result)
    assert 0.8 < found["box"].dice < found["clicks:3"].dice
    assert found["clicks:3"].n_interactions == 3 + sum(
        len(prompts.points) for prompts in result.prompts["clicks:3"]
    )
    counts = [row.clicks_to_dice_080 for row in slices(result, "clicks:3")]
    assert counts == [None, 0, 0, 0, None]
    assert found["clicks:3"].clicks_to_dice_080 == 0
    assert all(row.clicks_to_dice_080 is None for row in slices(result, "box"))


def test_clicks_are_counted_up_to_the_first_that_is_good_enough() -> None:
    scar = np.zeros((4, 5), dtype=bool)
    scar[0] = True
    poor, good, poorer = scar.copy(), scar.copy(), scar.copy()
    poor[0, :3], good[0, :1], poorer[0, :4] = False, False, False  # Dice 4/7, 8/9, 1/3
    assert clicks_to([poor, good, poorer], scar, 0.8) == 1
    assert clicks_to([poor, good, poorer], scar, 0.5) == 0
    assert clicks_to([poor, poorer], scar, 0.8) is None


def test_a_patient_without_scar() -> None:
    row = rows(evaluated(healthy_case()))["auto"]
    assert row.dice is row.hd95_mm is row.slice_dice is None
    assert (row.true_scar_mass_g, row.scar_mass_g, row.false_scar_mass_g) == (0, 0, 0)
    false = replace(phantom_case(), labels=healthy_case().labels)
    row = rows(evaluated(false))["auto"]
    assert row.false_scar_mass_g == pytest.approx((phantom_labels() == 3).sum() * VOXEL_G)
    assert row.dice == 0


def test_only_slices_that_were_read_count() -> None:
    case = replace(
        phantom_case(),
        scar_read=(False, True, True, False, False),
        wall_known=(True, True, False, True, True),
    )
    result = evaluated(case)
    row = rows(result)["box"]
    assert (row.n_slices, row.n_scar_slices, row.n_interactions) == (2, 2, 2)
    assert [one.slice_index for one in slices(result, "box")] == [1, 2]
    assert [one.wall_dice is None for one in slices(result, "box")] == [False, True]
    assert row.true_scar_mass_g == pytest.approx((phantom_labels()[1:3] == 3).sum() * VOXEL_G)
    assert row.true_lv_mass_g == pytest.approx((phantom_labels()[1] >= 2).sum() * VOXEL_G)


def test_of_cine_only_the_heart_is_measured() -> None:
    case = phantom_case("C", "cine")
    labels = case.labels.copy()
    labels[:, 5:9, 5:9] = 5
    labels[labels == 3] = 2
    row = rows(evaluated(replace(case, labels=labels)))["auto"]
    assert row.wall_dice == row.lv_iou == pytest.approx(1.0)
    assert row.n_scar_slices is row.true_scar_mass_g is row.dice is None


class ScarOnly(FakeSegmenter):
    """A segmenter that knows neither wall nor pool, as SAM's own."""

    def predict(self, *words: object, **named: object) -> Logits:
        return Logits(super().predict(*words, **named).scar)


def test_a_model_of_scar_alone_leaves_the_wall_blank() -> None:
    result = evaluated(phantom_case(), Models(ScarOnly(), FakeDetector()))
    found = rows(result)
    assert "fwhm" not in found
    for row in found.values():
        assert row.wall_dice is row.pool_dice is row.lv_mass_g is row.scar_percent_lv is None
    assert found["detector"].dice == pytest.approx(1.0)
    assert all(row.scar_score_mm2 is None for row in result.slices)


def test_no_detector_no_detector_column() -> None:
    result = evaluated(phantom_case(), Models(FakeSegmenter(), None))
    assert "detector" not in rows(result)
    assert rows(result)["auto"].dice == pytest.approx(1.0)


def test_the_true_left_ventricle_can_be_given() -> None:
    class Blind(FakeDetector):
        def detect(self, image: object) -> list[object]:
            return []

    class Obedient(FakeSegmenter):
        def predict(self, *words: object, **named: object) -> Logits:
            return Logits(super().predict(*words, **named).scar)

    models = Models(Obedient(), Blind())
    assert rows(evaluated(phantom_case(), models))["auto"].lv_iou == 0
    given = evaluate_patient(phantom_case(), models, replace(ALL, true_lv=True))
    assert rows(given)["auto"].lv_iou == pytest.approx(1.0)


def test_the_same_prompts_whatever_else_is_asked() -> None:
    case = unread_scar(phantom_case())
    alone = evaluate_patient(case, fake_models(), Protocol(parse_strategies(["box"]), seed=1))
    assert alone.prompts["box"] == evaluated(case).prompts["box"]
    assert np.array_equal(alone.labels["box"], evaluated(case).labels["box"])
