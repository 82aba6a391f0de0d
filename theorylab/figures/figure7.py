"""Figure 7: how far the maps of two random logits are apart, on average over many pictures."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator

import numpy as np
import threadpoolctl

from theorylab import _files, _random, display, images, photographs, stats
from theorylab.drawing import INK, PALETTE, fixed, label_axes, maps_over_charts
from theorylab.figures._base import Parts, Settings
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo.executors import JoblibExecutor
from theorylab.montecarlo.pictures import Files, Row, Unreadable, measure_all
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
    numbers: dict[str, object] = {"network": nets.label}
    if settings.pictures is None:
        distances = _of_crops(settings, nets)
    else:
        distances, numbers["skipped"] = _of_folder(settings, nets)
    total = len(distances["trained"])
    numbers["pictures"] = total
    canvas, (chart,) = maps_over_charts([], 1)
    for index, (name, rows) in enumerate(distances.items()):
        summary = {rule.value: _summary(column) for rule, column in zip(PAPER, rows.T, strict=True)}
        numbers[name] = summary
        means = np.array([entry["mean"] for entry in summary.values()])
        reach = np.abs(np.array([entry["interval"] for entry in summary.values()]).T - means)
        at = np.arange(len(means)) + 0.38 * (index - 0.5)
        chart.bar(at, means, 0.36, yerr=reach, capsize=3, color=PALETTE[index], label=name, ecolor=INK)
        tops = means + reach[1]  # a number in a bar would not be seen where the distance is small
        for x, mean, top in zip(at, means, tops, strict=True):
            chart.annotate(
                fixed(mean),
                (x, top),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},  # over the dotted line
            )
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


def _apart(nets: Subject, pictures: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
    """Return the distances of the maps of two logits, (B, R) by network, of pictures (B, 3, H, W) of 0–255."""
    found = {}
    for name, net in (("random", nets.random), ("trained", nets.trained)):
        maps = batch_maps(net, nets.prepared(pictures), logits, PAPER)  # (B, R, T, C, H, W)
        unit = display.unit_norm(maps.astype(np.float64))
        # A zero map has no direction, so its picture is not counted.
        found[name] = np.sqrt(((unit[:, :, 0] - unit[:, :, 1]) ** 2).sum(axis=(2, 3, 4)))
        found[name][~(unit != 0).any(axis=(3, 4, 5)).all(axis=2)] = np.nan
    return found


def _two(nets: Subject, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(nets.trained.n_logits, 2, replace=False)


@dataclasses.dataclass(frozen=True)
class _InFolder:
    """The distances of each picture of a folder, whose two logits come from a stream of its own."""

    nets: Subject
    files: Files
    parent: np.random.SeedSequence

    def stands(self, row: Row) -> bool:
        return row.key == self.files.digest(row.place)

    def readable(self, place: int) -> bool:
        return self.files.readable(place)

    def __call__(self, places: tuple[int, ...]) -> list[Row]:
        return [self._row(place) for place in places]

    def _row(self, place: int) -> Row:
        try:
            picture = self.files[place]
        except Unreadable as error:
            return Row(place, skipped=str(error))
        logits = _two(self.nets, np.random.default_rng(_random.child(self.parent, place)))
        found = _apart(self.nets, picture[None], logits[None])
        numbers = {
            f"{name} {rule.value}": float(value)
            for name, rows in found.items()
            for rule, value in zip(PAPER, rows[0], strict=True)
        }
        return Row(place, self.files.digest(place), numbers)


def _of_folder(settings: Settings, nets: Subject) -> tuple[dict[str, np.ndarray], list[dict[str, str]]]:
    """Return the distances of the pictures of a folder, (n, R) by network, and which of them could not be read."""
    assert settings.pictures is not None
    paths = images.in_folder(os.path.abspath(_files.place(settings.pictures)))[: settings.crops]
    files = Files(settings.pictures, tuple(paths), nets.picture)
    _ = nets.random  # drawn once, here, for all workers
    table = measure_all(
        _InFolder(nets, files, _random.child(_random.sequence(settings.seed), 7, 0)),
        len(files),
        label="figure 7",
        configuration={"figure": 7, "network": nets.digest, "seed": settings.seed},
        kept=settings.kept,
        executor=settings.executor or JoblibExecutor(1),
        progress=settings.progress,
    )
    skipped = files.skipped(table)
    columns = table.columns()
    return {
        name: np.stack([columns[f"{name} {rule.value}"] for rule in PAPER], axis=1)
        for name in ("random", "trained")
    }, skipped


def _of_crops(settings: Settings, nets: Subject) -> dict[str, np.ndarray]:
    """Return the distances of crops of the bundled photographs, (n, R) by network."""
    small = nets.source in PACKAGED
    total = settings.crops or (MANY if small else FEW)
    crops = settings.stream(7, 1)
    if small and nets.side == 32:  # trained on this size: take crops of the test split
        pictures = _unseen(total, nets, crops)
    else:
        names = photographs.present()
        pictures = (
            photographs.crop(names[number % len(names)], nets.side, seed=crops)[None]
            for number in range(total)
        )
    rng, step = settings.stream(7, 0), settings.steps("figure 7", total)
    found: list[dict[str, np.ndarray]] = []
    for batch in pictures:
        logits = np.array([_two(nets, rng) for _ in batch])
        # One BLAS thread for small pictures: more wait for each other.
        with threadpoolctl.threadpool_limits(1 if len(batch) > 1 else None, user_api="blas"):
            found.append(_apart(nets, batch, logits))
        for _ in batch:
            step()
    return {name: np.concatenate([one[name] for one in found]) for name in ("random", "trained")}


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
