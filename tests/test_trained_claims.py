"""The claims about trained networks: what they measure, the laws they check, and that verdicts have power."""

import numpy as np
import pytest
from PIL import Image

import proofs_checks
from proofs_checks.claim import Bench
from proofs_checks.results import Verdict
from proofs_checks.studies import trained_laws, trained_maps
from theorylab import NoLaw, analytic, images, law, networks, training
from theorylab.description import description
from theorylab.model import models
from theorylab.model.rules import PAPER
from theorylab.networks.from_stack import from_stack
from theorylab.networks.nodes import Conv

IDS = ("equation9", "dead-zones", "fc1-histograms", "figure7", "fgsm", "figure9-dense", "figure9-depth")


def new_bench(**changes):
    settings = {"x": images.load(size=16), "budget": "quick", "seed": 0, "jobs": 1, "level": 1e-7} | changes
    return Bench(**settings)


def crop_of(seed):
    return training.crops("test", 1, seed=seed)[0][0]


# --- verdicts


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 5])
def test_verdicts_and_checks_at_the_quick_budget(classifier, seed):
    found = proofs_checks.verify(IDS, budget="quick", seed=seed, jobs=2)
    assert found.passed
    assert {claim.verdict for claim in found.claims} == {Verdict.NOT_RUN}  # nothing is said of VGG-16
    assert {claim.id: claim.seen for claim in found.claims} == {
        "equation9": Verdict.REFUTED,
        "dead-zones": Verdict.REFUTED,
        "fc1-histograms": Verdict.UNDECIDED,
        "figure7": Verdict.HOLDS,
        "fgsm": Verdict.REFUTED,
        "figure9-dense": Verdict.HOLDS,
        "figure9-depth": Verdict.HOLDS,
    }
    for claim in found.claims:
        assert "small classifier" in claim.network
        assert all(check.negative_control.rejected for check in claim.checks)
    written = found.to_json()["claims"]
    assert {claim["verdict"] for claim in written} == {"not-run"}
    assert written[0]["seen"] == "refuted"


# --- parts of a network


def test_a_network_up_to_a_unit(classifier):
    net, crop = classifier.network, crop_of(0)
    below = trained_maps.up_to(net, "classifier.0")
    kept = net.forward(crop, keep=["classifier.0"]).activations["classifier.0"]
    np.testing.assert_array_equal(below.logits(crop), kept)
    assert "classifier.2.weight" not in below.parameters


def test_what_a_law_reads_of_a_graph(classifier):
    def plain(stack):  # laws of two logits know no scale
        return [str(layer).partition(", weights")[0] for layer in stack.layers]

    shape = (3, 32, 32)
    for net in (networks.vgg16(input_shape=shape, n_hidden=8, n_logits=2), classifier.network):
        found = description(net.nodes, "kaiming")
        again = description(from_stack(found).nodes, "kaiming")
        assert plain(found) == plain(again)
    vgg = models.vgg16(input_shape=shape, n_hidden=8)
    assert plain(vgg) == plain(description(from_stack(vgg).nodes, "kaiming"))
    residual = training.small_residual_classifier().network
    with pytest.raises(NoLaw, match="AdaptiveAveragePool"):
        trained_laws.random_distance(residual.nodes, [crop_of(3)], PAPER[1])
    x = crop_of(3)
    distances = [trained_laws.random_distance(classifier.network.nodes, [x], rule) for rule in PAPER]
    assert distances[0] == pytest.approx(2**0.5)
    assert distances == [
        law(description(classifier.network.nodes, "kaiming"), x, rule).class_distance for rule in PAPER
    ]


def test_layers_and_replacing_them(classifier):
    net, other = classifier.network, classifier.random(0)
    layers = trained_maps.layers_of(net)
    assert layers == {
        False: ["features.0", "features.3", "features.6"],
        True: ["classifier.0", "classifier.2"],
    }
    mixed = trained_maps.replaced(net, other, ["features.3"])
    for name, array in mixed.parameters.items():
        source = other if name.startswith("features.3.") else net
        np.testing.assert_array_equal(array, source.parameters[name])


def test_random_dense_layers_hand_down_what_the_cut_network_says(classifier):
    """The law is checked on the dense part alone; within the whole network the same arrives at "flatten"."""
    net, crop = classifier.network, crop_of(1)
    features = net.forward(crop, keep=["flatten"]).activations["flatten"][None]
    drawn = trained_laws.DenseMaps(features, 128, PAPER)._drawn(np.random.default_rng(1))
    zeros = {name: np.zeros_like(net.parameters[name]) for name in ("classifier.0.bias", "classifier.2.bias")}
    weights = {"classifier.0.weight": "hidden.weight", "classifier.2.weight": "readout.weight"}
    whole = net.with_parameters({name: drawn.parameters[own] for name, own in weights.items()} | zeros)
    trace = whole.forward(crop, keep=["flatten"])
    seeds = np.eye(10)[:2]
    arriving = whole.layer_gradients(trace, seeds, PAPER, ["flatten"])["flatten"][0]
    image = trace.activations["flatten"].reshape(1, 1, -1)
    alone = drawn.backward(drawn.forward(image), seeds, PAPER)
    np.testing.assert_allclose(alone.reshape(arriving.shape), arriving, rtol=1e-4, atol=1e-4)


def test_the_law_of_dense_maps_does_not_depend_on_the_features():
    grid = trained_laws.one_patch(6)
    rng = np.random.default_rng(0)
    one, other = (analytic.class_distance(rng.random((1, 1, 6)), grid, "guided", 8) for _ in range(2))
    assert one == pytest.approx(other, rel=1e-12)


def test_dead_share_of_gaussian_filters_by_brute_force():
    patches = np.array([[1.0, 2.0], [-3.0, 0.5], [0.1, 0.0]], dtype=np.float32).reshape(3, 1, 1, 2)
    measured = trained_laws.GaussianBanks(patches, 2, 500)(np.random.default_rng(0), 40)
    value, error = measured.statistics.estimate(lambda mean: mean["dead"])
    assert abs(value - 0.25) < 4 * error < 0.02


def test_readout_maps_are_those_of_the_network(classifier):
    """What starts from a readout's rows at the units below it is the saliency map of the network with that readout."""
    net, crop = classifier.network, crop_of(2)
    readout = np.random.default_rng(0).standard_normal((10, 128)).astype(np.float32)
    below = trained_maps.up_to(net, "classifier.1")
    cut = below.backward(below.forward(crop), readout, ["saliency"])[0]
    other = net.with_parameters({"classifier.2.weight": readout})
    maps = other.backward(other.forward(crop), np.eye(10), ["saliency"])[0]
    np.testing.assert_allclose(cut, maps, atol=1e-5 * np.abs(maps).max())


def test_fresh_layers_have_the_energy_of_their_patches(classifier):
    net = classifier.network
    node = next(node for node in net.nodes if isinstance(node, Conv) and node.name == "features.6")
    crops, _ = training.crops("test", 2, seed=0)
    inputs = np.array([net.forward(crop, keep=[node.source]).activations[node.source] for crop in crops])
    measured = trained_laws.FreshLayer(node, inputs, 10)(np.random.default_rng(1), 40)
    value, error = measured.statistics.estimate(lambda mean: mean["energy"])
    assert abs(value - 1) < 4 * error < 0.1


# --- weights that are given


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("no/such/file.pth", ValueError, "weights 'no/such/file.pth': no such file"),
        (3, TypeError, "weights: expected a string, a path or None, got int"),
    ],
)
def test_weights_are_looked_at_before_anything_is_run(weights, error, message):
    with pytest.raises(error, match=message):
        proofs_checks.verify(["lemma1"], budget="quick", jobs=1, weights=weights)


def test_a_folder_is_read_before_anything_is_run(tmp_path, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    monkeypatch.setattr(Bench, "study", lambda *a, **k: pytest.fail("a study was run"))
    with pytest.raises(ValueError, match=r"broken\.png"):
        proofs_checks.verify(["halfspace-mean", "figure7"], budget="quick", jobs=1, pictures=tmp_path)


def test_one_picture_is_undecided_and_says_nothing_of_the_paper(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(
        tmp_path / "one.png"
    )
    found = proofs_checks.verify(["figure7", "fgsm"], budget="quick", jobs=1, pictures=tmp_path)
    for claim in found.claims:
        assert (claim.verdict, claim.seen, claim.error) == (Verdict.NOT_RUN, Verdict.UNDECIDED, "")
        assert "one was given" in claim.finding
