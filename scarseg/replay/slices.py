"""Slices during a replay: labels as recorded beside labels as made again."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scarseg.case.history import ReadingRecord, SliceReading, Step
from scarseg.case.labels import LabelArray, infarct_mask
from scarseg.quant.overlap import dice
from scarseg.replay.model_runs import RepeatedRun
from scarseg.segmentation.predict import PredictionCache


@dataclass
class ReplayedSlice:
    """One slice during a replay: as it was recorded, and as it is made again.

    ``under_scar`` are the labels beneath the scar of ``replayed``, None where they are not known.
    ``variants`` holds, by recorded labels, the replayed ones where they differ: undo and redo bring
    them back. ``cache`` and ``model_run`` are those of the window at this point of the reading.
    """

    recorded: LabelArray
    replayed: LabelArray
    under_scar: LabelArray | None
    reading: SliceReading = field(default_factory=SliceReading)
    cache: PredictionCache = field(default_factory=PredictionCache)
    model_run: RepeatedRun | None = None
    variants: dict[bytes, tuple[LabelArray, LabelArray | None]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Return whether the replayed labels are other than the recorded ones."""
        return not np.array_equal(self.recorded, self.replayed)

    @property
    def drawn_manually(self) -> bool:
        """Return whether the labels were drawn, as the window decided then."""
        drawn = self.reading.edited and bool(self.replayed.any())
        return drawn and not self.cache.contains(self.replayed)


def initial_slices(record: ReadingRecord) -> list[ReplayedSlice]:
    """Return every slice as it was before the first step."""
    slices = []
    for k in range(record.shape[0]):
        labels = np.zeros(record.shape[1:], dtype=np.uint8)
        reading = SliceReading()
        if record.start is not None:
            reading, patch = record.start[k]
            patch.apply(labels)
        under_scar = None if infarct_mask(labels).any() else labels.copy()
        slices.append(ReplayedSlice(labels, labels.copy(), under_scar, reading))
    return slices


def apply_manual_edit(one: ReplayedSlice, step: Step, before: LabelArray) -> None:
    """Apply a manual edit: the voxels that it changed, and no others."""
    labels = one.replayed.copy()
    drawn = one.recorded != before
    labels[drawn] = one.recorded[drawn]
    set_labels(one, step, labels)


def set_labels(one: ReplayedSlice, step: Step, labels: LabelArray) -> None:
    """Set labels, and the labels under their scar, as :class:`scarseg.case.case.Case` does."""
    infarct = infarct_mask(labels)
    if step.labels_under_scar is not None:
        beneath = np.zeros_like(labels)
        step.labels_under_scar.apply(beneath)
        one.under_scar = np.where(infarct, beneath, labels)
    elif one.under_scar is not None:
        one.under_scar = np.where(infarct, one.under_scar, labels)
    elif not infarct.any():
        one.under_scar = labels.copy()
    one.replayed = labels


def infarct_dice(one: LabelArray, other: LabelArray) -> float | None:
    """Return the Dice of scar and MVO of two slices (row, column); None where neither has any."""
    return dice(infarct_mask(one), infarct_mask(other))
