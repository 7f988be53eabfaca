"""Image files -> stack summaries: duplicates, refusals, splits and warnings of every series."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from scarseg.case.stack import LoadWarning
from scarseg.case.stack import Sequence as SequenceKind
from scarseg.errors import InputError, LimitError, ScarsegError
from scarseg.io.dicom.headers import ImageFile, resolve_kind, words_of
from scarseg.io.dicom.inputs import Source, SourceReader
from scarseg.io.dicom.lge_series import LgeEvidence, lge_evidence
from scarseg.io.dicom.sorting import (
    FEW_SLICES,
    ORIENTATION_TOLERANCE,
    RELATIVE_TOLERANCE,
    SAME_POSITION_MM,
    Group,
    cluster_frames,
    geometry_warnings,
    in_plane_drift_mm,
    label_patient,
    measured_spacing_mm,
    name_parts,
    positions_mm,
    spacing_is_regular,
    split_series,
)
from scarseg.io.dicom.types import Frame, ImageKind, Refusal, StackSummary

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
        tuple(tuple(sorted(w for w in words_of(text) if not w.isdecimal())) for text in texts),
    )


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


_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 81, 91, 203))


def damage_warning(names: Sequence[str], why: str) -> LoadWarning:
    """Name the slices that are left out because they cannot be read."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return LoadWarning("W_SLICE_DAMAGED", f"Left out {shown}: {why}; the mass is incomplete.")


def frame_name(frame: Frame) -> str:
    """Name a frame for a message: its file, and its number in a multi-frame file."""
    name = frame.source.file_name
    return name if frame.number is None else f"{name} frame {frame.number}"


def header_warnings(
    group: Group,
    good: Sequence[Frame],
    first: ImageFile,
    thickness: float | None,
    n_parts: int,
    shared: bool,
) -> list[LoadWarning]:
    """Say what else of a stack's headers a reader must know.

    Args:
        group: the stack as it was split out.
        good: its readable frames.
        first: a file of it.
        thickness: in mm, None where it has to be asked for.
        n_parts: how many stacks the series holds.
        shared: several patients or studies carry the series UID.
    """
    warnings: list[LoadWarning] = []
    if thickness is None:
        raw = next(frame.thickness_text for frame in good if frame.thickness_mm is None)
        warnings.append(
            LoadWarning("W_THICKNESS", f"SliceThickness is {raw}; it has to be given in mm.")
        )
    if shared:
        warnings.append(
            LoadWarning("W_PATIENT", "Several patients or studies share this series UID; split.")
        )
    if n_parts > 1:
        by = f", told apart by {group.repeated_by}" if group.repeated_by else ""
        warnings.append(
            LoadWarning("W_SPLIT", f"The series holds {n_parts} stacks{by}; this is one of them.")
        )
    if first.merged:
        warnings.append(
            LoadWarning(
                "W_MERGED",
                f"{len(first.merged)} series of one slice each make this stack; they are alike but "
                "for the position.",
            )
        )
    if group.ranked:
        warnings.append(_repeat_warning(group))
    if first.modality not in ("MR", ""):
        warnings.append(LoadWarning("W_NOT_MR", f"The modality is {first.modality}, not MR."))
    if first.lossy or good[0].layout.transfer_syntax in _LOSSY:
        warnings.append(
            LoadWarning("W_LOSSY", "The images were compressed with loss; thresholds may shift.")
        )
    return warnings


def _repeat_warning(group: Group) -> LoadWarning:
    if not group.distinguishable:
        return LoadWarning(
            "W_REPEAT",
            f"Positions were acquired up to {group.repeat} times and nothing in the headers tells "
            "the images apart; the stack may mix them.",
        )
    return LoadWarning(
        "W_REPEAT",
        f"Some positions were acquired up to {group.repeat} times; the newest of each make the "
        "first stack.",
    )


MAX_STACK_BYTES = 2 * 2**30


@dataclass
class AssembledStacks:
    """Stacks with what speaks for them, and what was refused."""

    stacks: list[tuple[StackSummary, LgeEvidence]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def assemble_stacks(images: Sequence[ImageFile]) -> AssembledStacks:
    """Turn the image files of a scan into stacks."""
    result = AssembledStacks()
    ordered = sorted(images, key=lambda image: image.source)
    kept = _without_duplicates(ordered, result)
    by_series: defaultdict[str, list[ImageFile]] = defaultdict(list)
    for image in kept:
        by_series[image.series_uid].append(image)
    for files in merge_single_slices([by_series[uid] for uid in sorted(by_series)]):
        _assemble_series(files, result)
    return result


def _without_duplicates(images: Sequence[ImageFile], result: AssembledStacks) -> list[ImageFile]:
    """Drop files that are there twice; mark those that only claim to be the same."""
    by_sop: defaultdict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        by_sop[image.sop_uid].append(image)
    kept: list[ImageFile] = []
    dropped = 0
    with SourceReader() as reader:
        for same in by_sop.values():
            if len(same) > 1:
                try:
                    contents = {_sha256(reader, image) for image in same}
                except ScarsegError:
                    contents = set()
                if len(contents) != 1:
                    same = [_duplicate(image, same) for image in same]
                dropped += len(same) - 1 if len(contents) == 1 else 0
                same = same[:1] if len(contents) == 1 else same
            kept += same
    if dropped:
        result.notes.append(
            f"{dropped} file{'s are' if dropped > 1 else ' is'} there twice; dropped."
        )
    return kept


def _duplicate(image: ImageFile, same: Sequence[ImageFile]) -> ImageFile:
    other = next(one for one in same if one.source != image.source)
    return replace(
        image,
        error=InputError(
            "E_DUPLICATE",
            f"{len(same)} files carry one SOPInstanceUID with different contents, another is "
            f"{other.source.file_name}.",
            image.source.name,
        ),
    )


def _sha256(reader: SourceReader, image: ImageFile) -> str:
    digest = hashlib.sha256()
    with reader.open(image.source) as (stream, _):
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _assemble_series(images: Sequence[ImageFile], result: AssembledStacks) -> None:
    """Split one series UID by patient and study, then by everything else."""
    owners: defaultdict[tuple[str, str], list[ImageFile]] = defaultdict(list)
    for image in images:
        owners[(image.patient_id or image.patient_name, image.study_uid)].append(image)
    groups: list[tuple[Group, list[ImageFile]]] = []
    for number, owner in enumerate(sorted(owners), 1):
        for group in _groups_of(owners[owner], result):
            marked = label_patient(group, f"p{number}") if len(owners) > 1 else group
            groups.append((marked, owners[owner]))
    parts = name_parts([group for group, _ in groups])
    shared = len(owners) > 1
    for (group, files), part in zip(groups, parts, strict=True):
        _summarize(group, files, part, len(groups), shared, result)


def _groups_of(images: Sequence[ImageFile], result: AssembledStacks) -> list[Group]:
    """Refuse what cannot be measured; split the rest."""
    decided = {image.kind for image in images}
    kinds = {i.source: i.kind or resolve_kind(decided, i.description) for i in images}
    refused = _refuse(images, kinds, result)
    kept = [image for image in images if kinds[image.source] not in refused]
    frames = [frame for image in kept for frame in image.frames]
    if not frames:
        if not refused:
            first = min(image.source.name for image in images)
            message = f"No file of the series can be read: {images[0].damage}."
            result.refused.append(_refusal(images[0], first, "E_DECODE", message))
        return []
    frame_kinds = {frame.kind for frame in frames}
    open_signs = {frame.layout.signed for frame in frames if frame.kind is None}

    def kind_of(frame: Frame) -> ImageKind:
        if frame.kind is not None:
            return frame.kind
        if len(open_signs) > 1:  # signed beside unsigned values: PSIR beside its magnitude
            return ImageKind.PSIR if frame.layout.signed else ImageKind.MAGNITUDE
        return resolve_kind(frame_kinds, frame.description)

    return split_series(frames, kind_of)


def _refusal(image: ImageFile, path: str, code: str, message: str) -> Refusal:
    """Refuse what ``image`` stands for, whose study and patient the refusal names."""
    owner = (image.series_uid, image.study_uid, image.patient_id, image.study_date)
    return Refusal(path, code, message, *owner)


def _refuse(
    images: Sequence[ImageFile], kinds: Mapping[Source, ImageKind], result: AssembledStacks
) -> set[ImageKind]:
    """Refuse, for every kind of image in the series, all of it where one file is refused.

    Leaving out only the bad file would give a smaller mass without a word.
    """
    by_verdict: defaultdict[tuple[ImageKind, str], list[ImageFile]] = defaultdict(list)
    for image in images:
        if image.error is not None:
            by_verdict[(kinds[image.source], image.error.code)].append(image)
    for (kind, code), bad in sorted(by_verdict.items()):
        error = bad[0].error
        assert error is not None
        total = sum(kinds[image.source] is kind for image in images)
        count = f" ({len(bad)} of {total} files of the series)" if total > 1 else ""
        message = error.message + count
        result.refused.append(_refusal(bad[0], bad[0].source.name, code, message))
    return {kind for kind, _ in by_verdict}


def _summarize(
    group: Group,
    files: Sequence[ImageFile],
    part: str,
    n_parts: int,
    shared: bool,
    result: AssembledStacks,
) -> None:
    good = tuple(frame for frame in group.frames if not frame.damage)
    damaged = [frame for frame in group.frames if frame.damage]
    first = next(f for f in files if f.sop_uid == group.frames[0].sop_uid)
    path = group.frames[0].source.name
    if not good:
        message = f"No slice can be read; of the first, {damaged[0].damage}."
        result.refused.append(_refusal(first, path, "E_DECODE", message))
        return
    layout = good[0].layout
    needed = len(good) * layout.rows * layout.columns * 4
    if needed > MAX_STACK_BYTES:
        error = LimitError("E_LIMIT", f"The stack needs {needed} bytes; at most 2 GB are read.")
        result.refused.append(_refusal(first, path, error.code, error.message))
        return
    cut = [image for image in files if image.damage]
    result.stacks.append(
        (
            _summary(group, good, damaged, cut, first, part, n_parts, shared),
            _evidence(first, good, group),
        )
    )


def _summary(
    group: Group,
    good: tuple[Frame, ...],
    damaged: Sequence[Frame],
    cut: Sequence[ImageFile],
    first: ImageFile,
    part: str,
    n_parts: int,
    shared: bool,
) -> StackSummary:
    thickness = _thickness(good)
    warnings = list(geometry_warnings(good, thickness))
    if damaged:
        warnings.append(damage_warning([frame_name(f) for f in damaged], damaged[0].damage))
    if cut:
        names = [image.source.file_name for image in cut]
        warnings.append(damage_warning(names, cut[0].damage))
    warnings += header_warnings(group, good, first, thickness, n_parts, shared)
    frame = good[0]
    return StackSummary(
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        part=part,
        description=first.description,
        sequence=SequenceKind.PSIR if group.kind is ImageKind.PSIR else SequenceKind.MAGNITUDE,
        n_slices=len(good),
        rows=frame.layout.rows,
        columns=frame.layout.columns,
        pixel_spacing_mm=frame.spacing_mm,
        slice_thickness_mm=thickness,
        slice_spacing_mm=measured_spacing_mm(good),
        complete=not damaged and not cut and spacing_is_regular(good) and group.distinguishable,
        warnings=tuple(warnings),
        proposed=False,
        reason="",
        patient_id=first.patient_id,
        patient_name=first.patient_name,
        study_date=first.study_date,
        modality=first.modality,
        kind=group.kind,
        series_number=first.series_number,
        spacing_between_slices_mm=frame.header_spacing_mm,
        orientation=frame.orientation,
        frames=good,
        merged=first.merged,
    )


def _thickness(frames: Iterable[Frame]) -> float | None:
    known = [frame.thickness_mm for frame in frames]
    return None if None in known else known[0]


def _evidence(first: ImageFile, good: Sequence[Frame], group: Group) -> LgeEvidence:
    return lge_evidence(
        (first.description, first.protocol, first.sequence_name),
        first.body_part,
        any(frame.inversion_ms is not None for frame in good),
        first.contrast,
        first.cardiac_images or 0,
        group.repeat,
    )
