"""Which stack a mask made elsewhere belongs to: by what it refers to, its name, or where it lies.

In this order: images that a DICOM Segmentation refers to; a series UID in the file's name; a
patient ID, or the name of the folder of the images, in the file's name; where the labels lie.
Whatever spoke for a stack, the mask must lie on its grid. A magnitude and a PSIR stack share their
grid: of several that fit, the one that is proposed is taken.

Refused: E_MASK_UNMATCHED (nothing fits), E_MASK_AMBIGUOUS (several do, or two masks fit one stack),
and what :func:`scarseg.io.masks.read_rereading.read_mask` refuses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from scarseg.case.labels import Label
from scarseg.case.stack import SliceSource, Stack
from scarseg.errors import InputError, ScarsegError
from scarseg.io.dicom.types import StackSummary
from scarseg.io.files import safe_name
from scarseg.io.masks.nifti import REMOTE_SUFFIX
from scarseg.io.masks.read import SEGMENTATIONS, read_mask
from scarseg.progress import Progress, silent

MASK_SUFFIXES = (".seg.dcm", ".nii.gz", ".nii", ".dcm")
_NIFTI = (".nii.gz", ".nii")
_ELSEWHERE = ("E_MASK_GEOMETRY", "E_MASK_STUDY")
"""Refusals that speak of one stack; the others are the mask's own."""
_SHORTEST_NAME = 2
"""Shorter IDs and folder names are in too many file names to mean anything."""


class MaskSource(StrEnum):
    """Format of a mask; tables name it as the source of the labels."""

    NIFTI = "from_nifti"
    SEGMENTATION = "from_dicom_seg"


class MatchEvidence(StrEnum):
    """Why a mask belongs to a stack."""

    REFERENCE = "the images it refers to"
    UID = "the series UID in its name"
    NAME = "its name"
    PLACE = "where it lies"


@dataclass(frozen=True)
class MaskFile:
    """A file of labels; ``references`` are the UIDs of series and images it names."""

    path: Path
    kind: MaskSource
    references: frozenset[str] = frozenset()

    @property
    def stem(self) -> str:
        """Name of the file without its suffix, .nii.gz as one."""
        name = self.path.name
        ending = next((one for one in MASK_SUFFIXES if name.lower().endswith(one)), "")
        return name[: len(name) - len(ending)]


@dataclass(frozen=True)
class MaskMatch:
    """A mask with its stack."""

    mask: MaskFile
    summary: StackSummary
    evidence: MatchEvidence


@dataclass(frozen=True)
class UnmatchedMask:
    """A mask without a stack, and why. ``summary`` is the stack that spoke for itself, if any."""

    mask: MaskFile
    error: ScarsegError
    summary: StackSummary | None = None


@dataclass(frozen=True)
class MaskMatches:
    """``matches`` and ``unmatched`` in the order of the files; ``without`` are the stacks that
    would be measured but have no mask."""

    matches: tuple[MaskMatch, ...]
    unmatched: tuple[UnmatchedMask, ...]
    without: tuple[StackSummary, ...]


def find_masks(paths: Sequence[Path]) -> tuple[MaskFile, ...]:
    """Find label maps (NIfTI) and DICOM Segmentations: files, or below folders at any depth.

    Raises:
        InputError: E_INPUT_MISSING; E_MASK, a file that is neither; E_INPUT_EMPTY, none found.
    """
    found: dict[Path, MaskFile] = {}
    for path in paths:
        if path.is_dir():
            below = (mask for file in _files_below(path) if (mask := _mask_at(file)) is not None)
            found |= {mask.path: mask for mask in below}
            continue
        if not path.exists():
            raise InputError("E_INPUT_MISSING", f"{path} does not exist.", str(path))
        mask = _mask_at(path)
        if mask is None:
            raise InputError(
                "E_MASK", f"{path} is neither NIfTI nor a DICOM Segmentation.", str(path)
            )
        found[path] = mask
    if not found:
        raise InputError("E_INPUT_EMPTY", f"There is no mask in {paths[0]}.", str(paths[0]))
    return tuple(found.values())


def match_masks(
    masks: Sequence[MaskFile],
    stacks: Sequence[StackSummary],
    meaning: Mapping[int, Label] | None = None,
    progress: Progress = silent,
) -> MaskMatches:
    """Match every mask with its stack, or with the reason why it has none.

    Args:
        stacks: of a scan; those that are no MR images are left aside.
        meaning: see :func:`scarseg.io.masks.read_rereading.read_mask`.
        progress: called before every mask; may raise Cancelled.
    """
    known = [one for one in stacks if one.modality in ("MR", "")]
    matches: list[MaskMatch] = []
    unmatched: list[UnmatchedMask] = []
    for done, mask in enumerate(masks):
        progress(done / len(masks), f"Mask {done + 1} of {len(masks)}")
        found = _match(mask, known, meaning)
        if isinstance(found, MaskMatch):
            matches.append(found)
        else:
            unmatched.append(found)
    counted = Counter(id(one.summary) for one in matches)
    single = [one for one in matches if counted[id(one.summary)] == 1]
    unmatched += [
        UnmatchedMask(one.mask, _two_masks(one), one.summary)
        for one in matches
        if counted[id(one.summary)] > 1
    ]
    matched = {id(one.summary) for one in matches} | {id(one.summary) for one in unmatched}
    without = tuple(one for one in known if one.proposed and id(one) not in matched)
    return MaskMatches(tuple(single), tuple(unmatched), without)


def _match(
    mask: MaskFile, stacks: Sequence[StackSummary], meaning: Mapping[int, Label] | None
) -> MaskMatch | UnmatchedMask:
    evidence, candidates = _candidates(mask, stacks)
    fitting: list[StackSummary] = []
    refusal: ScarsegError | None = None
    for one in candidates:
        try:
            labels = read_mask(mask.path, geometry_only_stack(one), meaning).labels
        except InputError as error:
            refusal = refusal or error
            continue
        # Without a voxel it lies nowhere: only a name or a reference can place it.
        if labels.any() or evidence is not MatchEvidence.PLACE or len(candidates) == 1:
            fitting.append(one)
    if len(fitting) > 1:
        fitting = [one for one in fitting if one.proposed] or fitting
    if len(fitting) == 1:
        return MaskMatch(mask, fitting[0], evidence)
    if fitting:
        return UnmatchedMask(mask, _ambiguous(mask, fitting))
    if refusal is not None and (len(candidates) == 1 or refusal.code not in _ELSEWHERE):
        alone = candidates[0] if len(candidates) == 1 else None
        return UnmatchedMask(mask, refusal, alone)
    return UnmatchedMask(mask, _nothing_fits(mask, len(candidates)))


def _candidates(
    mask: MaskFile, stacks: Sequence[StackSummary]
) -> tuple[MatchEvidence, Sequence[StackSummary]]:
    """Return the stacks for which the strongest evidence speaks."""
    referred = [one for one in stacks if mask.references & _uids(one)]
    if referred:
        return MatchEvidence.REFERENCE, referred
    exact = [one for one in stacks if mask.stem in (one.stack_id, safe_name(one.stack_id))]
    named = exact or [one for one in stacks if _holds(mask.stem, one.series_uid)]
    if named:
        return MatchEvidence.UID, named
    known = [one for one in stacks if any(_holds(mask.stem, name) for name in _names(one))]
    return (MatchEvidence.NAME, known) if known else (MatchEvidence.PLACE, stacks)


def _uids(one: StackSummary) -> set[str]:
    return {frame.sop_uid for frame in one.frames} | {one.series_uid, *one.merged}


def _names(one: StackSummary) -> set[str]:
    """Return what a mask of this stack may be called after: its patient and its folders."""
    folders = {Path(frame.source.path).parent.name for frame in one.frames}
    return {name for name in (one.patient_id, *folders) if len(name) >= _SHORTEST_NAME}


def _holds(text: str, name: str) -> bool:
    """Return whether a name occurs in a text, as a whole word or UID."""
    pattern = rf"(?<![\w.]){re.escape(name.replace('_', ' '))}(?![\w.])"
    return re.search(pattern, text.replace("_", " "), re.IGNORECASE) is not None


def geometry_only_stack(summary: StackSummary) -> Stack:
    """Return a stack with its geometry alone; all pixels are zero, none is read.

    A missing thickness is taken as the spacing: nothing is measured on it.
    """
    frames = [one for one in summary.frames if not one.damage]
    shape = (len(frames), summary.rows, summary.columns)
    return Stack(
        pixels=np.zeros(shape, dtype=np.float32),
        pixel_spacing_mm=summary.pixel_spacing_mm,
        slice_thickness_mm=summary.slice_thickness_mm or summary.slice_spacing_mm or 1.0,
        orientation=summary.orientation,
        origins_mm=tuple(one.position_mm for one in frames),
        sources=tuple(SliceSource(one.sop_uid, one.number) for one in frames),
        series_uid=summary.series_uid,
        study_uid=summary.study_uid,
        part=summary.part,
    )


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = path.name.startswith(".") or path.name.endswith(REMOTE_SUFFIX)
        if path.is_file() and not hidden:
            yield path


def _mask_at(path: Path) -> MaskFile | None:
    """Return the mask at a path, a label map by its name, a segmentation by its header; or None."""
    if path.name.lower().endswith(_NIFTI):
        return MaskFile(path, MaskSource.NIFTI)
    try:
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                return None
        header = dcmread(path, stop_before_pixels=True)
        if header.get("SOPClassUID") not in SEGMENTATIONS:
            return None
    except Exception:  # noqa: BLE001 - a damaged element raises anything
        return None
    try:
        references = frozenset(_references(header))
    except Exception:  # noqa: BLE001 - read_mask says what is wrong with it
        references = frozenset()
    return MaskFile(path, MaskSource.SEGMENTATION, references)


def _references(header: Dataset) -> Iterator[str]:
    for series in header.get("ReferencedSeriesSequence", ()):
        if "SeriesInstanceUID" in series:
            yield str(series.SeriesInstanceUID)
        for image in series.get("ReferencedInstanceSequence", ()):
            yield str(image.ReferencedSOPInstanceUID)


def _two_masks(match: MaskMatch) -> InputError:
    return InputError(
        "E_MASK_AMBIGUOUS",
        f"Several masks belong to series {match.summary.stack_id}; measure them one by one.",
        str(match.mask.path),
    )


def _ambiguous(mask: MaskFile, fitting: Sequence[StackSummary]) -> InputError:
    listed = ", ".join(one.stack_id for one in fitting[:5])
    return InputError(
        "E_MASK_AMBIGUOUS",
        f"{mask.path} fits {len(fitting)} stacks ({listed}); name it by the series UID, or choose"
        " with --series.",
        str(mask.path),
    )


def _nothing_fits(mask: MaskFile, n: int) -> InputError:
    stacks = "1 stack" if n == 1 else f"{n} stacks"
    return InputError(
        "E_MASK_UNMATCHED", f"{mask.path} fits none of the {stacks} of images.", str(mask.path)
    )


def select_series(stacks: Sequence[StackSummary], series: Sequence[str]) -> list[StackSummary]:
    """Return the stacks of these series, by UID or stack id; all when none is asked for.

    They count as proposed, so that of two that fit the one asked for is taken.

    Raises:
        InputError: E_SERIES, no such series.
    """
    if not series:
        return list(stacks)
    kept = []
    for wanted in dict.fromkeys(series):
        found = [one for one in stacks if wanted in (one.stack_id, one.series_uid, *one.merged)]
        if not found:
            raise InputError("E_SERIES", f"There is no series {wanted} here.")
        kept += [replace(one, proposed=True) for one in found if one not in kept]
    return kept
