"""How large paired differences are, and whether they have a direction."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy import stats

from scarseg.quant.pairs import ROUNDING, Series, largest, paired


@dataclass(frozen=True)
class AbsoluteError:
    """Size of the differences ``|a - b|``: mean, median with quartiles, largest; and the RMSE."""

    mae: float
    median: float
    lower_quartile: float
    upper_quartile: float
    maximum: float
    rmse: float

    @property
    def iqr(self) -> float:
        return self.upper_quartile - self.lower_quartile


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's signed rank test of ``a - b``.

    Pairs without a difference are left out (``n_zeros``); ``n_ties`` of the others share the
    size of their difference with another. ``p_value`` is None when no difference is left.
    """

    n: int
    n_zeros: int
    n_ties: int
    statistic: float | None
    p_value: float | None


@dataclass(frozen=True)
class PairedT:
    """Student's t test of ``a - b``; None where the differences do not vary."""

    t: float | None
    p_value: float | None


def absolute_error(a: npt.ArrayLike, b: npt.ArrayLike) -> AbsoluteError:
    """Give mean, median, quartiles (linear interpolation) and maximum of ``|a - b|``."""
    x, y = paired(a, b)
    d = np.abs(x - y)
    low, median, high = (float(v) for v in np.percentile(d, (25, 50, 75)))
    rmse = sqrt(float(np.mean(d**2)))
    return AbsoluteError(float(d.mean()), median, low, high, float(d.max()), rmse)


def cv_percent(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Give the coefficient of variation as CMR studies print it: SD(a - b) / mean(a, b).

    In percent of the mean of all values (Grothues et al. 2002,
    doi:10.1016/S0002-9149(02)02381-0); None for one pair or a mean that is not positive.
    """
    x, y = paired(a, b)
    mean = float(np.concatenate((x, y)).mean())
    if len(x) < 2 or mean <= 0:
        return None
    return 100 * float((x - y).std(ddof=1)) / mean


def within_subject_cv_percent(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Give the within-subject coefficient of variation: sqrt(mean((a - b)^2) / 2) / mean(a, b).

    In percent; includes the bias (Bland & Altman 1996, doi:10.1136/bmj.313.7059.744).
    """
    x, y = paired(a, b)
    mean = float(np.concatenate((x, y)).mean())
    return 100 * sqrt(float(np.mean((x - y) ** 2)) / 2) / mean if mean > 0 else None


def wilcoxon(a: npt.ArrayLike, b: npt.ArrayLike) -> SignedRank:
    """Give Wilcoxon's signed rank test, two-sided, by scipy.

    Pairs without a difference are left out, as Wilcoxon did. The p value is exact for up to 50
    differences without ties and for up to 13 with ties (all sign flips), else normal with
    scipy's correction for ties. Differences are rounded to 12 digits of the largest value, so
    that ties are not broken by arithmetic.
    """
    x, y = paired(a, b)
    d = _rounded(x - y, largest(x, y))
    left = d[d != 0]
    _, counts = np.unique(np.abs(left), return_counts=True)
    n_ties = int(counts[counts > 1].sum())
    n_zeros = len(d) - len(left)
    if len(left) == 0:
        return SignedRank(len(d), n_zeros, n_ties, None, None)
    result = stats.wilcoxon(left, zero_method="wilcox", method="auto")
    return SignedRank(len(d), n_zeros, n_ties, float(result.statistic), float(result.pvalue))


def paired_t(a: npt.ArrayLike, b: npt.ArrayLike) -> PairedT:
    """Give the paired t test, two-sided, by scipy."""
    x, y = paired(a, b)
    if len(x) < 2 or float(np.ptp(x - y)) <= ROUNDING * largest(x, y):
        return PairedT(None, None)
    result = stats.ttest_rel(x, y)
    return PairedT(float(result.statistic), float(result.pvalue))


def _rounded(d: Series, size: float) -> Series:
    if size == 0:
        return d
    unit = ROUNDING * size
    return np.asarray(np.round(d / unit) * unit, dtype=np.float64)
