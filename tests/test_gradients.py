"""Laws of gradients and features in random networks: against integrals, PyTorch's gradients and draws."""

import functools
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as scipy_stats

from proofs_checks.literature import shattered_gradients, single_step
from proofs_checks.literature.shattered_gradients import Layers
from theorylab import LeakyReLU, PatchGrid, ReLU
from theorylab.analytic import (
    deconvnet_correlation,
    feature_cosine,
    gradient_correlation,
    gradient_fourth_moment,
)


def by_integrals(cosine, depth, branch):
    """The product over layers, gates and kernels integrated over the angle of a filter."""
    product = 1.0
    for _ in range(depth):
        angle = math.acos(min(cosine, 1))

        def kernel(power, angle=angle):
            low, high = angle - math.pi / 2, math.pi / 2  # where both are positive

            def integrand(t):
                return (math.cos(t) * math.cos(t - angle)) ** power

            return integrate.quad(integrand, low, high)[0]

        gates, rectified = kernel(0) / math.pi, kernel(1) / (math.pi / 2)
        weight = branch**2 if branch else 1
        kept = 1 if branch else 0
        product *= (kept + weight * gates) / (kept + weight)
        cosine = (kept * cosine + weight * rectified) / (kept + weight)
    return product


@given(st.floats(-1, 1), st.integers(1, 6), st.one_of(st.none(), st.floats(0.1, 3)))
def test_correlation_by_integrals(cosine, depth, branch):
    expected = by_integrals(cosine, depth, branch)
    assert gradient_correlation(cosine, depth, branch_scale=branch) == pytest.approx(
        expected, rel=1e-6, abs=1e-9
    )


@given(st.floats(-0.99, 0.99))
def test_one_layer_is_the_orthant_of_a_normal(cosine):
    both = scipy_stats.multivariate_normal([0, 0], [[1, cosine], [cosine, 1]]).cdf([0, 0])
    assert gradient_correlation(cosine, 1) == pytest.approx(2 * both, rel=1e-4)


@pytest.mark.parametrize("branch", [None, 1.0, 0.3])
def test_the_correlation_falls_as_the_third_power_of_depth(branch):
    near, far = (gradient_correlation(0.2, depth, branch_scale=branch) for depth in (2 * 10**5, 4 * 10**5))
    assert math.log2(near / far) == pytest.approx(3, abs=0.01)


def test_equal_and_opposite_inputs():
    assert gradient_correlation(1.0, 9) == 1
    assert gradient_correlation(-1.0, 2) == 0
    assert gradient_correlation(-1.0, 1, branch_scale=1.0) == 0.5


@pytest.mark.parametrize("residual", [False, True])
def test_the_claims_derivatives_are_pytorchs(residual):
    rng = np.random.default_rng(0)
    x, entries = shattered_gradients.inputs().astype(float), shattered_gradients.ENTRIES
    v, w, u = (rng.standard_normal(shape) for shape in ((entries, 5), (5, 7), (7, 5)))

    def network(a):
        hidden = torch.relu(a @ torch.tensor(v) @ torch.tensor(w))
        return a @ torch.tensor(v) + hidden @ torch.tensor(u) if residual else hidden

    below = Layers.of(x).linear(v)
    hidden = below.linear(w).rectified()
    found = below + hidden.linear(u) if residual else hidden
    for i, row in enumerate(torch.tensor(x)):
        np.testing.assert_allclose(found.o[i], network(row), rtol=1e-12)
        jacobian = torch.autograd.functional.jacobian(network, row)
        np.testing.assert_allclose(
            found.J[i], jacobian.T[-shattered_gradients.INPUTS :], rtol=1e-12, atol=1e-12
        )
    gram = np.einsum("idu,jdu->ij", found.J, found.J)
    assert found.products()["own"] == pytest.approx(np.diag(gram).mean())
    assert found.products()["pair"] == pytest.approx(gram[~np.eye(len(gram), dtype=bool)].mean())
    cosines = x @ x.T
    np.testing.assert_allclose(cosines, np.where(np.eye(len(x)), 1, shattered_gradients.COSINE), rtol=1e-6)


chi_squared_moment = functools.cache(lambda k, power: float(scipy_stats.chi2(k).moment(power)))
widths_of_nets = st.lists(st.integers(1, 30), min_size=2, max_size=5)


@given(widths_of_nets)
def test_fourth_moment_by_sums_over_open_units(widths):
    """With ``k`` of ``n`` gates open ‖D g‖² is χ² of ``k`` degrees of freedom, whose moments SciPy has."""

    def moment(n, power):
        k = np.arange(1, n + 1)
        return scipy_stats.binom(n, 0.5).pmf(k) @ [chi_squared_moment(int(m), power) for m in k]

    expected = chi_squared_moment(widths[0], 2) / widths[0] ** 2
    for n in widths[1:]:
        expected *= moment(n, 2) / moment(n, 1) ** 2
    assert gradient_fourth_moment(widths) == pytest.approx(expected, rel=1e-9)
    assert gradient_fourth_moment(widths) >= gradient_fourth_moment(widths, unit=LeakyReLU(0.5))
    linear = math.prod(1 + 2 / n for n in widths)
    assert gradient_fourth_moment(widths, unit=LeakyReLU(1.0)) == pytest.approx(linear)


@pytest.mark.parametrize(("unit", "wrong"), [(ReLU(), LeakyReLU(0.4)), (LeakyReLU(0.4), ReLU())])
def test_fourth_moment_of_narrow_networks(unit, wrong):
    """Exact where a limit of wide layers would be far off: three and four units, on whole networks."""
    rng, size, widths = np.random.default_rng(7), 300_000, [5, 4, 3]
    o = np.broadcast_to([1.0, -2.0, 0.5, 0.0, 3.0], (size, 5))
    jacobian = np.broadcast_to(np.eye(5), (size, 5, 5))
    for n in widths[1:]:
        w = rng.standard_normal((size, n, o.shape[1]))
        z = np.einsum("sij,sj->si", w, o)
        slopes = np.where(z > 0, 1, unit.slope)
        o, jacobian = slopes * z, slopes[:, :, None] * (w @ jacobian)
    gradients = np.einsum("si,sij->sj", rng.standard_normal((size, 3)), jacobian)
    square = (gradients**2).sum(axis=1)
    mean = square.mean()
    # Of the ratio of means, to first order.
    influence = square**2 / mean**2 - 2 * (square**2).mean() / mean**3 * square
    found, error = (square**2).mean() / mean**2, influence.std() / math.sqrt(size)
    assert abs(found - gradient_fourth_moment(widths, unit=unit)) < 4 * error
    assert abs(found - gradient_fourth_moment(widths, unit=wrong)) > 8 * error


def test_the_distance_to_the_boundary_is_a_cosine():
    """By PyTorch's gradients of one network drawn as the claim draws it: |f|/‖∇f‖ is ‖x‖ |cos(∇f, x)|."""
    x = np.random.default_rng(2).standard_normal((1, 2, 3))
    units = 5
    found = single_step.Steps(x, units)(np.random.default_rng(3), 1 + 1).statistics
    rng, squares, flips = np.random.default_rng(3), [], []
    for _ in range(2):
        w = torch.tensor(rng.standard_normal((units, x.size)))
        readout = torch.tensor(rng.standard_normal((single_step.LOGITS, units)))
        flat = torch.tensor(x.ravel())
        logits = readout @ torch.relu(w @ flat)
        jacobian = torch.autograd.functional.jacobian(lambda a, w=w, v=readout: v @ torch.relu(w @ a), flat)
        cosines = torch.nn.functional.cosine_similarity(jacobian, flat[None])
        squares.append(float((cosines**2).mean()) * float(flat @ flat))
        for f, g, v in zip(logits, jacobian, readout, strict=True):
            step = single_step.STEP / math.sqrt(x.size) * torch.sign(f) * g / g.norm()
            flips.append(float((v @ torch.relu(w @ (flat - step))) * f < 0))
    mean = dict(zip(found.names, found.mean, strict=True))
    assert mean["square"] == pytest.approx(np.mean(squares), rel=1e-9)
    assert mean["flipped"] == pytest.approx(np.mean(flips), rel=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_features_by_integrals(seed):
    """Two entries a patch, so that a filter is an angle: inner products of rectified outputs, integrated."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, 1, 1, 5))
    grid = PatchGrid((1, 1, 5), (1, 2), (1, 2))
    # The rectangle rule: the integrand is periodic and has kinks, no jumps.
    angles = np.arange(4000) * (2 * math.pi / 4000)
    filters = np.array([np.cos(angles), np.sin(angles)])

    def product(a, b):
        first, second = (np.maximum(grid.extract(picture) @ filters, 0) for picture in (a, b))
        return float((first * second).sum())

    expected = product(x, y) / math.sqrt(product(x, x) * product(y, y))
    assert feature_cosine(x, y, grid) == pytest.approx(expected, abs=1e-5)
    assert feature_cosine(1e200 * x, 1e-200 * y, grid) == pytest.approx(feature_cosine(x, y, grid), rel=1e-12)


def test_what_no_patch_holds_is_refused():
    x = np.eye(1, 5, 4).reshape(1, 1, 5)
    with pytest.raises(ValueError, match="second: every patch of the grid is zero"):
        feature_cosine(np.ones_like(x), x, PatchGrid((1, 1, 5), (1, 2), (1, 2)))


def test_bad_widths():
    with pytest.raises(ValueError, match="widths: expected the input's and at least one hidden layer's"):
        gradient_fourth_moment([4])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5, 2), "cosine: expected a number between -1 and 1, got 1.5"),
        ((0.5, 0), "depth: expected at least 1"),
        ((0.5, 2, 0.0), "branch_scale: expected a finite number above 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        gradient_correlation(*arguments[:2], **({"branch_scale": arguments[2]} if len(arguments) > 2 else {}))


def in_many_digits(cosine, share, depth):
    """One minus the cosine below all layers, and the product over them, layer by layer."""
    with mpmath.workdps(40):
        cosine, share, product = mpmath.mpf(cosine), mpmath.mpf(share), mpmath.mpf(1)
        for _ in range(depth):
            angle = mpmath.acos(cosine)
            product *= 1 - share * angle / mpmath.pi
            rectified = (mpmath.sin(angle) + (mpmath.pi - angle) * cosine) / mpmath.pi
            cosine = (1 - share) * cosine + share * rectified
        return float(1 - cosine), float(product)


@settings(max_examples=8, deadline=None)
@given(
    cosine=st.one_of(st.floats(-0.99, 0.99), st.floats(4e-7, 1e-6).map(lambda gap: 1 - gap)),
    branch=st.floats(1.0, 5.0),
    depth=st.integers(5_000, 12_000),
)
@example(0.0, 3.0, 12_000)  # the angle becomes small above the last layer
def test_many_layers_are_those_of_many_digits(cosine, branch, depth):
    gap, product = in_many_digits(cosine, branch**2 / (1 + branch**2), depth)
    assert gradient_correlation(cosine, depth, branch_scale=branch) == pytest.approx(product, rel=3e-7)
    if cosine == 0:
        gap, _ = in_many_digits(0, 1, depth)
        assert 1 - deconvnet_correlation(depth) == pytest.approx(gap, rel=3e-7, abs=1e-13)


@pytest.mark.parametrize("depth", [10**9, 10**30, 10**300])
def test_a_depth_without_end_has_its_limit(depth):
    assert deconvnet_correlation(depth) == 1
    rest = {gradient_correlation(cosine, depth) for cosine in (-1.0, -0.5, 0.5)}
    assert max(rest) < 1e-24
    assert gradient_correlation(1.0, depth) == 1
    # The next layers take away three times their share.
    ratio = gradient_correlation(0.5, 2 * 10**9) / gradient_correlation(0.5, 10**9)
    assert ratio == pytest.approx(1 / 8, rel=1e-6)
    assert gradient_correlation(0.5, 10**9, branch_scale=1e-160) == 1
    assert gradient_correlation(0.5, 10**9, branch_scale=1e200) == gradient_correlation(0.5, 10**9)
