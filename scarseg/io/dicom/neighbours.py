"""Find slices that were split off a stack: what lies at its pitch belongs to it.

A split by orientation, matrix, kind or anything else can take a slice away without a gap, at an
end. Whatever continues a stack at its pitch makes it incomplete, and is named.
"""

from __future__ import annotations

from collections import defaultdict
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


@dataclass(frozen=True, eq=False)
class _Place:
    """Geometry of a stack: normal, and centres, corners and positions of its images."""

    stack: StackSummary
    normal: np.ndarray
    centres: np.ndarray
    corners: np.ndarray
    along: np.ndarray
    typical_mm: float | None
    repeat_mm: float


def mark_incomplete(
    stacks: Sequence[StackSummary],
    lost: Sequence[LostFile],
    undecoded: Sequence[StackSummary] = (),
) -> list[StackSummary]:
    """Mark the stacks that lack slices which are here, as parts or as files left out.

    ``undecoded`` are parts of which no slice can be read.
    """
    places = [_place(stack) for stack in (*stacks, *undecoded) if stack.rank <= 1]
    related: defaultdict[tuple[str, str], list[_Place]] = defaultdict(list)
    for place in places:
        for key in _owners(place.stack):
            related[key].append(place)
    marked = []
    for stack in stacks:
        here = next((place for place in places if place.stack is stack), None)
        if here is not None:
            others = {id(one): one for key in _owners(stack) for one in related[key]}
            stack = _with_neighbours(here, list(others.values()))
        marked.append(_with_lost_files(stack, stacks, lost))
    return marked


def _owners(stack: StackSummary) -> tuple[tuple[str, str], ...]:
    owners = [("series", stack.series_uid), ("study", stack.study_uid)]
    # Without an ID nothing says that two studies are of one patient.
    return (*owners, ("patient", stack.patient_id)) if stack.patient_id else tuple(owners)


def _place(stack: StackSummary) -> _Place:
    normal = normal_towards_apex(stack.orientation)
    centres = np.array([_centre(frame) for frame in stack.frames])
    along = positions_mm(stack.frames)
    return _Place(
        stack,
        normal,
        centres,
        np.array([frame.position_mm for frame in stack.frames]),
        centres @ normal,
        typical_gap_mm(along),
        repeat_limit_mm(along, stack.slice_thickness_mm),
    )


def _with_neighbours(here: _Place, others: Sequence[_Place]) -> StackSummary:
    stack = here.stack
    texts = []
    for other in others:
        if other is here or not _may_belong(here, other):
            continue
        if stack.n_slices >= FEW_SLICES:
            beside = np.flatnonzero(_continues(here, other))
            difference = _difference(stack, other.stack) if beside.size else ""
            texts += [
                f"{other.stack.frames[k].source.file_name} lies at this stack's pitch but its "
                f"{difference} differs"
                for k in beside
                if difference
            ]
        elif other.stack.n_slices >= FEW_SLICES and _continues(other, here).any():
            difference = _difference(stack, other.stack)
            if difference:
                text = (
                    f"This lies at the pitch of a stack of {other.stack.n_slices} slices, but its "
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


def _may_belong(here: _Place, other: _Place) -> bool:
    """Return whether two parts can be one stack.

    They are of one series; or one holds a slice or two; or they are alike in everything and of one
    study, and the one begins where the other ends: a heart that was archived in two series.
    """
    stack, beside = here.stack, other.stack
    if stack.series_uid == beside.series_uid or min(stack.n_slices, beside.n_slices) < FEW_SLICES:
        return True
    z = other.centres @ here.normal
    apart = z.min() > here.along[-1] or z.max() < here.along[0]
    return bool(apart) and not _differences(stack, beside)


def _difference(stack: StackSummary, other: StackSummary) -> str:
    """Return what separates two parts, empty where they have nothing to do with each other.

    Parts of one series belong together. Parts of two series may differ in a single property.
    """
    differences = _differences(stack, other)
    if stack.series_uid == other.series_uid:
        return differences[0] if differences else "acquisition"
    words = [sorted(w.casefold() for w in split_words(s.description)) for s in (stack, other)]
    alike = [w for w in words[0] if not w.isdecimal()] == [w for w in words[1] if not w.isdecimal()]
    if not alike or len(differences) > 1:
        return ""
    return differences[0] if differences else "series"


def _differences(stack: StackSummary, other: StackSummary) -> list[str]:
    mine, theirs = stack.frames[0], other.frames[0]
    angle = angle_degrees(stack.orientation, other.orientation)
    found = [
        ("patient", bool(stack.patient.differences(other.patient))),
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


def _continues(place: _Place, other: _Place) -> np.ndarray:
    """Return which slices of ``other`` are new tissue at the pitch, beyond an end or in a hole."""
    typical = place.typical_mm
    nothing = np.zeros(len(other.centres), dtype=np.bool_)
    parallel = min(1.0, abs(float(place.normal @ other.normal)))
    if not typical or parallel < np.cos(np.radians(_PARALLEL_DEGREES)):
        return nothing
    z = other.centres @ place.normal
    # A plane turned within itself about its corner has its centre elsewhere.
    aside = np.minimum(
        _aside(other.centres - place.centres[0], place.normal),
        _aside(other.corners - place.corners[0], place.normal),
    )
    nearest = np.abs(z[:, None] - place.along[None, :]).min(axis=1)
    fresh = (aside <= _SAME_HEART_MM) & (nearest > place.repeat_mm)
    after = np.clip(np.searchsorted(place.along, z), 1, len(place.along) - 1)
    within = (place.along[0] < z) & (z < place.along[-1])
    in_hole = within & (place.along[after] - place.along[after - 1] >= HOLE * typical)
    # A tilted plane turns about its corner: its centre moves along the normal.
    arm = np.linalg.norm(other.centres - other.corners, axis=1)
    allowed = _PITCH_TOLERANCE * typical + arm * np.sqrt(1 - parallel * parallel)
    beyond = ~within & (np.abs(nearest - typical) <= allowed)
    return np.asarray(fresh & (in_hole | beyond))


def _aside(shifts: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return how far shifts (image, xyz) lead across a normal, in mm."""
    return np.asarray(np.linalg.norm(shifts - np.outer(shifts @ normal, normal), axis=1))


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
