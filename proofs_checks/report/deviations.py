"""How far each check's measurement is off the law: a point with its interval, drawn into its row of the table."""

from __future__ import annotations

import math
from collections.abc import Iterable

from proofs_checks.results import Check
from theorylab.drawing import percent

_HALF, _HEIGHT = 100, 28


def scale(checks: Iterable[Check]) -> float:
    """Return the half width of an axis, a ratio to the prediction, that holds all intervals; 0 if there are none.

    It is 1, 2 or 5 times a power of ten.
    """
    reach = max((max(map(abs, interval[1:])) for interval in map(_relative, checks) if interval), default=0.0)
    if reach == 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(reach))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= reach)


def svg(check: Check, scale: float) -> str:
    """Draw the measurement's deviation from the law, relative to the law, as inline SVG on an axis of this half width.

    The SVG is empty where there is no relative error: of an identity, and where the law predicts 0.

    Examples
    --------
    >>> from proofs_checks.results import NegativeControl
    >>> control = NegativeControl("twice the law", 0.0, True)
    >>> check = Check("size", "moment", 1.01, 1.0, 0.01, 0.3, 1000, 0.05, True, control)
    >>> "off the law, 95 % interval" in svg(check, scale([check]))
    True
    """
    deviation = _relative(check)
    if deviation is None or not scale > 0:
        return ""
    at, low, high = deviation
    label = f"{percent(at)} off the law, 95 % interval {percent(low)} to {percent(high)}"
    start, point, end = (round(_HALF * value / scale, 1) for value in (low, at, high))
    middle = _HEIGHT // 2
    return (
        f'<svg role="img" aria-label="{label}" viewBox="{-_HALF} 0 {2 * _HALF} {_HEIGHT}" fill="none" '
        f'stroke="currentColor"><path stroke-opacity=".45" d="M0 0V{_HEIGHT}"/>'
        f'<path stroke-width="3" d="M{start} {middle}H{end}"/>'
        f'<circle cx="{point}" cy="{middle}" r="5" fill="currentColor" stroke="none"/></svg>'
    )


def _relative(check: Check) -> tuple[float, float, float] | None:
    """Return the deviation and the ends of its 95 % interval, relative to what is expected."""
    if check.kind == "identity" or not check.standard_error > 0 or check.expected == 0:
        return None
    low, high = check.interval
    at, low, high = ((value - check.expected) / abs(check.expected) for value in (check.estimate, low, high))
    return (at, low, high) if all(map(math.isfinite, (at, low, high))) else None
