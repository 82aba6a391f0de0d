"""Deep random networks, simulated from the definitions, and their limit of wide layers, for the claims about depth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from theorylab import ConvSpec, MaxPool, PatchGrid, Rule, montecarlo
from theorylab.montecarlo import Measurement


@dataclasses.dataclass(frozen=True)
class Stack:
    """Random networks of convolutions and ReLUs on one picture; the readout of every logit has variance 1.

    A dense layer is a 1×1 convolution of a picture of one position.  `pools` holds max-pools by the number of the convolution
    that they stand behind, from 0.

    Gaussian weights are symmetric: a network in which the weights of some layers are negated has the same law, and other
    units open.  One draw of weights therefore serves `copies` networks, each with signs and readouts of its own.  They
    are dependent, so a replicate is the mean over them.  The `logits` of one network stand beside each other.
    """

    x: np.ndarray
    layers: tuple[ConvSpec, ...]
    copies: int = 1
    logits: int = 1
    pools: Mapping[int, MaxPool] = dataclasses.field(default_factory=dict)

    @property
    def grids(self) -> list[PatchGrid]:
        """The patches of every layer's input."""
        grids: list[PatchGrid] = []
        channels, height, width = self.x.shape
        for number, layer in enumerate(self.layers):
            grid = PatchGrid((channels, height, width), layer.kernel, layer.stride, layer.padding)
            channels, (height, width) = layer.n_filters, grid.output_shape
            if number in self.pools:
                height, width = self.pools[number].output_shape((height, width))
            grids.append(grid)
        return grids

    def descend(
        self, rng: np.random.Generator, size: int, rules: Sequence[Rule]
    ) -> Iterator[tuple[int, np.ndarray, dict[Rule, np.ndarray]]]:
        """Draw `size` sets of weights; from the top layer down yield ``l``, ``o^(l)`` and each rule's ``V̂^(l)``.

        Both arrays are (size, copies · logits, C, H, W), in single precision.
        """
        lead = (size, self.copies * self.logits)
        grids = self.grids
        signs = rng.choice(np.array([-1, 1], dtype=np.float32), (len(grids), size, self.copies, 1, 1))
        signs = signs.repeat(self.logits, axis=2)
        outputs: list[np.ndarray] = [np.broadcast_to(self.x.astype(np.float32), (*lead, *self.x.shape))]
        weights, before = [], []
        won: dict[int, np.ndarray] = {}  # of each pool: which entry of a window is its first largest
        for number, (grid, layer, sign) in enumerate(zip(grids, self.layers, signs, strict=True)):
            w = rng.standard_normal((size, grid.patch_size, layer.n_filters), dtype=np.float32)
            w *= np.float32(layer.std)
            z = grid.extract(outputs[-1]).reshape(size, -1, grid.patch_size) @ w
            z = sign * z.reshape(*lead, grid.n_patches, layer.n_filters)
            planes = np.maximum(z, 0).swapaxes(-1, -2)
            plane = grid.output_shape
            if number in self.pools:
                held = self.pools[number].windows(plane)
                values = np.where(held < 0, np.float32(-np.inf), planes[..., held])
                won[number], planes = values.argmax(axis=-1), values.max(axis=-1)
                plane = self.pools[number].output_shape(plane)
            weights.append(w)
            before.append(z)
            outputs.append(planes.reshape(*lead, layer.n_filters, *plane))
        gradients = dict.fromkeys(rules, rng.standard_normal(outputs[-1].shape, dtype=np.float32))
        for number in reversed(range(len(grids))):
            grid, w, z = grids[number], weights[number], before[number]
            for rule, gradient in gradients.items():
                if number in won:
                    held = self.pools[number].windows(grid.output_shape)
                    gradient = _sent_to(won[number], gradient, held, grid.n_patches)
                columns = gradient.reshape(*lead, -1, grid.n_patches).swapaxes(-1, -2)
                passed = signs[number] * rule.backward(columns, z)
                patches = passed.reshape(size, -1, w.shape[-1]) @ w.swapaxes(-1, -2)
                gradients[rule] = grid.fold(patches.reshape(*lead, grid.n_patches, grid.patch_size))
            yield number, outputs[number], dict(gradients)


def _sent_to(won: np.ndarray, gradient: np.ndarray, held: np.ndarray, n_units: int) -> np.ndarray:
    """Send what windows receive to their winners, where it adds: (…, n_units)."""
    received = np.zeros((*won.shape[:-1], n_units), dtype=gradient.dtype)
    gradient = gradient.reshape(won.shape)
    for entry, units in enumerate(held.T):
        inside = units >= 0
        # No two windows have the same unit as the same entry.
        received[..., units[inside]] += ((won == entry) * gradient)[..., inside]
    return received


def stacked(
    channels: int, n_filters: Sequence[int], kernels: Sequence[int], strides: Sequence[int]
) -> tuple[ConvSpec, ...]:
    """Return stacked convolutions, from the picture up, with half padding and variance 2 over the fan-in."""
    fan_ins = [kernel**2 * below for kernel, below in zip(kernels, (channels, *n_filters[:-1]), strict=True)]
    return tuple(
        ConvSpec(n, kernel, stride, (kernel - 1) // 2, std=math.sqrt(2 / fan_in))
        for n, kernel, stride, fan_in in zip(n_filters, kernels, strides, fan_ins, strict=True)
    )


def dense(widths: Sequence[int]) -> tuple[ConvSpec, ...]:
    """Return dense layers, from the entries of the input up, of variance 2 over the fan-in."""
    sides = [1] * (len(widths) - 1)
    return stacked(widths[0], widths[1:], sides, sides)


@dataclasses.dataclass(frozen=True)
class Distances:
    """Squared distances of two logits' unit-norm ``V̂^(l)`` in networks of two logits: ``<rule> apart <l>``, 0 is the input."""

    stack: Stack
    rules: tuple[Rule, ...]

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        return montecarlo.measurement(
            {
                f"{rule.value} apart {layer}": 2 - 2 * cosine(v[:, ::2], v[:, 1::2]).mean(axis=1)
                for layer, _, gradients in self.stack.descend(rng, size, self.rules)
                for rule, v in gradients.items()
            }
        )


def apart(rule: Rule, layer: int, mean: Mapping[str, float]) -> float:
    """Return the distance of two logits at a layer."""
    return math.sqrt(mean[f"{rule.value} apart {layer}"])


def inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return inner products over the last three axes, summed in double precision."""
    return np.asarray((a * b).sum(axis=(-3, -2, -1), dtype=np.float64))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return cosines over the last three axes."""
    return np.asarray(inner(a, b) / np.sqrt(inner(a, a) * inner(b, b)))


def grouped(values: np.ndarray, size: int) -> np.ndarray:
    """Return one row for each group of `size` networks: (G, size), or (G, size, C, H, W) of maps."""
    return values.reshape(-1, size, *values.shape[1:] if values.ndim > 2 else ())


def between(whole: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the mean product of two different ones of a group, from the square of their sum and the squares (..., G)."""
    size = squares.shape[-1]
    return np.asarray((whole - squares.sum(axis=-1)) / (size * (size - 1)))
