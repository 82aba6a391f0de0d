"""Checks and verdicts in words: shared by the terminal and the HTML report."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from proofs_checks.results import Check, ClaimResult, Margin, Ruling, Verdict
from theorylab.drawing import MINUS, number, percent


class Reading(NamedTuple):
    """A verdict for readers: its words, its colour in a terminal, its meaning."""

    words: str
    style: str
    meaning: str


VERDICTS = {
    Verdict.HOLDS: Reading(
        "holds",
        "green",
        "Every quantity that decides the statement lies inside its margin, at the sizes that were checked.",
    ),
    Verdict.HOLDS_IN_THE_LIMIT: Reading(
        "holds in the limit",
        "yellow",
        "The exact law, which passed its check, enters the margin as the network grows; the finding says from which size on.",
    ),
    Verdict.REFUTED: Reading(
        "refuted",
        "magenta",
        "The interval of a quantity that decides the statement lies outside its margin; the laboratory checks the law in its "
        "place.",
    ),
    Verdict.UNDECIDED: Reading(
        "undecided",
        "cyan",
        "An interval reaches over the edge of its margin, or two settings that the paper leaves open disagree: the statement is "
        "neither shown nor excluded.",
    ),
    Verdict.BEYOND_THE_PAPER: Reading(
        "no verdict",
        "blue",
        "Nothing that could be measured decides a statement here; the laboratory checks a law of its own.",
    ),
    Verdict.NOT_RUN: Reading(
        "not run",
        "dim",
        "Something that the claim needs was not given, so nothing is said about the statement.",
    ),
}

NOT_TESTED = Reading(
    "not tested on VGG-16",
    "dim",
    "The statement speaks of a trained VGG-16, and another network was looked at: --weights or --model gives one.",
)


def reading(claim: ClaimResult) -> Reading:
    """Return the verdict on the paper's statement, or that the network of which it speaks was not there."""
    return NOT_TESTED if claim.seen is not None else VERDICTS[claim.verdict]


def counts(claims: Iterable[ClaimResult]) -> list[tuple[Reading, int]]:
    """Return how many claims have each verdict."""
    found = Counter(reading(claim).words for claim in claims)
    return [(each, found[each.words]) for each in (*VERDICTS.values(), NOT_TESTED)]


STATEMENTS = {"paper": "The paper's", "beyond": "Beyond the paper:", "literature": "The literature's"}
"""Whose the statements of each group of claims are."""

WHOSE = {
    "paper": "of the paper on backpropagation-based visualizations",
    "beyond": "that go beyond the paper on backpropagation-based visualizations",
    "literature": "that others make of such maps and of random networks",
}
"""What a report says of a group's claims."""


def tally(claims: Sequence[ClaimResult], group: str = "paper") -> str:
    """Write how many statements of a group have each verdict.

    Examples
    --------
    >>> from proofs_checks.results import ClaimResult
    >>> found = (Verdict.HOLDS, Verdict.HOLDS, Verdict.REFUTED)
    >>> tally([ClaimResult("a", "3", "", verdict, "", "", "", (), "") for verdict in found])
    "The paper's 3 statements, as written: 2 hold, 1 refuted."
    """
    several = f"{STATEMENTS[group]} {'statement' if len(claims) == 1 else f'{len(claims)} statements'}"
    listed = (
        f"{count} {each.words if count == 1 else re.sub('^holds', 'hold', each.words)}".replace(
            " no ", " with no "
        )
        for each, count in counts(claims)
        if count
    )
    return f"{several}, as written: {', '.join(listed)}."


MATTERING = 3
"""How many findings stand on top of a run."""

RULE = "refuted first, then undecided, then in the limit; among equals the farthest outside its margin, relative to its edge"
"""How they are chosen."""


def mattering(claims: Iterable[ClaimResult]) -> list[tuple[ClaimResult, str]]:
    """Return the claims that matter most in a run, by `RULE`, each with what decided it, or what was found.

    Claims whose checks failed, or that were not run on the network of which they speak, found nothing.

    Examples
    --------
    >>> from proofs_checks.results import ClaimResult
    >>> ruling = Ruling(Margin("cosine", low=0.9), 0.36, 0.3, 0.4, Verdict.REFUTED)
    >>> claim = ClaimResult("theorem1", "3", "", Verdict.REFUTED, "", "", "", (), "", rulings=(ruling,))
    >>> [words for _, words in mattering([claim])]
    ['cosine, at least 0.9: 0.36 (0.3 to 0.4)']
    """
    order = (Verdict.REFUTED, Verdict.UNDECIDED, Verdict.HOLDS_IN_THE_LIMIT, Verdict.HOLDS)

    def key(ruling: Ruling) -> tuple[int, float]:
        return -order.index(ruling.verdict), _outside(ruling)

    found = []
    for claim in claims:
        if claim.passed is False or claim.verdict is Verdict.NOT_RUN:
            continue
        decides = max(claim.rulings, key=key, default=None)
        rank = order.index(claim.verdict) if claim.verdict in order else len(order)
        words = margin(decides).rpartition(", ")[0] if decides else re.split(r"(?<=\.) ", claim.finding)[0]
        found.append((rank, -_outside(decides) if decides else 0.0, claim, words))
    found.sort(key=lambda each: each[:2])
    return [(claim, words) for *_, claim, words in found[:MATTERING]]


def _outside(ruling: Ruling) -> float:
    """Return how far an interval lies outside its margin, relative to the edge that it is beyond; negative inside."""
    ends = ((ruling.margin.low, -1, ruling.high), (ruling.margin.high, 1, ruling.low))
    gaps = [side * (end - edge) / (abs(edge) or 1.0) for edge, side, end in ends if math.isfinite(edge)]
    return max((gap for gap in gaps if math.isfinite(gap)), default=-math.inf)


def seen(claims: Iterable[ClaimResult]) -> list[str]:
    """Write, for each network that is not the one the statements speak of, what was seen there, with what decided it.

    Examples
    --------
    >>> from proofs_checks.results import ClaimResult
    >>> ruling = Ruling(Margin("cosine", low=0.9), 0.36, 0.3, 0.4, Verdict.REFUTED)
    >>> found = {"network": "small", "seen": ruling.verdict, "rulings": (ruling,)}
    >>> seen([ClaimResult("fgsm", "4.4", "", Verdict.NOT_RUN, "", "", "", (), "", **found)])
    ['Seen on small:', '  fgsm refuted: cosine, at least 0.9: 0.36 (0.3 to 0.4)']
    """
    found: dict[str, list[str]] = {}
    for claim in claims:
        if claim.seen is not None:
            decided = [margin(ruling) for ruling in claim.rulings if ruling.verdict is claim.seen]
            line = f"  {claim.id} {VERDICTS[claim.seen].words}"
            if decided:
                line += f": {decided[0].rpartition(', ')[0]}"
            found.setdefault(claim.network, []).append(line)
    return [line for network, each in found.items() for line in (f"Seen on {network}:", *each)]


def wanted(margin: Margin) -> str:
    """Write where a quantity must lie.

    Examples
    --------
    >>> wanted(Margin("cosine", low=0.9)), wanted(Margin("share", high=0.01)), wanted(Margin("slope", -1.1, -0.9))
    ('at least 0.9', 'at most 0.01', 'from −1.1 to −0.9')
    """
    if math.isinf(margin.high):
        return f"at least {number(margin.low, 3)}"
    if math.isinf(margin.low):
        return f"at most {number(margin.high, 3)}"
    return f"from {number(margin.low, 3)} to {number(margin.high, 3)}"


# No difference ("less that under one"), ratio ("over that of") or change of cosines, which may lie beyond 1.
_COSINE = re.compile(r"(\w+: )?(mean )?(cosine|correlation|alignment)\b(?!.*, (less|over) that)")


def margin(ruling: Ruling) -> str:
    """Write what decides a statement: the quantity, its margin, and the interval that was measured.

    Examples
    --------
    >>> margin(Ruling(Margin("cosine", low=0.9), 0.95, 0.94, 0.96, Verdict.HOLDS))
    'cosine, at least 0.9: 0.95 (0.94 to 0.96), holds'
    >>> margin(Ruling(Margin("cosine", low=0.9), math.nan, math.nan, math.nan, Verdict.UNDECIDED))
    'cosine, at least 0.9: not measured, undecided'

    The interval of a cosine is shown as far as a cosine goes; the ruling keeps it as it was computed.

    >>> margin(Ruling(Margin("cosine", low=0.9), 0.999, 0.996, 1.002, Verdict.HOLDS))
    'cosine, at least 0.9: 0.999 (0.996 to 1), holds'
    """
    low, high = ruling.low, ruling.high
    if _COSINE.match(ruling.margin.quantity):
        low, high = max(low, -1.0), min(high, 1.0)
    interval = "" if ruling.low == ruling.high else f" ({number(low, 3)} to {number(high, 3)})"
    measured = "not measured" if math.isnan(ruling.low) else f"{number(ruling.estimate, 3)}{interval}"
    return f"{ruling.margin.quantity}, {wanted(ruling.margin)}: {measured}, {VERDICTS[ruling.verdict].words}"


def p_value(value: float) -> str:
    """Write a p-value to two digits, and a smaller one as below 1e-16.

    Examples
    --------
    >>> p_value(0.4123), p_value(3.2e-9), p_value(0.0)
    ('0.41', '3.2e−9', '< 1e−16')
    """
    return f"< 1e{MINUS}16" if value < 1e-16 else number(value, 2)


def p_equals(value: float) -> str:
    """Write a p-value as a statement.

    Examples
    --------
    >>> p_equals(0.4123), p_equals(0.0)
    ('p = 0.41', 'p < 1e−16')
    """
    words = p_value(value)
    return f"p {words}" if words.startswith("<") else f"p = {words}"


def certainty(check: Check) -> str:
    """Write a check's standard error, and the smallest error of the law that it would see.

    The standard error is relative to the expected value unless that is 0 or smaller than the error.
    """
    error, expected = check.standard_error, abs(check.expected)
    if check.kind == "identity" or not error > 0:
        sure = "exact" if check.passed else "not exact"
    else:
        # If about 0 is expected, a relative error says nothing.
        sure = f"±{number(error, 2)}" if expected <= error else f"±{percent(error / expected)}"
    seen = math.isfinite(check.detectable_effect) and check.detectable_effect > 0
    return f"{sure}, sees {percent(check.detectable_effect)}" if seen else sure
