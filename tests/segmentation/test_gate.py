"""The gate of a whole stack: what is withheld, what never is, and how it is shown again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case import changes
from scarseg.case.case import Case
from scarseg.case.history import Cause, SliceStatus
from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import Stack
from scarseg.io.casefile.file_format import build_case, encode_case, parse_case
from scarseg.models import Models
from scarseg.segmentation import gate, pipeline
from scarseg.segmentation.proposal import RULES

STRICT = replace(RULES, gate_evidence_mm2=1e6)
"""Rules by which no scar is enough."""


def test_evidence_is_the_strongest_scar_over_neighbouring_slices() -> None:
    """Probability 1 / (1 + exp(-ln 3)) = 0.75; pixels of 2 x 1.5 = 3 mm2."""
    labels = np.full((4, 8, 8), Label.MYOCARDIUM, dtype=np.uint8)
    labels[0, 1, 1:3] = Label.SCAR
    labels[1, 2, 3] = Label.MVO  # touches the first across a corner: 3 pixels in all
    labels[3, 6, 4:6] = Label.SCAR
    logits = [np.full((8, 8), np.log(3), dtype=np.float32)] * 4
    found = gate.scar_evidence_mm2(labels, logits, (2.0, 1.5))
    assert found == pytest.approx(3 * 0.75 * 3.0)
    without = np.full_like(labels, Label.MYOCARDIUM)
    assert gate.scar_evidence_mm2(without, logits, (2.0, 1.5)) == 0.0


def test_weak_scar_of_a_whole_stack_is_withheld_and_marked(
    phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    case = pipeline.propose_case(phantom_stack, models, rules=STRICT)
    assert not infarct_mask(case.labels).any()
    heart = phantom_truth > 0
    assert np.array_equal(case.labels > 0, heart), "wall and pool stay"
    assert all(reading.scar_withheld for reading in case.readings)
    assert {reading.status for reading in case.readings} == {SliceStatus.PROPOSED}
    assert not any(reading.mvo_sought for reading in case.readings)
    row = pipeline.measured_record(case).row
    assert row["probably_no_scar"] == "yes" and row["scar_mass_g"] == 0.0
    assert row["scar_mass_proposed_g"] == 0.0 and row["n_slices_changed"] == 0
    labels, readings = case.record.final_state()
    assert np.array_equal(labels, case.labels) and readings == case.readings


def test_scar_that_is_strong_enough_stays(phantom_stack: Stack, models: Models) -> None:
    case = pipeline.propose_case(phantom_stack, models)
    assert infarct_mask(case.labels).any()
    assert pipeline.measured_record(case).row["probably_no_scar"] == "no"
    assert not any(step.cause is Cause.GATE for step in case.record.steps)


def test_withheld_scar_is_shown_again_as_it_was_proposed(
    phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    case = pipeline.propose_case(phantom_stack, models, rules=STRICT)
    for change in gate.show_changes(case):
        case.apply(change, Cause.GATE)
    assert np.array_equal(case.labels, phantom_truth)
    assert not any(reading.scar_withheld for reading in case.readings)
    assert not any(case.differs_from_proposal(k) for k in range(len(case.labels)))
    assert gate.show_changes(case) == []
    assert pipeline.measured_record(case).row["probably_no_scar"] is None
    logits = {k: one.logits for k, one in pipeline.propose_stack(phantom_stack, models)}
    assert gate.withhold_changes(case, logits, STRICT) == [], "what was shown is not withheld again"


def test_a_slice_that_was_read_keeps_what_was_withheld(
    phantom_stack: Stack, models: Models
) -> None:
    case = pipeline.propose_case(phantom_stack, models, rules=STRICT)
    case.apply(changes.accept(case, 2))
    shown = [change.slice_index for change in gate.show_changes(case)]
    assert shown == [0, 1, 3, 4]


def test_prompts_of_a_reader_are_always_answered(phantom_stack: Stack, models: Models) -> None:
    asked = {2: SlicePrompts((Box(0, 0, 60, 60),))}
    case = pipeline.propose_case(phantom_stack, models, prompts=asked, rules=STRICT)
    assert infarct_mask(case.labels[2]).any()
    assert pipeline.measured_record(case).row["probably_no_scar"] is None


@pytest.mark.parametrize("act", ["edit", "prompt", "accept"])
def test_nothing_is_withheld_once_a_reader_has_drawn_prompted_or_read_scar(
    act: str, phantom_stack: Stack, models: Models
) -> None:
    proposals = dict(pipeline.propose_stack(phantom_stack, models))
    case = Case.new(phantom_stack)
    for k, proposal in proposals.items():
        change = pipeline.proposal_change(case, k, proposal)
        assert change is not None
        case.apply(change, Cause.PROPOSAL)
    logits = {k: one.logits for k, one in proposals.items()}
    assert len(gate.withhold_changes(case, logits, STRICT)) == 5
    labels = case.labels[2].copy()
    labels[infarct_mask(labels)] = Label.MYOCARDIUM
    prompts = replace(case.readings[2].prompts, boxes=(Box(0, 0, 60, 60),))
    build = {
        "edit": lambda: changes.paint(case, 2, "erase", labels),
        "prompt": lambda: changes.set_prompts(case, 2, "add box", prompts),
        "accept": lambda: changes.accept(case, 2),
    }
    case.apply(build[act]())
    assert gate.withhold_changes(case, logits, STRICT) == []


def test_stacks_of_too_few_slices_and_slices_without_prediction_are_left(
    phantom_stack: Stack, models: Models
) -> None:
    rules = replace(STRICT, gate_slices=6)
    case = pipeline.propose_case(phantom_stack, models, rules=rules)
    assert infarct_mask(case.labels).any()
    logits = {k: one.logits for k, one in pipeline.propose_stack(phantom_stack, models)}
    del logits[4]
    assert gate.withhold_changes(case, logits, STRICT) == []


def test_a_case_file_keeps_the_mark(phantom_stack: Stack, models: Models) -> None:
    case = pipeline.propose_case(phantom_stack, models, rules=STRICT)
    again = build_case(parse_case(encode_case(case)), phantom_stack)
    assert again.readings == case.readings
    found = [gate.withheld_labels(one, 2) for one in (again, case)]
    assert found[0] is not None and found[1] is not None
    assert np.array_equal(*found) and infarct_mask(found[0]).any()
