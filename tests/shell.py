"""Commands as a shell gives them: in this process, or in one of their own."""

import os
import subprocess
import sys

from typer.testing import CliRunner

from theorylab import cli


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
        timeout=120,
        cwd=cwd,
        env={**clean, **environment},
    )
