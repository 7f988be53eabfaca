"""Find slices that were split off a stack: what lies at its pitch belongs to it.

A split by orientation, matrix, kind or anything else can take a slice away without a gap, at an
end. Whatever continues a stack at its pitch makes it incomplete, and is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from scarseg.case.positions import HOLE, repeat_limit_mm, typical_gap_mm
from scarseg.case.stack import LoadWarning
from scarseg.io.dicom.geometry import (
    FEW_SLICES,
    ORIENTATION_DEGREES,
    angle_degrees,
    normal_towards_apex,
    positions_mm,
)
from scarseg.io.dicom.patients import name_key
from scarseg.io.dicom.series_words import split_words
from scarseg.io.dicom.sources.inputs import Source
from scarseg.io.dicom.types import Frame, StackSummary

_PARALLEL_DEGREES = 10.0
_PITCH_TOLERANCE = 0.25
_SAME_HEART_MM = 60.0
_NAMED = 3


@dataclass(frozen=True)
class LostFile:
    """A file that is in no stack: skipped, or not read far enough to know its series."""

    source: Source
    reason: str
    series_uid: str = ""


def mark_incomplete(stacks: Sequence[StackSummary], lost: Sequence[LostFile]) -> list[StackSummary]:
    """Mark the stacks that lack slices which are here, as parts or as files left out."""
    return [_with_lost_files(_with_neighbours(one, stacks), stacks, lost) for one in stacks]


def _with_neighbours(stack: StackSummary, stacks: Sequence[StackSummary]) -> StackSummary:
    if stack.rank > 1:
        return stack
    texts = []
    for other in stacks:
        if other is stack or other.rank > 1:
            continue
        difference = _difference(stack, other)
        if not difference:
            continue
        if stack.n_slices >= FEW_SLICES:
            texts += [
                f"{frame.source.file_name} lies at this stack's pitch but its {difference} differs"
                for frame in other.frames
                if _continues(stack, frame)
            ]
        elif other.n_slices >= FEW_SLICES and any(_continues(other, f) for f in stack.frames):
            text = (
                f"This lies at the pitch of a stack of {other.n_slices} slices, but its "
                f"{difference} differs: the mass is incomplete."
            )
            return _incomplete(stack, "W_SPLIT_OFF", text)
    if not texts:
        return stack
    more = f"; and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    text = f"{'; '.join(texts[:_NAMED])}{more}: left out, the mass is incomplete."
    return _incomplete(stack, "W_SPLIT_OFF", text)


def _incomplete(stack: StackSummary, code: str, text: str) -> StackSummary:
    warnings = (*stack.warnings, LoadWarning(code, text))
    return replace(stack, complete=False, warnings=warnings)


def _difference(stack: StackSummary, other: StackSummary) -> str:
    """Return what separates two parts, empty where they have nothing to do with each other.

    Parts of one series belong together. Of two series one must hold one or two slices and differ in
    a single property.
    """
    differences = _differences(stack, other)
    if stack.series_uid == other.series_uid:
        return differences[0] if differences else "series"
    same_owner = stack.patient_id == other.patient_id or stack.study_uid == other.study_uid
    if not same_owner or min(stack.n_slices, other.n_slices) >= FEW_SLICES:
        return ""
    words = [sorted(w.casefold() for w in split_words(s.description)) for s in (stack, other)]
    alike = [w for w in words[0] if not w.isdecimal()] == [w for w in words[1] if not w.isdecimal()]
    if not alike or len(differences) > 1:
        return ""
    return differences[0] if differences else "series"


def _differences(stack: StackSummary, other: StackSummary) -> list[str]:
    mine, theirs = stack.frames[0], other.frames[0]
    angle = angle_degrees(stack.orientation, other.orientation)
    owners = [(one.patient_id, name_key(one.patient_name)) for one in (stack, other)]
    found = [
        ("patient", owners[0] != owners[1]),
        ("study", stack.study_uid != other.study_uid),
        ("frame of reference", mine.frame_of_reference != theirs.frame_of_reference),
        ("modality", stack.modality != other.modality),
        (f"kind ({other.kind.value})", (stack.kind, mine.derived) != (other.kind, theirs.derived)),
        (f"orientation ({angle:.2g} degrees)", angle > ORIENTATION_DEGREES),
        (
            f"matrix ({other.rows} x {other.columns})",
            (stack.rows, stack.columns) != (other.rows, other.columns),
        ),
        ("pixel spacing", stack.pixel_spacing_mm != other.pixel_spacing_mm),
        ("thickness", stack.slice_thickness_mm != other.slice_thickness_mm),
    ]
    return [name for name, differs in found if differs]


def _continues(stack: StackSummary, frame: Frame) -> bool:
    """Return whether a slice is new tissue at the stack's pitch: beyond an end or in a hole."""
    along = positions_mm(stack.frames)
    typical = typical_gap_mm(along)
    if not typical:
        return False
    normal = normal_towards_apex(stack.orientation)
    parallel = abs(float(normal @ normal_towards_apex(frame.orientation)))
    if parallel < np.cos(np.radians(_PARALLEL_DEGREES)):
        return False
    centre, axis = _centre(frame), _centre(stack.frames[0])
    z = float(centre @ normal)
    aside = (centre - axis) - float((centre - axis) @ normal) * normal
    if float(np.linalg.norm(aside)) > _SAME_HEART_MM:
        return False
    middles = np.array([float(_centre(one) @ normal) for one in stack.frames])
    nearest = float(np.abs(middles - z).min())
    if nearest <= repeat_limit_mm(along, stack.slice_thickness_mm):
        return False
    if middles[0] < z < middles[-1]:
        k = int(np.searchsorted(middles, z))
        return bool(middles[k] - middles[k - 1] >= HOLE * typical)
    # A tilted plane turns about its corner: its centre moves along the normal.
    arm = float(np.linalg.norm(centre - np.asarray(frame.position_mm)))
    allowed = _PITCH_TOLERANCE * typical + arm * float(np.sqrt(max(0.0, 1 - parallel * parallel)))
    return abs(nearest - typical) <= allowed


def _centre(frame: Frame) -> np.ndarray:
    """Return the middle of an image plane in mm (LPS)."""
    row, column = np.asarray(frame.orientation[:3]), np.asarray(frame.orientation[3:])
    across = row * frame.spacing_mm[1] * (frame.layout.columns - 1) / 2
    down = column * frame.spacing_mm[0] * (frame.layout.rows - 1) / 2
    return np.asarray(np.asarray(frame.position_mm) + across + down)


def _with_lost_files(
    stack: StackSummary, stacks: Sequence[StackSummary], lost: Sequence[LostFile]
) -> StackSummary:
    for one in lost:
        if one.series_uid and one.series_uid == stack.series_uid:
            text = (
                f"{one.source.file_name} of the series was skipped: {one.reason}; the mass may "
                "be incomplete."
            )
            return _incomplete(stack, "W_SPLIT_OFF", text)
        if not one.series_uid and _only_series_beside(one.source, stacks) == stack.series_uid:
            text = (
                f"{one.source.file_name} of the same folder is DICOM that cannot be read "
                f"({one.reason}); it may belong here: the mass may be incomplete."
            )
            return _incomplete(stack, "W_UNREAD", text)
    return stack


def _only_series_beside(source: Source, stacks: Sequence[StackSummary]) -> str:
    here = _folder(source)
    series = {
        one.series_uid
        for one in stacks
        if any(_folder(frame.source) == here for frame in one.frames)
    }
    return series.pop() if len(series) == 1 else ""


def _folder(source: Source) -> tuple[str, ...]:
    if not source.members:
        return (str(source.path.parent),)
    return (str(source.path), *source.members[:-1], str(PurePath(source.members[-1]).parent))
