"""Compute the agreement of two readings of the same patients.

Every function takes two equally long series, one value per patient and reading, paired by
position. Differences are ``a - b``: where one is the reference, it is ``b``. A statistic that is
not defined for the pairs (too few, all the same) is None; a value that is not finite, or series
of different length, are an InputError. No p value here is a proof of equivalence.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atanh, sqrt, tanh

import numpy as np
import numpy.typing as npt
from scipy import stats

from scarseg.quant.intraclass import IntraclassCorrelation, intraclass
from scarseg.quant.paired_series import (
    ROUNDING,
    ConfidenceInterval,
    Series,
    is_constant,
    largest,
    paired,
)


@dataclass(frozen=True)
class AbsoluteError:
    """Size of the differences ``|a - b|``: mean, median with quartiles, largest; and the RMSE."""

    mae: float
    median: float
    lower_quartile: float
    upper_quartile: float
    maximum: float
    rmse: float


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
    """Compute mean, median, quartiles (linear interpolation) and maximum of ``|a - b|``."""
    x, y = paired(a, b)
    d = np.abs(x - y)
    low, median, high = (float(v) for v in np.percentile(d, (25, 50, 75)))
    rmse = sqrt(float(np.mean(d**2)))
    return AbsoluteError(float(d.mean()), median, low, high, float(d.max()), rmse)


def cv_percent(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Compute the coefficient of variation as CMR studies print it: SD(a - b) / mean(a, b).

    In percent of the mean of all values (Grothues et al. 2002,
    doi:10.1016/S0002-9149(02)02381-0); None for one pair or a mean that is not positive.
    """
    x, y = paired(a, b)
    mean = float(np.concatenate((x, y)).mean())
    if len(x) < 2 or mean <= 0:
        return None
    return 100 * float((x - y).std(ddof=1)) / mean


def within_subject_cv_percent(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Compute the within-subject coefficient of variation: sqrt(mean((a - b)^2) / 2) / mean(a, b).

    In percent; includes the bias (Bland & Altman 1996, doi:10.1136/bmj.313.7059.744).
    """
    x, y = paired(a, b)
    mean = float(np.concatenate((x, y)).mean())
    return 100 * sqrt(float(np.mean((x - y) ** 2)) / 2) / mean if mean > 0 else None


def wilcoxon(a: npt.ArrayLike, b: npt.ArrayLike) -> SignedRank:
    """Compute Wilcoxon's signed rank test, two-sided, by scipy.

    Pairs without a difference are left out, as Wilcoxon did. The p value is exact for up to 50
    differences without ties and for up to 13 with ties (all sign flips), else normal with
    scipy's correction for ties. Differences are rounded to 12 digits of the largest value, so
    that ties are not broken by arithmetic.
    """
    x, y = paired(a, b)
    d = _rounded(x - y, largest(x, y))
    left = d[d != 0]
    # scipy's exact p values assume no ties; differences equal up to rounding are ties.
    _, counts = np.unique(np.abs(left), return_counts=True)
    n_ties = int(counts[counts > 1].sum())
    n_zeros = len(d) - len(left)
    if len(left) == 0:
        return SignedRank(len(d), n_zeros, n_ties, None, None)
    result = stats.wilcoxon(left, zero_method="wilcox", method="auto")
    return SignedRank(len(d), n_zeros, n_ties, float(result.statistic), float(result.pvalue))


def paired_t(a: npt.ArrayLike, b: npt.ArrayLike) -> PairedT:
    """Compute the paired t test, two-sided, by scipy."""
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


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of ``a - b``.

    Limits are bias -/+ 1.96 SD. Intervals and SD are None with a single pair. ``slope`` is that
    of the differences on the means: a bias that grows with the size.
    """

    n: int
    bias: float
    sd: float | None
    lower_limit: float | None
    upper_limit: float | None
    bias_ci: ConfidenceInterval | None
    lower_limit_ci: ConfidenceInterval | None
    upper_limit_ci: ConfidenceInterval | None
    slope: float | None


@dataclass(frozen=True)
class Concordance:
    """Lin's coefficient with its two factors: ``ccc`` = ``precision`` * ``accuracy``.

    ``precision`` is Pearson's r, ``accuracy`` is Lin's C_b.
    """

    ccc: float
    ci: ConfidenceInterval | None
    precision: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Correlation:
    """Pearson's r with its interval, its square, and the p value of no correlation."""

    r: float
    r_squared: float
    ci: ConfidenceInterval | None
    p_value: float


@dataclass(frozen=True)
class Agreement:
    """Every statistic of this module for one pair of series."""

    n: int
    bland_altman: BlandAltman
    concordance: Concordance | None
    correlation: Correlation | None
    icc: IntraclassCorrelation
    absolute_error: AbsoluteError
    cv_percent: float | None
    within_subject_cv_percent: float | None
    wilcoxon: SignedRank
    paired_t: PairedT


def agreement(a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95) -> Agreement:
    """Compute every statistic of this module on one pair of series.

    Raises:
        InputError: E_PAIRS, the series do not pair up or hold a value that is not finite.
    """
    x, y = paired(a, b)
    return Agreement(
        n=len(x),
        bland_altman=bland_altman(x, y, level),
        concordance=concordance(x, y, level),
        correlation=correlation(x, y, level),
        icc=intraclass(np.column_stack((x, y)), level),
        absolute_error=absolute_error(x, y),
        cv_percent=cv_percent(x, y),
        within_subject_cv_percent=within_subject_cv_percent(x, y),
        wilcoxon=wilcoxon(x, y),
        paired_t=paired_t(x, y),
    )


def bland_altman(a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95) -> BlandAltman:
    """Compute bias and 95 % limits of agreement, each with its interval.

    Bland & Altman 1986 (doi:10.1016/S0140-6736(86)90837-8); the standard error of a limit is
    SD sqrt(1/n + 1.96^2 / (2 (n - 1))), of their 1999 paper (doi:10.1177/096228029900800204),
    with Student's t for n - 1 degrees.
    """
    x, y = paired(a, b)
    d, n = x - y, len(x)
    bias = float(d.mean())
    if n < 2:
        return BlandAltman(n, bias, None, None, None, None, None, None, None)
    sd = float(d.std(ddof=1))
    t = float(stats.t.ppf((1 + level) / 2, n - 1))
    half, reach = t * sd / sqrt(n), 1.96 * sd
    half_limit = t * sd * sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    means = (x + y) / 2
    slope = None if n < 3 or is_constant(means) else float(np.polyfit(means, d, 1)[0])
    return BlandAltman(
        n=n,
        bias=bias,
        sd=sd,
        lower_limit=bias - reach,
        upper_limit=bias + reach,
        bias_ci=ConfidenceInterval(bias - half, bias + half),
        lower_limit_ci=ConfidenceInterval(bias - reach - half_limit, bias - reach + half_limit),
        upper_limit_ci=ConfidenceInterval(bias + reach - half_limit, bias + reach + half_limit),
        slope=slope,
    )


def concordance(a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95) -> Concordance | None:
    """Compute Lin's concordance correlation coefficient with 1/n variances.

    Lin 1989 (doi:10.2307/2532051), the interval by Fisher's z with the variance as corrected in
    2000 (doi:10.1111/j.0006-341X.2000.00324.x). None for fewer than two pairs and where both
    series are one and the same constant; no interval for fewer than four pairs, without
    correlation, and at perfect agreement.
    """
    x, y = paired(a, b)
    n = len(x)
    spread = float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    if n < 2 or spread <= (ROUNDING * largest(x, y)) ** 2:
        return None
    ccc = 2 * float(np.mean((x - x.mean()) * (y - y.mean()))) / spread
    if is_constant(x) or is_constant(y):
        return Concordance(0.0, None, None, None)
    r = float(np.corrcoef(x, y)[0, 1])
    s = sqrt(float(x.std() * y.std()))
    shift = float(x.mean() - y.mean()) / s
    accuracy = 2 * s**2 / spread
    if n < 4 or abs(r) < ROUNDING or 1 - abs(ccc) < ROUNDING:
        return Concordance(ccc, None, r, accuracy)
    rest = 1 - ccc**2
    variance = (
        (1 - r**2) * ccc**2 / (rest * r**2)
        + 2 * ccc**3 * (1 - ccc) * shift**2 / (r * rest**2)
        - ccc**4 * shift**4 / (2 * r**2 * rest**2)
    ) / (n - 2)
    half = float(stats.norm.ppf((1 + level) / 2)) * sqrt(max(variance, 0.0))
    interval = ConfidenceInterval(tanh(atanh(ccc) - half), tanh(atanh(ccc) + half))
    return Concordance(ccc, interval, r, accuracy)


def correlation(a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95) -> Correlation | None:
    """Compute Pearson's r and R2; None for fewer than three pairs or a constant series.

    The interval needs four pairs. A high r shows that the readings rise together, not that they
    agree.
    """
    x, y = paired(a, b)
    if len(x) < 3 or is_constant(x) or is_constant(y):
        return None
    result = stats.pearsonr(x, y)
    r = float(result.statistic)
    interval = None
    if len(x) > 3 and 1 - abs(r) > ROUNDING:
        bounds = result.confidence_interval(confidence_level=level)
        interval = ConfidenceInterval(float(bounds.low), float(bounds.high))
    return Correlation(r, r**2, interval, float(result.pvalue))
