"""What the claims of identities share: Eq. 4 as it stands, random geometries, and their outcome."""

from __future__ import annotations

import numpy as np

from proofs_checks.claim import Bench, Evidence, Margin, Outcome
from theorylab.charts import MapFigure, MapPanel
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER, Rule

CASES = 12

MARGINS = (
    Margin(
        "relative difference of the two sides",
        high=1e-10,
        why="it is an identity: rounding is all that may differ",
    ),
)
"""What decides an identity."""

Maps = dict[Rule, list[np.ndarray]]
"""The maps of each rule, one for each geometry."""


def by_rule() -> Maps:
    """Return an empty list of maps for each rule of the paper."""
    return {rule: [] for rule in PAPER}


def following(rule: Rule) -> Rule:
    """Return the next rule of the paper, cyclically: its formula is the negative control of `rule`.

    Examples
    --------
    >>> following(PAPER[-1]) is PAPER[0]
    True
    """
    return PAPER[(PAPER.index(rule) + 1) % len(PAPER)]


def outcome(
    bench: Bench,
    name: str,
    equation: str,
    measured: Maps,
    formula: Maps,
    where: str,
    wrong: Maps | None = None,
) -> Outcome:
    """Check an equation rule by rule against `wrong`, which is Eq. 7, or else the following rule's formula."""
    checks = tuple(
        bench.identity(
            f"{rule.value}: backward pass = {equation}",
            measured[rule],
            formula[rule],
            "Eq. 7: every positive unit receives its window's readout"
            if wrong
            else f"{equation} with the functions of {following(rule).value}",
            wrong[rule] if wrong else formula[following(rule)],
        )
        for rule in PAPER
    )
    worst = max(check.estimate for check in checks)
    return Outcome(
        f"The two sides of {equation} differ by {worst:.0e} of the maps' norm, which is rounding, in {CASES} {where}.",
        (Evidence(worst, 0.0, CASES),),
        checks,
        checks[-1].name,
        (both_sides(name, equation, measured, formula),),
    )


def both_sides(name: str, equation: str, measured: Maps, formula: Maps) -> MapFigure:
    """Draw the maps of the largest random geometry, by the backward pass and by the equation."""
    sizes = [map_.size for map_ in measured[PAPER[0]]]
    largest = sizes.index(max(sizes))
    panels = [
        MapPanel(f"{rule.title}: {side}", maps[rule][largest], rule.value)
        for side, maps in (("backward", measured), (equation, formula))
        for rule in PAPER
    ]
    caption = (
        f"Each rule's map by the backward pass and by {equation}, in the largest of the random geometries."
    )
    title = f"The backward pass and {equation} give the same maps"
    return MapFigure(name, caption, tuple(panels), title)


def equation_4(
    x: np.ndarray, grid: PatchGrid, filters: np.ndarray, readout: np.ndarray, rule: Rule
) -> np.ndarray:
    """Return the right-hand side of Eq. 4, not normalised, from filters (N, p) and readout (N, J)."""
    patches = grid.extract(x)
    total = np.zeros((grid.n_patches, grid.patch_size))
    for j, y in enumerate(patches):
        for w, v in zip(filters, readout[:, j], strict=True):
            h = v if rule is Rule.SALIENCY else max(v, 0.0)
            passes = rule is Rule.DECONVNET or w @ y > 0
            total[j] += h * w * passes
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
    # Add faint noise, because a crop of zeros would make both sides zero.
    crop = crop / np.abs(picture).max() + 1e-3 * rng.standard_normal(crop.shape)
    return crop, PatchGrid((channels, h, w), kernel, stride, padding)
