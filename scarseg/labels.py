"""What every voxel is, and the only way labels change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

LabelArray = npt.NDArray[np.uint8]
MaskArray = npt.NDArray[np.bool_]


class Label(IntEnum):
    """One voxel is one thing."""

    BACKGROUND = 0
    BLOOD_POOL = 1
    MYOCARDIUM = 2
    SCAR = 3
    MVO = 4


INFARCT = (Label.SCAR, Label.MVO)


def wall_mask(labels: LabelArray) -> MaskArray:
    """Give the mask of the whole wall: myocardium, scar and MVO. Any shape."""
    return labels >= Label.MYOCARDIUM


def infarct_mask(labels: LabelArray) -> MaskArray:
    """Give the mask of the infarct: scar and MVO. Any shape."""
    return labels >= Label.SCAR


@dataclass(frozen=True, eq=False)
class Edit:
    """Replace one rectangle of labels of one slice.

    Args:
        slice_index: which slice.
        row, column: upper left corner of the rectangle, in source pixels.
        before, after: uint8 (row, column), same shape; ``before`` is what stood there.
    """

    slice_index: int
    row: int
    column: int
    before: LabelArray
    after: LabelArray

    @classmethod
    def between(cls, slice_index: int, before: LabelArray, after: LabelArray) -> Edit | None:
        """Make the smallest edit that turns slice ``before`` into ``after`` (row, column).

        Returns None when they are the same.
        """
        rows, columns = np.nonzero(before != after)
        if rows.size == 0:
            return None
        r0, r1 = int(rows.min()), int(rows.max()) + 1
        c0, c1 = int(columns.min()), int(columns.max()) + 1
        return cls(slice_index, r0, c0, before[r0:r1, c0:c1].copy(), after[r0:r1, c0:c1].copy())

    def apply(self, labels: LabelArray) -> None:
        """Write ``after`` into ``labels`` (slice, row, column) in place."""
        rows, columns = self.after.shape
        labels[
            self.slice_index, self.row : self.row + rows, self.column : self.column + columns
        ] = self.after

    def inverse(self) -> Edit:
        """Give the edit that undoes this one."""
        return Edit(self.slice_index, self.row, self.column, self.after, self.before)
