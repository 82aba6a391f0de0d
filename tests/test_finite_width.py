"""The first correction to the limit of wide layers, against the exact law of one layer, integrals, and drawn networks."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import integrate
from strategies import OTHERS

from theorylab import LeakyReLU, PatchGrid, ReLU
from theorylab.analytic import depth_profile
from theorylab.analytic.finite_width import _unit_means, finite_width_profile
from theorylab.analytic.three_layer import law_of
from theorylab.model.rules import PAPER, Rule

EVERY = [*PAPER, Rule.LINEAR, *OTHERS]
UNITS = [ReLU(), LeakyReLU(0.3), LeakyReLU(2.0)]


@settings(max_examples=30, deadline=None)
@given(
    some.sampled_from(EVERY),
    some.sampled_from(UNITS),
    some.integers(1, 60),
    some.integers(1, 60),
    some.integers(0, 2**32 - 1),
)
def test_one_hidden_layer_is_exact(rule, unit, entries, units, seed):
    """At every width, down to one unit: the law of a grid with a single patch."""
    x = np.random.default_rng(seed).standard_normal((1, 1, entries))
    exact = law_of(x, PatchGrid(x.shape, (1, entries)), rule, units, unit=unit)
    (found,) = finite_width_profile([entries, units], rule, unit=unit)
    assert found.alignment == pytest.approx(exact.expected_cosine(), rel=1e-12, abs=1e-12)
    (limit,) = depth_profile([entries, units], rule, stds=1.0, unit=unit)
    wide = (limit.alpha**2 + limit.beta**2 * entries) * found.energy
    assert wide == pytest.approx(exact.energy, rel=1e-12)


@pytest.mark.parametrize("rule", EVERY, ids=str)
@pytest.mark.parametrize(("unit", "signal"), [(UNITS[0], 0.7), (UNITS[1], -0.4)], ids=str)
def test_contributions_of_a_unit(rule, unit, signal):
    def output(z):
        return z if z > 0 else unit.slope * z

    def contributions(z, noise):
        o = output(z)
        v = signal * o + noise
        slope = (rule.up if v > 0 else -rule.down) * (unit.slope if rule.gate and z <= 0 else 1)
        return [o**2, o * noise, z * slope * v, (slope * v) ** 2, z * o * slope, 2 * o * slope**2 * v]

    def mean(function):
        """Over two normals: the noise's kink is a limit of the inner integral."""

        def inner(z):
            kink = -signal * output(z)
            parts = ((-9, kink), (kink, 9))
            density = math.exp(-(z**2) / 2) / (2 * math.pi)
            return density * sum(
                integrate.quad(lambda n: function(z, n) * math.exp(-(n**2) / 2), *part, epsrel=1e-9)[0]
                for part in parts
            )

        return sum(integrate.quad(inner, *part, epsrel=1e-8)[0] for part in ((-9, 0), (0, 9)))

    means, covariance, bent = _unit_means(rule, unit, signal)
    for i in range(6):
        assert means[i] == pytest.approx(mean(lambda z, n, i=i: contributions(z, n)[i]), abs=1e-7)
    for i, j in ((0, 1), (1, 4), (2, 3), (2, 5), (3, 3)):
        product = mean(lambda z, n, i=i, j=j: contributions(z, n)[i] * contributions(z, n)[j])
        assert covariance[i, j] + means[i] * means[j] == pytest.approx(product, abs=1e-6)
    step = 1e-4
    before, after = (_unit_means(rule, unit, signal + sign * step)[0] for sign in (-1, 1))
    np.testing.assert_allclose((after - before)[2:4] / (2 * step), means[4:], atol=1e-7)
    np.testing.assert_allclose((after - before)[4:] / (2 * step), bent, atol=1e-7)


def drawn(widths, rule, unit, size, seed):
    """Inner products with the picture, of norm 1, and energies of the maps of `size` networks, by the definition."""
    rng = np.random.default_rng(seed)
    x = np.zeros(widths[0])
    x[0] = 1.0
    output, weights, before = np.broadcast_to(x, (size, len(x))), [], []
    for fan_in, width in itertools.pairwise(widths):
        w = rng.standard_normal((size, fan_in, width)) * math.sqrt(2 / fan_in)
        z = np.einsum("si,sij->sj", output, w)
        weights.append(w)
        before.append(z)
        output = np.where(z > 0, z, unit.slope * z)
    signal = rng.standard_normal((size, widths[-1]))
    for w, z in zip(weights[::-1], before[::-1], strict=True):
        handed = np.where(signal > 0, rule.up * signal, -rule.down * signal)
        if rule.gate:
            handed *= np.where(z > 0, 1, unit.slope)
        signal = np.einsum("sj,sij->si", handed, w)
    return signal @ x, (signal**2).sum(axis=1)


@pytest.mark.parametrize(
    ("unit", "units", "layers"), [(UNITS[0], 24, 2), (UNITS[0], 48, 4), (UNITS[1], 32, 3)]
)
def test_against_drawn_networks(unit, units, layers):
    widths, size = [12, *[units] * layers], 12_000
    along, energies = (
        np.concatenate(parts)
        for parts in zip(
            *(drawn(widths, Rule.GUIDED, unit, size // 8, seed) for seed in range(8)), strict=True
        )
    )
    found, limit = (of(widths, "guided", unit=unit)[-1] for of in (finite_width_profile, depth_profile))
    root = math.sqrt(energies.mean())
    cosine = along.mean() / root
    error = (along / root - cosine * energies / energies.mean() / 2).std() / math.sqrt(size)
    left = (layers / units) ** 2  # of the next order
    assert abs(cosine - found.alignment) < 4 * error + left
    assert abs(cosine - limit.alignment) > 6 * error + left
    single = np.divide(along, np.sqrt(energies), out=np.zeros(size), where=energies > 0)
    error = single.std() / math.sqrt(size)
    assert abs(single.mean() - found.cosine) < 4 * error + left
    assert abs(single.mean() - found.alignment) > 4 * error + left
    wide = limit.alpha**2 + limit.beta**2 * widths[0]
    error = energies.std() / math.sqrt(size) / wide
    assert abs(energies.mean() / wide - found.energy) < 4 * error + left


@pytest.mark.parametrize("rule", ["saliency", "deconvnet"])
def test_nothing_is_left_where_the_mean_is_zero(rule):
    for record in finite_width_profile([9, 4, 6, 5], rule):
        assert record.alignment == pytest.approx(0, abs=1e-12)
        assert record.cosine == pytest.approx(0, abs=1e-12)
        assert record.energy == pytest.approx(1, rel=1e-12)


def test_wide_layers_have_the_limit():
    widths = [50] + [10**7] * 4
    for found, limit in zip(
        finite_width_profile(widths, "guided"), depth_profile(widths, "guided"), strict=True
    ):
        assert found.layer == limit.layer
        assert found.alignment == pytest.approx(limit.alignment, rel=1e-5)
        assert found.cosine == pytest.approx(limit.alignment, rel=1e-5 if found.layer else 1 / 50)
        assert found.energy == pytest.approx(1, rel=1e-5)
    with pytest.raises(ValueError, match="at least one hidden"):
        finite_width_profile([50], "guided")
