"""Where the slices of a stack lie: positions, spacing, and what to warn of.

Positions are measured along the slice normal, base to apex; SpacingBetweenSlices is only
cross-checked and SliceThickness is never a spacing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scarseg.case.positions import HOLE, is_regular, typical_gap_mm
from scarseg.case.stack import LoadWarning
from scarseg.io.dicom.types import Frame

_TOWARDS_APEX = np.array([1.0, -1.0, -1.0])  # left, anterior, inferior in LPS
RELATIVE_TOLERANCE = 0.01
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
    """Return the typical distance between neighbours along the normal, None for one slice."""
    return typical_gap_mm(positions_mm(frames))


def spacing_is_regular(frames: Sequence[Frame]) -> bool:
    """Return whether frames, base to apex, lie on a line of equal steps without a hole."""
    return is_regular(positions_mm(frames), _rounding_mm(frames))


def _rounding_mm(frames: Sequence[Frame]) -> float:
    """Return how far the decimals of ImagePositionPatient can move a slice along the normal.

    Half a unit of the last decimal that any slice is written with, in all three components.
    """
    unit = 10.0 ** -max(frame.position_decimals for frame in frames)
    return 0.55 * unit * float(np.abs(normal_towards_apex(frames[0])).sum())


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
    typical = measured_spacing_mm(frames)
    assert typical is not None
    index = int(np.argmax(np.abs(gaps - typical)))
    gap = float(gaps[index])
    missing = round(gap / typical) - 1
    if missing >= 1 and gap >= HOLE * typical:
        why = f"{missing} slice{'s' if missing > 1 else ''} may be missing"
    else:
        why = "the spacing is irregular"
    return LoadWarning(
        "W_GAP_IRREGULAR",
        f"Slices {index + 1} and {index + 2} lie {gap:.4g} mm apart, others {typical:.4g} mm: "
        f"{why}, the mass is incomplete.",
    )


def _against_thickness(spacing: float, thickness_mm: float | None) -> list[LoadWarning]:
    if thickness_mm is None or abs(spacing - thickness_mm) <= RELATIVE_TOLERANCE * thickness_mm:
        return []
    differ = f"{abs(spacing - thickness_mm):.3g} mm"
    lengths = f"Slices are {thickness_mm:.4g} mm thick and lie {spacing:.4g} mm apart: "
    if spacing > thickness_mm:
        text = f"gaps of {differ}; the two mass conventions differ."
        return [LoadWarning("W_GAP", lengths + text)]
    text = f"they overlap by {differ}, so the mass follows the slice spacing."
    return [LoadWarning("W_OVERLAP", lengths + text)]


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
