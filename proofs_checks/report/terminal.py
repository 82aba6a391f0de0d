"""A verification in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proofs_checks.report import words
from proofs_checks.results import Check, ClaimResult, Verdict, Verification
from theorylab.drawing import empty_table, number

_ALARM = "bold white on red"
# No checks: neither passed nor failed.
_MARKS = {True: Text("✓", "green"), False: Text("✗", _ALARM), None: Text("–", "dim")}
_NARROW = 9


def render(verification: Verification, details: bool = False) -> RenderableType:
    """Render a verification for a terminal: the table of claims, every failure, the conclusion.

    Parameters
    ----------
    verification : Verification
    details : bool, default False
        Add all checks of all claims with their negative controls.

    Returns
    -------
    a renderable of rich, without colours where the output is no terminal

    Raises
    ------
    ValueError
        If the headline of a claim names none of its checks.

    Examples
    --------
    >>> from rich.console import Console
    >>> empty = Verification("0", 0, "quick", "cat", 0.01, "Holm", ())
    >>> Console(width=60).print(render(empty))
    No claim was checked.
    """
    if not verification.claims:
        return Text("No claim was checked.")
    parts: list[RenderableType] = [claims_table(verification)]
    if details:
        parts += [claim_details(claim) for claim in verification.claims]
    return Group(*parts, conclusion(verification))


def claims_table(verification: Verification) -> Table:
    """Make a table of one row for each claim, with its headline check."""
    header = ("measured", "predicted", "how sure")
    checks = [claim.headline_check() for claim in verification.claims]
    numbers = [_cells(check, "\n") if check else ("–", "–", "") for check in checks]
    widths = [max(map(len, "\n".join(column).split("\n"))) for column in zip(header, *numbers, strict=True)]
    # Keep ids whole if the other columns and the gaps leave room for them in 80 columns.
    room = 80 - sum(widths) - 1 - 2 * _NARROW - 7 * 2
    widest = max((len(claim.id) for claim in verification.claims), default=0)
    table = empty_table()
    table.add_column("", no_wrap=True)
    table.add_column("claim", overflow="fold", min_width=max(min(widest, room), 8))
    table.add_column("section", overflow="fold", max_width=_NARROW)
    table.add_column("verdict", overflow="fold", max_width=_NARROW)
    for title in header:
        table.add_column(title, justify="left" if title == header[-1] else "right", no_wrap=True)
    for claim, cells in zip(verification.claims, numbers, strict=True):
        failed = Text("ERROR" if claim.error else "CHECK FAILED", _ALARM)
        verdict = failed if claim.passed is False else _verdict(claim)
        mark = _MARKS[claim.passed].copy()
        table.add_row(mark, Text(claim.id, "bold"), Text(claim.section), verdict, *map(Text, cells))
    return table


def _verdict(claim: ClaimResult) -> Text:
    reading = words.reading(claim)
    return Text(reading.words, reading.style)


def _cells(check: Check, gap: str = ", ") -> tuple[str, str, str]:
    """Return what was measured, what was predicted and how sure the check is."""
    return number(check.estimate), number(check.expected), words.certainty(check).replace(", ", gap)


def claim_details(claim: ClaimResult) -> RenderableType:
    """Show all checks of one claim with their negative controls."""
    table = empty_table()
    table.add_column("", no_wrap=True)
    table.add_column("check · negative control", ratio=1, overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("predicted", justify="right", no_wrap=True)
    table.add_column("how sure", max_width=19)
    table.add_column("p", justify="right", no_wrap=True)
    for check in claim.checks:
        control = check.negative_control
        table.add_row(
            _MARKS[check.passed].copy(),
            Text(check.name).append("" if check.passed else "  FAILED", _ALARM),
            *map(Text, _cells(check)),
            Text(words.p_value(check.p_value)),
        )
        table.add_row(
            Text(" ") if control.rejected or check.blind else _MARKS[False].copy(),
            Text(f"· {control.what}", "dim"),
            *(Text(), Text()),
            Text("too near to tell" if check.blind else "rejected", "dim")
            if control.rejected or check.blind
            else Text("NOT REJECTED", _ALARM),
            Text(words.p_value(control.p_value), "dim"),
        )
    heading = Text.assemble((claim.id, "bold"), f"  {claim.section}  ")
    heading.append_text(_verdict(claim))
    if claim.passed is False:
        heading.append("  ").append("CHECK FAILED", _ALARM)
    statement = Text(f"{claim.statement}\n").append(claim.finding, "italic")
    for ruling in claim.rulings:
        statement.append(f"\n• {words.margin(ruling)}", "dim")
    below: list[RenderableType] = [Text(), table] if claim.checks else []
    return Padding(Group(heading, statement, *below), (1, 0, 0, 0))


def conclusion(verification: Verification) -> Text:
    """Write the last lines: every failure by name, then how many claims passed."""
    text = Text()
    failed = [claim for claim in verification.claims if claim.passed is False]
    for claim in verification.claims:
        if claim.verdict is Verdict.NOT_RUN and claim.seen is None and not claim.error:
            text.append(f"\n– {claim.id}: not run", "bold").append(f": {claim.finding}")
    for claim in failed:
        if claim.error:
            text.append(f"\n✗ {claim.id}: ", _ALARM).append(claim.error)
        for check in claim.failures:
            control = check.negative_control
            if check.passed:
                outcome = "negative control not rejected"
                details = f"{control.what} ({words.p_equals(control.p_value)})"
            else:
                outcome = "check failed"
                details = f"measured {number(check.estimate)}, predicted {number(check.expected)}"
                details += f" ({words.p_equals(check.p_value)})"
            text.append("\n✗ ", _ALARM).append(f"{claim.id}: {check.name}: ")
            text.append(outcome, _ALARM).append(f": {details}")
    checked = [claim for claim in verification.claims if claim.checks or claim.error]
    n_claims, n_checks = len(checked), sum(len(claim.checks) for claim in checked)
    text.append("\n")
    if verification.self_test:
        text.append(f"Self-test: every exact law was multiplied by {verification.law_scale}.", _ALARM)
        text.append("\n")
    if not checked:
        text.append("Nothing was checked.")
    elif failed:
        text.append(f"{len(failed)} of {_count(n_claims, 'claim')} FAILED.", _ALARM)
    else:
        text.append(f"{_count(n_checks, 'check')} of {_count(n_claims, 'claim')}: all passed", "bold green")
        blind = sum(check.blind for claim in checked for check in claim.checks)
        too_near = f" but {blind}, which are too near to the law on this picture to tell" if blind else ""
        text.append(f", and every negative control was rejected{too_near}.")
    counts = words.counts(verification.claims)
    listed = ", ".join(f"{count} {reading.words}" for reading, count in counts if count)
    text.append(f"\nThe paper's statements: {listed}.")
    text.append("".join(f"\n{sentence}" for sentence in words.seen(verification.claims)), "dim")
    tested = {claim.network for claim in verification.claims if claim.network and claim.seen is None}
    text.append("".join(f"\nTrained network: {network}." for network in sorted(tested)), "dim")
    if verification.pictures:
        text.append(f"\nIt was shown {_count(len(verification.pictures), 'picture')}", "dim")
        text.append(
            f"; needing a download: {', '.join(verification.skipped)}" if verification.skipped else "", "dim"
        )
        text.append(".", "dim")
    text.append("\nVerdicts judge the paper's statement as written; checks judge the exact law.", "dim")
    return text


def _count(how_many: int, noun: str) -> str:
    return f"{how_many} {noun}" if how_many == 1 else f"{how_many} {noun}s"
