"""Agreement statistics against published examples, against scipy and against paper."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import atanh, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scarseg.errors import InputError
from scarseg.quant.agreement import (
    absolute_error,
    agreement,
    bland_altman,
    concordance,
    correlation,
    cv_percent,
    paired_t,
    wilcoxon,
    within_subject_cv_percent,
)
from scarseg.quant.intraclass import intraclass
from scarseg.quant.paired_series import bootstrap_interval

Series = npt.NDArray[np.float64]

# Peak expiratory flow, l/min, first readings: Bland & Altman 1986, table 1.
WRIGHT = np.array(
    [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427.0]
)
MINI_WRIGHT = np.array(
    [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451.0]
)
# Six targets by four judges: Shrout & Fleiss 1979, table 2.
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_bland_altman_of_the_1986_paper() -> None:
    """Bias -2.1 l/min (-22.0 to 17.8), SD 38.8; limits -79.7 and 75.5 with 2 SD."""
    result = bland_altman(WRIGHT, MINI_WRIGHT)
    assert result.n == 17
    assert result.bias == pytest.approx(-2.1, abs=0.05)
    assert result.sd == pytest.approx(38.8, abs=0.05)
    assert result.bias_ci is not None
    assert (result.bias_ci.low, result.bias_ci.high) == pytest.approx((-22.0, 17.8), abs=0.06)
    assert result.lower_limit == pytest.approx(-2.1176 - 1.96 * 38.7651, abs=1e-3)
    assert result.upper_limit == pytest.approx(-2.1176 + 1.96 * 38.7651, abs=1e-3)
    # Their large-sample standard error of a limit, sqrt(3 SD^2 / n) = 16.3, times t = 2.12.
    assert result.lower_limit_ci is not None
    half = (result.lower_limit_ci.high - result.lower_limit_ci.low) / 2
    assert half == pytest.approx(16.3 * 2.12, rel=0.02)


def test_limits_of_the_1999_paper() -> None:
    """Blood pressure, n = 85, bias -16.29, SD 19.61 mmHg: a limit's SE is 1.71 SD / sqrt(n)."""
    d = stats.norm.ppf((np.arange(85) + 0.5) / 85)
    d = (d - d.mean()) / d.std(ddof=1) * 19.61 - 16.29
    result = bland_altman(d + 130, np.full(85, 130.0))
    assert (result.lower_limit, result.upper_limit) == pytest.approx((-54.7, 22.1), abs=0.06)
    assert result.lower_limit_ci is not None
    half = (result.lower_limit_ci.high - result.lower_limit_ci.low) / 2
    assert half == pytest.approx(1.99 * 1.71 * 19.61 / sqrt(85), rel=0.005)


def test_intervals_of_three_pairs_by_hand() -> None:
    """Differences 1, 2 and 6: bias 3, SD sqrt(7), t of two degrees 4.3027."""
    result = bland_altman([2, 4, 9], [1, 2, 3])
    assert (result.bias, result.sd) == (pytest.approx(3), pytest.approx(sqrt(7)))
    assert result.bias_ci is not None
    assert result.bias_ci.high == pytest.approx(3 + 4.30265 * sqrt(7 / 3), abs=1e-4)
    half = 4.30265 * sqrt(7 * (1 / 3 + 1.96**2 / 4))
    assert result.upper_limit_ci is not None
    assert result.upper_limit_ci.high == pytest.approx(3 + 1.96 * sqrt(7) + half, abs=1e-4)
    assert result.upper_limit_ci.low == pytest.approx(3 + 1.96 * sqrt(7) - half, abs=1e-4)


def test_intervals_of_the_limits_cover_the_truth() -> None:
    """The approximation holds its nominal 95 % on simulated pairs."""
    rng = np.random.default_rng(0)
    hits, n = 0, 1000
    for _ in range(n):
        result = bland_altman(rng.normal(1, 2, 20), np.zeros(20))
        assert result.upper_limit_ci is not None
        hits += result.upper_limit_ci.low <= 1 + 1.96 * 2 <= result.upper_limit_ci.high
    assert hits / n == pytest.approx(0.95, abs=0.03)


def test_bland_altman_slope_tells_a_growing_bias() -> None:
    b = np.array([1.0, 4.0, 9.0, 20.0])
    # d = 0.2 b, mean = 1.1 b.
    assert bland_altman(1.2 * b, b).slope == pytest.approx(0.2 / 1.1)


def test_concordance_by_hand() -> None:
    """x 1..4, y = x + 1: variances 1.25, covariance 1.25, shift 1: 2.5 / 3.5."""
    result = concordance([1, 2, 3, 4], [2, 3, 4, 5])
    assert result is not None
    assert result.ccc == pytest.approx(2.5 / 3.5)
    assert result.precision == pytest.approx(1)
    assert result.accuracy == pytest.approx(2.5 / 3.5)


def test_concordance_of_the_peak_flow_meters() -> None:
    """0.9427 (0.8505 to 0.9787), Lin's formula worked out apart from the code."""
    result = concordance(WRIGHT, MINI_WRIGHT)
    assert result is not None
    assert result.ccc == pytest.approx(0.9427, abs=5e-5)
    assert result.ci is not None
    assert (result.ci.low, result.ci.high) == pytest.approx((0.8505, 0.9787), abs=5e-5)
    assert result.precision is not None
    assert result.accuracy is not None
    assert result.precision * result.accuracy == pytest.approx(result.ccc)


def delta_variance_of_z(x: Series, y: Series) -> float:
    """Derive n times the variance of atanh(CCC) from moments of a binormal, numerically."""

    def z(moments: Series) -> float:
        mx, my, vx, vy, c = moments
        return atanh(2 * c / (vx + vy + (mx - my) ** 2))

    vx, vy = float(x.var()), float(y.var())
    c = float(np.mean((x - x.mean()) * (y - y.mean())))
    at = np.array([x.mean(), y.mean(), vx, vy, c])
    gradient = np.zeros(5)
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-5 * max(1.0, abs(at[i]))
        gradient[i] = (z(at + step) - z(at - step)) / (2 * step[i])
    covariance = np.zeros((5, 5))
    covariance[:2, :2] = [[vx, c], [c, vy]]
    covariance[2:, 2:] = [
        [2 * vx**2, 2 * c**2, 2 * vx * c],
        [2 * c**2, 2 * vy**2, 2 * vy * c],
        [2 * vx * c, 2 * vy * c, vx * vy + c**2],
    ]
    return float(gradient @ covariance @ gradient)


@pytest.mark.parametrize("seed", range(5))
def test_interval_of_concordance_against_the_delta_method(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, 6, 30)
    y = (0.6 + 0.2 * seed) * x + rng.normal(seed, 3, 30)
    result = concordance(x, y)
    assert result is not None
    assert result.ci is not None
    half = stats.norm.ppf(0.975) * sqrt(delta_variance_of_z(x, y) / (30 - 2))
    assert atanh(result.ci.low) == pytest.approx(atanh(result.ccc) - half, rel=1e-4)
    assert atanh(result.ci.high) == pytest.approx(atanh(result.ccc) + half, rel=1e-4)


def test_concordance_where_it_has_no_interval_or_no_value() -> None:
    same = concordance([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert same is not None
    assert same.ccc == pytest.approx(1)
    assert same.ci is None
    flat = concordance([3, 3, 3, 3], [1, 2, 3, 4])
    assert flat is not None
    assert (flat.ccc, flat.ci, flat.precision) == (0, None, None)
    apart = concordance([2, 2, 2], [5, 5, 5])
    assert apart is not None
    assert apart.ccc == 0
    assert concordance([2, 2, 2], [2, 2, 2]) is None
    assert concordance([0.0], [1.0]) is None
    three = concordance([1, 2, 4], [1, 3, 4])
    assert three is not None
    assert three.ci is None
    assert three.ccc > 0.8


def test_intraclass_of_shrout_and_fleiss() -> None:
    """0.29 (0.02 to 0.76) and 0.71 (0.34 to 0.95)."""
    result = intraclass(JUDGES)
    assert result.icc_2_1 == pytest.approx(0.29, abs=0.005)
    assert result.icc_3_1 == pytest.approx(0.71, abs=0.005)
    assert result.icc_2_1_ci is not None
    assert result.icc_3_1_ci is not None
    assert (result.icc_2_1_ci.low, result.icc_2_1_ci.high) == pytest.approx((0.02, 0.76), abs=0.005)
    assert (result.icc_3_1_ci.low, result.icc_3_1_ci.high) == pytest.approx((0.34, 0.95), abs=0.005)


def test_a_constant_shift_lowers_absolute_agreement_only() -> None:
    shifted = intraclass(np.column_stack(([1.0, 2, 3, 4], [3.0, 4, 5, 6])))
    assert shifted.icc_3_1 == pytest.approx(1)
    assert shifted.icc_3_1_ci is None
    # MS between 2 * 5/3, MS readers 8: (10/3) / (10/3 + 2 * 8 / 4).
    assert shifted.icc_2_1 == pytest.approx((10 / 3) / (10 / 3 + 4))


@pytest.mark.parametrize("ratings", [[[1, 2]], [[1], [2]], [[3, 3], [3, 3]]])
def test_intraclass_without_variation_is_none(ratings: list[list[float]]) -> None:
    result = intraclass(ratings)
    assert result.icc_2_1 is result.icc_3_1 is result.icc_2_1_ci is None


def test_correlation_is_scipys() -> None:
    result = correlation(WRIGHT, MINI_WRIGHT)
    assert result is not None
    # r = 0.94 in the 1986 paper.
    assert result.r == pytest.approx(0.94, abs=0.005)
    assert result.r_squared == result.r**2
    half = stats.norm.ppf(0.975) / sqrt(14)
    assert result.ci is not None
    assert atanh(result.ci.low) == pytest.approx(atanh(result.r) - half)
    assert correlation([1, 2], [1, 3]) is None
    assert correlation([1, 1, 1], [1, 2, 3]) is None
    near = correlation([1e9, 1e9 + 1e-7, 1e9], [1, 2, 3])
    assert near is None


def exact_signed_rank(d: Series) -> float:
    """Try all sign flips: the two-sided p value of the rank sum."""
    ranks = stats.rankdata(np.abs(d))
    seen = min(ranks[d > 0].sum(), ranks[d < 0].sum())
    sums = [
        min(np.dot(ranks, signs), ranks.sum() - np.dot(ranks, signs))
        for signs in product((0, 1), repeat=len(d))
    ]
    return float(np.mean(np.array(sums) <= seen))


@pytest.mark.parametrize(
    "d",
    [
        [1.0, 2.0, 3.0, -0.5, 5.0, 7.5],
        [1.0, 1.0, 2.0, -1.0, 3.0, 3.0, 4.0],
        [0.5, 0.5, 0.5, 0.5, 0.5],
    ],
)
def test_signed_rank_of_few_pairs_tries_all_signs(d: list[float]) -> None:
    result = wilcoxon(d, np.zeros(len(d)))
    assert result.p_value == pytest.approx(exact_signed_rank(np.array(d)))


def test_signed_rank_counts_zeros_and_ties() -> None:
    a = np.array([3.0, 5.0, 5.0, 7.0, 9.0, 2.0])
    b = np.array([3.0, 4.0, 6.0, 4.0, 7.0, 2.0])
    result = wilcoxon(a, b)
    assert (result.n, result.n_zeros, result.n_ties) == (6, 2, 2)
    # Left: 1, -1, 3, 2 with ranks 1.5, 1.5, 4, 3.
    assert result.statistic == 1.5
    assert result.p_value == pytest.approx(exact_signed_rank(np.array([1.0, -1, 3, 2])))


def test_ties_survive_the_arithmetic_of_decimals() -> None:
    """0.3 - 0.2, 0.2 - 0.1 and 1.1 - 1.0 are three different floats."""
    result = wilcoxon([0.3, 0.2, 1.1, 0.5], [0.2, 0.1, 1.0, 0.1])
    assert result.n_ties == 3
    assert wilcoxon([0.1 + 0.2, 1.0], [0.3, 3.0]).n_zeros == 1


def test_signed_rank_of_many_tied_pairs_is_scipys_normal_approximation() -> None:
    rng = np.random.default_rng(5)
    d = rng.integers(-3, 6, 60).astype(float)
    left = d[d != 0]
    ranks = stats.rankdata(np.abs(left))
    n = len(left)
    _, counts = np.unique(np.abs(left), return_counts=True)
    variance = n * (n + 1) * (2 * n + 1) / 24 - (counts**3 - counts).sum() / 48
    z = (min(ranks[left > 0].sum(), ranks[left < 0].sum()) - n * (n + 1) / 4) / sqrt(variance)
    result = wilcoxon(d, np.zeros(60))
    assert result.p_value == pytest.approx(2 * stats.norm.cdf(z))
    assert result.n_zeros == 60 - n > 0


def test_no_difference_at_all_has_no_p_value() -> None:
    result = wilcoxon([1, 2, 3], [1, 2, 3])
    assert (result.n_zeros, result.statistic, result.p_value) == (3, None, None)


def test_paired_t() -> None:
    result = paired_t(WRIGHT, MINI_WRIGHT)
    d = WRIGHT - MINI_WRIGHT
    assert result.t == pytest.approx(d.mean() / (d.std(ddof=1) / sqrt(17)))
    assert result.p_value == pytest.approx(2 * stats.t.cdf(-abs(result.t or 0), 16))
    assert paired_t([2, 3, 4], [1, 2, 3]).p_value is None
    assert paired_t([2.0], [1.0]).t is None


def test_absolute_error_by_hand() -> None:
    result = absolute_error([1, 5, 2, 8, 10], [2, 3, 2, 8, 6])
    # 1, 2, 0, 0, 4.
    assert (result.mae, result.median, result.maximum) == (pytest.approx(1.4), 1, 4)
    assert (result.lower_quartile, result.upper_quartile) == (0, 2)
    assert result.rmse == pytest.approx(sqrt(21 / 5))


def test_coefficients_of_variation_by_hand() -> None:
    a, b = [10.0, 12.0, 8.0], [9.0, 14.0, 7.0]
    # Differences 1, -2, 1; mean of all 10.
    assert cv_percent(a, b) == pytest.approx(100 * sqrt(3) / 10)
    assert within_subject_cv_percent(a, b) == pytest.approx(100 * sqrt(6 / 3 / 2) / 10)
    assert cv_percent([0, 0], [0, 0]) is None
    assert within_subject_cv_percent([-1], [0]) is None
    assert cv_percent([1], [2]) is None


def test_bootstrap_of_a_mean_is_near_its_known_interval() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(10, 2, 100)
    found = bootstrap_interval(lambda v: float(v.mean()), x)
    half = 1.96 * x.std(ddof=1) / 10
    assert found is not None
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.08)
    assert found == bootstrap_interval(lambda v: float(v.mean()), x)


def test_bootstrap_draws_patients_not_values() -> None:
    x = np.arange(20.0)
    found = bootstrap_interval(lambda a, b: float(np.abs(a - b).max()), x, x + 1, n_resamples=50)
    assert found is not None
    assert (found.low, found.high) == (1, 1)


def test_bootstrap_without_answers_is_none() -> None:
    def ccc(a: Series, b: Series) -> float | None:
        result = concordance(a, b)
        return None if result is None else result.ccc

    assert bootstrap_interval(ccc, [1.0], [2.0]) is None
    assert bootstrap_interval(ccc, [1.0, 1.0], [1.0, 1.0], n_resamples=50) is None
    # One draw in four of two patients is twice the same.
    assert bootstrap_interval(ccc, [0.0, 1.0], [0.0, 2.0], n_resamples=200) is None
    with pytest.raises(InputError, match="E_PAIRS"):
        bootstrap_interval(ccc, [1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    "statistic",
    [
        agreement,
        bland_altman,
        concordance,
        correlation,
        wilcoxon,
        paired_t,
        absolute_error,
        cv_percent,
    ],
)
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([1.0, 2.0], [1.0]),
        ([1.0, float("nan")], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, float("inf")]),
        ([[1.0, 2.0]], [[1.0, 2.0]]),
    ],
)
def test_what_does_not_pair_up_is_refused(
    statistic: Callable[..., object], a: list[float], b: list[float]
) -> None:
    with pytest.raises(InputError, match="E_PAIRS"):
        statistic(a, b)


def numbers(value: object) -> list[float]:
    """Collect every number of a nested result."""
    if isinstance(value, int | float):
        return [float(value)]
    if hasattr(value, "__dataclass_fields__"):
        return [v for name in value.__dataclass_fields__ for v in numbers(getattr(value, name))]
    return []


grams = st.one_of(st.just(0.0), st.floats(0, 1e3), st.integers(0, 3).map(float))


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(grams, grams), min_size=1, max_size=8))
def test_every_series_of_grams_gives_numbers_or_none(pairs: list[tuple[float, float]]) -> None:
    """No warning (an error here), no NaN, no infinity; intervals hold their estimate."""
    a, b = zip(*pairs, strict=True)
    result = agreement(a, b)
    assert np.isfinite(numbers(result)).all()
    if result.concordance is not None:
        assert abs(result.concordance.ccc) <= 1 + 1e-9
        if result.concordance.ci is not None:
            assert -1 <= result.concordance.ci.low <= result.concordance.ci.high <= 1


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100))
def test_units_change_no_coefficient_and_order_only_signs(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, 5, 12)
    y = x + rng.normal(0.5, 2, 12)
    here, there = agreement(x, y), agreement(scale * y, scale * x)
    assert here.concordance is not None
    assert there.concordance is not None
    assert there.concordance.ccc == pytest.approx(here.concordance.ccc)
    assert there.icc.icc_2_1 == pytest.approx(here.icc.icc_2_1)
    assert there.wilcoxon.p_value == pytest.approx(here.wilcoxon.p_value)
    assert there.bland_altman.bias == pytest.approx(-scale * here.bland_altman.bias)
    assert there.absolute_error.mae == pytest.approx(scale * here.absolute_error.mae)
    assert there.cv_percent == pytest.approx(here.cv_percent)
