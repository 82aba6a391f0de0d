"""Variance of what one patch contributes behind a max-pool, against drawn filters."""

import numpy as np
import pytest
from strategies import OTHERS, image_with_zeros

from theorylab.analytic import pooled_patch_variance, pooled_variance_map
from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER, Rule

GRID = PatchGrid((2, 6, 7), kernel=(3, 2), padding=(1, 0))
DRAWS = 40_000


def contributions(x, rule, law, pool, rng):
    """``h(V) w 1_j`` for every patch and draw of one filter, tap by tap: first and second moments over the draws."""
    patches, windows = GRID.extract(x), pool.windows(GRID.output_shape)
    filters = rng.standard_normal((DRAWS, GRID.patch_size))
    activations = np.maximum(filters @ patches.T, 0)
    # A product of matrices may round equal patches differently, and then ties break at random.
    activations = np.round(activations, 9)
    first, second, fourth = np.zeros((3, *patches.shape))
    for window in windows:
        readout = law.sample(DRAWS, seed=rng)
        signal = np.where(readout > 0, rule.up * readout, -rule.down * readout)
        winner = activations[:, window].argmax(axis=1)
        open_ = activations[:, window].max(axis=1) > 0
        for m, j in enumerate(window):
            reached = (winner == m) & (open_ | (not rule.gate))
            terms = (signal * reached)[:, None] * filters
            first[j] = terms.mean(axis=0)
            second[j] = (terms**2).mean(axis=0)
            fourth[j] = (terms**4).mean(axis=0)
    return first, second, np.sqrt((fourth - second**2) / DRAWS)


@pytest.mark.parametrize("rule", [*PAPER, Rule.LINEAR, *OTHERS], ids=str)
@pytest.mark.parametrize("law", [Gaussian(1.0), TruncatedGaussian(1.0)])
@pytest.mark.parametrize("pool", [MaxPool(2), MaxPool((1, 3))], ids=str)
def test_against_drawn_filters(rule, law, pool):
    rng = np.random.default_rng(5)
    x = image_with_zeros(rng, GRID.input_shape)
    first, second, error = contributions(x, rule, law, pool, rng)
    predicted = pooled_patch_variance(x, GRID, rule, 1, law=law, pool=pool, filter_std=1.0)
    found = second - first**2
    silent = error == 0
    assert np.abs(predicted[silent]).max(initial=0) < 1e-12
    z = (found - predicted)[~silent] / error[~silent]
    # The largest of some 300 standard normals is below 4.9 with probability 0.9997.
    assert np.abs(z).max() < 4.9
    assert 0.8 < np.sqrt((z**2).mean()) < 1.2
    wrong = (found - 1.1 * predicted)[~silent] / error[~silent]
    assert np.sqrt((wrong**2).mean()) > 2


def test_the_map_is_the_fold_for_saliency_alone():
    x = np.random.default_rng(6).standard_normal(GRID.input_shape)
    options = {"pool": MaxPool(2), "law": Gaussian(0.5)}
    share = pooled_patch_variance(x, GRID, "saliency", 7, **options)
    np.testing.assert_allclose(GRID.fold(share), pooled_variance_map(x, GRID, "saliency", 7, **options))
    guided = pooled_variance_map(x, GRID, "guided", 7, points=2**15, **options)
    alone = GRID.fold(pooled_patch_variance(x, GRID, "guided", 7, **options))
    assert np.linalg.norm(guided - alone) > 0.02 * np.linalg.norm(guided)
    with pytest.raises(NoLaw, match="at most 4"):
        pooled_patch_variance(x, GRID, "guided", 7, pool=MaxPool(3))
    with pytest.raises(NoLaw, match="overlap"):
        pooled_patch_variance(x, GRID, "guided", 7, pool=MaxPool(2, stride=1))
