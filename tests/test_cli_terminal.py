"""Help, shell completion, and what differs between a terminal and a pipe."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import typer
from rich.cells import cell_len
from shell import PATIENCE, process, run

import proofs_checks
from theorylab import cli, progress
from theorylab.model.rules import PAPER

COMMANDS = ("claims", "verify", "visualize", "predict", "figure", "converge", "audit", "check", "explore")
PREDICT = ["predict", "cat", "--size", "16", "--filters", "4"]
FAKE = (
    f"__path__ = {list(proofs_checks.__path__)}\n"
    + """
from proofs_checks.results import Verification
def verify(*a, progress=None, **k):
    if progress is not None:
        import time
        for done in range(3):
            progress("a study", done, 4)
            time.sleep(0.15)
    return Verification("0.1", 0, "quick", "cat", 0.01, "Bonferroni", ())
"""
)


def on_a_terminal(words, cwd, **environment):
    """What a process writes to stdout and to stderr, each a terminal of its own."""
    clean = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CI")}
    pairs = [pty.openpty() for _ in range(2)]
    with subprocess.Popen(
        [sys.executable, "-m", "theorylab", *words],
        stdout=pairs[0][1],
        stderr=pairs[1][1],
        cwd=cwd,
        env={**clean, "TERM": "xterm", "COLUMNS": "80", **environment},
    ) as child:
        for _, end in pairs:
            os.close(end)
        # Both at a time: a terminal that nobody reads stops the one who writes.
        with ThreadPoolExecutor() as pool:
            written = list(pool.map(drained, [end for end, _ in pairs]))
        assert child.wait(timeout=PATIENCE) == 0
    return written


def drained(end):
    parts = []
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while part := os.read(end, 4096):
            parts.append(part)
    os.close(end)
    return b"".join(parts).decode()


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    words = run(command, "--help").stdout
    assert "Examples:\n" in words
    assert f"theorylab {command}" in words
    assert "--quiet" in words
    assert "--json" in words
    assert max(map(len, words.splitlines())) <= 80


def test_the_main_help_says_how_it_ends():
    words = run("--help").stdout
    for status in ("0    every check passed", "1    a check failed", "2    bad input", "130  interrupted"):
        assert status in words
    assert "…" not in words
    assert "..." not in words.replace("[ARGS]...", "")


def examples():
    for module in (getattr(cli, name) for name in COMMANDS):
        for words, what in module.EXAMPLES:
            assert what
            yield re.split(r" [|>] ", words)[0].replace("$(theorylab claims --quiet", "theorem1")


@pytest.mark.parametrize("words", list(examples()))
def test_every_example_is_understood(words):
    """Parsed, not run: an option that does not exist would be refused."""
    program, command, *rest = shlex.split(words)
    assert program == "theorylab"
    group = typer.main.get_command(cli.app)
    assert group.commands[command].make_context(command, rest).params
    with pytest.raises(Exception, match="No such option"):
        group.commands[command].make_context(command, [*rest, "--no-such-option"])


# Pipes and terminals


def test_no_escape_codes_in_a_pipe(tmp_path):
    for words in (["claims"], [*PREDICT, "--out", str(tmp_path / "map.png")]):
        done = process(*words, TERM="xterm-256color")
        assert done.returncode == 0
        assert "\x1b" not in done.stdout + done.stderr
        assert done.stderr == ""


def test_colours_on_a_terminal_but_not_under_no_color(tmp_path):
    words = ["verify", "--budget", "quick", "lemma1"]
    shown, _ = on_a_terminal(words, tmp_path)
    assert "\x1b[1m" in shown
    plain, _ = on_a_terminal(words, tmp_path, NO_COLOR="1")
    assert "\x1b" not in plain
    assert "lemma1" in plain


def test_a_terminal_breaks_no_word(tmp_path):
    (tmp_path / "mymaps.py").write_text("copy = lambda x, target: x")
    words = ["audit", "cat", "--attribute", "mymaps:copy", "--size", "16", "--targets", "2"]
    shown, _ = on_a_terminal(words, tmp_path, NO_COLOR="1")
    sentence = process(*words, "--quiet", cwd=tmp_path).stdout.strip()
    assert len(sentence) > 80
    lines = [line.rstrip() for line in shown.splitlines()]
    assert max(map(len, lines)) <= 80
    assert set(sentence.split()) <= {word for line in lines for word in line.split()}
    numbers, _ = on_a_terminal([*words, "--json"], tmp_path)
    assert json.loads(numbers)["sentence"] == sentence


def test_progress_is_for_terminals(tmp_path):
    (tmp_path / "proofs_checks.py").write_text(FAKE)
    piped = process("verify", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (piped.returncode, piped.stderr) == (0, "")
    for words, expected in ((["verify"], True), (["verify", "--json"], True), (["verify", "--quiet"], False)):
        stdout, stderr = on_a_terminal(words, tmp_path, PYTHONPATH=str(tmp_path))
        assert ("a study" in stderr) is expected
        assert (re.search(r"left.*\d:\d\d:\d\d", stderr) is not None) is expected
        assert "a study" not in stdout
        if "--json" in words:
            assert json.loads(stdout)["passed"] is True


def test_progress_in_a_terminal_is_a_bar(monkeypatch, capsys):
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    with progress.live() as report:
        report("a [study]", 0, 2)
        report("no end in sight", 0, 0)
        report("a [study]", 1, 2)
        time.sleep(0.15)
    captured = capsys.readouterr()
    assert "a [study]" in captured.err
    assert "50%" in captured.err
    assert "1/2" in captured.err
    assert "no end in sight" in captured.err
    assert captured.out == ""


def test_a_finished_bar_makes_room_for_the_next(monkeypatch, capsys):
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    with progress.live() as report:
        report("claims", 0, 9)
        for number in range(30):
            report(f"study {number}", 1, 1)
        time.sleep(0.15)
    last = capsys.readouterr().err.rpartition("claims")[2]
    assert re.findall(r"study \d+", last) == ["study 29"]


def test_a_long_label_does_not_hide_the_numbers(monkeypatch, capsys):
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    with progress.live() as report:
        report("a study of " * 9, 12_345, 67_890)
        time.sleep(0.15)
    lines = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "a study of" in lines
    assert "12345/67890" in lines
    assert re.search(r"18% \d:\d\d:\d\d left .:..:..", lines)


def test_the_time_left_of_steps_that_take_minutes_and_of_a_run_that_goes_on(monkeypatch, capsys):
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    now = [0.0]
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    with progress.live() as report:
        for done in (100, 101, 102):  # the first hundred by an earlier run
            report("pictures", done, 104)
            now[0] += 90
        time.sleep(0.15)
    assert "102/104" in (said := capsys.readouterr().err)
    assert "0:03:00" in said


def test_visualize_says_how_many_logits_are_read(tmp_path):
    words = ["visualize", "cat", "--size", "32", "--filters", "4", "--logits", "50"]
    _, stderr = on_a_terminal(words, tmp_path)
    assert re.search(r"logits, for the target.*50/50.*left", stderr)


@pytest.mark.parametrize("quiet", [True, False])
def test_there_is_no_progress_in_a_pipe_or_on_request(quiet, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with progress.live(quiet=quiet) as report:
        assert report is None


def test_a_pipe_breaks_no_id_and_a_narrow_terminal_is_obeyed():
    done = process("claims")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("proposition1-deconvnet ") for line in lines)
    assert max(map(len, lines)) > 100
    narrow = process("claims", COLUMNS="80")
    assert max(map(cell_len, narrow.stdout.splitlines())) <= 80
    for nothing in ("0", "", "-1", "wide"):
        assert process("claims", COLUMNS=nothing, LINES=nothing).stdout == done.stdout


def test_the_width_is_that_of_the_terminal_on_stdout(tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    clean = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "FORCE_COLOR")}
    words = [sys.executable, "-m", "theorylab", "claims"]
    with (tmp_path / "stderr").open("wb") as stderr:
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=theirs, stderr=stderr, env={**clean, "NO_COLOR": "1"}
        )
    os.close(theirs)
    lines = drained(ours).splitlines()
    assert child.wait(timeout=PATIENCE) == 0
    assert max(map(cell_len, lines)) == 100


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("theorylab ", COMMANDS),
        ("theorylab verify --b", ["--budget"]),
        ("theorylab predict cat --network v", ["vgg16"]),
        ("theorylab verify lemma1 theorem", ["theorem1", "theorem2-saliency", "theorem2-deconvnet"]),
        ("theorylab figure e", ["edges"]),
        ("theorylab visualize cat --rule ", [*(rule.value for rule in PAPER), "all"]),
        ("theorylab audit --rule g", ["guided"]),
        ("theorylab audit --method g", ["grad-cam", "guided-grad-cam"]),
    ],
)
def test_the_shell_completes(words, offered):
    complete = {
        "_THEORYLAB_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    code = "from theorylab.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **complete},
    )
    assert set(done.stdout.split()) >= set(offered), done.stderr


@pytest.mark.parametrize("command", ["visualize cat", "predict cat", "converge", "audit"])
def test_a_rule_is_one_that_is_registered(command):
    done = run(*command.split(), "--rule", "plain")
    assert done.exit_code == 2
    assert (
        "unknown rule 'plain': choose one of " + ", ".join(repr(rule.value) for rule in PAPER) in done.stderr
    )
    assert ("'all'" in done.stderr) is (command != "audit")
    help_ = " ".join(run(command.split()[0], "--help").stdout.split())
    assert all(rule.value in help_ for rule in PAPER)


def test_the_shell_is_taught():
    done = process(
        "--show-completion", "bash", SHELL="/bin/bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert done.returncode == 0, done.stderr
    assert "_THEORYLAB_COMPLETE" in done.stdout
