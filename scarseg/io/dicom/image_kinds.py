"""Decide the kinds of a series' frames where their headers leave them open.

Magnitude and real (phase-sensitive) images often differ in nothing but their sign. Only values
below zero after rescale show it, never how a value is stored; where no header shows them, the
pixels are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scarseg.io.dicom.geometry import cluster_orientations
from scarseg.io.dicom.kinds import resolve_kind
from scarseg.io.dicom.pixel_data.pixels import read_pixels
from scarseg.io.dicom.sorting import Group
from scarseg.io.dicom.types import Frame, ImageKind

NEGATIVE_SHARE = 0.005
"""An image with this share of pixels below zero is phase-sensitive; noise reaches less."""

Key = tuple[str, int]


def frame_key(frame: Frame) -> Key:
    """Return what identifies a frame: its SOP Instance UID and number."""
    return (frame.sop_uid, frame.number or 0)


@dataclass
class SeriesKinds:
    """The kind of every frame.

    ``negative_share`` is that of the typical PSIR frame where pixels decided, else None.
    ``mixed`` are frames of both signs that make one stack, with the sentence that refuses them.
    """

    of: dict[Key, ImageKind]
    negative_share: float | None = None
    mixed: list[tuple[list[Frame], str]] = field(default_factory=list)


def decide_kinds(frames: Sequence[Frame]) -> SeriesKinds:
    """Return the kinds of the frames of one series; reads pixels only where they decide."""
    described = {frame.kind for frame in frames}
    kinds = {frame_key(f): f.kind or resolve_kind(described, f.description) for f in frames}
    decided = SeriesKinds(kinds)
    unknown = [frame for frame in frames if frame.kind is None]
    below = {frame_key(frame): frame.below_zero for frame in unknown}
    shares = negative_shares(_to_read(unknown))
    for key, share in shares.items():
        below[key] = True if share >= NEGATIVE_SHARE else False if share == 0 else None
    if True not in below.values():
        return decided
    negative = [shares[key] for key, sign in below.items() if sign and key in shares]
    decided.negative_share = float(np.median(negative)) if negative else None
    for plane in cluster_orientations(unknown):
        signs = {below[frame_key(frame)] for frame in plane}
        if signs >= {True, False}:
            _split_signs(plane, below, decided)
        elif True in signs:
            kinds.update({frame_key(frame): ImageKind.PSIR for frame in plane})
    return decided


def _split_signs(
    plane: Sequence[Frame], below: dict[Key, bool | None], decided: SeriesKinds
) -> None:
    """Split frames of both signs into PSIR and its magnitude if one set covers the other."""
    real = [frame for frame in plane if below[frame_key(frame)]]
    others = [frame for frame in plane if not below[frame_key(frame)]]
    if len(_positions(plane)) > max(len(_positions(real)), len(_positions(others))):
        text = (
            f"{len(real)} slices hold values below zero, {len(others)} do not: magnitude and real "
            "images in one stack."
        )
        decided.mixed.append((list(plane), text))
        return
    decided.of.update({frame_key(frame): ImageKind.PSIR for frame in real})
    decided.of.update({frame_key(frame): ImageKind.MAGNITUDE for frame in others})


def _to_read(unknown: Sequence[Frame]) -> list[Frame]:
    """Return the frames whose sign has to be read: offsets, mixed storage, repeated positions."""
    doubtful = [frame for frame in unknown if frame.below_zero is None]
    if (
        any(frame.intercept < 0 or frame.slope < 0 for frame in doubtful)
        or len({frame.layout.signed for frame in unknown}) > 1
        or len(_positions(unknown)) < len(unknown)
    ):
        return doubtful
    return []


def _positions(frames: Iterable[Frame]) -> set[tuple[float, ...]]:
    return {tuple(round(value, 1) for value in (*f.position_mm, *f.orientation)) for f in frames}


def negative_shares(frames: Sequence[Frame]) -> dict[Key, float]:
    """Read frames; return the share of pixels below zero of those that can be read."""
    ordered = sorted(frames, key=lambda f: (f.source, f.number or 0))
    return {
        frame_key(one.frame): one.negative_share
        for one in read_pixels(ordered)
        if one.pixels is not None
    }


def are_copies(newest: Group, others: Sequence[Group]) -> bool:
    """Return whether every image of the other groups has the pixels of one of ``newest``."""
    frames = [frame for group in (newest, *others) for frame in group.frames]
    hashes: dict[Key, str] = {}
    for one in read_pixels(sorted(frames, key=lambda f: (f.source, f.number or 0))):
        if one.pixels is None:
            return False
        hashes[frame_key(one.frame)] = hashlib.sha256(one.pixels.tobytes()).hexdigest()
    at = {_only_position(frame): hashes[frame_key(frame)] for frame in newest.frames}
    return all(
        at.get(_only_position(frame)) == hashes[frame_key(frame)]
        for group in others
        for frame in group.frames
    )


def _only_position(frame: Frame) -> tuple[float, ...]:
    return tuple(round(value, 1) for value in frame.position_mm)
