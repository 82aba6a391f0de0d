"""A pytest plugin that runs named tests in a given order and writes down what failed, how long each took, and what it ran.

It runs inside a copy of the source tree, in a process of its own; three variables of the environment say what is wanted:
``MUTANT_REPORT``, where to write; ``MUTANT_TESTS``, a JSON list of tests in their order; and ``MUTANT_TRACE``, a JSON
list of the folders of which the lines that each test runs are wanted too.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

_seconds: dict[str, float] = {}
_failures: list[dict[str, str]] = []
_broken: list[str] = []
_trace: list[coverage.Coverage] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the named tests, in the order of their names."""
    if "MUTANT_TESTS" in os.environ:
        wanted = json.loads(Path(os.environ["MUTANT_TESTS"]).read_text(encoding="utf-8"))
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[name] for name in wanted if name in by_name]


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what cannot even be collected."""
    if report.failed:
        _broken.append(f"{report.nodeid}: {report.longreprtext[-2000:]}")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Check that the copy is what is tested, and start to trace."""
    import theorylab

    root = session.config.rootpath
    if not Path(theorylab.__file__).is_relative_to(root):
        _broken.append(f"theorylab comes from {theorylab.__file__}, not from {root}")
    if "MUTANT_TRACE" in os.environ:
        traced = [f"{root / folder}/*" for folder in json.loads(os.environ["MUTANT_TRACE"])]
        _trace.append(coverage.Coverage(data_file=None, config_file=False, include=traced))
        _trace[0].start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Give the lines that are run to this test."""
    if _trace:
        _trace[0].switch_context(item.nodeid)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note the time, and the kind of a failure."""
    _seconds[item.nodeid] = _seconds.get(item.nodeid, 0.0) + call.duration
    report: Any = yield
    if report.failed and call.excinfo is not None:
        _failures.append(
            {"test": item.nodeid, "error": call.excinfo.typename, "text": report.longreprtext[-2000:]}
        )
    return report  # type: ignore[no-any-return]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report."""
    ran: dict[str, dict[str, list[str]]] = {}
    if _trace:
        _trace[0].stop()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nothing was traced
            data = _trace[0].get_data()
        for file in data.measured_files():
            lines = data.contexts_by_lineno(file)
            name = Path(file).relative_to(session.config.rootpath).as_posix()
            ran[name] = {str(line): [test for test in tests if test] for line, tests in lines.items()}
    report = {"seconds": _seconds, "failures": _failures, "broken": _broken, "ran": ran}
    Path(os.environ["MUTANT_REPORT"]).write_text(json.dumps(report), encoding="utf-8")
