"""Compute intraclass correlations, ICC(2,1) and ICC(3,1), with their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from scarseg.errors import InputError
from scarseg.quant.paired_series import ROUNDING, ConfidenceInterval, is_constant


@dataclass(frozen=True)
class IntraclassCorrelation:
    """ICC(2,1), absolute agreement, and ICC(3,1), consistency, of single readings."""

    icc_2_1: float | None
    icc_2_1_ci: ConfidenceInterval | None
    icc_3_1: float | None
    icc_3_1_ci: ConfidenceInterval | None


def intraclass(ratings: npt.ArrayLike, level: float = 0.95) -> IntraclassCorrelation:
    """Compute ICC(2,1) and ICC(3,1) with their intervals.

    Two-way analysis of variance, Shrout & Fleiss 1979 (doi:10.1037/0033-2909.86.2.420).

    Args:
        ratings: (patient, reading), without gaps.
        level: of the intervals.

    Returns:
        None in every field that is not defined: it takes two patients, two readings, and some
        variation between patients or readings.
    """
    values = np.asarray(ratings, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError("E_PAIRS", "Ratings must be a table of finite numbers.")
    n, k = values.shape
    if n < 2 or k < 2 or is_constant(values.ravel()):
        return IntraclassCorrelation(None, None, None, None)
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns + values.mean()
    between = k * float(rows.var(ddof=1))
    readers = n * float(columns.var(ddof=1))
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    if error <= (ROUNDING * float(np.abs(values).max())) ** 2:
        error = 0.0
    two = _ratio(between - error, between + (k - 1) * error + k * (readers - error) / n)
    three = _ratio(between - error, between + (k - 1) * error)
    if error == 0.0 or two is None:
        return IntraclassCorrelation(two, None, three, None)
    return IntraclassCorrelation(
        two,
        _icc_2_1_interval((n, k), (between, readers, error), two, level),
        three,
        _icc_3_1_interval((n, k), between / error, level),
    )


def _icc_3_1_interval(shape: tuple[int, int], f: float, level: float) -> ConfidenceInterval:
    n, k = shape
    degrees = (n - 1) * (k - 1)
    low = f / float(stats.f.ppf((1 + level) / 2, n - 1, degrees))
    high = f * float(stats.f.ppf((1 + level) / 2, degrees, n - 1))
    return ConfidenceInterval((low - 1) / (low + k - 1), (high - 1) / (high + k - 1))


def _icc_2_1_interval(
    shape: tuple[int, int], squares: tuple[float, float, float], icc: float, level: float
) -> ConfidenceInterval | None:
    """Compute Satterthwaite's interval in the form of Shrout & Fleiss."""
    n, k = shape
    between, readers, error = squares
    ratio = readers / error
    a, b = k * icc * ratio, n * (1 + (k - 1) * icc) - k * icc
    denominator = (n - 1) * k**2 * icc**2 * ratio**2 + b**2
    if denominator <= 0 or a + b == 0:
        return None
    degrees = (k - 1) * (n - 1) * (a + b) ** 2 / denominator
    upper = float(stats.f.ppf((1 + level) / 2, n - 1, degrees))
    lower = float(stats.f.ppf((1 + level) / 2, degrees, n - 1))
    rest = k * readers + (k * n - k - n) * error
    if not np.isfinite((lower, upper)).all():
        return None  # a fraction of a degree of freedom: anything is possible
    return ConfidenceInterval(
        n * (between - upper * error) / (upper * rest + n * between),
        n * (lower * between - error) / (rest + n * lower * between),
    )


def _ratio(numerator: float, denominator: float) -> float | None:
    return None if denominator == 0 else numerator / denominator
