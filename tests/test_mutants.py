"""The wrong changes that `make mutants` applies: all of them apply, cover the laws, and leave nothing behind."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import mutant_copies
import mutant_edits
import mutant_table
import mutants
import numpy as np
import pytest
from mutant_copies import BrokenError, Control, Copy, Fate, control_of
from mutant_edits import Edited, EditError, decorated, replaced, turned_round
from mutant_table import Mutant

from theorylab import analytic, estimates

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def every():
    return mutant_table.mutants(ROOT)


NO_KILLERS = {
    "test_cli_output", "test_convergence", "test_sampling", "test_trained_claims",  # take a law from there, and test others
    "test_every_law",  # walks over all of them, a thousand networks each
    "test_explorer",  # in a browser
    "test_mutants",
}  # fmt: skip


def test_what_tests_laws_is_shown_to_mutants():
    about = {
        path.stem
        for path in (ROOT / "tests").glob("test_*.py")
        if re.search(
            r"^from theorylab(\.analytic| import .*\banalytic\b)", path.read_text(encoding="utf-8"), re.M
        )
    }
    assert about - {Path(killer).stem for killer in mutant_copies.KILLERS} == NO_KILLERS


def test_every_edit_applies_and_changes_its_file(every):
    originals = {}
    for mutant in every:
        path = ROOT / mutant.path
        original = originals.setdefault(path, ast.dump(ast.parse(path.read_text(encoding="utf-8"))))
        assert ast.dump(ast.parse(mutant.edited.source)) != original, mutant.what
        assert mutant.edited.lines, mutant.what
        assert mutant.kind in mutants.KINDS
    assert len({(mutant.path, mutant.edited.source) for mutant in every}) == len(every)
    assert len({(mutant.kind, mutant.what) for mutant in every}) == len(every)


def test_every_public_law_is_scaled_both_ways(every):
    scaled = {mutant.what for mutant in every if mutant.kind == "scaled"}
    for package in (analytic, estimates):
        for name in package.__all__:
            value = getattr(package, name)
            if callable(value):
                module = value.__module__.removeprefix("theorylab.")
                for factor in (1.03, 0.97):
                    start = f"{module}.{name}"
                    assert any(w.startswith(start) and w.endswith(f" × {factor}") for w in scaled), name
            else:
                public = [key for key in vars(value) if not key.startswith("_")]
                own = {
                    key for key in public if getattr(getattr(value, key), "__module__", "") == value.__name__
                }
                assert own == set(mutant_table.OF_MODULES[name])


def test_every_part_of_a_returned_law_is_scaled(every):
    scaled = " ".join(mutant.what for mutant in every if mutant.kind == "scaled")
    parts = {
        "ThreeLayerLaw": ("mean", "variance", "class_distance"),
        "MapLaw": ("energy", "expected_cosine", "class_distance"),
        "_Moments": ("mean", "variance"),
    }
    for law, names in parts.items():
        for name in names:
            assert f"{law}.{name} × 1.03" in scaled
    for field in ("mean_map", "variance_map", "distance"):
        assert f"_deep {field} × 0.97" in scaled


def test_every_comparison_of_the_judge_is_turned_round(every):
    decisions = [mutant for mutant in every if mutant.kind == "decision"]
    for module in mutant_table.DECISIONS:
        path = f"{module.replace('.', '/')}.py"
        operators = [
            operator
            for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
            if isinstance(node, ast.Compare)
            for operator in node.ops
        ]
        assert sum(mutant.path == path for mutant in decisions) >= len(operators)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("x * 3", "x", "occurs 0 times"),
        ("x", "y", "occurs 2 times"),
        ("x + 1", "x  +  1", "changes nothing"),
        ("x + 1", "x +", "no Python"),
    ],
)
def test_an_edit_that_is_not_one_change_is_refused(old, new, words):
    source = "def f(x):\n    '''x * 3'''\n    return (x + 1) * x\n"
    with pytest.raises(EditError, match=words):
        replaced(source, "f", old, new)


def test_a_function_that_is_gone_is_refused():
    for name in ("g", "A.f", "f.g"):
        with pytest.raises(EditError, match="expected one function of this name, found 0"):
            replaced("def f(x):\n    return x\n", name, "x", "y")
        with pytest.raises(EditError, match="found 0"):
            decorated("def f(x):\n    return x\n", name, "d")


def test_edits_behind_letters_of_several_bytes():
    source = "def f(κ):\n    return 'κ≠0', κ + 1  # κ\n"
    assert "return 'κ≠0', (κ)  # κ" in replaced(source, "f", "κ + 1", "κ").source


def test_the_lines_of_an_edit_are_those_that_make_it_felt():
    source = "def f(x):\n    if (\n        x < 1\n    ):\n        return 2\n    return 3\n"
    (negated, _) = (edited for _, edited in turned_round(source))
    assert negated.lines == {2, 3, 4}
    assert replaced(source, "f", "2", "4").lines == {5}
    assert decorated(source, "f", "d").lines == {2, 3, 4, 5, 6}


def changed(law, field, change, value):
    namespace = {}
    law = mutant_table.Law("m", "f", **law)
    wrapper = mutant_table._wrapped(law, field, change)
    exec(decorated("def f(v):\n    return v\n", "f", wrapper).source, namespace)
    return namespace["f"](value)


def test_wrappers_change_what_they_name_and_nothing_else():
    assert changed({}, "", "1.5 * v", 2.0) == 3.0
    assert changed({"returns": "integer"}, "", "1.03 * v", 100) == 103
    assert changed({"returns": "first"}, "", "2 * v", (1.0, 5.0)) == (2.0, 5.0)
    assert changed({"returns": "all"}, "", "2 * v", (1.0, 5.0)) == (2.0, 10.0)
    record = Fate("t", "e", 2.0)
    one = changed({"returns": "seconds", "records": "one"}, "seconds", "2 * v", record)
    assert (one.test, one.seconds) == ("t", 4.0)
    (first, _) = changed({"returns": "seconds", "records": "list"}, "seconds", "2 * v", [record, record])
    assert first.seconds == 4.0
    lazy = Fate("t", "e", lambda: 2.0)
    assert changed({"returns": "seconds", "records": "lazy"}, "seconds", "2 * v", lazy).seconds() == 4.0
    shift = "__import__('numpy').roll(v, 1, axis=-1)"
    np.testing.assert_array_equal(changed({}, "", shift, np.array([[1, 2, 3]])), [[3, 1, 2]])


def mutant_of(path, source, lines=(1,)):
    return Mutant("term", "m", path, Edited(source, frozenset(lines)))


def test_the_quickest_tests_that_run_the_lines_come_first():
    seconds = {"a::slow": 30.0, "b::quick": 0.01, "c::quick": 0.02, "d::elsewhere": 0.01}
    ran = {
        "m.py": {
            1: frozenset({"a::slow", "c::quick"}),
            2: frozenset({"b::quick"}),
            3: frozenset({"d::elsewhere"}),
        }
    }
    control = Control(seconds, ran)
    assert control.concerned(mutant_of("m.py", "", (1, 2))) == ["b::quick", "c::quick", "a::slow"]
    assert control.concerned(mutant_of("other.py", "", (1,))) == []


def test_a_control_that_fails_voids_the_table():
    failure = {"test": "tests/test_stats.py::test_x", "error": "AssertionError", "text": "off by one"}
    with pytest.raises(BrokenError, match=r"(?s)fails without any change.*off by one"):
        control_of([{"seconds": {}, "ran": {}, "failures": [failure]}])


def test_a_copy_is_changed_and_restored(tmp_path, monkeypatch):
    """In a small tree of its own: killed, survived, and no table from what cannot be collected."""
    tree = tmp_path / "tree"
    for name in ("theorylab", "tests", "tools"):
        (tree / name).mkdir(parents=True)
    (tree / "theorylab" / "__init__.py").write_text("def f(x):\n    return x + 1\n")
    (tree / "tests" / "test_f.py").write_text(
        "import theorylab\ndef test_f():\n    assert theorylab.f(1) == 2\n"
    )
    (tree / "setup.cfg").write_text("[tool:pytest]\nmarkers =\n    slow: long\n")
    (tree / "tools" / "mutant_watch.py").write_text((ROOT / "tools" / "mutant_watch.py").read_text())
    monkeypatch.setattr(mutant_copies, "FOLDERS", ("theorylab", "tests", "tools"))
    monkeypatch.setattr(mutant_copies, "FILES", ("setup.cfg",))
    monkeypatch.setattr(mutant_copies, "KILLERS", ("tests/test_f.py",))
    monkeypatch.setattr(mutant_copies, "TRACED", ("theorylab",))
    copy = Copy(tree, tmp_path / "copy")
    path = copy.tree / "theorylab" / "__init__.py"
    before = path.read_bytes(), path.stat().st_mtime_ns
    control = control_of([copy.run(["tests/test_f.py"], trace=True)])
    original = before[0].decode()
    mutant = Mutant("term", "m", "theorylab/__init__.py", replaced(original, "f", "x + 1", "x + 2"))
    tests = control.concerned(mutant)
    assert tests == ["tests/test_f.py::test_f"]
    fate = copy.fate(mutant, tests)
    assert (fate.killed, fate.error) == (True, "AssertionError")
    assert mutants.by(fate) == "test_f: test_f"
    same = Mutant("term", "m", "theorylab/__init__.py", replaced(original, "f", "x + 1", "1 + x"))
    assert not copy.fate(same, tests).killed
    broken = Mutant("term", "m", "theorylab/__init__.py", Edited("raise OSError", frozenset({1})))
    with pytest.raises(BrokenError, match="OSError"):
        copy.fate(broken, tests)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert (tree / "theorylab" / "__init__.py").read_bytes() == before[0]


def test_the_command_lists_and_chooses():
    command = [sys.executable, str(ROOT / "tools" / "mutants.py"), "--list", "--only", "^judge .*bonferroni"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["judge     stats.multiplicity.bonferroni: no correction"]


def test_the_table_counts_and_names_survivors(tmp_path):
    fates = [
        Fate("tools/mutant_claims.py::test_verify[lemma1]", "AssertionError", 1.2),
        Fate("tests/test_a.py::test_b[x|y]", "ValueError", 2.6),
        Fate("", "", 3.0),
    ]
    rows = {
        mutants.name_of(Mutant("term", f"f: a {n} | b", "a.py", Edited("", frozenset()))): mutants.Row(
            mutants.by(fate), f"{fate.seconds:.0f}"
        )
        for n, fate in enumerate(fates)
    }
    text = mutants.table(rows)
    assert "left out or replaced | 3 | 1 | 1 | 1 |" in text
    for row in ("| verify lemma1 | 1 |", "| test_a: test_b (ValueError) | 3 |", "| **survives** | 3 |"):
        assert row in text
    (tmp_path / "table.md").write_text(text)
    assert mutants.known_rows(tmp_path / "table.md") == rows
    assert mutants.known_rows(tmp_path / "none.md") == {}


def test_nothing_is_named_that_is_not_there():
    for name in (*mutant_copies.FOLDERS, *mutant_copies.FILES, *mutant_copies.KILLERS):
        assert (ROOT / name).exists(), name
    assert mutant_edits.NEGATED.keys() >= mutant_edits.AT_THE_EDGE.keys()
