"""Gate of a whole stack: withhold the scar of a proposal that is too weak to be believed.

Small false scars lie on single slices, true ones go on over neighbouring slices. A stack whose
strongest scar is weak is probably free of scar: its proposed scar is withheld, that is, the slices
are proposed without it and marked, so that a reader sees it and can show the scar again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from scarseg.case import changes
from scarseg.case.case import Case, Change
from scarseg.case.history import Cause, SliceStatus
from scarseg.case.labels import LabelArray, infarct_mask, without_infarct
from scarseg.case.stack import FloatArray
from scarseg.models import Logits
from scarseg.quant.components import window_around
from scarseg.segmentation.proposal import RULES, ProposalRules

NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
"""Neighbours across faces, edges and corners (slice, row, column)."""


def scar_evidence_mm2(
    labels: LabelArray, scar_logits: Sequence[FloatArray], pixel_spacing_mm: tuple[float, float]
) -> float:
    """Return the evidence of scar in the proposal of a whole stack, in mm2.

    Of every component of scar over neighbouring slices the areas are summed, weighted by the
    probability of scar; the largest sum counts. An area, not a volume: how much false scar a slice
    holds does not depend on the distance to the next one.

    Args:
        labels: uint8 (slice, row, column) as proposed.
        scar_logits: float (row, column), one per slice.
        pixel_spacing_mm: (row, column).
    """
    scar = infarct_mask(labels)
    if not scar.any():
        return 0.0
    # The window does this between two events: labelling the whole stack would hold it up.
    rows, columns = window_around(np.asarray(scar.any(axis=0)), pixel_spacing_mm)
    components, n = ndimage.label(scar[:, rows, columns], NEIGHBOURS)
    total = np.zeros(n + 1)
    for one, logits in zip(components, scar_logits, strict=True):
        inside = one > 0
        probability = 1 / (1 + np.exp(-logits[rows, columns][inside].astype(np.float64)))
        total += np.bincount(one[inside], probability, n + 1)
    return float(total.max() * pixel_spacing_mm[0] * pixel_spacing_mm[1])


def withholds_scar(evidence_mm2: float, n_slices: int, rules: ProposalRules) -> bool:
    """Return whether a stack with this evidence is probably free of scar."""
    return n_slices >= rules.gate_slices and evidence_mm2 < rules.gate_evidence_mm2


def withhold_changes(
    case: Case, logits: Mapping[int, Logits], rules: ProposalRules
) -> list[Change]:
    """Build the changes that withhold the scar of a stack that is probably free of it.

    Empty where the stack shows scar, and where the gate does not apply: it was applied before, a
    reader prompted or edited a slice or read scar on one, or a slice has no wall or no prediction.

    Args:
        case: labels and readings of all slices, MVO not yet sought.
        logits: the predictions behind the proposals, by slice.
    """
    n = case.stack.n_slices
    if not _applies(case) or any(k not in logits or logits[k].wall is None for k in range(n)):
        return []
    scar = [logits[k].scar for k in range(n)]
    evidence_mm2 = scar_evidence_mm2(case.labels, scar, case.stack.pixel_spacing_mm)
    if not withholds_scar(evidence_mm2, n, rules):
        return []
    return [
        case.change(
            changes.step_name("withhold weak scar", k),
            k,
            replace(reading, scar_withheld=True),
            without_infarct(case.labels[k]),
        )
        for k, reading in enumerate(case.readings)
        if not reading.status.read
    ]


def _applies(case: Case) -> bool:
    """Return whether the models alone proposed the scar of a case, and the gate was not applied."""
    if any(step.cause is Cause.GATE for step in case.record.steps):
        return False
    read = (
        reading.status.read and bool(infarct_mask(labels).any())
        for reading, labels in zip(case.readings, case.labels, strict=True)
    )
    return _proposed_whole(case) and not any(read)


def _proposed_whole(case: Case) -> bool:
    """Return whether every slice was proposed, without a prompt or an edit of a reader."""
    return all(
        reading.status is not SliceStatus.UNSEEN
        and not reading.edited
        and not reading.prompts.asks_for_scar
        and not reading.prompts.has_heart_prompts
        for reading in case.readings
    )


def show_changes(case: Case) -> list[Change]:
    """Build the changes that show the scar that was withheld, on slices that are not read."""
    return [
        case.change(
            changes.step_name("show withheld scar", k),
            k,
            replace(reading, scar_withheld=False, mvo_sought=False),
            withheld_labels(case, k),
        )
        for k, reading in enumerate(case.readings)
        if reading.scar_withheld and not reading.status.read and not reading.edited
    ]


def withheld_labels(case: Case, slice_index: int) -> LabelArray | None:
    """Return the labels (row, column) before scar was withheld; None where that is not recorded."""
    steps = case.record.steps
    for n in range(len(steps) - 1, -1, -1):
        step = steps[n]
        withheld = step.reading is not None and step.reading.scar_withheld
        if step.cause is Cause.GATE and step.slice_index == slice_index and withheld:
            labels: LabelArray = replace(case.record, steps=steps[:n]).final_state()[0][slice_index]
            return labels
    return None


def probably_no_scar(case: Case, rules: ProposalRules = RULES) -> bool | None:
    """Return whether the gate found a case probably free of scar; None where it did not apply.

    Once a reader has shown the scar that was withheld, or has drawn other scar, it is None too.
    """
    if any(reading.scar_withheld for reading in case.readings):
        return None if infarct_mask(case.labels).any() else True
    by_models = bool(case.segmenter.sha256) and case.stack.n_slices >= rules.gate_slices
    applied = any(step.cause is Cause.GATE for step in case.record.steps)
    return False if by_models and not applied and _proposed_whole(case) else None
