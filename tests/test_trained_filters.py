"""How trained filters lie among the patches, and which patches they leave dead."""

import numpy as np
import pytest

from proofs_checks.claims import dead_zones, figure7
from proofs_checks.studies import filters, trained_laws, trained_maps
from theorylab import drawing, networks, subjects, training
from theorylab.charts import CurveFigure, Line
from theorylab.figures import figure3
from theorylab.networks.batches import batch_activations
from theorylab.networks.nodes import Activation, Add, BatchNorm, Conv, Dense, Flatten, Input


def test_dimension_of_directions_by_eigenvalues():
    rows = filters.directions(
        np.random.default_rng(0).standard_normal((9, 2, 3)) * np.arange(9).reshape(-1, 1, 1)
    )
    assert rows.shape == (8, 6)  # the first filter is zero
    values = np.linalg.eigvalsh(rows.T @ rows / len(rows))
    assert filters.dimension(rows) == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-12)


@pytest.mark.parametrize(("n", "size"), [(5, 3), (12, 40)])
def test_dimension_of_random_directions_by_simulation(n, size):
    rng = np.random.default_rng(1)
    inverse = [1 / filters.dimension(filters.directions(rng.standard_normal((n, size)))) for _ in range(4000)]
    error = np.std(inverse, ddof=1) / len(inverse) ** 0.5
    expected = 1 / filters.random_dimension(n, size)
    assert abs(np.mean(inverse) - expected) < 4 * error
    assert error < 0.01 * expected


def test_the_cone_is_the_narrowest():
    """In the plane by hand; in space no axis of many does better, and the best comes near."""
    angles = np.radians([10.0, 25.0, 80.0])
    plane = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert filters.cone(plane) == pytest.approx(35.0, abs=1e-6)
    rng = np.random.default_rng(2)
    rows = filters.directions(rng.standard_normal((6, 3)) + np.array([3, 0, 0]))
    axes = filters.directions(rng.standard_normal((400_000, 3)) + np.array([3, 0, 0]))
    widest = np.degrees(np.arccos((axes @ rows.T).min(axis=1)))
    assert filters.cone(rows) <= widest.min() + 1e-6
    assert widest.min() < filters.cone(rows) + 0.3
    assert filters.cone(np.concatenate([rows, -rows])) == pytest.approx(90, abs=1e-3)


def test_units_are_found_behind_normalisation_and_not_behind_sums():
    nodes = [
        Input("x", (1, 4, 4)),
        Conv("one", "x", 1, 1, bias=False),
        BatchNorm("norm", "one"),
        Activation("relu", "norm"),
        Conv("two", "relu", 1, 1),
        Add("sum", ("two", "x")),
        Activation("last", "sum"),
        Flatten("flat", "last"),
        Dense("fc", "flat", 1),
    ]
    shapes = {
        name: shape
        for node in nodes
        for name, shape in node.parameter_shapes((16,) if node.name == "fc" else (1, 4, 4)).items()
    }
    net = networks.GraphNetwork(nodes, {name: np.ones(shape) for name, shape in shapes.items()})
    assert subjects.gates(net) == {"one": "relu"}


def test_shares_are_those_of_single_pictures():
    subject = subjects.small()
    crops, _ = training.crops("test", 3, seed=0)
    together = dead_zones.DeadPatches(subject, images=list(crops))(np.random.default_rng(0), 3)
    alone = [figure3.dead_shares(subject.trained, crop) for crop in crops]
    titles = subject.layers()
    for name in subjects.gates(subject.trained):
        for what, key in (("dead", "dead_positions"), ("closed", "closed_units")):
            expected = np.mean([shares[key][titles[name]] for shares in alone])
            assert together.estimate(f"{what} {name}")[0] == pytest.approx(expected, abs=1e-9)
    net, name = subject.trained, "features.0"
    order = np.argsort(dead_zones.contrasts(dead_zones.convolution(net, name), crops[0]))
    closed = net.forward(crops[0], keep=[name]).activations[name].reshape(16, -1) <= 0
    first = dead_zones.DeadPatches(subject, images=[crops[0]])(np.random.default_rng(0), 1)
    for what, part in (("flat", order[:256]), ("edges", order[-256:])):
        found = first.statistics.mean[first.statistics.names.index(what)]
        assert found == pytest.approx(closed[:, part].mean(), abs=1e-3)
    with pytest.raises(ValueError, match="no node 'conv'"):
        batch_activations(subject.trained, crops, ["conv"])


def test_a_dead_patch_is_counted():
    values = np.zeros((2, 3, 1, 4))
    values[0, 1, 0, :2] = 1.0
    np.testing.assert_array_equal(trained_laws.dead(values), [0.5, 1.0])


@pytest.mark.parametrize("node", ["flatten", "classifier.1"])
def test_a_readout_on_trained_features_has_the_distance_of_its_law(node):
    subject = subjects.small()
    crops, _ = training.crops("test", 4, seed=1)
    below = trained_maps.up_to(subject.trained, node)
    measured = trained_laws.GaussianReadouts(below, list(crops), 8)(np.random.default_rng(0), 60)
    value, error, _ = measured.estimate("squared")
    assert abs(value - 2) < 4 * error < 0.2


def test_contrast_is_the_variance_within_a_patch():
    image = np.zeros((2, 2, 4))
    image[1, :, 3] = 2.0
    found = dead_zones.contrasts(Conv("c", "x", 1, (2, 2), 2), image)
    np.testing.assert_array_equal(found, [0, 1])


def test_distances_of_all_pairs():
    rows = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    np.testing.assert_allclose(trained_maps.distances(rows), [5, 1, 18**0.5])


def test_names_stand_along_an_axis():
    for names, rotation in ((("a", "b"), 0), (tuple(f"conv{i}_1" for i in range(10)), 90)):
        at = np.arange(len(names))
        axes = drawing.draw(CurveFigure("c", "", "x", "y", (Line("l", at, at),), (), x_names=names)).axes[0]
        assert [label.get_text() for label in axes.get_xticklabels()] == list(names)
        assert axes.get_xticklabels()[0].get_rotation() == rotation


def test_margins_ask_for_what_the_paper_says():
    """Saliency's distance is much the larger, DeconvNet's larger at all: each a share of the larger one."""
    highs = [margin.high for margin in figure7.CLAIM.margins]
    assert highs == [0.8] * 4 + [1.0]
    assert all("saliency" in margin.quantity for margin in figure7.CLAIM.margins[:4])
