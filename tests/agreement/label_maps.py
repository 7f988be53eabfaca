"""Label maps whose overlap is worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scarseg.case.labels import Label, LabelArray

VOXEL_G = 1.5 * 1.25 * 10 * 1.05 / 1000
"""Grams of one voxel of the phantom stack, by the distance between slices."""


def block(first: int, slices: tuple[int, ...] = (1, 2), label: Label = Label.SCAR) -> LabelArray:
    """Return twenty voxels a slice: rows 10 to 14, four columns from ``first`` on, in muscle."""
    labels = np.zeros((5, 60, 72), dtype=np.uint8)
    labels[:, 5:20, 5:40] = Label.MYOCARDIUM
    for k in slices:
        labels[k, 10:15, first : first + 4] = label
    return labels


def folders(tmp_path: Path) -> tuple[Path, Path]:
    a, b = tmp_path / "mine", tmp_path / "theirs"
    a.mkdir()
    b.mkdir()
    return a, b
