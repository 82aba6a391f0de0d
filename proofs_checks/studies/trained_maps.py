"""What the claims about trained networks measure: maps of a trained network and of its random twins.

Each replicate is one picture and, where a network or a layer is random, a fresh draw of it.  Intervals and verdicts speak of
this network and of pictures of this kind.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import numpy as np
import threadpoolctl

from proofs_checks.claim import Bench
from proofs_checks.rows import PerPicture
from theorylab import display
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement
from theorylab.networks import GraphNetwork
from theorylab.networks.nodes import Dense
from theorylab.subjects import Subject

P = ParamSpec("P")
R = TypeVar("R")

KINDS = ("trained", "random")
RECTIFIED = (Rule.GUIDED, Rule.DECONVNET)


def one_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to run with one BLAS thread, because BLAS rounds differently with more."""
    limited: Callable[P, R] = threadpoolctl.threadpool_limits.wrap(limits=1, user_api="blas")(function)
    return limited


def words(measured: Measurement, names: Mapping[str, str]) -> str:
    """Write means with their standard errors."""
    estimates = {word: measured.estimate(name) for word, name in names.items()}
    return ", ".join(f"{word} {value:.3f} ± {error:.3f}" for word, (value, error, _) in estimates.items())


def network_words(subject: Subject) -> str:
    """Write which network a finding is about."""
    return f"On {subject.label}"


def unit_rows(maps: np.ndarray) -> np.ndarray:
    """Return maps ``(..., C, H, W)`` as rows of norm 1, float64; a zero map stays zero."""
    return display.unit_norm(maps.astype(np.float64)).reshape(*maps.shape[:-3], -1)


def distances(rows: np.ndarray) -> np.ndarray:
    """Return the distances of all pairs of rows (T, d), first of (0, 1), (0, 2) and so on."""
    return np.array([np.linalg.norm(one - other) for one, other in itertools.combinations(rows, 2)])


def maps_of(
    net: GraphNetwork, x: np.ndarray, logits: Sequence[int] | np.ndarray, rules: Sequence[Rule]
) -> np.ndarray:
    """Return unit maps of some logits: (R, T, d)."""
    seeds = np.eye(net.n_logits)[list(logits)]
    return unit_rows(net.backward(net.forward(x), seeds, rules))


def replaced(net: GraphNetwork, other: GraphNetwork, layers: Sequence[str]) -> GraphNetwork:
    """Return `net` with the weights and biases of some layers taken from `other`."""
    return net.with_parameters(other.parameters, layers)


def layers_of(net: GraphNetwork) -> dict[bool, list[str]]:
    """Return the names of the layers with weights in their order: convolutions under False, dense layers under True."""
    names: dict[bool, list[str]] = {False: [], True: []}
    for node in net.nodes:
        if f"{node.name}.weight" in net.parameters:
            names[isinstance(node, Dense)].append(node.name)
    return names


def up_to(net: GraphNetwork, last: str) -> GraphNetwork:
    """Return the network up to a node, whose entries are the logits."""
    end = 1 + next(index for index, node in enumerate(net.nodes) if node.name == last)
    nodes = net.nodes[:end]
    kept = {node.name for node in nodes}
    return GraphNetwork(
        nodes, {name: array for name, array in net.parameters.items() if name.rpartition(".")[0] in kept}
    )


def stages(net: GraphNetwork) -> dict[str, str]:
    """Return where two logits' signals are compared, from the top down: in words, and the node at whose output they arrive.

    Each is there before the rule of the unit that made the node's output; at fc1 it has passed fc1's unit.
    """
    dense = [node for node in net.nodes if isinstance(node, Dense)]
    named = {"the logits' weights": dense[-1].source, "fc1": dense[0].name, "the features": dense[0].source}
    if len(dense) == 1:
        del named["fc1"]  # its units are the logits
    return named | {"the picture": net.nodes[0].name}


@dataclasses.dataclass(frozen=True)
class LogitMaps(PerPicture):
    """Distance of the unit maps of two random logits: ``<trained or random> <rule>``, and ``... at <stage>`` on the way."""

    def _row(self, x: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
        row = {}
        for kind, net in zip(KINDS, (self.subject.trained, self.subject.draw(rng)), strict=True):
            pair = np.eye(net.n_logits)[rng.choice(net.n_logits, 2, replace=False)]
            named = stages(net)
            arriving = net.layer_gradients(net.forward(x), pair, PAPER, named.values())
            for stage, node in named.items():
                signals = arriving[node][0].reshape(len(PAPER), 2, -1, 1, 1)
                for rule, (first, second) in zip(PAPER, unit_rows(signals), strict=True):
                    row[f"{kind} {rule.value} at {stage}"] = float(np.linalg.norm(first - second))
            row |= {f"{kind} {rule.value}": row[f"{kind} {rule.value} at the picture"] for rule in PAPER}
        return row


def logit_maps(bench: Bench) -> Measurement:
    """Measure the distances of two logits' maps, which several claims use."""
    return bench.over_pictures("trained, two logits", LogitMaps(bench.subject), 160, block=5)
