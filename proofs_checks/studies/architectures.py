"""Whole architectures with random weights, simulated by the package's own networks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from proofs_checks.studies.three_layers import inner, unit
from theorylab import Gaussian, Rule, display, drawing, measures, montecarlo
from theorylab.charts import CurveFigure, Line, Points
from theorylab.montecarlo import ArrayMoments, Measurement
from theorylab.networks import GraphNetwork
from theorylab.networks.deep import resnet_nodes, vgg16_nodes
from theorylab.networks.nodes import Conv, Dense, Flatten, Node
from theorylab.networks.parameters import draw_parameters, trace_shapes

NETWORKS = 4
"""In a replicate."""

SMALL = 2**17
"""Weights of a layer that is drawn anew for each of them; most scatter comes from the narrow layers near the picture."""


@dataclasses.dataclass(frozen=True)
class ArchitectureMaps:
    """Maps of an architecture with Gaussian weights of variance 2 over the fan-in.

    Each replicate is four networks, and a replicate is the mean over them.  Drawing the weights costs more than running a
    network, so the four share one draw for their large layers, the units in another order and each with a sign of its own:
    independent Gaussian weights have the same law in any order and sign, so each network has that of a fresh one.

    Numbers by rule, S the map over its norm: ``alignment <n>`` of ``V̂`` with the activation that node `watched[n]` puts
    out; ``toward`` ⟨S, x⟩; ``similar``, the structural similarity of the picture and the map as it is shown; with `logits`,
    ``logits`` ⟨S, S'⟩ of two of them; and where a mean is predicted, ``along <rule>`` ⟨S, m⟩/‖m‖ of every predicted mean,
    and ``apart``, what the four networks' mean has of energy beside the rule's own.
    """

    x: np.ndarray
    build: Callable[[tuple[int, int, int]], list[Node]]
    rules: tuple[Rule, ...]
    watched: tuple[str, ...] = ()
    means: Mapping[Rule, np.ndarray] = dataclasses.field(default_factory=dict)
    logits: bool = False

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        rows, nodes = [], self.build(self.x.shape)
        memory: dict[str, np.ndarray] = {}
        moments = {rule.value: ArrayMoments.empty(self.x.shape) for rule in self.rules}
        for _ in range(size):
            weights = _weights(nodes, rng)
            drawn = [self._measured(nodes, _redrawn(weights, rng, memory)) for _ in range(NETWORKS)]
            rows.append(
                {name: float(np.mean([numbers[name] for numbers, _ in drawn])) for name in drawn[0][0]}
            )
            for _, maps in drawn:
                for rule, map_ in maps.items():
                    moments[rule.value].add(map_)
            for rule in self.means:
                mean = np.mean([maps[rule] for _, maps in drawn], axis=0)
                rows[-1][f"{rule.value} apart"] = (
                    inner(mean, mean) - rows[-1][f"{rule.value} along {rule.value}"] ** 2
                )
        return montecarlo.measurement(rows, moments)

    def single(self, rng: np.random.Generator) -> dict[Rule, np.ndarray]:
        """Draw one network and return the maps of one logit, each of norm 1."""
        nodes = self.build(self.x.shape)
        return self._measured(nodes, _weights(nodes, rng))[1]

    def _measured(
        self, nodes: list[Node], weights: dict[str, np.ndarray]
    ) -> tuple[dict[str, float], dict[Rule, np.ndarray]]:
        net = GraphNetwork(nodes, weights)
        trace = net.forward(self.x, keep=self.watched)
        source = nodes[0].name
        seeds = np.eye(1 + self.logits, net.n_logits)
        gradients = net.layer_gradients(trace, seeds, self.rules, {*self.watched, source})
        numbers, maps = {}, {}
        for r, rule in enumerate(self.rules):
            for n, name in enumerate(self.watched):
                gradient, activation = gradients[name][0][r, 0], trace.activations[name]
                numbers[f"{rule.value} alignment {n}"] = inner(_unit(gradient), _unit(activation))
            map_, *others = (_unit(gradient) for gradient in gradients[source][0][r])
            numbers[f"{rule.value} toward"] = inner(map_, unit(self.x))
            numbers[f"{rule.value} similar"] = measures.similarity(map_, self.x)
            for other in others:
                numbers[f"{rule.value} logits"] = inner(map_, other)
            for predicted, expected in self.means.items() if rule in self.means else ():
                numbers[f"{rule.value} along {predicted.value}"] = inner(map_, unit(expected))
            maps[rule] = map_
        return numbers, maps


def multiplications(nodes: Sequence[Node]) -> int:
    """Count those of one map: the weights at every position, once forward and once back."""
    outputs, parameters = trace_shapes(nodes)
    counts = (
        math.prod(outputs[node.name][1:]) * math.prod(parameters[node.parameter("weight")])
        for node in nodes
        if isinstance(node, (Conv, Dense))
    )
    return 2 * sum(counts)


def cost_figure(
    name: str, simulate: ArchitectureMaps, rule: Rule, measured: Measurement
) -> tuple[CurveFigure, str]:
    """Draw how far the mean of simulated networks is from the predicted map, by the work of them, and say it in a sentence."""
    moments, mean = measured.maps[rule.value], unit(simulate.means[rule])
    one = measured.estimate(lambda m: math.sqrt(max(1 / m[f"{rule.value} along {rule.value}"] ** 2 - 1, 0)))
    four = measured.estimate(
        lambda m: math.sqrt(max(m[f"{rule.value} apart"], 0)) / m[f"{rule.value} along {rule.value}"]
    )
    along = inner(moments.mean, mean)
    rest = math.sqrt(max(inner(moments.mean, moments.mean) - along**2, 0)) / along
    work = multiplications(simulate.build(simulate.x.shape))
    counts = np.array([1, NETWORKS, moments.count])
    line = np.geomspace(1, max(4 * moments.count, 1000), 30)
    noise = one[0] / math.sqrt(moments.count)
    figure = CurveFigure(
        name,
        f"{rule.title}: how far the mean map of 1, {NETWORKS} and {moments.count} simulated networks is from the predicted map, "
        f"over the size of their part along it. A network takes {work:.1e} multiplications.",
        "multiplications of the simulation",
        "distance to the predicted map, over its size",
        (Line("independent networks: 1/√n", work * line, one[0] / np.sqrt(line)),),
        (
            Points.of("measured", work * counts[:2], [one, four]),
            Points("mean of all", work * counts[2:], np.array([rest]), np.array([rest]), np.array([rest])),
        ),
        x_scale="log",
        y_scale="log",
        title="The work of a simulation that comes as near to its mean as the law",
    )
    return figure, (
        f"The mean map of {moments.count} simulated networks, {moments.count * work:.0e} multiplications, is "
        f"{drawing.number(100 * rest, 2)} % off the predicted one, and {drawing.number(100 * noise, 2)} % are their own noise"
    )


def _weights(nodes: list[Node], rng: np.random.Generator) -> dict[str, np.ndarray]:
    return draw_parameters(nodes, law=Gaussian(1.0), seed=rng, init="fan-in")


def _redrawn(
    weights: dict[str, np.ndarray], rng: np.random.Generator, memory: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return another network's weights: small layers drawn anew, units of large ones permuted with random signs.

    They are written into `memory`, because new pages for a hundred megabytes take longer than a network.
    """
    drawn = dict(weights)
    for name, array in weights.items():
        if array.ndim < 2:
            continue
        if array.size <= SMALL:
            drawn[name] = rng.standard_normal(array.shape, dtype=array.dtype.type)
            drawn[name] *= array.dtype.type(math.sqrt(2 / math.prod(array.shape[1:])))
            continue
        held = memory.setdefault(name, np.empty_like(array))
        signs = rng.choice(np.array([-1, 1], dtype=array.dtype), len(array))
        np.take(array, rng.permutation(len(array)), axis=0, out=held, mode="clip")
        held *= signs.reshape(-1, *[1] * (array.ndim - 1))
        drawn[name] = held
    return drawn


def _unit(array: np.ndarray) -> np.ndarray:
    return display.unit_norm(array.astype(np.float64))


def vgg16_convolutions(shape: tuple[int, int, int]) -> list[Node]:
    """Return VGG-16 with a linear readout of two logits on its last pool: its dense layers need 224 pixels."""
    nodes = vgg16_nodes(shape)
    last = next(n for n, node in enumerate(nodes) if node.name == "avgpool")
    kept = nodes[:last]
    return [*kept, Flatten("flatten", kept[-1].name), Dense("readout", "flatten", 2, bias=False)]


def read_by_convolutions(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the names of the nodes that a chain's convolutions read, from the top down."""
    return tuple(node.inputs[0] for node in reversed(nodes) if isinstance(node, Conv))


def resnet50(shape: tuple[int, int, int]) -> list[Node]:
    """Return ResNet-50 with two logits."""
    return resnet_nodes(shape, n_logits=2)


def read_by_blocks(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the names of the nodes that bottlenecks and the first convolution read, from the top down."""
    return tuple(node.inputs[0] for node in reversed(nodes) if node.name.endswith("conv1"))
