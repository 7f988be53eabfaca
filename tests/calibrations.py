"""Calibrations of the fakes of tests/fakes.py."""

from __future__ import annotations

from pathlib import Path

from scarseg.models.calibration_file import CalibratedRules, CalibrationFigures, CalibrationFile
from scarseg.models.weights import resolve_weights

RULES = {
    "automatic_logit": -1.0,
    "prompted_logit": -2.0,
    "given_wall_logit": -2.5,
    "endocardium_offset_mm": 1.0,
    "gate_evidence_mm2": 30.0,
}


def learned(segmenter: str = "1" * 64, detector: str = "0" * 64, **rules: float) -> CalibrationFile:
    """Make the file of a calibration learned with these weights; by default with the fakes."""
    return CalibrationFile(
        segmenter_sha256=segmenter,
        detector_sha256=detector,
        n_cases=12,
        n_cases_with_scar=8,
        rules=CalibratedRules(**{**RULES, **rules}),
        figures=[
            CalibrationFigures(
                prompts="auto",
                calibrated=False,
                bias_g=-3.0,
                bias_percent=-12.0,
                mean_absolute_error_g=4.0,
                dice=0.6,
            )
        ],
    )


def write_calibration(path: Path, **rules: float) -> Path:
    """Write a calibration of the fakes."""
    path.write_bytes(learned(**rules).encode())
    return path


def write_for_shipped(path: Path, **rules: float) -> Path:
    """Write a calibration that passes as learned with the shipped weights."""
    hashes = [resolve_weights(None, kind).identity.sha256 for kind in ("segmenter", "detector")]
    path.write_bytes(learned(*hashes, **rules).encode())
    return path
