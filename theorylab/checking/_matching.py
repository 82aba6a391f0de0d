"""How far a callable's maps are from known ones, up to what is often done to a map before it is shown."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from theorylab.checking._references import Case, Reference

Change = Callable[[np.ndarray], np.ndarray]
_POINTWISE: dict[tuple[str, ...], Change] = {
    (): lambda maps: maps,
    ("absolute value",): np.abs,
    ("only the positive part",): lambda maps: np.maximum(maps, 0),
}
_JOINED: dict[tuple[str, ...], Change] = {
    ("channels summed",): lambda maps: maps.sum(1, keepdims=True),
    ("largest of the channels",): lambda maps: maps.max(1, keepdims=True),
    ("norm over the channels",): lambda maps: np.sqrt(np.square(maps).sum(1, keepdims=True)),
}
_ROUNDING = 1e-5
_REVERSED = "channels reversed"
_LOGIT, _NEGATIVE = "scaled by the logit", "negative of the map"
# Factors that a map of each case may have, as functions of its logit: with what is said, and whether that is a fault.
_FACTORS: dict[tuple[str, ...], Change] = {
    (): lambda f: np.ones_like(f),
    (_NEGATIVE,): lambda f: -np.ones_like(f),
    (_LOGIT,): lambda f: f,
    ("divided by the logit: relevance starts at 1",): lambda f: 1 / f,
    ("with the logit's sign: relevance starts at the logit, not at its size",): np.sign,
    ("divided by the logit's size: relevance starts at 1",): lambda f: 1 / np.abs(f),
    ("scaled by the logit's size",): np.abs,
    (_LOGIT, _NEGATIVE): lambda f: -f,
}
FAULTS = {_REVERSED, _LOGIT, _NEGATIVE, "scaled by the logit's size"}


@dataclasses.dataclass(frozen=True)
class Match:
    """A known map, what was done to it, by name and in words, and how far the callable's maps are from that on each network."""

    reference: Reference
    way: tuple[str, ...]
    done: tuple[str, ...]
    deviations: dict[str, float]
    rounding: float = 0.0

    @property
    def agrees(self) -> set[str]:
        """Networks on which the two are the same."""
        return {name for name, off in self.deviations.items() if off <= self.tolerance}

    @property
    def tolerance(self) -> float:
        """What the two may be apart by: the reference's, or the rounding of a map in half precision."""
        return max(self.reference.tolerance, self.rounding)

    @property
    def worst(self) -> float:
        """The largest deviation."""
        return max(self.deviations.values())

    @property
    def order(self) -> tuple[float, ...]:
        """What the best match has the least of: networks on which it fails, then words, then deviation."""
        words = len(self.done) + 2 * len(self.reference.faults)
        off = max((self.deviations[name] for name in self.agrees), default=np.inf)
        # Maps that one factor makes are normalised ones, too: rounding must not choose between the two.
        own = max(off, _ROUNDING), "normalised" in self.way
        return -len(self.agrees), words, self.reference.tolerance, *own, off


def _shown(maps: np.ndarray, x: np.ndarray, plane: bool) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Yield what may be shown of maps (N, C, H, W), in words and as arrays; of one plane if that is what came."""
    for times, given in (((), maps), (("multiplied by the input",), maps * x)):
        for first, values in _POINTWISE.items():
            one = values(given)
            if not plane:
                yield times + first, one
                if not times:
                    yield (*first, _REVERSED), one[:, ::-1]
                continue
            if not first:  # a plane that a method repeats for each channel
                same = (given == given[:, :1]).all((1, 2, 3), keepdims=True)
                yield times, np.where(same, given[:, :1], np.nan)
            for joined, join in _JOINED.items():
                plane_ = join(one)
                for last, more in _POINTWISE.items():
                    if not (first and last):
                        yield times + first + joined + last, more(plane_)


def _fit(map_: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return for each known map, (N, D): its norm over the map's, their product, what an affine fit leaves, if both are 0."""
    size, zero = np.linalg.norm(map_), np.equal(known.any(1), False)
    if not size:
        return (np.full(len(known), np.nan),) * 3 + (zero,)
    norms, products = np.linalg.norm(known, axis=1) / size, known @ map_ / size**2
    centred, given = known - known.mean(1, keepdims=True), map_ - map_.mean()
    slope = centred @ given / np.square(centred).sum(1)
    off = np.linalg.norm(given - slope[:, None] * centred, axis=1) / np.linalg.norm(given)
    return norms, products, np.where(slope > 0, off, np.inf), np.zeros(len(known), bool)


def _deviation(norms: np.ndarray, products: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return ``‖u − c m‖/‖u‖``."""
    return np.asarray(np.sqrt(np.maximum(1 - 2 * factor * products + (factor * norms) ** 2, 0)))


def matches(cases: Sequence[Case], references: Sequence[Reference]) -> list[Match]:
    """Return what every reference, shown in every way, is off by on each network."""
    networks = list(dict.fromkeys(case.network for case in cases))
    plane, rounding = cases[0].map.shape[0] == 1, max(case.rounding for case in cases)
    columns: dict[tuple[str, ...], list[tuple[np.ndarray, ...]]] = {}
    # Squares of maps of any size stay in range: all are fitted over one power of two, and factors with them.
    exponent = int(np.frexp(max(np.abs(case.map).max() for case in cases))[1])
    for case in cases:
        known = np.stack([reference.map(case) for reference in references])
        for done, maps in _shown(known, case.x, plane):
            flat = maps.reshape(len(maps), -1)
            with np.errstate(divide="ignore", invalid="ignore"):
                columns.setdefault(done, []).append(_fit(np.ldexp(case.map.ravel(), -exponent), flat))
    logits = np.array([case.trace.logits[case.target] for case in cases])[:, None]
    found = []
    for done, rows in columns.items():
        norms, products, affine, both_zero = (np.array(column) for column in zip(*rows, strict=True))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing but NaN has no median
            constant = np.nanmedian(products / norms**2, axis=0)
            alone = np.sqrt(np.maximum(1 - products**2 / norms**2, 0))
            each = {
                more: (_deviation(norms, products, np.ldexp(c(logits), -exponent)), None)
                for more, c in _FACTORS.items()
            }
            each[("scaled",)] = _deviation(norms, products, constant), np.ldexp(constant, exponent)
        each[("normalised",)] = np.where(products > 0, alone, np.inf), None
        each[("normalised", "least value taken away")] = affine, None
        for more, (off, constants) in each.items():
            off = np.where(both_zero, 0, np.where(np.isnan(off), np.inf, off))
            by_network = np.array([off[[case.network == name for case in cases]].max(0) for name in networks])
            for n, reference in enumerate(references):
                words = done + more if constants is None else _scaled(done, constants[n])
                deviations = dict(zip(networks, by_network[:, n], strict=True))
                found.append(Match(reference, done + more, words, deviations, rounding))
    return found


def _scaled(done: tuple[str, ...], constant: float) -> tuple[str, ...]:
    if done[-1:] == ("channels summed",) and np.isclose(3 * constant, 1):
        return (*done[:-1], "channels averaged")
    size, sign = f"{abs(constant):.3g}", (_NEGATIVE,) if constant < 0 else ()
    return (*done, *sign) if sign and size == "1" else (*done, *sign, f"scaled by {size}")
