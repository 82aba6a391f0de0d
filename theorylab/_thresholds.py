"""Where the verdicts of an audit change, and why there: what help, docstring, table, picture and JSON say, in one place.

Apart from the audit, whose import takes long: the help of a command does not wait for it.
"""

from __future__ import annotations

import textwrap

ALIKE = 0.75
"""Correlation of two classes' maps, as a share of that of one class's map with itself, from which they are alike."""

ALIKE_BY_STRENGTH = 0.9
"""The same where two classes' maps have nothing in common but the picture's strength."""

RECOVERS = 0.2
"""Correlation to the picture, plain or normalised, from which a map of both signs counts as a copy."""

COPIES = 0.5
"""The same for what unrelated maps of one picture share: strengths, edges, maps of one sign, a correlation without sign."""

STABLE = 0.5
"""Correlation of a map with that of a slightly moved picture: below it the map looks like noise."""

SAME = 0.9
"""Correlation of the maps of two pictures: above it the map is of the class, or of nothing, and not of the picture."""

SURE = 0.95
"""How sure an answer has to be."""

ENOUGH = 8
"""Pictures that an audit asks for: with fewer than five, no answer can be sure."""

THRESHOLDS = {
    "recovers the input": (
        RECOVERS,
        "correlation of a map of both signs to the picture, plain or normalised, or to its negative: a twenty-fifth of the "
        "map's variation.  Set between what networks with a known answer show: plain gradients of the small classifier 0.04 "
        "at most, guided backpropagation 0.3 to 0.4",
    ),
    "recovers the input's strength or edges": (
        COPIES,
        "correlation to the picture's absolute value, squares or edges; to the picture, for maps of one sign, or with a sign "
        "that changes.  Set above what rectified maps that copy nothing share with a picture, 0.35 at most, because both are "
        "large where something is seen",
    ),
    "insensitive to class": (
        ALIKE,
        "correlation of two classes' maps, of values and of ranks, as a share of that of a map with itself after the picture "
        "moved by a thousandth: centred unit maps are then √2/2 apart, half of what independent noise is.  Where the "
        "classes share no more than the picture's strength, 0.9: noise behind a common strength reaches 0.84, summed over three "
        "channels, however strong.  Guided backpropagation of the small classifier has 0.88, largest |gradient| 0.32, |noise of "
        "the class × picture| 0.2 to 0.5",
    ),
    "noise": (
        STABLE,
        "correlation of a map with that of a picture moved by a thousandth: half the variation is noise",
    ),
    "the same map for every picture": (SAME, "correlation of the maps of two pictures"),
    "sure": (
        SURE,
        "one-sided t test over pictures, twice for recovery because signs and strengths are both tried; never surer than "
        "1 − 2⁻ⁿ from n pictures, the level of a sign test, so five pictures are the fewest that decide",
    ),
}
"""Every threshold of a verdict: its value, what it is of and where it comes from."""


def listed(indent: str = "  ") -> str:
    """Return the thresholds as a list, with what they are of and where they come from, in lines of 78 letters.

    Examples
    --------
    >>> print(listed().splitlines()[0])
      - recovers the input: 0.2, correlation of a map of both signs to the
    """
    lines = []
    for name, (value, of) in THRESHOLDS.items():
        words = f"- {name}: {value}, {of}."
        lines.append(
            textwrap.fill(
                words, 78, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
            )
        )
    return "\n".join(lines)
