"""Figure 7: how far the maps of two random logits are apart, on average over many pictures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import threadpoolctl

from theorylab import display, images, photographs, stats
from theorylab.drawing import INK, PALETTE, fixed, label_axes, maps_over_charts
from theorylab.figures._base import Parts, Settings
from theorylab.model.rules import PAPER, Rule
from theorylab.networks.batches import batch_maps
from theorylab.subjects import PACKAGED, Subject, hed_is_present

SMALL_SIDE = 32
MANY, FEW = 10_000, 16
"""Crops by default: for the small classifier, and for VGG-16, which takes seconds for each."""

_TOGETHER = 100
WHITE_NOISE = math.sqrt(2)
"""Predicted for saliency: two independent maps of mean zero (a random readout; exact as the map's entries grow many)."""


def make(settings: Settings) -> Parts:
    """Draw mean distances with 95 % intervals, random and trained, all rules on the same pictures and logits."""
    if settings.weights in PACKAGED or (settings.weights is None and not hed_is_present()):
        # The size of crops that the small classifier was trained on, unless another is given.
        settings = dataclasses.replace(settings, size=settings.size or SMALL_SIDE)
    nets = settings.subject()
    total, pictures = batches(settings, nets)
    step = settings.steps("figure 7", total)
    rng = settings.stream(7, 0)
    distances: dict[str, list[np.ndarray]] = {"random": [], "trained": []}
    for batch in pictures:
        logits = np.array([rng.choice(nets.trained.n_logits, 2, replace=False) for _ in batch])
        for name, net in (("random", nets.random), ("trained", nets.trained)):
            # One BLAS thread for small pictures: more wait for each other.
            with threadpoolctl.threadpool_limits(1 if len(batch) > 1 else None, user_api="blas"):
                maps = batch_maps(net, nets.prepared(batch), logits, PAPER)  # (B, R, T, C, H, W)
            unit = display.unit_norm(maps.astype(np.float64))
            # A zero map has no direction, so its picture is not counted.
            apart = np.sqrt(((unit[:, :, 0] - unit[:, :, 1]) ** 2).sum(axis=(2, 3, 4)))
            apart[~(unit != 0).any(axis=(3, 4, 5)).all(axis=2)] = np.nan
            distances[name].append(apart)
        for _ in batch:
            step()
    numbers: dict[str, object] = {"network": nets.label, "pictures": total}
    canvas, (chart,) = maps_over_charts([], 1)
    for index, (name, parts) in enumerate(distances.items()):
        rows = np.concatenate(parts)
        summary = {rule.value: _summary(column) for rule, column in zip(PAPER, rows.T, strict=True)}
        numbers[name] = summary
        means = np.array([entry["mean"] for entry in summary.values()])
        reach = np.abs(np.array([entry["interval"] for entry in summary.values()]).T - means)
        at = np.arange(len(means)) + 0.38 * (index - 0.5)
        chart.bar(at, means, 0.36, yerr=reach, capsize=3, color=PALETTE[index], label=name, ecolor=INK)
        for x, mean in zip(at, means, strict=True):
            chart.annotate(fixed(mean), (x, mean), (10, 2), textcoords="offset points", fontsize=7, color=INK)
    numbers["predicted"] = {Rule.SALIENCY.value: WHITE_NOISE}
    chart.axhline(
        WHITE_NOISE, xmax=0.33, color=INK, linestyle=":", label="predicted for independent noise, √2"
    )
    chart.set_xticks(range(len(PAPER)), [rule.title for rule in PAPER])
    chart.set_ylim(0, 1.9)
    chart.legend(fontsize=8, frameon=False, ncols=3, loc="upper right")
    label_axes(chart, f"maps of two random logits, {total} pictures", "", "mean l2 distance of unit maps")
    return (
        f"Mean distance of the maps of two random logits over {total} pictures. {nets.label}.",
        canvas,
        numbers,
    )


def batches(settings: Settings, nets: Subject) -> tuple[int, Iterator[np.ndarray]]:
    """Return the number of pictures, and batches of them, (B, 3, H, W) of 0–255.

    Raises
    ------
    ValueError
        If the folder holds no picture; while iterating, if one of them cannot be read.
    """
    side = nets.side
    small = nets.source in PACKAGED
    if settings.pictures is not None:
        files = images.in_folder(settings.pictures)[: settings.crops]
        return len(files), (nets.picture(file)[None] for file in files)
    total = settings.crops or (MANY if small else FEW)
    rng = settings.stream(7, 1)
    if small and side == 32:  # trained on this size: take crops of the test split
        return total, _unseen(total, nets, rng)
    names = photographs.present()
    return total, (
        photographs.crop(names[number % len(names)], side, seed=rng)[None] for number in range(total)
    )


def _unseen(total: int, nets: Subject, rng: np.random.Generator) -> Iterator[np.ndarray]:
    from theorylab import training

    for start in range(0, total, _TOGETHER):
        crops, _ = training.crops("test", min(_TOGETHER, total - start), seed=rng)
        yield nets.shown(crops)


def _summary(distances: np.ndarray) -> dict[str, object]:
    counted = distances[~np.isnan(distances)]
    n = len(counted)
    if n < 2:
        return {"mean": math.nan, "interval": [math.nan, math.nan], "counted": n}
    mean, error = float(counted.mean()), float(counted.std(ddof=1) / math.sqrt(n))
    return {"mean": mean, "interval": list(stats.interval(mean, error, n - 1)), "counted": n}
