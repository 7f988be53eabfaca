"""Propose, segment, measure, export: what both front ends call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scarseg.case.case import Case, Change
from scarseg.case.history import Cause, SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, wall_mask
from scarseg.case.measurements import DENSITY_G_PER_ML, MassConvention, Measurements
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import SliceImage, Stack
from scarseg.io.tables import table
from scarseg.models import Detection, Embedding, Logits, Models
from scarseg.progress import Progress, silent
from scarseg.quant import mass
from scarseg.segmentation.predict import (
    SliceProposal,
    correct_heart,
    detect,
    predict,
    propose,
    propose_prompted,
)
from scarseg.segmentation.proposal import RULES, ProposalRules, best_lv_box, reconcile_lv_boxes
from scarseg.segmentation.wall_correction import HeartMasks, is_heart_from

if TYPE_CHECKING:
    from scarseg.segmentation.interval import MassInterval

__all__ = [
    "LocatedHeart",
    "SliceProposal",
    "correct_heart",
    "export_table",
    "locate_hearts",
    "measure",
    "measured_record",
    "proposal_change",
    "propose_case",
    "propose_case_with_embeddings",
    "propose_slice",
    "propose_stack",
    "segment",
]


@dataclass(frozen=True)
class LocatedHeart:
    """What the detector says of one slice, its LV box settled with the neighbours'."""

    lv_box: Box | None
    detections: tuple[Detection, ...]


def locate_hearts(
    stack: Stack, models: Models, progress: Progress = silent, rules: ProposalRules = RULES
) -> tuple[LocatedHeart, ...]:
    """Let the detector see the whole stack, one answer per slice, base to apex.

    A slice where it fails leans on its neighbours. ``progress`` is called before every slice.
    """
    detections: list[list[Detection]] = []
    for k in range(stack.n_slices):
        progress(k / stack.n_slices, "Looking for the heart")
        detections.append(detect(models, stack.image(k)))
    lv_boxes = reconcile_lv_boxes(detections, rules)
    return tuple(
        LocatedHeart(lv_box, tuple(found))
        for lv_box, found in zip(lv_boxes, detections, strict=True)
    )


def propose_slice(
    image: SliceImage,
    models: Models,
    lv_hint: Box | None = None,
    rules: ProposalRules = RULES,
    located: LocatedHeart | None = None,
) -> SliceProposal:
    """Find the left ventricle and scar boxes on one slice and segment them.

    ``lv_hint`` is the left_ventricle box to use instead of the detector's; a reader's own is
    kept as it is, another is moved to the segmenter's pool and wall where they disagree. With
    ``located``, from :func:`locate`, the answer is the one that :func:`propose_stack` gives.
    """
    if located is None:
        detections = detect(models, image)
        found = best_lv_box(detections, rules)
        located = LocatedHeart(None if found is None else found.box, tuple(detections))
    return propose(image, models, lv_hint or located.lv_box, located.detections, rules)


def propose_stack(
    stack: Stack,
    models: Models,
    progress: Progress = silent,
    order: Sequence[int] | None = None,
    prompts: Mapping[int, SlicePrompts] | None = None,
    rules: ProposalRules = RULES,
) -> Iterator[tuple[int, SliceProposal]]:
    """Yield a proposal for every slice as it gets ready, in ``order``.

    The detector sees the whole stack first, so that a slice where it fails can lean on its
    neighbours; then slice after slice is segmented.

    Args:
        progress: called before every step; may raise Cancelled.
        order: slice indices; base to apex when None.
        prompts: a reader's, by slice index. When given, scar is segmented on exactly these
            slices, without the detector's scar boxes; the wall is proposed on all.
    """
    chosen = range(stack.n_slices) if order is None else order
    located = locate_hearts(stack, models, lambda done, what: progress(0.4 * done, what), rules)
    for done, k in enumerate(chosen):
        progress(0.4 + 0.6 * done / len(chosen), f"Slice {k + 1} of {stack.n_slices}")
        image = stack.image(k)
        if prompts is None:
            yield k, propose(image, models, located[k].lv_box, located[k].detections, rules)
        else:
            yield k, propose_prompted(image, models, located[k].lv_box, prompts.get(k), rules)
    progress(1.0, "Proposed")


def propose_case(
    stack: Stack,
    models: Models,
    progress: Progress = silent,
    prompts: Mapping[int, SlicePrompts] | None = None,
    rules: ProposalRules = RULES,
) -> Case:
    """Start a case and put a proposal on every slice."""
    return propose_case_with_embeddings(stack, models, progress, prompts, rules)[0]


def propose_case_with_embeddings(
    stack: Stack,
    models: Models,
    progress: Progress = silent,
    prompts: Mapping[int, SlicePrompts] | None = None,
    rules: ProposalRules = RULES,
) -> tuple[Case, tuple[Embedding, ...]]:
    """Do the same and keep the embedding of every slice, from which an interval is made."""
    case = Case.new(stack)
    case.segmenter = models.segmenter.identity
    if models.detector is not None:
        case.detector = models.detector.identity
    embeddings = []
    for k, proposal in propose_stack(stack, models, progress, prompts=prompts, rules=rules):
        embeddings.append(proposal.embedding)
        change = proposal_change(case, k, proposal)
        if change is not None:
            case.apply(change, Cause.PROPOSAL)
    return case, tuple(embeddings)


def segment(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    before: LabelArray,
    previous: Logits | None = None,
    rules: ProposalRules = RULES,
) -> tuple[LabelArray, Logits]:
    """Answer a reader's prompts on an embedded slice.

    Scar (and MVO) of ``before`` (row, column) is replaced by the answer, clipped to the wall
    unless there is none to be had. Wall and blood pool of ``before`` stay where a reader drew
    them. Where they are still those of ``previous``, the answer behind ``before``, or where
    there are none, they are proposed anew: with the prompts the segmenter knows more of the wall
    under a scar. A wall proposed anew obeys the points and the box for wall and pool.
    """
    swayed = previous if rules.previous_with_points and prompts.points else None
    logits = predict(models, embedding, prompts, swayed)
    threshold = rules.prompted_logit if prompts.has_scar_prompts else rules.automatic_logit
    scar: MaskArray = logits.scar > threshold
    if prompts.no_scar:
        scar = np.zeros_like(scar)
    labels = _cleared(before)
    if logits.wall is not None:
        if not prompts.no_scar and previous is not None and is_heart_from(before, previous):
            labels[:] = Label.BACKGROUND
        labels = _with_heart(labels, logits)
        scar &= labels == Label.MYOCARDIUM
    elif (labels == Label.MYOCARDIUM).any():
        scar &= labels == Label.MYOCARDIUM
    labels[scar] = Label.SCAR
    return labels, logits


def proposal_change(case: Case, slice_index: int, proposal: SliceProposal) -> Change | None:
    """Turn a proposal into a change, or None where the slice is protected.

    A slice is protected once it was read or edited, and while a reader's own boxes or points
    stand on it that the proposal does not know, for scar or for the blood pool.
    """
    reading = case.readings[slice_index]
    mine = tuple(box for box in reading.prompts.boxes if box.origin is Origin.READER)
    kept = set(mine) <= set(proposal.prompts.boxes) and set(reading.prompts.points) <= set(
        proposal.prompts.points
    )
    kept &= reading.prompts.pool_box in (None, proposal.prompts.pool_box)
    if reading.protected or not kept:
        return None
    after = SliceReading(proposal.prompts, SliceStatus.PROPOSED)
    return case.change("Propose", slice_index, after, proposal.labels)


def measure(
    case: Case,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
) -> Measurements:
    """Measure a case in both conventions.

    Raises:
        InputError: E_DENSITY, the density is not a positive number.
    """
    statuses = [reading.status for reading in case.readings]
    proposed = [
        None
        if patch is None
        else mass.ProposedInfarct(patch.n_infarct_voxels, case.differs_from_proposal(k))
        for k, patch in enumerate(case.proposed)
    ]
    return mass.measure(case.labels, case.stack, statuses, convention, density_g_per_ml, proposed)


def measured_record(
    case: Case,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    identify: bool = False,
    mask_file: str = "",
) -> table.StackRecord:
    """Measure a case and give its rows for :func:`export_table`.

    ``identify`` writes the patient ID as it is instead of its pseudonym.
    """
    measured = measure(case, convention, density_g_per_ml)
    record = table.case_record(case, measured, identify=identify, mask_file=mask_file)
    if not case.segmenter.sha256:
        return record
    return replace(record, provenance={**record.provenance, "thresholds": asdict(RULES)})


def export_table(
    path: Path,
    records: Sequence[table.StackRecord],
    settings: Mapping[str, object] | None = None,
    force: bool = False,
) -> table.TableFiles:
    """Write the CSV, the per-slice CSV and the sidecar beside it, each whole or not at all.

    The window and the command line both call this: the same cases give the same bytes, in
    whatever order they come.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE when the disk refuses.
    """
    return table.write_tables(path, records, settings or {}, force)


def _with_heart(labels: LabelArray, logits: Logits) -> LabelArray:
    """Add the segmenter's wall, or pool, to labels that have none, where nothing stands yet."""
    if (labels == Label.MYOCARDIUM).any():
        return labels
    heart = HeartMasks.of_logits(logits)
    labels = labels.copy()
    free = labels == Label.BACKGROUND
    if not (labels == Label.BLOOD_POOL).any():
        labels[heart.pool & free] = Label.BLOOD_POOL
    labels[heart.wall & free] = Label.MYOCARDIUM
    return labels


def _cleared(before: LabelArray) -> LabelArray:
    """Give labels without infarct: wall again where a wall is known, else background."""
    has_wall = bool((before == Label.MYOCARDIUM).any())
    labels = before.copy()
    labels[wall_mask(before) & (before != Label.MYOCARDIUM)] = (
        Label.MYOCARDIUM if has_wall else Label.BACKGROUND
    )
    return labels


def with_interval(record: table.StackRecord, interval: MassInterval) -> table.StackRecord:
    """Add the interval to a record: its ends to the row, its rule to the sidecar."""
    ends = {"scar_mass_low_g": interval.low_g, "scar_mass_high_g": interval.high_g}
    rule = {"rule": interval.method, "mass_convention": str(interval.convention)}
    return replace(
        record, row={**record.row, **ends}, provenance={**record.provenance, "interval": rule}
    )
