"""Apply one wrong change at a time to the laws and to the judge, and show that the laboratory notices.

    python tools/mutants.py              # every mutant; writes docs/mutants.md
    python tools/mutants.py --list       # what there is
    python tools/mutants.py --only covariance --only 'judge'

Exit status 1 if a mutant survives, 2 if the control fails or a mutant does not apply.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import queue
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mutant_copies import (
    CLAIMS,
    KILLERS,
    BrokenError,
    Control,
    Copy,
    Fate,
    control_of,
    end_all,
    fingerprint,
)
from mutant_edits import EditError
from mutant_table import Mutant, mutants

ROOT = Path(__file__).resolve().parents[1]
SURVIVES = "**survives**"
KINDS = {
    "scaled": "a law multiplied by 1.03 or 0.97",
    "shifted": "a map of a law moved by one pixel",
    "term": "a term, factor or condition of a law left out or replaced",
    "judge": "a number of the judge, the referee or the statistics replaced",
    "decision": "a comparison or condition of theirs turned round, or moved by its edge",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    pattern = "mutants that a regular expression finds; again for more"
    parser.add_argument("--only", action="append", type=_pattern, metavar="PATTERN", help=pattern)
    parser.add_argument("--list", action="store_true", help="list them and run none")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    out = ROOT / "docs" / "mutants.md"
    parser.add_argument("--out", type=Path, default=out, help="the table; --only renews its rows")
    options = parser.parse_args(arguments)
    try:
        every = mutants(ROOT)
    except EditError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    patterns = options.only or [re.compile("")]
    chosen = [mutant for mutant in every if any(p.search(f"{mutant.kind} {mutant.what}") for p in patterns)]
    if options.list:
        print("\n".join(f"{mutant.kind:9} {mutant.what}" for mutant in chosen))
        return 0
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            fates = _fates(chosen, Path(folder), options.jobs)
    except BrokenError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    pairs = list(zip(chosen, fates, strict=True))
    rows = known_rows(options.out) | {
        name_of(mutant): Row(by(fate), f"{fate.seconds:.0f}") for mutant, fate in pairs if not fate.broken
    }
    if all(name_of(mutant) in rows for mutant in every):
        text = table({name_of(mutant): rows[name_of(mutant)] for mutant in every})
        options.out.write_text(text, encoding="utf-8")
        print(f"Written: {options.out}")
    print(f"{sum(fate.killed for fate in fates)} of {len(chosen)} mutants killed.")
    for mutant, fate in pairs:
        if fate.broken:
            print(f"NO ANSWER: {mutant.kind} {mutant.what}: {fate.error}")
        elif not fate.killed:
            print(f"SURVIVED: {mutant.kind} {mutant.what}")
    return 2 if any(fate.broken for fate in fates) else int(not all(fate.killed for fate in fates))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def _stop(number: int, _: object) -> None:
    """End in order: a second signal must not interrupt the removal of the copies."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _fates(chosen: Sequence[Mutant], folder: Path, jobs: int) -> list[Fate]:
    copies: queue.Queue[Copy] = queue.Queue()
    for number in range(jobs):
        copies.put(Copy(ROOT, folder / str(number)))
    start, done = time.monotonic(), 0

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {text}", flush=True)

    def show(mutant: Mutant) -> Fate:
        nonlocal done
        copy = copies.get()
        try:
            fate = copy.fate(mutant, control.concerned(mutant))
        except BrokenError as error:
            fate = Fate("", str(error), 0.0)
        finally:
            copies.put(copy)
        done += 1
        say(f"{done:4}/{len(chosen)}  {mutant.kind:9} {mutant.what}: {by(fate)} ({fate.seconds:.0f} s)")
        return fate

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            control = _control(copies, pool)
            say(f"control passed: {len(control.seconds)} tests and claims")
            return list(pool.map(show, chosen))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            raise


def _control(copies: queue.Queue[Copy], pool: concurrent.futures.Executor) -> Control:
    """Run everything without a change, or read what the last run of the same sources found."""
    kept = ROOT / "out" / "mutants"
    kept.mkdir(parents=True, exist_ok=True)

    def report(killer: str) -> dict[str, object]:
        key, path = fingerprint(ROOT, killer), kept / f"{Path(killer).stem}.json"
        if path.exists() and (found := json.loads(path.read_text(encoding="utf-8")))["key"] == key:
            return dict(found["report"])
        copy = copies.get()
        try:
            new = copy.run([killer], trace=True)
        finally:
            copies.put(copy)
        path.write_text(json.dumps({"key": key, "report": new}), encoding="utf-8")
        return new

    return control_of(pool.map(report, reversed(KILLERS)))  # the longest first


def by(fate: Fate) -> str:
    """Say in a few words what killed a mutant."""
    if not fate.killed:
        return "no answer" if fate.broken else SURVIVES
    file, _, name = fate.test.partition("::")
    if file == CLAIMS:
        return f"verify {name.partition('[')[2].removesuffix(']')}"
    name = re.sub(r"\[.*", "", name, flags=re.DOTALL)
    error = "" if fate.error in ("AssertionError", "Failed") else f" ({fate.error})"
    return f"{Path(file).stem}: {name}{error}"


class Row(NamedTuple):
    """What the table says of a mutant."""

    by: str
    seconds: str


def name_of(mutant: Mutant) -> tuple[str, str]:
    """Return the kind and the words that tell a mutant from the others."""
    what = mutant.what.replace("|", r"\|")
    return mutant.kind, f"`{what}`"


def known_rows(path: Path) -> dict[tuple[str, str], Row]:
    """Return the rows of a table that was written before; none if there is none."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    cells = [line[2:-2].split(" | ") for line in lines if line.startswith("| ")]
    return {(row[0], row[1]): Row(*row[2:]) for row in cells if len(row) == 4 and row[1].startswith("`")}


def table(rows: Mapping[tuple[str, str], Row]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Mutants",
        "",
        "Each row is one wrong change of a law or of the judge, and the first test, or claim at the quick budget of "
        "`theorylab verify`, that noticed.",
        "Tests and claims that run the changed lines are tried, the quickest first; doctests are not. Written by `make mutants`.",
        "",
        "| kind | what | mutants | by verify | by tests | survive |",
        "|---|---|---|---|---|---|",
    ]
    for kind, meaning in KINDS.items():
        count = Counter(
            "survive" if row.by == SURVIVES else "verify" if row.by.startswith("verify ") else "tests"
            for (its_kind, _), row in rows.items()
            if its_kind == kind
        )
        numbers = [count.total(), count["verify"], count["tests"], count["survive"]]
        lines.append(f"| {kind} | {meaning} | {' | '.join(map(str, numbers))} |")
    lines += ["", "| kind | what | killed by | seconds |", "|---|---|---|---|"]
    lines += [f"| {kind} | {what} | {row.by} | {row.seconds} |" for (kind, what), row in rows.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
