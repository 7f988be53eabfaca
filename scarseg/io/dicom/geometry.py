"""Where the slices of a stack lie: positions, spacing, and what to warn of.

Positions are measured along the slice normal, base to apex; SpacingBetweenSlices is only
cross-checked and SliceThickness is never a spacing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scarseg.case.stack import LoadWarning
from scarseg.io.dicom.types import Frame

_TOWARDS_APEX = np.array([1.0, -1.0, -1.0])  # left, anterior, inferior in LPS
RELATIVE_TOLERANCE = 0.01
_ROUNDING_MM = 0.01
_DRIFT_MM = 0.5
FEW_SLICES = 3


def normal_towards_apex(frame: Frame) -> np.ndarray:
    """Give the unit slice normal that points left, anterior and down: base to apex."""
    normal = np.cross(frame.orientation[:3], frame.orientation[3:])
    normal /= np.linalg.norm(normal)
    lean = float(normal @ _TOWARDS_APEX)
    if abs(lean) < 1e-6:
        lean = float(normal[np.argmax(np.abs(normal))])
    return normal if lean > 0 else -normal


def positions_mm(frames: Sequence[Frame]) -> np.ndarray:
    """Give every frame's position along the normal, base to apex, in mm."""
    return np.array([f.position_mm for f in frames]) @ normal_towards_apex(frames[0])


def sorted_by_position(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    return tuple(frames[i] for i in np.argsort(positions_mm(frames), kind="stable"))


def measured_spacing_mm(frames: Sequence[Frame]) -> float | None:
    """Give the median distance between neighbours along the normal, None for one slice."""
    if len(frames) < 2:
        return None
    return float(np.median(np.diff(positions_mm(frames))))


def spacing_is_regular(frames: Sequence[Frame]) -> bool:
    """Tell whether every distance between neighbours is the same to 1 %."""
    if len(frames) < 3:
        return True
    gaps = np.diff(positions_mm(frames))
    base = float(np.min(gaps))
    return float(np.max(gaps)) - base <= max(RELATIVE_TOLERANCE * base, 2 * _ROUNDING_MM)


def geometry_warnings(
    frames: Sequence[Frame], thickness_mm: float | None
) -> tuple[LoadWarning, ...]:
    """Judge the slice positions of frames in order, base to apex."""
    warnings: list[LoadWarning] = []
    if len(frames) < FEW_SLICES:
        warnings.append(
            LoadWarning("W_FEW_SLICES", f"{_slices(len(frames))}: too few for a left ventricle.")
        )
    spacing = measured_spacing_mm(frames)
    if not spacing_is_regular(frames):
        warnings.append(_irregular(frames))
    if spacing is not None:
        warnings += _against_thickness(spacing, thickness_mm)
        warnings += _against_header(frames, spacing)
    warnings += _drift(frames)
    return tuple(warnings)


def _slices(n: int) -> str:
    return "1 slice" if n == 1 else f"{n} slices"


def _irregular(frames: Sequence[Frame]) -> LoadWarning:
    gaps = np.diff(positions_mm(frames))
    base, index = float(np.min(gaps)), int(np.argmax(gaps))
    gap = float(gaps[index])
    missing = round(gap / base) - 1
    whole = missing >= 1 and abs(gap / base - missing - 1) < 0.05
    guess = (
        f"{missing} slice{'s' if missing > 1 else ''} may be missing"
        if whole
        else ("the spacing is irregular")
    )
    return LoadWarning(
        "W_GAP_IRREGULAR",
        f"Slices {index + 1} and {index + 2} lie {gap:.4g} mm apart, others {base:.4g} mm: "
        f"{guess}, the mass is incomplete.",
    )


def _against_thickness(spacing: float, thickness_mm: float | None) -> list[LoadWarning]:
    if thickness_mm is None or abs(spacing - thickness_mm) <= RELATIVE_TOLERANCE * thickness_mm:
        return []
    code, word = ("W_GAP", "gaps") if spacing > thickness_mm else ("W_OVERLAP", "overlaps")
    return [
        LoadWarning(
            code,
            f"Slices are {thickness_mm:.4g} mm thick and lie {spacing:.4g} mm apart: {word} of "
            f"{abs(spacing - thickness_mm):.3g} mm; the two mass conventions differ.",
        )
    ]


def _against_header(frames: Sequence[Frame], spacing: float) -> list[LoadWarning]:
    header = next((f.header_spacing_mm for f in frames if f.header_spacing_mm is not None), None)
    if header is None or abs(spacing - header) <= RELATIVE_TOLERANCE * header:
        return []
    return [
        LoadWarning(
            "W_SPACING_HEADER",
            f"SpacingBetweenSlices says {header:.4g} mm, positions {spacing:.4g} mm; positions "
            "are used.",
        )
    ]


def in_plane_drift_mm(frames: Sequence[Frame]) -> float:
    """Give how far, at most, slice origins shift within the plane against the first."""
    normal = normal_towards_apex(frames[0])
    steps = np.array([f.position_mm for f in frames]) - np.asarray(frames[0].position_mm)
    return float(np.linalg.norm(steps - np.outer(steps @ normal, normal), axis=1).max())


def _drift(frames: Sequence[Frame]) -> list[LoadWarning]:
    """Warn of a tilted gantry or shifted slices.

    The slices are still parallel and the distance along their normal is measured, so by
    Cavalieri's principle every mass is right; only a three-dimensional view would be skewed.
    """
    drift = in_plane_drift_mm(frames)
    if drift <= _DRIFT_MM:
        return []
    return [
        LoadWarning(
            "W_TILT",
            f"Slices shift by up to {drift:.3g} mm within their plane (tilted stack); distances "
            "are measured along the normal.",
        )
    ]
