"""Image files -> stack summaries: duplicates, refusals, splits and warnings of every series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scarseg.case.patient import Patient
from scarseg.case.stack import LgeSequence, LoadWarning
from scarseg.errors import LimitError
from scarseg.io.dicom.duplicates import drop_duplicates
from scarseg.io.dicom.geometry import (
    geometry_warnings,
    measured_spacing_mm,
    orientation_of,
    spacing_is_regular,
)
from scarseg.io.dicom.headers import (
    ImageFile,
    Owner,
    contradictory_ids,
    group_owners,
    owners_sentence,
    same_patients,
)
from scarseg.io.dicom.image_kinds import are_copies, decide_kinds, frame_key
from scarseg.io.dicom.kinds import resolve_kind
from scarseg.io.dicom.lge_series import LgeEvidence
from scarseg.io.dicom.load_warnings import damage_warning, frame_name, header_warnings
from scarseg.io.dicom.merging import merge_single_slices
from scarseg.io.dicom.neighbours import LostFile, mark_incomplete
from scarseg.io.dicom.sorting import (
    Group,
    name_parts,
    split_series,
)
from scarseg.io.dicom.sources.inputs import Source
from scarseg.io.dicom.types import Frame, ImageKind, Refusal, StackSummary

MAX_STACK_BYTES = 2 * 2**30


@dataclass
class AssembledStacks:
    """Stacks with what speaks for them, and what was refused.

    ``undecoded`` are stacks of which no slice can be read.
    """

    stacks: list[tuple[StackSummary, LgeEvidence]] = field(default_factory=list)
    undecoded: list[StackSummary] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def assemble_stacks(images: Sequence[ImageFile], lost: Sequence[LostFile] = ()) -> AssembledStacks:
    """Build the stacks of the image files of a scan.

    Args:
        images: what the headers hold.
        lost: files that are no image, or cannot be read far enough, and may belong to a stack.
    """
    result = AssembledStacks()
    ordered = sorted(images, key=lambda image: image.source)
    kept, notes = drop_duplicates(ordered)
    result.notes += notes
    by_series: defaultdict[str, list[ImageFile]] = defaultdict(list)
    for image in kept:
        by_series[image.series_uid].append(image)
    contradictions = contradictory_ids(image.patient for image in kept)
    for files in merge_single_slices([by_series[uid] for uid in sorted(by_series)]):
        _assemble_series(files, contradictions, result)
    patients = same_patients(stack.patient for stack, _ in result.stacks)
    result.stacks = [
        (replace(stack, patient=patients[stack.patient]), facts) for stack, facts in result.stacks
    ]
    marked = mark_incomplete([stack for stack, _ in result.stacks], lost, result.undecoded)
    evidence = [facts for _, facts in result.stacks]
    result.stacks = list(zip(marked, evidence, strict=True))
    return result


def _assemble_series(
    images: Sequence[ImageFile], contradictions: Mapping[str, str], result: AssembledStacks
) -> None:
    """Split one series UID by patient, study and modality, then by everything else."""
    owners = group_owners(images)
    groups: list[tuple[Owner, Group, list[ImageFile]]] = []
    for number, owner in enumerate(sorted(owners), 1):
        by_modality: defaultdict[str, list[ImageFile]] = defaultdict(list)
        for image in owners[owner]:
            by_modality[image.modality].append(image)
        for modality, files in sorted(by_modality.items()):
            for group in _groups_of(files, result):
                labels = [("patient", f"p{number}")] if len(owners) > 1 else []
                labels += [("modality", modality.lower())] if len(by_modality) > 1 else []
                named = replace(group, labels=(*labels, *group.labels))
                groups.append((owner, named, files))
    parts = name_parts([group for _, group, _ in groups])
    for (owner, group, files), part in zip(groups, parts, strict=True):
        patient = owner[0]
        wrong = contradictions.get(patient.patient_id, "")
        if len(owners) > 1:
            wrong = owners_sentence(owners)
        _summarize(group, files, patient, part, len(groups), wrong, result)


def _groups_of(images: Sequence[ImageFile], result: AssembledStacks) -> list[Group]:
    """Split the images into stacks; refuse what cannot be measured."""
    stated = {image.kind for image in images}
    kinds = {i.source: i.kind or resolve_kind(stated, i.description) for i in images}
    refused = _refuse(images, kinds, result)
    kept = [image for image in images if kinds[image.source] not in refused]
    frames = [frame for image in kept for frame in image.frames]
    if not frames:
        if not refused:
            first = min(image.source.name for image in images)
            message = f"No file of the series can be read: {images[0].damage}."
            result.refused.append(_refusal(images[0], first, "E_DECODE", message))
        return []
    decided = decide_kinds(frames)
    owner = {frame.sop_uid: image for image in kept for frame in image.frames}
    for mixed, text in decided.mixed:
        _refuse_kinds(owner[mixed[0].sop_uid], mixed, text, result)
    refused_frames = {frame_key(frame) for mixed, _ in decided.mixed for frame in mixed}
    rest = [frame for frame in frames if frame_key(frame) not in refused_frames]
    if not rest:
        return []
    groups = [
        replace(group, negative_share=decided.negative_share)
        if group.kind is ImageKind.PSIR and group.frames[0].kind is None
        else group
        for group in split_series(rest, lambda frame: decided.of[frame_key(frame)])
    ]
    return _without_copies(groups, owner, result)


def _without_copies(
    groups: Sequence[Group], owner: Mapping[str, ImageFile], result: AssembledStacks
) -> list[Group]:
    """Remove copies; refuse repeats that nothing distinguishes."""
    kept: list[Group] = []
    families: defaultdict[object, list[Group]] = defaultdict(list)
    for group in groups:
        if group.distinguishable:
            kept.append(group)
        else:
            families[group.labels[:-1]].append(group)
    for family in families.values():
        newest, *others = sorted(family, key=lambda group: group.rank)
        n = sum(len(group.frames) for group in others)
        if are_copies(newest, others):
            kept.append(replace(newest, labels=newest.labels[:-1], repeat=1, rank=0))
            result.notes.append(f"{n} images are there again under other UIDs; dropped.")
            continue
        frames = [frame for group in family for frame in group.frames]
        text = (
            f"Up to {newest.repeat} images lie at one position, {len(frames)} at "
            f"{len(newest.frames)}, and nothing tells them apart (same type, times and "
            "acquisition): they may be magnitude and real images."
        )
        _refuse_kinds(owner[frames[0].sop_uid], frames, text, result)
    return kept


def _refuse_kinds(
    image: ImageFile, frames: Sequence[Frame], text: str, result: AssembledStacks
) -> None:
    path = min(frame.source.name for frame in frames)
    result.refused.append(_refusal(image, path, "E_IMAGE_KINDS", text))


def _refusal(image: ImageFile, path: str, code: str, message: str) -> Refusal:
    """Return the refusal of an image's series, with its study and patient."""
    owner = (image.series_uid, image.study_uid, image.patient_id, image.study_date)
    return Refusal(path, code, message, *owner)


def _refuse(
    images: Sequence[ImageFile], kinds: Mapping[Source, ImageKind], result: AssembledStacks
) -> set[ImageKind]:
    """Refuse, for every kind of image in the series, all of it where one file is refused.

    Leaving out only the bad file would give a smaller mass without a word.
    """
    by_code: defaultdict[tuple[ImageKind, str], list[ImageFile]] = defaultdict(list)
    for image in images:
        if image.error is not None:
            by_code[(kinds[image.source], image.error.code)].append(image)
    for (kind, code), bad in sorted(by_code.items()):
        error = bad[0].error
        assert error is not None
        total = sum(kinds[image.source] is kind for image in images)
        count = f" ({len(bad)} of {total} files of the series)" if total > 1 else ""
        message = error.message + count
        result.refused.append(_refusal(bad[0], bad[0].source.name, code, message))
    return {kind for kind, _ in by_code}


def _summarize(
    group: Group,
    files: Sequence[ImageFile],
    patient: Patient,
    part: str,
    n_parts: int,
    owners: str,
    result: AssembledStacks,
) -> None:
    good = tuple(frame for frame in group.frames if not frame.damage)
    damaged = [frame for frame in group.frames if frame.damage]
    first = next(f for f in files if f.sop_uid == group.frames[0].sop_uid)
    path = group.frames[0].source.name
    if not good:
        message = f"No slice can be read; of the first, {damaged[0].damage}."
        result.refused.append(_refusal(first, path, "E_DECODE", message))
        every = _summary(group, group.frames, (), files, first, patient, part, n_parts, owners)
        result.undecoded.append(every)
        return
    layout = good[0].layout
    needed = len(good) * layout.rows * layout.columns * 4
    if needed > MAX_STACK_BYTES:
        error = LimitError("E_LIMIT", f"The stack needs {needed} bytes; at most 2 GB are read.")
        result.refused.append(_refusal(first, path, error.code, error.message))
        return
    result.stacks.append(
        (
            _summary(group, good, damaged, files, first, patient, part, n_parts, owners),
            _evidence(first, good, group),
        )
    )


def _summary(
    group: Group,
    good: tuple[Frame, ...],
    damaged: Sequence[Frame],
    files: Sequence[ImageFile],
    first: ImageFile,
    patient: Patient,
    part: str,
    n_parts: int,
    owners: str,
) -> StackSummary:
    cut = [image for image in files if image.damage]
    thickness = _thickness(good)
    warnings = list(geometry_warnings(good, thickness))
    if damaged:
        warnings.append(damage_warning([frame_name(f) for f in damaged], damaged[0].damage))
    if cut:
        names = [image.source.file_name for image in cut]
        warnings.append(damage_warning(names, cut[0].damage))
    warnings += header_warnings(group, good, first, thickness, n_parts, owners)
    complete = not damaged and not cut and spacing_is_regular(good)
    missing = _missing_parts([f for f in files if f.concatenation is not None])
    if missing:
        warnings.append(LoadWarning("W_INCOMPLETE", missing))
    by_sop = {image.sop_uid: image for image in files}
    own_series = tuple(by_sop[frame.sop_uid].own_series_uid for frame in good)
    frame = good[0]
    return StackSummary(
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        part=part,
        description=first.description,
        sequence=LgeSequence.PSIR if group.kind is ImageKind.PSIR else LgeSequence.MAGNITUDE,
        n_slices=len(good),
        rows=frame.layout.rows,
        columns=frame.layout.columns,
        pixel_spacing_mm=frame.spacing_mm,
        slice_thickness_mm=thickness,
        slice_spacing_mm=measured_spacing_mm(good),
        complete=complete and not missing,
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
        orientation=orientation_of(good),
        frames=good,
        merged=own_series if first.own_series_uid else (),
        rank=group.rank,
        manufacturer=first.manufacturer,
        model_name=first.model_name,
        field_strength_t=first.field_strength_t,
        patient=patient,
    )


def _missing_parts(parts: Sequence[ImageFile]) -> str:
    """Return the sentence that names parts of a concatenation that are not here, else empty."""
    by_uid: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for part in parts:
        assert part.concatenation is not None
        uid, number, total = part.concatenation
        by_uid[uid].append((number, total))
    for numbers in by_uid.values():
        here = {number for number, _ in numbers}
        total = max(*(total for _, total in numbers), *here, 0)
        missing = sorted(set(range(1, total + 1)) - here)
        if missing:
            return f"Part {min(here)} of {total} of a concatenation; part {missing[0]} is not here."
    return ""


def _thickness(frames: Iterable[Frame]) -> float | None:
    known = [frame.thickness_mm for frame in frames]
    return None if None in known else known[0]


def _evidence(first: ImageFile, good: Sequence[Frame], group: Group) -> LgeEvidence:
    return LgeEvidence(
        first.description,
        first.protocol,
        first.sequence_name,
        first.body_part,
        any(frame.inversion_ms is not None for frame in good),
        first.contrast,
        first.cardiac_images or 0,
        group.repeat,
    )
