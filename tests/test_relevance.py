"""Laws of relevance propagation: against integrals, against sums written out, and against the package's own methods."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as scipy_stats

import theorylab as tl
from proofs_checks.literature import rank_one_collapse
from theorylab.analytic import relevance_collapse, relevance_cosine
from theorylab.networks.from_stack import from_stack

positive = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).exponential(size=(2, 7)))


@given(positive)
def test_one_layer_by_integrals(pair):
    """Mean and mean square of max(w, 0) by quadrature, the inner products written out entry by entry."""
    mean, square = (integrate.quad(lambda w, k=k: w**k * scipy_stats.norm.pdf(w), 0, 12)[0] for k in (1, 2))

    def product(r, s):
        return sum(a * b * (square if i == j else mean**2) for i, a in enumerate(r) for j, b in enumerate(s))

    r, s = pair
    assert relevance_cosine(r, s) == pytest.approx(product(r, s) / math.sqrt(product(r, r) * product(s, s)))
    assert relevance_cosine(1e200 * r, 1e-200 * s) == pytest.approx(relevance_cosine(r, s), rel=1e-12)


def test_many_layers_are_one_layer_many_times():
    """Without activations' own moments: the recursion on vectors whose moments are those of wide layers."""
    n, rng = 40_000, np.random.default_rng(0)
    law = relevance_collapse(np.ones(9), [n, n, n])
    # What leaves the readout: activations times independent positive parts.
    half = np.maximum(rng.standard_normal((4, n)), 0)
    one_below = 1 - relevance_cosine(half[0] * half[1], half[0] * half[2])
    assert law[0] == pytest.approx(1 - 1 / math.pi)
    assert law[1] == pytest.approx(one_below * math.exp(-4.40 / math.sqrt(n)), rel=0.05)
    assert law[2] / law[1] == pytest.approx(
        math.pi * (math.pi - 1) / n * math.exp(-2.88 / math.sqrt(n)), rel=2e-3
    )


def test_the_limit_does_not_depend_on_the_picture_and_the_correction_does():
    wide, narrow = 10**8, 100
    pictures = np.ones(10**4), np.exp(np.random.default_rng(0).standard_normal(10**4))
    limits = [relevance_collapse(x, [wide])[1] * wide for x in pictures]
    assert limits == pytest.approx([math.pi * (math.pi - 1) ** 2] * 2, rel=0.1)
    even, uneven = (relevance_collapse(x[:50], [narrow])[1] for x in pictures)
    assert even != pytest.approx(uneven, rel=0.1)
    assert relevance_collapse(-7e200 * pictures[1], [9, 9]) == pytest.approx(
        relevance_collapse(pictures[1], [9, 9])
    )


def test_the_claims_networks_are_the_methods():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    net = from_stack(tl.Stack(x.shape, (tl.Dense(20), tl.Dense(15)), n_logits=3), seed=1)
    *hidden, readout = (w for w in net.weights.values() if np.ndim(w) == 2)
    found = rank_one_collapse.descend(x.ravel(), hidden, readout, np.eye(3))
    assert [len(r[0]) for r in found] == [15, 20, 24]
    for k in range(3):
        maps = tl.methods.attribute(net, x, "lrp-alpha1beta0", k, epsilon=0.0)
        np.testing.assert_allclose(found[-1][k] * abs(net.logits(x)[k]), maps.ravel(), rtol=1e-9)


def test_unequal_widths_and_an_uneven_picture():
    """A simulation that needs the O(1/√n) correction: without it the law of the second layer is a third too high."""
    rng = np.random.default_rng(3)
    x, widths = rng.exponential(size=60), (500, 150, 300)
    law = relevance_collapse(x, widths)
    rows = []
    for _ in range(30):
        weights = [rng.standard_normal((n, m)) for n, m in zip(widths, (x.size, *widths[:-1]), strict=True)]
        found = rank_one_collapse.descend(x, weights, rng.standard_normal((24, 300)), np.eye(24))
        rows.append([rank_one_collapse.apart(r) for r in found])
    mean, error = np.mean(rows, axis=0), np.std(rows, axis=0) / math.sqrt(30)
    assert (abs(mean / law - 1) < 5 * error / law + np.array([0.01, 0.05, 0.1, 0.13])).all()
    assert mean[1] < 0.8 * math.pi * (math.pi - 1) ** 2 / 300


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: relevance_cosine(np.ones(2), np.ones(3)),
            "second: expected as many numbers as in first, 2, got 3",
        ),
        (lambda: relevance_cosine(np.zeros(2), np.ones(2)), "first: is zero everywhere"),
        (lambda: relevance_collapse(np.ones(2), []), "widths: expected those of one hidden layer"),
        (lambda: relevance_collapse(np.ones(2), [0]), "widths: expected at least 1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
