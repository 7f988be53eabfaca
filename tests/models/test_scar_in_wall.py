"""A SAM checkpoint joined with the wall of the program's own weights, on small random networks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage

from scarseg.case.case import ModelIdentity
from scarseg.case.labels import Label, infarct_mask
from scarseg.case.prompts import Box, Point, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.errors import ModelError, WeightsError
from scarseg.models import Models, asks_boxes, embed_step, embeds_in_steps, keep_embeddings, sam_vit
from scarseg.models.sam_vit import VitSegmenter
from scarseg.models.scar_in_wall import ScarInWall
from scarseg.models.segmenter import load_segmenter
from scarseg.models.weights import ResolvedWeights
from scarseg.segmentation import pipeline
from scarseg.segmentation.proposal import RULES
from tests.conftest import make_phantom_stack
from tests.fakes import FakeDetector, FakeSegmenter
from tests.models.test_vit import small_sam


class Shelf:
    """A store in memory that counts what it gave back."""

    def __init__(self) -> None:
        self.kept: dict[str, npt.NDArray[np.float16]] = {}
        self.given = 0

    def get(self, key: str) -> npt.NDArray[np.float16] | None:
        self.given += key in self.kept
        return self.kept.get(key)

    def put(self, key: str, features: npt.NDArray[np.float16]) -> None:
        self.kept[key] = features


def joined(seed: int = 0) -> ScarInWall:
    torch.manual_seed(seed)
    identity = ModelIdentity("random", f"{seed}" * 64)
    return ScarInWall(VitSegmenter(small_sam(), identity, "cpu"), FakeSegmenter())


def test_scar_stays_in_box_and_wall() -> None:
    stack, segmenter = make_phantom_stack(), joined()
    image = stack.image(2)
    embedding = segmenter.embed(image, None)
    box = Box(40, 20, 50, 40)
    answer = segmenter.predict(embedding, SlicePrompts((box,)))
    assert answer.wall is not None
    columns = np.flatnonzero((answer.scar > -12).any(axis=0))
    assert columns.size == 0 or (columns.min() >= 40 and columns.max() < 50)
    before = np.zeros_like(make_phantom_stack().pixels[2], dtype=np.uint8)
    labels, _ = pipeline.segment(
        Models(segmenter, None), embedding, SlicePrompts((box, Box(0, 0, 72, 60))), before
    )
    wall = (np.abs(image.pixels - 50) < 20) | (np.abs(image.pixels - 200) < 20)
    # As with the program's own weights scar may win over the pool up to 2 mm from the wall.
    distance = ndimage.distance_transform_edt(~wall, sampling=image.pixel_spacing_mm)
    assert distance[infarct_mask(labels)].max(initial=0.0) <= RULES.pool_reach_mm
    assert (labels == Label.BLOOD_POOL).any()


def test_random_weights_cannot_mark_more_than_the_proposed_boxes() -> None:
    stack = make_phantom_stack()
    for seed in range(3):
        case = pipeline.propose_case(stack, Models(joined(seed), FakeDetector()))
        for k, labels in enumerate(case.labels):
            scar = np.argwhere(infarct_mask(labels)) + 0.5
            boxes = case.readings[k].prompts.boxes
            assert boxes or not scar.size
            for row, column in scar:
                assert any(
                    box.row0 <= row <= box.row1 and box.column0 <= column <= box.column1
                    for box in boxes
                )


def test_without_a_prompt_the_other_segmenter_answers_and_points_reach_the_checkpoint() -> None:
    segmenter, image = joined(), make_phantom_stack().image(2)
    embedding = segmenter.embed(image, None)
    automatic = segmenter.predict(embedding, SlicePrompts())
    assert np.array_equal(
        automatic.scar, FakeSegmenter().predict(embedding.features.wall, SlicePrompts()).scar
    )
    clicked = segmenter.predict(embedding, SlicePrompts((), (Point(46, 30),)))
    assert not np.array_equal(clicked.scar, automatic.scar)
    assert asks_boxes(segmenter)
    assert not asks_boxes(FakeSegmenter())


def test_steps_give_what_one_run_gives() -> None:
    stack, segmenter = make_phantom_stack(), joined()
    image = stack.image(1)
    assert embeds_in_steps(segmenter) and not embeds_in_steps(FakeSegmenter())
    parts = []
    while not parts or parts[-1] < 1:
        parts.append(embed_step(segmenter, image))
    assert parts == [0.0, 1.0]  # one block
    whole = segmenter.scar.embed(image, None).features.embedding
    kept = segmenter.embed(image, None).features.scar.embedding
    assert torch.equal(kept, whole.half())
    with torch.inference_mode():
        inside, _ = segmenter.scar.geometry(image)
        assert whole.shape == segmenter.scar.feature_shape
        assert inside[0] <= 128 and inside[1] <= 128
    assert embed_step(FakeSegmenter(), image) == 1.0


def test_kept_embeddings_answer_like_new_ones() -> None:
    image, shelf = make_phantom_stack().image(2), Shelf()
    first, again, other = joined(), joined(), joined(1)
    for segmenter in (first, again, other):
        keep_embeddings(segmenter, shelf)
    prompts = SlicePrompts((Box(30, 10, 60, 50),))
    answer = first.predict(first.embed(image, None), prompts)
    assert (len(shelf.kept), shelf.given) == (1, 0)
    assert embed_step(again, image) == 1.0
    assert shelf.given == 1
    assert np.array_equal(again.predict(again.embed(image, None), prompts).scar, answer.scar)
    other.embed(image, None)  # other weights, another embedding
    assert len(shelf.kept) == 2
    moved = SliceImage(image.pixels, (1.0, 1.0))
    first.embed(moved, None)  # another spacing too
    assert len(shelf.kept) == 3
    keep_embeddings(FakeSegmenter(), shelf)  # embeds at once: keeps nothing


def test_name_says_whose_wall_it_is() -> None:
    segmenter = joined()
    assert segmenter.identity == ModelIdentity("random, wall by fake-segmenter", "0" * 64, False)


def test_a_checkpoint_loads_with_the_wall_of_the_default_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setitem(sam_vit.sam_model_registry, "vit_b", small_sam)
    path = tmp_path / "mine.pth"
    torch.save(small_sam().state_dict(), path)
    segmenter = load_segmenter(path, "cpu")
    assert isinstance(segmenter, ScarInWall)
    assert segmenter.takes_walls
    assert segmenter.identity.name.startswith("mine, wall by scarseg-compact-")
    embedding = segmenter.embed(make_phantom_stack().image(2), None)
    answer = segmenter.predict(embedding, SlicePrompts((Box(30, 10, 60, 50),)))
    assert answer.wall is not None
    assert np.isfinite(answer.scar).all()


def test_too_little_memory_is_said_before_and_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sam_vit_h.pth"
    path.write_bytes(b"x" * 1000)
    few = SimpleNamespace(available=100_000_000)
    monkeypatch.setattr(sam_vit.psutil, "virtual_memory", lambda: few)
    weights = ResolvedWeights(path, ModelIdentity("sam_vit_h", "0" * 64), {})
    with pytest.raises(WeightsError, match=r"E_MEMORY.*2\.5 GB.*0\.1 GB are free"):
        sam_vit.load_vit(weights, "cpu")
    with path.open("r+b") as file:
        file.truncate(2_564_550_879)  # of a ViT-H; the file system keeps no zeros
    with pytest.raises(WeightsError, match=r"E_MEMORY.*5\.9 GB"):
        sam_vit.load_vit(weights, "cpu")
    segmenter = joined()

    def refuse(x: object) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(segmenter.scar.sam.image_encoder.blocks[0], "forward", refuse)
    with pytest.raises(ModelError, match="E_MEMORY"):
        segmenter.embed(make_phantom_stack().image(0), None)
