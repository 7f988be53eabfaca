"""Weights of five folds, and the patients that each of them never saw.

The 15 validation patients are one fold; the others are dealt into four. The left ventricle is the
reference's box, drawn 5 % off: the shipped detector was trained on most of the patients, so its
boxes would be no honest stand-in for a stranger's.
"""

from __future__ import annotations

import hashlib
import pickle
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.other_scanners import THICK
from scarseg import models
from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, Origin, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.evaluation.patient import off_centre_case
from scarseg.models import Detection, Embedding, Logits, Models, Structure
from scarseg.models.segmenter import MIRRORS, CompactSegmenter, load_segmenter
from scarseg.training.cases import VALIDATION, TrainingCase, read_cases
from scarseg.training.prompts import bounding_box, draw_box
from scarseg.training.splits import folds
from scarseg.training.wall_warp import warp_case

FOLDS = 5
SEED = 7
"""Of the simulated reader, and of where the heart lies in the image."""


def deal(names: Sequence[str]) -> list[list[str]]:
    """Return the patients left out of each fold: those for validation, then the others in four."""
    rest = [name for name in names if name not in VALIDATION]
    return [[name for name in names if name in VALIDATION], *folds(rest, FOLDS - 1)]


class DrawnHeart:
    """Stands for a detector: the reference's left ventricle, drawn by hand."""

    def __init__(self, case: TrainingCase, seed: int) -> None:
        rng = np.random.default_rng(seed + 1)
        moved = off_centre_case(case, seed)
        self.boxes: dict[bytes, Box] = {}
        for pixels, labels in zip(moved.pixels, moved.labels, strict=True):
            heart = (labels >= 1) & (labels <= 4)
            if heart.any():
                drawn = draw_box(bounding_box(heart), rng, (0.05, 0.05), (0.0, 0.05))
                self.boxes[_digest(pixels)] = Box(*drawn, Origin.DETECTOR, 1.0)
        self.identity = ModelIdentity("drawn by hand", "", False)

    def detect(self, image: SliceImage) -> list[Detection]:
        box = self.boxes.get(_digest(image.pixels))
        return [] if box is None else [Detection(box, Structure.LEFT_VENTRICLE, 1.0)]


class RememberingSegmenter:
    """A segmenter that predicts the same prompts once; its answers can be kept in a file.

    Answers are rounded to half precision, so that one that is read back is the same. Slices are
    embedded only when a prediction is not remembered.
    """

    def __init__(self, segmenter: Any) -> None:
        self.segmenter, self.identity = segmenter, segmenter.identity
        self.takes_walls = models.takes_walls(segmenter)
        self.answers: dict[bytes, tuple[Any, ...]] = {}
        self.new = 0

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        rows, columns = image.pixels.shape
        features = _Features(image, lv_box, _digest(image.pixels) + repr(lv_box).encode())
        return Embedding((rows, columns), lv_box, features, image.pixel_spacing_mm)

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        own: _Features = embedding.features
        fed = () if previous is None else (previous.scar, previous.wall, previous.blood_pool)
        parts = [_digest(one) for one in fed if one is not None]
        asked = repr((prompts, quick)).encode()
        key = hashlib.sha1(b"".join([own.key, asked, *parts])).digest()
        if key not in self.answers:
            if own.embedding is None:
                own.embedding = self.segmenter.embed(own.image, own.lv_box)
            found = self.segmenter.predict(own.embedding, prompts, previous, quick)
            self.answers[key] = _packed(found)
            self.new += 1
        return _unpacked(self.answers[key], embedding.shape)

    def load(self, path: Path) -> None:
        """Read the answers kept in a file, where there is one, instead of those held."""
        self.answers, self.new = {}, 0
        if path.exists():
            self.answers = pickle.loads(zlib.decompress(path.read_bytes()))  # noqa: S301 - our own

    def save(self, path: Path) -> None:
        """Keep the answers in a file, where there are new ones."""
        if self.new:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = zlib.compress(pickle.dumps(self.answers), 1)
            scratch = path.with_suffix(".part")
            scratch.write_bytes(whole)
            scratch.replace(path)


class _Features:
    """What is needed to embed a slice, and its embedding once it was needed."""

    def __init__(self, image: SliceImage, lv_box: Box | None, key: bytes) -> None:
        self.image, self.lv_box, self.key = image, lv_box, key
        self.embedding: Embedding | None = None


def _digest(array: np.ndarray) -> bytes:
    return hashlib.sha1(np.ascontiguousarray(array).tobytes()).digest()


def _packed(logits: Logits) -> tuple[Any, ...]:
    """Return logits in half precision, cut to where any is not that outside the crop."""
    maps = (logits.scar, logits.blood_pool, logits.wall)
    inside = np.logical_or.reduce([one != one[0, 0] for one in maps if one is not None])
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        rows = columns = np.zeros(1, dtype=int)
    place = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    return place, tuple(
        None if one is None else (one[0, 0], one[place].astype(np.float16)) for one in maps
    )


def _unpacked(packed: tuple[Any, ...], shape: tuple[int, int]) -> Logits:
    place, maps = packed
    found: list[np.ndarray | None] = []
    for one in maps:
        if one is None:
            found.append(None)
            continue
        whole = np.full(shape, one[0], dtype=np.float32)
        whole[place] = one[1]
        found.append(whole)
    scar, pool, wall = found
    assert scar is not None
    return Logits(scar=scar, blood_pool=pool, wall=wall)


def held_out(
    emidec: Path, output: Path, thick: bool = False, views: int = 4, only: Sequence[int] = ()
) -> Iterator[tuple[int, TrainingCase, Models, Path]]:
    """Return every patient with the models that never saw it, and the file for their answers.

    Args:
        emidec, output: the data, and the output of ``cross_validation.py``; a fold that is not
            trained to its end is left out.
        thick: with walls thickened as on other scanners.
        views: mirror images to average, 1 to 4.
        only: folds to read; all by default.
    """
    cases = read_cases(emidec)
    for fold, left_out in enumerate(deal([case.name for case in cases])):
        folder = output / f"fold{fold}"
        if not (folder / "done").exists() or (only and fold not in only):
            continue
        segmenter = load_segmenter(folder / "average.safetensors", "cpu")
        assert isinstance(segmenter, CompactSegmenter)
        segmenter.mirrors = [MIRRORS[:views]]
        for case in cases:
            if case.name not in left_out:
                continue
            seen = warp_case(case, THICK) if thick else case
            kind = "thick" if thick else "plain"
            file = output / "answers" / f"{kind}{views}" / f"{case.name}.answers"
            both = Models(RememberingSegmenter(segmenter), DrawnHeart(seen, SEED))
            yield fold, replace(seen, name=case.name), both, file
