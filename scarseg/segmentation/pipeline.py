"""Propose, segment, measure and export a stack; called by the window and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from scarseg.case.case import Case, Change
from scarseg.case.history import Cause, DetectorScope, SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray, MaskArray, infarct_mask, wall_mask
from scarseg.case.measurements import (
    DENSITY_G_PER_ML,
    MassConvention,
    MassInterval,
    Measurements,
)
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import SliceImage, Stack
from scarseg.io.tables import table
from scarseg.models import Detection, Embedding, Logits, Models
from scarseg.models.at_once import detect_all
from scarseg.progress import Progress, silent
from scarseg.quant import mass
from scarseg.quant.doubt import case_doubt
from scarseg.quant.image_quality import stack_quality
from scarseg.quant.mvo import propose_mvo
from scarseg.segmentation.calibration import calibrated, rules_of
from scarseg.segmentation.gate import probably_no_scar, withhold_changes
from scarseg.segmentation.predict import (
    EmbeddedHeart,
    SliceProposal,
    detect,
    embed_on_hearts,
    predict,
    propose,
    propose_prompted,
)
from scarseg.segmentation.proposal import (
    ProposalRules,
    best_lv_box,
    reconcile_lv_boxes,
    scar_level,
)
from scarseg.segmentation.scar_rules import as_shown, keep_clicked_out
from scarseg.segmentation.wall_correction import HeartMasks, is_heart_from

SLICES_AT_ONCE = 8
"""Slices that pass a network together: more would not be faster, and need more memory."""


@dataclass(frozen=True)
class LocatedHeart:
    """Detections of one slice, with the LV box reconciled with its neighbours'."""

    lv_box: Box | None
    detections: tuple[Detection, ...]


def locate_hearts(
    stack: Stack, models: Models, progress: Progress = silent, rules: ProposalRules | None = None
) -> tuple[LocatedHeart, ...]:
    """Run the detector on the whole stack; return one result per slice, base to apex.

    A slice where it fails gets its LV box from the neighbours. ``progress`` is called before
    every few slices.
    """
    detections: list[list[Detection]] = []
    for several in _batches(range(stack.n_slices)):
        progress(several[0] / stack.n_slices, "Looking for the heart")
        images = [stack.image(k) for k in several]
        detections += (
            [[] for _ in images] if models.detector is None else detect_all(models.detector, images)
        )
    lv_boxes = reconcile_lv_boxes(detections, rules or rules_of(models))
    return tuple(
        LocatedHeart(lv_box, tuple(found))
        for lv_box, found in zip(lv_boxes, detections, strict=True)
    )


def propose_slice(
    image: SliceImage,
    models: Models,
    lv_hint: Box | None = None,
    rules: ProposalRules | None = None,
    located: LocatedHeart | None = None,
) -> SliceProposal:
    """Find the left ventricle and scar boxes on one slice and segment them.

    ``lv_hint`` is the left_ventricle box to use instead of the detector's; a reader's own is
    kept as it is, another is moved to the segmenter's pool and wall where they disagree. With
    ``located``, from :func:`locate_hearts`, the result is that of :func:`propose_stack`.
    """
    rules = rules or rules_of(models)
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
    rules: ProposalRules | None = None,
) -> Iterator[tuple[int, SliceProposal]]:
    """Yield a proposal for every slice as it gets ready, in ``order``.

    The detector runs on the whole stack first, so that a slice where it fails can use the LV
    boxes of its neighbours; then slice after slice is segmented.

    Args:
        progress: called before every step; may raise Cancelled.
        order: slice indices; base to apex when None.
        prompts: a reader's, by slice index. When given, scar is segmented on exactly these
            slices, without the detector's scar boxes; the wall is proposed on all.
    """
    rules = rules or rules_of(models)
    chosen = range(stack.n_slices) if order is None else order
    located = locate_hearts(stack, models, lambda done, what: progress(0.4 * done, what), rules)
    embedded: dict[int, EmbeddedHeart] = {}
    for done, k in enumerate(chosen):
        progress(0.4 + 0.6 * done / len(chosen), f"Slice {k + 1} of {stack.n_slices}")
        image, heart = stack.image(k), located[k]
        if prompts is not None:
            yield k, propose_prompted(image, models, heart.lv_box, prompts.get(k), rules)
            continue
        if k not in embedded:
            several = chosen[done : done + SLICES_AT_ONCE]
            boxes = [located[one].lv_box for one in several]
            found = embed_on_hearts([stack.image(one) for one in several], models, boxes, rules)
            embedded = dict(zip(several, found, strict=True))
        yield k, propose(image, models, heart.lv_box, heart.detections, rules, embedded.pop(k))
    progress(1.0, "Proposed")


def _batches(slices: Sequence[int]) -> list[Sequence[int]]:
    return [slices[n : n + SLICES_AT_ONCE] for n in range(0, len(slices), SLICES_AT_ONCE)]


def propose_case(
    stack: Stack,
    models: Models,
    progress: Progress = silent,
    prompts: Mapping[int, SlicePrompts] | None = None,
    rules: ProposalRules | None = None,
) -> Case:
    """Start a case and apply a proposal to every slice."""
    return propose_case_with_embeddings(stack, models, progress, prompts, rules)[0]


def propose_case_with_embeddings(
    stack: Stack,
    models: Models,
    progress: Progress = silent,
    prompts: Mapping[int, SlicePrompts] | None = None,
    rules: ProposalRules | None = None,
) -> tuple[Case, tuple[Embedding, ...]]:
    """Start a case as :func:`propose_case`; return it with the embedding of every slice.

    The embeddings are needed for the interval of the mass.
    """
    case = Case.new(stack)
    case.segmenter = models.segmenter.identity
    if models.detector is not None:
        case.detector = models.detector.identity
    case.calibration = models.calibration
    # Prompts that name no slice of this stack ask for nothing: its scar stays unseen.
    status = SliceStatus.UNSEEN if prompts is not None and not prompts else SliceStatus.PROPOSED
    embeddings, logits = [], {}
    for k, proposal in propose_stack(stack, models, progress, prompts=prompts, rules=rules):
        embeddings.append(proposal.embedding)
        logits[k] = proposal.logits
        change = proposal_change(case, k, proposal)
        if change is not None:
            if prompts is None:  # a replay knows no prompts file
                box = proposal.embedding.lv_box
                case.record_model_run(k, None, box, DetectorScope.STACK, fresh=True)
            change = replace(change, after=replace(change.after, status=status))
            case.apply(change, Cause.PROPOSAL)
    if prompts is None:
        for change in withhold_changes(case, logits, rules or rules_of(models)):
            case.apply(change, Cause.GATE)
    for change in mvo_changes(case):
        case.apply(change, Cause.MVO)
    return case, tuple(embeddings)


def awaits_mvo(case: Case, slice_index: int) -> bool:
    """Return whether a slice has scar that is not read and in which MVO was not looked for."""
    reading = case.readings[slice_index]
    waits = reading.status is SliceStatus.PROPOSED and not reading.mvo_sought
    return waits and bool(infarct_mask(case.labels[slice_index]).any())


def mvo_changes(case: Case, slices: Sequence[int] | None = None) -> list[Change]:
    """Build the changes that label MVO in the scar of the models, once all slices are proposed.

    A core that a reader's negative click removed from the scar stays out of it. Empty where the
    stack has no remote wall to compare with: MVO then stays unknown.

    Args:
        case: labels of all slices.
        slices: where to look; by default on all that await it and that no reader edited.
    """
    waiting = slices
    if waiting is None:
        waiting = [
            k
            for k, reading in enumerate(case.readings)
            if awaits_mvo(case, k) and not reading.edited
        ]
    if not waiting:
        return []
    labels = propose_mvo(case.stack.pixels, case.labels, case.stack.pixel_spacing_mm)
    if labels is None:
        return []
    for k in waiting:
        keep_clicked_out(labels[k], case.labels[k], case.readings[k].prompts)
    return [
        case.change("Propose MVO", k, replace(case.readings[k], mvo_sought=True), labels[k])
        for k in waiting
    ]


def segment(
    models: Models,
    embedding: Embedding,
    prompts: SlicePrompts,
    before: LabelArray,
    previous: Logits | None = None,
    rules: ProposalRules | None = None,
) -> tuple[LabelArray, Logits]:
    """Predict an embedded slice from a reader's prompts; return labels (row, column) and logits.

    Scar (and MVO) of ``before`` (row, column) is replaced by the predicted scar, clipped to the
    wall if there is one. Wall and blood pool of ``before`` stay where a reader drew them. Where
    they are still those of ``previous``, the prediction behind ``before``, or where there are
    none, they are predicted anew: prompts for scar improve the wall underneath it. Points and
    box for wall and pool are applied to a wall predicted anew. A wall that a reader drew is a
    prompt too.
    """
    rules = rules or rules_of(models)
    own = prompts.has_contours or (previous is not None and is_heart_from(before, previous))
    drawn = None if own or previous is None else _drawn_heart(before)
    threshold = scar_level(prompts, drawn is not None or prompts.has_heart_prompts, rules)
    if previous is not None and prompts.scar_points:
        previous = as_shown(previous, before, threshold)
    logits = predict(models, embedding, prompts, previous, heart=drawn, rules=rules)
    scar: MaskArray = logits.scar > threshold
    if prompts.no_scar:
        scar = np.zeros_like(scar)
    labels = _without_scar(before)
    if logits.wall is not None:
        if not prompts.no_scar and own:
            labels[:] = Label.BACKGROUND
        labels = _with_heart(labels, logits)
        scar &= labels == Label.MYOCARDIUM
    elif (labels == Label.MYOCARDIUM).any():
        scar &= labels == Label.MYOCARDIUM
    labels[scar] = Label.SCAR
    return labels, logits


def proposal_change(case: Case, slice_index: int, proposal: SliceProposal) -> Change | None:
    """Build the change of a proposal, or None where the slice is protected.

    A slice is protected once it was read or edited, and while it has boxes or points of a reader,
    for scar or for the blood pool, that are not among the proposal's prompts.
    """
    reading = case.readings[slice_index]
    drawn = tuple(box for box in reading.prompts.boxes if box.origin is Origin.READER)
    kept = set(drawn) <= set(proposal.prompts.boxes) and set(reading.prompts.points) <= set(
        proposal.prompts.points
    )
    for name in ("pool_box", "endocardium", "epicardium"):
        kept &= getattr(reading.prompts, name) in (None, getattr(proposal.prompts, name))
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
    sought = [reading.mvo_sought for reading in case.readings]
    return mass.measure(
        case.labels, case.stack, statuses, convention, density_g_per_ml, proposed, sought
    )


def measured_record(
    case: Case,
    convention: MassConvention = MassConvention.THICKNESS,
    density_g_per_ml: float = DENSITY_G_PER_ML,
    identify: bool = False,
    mask_file: str = "",
    interval: MassInterval | None = None,
) -> table.StackRecord:
    """Measure a case and return its rows for :func:`export_table`.

    Args:
        case: what is measured.
        convention, density_g_per_ml: as for :func:`measure`.
        identify: write the patient ID as it is instead of its pseudonym.
        mask_file: its name in the table.
        interval: of the scar mass by this convention; left out while a slice is unseen, since
            what lies there is not within any interval.
    """
    measured = measure(case, convention, density_g_per_ml)
    record = table.case_record(case, measured, identify=identify, mask_file=mask_file)
    quality = stack_quality(case.stack.pixels, case.labels, case.stack.pixel_spacing_mm)
    withheld = {True: "yes", False: "no", None: None}[probably_no_scar(case)]
    more = {"image_quality": str(quality.grade or ""), "probably_no_scar": withheld}
    record = replace(record, row={**record.row, **more})
    if any(reading.status is SliceStatus.UNSEEN for reading in case.readings):
        interval = None
    record = _with_doubt(record, case, interval)
    if case.segmenter.sha256:
        thresholds = asdict(calibrated(case.calibration))
        record = replace(record, provenance={**record.provenance, "thresholds": thresholds})
    return record if interval is None else _with_interval(record, interval)


def export_table(
    path: Path,
    records: Sequence[table.StackRecord],
    settings: Mapping[str, object] | None = None,
    force: bool = False,
) -> table.TableFiles:
    """Write the CSV, the per-slice CSV and the sidecar beside it, each whole or not at all.

    The same cases give the same bytes, in whatever order they are passed.

    Raises:
        OutputError: E_EXISTS without ``force``, E_WRITE when the disk refuses.
    """
    return table.write_tables(path, records, settings or {}, force)


def _drawn_heart(before: LabelArray) -> HeartMasks | None:
    """Return the wall and pool of labels; None without a wall."""
    heart = HeartMasks.of_labels(before)
    return heart if heart.wall.any() else None


def _with_heart(labels: LabelArray, logits: Logits) -> LabelArray:
    """Add the predicted wall and pool to labels without wall, on background only."""
    if (labels == Label.MYOCARDIUM).any():
        return labels
    heart = HeartMasks.of_logits(logits)
    labels = labels.copy()
    free = labels == Label.BACKGROUND
    if not (labels == Label.BLOOD_POOL).any():
        labels[heart.pool & free] = Label.BLOOD_POOL
    labels[heart.wall & free] = Label.MYOCARDIUM
    return labels


def _without_scar(before: LabelArray) -> LabelArray:
    """Return labels without infarct: wall where the slice has wall, else background."""
    has_wall = bool((before == Label.MYOCARDIUM).any())
    labels = before.copy()
    labels[wall_mask(before) & (before != Label.MYOCARDIUM)] = (
        Label.MYOCARDIUM if has_wall else Label.BACKGROUND
    )
    return labels


def _with_interval(record: table.StackRecord, interval: MassInterval) -> table.StackRecord:
    """Add the interval to a record: its ends to the row, its rule to the sidecar."""
    ends = {"scar_mass_low_g": interval.low_g, "scar_mass_high_g": interval.high_g}
    rule = {"rule": interval.method, "mass_convention": str(interval.convention)}
    return replace(
        record, row={**record.row, **ends}, provenance={**record.provenance, "interval": rule}
    )


def _with_doubt(
    record: table.StackRecord, case: Case, interval: MassInterval | None = None
) -> table.StackRecord:
    """Add the doubt about scar to row and slices; blank while nobody has looked for any."""
    if record.row["scar_mass_g"] is None:
        return record
    ends = None if interval is None else (interval.low_g, interval.high_g)
    found = case_doubt(case, ends, () if interval is None else interval.slices_g)
    row = {**record.row, "doubt": found.score, "doubt_reasons": found.reasons}
    slices = tuple(
        {**cells, "doubt_reasons": " ".join(kinds)}
        for cells, kinds in zip(record.slices, found.kinds, strict=True)
    )
    return replace(record, row=row, slices=slices)
