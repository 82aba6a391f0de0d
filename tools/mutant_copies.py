"""Copies of the source tree in which tests and claims run: without a change, and with one."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mutant_table import Mutant

FOLDERS = ("theorylab", "proofs_checks", "tests", "tools")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "CHANGELOG.md")

CLAIMS = "tools/mutant_claims.py"
KILLERS = (
    "tests/test_stats.py",
    "tests/test_judge.py",
    "tests/test_referee.py",
    "tests/test_law.py",
    "tests/test_law_precision.py",
    "tests/test_law_scale.py",
    "tests/test_two_logits.py",
    "tests/test_method_laws.py",
    "tests/test_unions.py",
    "tests/test_biases.py",
    "tests/test_biased_depth.py",
    "tests/test_orthant.py",
    "tests/test_analytic_halfspace.py",
    "tests/test_analytic_shallow.py",
    "tests/test_analytic_summaries.py",
    "tests/test_depth_moments.py",
    "tests/test_depth.py",
    "tests/test_residual_depth.py",
    "tests/test_relevance.py",
    "tests/test_gradients.py",
    "tests/test_finite_width.py",
    "tests/test_filter_pairs.py",
    "tests/test_pooled_cosine.py",
    "tests/test_pooled_moments.py",
    "tests/test_pooled.py",
    "tests/test_pooled_depth.py",
    "tests/test_stacked_pools.py",
    "tests/test_several_overlaps.py",
    "tests/test_overlapping_depth.py",
    "tests/test_depth_studies.py",
    "tests/test_proofs_checks.py",
    CLAIMS,
    "tests/test_registry.py",
)
"""What may kill a mutant, from what looks at one law to what looks at all of them.  Doctests are not among it: their numbers are
what the code itself once said."""

LAST = ("tests/test_registry.py",)
"""Compares every law with draws of every rule and unit, hundreds of times and roughly: shown a mutant when all else is not."""

TRACED = ("theorylab/analytic", "theorylab/estimates", "theorylab/stats", "proofs_checks")
"""Folders of which the control notes the lines that each test runs."""

LIMIT = 1800.0
"""Seconds after which a run counts as broken."""


class BrokenError(RuntimeError):
    """A run that says nothing: tests that cannot be collected, or that do not end."""


@dataclasses.dataclass(frozen=True)
class Control:
    """What the tests do in an unchanged copy: their times, and which of them run a line of a file."""

    seconds: dict[str, float]
    ran: dict[str, dict[int, frozenset[str]]]

    def concerned(self, mutant: Mutant) -> list[str]:
        """Return the tests that run the lines of a mutant, the quickest first.

        Times count by their order of magnitude, so that the order is the same in every run but for a few.
        """
        lines = self.ran.get(mutant.path, {})
        tests = frozenset[str]().union(*(lines.get(line, frozenset()) for line in mutant.edited.lines))
        order = {test: place for place, test in enumerate(self.seconds)}

        def key(test: str) -> tuple[bool, int, int]:
            size = max(0, math.ceil(math.log(max(self.seconds[test], 1e-9) / 0.1, 4)))
            return test.startswith(LAST), size, order[test]

        return sorted(tests, key=key)


@dataclasses.dataclass(frozen=True)
class Fate:
    """What became of a mutant: the test that failed first, its error, and the seconds.

    A survivor has neither test nor error; where the run broke, there is an error and no test.
    """

    test: str
    error: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether a test failed."""
        return bool(self.test)

    @property
    def broken(self) -> bool:
        """Whether nothing can be said."""
        return bool(self.error) and not self.test


class Copy:
    """A copy of the source tree, with a place for the files of its runs.

    Times of files are copied too: kernels that were compiled for the original are found again.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.tree, self._folder = folder / "tree", folder
        self.tree.mkdir(parents=True)
        for name in FOLDERS:
            shutil.copytree(root / name, self.tree / name, copy_function=shutil.copy2)
        for name in FILES:
            shutil.copy2(root / name, self.tree / name)
        self._changes = 0

    @contextlib.contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """Put the mutant's source in place of the file's, for a while."""
        path = self.tree / mutant.path
        times, original = path.stat(), path.read_bytes()
        self._changes += 1
        path.write_text(mutant.edited.source, encoding="utf-8")
        # Python knows a compiled file by size and by whole seconds: no two versions may share them.
        os.utime(path, (times.st_atime, int(times.st_mtime) + self._changes))
        try:
            yield
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def run(self, files: Sequence[str], tests: Sequence[str] = (), *, trace: bool = False) -> dict[str, Any]:
        """Run tests in a process of its own, in this order and up to the first failure, or whole files; return the report.

        Raises
        ------
        BrokenError
            If something cannot be collected, or does not end.
        """
        report, wanted = self._folder / "report.json", self._folder / "tests.json"
        report.unlink(missing_ok=True)
        settings = {"MUTANT_REPORT": str(report)}
        if tests:
            wanted.write_text(json.dumps(list(tests)), encoding="utf-8")
            settings["MUTANT_TESTS"] = str(wanted)
        if trace:
            settings["MUTANT_TRACE"] = json.dumps(TRACED)
        plugins = ["-p", "mutant_watch", "-p", "no:cacheprovider"]
        options = ["-q", "-m", "not slow", "-o", "addopts=", *plugins]
        command = [sys.executable, "-m", "pytest", *options, *(["-x"] if tests else []), *files]
        status = _call(command, self.tree, settings, self._folder / "log.txt")
        if not report.exists():
            raise BrokenError(
                f"pytest ended with {status}:\n{(self._folder / 'log.txt').read_text()[-3000:]}"
            )
        found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        if found["broken"]:
            raise BrokenError("\n".join(found["broken"]))
        return found

    def fate(self, mutant: Mutant, tests: Sequence[str]) -> Fate:
        """Show a mutant to tests, one after the other."""
        start = time.monotonic()
        if not tests:
            return Fate("", "", 0.0)
        with self.changed(mutant):
            found = self.run(sorted({test.split("::")[0] for test in tests}), tests)
        seconds = time.monotonic() - start
        if not found["failures"]:
            return Fate("", "", seconds)
        first = found["failures"][0]
        return Fate(first["test"], first["error"], seconds)


_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()
_ended = threading.Event()


def _call(command: list[str], tree: Path, settings: dict[str, str], log: Path) -> int:
    """Run a command with one thread and a fixed hash, nothing from the working tree on its path; return its status."""
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'tools'}", "PYTHONHASHSEED": "0"}
    plain = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # half a second a run
    with log.open("wb") as file:
        with _lock:
            if _ended.is_set():
                raise BrokenError("interrupted")
            process = subprocess.Popen(
                command,
                cwd=tree,
                env={**os.environ, **one, **path, **plain, **settings},
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            _running.add(process)
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            _end(process)
            raise BrokenError(f"not done after {LIMIT:.0f} seconds") from None
        finally:
            with _lock:
                _running.discard(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_all() -> None:
    """End every process that runs tests, and start no other."""
    with _lock:
        _ended.set()
        running = list(_running)
    for process in running:
        _end(process)


def control_of(reports: Iterable[dict[str, Any]]) -> Control:
    """Join the reports of runs without a change.

    Raises
    ------
    BrokenError
        If a test failed: what fails without a change says nothing of one.
    """
    seconds: dict[str, float] = {}
    ran: dict[str, dict[int, set[str]]] = {}
    for report in reports:
        if report["failures"]:
            failed = "\n\n".join(f"{failure['test']}\n{failure['text']}" for failure in report["failures"])
            raise BrokenError(f"fails without any change, so that the table would be void:\n{failed}")
        seconds.update(report["seconds"])
        for file, lines in report["ran"].items():
            for line, tests in lines.items():
                ran.setdefault(file, {}).setdefault(int(line), set()).update(tests)
    place = {test: (KILLERS.index(test.split("::")[0]), number) for number, test in enumerate(seconds)}
    return Control(
        {test: seconds[test] for test in sorted(seconds, key=place.__getitem__)},
        {file: {line: frozenset(tests) for line, tests in lines.items()} for file, lines in ran.items()},
    )


def fingerprint(root: Path, killer: str) -> str:
    """Return a digest of all that the outcome of a file of tests depends on, without any change."""
    digest = hashlib.sha256()
    files = [path for name in ("theorylab", "proofs_checks") for path in (root / name).rglob("*")]
    files += [path for path in (root / "tests").glob("*.py") if not path.name.startswith("test_")]
    files += [root / "setup.cfg", root / "tools" / "mutant_watch.py", root / killer]
    for path in sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
