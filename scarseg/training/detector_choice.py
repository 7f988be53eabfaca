"""Which checkpoint and which thresholds to ship, and the figures of the choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from scarseg.case import ModelIdentity
from scarseg.models.detector import DetectorSettings, open_detector, read_weights
from scarseg.training.detector_checkpoint import put_weights
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
            put_weights(chosen, state, settings)
    return chosen


def worth(figures: dict[str, float]) -> float:
    """Say how good a checkpoint is in one number: hearts and scars count the same.

    What nothing can be said of, without a heart or a scar to find, counts nothing.
    """
    parts = [figures["lv_iou_mean"], figures["scar_ap_iou_over_0.3"]]
    return sum(part for part in parts if not math.isnan(part))


def measure(
    weights: Path, slices: Sequence[LabelledSlice], name: str = "validation"
) -> dict[str, dict[str, float]]:
    """Measure a weights file, hearts off the centre; and once more as another scanner sees them."""
    detector = open_detector(weights, UNNAMED)
    shifted = shift_slices(slices)
    summary = {}
    for key, some in ((name, shifted), (f"{name}_at_1.1_by_1.7_mm", respaced(shifted, (1.1, 1.7)))):
        if some:
            found = find_all(detector.candidates, some)
            figures = summarise(found, detector.settings.scar_score, detector.settings.lv_score)
            summary[key] = {k: round(v, 4) for k, v in figures.items() if not math.isnan(v)}
    return summary
