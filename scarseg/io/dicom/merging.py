"""Join series that hold one image each of one stack.

Some scanners give every slice a series of its own, some exporters even a study of its own. Images
are joined by likeness alone; repeats, gaps and kinds then apply as in any series.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from scarseg.io.dicom.geometry import FEW_SLICES, cluster_orientations, positions_mm
from scarseg.io.dicom.headers import ImageFile, name_key
from scarseg.io.dicom.kinds import resolve_kind
from scarseg.io.dicom.series_words import split_words
from scarseg.io.dicom.types import ImageKind

_REPEAT_WORDS = frozenset(("repeat", "rep", "again", "bis", "wdh", "wiederholung"))


def merge_single_slices(series: Sequence[Sequence[ImageFile]]) -> list[list[ImageFile]]:
    """Join the series that hold one image each of one stack; return the others as they are.

    The files of a joined stack carry the series and study UID of its first slice by position, and
    their own series UID in ``own_series_uid``.
    """
    singles: defaultdict[Hashable, list[ImageFile]] = defaultdict(list)
    of_study = Counter(image.study_uid for files in series for image in files)
    for files in series:
        if len(files) == 1 and _may_join(files[0]):
            singles[likeness(files[0])].append(files[0])
    joined: list[list[ImageFile]] = []
    for alike in singles.values():
        for members in _by_study(alike, of_study):
            for frame_of_reference in _by_frame_of_reference(members):
                joined += _stacks_of(frame_of_reference)
    taken = {image.source for files in joined for image in files}
    rest = [list(files) for files in series if files[0].source not in taken]
    return sorted([*rest, *joined], key=lambda files: files[0].series_uid)


def _may_join(image: ImageFile) -> bool:
    return (
        image.error is None
        and not image.damage
        and len(image.frames) == 1
        and not image.frames[0].damage
        and image.modality == "MR"
        and image.frames[0].thickness_mm is not None
        and _kind(image) in (ImageKind.MAGNITUDE, ImageKind.PSIR)
    )


def _kind(image: ImageFile) -> ImageKind:
    return image.kind or resolve_kind({image.kind}, image.description)


def likeness(image: ImageFile) -> tuple[tuple[str, Hashable], ...]:
    """Return what all slices of a stack share, by name; descriptions but for their numbers."""
    frame = image.frames[0]
    return (
        ("patient", (image.patient_id.strip(), name_key(image.patient_name))),
        ("study date", image.study_date),
        ("kind", (_kind(image).value, frame.derived)),
        ("matrix", (frame.layout.rows, frame.layout.columns)),
        ("pixel spacing", frame.spacing_mm),
        ("thickness", frame.thickness_mm),
        ("description", _words(image.description)),
    )


def _words(text: str) -> tuple[str, ...]:
    words = {word.casefold() for word in split_words(text)}
    return tuple(sorted(w for w in words - _REPEAT_WORDS if not w.isdecimal()))


def _by_study(alike: Sequence[ImageFile], of_study: Counter[str]) -> list[list[ImageFile]]:
    """Group by study, unless every image came as a study of its own: then the UIDs say nothing."""
    if len(alike) >= FEW_SLICES and all(of_study[image.study_uid] == 1 for image in alike):
        return [list(alike)]
    return _grouped((image.study_uid, image) for image in alike)


def _by_frame_of_reference(alike: Sequence[ImageFile]) -> list[list[ImageFile]]:
    """Group by frame of reference, unless all differ: then an exporter made them up."""
    known = {image.frame_of_reference for image in alike} - {""}
    if len(known) <= 1 or (len(known) == len(alike) and len(alike) >= FEW_SLICES):
        return [list(alike)]
    return _grouped((image.frame_of_reference, image) for image in alike)


def _grouped(keyed: Iterable[tuple[str, ImageFile]]) -> list[list[ImageFile]]:
    groups: defaultdict[str, list[ImageFile]] = defaultdict(list)
    for key, image in keyed:
        groups[key].append(image)
    return list(groups.values())


def _stacks_of(alike: Sequence[ImageFile]) -> list[list[ImageFile]]:
    """Join the images of each orientation, if they lie at three positions or more."""
    by_sop = {image.sop_uid: image for image in alike}
    stacks = []
    for plane in cluster_orientations([image.frames[0] for image in alike]):
        along = positions_mm(plane)
        if len({round(float(z), 1) for z in along}) < FEW_SLICES:
            continue
        slices = [by_sop[plane[i].sop_uid] for i in np.argsort(along, kind="stable")]
        first = slices[0]
        own_studies = len({image.study_uid for image in slices}) > 1
        stacks.append(
            [
                replace(
                    image,
                    series_uid=first.series_uid,
                    study_uid=first.study_uid,
                    own_series_uid=image.series_uid,
                    own_study=own_studies,
                )
                for image in slices
            ]
        )
    return stacks
