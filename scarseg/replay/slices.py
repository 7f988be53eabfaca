"""One slice of a case that is made again, and what becomes of it step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scarseg.answers import Answers
from scarseg.labels import LabelArray, infarct_mask
from scarseg.quant.overlap import dice
from scarseg.record import Record, Recorded, SliceReading
from scarseg.replay.looking import Seen


@dataclass
class RemadeSlice:
    """One slice on its way: as it was recorded, and as it is made again.

    ``ground`` lies beneath the scar of ``remade``, None where that is not known. ``twins`` are
    what was made again where other labels were recorded, by the latter: undoing brings them back.
    """

    recorded: LabelArray
    remade: LabelArray
    ground: LabelArray | None
    reading: SliceReading = field(default_factory=SliceReading)
    answers: Answers = field(default_factory=Answers)
    seen: Seen | None = None
    twins: dict[bytes, tuple[LabelArray, LabelArray | None]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        return not np.array_equal(self.recorded, self.remade)

    @property
    def hand_drawn(self) -> bool:
        """Say what :meth:`scarseg.gui.inference.Inference.is_hand_drawn` said then."""
        drawn = self.reading.edited and bool(self.remade.any())
        return drawn and not self.answers.knows(self.remade)


def beginning(record: Record) -> list[RemadeSlice]:
    """Give every slice as it stood before the first step."""
    slices = []
    for k in range(record.shape[0]):
        labels = np.zeros(record.shape[1:], dtype=np.uint8)
        reading = SliceReading()
        if record.start is not None:
            reading, patch = record.start[k]
            patch.paste(labels)
        ground = None if infarct_mask(labels).any() else labels.copy()
        slices.append(RemadeSlice(labels, labels.copy(), ground, reading))
    return slices


def draw(one: RemadeSlice, step: Recorded, before: LabelArray) -> None:
    """Change what a hand changed, and nothing else."""
    labels = one.remade.copy()
    drawn = one.recorded != before
    labels[drawn] = one.recorded[drawn]
    lay(one, step, labels)


def lay(one: RemadeSlice, step: Recorded, labels: LabelArray) -> None:
    """Take labels, and what then lies beneath their scar, as :class:`scarseg.case.Case` does."""
    infarct = infarct_mask(labels)
    if step.ground is not None:
        beneath = np.zeros_like(labels)
        step.ground.paste(beneath)
        one.ground = np.where(infarct, beneath, labels)
    elif one.ground is not None:
        one.ground = np.where(infarct, one.ground, labels)
    elif not infarct.any():
        one.ground = labels.copy()
    one.remade = labels


def infarct_dice(one: LabelArray, other: LabelArray) -> float | None:
    """Give the Dice of scar and MVO of two slices (row, column); None where neither has any."""
    return dice(infarct_mask(one), infarct_mask(other))
