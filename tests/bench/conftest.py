"""Work of this package and the same work by another tool in turn, round by round, and a table of both at the end."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import pytest
from table import ROUNDS, WHOLE, Growth, Row

from theorylab import _csv

# Threads of a pool spin for a while after their last product: the next one to be timed waits until they have stopped.
_REST = 0.03

_rows: list[Row] = []
_growths: list[Growth] = []


def timed(run: Callable[[], object]) -> float:
    time.sleep(_REST)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@pytest.fixture
def versus(benchmark):
    """``versus(work, ours, theirs, against=..., target=...)``: both in turn; the ratio of medians joins the table.

    `clear` is called after each round of ours, outside its time.
    """

    def measure(
        work: str,
        ours: Callable[[], object],
        theirs: Callable[[], object] | None,
        *,
        against: str,
        target: float,
        rounds: int = ROUNDS,
        listed: bool = True,
        clear: Callable[[], object] = lambda: None,
    ) -> float:
        others: list[float] = []

        def other() -> None:
            clear()
            if theirs is not None:
                others.append(timed(theirs))
            time.sleep(_REST)

        other()
        ours()  # compiled, and memory at hand, as theirs after its own first run
        others.clear()
        benchmark.pedantic(ours, setup=other, rounds=rounds)
        clear()
        median = benchmark.stats.stats.median
        reference = statistics.median(others) if theirs is not None else None
        ratio = median / reference if reference is not None else median
        benchmark.extra_info.update({"against": against, "other median": reference, "ratio": ratio})
        if listed:
            _rows.append(Row(work, against, median, reference, target))
        return ratio

    return measure


@pytest.fixture
def record():
    """Adds a line to the table that is not one measurement but made of several."""
    return _rows.append


@pytest.fixture
def grows(benchmark):
    """``grows(work, size, sizes, make)``: ``make(size)()`` at every size in turn, and the exponent of the cost."""

    def measure(
        work: str, size: str, sizes: Sequence[float], make: Callable[[float], Callable[[], object]]
    ) -> None:
        runs = [make(one) for one in sizes]
        for run in runs:
            run()
        times: list[list[float]] = [[] for _ in runs[:-1]]

        def smaller() -> None:
            for own, run in zip(times, runs[:-1], strict=True):
                own.append(timed(run))
            time.sleep(_REST)

        benchmark.pedantic(runs[-1], setup=smaller, rounds=ROUNDS)
        medians = (*map(statistics.median, times), benchmark.stats.stats.median)
        found = Growth(work, size, tuple(sizes), medians)
        benchmark.extra_info["exponent"] = found.exponent
        _growths.append(found)

    return measure


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _machine() -> str:
    import threadpoolctl

    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "numba", "torch", "captum"))
    threads = {f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpoolctl.threadpool_info()}
    return f"{_processor()}, {os.cpu_count()} processors; threads: {', '.join(sorted(threads))}; {versions}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def _keep() -> Path:
    """Add the lines of this run to those of its day, as a table for pandas."""
    folder = Path(__file__).parents[2] / "bench" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y-%m-%d')}.csv"
    lines = [
        {
            "time": time.strftime("%H:%M"),
            "work": row.work,
            "against": row.against,
            "ours_s": row.ours,
            "theirs_s": row.theirs,
            "wanted": row.target,
            "rounds": ROUNDS,
            "machine": _machine(),
        }
        for row in _rows
    ]
    text = _csv.text(lines)
    with open(file, "a", encoding="utf-8", newline="") as stream:
        stream.write(text.split("\r\n", 1)[1] if stream.tell() else text)
    return file


def pytest_terminal_summary(terminalreporter):
    write = terminalreporter.write_line
    if _rows:
        if ROUNDS >= WHOLE:
            write(f"Written: {_keep()}")
        write("")
        write("| work | against | ours | theirs | ratio | wanted |")
        write("|---|---|---|---|---|---|")
        for row in _rows:
            ratio = row.ours if row.theirs is None else row.ours / row.theirs
            wanted = "at most " + (f"{row.target:g}" if row.theirs is not None else _seconds(row.target))
            shown = f"{ratio:.2g}" if row.theirs is not None else "–"
            missed = "" if ratio <= row.target else " (missed)"
            write(
                f"| {row.work} | {row.against} | {_seconds(row.ours)} | {_seconds(row.theirs)} | {shown} | {wanted}{missed} |"
            )
    if _growths:
        write("")
        write("| cost of | grows with | from, to | exponent |")
        write("|---|---|---|---|")
        for found in _growths:
            span = f"{found.sizes[0]:g} ({_seconds(found.medians[0])}) to {found.sizes[-1]:g} ({_seconds(found.medians[-1])})"
            write(f"| {found.work} | {found.size} | {span} | {found.exponent:.2f} |")
    if _rows or _growths:
        write("")
        write(
            f"{time.strftime('%Y-%m-%d')}. Medians of {ROUNDS} rounds in turn, of one for `verify`. {_machine()}"
        )
