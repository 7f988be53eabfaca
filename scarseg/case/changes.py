"""The verbs of a reading, each as a change to one slice; no Qt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scarseg.case.case import Case, Change
from scarseg.case.history import SliceReading, SliceStatus
from scarseg.case.labels import Edit, Label, LabelArray, infarct_mask, without_infarct
from scarseg.case.prompts import Box, Origin, SlicePrompts


def step_name(verb: str, slice_index: int) -> str:
    """Name a step for the menu: "add box, slice 5" (slices counted from 1)."""
    return f"{verb}, slice {slice_index + 1}"


def can_accept(case: Case, slice_index: int) -> bool:
    """Say whether there is something to accept: a proposal or a reader's drawing."""
    reading = case.readings[slice_index]
    if reading.status is SliceStatus.NOT_ASSESSABLE:
        return bool(case.labels[slice_index].any())
    return reading.status is not SliceStatus.UNSEEN or reading.edited


def accept(case: Case, slice_index: int) -> Change:
    """Accept what stands on the slice."""
    reading = case.readings[slice_index]
    after = replace(reading, status=SliceStatus.ACCEPTED, reason="")
    return case.change(step_name("accept", slice_index), slice_index, after)


def mark_no_scar(case: Case, slice_index: int) -> Change:
    """Say that there is no scar: scar and MVO become wall, scar prompts go."""
    reading = case.readings[slice_index]
    labels = case.labels[slice_index].copy()
    labels[infarct_mask(labels)] = Label.MYOCARDIUM
    points = reading.prompts.heart_points
    prompts = replace(reading.prompts, boxes=(), points=points, no_scar=True)
    after = replace(reading, prompts=prompts, status=SliceStatus.NO_SCAR, edited=True, reason="")
    return case.change(step_name("no scar", slice_index), slice_index, after, labels)


def mark_not_assessable(case: Case, slice_index: int, reason: str) -> Change:
    """Say that the slice cannot be read, and why: nothing on it counts, neither scar nor wall."""
    reading = case.readings[slice_index]
    prompts = replace(reading.prompts, boxes=(), points=(), no_scar=False, pool_box=None)
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
    """Take the verdict back: what stands on the slice is to be read again."""
    reading = case.readings[slice_index]
    prompts = replace(reading.prompts, no_scar=False)
    after = replace(reading, prompts=prompts, status=SliceStatus.PROPOSED, reason="")
    return case.change(step_name("read again", slice_index), slice_index, after)


def set_prompts(case: Case, slice_index: int, verb: str, prompts: SlicePrompts) -> Change:
    """Change what is asked for on a slice; labels stay until the model answers.

    What is asked of wall and blood pool leaves the word "no scar" alone; where the last box for
    scar went, that is the new word.
    """
    before = case.readings[slice_index]
    asks = scar_prompts_changed(before.prompts, prompts) or before.prompts.lv_box != prompts.lv_box
    none = prompts.no_scar and not (asks and before.prompts.no_scar)
    after = replace(before, prompts=replace(prompts, no_scar=none))
    return case.change(step_name(verb, slice_index), slice_index, after)


def scar_prompts_changed(before: SlicePrompts, after: SlicePrompts) -> bool:
    """Say whether something else is asked of scar, and not of wall and blood pool alone."""
    return (before.boxes, before.scar_points) != (after.boxes, after.scar_points)


def correct_wall(case: Case, slice_index: int, labels: LabelArray) -> Change:
    """Take wall and blood pool as a reader's points and box for them ask, on the scar as it is.

    The verdict on the scar stays; a slice that was not assessable is to be read.
    """
    before = case.readings[slice_index]
    kept = before.status in (SliceStatus.ACCEPTED, SliceStatus.NO_SCAR)
    status = before.status if kept else SliceStatus.PROPOSED
    after = replace(before, status=status, edited=True, reason="")
    return case.change(step_name("correct the wall", slice_index), slice_index, after, labels)


def apply_prediction(case: Case, slice_index: int, labels: LabelArray) -> Change:
    """Take the segmenter's answer to a reader's prompts: to be accepted again.

    The slice counts as edited, so that no later proposal overwrites what was asked for.
    """
    after = replace(case.readings[slice_index], status=SliceStatus.PROPOSED, edited=True, reason="")
    return case.change(step_name("segment", slice_index), slice_index, after, labels)


def apply_relocation(
    case: Case, slice_index: int, prompts: SlicePrompts, labels: LabelArray
) -> Change:
    """Take what the models say round a ventricle box that the reader drew."""
    before = case.readings[slice_index]
    mine = before.prompts.scar_points or any(
        box.origin is Origin.READER for box in before.prompts.boxes
    )
    kept = replace(before.prompts, boxes=before.prompts.boxes if mine else prompts.boxes)
    after = replace(before, prompts=kept, status=SliceStatus.PROPOSED, edited=True, reason="")
    return case.change(step_name("segment", slice_index), slice_index, after, labels)


def paint(case: Case, slice_index: int, verb: str, labels: LabelArray) -> Change:
    """Take a reader's drawing; an accepted slice stays accepted, "no scar" does not."""
    reading = case.readings[slice_index]
    status = reading.status
    if status is not SliceStatus.ACCEPTED:
        status = SliceStatus.PROPOSED
    prompts = replace(reading.prompts, no_scar=False)
    after = replace(reading, prompts=prompts, status=status, edited=True, reason="")
    return case.change(step_name(verb, slice_index), slice_index, after, labels)


def copy_slice(case: Case, source: int, target: int) -> Change:
    """Copy labels and prompts of one slice to another, to be accepted there."""
    reading = case.readings[source]
    after = SliceReading(prompts=reading.prompts, status=SliceStatus.PROPOSED, edited=True)
    name = f"copy slice {source + 1} to slice {target + 1}"
    return case.change(name, target, after, case.labels[source].copy())


def copy_boxes(case: Case, source: int, target: int) -> Change:
    """Ask on one slice for what the boxes of another hold: its own boxes give way, points stay.

    The left ventricle's box comes along only where the other slice has none.
    """
    mine, theirs = case.readings[source].prompts, case.readings[target]
    boxes = tuple(replace(box, origin=Origin.READER, score=None) for box in mine.boxes)
    prompts = replace(theirs.prompts, boxes=boxes, lv_box=theirs.prompts.lv_box or mine.lv_box)
    name = f"carry boxes of slice {source + 1} to slice {target + 1}"
    return replace(set_prompts(case, target, "", prompts), name=name)


def apply_wall_proposal(
    case: Case, slice_index: int, proposed: LabelArray, lv_box: Box | None
) -> Change:
    """Take wall and blood pool as the models propose them; scar and MVO stay as they are.

    What a reader asked of wall and pool before has had its answer, and goes.
    """
    before = case.readings[slice_index]
    infarct = infarct_mask(case.labels[slice_index])
    heart = without_infarct(proposed)
    labels = np.where(infarct, case.labels[slice_index], heart).astype(np.uint8)
    status = SliceStatus.ACCEPTED if before.status is SliceStatus.ACCEPTED else SliceStatus.PROPOSED
    points = before.prompts.scar_points
    prompts = replace(before.prompts, points=points, lv_box=lv_box, pool_box=None)
    after = replace(before, prompts=prompts, status=status, edited=True, reason="")
    name = step_name("propose wall and pool", slice_index)
    return case.change(name, slice_index, after, labels)


def merge(first: Change, second: Change, labels: LabelArray) -> Change:
    """Join two successive changes of one slice into one step named after the first.

    ``labels`` uint8 (slice, row, column) as they stand after both.
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
    """Give the next slice to read, going round once; None when all are read."""
    n = len(case.readings)
    for step in range(1, n + 1):
        candidate = (slice_index + step) % n
        if not case.readings[candidate].status.read:
            return candidate
    return None
