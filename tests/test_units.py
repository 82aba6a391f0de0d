"""Units of the first dense layer: their maps, sums over them, the stages of two logits' distance, and their histograms."""

import dataclasses
import math

import numpy as np
import pytest
import real_networks
from scipy import stats as scipy_stats

from proofs_checks import referee
from proofs_checks.claim import Bench
from proofs_checks.claims import equation9, fc1_histograms
from proofs_checks.results import Verdict
from proofs_checks.studies import trained_maps, units
from theorylab import images, photographs, stats, subjects, training
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, Conv, Dense, Flatten, Input


@pytest.fixture(scope="module")
def subject():
    return subjects.small()


def new_bench(subject):
    return Bench(x=images.load(size=16), budget="quick", seed=0, jobs=1, level=1e-7, subject=subject)


def crop_of(seed):
    return training.crops("test", 1, seed=seed)[0][0]


def with_rows(subject, rows):
    """The subject with other weights of fc1."""
    net = subject.trained.with_parameters({f"{subject.hidden}.weight": rows})
    return dataclasses.replace(subject, trained=net)


# --- maps of units, and sums of them


def test_the_map_of_a_unit_starts_with_its_row_of_weights(subject):
    crop = crop_of(0)
    below, whole = units.convolutions(subject), trained_maps.up_to(subject.trained, subject.hidden)
    maps = below.backward(below.forward(crop), units.fc1_weights(subject)[[3, 7]], PAPER)
    wanted = whole.backward(whole.forward(crop), np.eye(128)[[3, 7]], PAPER)
    np.testing.assert_allclose(maps, wanted, atol=1e-5 * np.abs(wanted).max())


def test_signals_through_fc1():
    rng = np.random.default_rng(0)
    signals, weights = rng.standard_normal((3, 5)), rng.standard_normal((5, 40)).astype(np.float32)
    handed = units.through_fc1(signals, weights)
    assert handed.dtype == np.float64
    np.testing.assert_allclose(handed, signals @ weights, rtol=1e-12, atol=1e-13)


def test_the_whole_of_the_sums_is_the_map_of_the_network(subject):
    """Two logits' difference: its backward pass through the whole float32 network, and from fc1 down in float64."""
    crop, net = crop_of(1), subject.trained
    whole, summed, positive = units.sums(subject, crop, np.random.default_rng(2))
    pair = np.eye(10)[np.random.default_rng(2).choice(10, 2, replace=False)]
    map_ = net.backward(net.forward(crop), pair[:1] - pair[1:], [Rule.SALIENCY])[0, 0]
    np.testing.assert_allclose(whole, map_, atol=1e-4 * np.abs(map_).max())
    np.testing.assert_allclose(summed, whole, rtol=0, atol=1e-12 * np.abs(whole).max())
    assert np.linalg.norm(positive - whole) > 0.1 * np.linalg.norm(whole)


def test_rows_made_to_be_alike():
    rows = units.alike_rows(np.random.default_rng(0), 200_000)
    assert rows.shape == (units.UNITS, 2, 200_000)
    for pair in rows:
        assert np.corrcoef(pair)[0, 1] == pytest.approx(referee.ALIKE, abs=0.002)
        assert pair.std() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(rows[:, 0])[0, 1]) < 0.02


def test_the_verdict_has_power_both_ways(subject):
    """Rows that are nearly one make maps that are, whatever the convolutions; the trained rows do not."""
    rng = np.random.default_rng(0)
    weights = units.fc1_weights(subject)
    one = weights[:1] + 0.01 * weights.std() * rng.standard_normal(weights.shape).astype(np.float32)
    crops = training.crops("test", 16, seed=rng)[0]
    for looked_at, verdict in ((with_rows(subject, one), Verdict.HOLDS), (subject, Verdict.REFUTED)):
        measured = units.UnitMaps(looked_at, images=crops)(rng, len(crops))
        evidence = [
            referee.Evidence(*measured.estimate(f"trained {rule.value}")) for rule in trained_maps.RECTIFIED
        ]
        ruled = referee.judged(equation9.CLAIM.margins, evidence, "", 1e-3)
        assert ruled["verdict"] is verdict
    # Equal rows give one map.
    measured = units.UnitMaps(with_rows(subject, np.repeat(weights[:1], 128, axis=0)), images=crops[:4])(
        rng, 4
    )
    for rule in trained_maps.RECTIFIED:
        assert measured.estimate(f"trained {rule.value}")[0] == pytest.approx(1, abs=1e-5)


def test_where_dense_layers_are_random_the_finding_says_so(subject):
    bench = new_bench(dataclasses.replace(subject, trained_dense=False))
    measured = units.UnitMaps(subject, images=bench.crops("a", 2))(np.random.default_rng(0), 2)
    logits = trained_maps.LogitMaps(subject, images=bench.crops("a", 2))(np.random.default_rng(0), 2)
    assert "whose weights are random" in equation9._finding(bench, measured, logits)
    assert "whose weights are random" not in equation9._finding(new_bench(subject), measured, logits)


# --- stages


def test_the_stages_of_two_logits(subject):
    assert trained_maps.stages(subject.trained) == {
        "the logits' weights": "classifier.1",
        "fc1": "classifier.0",
        "the features": "flatten",
        "the picture": "input",
    }
    row = trained_maps.LogitMaps(subject)._row(crop_of(0), np.random.default_rng(0))
    for rule in PAPER:
        assert row[f"trained {rule.value}"] == row[f"trained {rule.value} at the picture"]
    # No rule has applied to the rows of the readout.
    at_weights = {row[f"trained {rule.value} at the logits' weights"] for rule in PAPER}
    assert max(at_weights) == pytest.approx(min(at_weights), rel=1e-6)


def test_units_that_are_the_logits_have_no_stage_of_their_own():
    nodes = [
        Input("x", (1, 2, 2)),
        Conv("c", "x", 2, 1),
        Activation("r", "c"),
        Flatten("f", "r"),
        Dense("d", "f", 3),
    ]
    rng = np.random.default_rng(0)
    shapes = {"c.weight": (2, 1, 1, 1), "c.bias": (2,), "d.weight": (3, 8), "d.bias": (3,)}
    net = GraphNetwork(nodes, {name: rng.standard_normal(shape) for name, shape in shapes.items()})
    assert list(trained_maps.stages(net)) == ["the logits' weights", "the features", "the picture"]


# --- histograms


def stand_in(spreads, size=3000, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([spread * rng.standard_normal(size) for spread in spreads], dtype=np.float32)


def verdict_of(outcome):
    return referee.judged(fc1_histograms.CLAIM.margins, outcome.evidence, "", 1e-7)["verdict"]


def test_distances_of_samples():
    rng = np.random.default_rng(0)
    for _ in range(5):
        one, other = rng.standard_normal(50), 0.3 + rng.standard_normal(70)
        found = stats.sample_distances(one, other)
        values = np.concatenate([one, other])
        steps = [(rows[:, None] <= values).mean(axis=0) for rows in (one, other)]
        assert found["kolmogorov"] == pytest.approx(np.abs(steps[0] - steps[1]).max())
        area = scipy_stats.wasserstein_distance(one, other)
        assert found["wasserstein"] == pytest.approx(area / math.sqrt((one.var() + other.var()) / 2))
    sample = rng.standard_normal(1000)
    shift = 0.5 * sample.std()
    assert stats.sample_distances(sample, sample + shift)["wasserstein"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="both samples are constant"):
        stats.sample_distances(np.ones(3), np.zeros(3))


def test_alike_histograms_hold_and_others_do_not():
    # In every pair the two differ, or no pair does.
    for spreads, verdict in (([0.01] * 60, Verdict.HOLDS), (np.geomspace(1e-9, 1, 60), Verdict.REFUTED)):
        weights = stand_in(spreads)
        found = fc1_histograms.measure(weights, 30, np.random.default_rng(1))
        outcome = fc1_histograms.outcome(found, weights, "Over pairs")
        assert verdict_of(outcome) is verdict
        assert found["standardised"].mean() < 0.05
        assert found["gaussian"].mean() < 0.03
        assert found["kurtosis"].mean() == pytest.approx(0, abs=0.1)
        assert len(outcome.figures[0].lines) == 4


def test_histograms_of_another_law_are_no_gaussians():
    weights = np.sign(np.random.default_rng(0).standard_normal((60, 2000)))
    found = fc1_histograms.measure(weights, 30, np.random.default_rng(0))
    assert found["kolmogorov"].mean() < 0.05
    assert verdict_of(fc1_histograms.outcome(found, weights, "Over pairs")) is Verdict.REFUTED


def test_kurtosis_of_another_law():
    weights = np.random.default_rng(0).laplace(size=(40, 20_000))
    found = fc1_histograms.measure(weights, 20, np.random.default_rng(0))
    assert found["kurtosis"].mean() == pytest.approx(3, rel=0.15)
    # The largest distance of Laplace's and Gauss's distribution functions of one variance.
    grid = np.linspace(0, 5, 10_001)
    apart = np.abs(scipy_stats.laplace.cdf(grid, scale=math.sqrt(0.5)) - scipy_stats.norm.cdf(grid)).max()
    assert found["gaussian"].mean() == pytest.approx(apart, abs=0.005)


def test_two_samples_of_one_law_are_as_far_apart_as_said():
    """E of Kolmogorov's distance: √(π/2) ln 2 over the root of n/2."""
    weights = stand_in([1.0] * 600, size=2000)
    found = fc1_histograms.measure(weights, 300, np.random.default_rng(0))["kolmogorov"].mean()
    assert found == pytest.approx(math.sqrt(math.pi / 2) * math.log(2) / math.sqrt(1000), rel=0.07)


def test_no_unit_is_in_two_pairs():
    weights = np.arange(10.0)[:, None] + np.array([0.0, 1.0, 3.0])
    means = fc1_histograms.measure(weights, 99, np.random.default_rng(0))["mean"]
    assert len(set(means.round(6))) == len(means) == 5


def test_histograms_of_the_subject(subject):
    trained = fc1_histograms.run(new_bench(subject))
    assert len(trained.evidence) == 2
    assert "128 units" in trained.finding
    random = fc1_histograms.run(new_bench(dataclasses.replace(subject, trained_dense=False)))
    assert (random.evidence, random.checks) == ((), ())
    assert "dense layers of the network looked at are random" in random.finding


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((3, 5)), "at least four rows"),
        (np.ones(5), "at least four rows"),
        (np.ones((4, 5)), "equal weights"),
    ],
)
def test_no_histogram_no_measurement(weights, message):
    with pytest.raises(ValueError, match=message):
        fc1_histograms.measure(weights, 2, np.random.default_rng(0))


# --- VGG-16


@pytest.mark.slow
@real_networks.needs_data
def test_units_of_a_trained_vgg16():
    pytest.importorskip("torch")
    looked_at = subjects.given(model="real_networks:classifier")
    assert (looked_at.is_vgg16, looked_at.trained_dense) == (True, True)
    x = looked_at.prepared(photographs.crop("cat", looked_at.side, seed=0)).astype(np.float32)
    row = units.UnitMaps(looked_at)._row(x, np.random.default_rng(0))
    for rule in trained_maps.RECTIFIED:
        assert row[f"trained {rule.value}"] > 0.95
        assert row[f"sum {rule.value}"] > 0.95
    assert abs(row["trained saliency"]) < 0.5
    assert row["cross"] / row["power"] == pytest.approx(1 / math.pi, rel=0.03)
    assert row["alike"] / row["alike energy"] == pytest.approx(0.9, abs=0.04)
    whole, summed, _ = units.sums(looked_at, x, np.random.default_rng(0))
    assert np.linalg.norm(summed - whole) < 1e-10 * np.linalg.norm(whole)
