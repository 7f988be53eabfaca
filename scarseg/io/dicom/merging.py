"""Join series that hold one slice each of one stack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scarseg.case.positions import SAME_POSITION_MM
from scarseg.io.dicom.geometry import (
    FEW_SLICES,
    RELATIVE_TOLERANCE,
    in_plane_drift_mm,
    positions_mm,
    spacing_is_regular,
)
from scarseg.io.dicom.headers import ImageFile
from scarseg.io.dicom.kinds import resolve_kind
from scarseg.io.dicom.series_words import split_words
from scarseg.io.dicom.sorting import (
    ORIENTATION_TOLERANCE,
    cluster_frames,
)
from scarseg.io.dicom.types import Frame, ImageKind

_DRIFT_MM = 0.5


def merge_single_slices(series: Sequence[Sequence[ImageFile]]) -> list[list[ImageFile]]:
    """Join the series that hold one slice each of one stack; the others come back as they are.

    The files of a joined stack carry the series UID of its first slice by position, and in
    ``merged`` the UIDs of all, base to apex.
    """
    result = [list(files) for files in series]
    alike: defaultdict[tuple[object, ...], list[ImageFile]] = defaultdict(list)
    for files in result:
        if len(files) == 1 and _may_join(files[0]):
            alike[_likeness(files[0])].append(files[0])
    for members in alike.values():
        by_sop = {image.sop_uid: image for image in members}
        frames = [image.frames[0] for image in members]
        for plane in cluster_frames(frames, lambda f: f.orientation, ORIENTATION_TOLERANCE):
            ordered = [plane[i] for i in np.argsort(positions_mm(plane), kind="stable")]
            if not _is_one_stack(ordered):
                continue
            slices = [by_sop[frame.sop_uid] for frame in ordered]
            uids = tuple(image.series_uid for image in slices)
            result = [files for files in result if files[0].series_uid not in uids]
            result.append([replace(image, series_uid=uids[0], merged=uids) for image in slices])
    return sorted(result, key=lambda files: files[0].series_uid)


def _may_join(image: ImageFile) -> bool:
    whole = image.error is None and not image.damage and len(image.frames) == 1
    return (
        whole
        and not image.frames[0].damage
        and image.modality == "MR"
        and bool(image.frame_of_reference)
        and image.frames[0].thickness_mm is not None
        and _kind(image) in (ImageKind.MAGNITUDE, ImageKind.PSIR)
    )


def _kind(image: ImageFile) -> ImageKind:
    return image.kind or resolve_kind({image.kind}, image.description)


def _likeness(image: ImageFile) -> tuple[object, ...]:
    """Give what all slices of a stack share exactly; descriptions but for their numbers."""
    frame = image.frames[0]
    texts = (image.description, image.protocol, image.sequence_name)
    return (
        (image.patient_id, image.patient_name, image.study_uid, image.frame_of_reference),
        (_kind(image), frame.derived, frame.layout.signed, frame.image_type),
        (frame.layout.rows, frame.layout.columns, frame.spacing_mm, frame.thickness_mm),
        tuple(_words(text) for text in texts),
    )


def _words(text: str) -> tuple[str, ...]:
    words = {word.casefold() for word in split_words(text)}
    return tuple(sorted(word for word in words if not word.isdecimal()))


def _is_one_stack(frames: Sequence[Frame]) -> bool:
    """Tell whether frames, in order, lie as the slices of one stack do."""
    if len(frames) < FEW_SLICES:
        return False
    gaps = np.diff(positions_mm(frames))
    thickness = frames[0].thickness_mm or 0.0
    return (
        float(gaps.min()) > max(SAME_POSITION_MM, (1 - RELATIVE_TOLERANCE) * thickness)
        and spacing_is_regular(frames)
        and in_plane_drift_mm(frames) <= _DRIFT_MM
    )
