"""What the units of a network's first dense layer, "fc1", hand down to the picture: each alone, in groups, and all together.

The map of a unit is the backward pass that starts at its input: the rule is applied below, at every ReLU of the convolutions.
Its start at the flattened features is the unit's row of weights, so no network with a whole fc1 has to be drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from proofs_checks.referee import ALIKE
from proofs_checks.rows import PerPicture
from proofs_checks.studies import trained_maps
from proofs_checks.studies.three_layers import inner, unit
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import GraphNetwork, GraphTrace, redrawn
from theorylab.networks.nodes import Activation, Dense
from theorylab.subjects import Subject

UNITS = 4
"""Of which every pair is compared on a picture."""
GROUPS = 4


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
    >>> parts = groups_of(np.arange(1.0, 9.0), np.random.default_rng(0))
    >>> parts.sum(axis=0), (parts > 0).sum(axis=1)
    (array([1., 2., 3., 4., 5., 6., 7., 8.]), array([2, 2, 2, 2]))
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
    """Draw pairs of Gaussian rows (UNITS, 2, size), the two of each with the correlation `ALIKE`, the margin of the claim."""
    shared, own = rng.standard_normal((UNITS, 1, size)), rng.standard_normal((UNITS, 2, size))
    return np.asarray(math.sqrt(ALIKE) * shared + math.sqrt(1 - ALIKE) * own)


def between_pairs(rows: np.ndarray) -> float:
    """Return the mean inner product of two different rows of (n, d)."""
    return float((rows @ rows.T)[np.triu_indices(len(rows), 1)].mean())


@dataclasses.dataclass(frozen=True)
class UnitMaps(PerPicture):
    """Maps of a few random units of fc1 on a picture, in three networks, and of one random logit that reads all units.

    ``trained``: the network itself; ``dense``: its convolutions, rows of fc1 drawn Gaussian; ``random``: convolutions drawn too.
    Numbers:

    - ``<network> <rule>``, the mean cosine over all pairs of units; saliency in the trained network alone;
    - ``cross`` and ``power``, ⟨h(R), h(R')⟩ and ‖h(R)‖² of DeconvNet's signals of two units of ``dense`` at the last ReLU
      below fc1;
    - ``alike`` and ``alike energy``, ⟨S, S'⟩ and ‖S‖² of the saliency maps of two units whose rows are :func:`alike_rows`, over
      the mean energy of trained units', which makes pictures comparable and knows nothing of these rows;
    - ``common <rule>``, the cosine of the logit's map with the normalised mean of the trained units' maps;
    - ``sum <rule>``, its cosine with the sum of the maps of `GROUPS` groups of units.
    """

    def _row(self, x: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
        below, weights = convolutions(self.subject), fc1_weights(self.subject)
        shape = UNITS, weights.shape[1]
        last = [node for node in below.nodes if isinstance(node, Activation)][-1].name
        trace, start, rules = below.forward(x), below.nodes[0].name, trained_maps.RECTIFIED

        chosen = rng.choice(len(weights), min(UNITS, len(weights)), replace=False)
        trained = below.backward(trace, weights[chosen], PAPER).astype(np.float64)
        arriving = below.layer_gradients(trace, rng.standard_normal(shape), rules, [last, start])
        drawn = redrawn(below, rng)
        random = drawn.backward(drawn.forward(x), rng.standard_normal(shape), rules)
        of_units = dict(zip(PAPER, trained_maps.unit_rows(trained), strict=True))
        row = {f"trained {rule.value}": between_pairs(rows) for rule, rows in of_units.items()}
        for name, maps in (("dense", arriving[start][0]), ("random", random)):
            for rule, rows in zip(rules, trained_maps.unit_rows(maps), strict=True):
                row[f"{name} {rule.value}"] = between_pairs(rows)

        signals = Rule.DECONVNET.h(arriving[last][0][rules.index(Rule.DECONVNET)].astype(np.float64))
        signals = signals.reshape(UNITS, -1) / math.sqrt(shape[1])
        row["cross"], row["power"] = between_pairs(signals), float((signals**2).sum() / UNITS)

        scale = float(np.linalg.norm(trained[PAPER.index(Rule.SALIENCY)])) / math.sqrt(len(chosen))
        alike = below.backward(trace, alike_rows(rng, shape[1]).reshape(-1, shape[1]), [Rule.SALIENCY])[0]
        pairs = alike.astype(np.float64).reshape(UNITS, 2, -1) / (scale or 1.0)
        row["alike"] = float((pairs[:, 0] * pairs[:, 1]).sum() / UNITS)
        row["alike energy"] = float((pairs**2).sum() / (2 * UNITS))
        return row | self._of_a_logit(x, trace, weights, rng, of_units)

    def _of_a_logit(
        self,
        x: np.ndarray,
        trace: GraphTrace,
        weights: np.ndarray,
        rng: np.random.Generator,
        of_units: Mapping[Rule, np.ndarray],
    ) -> dict[str, float]:
        net, hidden, below = self.subject.trained, self.subject.hidden, trace.network
        rules, start, row = trained_maps.RECTIFIED, net.nodes[0].name, {}
        seed = np.eye(net.n_logits)[[rng.integers(net.n_logits)]]
        arriving = net.layer_gradients(net.forward(x), seed, rules, [hidden, start])
        for index, rule in enumerate(rules):
            whole = unit(arriving[start][0][index, 0].astype(np.float64))
            groups = through_fc1(groups_of(arriving[hidden][0][index, 0], rng), weights)
            parts = below.backward(trace, groups, [rule])[0].astype(np.float64)
            row[f"sum {rule.value}"] = inner(whole, unit(parts.sum(axis=0)))
            row[f"common {rule.value}"] = inner(whole.ravel(), unit(of_units[rule].mean(axis=0)))
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
