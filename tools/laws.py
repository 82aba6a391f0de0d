"""Write the page of laws: what each claim states, its exact law typeset, and the proof beside the checks that verify it.

Law and proof are the fields of the claims; the checks are those of the run that ``make verdicts`` kept in ``docs/checks.json``.
``make docs`` calls this; the page itself is not kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2

import proofs_checks
from proofs_checks.report import formulas, words
from proofs_checks.results import Check, NegativeControl, Verdict
from theorylab.drawing import number

DOCS = Path(__file__).parent.parent / "docs"
CHECKS = DOCS / "checks.json"


def verdict(result: dict[str, Any]) -> str:
    """Return the verdict of a run in words; what was seen elsewhere, where the paper speaks of another network.

    Examples
    --------
    >>> verdict({"verdict": "not-run", "seen": "holds"})
    'not tested on VGG-16; elsewhere holds'
    """
    if result["seen"] is not None:
        return f"{words.NOT_TESTED.words}; elsewhere {words.VERDICTS[Verdict(result['seen'])].words}"
    return words.VERDICTS[Verdict(result["verdict"])].words


def checked(fields: dict[str, Any]) -> dict[str, str]:
    """Return one row of the table of checks, in words."""
    control = NegativeControl(**fields["negative_control"])
    check = Check(**{**fields, "negative_control": control})
    return {
        "name": check.name,
        "law": number(check.expected),
        "measured": number(check.estimate),
        "sure": words.certainty(check),
        "control": control.what,
    }


def page(run: dict[str, Any]) -> str:
    """Return the page, in Markdown with HTML in it.

    Examples
    --------
    >>> "## `theorem1`" in page(json.loads(CHECKS.read_text(encoding="utf-8")))
    True
    """
    found = {result["id"]: result for result in run["claims"]}
    laws = [
        {
            "claim": claim,
            "svg": formulas.svg(claim.formula, claim.exact_law),
            "proof": [part.strip() for part in claim.proof.split("\n\n") if part.strip()],
            "verdict": verdict(found[claim.id]),
            "network": found[claim.id]["network"],
            "checks": [checked(fields) for fields in found[claim.id]["checks"]],
        }
        for group in proofs_checks.GROUPS
        for claim in proofs_checks.registry(group)
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DOCS), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("laws.md.j2").render(run=run, laws=laws)


def write() -> None:
    """Write ``docs/laws.md``."""
    (DOCS / "laws.md").write_text(page(json.loads(CHECKS.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    write()
