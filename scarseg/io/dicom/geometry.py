"""Measure slice positions and spacing of a stack, and warn of irregular ones.

Positions are measured along the slice normal, base to apex; SpacingBetweenSlices is only
cross-checked and SliceThickness is never a spacing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from scarseg.case.positions import HOLE, is_regular, typical_gap_mm
from scarseg.case.stack import LoadWarning
from scarseg.io.dicom.types import Frame, Orientation

_TOWARDS_APEX = np.array([1.0, -1.0, -1.0])  # left, anterior, inferior in LPS
RELATIVE_TOLERANCE = 0.01
ORIENTATION_DEGREES = 0.2
"""Orientations within this angle are one; headers round direction cosines."""
_DRIFT_MM = 0.5
FEW_SLICES = 3


def orientation_of(frames: Sequence[Frame]) -> Orientation:
    """Return the orientation that most frames share."""
    counted = Counter(frame.orientation for frame in frames)
    if len(counted) == 1:
        return frames[0].orientation
    return max(counted, key=lambda orientation: (counted[orientation], orientation))


def angle_degrees(one: Orientation, other: Orientation) -> float:
    """Return the angle of the rotation from one image orientation to another."""
    return float(_angles_degrees(_rotations([one, other]))[0, 1])


def _rotations(orientations: Sequence[Orientation]) -> np.ndarray:
    """Return rotation matrices (row, column and normal direction), flattened, shape (n, 9)."""
    cosines = np.asarray(orientations, dtype=np.float64).reshape(-1, 2, 3)
    row = cosines[:, 0] / np.linalg.norm(cosines[:, 0], axis=1, keepdims=True)
    normal = np.cross(row, cosines[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return np.concatenate([row, np.cross(normal, row), normal], axis=1)


def _angles_degrees(rotations: np.ndarray) -> np.ndarray:
    trace = rotations @ rotations.T
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))


def cluster_orientations(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Group frames whose orientations lie within 0.2 degrees of that of most frames nearby."""
    counted = Counter(frame.orientation for frame in frames)
    if len(counted) == 1:
        return [list(frames)]
    left = sorted(counted)
    near = _angles_degrees(_rotations(left)) <= ORIENTATION_DEGREES
    weights = np.array([counted[orientation] for orientation in left])
    number: dict[Orientation, int] = {}
    free = np.ones(len(left), dtype=np.bool_)
    while free.any():
        around = np.where(free, near @ (weights * free), -1)
        seed = int(np.argmax(around))
        members = np.flatnonzero(near[seed] & free)
        number |= {left[k]: seed for k in members}
        free[members] = False
    groups: dict[int, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(number[frame.orientation], []).append(frame)
    return [groups[seed] for seed in sorted(groups)]


@lru_cache(maxsize=1024)
def normal_towards_apex(orientation: Orientation) -> np.ndarray:
    """Return the unit slice normal that points left, anterior and down: base to apex; read-only."""
    normal = np.cross(orientation[:3], orientation[3:])
    normal /= np.linalg.norm(normal)
    lean = float(normal @ _TOWARDS_APEX)
    if abs(lean) < 1e-6:
        lean = float(normal[np.argmax(np.abs(normal))])
    normal = normal if lean > 0 else -normal
    normal.flags.writeable = False
    return normal


def positions_mm(frames: Sequence[Frame]) -> np.ndarray:
    """Return every frame's position along the normal, base to apex, in mm."""
    normal = normal_towards_apex(orientation_of(frames))
    return np.array([f.position_mm for f in frames]) @ normal


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
    return 0.55 * unit * float(np.abs(normal_towards_apex(orientation_of(frames))).sum())


def geometry_warnings(
    frames: Sequence[Frame], thickness_mm: float | None
) -> tuple[LoadWarning, ...]:
    """Return the warnings about the positions of frames in order, base to apex."""
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
    """Return how far, at most, slice origins shift within the plane against the first."""
    normal = normal_towards_apex(orientation_of(frames))
    steps = np.array([f.position_mm for f in frames]) - np.asarray(frames[0].position_mm)
    return float(np.linalg.norm(steps - np.outer(steps @ normal, normal), axis=1).max())


def _drift(frames: Sequence[Frame]) -> list[LoadWarning]:
    """Return a warning of a tilted or sheared stack.

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
