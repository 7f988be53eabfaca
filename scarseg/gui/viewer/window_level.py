"""Window level: presets from what the heart shines like, and the reader's last one per sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QSettings

from scarseg.case.case import Case
from scarseg.case.labels import Label, infarct_mask, wall_mask
from scarseg.case.stack import FloatArray
from scarseg.quant import remote as quant_remote
from scarseg.quant import suggested_threshold

Levels = tuple[float, float]
AUTOMATIC, BORDER, ANATOMY, FULL = "LGE auto", "Scar and pool", "Anatomy", "Full range"
BY_HAND = "By hand"
"""What the choice of presets says of levels that are none of them."""
PRESETS: dict[str, str] = {
    AUTOMATIC: "Null the myocardium: remote wall just above black, blood pool grey, scar bright",
    BORDER: "Wall black, and the greys spent on blood pool and scar: for their border",
    ANATOMY: "The whole heart, nothing black or burnt out",
    FULL: "From the darkest to the brightest pixel of the stack",
}
"""Name of each preset and what it is for."""
NULLED = 0.08
"""How grey remote wall is: just above black."""
NOISY = 0.14
"""How grey it may be, where it scatters widely."""
GREY = 0.60
"""How grey the blood pool may be; brighter scar pushes it down."""
PLAIN_GREY = 0.48
"""How grey it is where there is no scar to compare with."""
BRIGHT = 0.94
"""How grey the brightest scar is: not burnt out."""
BRIGHTEST_PERCENTILE = 99.5
POOL_PERCENTILES = (70.0, 98.0)
"""Blood, whatever papillary muscle is counted with it, and the brightest of it."""
LITTLE = 0.25
"""A bright class smaller than this share of the middle of a slice is fat, not blood."""

ENOUGH_VOXELS = 20
"""Remote wall and blood pool of a slice tell its levels from this many voxels on."""
MOST_GAIN = 1.6
"""The contrast of a slice is balanced by this factor at most, so that noise stays noise."""


@dataclass(frozen=True)
class Tissues:
    """What shines how much, in source units.

    ``scar`` is the brightest of it, None without any; ``pool_top`` the brightest of the pool.
    """

    remote: float
    remote_sd: float
    pool: float
    scar: float | None
    pool_top: float = -np.inf


@dataclass(frozen=True)
class Balance:
    """How the signal of a slice compares with that of the stack.

    ``remote`` is that of the slice's remote wall and ``stack_remote`` the stack's, in source
    units; ``gain`` the contrast of blood and remote wall to that of the stack.
    """

    remote: float
    stack_remote: float
    gain: float = 1.0

    def levels(self, levels: Levels) -> Levels:
        """Carry levels on the scale of the stack to that of the slice."""
        low, high = (self.remote + (v - self.stack_remote) * self.gain for v in levels)
        return low, high


def balances(case: Case) -> tuple[Balance, ...]:
    """Balance every slice so that its remote wall is as grey as that of the stack.

    Coils and nulling differ from slice to slice. A slice with too little wall or pool to tell by
    goes between its neighbours. Empty where no slice tells.
    """
    pixels, labels = case.stack.pixels, case.labels
    found = tissues(case)
    contrast = found.pool - found.remote
    remotes, gains = [np.nan] * len(labels), [np.nan] * len(labels)
    for k, one in enumerate(labels):
        signal = quant_remote.slice_remote_signal(
            pixels[k], wall_mask(one), infarct_mask(one), case.stack.pixel_spacing_mm
        )
        if signal is None or signal.n_voxels < ENOUGH_VOXELS:
            continue
        remotes[k] = signal.mean
        pool = pixels[k][one == Label.BLOOD_POOL]
        if pool.size >= ENOUGH_VOXELS and contrast > 0:
            own = (float(np.percentile(pool, POOL_PERCENTILES[0])) - signal.mean) / contrast
            gains[k] = min(max(own, 1 / MOST_GAIN), MOST_GAIN)
    if np.isnan(remotes).all():
        return ()
    if np.isnan(gains).all():
        gains = [1.0] * len(labels)
    return tuple(
        Balance(remote, found.remote, gain)
        for remote, gain in zip(_filled(remotes), _filled(gains), strict=True)
    )


def _filled(values: list[float]) -> list[float]:
    """Fill gaps (NaN) between the nearest values on either side."""
    known = [k for k, value in enumerate(values) if not np.isnan(value)]
    filled = np.interp(np.arange(len(values)), known, [values[k] for k in known])
    return [float(value) for value in filled]


def preset(case: Case, name: str) -> Levels:
    """Return the levels of a preset for this case, black and white in source units."""
    if name == FULL:
        low, high = float(case.stack.pixels.min()), float(case.stack.pixels.max())
    elif name == ANATOMY:
        low, high = (
            float(v) for v in np.percentile(suggested_threshold.heart_pixels(case), (0.2, 99.95))
        )
        low, high = low - 0.05 * (high - low), high + 0.15 * (high - low)
    elif name == BORDER:
        low, high = _border(tissues(case))
    else:
        low, high = _nulled(tissues(case))
    return low, max(high, low + 1e-3)


def _nulled(found: Tissues) -> Levels:
    """Return levels: remote wall just above black, the pool grey, brightest scar below white."""
    pool = max(found.pool, found.remote + found.remote_sd)
    span = (pool - found.remote) / ((GREY if found.scar else PLAIN_GREY) - NULLED)
    if found.scar is not None:
        span = max(span, (found.scar - found.remote) / (BRIGHT - NULLED))
    span = max(span, (found.pool_top - found.remote) / (1.0 - NULLED))
    low = found.remote - min(max(NULLED * span, found.remote_sd / 2), NOISY * span)
    return low, low + span


def _border(found: Tissues) -> Levels:
    pool = max(found.pool, found.remote + found.remote_sd)
    low = (found.remote + pool) / 2
    brightest = pool + 2 * (pool - low) if found.scar is None else max(found.scar, pool)
    return low, low + (brightest - low) / BRIGHT


def tissues(case: Case) -> Tissues:
    """Find what remote wall, blood pool and scar shine like, by the labels where there are some.

    Before there are, two classes by Otsu (1979) in the middle of the middle slices: what is dark
    there is mostly wall, what is bright mostly blood. Where little is bright, that is fat, and
    the rest is parted once more.
    """
    labels, pixels = case.labels, case.stack.pixels
    signal = quant_remote.remote_signal(case)
    pool = pixels[labels == Label.BLOOD_POOL]
    if signal is None or not pool.size:
        return _guess(case)
    infarct = pixels[infarct_mask(labels)]
    scar = None
    if infarct.size:
        scar = float(np.percentile(infarct, BRIGHTEST_PERCENTILE))
        scar = scar if scar > signal.mean + 2 * signal.sd else None
    blood, brightest = (float(v) for v in np.percentile(pool, POOL_PERCENTILES))
    return Tissues(signal.mean, signal.sd, blood, scar, brightest)


def _guess(case: Case) -> Tissues:
    n = case.stack.n_slices
    inner = suggested_threshold.central_pixels(case.stack.pixels[n // 5 : max(n - n // 5, 1)])
    if inner.min() == inner.max():
        return Tissues(float(inner.min()), 0.0, float(inner.min()) + 1.0, None)
    dark, bright = _parted(inner)
    if bright.size < LITTLE * inner.size and dark.min() < dark.max():
        dark, bright = _parted(dark)
    return Tissues(float(np.median(dark)), 0.0, float(np.median(bright)), None)


def _parted(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    from skimage.filters import threshold_otsu

    bright = values > float(threshold_otsu(values))
    return values[~bright], values[bright]


def recalled(settings: QSettings, case: Case) -> tuple[str, Levels]:
    """Return the reader's last choice for this kind of sequence, its name and levels for this case.

    Automatic when the reader never chose; manual levels are scaled to this case.
    """
    stored = str(settings.value(_key(case), ""))
    if stored in PRESETS:
        return stored, preset(case, stored)
    low, high = preset(case, AUTOMATIC)
    try:
        a, b = (float(part) for part in stored.split(","))
    except ValueError:
        return AUTOMATIC, (low, high)
    if not (np.isfinite(a) and np.isfinite(b) and b > a):
        return AUTOMATIC, (low, high)
    return BY_HAND, (low + a * (high - low), low + b * (high - low))


def remember(settings: QSettings, case: Case, choice: str | Levels) -> None:
    """Keep a preset, or levels relative to the automatic ones, for this kind of sequence."""
    if isinstance(choice, str):
        settings.setValue(_key(case), choice)
        return
    low, high = preset(case, AUTOMATIC)
    a, b = ((value - low) / (high - low) for value in choice)
    settings.setValue(_key(case), f"{a:.4f},{b:.4f}")


def _key(case: Case) -> str:
    return f"levels/{case.stack.sequence.value}"
