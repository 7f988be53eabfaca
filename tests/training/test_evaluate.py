"""The evaluation reads as a reader would, and its figures are right on the phantom."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scarseg.models import weights
from scarseg.training import evaluate, export
from scarseg.training.cases import TrainingCase
from tests.conftest import (
    COLUMN_SPACING,
    ROW_SPACING,
    SPACING,
    make_phantom_stack,
    phantom_labels,
)
from tests.fakes import fake_models

STEPS = ("automatic_g", "box_g", "box_clicks1_g", "box_clicks2_g", "box_clicks3_g")


def phantom_case() -> TrainingCase:
    pixels = np.array(make_phantom_stack().pixels)
    spacing = (ROW_SPACING, COLUMN_SPACING)
    return TrainingCase("X", "lge", pixels, phantom_labels(), spacing, SPACING)


def test_shifting_moves_the_heart_and_loses_no_truth() -> None:
    case = phantom_case()
    centres = []
    for seed in range(10):
        moved = evaluate.shifted_case(case, np.random.default_rng(seed))
        assert moved.pixels.shape == moved.labels.shape
        assert np.bincount(moved.labels.ravel())[1:].tolist() == (
            np.bincount(case.labels.ravel())[1:].tolist()
        )
        rows, columns = np.nonzero(moved.labels[2])
        shape = moved.labels.shape
        centres.append((rows.mean() / shape[1], columns.mean() / shape[2]))
    assert np.ptp(centres, axis=0).min() > 0.1


def test_a_model_that_is_right_scores_one() -> None:
    result = evaluate.evaluate_case(phantom_case(), fake_models(), seed=1)
    grams = (phantom_labels() >= 3).sum() * ROW_SPACING * COLUMN_SPACING * SPACING * 1.05e-3
    assert result["true_g"] == pytest.approx(grams)
    assert result["wall_dice"] == pytest.approx(1.0)
    assert result["automatic_dice"] == pytest.approx(1.0)
    assert min(result["lv_iou"]) == pytest.approx(1.0)
    assert result["slice_scar_true"] == [False, True, True, True, False]


def test_empty_against_empty_is_no_dice() -> None:
    nothing = np.zeros((3, 3), dtype=bool)
    assert evaluate.dice(nothing, nothing) is None
    assert evaluate.dice(nothing, ~nothing) == 0


def test_concordance_by_hand() -> None:
    x = np.array([1.0, 2.0, 3.0])
    # Shifted by 1: 2 * 2/3 over 2/3 + 2/3 + 1.
    assert evaluate.concordance(x + 1, x) == pytest.approx((4 / 3) / (7 / 3))


def test_summary_keeps_patients_without_scar_apart() -> None:
    sick = evaluate.evaluate_case(phantom_case(), fake_models(), seed=1)
    labels = np.where(phantom_labels() == 3, 2, phantom_labels()).astype(np.uint8)
    pixels = np.where(phantom_labels() == 3, 50, make_phantom_stack().pixels)
    healthy = TrainingCase(
        "N", "lge", pixels.astype(np.float32), labels, (ROW_SPACING, COLUMN_SPACING), SPACING
    )
    well = evaluate.evaluate_case(healthy, fake_models(), seed=1)
    summary = evaluate.summarise([sick, {**sick, "true_g": 9.0, **dict.fromkeys(STEPS, 8.0)}, well])
    assert summary["with_scar"] == 2
    assert summary["automatic_dice"] == pytest.approx(1.0)
    assert summary["false_scar_on_normals_g"] == 0


def test_exported_weights_become_the_default(tmp_path: Path) -> None:
    trained = tmp_path / "average.safetensors"
    for content in (b"first", b"second"):
        trained.write_bytes(content)
        name = content.decode()
        words = [str(trained), "--name", name, "--kind", "segmenter", "--folder", str(tmp_path)]
        assert export.main(words) == 0
    entries = json.loads((tmp_path / "manifest.json").read_text())["weights"]
    assert {e["name"]: e["default"] for e in entries} == {"first": False, "second": True}
    assert entries[0]["sha256"] == weights.sha256(tmp_path / "first.safetensors")
