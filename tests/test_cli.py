"""The command line: exit statuses, one-line errors, nothing half-written."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
from shell import PATIENCE, process, run

import proofs_checks
from proofs_checks.results import Check, ClaimResult, Margin, NegativeControl, Verdict, Verification
from theorylab import networks
from theorylab.commands import _output as output

DECLARED = {"formula": ("a = b",), "margins": (Margin("cosine", low=0.9, why="why"),), "n_checks": 2}
DECLARED |= {"authors": "They would agree.", "trained": ()}
CLAIMS = (
    types.SimpleNamespace(
        id="one", section="Sec. 1", statement="A [statement].", exact_law="a = b", **DECLARED
    ),
    types.SimpleNamespace(id="two", section="Eq. 2", statement="Another.", exact_law="c = d", **DECLARED),
)


def result(passed=True, **changes):
    check = Check("c", "moment", 1.0, 1.0, 0.1, 0.5, 100, 0.4, passed, NegativeControl("wrong", 1e-9, True))
    claim = ClaimResult("one", "Sec. 1", "s", Verdict.HOLDS, "a = b", "p", "f", (check,), "c")
    fields = {"version": "0.1", "seed": 3, "budget": "quick", "image": "cat", **changes}
    return Verification(**fields, false_alarm_probability=1e-4, correction="Bonferroni", claims=(claim,))


@pytest.fixture
def laboratory(monkeypatch):
    """A stand-in for the registry; `calls` keeps what it was asked, `answer` is what it does."""
    fake = types.ModuleType("proofs_checks")
    fake.__path__ = proofs_checks.__path__
    fake.calls, fake.answer = [], lambda: result()
    fake.registry = lambda group="paper": CLAIMS

    def verify(claims=(), **arguments):
        fake.calls.append({"claims": tuple(claims), **arguments})
        return fake.answer()

    fake.verify = verify
    monkeypatch.setitem(sys.modules, "proofs_checks", fake)
    monkeypatch.setenv("COLUMNS", "80")
    return fake


def raising(error):
    def answer():
        raise error

    return answer


def assert_refused(done, words):
    assert done.exit_code == 2
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert words in done.stderr


def test_claims(laboratory):
    done = run("claims")
    assert done.exit_code == 0
    for word in ("one", "Sec. 1", "A [statement].", "two"):
        assert word in done.stdout
    known = json.loads(run("claims", "--json").stdout)
    assert [claim["id"] for claim in known] == ["one", "two"]
    assert known[0] == {
        "id": "one",
        "section": "Sec. 1",
        "statement": "A [statement].",
        "exact_law": "a = b",
        "formula": ["a = b"],
        "margins": [{"quantity": "cosine", "low": 0.9, "high": None, "why": "why", "setting": ""}],
        "authors": "They would agree.",
        "trained": [],
        "checks": 2,
    }
    assert run("claims", "--quiet").stdout == "one\ntwo\n"


def test_the_registry_is_listed_as_json():
    known = {claim["id"]: claim for claim in json.loads(run("claims", "--json").stdout)}
    assert list(known) == [claim.id for claim in proofs_checks.registry()]
    assert known["figure7"]["trained"] == ["convolutions", "dense"]
    assert known["lemma1"]["trained"] == []
    assert all(claim["exact_law"] and claim["checks"] >= 0 for claim in known.values())


def test_verify_passes_on_what_it_was_given(laboratory):
    words = [
        "one",
        "two",
        "--image",
        "coffee",
        "--budget",
        "full",
        "--seed",
        5,
        "--jobs",
        2,
        "--law-scale",
        1.03,
        "--weights",
        "vgg16.pth",
    ]
    assert run("verify", *words).exit_code == 0
    (call,) = laboratory.calls
    expected = {"claims": ("one", "two"), "image": "coffee", "budget": "full", "seed": 5, "jobs": 2}
    expected |= {"model": None, "size": None, "classes": (), "pictures": None}
    expected |= {"group": "paper", "scheduler": None, "warn": output.warn}
    # What is not a terminal is shown no progress.
    assert call == {**expected, "law_scale": 1.03, "weights": "vgg16.pth", "progress": None}


@pytest.mark.parametrize("group", ["beyond", "literature"])
def test_verify_and_claims_take_one_group(laboratory, group):
    assert run("verify", f"--{group}").exit_code == 0
    assert laboratory.calls[0]["group"] == group
    for command in ("verify", "claims"):
        done = run(command, "--beyond", "--literature")
        assert done.exit_code == 2
        assert "one group at a time" in done.stderr


def test_verify_defaults(laboratory):
    assert run("verify", "--quiet").exit_code == 0
    expected = {
        "image": None,
        "budget": "standard",
        "seed": 0,
        "jobs": None,
        "law_scale": 1.0,
        "weights": None,
        "model": None,
        "size": None,
        "classes": (),
        "pictures": None,
        "group": "paper",
        "scheduler": None,
        "progress": None,
        "warn": output.warn,
    }
    assert laboratory.calls == [{"claims": (), **expected}]


@pytest.mark.parametrize(("passed", "status"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("option", [None, "--json", "--quiet", "--details"])
def test_exit_status_says_whether_all_passed(laboratory, passed, status, option):
    laboratory.answer = lambda: result(passed)
    done = run("verify", *([option] if option else []))
    assert done.exit_code == status
    if option == "--json":
        assert json.loads(done.stdout)["passed"] is passed
    elif passed and option == "--quiet":
        assert done.stdout == ""
    else:
        assert ("FAILED" in done.stdout) is not passed


def test_out_is_written_also_after_a_failed_check(laboratory, tmp_path):
    laboratory.answer = lambda: result(False)
    done = run("verify", "--out", tmp_path / "run")
    assert done.exit_code == 1
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "results.json",
        "report.html",
        "explore.html",
    }
    assert "report.html" in done.stdout


def test_the_report_names_the_command(laboratory, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "verify", "--seed", "3", "--out", "a b"])
    run("verify", "--seed", 3, "--out", tmp_path)
    assert "theorylab verify --seed 3 --out &#39;a b&#39;" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("unknown claim 'three':\n choose one of one, two"), "unknown claim 'three': choose one"),
        (TypeError("seed: expected an integer"), "seed: expected an integer"),
        (OSError(2, "No such file or directory", "/x"), "/x: No such file or directory"),
        (MemoryError("no"), "too little memory: no"),
        (KeyError("bug"), None),
    ],
)
def test_errors_of_the_library(laboratory, error, words):
    laboratory.answer = raising(error)
    done = run("verify", "--json")
    if words is None:
        assert done.exception is error
    else:
        assert_refused(done, words)


def test_bad_input_is_refused_before_the_run(laboratory, tmp_path):
    (tmp_path / "file").write_text("mine")
    for words, message in (
        (["--out", tmp_path / "file"], "is a file, not a folder"),
        (["--out", tmp_path / "file" / "run"], "is a file, not a folder"),
        (["--image", tmp_path / "missing.png"], "no such file"),
        (["--image", tmp_path], "is a folder"),
        (["--image", tmp_path / "file"], "not a picture"),
        (["--law-scale", "nan"], "--law-scale: expected a finite number"),
        (["--law-scale", "0"], "--law-scale"),
    ):
        assert_refused(run("verify", *words), message)
    assert laboratory.calls == []
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [["--budget", "huge"], ["--seed", "-1"], ["--seed", "x"], ["--jobs", "0"], ["--nonsense"]],
)
def test_usage_errors(laboratory, words):
    done = run("verify", *words)
    assert done.exit_code == 2
    assert done.stderr
    assert laboratory.calls == []


def test_ctrl_c(laboratory):
    laboratory.answer = raising(KeyboardInterrupt())
    done = run("verify")
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
    assert done.stdout == ""


def test_ctrl_c_in_a_real_process(tmp_path):
    (tmp_path / "proofs_checks.py").write_text(
        f"import time\n__path__ = {list(proofs_checks.__path__)}\n"
        "def verify(*a, **k):\n    print('running', flush=True)\n    time.sleep(600)\n"
    )
    # A parent that ignores Ctrl-C (a job in the background) hands that on: here it must arrive.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from theorylab.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "verify", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert complaint == "theorylab: interrupted\n"
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py" and path.name[0] != "_"] == []


@pytest.mark.parametrize("part", np.random.default_rng(0).uniform(0, 1, 6).round(3))
def test_ctrl_c_at_any_time_is_told_in_a_line(part, tmp_path):
    """In imports, while worker processes start, and later: to the whole group, as a terminal does it."""
    program = "from theorylab import _interrupt; _interrupt.ends_all(); print('begun', flush=True); import theorylab.cli"
    words = ["converge", "--out", tmp_path / "study", "--size", 64, "--replicates", 100000, "--jobs", 2]
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}; theorylab.cli.main()", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests themselves run in a shell's background, SIGINT is ignored and children would inherit that.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout.readline() == "begun\n"
        time.sleep(5 * part**2)
        os.killpg(process.pid, signal.SIGINT)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    *before, last = complaint.splitlines()
    assert last == "theorylab: interrupted"
    assert all("finished blocks are kept" in line for line in before), complaint
    assert len(before) <= 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("visualize", "no file"), 2),
        (("visualize", "--no-option"), 2),
        (("claims", "--json"), 3),
        (("--version",), 3),
        (("predict", "cat", "--size", "16", "--filters", "4", "--json"), 3),
    ],
)
def test_a_full_stderr_leaves_the_status_as_it_is(words, status, tmp_path):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "theorylab", *words]
        done = subprocess.run(command, stdout=full, stderr=full, cwd=tmp_path, timeout=PATIENCE, check=False)
    assert done.returncode == status


@pytest.mark.parametrize("rule", ["guided", "all"])
def test_predict(tmp_path, rule):
    file = tmp_path / "p.png"
    done = run("predict", "cat", "--size", 24, "--kernel", 5, "--filters", 8, "--rule", rule, "--out", file)
    assert done.exit_code == 0, done.output
    assert file.read_bytes().startswith(b"\x89PNG")
    assert "guided backpropagation" in done.stdout
    assert ("mean is zero" in done.stdout) is (rule == "all")


def test_predict_names_its_file_after_the_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("predict", "cat", "--size", 16).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cat-prediction.png"]


def test_visualize(tmp_path):
    file = tmp_path / "v.pdf"
    for words in (
        ["--filters", 8],
        ["--network", "fcn", "--filters", 16, "--target", 3, "--rule", "saliency"],
    ):
        done = run("visualize", "cat", "--size", 16, *words, "--out", file)
        assert done.exit_code == 0, done.output
        assert file.read_bytes().startswith(b"%PDF")
        assert "saliency" in done.stdout


def test_visualize_with_trained_weights(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    net = networks.resnet50(input_shape=(3, 32, 32), n_logits=3, seed=4)
    np.savez(tmp_path / "trained.npz", **net.parameters)
    words = ["visualize", "cat", "--network", "resnet50", "--size", 32, "--rule", "guided", "--target", 1]
    out = ["--out", tmp_path / "map.png"]
    done = run(*words, "--weights", tmp_path / "trained.npz", "--logits", 3, *out)
    assert done.exit_code == 0, done.output
    for extra, message in (
        (
            ["--weights", tmp_path / "trained.npz"],
            "fc.weight: expected shape (1000, 2048), got (3, 2048)",
        ),
        (["--weights", tmp_path / "none.npz"], "no such file"),
        (["--weights", "torchvision"], "torchvision is not installed; pip install torchvision"),
        (
            ["--weights", "hed", "--network", "cnn"],
            "weights: there are trained ones for 'vgg16' and 'resnet50'",
        ),
    ):
        assert_refused(run(*words, *extra, *out), message)


@pytest.mark.parametrize("command", ["predict", "visualize"])
def test_pictures_bad_input(tmp_path, command):
    for words, message in (
        (["missing.png"], "no such file"),
        (["cat", "--size", 5], "kernel: 7 exceeds"),
        (["cat", "--out", tmp_path / "map.bmp"], "must end in .png, .pdf, .svg"),
        (["cat", "--out", tmp_path / "no" / "map.png"], "no folder"),
        (["cat", "--out", tmp_path / "map.png" / ".png"], "must end in"),
    ):
        out = [] if "--out" in words else ["--out", tmp_path / "map.png"]
        assert_refused(run(command, *words, *out), message)
    assert list(tmp_path.iterdir()) == []


def test_predict_refuses_what_vgg16_has_not(tmp_path):
    out = ["--out", tmp_path / "map.png"]
    for words, message in (
        (["--network", "vgg16", "--pool", 2], "--pool: vgg16 has its own layers"),
        (["--network", "vgg16", "--filters", 8], "--filters: vgg16 has its own layers"),
        (
            ["--network", "vgg16", "--size", 96],
            "plane of 3×3: take a picture that makes it 7×7, or",
        ),
    ):
        assert_refused(run("predict", "cat", *words, *out), message)
    assert run("predict", "cat", "--network", "fcn", *out).exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_predict_vgg16(tmp_path):
    file = tmp_path / "map.png"
    done = run("predict", "cat", "--network", "vgg16", "--out", file)
    assert done.exit_code == 0, done.output
    assert file.stat().st_size > 10_000
    assert "guided backpropagation: the law is a limit of wide layers, measured as alignments" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("target", ["best", "10", "-1"])
def test_unknown_target(tmp_path, target):
    words = ["--size", 16, "--filters", 4, "--target", target, "--out", tmp_path / "map.png"]
    done = run("visualize", "cat", *words)
    assert_refused(done, "target")
    assert list(tmp_path.iterdir()) == []


def test_help_of_a_real_process_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['theorylab', '--help']\nfrom theorylab.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'scipy', 'numba', 'matplotlib', 'skimage', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    done = process("--help")
    assert done.returncode == 0
    for verb in ("claims", "verify", "visualize", "predict", "--version"):
        assert verb in done.stdout


def test_version_and_bad_input_of_a_real_process():
    import theorylab

    assert process("--version").stdout == f"theorylab {theorylab.__version__}\n"
    done = process("predict", "no such file.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "theorylab: error: image 'no such file.png': no such file\n"
    assert process("dance").returncode == 2


def test_numbers_of_the_library_are_those_shown(tmp_path):
    from theorylab import PatchGrid, exhibits, measures
    from theorylab.model import models

    x = np.random.default_rng(0).normal(size=(3, 12, 12))
    shown = exhibits.predicted(models.three_layer(PatchGrid(x.shape, 3), 32), x)
    assert [len(row) for row in shown.rows] == [len(shown.header)]
    _, to_input, to_mean = shown.rows[0]
    assert 0 < to_input < to_mean < 1
    assert measures.cosine(np.zeros(3), np.ones(3)) != measures.cosine(np.zeros(3), np.ones(3))  # NaN
