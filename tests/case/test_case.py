"""Cases: the first proposal they remember, and the time and interactions they count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scarseg.case.case import Case
from scarseg.case.history import Cause, SliceReading
from scarseg.case.labels import Label, LabelArray, Patch
from scarseg.case.stack import Stack
from tests.conftest import make_phantom_stack, phantom_labels


def test_the_first_proposal_is_remembered_until_the_models_start_over(phantom_stack: Stack):
    case, truth = Case.new(phantom_stack), phantom_labels()
    assert not case.differs_from_proposal(1)
    case.apply(case.change("Propose", 1, None, truth[1]), Cause.PROPOSAL)
    assert case.proposed[1] is not None
    assert case.proposed[1].n_infarct_voxels == np.count_nonzero(truth[1] == Label.SCAR)
    assert not case.differs_from_proposal(1)
    edited = case.labels[1].copy()
    edited[:3, :3] = Label.SCAR
    case.apply(case.change("draw", 1, replace(case.readings[1], edited=True), edited))
    case.apply(case.change("segment", 1, None, truth[2] * 0), Cause.ANSWER)
    assert case.differs_from_proposal(1)
    case.apply(case.change("ventricle box", 1, None, truth[2]), Cause.RELOCATED)
    assert not case.differs_from_proposal(1), "slices 1 and 2 of the phantom are alike"
    case.apply(case.change("propose again", 1, None, truth[0]), Cause.PROPOSAL)
    assert case.proposed[1].n_infarct_voxels == 0
    assert not case.differs_from_proposal(1)


def test_time_and_interactions_are_counted_by_slice():
    case = Case.new(make_phantom_stack())
    case.count_interaction(2)
    case.count_interaction(0)
    case.add_reading_time(2, 1.5)
    assert (case.interactions, case.slice_interactions) == (2, [1, 0, 1, 0, 0])
    assert (case.seconds, case.slice_seconds) == (1.5, [0.0, 0.0, 1.5, 0.0, 0.0])


def test_a_copy_changes_apart_from_its_case(
    phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    case = Case.new(phantom_stack)
    case.labels_under_scar = np.zeros_like(case.labels)
    twin = case.copy()
    assert twin.stack is case.stack
    twin.apply(twin.change("draw", 2, SliceReading(edited=True), phantom_truth[2]))
    twin.count_interaction(2)
    twin.add_reading_time(2, 4.0)
    twin.proposed[2] = Patch.of(phantom_truth[2])
    assert not case.labels.any() and not case.labels_under_scar.any()
    assert case.readings[2] == SliceReading()
    assert (case.record.steps, case.proposed) == ([], [None] * 5)
    assert (case.interactions, case.slice_interactions, case.slice_seconds) == (
        0,
        [0] * 5,
        [0.0] * 5,
    )
    case.apply(case.change("draw", 0, SliceReading(edited=True), phantom_truth[0]))
    assert len(twin.record.steps) == 1 and not twin.labels[0].any()
