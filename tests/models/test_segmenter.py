"""The compact segmenter as a value machine: same in, same out, on the source grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import WeightsError
from scarseg.models import Logits, takes_walls
from scarseg.models.compact_sam import (
    DENSE_MAPS,
    CompactSam,
    PromptBatch,
    dense_maps,
    fold_batchnorms,
    join_members,
    network_from_weights,
)
from scarseg.models.segmenter import (
    TAKES_WALLS,
    CompactSegmenter,
    load_segmenter,
    mirror_prompts,
)

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


def test_no_answer_depends_on_mirroring(segmenter: CompactSegmenter, image: SliceImage) -> None:
    columns = SHAPE[1]
    flipped = replace(
        image,
        pixels=image.pixels[:, ::-1].copy(),
        neighbours=(image.pixels[:, ::-1] * 0.5, None),
    )
    image = replace(image, neighbours=(image.pixels * 0.5, None))
    scar, point = Box(60, 30, 80, 50), Point(70, 40)

    def over(box: Box) -> Box:
        return Box(columns - box.column1, box.row0, columns - box.column0, box.row1)

    asked = SlicePrompts((scar,), (point,), LV)
    mirrored = SlicePrompts((over(scar),), (Point(columns - 1 - 70, 40),), over(LV))
    for own, other in (
        (SlicePrompts(lv_box=LV), SlicePrompts(lv_box=over(LV))),
        (asked, mirrored),
    ):
        a = segmenter.predict(segmenter.embed(image, LV), own)
        b = segmenter.predict(segmenter.embed(flipped, over(LV)), other)
        assert np.allclose(a.scar, b.scar[:, ::-1], atol=0.02)


def test_mirrored_prompts_lie_where_the_mirrored_crop_has_them() -> None:
    previous = torch.zeros(1, 3, 80, 80)
    previous[0, 2, 10, 20] = 1
    prompts = PromptBatch(
        torch.tensor([[10.0, 20.0, 50.0, 60.0]]),
        torch.tensor([[[30.0, 30.0, 40.0, 35.0]]]),
        torch.tensor([[True]]),
        torch.tensor([[[12.5, 70.5]]]),
        torch.tensor([[1.0]]),
        previous,
    )
    plain = dense_maps(prompts)[0]
    axes = ((), (2,), (3,), (2, 3))
    for answer, mirror in zip(dense_maps(mirror_prompts(prompts, axes)), axes, strict=True):
        assert torch.allclose(answer.flip([a - 1 for a in mirror]), plain, atol=1e-6), mirror


def test_neighbours_are_seen_and_may_be_absent(
    segmenter: CompactSegmenter, image: SliceImage
) -> None:
    alone = segmenter.predict(segmenter.embed(image, LV), SlicePrompts(lv_box=LV)).scar
    beside = replace(image, neighbours=(image.pixels[::-1].copy(), None))
    seen = segmenter.predict(segmenter.embed(beside, LV), SlicePrompts(lv_box=LV)).scar
    assert not np.allclose(alone, seen)


def test_weights_of_one_slice_read_three_without_changing_their_answer() -> None:
    torch.manual_seed(1)
    own = CompactSam().eval()
    state = own.state_dict()
    stem = "image_encoder.stem.0.weight"
    with torch.no_grad():
        state[stem][:, 1:] = 0
    image = torch.randn(1, 3, 80, 80)
    older = {**state, stem: state[stem][:, :1].clone()}
    with torch.inference_mode():
        assert torch.equal(
            network_from_weights(older).eval().embed(image).half, own.embed(image).half
        )


def test_folded_networks_answer_the_same() -> None:
    torch.manual_seed(2)
    network = CompactSam()
    with torch.no_grad():
        for _ in range(3):
            network.train().embed(torch.randn(4, 3, 80, 80))
    network.eval()
    image = torch.randn(1, 3, 80, 80)
    with torch.inference_mode():
        before = network.embed(image)
        after = fold_batchnorms(network_from_weights(network.state_dict())).embed(image)
    assert torch.allclose(before.quarter, after.quarter, atol=1e-4)
    assert torch.allclose(before.full, after.full, atol=1e-4)


def test_two_networks_in_one_file_answer_with_their_mean(tmp_path: Path, image: SliceImage) -> None:
    states = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        states.append({k: v.contiguous() for k, v in CompactSam().state_dict().items()})
    save_file(join_members(states), tmp_path / "two.safetensors")
    pair = load_segmenter(tmp_path / "two.safetensors", "cpu")
    assert isinstance(pair, CompactSegmenter)
    assert len(pair.networks) == 2
    prompts = SlicePrompts((Box(60, 30, 80, 50),), (), LV)
    means = []
    for network, mirrors in zip(pair.networks, pair.mirrors, strict=True):
        alone = CompactSegmenter(network, ModelIdentity("alone"))
        alone.mirrors = [mirrors]
        embedding = alone.embed(image, LV)
        if () not in mirrors:
            embedding.features.first = None
            embedding.features.mirrored = (
                alone.networks[0].embed(
                    torch.cat([embedding.features.crop.flip(axes) for axes in mirrors])
                ),
            )
        means.append(alone.predict(embedding, prompts).scar)
    together = pair.predict(pair.embed(image, LV), prompts).scar
    assert np.allclose(together, np.mean(means, axis=0), atol=1e-4)


def test_weights_tell_whether_they_take_walls(tmp_path: Path) -> None:
    state = {k: v.contiguous() for k, v in CompactSam().state_dict().items()}
    save_file(state, tmp_path / "old.safetensors")
    save_file(state, tmp_path / "new.safetensors", {TAKES_WALLS: "yes"})
    assert not takes_walls(load_segmenter(tmp_path / "old.safetensors", "cpu"))
    assert takes_walls(load_segmenter(tmp_path / "new.safetensors", "cpu"))


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


def several_slices() -> tuple[list[SliceImage], list[Box | None]]:
    rng = np.random.default_rng(8)
    images = [SliceImage(rng.normal(100, 30, SHAPE).astype(np.float32), SPACING) for _ in range(3)]
    return images, [LV, None, Box(20, 20, 60, 70)]


def test_several_slices_at_once_are_answered_as_one_by_one(segmenter: CompactSegmenter) -> None:
    images, boxes = several_slices()
    for quick in (True, False):
        together = segmenter.embed_all(images, boxes)
        segmenter.predict_ahead(together, quick)
        for image, box, embedding in zip(images, boxes, together, strict=True):
            alone = segmenter.embed(image, box)
            prompts = SlicePrompts(lv_box=box)
            expected = segmenter.predict(alone, prompts, quick=quick)
            found = segmenter.predict(embedding, prompts, quick=quick)
            assert np.allclose(found.scar, expected.scar, atol=1e-4)
            assert found.wall is not None
            assert expected.wall is not None
            assert np.allclose(found.wall, expected.wall, atol=1e-4)


def test_only_the_prediction_without_prompts_is_kept(
    segmenter: CompactSegmenter, image: SliceImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    network = segmenter.networks[0]
    predict = network.predict
    monkeypatch.setattr(network, "predict", lambda *words: (passes.append(1), predict(*words))[1])
    embedding = segmenter.embed(image, LV)
    automatic = segmenter.predict(embedding, SlicePrompts(lv_box=LV))
    again = segmenter.predict(embedding, SlicePrompts())
    assert np.array_equal(automatic.scar, again.scar)
    assert len(passes) == 1
    asked = [
        SlicePrompts((Box(60, 30, 80, 50),), (), LV),
        SlicePrompts((), (Point(70, 40),), LV),
        SlicePrompts(lv_box=Box(38, 25, 90, 62)),
    ]
    for n, prompts in enumerate(asked, start=2):
        answer = segmenter.predict(embedding, prompts)
        assert len(passes) == n
        assert not np.array_equal(answer.scar, automatic.scar)
    before = Logits(automatic.scar, automatic.blood_pool, automatic.wall)
    corrected = segmenter.predict(embedding, SlicePrompts(lv_box=LV), before)
    assert len(passes) == 5
    assert not np.array_equal(corrected.scar, automatic.scar)
    assert np.array_equal(segmenter.predict(embedding, SlicePrompts()).scar, automatic.scar)
    assert (segmenter.predict(embedding, SlicePrompts(no_scar=True)).scar < 0).all()
    assert np.array_equal(segmenter.predict(embedding, SlicePrompts()).scar, automatic.scar)
