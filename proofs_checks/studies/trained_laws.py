"""Random parts in a trained network: where a weight is Gaussian again, exact laws hold again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from proofs_checks.claim import Bench
from proofs_checks.rows import PerDraw
from proofs_checks.studies.trained_maps import distances, unit_rows
from theorylab import PatchGrid, Rule, law, montecarlo
from theorylab.description import description
from theorylab.layers import conv, unit
from theorylab.montecarlo import Measurement
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, Conv, Dense, Flatten, Input, Node

LOGITS = 10
"""Of random dense layers."""
CROPS = 18
"""Pictures whose features are read."""
ENTRIES = 4096
"""The largest number of features that random dense layers read."""


def features(bench: Bench, *nodes: str) -> list[np.ndarray]:
    """Return the outputs of nodes of the trained network on some pictures, each (pictures, *shape); claims share them."""
    missing = [node for node in nodes if ("features", node) not in bench.kept]
    found: dict[str, list[np.ndarray]] = {node: [] for node in missing}
    for image in bench.crops("features", CROPS) if missing else ():
        activations = bench.subject.trained.forward(image, keep=missing).activations
        for node, values in found.items():
            values.append(activations[node])
    bench.kept |= {("features", node): np.array(values) for node, values in found.items()}
    return [bench.kept["features", node] for node in nodes]


def below_dense(bench: Bench) -> np.ndarray:
    """Return what random dense layers read, (pictures, entries): of many features a part, evenly, for their law holds at any."""
    (read,) = features(bench, bench.subject.features)
    return np.ascontiguousarray(read[:, :: -(-read.shape[1] // ENTRIES)])


def random_distance(nodes: Sequence[Node], images: Sequence[np.ndarray], rule: Rule) -> float:
    """Return the predicted distance of two logits' unit maps with random weights, the mean over pictures."""
    stack = description(nodes, "kaiming")  # as the random twin is drawn
    return float(np.mean([law(stack, image, rule).class_distance for image in images]))


def one_patch(size: int) -> PatchGrid:
    """Return the grid of a fully connected layer that reads `size` entries."""
    return PatchGrid((1, 1, size), (1, size))


def head(size: int, units: int, logits: int) -> list[Node]:
    """Return two dense layers as a network that reads features as an image (1, 1, size)."""
    return [
        Input("features", (1, 1, size)),
        Flatten("row", "features"),
        Dense("hidden", "row", units, bias=False),
        Activation("relu", "hidden"),
        Dense("readout", "relu", logits, bias=False),
    ]


@dataclasses.dataclass(frozen=True)
class DenseMaps(PerDraw):
    """What random Gaussian dense layers without biases hand down to the trained convolutions.

    Each replicate is one draw of both dense layers above the features ``o`` of one crop, and a mean over its logits.
    Numbers by rule: ``energy`` ‖S‖², ``classes`` ⟨S, S'⟩ of two logits, ``toward`` ⟨S, o⟩/‖o‖.
    """

    features: np.ndarray
    units: int
    rules: tuple[Rule, ...]

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        x = self.features[rng.integers(len(self.features))].reshape(1, 1, -1)
        net = self._drawn(rng)
        maps = net.backward(net.forward(x), np.eye(net.n_logits), self.rules)
        row = {}
        direction = x.ravel() / np.linalg.norm(x)
        for rule, flat in zip(self.rules, maps.reshape(*maps.shape[:2], -1).astype(np.float64), strict=True):
            products = flat @ flat.T
            energy = np.trace(products)
            row[f"{rule.value} energy"] = energy / len(flat)
            row[f"{rule.value} classes"] = (products.sum() - energy) / (len(flat) * (len(flat) - 1))
            row[f"{rule.value} toward"] = float((flat @ direction).mean())
        return row

    def _drawn(self, rng: np.random.Generator) -> GraphNetwork:
        size = self.features[0].size
        weights = {
            "hidden.weight": rng.standard_normal((self.units, size), dtype=np.float32),
            "readout.weight": rng.standard_normal((LOGITS, self.units), dtype=np.float32),
        }
        return GraphNetwork(head(size, self.units, LOGITS), weights)


def dead(values: np.ndarray) -> np.ndarray:
    """Return the share of positions at which no filter is active, (B,), of what units make of a convolution, (B, N, H, W)."""
    return np.asarray(1 - (values > 0).any(axis=1).mean(axis=(1, 2)))


@dataclasses.dataclass(frozen=True)
class GaussianBanks(PerDraw):
    """Share of patches (B, C, kh, kw) on which none of a few Gaussian filters without biases is active: ``dead``.

    Each replicate is the mean over `banks` banks, each seen on all the patches by a convolution with a ReLU behind it.
    """

    patches: np.ndarray
    filters: int
    banks: int

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        kernel = self.patches.shape[2:]
        node = Conv("filters", "patches", self.banks * self.filters, (kernel[0], kernel[1]), bias=False)
        drawn = rng.standard_normal((node.n_filters, *self.patches.shape[1:]), dtype=np.float32)
        seen = unit.forward(node.forward({"filters.weight": drawn}, self.patches)[0])
        return {"dead": dead(seen.reshape(-1, self.filters, 1, 1)).mean()}


@dataclasses.dataclass(frozen=True)
class GaussianReadouts(PerDraw):
    """How far apart the saliency maps of logits are that a Gaussian readout makes of trained features: ``squared``.

    `net` ends at the features, and each replicate is one picture of `images` and one draw of the readout: the mean squared
    distance of unit maps over all pairs of `logits` logits.
    """

    net: GraphNetwork
    images: Sequence[np.ndarray]
    logits: int

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        trace = self.net.forward(self.images[int(rng.integers(len(self.images)))])
        # A logit's readout row is what its backward pass starts from.
        readout = rng.standard_normal((self.logits, self.net.n_logits))
        maps = self.net.backward(trace, readout, [Rule.SALIENCY])[0]
        return {"squared": (distances(unit_rows(maps)) ** 2).mean()}


@dataclasses.dataclass(frozen=True)
class FreshLayer:
    """Energy behind the ReLU of a convolution drawn anew, over what its patches predict: ``energy``.

    Filters have variance 2 over the fan-in and no bias.  Each replicate reads one of the inputs and is a mean over `layers`
    draws.
    """

    node: Conv
    inputs: np.ndarray
    layers: int

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        shape = self.inputs.shape[1:]
        grid = PatchGrid(
            (shape[0], shape[1], shape[2]), self.node.kernel, self.node.stride, self.node.padding
        )
        variance = 2 / grid.patch_size
        predicted = self.node.n_filters * variance / 2 * (grid.coverage * self.inputs**2).sum(axis=(1, 2, 3))
        energy = np.empty(size)
        for i in range(size):
            index = rng.integers(len(self.inputs))
            drawn = rng.standard_normal(
                (self.layers * self.node.n_filters, shape[0], *grid.kernel), dtype=np.float32
            )
            drawn *= np.float32(variance**0.5)
            activations = unit.forward(conv.forward(self.inputs[index][None], drawn, grid))
            energy[i] = (activations.astype(np.float64) ** 2).sum() / self.layers / predicted[index]
        return montecarlo.measurement({"energy": energy})
