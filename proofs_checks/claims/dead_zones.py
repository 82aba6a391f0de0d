"""Whether trained filters leave patches on which no filter is active."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Undecidable, Wrong
from proofs_checks.rows import PerPicture
from proofs_checks.studies import filters, trained_laws, trained_maps
from theorylab import PatchGrid, montecarlo, subjects
from theorylab.charts import CurveFigure, Line, MapFigure, MapPanel, Points
from theorylab.montecarlo import Measurement
from theorylab.networks import GraphNetwork
from theorylab.networks.batches import batch_activations
from theorylab.networks.nodes import Conv

CROPS = 5000
FILTERS = 2
BANKS = 192
REPLICATES = 1300
"""So many that a check sees 2.5 % even where all patches are alike."""
PATCHES = 18


@dataclasses.dataclass(frozen=True)
class DeadPatches(PerPicture):
    """Share of the positions of a picture at which no filter of a convolution is active.

    Numbers, by convolution: ``dead <node>``, and ``closed <node>``, the share of closed units; of the first one ``flat`` and
    ``edges``, that share on the quarters of the patches with least and with most contrast.
    """

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure the pictures, together."""
        return montecarlo.measurement(self._shares(np.stack(self.images)))

    def _row(self, x: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
        return {name: float(share[0]) for name, share in self._shares(x[None]).items()}

    def _shares(self, images: np.ndarray) -> dict[str, np.ndarray]:
        net, units = self.subject.trained, subjects.gates(self.subject.trained)
        node = convolution(net, next(iter(units)))
        values = batch_activations(net, images, {node.source, *units.values()})
        numbers = {
            f"closed {name}": 1 - (values[unit] > 0).mean(axis=(1, 2, 3)) for name, unit in units.items()
        }
        numbers |= {f"dead {name}": trained_laws.dead(values[unit]) for name, unit in units.items()}
        closed = 1 - (values[units[node.name]] > 0).mean(axis=1).reshape(len(images), -1)
        order = np.argsort([contrasts(node, image) for image in values[node.source]], axis=1)
        quarter = -(-order.shape[1] // 4)
        for name, part in (("flat", order[:, :quarter]), ("edges", order[:, -quarter:])):
            numbers[name] = np.take_along_axis(closed, part, axis=1).mean(axis=1)
        return numbers


def convolution(net: GraphNetwork, name: str) -> Conv:
    """Return a node by its name."""
    return next(node for node in net.nodes if isinstance(node, Conv) and node.name == name)


def grid_of(node: Conv, image: np.ndarray) -> PatchGrid:
    """Return the patches of an image (C, H, W) that a convolution reads."""
    channels, height, width = image.shape
    return PatchGrid((channels, height, width), node.kernel, node.stride, node.padding)


def contrasts(node: Conv, image: np.ndarray) -> np.ndarray:
    """Return the variance within each patch (P,) that a convolution reads of an image (C, H, W), summed over channels."""
    patches = grid_of(node, image).extract(image)
    return np.asarray(patches.reshape(len(patches), len(image), -1).var(axis=2).sum(axis=1))


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Measure dead patches and how the filters lie, and check the first by its law for Gaussian filters on the same patches."""
    subject, net = bench.subject, bench.subject.trained
    layers = list(subjects.gates(net))
    if len(layers) < 2:
        raise Undecidable("the network has no two convolutions with a unit behind each")
    titles = subject.layers()
    measured = bench.over_pictures("trained, dead patches", DeadPatches(subject), CROPS, block=48)
    shown = [layers[0], layers[len(layers) // 2], layers[-1]]
    nodes = [convolution(net, name) for name in shown]
    read = trained_laws.features(bench, *(node.source for node in nodes))
    checks = tuple(map(functools.partial(_check, bench), ("first", "middle", "last"), nodes, read))
    rows = {name: filters.directions(net.parameters[f"{name}.weight"]) for name in layers}
    fill = {name: filters.dimension(row) / filters.random_dimension(*row.shape) for name, row in rows.items()}
    largest = max(layers, key=lambda name: measured.estimate(f"dead {name}")[0])
    least = min(layers, key=lambda name: fill[name])
    share = measured.estimate(f"dead {largest}")
    where = f"0 at all {len(layers)} convolutions"
    if share[0] > 0:
        where = f"{100 * share[0]:.2g} % at {titles[largest]}, the largest of {len(layers)} convolutions"
    rng = np.random.default_rng(bench.seed_of("random directions"))
    cones = "; ".join(_cone_words(titles[name], rows[name], rng) for name in shown)
    flat, edges = (measured.estimate(name)[0] for name in ("flat", "edges"))
    closed = [measured.estimate(f"closed {name}")[0] for name in (layers[0], layers[-1])]
    return Outcome(
        f"{trained_maps.network_words(subject)}, the share of patches without an active filter is {where}, over "
        f"{measured.replicates} pictures. As many random filters leave 2^(−N), 2^−{min(map(len, rows.values()))} or less. Of the "
        f"single units {closed[0]:.0%} are closed at {titles[layers[0]]} and {closed[1]:.0%} at {titles[layers[-1]]}, against "
        f"one half in a random layer; at {titles[layers[0]]} {flat:.0%} on the flattest quarter of the patches and {edges:.0%} "
        f"on that with most contrast. The filters of {titles[least]} fill {filters.dimension(rows[least]):.3g} dimensions of "
        f"{rows[least].shape[1]}, random ones {filters.random_dimension(*rows[least].shape):.3g}. The narrowest cone that holds "
        f"all filters has a half-angle of {cones}; at 90° no half-space holds them.",
        (
            Evidence(fill[least], 0.0, len(layers)),
            Evidence(*share, share=True),
            Evidence(
                *measured.estimate(lambda mean: mean[f"closed {layers[-1]}"] - mean[f"closed {layers[0]}"])
            ),
        ),
        checks,
        checks[0].name,
        (_curves(measured, fill, titles, subject.label), *_pictures(bench, titles)),
    )


def _cone_words(title: str, rows: np.ndarray, rng: np.random.Generator) -> str:
    """Say how narrow the cones of trained and of random filters are."""
    trained, random = (
        filters.cone(each) for each in (rows, filters.directions(rng.standard_normal(rows.shape)))
    )
    return f"{trained:.1f}° at {title} (random filters {random:.1f}°)"


def _check(bench: Bench, place: str, node: Conv, read: np.ndarray) -> Check:
    simulate = trained_laws.GaussianBanks(within_span(_patches(bench, node, read)), FILTERS, BANKS)
    return bench.moment(
        f"dead share of the patches that the {place} convolution reads, {FILTERS} Gaussian filters",
        bench.study(f"Gaussian filters at the {place} convolution", simulate, REPLICATES, block=25),
        "dead",
        2.0**-FILTERS,
        Wrong("one filter fewer: 2^(1 − N)", 2.0 ** (1 - FILTERS)),
    )


def _patches(bench: Bench, node: Conv, read: np.ndarray) -> np.ndarray:
    """Return patches (B, p), none of them zero, of what a convolution reads, in turn from each of the pictures."""
    rng = np.random.default_rng(bench.seed_of(f"patches at {node.name}"))
    grid = grid_of(node, read[0])
    found = []
    for image in np.resize(read, (PATCHES, *read.shape[1:])):
        patches = grid.extract(image)
        alive = np.flatnonzero(patches.any(axis=1))
        if len(alive):
            found.append(patches[rng.choice(alive)])
    if not found:
        raise Undecidable(f"every patch that {node.name} reads is zero")
    return np.array(found)


def within_span(patches: np.ndarray) -> np.ndarray:
    """Return the coordinates of patches (B, p) in a basis of what they span, (B, d, 1, 1).

    A Gaussian filter is as likely in any basis, and its part off the span meets no patch: a few of its entries need to be drawn,
    not thousands.

    Examples
    --------
    >>> patches = np.random.default_rng(0).standard_normal((3, 500))
    >>> found = within_span(patches)[:, :, 0, 0]
    >>> found.shape, bool(np.allclose(found @ found.T, patches @ patches.T))
    ((3, 3), True)
    """
    _, triangle = np.linalg.qr(patches.T.astype(np.float64))
    return np.asarray(triangle.T[:, :, None, None].astype(patches.dtype))


def _curves(measured: Measurement, fill: dict[str, float], titles: dict[str, str], label: str) -> CurveFigure:
    """Draw by convolution what the ReLU closes and how many dimensions the filters fill."""
    at = np.arange(len(fill))
    return CurveFigure(
        "dead-zones",
        f"By convolution, with 95 % intervals over pictures: the share of closed units and of patches without an active filter "
        "(random filters: one half, and 2^(−N)), and the effective dimension of the filters' directions over that of as many "
        f"random ones, N d/(N + d − 1). {label}.",
        "convolution",
        "share",
        (Line("closed units, random filters", at, np.full(len(at), 0.5)),),
        (
            *(
                Points.of(words, at, [measured.estimate(f"{what} {name}") for name in fill])
                for what, words in (("closed", "closed units"), ("dead", "patches without an active filter"))
            ),
            Points(
                "effective dimension over that of random filters", at, *[np.array(list(fill.values()))] * 3
            ),
        ),
        x_names=tuple(titles[name] for name in fill),
        title="Closed units and dead patches of trained filters, beside random ones",
    )


def _pictures(bench: Bench, titles: dict[str, str]) -> tuple[MapFigure, ...]:
    """Draw a picture and which share of the filters is active at each position, at the last convolution of each block."""
    net, x = bench.subject.trained, bench.crops("picture of dead zones", 1)[0]
    last = {titles[name].partition("_")[0]: name for name in subjects.gates(net)}
    shares = _active(net, x, list(last.values()))
    panels = [
        MapPanel(f"{titles[name]}: {share.mean():.0%} of the units active", share[None], "share")
        for name, share in shares.items()
    ]
    caption = (
        "Which patches survive the forward ReLU: the picture, and the share of active filters at each position, at the last "
        "convolution of each block, all on one scale. A black position would be dead."
    )
    return (
        MapFigure(
            "dead-zones-picture",
            caption,
            (MapPanel("the picture", bench.subject.shown(x)), *panels),
            title="Where units are active: no patch is dead unless it is black",
        ),
    )


def _active(net: GraphNetwork, x: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Return the share of active filters at each position, (H, W), by convolution."""
    units = subjects.gates(net)
    values = net.forward(x, keep=[units[name] for name in names]).activations
    return {name: (values[units[name]] > 0).mean(axis=0) for name in names}


CLAIM = Claim(
    id="dead-zones",
    order=260,
    section="3.2.3, Figure 3",
    statement="Trained filters lie in a small subspace of the space of patches, which creates some dead zones: patches that "
    "reach no filter and are probably removed by the ReLU. Higher convolutions remove more.",
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
            "effective dimension of the filters' directions over that of as many random ones, where it is least",
            high=0.5,
            why="small: at most half of what random filters fill, at some convolution",
        ),
        Margin(
            "share of patches without an active filter, at the convolution where it is largest",
            low=0.01,
            why="some patches at some convolution: at least one in a hundred",
        ),
        Margin(
            "share of closed units at the last convolution less that at the first",
            low=0.0,
            why="more in higher layers at all; single units, which is kinder than patches that no unit lets pass",
        ),
    ),
    authors="A picture of why images lose their flat parts: the filters fill few dimensions, and most units of high layers are "
    "closed. Biases and pictures decide whether a patch lies in the zone; one that most filters close, or that "
    "loses all windows of the max-pooling, is as good as removed. Neither counts as dead here, where the ReLU has to "
    "remove the patch.",
    formula=(r"\mathrm{P}(w_i \cdot y \leq 0 \text{ for } i = 1, \ldots, N) = 2^{-N},\quad y \neq 0",),
)
