"""Three-layer networks with max-pooling: against PyTorch and Captum, and against the sampler's layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import RULES, grids, image_with_zeros, seeds

from theorylab.kernels import three_layer
from theorylab.layers import pool as layer
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER
from theorylab.networks import three_layer_cnn
from theorylab.networks.three_layer import ThreeLayerNetwork
from theorylab.sampling import MapSampler, three_layer_maps
from theorylab.visualization import visualize_many

GRID = PatchGrid((2, 12, 11), kernel=(3, 2), stride=1, padding=1)
POOLS = [MaxPool(2), MaxPool((3, 2)), MaxPool(3, stride=2, padding=1), MaxPool(3, stride=1)]


def case(pool, seed=0):
    """A network and a picture with an empty corner: ties and windows of zeros occur."""
    rng = np.random.default_rng(seed)
    net = three_layer_cnn(GRID, 6, 5, pool=pool, law=Gaussian(1.0), seed=seed)
    return net, image_with_zeros(rng, GRID.input_shape)


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations:UserWarning")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pool", [None, *POOLS], ids=str)
def test_captum_gives_the_same_maps(pool, rule):
    from torch_graphs import captum_map, nn, torch

    net, x = case(pool)
    model = nn.Sequential(
        nn.Conv2d(2, 6, GRID.kernel, stride=GRID.stride, padding=GRID.padding, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(pool.size, pool.stride, pool.padding) if pool else nn.Identity(),
        nn.Flatten(),
        nn.Linear(int(np.prod(net.readout_rows.shape[1:])), 5, bias=False),
    ).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(net.filters))
        model[4].weight.copy_(torch.tensor(net.readout_rows.array().reshape(5, -1)))
    np.testing.assert_allclose(net.logits(x), model(torch.tensor(x[None]))[0].detach(), atol=1e-10)
    maps = visualize_many(net, x, [rule], range(5))[0]
    for target in range(5):
        found = captum_map(model, x, rule, target)
        np.testing.assert_allclose(maps[target], found, rtol=0, atol=1e-10)


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_saliency_is_homogeneous(pool):
    net, x = case(pool, seed=3)
    maps = visualize_many(net, x, ["saliency"], range(5))[0]
    np.testing.assert_allclose((maps * x).sum(axis=(1, 2, 3)), net.logits(x), rtol=1e-10)


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_the_sampler_draws_maps_of_networks(pool):
    """The same numbers in the sampler's layout and in the network's give the same maps."""
    x = case(pool)[1]
    drawn = MapSampler(x, GRID, 6, law=Gaussian(1.0), pool=pool).draw(np.random.default_rng(7), list(PAPER))
    rng = np.random.default_rng(7)
    filters = Gaussian(1.0).sample((GRID.patch_size, 6), seed=rng)
    plane = pool.output_shape(GRID.output_shape)
    readout = Gaussian(1.0).sample((plane[0] * plane[1], 6), seed=rng)
    net = ThreeLayerNetwork(
        GRID, filters.T.reshape(6, 2, *GRID.kernel), readout.T.reshape(1, 6, *plane), pool=pool
    )
    expected = visualize_many(net, x, RULES, [0])
    np.testing.assert_allclose(drawn[:, :, 0], expected, rtol=1e-12, atol=1e-12)


def test_the_winner_of_many_logits_with_pooling():
    """⟨S, x⟩ of the winner's saliency is the largest logit: m c‖a‖, a the pooled activations."""
    x = np.random.default_rng(1).standard_normal(GRID.input_shape)
    options = {"size": 400, "law": Gaussian(1.0), "pool": MaxPool(2)}
    winners = three_layer_maps(x, GRID, "saliency", 20, n_logits=50, seed=1, **options)
    others = three_layer_maps(x, GRID, "saliency", 20, seed=1, **options)
    shift = (winners * x).sum(axis=(1, 2, 3)) / np.sqrt(((others * x).sum(axis=(1, 2, 3)) ** 2).mean())
    # E of the largest of 50 standard normals is 2.249 (Harter 1961); the scale varies a little between networks.
    assert abs(shift.mean() - 2.249) < 5 * np.hypot(shift.std() / 20, 2.249 * np.sqrt(0.5 / 400))


@given(st.data())
def test_pooled_kernels_are_the_layer(data):
    grid = data.draw(grids(largest=9))
    plane = grid.output_shape
    size = tuple(data.draw(st.integers(1, min(3, side))) for side in plane)
    pool = MaxPool(size, stride=(data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))))
    rng = np.random.default_rng(data.draw(seeds))
    activations = rng.integers(-2, 3, (plane[0] * plane[1], 3)).astype(float)  # ties on purpose
    planes = np.maximum(activations, 0).T.reshape(1, 3, *plane)
    values, winners = layer.forward(planes, pool)
    found_values, found_winners = three_layer.pool(activations, pool.windows(plane))
    np.testing.assert_array_equal(found_values.T.reshape(values.shape), values)
    np.testing.assert_array_equal(found_winners.T.reshape(winners.shape), winners)
    readout = rng.standard_normal(found_values.shape)
    back = three_layer.unpool(readout, found_winners, np.empty_like(activations))
    expected = layer.backward(readout.T.reshape(values.shape), winners, planes.shape)
    np.testing.assert_allclose(back.T.reshape(planes.shape), expected, rtol=1e-12, atol=1e-12)


def test_a_pool_that_does_not_fit():
    with pytest.raises(ValueError, match="pool: size 40 exceeds the height"):
        three_layer_cnn(GRID, 6, 5, pool=MaxPool(40))
