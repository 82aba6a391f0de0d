"""Laws of methods: against quadrature, other libraries and draws that share no code with them."""

import dataclasses
import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import integrate, special
from scipy.stats import qmc
from strategies import grids, image_with_zeros, seeds

import theorylab as tl
from theorylab import analytic
from theorylab.analytic import cam, of_stack, orthant_probability, other_gates
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


@settings(max_examples=15, deadline=None)
@given(grids(), seeds)
def test_the_variance_of_grad_cam_by_all_pairs_of_positions(grid, seed):
    x = image_with_zeros(np.random.default_rng(seed), grid.input_shape)
    patches = grid.extract(x)
    norms = np.linalg.norm(patches, axis=1)
    if not x.any():
        return
    sizes = np.outer(norms, norms)
    cosine = np.divide(patches @ patches.T, sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    for _ in range(2):  # the correlation of features, and of rectified sums of them
        angle = np.arccos(np.clip(cosine, -1, 1))
        cosine = (np.sin(angle) + (math.pi - angle) * np.cos(angle)) / math.pi
    whole = np.kron(*map(cam.interpolation, grid.output_shape, grid.input_shape[1:]))
    gain = 0.8**2 * 0.6**2 / grid.n_patches
    second = np.einsum("tj,jk,tk->t", whole, gain * 30 / 4 * sizes * cosine, whole)
    stack = dataclasses.replace(tl.models.three_layer(grid, 30, weights=tl.Gaussian(0.8)), readout=0.6)
    known = tl.law(stack, x, "grad-cam")
    found = (known.variance + known.mean**2).reshape(len(x), -1)
    np.testing.assert_allclose(found, np.broadcast_to(second, found.shape), rtol=1e-6, atol=1e-12)


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
    assert tl.law(stack, x, "integrated-gradients", options={"baseline": 0.0}).kind == "exact"
    with pytest.raises(
        tl.NoLaw, match=r"no law for method 'integrated-gradients' .* a baseline other than 0"
    ):
        tl.law(stack, x, "integrated-gradients", options={"baseline": np.ones(x.shape)})


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
        tl.law(stack, np.ones((1, 4, 4)), name, options=options)


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


# Other gates


def drawn(x, grid, n, std, handed, size, seed):
    """Two maps of each of `size` networks, of what units hand on of filters and readout: (size, 2, C, H, W)."""
    rng = np.random.default_rng(seed)
    maps = np.empty((size, 2, *x.shape))
    for i in range(size):
        w = rng.normal(0, std, (grid.patch_size, n))
        for k, signal in enumerate(handed(grid.extract(x), w, rng.normal(0, std, (grid.n_patches, n)), rng)):
            maps[i, k] = grid.fold(signal @ w.T)
    return maps


def assert_moments(law, maps):
    """Means and second moments of maps, along a few directions, as the law has them; a law 20 % off is seen."""
    weights = np.random.default_rng(1).random((4, *maps.shape[1:]))
    first = np.einsum("icjk,wcjk->iw", maps, np.concatenate([weights, weights * np.sign(law.mean)]))
    expected = np.einsum("cjk,wcjk->w", law.mean, np.concatenate([weights, weights * np.sign(law.mean)]))
    assert within(first, expected).all()
    try:
        variance = law.variance
    except tl.NoLaw:
        assert not within(first, 1.2 * expected).all()
        return
    assert not law.mean.any()
    second = np.einsum("icjk,wcjk->iw", maps**2, weights)
    assert within(second, np.einsum("cjk,wcjk->w", variance, weights)).all()
    assert not within(second, 1.2 * np.einsum("cjk,wcjk->w", variance, weights)).all()


CASES = [((2, 7, 6), 3, 1), ((1, 5, 5), 1, 0), ((1, 6, 5), (2, 1), 0), ((1, 4, 4), 4, 3)]


@pytest.mark.parametrize(("shape", "kernel", "padding"), CASES, ids=str)
@pytest.mark.parametrize(("noise", "copies"), [(0.08, 4), (0.5, 2)])
def test_smoothgrad_is_exact_for_few_filters_few_entries_and_few_copies(
    shape, kernel, padding, noise, copies
):
    x = image_with_zeros(np.random.default_rng(6), shape) + 0.3 * (np.arange(shape[-1]) >= shape[-1] // 2)
    grid, n, std = tl.PatchGrid(shape, kernel, padding=padding), 4, 0.8
    stack = tl.models.three_layer(grid, n, weights=tl.Gaussian(std))

    def handed(patches, w, readout, rng):
        pictures = (x + noise * np.ptp(x) * rng.standard_normal(shape) for _ in range(copies))
        gate = np.mean([grid.extract(picture) @ w > 0 for picture in pictures], axis=0)
        return readout * gate, np.maximum(readout, 0) * gate

    maps, options = drawn(x, grid, n, std, handed, 3000, 2), {"noise": noise, "draws": copies}
    saliency, guided = (
        tl.law(stack, x, "smoothgrad", options=options | {"rule": rule}) for rule in ("saliency", "guided")
    )
    assert (saliency.kind, saliency.class_distance) == ("exact", math.sqrt(2))
    assert_moments(saliency, maps[:, 0])
    assert_moments(guided, maps[:, 1])


@pytest.mark.parametrize(("p", "norm"), [(1, 0.3), (2, 4.0), (27, 0.01), (27, 3.0), (147, 40.0)])
def test_two_integrals_for_smoothed_guided_backpropagation(p, norm):
    """``E[w g]`` by ₁F₁ in the law; here ``E‖w‖ E[t Φ(t‖y‖/σ)]``, an integral over the cosine of filter and patch."""
    y = np.zeros(p)
    y[0] = norm
    x = np.append(y, norm - 1.0).reshape(
        1, 1, -1
    )  # of range max(1, norm), in patches of which the first is y
    grid = tl.PatchGrid(x.shape, (1, p), stride=(1, 2))
    std = 0.4 * np.ptp(x)
    law = tl.law(tl.models.three_layer(grid, 1), x, "smoothgrad", options={"noise": 0.4, "rule": "guided"})
    size = math.sqrt(2) * math.exp(math.lgamma((p + 1) / 2) - math.lgamma(p / 2))
    if p == 1:
        along = size * (norm_cdf(norm / std) - 0.5)
    else:

        def integrand(angle):
            t = math.sin(angle)
            return t * (norm_cdf(t * norm / std) - 0.5) * math.cos(angle) ** (p - 2)

        scale = math.exp(math.lgamma(p / 2) - math.lgamma((p - 1) / 2)) / math.sqrt(math.pi)
        along = size * scale * 2 * integrate.quad(integrand, 0, math.pi / 2, epsabs=0, limit=200)[0]
    assert law.mean[0, 0, 0] == pytest.approx(along / math.sqrt(2 * math.pi), rel=1e-8)


def norm_cdf(t):
    return math.erfc(-t / math.sqrt(2)) / 2


def test_smoothgrad_and_the_map_that_it_smooths():
    x = np.random.default_rng(6).standard_normal((2, 5, 5)) + 0.5
    x[:, :3, :3] = 0
    grid, noise, copies = tl.PatchGrid(x.shape, 3, padding=1), 0.3, 4

    def handed(patches, w, readout, rng):
        pictures = (x + noise * np.ptp(x) * rng.standard_normal(x.shape) for _ in range(copies))
        gate = np.mean([grid.extract(picture) @ w > 0 for picture in pictures], axis=0)
        return readout * gate, readout * (patches @ w > 0)

    smooth, plain = drawn(x, grid, 6, 1.0, handed, 4000, 3).reshape(4000, 2, -1).swapaxes(0, 1)
    cosine = analytic.smoothgrad_cosine(x, grid, noise, copies)
    # Linear in its parts: ⟨S, S'⟩ − cos (‖S‖² r + ‖S'‖²/r)/2 has the mean 0, r the ratio of their norms.
    ratio = math.sqrt((plain**2).sum() / (smooth**2).sum())
    residual = (smooth * plain - cosine * (smooth**2 * ratio + plain**2 / ratio) / 2).sum(axis=1)
    assert within(residual, 0.0)
    assert not within(
        (smooth * plain - 0.95 * cosine * (smooth**2 * ratio + plain**2 / ratio) / 2).sum(1), 0.0
    )


def test_smoothgrad_without_noise_or_without_gates_is_the_map_itself():
    x = np.random.default_rng(6).standard_normal((2, 5, 5))
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 7)
    for rule, noise in (("guided", 0.0), ("saliency", 0.0), ("deconvnet", 0.3), ("linear", 0.3)):
        smooth = tl.law(stack, x, "smoothgrad", options={"rule": rule, "noise": noise})
        plain = tl.law(stack, x, rule)
        np.testing.assert_array_equal(smooth.variance, plain.variance)
        np.testing.assert_array_equal(smooth.mean, plain.mean)
    nearly = tl.law(stack, x, "smoothgrad", options={"rule": "guided", "noise": 1e-6})
    np.testing.assert_allclose(nearly.mean, tl.law(stack, x, "guided").mean, rtol=1e-8)
    tiny = tl.law(stack, x, "smoothgrad", options={"noise": 1e-8, "draws": 1})
    np.testing.assert_allclose(tiny.variance, tl.law(stack, x, "saliency").variance, rtol=1e-12)
    pooled = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 7, pool=tl.MaxPool(2))
    for rule in ("deconvnet", "guided"):
        with pytest.raises(tl.NoLaw, match=r"no law for method 'smoothgrad' .* at MaxPool"):
            tl.law(pooled, x, "smoothgrad", options={"rule": rule})


@pytest.mark.parametrize(
    ("name", "options", "gate"),
    [
        ("activation-weighted", {}, lambda z: np.maximum(z, 0)),
        ("excitation-pullback", {"temperature": 0.4}, lambda z: 1 / (1 + np.exp(-z / 0.4))),
        ("excitation-pullback", {"temperature": 5.0}, lambda z: 1 / (1 + np.exp(-z / 5.0))),
    ],
)
def test_gates_of_the_activation(name, options, gate):
    """Against draws, with few filters; and along a patch against quadrature: ``E[w g] = c û E[z g(c‖y‖z)]``."""
    x = image_with_zeros(np.random.default_rng(6), (2, 6, 5))
    x[:, :, 3:] += 0.4
    grid, n, std = tl.PatchGrid(x.shape, 3, padding=1), 4, 0.8
    stack = tl.models.three_layer(grid, n, weights=tl.Gaussian(std))

    def handed(patches, w, readout, rng):
        return readout * gate(patches @ w), np.maximum(readout, 0) * gate(patches @ w)

    maps = drawn(x, grid, n, std, handed, 4000, 2)
    signed, guided = (
        tl.law(stack, x, name, options=options | {"rule": rule}) for rule in ("saliency", "guided")
    )
    assert_moments(signed, maps[:, 0])
    assert_moments(guided, maps[:, 1])

    y = np.array([[[0.3, -0.4, 1.2]]])
    one = tl.models.three_layer(tl.PatchGrid(y.shape, (1, 3)), 1, weights=tl.Gaussian(std))
    norm = float(np.linalg.norm(y))

    def moment(power, square):
        def integrand(z):
            return z**power * gate(std * norm * z) ** square * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return integrate.quad(integrand, -12, 0)[0] + integrate.quad(integrand, 0, 12)[0]

    mean = tl.law(one, y, name, options=options | {"rule": "guided"}).mean
    readout = std / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(mean, readout * std * moment(1, 1) * y / norm, rtol=1e-9)
    variance = tl.law(one, y, name, options=options).variance
    around, along = moment(0, 2), moment(2, 2)
    np.testing.assert_allclose(variance, std**4 * (around + (along - around) * (y / norm) ** 2), rtol=1e-9)


def test_a_steep_gate_is_the_mask():
    x = np.random.default_rng(6).standard_normal((2, 6, 5))
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 5)
    for rule in ("guided", "saliency"):
        soft = tl.law(stack, x, "excitation-pullback", options={"temperature": 1e-9, "rule": rule})
        hard = tl.law(stack, x, rule)
        np.testing.assert_allclose(soft.mean, hard.mean, rtol=1e-8)
        if rule == "saliency":
            np.testing.assert_allclose(soft.variance, hard.variance, rtol=1e-8)


@pytest.mark.parametrize("percentile", [60.0, 90.0, 98.0])
def test_rectgrad_of_many_filters(percentile):
    """By the method itself; the law leaves out 1/N, half of a percent at 200 filters."""
    x = image_with_zeros(np.random.default_rng(6), (2, 6, 5))
    x[:, :, 3:] += 0.4
    grid = tl.PatchGrid(x.shape, 3, padding=1)
    stack = dataclasses.replace(tl.models.three_layer(grid, 200, weights=tl.Gaussian(0.8)), n_logits=1)
    law = tl.law(stack, x, "rectgrad", options={"percentile": percentile})
    assert law.kind == "limit"
    rng = np.random.default_rng(9)
    nets = [from_stack(stack, seed=rng) for _ in range(120)]
    maps = np.array([tl.methods.attribute(net, x, "rectgrad", 0, percentile=percentile) for net in nets])
    along = np.einsum("icjk,cjk->i", maps, law.mean) / np.linalg.norm(law.mean)
    error = along.std() / math.sqrt(len(nets))
    length = np.linalg.norm(law.mean)
    assert abs(along.mean() - length) < 4 * error + 0.005 * length
    assert 4 * error < 0.15 * length
    across = rng.standard_normal(x.shape)
    across -= (across * law.mean).sum() * law.mean / length**2
    assert within(np.einsum("icjk,cjk->i", maps, across), 0.0)


def test_the_threshold_of_rectgrad():
    x = np.random.default_rng(6).standard_normal((1, 5, 5))
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, 3), 5)
    guided = x * tl.law(stack, x, "guided").mean
    for percentile in (25.0, 50.0, 75.0):
        law = tl.law(stack, x, "rectgrad", options={"percentile": percentile})
        np.testing.assert_allclose(law.mean, guided, rtol=1e-12)
    assert not tl.law(stack, x, "rectgrad", options={"percentile": 100.0}).mean.any()
    with pytest.raises(tl.NoLaw, match="a percentile of 20, which opens closed units"):
        tl.law(stack, x, "rectgrad", options={"percentile": 20.0})
    with pytest.raises(ValueError, match="percentile: expected 0 to 100, got 101"):
        tl.law(stack, x, "rectgrad", options={"percentile": 101.0})
    for part in ("variance", "class_distance"):
        with pytest.raises(tl.NoLaw):
            getattr(tl.law(stack, x, "rectgrad"), part)
    s = np.array([0.05, 0.7, 6.0])
    expected = [integrate.quad(special.k0, start, np.inf)[0] for start in s]
    np.testing.assert_allclose(other_gates._ki1(s), expected, rtol=1e-7)


def test_options_of_laws_are_those_of_the_methods():
    for name in tl.methods.NAMES:
        taken = (
            inspect.signature(of_stack._OF_METHODS[name]).parameters if name in of_stack._OF_METHODS else {}
        )
        known = tl.methods.method(name).options
        for option, parameter in list(taken.items())[2:]:
            assert known[option] == parameter.default, (name, option)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": tl.LeakyReLU(0.1)}, "with LeakyReLU(slope=0.1) at the hidden layer"),
        ({"bias_std": 0.5}, "with ReLU() at a hidden layer with biases, Gaussian(std=0.5)"),
        ({"layers": [tl.ConvSpec(4, 2), tl.ConvSpec(4, 2)]}, "2 layers, which are more than one of units"),
    ],
)
@pytest.mark.parametrize(
    "method", ["grad-cam", "smoothgrad", "rectgrad", "activation-weighted", "excitation-pullback"]
)
def test_what_has_no_law_is_refused_by_name(method, change, words):
    stack = dataclasses.replace(tl.models.three_layer(tl.PatchGrid((1, 4, 4), 3), 6), **change)
    with pytest.raises(tl.NoLaw) as refusal:
        tl.law(stack, np.arange(16.0).reshape(1, 4, 4), method)
    assert str(refusal.value).startswith(f"no law for method '{method}' with ")
    assert words in str(refusal.value)
    assert refusal.value.method == method


@pytest.mark.parametrize("method", ["grad-cam", "rectgrad"])
def test_a_readout_that_is_not_gaussian_is_refused(method):
    stack = tl.models.three_layer(tl.PatchGrid((1, 4, 4), 3), 6, weights=tl.TruncatedGaussian(0.1))
    with pytest.raises(tl.NoLaw, match=f"method '{method}' .* a readout of the law TruncatedGaussian"):
        tl.law(stack, np.ones((1, 4, 4)), method)


@pytest.mark.parametrize("noise", [0.2, 0.6, 2.0])
def test_the_variance_of_smoothgrad_along_a_patch_and_across_it(noise):
    """One patch of three entries, by quasi-random filters: a gate lets part of the noisy copies pass, by the filter's angle."""
    x = np.array([[[3.0, 0.5, -1.0]]])
    stack = tl.models.three_layer(tl.PatchGrid(x.shape, (1, 3)), 7)
    found = tl.law(stack, x, "smoothgrad", options={"noise": noise, "draws": 20}).variance.ravel()
    w = special.ndtri(qmc.Sobol(3, seed=0).random(2**15))
    passed = special.ndtr(w @ x.ravel() / (noise * np.ptp(x) * np.linalg.norm(w, axis=1)))
    square = (1 - 1 / 20) * passed**2 + passed / 20
    np.testing.assert_allclose(found, 7 * (w**2 * square[:, None]).mean(axis=0), rtol=2e-3)
