"""Models that predict a case once, in a window round its heart, for a sweep over rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha1

import numpy as np

from scarseg.case.labels import LabelArray
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import FloatArray, SliceImage
from scarseg.evaluation.patients import as_stack
from scarseg.models import Embedding, Logits, Models, Segmenter, takes_walls
from scarseg.models.segmenter_crop import OUTSIDE_LOGIT
from scarseg.segmentation.pipeline import LocatedHeart, locate_hearts, propose_slice
from scarseg.training.cases import TrainingCase

MARGIN_MM = 25.0
"""Round the heart and all labels: boxes and walls of a simulated reader lie within."""


class _Remembering:
    """A segmenter that predicts the same only once, for as long as one case is read."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.identity = segmenter.identity
        self.takes_walls = takes_walls(segmenter)
        self._segmenter = segmenter
        self._embeddings: dict[tuple[bytes, Box | None], Embedding] = {}
        self._predictions: dict[tuple[int, SlicePrompts, bytes, bool], Logits] = {}

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        """Return the embedding of a slice."""
        key = _digest(image.pixels), lv_box
        if key not in self._embeddings:
            self._embeddings[key] = self._segmenter.embed(image, lv_box)
        return self._embeddings[key]

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        """Return the prediction for prompts; embeddings are those that :meth:`embed` keeps."""
        fed = b"" if previous is None else _digest(*_maps(previous))
        key = id(embedding), prompts, fed, quick
        if key not in self._predictions:
            self._predictions[key] = self._segmenter.predict(embedding, prompts, previous, quick)
        return self._predictions[key]


class _Windowed:
    """A segmenter of whole slices that is asked about a window of them round the heart.

    What lies outside is background by any rules; without it the sweep over them is several times
    faster.

    Args:
        embeddings: of the whole slices, by the digest of the pixels in the window.
        window: rows and columns.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        embeddings: Mapping[bytes, Embedding],
        window: tuple[slice, slice],
    ) -> None:
        self.identity, self.takes_walls = segmenter.identity, takes_walls(segmenter)
        self._segmenter, self._embeddings, self._window = segmenter, embeddings, window

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        """Return the embedding of the whole slice as one of the window."""
        whole, (rows, columns) = self._embeddings[_digest(image.pixels)], image.pixels.shape
        return Embedding((rows, columns), lv_box, whole, whole.pixel_spacing_mm)

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        """Predict the whole slice, and return the window of it."""
        whole: Embedding = embedding.features
        up, left = self._window[0].start, self._window[1].start
        boxes = tuple(_shifted(box, left, up) for box in prompts.boxes)
        points = tuple(
            replace(one, column=one.column + left, row=one.row + up) for one in prompts.points
        )
        moved = replace(prompts, boxes=boxes, points=points, lv_box=whole.lv_box)
        fed = None
        if previous is not None:
            fed = _changed(previous, lambda one: self._padded(one, whole.shape))
        found = self._segmenter.predict(whole, moved, fed, quick)
        return _changed(found, lambda one: one[self._window].copy())

    def _padded(self, logits: FloatArray, shape: tuple[int, int]) -> FloatArray:
        padded = np.full(shape, OUTSIDE_LOGIT, dtype=np.float32)
        padded[self._window] = logits
        return padded


def _changed(logits: Logits, change: Callable[[FloatArray], FloatArray]) -> Logits:
    """Return logits whose maps are changed alike."""
    pool, wall = logits.blood_pool, logits.wall
    return Logits(
        change(logits.scar),
        None if pool is None else change(pool),
        None if wall is None else change(wall),
    )


def _shifted(box: Box, columns: float, rows: float) -> Box:
    return replace(
        box,
        column0=box.column0 + columns,
        row0=box.row0 + rows,
        column1=box.column1 + columns,
        row1=box.row1 + rows,
    )


def _maps(logits: Logits) -> list[FloatArray]:
    return [one for one in (logits.scar, logits.blood_pool, logits.wall) if one is not None]


def _digest(*arrays: FloatArray) -> bytes:
    digest = sha1(usedforsecurity=False)
    for one in arrays:
        digest.update(np.ascontiguousarray(one).data)
    return digest.digest()


def windowed_case(
    case: TrainingCase, models: Models
) -> tuple[TrainingCase, Models, list[LocatedHeart]]:
    """Return a case cut to its heart, models that predict it, and where its heart was found.

    Each slice is embedded, as a whole, round the box that it ends with, whatever the rules.
    """
    stack, memo = as_stack(case), replace(models, segmenter=_Remembering(models.segmenter))
    located = locate_hearts(stack, memo)
    proposals = [propose_slice(stack.image(k), memo, located=one) for k, one in enumerate(located)]
    whole = any(one.logits.wall is None for one in proposals)
    margins = [MARGIN_MM / one for one in case.pixel_spacing_mm]
    window = _window(case.labels, [one.embedding.lv_box for one in proposals], margins, whole)
    cut = replace(
        case,
        pixels=np.ascontiguousarray(case.pixels[:, *window]),
        labels=np.ascontiguousarray(case.labels[:, *window]),
    )
    embeddings = {
        _digest(pixels): one.embedding for pixels, one in zip(cut.pixels, proposals, strict=True)
    }
    left, up = -window[1].start, -window[0].start
    hearts = [
        LocatedHeart(
            None if (box := proposal.embedding.lv_box) is None else _shifted(box, left, up),
            tuple(replace(each, box=_shifted(each.box, left, up)) for each in one.detections),
        )
        for one, proposal in zip(located, proposals, strict=True)
    ]
    segmenter = _Windowed(memo.segmenter, embeddings, window)
    return cut, replace(memo, segmenter=_Remembering(segmenter), calibration=None), hearts


def _window(
    labels: LabelArray, boxes: Sequence[Box | None], margins: Sequence[float], whole: bool
) -> tuple[slice, slice]:
    """Return rows and columns of hearts and labels of all slices, with margins in pixels."""
    if whole or None in boxes:
        return slice(0, labels.shape[1]), slice(0, labels.shape[2])
    spans = []
    for axis, low, high in ((1, "row0", "row1"), (2, "column0", "column1")):
        drawn = np.flatnonzero(labels.any(axis=(0, 3 - axis)))
        ends = [getattr(box, name) for box in boxes for name in (low, high)]
        first = min([*ends, *drawn]) - margins[axis - 1]
        last = max([*ends, *(drawn + 1)]) + margins[axis - 1]
        spans.append(slice(max(0, int(first)), min(labels.shape[axis], int(last) + 1)))
    return spans[0], spans[1]
