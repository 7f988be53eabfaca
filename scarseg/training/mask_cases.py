"""Cases from masks made elsewhere: label maps (NIfTI) and DICOM Segmentations on their images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.errors import ScarsegError
from scarseg.io import dicom
from scarseg.io.masks.match import find_masks, match_masks
from scarseg.io.masks.read import read_mask
from scarseg.progress import Progress, silent

_log = logging.getLogger(__name__)


def read_mask_cases(
    folder: Path, images: Sequence[Path], progress: Progress = silent
) -> list[Case]:
    """Read every mask of a folder on the stack that it belongs to, as ``scarseg measure`` does.

    Slices of which a mask says something count as accepted; the others are unseen. A mask that
    fits no stack, or cannot be read, is left out, and the log has its code.

    Raises:
        InputError: E_MASK, E_INPUT_MISSING, E_INPUT_EMPTY, no masks or images; the code of the
            first mask where none can be used.
    """
    masks = find_masks([folder])
    matching = match_masks(masks, dicom.scan(images).stacks)
    errors: list[ScarsegError] = [one.error for one in matching.unmatched]
    cases = []
    for number, one in enumerate(matching.matches):
        progress(number / len(matching.matches), f"Mask {number + 1}")
        try:
            stack = dicom.read_stack(one.summary)
            found = read_mask(one.mask.path, stack)
        except ScarsegError as error:
            errors.append(error)
            continue
        case = Case.new(stack)
        case.labels[:] = found.labels
        for k, known in enumerate(found.known_slices):
            if known:
                case.readings[k] = SliceReading(status=SliceStatus.ACCEPTED)
        cases.append(case)
    for refused in errors:
        _log.warning("a mask is left out: %s", refused.code)
    if not cases and errors:
        raise errors[0]
    return cases
