"""Which checkpoint and which thresholds to ship, and the figures of the choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from scarseg.case import ModelIdentity
from scarseg.models.detector import DetectorSettings, open_detector, read_weights, save_weights
from scarseg.training.detector_data import LabelledSlice
from scarseg.training.detector_evaluate import (
    choose_lv_score,
    choose_scar_score,
    find_all,
    respaced,
    shift_slices,
    summarise,
)

CHOICE_SHIFTS = 3
"""Thresholds are chosen with every tuning heart in so many places: fewer accidents."""
UNNAMED = ModelIdentity("detector in training", "0" * 64, False)


def choose_weights(out: Path, tuning: Sequence[LabelledSlice]) -> Path:
    """Write the better of the best and the last weights as detector.safetensors.

    Its thresholds are chosen on the tuning slices.

    Without tuning patients the last weights are taken, with the thresholds they have.
    """
    chosen, most = out / "detector.safetensors", -1.0
    tuning = [piece for seed in range(CHOICE_SHIFTS) for piece in shift_slices(tuning, seed)]
    for name in ("last", "best"):
        path = out / f"{name}.safetensors"
        if not path.is_file():
            continue
        state, settings = read_weights(path)
        value = 0.0
        if tuning:
            found = find_all(open_detector(path, UNNAMED).candidates, tuning)
            settings = DetectorSettings(choose_scar_score(found), choose_lv_score(found))
            figures = summarise(found, settings.scar_score, settings.lv_score)
            value = worth(figures)
        if value > most:
            most = value
            save_weights(chosen, state, settings)
    return chosen


def worth(figures: dict[str, float]) -> float:
    """Say how good a checkpoint is in one number: hearts and scars count the same."""
    scar = figures["scar_ap_iou_over_0.3"]
    return figures["lv_iou_mean"] + (0.0 if math.isnan(scar) else scar)


def measure(weights: Path, parts: dict[str, list[LabelledSlice]]) -> dict[str, dict[str, float]]:
    """Measure a weights file on the tuning and validation patients, hearts off the centre."""
    detector = open_detector(weights, UNNAMED)
    sets = {name: shift_slices(parts[name]) for name in ("tuning", "validation")}
    sets["validation_at_1.1_by_1.7_mm"] = respaced(sets["validation"], (1.1, 1.7))
    summary = {}
    for name, slices in sets.items():
        if slices:
            found = find_all(detector.candidates, slices)
            figures = summarise(found, detector.settings.scar_score, detector.settings.lv_score)
            summary[name] = {key: round(value, 4) for key, value in figures.items()}
    return summary
