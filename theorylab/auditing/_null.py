"""The null of an attribution: what its maps would be if its own network knew nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import numpy as np

from theorylab import _random, _validation, drawing, measures
from theorylab.analytic.nolaw import NoLaw
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._maps import Attribute, called_many
from theorylab.auditing._rows import ALIKE
from theorylab.auditing._unknowing import Known, law_of, unknowing
from theorylab.progress import Progress, stepper

PICTURES = 4  # that the null is taken of, at most
_HELD = 0.25  # of the null's energy, more than samples of mean 0 seem to hold
_KEY, _BINS = 200, 100  # of the streams of the networks; of the histogram whose entropy eMPRT compares
_ENDS: Final = {
    "less": ("less than the", "the map departs from the null"),
    "within": ("within the", "the map is as a network that knows nothing shows it"),
    "more": ("more than the", "the map is nearer to the null than single random networks are"),
}


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Compared:
    """A number of the audited maps, beside the same number of networks that know nothing.

    Attributes
    ----------
    value : float
        A mean over pictures; NaN where all maps are zero.
    low, high : float
        The smallest and the largest of the random networks.
    networks : int
        How many of them have the number.
    level : float
        Probability that a further random network falls between: its rank among all ``n + 1`` is uniform.
    where : str
        Where the value is: "less", "within" or "more"; "unknown" if there is none.

    Examples
    --------
    >>> compared = Compared.of(0.3, [0.9, 0.8, 0.7])
    >>> compared.where, compared.low, compared.level
    ('less', 0.7, 0.5)
    """

    value: float
    low: float
    high: float
    networks: int
    level: float
    where: str

    @classmethod
    def of(cls, value: float, drawn: Sequence[float]) -> Compared:
        """Compare with the numbers of random networks; NaN, of zero maps, are left out.

        >>> Compared.of(0.3, [math.nan]).where
        'unknown'
        """
        counted = [one for one in drawn if not math.isnan(one)]
        low, high = min(counted, default=math.nan), max(counted, default=math.nan)
        where = "less" if value < low else "more" if value > high else "within"
        where = "unknown" if math.isnan(value + low) else where
        return cls(value, low, high, len(counted), max(len(counted) - 1, 0) / (len(counted) + 1), where)


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Null:
    """What the maps would be if the network knew nothing: the same layers, independent Gaussian weights of their size.

    Attributes
    ----------
    law : str
        Where its mean and variance are from: the "exact" law, a "limit" or an "estimate"; "" if they are sampled.
    why : str
        Why there is no law; else "".
    along : str
        What is compared: the "mean" map, if it holds a quarter of the null's expected energy; else the "strength", which is
        the root mean square, with the map's absolute values.
    pictures : int
        The first ones, four at most.
    numbers : dict of str to Compared
        "share": of the map's energy, along the null's: the squared cosine to it.  "energy": over the null's expected one.
        "random logit …": likeness of two logits' maps.  "MPRT …": likeness to the map of one random network; "eMPRT": by how much
        that map's entropy is larger, as a share.
    mean, standard_deviation : arrays, (C, H, W)
        Of the first picture's map.
    sigma_map : array, (C, H, W)
        The first picture's map of the first target, less the mean, over the standard deviation; 0 where that is 0/0, and if the
        map is zero.  Trained networks show maps of another size: the figure draws it with the null enlarged to the map's energy.

    Examples
    --------
    See :func:`theorylab.audit`.
    """

    law: str
    why: str
    along: str
    pictures: int
    numbers: dict[str, Compared]
    mean: np.ndarray = dataclasses.field(repr=False)
    standard_deviation: np.ndarray = dataclasses.field(repr=False)
    sigma_map: np.ndarray = dataclasses.field(repr=False)

    def __str__(self) -> str:
        """Say which share of the maps' energy the null explains."""
        share = self.numbers["share"]
        if share.where == "unknown":
            return "null, its own network with random weights: its maps or the audited ones are zero"
        than, so = _ENDS[share.where]
        numbers = share.value, share.low, share.high, share.level
        what = "mean map" if self.along == "mean" else self.along
        value, low, high, level = (f"{drawing.number(100 * one, 3)}\N{NO-BREAK SPACE}%" for one in numbers)
        source = f"by law, {self.law}" if self.law else f"sampled, {self.why.split(': ')[0]}"
        return (
            f"null, its own network with random weights: the null's {what} explains {value} of the map's energy, {than} {low} to "
            f"{high} of random networks' maps; {so} (interval of {level}, {share.networks} networks; {source})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything but the maps."""
        content = {key: value for key, value in vars(self).items() if not isinstance(value, np.ndarray)}
        return {"sentence": str(self), **content}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return a name, the value, and the range of random networks, in words."""
        return [
            (f"null: {name}", words[0], f"random {words[1]} to {words[2]}")
            for name, one in self.numbers.items()
            if one.where != "unknown"
            for words in ([drawing.number(number, 2) for number in (one.value, one.low, one.high)],)
        ]


def sigma_map(map_: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return a map in units of its null; where that never varies, 0 or an infinity.  A zero map stays zero."""
    if not map_.any():
        return np.zeros(map_.shape)
    away = map_ - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(away == 0, 0.0, away / deviation))


def null_of(
    attribute: Any,
    pictures: Sequence[np.ndarray],
    targets: Sequence[int],
    networks: int,
    parent: np.random.SeedSequence,
    progress: Progress | None = None,
) -> Null | None:
    """Compare an attribution with its null, from so many networks, and as many more if there is no law.

    None if its network is not known.

    Notes
    -----
    What the null is (mean, variance, `along`, the one map of MPRT) is fixed by the law and by networks that the intervals do
    not use.  Given that, the audited network is exchangeable with theirs if it knows nothing, so that the interval from the
    smallest to the largest of n holds its number with probability (n − 1)/(n + 1), whatever the law's error.  A network shows all
    pictures, and its number is the mean over them: networks are the units here.
    """
    if not isinstance(attribute, Known) or not attribute.layers:
        return None
    pair, own = targets[:2], cast("Attribute", attribute)
    moments, why, law = [], "", ""
    step = stepper(progress, "laws of the null", len(pictures))
    try:
        for x in pictures:
            one = law_of(attribute, x)
            moments.append((one.mean, one.variance))
            law = one.kind
            step()
    except NoLaw as error:
        why, law = str(error), ""
    step = stepper(progress, "networks that know nothing", networks + (1 if law else networks))

    def drawn(index: int) -> list[np.ndarray]:
        other = unknowing(attribute, np.random.default_rng(_random.child(parent, _KEY, index)))
        maps = [called_many(other, x, pair) for x in pictures]
        step()
        return maps

    others = [maps[0] for maps in drawn(0)]
    moments = moments if law else _sampled(others, networks, drawn)
    noise = 0.0 if law else 1 / networks  # what samples add to the squares of their mean
    held = [(mean**2 - noise * var).sum() / ((mean**2 + var).sum() or 1.0) for mean, var in moments]
    along = "mean" if np.mean(held) >= _HELD else "strength"

    def numbers(shown: Sequence[np.ndarray]) -> dict[str, float]:
        found = [
            _numbers(maps, other, mean, np.sqrt(mean**2 + variance), along)
            for maps, other, (mean, variance) in zip(shown, others, moments, strict=True)
        ]
        return {name: Estimate.of(np.array([one[name] for one in found])).mean for name in found[0]}

    shown = [called_many(own, x, pair) for x in pictures]
    random = [numbers(drawn(networks + index)) for index in range(networks)]
    of = {name: Compared.of(value, [one[name] for one in random]) for name, value in numbers(shown).items()}
    mean, deviation = moments[0][0], np.sqrt(moments[0][1])
    sigma = sigma_map(shown[0][0], mean, deviation)
    return Null(law, why, along, len(pictures), of, mean, deviation, sigma)


def _sampled(
    first: Sequence[np.ndarray], networks: int, drawn: Callable[[int], list[np.ndarray]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the mean and the variance of the maps of each picture, over networks (Welford)."""
    means, squares = [map_.copy() for map_ in first], [np.zeros_like(map_) for map_ in first]
    for index in range(1, networks):
        for maps, mean, square in zip(drawn(index), means, squares, strict=True):
            away = maps[0] - mean
            mean += away / (index + 1)
            square += away * (maps[0] - mean)
    return [(mean, square / (networks - 1)) for mean, square in zip(means, squares, strict=True)]


def _numbers(
    maps: np.ndarray, other: np.ndarray, mean: np.ndarray, strength: np.ndarray, along: str
) -> dict[str, float]:
    """Return the numbers of two logits' maps of one picture; NaN where a map that they need is zero."""
    map_, second = maps
    cosine = measures.cosine(map_, mean) if along == "mean" else measures.cosine(np.abs(map_), strength)
    peak = float(strength.max()) or 1.0  # squares stay in range
    expected = float(((strength / peak) ** 2).sum())
    energy = float(((map_ / peak) ** 2).sum()) / expected if expected else math.nan
    found = {"share": cosine**2, "energy": energy}
    for kind, beside in (("random logit", second), ("MPRT", other)):
        for name, alike in ALIKE.items():
            found[f"{kind} {name}"] = alike(map_, beside) if map_.any() and beside.any() else math.nan
    entropy = _entropy(map_)
    return {**found, "eMPRT": _entropy(other) / entropy - 1 if entropy and other.any() else math.nan}


def _entropy(map_: np.ndarray) -> float:
    """Return the entropy of the histogram of a map's values, in nats; 0 for a constant map."""
    counts, _ = np.histogram(map_, bins=_BINS)
    shares = counts[counts > 0] / map_.size
    return float(-(shares * np.log(shares)).sum())
