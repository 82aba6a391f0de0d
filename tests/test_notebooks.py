"""The notebooks run from top to bottom and carry no outputs."""

import builtins
import json
import re
import sys
import types
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def run(path, cells):
    namespace = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(source(cell), f"{path.name}[{cell['id']}]", "exec"), namespace)


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_their_readme_lists_them_all():
    readme = (NOTEBOOKS[0].parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((.*?\.ipynb)\)", readme) == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_to_other_notebooks_lead_somewhere(path):
    for link in re.findall(r"\]\((.*?\.ipynb)\)", "\n".join(map(source, read(path)["cells"]))):
        assert (path.parent / link).is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_well_formed_and_stripped(path):
    notebook = read(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in ids)
    for cell in notebook["cells"]:
        keys = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            keys |= {"execution_count", "outputs"}
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        assert set(cell) == keys
        assert source(cell).strip()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, monkeypatch, tmp_path):
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    # What a notebook would display; a plain interpreter has no such name.
    monkeypatch.setattr(builtins, "display", print, raising=False)
    # With or without the package: an import of None fails.
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    try:
        run(path, code_cells(read(path)))
        figures = pyplot.get_fignums()
    finally:
        pyplot.close("all")
    assert figures


def sliders(path):
    """The cells that a notebook's sliders need, or none."""
    cells = {cell["id"]: cell for cell in code_cells(read(path))}
    return [cells["setup"], cells["sliders"]] if "sliders" in cells else []


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if sliders(path)], ids=lambda path: path.stem)
def test_sliders_begin_with_a_picture(path, monkeypatch):
    """Stand-ins for the widgets: `interact` draws once, with the value that each slider begins with."""
    from matplotlib import pyplot

    drawn = []

    def interact(function, **widgets):
        values = {name: one[0] if isinstance(one, list) else one for name, one in widgets.items()}
        drawn.append(function(**values))

    module = types.ModuleType("ipywidgets")
    module.interact = interact
    module.IntSlider = lambda value, least, most, *, continuous_update: min(max(value, least), most)
    module.SelectionSlider = lambda *, options, value, continuous_update: options[options.index(value)]
    monkeypatch.setitem(sys.modules, "ipywidgets", module)
    try:
        run(path, sliders(path))
        assert drawn
        assert pyplot.get_fignums()
    finally:
        pyplot.close("all")
