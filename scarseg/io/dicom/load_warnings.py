"""Warnings that come with a stack, beside those about its geometry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scarseg.case.positions import SAME_POSITION_MM
from scarseg.case.stack import LoadWarning
from scarseg.io.dicom.headers import ImageFile
from scarseg.io.dicom.sorting import (
    Group,
)
from scarseg.io.dicom.types import Frame

OTHER_SCALE = 100.0
"""How many times the range of values of a slice may be larger, or smaller, than the typical one."""
_NAMED = 3
_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 81, 91, 203))


def damage_warning(names: Sequence[str], why: str) -> LoadWarning:
    """Return the warning that names slices left out because they cannot be read."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return LoadWarning("W_SLICE_DAMAGED", f"Left out {shown}: {why}; the mass is incomplete.")


def frame_name(frame: Frame) -> str:
    """Return the name of a frame for a message: its file, and its number in a multi-frame file."""
    name = frame.source.file_name
    return name if frame.number is None else f"{name} frame {frame.number}"


def header_warnings(
    group: Group,
    good: Sequence[Frame],
    first: ImageFile,
    thickness: float | None,
    n_parts: int,
    owners: str,
) -> list[LoadWarning]:
    """Return the warnings about a stack's headers, beside those about its geometry.

    Args:
        group: the stack as it was split out.
        good: its readable frames.
        first: a file of it.
        thickness: in mm, None where it has to be asked for.
        n_parts: how many stacks the series holds.
        owners: what is wrong with the patients of the series, empty where nothing is.
    """
    warnings: list[LoadWarning] = []
    if thickness is None:
        raw = next(frame.thickness_text for frame in good if frame.thickness_mm is None)
        warnings.append(
            LoadWarning("W_THICKNESS", f"SliceThickness is {raw}; it has to be given in mm.")
        )
    if owners:
        warnings.append(LoadWarning("W_PATIENT", owners))
    if n_parts > 1:
        by = f", told apart by {group.repeated_by}" if group.repeated_by else ""
        warnings.append(
            LoadWarning("W_SPLIT", f"The series holds {n_parts} stacks{by}; this is one of them.")
        )
    if first.own_series_uid:
        series = f"{len(good)} series of one slice each make" if len(good) > 1 else "1 series makes"
        text = f"{series} this stack, joined by likeness."
        warnings.append(LoadWarning("W_MERGED", text))
    if first.own_study:
        text = "Every image came with a study UID of its own; they are taken for one study."
        warnings.append(LoadWarning("W_UIDS", text))
    if group.rank:
        warnings.append(_repeat_warning(group))
    if first.modality not in ("MR", ""):
        warnings.append(LoadWarning("W_NOT_MR", f"The modality is {first.modality}, not MR."))
    if group.negative_share is not None:
        warnings.append(signed_warning(group.negative_share))
    if first.lossy:
        warnings.append(lossy_warning("LossyImageCompression is 01"))
    elif good[0].layout.transfer_syntax in _LOSSY:
        warnings.append(lossy_warning(BY_SYNTAX))
    return warnings


def intensity_warnings(frames: Sequence[Frame], pixels: np.ndarray) -> list[LoadWarning]:
    """Return the warning of slices whose intensities cannot be those of their neighbours.

    Args:
        frames: one per slice.
        pixels: (slice, row, column) after rescale.
    """
    ranges = np.ptp(pixels, axis=(1, 2))
    typical = float(np.median(ranges))
    n_inverted = sum(frame.layout.inverted for frame in frames)
    texts = []
    for frame, one, extent in zip(frames, pixels, ranges.tolist(), strict=True):
        name = frame_name(frame)
        if extent == 0:
            texts.append(f"{name} holds the value {one[0, 0]:g} alone")
        elif typical and not typical / OTHER_SCALE <= extent <= typical * OTHER_SCALE:
            texts.append(f"{name} spans {extent:.3g}, others {typical:.3g}")
        if frame.layout.inverted and 0 < 2 * n_inverted <= len(frames):
            texts.append(f"{name} is MONOCHROME1 and others are not")
        elif not frame.layout.inverted and len(frames) < 2 * n_inverted < 2 * len(frames):
            texts.append(f"{name} is not MONOCHROME1 and others are")
    if not texts:
        return []
    more = f"; and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    text = "; ".join(texts[:_NAMED]) + more
    return [LoadWarning("W_INTENSITY", f"{text}: scar there is in doubt.")]


BY_SYNTAX = "by their transfer syntax"


def lossy_warning(how: str) -> LoadWarning:
    """Return the warning of images that were compressed with loss."""
    return LoadWarning(
        "W_LOSSY", f"The images were compressed with loss ({how}); thresholds may shift."
    )


def signed_warning(share: float) -> LoadWarning:
    """Return the warning of a stack that is PSIR by its pixels alone."""
    return LoadWarning(
        "W_SIGNED", f"{100 * share:.0f} % of the pixels are negative: taken for PSIR."
    )


def _repeat_warning(group: Group) -> LoadWarning:
    apart = f", up to {group.apart_mm:.3g} mm apart" if group.apart_mm > SAME_POSITION_MM else ""
    which = "the newest of each make" if group.rank == 1 else "older ones make"
    return LoadWarning(
        "W_REPEAT",
        f"Some positions were acquired up to {group.repeat} times{apart}; they are one tissue, and "
        f"{which} this stack.",
    )
