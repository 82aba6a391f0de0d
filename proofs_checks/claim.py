"""The type of a claim, and the names that every file of a claim imports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from proofs_checks.bench import Bench
from proofs_checks.judge import CONFIDENCE, Wrong, confident_interval
from proofs_checks.results import Check, Verdict
from theorylab.charts import Chart, CurveFigure, Line, MapFigure, MapPanel, Points

__all__ = [
    "CONFIDENCE",
    "Bench",
    "Check",
    "Claim",
    "CurveFigure",
    "Line",
    "MapFigure",
    "MapPanel",
    "Outcome",
    "Points",
    "Verdict",
    "Wrong",
    "confident_interval",
]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of running one claim's checks."""

    verdict: Verdict
    finding: str
    checks: tuple[Check, ...]
    headline: str
    figures: tuple[Chart, ...] = ()


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim of the paper: its statement in our words, the exact law, the proof, and how it is checked.

    `order` is its position among the claims, in the paper's order; the numbers leave room between them.  `n_checks` is
    declared, not counted afterwards: the correction for multiplicity must not depend on what is run.  `verdicts` are
    those that a run can reach, whatever the picture.  `formula` is the exact law once more, as lines of mathtext
    (Matplotlib's subset of LaTeX, without the dollar signs), for the report; empty where there is no law.
    `check_weights`, where the claim reads the user's weights, refuses those that do not fit, before anything is run.
    """

    id: str
    order: int
    section: str
    statement: str
    exact_law: str
    proof: str
    n_checks: int
    run: Callable[[Bench], Outcome]
    verdicts: tuple[Verdict, ...] = (Verdict.HOLDS, Verdict.REFUTED)
    formula: tuple[str, ...] = ()
    check_weights: Callable[[str], None] | None = None
