"""Proposals, answers to prompts and grams, on the phantom with fake models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case import changes
from scarseg.case.case import Case, ModelIdentity
from scarseg.case.history import Cause, SliceReading, SliceStatus
from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.case.prompts import Box, Origin, Point, SlicePrompts
from scarseg.case.stack import SliceImage, Stack
from scarseg.errors import Cancelled, ModelError
from scarseg.models import Detection, Embedding, Logits, Models, Structure
from scarseg.segmentation import pipeline
from scarseg.segmentation.proposal import RULES, ScarSource
from tests.conftest import SCAR_LEVEL
from tests.fakes import FakeDetector, FakeSegmenter


class ScarOnly(FakeSegmenter):
    """A segmenter like SAM's ViT: scar alone, and nothing at all without prompts."""

    identity = ModelIdentity("vit", "2" * 64, False)

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        scar = super().predict(embedding, prompts, previous, quick).scar
        return Logits(scar if prompts.has_scar_prompts else np.full_like(scar, -5))


class Blind(FakeDetector):
    """A detector that finds nothing."""

    def detect(self, image: SliceImage) -> list[Detection]:
        return []


class Recording(FakeSegmenter):
    """Remember the boxes it was asked to look at."""

    def __init__(self) -> None:
        self.looked: list[Box | None] = []

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        self.looked.append(lv_box)
        return super().embed(image, lv_box)


@pytest.mark.parametrize("scar", list(ScarSource))
def test_proposal_is_the_truth_on_the_phantom(
    scar: ScarSource, phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    case = pipeline.propose_case(phantom_stack, models, rules=replace(RULES, scar=scar))
    np.testing.assert_array_equal(case.labels, phantom_truth)
    assert [r.status for r in case.readings] == [SliceStatus.PROPOSED] * 5
    assert [len(r.prompts.boxes) for r in case.readings] == [0, 1, 1, 1, 0]
    assert case.segmenter.name == "fake-segmenter"
    assert case.detector.name == "fake-detector"


def test_propose_stack_follows_the_order_and_reports(phantom_stack: Stack, models: Models) -> None:
    said: list[float] = []
    order = [2, 1, 3]
    proposals = pipeline.propose_stack(
        phantom_stack, models, lambda fraction, what: said.append(fraction), order
    )
    assert [k for k, _ in proposals] == order
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_propose_stack_stops_when_cancelled(phantom_stack: Stack, models: Models) -> None:
    def progress(fraction: float, what: str) -> None:
        if fraction > 0.7:
            raise Cancelled

    seen = []
    with pytest.raises(Cancelled):
        for k, _ in pipeline.propose_stack(phantom_stack, models, progress):
            seen.append(k)
    assert seen == [0, 1, 2]


def test_without_detector_the_segmenter_finds_heart_and_boxes(
    phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    case = pipeline.propose_case(phantom_stack, Models(FakeSegmenter(), None))
    np.testing.assert_array_equal(case.labels, phantom_truth)
    assert len(case.readings[2].prompts.boxes) == 1
    assert case.readings[2].prompts.lv_box == Box(24, 20, 48, 40, Origin.DETECTOR)


def test_slice_without_heart_leans_on_its_neighbours(phantom_stack: Stack) -> None:
    class Gaps(FakeDetector):
        def detect(self, image: SliceImage) -> list[Detection]:
            hidden = image.pixels[0, 0] == -1
            return [] if hidden else super().detect(image)

    pixels = phantom_stack.pixels.copy()
    pixels[[0, 2], 0, 0] = -1
    segmenter = Recording()
    pipeline.propose_case(replace(phantom_stack, pixels=pixels), Models(segmenter, Gaps()))
    assert [box and (box.column0, box.row0, box.column1, box.row1) for box in segmenter.looked] == [
        (24.0, 20.0, 48.0, 40.0)
    ] * 5


def test_stray_lv_box_is_not_believed(phantom_stack: Stack) -> None:
    class Stray(FakeDetector):
        def detect(self, image: SliceImage) -> list[Detection]:
            if image.pixels[0, 0] == -1:
                return [Detection(Box(0, 0, 20, 20), Structure.LEFT_VENTRICLE, 0.99)]
            return super().detect(image)

    pixels = phantom_stack.pixels.copy()
    pixels[1, 0, 0] = -1
    segmenter = Recording()
    pipeline.propose_case(replace(phantom_stack, pixels=pixels), Models(segmenter, Stray()))
    assert segmenter.looked[1] is not None
    assert segmenter.looked[1].centre == (36.0, 30.0)


def test_segmenter_looks_again_round_its_own_heart(phantom_stack: Stack) -> None:
    segmenter = Recording()
    models = Models(segmenter, None)
    hint = Box(10, 10, 40, 40, Origin.DETECTOR)
    proposal = pipeline.propose_slice(phantom_stack.image(2), models, hint)
    assert segmenter.looked == [hint, Box(24, 20, 48, 40, Origin.DETECTOR)]
    assert proposal.prompts.lv_box == segmenter.looked[-1]


def test_readers_own_lv_box_is_kept(phantom_stack: Stack) -> None:
    segmenter = Recording()
    hint = Box(10, 10, 40, 40)
    proposal = pipeline.propose_slice(
        phantom_stack.image(2), Models(segmenter, FakeDetector()), hint
    )
    assert segmenter.looked == [hint]
    assert proposal.prompts.lv_box == hint


def test_scar_only_segmenter_gives_scar_and_no_lv_mass(
    phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    case = pipeline.propose_case(phantom_stack, Models(ScarOnly(), FakeDetector()))
    np.testing.assert_array_equal(case.labels == Label.SCAR, phantom_truth == Label.SCAR)
    assert set(np.unique(case.labels)) == {0, 3}
    measured = pipeline.measure(case)
    assert measured.scar_mass_g > 0
    assert measured.lv_mass_g is None
    assert measured.scar_percent_lv is None


def test_prompts_file_mode_segments_exactly_the_slices_asked_for(
    phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    prompts = {1: SlicePrompts(boxes=(Box(36, 20, 48, 40),)), 2: SlicePrompts(no_scar=True)}
    case = pipeline.propose_case(phantom_stack, models, prompts=prompts)
    scar = (case.labels == Label.SCAR).any(axis=(1, 2))
    assert scar.tolist() == [False, True, False, False, False]
    np.testing.assert_array_equal(case.labels[1], phantom_truth[1])
    np.testing.assert_array_equal(case.labels >= Label.MYOCARDIUM, phantom_truth >= 2)
    assert case.readings[1].prompts.boxes == prompts[1].boxes
    assert case.readings[2].prompts.no_scar
    assert case.readings[3].prompts.boxes == ()


def test_segment_keeps_the_wall_that_is_drawn(
    phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    embedding = models.segmenter.embed(phantom_stack.image(2), None)
    before = phantom_truth[2].copy()
    before[before == Label.SCAR] = Label.MYOCARDIUM
    before[:, 45:] = Label.BACKGROUND  # a reader cut the wall here
    before[30, 40] = Label.MVO
    labels, _ = pipeline.segment(
        models, embedding, SlicePrompts(boxes=(Box(30, 15, 60, 45),)), before
    )
    assert (labels[:, 45:] == Label.BACKGROUND).all()
    np.testing.assert_array_equal(labels >= Label.MYOCARDIUM, before >= Label.MYOCARDIUM)
    assert (labels[:, :45] == Label.SCAR).sum() == (phantom_truth[2][:, :45] == Label.SCAR).sum()
    assert not (labels == Label.MVO).any()


class LearnsOfTheWall(FakeSegmenter):
    """Without prompts take the scar for blood pool, as young weights do."""

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        told = super().predict(embedding, prompts, previous, quick)
        if prompts.has_scar_prompts:
            return told
        assert told.wall is not None and told.blood_pool is not None
        scar = told.scar > 0
        return Logits(
            np.full_like(told.scar, -5),
            np.where(scar, np.float32(5), told.blood_pool),
            np.where(scar, np.float32(-5), told.wall),
        )


class WatchedSegmenter(FakeSegmenter):
    """Keep what the segmenter is fed; ``takes_walls`` as weights trained with given walls."""

    takes_walls = True

    def __init__(self) -> None:
        super().__init__()
        self.fed: list[Logits | None] = []

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        self.fed.append(previous)
        return super().predict(embedding, prompts, previous, quick)


def test_a_wall_that_a_reader_drew_is_fed_and_no_other(phantom_stack: Stack) -> None:
    segmenter = WatchedSegmenter()
    models = Models(segmenter, None)
    proposal = pipeline.propose_slice(phantom_stack.image(2), models)
    assert all(one is None for one in segmenter.fed)
    asked = SlicePrompts(boxes=(Box(30, 15, 60, 45),))
    pipeline.segment(models, proposal.embedding, asked, proposal.labels, proposal.logits)
    assert segmenter.fed[-1] is None, "the network's own wall"
    drawn = proposal.labels.copy()
    drawn[30, 26] = Label.BACKGROUND
    pipeline.segment(models, proposal.embedding, asked, drawn, proposal.logits)
    fed = segmenter.fed[-1]
    assert fed is not None and fed.wall is not None and fed.blood_pool is not None
    np.testing.assert_array_equal(fed.wall > 0, drawn >= Label.MYOCARDIUM)
    np.testing.assert_array_equal(fed.blood_pool > 0, drawn == Label.BLOOD_POOL)
    assert not (fed.scar > 0).any()


def test_clicks_are_answered_from_the_scar_before(phantom_stack: Stack) -> None:
    segmenter = WatchedSegmenter()
    models = Models(segmenter, None)
    rules = replace(RULES, previous_with_points=True)
    proposal = pipeline.propose_slice(phantom_stack.image(2), models)
    asked = SlicePrompts(boxes=(Box(30, 15, 60, 45),)).with_point(Point(35, 20, False))
    pipeline.segment(models, proposal.embedding, asked, proposal.labels, proposal.logits, rules)
    fed = segmenter.fed[-1]
    assert fed is not None and fed.wall is not None and fed.blood_pool is not None
    np.testing.assert_array_equal(fed.scar, proposal.logits.scar)
    assert not (fed.wall > 0).any()
    assert not (fed.blood_pool > 0).any()
    segmenter.takes_walls = False
    pipeline.segment(models, proposal.embedding, asked, proposal.labels, proposal.logits, rules)
    assert segmenter.fed[-1] is proposal.logits, "weights before: all of the answer before"


def test_wall_that_nobody_drew_follows_the_answer(
    phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    models = Models(LearnsOfTheWall(), None)
    proposal = pipeline.propose_slice(phantom_stack.image(2), models)
    assert not (proposal.labels == Label.SCAR).any()
    asked = SlicePrompts(boxes=(Box(30, 15, 60, 45),))
    labels, logits = pipeline.segment(
        models, proposal.embedding, asked, proposal.labels, proposal.logits
    )
    np.testing.assert_array_equal(labels, phantom_truth[2])
    again, _ = pipeline.segment(models, proposal.embedding, asked, labels, logits)
    np.testing.assert_array_equal(again, labels)


def test_wall_that_a_reader_touched_stays(phantom_stack: Stack) -> None:
    models = Models(LearnsOfTheWall(), None)
    proposal = pipeline.propose_slice(phantom_stack.image(2), models)
    drawn = proposal.labels.copy()
    drawn[30, 26] = Label.BACKGROUND
    asked = SlicePrompts(boxes=(Box(30, 15, 60, 45),))
    labels, _ = pipeline.segment(models, proposal.embedding, asked, drawn, proposal.logits)
    np.testing.assert_array_equal(labels, drawn)


def test_without_the_rule_no_answer_depends_on_what_came_before(
    phantom_stack: Stack, models: Models
) -> None:
    class Swayed(FakeSegmenter):
        def predict(
            self,
            embedding: Embedding,
            prompts: SlicePrompts,
            previous: Logits | None = None,
            quick: bool = False,
        ) -> Logits:
            assert previous is None
            return super().predict(embedding, prompts, previous, quick)

    proposal = pipeline.propose_slice(phantom_stack.image(2), models)
    asked = SlicePrompts(points=(Point(46, 30), Point(44, 30, False)))
    rules = replace(RULES, previous_with_points=False)
    pipeline.segment(
        Models(Swayed(), None), proposal.embedding, asked, proposal.labels, proposal.logits, rules
    )


def test_points_of_a_file_are_answered_one_by_one(phantom_stack: Stack) -> None:
    segmenter = WatchedSegmenter()
    models = Models(segmenter, None)
    asked = SlicePrompts(boxes=(Box(30, 15, 60, 45),), points=(Point(46, 30), Point(35, 20, False)))
    prompts = {2: asked}
    (proposal,) = (
        one for k, one in pipeline.propose_stack(phantom_stack, models, order=[2], prompts=prompts)
    )
    assert segmenter.fed[-1] is not None
    box = replace(asked, points=())
    embedding = proposal.embedding
    empty = np.zeros_like(proposal.labels)
    labels, logits = pipeline.segment(models, embedding, box, empty)
    for n in (1, 2):
        click = replace(asked, points=asked.points[:n])
        labels, logits = pipeline.segment(models, embedding, click, labels, logits)
    np.testing.assert_array_equal(proposal.logits.scar, logits.scar)


def test_segment_proposes_a_wall_where_there_is_none(
    phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    embedding = models.segmenter.embed(phantom_stack.image(2), None)
    before = np.zeros(embedding.shape, dtype=np.uint8)
    labels, _ = pipeline.segment(models, embedding, SlicePrompts(points=(Point(46, 30),)), before)
    np.testing.assert_array_equal(labels >= 2, phantom_truth[2] >= 2)
    assert labels[30, 46] == Label.SCAR


def test_segment_with_scar_only_replaces_its_own_answer(phantom_stack: Stack) -> None:
    models = Models(ScarOnly(), None)
    embedding = models.segmenter.embed(phantom_stack.image(2), None)
    empty = np.zeros(embedding.shape, dtype=np.uint8)
    upper, _ = pipeline.segment(
        models, embedding, SlicePrompts(boxes=(Box(36, 20, 48, 30),)), empty
    )
    whole, _ = pipeline.segment(
        models, embedding, SlicePrompts(boxes=(Box(36, 20, 48, 40),)), upper
    )
    again, _ = pipeline.segment(
        models, embedding, SlicePrompts(boxes=(Box(36, 20, 48, 30),)), whole
    )
    assert (whole > 0).sum() > (upper > 0).sum() > 0
    np.testing.assert_array_equal(again, upper)


def test_no_scar_clears_the_scar(
    phantom_stack: Stack, phantom_truth: LabelArray, models: Models
) -> None:
    embedding = models.segmenter.embed(phantom_stack.image(2), None)
    labels, _ = pipeline.segment(models, embedding, SlicePrompts(no_scar=True), phantom_truth[2])
    assert not (labels >= Label.SCAR).any()
    np.testing.assert_array_equal(labels >= 2, phantom_truth[2] >= 2)


@pytest.mark.parametrize(
    "reading",
    [
        SliceReading(status=SliceStatus.ACCEPTED),
        SliceReading(status=SliceStatus.NO_SCAR),
        SliceReading(status=SliceStatus.NOT_ASSESSABLE),
        SliceReading(edited=True),
        SliceReading(SlicePrompts(boxes=(Box(1, 1, 5, 5),))),
        SliceReading(SlicePrompts(points=(Point(1, 1),))),
    ],
)
def test_proposal_never_overwrites_a_reader(
    reading: SliceReading, phantom_stack: Stack, models: Models
) -> None:
    case = Case.new(phantom_stack)
    case.readings[2] = reading
    proposal = pipeline.propose_slice(phantom_stack.image(2), models)
    assert pipeline.proposal_change(case, 2, proposal) is None


def test_proposal_may_replace_an_older_one(phantom_stack: Stack, models: Models) -> None:
    case = pipeline.propose_case(phantom_stack, models)
    proposal = pipeline.propose_slice(phantom_stack.image(2), models, Box(20, 16, 52, 44))
    change = pipeline.proposal_change(case, 2, proposal)
    assert change is not None
    assert change.after.prompts.lv_box == Box(20, 16, 52, 44)


def test_model_that_answers_nonsense_is_an_error(phantom_stack: Stack) -> None:
    class Nonsense(FakeSegmenter):
        def predict(
            self,
            embedding: Embedding,
            prompts: SlicePrompts,
            previous: Logits | None = None,
            quick: bool = False,
        ) -> Logits:
            return Logits(np.full(embedding.shape, np.nan, dtype=np.float32))

    with pytest.raises(ModelError, match="E_MODEL_OUTPUT"):
        pipeline.propose_slice(phantom_stack.image(2), Models(Nonsense(), None))


# --- MVO, and what nobody asked for -------------------------------------------------------------


def test_mvo_is_looked_for_in_a_proposal_and_none_is_zero(
    phantom_stack: Stack, models: Models
) -> None:
    case = pipeline.propose_case(phantom_stack, models)
    scarred = [bool(infarct_mask(labels).any()) for labels in case.labels]
    assert scarred == [False, True, True, True, False]
    assert [reading.mvo_sought for reading in case.readings] == scarred
    assert pipeline.measure(case).mvo_mass_g == 0.0
    steps = [step.slice_index for step in case.record.steps if step.cause is Cause.MVO]
    assert steps == [1, 2, 3]
    labels, readings = case.record.final_state()
    assert np.array_equal(labels, case.labels) and readings == case.readings
    assert not any(case.differs_from_proposal(k) for k in range(5))


class SeesThroughMvo(FakeSegmenter):
    """Answers as if a dark core were scar, as a segmenter trained on infarcts does."""

    core: np.ndarray

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        filled = np.where(self.core, np.float32(SCAR_LEVEL), image.pixels)
        return super().embed(replace(image, pixels=filled), lv_box)


def test_a_dark_core_of_a_proposed_scar_is_labelled_mvo(
    phantom_stack: Stack, phantom_truth: LabelArray
) -> None:
    """Twelve voxels of 1.875 mm2 inside the scar of slice 3, as dark as muscle."""
    rows, columns = np.nonzero(phantom_truth[2] == Label.SCAR)
    core = np.zeros(phantom_truth.shape[1:], dtype=bool)
    row, column = int(np.median(rows)), int(np.median(columns))
    core[row - 1 : row + 3, column - 1 : column + 2] = True
    assert (phantom_truth[2][core] == Label.SCAR).all()
    pixels = phantom_stack.pixels.copy()
    pixels[2][core] = np.median(pixels[2][phantom_truth[2] == Label.MYOCARDIUM])
    segmenter = SeesThroughMvo()
    segmenter.core = core
    case = pipeline.propose_case(replace(phantom_stack, pixels=pixels), Models(segmenter, None))
    assert np.array_equal(case.labels[2] == Label.MVO, core)
    assert np.array_equal(infarct_mask(case.labels[2]), phantom_truth[2] == Label.SCAR)
    measured = pipeline.measure(case)
    # 12 voxels of 1.5 x 1.25 mm, 8 mm thick, 1.05 g/ml.
    assert measured.mvo_mass_thickness_g == pytest.approx(12 * 0.01575)
    assert measured.scar_mass_proposed_thickness_g == measured.scar_mass_thickness_g


def test_prompts_that_name_no_slice_of_a_stack_leave_its_scar_unknown(
    phantom_stack: Stack, models: Models
) -> None:
    case = pipeline.propose_case(phantom_stack, models, prompts={})
    assert {reading.status for reading in case.readings} == {SliceStatus.UNSEEN}
    measured = pipeline.measure(case)
    assert not measured.examined and measured.mvo_mass_g is None
    assert measured.lv_mass_g is not None and measured.lv_mass_g > 0
    row = pipeline.measured_record(case).row
    assert row["scar_mass_g"] is None and row["scar_percent_lv"] is None
    assert row["status"] == "incomplete" and row["lv_mass_g"] == measured.lv_mass_g


def test_an_answer_to_prompts_leaves_mvo_unknown_until_it_is_looked_for(
    phantom_stack: Stack, models: Models
) -> None:
    case = pipeline.propose_case(phantom_stack, models)
    answered = changes.apply_prediction(case, 2, case.labels[2].copy())
    assert not answered.after.mvo_sought
    case.apply(answered, Cause.ANSWER)
    assert pipeline.measure(case).mvo_mass_g is None
    assert pipeline.mvo_changes(case) == [], "a reader's slice is left"
    found = changes.label_mvo(case, 2, case.labels[2].copy())
    assert found.edit is None and found.after.mvo_sought
    case.apply(found)
    assert pipeline.measure(case).mvo_mass_g == 0.0
