"""What is measured of one picture after another: its numbers, and never more maps in memory than of three pictures."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from theorylab import _interrupt, _json, _random, _validation, measures
from theorylab.auditing._comparing import compare, directions, references, shuffled, similarities
from theorylab.auditing._maps import Attribute, called, called_many
from theorylab.auditing._measure import MOVED, across, counts
from theorylab.auditing.adapters import Layered
from theorylab.montecarlo.pictures import Files, Row, Unreadable
from theorylab.progress import Progress, stepper

CONTROL = "white noise"
ALIKE = {
    "similarity": measures.similarity,
    "rank_correlation": measures.rank_correlation,
    "cosine": measures.cosine,
}


@dataclasses.dataclass(frozen=True)
class Given(Sequence[np.ndarray]):
    """Pictures from Python, by their places in what was given; each is asked for and checked when it is needed."""

    pictures: Sequence[Any]
    places: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: Any) -> Any:
        with of_picture(self, place):
            return checked(self.pictures[self.places[place]])

    def name(self, place: int) -> str:
        return f"x[{self.places[place]}]" if len(self.pictures) > 1 else ""

    def only(self, places: Sequence[int]) -> Given:
        return Given(self.pictures, tuple(self.places[place] for place in places))


@contextlib.contextmanager
def of_picture(pictures: Files | Given, place: int) -> Iterator[None]:
    """Say at an error's end of which picture it is."""
    try:
        yield
    except Unreadable:  # names its file where it is told
        raise
    except (TypeError, ValueError) as error:
        if (name := pictures.name(place)) and not _interrupt.from_handler(error):
            error.args = (f"{error}; of picture {name}",)
        raise


@dataclasses.dataclass
class Rows:
    """The numbers of each picture of a sequence; where and in which order they are measured changes none of them.

    Attributes
    ----------
    judged : dict of str to attribution
        What is audited, first, and the plain gradient.
    layered : Layered or None
        The attribution, if its layers are to be drawn anew.
    pictures : Files or Given
        Asked for one by one; (C, H, W).
    targets : sequence of int
    parent : numpy.random.SeedSequence
        Each picture has children of its own.
    progress : callable or None
        Told of the layers.
    """

    judged: dict[str, Attribute]
    layered: Layered | None
    pictures: Files | Given
    targets: Sequence[int]
    parent: np.random.SeedSequence
    progress: Progress | None = None
    _known: dict[int, tuple[np.ndarray, dict[str, np.ndarray]]] = dataclasses.field(default_factory=dict)
    _first: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave maps and bars in this process."""
        return {**self.__dict__, "_known": {}, "_first": None, "progress": None}

    @property
    def kinds(self) -> tuple[str, ...]:
        """What has numbers: what is judged, and noise beside it."""
        label, *others = self.judged
        return label, CONTROL, *others

    @property
    def cascades(self) -> list[tuple[str, bool, tuple[str, ...]]]:
        """Which layers are drawn anew: the last of them, whether all above it are, and their names; from the top down."""
        names = () if self.layered is None else self.layered.layers[::-1]
        return [
            (layer, cascading, names[: index + 1] if cascading else (layer,))
            for cascading in (True, False)
            for index, layer in enumerate(names)
        ]

    def readable(self, place: int) -> bool:
        """Say whether a picture can be read here."""
        return isinstance(self.pictures, Files) and self.pictures.readable(place)

    def stands(self, row: Row) -> bool:
        """Say whether a kept row is still of its picture's file, and of the next one's."""
        assert isinstance(self.pictures, Files)
        count = len(self.pictures)
        after, others = row.about["after"], ((row.place + step) % count for step in range(1, count))
        if after is not None and after >= count:
            return False
        between = itertools.takewhile(lambda place: place != after, others)
        return row.key == self._key(row.place, after) and not any(map(self.readable, between))

    def _key(self, place: int, after: int | None) -> str:
        if not isinstance(self.pictures, Files):
            return ""
        return f"{self.pictures.digest(place)} {'' if after is None else self.pictures.digest(after)}"

    def seen(self, place: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return a picture, and its maps by what is judged, (T, C, H, W), with noise of their values."""
        if place not in self._known:
            x = self.pictures[place]
            with of_picture(self.pictures, place):
                x = checked(x)
                maps = self._maps(x)
            self._known[place] = x, self._with_noise(maps, 2, place)
        return self._known[place]

    def _maps(self, x: np.ndarray) -> dict[str, np.ndarray]:
        names = ("attribute", "gradient")  # of the arguments that they were given as
        return {
            kind: called_many(one, x, self.targets, name)
            for (kind, one), name in zip(self.judged.items(), names, strict=False)
        }

    def _with_noise(self, maps: dict[str, np.ndarray], *key: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(_random.child(self.parent, *key))
        return {**maps, CONTROL: shuffled(maps[self.kinds[0]], rng)}

    def __call__(self, places: tuple[int, ...]) -> list[Row]:
        """Measure some pictures."""
        rows, shown = [], []
        for place in places:
            try:
                x, _ = self.seen(place)
            except Unreadable as error:
                rows.append(Row(place, skipped=str(error)))
                continue
            shown.append(x)
            rows.append(self._row(place))
        measured = [row for row in rows if not row.skipped]
        for numbers in self._drawn(shown, [row.place for row in measured]):
            for row, more in zip(measured, numbers, strict=True):
                row.numbers.update(more)
        return rows

    def _row(self, place: int) -> Row:
        (x, shown), after = self.seen(place), self._after(place)
        beside = {} if after is None else self.seen(after)[1]
        change = np.random.default_rng(_random.child(self.parent, 1, place)).standard_normal(x.shape)
        largest = float(np.abs(x).max())  # squares stay in range
        unit = x / largest
        moved = x + change * (MOVED * np.linalg.norm(unit) / np.linalg.norm(change)) * largest
        with of_picture(self.pictures, place):
            again, cosines = self._maps(moved), self._cosines(x)
        again = self._with_noise(again, 3, place)
        numbers: dict[str, float] = {}
        for index, kind in enumerate(self.kinds):
            maps = shown[kind]
            copies = references(unit, maps.shape[1])
            row = {
                **compare(directions(copies), maps, again[kind]),
                **similarities(copies, maps),
                **counts(maps),
            }
            row["across pictures"] = across(maps, beside[kind]) if beside else math.nan
            numbers |= {f"{index} {key}": float(value) for key, value in row.items()}
        numbers |= cosines
        # The ring of pictures closes with the first.
        self._first = place if self._first is None else self._first
        self._known = {key: one for key, one in self._known.items() if key in (self._first, after)}
        named = {"name": self.pictures.name(place)} if isinstance(self.pictures, Files) else {}
        return Row(
            place, self._key(place, after), numbers, {"after": after, "input": _json.picture(x, **named)}
        )

    def _after(self, place: int) -> int | None:
        """Return the next picture that can be read, in a ring; None if there is no other."""
        count = len(self.pictures)
        for other in ((place + step) % count for step in range(1, count)):
            try:
                self.seen(other)
            except Unreadable:
                continue
            return other
        return None

    def _cosines(self, x: np.ndarray) -> dict[str, float]:
        """Return the cosines of two targets' backward signals, means over pairs of targets."""
        attribute: Any = self.judged[self.kinds[0]]
        if not hasattr(attribute, "backward_cosines"):
            return {}
        pairs = zip(self.targets[::2], self.targets[1::2], strict=False)
        found = [attribute.backward_cosines(x, first, second) for first, second in pairs]
        return {f"cosine {name}": float(np.mean([one[name] for one in found])) for name in found[0]}

    def _drawn(self, shown: Sequence[np.ndarray], places: Sequence[int]) -> Iterator[list[dict[str, float]]]:
        """Draw layers anew from the top down, then one at a time, all from one draw; yield each picture's numbers."""
        if self.layered is None or not shown:
            return
        target, seed = self.targets[0], layers_seed(self.parent)

        def maps(attribute: Attribute) -> list[np.ndarray]:
            found = []
            for x, place in zip(shown, places, strict=True):
                with of_picture(self.pictures, place):
                    found.append(called(attribute, x, target))
            return found

        before = maps(self.judged[self.kinds[0]])
        step = stepper(self.progress, "layers drawn anew", len(self.cascades))
        for index, (_, _, layers) in enumerate(self.cascades):
            other = self.layered.randomized(layers, seed)
            after = maps(other)
            yield [
                {f"drawn {index} {name}": float(alike(a, b)) for name, alike in ALIKE.items()}
                for a, b in zip(before, after, strict=True)
            ]
            step()


def layers_seed(parent: np.random.SeedSequence) -> int:
    """Return the seed of layers drawn anew."""
    return int(np.random.default_rng(_random.child(parent, 100)).integers(2**31))


def checked(x: Any) -> np.ndarray:
    """Return a picture as float64, or raise an error that names it x."""
    picture = _validation.real_array(x, "x").astype(np.float64)
    if picture.ndim != 3 or min(picture.shape[1:]) < 7:
        raise ValueError(f"x: expected pictures (C, H, W) of at least 7 × 7, got {picture.shape}")
    if not picture.any():
        raise ValueError("x: a picture is zero: nothing can be recovered")
    return picture
