"""What the units of a network's first dense layer, "fc1", hand down to the picture: each alone, in groups, and all together.

The map of a unit is the backward pass that starts at its input: the rule is applied below, at every ReLU of the convolutions.
Its start at the flattened features is the unit's row of weights, so no network with a whole fc1 has to be drawn.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.pictures import PerPicture
from proofs_checks.referee import ALIKE
from proofs_checks.studies import trained_maps
from proofs_checks.studies.three_layers import inner, unit
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Activation, Dense
from theorylab.subjects import FanIn, Subject

UNITS = 4
"""Of which every pair is compared on a picture."""
GROUPS = 8


def fc1_weights(subject: Subject) -> np.ndarray:
    """Return the weights of fc1, (units, features)."""
    node = next(node for node in subject.trained.nodes if node.name == subject.hidden)
    assert isinstance(node, Dense)
    return subject.trained.parameters[node.parameter("weight")]


def convolutions(subject: Subject) -> GraphNetwork:
    """Return the trained network up to the flattened features, which are its logits."""
    return trained_maps.up_to(subject.trained, subject.features)


def groups_of(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Split a signal (units,) among random groups of equal size: (GROUPS, units), of which each unit is in one.

    Examples
    --------
    >>> parts = groups_of(np.arange(1.0, 17.0), np.random.default_rng(0))
    >>> parts.sum(axis=0), (parts > 0).sum(axis=1)
    (array([ 1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,
           14., 15., 16.]), array([2, 2, 2, 2, 2, 2, 2, 2]))
    """
    group = rng.permutation(len(signal)) % GROUPS
    return np.where(group == np.arange(GROUPS)[:, None], signal, 0)


def through_fc1(signals: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what signals at fc1, (T, units), hand to the features, (T, features), in the precision of the signals.

    A block of columns at a time, because all weights of VGG-16 in float64 would take most of a gigabyte.
    """
    blocks = np.array_split(weights, 16, axis=1)
    return np.concatenate([signals @ block.astype(signals.dtype, copy=False) for block in blocks], axis=1)


def alike_rows(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw Gaussian rows (UNITS, size) of which every two have the correlation `ALIKE`, the margin of the claim."""
    shared, own = rng.standard_normal(size), rng.standard_normal((UNITS, size))
    return math.sqrt(ALIKE) * shared + math.sqrt(1 - ALIKE) * own


def between_pairs(rows: np.ndarray) -> float:
    """Return the mean inner product of two different rows of (n, d)."""
    return float((rows @ rows.T)[np.triu_indices(len(rows), 1)].mean())


@dataclasses.dataclass(frozen=True)
class UnitMaps(PerPicture):
    """Maps of a few random units of fc1 on a picture, in three networks, and of one random logit that reads all units.

    ``trained``: the trained network, if its dense layers are trained; ``dense``: its convolutions, rows of fc1 drawn Gaussian;
    ``random``: convolutions drawn too.  Numbers:

    - ``<network> <rule>``, the mean cosine over all pairs of units;
    - ``cross`` and ``power``, ⟨h(R), h(R')⟩ and ‖h(R)‖² of DeconvNet's signals of two units of ``dense`` at the last ReLU
      below fc1;
    - ``alike`` and ``alike energy``, ⟨S, S'⟩ and ‖S‖² of the saliency maps of units whose rows are :func:`alike_rows`, over the
      mean energy of those of ``dense``, which makes pictures comparable and knows nothing of these rows;
    - ``common <rule>``, the cosine of the logit's map with the normalised mean of the units' maps;
    - ``sum <rule>``, its cosine with the sum of the maps of `GROUPS` groups of units.
    """

    def _row(self, x: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
        below, weights = convolutions(self.subject), fc1_weights(self.subject)
        size = weights.shape[1]
        last = [node for node in below.nodes if isinstance(node, Activation)][-1]
        trace = below.forward(x)
        start, row = below.nodes[0].name, {}

        gaussian = rng.standard_normal((UNITS, size))
        arriving = below.layer_gradients(trace, gaussian, PAPER, [last.name, start])
        raw = {"dense": arriving[start][0]}
        signals = Rule.DECONVNET.h(arriving[last.name][0][PAPER.index(Rule.DECONVNET)].astype(np.float64))
        signals = signals.reshape(UNITS, -1) / math.sqrt(size)
        row["cross"], row["power"] = between_pairs(signals), float((signals**2).sum() / UNITS)

        drawn = FanIn(below)(rng)
        raw["random"] = drawn.backward(drawn.forward(x), rng.standard_normal((UNITS, size)), PAPER)
        chosen = rng.choice(len(weights), min(UNITS, len(weights)), replace=False)
        if self.subject.trained_dense:
            raw["trained"] = below.backward(trace, weights[chosen], PAPER)
        for name, maps in raw.items():
            for rule, rows in zip(PAPER, trained_maps.unit_rows(maps), strict=True):
                row[f"{name} {rule.value}"] = between_pairs(rows)

        scale = np.linalg.norm(raw["dense"][PAPER.index(Rule.SALIENCY)].astype(np.float64)) / math.sqrt(UNITS)
        maps = below.backward(trace, alike_rows(rng, size), [Rule.SALIENCY])[0]
        alike = maps.reshape(UNITS, -1).astype(np.float64) / scale
        row["alike"], row["alike energy"] = between_pairs(alike), float((alike**2).sum() / UNITS)

        looked_at = trained_maps.unit_rows(raw["trained" if self.subject.trained_dense else "dense"])
        return row | self._of_a_logit(x, rng, looked_at)

    def _of_a_logit(self, x: np.ndarray, rng: np.random.Generator, units: np.ndarray) -> dict[str, float]:
        net, hidden = self.subject.trained, self.subject.hidden
        below, weights, start = convolutions(self.subject), fc1_weights(self.subject), net.nodes[0].name
        rules = trained_maps.RECTIFIED
        seed = np.eye(net.n_logits)[[rng.integers(net.n_logits)]]
        arriving = net.layer_gradients(net.forward(x), seed, rules, [hidden, start])
        trace, row = below.forward(x), {}
        for index, rule in enumerate(rules):
            whole = unit(arriving[start][0][index, 0].astype(np.float64))
            groups = through_fc1(groups_of(arriving[hidden][0][index, 0], rng), weights)
            parts = below.backward(trace, groups, [rule])[0].astype(np.float64)
            row[f"sum {rule.value}"] = inner(whole, unit(parts.sum(axis=0)))
            mean = units[PAPER.index(rule)].mean(axis=0)
            row[f"common {rule.value}"] = inner(whole.ravel(), unit(mean))
        return row


def sums(
    subject: Subject, x: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a saliency map, the sum of the maps of groups of fc1's units, and that of the units with a positive weight alone.

    The map is that of the difference of two random logits, in float64 from fc1 down.
    """
    net, weights = subject.trained, fc1_weights(subject)
    pair = np.eye(net.n_logits)[rng.choice(net.n_logits, 2, replace=False)]
    trace = net.forward(x)
    arriving = net.layer_gradients(trace, pair[:1] - pair[1:], [Rule.SALIENCY], [subject.hidden])
    signal = arriving[subject.hidden][0][0, 0].astype(np.float64)
    signals = np.stack([signal, np.maximum(signal, 0), *groups_of(signal, rng)])
    below = convolutions(subject)
    below = GraphNetwork(
        below.nodes, {name: array.astype(np.float64) for name, array in below.parameters.items()}
    )
    whole, positive, *parts = below.backward(
        below.forward(x), through_fc1(signals, weights), [Rule.SALIENCY]
    )[0]
    return whole, np.sum(parts, axis=0), positive
