"""Biases at depth: moments by quadrature, networks of the definition, and what PyTorch draws."""

import math

import numpy as np
import pytest
from scipy import stats

import theorylab as tl
from theorylab import analytic
from theorylab.analytic import _unit_moments, conv_depth
from theorylab.analytic._uniform_moments import lost_between, unit_moments

UNITS = (tl.ReLU(), tl.LeakyReLU(0.3), tl.LeakyReLU(-0.5))
RULES = ("guided", "saliency", "deconvnet")


def density(z, share):
    s, h = math.sqrt(1 - share), math.sqrt(3 * share)
    return (stats.norm.cdf((z + h) / s) - stats.norm.cdf((z - h) / s)) / (2 * h)


def tail(z, share):
    """``E[w·o 1(z' = z)]``: ``−s² f'(z)`` of ``z = w·o + b``, by which ``E[(w·o) T(z)] = s² E[T']`` needs no derivative of T."""
    s, h = math.sqrt(1 - share), math.sqrt(3 * share)
    return s * (stats.norm.pdf((z - h) / s) - stats.norm.pdf((z + h) / s)) / (2 * h)


@pytest.mark.parametrize("unit", UNITS, ids=str)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("share", [0.1, 0.7, 0.98])
def test_moments_by_sums_over_a_grid(rule, unit, share):
    """Everything by midpoints: the pre-activation, and the noises that two logits share and have alone."""
    rule, signal, noise, own = tl.Rule(rule), 0.8, 1.2, 0.5
    step = 0.02
    z = np.arange(-6, 6, step) + step / 2
    nodes, weights = np.polynomial.hermite_e.hermegauss(51)
    weights = weights / weights.sum()
    u = (
        signal * unit.forward(z)[:, None, None]
        + nodes[:, None] * math.sqrt(noise**2 - own)
        + nodes * math.sqrt(own)
    )
    t = rule.up * np.maximum(u, 0) + rule.down * np.maximum(-u, 0)
    t *= np.where(z > 0, 1.0, rule.shut(unit))[:, None, None]
    given, square = t @ weights, t**2 @ weights
    # E[(w·o) T] = s_w² E[∂T/∂z].
    first = step * tail(z, share) @ (given @ weights) / (1 - share)
    second, lost = (step * density(z, share) @ (values @ weights) for values in (square, square - given**2))
    got, energy = unit_moments(rule, unit, signal, noise, share)
    assert got == pytest.approx(first, abs=0.006)
    assert energy == pytest.approx(second, rel=0.006)
    assert lost_between(rule, unit, signal, noise, own, share) == pytest.approx(lost, rel=0.02)


def test_a_small_bias_changes_little():
    for rule in map(tl.Rule, RULES):
        for unit in UNITS:
            case = rule, unit, 0.9, 1.1
            np.testing.assert_allclose(
                unit_moments(*case, 1e-9), _unit_moments.unit_moments(*case), atol=1e-6
            )
            np.testing.assert_allclose(
                lost_between(*case, 0.4, 1e-9), _unit_moments.lost_between(*case, 0.4), atol=1e-6
            )


def defaults(widths):
    """Deviations, laws of biases and of the readout of ``nn.Linear``."""
    halves = [1 / math.sqrt(n) for n in widths]
    return {
        "stds": [h / math.sqrt(3) for h in halves[:-1]],
        "biases": [tl.Uniform(h) for h in halves[:-1]],
        "readout": tl.Uniform(halves[-1]),
    }


def test_networks_as_pytorch_draws_them():
    """784→8×512, ‖x‖² = 784, 16 networks of 6 logits that another program drew: alignments, cosines of two logits."""
    widths = [784, *[512] * 8]
    records = analytic.depth_profile(widths, "guided", **defaults(widths), input_norm=28.0)
    drawn = [0.113, 0.133, 0.158, 0.222, 0.335, 0.412, 0.451, 0.388]
    cosines = [0.387, 0.581, 0.699, 0.786, 0.854, 0.917, 0.955, 0.975]
    errors = [0.005, 0.006, 0.006, 0.005, 0.005, 0.003, 0.002, 0.001]
    assert np.abs([r.alignment for r in records] - np.array(drawn)).max() < 2.5 * 0.006
    common = [1 - r.class_distance**2 / 2 for r in records]
    assert (np.abs(np.array(common) - cosines) < 2.5 * np.array(errors)).all()
    without = analytic.depth_profile(widths, "guided")
    gaussian = defaults(widths) | {"biases": [tl.Gaussian(b.std) for b in defaults(widths)["biases"]]}
    for wrong in (without, analytic.depth_profile(widths, "guided", **gaussian, input_norm=28.0)):
        assert np.abs([r.alignment for r in wrong] - np.array(drawn)).max() > 3 * 0.006


@pytest.mark.parametrize(
    "law", [tl.Gaussian, lambda std: tl.Uniform(std * math.sqrt(3))], ids=["Gaussian", "uniform"]
)
@pytest.mark.parametrize("rule", RULES)
def test_the_two_laws_of_depth_agree(rule, law):
    x = np.random.default_rng(2).normal(size=(2, 3, 4))
    layers = [tl.Dense(n, 0.3, bias=law(0.7)) for n in (40, 50, 60)]
    maps = conv_depth.depth_maps(x, layers, rule, readout=tl.Uniform(2.0))
    options = {"stds": [0.3] * 3, "biases": law(0.7), "readout": tl.Uniform(2.0)}
    profile = analytic.depth_profile([24, 40, 50, 60], rule, **options, input_norm=float(np.linalg.norm(x)))
    for one, other in zip(maps, profile, strict=True):
        for name in ("alpha", "beta"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)
        assert one.alignment == pytest.approx(other.alignment)
        if rule != "guided":
            assert one.class_distance == pytest.approx(other.class_distance)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([tl.ConvSpec(4, 1, bias=tl.Constant(1.0)), tl.Dense(3)], r"layers\[0\]: biases of the law Constant"),
        ([tl.ConvSpec(4, 1, bias=tl.Uniform(1.0)), tl.MaxPool(2), tl.Dense(3)], "uniform biases and max-pooling"),
        ([tl.ConvSpec(4, 1, bias=tl.Gaussian(1.0)), tl.Residual([tl.ConvSpec(4, 1)])], "biases and residual blocks"),
        ([tl.ConvSpec(4, 1), tl.Residual([tl.ConvSpec(4, 1, bias=tl.Gaussian(1.0))])], "biases and residual blocks"),
        ([tl.ConvSpec(4, 1, bias=tl.Gaussian(1e140)), tl.Dense(3)], "biases that are 1e65 times"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(layers, words):
    with pytest.raises(tl.NoLaw, match=words):
        tl.law(tl.Stack((1, 4, 4), layers), np.ones((1, 4, 4)), "guided")


def test_more_is_refused_by_name():
    uniform = tl.law(
        tl.Stack((1, 2, 2), [tl.Dense(3, bias=tl.Uniform(1.0)), tl.Dense(3)]), np.ones((1, 2, 2)), "guided"
    )
    with pytest.raises(tl.NoLaw, match="two logits behind uniform biases"):
        assert uniform.class_distance
    readout = tl.Stack((1, 2, 2), [tl.Dense(3), tl.Dense(3)], readout=tl.Uniform(1.0))
    with pytest.raises(tl.NoLaw, match="two logits of a readout that is not Gaussian"):
        assert tl.law(readout, np.ones((1, 2, 2)), "guided").class_distance
    residual = tl.Stack(
        (1, 2, 2), [tl.ConvSpec(4, 1), tl.Residual([tl.ConvSpec(4, 1)])], readout=tl.Uniform(1.0)
    )
    with pytest.raises(tl.NoLaw, match="a residual block under a readout of the law Uniform"):
        tl.law(residual, np.ones((1, 2, 2)), "guided")
    with pytest.raises(tl.NoLaw, match="biases of the law Constant"):
        analytic.depth_profile([3, 3], "guided", biases=tl.Constant(1.0))
    with pytest.raises(ValueError, match="biases: expected 2 laws"):
        analytic.depth_profile([3, 3, 3], "guided", biases=[tl.Gaussian(1.0)])
