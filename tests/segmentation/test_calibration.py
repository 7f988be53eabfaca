"""What a calibration changes: thresholds and endocardium, wherever scar is predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.case import Case
from scarseg.case.labels import Label, LabelArray, infarct_mask
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage, Stack
from scarseg.models import Embedding, Logits, Models
from scarseg.segmentation import pipeline
from scarseg.segmentation.calibration import calibrated, rules_of
from scarseg.segmentation.interval import proposed_spread
from scarseg.segmentation.moved_wall import scar_in_moved_wall
from scarseg.segmentation.predict import predict
from scarseg.segmentation.proposal import RULES, split_heart
from scarseg.segmentation.refill import refill_wall
from scarseg.segmentation.scar_rules import move_endocardium
from scarseg.segmentation.uncertainty import prompted_variation, proposed_variation
from scarseg.segmentation.wall_correction import THINNEST_WALL_MM, HeartMasks
from tests.calibrations import learned
from tests.fakes import FakeDetector, FakeSegmenter

SPACING = (1.0, 1.0)
LEVELS = {"automatic_logit": -1.0, "prompted_logit": -1.0, "given_wall_logit": -1.0}


class FaintSegmenter(FakeSegmenter):
    """Is not sure of scar: its logit is -0.5 wherever the phantom has any."""

    takes_walls = True

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        sure = super().predict(embedding, prompts, previous, quick)
        faint = np.where(sure.scar > 0, np.float32(-0.5), sure.scar)
        return replace(sure, scar=faint)


def faint_models(**rules: float) -> Models:
    calibration = learned(**{"endocardium_offset_mm": 0.0, **LEVELS, **rules}).calibration
    return Models(FaintSegmenter(), FakeDetector(), calibration)


UNCALIBRATED = Models(FaintSegmenter(), FakeDetector())


def disc(radius: float, size: int = 81) -> np.ndarray:
    rows, columns = np.mgrid[:size, :size] - size // 2
    return np.hypot(rows, columns) < radius


def ring(inner: float, outer: float) -> Logits:
    """Logits of a round heart with these radii in mm, one pixel a millimetre."""
    pool, heart = disc(inner), disc(outer)
    as_logits = [np.where(one, 5, -5).astype(np.float32) for one in (pool, heart & ~pool)]
    return Logits(np.full(pool.shape, -5, np.float32), *as_logits)


def radius(mask: np.ndarray) -> float:
    return float(np.sqrt(np.count_nonzero(mask) / np.pi))


@pytest.mark.parametrize("offset", [-4.0, -2.0, -1.0, 1.0, 2.0, 3.0, 6.0])
def test_endocardium_moves_by_the_offset_and_the_heart_stays(offset: float) -> None:
    before = ring(20.0, 30.0)
    moved = move_endocardium(before, SPACING, offset)
    wall, pool = split_heart(moved)
    assert radius(pool) == pytest.approx(20.0 - offset, abs=0.5)
    assert np.array_equal(wall | pool, disc(30.0))


def test_endocardium_moves_in_millimetres_along_both_axes() -> None:
    pool = np.zeros((60, 120), dtype=bool)
    pool[15:45, 30:90] = True  # 60 mm by 30 mm
    heart = np.zeros_like(pool)
    heart[5:55, 10:110] = True
    logits = Logits(
        np.full(pool.shape, -5, np.float32),
        np.where(pool, 5, -5).astype(np.float32),
        np.where(heart & ~pool, 5, -5).astype(np.float32),
    )
    _, found = split_heart(move_endocardium(logits, (2.0, 0.5), 4.0))
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max()) == (17, 42)  # 4 mm are two rows
    assert (columns.min(), columns.max()) == (38, 81)  # and eight columns


def test_a_small_pool_stays_and_a_wall_stays() -> None:
    small = split_heart(move_endocardium(ring(4.0, 12.0), SPACING, 6.0))[1]
    assert 1.0 < radius(small) < 3.5
    wall, pool = split_heart(move_endocardium(ring(20.0, 25.0), SPACING, -10.0))
    assert radius(wall | pool) - radius(pool) == pytest.approx(THINNEST_WALL_MM, abs=0.6)


def test_contours_of_a_reader_and_a_segmenter_without_wall_stay() -> None:
    exact = replace(ring(20.0, 30.0), exact=True)
    assert move_endocardium(exact, SPACING, 3.0) is exact
    alone = Logits(np.zeros((5, 5), np.float32))
    assert move_endocardium(alone, SPACING, 3.0) is alone


def test_rules_without_and_with_a_calibration() -> None:
    assert calibrated(None) is RULES
    assert rules_of(UNCALIBRATED) is RULES
    changed = rules_of(faint_models(endocardium_offset_mm=2.0))
    assert changed == replace(RULES, endocardium_offset_mm=2.0, gate_evidence_mm2=30.0, **LEVELS)


def test_the_gate_withholds_below_the_learned_limit(phantom_stack: Stack) -> None:
    shown = pipeline.propose_case(phantom_stack, faint_models(gate_evidence_mm2=0.0))
    assert infarct_mask(shown.labels).any()
    withheld = pipeline.propose_case(phantom_stack, faint_models(gate_evidence_mm2=9e4))
    assert not infarct_mask(withheld.labels).any()
    assert all(reading.scar_withheld for reading in withheld.readings)


def proposed(models: Models, stack: Stack) -> LabelArray:
    return pipeline.propose_case(stack, models).labels[2]


def prompted(models: Models, stack: Stack) -> LabelArray:
    asked = {2: SlicePrompts((Box(0.0, 0.0, 64.0, 60.0),))}
    return pipeline.propose_case(stack, models, prompts=asked).labels[2]


def image_of(stack: Stack) -> SliceImage:
    return stack.image(2)


def answered(models: Models, stack: Stack) -> LabelArray:
    embedding = models.segmenter.embed(image_of(stack), None)
    before = np.zeros(embedding.shape, dtype=np.uint8)
    asked = SlicePrompts((Box(0.0, 0.0, 64.0, 60.0),))
    return pipeline.segment(models, embedding, asked, before)[0]


def refilled(models: Models, stack: Stack) -> LabelArray:
    embedding = models.segmenter.embed(image_of(stack), None)
    wall = HeartMasks.of_logits(predict(models, embedding, SlicePrompts())).labels
    return refill_wall(models, embedding, SlicePrompts(), wall, wall, None).labels


def moved(models: Models, stack: Stack) -> LabelArray:
    embedding = models.segmenter.embed(image_of(stack), None)
    logits = predict(models, embedding, SlicePrompts())
    heart = HeartMasks.of_logits(logits)
    nothing = np.zeros_like(heart.labels)
    return scar_in_moved_wall(
        image_of(stack).pixels, nothing, heart.labels, heart.wall, logits, rules_of(models)
    )


@pytest.mark.parametrize("way", [proposed, prompted, answered, refilled, moved])
def test_a_lower_logit_counts_wherever_scar_is_predicted(way, phantom_stack, phantom_truth) -> None:  # type: ignore[no-untyped-def]
    truth = infarct_mask(phantom_truth[2])
    assert not infarct_mask(way(replace(UNCALIBRATED, calibration=None), phantom_stack))[
        truth
    ].all()
    found = infarct_mask(way(faint_models(), phantom_stack))
    assert found[truth].all()


@pytest.mark.parametrize("way", [proposed, prompted, answered])
def test_the_offset_counts_wherever_a_wall_is_predicted(way, phantom_stack) -> None:  # type: ignore[no-untyped-def]
    def pool(models: Models) -> int:
        return np.count_nonzero(way(models, phantom_stack) == Label.BLOOD_POOL)

    assert pool(faint_models(endocardium_offset_mm=3.0)) < pool(faint_models()) - 20


def test_the_interval_varies_about_the_calibrated_level(phantom_stack: Stack) -> None:
    rules = rules_of(faint_models(automatic_logit=-1.5, prompted_logit=-2.5))
    assert proposed_variation(None, rules=rules).level == -1.5
    assert prompted_variation(SlicePrompts(), (60, 64), SPACING, 0, rules=rules).level == -2.5
    models = faint_models()
    embedding = models.segmenter.embed(image_of(phantom_stack), None)
    labels = proposed(models, phantom_stack)
    given = proposed_spread(models, embedding, labels).voxels[0]
    without = proposed_spread(UNCALIBRATED, embedding, labels).voxels[0]
    assert not np.array_equal(given, without)


def test_a_case_keeps_the_calibration_it_was_proposed_by(phantom_stack: Stack) -> None:
    models = faint_models()
    case = pipeline.propose_case(phantom_stack, models)
    assert case.calibration == models.calibration
    runs = [step.model_run for step in case.record.steps if step.model_run is not None]
    assert {run.calibration for run in runs} == {models.calibration}
    row = pipeline.measured_record(case)
    assert row.row["calibration_sha256"] == learned(endocardium_offset_mm=0.0, **LEVELS).sha256
    thresholds = row.provenance["thresholds"]
    assert isinstance(thresholds, dict) and thresholds["automatic_logit"] == -1.0
    plain = pipeline.measured_record(pipeline.propose_case(phantom_stack, UNCALIBRATED))
    assert plain.row["calibration_sha256"] == ""
    assert plain.provenance["calibration"] is None


def test_a_copy_of_a_case_has_it_too(phantom_stack: Stack) -> None:
    case = Case.new(phantom_stack)
    case.calibration = learned().calibration
    assert case.copy().calibration == learned().calibration
