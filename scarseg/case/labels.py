"""Labels of voxels, edits of them, and compressed patches of a slice."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

LabelArray = npt.NDArray[np.uint8]
MaskArray = npt.NDArray[np.bool_]


class Label(IntEnum):
    """Tissue of a voxel; each voxel has exactly one label."""

    BACKGROUND = 0
    BLOOD_POOL = 1
    MYOCARDIUM = 2
    SCAR = 3
    MVO = 4


INFARCT = (Label.SCAR, Label.MVO)
# Compared with a member of an enumeration numpy widens every voxel to int64: ten times slower.
_MYOCARDIUM, _SCAR = np.uint8(Label.MYOCARDIUM), np.uint8(Label.SCAR)


def wall_mask(labels: LabelArray) -> MaskArray:
    """Return the mask of the whole wall: myocardium, scar and MVO. Any shape."""
    return labels >= _MYOCARDIUM


def infarct_mask(labels: LabelArray) -> MaskArray:
    """Return the mask of the infarct: scar and MVO. Any shape."""
    return labels >= _SCAR


def heart_differs(one: LabelArray, other: LabelArray) -> bool:
    """Return whether wall (scar included) or blood pool of two slices differ."""
    pool = np.uint8(Label.BLOOD_POOL)
    walls_same = np.array_equal(wall_mask(one), wall_mask(other))
    return not (walls_same and np.array_equal(one == pool, other == pool))


def without_infarct(labels: LabelArray) -> LabelArray:
    """Return labels with scar and MVO replaced by wall, or background where there is no heart.

    This is the tissue underneath the scar of a model. Any shape (..., row, column); each slice
    by itself.
    """
    heart = np.isin(labels, (Label.BLOOD_POOL, Label.MYOCARDIUM)).any(axis=(-2, -1), keepdims=True)
    under = np.where(heart, _MYOCARDIUM, np.uint8(Label.BACKGROUND))
    return np.where(infarct_mask(labels), under, labels).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Edit:
    """Replacement of one rectangle of the labels of one slice.

    Args:
        slice_index: which slice.
        row, column: upper left corner of the rectangle, in source pixels.
        before, after: uint8 (row, column), same shape; ``before`` are the labels it replaces.
    """

    slice_index: int
    row: int
    column: int
    before: LabelArray
    after: LabelArray

    @classmethod
    def between(cls, slice_index: int, before: LabelArray, after: LabelArray) -> Edit | None:
        """Build the smallest edit that turns slice ``before`` into ``after`` (row, column).

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
        """Return the edit that undoes this one."""
        return Edit(self.slice_index, self.row, self.column, self.after, self.before)


@dataclass(frozen=True)
class Patch:
    """One rectangle of the labels of a slice, compressed.

    ``row``, ``column`` is its upper left corner in source pixels, ``rows`` by ``columns`` its
    size, which may be 0; ``packed`` is the zlib of its uint8 labels in C order.
    """

    row: int
    column: int
    rows: int
    columns: int
    packed: bytes

    @classmethod
    def at(cls, row: int, column: int, labels: LabelArray) -> Patch:
        """Compress labels (row, column) whose upper left corner lies at ``row``, ``column``."""
        rows, columns = labels.shape
        packed = zlib.compress(np.ascontiguousarray(labels, dtype=np.uint8).tobytes(), 1)
        return cls(row, column, rows, columns, packed)

    @classmethod
    def of(cls, labels: LabelArray) -> Patch:
        """Compress the rectangle of a slice (row, column) that holds all but background."""
        edit = Edit.between(0, np.zeros_like(labels), labels)
        if edit is None:
            return cls.at(0, 0, labels[:0, :0])
        return cls.at(edit.row, edit.column, edit.after)

    def unpacked(self) -> LabelArray:
        """Return the labels of the rectangle, uint8 (row, column), read-only.

        Raises:
            ValueError: the bytes are not labels of this size.
        """
        unpacking = zlib.decompressobj()
        try:
            # A file may claim any size: decompress no more than it holds.
            raw = unpacking.decompress(self.packed, self.rows * self.columns + 1)
        except zlib.error as error:
            raise ValueError("these bytes are no patch") from error
        if len(raw) != self.rows * self.columns or not unpacking.eof:
            raise ValueError("a patch must fill its rectangle")
        labels = np.frombuffer(raw, dtype=np.uint8).reshape(self.rows, self.columns)
        if labels.size and int(labels.max()) > max(Label):
            raise ValueError("a patch has labels that do not exist")
        return labels

    @cached_property
    def n_infarct_voxels(self) -> int:
        """Number of voxels of scar and MVO."""
        return int(np.count_nonzero(infarct_mask(self.unpacked())))

    def apply(self, labels: LabelArray) -> None:
        """Write the rectangle into a slice (row, column) in place.

        Raises:
            ValueError: it does not lie within the slice.
        """
        rows = slice(self.row, self.row + self.rows)
        columns = slice(self.column, self.column + self.columns)
        place = labels[rows, columns]
        if min(self.row, self.column) < 0 or place.shape != (self.rows, self.columns):
            raise ValueError("a patch must lie within its slice")
        place[:] = self.unpacked()

    def matches(self, labels: LabelArray) -> bool:
        """Return whether a slice (row, column) equals this patch on background."""
        part = labels[self.row : self.row + self.rows, self.column : self.column + self.columns]
        if not np.array_equal(part, self.unpacked()):
            return False
        return int(np.count_nonzero(part)) == int(np.count_nonzero(labels))
