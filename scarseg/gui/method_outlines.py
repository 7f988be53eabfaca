"""The outlines of every method on every slice, traced where the methods are worked out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PyQt6.QtGui import QPainterPath

from scarseg.gui import methods, overlay
from scarseg.labels import MaskArray

Paths = tuple[QPainterPath, ...]
"""One per slice, in source pixels."""


@dataclass(frozen=True, eq=False)
class Outlined:
    """An answer with its outlines; those of ``infarct`` and ``mvo`` by the method's name."""

    answer: methods.Answer
    wall: Paths
    remote: Paths
    infarct: Mapping[str, Paths]
    mvo: Mapping[str, Paths]


def work_out(question: methods.Question) -> Outlined:
    """Compare the methods and trace them; for a worker thread."""
    answer = methods.compare(question)
    return Outlined(
        answer,
        _traced(answer.wall),
        _traced(answer.remote),
        {method.name: _traced(method.infarct) for method in answer.methods},
        {method.name: _traced(method.mvo) for method in answer.methods},
    )


def _traced(masks: MaskArray) -> Paths:
    return tuple(overlay.outline(mask) for mask in masks)
