"""The estimated cosine of pooled maps against whole simulated maps."""

import numpy as np
import pytest
from strategies import OTHERS, image_with_zeros, rule_of

from theorylab.analytic import expected_cosine, pooled_mean_map
from theorylab.analytic.nolaw import NoLaw
from theorylab.estimates import pooled_expected_cosine
from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.sampling import three_layer_maps

GRID = PatchGrid((2, 11, 10), kernel=3, padding=1)


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("target", ["input", "mean"])
@pytest.mark.parametrize("law", [Gaussian(0.5), TruncatedGaussian(0.1)])
def test_against_simulated_maps(rule, target, law):
    x = image_with_zeros(np.random.default_rng(0), GRID.input_shape)
    options = {"law": law, "pool": MaxPool(2)}
    value, error = pooled_expected_cosine(x, GRID, rule, 20, target=target, draws=4000, **options)
    maps = three_layer_maps(x, GRID, rule, 20, size=2000, seed=1, **options).reshape(2000, -1)
    toward = (x if target == "input" else pooled_mean_map(x, GRID, rule, 1, **options)).ravel()
    measured, spread = cosine_to(toward, maps)
    spread = np.hypot(spread, error)
    assert abs(measured - value) < 4.5 * spread, (measured, value, spread)
    assert abs(measured - value * 1.15) > 4.5 * spread  # the comparison would see 15 %


def cosine_to(toward, maps):
    """Ratio of means, and its standard error by the delta method."""
    along, energy = maps @ toward / np.linalg.norm(toward), (maps**2).sum(axis=1)
    ratio = along.mean() / np.sqrt(energy.mean())
    influence = along / np.sqrt(energy.mean()) - ratio * energy / energy.mean() / 2
    return ratio, influence.std() / np.sqrt(len(maps))


@pytest.mark.parametrize("rule", [*OTHERS, rule_of(-1.0, 0.2, True)], ids=str)
def test_any_rule_against_filters_that_are_drawn(rule):
    """Pixels as patches, so that nothing needs to be folded."""
    rng, pool, n_filters = np.random.default_rng(5), MaxPool(2), 6
    x = rng.standard_normal((3, 6, 6))
    grid, windows = PatchGrid(x.shape, kernel=1), pool.windows((6, 6))
    maps = np.zeros((4000, 3, 36))
    for network in maps:
        filters = rng.standard_normal((n_filters, 3))
        z = filters @ x.reshape(3, 36)
        for w, values in zip(filters, z[:, windows], strict=True):
            opened = np.maximum(values, 0)
            v = rng.standard_normal(len(windows))
            h = np.where(v > 0, rule.up * v, -rule.down * v) * ((opened.max(axis=1) > 0) | (not rule.gate))
            network[:, windows[np.arange(len(windows)), opened.argmax(axis=1)]] += w[:, None] * h
    mean = pooled_mean_map(x, grid, rule, n_filters, pool=pool)
    for target, toward in (("input", x), ("mean", mean)):
        value, error = pooled_expected_cosine(x, grid, rule, n_filters, pool=pool, target=target, draws=4000)
        measured, spread = cosine_to(toward.ravel(), maps.reshape(len(maps), -1))
        assert abs(measured - value) < 4.5 * np.hypot(spread, error), target
    assert abs(measured - value * 1.15) > 4.5 * np.hypot(spread, error)


def test_windows_of_one_are_no_pooling():
    x = np.random.default_rng(3).standard_normal(GRID.input_shape)
    value, error = pooled_expected_cosine(x, GRID, "guided", 50, pool=MaxPool(1), draws=2000)
    assert abs(value - expected_cosine(x, GRID, "guided", 50)) < 4.5 * error


def test_saliency_and_bad_input():
    x = np.random.default_rng(4).standard_normal(GRID.input_shape)
    assert pooled_expected_cosine(x, GRID, "saliency", 5, pool=MaxPool(2)) == (0.0, 0.0)
    with pytest.raises(ValueError, match="no direction"):
        pooled_expected_cosine(x, GRID, "saliency", 5, pool=MaxPool(2), target="mean")
    with pytest.raises(ValueError, match="target: expected 'input' or 'mean'"):
        pooled_expected_cosine(x, GRID, "guided", 5, pool=MaxPool(2), target="x")
    with pytest.raises(ValueError, match="draws"):
        pooled_expected_cosine(x, GRID, "guided", 5, pool=MaxPool(2), draws=1)
    with pytest.raises(NoLaw, match="overlap"):
        pooled_expected_cosine(x, GRID, "guided", 5, pool=MaxPool(3, stride=1), law=TruncatedGaussian(1.0))


@pytest.mark.parametrize("target", ["input", "mean"])
def test_errors_of_independent_integrations_do_not_add_to_the_signal(target):
    # Integrations whose errors are orthogonal to each other, to the mean map and to the picture.
    grid, rng = PatchGrid((1, 6, 6), 3), np.random.default_rng(5)
    x = rng.standard_normal((1, 6, 6)) + 0.5
    mean = pooled_mean_map(x, grid, "guided", 1, pool=MaxPool(2))
    basis, _ = np.linalg.qr(np.column_stack([mean.ravel(), x.ravel(), rng.standard_normal((36, 8))]))
    errors = 0.5 * np.linalg.norm(mean) * basis[:, 2:].T.reshape(8, 1, 6, 6)
    options = {"pool": MaxPool(2), "draws": 50, "target": target}
    exact, _ = pooled_expected_cosine(x, grid, "guided", 10**4, unit_mean=mean, **options)
    value, _ = pooled_expected_cosine(x, grid, "guided", 10**4, unit_mean=mean + errors, **options)
    assert value == pytest.approx(exact, rel=1e-9)
