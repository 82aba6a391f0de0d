"""Checks and verdicts in words: shared by the terminal and the HTML report."""

from __future__ import annotations

import math
from typing import NamedTuple

from proofs_checks.results import Check, Verdict
from theorylab.drawing import MINUS, number, percent


class Reading(NamedTuple):
    """A verdict for readers: its words, its colour in a terminal, its meaning."""

    words: str
    style: str
    meaning: str


VERDICTS = {
    Verdict.HOLDS: Reading(
        "holds", "green", "The statement as written agrees with the exact law at the sizes that were checked."
    ),
    Verdict.HOLDS_IN_THE_LIMIT: Reading(
        "holds in the limit",
        "yellow",
        "The statement is the limit of the exact law as the network grows; at a finite size it is off, and the laboratory "
        "says by how much.",
    ),
    Verdict.REFUTED: Reading(
        "refuted",
        "magenta",
        "The exact law, or for trained networks the measurement, contradicts the statement as written; the laboratory checks "
        "the law in its place.",
    ),
    Verdict.UNDECIDED: Reading(
        "undecided",
        "cyan",
        "The measurement neither shows the statement nor excludes it; a larger budget may decide.",
    ),
    Verdict.NOT_RUN: Reading(
        "not run",
        "dim",
        "Something that the claim needs was not given, so nothing is said about the statement.",
    ),
}


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
