"""The claims about trained networks: what they measure, the laws they check, and that verdicts have power."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

import proofs_checks
from proofs_checks import referee
from proofs_checks.claim import Bench
from proofs_checks.claims import fc1_histograms
from proofs_checks.results import Verdict
from proofs_checks.studies import trained_laws, trained_maps
from theorylab import analytic, images, montecarlo, stats, training
from theorylab.model.rules import PAPER
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
    verdicts = {claim.id: claim.verdict for claim in found.claims}
    assert (
        verdicts
        == {
            "equation9": Verdict.REFUTED,
            "dead-zones": Verdict.UNDECIDED,  # 600 crops without a dead patch are too few to exclude one in a hundred
            "fc1-histograms": Verdict.NOT_RUN,
            "figure7": Verdict.HOLDS,
            "fgsm": Verdict.REFUTED,
            "figure9-dense": Verdict.HOLDS,
            "figure9-depth": Verdict.HOLDS,
        }
    )
    for claim in found.claims:
        assert "ten pictures" in claim.finding or not claim.checks  # which network it speaks of
        assert all(check.negative_control.rejected for check in claim.checks)
    (not_run,) = (claim for claim in found.to_json()["claims"] if claim["id"] == "fc1-histograms")
    assert not_run["passed"] is None
    assert not_run["verdict"] == "not-run"
    assert not_run["checks"] == []


def test_bounds_hold_what_they_should():
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        low, high = stats.bounded_interval(
            *montecarlo.measurement({"a": (rng.random(300) < 0.02).astype(float)}).estimate("a"),
            confidence=0.999,
        )
        missed += not low <= 0.02 <= high
    assert missed <= 3  # 0.4 are allowed


# --- parts of a network


def test_a_network_up_to_a_unit(classifier):
    net, crop = classifier.network, crop_of(0)
    below = trained_maps.up_to(net, "classifier.0")
    kept = net.forward(crop, keep=["classifier.0"]).activations["classifier.0"]
    np.testing.assert_array_equal(below.logits(crop), kept)
    assert "classifier.2.weight" not in below.parameters


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
    nodes = trained_laws.dense_part(net)
    features = trained_laws.features(net, "flatten", 2, np.random.default_rng(0))
    drawn = trained_laws.DenseMaps(nodes, features, PAPER)._drawn(np.random.default_rng(1))
    whole = net.with_parameters(drawn.parameters)
    trace = whole.forward(crop, keep=["flatten"])
    seeds = np.eye(10)[:2]
    arriving = whole.layer_gradients(trace, seeds, PAPER, ["flatten"])["flatten"][0]
    image = trace.activations["flatten"].reshape(1, 1, -1)
    alone = drawn.backward(drawn.forward(image), seeds, PAPER)
    np.testing.assert_allclose(alone.reshape(arriving.shape), arriving, rtol=1e-4, atol=1e-4)
    assert not any(array.any() for name, array in drawn.parameters.items() if name.endswith("bias"))


def test_the_law_of_dense_maps_does_not_depend_on_the_features():
    grid = trained_laws.one_patch(6)
    rng = np.random.default_rng(0)
    one, other = (analytic.class_distance(rng.random((1, 1, 6)), grid, "guided", 8) for _ in range(2))
    assert one == pytest.approx(other, rel=1e-12)


def test_dead_share_of_gaussian_filters_by_brute_force():
    patches = np.array([[1.0, 2.0], [-3.0, 0.5], [0.1, 0.0]], dtype=np.float32)
    measured = trained_laws.GaussianBanks(patches, 2, 500)(np.random.default_rng(0), 40)
    value, error = measured.statistics.estimate(lambda mean: mean["dead"])
    assert abs(value - 0.25) < 4 * error < 0.02


def test_readout_maps_are_those_of_the_network(classifier):
    """``V J`` with the units' own gradients is the saliency map of the network with that readout."""
    net, crop = classifier.network, crop_of(2)
    below = trained_maps.up_to(net, "classifier.1")
    units = below.backward(below.forward(crop), np.eye(128), ["saliency"])[0].reshape(128, -1)
    readout = np.random.default_rng(0).standard_normal((10, 128)).astype(np.float32)
    other = net.with_parameters({"classifier.2.weight": readout})
    maps = other.backward(other.forward(crop), np.eye(10), ["saliency"])[0].reshape(10, -1)
    np.testing.assert_allclose(readout @ units, maps, atol=2e-4 * np.abs(maps).max())


def test_fresh_layers_have_the_energy_of_their_patches(classifier):
    net = classifier.network
    node = next(node for node in net.nodes if isinstance(node, Conv) and node.name == "features.6")
    inputs = trained_laws.features(net, node.source, 2, np.random.default_rng(0))
    measured = trained_laws.FreshLayer(node, inputs, 10)(np.random.default_rng(1), 40)
    value, error = measured.statistics.estimate(lambda mean: mean["energy"])
    assert abs(value - 1) < 4 * error < 0.1


# --- histograms of fc1


def test_without_weights_the_claim_is_not_run():
    outcome = fc1_histograms.run(new_bench())
    assert outcome.evidence == ()
    assert outcome.checks == ()
    assert "VGG-16" in outcome.finding


def verdict_of(outcome):
    return referee.judged(fc1_histograms.CLAIM.margins, outcome.evidence, "", 1e-7)["verdict"]


def test_distance_is_that_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(0)
    for _ in range(5):
        one, other = rng.standard_normal(50), 0.3 + rng.standard_normal(70)
        assert fc1_histograms.distance(one, other) == pytest.approx(
            scipy_stats.ks_2samp(one, other).statistic
        )


def stand_in(spreads, size=3000, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([spread * rng.standard_normal(size) for spread in spreads], dtype=np.float32)


def test_alike_histograms_hold_and_others_do_not():
    rng = np.random.default_rng(1)
    for spreads, verdict in (([0.01] * 20, Verdict.HOLDS), ([0.01, 0.05] * 10, Verdict.REFUTED)):
        weights = stand_in(spreads)
        found = fc1_histograms.measure(weights, 60, rng)
        outcome = fc1_histograms.outcome(found, weights, "Over pairs")
        assert verdict_of(outcome) is verdict
        assert found["standardised"].mean() < 0.05
        assert found["kurtosis"].mean() == pytest.approx(0, abs=0.1)
        assert len(outcome.figures[0].lines) == 2
    assert fc1_histograms.measure(stand_in([0.01] * 9), 30, rng)["spread"].mean() == pytest.approx(
        0.01, rel=0.02
    )


def test_histograms_of_which_some_are_alike_are_undecided():
    weights = stand_in([0.01, 0.022] * 10)  # half of the pairs are far below the limit, half far above it
    found = fc1_histograms.measure(weights, 60, np.random.default_rng(1))
    outcome = fc1_histograms.outcome(found, weights, "Over pairs")
    assert verdict_of(outcome) is Verdict.UNDECIDED


def test_kurtosis_of_another_law():
    weights = np.random.default_rng(0).laplace(size=(5, 20_000))
    found = fc1_histograms.measure(weights, 20, np.random.default_rng(0))
    assert found["kurtosis"].mean() == pytest.approx(3, rel=0.15)


def test_two_samples_of_one_law_are_as_far_apart_as_said():
    """E of Kolmogorov's distance: √(π/2) ln 2 over the root of n/2."""
    weights = stand_in([1.0] * 400, size=2000)
    found = fc1_histograms.measure(weights, 300, np.random.default_rng(0))["distance"].mean()
    assert found == pytest.approx(math.sqrt(math.pi / 2) * math.log(2) / math.sqrt(1000), rel=0.07)


def test_with_weights_the_claim_is_run(monkeypatch):
    monkeypatch.setattr(fc1_histograms, "first_dense_weights", lambda source: stand_in([0.01] * 50))
    outcome = fc1_histograms.run(new_bench(weights="a file"))
    assert verdict_of(outcome) is Verdict.HOLDS
    assert outcome.checks == ()
    assert "50 units" in outcome.finding


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((1, 5)), "at least two rows"),
        (np.ones(5), "at least two rows"),
        (np.ones((3, 5)), "equal weights"),
    ],
)
def test_no_histogram_no_measurement(weights, message):
    with pytest.raises(ValueError, match=message):
        fc1_histograms.measure(weights, 2, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("hed", ValueError, "weights: 'hed' holds no dense layers, expected a whole VGG-16"),
        ("no/such/file.pth", ValueError, "weights 'no/such/file.pth': no such file"),
        (3, TypeError, "weights: expected a path or 'torchvision', got int"),
    ],
)
def test_weights_are_looked_at_before_anything_is_run(weights, error, message):
    with pytest.raises(error, match=message):
        proofs_checks.verify(["lemma1"], budget="quick", jobs=1, weights=weights)


def test_the_command_names_the_weights(tmp_path):
    file = tmp_path / "w.npz"
    file.write_bytes(b"x")
    found = proofs_checks.verify(["lemma1"], budget="quick", jobs=1, weights=file)
    assert f"--weights {file}" in found.command


def test_bench_trains_once(classifier, monkeypatch):
    bench = new_bench()
    assert bench.classifier is bench.classifier
    assert bench.classifier.accuracy == classifier.accuracy
    assert dataclasses.replace(bench, law_scale=1.03).classifier.accuracy == classifier.accuracy
