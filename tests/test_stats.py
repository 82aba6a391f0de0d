"""The level, the power and the coverage that the tests claim, by simulation."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from theorylab.stats import (
    anytime_interval,
    bonferroni,
    bounded_interval,
    compare_p_value,
    detectable_effect,
    interval,
)

STUDIES = 4000


def studies(seed, n, mean=0.0, size=STUDIES):
    """Estimates and standard errors of many small normal samples."""
    samples = mean + np.random.default_rng(seed).standard_normal((size, n))
    return samples.mean(axis=1), samples.std(axis=1, ddof=1) / math.sqrt(n)


@pytest.mark.parametrize("n", [2, 5, 50])
def test_p_values_are_uniform_where_the_law_is_true(n):
    p = [compare_p_value(*study, 3.0, n - 1) for study in zip(*studies(n, n, mean=3.0), strict=True)]
    assert scipy_stats.kstest(p, "uniform").pvalue > 1e-3
    # The control: one degree of freedom taken for a normal is far from uniform.
    normal = 2 * scipy_stats.norm.sf(scipy_stats.t.isf(np.array(p) / 2, n - 1))
    if n < 50:
        assert scipy_stats.kstest(normal, "uniform").pvalue < 1e-4


@pytest.mark.parametrize("n", [2, 7])
def test_p_value_is_that_of_the_t_test(n):
    for seed in range(20):
        sample = np.random.default_rng(seed).standard_normal(n)
        found = compare_p_value(sample.mean(), sample.std(ddof=1) / math.sqrt(n), 0.4, n - 1)
        assert found == pytest.approx(scipy_stats.ttest_1samp(sample, 0.4).pvalue, rel=1e-9)


def test_p_value_is_two_sided_and_keeps_its_tail():
    assert compare_p_value(1.0, 0.1, 1.3, 9) == compare_p_value(1.3, 0.1, 1.0, 9)
    # Thirty standard errors at many degrees of freedom: 2 Φ(−30) = 9.8e-198, not 0.
    assert compare_p_value(30.0, 1.0, 0.0, 10**9) == pytest.approx(2 * scipy_stats.norm.sf(30), rel=1e-3)


def test_standard_error_of_zero():
    assert compare_p_value(1.0, 0.0, 1.0, 5) == 1.0
    assert compare_p_value(1.0, 0.0, 1.0 + 1e-15, 5) == 0.0


@pytest.mark.parametrize(
    ("numbers", "degrees"),
    [
        ((math.nan, 1.0, 0.0), 5),
        ((0.0, math.nan, 0.0), 5),
        ((0.0, 1.0, math.nan), 5),
        ((0.0, -1.0, 0.0), 5),
        ((0.0, 1.0, 0.0), 0),
    ],
)
def test_p_value_refuses_what_cannot_be_compared(numbers, degrees):
    with pytest.raises(ValueError, match="cannot compare"):
        compare_p_value(*numbers, degrees)


@pytest.mark.parametrize("power", [0.95, 0.8])
@pytest.mark.parametrize("level", [0.05, 1e-4])
def test_a_detectable_effect_is_detected_with_the_stated_power(level, power):
    n, law = 400, 2.0
    error = 1 / math.sqrt(n)
    effect = detectable_effect(error, law, n - 1, level=level, power=power)
    found = {}
    for part in (1.0, 0.5):
        estimates, errors = studies(1, n, mean=law * (1 + part * effect), size=3000)
        found[part] = np.mean(
            [compare_p_value(e, s, law, n - 1) < level for e, s in zip(estimates, errors, strict=True)]
        )
    # Student's critical value, the normal's power: at n = 400 they differ by less than its error.
    assert abs(found[1.0] - power) < 4.5 * math.sqrt(power * (1 - power) / 3000)
    assert found[0.5] < power - 0.2


def test_detectable_effect_is_relative():
    one = detectable_effect(0.1, 1.0, 20, level=0.01)
    assert detectable_effect(0.1, -4.0, 20, level=0.01) == pytest.approx(one / 4, rel=1e-12)
    assert detectable_effect(0.2, 1.0, 20, level=0.01) == pytest.approx(2 * one, rel=1e-12)
    assert detectable_effect(0.1, 1.0, 20, level=0.001) > one
    assert detectable_effect(0.1, 0.0, 20, level=0.01) == math.inf
    # t(20) at 0.5 %: 2.8453; Φ⁻¹(0.95) = 1.6449.
    assert one == pytest.approx(0.1 * (2.8453 + 1.6449), abs=1e-5)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("n", [3, 30])
def test_intervals_cover_as_often_as_they_say(n, confidence):
    estimates, errors = studies(7, n, mean=-1.0)
    covered = [
        low <= -1 <= high
        for low, high in (
            interval(e, s, n - 1, confidence=confidence) for e, s in zip(estimates, errors, strict=True)
        )
    ]
    assert abs(np.mean(covered) - confidence) < 4 * math.sqrt(confidence * (1 - confidence) / STUDIES)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 1.1, math.nan])
@pytest.mark.parametrize("kind", [interval, bounded_interval, anytime_interval])
def test_no_interval_is_certain(kind, confidence):
    with pytest.raises(ValueError, match="confidence: expected a number between 0 and 1"):
        kind(0.5, 0.1, 40, confidence=confidence)


@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential"])
def test_anytime_intervals_cover_at_all_counts_at_once(draw):
    """Looked at after each of 2000 samples; Student's, looked at as often, leave the expectation out in every third run."""
    runs, last, first = 400, 2000, 30
    samples = getattr(np.random.default_rng(5), draw)((runs, last)) - (draw == "standard_exponential")
    counts = np.arange(1, last + 1)
    means = samples.cumsum(axis=1) / counts
    errors = np.sqrt(((samples**2).cumsum(axis=1) / counts - means**2) / np.maximum(counts - 1, 1))
    missed = {"anytime": np.zeros(runs, bool), "fixed": np.zeros(runs, bool)}
    for place in range(first - 1, last):
        for kind, reach in (
            ("anytime", anytime_interval(0.0, 1.0, place + 1)[1]),
            ("fixed", interval(0.0, 1.0, place)[1]),
        ):
            missed[kind] |= abs(means[:, place]) > reach * errors[:, place]
    # Four standard errors of a share of 0.05; the exponential's third moment is felt by the first counts.
    assert missed["anytime"].mean() < 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)
    assert missed["fixed"].mean() > 0.3


def test_interval_holds_the_laws_that_are_not_rejected():
    low, high = interval(2.0, 0.3, 11, confidence=0.95)
    assert (low + high) / 2 == pytest.approx(2.0)
    assert compare_p_value(2.0, 0.3, low, 11) == pytest.approx(0.05, rel=1e-9)
    assert compare_p_value(2.0, 0.3, high, 11) == pytest.approx(0.05, rel=1e-9)


def test_bonferroni_keeps_the_family():
    assert bonferroni(1e-4, 40) == pytest.approx(2.5e-6, rel=1e-12)
    assert bonferroni(0.05, 1) == 0.05
    # Forty independent true laws, family 0.2: 1 − (1 − 0.005)^40 = 0.1817.
    p = np.random.default_rng(3).random((STUDIES, 40))
    any_alarm = (p < bonferroni(0.2, 40)).any(axis=1).mean()
    exact = 1 - (1 - 0.005) ** 40
    assert abs(any_alarm - exact) < 4 * math.sqrt(exact * (1 - exact) / STUDIES)
    assert (p < 0.2).any(axis=1).mean() > 0.99


@pytest.mark.parametrize("family", [0.0, 1.0, -0.1, 2.0, math.nan])
def test_bonferroni_refuses_what_is_no_probability(family):
    with pytest.raises(ValueError, match="family: expected a probability between 0 and 1"):
        bonferroni(family, 3)


def test_bonferroni_refuses_no_checks():
    with pytest.raises(ValueError, match="n_checks: expected at least 1"):
        bonferroni(0.05, 0)
    with pytest.raises(TypeError, match="n_checks: expected an integer"):
        bonferroni(0.05, 2.0)
