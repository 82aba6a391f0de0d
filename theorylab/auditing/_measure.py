"""Measurements of an attribution's maps: recovery of the picture, sensitivity to the class, stability."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from theorylab import analytic, measures
from theorylab.auditing._estimates import Estimate
from theorylab.model.patches import PatchGrid

Attribute = Callable[[np.ndarray, int], np.ndarray]

KERNEL = 7
"""Side of the patches whose norms the normalised picture is divided by."""

MOVED = 1e-3
"""Norm of the change, relative to the picture's, after which a map should still be the same."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Estimates over pictures; over targets, or pairs of them, where there is one picture.

    Attributes
    ----------
    recovery : dict of str to Estimate
        "input", "normalised input": cosine of the map to them.  "edges": correlation of the map's strength with the Sobel
        strength of the picture.
    similarity : dict of str to Estimate
        Structural similarity to the same three.
    distance : Estimate
        Euclidean distance of unit maps of two targets: √2 for independent noise, 0 for one map for all.
    rank_correlation : Estimate
        Spearman's, between the maps of two targets.
    stability : Estimate
        Cosine of the map with that of the slightly moved picture.
    across_pictures : Estimate
        Cosine of the maps of one target for two pictures; empty with one picture.
    zero_maps : int
        Maps without an entry other than 0; they have no direction and are not counted.
    """

    recovery: dict[str, Estimate]
    similarity: dict[str, Estimate]
    distance: Estimate
    rank_correlation: Estimate
    stability: Estimate
    across_pictures: Estimate
    zero_maps: int


def references(x: np.ndarray, channels: int) -> dict[str, np.ndarray]:
    """Return what a map may copy: the picture, the picture over its local contrast, its edges (1, H, W)."""
    from skimage import filters

    side = min(KERNEL, *x.shape[1:])
    centred = np.pad(x, ((0, 0), *((side // 2, side // 2),) * 2), mode="reflect")
    grid = PatchGrid(centred.shape, side)
    kappa = analytic.local_contrast(centred, grid)
    inner = tuple(slice(side // 2, side // 2 + size) for size in x.shape[1:])
    normalised = x * kappa[inner]
    copies = {"input": x, "normalised input": normalised}
    if channels == 1:
        copies = {name: map_.mean(axis=0, keepdims=True) for name, map_ in copies.items()}
    edges = np.asarray(filters.sobel(x.mean(axis=0)))  # type: ignore[no-untyped-call]
    return {**copies, "edges": edges[None]}


def strength(map_: np.ndarray) -> np.ndarray:
    """Return the norm over the channels, (1, H, W)."""
    return np.asarray(np.sqrt((map_**2).sum(axis=0, keepdims=True)))


def measure(
    attribute: Attribute,
    pictures: Sequence[np.ndarray],
    targets: Sequence[int],
    *,
    rng: np.random.Generator,
    step: Callable[[], None] = lambda: None,
) -> tuple[Measured, np.ndarray]:
    """Measure one attribution; return its numbers and its maps of the first picture, (T, C, H, W)."""
    rows: list[dict[tuple[str, str], np.ndarray]] = []
    across: list[float] = []
    first = waiting = None
    zero_maps = 0
    for x in pictures:
        maps = called_many(attribute, x, targets)
        first = maps if first is None else first
        if waiting is None:
            waiting = maps
        else:  # disjoint pairs, so that no map counts twice
            if waiting.shape == maps.shape:
                pairs = zip(waiting, maps, strict=True)
                across.append(
                    _mean(
                        np.array([measures.cosine(first_map, second_map) for first_map, second_map in pairs])
                    )
                )
            waiting = None
        zero_maps += int((~maps.any(axis=(1, 2, 3))).sum())
        change = rng.standard_normal(x.shape)
        change *= MOVED * np.linalg.norm(x) / np.linalg.norm(change)
        rows.append(_numbers(x, maps, called_many(attribute, x + change, targets)))
        step()
    assert first is not None
    # Pictures are the units; targets are, where there is only one.
    estimates = {
        key: Estimate.of(np.array([_mean(row[key]) for row in rows]) if len(rows) > 1 else rows[0][key])
        for key in rows[0]
    }
    recovery, similarity = (
        {name: estimate for (kind, name), estimate in estimates.items() if kind == part}
        for part in ("recovery", "similarity")
    )
    distance, rank, stability = (estimates["targets", name] for name in ("distance", "rank", "stability"))
    across_pictures = Estimate.of(np.array(across))
    return Measured(recovery, similarity, distance, rank, stability, across_pictures, zero_maps), first


def called_many(attribute: Attribute, x: np.ndarray, targets: Sequence[int]) -> np.ndarray:
    """Return the maps of all targets, (T, C, H, W), by the attribution's method ``many`` if it has one."""
    if hasattr(attribute, "many"):
        with _of_the_user(f"targets {', '.join(map(str, targets))}"):
            maps = attribute.many(x, targets)
        return np.stack([checked(map_, x, target) for map_, target in zip(maps, targets, strict=True)])
    return np.stack([called(attribute, x, target) for target in targets])


def called(attribute: Attribute, x: np.ndarray, target: int) -> np.ndarray:
    """Return the map of one target, (C, H, W) float64."""
    with _of_the_user(f"target {target}"):
        map_ = attribute(x.copy(), target)
    return checked(map_, x, target)


@contextlib.contextmanager
def _of_the_user(what: str) -> Iterator[None]:
    """Report any exception of the user's callable as a ValueError that names the target."""
    try:
        yield
    except Exception as error:
        hint = (
            "; targets (--targets) are classes of the network"
            if isinstance(error, (IndexError, AssertionError))
            else ""
        )
        raise ValueError(f"attribute: {type(error).__name__} for {what}: {error}{hint}") from error


def checked(returned: np.ndarray, x: np.ndarray, target: int) -> np.ndarray:
    """Return a map as ``(C, H, W)`` float64, or raise a ValueError that says what came instead."""
    map_ = np.asarray(returned)
    if map_.dtype.kind not in "fiub":
        raise ValueError(f"attribute: expected a map of real numbers, got {map_.dtype}")
    if map_.ndim == 4 and len(map_) == 1:
        map_ = map_[0]
    if map_.ndim == 2:
        map_ = map_[None]
    if map_.ndim != 3 or map_.shape[1:] != x.shape[1:] or map_.shape[0] not in (1, x.shape[0]):
        raise ValueError(
            f"attribute: expected a map of {x.shape} or {x.shape[1:]} for target {target}, got {map_.shape}"
        )
    map_ = map_.astype(np.float64)
    if not np.isfinite(map_).all():
        raise ValueError(f"attribute: the map of target {target} is not finite")
    return map_


def _mean(values: np.ndarray) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")


def _numbers(x: np.ndarray, maps: np.ndarray, again: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """Return one picture's numbers: arrays over targets, or over disjoint pairs, so that no map counts twice."""
    numbers: dict[tuple[str, str], np.ndarray] = {}
    for name, reference in references(x, maps.shape[1]).items():
        edges = name == "edges"
        compare = measures.correlation if edges else measures.cosine
        compared = [strength(map_) if edges else map_ for map_ in maps]
        numbers["recovery", name] = np.array([compare(map_, reference) for map_ in compared])
        numbers["similarity", name] = np.array([measures.similarity(map_, reference) for map_ in compared])
    targets, moved = (maps[::2], maps[1::2]), (maps, again)
    for name, measure_of, (firsts, seconds) in (
        ("distance", measures.distance, targets),
        ("rank", measures.rank_correlation, targets),
        ("stability", measures.cosine, moved),
    ):
        pairs = zip(firsts, seconds, strict=False)
        numbers["targets", name] = np.array([measure_of(map_, second) for map_, second in pairs])
    return numbers
