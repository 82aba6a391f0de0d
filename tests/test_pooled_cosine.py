"""The estimated cosine of pooled maps against whole simulated maps."""

import numpy as np
import pytest
from strategies import image_with_zeros

from theorylab.analytic import expected_cosine, pooled_mean_map
from theorylab.estimates import pooled_expected_cosine
from theorylab.laws import Gaussian, TruncatedGaussian
from theorylab.nolaw import NoLaw
from theorylab.patches import PatchGrid
from theorylab.pooling import MaxPool
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
    along, energy = maps @ toward / np.linalg.norm(toward), (maps**2).sum(axis=1)
    found = along.mean() / np.sqrt(energy.mean())
    # Delta method for a ratio of means.
    influence = along / np.sqrt(energy.mean()) - found * energy / energy.mean() / 2
    spread = np.hypot(influence.std() / np.sqrt(2000), error)
    assert abs(found - value) < 4.5 * spread, (found, value, spread)
    assert abs(found - value * 1.15) > 4.5 * spread  # the comparison would see 15 %


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
        pooled_expected_cosine(x, GRID, "guided", 5, pool=MaxPool(3, stride=1))
