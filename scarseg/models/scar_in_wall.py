"""A segmenter of scar alone joined with one that knows the wall: scar in its boxes and the wall.

A SAM or MedSAM checkpoint marks something in every box, on whatever tissue the box lies. Wall and
blood pool of the slice come from the program's own segmenter, which also finds where boxes are
proposed; within these boxes, and nowhere else, the checkpoint says what is scar.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import torch

from scarseg.case.case import ModelIdentity
from scarseg.case.prompts import Box, SlicePrompts
from scarseg.case.stack import SliceImage
from scarseg.models import Embedding, FeatureStore, Logits, Segmenter, takes_walls
from scarseg.models.sam_vit import OUTSIDE_LOGIT, PartialFeatures, VitFeatures, VitSegmenter

KEPT_IN_MEMORY = 48
"""Embeddings of a checkpoint kept in memory, 2 MB each."""
KEPT_UNFINISHED = 2
"""Slices whose embedding is begun and not finished, at most."""


@dataclass(frozen=True, eq=False)
class JoinedFeatures:
    """What both segmenters computed of a slice."""

    scar: VitFeatures
    wall: Embedding


class ScarInWall:
    """Scar of a checkpoint, only in its boxes; wall and blood pool of another segmenter.

    Without prompts the answer is the other segmenter's, from which boxes are proposed
    (``asks_boxes``). The checkpoint embeds a slice in steps of one to a few seconds
    (:meth:`embed_step`), so that clicks on other slices need not wait; embeddings are kept by the
    hash of the pixels in memory and, with a ``store``, on the disk. They are rounded to 16 bits
    before they are used, so that a kept one answers like a new one.
    """

    asks_boxes = True

    def __init__(self, scar: VitSegmenter, wall: Segmenter) -> None:
        self.scar, self.wall = scar, wall
        own = scar.identity
        self.identity = ModelIdentity(
            f"{own.name}, wall by {wall.identity.name}", own.sha256, verified=False
        )
        self.takes_walls = takes_walls(wall)
        self.store: FeatureStore | None = None
        self._kept: OrderedDict[str, VitFeatures] = OrderedDict()
        self._unfinished: OrderedDict[str, PartialFeatures] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, image: SliceImage, lv_box: Box | None) -> Embedding:
        while self.embed_step(image) < 1:
            pass
        with self._lock:
            features = self._kept[self.key_of(image)]
        wall = self.wall.embed(image, lv_box)
        return replace(wall, features=JoinedFeatures(features, wall))

    def predict(
        self,
        embedding: Embedding,
        prompts: SlicePrompts,
        previous: Logits | None = None,
        quick: bool = False,
    ) -> Logits:
        """Predict wall and pool, and with prompts for scar the checkpoint's scar in its boxes."""
        own: JoinedFeatures = embedding.features
        heart = self.wall.predict(own.wall, prompts, previous, quick)
        if prompts.no_scar or not prompts.has_scar_prompts:
            return heart
        scar = self.scar.predict(replace(embedding, features=own.scar), prompts).scar
        if prompts.boxes:
            scar = np.where(_inside(prompts, embedding.shape), scar, np.float32(OUTSIDE_LOGIT))
        return replace(heart, scar=scar)

    # Embeddings

    def key_of(self, image: SliceImage) -> str:
        """Return the key of a slice's embedding: a hash of pixels, spacing and weights."""
        pixels = np.ascontiguousarray(image.pixels, dtype=np.float32)
        digest = hashlib.sha256(self.scar.identity.sha256.encode())
        digest.update(repr((pixels.shape, image.pixel_spacing_mm)).encode())
        digest.update(pixels.tobytes())
        return digest.hexdigest()

    def embed_step(self, image: SliceImage) -> float:
        """Compute the next part of a slice's embedding; return the part done, 1 when it is kept."""
        key = self.key_of(image)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return 1.0
            partial = self._unfinished.pop(key, None)
            if partial is None:
                stored = None if self.store is None else self.store.get(key)
                inside, scale = self.scar.geometry(image)
                if stored is not None and stored.shape == self.scar.feature_shape:
                    self._keep(key, VitFeatures(torch.from_numpy(stored), inside, scale))
                    return 1.0
                partial = self.scar.begin(image)
            else:
                partial = self.scar.advance(partial)
            if partial.done < 1:
                self._unfinished[key] = partial
                while len(self._unfinished) > KEPT_UNFINISHED:
                    self._unfinished.popitem(last=False)
                return partial.done
            features = self.scar.finish(partial)
            self._keep(key, replace(features, embedding=features.embedding.half().cpu()))
            if self.store is not None:
                self.store.put(key, self._kept[key].embedding.numpy())
            return 1.0

    def _keep(self, key: str, features: VitFeatures) -> None:
        self._kept[key] = features
        while len(self._kept) > KEPT_IN_MEMORY:
            self._kept.popitem(last=False)


def _inside(prompts: SlicePrompts, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels (row, column) whose centre lies in any box."""
    rows, columns = np.arange(shape[0])[:, None] + 0.5, np.arange(shape[1])[None, :] + 0.5
    found = np.zeros(shape, dtype=bool)
    for box in prompts.boxes:
        found |= (
            (rows >= box.row0)
            & (rows <= box.row1)
            & (columns >= box.column0)
            & (columns <= box.column1)
        )
    return found
