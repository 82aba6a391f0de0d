import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import RULES, seeds

from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.networks import StoredRows, ThreeLayerNetwork, three_layer_cnn
from theorylab.visualization import cost_gradient, visualize, visualize_many

GRID = PatchGrid((3, 9, 8), (3, 4), (2, 1), 1)


@pytest.fixture
def case():
    net = three_layer_cnn(GRID, 5, 7, law=Gaussian(0.5), seed=3)
    return net, np.random.default_rng(0).standard_normal(GRID.input_shape)


class Counting(ThreeLayerNetwork):
    """Counts its forward passes."""

    forwards = 0

    def forward(self, x):
        self.forwards += 1
        return super().forward(x)


class CountingRows(StoredRows):
    """Counts how often all rows are read: what logits that nobody needs would do."""

    reads = 0

    def blocks(self, indices=None):
        self.reads += indices is None
        return super().blocks(indices)


def test_one_forward_pass_for_all(case):
    net, x = case
    rows = CountingRows(net.readout_rows.array())
    counting = Counting(GRID, net.filters, rows)
    maps = visualize_many(counting, x, RULES, ["max", 1, "cost", "random", "max"])
    assert maps.shape == (3, 5, *GRID.input_shape)
    assert (counting.forwards, rows.reads) == (1, 1)
    visualize_many(counting, x, RULES, [1, "random"])
    assert rows.reads == 1


def test_many_equals_one_by_one(case):
    net, x = case
    maps = visualize_many(net, x, [Rule.GUIDED, "deconvnet"], ["max", 2, "cost"])
    for r, rule in enumerate(("guided", Rule.DECONVNET)):
        for t, target in enumerate(("max", np.int64(2), "cost")):
            np.testing.assert_allclose(maps[r, t], visualize(net, x, rule, target), rtol=0, atol=1e-12)


def test_targets(case):
    net, x = case
    f = net.logits(x)
    every = visualize_many(net, x, ["saliency"], range(7))[0]
    np.testing.assert_allclose((every * x).sum(axis=(1, 2, 3)), f, rtol=1e-10)
    np.testing.assert_array_equal(visualize(net, x, "saliency"), every[np.argmax(f)])
    drawn = [visualize(net, x, "saliency", "random", seed=seed) for seed in range(20)]
    chosen = {next(k for k in range(7) if np.array_equal(one, every[k])) for one in drawn}
    assert len(chosen) > 3
    np.testing.assert_array_equal(drawn[4], visualize(net, x, "saliency", "random", seed=4))
    # The saliency map is linear in the seed, so that of the cost is the chain rule over the logits.
    np.testing.assert_allclose(
        visualize(net, x, "saliency", "cost"), np.tensordot(cost_gradient(f), every, 1), atol=1e-12
    )


def test_the_seed_is_one_whatever_the_sign_of_the_logit(case):
    net, x = case
    logit = int(np.argmin(net.logits(x)))
    assert net.logits(x)[logit] < 0
    guided = visualize(net, x, "guided", logit)
    signal = np.maximum(net.readout_rows.row(logit), 0) * (net.forward(x).pre_activation > 0)
    patches = signal.reshape(5, -1).T @ net.filters.reshape(5, -1)
    np.testing.assert_allclose(guided, GRID.fold(patches), atol=1e-12)


@given(st.integers(1, 6), st.floats(0.1, 40), seeds)
def test_cost_gradient_is_the_derivative(n_logits, scale, seed):
    torch = pytest.importorskip("torch")
    f = scale * np.random.default_rng(seed).standard_normal(n_logits)
    tensor = torch.tensor(f, requires_grad=True)
    target = torch.nn.functional.one_hot(tensor.argmax(), n_logits).double()
    ((torch.softmax(tensor, 0) - target) ** 2).sum().backward()
    np.testing.assert_allclose(cost_gradient(f), tensor.grad.numpy(), rtol=0, atol=1e-13)


def test_cost_gradient_of_large_logits():
    assert not cost_gradient(np.array([1e9, -1e9, 0.0])).any()
    # Two logits 30 apart: p = 1/(1 + e^30) for the loser, L = 2 p², dL/df_loser = 4 p² (1 − p).
    p = 1 / (1 + np.exp(30.0))
    np.testing.assert_allclose(
        cost_gradient(np.array([1030.0, 1000.0])), 4 * p * p * np.array([-1, 1]), rtol=1e-9
    )
    assert cost_gradient(np.ones(3, np.float32)).dtype == np.float32


@pytest.mark.parametrize("target", [-1, 7, True, 1.0, None, "maximum", "1", np.array([1, 2])])
def test_unknown_targets(case, target):
    with pytest.raises(ValueError, match="target") as caught:
        visualize(*case, "guided", target)
    assert "\n" not in str(caught.value)


def test_other_bad_input(case):
    net, x = case
    with pytest.raises(ValueError, match="unknown rule 'gbp'"):
        visualize(net, x, "gbp")
    with pytest.raises(ValueError, match=r"^x: expected shape"):
        visualize(net, x[:1], "guided")
    with pytest.raises(TypeError, match="seed"):
        visualize(net, x, "guided", "random", seed=None)
    for name, arguments in (("rules", ("guided", [1])), ("rules", (Rule.GUIDED, [1])),
                            ("targets", (["guided"], "max")), ("targets", (["guided"], 1))):  # fmt: skip
        with pytest.raises(TypeError, match=f"^{name}: expected a sequence"):
            visualize_many(net, x, *arguments)
