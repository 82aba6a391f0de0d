"""The verdict on an attribution: the numbers in plain words, and how sure they are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from theorylab import _validation
from theorylab._thresholds import ALIKE, COPIES, ENOUGH, RECOVERS, SAME, STABLE, SURE
from theorylab.auditing._comparing import ANY_SIGN
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._measure import Measured

_COPIED = {
    ("input", 1): ("input", "recovers the input"),
    ("input", -1): ("minus the input", "recovers the input's negative"),
    (ANY_SIGN, 1): ("input", "recovers the input up to a sign that changes"),
    ("normalised input", 1): ("normalised input", "recovers the normalised input"),
    ("normalised input", -1): ("minus the input", "recovers the normalised input's negative"),
    ("absolute value", 1): ("absolute value", "recovers the input's strength"),
    ("absolute value", -1): ("absolute value", "recovers the input's strength, negated"),
    ("squares", 1): ("absolute value", "recovers the input's strength"),
    ("squares", -1): ("absolute value", "recovers the input's strength, negated"),
    ("edges", 1): ("edges", "recovers the input's edges"),
    ("edges", -1): ("edges", "recovers the input's edges, negated"),
}


@_validation.checked
@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the numbers say.

    Attributes
    ----------
    recovers : bool or None
        The picture, plain or over its local contrast, its negative, its strength or its edges; None: undecided.
    sensitive : bool or None
        To the class; None: undecided.
    stable : bool or None
        Under a small change of the picture; None: undecided.
    sure : float
        The smallest of the probabilities behind what is decided, one-sided; 0.5 if nothing is, 0 if nothing was measured.
    words : str
    copy : str
        What is recovered: "input", "minus the input", "normalised input", "absolute value", "edges"; "no"; "undecided".
    here : str
        What the means say, with no claim beyond the pictures at hand.
    wanted : int
        Pictures that would probably decide what is undecided; 0 where nothing is.

    Examples
    --------
    >>> verdict = Verdict(True, False, True, 0.996, "recovers the input, insensitive to class", "input")
    >>> verdict.percent.replace("\N{NO-BREAK SPACE}", " ")
    '99.6 %'
    """

    recovers: bool | None
    sensitive: bool | None
    stable: bool | None
    sure: float
    words: str
    copy: str = "undecided"
    here: str = ""
    wanted: int = 0

    @property
    def percent(self) -> str:
        """How sure, in per cent, never rounded up to certainty."""
        return f"{min(math.floor(1000 * self.sure) / 10, 99.9):.1f} %"


def judge(measured: Measured) -> Verdict:
    """Judge one attribution.

    Parameters
    ----------
    measured : Measured

    Returns
    -------
    Verdict
        Undecided from fewer than five pictures, whatever they show.
    """
    pictures = max(measured.recovery["input"].units, measured.class_correlation.units)
    if pictures == 0:
        constant = "constant" if measured.constant_maps else "zero"
        return Verdict(None, None, None, 0.0, f"undecided: the maps are {constant}")
    here = _answer(measured, _seen).words
    if 1 - 0.5**pictures < SURE:
        words = f"undecided: {'one picture' if pictures == 1 else f'{pictures} pictures'}"
        return Verdict(None, None, None, 1 - 0.5**pictures, words, here=here, wanted=ENOUGH)
    return dataclasses.replace(_answer(measured, _sure), here=here)


Chance = Callable[[Estimate, float, int], float]


def _sure(estimate: Estimate, threshold: float, tries: int = 1) -> float:
    """Return how sure it is that the expectation exceeds the threshold, after so many tries."""
    floor = 0.5 ** max(estimate.units, 1)
    return min(max(1 - tries * (1 - estimate.above(threshold)), floor), 1 - floor)


def _seen(estimate: Estimate, threshold: float, tries: int = 1) -> float:
    """Return 1 if the mean exceeds the threshold, else 0; 0.5 if there is none."""
    return 0.5 if math.isnan(estimate.mean) else float(estimate.mean > threshold)


def _negated(estimate: Estimate) -> Estimate:
    return dataclasses.replace(estimate, mean=-estimate.mean, low=-estimate.high, high=-estimate.low)


def _answer(measured: Measured, chance: Chance) -> Verdict:
    recovers, how_sure, copy, recovery = _recovery(measured, chance)
    margins = [measured.margin, measured.rank_margin]
    alike = min(chance(margin, 0.0, 1) for margin in (*margins, measured.beyond_strength))
    apart = min(chance(_negated(margin), 0.0, 1) for margin in margins)
    sensitive = True if apart >= SURE else False if alike >= SURE else None
    steady, noisy = chance(measured.stability, STABLE, 1), chance(_negated(measured.stability), -STABLE, 1)
    stable = True if steady >= SURE else False if noisy >= SURE else None
    if stable is False and recovers is False:
        # Such maps change from call to call as they do from class to class.
        words = "neither: noise, another map for a hardly moved picture"
        return Verdict(False, False, False, min(how_sure, noisy), words, "no")
    same = chance(measured.across_pictures, SAME, 1)
    if same >= SURE and recovers is False:
        sure = min(how_sure, same if sensitive is None else min(same, max(apart, alike)))
        return Verdict(False, sensitive, stable, sure, "neither: the same map for every picture", "no")
    classes = {
        True: "class-sensitive",
        False: "insensitive to class",
        None: "undecided whether class-sensitive",
    }[sensitive]
    answers = ((recovers, how_sure), (sensitive, max(alike, apart)), (stable, max(steady, noisy)))
    sure = min((value for answer, value in answers if answer is not None), default=0.5)
    first, second = (
        (classes, recovery) if recovers is False and sensitive is not False else (recovery, classes)
    )
    neither = "neither: " if recovers is False and sensitive is False else ""
    shaky = {True: "", False: ", partly noise", None: ", undecided whether stable"}[stable]
    shaky += ", the same map for every picture" if same >= SURE and recovers is None else ""
    wanted = _wanted(measured, recovers is None, sensitive is None, stable is None)
    return Verdict(
        recovers, sensitive, stable, sure, f"{neither}{first}, {second}{shaky}", copy, wanted=wanted
    )


def _recovery(measured: Measured, chance: Chance) -> tuple[bool | None, float, str, str]:
    """Return whether anything is recovered, how sure that is, what, and in words."""
    yes, no = {}, 1.0
    counted = {name: estimate for name, estimate in measured.recovery.items() if estimate.units}
    if not counted:
        return None, 0.5, "undecided", "undecided whether it recovers the input, which is constant"
    for name, estimate in counted.items():
        threshold = _threshold(name, measured)
        for sign, one in ((1, estimate), (-1, _negated(estimate))):
            if (name, sign) in _COPIED:
                yes[name, sign] = chance(one, threshold, 2)
                no = min(no, chance(_negated(one), -threshold, 1))
    shown = [key for key, value in yes.items() if value >= SURE]
    if shown:
        # The correlation without its sign is never the smaller one: it counts where it is clearly the larger one.
        best = max(shown, key=lambda key: abs(counted[key[0]].mean) * (ALIKE if key[0] == ANY_SIGN else 1))
        return True, yes[best], *_COPIED[best]
    if no >= SURE:
        return False, no, "no", "does not recover the input"
    return None, 0.5, "undecided", "undecided whether it recovers the input"


def _threshold(name: str, measured: Measured) -> float:
    return RECOVERS if name in ("input", "normalised input") and not measured.one_sided else COPIES


def _wanted(measured: Measured, recovery: bool, classes: bool, stable: bool) -> int:
    """Return how many pictures would decide it with a probability of some 90 %, if the means are right."""
    # Each threshold's distance from the mean, in standard deviations of one picture; (1.96 + 1.28)² = 10.5 of them.
    asked = [(measured.stability, STABLE)] if stable else []
    asked += [(one, 0.0) for one in (measured.margin, measured.rank_margin)] if classes else []
    if recovery and (counted := [name for name, one in measured.recovery.items() if one.units]):
        near = min(
            counted,
            key=lambda name: abs(abs(measured.recovery[name].mean) - _threshold(name, measured)),
        )
        size = dataclasses.replace(measured.recovery[near], mean=abs(measured.recovery[near].mean))
        asked.append((size, _threshold(near, measured)))
    wanted = ENOUGH * bool(asked)
    for estimate, threshold in asked:
        if estimate.units > 1 and estimate.mean != threshold:
            spread = estimate.standard_error**2 * estimate.units
            wanted = max(wanted, math.ceil(10.5 * spread / (estimate.mean - threshold) ** 2))
    digits = int("1" + "0" * (len(str(wanted)) - 2)) if wanted > 99 else 1
    return -(-wanted // digits) * digits  # two digits, rounded up
