"""Laws of methods: against quadrature, other libraries and draws that share no code with them."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import integrate
from strategies import grids, image_with_zeros, seeds

import theorylab as tl
from theorylab.analytic import cam, orthant_probability
from theorylab.networks.from_stack import from_stack


def within(values, expected, errors=5.0):
    """Whether means over the first axis are as expected, up to so many standard errors."""
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    return np.abs(values.mean(axis=0) - expected) <= errors * error + 1e-12


# Grad-CAM


@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_the_mean_norm_of_rectified_normals(n):
    """``E √X = ∫ (1 − E e^(−sX)) s^(−3/2) ds / (2√π)``, and ``E e^(−sσ(z)²) = ½ + ½ (1 + 2s)^(−½)``."""

    def integrand(u):  # s = u²
        return (1 - (0.5 + 0.5 / math.sqrt(1 + 2 * u * u)) ** n) / u**2

    value, _ = integrate.quad(integrand, 0, np.inf, limit=400)
    assert cam.mean_norm(n) == pytest.approx(value / math.sqrt(math.pi), rel=1e-7)
    assert cam.mean_norm(n) == pytest.approx(math.sqrt(n / 2) * (1 - 5 / (8 * n)), abs=1 / n)


@pytest.mark.parametrize(("old", "new"), [(1, 5), (4, 9), (7, 7), (10, 24), (9, 4)])
def test_the_interpolation_is_that_of_torch(old, new):
    torch = pytest.importorskip("torch")
    lines = torch.eye(old, dtype=torch.float64)[:, None]
    theirs = torch.nn.functional.interpolate(lines, new, mode="linear", align_corners=False)[:, 0].numpy().T
    np.testing.assert_allclose(cam.interpolation(old, new), theirs, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(grids(), seeds)
def test_grad_cam_is_a_rectified_gaussian_field(grid, seed):
    """What the law assumes of the method: importances are means of one readout weight for each window of a pool."""
    rng = np.random.default_rng(seed)
    x = image_with_zeros(rng, grid.input_shape)
    pools = [None] if min(grid.output_shape) < 2 else [None, tl.MaxPool(2), tl.MaxPool(2, stride=1)]
    for pool in pools:
        stack = dataclasses.replace(tl.models.three_layer(grid, 5, pool=pool), n_logits=1)
        net = from_stack(stack, seed=rng)
        filters, readout = (net.parameters[name] for name in net.parameters)
        filters = filters.array() if hasattr(filters, "array") else filters
        readout = readout.array() if hasattr(readout, "array") else readout
        features = np.maximum(filters.reshape(5, -1) @ grid.extract(x).T, 0)
        importances = readout.reshape(5, -1).sum(axis=1) / grid.n_patches
        plane = np.maximum(importances @ features, 0).reshape(grid.output_shape)
        rows, columns = map(cam.interpolation, grid.output_shape, grid.input_shape[1:])
        expected = np.broadcast_to(rows @ plane @ columns.T, x.shape)
        np.testing.assert_allclose(tl.methods.attribute(net, x, "grad-cam", 0), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "pool"),
    [({"stride": 2}, None), ({"padding": 1}, tl.MaxPool(2)), ({"stride": (1, 3), "padding": 2}, tl.MaxPool(2, 1))],
    ids=str,
)  # fmt: skip
def test_the_law_of_grad_cam(options, pool):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 9, 8)).cumsum(axis=1) + 0.5
    x[:, :5, :4] = 0
    grid, n, heads = tl.PatchGrid(x.shape, 3, **options), 160, 40
    stack = dataclasses.replace(
        tl.models.three_layer(grid, n, pool=pool, weights=tl.Gaussian(0.8)), readout=0.6
    )
    known = tl.law(stack, x, "Grad-CAM")
    assert known.kind == ("exact" if grid.output_shape == x.shape[1:] else "limit")
    rows, columns = map(cam.interpolation, grid.output_shape, grid.input_shape[1:])
    windows = math.prod(stack.shape_above[1:])
    weights = rng.random((3, *x.shape[1:]))
    first, second, products = [], [], []
    for _ in range(500):
        features = np.maximum(grid.extract(x) @ rng.normal(0, 0.8, (grid.patch_size, n)), 0)
        importances = rng.normal(0, 0.6 * math.sqrt(windows) / grid.n_patches, (n, heads))
        planes = np.maximum(features @ importances, 0).T.reshape(heads, *grid.output_shape)
        maps = rows @ planes @ columns.T
        first.append(np.einsum("hij,kij->k", maps, weights) / heads)
        second.append(np.einsum("hij,kij->k", maps**2, weights) / heads)
        products.append(((maps.sum(0) ** 2).sum() - (maps**2).sum()) / (heads * (heads - 1)))
    moment = known.variance + known.mean**2
    assert np.ptp(known.mean, axis=0).max() == 0  # the same in all channels
    first, second, products = map(np.array, (first, second, products))
    assert within(first, np.einsum("ij,kij->k", known.mean[0], weights)).all()
    assert within(second, np.einsum("ij,kij->k", moment[0], weights)).all()
    assert not within(second, np.einsum("ij,kij->k", known.mean[0] ** 2, weights)).any()
    product = (1 - known.class_distance**2 / 2) * known.energy / 2
    assert within(products, product)
    assert not within(products, known.energy / 2).any()
    assert known.expected_cosine("mean") == pytest.approx(
        np.linalg.norm(known.mean) / math.sqrt(moment.sum()), rel=1e-12
    )


def test_on_the_plane_two_logits_overlap_by_one_over_pi_whatever_the_picture():
    for shape in ((1, 6, 5), (3, 4, 4)):
        grid = tl.PatchGrid(shape, 3, padding=1)
        x = image_with_zeros(np.random.default_rng(1), shape)
        known = tl.law(tl.models.three_layer(grid, 9), x, "grad-cam")
        assert known.class_distance == pytest.approx(math.sqrt(2 - 2 / math.pi), rel=1e-12)
        correlation = known.correlation((1, 0))[1, 2]
        expected = orthant_probability(np.array([[1, correlation], [correlation, 1]]))
        assert known.both_positive((1, 0))[1, 2] == pytest.approx(expected, rel=1e-12)


def test_the_law_of_grad_cam_follows_the_size_of_the_picture():
    grid = tl.PatchGrid((1, 5, 5), 3)
    x = np.random.default_rng(0).standard_normal((1, 5, 5))
    stack = tl.models.three_layer(grid, 9)
    plain = tl.law(stack, x, "grad-cam")
    for exponent in (-500, 400):
        sized = tl.law(stack, np.ldexp(x, exponent), "grad-cam")
        np.testing.assert_allclose(sized.mean, np.ldexp(plain.mean, exponent), rtol=1e-12)
        np.testing.assert_allclose(sized.correlation((0, 1)), plain.correlation((0, 1)), rtol=1e-12)


# Input × gradient and what equals it


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
def test_captums_own_classes_agree_where_there_are_no_biases():
    torch, captum = pytest.importorskip("torch"), pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    nn = torch.nn
    layers = [
        nn.Conv2d(2, 6, 3, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, 9, bias=False),
    ]
    module = nn.Sequential(*layers, nn.ReLU(), nn.Linear(9, 4, bias=False)).double().eval()
    x = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    expected = captum.InputXGradient(module).attribute(x.requires_grad_(), target=1)
    others = {
        "integrated-gradients": captum.IntegratedGradients(module).attribute(x, target=1, n_steps=5),
        "DeepLIFT": captum.DeepLift(module).attribute(x, target=1),
    }
    for name, map_ in others.items():
        np.testing.assert_allclose(map_.detach(), expected.detach(), atol=1e-12, err_msg=name)
    net, picture = tl.torch_bridge.from_torch(module, (2, 8, 8)), x.detach().numpy()[0]
    for name, options in (("lrp-epsilon", {"epsilon": 0.0}), ("integrated-gradients", {"steps": 2})):
        ours = tl.methods.attribute(net, picture, name, 1, **options)
        np.testing.assert_allclose(ours, expected.detach()[0], atol=1e-12, err_msg=name)


def test_one_law_for_methods_that_are_one_map():
    x = np.random.default_rng(3).standard_normal((2, 5, 6))
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 6)
    saliency, *laws = (
        tl.law(stack, x, name)
        for name in ("saliency", "input-x-gradient", "integrated-gradients", "lrp-epsilon")
    )
    for known in laws:
        assert not known.mean.any()
        np.testing.assert_allclose(known.variance, x**2 * saliency.variance, rtol=1e-14)
        assert known.class_distance == math.sqrt(2)
    assert [known.kind for known in laws] == ["exact", "exact", "limit"]
    assert tl.law(stack, x, "integrated-gradients", baseline=0.0).kind == "exact"
    with pytest.raises(
        tl.NoLaw, match=r"no law for method 'integrated-gradients' .* a baseline other than 0"
    ):
        tl.law(stack, x, "integrated-gradients", baseline=np.ones(x.shape))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("grad-cam", {"layer": "unit"}, "options: the law of grad-cam has no option 'layer': it has none"),
        ("integrated-gradients", {"steps": 3}, "no option 'steps': it has baseline"),
        ("guided", {"noise": 0.1}, "options: the law of guided has no option 'noise': it has none"),
        (tl.Rule.GUIDED, {"noise": 0.1}, "has no option 'noise': it has none"),
    ],
)
def test_unknown_options_are_refused(name, options, words):
    stack = tl.models.three_layer(tl.PatchGrid((1, 4, 4), 3), 6)
    with pytest.raises(TypeError, match=words):
        tl.law(stack, np.ones((1, 4, 4)), name, **options)


@pytest.mark.parametrize(("n", "left_out"), [(16, 0.5 / 16), (400, 0.5 / 400)])
def test_absolute_values_of_saliency(n, left_out):
    """One hidden layer, every network drawn in two lines; E|S| is the limit of many filters, the distance exact."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((1, 6, 6)) + 1
    grid, size = tl.PatchGrid(x.shape, 3), 4000
    cosine, product, energy = np.empty(size), np.empty(size), np.empty(size)
    for i in range(size):
        w = rng.standard_normal((grid.patch_size, n))
        gate = grid.extract(x) @ w > 0
        first, second = (abs(grid.fold((gate * rng.standard_normal(gate.shape)) @ w.T)) for _ in range(2))
        cosine[i], product[i] = (first * abs(x)).sum(), (first * second).sum()
        energy[i] = (first**2).sum()
    known = tl.law(tl.models.three_layer(grid, n), x, "saliency")
    size_of = np.linalg.norm(x) * math.sqrt(known.energy)
    ratio, error = cosine.mean() / size_of, cosine.std() / size_of / math.sqrt(size)
    assert -5 * error <= known.absolute_cosine - ratio <= 5 * error + left_out * ratio
    assert within(product - (1 - known.absolute_class_distance**2 / 2) * energy, 0.0)
    guided = tl.law(tl.models.three_layer(grid, n), x, "guided")
    for part in ("absolute_cosine", "absolute_class_distance"):
        with pytest.raises(tl.NoLaw, match="rule 'guided' at the absolute value of a map with a mean"):
            getattr(guided, part)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": tl.LeakyReLU(0.1)}, "with LeakyReLU(slope=0.1) at the hidden layer"),
        ({"bias_std": 0.5}, "with ReLU() at a hidden layer with biases of std 0.5"),
        ({"readout": tl.TruncatedGaussian(0.1)}, "a readout of the law TruncatedGaussian"),
        ({"layers": [tl.ConvSpec(4, 2), tl.ConvSpec(4, 2)]}, "2 layers, which are more than one of units"),
    ],
)
@pytest.mark.parametrize("method", ["grad-cam"])
def test_what_has_no_law_is_refused_by_name(method, change, words):
    stack = dataclasses.replace(tl.models.three_layer(tl.PatchGrid((1, 4, 4), 3), 6), **change)
    with pytest.raises(tl.NoLaw) as refusal:
        tl.law(stack, np.ones((1, 4, 4)), method)
    assert str(refusal.value).startswith(f"no law for method '{method}' with ")
    assert words in str(refusal.value)
    assert refusal.value.method == method
