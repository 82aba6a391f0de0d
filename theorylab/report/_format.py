"""Numbers and words as tables show them: shared by the terminal and the HTML report."""

from __future__ import annotations

import math
import re

from theorylab.report.results import Check, ClaimResult, Verdict

VERDICT_WORDS = {
    Verdict.HOLDS: "holds",
    Verdict.HOLDS_IN_THE_LIMIT: "holds in the limit",
    Verdict.REFUTED: "refuted",
    Verdict.NOT_RUN: "not run",
}

MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPTS = str.maketrans(MINUS + "0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 5) -> str:
    """A number to a few significant digits, with a true minus sign.

    Examples
    --------
    >>> number(0.70710678), number(-3.0), number(1.25e-7), number(12345678.0), number(float("nan"))
    ('0.70711', '−3', '1.25e−7', '1.2346e7', '–')
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    text = mantissa + (f"e{int(exponent)}" if exponent else "")
    return ("0" if text == "-0" else text).replace("-", MINUS)


def percent(ratio: float) -> str:
    """A ratio as per cent, to two significant digits; the space before the sign does not break.

    Examples
    --------
    >>> [percent(ratio).replace("\xa0", "~") for ratio in (0.00312, 0.5, 2.0, 1e-7)]
    ['0.31~%', '50~%', '200~%', '1e−5~%']
    """
    value = 100 * ratio
    # "%g" would write 200 as 2e+02.
    return (f"{value:.0f}" if 99.5 <= value < 1e6 else number(value, 2)) + "\N{NO-BREAK SPACE}%"


def p_value(value: float) -> str:
    """A p-value to two digits; below 1e-16 nothing more is said.

    Examples
    --------
    >>> p_value(0.4123), p_value(3.2e-9), p_value(0.0)
    ('0.41', '3.2e−9', '< 1e−16')
    """
    return f"< 1e{MINUS}16" if value < 1e-16 else number(value, 2)


def p_equals(value: float) -> str:
    """A p-value as a statement.

    Examples
    --------
    >>> p_equals(0.4123), p_equals(0.0)
    ('p = 0.41', 'p < 1e−16')
    """
    shown = p_value(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def powers(text: str) -> str:
    """Write ``e−9`` as a power of ten.

    Examples
    --------
    >>> powers("1.2e−15, < 1e−16").replace("\xa0", "~")
    '1.2~×~10⁻¹⁵, < 10⁻¹⁶'
    """

    def power(match: re.Match[str]) -> str:
        exponent = "10" + match[2].translate(_SUPERSCRIPTS)
        return exponent if match[1] == "1" else f"{match[1]}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{exponent}"

    return re.sub(rf"([\d.]+)e({MINUS}?\d+)", power, text)


def error(check: Check) -> str:
    """The standard error: relative to the expected value where there is one, else in its own units."""
    if check.kind == "identity" or not check.standard_error > 0:
        return "exact" if check.passed else "not exact"
    # Where 0 is expected (or next to nothing), a relative error would say nothing.
    if abs(check.expected) <= check.standard_error:
        return f"±{number(check.standard_error, 2)}"
    return f"±{percent(check.standard_error / abs(check.expected))}"


def certainty(check: Check) -> str:
    """How sure a check is: its standard error, and the smallest error of the law that it would see."""
    if not (math.isfinite(check.detectable_effect) and check.detectable_effect > 0):
        return error(check)
    return f"{error(check)}, sees {percent(check.detectable_effect)}"


def outcome(check: Check) -> str:
    """What became of a check, in words."""
    if not check.passed:
        return "FAILED"
    return "passed" if check.negative_control.rejected else "CONTROL NOT REJECTED"


def failures(claim: ClaimResult) -> tuple[Check, ...]:
    """The checks that failed, or whose negative control was not rejected."""
    return tuple(check for check in claim.checks if not (check.passed and check.negative_control.rejected))
