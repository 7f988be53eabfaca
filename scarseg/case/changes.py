"""Build the change of one slice for every action of a reader or result of the models; no Qt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scarseg.case.case import Case, Change
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import (
    Edit,
    Label,
    LabelArray,
    heart_differs,
    infarct_mask,
    without_infarct,
)
from scarseg.case.prompts import Box, Origin, SlicePrompts


def step_name(verb: str, slice_index: int) -> str:
    """Return the name of a step for the menu: "add box, slice 5" (slices counted from 1)."""
    return f"{verb}, slice {slice_index + 1}"


def can_accept(case: Case, slice_index: int) -> bool:
    """Return whether a slice has something to accept: a proposal or a manual edit."""
    reading = case.readings[slice_index]
    if reading.status is SliceStatus.NOT_ASSESSABLE:
        return bool(case.labels[slice_index].any())
    return reading.status is not SliceStatus.UNSEEN or reading.edited


def accept(case: Case, slice_index: int) -> Change:
    """Build the change that accepts the labels of a slice."""
    reading = case.readings[slice_index]
    after = replace(reading, status=SliceStatus.ACCEPTED, reason="")
    return case.change(step_name("accept", slice_index), slice_index, after)


def mark_no_scar(case: Case, slice_index: int) -> Change:
    """Build the change to "no scar": scar and MVO become wall, scar prompts are removed."""
    reading = case.readings[slice_index]
    labels = case.labels[slice_index].copy()
    labels[infarct_mask(labels)] = Label.MYOCARDIUM
    points = reading.prompts.heart_points
    prompts = replace(reading.prompts, boxes=(), points=points, no_scar=True)
    after = replace(reading, prompts=prompts, status=SliceStatus.NO_SCAR, edited=True, reason="")
    return case.change(step_name("no scar", slice_index), slice_index, after, labels)


def mark_not_assessable(case: Case, slice_index: int, reason: str) -> Change:
    """Build the change to "not assessable" with its reason: all labels are removed."""
    reading = case.readings[slice_index]
    prompts = SlicePrompts(lv_box=reading.prompts.lv_box)
    after = replace(
        reading,
        prompts=prompts,
        status=SliceStatus.NOT_ASSESSABLE,
        edited=True,
        reason=reason.strip(),
    )
    labels = np.zeros_like(case.labels[slice_index])
    return case.change(step_name("not assessable", slice_index), slice_index, after, labels)


def reopen(case: Case, slice_index: int) -> Change:
    """Build the change that takes the status back: the slice is to be read again."""
    reading = case.readings[slice_index]
    prompts = replace(reading.prompts, no_scar=False)
    after = replace(reading, prompts=prompts, status=SliceStatus.PROPOSED, reason="")
    return case.change(step_name("read again", slice_index), slice_index, after)


def set_prompts(case: Case, slice_index: int, verb: str, prompts: SlicePrompts) -> Change:
    """Build the change of a slice's prompts; labels stay until the segmenter has predicted.

    Prompts for wall and blood pool keep the mark "no scar"; removing the last box for scar sets
    it.
    """
    before = case.readings[slice_index]
    asks = scar_prompts_changed(before.prompts, prompts) or before.prompts.lv_box != prompts.lv_box
    none = prompts.no_scar and not (asks and before.prompts.no_scar)
    after = replace(before, prompts=replace(prompts, no_scar=none))
    return case.change(step_name(verb, slice_index), slice_index, after)


def scar_prompts_changed(before: SlicePrompts, after: SlicePrompts) -> bool:
    """Return whether prompts for scar differ; those for wall and blood pool do not count."""
    return (before.boxes, before.scar_points) != (after.boxes, after.scar_points)


def correct_wall(case: Case, slice_index: int, labels: LabelArray) -> Change:
    """Build the change to a wall and blood pool corrected by a reader's prompts for them.

    Scar and status stay; a slice that was not assessable becomes proposed.
    """
    change = move_wall(case, slice_index, "correct the wall", labels)
    return replace(change, after=replace(change.after, prompts=change.before.prompts))


def refill_wall(case: Case, slice_index: int, labels: LabelArray) -> Change:
    """Build the change to scar that was predicted anew inside a wall that a reader set."""
    change = correct_wall(case, slice_index, labels)
    name = step_name("scar in the new wall", slice_index)
    after = replace(change.after, mvo_sought=False, scar_withheld=False)
    return replace(change, name=name, after=after)


def move_wall(case: Case, slice_index: int, verb: str, labels: LabelArray) -> Change:
    """Build the change to a wall whose contours a reader moved; the status stays as above.

    Contours that were prompts no longer hold.
    """
    before = case.readings[slice_index]
    kept = before.status in (SliceStatus.ACCEPTED, SliceStatus.NO_SCAR)
    status = before.status if kept else SliceStatus.PROPOSED
    prompts = before.prompts.without_contours
    after = replace(before, prompts=prompts, status=status, edited=True, reason="")
    return case.change(step_name(verb, slice_index), slice_index, after, labels)


def apply_prediction(case: Case, slice_index: int, labels: LabelArray) -> Change:
    """Build the change to the segmenter's prediction for a reader's prompts, to be accepted.

    The slice counts as edited, so that no later proposal overwrites it.
    """
    after = replace(
        case.readings[slice_index],
        status=SliceStatus.PROPOSED,
        edited=True,
        reason="",
        mvo_sought=False,
        scar_withheld=False,
    )
    return case.change(step_name("segment", slice_index), slice_index, after, labels)


def apply_relocation(
    case: Case, slice_index: int, prompts: SlicePrompts, labels: LabelArray
) -> Change:
    """Build the change to the models' proposal for a ventricle box that the reader drew."""
    before = case.readings[slice_index]
    mine = before.prompts.scar_points or any(
        box.origin is Origin.READER for box in before.prompts.boxes
    )
    kept = replace(before.prompts, boxes=before.prompts.boxes if mine else prompts.boxes)
    after = SliceReading(kept, SliceStatus.PROPOSED, edited=True)
    return case.change(step_name("segment", slice_index), slice_index, after, labels)


def paint(case: Case, slice_index: int, verb: str, labels: LabelArray) -> Change:
    """Build the change of a manual edit; an accepted slice stays accepted, "no scar" does not."""
    reading = case.readings[slice_index]
    status = reading.status
    if status is not SliceStatus.ACCEPTED:
        status = SliceStatus.PROPOSED
    prompts = replace(reading.prompts, no_scar=False)
    if prompts.has_contours and heart_differs(case.labels[slice_index], labels):
        prompts = prompts.without_contours  # they no longer hold
    after = replace(
        reading,
        prompts=prompts,
        status=status,
        edited=True,
        reason="",
        mvo_sought=reading.mvo_sought or bool((labels == np.uint8(Label.MVO)).any()),
        scar_withheld=reading.scar_withheld and not infarct_mask(labels).any(),
    )
    return case.change(step_name(verb, slice_index), slice_index, after, labels)


def label_mvo(case: Case, slice_index: int, labels: LabelArray) -> Change:
    """Build the change to labels with the MVO that was found on request, or to "none found"."""
    name = "propose MVO"
    if (labels != case.labels[slice_index]).any():
        drawn = paint(case, slice_index, name, labels)
        return replace(drawn, after=replace(drawn.after, mvo_sought=True))
    after = replace(case.readings[slice_index], mvo_sought=True)
    return case.change(step_name(name, slice_index), slice_index, after)


def copy_slice(case: Case, source: int, target: int) -> Change:
    """Build the change that copies labels and prompts of a slice to another, to be accepted."""
    reading = case.readings[source]
    after = SliceReading(
        reading.prompts, SliceStatus.PROPOSED, edited=True, mvo_sought=reading.mvo_sought
    )
    name = f"copy slice {source + 1} to slice {target + 1}"
    return case.change(name, target, after, case.labels[source].copy())


def copy_boxes(case: Case, source: int, target: int) -> Change:
    """Build the change that replaces the boxes of a slice by those of another; points stay.

    The left ventricle's box is copied only where the target has none.
    """
    mine, theirs = case.readings[source].prompts, case.readings[target]
    boxes = tuple(replace(box, origin=Origin.READER, score=None) for box in mine.boxes)
    prompts = replace(theirs.prompts, boxes=boxes, lv_box=theirs.prompts.lv_box or mine.lv_box)
    name = f"carry boxes of slice {source + 1} to slice {target + 1}"
    return replace(set_prompts(case, target, "", prompts), name=name)


def apply_wall_proposal(
    case: Case, slice_index: int, proposed: LabelArray, lv_box: Box | None
) -> Change:
    """Build the change to the models' wall and blood pool; scar and MVO stay as they are.

    Earlier prompts for wall and pool are removed: they referred to the wall that is replaced.
    """
    before = case.readings[slice_index]
    infarct = infarct_mask(case.labels[slice_index])
    heart = without_infarct(proposed)
    labels = np.where(infarct, case.labels[slice_index], heart).astype(np.uint8)
    status = SliceStatus.ACCEPTED if before.status is SliceStatus.ACCEPTED else SliceStatus.PROPOSED
    prompts = replace(before.prompts.scar_only, lv_box=lv_box)
    after = replace(before, prompts=prompts, status=status, edited=True, reason="")
    name = step_name("propose wall and pool", slice_index)
    return case.change(name, slice_index, after, labels)


def merge(first: Change, second: Change, labels: LabelArray) -> Change:
    """Merge two successive changes of one slice into one named after the first.

    ``labels`` uint8 (slice, row, column) after both changes.
    """
    after = labels[first.slice_index].copy()
    scratch = after[np.newaxis].copy()
    for change in (second, first):
        if change.edit is not None:
            undone = replace(change.edit.inverse(), slice_index=0)
            undone.apply(scratch)
    joined = Edit.between(first.slice_index, scratch[0], after)
    return Change(first.name, first.slice_index, first.before, second.after, joined)


def next_unread(case: Case, slice_index: int) -> int | None:
    """Return the next unread slice, wrapping round at the end; None when all are read."""
    n = len(case.readings)
    for step in range(1, n + 1):
        candidate = (slice_index + step) % n
        if not case.readings[candidate].status.read:
            return candidate
    return None
