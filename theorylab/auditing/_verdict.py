"""The verdict on an attribution: the numbers in plain words, and how sure they are."""

from __future__ import annotations

import dataclasses
import math

from theorylab.auditing._measure import Measured

RECOVERS = 0.2
"""Cosine to the picture, plain or normalised, from which a map counts as a copy: a twenty-fifth of its energy."""

TRACES = 0.5
"""Correlation of the map's strength with the picture's Sobel strength from which it counts as an edge detector."""

SENSITIVE = math.sqrt(2) / 2
"""Distance of two targets' unit maps: half of what independent noise has."""

STABLE = 0.5
"""Cosine of a map with that of a slightly moved picture: below it the map looks like noise."""

SAME = 0.9
"""Cosine of the maps of two pictures: above it the map is of the class, or of nothing, and not of the picture."""

SURE = 0.95


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the numbers say.

    Attributes
    ----------
    recovers : bool or None
        The picture, plain or over its local contrast, or its edges; None: undecided.
    sensitive : bool or None
        To the class.
    stable : bool or None
        Under a small change of the picture.
    sure : float
        The smallest of the probabilities behind the words, one-sided.
    words : str
    """

    recovers: bool | None
    sensitive: bool | None
    stable: bool | None
    sure: float
    words: str

    @property
    def percent(self) -> str:
        """How sure, in per cent, never rounded up to certainty."""
        return f"{min(math.floor(1000 * self.sure) / 10, 99.9):.1f} %"


def judge(measured: Measured) -> Verdict:
    """Judge one attribution."""
    if measured.distance.units == 0:
        return Verdict(None, None, None, 0.0, "undecided: the maps are zero")
    chances = {
        name: estimate.above(TRACES if name == "edges" else RECOVERS)
        for name, estimate in measured.recovery.items()
    }
    copy = max(chances, key=lambda name: (chances[name], measured.recovery[name].mean))
    probabilities = chances[copy], measured.distance.above(SENSITIVE), measured.stability.above(STABLE)
    recovers, sensitive, stable = map(_decided, probabilities)
    sure = [max(probability, 1 - probability) for probability in probabilities]
    if stable is False:
        # Such maps change from call to call as they do from class to class.
        words = "neither: noise, another map for a hardly moved picture"
        return Verdict(recovers, False, False, min(sure[0], sure[2]), words)
    same = measured.across_pictures.above(SAME)
    if _decided(same):
        return Verdict(False, sensitive, True, min(sure[1], same), "neither: the same map for every picture")
    recovery = {
        True: f"recovers the {copy}" if copy != "edges" else "recovers the input's edges",
        False: "does not recover the input",
        None: "undecided whether it recovers the input",
    }[recovers]
    classes = {
        True: "class-sensitive",
        False: "insensitive to class",
        None: "undecided whether class-sensitive",
    }[sensitive]
    words = (
        f"{classes}, {recovery}" if recovers is False and sensitive is not False else f"{recovery}, {classes}"
    )
    neither = "neither: " if recovers is False and sensitive is False else ""
    shaky = "" if stable else ", undecided whether stable"
    return Verdict(recovers, sensitive, stable, min(sure), f"{neither}{words}{shaky}")


def _decided(chance: float) -> bool | None:
    return True if chance >= SURE else False if chance <= 1 - SURE else None
