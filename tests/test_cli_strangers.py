"""What a shell hands over: pipes of any encoding, names of any bytes, a tilde, places that cannot be written, slips."""

import ast
import codecs
import contextlib
import encodings.aliases
import errno
import io
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from shell import PATIENCE, process, run
from strategies import EVERY_RULE, seeds

from proofs_checks import _selected
from theorylab import _files, _json, _validation, auditing, cli, exhibits, figures, images, progress
from theorylab.commands import _output as output
from theorylab.model.rules import Rule
from theorylab.montecarlo.checkpoints import CheckpointFolder

SMALL = ["--size", "16", "--filters", "4"]
any_text = st.text(st.characters(codec=None) | st.sampled_from("−–✓✗±×Σ≥é\xa0\udc80\udce9\udcff漢"))


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder, and a home beside it."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)).save("a.png")
    Path("mymaps.py").write_text("def copy(x, t):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path / "work")
    return tmp_path


# Encodings


def text_encodings():
    for name in sorted(set(encodings.aliases.aliases.values())):
        with contextlib.suppress(LookupError, UnicodeError, ValueError):
            info = codecs.lookup(name)
            if info._is_text_encoding and "a?\\ud".encode(name).decode(name) == "a?\\ud":
                yield name


@given(any_text, st.sampled_from([*text_encodings()]))
def test_any_text_goes_into_any_encoding(text, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(io.StringIO()):
        output.accept_any_text()
        output.line(text)
    written = stream.buffer.getvalue().decode(encoding)
    assert written.endswith("\n")
    for sign, plain in {"−": "-", "é": "?", "\udce9": "\\udce9"}.items():
        assert (sign in written) or (text.count(sign) <= written.count(plain))


@given(st.dictionaries(any_text, any_text))
def test_json_is_ascii_and_keeps_every_name(content):
    text = _json.text(content)
    assert text.isascii()
    assert json.loads(text) == content


@given(any_text)
def test_files_of_text_hold_any_name(text):
    with tempfile.TemporaryDirectory() as folder:
        path = _files.write_atomically(f"{folder}/a.html", text)
        assert path.read_bytes().decode() == text.encode(errors="backslashreplace").decode()


C_LOCALE = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
DRAWN = random.Random(17)
NAMES = [bytes(DRAWN.choice(b"abc \xe9\xff\x80\xc3\xa9$[]") for _ in range(6)) for _ in range(5)]


@pytest.mark.parametrize(
    ("environment", "name"),
    list(
        zip(
            [C_LOCALE, *({"PYTHONIOENCODING": name} for name in ("ascii", "cp1252", "gbk", "utf-16"))],
            NAMES,
            strict=True,
        )
    ),
)
def test_a_process_ends_as_if_in_utf_8(here, environment, name):
    os.rename("a.png", name + b".png")
    command = [sys.executable, "-m", "theorylab", "visualize", name + b".png", *SMALL]
    for words in (["--json"],) if environment is C_LOCALE else ([],):
        done = subprocess.run(
            [*command, *words],
            capture_output=True,
            check=False,
            timeout=PATIENCE,
            env={**os.environ, **environment},
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert os.path.exists(name + b"-maps.png")
    if words:
        assert os.fsencode(json.loads(done.stdout)["files"][0]) == name + b"-maps.png"
    failed = subprocess.run(
        [*command[:4], name + b".gif"], capture_output=True, check=False, env={**os.environ, **environment}
    )
    assert failed.returncode == 2
    assert failed.stderr.count(b"no such file" if "utf-16" not in str(environment) else b"\n") == 1


# The home folder


@given(st.text(st.characters(exclude_characters="/\0\ud800", codec="utf-8"), min_size=1))
def test_a_tilde_is_the_home_folder_and_nothing_else_is(name):
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        assert _files.place(f"~/{name}") == f"{home}/{name}"
        assert _files.place(f"./{name}") in (f"./{name}", os.path.abspath(name))
        for path in ("~", f"./~/{name}", f"a/~/{name}"):
            again = _files.place(Path(_files.place(path)))  # the home once, never in two steps
            assert again == (home if path == "~" else str(Path(_files.place(path))))
        assert not os.path.exists("~")
        patch.setattr(os.path, "expanduser", lambda path: path)
        with pytest.raises(ValueError, match=r"(?s)~/.*: there is no home folder here"):
            _files.place(f"~/{name}")


@pytest.mark.parametrize("out", ["~/new", "~"])
def test_every_command_writes_into_the_home_folder(here, out):
    Path("a.png").rename(here / "home" / "a.png")
    file = f"{out}/map.png" if out == "~" else f"{out}.png"
    audit = ["audit", "~/a.png", "--attribute", "mymaps:copy", "--targets", 2, "--no-randomize"]
    for words in (
        ["visualize", "~/a.png", *SMALL, f"--out={out}/../x.png" if out == "~" else f"--out={file}"],
        ["predict", "~/a.png", *SMALL, f"--out={file}"],
        [*audit, "--size", 16, f"--out={out}"],
        ["figure", "4", "--image=~/a.png", "--size", 16, f"--out={out}"],
        [
            "converge",
            "--image=~/a.png",
            "--size=9",
            "--filters=4",
            "--replicates=2",
            "--jobs=1",
            f"--out={out}/s",
        ],
    ):
        done = run(*words)
        assert done.exit_code == 0, done.output
    assert sorted(os.listdir()) == ["__pycache__", "mymaps.py"] or sorted(os.listdir()) == ["mymaps.py"]
    written = set(tree(here / "home" / ("" if out == "~" else "new")))
    assert {"audit.json", "figure-4.png", "s/results.json"} <= written


def test_python_writes_and_reads_in_the_home_folder(here):
    os.rename("a.png", here / "home" / "a.png")
    assert images.in_folder("~") == [str(here / "home" / "a.png")]
    assert images.load("~/a.png", 4).shape == (3, 4, 4)
    report = auditing.audit(lambda x, t: x, [images.load("~/a.png", 16)], [0, 1])
    assert report.save("~/r")[0] == here / "home" / "r" / "audit.png"
    with CheckpointFolder("~/study", {}):
        assert (here / "home" / "study" / "study.json").exists()
    assert "~" not in os.listdir()


# Places


@given(
    st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3),
    st.sets(st.text("xy", min_size=1)),
)
def test_a_place_that_is_tried_is_left_as_it_was(parts, names):
    with tempfile.TemporaryDirectory() as top:
        os.makedirs(f"{top}/a/b")
        Path(top, "a", "c").write_text("mine")
        before = tree(top)
        folder = Path(top, *parts)
        try:
            _files.check_folder(folder, [f"{name}/f" for name in names])
        except OSError:
            assert "a/c" in str(folder)
        else:
            _files.write_together(folder, {f"{name}/f": "" for name in names})  # what is promised holds
            return
        assert tree(top) == before


@pytest.mark.parametrize(
    "bad",
    [
        "mymaps.py/x",
        f"{'n' * 300}",
        f"new/{'n' * 300}/y",
        "/proc/x" if os.path.exists("/proc/1") else "a.png/x",
    ],
)
def test_a_place_is_tried_before_the_work(here, monkeypatch, bad):
    def worked(*_, **__):
        pytest.fail("the work was begun")

    for module, name in (
        (exhibits, "visualized"),
        (exhibits, "predicted"),
        (auditing, "audit"),
        (figures, "make"),
    ):
        monkeypatch.setattr(module, name, worked)
    monkeypatch.setattr("theorylab.convergence.study", worked)
    before = tree(".")
    for words in (
        ["visualize", "a.png", "--out", f"{bad}.png"],
        ["predict", "a.png", "--out", f"{bad}.png"],
        ["audit", "a.png", "--attribute", "mymaps:copy", "--out", bad],
        ["figure", "4", "--out", bad],
        ["converge", "--size", "16", "--out", bad],
    ):
        done = run(*words)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.output
    before.pop("__pycache__", None)
    assert tree(".") == before


@pytest.mark.parametrize("code", DRAWN.sample(["ENOSPC", "EIO", "EACCES", "ENOENT", "EROFS", "EDQUOT"], 3))
def test_finished_work_is_shown_and_is_no_bad_input(here, monkeypatch, code):
    number = getattr(errno, code)

    def failing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", failing)
    before = tree(".")
    audit = ["audit", "a.png", "--attribute", "mymaps:copy", "--targets", 2, "--no-randomize", "--size", 16]
    for words, shown in (
        (["visualize", "a.png", *SMALL], "DeconvNet"),
        (["predict", "a.png", *SMALL, "--json"], "expected_cosine_with_input"),
        (audit, "recovers the input"),
        ([*audit, "--json"], "recovery"),
    ):
        done = run(*words)
        assert done.exit_code == 3
        assert shown in done.stdout
        assert "Written" not in done.stdout
        assert done.stderr.strip().endswith(f"cannot be written: {os.strerror(number)}")
        assert done.stderr.count("\n") == 1
    assert {name for name in tree(".") if "__pycache__" not in name} == set(before)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_stdout_is_no_bad_input(here, unbuffered):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "theorylab", "visualize", "a.png", *SMALL]
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment
        )
    assert (done.returncode, done.stderr) == (3, "theorylab: error: the output: No space left on device\n")


def test_what_is_given_empty_is_not_what_is_left_out():
    """Of every option and argument that takes words."""
    tried = 0
    for name, command in typer.main.get_command(cli.app).commands.items():
        for param in command.params:
            kind = param.type_descriptor.annotation
            if kind not in (str, list[str]) or param.opts[0] == "--option":
                continue
            words = [""] if param.param_type_name == "argument" else [param.opts[0], ""]
            before = (
                {"figure": ["2"], "check": ["a:b"], "visualize": ["cat"], "predict": ["cat"]}.get(name, [])
                if words[0]
                else []
            )
            done = run(name, *before, *words)
            assert (done.exit_code, done.stdout) == (2, ""), (name, words, done.output)
            told = f"theorylab: error: {param.opts[0]}: is empty\n"
            choices = f"Error: Invalid value for '{param.opts[0]}': unknown"
            assert done.stderr == told or choices in done.stderr
            tried += 1
    assert tried > 45


@pytest.mark.parametrize(
    "command", ["claims", "claims --json", "predict a.png --size 16 --filters 2 --kernel 3 --out p.png"]
)
def test_a_reader_that_goes_is_output_that_is_not_written(here, command):
    """No word, and not the status of a check that failed."""
    with subprocess.Popen(
        [sys.executable, "-m", "theorylab", *command.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as done:
        done.stdout.close()
        assert done.stderr.read() == ""
    assert done.returncode == 3


def test_results_are_written_where_the_command_was_given(here):
    """Though the user's code goes elsewhere, when it is imported and when it is called, and prints to the last."""
    Path("elsewhere").mkdir()
    Path("restless.py").write_text(
        "import atexit, os, threading\nos.chdir('elsewhere')\natexit.register(print, 'late')\n"
        "def copy(x, t):\n    os.chdir('/')\n    return x\n"
    )
    done = process(
        *["audit", "a.png", "--attribute", "restless:copy", "--size", "16", "--json", "--out", "made"],
        cwd=Path.cwd(),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"]
    assert "late" in done.stderr
    assert sorted(path.name for path in Path("made").iterdir()) == ["audit.json", "audit.png"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(categories=["Cc", "Lu"], exclude_characters="\0"), min_size=1, max_size=6))
def test_a_terminal_is_shown_no_control_characters_of_names(here, name):
    for command in (
        ("visualize", "a.png", *SMALL, "--out", f"{name}.png"),
        ("explore", "a.png", "--out", f"{name}.html"),
    ):
        for _ in range(2):  # written, replaced
            done = run(*command)
            assert done.exit_code == 0, done.output
            (said,) = [line for line in done.stdout.split("\n") if re.match("(Written|Replaced): ", line)]
            assert ast.literal_eval(f'"{said}"').partition(": ")[2] == command[-1]
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.output)


def test_quiet_is_quiet_without_a_home_folder_that_can_be_written(here):
    command = ("predict", "a.png", "--size", "16", "--filters", "4")
    done = process(
        *command, "--quiet", HOME="/dev/null", XDG_CONFIG_HOME="", XDG_CACHE_HOME="", MPLCONFIGDIR=""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


SETTINGS = {
    "text.usetex": True,
    "font.size": 20,
    "axes.facecolor": "red",
    "mathtext.fontset": "cm",
    "image.interpolation": "bicubic",
}


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("visualize", "cat", "--size", 16, "--filters", 4, "--rule", "guided", "--out", "a.png"), "a.png"),
        (("figure", "3", "--size", 32, "--out", "."), "figure-3.png"),
        (("audit", "cat", "--size", 32, "--rule", "guided", "--targets", 2, "--out", "."), "audit.png"),
    ],
    ids=lambda value: value[0],
)
def test_settings_of_matplotlib_change_no_figure(here, monkeypatch, classifier, words, file):
    monkeypatch.chdir(here)
    assert run(*words).exit_code == 0
    usual = (here / file).read_bytes()
    with matplotlib.rc_context(SETTINGS):
        assert run(*words).exit_code == 0
        assert {name: matplotlib.rcParams[name] for name in SETTINGS} == SETTINGS
    assert (here / file).read_bytes() == usual


@pytest.mark.parametrize("backend", ["nonsense", "module://matplotlib_inline.backend_inline", ""])
def test_a_backend_of_matplotlib_that_is_not_there_does_not_matter(here, backend):
    (here / "matplotlibrc").write_text("text.usetex: True\n")
    words = ("visualize", "cat", "--size", 16, "--filters", 4, "--rule", "guided", "--out", "a.png")
    done = process(*words, cwd=here, MPLBACKEND=backend)
    assert done.returncode == 0, done.stderr
    assert (here / "a.png").exists()


def test_settings_of_matplotlib_stay_the_callers(here):
    (here / "matplotlibrc").write_text("text.usetex: True\n")
    program = """
import os, sys
import numpy as np
from theorylab import drawing
from theorylab.charts import CurveFigure, Line
curve = drawing.render(CurveFigure("c", "", "N", "y", (Line("a", np.arange(3), np.arange(3)),), ()), "svg")
import matplotlib
from proofs_checks.report import formulas
print(matplotlib.rcParams["text.usetex"], os.environ["MPLBACKEND"], matplotlib.get_backend(auto_select=False))
print(len(curve), len(formulas.svg(["x"], "x")))
"""

    def told(backend):
        environment = {**os.environ, "MPLBACKEND": backend}
        words = [sys.executable, "-c", program]
        return subprocess.run(
            words, capture_output=True, text=True, check=True, cwd=here, env=environment
        ).stdout

    assert told("svg").splitlines()[0] == "True svg svg"
    assert told("nonsense").splitlines()[0].startswith("True nonsense ")
    assert told("svg").splitlines()[1] == told("nonsense").splitlines()[1]


@pytest.mark.parametrize("end", ["/", "/."])
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "cat", "--size", 16, "--filters", 4, "--out", "new.png"),
        ("visualize", "cat", "--size", 16, "--filters", 4, "--out", "new.png"),
        ("explore", "--out", "new.html"),
        ("verify", "lemma1", "--budget", "quick", "--csv", "new.csv"),
    ],
    ids=lambda words: words[0],
)
def test_a_file_that_is_named_like_a_folder_is_refused(here, monkeypatch, words, end):
    monkeypatch.chdir(here)
    done = run(*words[:-1], words[-1] + end)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"theorylab: error: {words[-1]}{end}: is a folder, not a file\n"
    assert not list(here.glob("new*"))
    with pytest.raises(IsADirectoryError, match="is a folder, not a file"):
        _files.write_atomically(words[-1] + end, "text")


@pytest.mark.parametrize(("level", "status"), [("-O", 0), ("-OO", 2)])
def test_without_docstrings_one_line_says_what_is_wrong(level, status):
    command = [sys.executable, level, "-m", "theorylab", "claims"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == (status == 2)
    assert ("which scikit-image needs" in done.stderr) is (status == 2)


def test_what_is_replaced_is_said(here):
    assert "Written: a-maps.png" in run("visualize", "a.png", *SMALL).stdout
    assert "Replaced: a-maps.png" in run("visualize", "a.png", *SMALL, "--stride", 4).stdout


@pytest.mark.parametrize(
    ("sides", "fit", "words"),
    [
        ((12, 9), "squeeze", "9×12 pixels, squeezed, enlarged to 16×16"),
        ((90, 40), "crop", "40×90 pixels, cropped to 16×16"),
        ((2, 2), "squeeze", "2×2 pixels, resized, enlarged to 16×16"),
    ],
)
def test_what_is_done_to_a_picture_is_said(here, sides, fit, words):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*sides, 3), dtype=np.uint8)).save("b.png")
    for command in ("visualize", "predict"):
        done = run(command, "b.png", *SMALL, "--fit", fit)
        assert f"Input: {words}\n" in done.stdout
        found = json.loads(run(command, "b.png", *SMALL, "--fit", fit, "--json").stdout)
        assert (found["picture_size"], found["fit"]) == (list(sides), fit)


# Terminals


def test_bars_have_gone_before_a_line_is_printed(here, monkeypatch):
    shown = []

    @contextlib.contextmanager
    def live(quiet):
        shown.append("bars")
        yield None
        shown.append("gone")

    monkeypatch.setattr(progress, "live", live)
    monkeypatch.setattr(output, "line", lambda text, **_: shown.append("line"))
    monkeypatch.setattr(
        figures, "make", lambda name, _: figures.FinishedFigure(name, "c", Figure((1, 1)), {})
    )
    assert run("figure", "all", "--out", "f").exit_code == 0
    once = [what for what, _ in itertools.groupby(shown)]  # one line or several
    assert once == ["bars", "gone", "line"] * len(figures.NAMES)


def test_what_is_printed_beside_bars_goes_where_it_should(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # stderr counts as a terminal, stdout is none
    with progress.live() as report:
        report("a study", 0, 2)
        print("to the file")
    captured = capsys.readouterr()
    assert captured.out == "to the file\n"
    assert "a study" in captured.err


# Slips

LISTS = {
    "rule": EVERY_RULE,
    "figure": ("edges", "resnet"),
    "preset": images.PRESETS,
    "network": ("resnet50", "vgg16"),
    "claim": ("theorem1", "maxpool-deconvnet", "error-rate", "lemma1", "figure9-depth"),
    "picture": images.bundled(),
}


def slipped(name, seed):
    """One letter lost, doubled, or two exchanged; in any capitals."""
    rng = random.Random(seed)
    at, end = rng.randrange(len(name) - 1), len(name)
    word = rng.choice(
        (
            name[:at] + name[at + 1 : end],
            name[: at + 1] + name[at:end],
            name[:at] + name[at + 1] + name[at] + name[at + 2 :],
        )
    )
    return "".join(rng.choice((letter, letter.upper())) for letter in word)


@given(st.sampled_from([(kind, name) for kind, names in LISTS.items() for name in names]), seeds)
def test_a_slip_is_guessed_and_capitals_do_not_count(pair, seed):
    kind, name = pair
    assert _validation.choice(name.swapcase(), LISTS[kind], kind) == name
    word = slipped(name, seed)
    if word.casefold() in LISTS[kind]:
        return
    call = {
        "rule": Rule,
        "figure": figures.make,
        "preset": lambda word: images.load(size=4, preset=word),
        "network": lambda word: exhibits.NetworkChoice(word).build((1, 8, 8), 0),
        "claim": lambda word: _selected(word, LISTS["claim"]),
        "picture": images.load,
    }[kind]
    with pytest.raises(ValueError, match="did you mean") as refused:
        call(word)
    assert repr(word) in str(refused.value)
    if len(name) > 4:
        assert f"did you mean {name!r}" in str(refused.value)


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        ("visualize cat --network ressnet50", "did you mean 'resnet50'"),
        ("predict cat --network VGG61", "did you mean 'vgg16'"),
        ("visualize cat --preset author", "did you mean 'authors'"),
        ("visualize cat --rule deconvnt", "did you mean 'deconvnet'"),
        ("visualize cat --fit corp", "did you mean 'crop'"),
        ("verify --budget stanard", "did you mean 'standard'"),
        ("converge --over kernle", "did you mean 'kernel'"),
        ("figure egdes", "did you mean 'edges'"),
        ("audit --network traned", "did you mean 'trained'"),
        ("visualize cat --weights Torchvision --network vgg16", "did you mean 'torchvision'"),
        ("visualise cat", "visualize"),
        ("visualize cat --networks cnn", "--network"),
        ("figure 2 photo.jpg", "a picture is given by --image"),
        ("converge photo.jpg", "a picture is given by --image"),
        ("explore --image photo.jpg", "without it: theorylab explore PICTURE"),
        ("visualize --image=photo.jpg", "without it: theorylab visualize PICTURE"),
        ("predict --image photo.jpg", "without it: theorylab predict PICTURE"),
        ("audit --image photo.jpg", "without it: theorylab audit PICTURE"),
    ],
)
def test_a_slip_on_the_command_line(words, guess):
    done = run(*words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert guess in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("converge --filters 4,4", "--filters: expected different values"),
        ("converge --over kernel --filters 4,8", "--filters: expected one value"),
        ("visualize cat --filters 1000000000000000", "too little memory: Unable to allocate"),
        ("visualize cat --logits 1000000000000000", "too little memory: Unable to allocate"),
        ("converge --jobs 1 --filters 1000000000000000", "too little memory: Unable to allocate"),
        ("converge --jobs 2 --filters 1000000000000000", "too little memory: Unable to allocate"),
    ],
)
def test_what_cannot_be_is_one_line_in_the_words_of_the_shell(here, words, told):
    done = run(*words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"theorylab: error: {told}")
    assert done.stderr.count("\n") == 1


@given(st.sampled_from(["--size", "--filters", "--kernel", "--stride"]), st.integers(-9, 0) | st.just("many"))
def test_a_number_that_does_not_fit_is_repeated(option, value):
    for words in ([option, value], [f"{option}={value}"]):
        done = run("visualize", "cat", *words)
        assert done.exit_code == 2
        assert f"{value}" in done.stderr
        assert "Input should" not in done.stderr
        assert "Value error" not in done.stderr


def test_choices_in_capitals_are_the_same(here):
    words = ["visualize", "a.png", *SMALL, "--json"]
    plain = run(
        *words,
        "--rule",
        "guided",
        "--network",
        "cnn",
        "--preset",
        "paper",
        "--fit",
        "crop",
        "--target",
        "max",
    )
    loud = run(
        *words,
        "--rule",
        "Guided",
        "--network",
        "CNN",
        "--preset",
        "Paper",
        "--fit",
        "CROP",
        "--target",
        "MAX",
    )
    assert plain.exit_code == 0, plain.output
    said, said_loud = json.loads(plain.stdout), json.loads(loud.stdout)
    assert said.pop("run").keys() == said_loud.pop("run").keys()
    assert said_loud == said


IDLE = {
    "--kernel 3": (
        "visualize cat --network fcn",
        "visualize cat --network resnet50",
        "predict cat --network vgg16",
    ),
    "--stride 1": (
        "visualize cat --network fcn",
        "visualize cat --network vgg16",
        "predict cat --network vgg16",
    ),
    "--pool 2": ("visualize cat --network fcn", "predict cat --network vgg16"),
    "--rule guided": ("audit cat --attribute math:sin",),
    "--network trained": ("audit cat --attribute math:sin",),
    "--weights small": ("audit cat --attribute math:sin", "figure 4", "figure 6"),
    "--preset paper": ("audit cat",),
    "--crops 2": ("figure 4", "figure edges"),
    "--pictures .": ("figure 2", "figure resnet"),
    "--classes a,b": ("verify fgsm", "verify fgsm --weights small", "predict cat"),
    "--target max": ("predict cat",),
}


@given(st.sampled_from([(option, command) for option, commands in IDLE.items() for command in commands]))
def test_an_option_without_effect_is_refused(pair):
    option, command = pair
    done = run(*command.split(), *option.split(), *(["--size", "32"] if "fgsm" not in command else []))
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert option.split()[0].lstrip("-") in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("network", ["vgg16", "VGG16"])
@pytest.mark.parametrize("command", ["visualize", "predict"])
def test_a_picture_too_small_for_vgg16(command, network):
    done = run(command, "cat", "--network", network, "--size", "16")
    assert done.exit_code == 2
    assert "VGG-16 takes 32 × 32 pixels or more, got 16 × 16" in done.stderr


def test_a_precision_is_a_share():
    done = run("converge", "--size", "16", "--precision", "2")
    assert done.exit_code == 2
    assert "precision: a share of the estimate, expected below 1, got 2" in done.stderr


@pytest.mark.parametrize("command", ["visualize", "predict"])
def test_what_is_read_is_not_replaced(here, command):
    before = Path("a.png").read_bytes()
    Path("link.png").symlink_to("a.png")
    for read, out in (("a.png", "a.png"), ("a.png", "link.png"), ("link.png", "./a.png")):
        done = run(command, read, *SMALL, "--out", out)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "is what is read, and will not be replaced" in done.stderr
    assert Path("a.png").read_bytes() == before


def test_a_page_is_written_as_a_page_alone(here):
    before = Path("a.png").read_bytes()
    done = run("explore", "a.png", "--out", "a.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--out: expected a name that ends with .html, got 'a.png'" in done.stderr
    assert Path("a.png").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["predict", "--help"]])
def test_help_into_a_full_disk_is_one_line(words):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "theorylab", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
    assert done.returncode == 3
    assert done.stderr == "theorylab: error: the output: No space left on device\n"


CLOSED = (
    ["claims"],
    ["--version"],
    ["verify", "--help"],
    ["predict", "a.png", *SMALL, "--out", "made.png"],
    ["visualize", "a.png", *SMALL, "--json", "--out", "made.png"],
    ["audit", "a.png", "--attribute", "mymaps:copy", "--targets", "2", "--size", "16", "--quiet"],
)


@pytest.mark.parametrize("words", DRAWN.sample(CLOSED, 3), ids=lambda words: words[0])
def test_a_closed_stdout_is_a_full_one_and_a_closed_stderr_is_nothing(here, words):
    """A shell's ``>&-`` and ``2>&-``."""

    def ended(number):
        command = ["sh", "-c", f'exec "$@" {number}>&-', "sh", sys.executable, "-m", "theorylab", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = ended(1)
    assert (done.returncode, done.stderr) == (3, "theorylab: error: the output: stdout is closed\n")
    assert ("made.png" in words) is Path("made.png").exists()
    done = ended(2)
    assert done.returncode == 0
    assert done.stdout


@pytest.mark.parametrize("command", ["audit", "figure 7 --pictures", "verify --pictures"])
@pytest.mark.parametrize("out", ["photos", "link", "photos/../photos/"])
def test_outputs_do_not_become_the_next_runs_pictures(here, command, out):
    Path("photos").mkdir()
    Path("a.png").rename("photos/a.png")
    Path("link").symlink_to("photos")
    before = tree(".")
    done = run(*command.split(), "photos", "--out", out)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "is the folder that is read" in done.stderr
    assert tree(".") == before


@pytest.mark.parametrize(
    ("words", "file"), [("audit {} --size 16", "audit.png"), ("figure 4 --image {}", "figure-4.png")]
)
def test_a_result_does_not_replace_the_picture_that_it_is_of(here, words, file):
    Path("made").mkdir()
    Path("a.png").rename(f"made/{file}")
    done = run(*words.format(f"made/{file}").split(), "--out", "made")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "is what is read, and will not be replaced" in done.stderr


def test_a_working_folder_that_is_gone_is_said(here, monkeypatch):
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path("../gone").rmdir()
    for words in (
        ["predict", "cat", *SMALL],
        ["visualize", "cat", *SMALL],
        ["audit"],
        ["check", "mymaps:copy"],
    ):
        done = run(*words)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("theorylab: error: the working folder is gone"), done.stderr


@pytest.mark.parametrize(
    ("spec", "guess"),
    [("sub/mymaps.py:half", "sub.mymaps:half"), ("./mymaps.py:f", "mymaps:f"), ("a/b:f", "a.b:f")],
)
def test_a_path_in_the_place_of_a_module_is_answered_with_the_module(here, spec, guess):
    done = run("check", spec)
    assert done.exit_code == 2
    assert f"did you mean {guess}?" in done.stderr
