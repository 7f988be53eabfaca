"""Check two paired series of values, and draw bootstrap intervals of a statistic of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from scarseg.errors import InputError

Series = npt.NDArray[np.float64]

SEED = 20240102
"""Seed of a bootstrap, so that the same pairs give the same interval."""

ROUNDING = 1e-12
"""A spread below this share of the largest value is rounding, not spread."""

LARGEST = 1e100
"""Beyond it, and below its inverse, squares are lost; no mass or volume comes near."""

_UNDEFINED = 1e140
"""Marks an undefined statistic within a bootstrap: scipy warns about NaN."""


@dataclass(frozen=True)
class ConfidenceInterval:
    """Confidence interval of the requested level, 0.95 by default."""

    low: float
    high: float


def paired(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Series, Series]:
    """Return two series as float64 after checking that they pair up.

    Raises:
        InputError: E_PAIRS, they are empty, of different length, or hold a value not finite.
    """
    x, y = finite_series(a), finite_series(b)
    if len(x) != len(y):
        raise InputError(
            "E_PAIRS", f"Two readings must have the same patients, not {len(x)} and {len(y)}."
        )
    return x, y


def is_constant(x: Series) -> bool:
    """Return whether a series varies by no more than rounding."""
    return float(np.ptp(x)) <= ROUNDING * largest(x)


def bootstrap_interval(
    statistic: Callable[..., float | None],
    *series: npt.ArrayLike,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = SEED,
) -> ConfidenceInterval | None:
    """Compute the percentile bootstrap interval of a statistic; patients are resampled.

    Args:
        statistic: function of as many series as are given; may return None.
        series: equally long; the same patients are drawn from all of them.
        level: of the interval.
        n_resamples: number of resamples.
        seed: the same seed gives the same interval.

    Returns:
        None for fewer than two patients, and where the statistic was undefined in more than one
        resample in twenty.
    """
    columns = [finite_series(one) for one in series]
    if len({len(one) for one in columns}) != 1:
        raise InputError("E_PAIRS", "The series must be equally long to be paired.")
    if len(columns[0]) < 2:
        return None

    def statistic_or_mark(*drawn: Series) -> float:
        value = statistic(*drawn)
        return _UNDEFINED if value is None else value

    drawn = stats.bootstrap(
        columns,
        statistic_or_mark,
        n_resamples=n_resamples,
        vectorized=False,
        paired=True,
        confidence_level=level,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).bootstrap_distribution
    known = drawn[drawn < _UNDEFINED]
    if len(known) < 0.95 * n_resamples:
        return None
    low, high = np.percentile(known, (50 * (1 - level), 50 * (1 + level)))
    return ConfidenceInterval(float(low), float(high))


def finite_series(values: npt.ArrayLike) -> Series:
    """Return values as a float64 series; values too small to be squared become 0.

    Raises:
        InputError: E_PAIRS, the series is empty or holds a value that is not finite or too large.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0:
        raise InputError("E_PAIRS", "A reading must have a value for at least one patient.")
    if not np.isfinite(x).all():
        raise InputError(
            "E_PAIRS", f"Values must be finite numbers: {int((~np.isfinite(x)).sum())} are not."
        )
    if np.abs(x).max() > LARGEST:
        raise InputError("E_PAIRS", f"A value of {float(np.abs(x).max()):g} is beyond reason.")
    return np.where(np.abs(x) < 1 / LARGEST, 0.0, x)


def largest(*series: Series) -> float:
    """Return the largest absolute value of several series."""
    return max(float(np.abs(x).max()) for x in series)
