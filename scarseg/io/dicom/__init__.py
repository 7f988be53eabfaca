"""Read DICOM: ``scan`` lists the stacks in folders, files, zips and DICOMDIRs from their headers,
``read_stack`` reads the pixels of one. Source files are never written.

What cannot be measured is refused: E_SPACING, E_GEOMETRY (position, orientation), E_THICKNESS,
E_RESCALE, E_HEADER (no UIDs or size), E_TRUNCATED (cut before its series UID), E_DUPLICATE,
E_IMAGE_KINDS (magnitude and real images that nothing distinguishes), E_DECODE, E_SOURCE_CHANGED,
E_LIMIT, E_ARCHIVE, E_INPUT_MISSING, E_INPUT_EMPTY, E_INPUT_UNREADABLE. One bad file refuses the
images of its kind in the whole series; leaving only it out would make the mass smaller in silence.

What a reader has to check comes with a warning. Incomplete: W_GAP_IRREGULAR, W_SLICE_DAMAGED,
W_SPLIT_OFF, W_UNREAD, W_ONE_FILE, W_INCOMPLETE. Geometry: W_GAP, W_OVERLAP (spacing against
thickness), W_SPACING_HEADER, W_FEW_SLICES, W_TILT, W_THICKNESS (has to be given). Identity:
W_SPLIT, W_MERGED, W_UIDS, W_REPEAT, W_PATIENT, W_NOT_LGE, W_NOT_MR. Intensities: W_SIGNED, W_LOSSY,
W_INTENSITY (a blank slice, or one of another scale or photometric interpretation).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from scarseg.case.stack import LgeSequence, LoadWarning, SliceSource, Stack
from scarseg.errors import GeometryError, InputError, ScarsegError
from scarseg.io.dicom.frames import THICKNESS_MM
from scarseg.io.dicom.geometry import geometry_warnings, spacing_is_regular
from scarseg.io.dicom.headers import ImageFile, NotAnImageError, read_image
from scarseg.io.dicom.image_kinds import NEGATIVE_SHARE, frame_key
from scarseg.io.dicom.lge_series import LgeEvidence, propose
from scarseg.io.dicom.load_warnings import (
    BY_SYNTAX,
    damage_warning,
    frame_name,
    intensity_warnings,
    lossy_warning,
    signed_warning,
)
from scarseg.io.dicom.neighbours import LostFile
from scarseg.io.dicom.parser import NotDicomError, read_header
from scarseg.io.dicom.pixel_data.pixels import FramePixels, read_pixels
from scarseg.io.dicom.series import assemble_stacks
from scarseg.io.dicom.sources.checksums import listed_checksum
from scarseg.io.dicom.sources.file_classes import (
    DAMAGED_DICOM,
    START_BYTES,
    classify,
    describe_skipped,
)
from scarseg.io.dicom.sources.inputs import (
    Source,
    SourceReader,
    find_sources,
    modified_ns,
    printable_name,
)
from scarseg.io.dicom.types import ImageKind, LoadReport, Refusal, StackSummary
from scarseg.progress import Progress, silent

__all__ = ["ImageKind", "LoadReport", "Refusal", "StackSummary", "read_stack", "scan"]

_MAX_SIBLINGS = 2000
_log = logging.getLogger(__name__)


def scan(inputs: Sequence[Path], progress: Progress = silent) -> LoadReport:
    """List the stacks in the inputs from their headers.

    Args:
        inputs: folders (searched to any depth), files, zips, DICOMDIRs.
        progress: called for every file; may cancel.

    Raises:
        InputError: ``E_INPUT_MISSING``, ``E_INPUT_EMPTY`` or ``E_INPUT_UNREADABLE`` when nothing
            could be read. Inputs without MR give a report without MR stacks.
    """
    found = find_sources(inputs, progress)
    refused = [_refusal(fault, "") for fault in found.faults]
    images: list[ImageFile] = []
    lost: list[LostFile] = []
    skipped = Counter(found.skipped)
    with SourceReader() as reader:
        for index, source in enumerate(found.sources):
            progress(index / len(found.sources), f"Reading header {index + 1}")
            try:
                images.append(_read_one(reader, source))
            except NotDicomError:
                kind = _class_of(reader, source)
                skipped[kind] += 1
                if kind == DAMAGED_DICOM:
                    lost.append(LostFile(source, "no image was found in it"))
            except NotAnImageError as error:
                skipped[str(error)] += 1
                if error.reason and error.series_uid:
                    lost.append(LostFile(source, error.reason, error.series_uid))
            except ScarsegError as error:
                refused.append(_refusal(error, source.name))
                if error.code in ("E_TRUNCATED", "E_HEADER"):
                    lost.append(LostFile(source, error.message.rstrip(".")))
    assembled = assemble_stacks(images, lost)
    assembled.stacks = _with_siblings(inputs, assembled.stacks)
    refused += assembled.refused
    proposed = propose(assembled.stacks, {refusal.study_uid for refusal in refused})
    stacks = sorted(proposed, key=_place)
    notes = list(assembled.notes)
    if skipped:
        notes.append(f"Skipped: {describe_skipped(skipped)}.")
    _log.info("%d stacks, %d refused, %d skipped", len(stacks), len(refused), skipped.total())
    progress(1.0, "Headers read")
    return LoadReport(
        tuple(stacks), tuple(refused), skipped.total(), tuple(notes), dict(sorted(skipped.items()))
    )


def _class_of(reader: SourceReader, source: Source) -> str:
    try:
        with reader.open(source) as (stream, _):
            return classify(source.file_name, stream.read(START_BYTES))
    except ScarsegError:
        return "unknown"


def _read_one(reader: SourceReader, source: Source) -> ImageFile:
    with reader.open(source) as (stream, size):
        header = read_header(stream, size)
        if header.pixel_offset >= 0:
            header.listed_checksum = listed_checksum(stream, size, modified_ns(source))
    return read_image(header, source)


def _series_of(reader: SourceReader, source: Source) -> str:
    with reader.open(source) as (stream, size):
        return read_image(read_header(stream, size), source).series_uid


def _with_siblings(
    inputs: Sequence[Path], stacks: Sequence[tuple[StackSummary, LgeEvidence]]
) -> list[tuple[StackSummary, LgeEvidence]]:
    """Mark stacks of single files whose folder holds more of their series."""
    given = {Path(path) for path in inputs if Path(path).is_file()}
    folders = {path.parent for path in given}
    if not given:
        return list(stacks)
    counts: Counter[str] = Counter()
    with SourceReader() as reader:
        for folder in folders:
            for path in sorted(folder.iterdir())[:_MAX_SIBLINGS]:
                if path in given or not path.is_file():
                    continue
                try:
                    counts[_series_of(reader, Source(path))] += 1
                except (NotDicomError, NotAnImageError, ScarsegError):
                    continue
    return [(_one_of_more(stack, given, counts), evidence) for stack, evidence in stacks]


def _one_of_more(
    stack: StackSummary, given: Collection[Path], counts: Mapping[str, int]
) -> StackSummary:
    n = counts.get(stack.series_uid, 0)
    if not n or not all(frame.source.path in given for frame in stack.frames):
        return stack
    text = (
        f"The folder of this file holds {n} more image{'s' if n > 1 else ''} of its series; open "
        "the folder. The mass is incomplete."
    )
    warnings = (*stack.warnings, LoadWarning("W_ONE_FILE", text))
    return replace(stack, complete=False, warnings=warnings)


def _refusal(error: ScarsegError, name: str) -> Refusal:
    return Refusal(printable_name(error.path or name), error.code, printable_name(error.message))


def _place(stack: StackSummary) -> tuple[object, ...]:
    return (
        stack.patient_id,
        stack.study_uid,
        stack.series_number if stack.series_number is not None else -1,
        stack.series_uid,
        stack.part,
    )


def read_stack(
    summary: StackSummary,
    slice_thickness_mm: float | None = None,
    progress: Progress = silent,
) -> Stack:
    """Read the pixels of a stack found by ``scan``.

    Slices that cannot be decoded are left out, named in a ``W_SLICE_DAMAGED`` warning, and make
    the stack incomplete.

    Args:
        summary: from ``scan``.
        slice_thickness_mm: used, and recorded as given by the user, only where the headers
            hold no thickness.
        progress: called for every slice; may cancel.

    Raises:
        GeometryError: ``E_THICKNESS``: the headers hold no thickness and none is given.
        InputError: ``E_DECODE``: no slice could be decoded; ``E_IMAGE_KINDS``: magnitude and real
            images in one stack; ``E_SOURCE_CHANGED``: a file is another one than ``scan`` listed.
    """
    thickness = _thickness(summary, slice_thickness_mm)
    read: dict[tuple[str, int], FramePixels] = {}
    by_file = sorted(summary.frames, key=lambda f: (f.source, f.number or 0))
    for result in read_pixels(by_file):
        progress(len(read) / len(by_file), f"Reading slice {len(read) + 1}")
        read[frame_key(result.frame)] = result
    changed = [result.frame for result in read.values() if result.changed]
    if changed:
        raise InputError(
            "E_SOURCE_CHANGED",
            f"{changed[0].source.file_name} is not the file that was listed; open the images "
            "again.",
            changed[0].source.name,
        )
    results = [read[frame_key(frame)] for frame in summary.frames]
    good = [result for result in results if result.pixels is not None]
    bad = [result for result in results if result.pixels is None]
    if not good:
        raise InputError(
            "E_DECODE",
            f"No slice could be read; of {frame_name(bad[0].frame)}, {bad[0].damage}.",
            bad[0].frame.source.name,
        )
    pixels = np.stack([result.pixels for result in good if result.pixels is not None])
    progress(1.0, "Pixels read")
    return _stack(summary, good, bad, pixels, thickness)


def _thickness(summary: StackSummary, given_mm: float | None) -> float:
    if summary.slice_thickness_mm is not None:
        return summary.slice_thickness_mm
    path = summary.frames[0].source.name
    if given_mm is None:
        raise GeometryError(
            "E_THICKNESS",
            f"SliceThickness is {summary.frames[0].thickness_text}; give it in mm.",
            path,
        )
    low, high = THICKNESS_MM
    if not low <= given_mm <= high:
        raise GeometryError("E_THICKNESS", f"A slice cannot be {given_mm} mm thick.", path)
    return float(given_mm)


def _stack(
    summary: StackSummary,
    good: Sequence[FramePixels],
    bad: Sequence[FramePixels],
    pixels: np.ndarray,
    thickness: float,
) -> Stack:
    frames = [result.frame for result in good]
    sequence, more = _sequence(summary, good)
    intensities = intensity_warnings(frames, pixels)
    warnings = (*_warnings(summary, good, bad, thickness), *more, *intensities)
    return Stack(
        pixels=pixels,
        pixel_spacing_mm=summary.pixel_spacing_mm,
        slice_thickness_mm=thickness,
        orientation=summary.orientation,
        origins_mm=tuple(frame.position_mm for frame in frames),
        sources=tuple(
            SliceSource(
                result.frame.sop_uid,
                result.frame.number,
                result.frame.instance_number,
                result.sha256,
            )
            for result in good
        ),
        series_uid=summary.series_uid,
        study_uid=summary.study_uid,
        sequence=sequence,
        description=summary.description,
        patient_id=summary.patient_id,
        patient_name=summary.patient_name,
        study_date=summary.study_date,
        thickness_from_user=summary.slice_thickness_mm is None,
        spacing_between_slices_mm=summary.spacing_between_slices_mm,
        complete=summary.complete and not bad and spacing_is_regular(frames),
        part=summary.part,
        warnings=warnings,
        series_number=summary.series_number,
        manufacturer=summary.manufacturer,
        model_name=summary.model_name,
        field_strength_t=summary.field_strength_t,
        patient=summary.patient,
        input_path=summary.input_path,
    )


def _sequence(
    summary: StackSummary, good: Sequence[FramePixels]
) -> tuple[LgeSequence, tuple[LoadWarning, ...]]:
    """Return PSIR for signed pixels even where the headers never say so.

    Raises:
        InputError: ``E_IMAGE_KINDS``: some slices are signed and others are not.
    """
    if summary.sequence is LgeSequence.PSIR or summary.kind is not ImageKind.MAGNITUDE:
        return summary.sequence, ()
    if summary.modality != "MR":
        return summary.sequence, ()
    shares = [one.negative_share for one in good]
    signed = sum(share >= NEGATIVE_SHARE for share in shares)
    unsigned = sum(share == 0 for share in shares)
    if signed and unsigned and all(one.frame.kind is None for one in good):
        raise InputError(
            "E_IMAGE_KINDS",
            f"{signed} slices hold values below zero, {unsigned} do not: magnitude and real "
            "images in one stack.",
            good[0].frame.source.name,
        )
    share = sum(shares) / len(shares)
    if share <= NEGATIVE_SHARE:
        return summary.sequence, ()
    return LgeSequence.PSIR, (signed_warning(share),)


def _warnings(
    summary: StackSummary,
    good: Sequence[FramePixels],
    bad: Sequence[FramePixels],
    thickness: float,
) -> tuple[LoadWarning, ...]:
    """Return the warnings, corrected by what the pixels show: lost slices, compression."""
    frames = [result.frame for result in good]
    before = geometry_warnings(summary.frames, summary.slice_thickness_mm)
    kept = [w for w in summary.warnings if w not in before and w.code != "W_THICKNESS"]
    now = [*geometry_warnings(frames, thickness), *kept]
    # The transfer syntax only allows for loss; the code streams show it.
    now = [warning for warning in now if warning != lossy_warning(BY_SYNTAX)]
    losses = sorted({result.loss for result in good if result.loss})
    if losses and not any(warning.code == "W_LOSSY" for warning in now):
        now.append(lossy_warning("; ".join(losses)))
    if bad:
        now.append(damage_warning([frame_name(r.frame) for r in bad], bad[0].damage))
    return tuple(now)
