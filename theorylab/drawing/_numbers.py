"""Numbers as text, for all tables, pictures and pages."""

from __future__ import annotations

import math
import re

MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPTS = str.maketrans(MINUS + "0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, digits: int = 5) -> str:
    """Write a number to a few significant digits, with a true minus sign.

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


def fixed(value: float, decimals: int = 2) -> str:
    """Write a number to a few decimals, without a minus sign before a zero.

    Examples
    --------
    >>> fixed(0.375), fixed(-0.001), fixed(-0.51)
    ('0.38', '0.00', '−0.51')
    """
    return f"{value:z.{decimals}f}".replace("-", MINUS)


def with_reach(mean: float, reach: float) -> str:
    """Write a mean with half the width of its interval, or alone where the interval is infinite.

    Examples
    --------
    >>> with_reach(0.372, 0.011), with_reach(0.372, float("inf")), with_reach(float("nan"), 0.0)
    ('0.37 ± 0.01', '0.37', '–')
    """
    if math.isnan(mean):
        return "–"
    return f"{fixed(mean)} ± {fixed(reach)}" if math.isfinite(reach) else fixed(mean)


def with_error(value: float, error: float) -> str:
    """Write a value to as many decimals as the two significant digits of its standard error need.

    Examples
    --------
    >>> with_error(152.3149, 1.313), with_error(-0.0017549, 0.0016), with_error(2.0, 0.0)
    ('152.3 ± 1.3', '−0.0018 ± 0.0016', '2')
    """
    if error == 0:
        return number(value)
    # At most four, or three rules side by side would not fit a terminal.
    decimals = min(4, max(0, 1 - math.floor(math.log10(error))))
    spread = fixed(error, decimals) if error >= 5e-5 else number(error, 1)
    return f"{fixed(value, decimals if error >= 5e-5 else 5)} ± {spread}"


def signs(text: str) -> str:
    """Write the signs and exponents of numbers in a sentence as :func:`number` does.

    Examples
    --------
    >>> signs("slope -1.004 (4e-04 of 1e+06), VGG-16, 3-4")
    'slope −1.004 (4e−4 of 1e6), VGG-16, 3-4'
    """
    text = re.sub(r"(?<=\d)e([+-]?)0*(\d)", lambda power: f"e{MINUS * (power[1] == '-')}{power[2]}", text)
    return re.sub(r"(?<![\w.)\]-])-(?=\.?\d)", MINUS, text)


def percent(ratio: float) -> str:
    r"""Write a ratio as per cent, to two significant digits, with a no-break space before the sign.

    Examples
    --------
    >>> [percent(ratio).replace("\xa0", "~") for ratio in (0.00312, 0.5, 2.0, 1e-7)]
    ['0.31~%', '50~%', '200~%', '1e−5~%']
    """
    value = 100 * ratio
    # "%g" would write 200 as 2e+02.
    return (f"{value:.0f}" if 99.5 <= value < 1e6 else number(value, 2)) + "\N{NO-BREAK SPACE}%"


def powers(text: str) -> str:
    r"""Write ``e−9`` as a power of ten.

    Examples
    --------
    >>> powers("1.2e−15, < 1e−16").replace("\xa0", "~")
    '1.2~×~10⁻¹⁵, < 10⁻¹⁶'
    """

    def power(match: re.Match[str]) -> str:
        exponent = "10" + match[2].translate(_SUPERSCRIPTS)
        return exponent if match[1] == "1" else f"{match[1]}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{exponent}"

    return re.sub(rf"([\d.]+)e({MINUS}?\d+)", power, text)
