"""Measure masks made elsewhere: one row each, whatever happens to the others."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scarseg.batch.results import StackResult, run_guarded, with_warning, write_results
from scarseg.batch.selection import BatchJob
from scarseg.batch.settings import ResultSettings
from scarseg.case.case import Case
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray
from scarseg.case.stack import Stack
from scarseg.errors import ScarsegError
from scarseg.io import dicom
from scarseg.io.files import safe_name
from scarseg.io.masks.match import MaskMatch, MaskMatches, UnmatchedMask
from scarseg.io.masks.read import read_mask
from scarseg.io.tables.columns import Cell
from scarseg.io.tables.table import error_record, identity_cells
from scarseg.progress import ItemLog, Progress, silent

logger = logging.getLogger(__name__)

_UID_NAME = re.compile(r"[0-9.]+(_[0-9]+)?(\.seg\.dcm|\.dcm|\.nii|\.nii\.gz)")


@dataclass(frozen=True)
class MaskSettings(ResultSettings):
    """Settings that all masks of a run share; ``meaning`` as for
    :func:`scarseg.io.masks.read.read_mask`."""

    meaning: Mapping[int, Label] | None = None


def measure_masks(
    matching: MaskMatches, settings: MaskSettings, progress: Progress = silent
) -> tuple[StackResult, ...]:
    """Measure every mask on the stack it belongs to; those without get a row with a code.

    Raises:
        Cancelled: by ``progress``; no row is written then.
    """
    results = []
    log = ItemLog(logger, len(matching.matches))
    for done, match in enumerate(matching.matches):
        progress(done / len(matching.matches), f"Mask {done + 1} of {len(matching.matches)}")
        result = measure_match(match, settings)
        results.append(result)
        log.add(match.summary.stack_id, str(result.record.row.get("error_code") or ""))
        if result.trouble:
            logger.error("A mask failed by a bug in the program:\n%s", result.trouble)
    progress(1.0, "Measured")
    return (*results, *(_refused(one, settings) for one in matching.unmatched))


def measure_match(match: MaskMatch, settings: MaskSettings) -> StackResult:
    """Measure one mask on its stack; a failure is its row."""
    job = BatchJob(match.summary, f"{safe_name(match.summary.stack_id)}.nii.gz")
    return run_guarded(job, settings, lambda: _measure(match, job, settings))


def case_from_labels(
    stack: Stack, labels: LabelArray, known: Sequence[bool], mvo_sought: bool = False
) -> Case:
    """Return a case of labels (slice, row, column) that nobody has read here.

    Slices of which the mask says something are proposals, the others unseen. ``mvo_sought``:
    whether the mask has a value or a segment for MVO, so that none is 0 g and not unknown.
    """
    case = Case.new(stack)
    case.labels[:] = labels
    for k in range(stack.n_slices):
        if known[k]:
            case.readings[k] = SliceReading(status=SliceStatus.PROPOSED, mvo_sought=mvo_sought)
    return case


def _measure(match: MaskMatch, job: BatchJob, settings: MaskSettings) -> StackResult:
    mask = match.mask
    stack = dicom.read_stack(match.summary, settings.slice_thickness_mm)
    found = read_mask(mask.path, stack, settings.meaning)
    known = found.known_slices
    meanings = (settings.meaning or {}).values()
    mvo_sought = Label.MVO in meanings or bool((found.labels == Label.MVO).any())
    case = case_from_labels(stack, found.labels, known, mvo_sought)
    name = _name_in_table(mask.path.name, settings)
    digest = hashlib.sha256(mask.path.read_bytes()).hexdigest()
    labels_from = f"{str(mask.kind).replace('_', ' ')} file, sha256 {digest}"
    result = write_results(case, job, settings, name, str(mask.kind), labels_from)
    origin = {
        "source": str(mask.kind),
        "matched_by": match.evidence.name.lower(),
        "file_sha256": digest,
        "meaning": {str(value): label.name for value, label in (settings.meaning or {}).items()},
    }
    record = result.record
    provenance = {**record.provenance, "labels": origin}
    result = replace(result, record=replace(record, provenance=provenance))
    if found.ignored:
        note = f"series {stack.stack_id}: segments of other tissues were left out."
        result = with_warning(result, "W_MASK_IGNORED", note)
    if not all(known):
        note = (
            f"series {stack.stack_id}: the mask covers {sum(known)} of {len(known)} slices; nothing"
            " is known of the others, the mass is incomplete."
        )
        result = with_warning(result, "W_MASK_PARTIAL", note)
    if found.labels.any() and not (found.labels > Label.BLOOD_POOL).any():
        note = (
            f"series {stack.stack_id}: the mask holds blood pool alone; say with --values what"
            " its values stand for (1=scar)."
        )
        result = with_warning(result, "W_MASK_VALUES", note)
    return result


def _refused(one: UnmatchedMask, settings: MaskSettings) -> StackResult:
    """Return the row of a mask without a stack; the file's name may be a patient's."""
    error: ScarsegError = one.error
    identity: Mapping[str, Cell] = identity_cells("", "", "", "", "", settings.identify)
    if one.summary is not None:
        identity = BatchJob(one.summary, "").identity(settings.identify)
    record = error_record(identity, error.code, error.message if settings.identify else "")
    name = _name_in_table(one.mask.path.name, settings)
    record = replace(record, row={**record.row, "method": str(one.mask.kind), "mask_file": name})
    return StackResult(record, f"{error.code}: {error.message}")


def _name_in_table(name: str, settings: MaskSettings) -> str:
    """Return the name of a mask's file where it names nobody (made of a UID), or on request."""
    return name if settings.identify or _UID_NAME.fullmatch(name) else ""


def matching_notes(matching: MaskMatches) -> Sequence[str]:
    """Return sentences: which mask belongs to which stack and why, and which stacks have none."""
    notes = [
        f"Took {one.mask.path.name} for series {one.summary.stack_id} (by {one.evidence})"
        for one in matching.matches
    ]
    for one in matching.without:
        notes.append(f"Series {one.stack_id} has no mask and no row")
    return notes
