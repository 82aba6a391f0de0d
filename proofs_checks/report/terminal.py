"""A verification in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from proofs_checks.report import words
from proofs_checks.results import Check, ClaimResult, Verdict, Verification
from theorylab.drawing import Words, empty_table, number

_ALARM = "bold white on red"
# No checks: neither passed nor failed.
_MARKS = {True: Words("✓", "green"), False: Words("✗", _ALARM), None: Words("–", "dim")}


def render(verification: Verification, details: bool = False) -> RenderableType:
    """Render a verification for a terminal: what it found, the table of claims, every failure, the conclusion.

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
        return Words("No claim was checked.")
    parts: list[RenderableType] = [message(verification), claims_table(verification)]
    if details:
        parts += [claim_details(claim) for claim in verification.claims]
    return Group(*parts, conclusion(verification))


def claims_table(verification: Verification) -> RenderableType:
    """Write one line for each claim: the verdict, and what the headline check compares, cut where the terminal is narrow."""
    table = empty_table()
    table.padding = (0, 0, 0, 0)  # room for the names of quantities
    table.add_column("", no_wrap=True)
    table.add_column("claim", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("predicted", justify="right", no_wrap=True)
    table.add_column("of")
    for claim in verification.claims:
        failed = Words("ERROR" if claim.error else "CHECK FAILED", _ALARM)
        reading = words.reading(claim)
        short = reading.words.removeprefix("holds in the ").removesuffix(" on VGG-16")
        check = claim.headline_check()
        numbers = (
            (number(check.estimate, 3), number(check.expected, 3), check.name) if check else ("–", "–", "")
        )
        of = Words(numbers[2], "dim", no_wrap=True, overflow="ellipsis")
        verdict = failed if claim.passed is False else Words(short, reading.style)
        table.add_row(
            _MARKS[claim.passed].copy(), Words(claim.id, "bold"), verdict, *map(Words, numbers[:2]), of
        )
    return table


def message(verification: Verification) -> Text:
    """Write what a run found in a few lines: how many statements have each verdict, and the findings that matter most."""
    text = Words(words.tally(verification.claims, verification.group), "bold")
    if verification.self_test:
        return text
    found = words.mattering(verification.claims)
    if found:
        text.append("\nWhat matters most: ").append(f"{words.RULE}.", "dim")
    for claim, why in found:
        reading = words.reading(claim)
        text.append("\n• ").append(claim.id, "bold").append(f" {reading.words}", reading.style).append(
            f": {why}"
        )
    return text.append("\n")


def _verdict(claim: ClaimResult) -> Words:
    reading = words.reading(claim)
    return Words(reading.words, reading.style)


def _cells(check: Check) -> tuple[str, str, str]:
    """Return what was measured, what was predicted and how sure the check is."""
    return number(check.estimate), number(check.expected), words.certainty(check)


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
            Words(check.name).append("" if check.passed else "  FAILED", _ALARM),
            *map(Words, _cells(check)),
            Words(words.p_value(check.p_value)),
        )
        table.add_row(
            Words(" ") if control.rejected or check.blind else _MARKS[False].copy(),
            Words(f"· {control.what}", "dim"),
            *(Words(), Words()),
            Words("too near to tell" if check.blind else "rejected", "dim")
            if control.rejected or check.blind
            else Words("NOT REJECTED", _ALARM),
            Words(words.p_value(control.p_value), "dim"),
        )
    heading = Words.assemble((claim.id, "bold"), f"  {claim.section}  ")
    heading.append_text(_verdict(claim))
    if claim.passed is False:
        heading.append("  ").append("CHECK FAILED", _ALARM)
    statement = Words(f"{claim.statement}\n").append(claim.finding, "italic")
    for ruling in claim.rulings:
        statement.append(f"\n• {words.margin(ruling)}", "dim")
    below: list[RenderableType] = [Words(), table] if claim.checks else []
    return Padding(Group(heading, statement, *below), (1, 0, 0, 0))


def conclusion(verification: Verification) -> Text:
    """Write the last lines: every failure by name, then how many claims passed."""
    text = Words()
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
        blind = sum(check.blind for claim in checked for check in claim.checks)
        too_near = f" but {blind}, which are too near to the law on this picture to tell" if blind else ""
        text.append(
            f"The laboratory's own laws: {_count(n_checks, 'check')} of {_count(n_claims, 'claim')} passed"
        )
        text.append(f", and every negative control was rejected{too_near}.")
    text.append("".join(f"\n{sentence}" for sentence in words.seen(verification.claims)), "dim")
    tested = {claim.network for claim in verification.claims if claim.network and claim.seen is None}
    text.append("".join(f"\nTrained network: {network}." for network in sorted(tested)), "dim")
    if verification.pictures:
        text.append(f"\nIt was shown {_count(len(verification.pictures), 'picture')}", "dim")
        text.append(
            f"; needing a download: {', '.join(verification.skipped)}" if verification.skipped else "", "dim"
        )
        text.append(".", "dim")
    return text.append(f"\n{words.tally(verification.claims, verification.group)}", "bold")


def _count(how_many: int, noun: str) -> str:
    return f"{how_many} {noun}" if how_many == 1 else f"{how_many} {noun}s"
