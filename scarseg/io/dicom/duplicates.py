"""Drop images that are there twice; refuse those that only claim to be the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scarseg.errors import InputError, ScarsegError
from scarseg.io.dicom.headers import ImageFile
from scarseg.io.dicom.pixel_data.pixels import read_pixels
from scarseg.io.dicom.sources.inputs import Source, SourceReader
from scarseg.io.dicom.types import Frame

_ANY_SOURCE = Source(Path())


def drop_duplicates(images: Sequence[ImageFile]) -> tuple[list[ImageFile], list[str]]:
    """Return the images without copies, and notes on what was dropped.

    Files of one SOP Instance UID are copies if they are the same bytes, or have the same geometry,
    times and pixels; private elements, transfer syntax and what an archive stamps on a file do not
    count. Others carry the error ``E_DUPLICATE``.
    """
    by_sop: defaultdict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        by_sop[image.sop_uid].append(image)
    kept: list[ImageFile] = []
    files = received = 0
    with SourceReader() as reader:
        for same in by_sop.values():
            if len(same) == 1:
                kept += same
            elif _same_bytes(reader, same):
                kept.append(same[0])
                files += len(same) - 1
            elif not (difference := _difference(same)):
                kept.append(same[0])
                received += len(same) - 1
            else:
                kept += [_duplicate(image, same, difference) for image in same]
    notes = []
    if files:
        notes.append(f"{files} file{'s are' if files > 1 else ' is'} there twice; dropped.")
    if received:
        notes.append(
            f"{received} image{'s were' if received > 1 else ' was'} received twice; dropped."
        )
    return kept, notes


def _same_bytes(reader: SourceReader, same: Sequence[ImageFile]) -> bool:
    hashes = set()
    for image in same:
        digest = hashlib.sha256()
        try:
            with reader.open(image.source) as (stream, _):
                while block := stream.read(2**20):
                    digest.update(block)
        except ScarsegError:
            return False
        hashes.add(digest.digest())
    return len(hashes) == 1


def _difference(same: Sequence[ImageFile]) -> str:
    """Return in what images of one UID differ, empty where they are one image."""
    first = same[0]
    for other in same[1:]:
        if first.error or other.error or first.damage or other.damage:
            return "damage"
        if _owner(first) != _owner(other) or first.patient.differences(other.patient):
            return "series, study or patient"
        if len(first.frames) != len(other.frames):
            return "number of frames"
        for mine, theirs in zip(first.frames, other.frames, strict=True):
            if _essence(mine) != _essence(theirs):
                return "geometry or acquisition"
    arrays = [[one.pixels for one in read_pixels(image.frames)] for image in same]
    for mine, *others in zip(*arrays, strict=True):
        if mine is None or not all(o is not None and np.array_equal(mine, o) for o in others):
            return "pixels"
    return ""


def _owner(image: ImageFile) -> tuple[str, ...]:
    return (image.series_uid, image.study_uid, image.patient_id)


def _essence(frame: Frame) -> Frame:
    """Return a frame without what the storage of its file decides."""
    layout = replace(
        frame.layout,
        transfer_syntax="",
        offset=0,
        length=0,
        size=0,
        listed_checksum=0,
        frame_offsets=(),
    )
    return replace(frame, source=_ANY_SOURCE, layout=layout)


def _duplicate(image: ImageFile, same: Sequence[ImageFile], difference: str) -> ImageFile:
    other = next(one for one in same if one.source != image.source)
    return replace(
        image,
        error=InputError(
            "E_DUPLICATE",
            f"{len(same)} files carry one SOPInstanceUID with different contents ({difference}), "
            f"another is {other.source.file_name}.",
            image.source.name,
        ),
    )
