"""Frames of one series -> stacks: split what does not belong together, order what does.

Nothing depends on the order or the names of the files, nor on instance numbers.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np

from scarseg.case.positions import repeat_limit_mm
from scarseg.io.dicom.geometry import (
    cluster_orientations,
    orientation_of,
    positions_mm,
    sorted_by_position,
)
from scarseg.io.dicom.types import Frame, ImageKind

K = TypeVar("K", bound=Hashable)
Labels = tuple[tuple[str, str], ...]
Divided = list[tuple[str, list[Frame]]]

SPACING_TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class Group:
    """Frames that make one stack, in order, base to apex.

    ``labels`` maps what was split by to this group's value, in file-name-safe words;
    ``repeat`` is how often the fullest position of the unsplit frames was acquired. Where repeats
    were split by order in time at every position, ``rank`` is 1 for the newest, 2 for the one
    before, else 0; ``distinguishable`` is False where nothing in the headers separates them, and
    ``apart_mm`` is how far repeats of one position lie apart at most. ``negative_share`` is the
    share of pixels below zero where it decided for PSIR.
    """

    frames: tuple[Frame, ...]
    kind: ImageKind
    labels: Labels
    repeat: int = 1
    repeated_by: str = ""
    rank: int = 0
    distinguishable: bool = True
    apart_mm: float = 0.0
    negative_share: float | None = None


def split_series(frames: Iterable[Frame], kind_of: Callable[[Frame], ImageKind]) -> list[Group]:
    """Split the frames of one patient, study and series into stacks.

    By frame of reference, kind and derivation, orientation, rows x columns, pixel spacing and
    thickness; then, where positions repeat, by time or acquisition.
    """
    parts: list[tuple[Labels, list[Frame]]] = [((), sorted(frames, key=_stable))]
    for name, divide in (
        ("frame", _by_frame_of_reference),
        ("kind", lambda members: _by_kind(members, kind_of)),
        ("plane", _by_plane),
        ("matrix", _by_matrix),
        ("spacing", _by_spacing),
        ("thickness", _by_thickness),
    ):
        parts = [
            ((*labels, (name, word)), part)
            for labels, members in parts
            for word, part in divide(members)
        ]
    return [
        group
        for labels, members in parts
        for group in _split_repeats(members, kind_of(members[0]), labels)
    ]


def _stable(frame: Frame) -> tuple[object, ...]:
    return (
        frame.orientation,
        frame.spacing_mm,
        frame.position_mm,
        frame.image_type,
        frame.sop_uid,
        frame.number or 0,
    )


def _by_frame_of_reference(frames: Sequence[Frame]) -> Divided:
    """Split by frame of reference, unless every frame has its own: then an exporter made it up."""
    known = {frame.frame_of_reference for frame in frames} - {""}
    if len(known) <= 1 or len(known) == len(frames):
        return [("", list(frames))]
    divided = _by(frames, lambda f: f.frame_of_reference)
    return [(f"f{_digest([uid])}", members) for uid, members in divided.items()]


def _by_kind(frames: Sequence[Frame], kind_of: Callable[[Frame], ImageKind]) -> Divided:
    divided = _by(frames, lambda f: kind_of(f).value + ("-derived" if f.derived else ""))
    return list(divided.items())


def _by_plane(frames: Sequence[Frame]) -> Divided:
    clusters = cluster_orientations(frames)
    return [("o" + _digest(f"{v:.3f}" for v in orientation_of(c)), c) for c in clusters]


def _by_matrix(frames: Sequence[Frame]) -> Divided:
    divided = _by(frames, lambda f: f"{f.layout.rows}x{f.layout.columns}")
    return list(divided.items())


def _by_spacing(frames: Sequence[Frame]) -> Divided:
    clusters = cluster_frames(frames, lambda f: f.spacing_mm, SPACING_TOLERANCE_MM)
    return [(_word("{:g}x{:g}mm".format(*c[0].spacing_mm)), c) for c in clusters]


def _by_thickness(frames: Sequence[Frame]) -> Divided:
    """Split by thickness, unless some frames lack it: then it has to be asked for anyway."""
    if any(frame.thickness_mm is None for frame in frames):
        return [("", list(frames))]
    return list(_by(frames, lambda f: _word(f"d{round(f.thickness_mm or 0, 3):g}")).items())


def _word(text: str) -> str:
    """Return numbers as text that is safe in file names."""
    return text.replace(".", "p").replace("-", "m").replace("+", "")


def _by(frames: Iterable[Frame], key: Callable[[Frame], K]) -> dict[K, list[Frame]]:
    groups: defaultdict[K, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return dict(groups)


def cluster_frames(
    frames: Sequence[Frame], value: Callable[[Frame], tuple[float, ...]], tolerance: float
) -> list[list[Frame]]:
    """Group frames whose values lie within ``tolerance`` of a group's smallest member."""
    clusters: list[tuple[np.ndarray, list[Frame]]] = []
    for frame in sorted(frames, key=lambda f: (value(f), _stable(f))):
        own = np.asarray(value(frame))
        for seed, members in clusters:
            if np.abs(own - seed).max() <= tolerance:
                members.append(frame)
                break
        else:
            clusters.append((own, [frame]))
    return [members for _, members in clusters]


def _digest(parts: Iterable[str]) -> str:
    text = "\\".join("0.000" if part == "-0.000" else part for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _slots(frames: Sequence[Frame], limit_mm: float) -> list[list[Frame]]:
    """Group frames by position along the normal: neighbours up to ``limit_mm`` are repeats."""
    ordered = sorted_by_position(frames)
    along = positions_mm(ordered)
    index = np.concatenate([[0], np.cumsum(np.diff(along) > limit_mm)])
    slots: defaultdict[int, list[Frame]] = defaultdict(list)
    for slot, frame in zip(index.tolist(), ordered, strict=True):
        slots[slot].append(frame)
    return list(slots.values())


_REPEATED_BY: tuple[tuple[str, str, Callable[[Frame], Hashable]], ...] = (
    ("tp", "temporal position", lambda f: f.temporal),
    ("tt", "trigger time", lambda f: f.trigger_ms),
    ("acq", "acquisition number", lambda f: f.acquisition),
    ("te", "echo time", lambda f: f.echo_ms),
    ("ti", "inversion time", lambda f: f.inversion_ms),
    ("type", "image type", lambda f: f.image_type or None),
    ("desc", "description", lambda f: f.description or None),
    ("time", "acquisition time", lambda f: f.time or None),
)


def _split_repeats(frames: Sequence[Frame], kind: ImageKind, labels: Labels) -> list[Group]:
    """Split frames of which several share a position."""
    thickness = None if None in {f.thickness_mm for f in frames} else frames[0].thickness_mm
    limit = repeat_limit_mm(positions_mm(frames), thickness)
    slots = _slots(frames, limit)
    repeat = max(len(slot) for slot in slots)
    if repeat == 1:
        return [Group(sorted_by_position(frames), kind, labels)]
    for count in (1, 2, 3):
        for chosen in combinations(_REPEATED_BY, count):
            parts = _parted(frames, [key for _, _, key in chosen], repeat, limit)
            if parts is not None:
                by = " and ".join(name for _, name, _ in chosen)
                prefix = chosen[0][0] if count == 1 else "x"
                return [
                    Group(
                        sorted_by_position(members),
                        kind,
                        (*labels, ("repeat", _repeat_word(prefix, value))),
                        repeat,
                        by,
                    )
                    for value, members in sorted(parts.items(), key=lambda p: repr(p[0]))
                ]
    return _ranked(slots, kind, labels)


def _parted(
    frames: Sequence[Frame],
    keys: Sequence[Callable[[Frame], Hashable]],
    repeat: int,
    limit_mm: float,
) -> dict[tuple[Hashable, ...], list[Frame]] | None:
    """Split by ``keys`` if that leaves no repeats and makes no more groups than repeats.

    Every part must fill half of the positions: one slice acquired again under an acquisition
    number of its own is a repeat of that slice, not a second stack.
    """
    parts = _by(frames, lambda f: tuple(key(f) for key in keys))
    if len(parts) != repeat or any(None in value for value in parts):
        return None
    if any(len(slot) > 1 for part in parts.values() for slot in _slots(part, limit_mm)):
        return None
    if 2 * min(len(part) for part in parts.values()) < len(_slots(frames, limit_mm)):
        return None
    return parts


def _repeat_word(prefix: str, value: tuple[Hashable, ...]) -> str:
    if len(value) == 1 and isinstance(value[0], float):
        return _word(f"{prefix}{value[0]:g}")
    return prefix + _digest(repr(part) for part in value)


def _ranked(slots: Sequence[list[Frame]], kind: ImageKind, labels: Labels) -> list[Group]:
    """Split by order in time at every position: jittering trigger times, a repeated slice.

    The newest acquisition of every position comes first: a slice is repeated because the one
    before was not good enough.
    """
    distinguishable = True
    ranks: defaultdict[int, list[Frame]] = defaultdict(list)
    for slot in slots:
        newest_first = sorted(slot, key=_when, reverse=True)
        distinguishable &= len({_when(frame)[:-1] for frame in slot}) == len(slot)
        for rank, frame in enumerate(newest_first):
            ranks[rank].append(frame)
    apart = max(float(np.ptp(positions_mm(slot))) for slot in slots)
    return [
        Group(
            sorted_by_position(members),
            kind,
            (*labels, ("repeat", f"r{rank + 1}")),
            len(ranks),
            "order in time" if distinguishable else "nothing",
            rank + 1,
            distinguishable,
            apart,
        )
        for rank, members in ranks.items()
    ]


def _when(frame: Frame) -> tuple[object, ...]:
    early = float("-inf")
    return (
        early if frame.temporal is None else frame.temporal,
        early if frame.acquisition is None else frame.acquisition,
        frame.time,
        early if frame.trigger_ms is None else frame.trigger_ms,
        early if frame.echo_ms is None else frame.echo_ms,
        (frame.sop_uid, frame.number or 0),
    )


def name_parts(groups: Sequence[Group]) -> list[str]:
    """Return names of the groups of one series for file names: empty where the series is whole.

    A name holds what differs between the groups and depends on nothing else.
    """
    if len(groups) < 2:
        return [""] * len(groups)
    values: defaultdict[str, set[str]] = defaultdict(set)
    for group in groups:
        for name in {label for other in groups for label, _ in other.labels}:
            values[name].add(dict(group.labels).get(name, ""))
    parts = [
        "-".join(word for name, word in group.labels if len(values[name]) > 1 and word)
        for group in groups
    ]
    return [
        part if part and parts.count(part) == 1 else f"{part or 'part'}-{_uids_digest(group)}"
        for part, group in zip(parts, groups, strict=True)
    ]


def _uids_digest(group: Group) -> str:
    return _digest(sorted(f"{frame.sop_uid}:{frame.number}" for frame in group.frames))
