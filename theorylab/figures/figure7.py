"""Figure 7: how far the maps of two random logits are apart, on average over many pictures."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import threadpoolctl

from theorylab import _files, _random, display, images, photographs, stats
from theorylab.drawing import INK, PALETTE, fixed, label_axes, maps_over_charts
from theorylab.figures._base import Parts, Settings
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo.copies import told, without_copies
from theorylab.montecarlo.executors import JoblibExecutor
from theorylab.montecarlo.pictures import Files, Row, Unreadable, measure_all
from theorylab.networks import GraphNetwork
from theorylab.networks.batches import batch_maps
from theorylab.subjects import PACKAGED, Subject, hed_is_present

SMALL_SIDE = 32
MANY, FEW = 10_000, 16
"""Crops by default: for the small classifier, and for VGG-16, which takes seconds for each."""

_TOGETHER = 100
_ON_DEVICE = 64  # pictures at a time
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
        distances, numbers["skipped"], numbers["copies"] = _of_folder(settings, nets)
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
    over = "one picture" if total == 1 else f"{total} pictures"
    copies = numbers.get("copies")
    also = f" {told(copies)}." if isinstance(copies, list) and copies else ""
    label_axes(chart, f"maps of two random logits, {over}", "", "mean l2 distance of unit maps")
    return (
        f"Mean distance of the maps of two random logits over {over}. {nets.label}.{also}",
        canvas,
        numbers,
    )


@dataclasses.dataclass(frozen=True)
class _Distances:
    """How far the maps of two logits are apart, in random and in trained weights; by NumPy, or by PyTorch on a device."""

    nets: Subject
    device: str | None

    @functools.cached_property
    def _modules(self) -> dict[str, Any]:
        from theorylab.torch_bridge import to_torch

        return {name: to_torch(net, self.device) for name, net in self._networks.items()}

    @property
    def _networks(self) -> dict[str, GraphNetwork]:
        return {"random": self.nets.random, "trained": self.nets.trained}

    def __call__(self, pictures: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
        """Return distances, (B, R) by network, of pictures (B, 3, H, W) of 0–255 and two logits of each, (B, 2)."""
        found, x = {}, self.nets.prepared(pictures)
        for name, net in self._networks.items():
            if self.device is not None:
                found[name] = _on_device(self._modules[name], x, np.eye(net.n_logits)[logits.T])
                continue
            maps = batch_maps(net, x, logits, PAPER)  # (B, R, T, C, H, W)
            unit = display.unit_norm(maps.astype(np.float64))
            # A zero map has no direction, so its picture is not counted.
            found[name] = np.sqrt(((unit[:, :, 0] - unit[:, :, 1]) ** 2).sum(axis=(2, 3, 4)))
            found[name][~(unit != 0).any(axis=(3, 4, 5)).all(axis=2)] = np.nan
        return found


def _on_device(module: Any, x: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return the distances (B, R) where the module lies: the maps stay there."""
    import torch

    from theorylab.torch_bridge._attribute import maps_of

    maps = maps_of(module, x, PAPER, lambda logits: seeds).flatten(3)  # (R, T, B, pixels)
    maps /= maps.abs().amax(3, keepdim=True)  # squares stay in range; a zero map is NaN from here on
    maps /= torch.linalg.vector_norm(maps, dim=3, keepdim=True)
    return np.asarray(torch.linalg.vector_norm(maps[:, 0] - maps[:, 1], dim=2).T.cpu().double().numpy())


def _two(nets: Subject, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(nets.trained.n_logits, 2, replace=False)


@dataclasses.dataclass(frozen=True)
class _InFolder:
    """The distances of each picture of a folder, whose two logits come from a stream of its own."""

    apart: _Distances
    files: Files
    parent: np.random.SeedSequence

    def stands(self, row: Row) -> bool:
        return row.key == self.files.digest(row.place)

    def readable(self, place: int) -> bool:
        return self.files.readable(place)

    def __call__(self, places: tuple[int, ...]) -> list[Row]:
        # By NumPy one at a time: how pictures are shared out must not change a bit.
        parts = [places] if self.apart.device else [(place,) for place in places]
        return list(itertools.chain.from_iterable(map(self._rows, parts)))

    def _rows(self, places: tuple[int, ...]) -> list[Row]:
        rows, read = [], {}
        for place in places:
            try:
                read[place] = self.files[place]
            except Unreadable as error:
                rows.append(Row(place, skipped=str(error)))
        if not read:
            return rows
        streams = (np.random.default_rng(_random.child(self.parent, place)) for place in read)
        logits = np.array([_two(self.apart.nets, stream) for stream in streams])
        found = self.apart(np.stack(list(read.values())), logits)
        for number, place in enumerate(read):
            numbers = {
                f"{name} {rule.value}": float(value)
                for name, distances in found.items()
                for rule, value in zip(PAPER, distances[number], strict=True)
            }
            rows.append(Row(place, self.files.digest(place), numbers))
        return rows


def _of_folder(
    settings: Settings, nets: Subject
) -> tuple[dict[str, np.ndarray], list[dict[str, str]], list[dict[str, str]]]:
    """Return the distances of the pictures of a folder, (n, R) by network, which could not be read, which are copies."""
    assert settings.pictures is not None
    paths = images.in_folder(os.path.abspath(_files.place(settings.pictures)))[: settings.crops]
    files, copies = without_copies(
        Files(settings.pictures, tuple(paths), nets.picture), settings.executor, settings.progress
    )
    _ = nets.random  # drawn once, here, for all workers
    table = measure_all(
        _InFolder(
            _Distances(nets, settings.device), files, _random.child(_random.sequence(settings.seed), 7, 0)
        ),
        len(files),
        label="figure 7",
        configuration={
            "figure": 7,
            "network": nets.digest,
            "seed": settings.seed,
            **({"device": settings.device} if settings.device else {}),
        },
        kept=settings.kept,
        executor=settings.executor or JoblibExecutor(1),
        block=_ON_DEVICE if settings.device else 1,
        progress=settings.progress,
    )
    skipped = files.skipped(table.skipped)
    columns = table.columns()
    return (
        {
            name: np.stack([columns[f"{name} {rule.value}"] for rule in PAPER], axis=1)
            for name in ("random", "trained")
        },
        skipped,
        copies,
    )


def _of_crops(settings: Settings, nets: Subject) -> dict[str, np.ndarray]:
    """Return the distances of crops of the bundled photographs, (n, R) by network."""
    small = nets.source in PACKAGED
    total = settings.crops or (MANY if small else FEW)
    crops = settings.stream(7, 1)
    if small and nets.side == 32:  # trained on this size: take crops of the test split
        pictures = _unseen(total, nets, crops)
    else:
        names = photographs.present()
        shown = (
            photographs.crop(names[number % len(names)], nets.side, seed=crops) for number in range(total)
        )
        together = _ON_DEVICE if settings.device else 1
        pictures = (np.stack([x, *itertools.islice(shown, together - 1)]) for x in shown)
    apart = _Distances(nets, settings.device)
    rng, step = settings.stream(7, 0), settings.steps("figure 7", total)
    found: list[dict[str, np.ndarray]] = []
    for batch in pictures:
        logits = np.array([_two(nets, rng) for _ in batch])
        # One BLAS thread for small pictures: more wait for each other.
        with threadpoolctl.threadpool_limits(1 if len(batch) > 1 else None, user_api="blas"):
            found.append(apart(batch, logits))
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
