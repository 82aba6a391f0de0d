"""How far off the laws of depth are, as measured on unlike pictures: `make depth-errors`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from theorylab.analytic import _blocks
from theorylab.analytic._blocks import Block
from theorylab.analytic._plan import plan
from theorylab.model.rules import Rule
from theorylab.model.stack import Layer


class Tolerance(NamedTuple):
    """How far off the law of a wide network is at most, as measured.

    Attributes
    ----------
    alignment : float
        Of any layer.
    size : float
        Of the mean map, relative.
    cosine : float
        Between the mean map and the law's, at least.
    """

    alignment: float
    size: float
    cosine: float

    @property
    def words(self) -> str:
        """The same in words.

        Examples
        --------
        >>> for part in TOLERANCE.words.split("; "):
        ...     print(part)
        alignments within 0.02, the mean map's size within 3 %, its direction within a cosine of 0.99
        narrow layers add a share of one over their width
        """
        return (
            f"alignments within {self.alignment:g}, the mean map's size within {100 * self.size:g} %, its direction within a "
            f"cosine of {self.cosine:g}; narrow layers add a share of one over their width"
        )


TOLERANCE = Tolerance(alignment=0.02, size=0.03, cosine=0.99)
"""Where max-pools stand above max-pools, and residual blocks above them or not.

Not of pictures whose contrast is a thousandth: 3.5 %, and where windows overlap 5 % and a cosine of 0.975."""
TOLERANCE_OF_MANY_WINDOWS = Tolerance(alignment=0.02, size=0.04, cosine=0.99)
"""The same, where inner products of pooled activations more than two windows apart are estimates; no windows overlap there."""
TOLERANCE_OF_INTEGRALS = Tolerance(alignment=0.002, size=0.02, cosine=0.999)
"""Of all other networks, with residual blocks or without: the law is a limit, and this is what its integrals leave.

Narrow layers add one over the width: behind one pool a residual network's cosine to the picture falls short by 2.0, 1.2 and 0.5 %
at 48, 96 and 288 filters, the mean of four pictures."""
LARGEST = 256
"""Positions of the windows for which that was measured; more points would take hundreds of megabytes."""


def tolerance(shape: tuple[int, int, int], layers: Sequence[Layer], rule: Rule | str) -> Tolerance:
    """Say how far off :func:`~theorylab.analytic.depth_maps` may be for wide layers, from sizes alone.

    Narrow layers add errors of one over the width.

    Parameters
    ----------
    shape : (C, H, W)
        Of the image.
    layers, rule
        As for :func:`~theorylab.analytic.depth_maps`.

    Returns
    -------
    Tolerance

    Raises
    ------
    NoLaw
        Where `depth_maps` has none, whatever the picture.

    Examples
    --------
    >>> from theorylab import ConvSpec, MaxPool
    >>> two = [ConvSpec(64, 3, padding=1), MaxPool(2), ConvSpec(64, 3, padding=1), MaxPool(2)]
    >>> tolerance((3, 32, 32), two, "guided")
    Tolerance(alignment=0.02, size=0.03, cosine=0.99)
    >>> tolerance((3, 32, 32), two[:3], "guided").alignment
    0.002
    """
    steps = plan(_blocks.read(shape, layers), Rule(rule))
    pooled = [
        (step, step.block.pool)
        for step in steps
        if isinstance(step.block, Block) and step.block.pool is not None
    ]
    if len(pooled) < 2 and all(math.prod(pool.size) <= LARGEST for _, pool in pooled):
        return TOLERANCE_OF_INTEGRALS
    return (
        TOLERANCE if len(pooled) <= 2 or all(step.every for step, _ in pooled) else TOLERANCE_OF_MANY_WINDOWS
    )
