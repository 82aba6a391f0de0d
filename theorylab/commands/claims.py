"""``theorylab claims``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from theorylab.commands import _output as output


def claims(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the claims of the paper that can be verified.

    Example: theorylab claims
    """
    import proofs_checks

    fields = ("id", "section", "statement", "exact_law")
    known = [{name: getattr(claim, name) for name in fields} for claim in proofs_checks.registry()]
    if as_json:
        typer.echo(json.dumps(known, indent=2, ensure_ascii=False))
        return
    from theorylab.report import tables

    output.display(
        tables.table(("claim", "section", "statement"), [list(claim.values())[:3] for claim in known])
    )
