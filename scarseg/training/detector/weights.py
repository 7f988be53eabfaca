"""Weights files of a detector in training: written, measured, and the better one chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from scarseg.case.case import ModelIdentity
from scarseg.errors import OutputError
from scarseg.io.atomic import remove_temporary, temporary_name
from scarseg.models.detector import DetectorSettings, open_detector, read_weights, save_weights
from scarseg.training.detector.data import LabelledSlice
from scarseg.training.detector.evaluate import (
    choose_lv_score,
    choose_scar_score,
    detect_all,
    resample_slices,
    shift_slices,
    summarise,
)
from scarseg.training.runs import write_file

CHOICE_SHIFTS = 3
"""Thresholds are chosen with every tuning heart in so many places: one place is an accident."""
UNNAMED = ModelIdentity("detector in training", "0" * 64, False)


def choose_weights(out: Path, tuning: Sequence[LabelledSlice]) -> Path:
    """Write the better of the best and the last weights as detector.safetensors.

    Its thresholds are chosen on the tuning slices.

    Without tuning patients the last weights are taken, with the thresholds they have.
    """
    chosen, most = out / "detector.safetensors", -1.0
    tuning = [labelled for seed in range(CHOICE_SHIFTS) for labelled in shift_slices(tuning, seed)]
    for name in ("last", "best"):
        path = out / f"{name}.safetensors"
        if not path.is_file():
            continue
        state, settings = read_weights(path)
        value = 0.0
        if tuning:
            found = detect_all(open_detector(path, UNNAMED).candidates, tuning)
            settings = DetectorSettings(choose_scar_score(found), choose_lv_score(found))
            figures = summarise(found, settings.scar_score, settings.lv_score)
            value = checkpoint_score(figures)
        if value > most:
            most = value
            write_weights(chosen, state, settings)
    return chosen


def checkpoint_score(figures: dict[str, float]) -> float:
    """Return how good a checkpoint is in one number: hearts and scars count the same.

    A figure that is not defined, without a heart or a scar to find, is left out.
    """
    parts = [figures["lv_iou_mean"], figures["scar_ap_iou_over_0.3"]]
    return sum(part for part in parts if not math.isnan(part))


def measure_weights(
    weights: Path, slices: Sequence[LabelledSlice], name: str = "validation"
) -> dict[str, dict[str, float]]:
    """Measure a weights file with hearts off the centre, and again at another pixel spacing."""
    detector = open_detector(weights, UNNAMED)
    shifted = shift_slices(slices)
    summary = {}
    for key, some in (
        (name, shifted),
        (f"{name}_at_1.1_by_1.7_mm", resample_slices(shifted, (1.1, 1.7))),
    ):
        if some:
            found = detect_all(detector.candidates, some)
            figures = summarise(found, detector.settings.scar_score, detector.settings.lv_score)
            summary[key] = {k: round(v, 4) for k, v in figures.items() if not math.isnan(v)}
    return summary


def write_weights(path: Path, state: dict[str, Tensor], settings: DetectorSettings) -> None:
    """Write weights as they are shipped, whole or not at all.

    Raises:
        OutputError: E_WRITE.
    """
    temporary = temporary_name(path)
    try:
        save_weights(temporary, state, settings)
        write_file(path, temporary.read_bytes())
    except (OSError, SafetensorError) as error:
        message = f"{path} cannot be written: {error}."
        raise OutputError("E_WRITE", message, str(path)) from error
    finally:
        remove_temporary(temporary)
