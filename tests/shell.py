"""Commands as a shell gives them: in this process, or in one of their own."""

import os
import subprocess
import sys
import time

from typer.testing import CliRunner

from theorylab import cli

PATIENCE = 600
"""Seconds after which a test takes what it waits for as hung: no measure of speed, which a busy machine has little of."""


def until(happens):
    """What `happens()` returns as soon as that is true."""
    end = time.monotonic() + PATIENCE
    while not (value := happens()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)
    return value


def run(*words):
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def process(*words, cwd=None, **environment):
    clean = {
        key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "NO_COLOR", "COLUMNS")
    }
    return subprocess.run(
        [sys.executable, "-m", "theorylab", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        cwd=cwd,
        env={**clean, **environment},
    )
