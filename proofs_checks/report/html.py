"""The report as one HTML file that opens offline."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from proofs_checks.report import deviations, formulas, words
from proofs_checks.results import ClaimResult, Verdict, Verification
from theorylab import _json, drawing

_PIXELS_AN_INCH = 110


def render(verification: Verification, pictures: Mapping[tuple[str, str], bytes] | None = None) -> str:
    """Render the whole report as one HTML document.

    Parameters
    ----------
    verification : Verification
    pictures : mapping, optional
        PNG files of figures already drawn, by the claim's id and the figure's name; the others are drawn here.

    Returns
    -------
    str
        Styles and pictures are inside; nothing is fetched and no script runs.

    Raises
    ------
    TypeError, ValueError
        If a figure cannot be drawn, or the headline of a claim names none of its checks.

    Examples
    --------
    >>> page = render(Verification("0.1", 0, "quick", "cat", 0.01, "Bonferroni", ()))
    >>> page.splitlines()[0]
    '<!DOCTYPE html>'
    """
    pictures, results, made = pictures or {}, verification.claims, _json.run()
    not_run = [claim for claim in results if claim.verdict is Verdict.NOT_RUN and claim.seen is None]
    values = dict(
        run=verification,
        claims=[_claim(claim, pictures, verification.command_for(claim.id)) for claim in results],
        failed=[claim for claim in results if claim.passed is False],
        not_run=not_run,
        n_checked=sum(bool(claim.checks) for claim in results),
        # Claims without a law that were measured, such as trained networks with given weights.
        n_measured=sum(not claim.checks and claim.verdict is not Verdict.NOT_RUN for claim in results),
        n_blind=sum(check.blind for claim in verification.claims for check in claim.checks),
        n_checks=sum(len(claim.checks) for claim in results),
        readings=words.counts(results),
        whose=words.WHOSE[verification.group],
        tally=words.tally(results, verification.group),
        seen=words.seen(results),
        mattering=[(claim, words.reading(claim), why) for claim, why in words.mattering(results)]
        if not verification.self_test
        else [],
        alarm=words.p_value(verification.false_alarm_probability),
        command=verification.command or verification.command_for(),
        # What the numbers depend on.
        versions=[("python", made["python"]), *made["libraries"].items()],
        made=made,
        f=words,
    )
    return drawing.page("proofs_checks.report", "report.html.j2", values)


def _claim(claim: ClaimResult, pictures: Mapping[tuple[str, str], bytes], command: str) -> dict[str, Any]:
    figures = []
    for figure in claim.figures:
        picture = pictures.get((claim.id, figure.name)) or drawing.render(figure)
        # Do not enlarge a small figure to the width of the page.
        width = round(_PIXELS_AN_INCH * drawing.width(figure))
        figures.append((figure.caption, base64.b64encode(picture).decode("ascii"), width))
    scale = deviations.scale(claim.checks)
    proof = [part.strip() for part in claim.proof.split("\n\n") if part.strip()]
    return {
        "result": claim,
        "headline": claim.headline_check(),
        "words": words.reading(claim).words,
        "seen": words.VERDICTS[claim.seen].words if claim.seen else "",
        "rulings": [(words.margin(ruling), ruling.margin.why) for ruling in claim.rulings],
        "figures": figures,
        "proof": proof,
        "formula": formulas.svg(claim.formula, claim.exact_law),
        "scale": scale,
        "deviations": [deviations.svg(check, scale) for check in claim.checks],
        "command": command,
    }
