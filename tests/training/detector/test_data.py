"""Boxes from label maps, random looks, and the loss that ignores what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from scarseg.case.prompts import Box
from scarseg.models.detector_crop import DetectorCrop
from scarseg.models.detector_network import build_network
from scarseg.training.detector.data import (
    LabelledSlice,
    box_around,
    corner_points,
    scar_parts,
    true_boxes,
)
from scarseg.training.detector.evaluate import (
    SliceDetections,
    average_precision,
    choose_scar_score,
    detect_all,
    recall_by_size,
    resample_slices,
    scar_recall,
    shift_slices,
    summarise,
)
from scarseg.training.detector.loss import DetectionLoss, MaskHead
from scarseg.training.detector.sampling import (
    DetectorSample,
    Sampler,
    collate,
    cut_margins,
    make_sample,
    slice_probabilities,
)
from tests.conftest import make_phantom_stack, phantom_labels
from tests.fakes import FakeDetector

SPACING = (1.5, 1.25)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Several test processes with all threads each would wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def labelled(index: int = 2, kind: str = "lge", patient: str = "P001") -> LabelledSlice:
    stack = make_phantom_stack()
    return LabelledSlice(
        patient, index, stack.pixels[index], phantom_labels()[index], SPACING, kind
    )


def test_corners_of_a_turned_mask_give_its_exact_box() -> None:
    mask = np.random.default_rng(0).random((9, 11)) > 0.8
    rows, columns = np.nonzero(mask)
    every = np.concatenate(
        [np.stack([columns + a, rows + b], axis=1) for a in (0, 1) for b in (0, 1)]
    ).astype(float)
    for angle in (0.0, 0.4, 1.9):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert box_around(corner_points(mask) @ turn) == pytest.approx(box_around(every @ turn))
    assert box_around(corner_points(np.zeros((4, 4), dtype=bool))) is None


def test_every_scar_gets_a_box_but_specks_do_not() -> None:
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[5:10, 5:11] = 3
    labels[7, 7] = 4  # MVO belongs to the scar round it
    labels[20:26, 30:34] = 4
    labels[35:37, 2:5] = 3  # 6 pixels of 1.875 square mm
    boxes = [box_around(p) for p in scar_parts(labels, SPACING)]
    assert boxes == [(5, 5, 11, 10), (30, 20, 34, 26)]
    assert len(scar_parts(labels, (3.0, 3.0))) == 3


def test_boxes_follow_the_view_and_are_clipped_to_it() -> None:
    view = DetectorCrop.around((36.0, 30.0), SPACING, 1.0)
    boxes, classes = true_boxes(labelled(), view)
    heart = boxes[classes == 1][0]
    # rows and columns whose centre is within 15 mm of the middle
    np.testing.assert_allclose(heart, [64 - 15, 64 - 15, 64 + 15, 64 + 15], atol=1.5)
    assert (classes == 0).sum() == 1
    away = DetectorCrop.around((36.0 + 64 / 1.25 + 20, 30.0), SPACING, 1.0)
    assert len(true_boxes(labelled(), away)[0]) == 0


@pytest.mark.parametrize("far", [True, False])
@pytest.mark.parametrize("kind", ["lge", "cine", "simulated"])
def test_looks_are_well_formed(kind: str, far: bool) -> None:
    rng = np.random.default_rng(3)
    source = labelled(kind=kind)
    for _ in range(6):
        drawn = make_sample(source, rng, far)
        assert drawn.image.dtype == np.float32 and drawn.image.shape == (128, 128)
        assert drawn.image.min() >= 0 and drawn.image.max() <= 1
        assert drawn.masks.shape == (3, 64, 64)
        assert (drawn.boxes[:, 2:] > drawn.boxes[:, :2]).all()
        if far:
            assert not drawn.scar_known and not (drawn.classes == 0).any()


def test_cine_teaches_scar_only_where_scar_was_painted() -> None:
    rng = np.random.default_rng(0)
    labels = phantom_labels()[0]
    source = LabelledSlice("c", 0, make_phantom_stack().pixels[0], labels, SPACING, "cine")
    drawn = [make_sample(source, rng, False) for _ in range(40)]
    assert {d.scar_known for d in drawn} == {True, False}
    for d in drawn:
        assert d.scar_known or not d.masks[2].any()


def test_the_right_ventricle_of_cine_is_no_scar() -> None:
    labels = phantom_labels()[0]
    labels[28:32, 55:65] = 5
    source = LabelledSlice("c", 0, make_phantom_stack().pixels[0], labels, SPACING, "cine")
    assert scar_parts(labels, SPACING) == []
    assert source.heart_centre == labelled(0).heart_centre


def test_margins_are_cut_but_never_the_heart() -> None:
    rng = np.random.default_rng(1)
    whole = labelled()
    sizes = set()
    for _ in range(20):
        cut = cut_margins(whole, rng)
        assert cut.heart.sum() == whole.heart.sum()
        assert cut.pixels.shape == cut.labels.shape
        sizes.add(cut.labels.shape)
    assert len(sizes) > 3


def test_evaluation_moves_hearts_off_the_centre_the_same_way_every_time() -> None:
    slices = [labelled(k) for k in range(5)] + [labelled(2, patient="P002")]
    moved, again = shift_slices(slices), shift_slices(slices)
    for one, two, before in zip(moved, again, slices, strict=True):
        np.testing.assert_array_equal(one.pixels, two.pixels)
        assert one.labels.shape == before.labels.shape
        assert one.heart.sum() == before.heart.sum()
        assert one.heart_centre != before.heart_centre
    assert moved[2].heart_centre == moved[3].heart_centre != moved[5].heart_centre


def test_other_spacing_keeps_millimetres() -> None:
    (other,) = resample_slices([labelled()], (0.75, 2.5))
    assert other.pixels.shape == other.labels.shape == (120, 36)
    assert other.pixel_spacing_mm == (0.75, 2.5)
    assert other.heart.sum() * 0.75 * 2.5 == pytest.approx(labelled().heart.sum() * 1.875, rel=0.05)
    old, new = labelled().heart_centre, other.heart_centre
    assert old is not None and new is not None
    assert np.array(new) * (2.5, 0.75) == pytest.approx(np.array(old) * (1.25, 1.5), abs=1.5)


# --- figures ------------------------------------------------------------------------------------


def test_figures_of_a_perfect_detector() -> None:
    slices = [labelled(k) for k in range(5)]
    found = detect_all(FakeDetector().detect, shift_slices(slices))
    figures = summarise(found, 0.5, 0.5)
    assert figures["lv_iou_mean"] == 1
    assert figures["scar_boxes"] == 3
    assert figures["scar_recall_iou_over_0.5"] == 1
    assert figures["scar_ap_iou_over_0.3"] == 1
    assert figures["scar_slice_sensitivity"] == figures["scar_slice_specificity"] == 1
    assert figures["false_boxes_per_scar_free_slice"] == 0
    silent = summarise(found, 0.95, 0.99)
    assert silent["scar_recall_iou_over_0.3"] == 0 and silent["lv_iou_mean"] == 0


def test_average_precision_by_hand() -> None:
    from scarseg.models import Detection, Structure

    def scar(score: float, column: float) -> Detection:
        return Detection(Box(column, 0, column + 10, 10), Structure.SCAR, score)

    truth = (Box(0, 0, 10, 10), Box(50, 0, 60, 10))
    answers = (scar(0.9, 0), scar(0.8, 1), scar(0.7, 100), scar(0.6, 50))
    found = [SliceDetections(labelled(), None, truth, None, answers)]
    # hits: yes, no (met already), no, yes: precision 1 at recall 1/2, 1/2 at recall 1
    assert average_precision(found, 0.3) == pytest.approx(0.75)
    assert scar_recall(found, 0.65, 0.3) == 0.5
    assert scar_recall(found, 0.55, 0.3) == 1
    # both boxes are 187.5 square mm
    assert recall_by_size(found, 0.65)[0] == 0.5
    assert recall_by_size(found, 0.65, (100.0,))[1] == 0.5


def test_the_score_threshold_keeps_scar_free_slices_empty() -> None:
    from scarseg.models import Detection, Structure

    free = labelled(0)
    found = [
        SliceDetections(free, None, (), None, (Detection(Box(0, 0, 1, 1), Structure.SCAR, s),))
        for s in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    assert choose_scar_score(found, 0.8) == pytest.approx(0.41)


# --- loss ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return build_network()


def looks() -> list[DetectorSample]:
    rng = np.random.default_rng(0)
    return [make_sample(labelled(k), rng, far=False) for k in (0, 1, 2)]


def test_scar_is_not_learned_where_it_is_unknown(network: Any) -> None:
    batch = collate(looks())
    network.train()
    answers = network(batch["img"])
    answers["scores"].retain_grad()
    batch["known"][1, 0] = False
    DetectionLoss(network)(answers, batch).backward()
    scar, heart = answers["scores"].grad.abs().sum(dim=2).unbind(dim=1)
    assert scar[1] == 0
    assert scar[0] > 0 and scar[2] > 0 and (heart > 0).all()


def test_unknown_scar_masks_carry_no_gradient() -> None:
    head = MaskHead().eval()
    head.seen = torch.randn(2, 64, 16, 16, requires_grad=True)
    masks = torch.zeros(2, 3, 64, 64)
    masks[:, 2, :30] = 1
    known = torch.tensor([[True, True], [False, True]])
    head.layers[-2].weight.data[:32] = 0  # pool and wall do not look
    head.loss(masks, known).backward()
    assert head.seen is not None and head.seen.grad is not None
    assert head.seen.grad[0].abs().sum() > 0
    assert head.seen.grad[1].abs().sum() == 0


def test_batches_fit_the_loss(network: Any) -> None:
    sampler = Sampler([labelled(k) for k in range(5)], 4, 0)
    batch = sampler.draw()
    assert batch["img"].shape == (4, 1, 128, 128)
    assert (batch["batch_idx"].diff() >= 0).all()
    assert batch["bboxes"].min() >= 0 and batch["bboxes"].max() <= 1
    loss = DetectionLoss(network)(network.train()(batch["img"]), batch)
    assert torch.isfinite(loss)
    empty = collate(
        [
            DetectorSample(
                np.zeros((128, 128), np.float32),
                np.zeros((0, 4), np.float32),
                np.zeros(0, np.int64),
                np.zeros((3, 64, 64), bool),
                True,
            )
        ]
    )
    assert torch.isfinite(DetectionLoss(network)(network(empty["img"].repeat(1, 1, 1, 1)), empty))


def test_slices_with_small_scars_are_drawn_more_often() -> None:
    def with_scar(side: int) -> LabelledSlice:
        labels = np.zeros((60, 60), dtype=np.uint8)
        labels[10 : 10 + side, 10 : 10 + side] = 3
        return LabelledSlice("P001", 0, np.zeros((60, 60), np.float32), labels, (1.0, 1.0))

    # Boxes of 10 x 10, 20 x 20 and 30 x 30 mm; the last slice has none.
    group = [with_scar(10), with_scar(20), with_scar(30), with_scar(0)]
    assert slice_probabilities(group) == pytest.approx([3 / 7, 2 / 7, 1 / 7, 1 / 7])
