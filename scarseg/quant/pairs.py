"""Two series of values paired by patient: what may be computed on them, and intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from scarseg.errors import InputError

Series = npt.NDArray[np.float64]

SEED = 20240102
"""Where the draws of a bootstrap begin, so that the same pairs give the same interval."""
ROUNDING = 1e-12
"""A spread below this share of the largest value is rounding, not spread."""
LARGEST = 1e100
"""Beyond it, and below its inverse, squares are lost; no mass or volume comes near."""
_UNANSWERED = 1e140
"""Stands for no answer in a bootstrap: scipy warns about NaN."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval of the level that was asked for, 0.95 unless told."""

    low: float
    high: float


def paired(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Series, Series]:
    """Give two series as float64.

    Raises:
        InputError: E_PAIRS, they are empty, of different length, or hold a value not finite.
    """
    x, y = finite(a), finite(b)
    if len(x) != len(y):
        raise InputError(
            "E_PAIRS", f"Two readings must have the same patients, not {len(x)} and {len(y)}."
        )
    return x, y


def is_constant(x: Series) -> bool:
    """Tell whether a series varies by no more than rounding."""
    return float(np.ptp(x)) <= ROUNDING * largest(x)


def bootstrap_interval(
    statistic: Callable[..., float | None],
    *series: npt.ArrayLike,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = SEED,
) -> Interval | None:
    """Give the percentile bootstrap interval of a statistic, drawing patients with replacement.

    Args:
        statistic: takes as many series as are given; may answer None.
        series: equally long; the same patients are drawn from all of them.
        level: of the interval.
        n_resamples: how often to draw.
        seed: the same seed gives the same interval.

    Returns:
        None for fewer than two patients, and when more than one draw in twenty had no answer.
    """
    columns = [finite(one) for one in series]
    if len({len(one) for one in columns}) != 1:
        raise InputError("E_PAIRS", "The series must be equally long to be paired.")
    if len(columns[0]) < 2:
        return None

    def answered(*drawn: Series) -> float:
        value = statistic(*drawn)
        return _UNANSWERED if value is None else value

    drawn = stats.bootstrap(
        columns,
        answered,
        n_resamples=n_resamples,
        vectorized=False,
        paired=True,
        confidence_level=level,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).bootstrap_distribution
    known = drawn[drawn < _UNANSWERED]
    if len(known) < 0.95 * n_resamples:
        return None
    low, high = np.percentile(known, (50 * (1 - level), 50 * (1 + level)))
    return Interval(float(low), float(high))


def finite(values: npt.ArrayLike) -> Series:
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
    return max(float(np.abs(x).max()) for x in series)
