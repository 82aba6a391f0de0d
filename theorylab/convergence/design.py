"""What a study measures, and where: everything that its numbers depend on."""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from theorylab import _json, _random, _validation
from theorylab._version import __version__
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER, Rule
from theorylab.model.specs import ConvSpec
from theorylab.model.stack import Stack

OVER = ("n_filters", "kernel", "stride", "pool", "depth")
"""What a curve can go over."""


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Point:
    """One architecture: square filters and windows, Gaussian weights of variance 1, no padding.

    Parameters
    ----------
    n_filters, kernel, stride : int
    pool : int, default 1
        Side of the disjoint max-pooling windows behind the ReLU; 1 is no pooling.
    depth : int, default 1
        Convolutions.  Those above the first have `n_filters` filters of 3×3 at stride 1, padded by 1, of variance 2 over
        their fan-in.

    Raises
    ------
    TypeError, ValueError
        If a number is not a positive integer, or for pooling with more than one convolution.

    Examples
    --------
    >>> Point(256, 7, 2).name, Point(64, 7, 2, depth=3).name
    ('N=256,kernel=7,stride=2', 'N=64,kernel=7,stride=2,depth=3')
    """

    n_filters: int
    kernel: int
    stride: int
    pool: int = 1
    depth: int = 1

    def __post_init__(self) -> None:
        """Check the sizes."""
        for name in OVER:
            object.__setattr__(self, name, _validation.positive_integer(getattr(self, name), name))
        if self.depth > 1 and self.pool > 1:
            raise ValueError(f"pool: expected 1 (none) with depth {self.depth}, got {self.pool}")

    @property
    def name(self) -> str:
        """Names the point's blocks and its random numbers, whatever other points there are."""
        parts = [f"N={self.n_filters}", f"kernel={self.kernel}", f"stride={self.stride}"]
        parts += [f"pool={self.pool}"] if self.pool > 1 else []
        parts += [f"depth={self.depth}"] if self.depth > 1 else []
        return ",".join(parts)

    def grid(self, shape: tuple[int, int, int]) -> PatchGrid:
        """Patches of the picture."""
        return PatchGrid(shape, self.kernel, self.stride)

    @property
    def max_pool(self) -> MaxPool | None:
        """The pooling layer, if there is one."""
        return MaxPool(self.pool) if self.pool > 1 else None

    def stack(self, shape: tuple[int, int, int]) -> Stack:
        """Describe the network on a picture of a shape."""
        above = ConvSpec(self.n_filters, 3, padding=1, std=math.sqrt(2 / (9 * self.n_filters)))
        pools = () if self.max_pool is None else (self.max_pool,)
        first = ConvSpec(self.n_filters, self.kernel, self.stride)
        return Stack(shape, (first, *pools, *[above] * (self.depth - 1)))


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Design:
    """A study: one picture, points along one axis, and how many networks.

    :meth:`of` makes it.  `digest` is the SHA-256 of the prepared picture, `picture` its name in words.

    Examples
    --------
    >>> design = Design.of(np.ones((1, 9, 9)), "white", over="kernel", kernel=(3, 5), n_filters=8)
    >>> [point.name for point in design.points]
    ['N=8,kernel=3,stride=2', 'N=8,kernel=5,stride=2']
    """

    picture: str
    digest: str
    shape: tuple[int, int, int]
    over: str
    points: tuple[Point, ...]
    rules: tuple[Rule, ...]
    replicates: int
    block: int
    precision: float | None
    seed: int

    @classmethod
    @_validation.checked
    def of(
        cls,
        x: np.ndarray,
        picture: str = "",
        *,
        over: str = "n_filters",
        n_filters: int | Sequence[int] | None = None,
        kernel: int | Sequence[int] | None = None,
        stride: int | Sequence[int] | None = None,
        pool: int | Sequence[int] | None = None,
        depth: int | Sequence[int] | None = None,
        rules: Iterable[Rule | str] = PAPER,
        replicates: int = 200,
        block: int = 10,
        precision: float | None = None,
        seed: int = 0,
    ) -> Design:
        """Make a design with this project's defaults for what is not given.

        Parameters
        ----------
        x : array, (C, H, W)
            The picture.
        picture : str
            Its name, for the files.
        over : {"n_filters", "kernel", "stride", "pool", "depth"}
            What the curves go over.
        n_filters, kernel, stride, pool, depth : int or sequence of int, optional
            Several values of what the study goes over, one of each other; see :class:`Point`.
        rules : iterable of Rule or str
        replicates : int
            Networks a point, rounded up to whole blocks; at least two.
        block : int
            Networks a block: what is lost of a run that is killed, at most, for each worker.
        precision : float, optional
            Draw no more networks at a point once every 95 % interval's half width is below this share of the estimate.
            The intervals then hold at any end (:func:`theorylab.stats.anytime_interval`), and are wider.  Asked after each
            block in the order of blocks, from 30 networks on; not of the kurtosis, nor of what is 0.
        seed : int

        Raises
        ------
        TypeError, ValueError
            For bad input: of what the study does not go over, one value is expected; every point must fit the picture.
        """
        x = _validation.image(x, np.shape(x))
        if x.ndim != 3:
            raise ValueError(f"x: expected (C, H, W), got shape {x.shape}")
        if over not in OVER:
            raise ValueError(f"over: expected one of {', '.join(OVER)}, got {over!r}")
        given = {"n_filters": n_filters, "kernel": kernel, "stride": stride, "pool": pool, "depth": depth}
        values = {name: _values(name, given[name], over) for name in OVER}
        points = tuple(
            Point(**{name: value if name == over else values[name][0] for name in OVER})
            for value in values[over]
        )
        for point in points:
            point.stack(x.shape)  # that it fits
        different = tuple(dict.fromkeys(Rule(rule) for rule in rules))
        if not different:
            raise ValueError("rules: expected at least one")
        _random.sequence(seed)
        replicates = _validation.positive_integer(replicates, "replicates")
        block = _validation.positive_integer(block, "block")
        if precision is not None and _validation.positive_number(precision, "precision") >= 1:
            raise ValueError(f"precision: a share of the estimate, expected below 1, got {precision}")
        if max(replicates, block) < 2:
            raise ValueError("replicates: expected at least 2, of one network no spread can be told")
        return cls(
            picture,
            _json.sha256(x),
            x.shape,
            over,
            points,
            different,
            replicates,
            block,
            None if precision is None else float(precision),
            int(seed),
        )

    def check(self, x: np.ndarray) -> None:
        """Raise a ValueError if `x` is another picture."""
        if np.shape(x) != self.shape or _json.sha256(x) != self.digest:
            raise ValueError("x: expected the picture that the design was made for")

    def seed_of(self, point: Point) -> np.random.SeedSequence:
        """Return a point's random numbers, which do not depend on which other points there are."""
        return _random.child(_random.sequence(self.seed), zlib.crc32(point.name.encode()))

    def blocks(self) -> dict[str, Any]:
        """Return what a study shares with one that goes on with its blocks: all but how many of them there are."""
        return {key: one for key, one in self.to_json().items() if key not in ("replicates", "precision")}

    def to_json(self) -> dict[str, Any]:
        """All that the numbers depend on, with the version of theorylab, in types of JSON."""
        return {
            "theorylab": __version__,
            "picture": {"name": self.picture, "sha256": self.digest, "shape": list(self.shape)},
            "over": self.over,
            "points": [dataclasses.asdict(point) for point in self.points],
            "rules": [rule.value for rule in self.rules],
            "replicates": self.replicates,
            "block": self.block,
            "precision": self.precision,
            "seed": self.seed,
        }


# One value of each where the study does not go over it, and several where it does.
_DEFAULTS = {
    "n_filters": (256, (16, 64, 256, 1024)),
    "kernel": (7, (3, 5, 7, 11)),
    "stride": (2, (1, 2, 4, 7)),
    "pool": (1, (1, 2, 3)),
    "depth": (1, (1, 2, 3, 4)),
}
_DEEP_FILTERS = 64  # a deep network takes long


def _values(name: str, given: int | Sequence[int] | None, over: str) -> tuple[int, ...]:
    if given is None:
        one, many = _DEFAULTS[name]
        if name == over:
            return many
        return (_DEEP_FILTERS if over == "depth" and name == "n_filters" else one,)
    several = isinstance(given, (Sequence, np.ndarray)) and not isinstance(given, str) and np.ndim(given)
    listed: Any = given if several else [given]
    values = sorted(_validation.positive_integer(value, name) for value in listed)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name}: expected different values, at least one, got {values}")
    if name != over and len(values) > 1:
        raise ValueError(f"{name}: expected one value, because the study goes over {over}, got {values}")
    return tuple(values)
