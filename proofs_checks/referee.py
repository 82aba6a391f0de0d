"""The referee: a margin that is declared before any data, the interval of what was measured, and the verdict they make.

The one rule for every claim.  A statement is decided by one or several quantities.  Each has a margin, within which the
statement counts as true, and is measured with an interval at a level that is corrected over all quantities of the registry:

- the interval lies inside the margin: the statement *holds*;
- the exact law has passed its check and enters the margin only as the network grows: it *holds in the limit*;
- the interval lies outside: it is *refuted*;
- else it is *undecided*: a larger study may decide.  So it is where the law would enter the margin but has not passed its check,
  and where nothing could be measured.

A statement is refuted if one of its quantities is, and holds if all do.  Where the paper's text and the authors' code name
two settings, a statement holds or is refuted if it is so in both, and is undecided where they disagree.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from proofs_checks.results import Check, Margin, Ruling, Verdict
from theorylab import stats
from theorylab.drawing import number

EPSILON = 0.1
"""The paper's own tolerance for an approximation (Section 3.1.1)."""

QUARTER = 1 / math.sqrt(1 + 0.25**2)
"""The least cosine, 0.970, of two maps that count as approximately one: an error of a quarter.  The paper's ε = 0.1 is a
quarter of the mean filter's length, 0.399, of which it is the error."""

ALIKE = 0.9
"""The least cosine, 26 degrees, of two maps that count as nearly the same where the paper judges by eye."""

QUARTER_WHY = "the paper's ε = 0.1 is a quarter of the vector whose error it is; an error of a quarter is a cosine of 0.970"
TENTH_WHY = "an error of a tenth, the paper's ε, is a cosine of 0.995"
MEAN_WHY = "a mean of at most a tenth, the paper's ε, of a map's size is a hundredth of its energy"
ALIKE_WHY = "almost the same to the eye: within 26 degrees"
GEOMETRY = "what strides and borders do to how often a pixel is covered is not held against the statement"


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The measurement of a quantity: an estimate, its standard error, and the number of replicates.

    `reached` is the size of the network, in units of `size` such as "N", from which the exact law lies inside the
    margin; None if it never does. Only a `checked` law, whose check is convincing, counts; else nothing is decided. A
    `share` is a mean of numbers between 0 and 1, whose interval does not shrink to a point where all of them are
    equal.
    """

    estimate: float
    error: float
    replicates: int
    reached: float | None = None
    size: str = "N"
    share: bool = False
    checked: bool = True

    @classmethod
    def of(cls, check: Check, reached: float | None = None, size: str = "N") -> Evidence:
        """Take the measurement of a check, and of its law from which size on it lies inside the margin."""
        return cls(*check.measured, reached, size, checked=check.convincing)


def rule(margin: Margin, evidence: Evidence, level: float) -> Ruling:
    """Decide one quantity by its interval at a level.

    Examples
    --------
    >>> rule(Margin("cosine", low=0.9), Evidence(0.95, 0.001, 100), 1e-6).verdict.value
    'holds'
    >>> rule(Margin("cosine", low=0.9), Evidence(0.91, 0.01, 100), 1e-6).verdict.value
    'undecided'

    So it is where a number of the measurement is not finite, and the interval is NaN.

    >>> rule(Margin("cosine", low=0.9), Evidence(math.nan, 0.01, 100), 1e-6).verdict.value
    'undecided'
    """
    estimate, error = evidence.estimate, evidence.error
    if not math.isfinite(estimate) or not math.isfinite(error):
        return Ruling(margin, estimate, math.nan, math.nan, Verdict.UNDECIDED)
    low, high = estimate, estimate
    if evidence.share:
        low, high = stats.bounded_interval(estimate, error, evidence.replicates, confidence=1 - level)
    elif error > 0:
        low, high = stats.interval(estimate, error, evidence.replicates - 1, confidence=1 - level)
    # A share's bound may be wider than all that a share can be.
    shown = (max(low, 0.0), min(high, 1.0)) if evidence.share else (low, high)
    ruling = Ruling(margin, estimate, *shown, Verdict.UNDECIDED)
    if margin.low <= low and high <= margin.high:
        return dataclasses.replace(ruling, verdict=Verdict.HOLDS)
    if evidence.reached is not None and evidence.checked:
        return dataclasses.replace(
            ruling, verdict=Verdict.HOLDS_IN_THE_LIMIT, reached=evidence.reached, size=evidence.size
        )
    if evidence.reached is not None:
        return ruling
    if high < margin.low or low > margin.high:
        return dataclasses.replace(ruling, verdict=Verdict.REFUTED)
    nearest = min(abs(estimate - edge) for edge in (margin.low, margin.high))
    # The bound of a share that never varied shrinks as the number of replicates grows, every other interval as its root.
    factor = ((high - low) / 2 / nearest) ** (2 if error > 0 else 1) if nearest > 0 else math.inf
    return dataclasses.replace(ruling, factor=factor)


def verdict(rulings: Sequence[Ruling]) -> Verdict:
    """Return the verdict on a statement from all of its quantities; not run where there are none."""
    settings: dict[str, list[Verdict]] = {}
    for ruling in rulings:
        settings.setdefault(ruling.margin.setting, []).append(ruling.verdict)
    if not settings:
        return Verdict.NOT_RUN
    first, *others = {_strictest(verdicts) for verdicts in settings.values()}
    return Verdict.UNDECIDED if others else first


def _strictest(verdicts: Iterable[Verdict]) -> Verdict:
    order = (Verdict.REFUTED, Verdict.UNDECIDED, Verdict.HOLDS_IN_THE_LIMIT, Verdict.HOLDS)
    return min(verdicts, key=order.index)


def judged(
    margins: Sequence[Margin], evidence: Sequence[Evidence], finding: str, level: float
) -> dict[str, Any]:
    """Return verdict, rulings and finding of a claim; the finding says what an undecided one lacks."""
    if not margins:
        return {"verdict": Verdict.BEYOND_THE_PAPER, "rulings": (), "finding": finding}
    rulings = tuple(rule(*pair, level) for pair in zip(margins, evidence, strict=True)) if evidence else ()
    sentences = [sentence for ruling in rulings if (sentence := _sentence(ruling))]
    return {"verdict": verdict(rulings), "rulings": rulings, "finding": " ".join([finding, *sentences])}


def _sentence(ruling: Ruling) -> str:
    """Say from which size a law holds, or what would decide, or why nothing does."""
    if ruling.verdict is Verdict.HOLDS_IN_THE_LIMIT:
        size = f"{ruling.size} = {ruling.reached:,.0f}"
        return f"From {size} on, in place of the size measured, the {ruling.margin.quantity} lies inside the margin."
    if ruling.verdict is Verdict.UNDECIDED and math.isnan(ruling.low):
        return f"Undecided: the {ruling.margin.quantity} could not be measured."
    if ruling.verdict is Verdict.UNDECIDED and math.isnan(ruling.factor):
        return f"Undecided: the law of the {ruling.margin.quantity} was not confirmed."
    if ruling.verdict is Verdict.UNDECIDED:
        return (
            f"Undecided: the {ruling.margin.quantity} is between {number(ruling.low, 3)} and {number(ruling.high, 3)}; "
            f"about {number(max(ruling.factor, 1.1), 2)} times as many networks would decide."
        )
    return ""
