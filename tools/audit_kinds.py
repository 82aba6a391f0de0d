"""Attributions whose answer is known, for pictures that are random textures or crops: what the audit is calibrated on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from theorylab import training, visualize_many
from theorylab.auditing import _comparing
from theorylab.auditing._measure import MOVED

CLASSES, SIDE = 3, 16
POOL = 48  # crops whose maps the small classifier's kinds draw from

Maps = list[tuple[np.ndarray, np.ndarray]]  # of each picture: (T, C, H, W), and after it moved
Build = Callable[[np.random.Generator, Sequence[np.ndarray], Sequence[np.ndarray]], Maps]


@dataclasses.dataclass(frozen=True)
class Kind:
    """An attribution whose answer is known.

    Attributes
    ----------
    name : str
    build : callable
        ``build(rng, pictures, moved)`` gives the maps; or a network, whose pictures are crops.
    recovers : set of str
        True answers to what is recovered; usually one.
    sensitive : bool or None
        The true answer about the class.
    near : bool
        Whether the truth is so near a threshold that no answer is expected.
    """

    name: str
    build: Build | Network
    recovers: frozenset[str]
    sensitive: bool | None
    near: bool = False


def textures(rng: np.random.Generator, size: int) -> list[np.ndarray]:
    """Return random pictures (3, 16, 16): fields of 1/f^a noise in three related channels, brighter or darker.

    >>> textures(np.random.default_rng(0), 2)[1].shape
    (3, 16, 16)
    """
    frequencies = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    frequencies[0, 0] = 1.0
    pictures = []
    for _ in range(size):
        fields = rng.normal(size=(4, SIDE, SIDE))
        spectra = np.fft.rfft2(fields) / frequencies ** rng.uniform(0.3, 1.2)
        spectra[:, 0, 0] = 0
        fields = np.fft.irfft2(spectra, (SIDE, SIDE))
        fields /= fields.std(axis=(1, 2), keepdims=True)
        pictures.append(fields[:1] + 0.5 * fields[1:] + rng.uniform(-2, 2) + 0.3 * rng.normal(size=(3, 1, 1)))
    return pictures


def moved(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """Return a picture as the audit moves it."""
    change = rng.normal(size=x.shape)
    return np.asarray(x + change * (MOVED * np.linalg.norm(x) / np.linalg.norm(change)))


def of(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Build:
    """Return the maps ``function(x, noise of the class)``, where each class keeps its noise for all pictures."""

    def build(rng: np.random.Generator, pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Maps:
        noise = rng.normal(size=(CLASSES, *pictures[0].shape))
        return [
            (np.stack([function(x, one) for one in noise]), np.stack([function(y, one) for one in noise]))
            for x, y in zip(pictures, others, strict=True)
        ]

    return build


def afresh(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Build:
    """Return the maps ``function(x, noise)``, with other noise at each call."""

    def build(rng: np.random.Generator, pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Maps:
        def maps(x: np.ndarray) -> np.ndarray:
            return np.stack([function(x, rng.normal(size=x.shape)) for _ in range(CLASSES)])

        return [(maps(x), maps(y)) for x, y in zip(pictures, others, strict=True)]

    return build


def sharing(copied: tuple[float, float], shared: tuple[float, float]) -> Build:
    """Return maps with a known correlation to the picture, and a known one of two classes.

    Both are drawn for each picture from their ranges.  What two classes share and the picture does not hold is noise of the
    picture, which stays where the picture moves.
    """

    def build(rng: np.random.Generator, pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Maps:
        result = []
        for x in pictures:
            toward, together = rng.uniform(*copied), rng.uniform(*shared)
            (unit,) = _comparing.centred(x[None])
            common, own = rng.normal(size=x.size), rng.normal(size=(CLASSES, x.size))
            rest = np.sqrt(together - toward**2) * common + np.sqrt(1 - together) * own
            maps = (toward * unit + rest / np.sqrt(x.size)).reshape(CLASSES, *x.shape)
            result.append((maps, maps))
        return result

    return build


def signed(rng: np.random.Generator, pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Maps:
    """Return the picture, negated for every other class, as maps are that somebody multiplied by the logit."""
    signs = (-1.0) ** np.arange(CLASSES)[:, None, None, None]
    return [(signs * x, signs * y) for x, y in zip(pictures, others, strict=True)]


def elsewhere(rng: np.random.Generator, pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Maps:
    """Return maps that are as smooth as pictures, of each picture another one, the same for all classes."""
    return [(np.stack([texture] * CLASSES),) * 2 for texture in textures(rng, len(pictures))]


def patches(x: np.ndarray, number: int) -> np.ndarray:
    """Return the map of a class that looks at two by three pixels of its own."""
    kept = np.zeros_like(x)
    rows, columns = slice(4 * number, 4 * number + 2), slice(5 * number, 5 * number + 3)
    kept[:, rows, columns] = x[:, rows, columns]
    return kept


def patchy(rng: np.random.Generator, pictures: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Maps:
    """Return the maps of :func:`patches`."""
    return [(np.stack([patches(x, number) for number in range(CLASSES)]),) * 2 for x in pictures]


@functools.cache
def crops() -> list[np.ndarray]:
    """Return the crops that the small classifier's kinds draw from."""
    return [crop.astype(np.float64) for crop in training.crops("test", POOL, seed=11)[0]]


@functools.cache
def pool(rule: str, trained: bool) -> Maps:
    """Return the small classifier's maps of all crops, for some classes."""
    classifier = training.small_classifier()
    net = classifier.network if trained else classifier.random(0)
    rng = np.random.default_rng(7)
    pairs = [
        [visualize_many(net, x, [rule], [1, 4, 8])[0] for x in (crop, moved(rng, crop))] for crop in crops()
    ]
    return [(one, other) for one, other in pairs]


def directions(x: np.ndarray, channels: int) -> dict[str, np.ndarray]:
    """Return what a map of so many channels may copy, ready for comparison."""
    return _comparing.directions(_comparing.references(x, channels))


@dataclasses.dataclass(frozen=True)
class Network:
    """Maps of the small classifier, as they are or the largest absolute value over channels."""

    rule: str
    trained: bool
    largest: bool = False

    @functools.cache  # noqa: B019 - a few for the life of the process
    def counted(self, index: int) -> tuple[np.ndarray, dict[str, float]]:
        """Return the maps of one crop and their row of numbers."""
        maps, again = pool(self.rule, self.trained)[index]
        if self.largest:
            maps, again = (np.abs(part).max(axis=1, keepdims=True) for part in (maps, again))
        return maps, _comparing.compare(directions(crops()[index], maps.shape[1]), maps, again)


def plane(map_: np.ndarray) -> np.ndarray:
    """Sum over channels."""
    return np.asarray(map_.sum(axis=0, keepdims=True))


def _kinds() -> Iterator[Kind]:
    def kind(name: str, build: Build | Network, recovers: str, sensitive: bool | None, **more: bool) -> Kind:
        return Kind(name, build, frozenset(recovers.split(", ")), sensitive, **more)

    copied = "absolute value"
    yield kind("the picture", of(lambda x, n: x), "input", False)
    yield kind("its negative", of(lambda x, n: -x), "minus the input", False)
    yield kind("its absolute value", of(lambda x, n: np.abs(x)), copied, False)
    yield kind("plane of its squares", of(lambda x, n: plane(x**2)), copied, False)
    yield kind("plane of its brightness", of(lambda x, n: plane(x)), "input", False)
    yield kind("plane of its darkness", of(lambda x, n: -plane(x)), "minus the input", False)
    yield kind(
        "the normalised picture",
        of(lambda x, n: _comparing.references(x, 3)["normalised input"]),
        "normalised input",
        False,
    )
    yield kind("its edges", of(lambda x, n: _comparing.references(x, 3)["edges"]), "edges", False)
    yield kind("the picture upside down", of(lambda x, n: x[:, ::-1, ::-1]), "no", False)
    yield kind("noise", afresh(lambda x, n: n), "no", False)
    yield kind("|noise|", afresh(lambda x, n: np.abs(n)), "no", False)
    yield kind("|noise of the class|", of(lambda x, n: np.abs(n)), "no", True)
    yield kind("noise of the class × picture, plane", of(lambda x, n: plane(n * x)), "no", True)
    # Independent noise behind the picture's strength: it does share a part of it, some 0.5.
    yield kind(
        "|noise of the class × picture|, plane", of(lambda x, n: plane(np.abs(n * x))), f"{copied}, no", True
    )
    yield kind(
        "|noise of the class × picture|, largest",
        of(lambda x, n: np.abs(n * x).max(axis=0, keepdims=True)),
        f"{copied}, no",
        True,
    )
    yield kind(
        "|noise of the class × cubed picture|, plane",
        of(lambda x, n: plane(np.abs(n * x**3))),
        f"{copied}, no",
        True,
    )
    yield kind("the picture, with a sign of the class", signed, "input", True)
    yield kind("smooth maps of something else", elsewhere, "no", False)
    yield kind("a patch of each class", patchy, "no", True)
    yield kind("constant maps", of(lambda x, n: 0 * x + 0.1), "undecided", None)
    yield kind("zero maps", of(lambda x, n: 0 * x), "undecided", None)
    yield kind("half picture, half noise of the class", sharing((0.71, 0.71), (0.51, 0.51)), "input", True)
    yield kind(
        "half picture, half noise of the call",
        afresh(lambda x, n: x / np.linalg.norm(x - x.mean()) + n / np.sqrt(x.size)),
        "input",
        False,
    )
    yield kind("nine tenths shared, a hundredth the picture", sharing((0.1, 0.1), (0.9, 0.9)), "no", False)
    yield kind("a hundredth picture, the rest of the class", sharing((0.1, 0.1), (0.05, 0.05)), "no", True)
    yield kind("correlation to the picture 0.19", sharing((0.0, 0.38), (0.3, 0.4)), "no", True, near=True)
    yield kind("correlation to the picture 0.21", sharing((0.02, 0.4), (0.3, 0.4)), "input", True, near=True)
    yield kind("correlation of two classes 0.74", sharing((0.0, 0.0), (0.59, 0.89)), "no", True, near=True)
    yield kind("correlation of two classes 0.76", sharing((0.0, 0.0), (0.61, 0.91)), "no", False, near=True)
    yield kind("gradient, trained", Network("saliency", True), "no", True)
    yield kind("largest |gradient|, trained", Network("saliency", True, largest=True), "no", True)
    yield kind(
        "guided backpropagation, random",
        Network("guided", False),
        "input, normalised input",
        False,
    )
    yield kind(
        "guided backpropagation, trained",
        Network("guided", True),
        "input, normalised input",
        False,
    )


KINDS = {kind.name: kind for kind in _kinds()}
