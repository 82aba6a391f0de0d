"""Whether trained filters leave patches on which no filter is active."""

from __future__ import annotations

import dataclasses

import numpy as np

from proofs_checks.claim import Bench, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.studies import trained_laws, trained_maps
from theorylab import PatchGrid, montecarlo, stats, training
from theorylab.montecarlo import Measurement
from theorylab.networks.nodes import Conv, Node
from theorylab.training import Classifier

CROPS = 5000
FILTERS = 3
BANKS = 64
REPLICATES = 2000
PATCHES = 32


@dataclasses.dataclass(frozen=True)
class DeadPatches:
    """Share of the positions of a crop at which no filter of a convolution is active.

    Each replicate is a crop.  Numbers, by convolution: ``dead <node>``, and ``closed <node>``, the share of closed units.
    """

    classifier: Classifier

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        net = self.classifier.network
        crops, _ = training.crops("test", size, seed=rng)
        values = {net.nodes[0].name: crops}
        last = trained_maps.layers_of(net)[False][-1]
        numbers = {}
        for node in net.nodes[1:]:
            values[node.name], _ = node.forward(net.parameters, *(values[name] for name in node.inputs))
            if isinstance(node, Conv):
                active = values[node.name] > 0
                numbers[f"dead {node.name}"] = 1 - active.any(axis=1).mean(axis=(1, 2))
                numbers[f"closed {node.name}"] = 1 - active.mean(axis=(1, 2, 3))
            if node.name == last:
                break
        return montecarlo.measurement(numbers)


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Compare the share of dead patches with its law for Gaussian filters on the same patches."""
    net = classifier.network
    layers = trained_maps.layers_of(net)[False]
    measured = bench.study("trained, dead patches", DeadPatches(classifier), CROPS, block=48)
    checks = []
    for node in net.nodes:
        if node.name in layers:
            simulate = trained_laws.GaussianBanks(_patches(bench, node), FILTERS, BANKS)
            checks.append(
                bench.moment(
                    f"dead share of the patches that {node.name} reads, {FILTERS} Gaussian filters",
                    bench.study(f"Gaussian filters at {node.name}", simulate, REPLICATES, block=25),
                    "dead",
                    2.0**-FILTERS,
                    Wrong("one filter fewer: 2^(1 − N)", 2.0 ** (1 - FILTERS)),
                )
            )
    filters = {layer: len(net.parameters[f"{layer}.weight"]) for layer in layers}
    largest = max(layers, key=lambda layer: measured.estimate(f"dead {layer}")[0])
    share = measured.estimate(f"dead {largest}")
    means = {
        what: " / ".join(f"{100 * measured.estimate(f'{what} {layer}')[0]:.2g} %" for layer in layers)
        for what in ("dead", "closed")
    }
    _, most = stats.bounded_interval(*share, confidence=0.999)
    return Outcome(
        f"{trained_maps.network_words(bench.subject)}, the share of patches without an active filter is {means['dead']} at "
        f"the three convolutions, at most {100 * most:.1f} % by its interval. Of the single units {means['closed']} are "
        "closed, against one half in a random layer. The same numbers of "
        f"random filters, {' / '.join(map(str, filters.values()))}, leave 2^(−N) of the patches without an active filter.",
        (Evidence(*share, share=True),),
        tuple(checks),
        checks[0].name,
    )


def _patches(bench: Bench, node: Node) -> np.ndarray:
    """Return non-zero patches that a convolution of the trained network reads, each from another crop."""
    assert isinstance(node, Conv)
    net = bench.classifier.network
    rng = np.random.default_rng(bench.seed_of(f"patches at {node.name}"))
    images = trained_laws.features(net, node.source, PATCHES, rng)
    channels, height, width = images.shape[1:]
    grid = PatchGrid((channels, height, width), node.kernel, node.stride, node.padding)
    read = []
    for patches in grid.extract(images):
        alive = np.flatnonzero(patches.any(axis=1))
        if len(alive):
            read.append(patches[rng.choice(alive)])
    return np.array(read)


CLAIM = Claim(
    id="dead-zones",
    order=260,
    section="3.2.3, Figure 3",
    statement="Trained filters lie in a small subspace of the space of patches, which creates some dead zones: patches that "
    "reach no filter and are probably removed by the ReLU.",
    exact_law="N Gaussian filters without biases leave a patch that is not zero without an active filter with "
    "probability 2^(−N), whatever the patch and whatever the layers below it.",
    proof="Given a patch y ≠ 0 the products w_i·y are N independent normal numbers of mean zero, since filters are "
    "independent of each other and of all below. Each is positive with probability ½, so none is with probability "
    "2^(−N). A zero patch gives zeros, which the strict ReLU closes always.",
    n_checks=3,
    run=run,
    trained=("convolutions",),
    margins=(
        Margin(
            "share of patches without an active filter, at the convolution where it is largest",
            low=0.01,
            why="some patches at some convolution: at least one in a hundred",
        ),
    ),
    authors="This was said of VGG-16 on ImageNet, as a picture of why images lose their flat parts.",
    formula=(r"\mathrm{P}(w_i \cdot y \leq 0 \text{ for } i = 1, \ldots, N) = 2^{-N},\quad y \neq 0",),
)
