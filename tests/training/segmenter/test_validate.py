"""Quick figures of unfinished weights: worked out by hand, never undefined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scarseg.case.case import ModelIdentity
from scarseg.case.labels import infarct_mask
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.models import Embedding, Logits
from scarseg.training.cases import TrainingCase
from scarseg.training.segmenter.validate import ValidationSlice, choose_validation_slices, validate
from tests.conftest import SPACING as SLICE_SPACING
from tests.conftest import make_phantom_stack, phantom_labels


class Scripted:
    """Answers with labels that a test gives it: one for every picture and way of asking."""

    identity = ModelIdentity("scripted", "0" * 64, False)

    def __init__(self, slices: list[ValidationSlice], automatic: float, boxed: float) -> None:
        self.truth = {id(one.image): one.labels for one in slices}
        self.shares = {False: automatic, True: boxed}

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        shape = (int(image.pixels.shape[0]), int(image.pixels.shape[1]))
        return Embedding(shape, lv_box, self.truth[id(image)], image.pixel_spacing_mm)

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        labels = embedding.features
        scar = infarct_mask(labels) * self.shares[prompts.has_scar_prompts] > 0.5
        logits = [np.where(m, 9.0, -9.0).astype(np.float32) for m in (scar, labels == 1)]
        wall = np.where(labels >= 2, 9.0, -9.0).astype(np.float32)
        return Logits(logits[0], logits[1], wall)


def case(name: str = "X", scar: bool = True) -> TrainingCase:
    stack = make_phantom_stack()
    labels = phantom_labels()
    if not scar:
        labels = np.where(labels >= 3, 2, labels).astype(np.uint8)
    return TrainingCase(name, "lge", stack.pixels, labels, stack.pixel_spacing_mm, SLICE_SPACING)


def test_a_perfect_segmenter_scores_one() -> None:
    slices = choose_validation_slices([case(), case("Y", scar=False)], 0)
    figures = validate(Scripted(slices, 1, 1), slices)
    assert figures is not None
    assert figures.pop("false_scar_ml") == 0
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))


def test_both_ways_of_asking_count_the_same() -> None:
    slices = choose_validation_slices([case()], 0)
    figures = validate(Scripted(slices, 0, 1), slices)
    assert figures is not None
    true_ml = sum(infarct_mask(one.labels).sum() * one.voxel_ml for one in slices)
    # automatic finds nothing: (0 + 1 ml) / (0 + true + 1 ml); with boxes all of it: 1
    assert figures["score"] == pytest.approx((1 / (true_ml + 1) + 1) / 2)
    assert (figures["automatic_dice"], figures["box_dice"]) == (0.0, 1.0)
    assert "false_scar_ml" not in figures


def test_patients_without_scar_are_never_undefined() -> None:
    slices = choose_validation_slices([case("N", scar=False)], 0)
    figures = validate(Scripted(slices, 1, 1), slices)
    assert figures is not None
    assert figures["score"] == 1.0
    assert all(np.isfinite(value) for value in figures.values())
    assert "box_dice" not in figures


def test_slices_repeat_by_seed_are_limited_and_read() -> None:
    cases = [case(f"P{k}") for k in range(4)]
    one, two = (
        choose_validation_slices(cases, 3, most=8),
        choose_validation_slices(cases, 3, most=8),
    )
    assert [(a.lv_box, a.boxes) for a in one] == [(b.lv_box, b.boxes) for b in two]
    assert len(one) == 8
    assert {a.patient for a in one} == {"P0", "P1", "P2", "P3"}
    assert len(choose_validation_slices([case(f"P{k}") for k in range(9)], 3, most=4)) <= 4
    unread = replace(case(), scar_read=(False, False, True, False, False))
    assert len(choose_validation_slices([unread], 0)) == 1
    undrawn = replace(case(), wall_known=(False,) * 5)
    assert choose_validation_slices([undrawn], 0) == []


def test_a_try_can_be_stopped() -> None:
    slices = choose_validation_slices([case()], 0)
    assert validate(Scripted(slices, 1, 1), slices, lambda: True) is None
