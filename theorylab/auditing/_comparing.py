"""What is computed from one picture's maps: centred correlations to what they may copy, and to each other."""

from __future__ import annotations

import math

import numpy as np

from theorylab import analytic, measures
from theorylab._thresholds import ALIKE, ALIKE_BY_STRENGTH
from theorylab.model.patches import PatchGrid

KERNEL = 7
"""Side of the patches whose norms the normalised picture is divided by."""

ANY_SIGN = "input, any sign"
RECOVERY = ("input", ANY_SIGN, "normalised input", "absolute value", "squares", "edges")
SIMILARITY = ("input", "normalised input", "edges")
_CONSTANT = 1e-9  # range of a map, relative to its largest value, that counts as rounding


def references(x: np.ndarray, channels: int) -> dict[str, np.ndarray]:
    """Return what a map may copy, each (C, H, W), or (1, H, W) if the map has one channel; edges always (1, H, W).

    The picture; the picture over its local contrast; the picture's absolute value and squares; its edges (Sobel).  A map
    of one channel is compared with means over channels, so with the picture's brightness and strength.
    """
    from skimage import filters

    side = min(KERNEL, *x.shape[1:])
    padded = np.pad(x, ((0, 0), *((side // 2, side // 2),) * 2), mode="reflect")
    kappa = analytic.local_contrast(padded, PatchGrid(padded.shape, side))
    inner = tuple(slice(side // 2, side // 2 + size) for size in x.shape[1:])
    copies = {"input": x, "normalised input": x * kappa[inner], "absolute value": np.abs(x), "squares": x**2}
    if channels == 1:
        copies = {name: map_.mean(axis=0, keepdims=True) for name, map_ in copies.items()}
    edges = np.asarray(filters.sobel(x.mean(axis=0)))  # type: ignore[no-untyped-call]
    return {**copies, "edges": edges[None]}


def strength(maps: np.ndarray) -> np.ndarray:
    """Return the norm over the channels: (…, C, H, W) to (…, 1, H, W)."""
    return np.asarray(np.sqrt((maps**2).sum(axis=-3, keepdims=True)))


def scaled(maps: np.ndarray) -> np.ndarray:
    """Divide each map by its largest absolute value, so that squares stay in range; a zero map stays zero."""
    peaks = np.abs(maps).max(axis=(1, 2, 3), keepdims=True)
    return np.asarray(maps / np.where(peaks > 0, peaks, 1))


def centred(maps: np.ndarray) -> np.ndarray:
    """Return maps (T, C, H, W) without their means over each channel, as unit vectors (T, C·H·W); constant ones as zeros.

    The inner product of two of them is a correlation that neither a bright picture, a tint nor a positive map can raise.
    """
    maps = scaled(maps)
    rows = (maps - maps.mean(axis=(2, 3), keepdims=True)).reshape(len(maps), -1)
    varies = np.abs(rows).max(axis=1, keepdims=True) > _CONSTANT
    norms = np.where(varies, np.linalg.norm(rows, axis=1, keepdims=True), np.inf)
    return np.asarray(rows / norms)


def ranked(rows: np.ndarray) -> np.ndarray:
    """Return unit vectors (T, d) of centred ranks; zero rows stay zero."""
    from scipy import stats

    ranks = np.asarray(stats.rankdata(rows, axis=1)) - (rows.shape[1] + 1) / 2
    norms = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.asarray(ranks / np.where(norms > 0, norms, np.inf))


def shuffled(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each map with its pixels in a random order: noise of the map's own values, colours and all."""
    flat = maps.reshape(*maps.shape[:2], -1)
    return np.stack([map_[:, rng.permutation(flat.shape[2])] for map_ in flat]).reshape(maps.shape)


def one_sided(maps: np.ndarray) -> bool:
    """Say whether the maps are essentially of one sign: less than a hundredth of the energy has the other."""
    maps = scaled(maps)
    energy = float((maps**2).sum())
    positive = float((np.maximum(maps, 0) ** 2).sum())
    return min(positive, energy - positive) < 0.01 * energy


def directions(copies: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return each copy centred, as a unit vector, for :func:`compare`."""
    return {name: centred(copy[None])[0] for name, copy in copies.items()}


def compare(copies: dict[str, np.ndarray], maps: np.ndarray, again: np.ndarray) -> dict[str, float]:
    """Return the numbers of one picture, means over its targets, or over all pairs of them.

    Parameters
    ----------
    copies : dict of str to array
        :func:`directions` of :func:`references`.
    maps, again : arrays, (T, C, H, W)
        The targets' maps of the picture, and of the slightly moved picture.

    Returns
    -------
    dict of str to float
        Correlations "recovery …", "stability", "class", "rank", the raw "distance", and three margins by which the
        classes' maps are alike: of values, of ranks, and of ranks beyond the picture's strength.  NaN where maps are constant.
    """
    maps = scaled(maps)
    rows, later = centred(maps), centred(again)
    kept = rows.any(axis=1)
    edges = centred(strength(maps))
    found = {}
    for name, copy in copies.items():
        values = ((edges if name == "edges" else rows) @ copy)[kept]
        found[f"recovery {name}"] = _mean(values) if copy.any() else math.nan
        if name == "input":
            found[f"recovery {ANY_SIGN}"] = _mean(np.abs(values)) if copy.any() else math.nan
    both = kept & later.any(axis=1)
    together = ranked(np.concatenate([rows[both], later[both], copies["absolute value"][None]]))
    number = int(both.sum())
    ranks, later_ranks, strong = together[:number], together[number:-1], together[-1]
    found["stability"] = _mean((rows * later).sum(axis=1)[both])
    found["class"], found["rank"] = _pairs(rows[kept] @ rows[kept].T), _pairs(ranks @ ranks.T)
    raw = maps.reshape(len(maps), -1)
    raw = raw[raw.any(axis=1)]
    raw = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    found["distance"] = _pairs(np.sqrt(np.maximum(2 - 2 * (raw @ raw.T), 0)))
    found["margin"] = found["class"] - ALIKE * found["stability"]
    steady = _mean((ranks * later_ranks).sum(axis=1))
    found["rank margin"] = found["rank"] - ALIKE * steady
    # Noise behind a common strength makes maps alike, too, but not beyond that strength.
    beyond = ranks - (ranks @ strong)[:, None] * strong
    beyond /= np.maximum(np.linalg.norm(beyond, axis=1, keepdims=True), _CONSTANT)
    found["beyond strength"] = max(
        _pairs(beyond @ beyond.T) - ALIKE * steady, found["rank"] - ALIKE_BY_STRENGTH * steady
    )
    return found


def similarities(copies: dict[str, np.ndarray], maps: np.ndarray) -> dict[str, float]:
    """Return the structural similarities of one picture's maps to the picture, normalised, and its edges."""
    maps = scaled(maps)
    compared = {name: strength(maps) if name == "edges" else maps for name in SIMILARITY}
    return {
        f"similarity {name}": _mean(np.array([measures.similarity(map_, copies[name]) for map_ in several]))
        for name, several in compared.items()
    }


def _pairs(table: np.ndarray) -> float:
    """Return the mean over pairs of different targets."""
    number = len(table)
    return float(table.sum() - table.trace()) / (number * (number - 1)) if number > 1 else math.nan


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
