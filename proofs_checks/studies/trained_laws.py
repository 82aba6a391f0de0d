"""Random parts in a trained network: where a weight is Gaussian again, exact laws hold again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from theorylab import PatchGrid, Rule, montecarlo
from theorylab.layers import conv, unit
from theorylab.montecarlo import Measurement
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, Conv, Dense, Flatten, Input, Node

LOGITS = 10
"""Of random dense layers."""


def features(net: GraphNetwork, node: str, images: Iterable[np.ndarray]) -> np.ndarray:
    """Return the output of a node on some pictures, (pictures, *shape)."""
    return np.array([net.forward(image, keep=[node]).activations[node] for image in images])


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
class DenseMaps:
    """What random Gaussian dense layers without biases hand down to the trained convolutions.

    Each replicate is one draw of both dense layers above the features ``o`` of one crop, and a mean over its logits.
    Numbers by rule: ``energy`` ‖S‖², ``classes`` ⟨S, S'⟩ of two logits, ``toward`` ⟨S, o⟩/‖o‖.
    """

    features: np.ndarray
    units: int
    rules: tuple[Rule, ...]

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        numbers = {
            f"{rule.value} {what}": np.zeros(size)
            for rule in self.rules
            for what in ("energy", "classes", "toward")
        }
        for i in range(size):
            x = self.features[rng.integers(len(self.features))].reshape(1, 1, -1)
            net = self._drawn(rng)
            maps = net.backward(net.forward(x), np.eye(net.n_logits), self.rules)
            rows = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
            direction = x.ravel() / np.linalg.norm(x)
            for rule, flat in zip(self.rules, rows, strict=True):
                products = flat @ flat.T
                energy = np.trace(products)
                numbers[f"{rule.value} energy"][i] = energy / len(flat)
                numbers[f"{rule.value} classes"][i] = (products.sum() - energy) / (
                    len(flat) * (len(flat) - 1)
                )
                numbers[f"{rule.value} toward"][i] = float((flat @ direction).mean())
        return montecarlo.measurement(numbers)

    def _drawn(self, rng: np.random.Generator) -> GraphNetwork:
        size = self.features[0].size
        weights = {
            "hidden.weight": rng.standard_normal((self.units, size), dtype=np.float32),
            "readout.weight": rng.standard_normal((LOGITS, self.units), dtype=np.float32),
        }
        return GraphNetwork(head(size, self.units, LOGITS), weights)


@dataclasses.dataclass(frozen=True)
class GaussianBanks:
    """Share of patches on which none of a few Gaussian filters without biases is active: ``dead``.

    Each replicate is the mean over `banks` banks, each seen on all the patches.
    """

    patches: np.ndarray
    filters: int
    banks: int

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        dead = np.empty(size)
        for i in range(size):
            drawn = rng.standard_normal((self.banks * self.filters, self.patches.shape[1]), dtype=np.float32)
            closed = drawn @ self.patches.T <= 0
            dead[i] = closed.reshape(self.banks, self.filters, -1).all(axis=1).mean()
        return montecarlo.measurement({"dead": dead})


@dataclasses.dataclass(frozen=True)
class GaussianReadouts:
    """Saliency maps of logits that a Gaussian readout makes of the trained units below it.

    `grams` are ``J Jᵀ`` for some crops, ``J`` the gradients of the units: maps are ``V J``, and all of their inner products
    are ``V J Jᵀ Vᵀ``.  Numbers, means over the logits of one readout: ``energy`` ‖S‖², ``classes`` ⟨S, S'⟩.
    """

    grams: np.ndarray
    logits: int

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        energy, classes = np.empty(size), np.empty(size)
        for i in range(size):
            gram = self.grams[rng.integers(len(self.grams))]
            readout = rng.standard_normal((self.logits, len(gram)))
            products = readout @ gram @ readout.T
            energy[i] = np.trace(products) / self.logits
            classes[i] = (products.sum() - np.trace(products)) / (self.logits * (self.logits - 1))
        return montecarlo.measurement({"energy": energy, "classes": classes})


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
