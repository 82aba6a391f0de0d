"""Eq. 4 written as it stands, and random geometries to try it on: what the claims of identities share."""

from __future__ import annotations

import numpy as np

from theorylab.charts import MapFigure, MapPanel
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER, Rule

CASES = 12

Maps = dict[Rule, list[np.ndarray]]
"""The maps of each rule, one for each geometry."""


def by_rule() -> Maps:
    """No map yet of any rule of the paper."""
    return {rule: [] for rule in PAPER}


def following(rule: Rule) -> Rule:
    """Return the next rule of the paper, cyclically: its formula is the negative control of `rule`.

    Examples
    --------
    >>> following(PAPER[-1]) is PAPER[0]
    True
    """
    return PAPER[(PAPER.index(rule) + 1) % len(PAPER)]


def both_sides(name: str, equation: str, measured: Maps, formula: Maps) -> MapFigure:
    """Draw the maps of the largest random geometry, by the backward pass and by the equation."""
    sizes = [map_.size for map_ in measured[PAPER[0]]]
    largest = sizes.index(max(sizes))
    panels = [
        MapPanel(f"{rule.value}: {side}", maps[rule][largest], rule.value)
        for side, maps in (("backward", measured), (equation, formula))
        for rule in PAPER
    ]
    caption = (
        f"Each rule's map by the backward pass and by {equation}, in the largest of the random geometries."
    )
    return MapFigure(name, caption, tuple(panels))


def equation_4(
    x: np.ndarray, grid: PatchGrid, filters: np.ndarray, readout: np.ndarray, rule: Rule
) -> np.ndarray:
    """Return the right-hand side of Eq. 4, written as it stands but not normalised.

    Parameters
    ----------
    x : array, (C, H, W)
    filters : array, (N, p)
    readout : array, (N, J)

    Returns
    -------
    array, (C, H, W)
    """
    patches = grid.extract(x)
    total = np.zeros((grid.n_patches, grid.patch_size))
    for j, y in enumerate(patches):
        for w, v in zip(filters, readout[:, j], strict=True):
            h = v if rule is Rule.SALIENCY else max(v, 0.0)
            seen = rule is Rule.DECONVNET or w @ y > 0
            total[j] += h * w * seen
    return grid.fold(total)


def random_case(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, PatchGrid]:
    """Draw a random crop of the picture and a random geometry on it."""
    channels, height, width = picture.shape
    h, w = int(rng.integers(4, min(14, height) + 1)), int(rng.integers(4, min(14, width) + 1))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    kernel, stride, padding = (
        (int(rng.integers(low, high)), int(rng.integers(low, high))) for low, high in ((1, 5), (1, 4), (0, 3))
    )
    crop = picture[:, top : top + h, left : left + w]
    # A crop of pure zeros would make both sides vanish; noise far below the picture keeps it alive.
    crop = crop / np.abs(picture).max() + 1e-3 * rng.standard_normal(crop.shape)
    return crop, PatchGrid((channels, h, w), kernel, stride, padding)
