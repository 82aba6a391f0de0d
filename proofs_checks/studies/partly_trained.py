"""Guided maps of a trained network of which some layers are random: both rows of the paper's Figure 9.

Each picture has its own draw of the random layers.  A map is that of the logit that its own network predicts.  Where the dense
layers are untrained, "trained" means one draw of them on the trained convolutions, and a random dense layer is another draw.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from proofs_checks.claim import Bench, Check
from proofs_checks.rows import PerPicture
from proofs_checks.studies import trained_maps
from theorylab.charts import CurveFigure, MapFigure, MapPanel, Points
from theorylab.model.rules import Rule
from theorylab.montecarlo import Measurement
from theorylab.networks import GraphNetwork, GraphTrace
from theorylab.networks.nodes import Conv, Dense
from theorylab.networks.resumed import resumed
from theorylab.subjects import Subject

REPLICATES = 120
MOST = 8
"""Convolutions of which all are looked at."""
FACTOR, PICTURES = 4.0, 2
"""Of a layer that is multiplied: a power of two, which rounds nothing; and the pictures on which it is."""
UP_TO, BUT = "up to", "all but"
"""The rows: trained up to a layer, all later ones random; and all trained but one."""
TITLES = {
    UP_TO: "What the guided map owes to the layers that are trained",
    BUT: "How much each layer's training matters to the guided map",
}
NONE = "none"


def layers(subject: Subject) -> dict[str, str]:
    """Return the layers that are looked at, input side first, with the paper's names: convolutions, then dense layers.

    Of many convolutions those that the paper's figure names, the first of each block, which max-pools part, and the last; or
    some at equal distances where there are fewer than three blocks.
    """
    titles = subject.layers()
    convolutions = [name for name, title in titles.items() if title.startswith("conv")]
    several = _firsts(titles)
    if len(convolutions) <= MOST:
        several = convolutions
    elif len(several) < 3:
        places = np.linspace(0, len(convolutions) - 1, MOST).round().astype(int)
        several = [convolutions[place] for place in places]
    wanted = {*several, convolutions[-1]}
    return {name: title for name, title in titles.items() if name in wanted or name not in convolutions}


def _firsts(titles: dict[str, str]) -> list[str]:
    return [name for name, title in titles.items() if title.startswith("conv") and title.endswith("_1")]


def three(subject: Subject) -> list[str]:
    """Return the first convolution of the first, the middle and the last block: VGG-16's conv1_1, conv3_1 and conv5_1.

    Of a network with fewer than three blocks the first, the middle and the last convolution that is looked at.
    """
    titles = layers(subject)
    several = _firsts(titles)
    if len(several) < 3:
        several = [name for name, title in titles.items() if title.startswith("conv")]
    return [several[0], several[len(several) // 2], several[-1]]


def mixed(subject: Subject, drawn: GraphNetwork, row: str, layer: str) -> GraphNetwork:
    """Return the network of a row at a layer, with random layers of a draw; up to "none" all are."""
    if row == BUT:
        return trained_maps.replaced(subject.trained, drawn, [layer])
    titles = [*subject.layers(), ""]
    following = titles[0 if layer == NONE else titles.index(layer) + 1]
    prefixes = [*dict.fromkeys(name.rpartition(".")[0] for name in drawn.parameters), ""]
    return drawn.with_parameters(subject.trained.parameters, prefixes[: prefixes.index(following)])


def multiplied(net: GraphNetwork, layer: str, factor: float, *, biases: bool = True) -> GraphNetwork:
    """Return the network with a layer multiplied, and with it the biases and means of all later ones if wanted."""
    names = [name.rpartition(".") for name in net.parameters]
    behind = {prefix for prefix, _, _ in names[[prefix for prefix, _, _ in names].index(layer) :]} - {layer}
    return net.with_parameters(
        {
            name: np.float32(factor) * array
            for name, array in net.parameters.items()
            for prefix, _, part in [name.rpartition(".")]
            if prefix == layer or (biases and prefix in behind and part in ("bias", "running_mean"))
        }
    )


def start(subject: Subject, x: np.ndarray) -> GraphTrace:
    """Run the trained network and keep what each of its layers reads, from where another network may go on."""
    nodes = subject.trained.nodes
    return subject.trained.forward(x, keep={node.source for node in nodes if isinstance(node, (Conv, Dense))})


def guided(trace: GraphTrace) -> np.ndarray:
    """Return the guided map of the predicted logit, (C, H, W)."""
    net: GraphNetwork = trace.network
    seed = np.eye(net.n_logits)[[int(trace.logits.argmax())]]
    return np.asarray(net.backward(trace, seed, [Rule.GUIDED])[0, 0])


def cosines(maps: Iterable[np.ndarray], to: np.ndarray) -> list[float]:
    """Return the cosine of each map with one, all (C, H, W); 0 where a map is zero."""
    row = trained_maps.unit_rows(to)
    return [float(trained_maps.unit_rows(map_) @ row) for map_ in maps]


@dataclasses.dataclass(frozen=True)
class Randomised(PerPicture):
    """Cosines of guided maps: ``<row> <layer>`` with the trained network's, ``<row> <layer> input`` with the picture.

    ``trained input`` is the trained network's with the picture; ``convolutions``, where those are all random and the dense layers
    as trained, with the trained network's.
    """

    def _row(self, x: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
        subject, drawn = self.subject, self.subject.draw(rng)
        trace, names = start(subject, x), layers(self.subject)
        trained = guided(trace)
        numbers = {"trained input": cosines([trained], x)[0]}
        for row, layer in [(UP_TO, NONE), *itertools.product((UP_TO, BUT), names)]:
            map_ = guided(resumed(mixed(subject, drawn, row, layer), trace))
            name = f"{row} {layer}"
            (numbers[name],), (numbers[f"{name} input"],) = cosines([map_], trained), cosines([map_], x)
        convolutions = trained_maps.layers_of(subject.trained)[False]
        without = trained_maps.replaced(subject.trained, drawn, convolutions)
        (numbers["convolutions"],) = cosines([guided(resumed(without, trace))], trained)
        return numbers


def randomised(bench: Bench) -> Measurement:
    """Measure partly random networks, which two claims use."""
    return bench.over_pictures("trained, layers made random", Randomised(bench.subject), REPLICATES, block=5)


def words(subject: Subject) -> str:
    """Return what is random in the trained network itself, as a sentence to follow others; nothing if all is trained."""
    return (
        ""
        if subject.trained_dense
        else " The dense layers are untrained: the reference has one draw of them, a random dense layer is another."
    )


def curve(bench: Bench, name: str, row: str, words: str) -> CurveFigure:
    """Return both cosines of a row against the layer."""
    measured, names = randomised(bench), layers(bench.subject)
    places = [NONE, *names] if row == UP_TO else list(names)
    return CurveFigure(
        name,
        f"{words} {bench.subject.label}; means over {measured.replicates} pictures with 95 % intervals.",
        "layer that is trained last" if row == UP_TO else "layer drawn anew",
        "cosine of the guided map",
        (),
        tuple(
            Points.of(
                to,
                range(len(places)),
                [measured.estimate(f"{row} {layer}{suffix}") for layer in places],
            )
            for to, suffix in (("to the trained network's", ""), ("to the picture", " input"))
        ),
        x_names=tuple({NONE: NONE, **names}[place] for place in places),
        title=TITLES[row],
    )


def panels(
    bench: Bench, drawn: GraphNetwork, name: str, row: str, marked: Sequence[str], words: str
) -> MapFigure:
    """Return maps of a row at some layers, of one picture and one draw."""
    subject, titles = bench.subject, {NONE: NONE, **bench.subject.layers()}
    x = bench.crops("partly trained, maps", 1)[0]
    trace = start(subject, x)
    trained = guided(trace)
    maps = [guided(resumed(mixed(subject, drawn, row, layer), trace)) for layer in marked]
    shown = [MapPanel("picture", np.clip(subject.shown(x), 0, 255)), MapPanel("all trained", trained)]
    shown += [
        MapPanel(f"{row} {titles[layer]}, cosine {cosine:.2f}", map_)
        for layer, map_, cosine in zip(marked, maps, cosines(maps, trained), strict=True)
    ]
    return MapFigure(name, f"{words} {subject.label}; one picture, one draw.", tuple(shown), TITLES[row])


def same_map(
    bench: Bench, name: str, chosen: Sequence[str], what: str, wrong: Callable[[str], GraphNetwork]
) -> Check:
    """Check that a layer multiplied by a positive number, and the biases behind it with it, leaves the map as it is.

    `wrong` returns a network that somebody could have believed to be the same, for each of the layers.
    """
    net = bench.subject.trained
    found: list[np.ndarray] = []
    others: list[np.ndarray] = []
    for x in bench.crops(name, PICTURES):
        trace = start(bench.subject, x)
        trained = guided(trace)

        def compared(nets: Iterable[GraphNetwork], trace: GraphTrace, trained: np.ndarray) -> np.ndarray:
            return np.array(cosines((guided(resumed(net, trace)) for net in nets), trained))

        found.append(compared((multiplied(net, layer, FACTOR) for layer in chosen), trace, trained))
        others.append(compared(map(wrong, chosen), trace, trained))
    return bench.identity(name, found, [np.ones_like(cosine) for cosine in found], what, others)


def can_be_multiplied(net: GraphNetwork, layer: str) -> bool:
    """Return whether all that lies behind a layer reads nothing before it: no branch leads around it."""
    place = next(place for place, node in enumerate(net.nodes) if node.name == layer)
    behind = {node.name for node in net.nodes[place:]}
    return all(name in behind for node in net.nodes[place + 1 :] for name in node.inputs)
