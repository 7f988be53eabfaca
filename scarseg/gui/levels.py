"""Window level: presets from the pixels of a stack, and the reader's last one per sequence."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QSettings

from scarseg.stack import Stack

Levels = tuple[float, float]
PRESETS: dict[str, tuple[float, float]] = {
    "Automatic": (1.0, 99.7),
    "Scar": (25.0, 99.9),
    "Soft": (0.5, 99.97),
    "Full range": (0.0, 100.0),
}
"""Name and the two percentiles of the middle of the stack that become black and white."""


def preset(stack: Stack, name: str) -> Levels:
    """Give the levels of a preset for this stack."""
    rows, columns = stack.rows, stack.columns
    middle = stack.pixels[:, rows // 5 : rows - rows // 5, columns // 5 : columns - columns // 5]
    pixels = middle if middle.size else stack.pixels
    low, high = np.percentile(pixels[:, ::2, ::2], PRESETS[name])
    return float(low), max(float(high), float(low) + 1e-3)


def remembered(settings: QSettings, stack: Stack) -> Levels:
    """Give the reader's last levels for this kind of sequence, scaled to this stack."""
    low, high = preset(stack, "Automatic")
    stored = settings.value(f"levels/{stack.sequence.value}", "")
    try:
        a, b = (float(part) for part in str(stored).split(","))
    except ValueError:
        return low, high
    if not (np.isfinite(a) and np.isfinite(b) and b > a):
        return low, high
    return low + a * (high - low), low + b * (high - low)


def remember(settings: QSettings, stack: Stack, levels: Levels) -> None:
    """Keep levels for this kind of sequence, relative to the automatic ones."""
    low, high = preset(stack, "Automatic")
    a, b = ((value - low) / (high - low) for value in levels)
    settings.setValue(f"levels/{stack.sequence.value}", f"{a:.4f},{b:.4f}")
