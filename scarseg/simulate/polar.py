"""Functions of angle by table: worked out once per direction, looked up per pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scarseg.stack import FloatArray

STEPS = 1440
ANGLES: FloatArray = ((np.arange(STEPS) + 0.5) * (2 * np.pi / STEPS) - np.pi).astype(np.float32)
"""The tabulated directions, rad, (1440,)."""


class Directions:
    """The direction of every pixel, ready to look tables up.

    ``angle`` float32 (..., row, column), rad, any turn; a table is float32 (1440,), or
    (sample, 1440) where the angles are (sample, row, column).
    """

    def __init__(self, angle: FloatArray) -> None:
        index = np.floor((angle + np.float32(np.pi)) * np.float32(STEPS / (2 * np.pi)))
        self._index: npt.NDArray[np.int32] = np.mod(index.astype(np.int32), STEPS)
        if angle.ndim == 3:
            self._index += (np.arange(len(angle), dtype=np.int32) * STEPS)[:, None, None]

    def look_up(self, table: FloatArray) -> FloatArray:
        """Give the table's value in each pixel's direction."""
        return np.asarray(np.take(table, self._index), dtype=np.float32)
