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
        "beyond the paper", "blue", "The paper claims nothing here; the laboratory checks a law of its own."
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
        f"{count} {each.words if count == 1 else re.sub('^holds', 'hold', each.words)}"
        for each, count in counts(claims)
        if count
    )
    return f"{several}, as written: {', '.join(listed)}."


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


def margin(ruling: Ruling) -> str:
    """Write what decides a statement: the quantity, its margin, and the interval that was measured.

    Examples
    --------
    >>> margin(Ruling(Margin("cosine", low=0.9), 0.95, 0.94, 0.96, Verdict.HOLDS))
    'cosine, at least 0.9: 0.95 (0.94 to 0.96), holds'
    >>> margin(Ruling(Margin("cosine", low=0.9), math.nan, math.nan, math.nan, Verdict.UNDECIDED))
    'cosine, at least 0.9: not measured, undecided'
    """
    interval = "" if ruling.low == ruling.high else f" ({number(ruling.low, 3)} to {number(ruling.high, 3)})"
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
