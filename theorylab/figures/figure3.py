"""Figure 3: dead zones, and the weights of two units of the first dense layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from theorylab import stats
from theorylab.drawing import PALETTE, label_axes, maps_over_charts
from theorylab.figures._base import Parts, Settings
from theorylab.networks import GraphNetwork
from theorylab.subjects import Subject, gates, layer_titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OPENING = np.pi / 3
"""Of the cone of filters in the plane."""

UNITS = (26, 44)
"""The paper's two units of fc1, counted from 1."""


def make(settings: Settings) -> Parts:
    """Draw the plane, two histograms, and the share of dead positions by layer."""
    deciding = settings.subject(decides=True)
    best = deciding if settings.weights is not None else settings.subject()
    step = settings.steps("figure 3", 2)
    rgb = best.picture(settings.image)
    shares = {}
    for name, net in (("trained", best.trained), ("random", best.random)):
        shares[name] = dead_shares(net, best.prepared(rgb))
        step()
    canvas, (plane, histogram, layers) = maps_over_charts([], 3)
    numbers = {
        "plane": _draw_plane(plane, settings.stream(3)),
        "fc1": {"network": deciding.label, **_draw_histograms(histogram, deciding)},
        "dead": {"network": best.label, **shares},
    }
    titles = list(shares["trained"]["dead_positions"])
    for colour, marker, (name, share) in zip(PALETTE, "ox", shares.items(), strict=False):
        for line, (kind, values) in zip("-:", share.items(), strict=True):
            label = f"{name}, {kind.replace('_', ' ')}"
            layers.plot(list(values.values()), marker + line, color=colour, label=label, markersize=4)
    layers.set_xticks(range(len(titles)), titles, rotation=90)
    layers.set_ylim(-0.03, 1.8)  # room for the legend
    layers.legend(fontsize=7, frameon=False, loc="upper left")
    label_axes(layers, "closed by the forward ReLU", "", "share")
    return (
        f"Dead zones, and the weights of two units of fc1 ({deciding.label}); shares by layer: {best.label}.",
        canvas,
        numbers,
    )


def dead_shares(net: GraphNetwork, x: np.ndarray) -> dict[str, dict[str, float]]:
    """Return each convolution's share of positions without an active filter, and of closed units."""
    titles, units = layer_titles(net), gates(net)
    kept = net.forward(x, keep=tuple(units.values())).activations
    closed = {titles[name]: kept[unit] <= 0 for name, unit in units.items()}
    return {
        "dead_positions": {name: float(mask.all(axis=0).mean()) for name, mask in closed.items()},
        "closed_units": {name: float(mask.mean()) for name, mask in closed.items()},
    }


def _draw_plane(axes: Axes, rng: np.random.Generator) -> dict[str, float]:
    """Draw filters in a cone of the plane, and the cone of patches that all of them close."""
    angles = rng.uniform(-OPENING / 2, OPENING / 2, size=8)
    patches = rng.standard_normal((400, 2))
    filters = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    dead = (patches @ filters.T <= 0).all(axis=1)
    for mask, colour, label in (
        (~dead, PALETTE[1], "patches seen"),
        (dead, "#9a9a9a", "patches in the dead zone"),
    ):
        axes.plot(*patches[mask].T, ".", color=colour, markersize=3, label=label)
    for filter_ in filters:
        axes.annotate("", 2 * filter_, (0, 0), arrowprops={"arrowstyle": "->", "color": PALETTE[0]})
    axes.plot([], [], color=PALETTE[0], label="filters")
    axes.set_xlim(-3, 3)
    axes.set_ylim(-3, 4.6)  # room for the legend
    axes.legend(fontsize=7, frameon=False, loc="upper left")
    label_axes(axes, "filters in a cone", "", "")
    spread = float(angles.max() - angles.min())
    # A patch is dead if it is more than a right angle away from the outermost filters on both sides.
    predicted = (np.pi - spread) / (2 * np.pi)
    return {"spread_of_filters": spread, "dead_share": float(dead.mean()), "predicted": predicted}


def _draw_histograms(axes: Axes, nets: Subject) -> dict[str, Any]:
    layer = next(name for name, title in nets.layers().items() if title == "fc1")
    weights = nets.trained.parameters[f"{layer}.weight"]
    units = [unit for unit in UNITS if unit <= len(weights)]
    numbers: dict[str, Any] = {}
    span = np.abs(weights[np.array(units) - 1]).max()
    for colour, unit in zip(PALETTE, units, strict=False):
        values = weights[unit - 1].astype(np.float64)
        axes.hist(values, bins=60, range=(-span, span), histtype="step", color=colour, label=f"unit {unit}")
        numbers[f"unit {unit}"] = {"mean": values.mean(), "std": values.std()}
    if len(units) == 2:
        numbers["distances"] = stats.sample_distances(
            *(weights[unit - 1].astype(np.float64) for unit in units)
        )
    axes.legend(fontsize=8, frameon=False)
    label_axes(axes, "weights of two units of fc1", "weight", "count")
    return numbers
