"""The type of a claim, and the names that every file of a claim imports beside its charts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from proofs_checks import referee
from proofs_checks.bench import Bench
from proofs_checks.judge import LOOKS, Undecidable, Wrong
from proofs_checks.referee import EPSILON, QUARTER, Evidence
from proofs_checks.results import Check, Margin, Verdict
from theorylab.charts import Chart
from theorylab.drawing import signs
from theorylab.montecarlo import Undetermined

__all__ = [
    "EPSILON",
    "QUARTER",
    "Bench",
    "Check",
    "Claim",
    "Evidence",
    "Margin",
    "Outcome",
    "Undecidable",
    "Wrong",
]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of running one claim: a sentence, the evidence for each of its margins, and its checks.

    Without evidence the claim was not run, and `finding` says why; `run` raises `Undecidable` where the picture decides nothing.
    """

    finding: str
    evidence: tuple[Evidence, ...]
    checks: tuple[Check, ...]
    headline: str
    figures: tuple[Chart, ...] = ()


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim of the paper: its statement in our words, the exact law, the proof, and how it is checked.

    `order` is its position among the claims, in the paper's order; the numbers leave room between them. `statement` is the
    paper's with its hedges and its scope; `margins` say what decides it, one for each quantity, and are empty where the paper
    claims nothing; `authors` is what the authors would answer to a reader who doubts. `n_checks` is declared, not counted
    afterwards: the correction for multiplicity must not depend on what is run. `trained` names the layers, "convolutions" and
    "dense", that have to be trained in the VGG-16 of which the statement speaks. `formula` is the exact law once more, as
    lines of mathtext (Matplotlib's subset of LaTeX, without the dollar signs), for the report; empty where there is no law.
    Claims that need the same studies name them alike in `shares`, and run in one process.
    """

    id: str
    order: int
    section: str
    statement: str
    exact_law: str
    proof: str
    n_checks: int
    run: Callable[[Bench], Outcome]
    margins: tuple[Margin, ...]
    authors: str
    trained: tuple[str, ...] = ()
    shares: str = ""
    formula: tuple[str, ...] = ()


def decide(claim: Claim, bench: Bench, level: float) -> tuple[Outcome, dict[str, Any]]:
    """Run a claim on more and more replicates, until each check is settled and each quantity decided at a level, or all are seen.

    Returns
    -------
    outcome : Outcome
        Of the last look.
    judged : dict
        Verdict, rulings and finding, as :func:`proofs_checks.referee.judged` returns them.

    Raises
    ------
    Undecidable
        If something that the claim estimates is not defined within its standard error, however many replicates are seen.
    """
    bench.used.clear()
    why = None
    for look in LOOKS:
        if look.before and not bench.grows(look):
            continue
        bench.look = look
        bench.unsettled.clear()
        try:
            outcome = claim.run(bench)
        except Undetermined as error:
            why = error  # more replicates may tell
            continue
        # What is complete is not looked at again, and spends all that is left.
        spent = 1 - look.before if bench.complete else look.spent
        judged = referee.judged(claim.margins, outcome.evidence, signs(outcome.finding), level * spent)
        undecided = any(ruling.verdict is Verdict.UNDECIDED for ruling in judged["rulings"])
        if bench.complete or not (bench.unsettled or undecided):
            return outcome, judged
    raise Undecidable(f"a number that it needs has {why}")
