"""The compact segmenter as a value machine: same in, same out, on the source grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from scarseg.case import ModelIdentity
from scarseg.errors import WeightsError
from scarseg.models import Logits
from scarseg.models.network import DENSE_MAPS, CompactSam, PromptBatch, dense_maps
from scarseg.models.segmenter import CompactSegmenter, load_segmenter
from scarseg.prompts import Box, Point, SlicePrompts
from scarseg.stack import SliceImage

SHAPE, SPACING = (96, 130), (1.6, 1.2)
LV = Box(40, 25, 90, 62)


@pytest.fixture(scope="module")
def segmenter() -> CompactSegmenter:
    torch.manual_seed(0)
    return CompactSegmenter(CompactSam(), ModelIdentity("untrained"))


@pytest.fixture
def image() -> SliceImage:
    rng = np.random.default_rng(0)
    return SliceImage(rng.normal(100, 30, SHAPE).astype(np.float32), SPACING)


def test_logits_lie_on_the_source_grid(segmenter: CompactSegmenter, image: SliceImage) -> None:
    answer = segmenter.predict(segmenter.embed(image, LV), SlicePrompts(lv_box=LV))
    for logits in (answer.scar, answer.wall, answer.blood_pool):
        assert logits is not None
        assert logits.shape == SHAPE
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()


def test_there_is_no_hidden_current_image(segmenter: CompactSegmenter, image: SliceImage) -> None:
    first = segmenter.embed(image, LV)
    prompts = SlicePrompts((Box(60, 30, 80, 50),), (Point(70, 40),), LV)
    before = segmenter.predict(first, prompts)
    segmenter.embed(replace(image, pixels=image.pixels[::-1].copy()), Box(10, 10, 50, 50))
    after = segmenter.predict(first, prompts)
    assert np.array_equal(before.scar, after.scar)


def test_gain_and_offset_of_the_scanner_change_nothing(
    segmenter: CompactSegmenter, image: SliceImage
) -> None:
    other = replace(image, pixels=image.pixels * 7 - 900)
    prompts = SlicePrompts(lv_box=LV)
    a = segmenter.predict(segmenter.embed(image, LV), prompts)
    b = segmenter.predict(segmenter.embed(other, LV), prompts)
    assert np.allclose(a.scar, b.scar, atol=0.05)


def test_prompts_may_be_any_kind_of_number(segmenter: CompactSegmenter, image: SliceImage) -> None:
    embedding = segmenter.embed(image, Box(*np.array([40, 25, 90, 62])))
    prompts = SlicePrompts(
        (Box(*np.array([60.0, 30, 80, 50])),), (Point(*np.array([70.0, 40])),), LV
    )
    assert segmenter.predict(embedding, prompts).scar.dtype == np.float32


def test_every_prompt_matters(segmenter: CompactSegmenter, image: SliceImage) -> None:
    embedding = segmenter.embed(image, LV)
    base = SlicePrompts((Box(60, 30, 80, 50),), (), LV)
    first = segmenter.predict(embedding, base)
    others = {
        "box": SlicePrompts((Box(50, 30, 80, 50),), (), LV),
        "second box": SlicePrompts((*base.boxes, Box(45, 50, 60, 60)), (), LV),
        "point": base.with_point(Point(70, 40)),
        "negative point": base.with_point(Point(70, 40, positive=False)),
        "lv box": replace(base, lv_box=Box(44, 25, 90, 62)),
    }
    answers = {name: segmenter.predict(embedding, p).scar for name, p in others.items()}
    for name, scar in answers.items():
        assert not np.allclose(scar, first.scar), name
    assert not np.allclose(answers["point"], answers["negative point"])
    again = segmenter.predict(embedding, others["point"], first).scar
    assert not np.allclose(again, answers["point"]), "previous mask"


def test_automatic_answer_does_not_depend_on_mirroring(
    segmenter: CompactSegmenter, image: SliceImage
) -> None:
    box = Box(SHAPE[1] - LV.column1, LV.row0, SHAPE[1] - LV.column0, LV.row1)
    mirrored = replace(image, pixels=image.pixels[:, ::-1].copy())
    a = segmenter.predict(segmenter.embed(image, LV), SlicePrompts(lv_box=LV))
    b = segmenter.predict(segmenter.embed(mirrored, box), SlicePrompts(lv_box=box))
    assert np.allclose(a.scar, b.scar[:, ::-1], atol=0.02)


def test_no_scar_means_none(segmenter: CompactSegmenter, image: SliceImage) -> None:
    answer = segmenter.predict(segmenter.embed(image, LV), SlicePrompts(lv_box=LV, no_scar=True))
    assert not (answer.scar > 0).any()


def test_scar_only_answers_can_be_corrected(segmenter: CompactSegmenter, image: SliceImage) -> None:
    previous = Logits(np.zeros(SHAPE, dtype=np.float32))
    prompts = SlicePrompts((), (Point(70, 40),), LV)
    assert segmenter.predict(segmenter.embed(image, LV), prompts, previous).scar.shape == SHAPE


def test_dense_maps_show_each_prompt_where_it_is() -> None:
    prompts = PromptBatch(
        torch.tensor([[10.0, 20.0, 50.0, 60.0]]),
        torch.tensor([[[30.0, 30.0, 40.0, 35.0], [0.0, 0.0, 80.0, 80.0]]]),
        torch.tensor([[True, False]]),
        torch.tensor([[[12.5, 70.5], [60.5, 5.5]]]),
        torch.tensor([[1.0, 0.0]]),
        torch.zeros(1, 3, 80, 80),
    )
    maps = dense_maps(prompts)[0]
    assert maps.shape == (DENSE_MAPS, 80, 80)
    assert maps[0].sum().item() == pytest.approx(40 * 40, rel=0.06)
    assert maps[1, 32, 35] == 1
    assert maps[1, 60, 60] == 0, "an unused box is not drawn"
    assert divmod(int(maps[3].argmax()), 80) == (70, 12)
    assert divmod(int(maps[4].argmax()), 80) == (5, 60)


def test_saved_weights_load_and_are_marked_unverified(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    state = {
        k: v.half() if v.is_floating_point() else v for k, v in CompactSam().state_dict().items()
    }
    save_file({k: v.contiguous() for k, v in state.items()}, path)
    loaded = load_segmenter(path, "cpu")
    assert loaded.identity.name == "own"
    assert not loaded.identity.verified
    assert len(loaded.identity.sha256) == 64


def test_damaged_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"no weights at all")
    with pytest.raises(WeightsError, match="E_WEIGHTS_DAMAGED"):
        load_segmenter(path, "cpu")
    save_file({"other": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        load_segmenter(path, "cpu")
    with pytest.raises(WeightsError, match="E_WEIGHTS_UNKNOWN"):
        load_segmenter("no-such-name", "cpu")
