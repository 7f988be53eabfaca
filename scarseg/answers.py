"""Which answers of the segmenter the labels of a slice are: what a new prompt builds on."""

from __future__ import annotations

import hashlib

from scarseg.labels import LabelArray
from scarseg.models import Logits

ANSWERS_KEPT = 4
"""So many answers of a slice are known again when undoing brings their labels back."""


class Answers:
    """The answers behind the labels of one slice, by those labels; the latest few.

    ``last`` is what the segmenter said last, whether or not its labels stand.
    """

    def __init__(self) -> None:
        self.last: Logits | None = None
        self._known: dict[bytes, Logits] = {}

    def remember(self, labels: LabelArray, logits: Logits) -> None:
        """Note that labels (row, column) are what the models made of this answer."""
        mark = _mark(labels)
        self._known.pop(mark, None)
        self._known[mark] = logits
        if len(self._known) > ANSWERS_KEPT:
            del self._known[next(iter(self._known))]

    def knows(self, labels: LabelArray) -> bool:
        """Tell whether labels are an answer as it came, with no drawing of a hand."""
        return bool(self._known) and _mark(labels) in self._known

    def behind(self, labels: LabelArray) -> Logits | None:
        """Give the answer behind these labels, or the last there was."""
        return self._known.get(_mark(labels), self.last) if self._known else self.last


def _mark(labels: LabelArray) -> bytes:
    """Know labels again without keeping them."""
    return hashlib.sha1(labels.tobytes(), usedforsecurity=False).digest()
