"""Window level: presets from the pixels of the heart, and the reader's last one per sequence."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QSettings

from scarseg.case import Case
from scarseg.stack import FloatArray

Levels = tuple[float, float]
HEADROOM = 0.15
"""White lies above the brightest of the heart by this share, so that edges stay visible."""
PRESETS: dict[str, tuple[float, float]] = {
    "Automatic": (1.0, 99.5),
    "Scar": (20.0, 99.9),
    "Soft": (0.2, 99.95),
    "Full range": (0.0, 100.0),
}
"""Name and the two percentiles of the heart's pixels that become black and white.

The full range is that of whole slices.
"""


def heart_pixels(case: Case) -> FloatArray:
    """Give the pixels of blood pool and wall; those of the middle where none are drawn.

    Fat round the heart would outshine any scar.
    """
    pixels = case.stack.pixels
    inside: FloatArray = pixels[case.labels > 0]
    if inside.size:
        return inside
    rows, columns = case.stack.rows * 3 // 10, case.stack.columns * 3 // 10
    middle = pixels[:, rows : case.stack.rows - rows, columns : case.stack.columns - columns]
    return middle if middle.size else pixels


def preset(case: Case, name: str) -> Levels:
    """Give the levels of a preset for this case."""
    pixels = case.stack.pixels if name == "Full range" else heart_pixels(case)
    low, high = (float(value) for value in np.percentile(pixels, PRESETS[name]))
    if name != "Full range":
        high += HEADROOM * (high - low)
    return low, max(high, low + 1e-3)


def remembered(settings: QSettings, case: Case) -> Levels | None:
    """Give the reader's last levels for this kind of sequence, scaled to this case.

    None when the reader never set any.
    """
    stored = settings.value(_key(case), "")
    try:
        a, b = (float(part) for part in str(stored).split(","))
    except ValueError:
        return None
    if not (np.isfinite(a) and np.isfinite(b) and b > a):
        return None
    low, high = preset(case, "Automatic")
    return low + a * (high - low), low + b * (high - low)


def remember(settings: QSettings, case: Case, levels: Levels | None) -> None:
    """Keep levels for this kind of sequence, relative to the automatic ones; None forgets them."""
    if levels is None:
        settings.remove(_key(case))
        return
    low, high = preset(case, "Automatic")
    a, b = ((value - low) / (high - low) for value in levels)
    settings.setValue(_key(case), f"{a:.4f},{b:.4f}")


def _key(case: Case) -> str:
    return f"levels/{case.stack.sequence.value}"
