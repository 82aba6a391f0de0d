"""Importing is quick, and imports go in one direction."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from shell import PATIENCE

import proofs_checks
import theorylab

ROOT = Path(theorylab.__file__).parent
FORWARD = {"layers", "kernels", "networks", "methods", "training", "visualization", "sampling", "montecarlo"}
HEAVY = ("torch", "matplotlib", "numba", "scipy", "skimage", "PIL", "rich", "joblib")


def imported(path, root=ROOT):
    """Modules that a source file imports, anywhere in it, as (full name, at import time?)."""
    package = ["theorylab", *path.relative_to(root).parent.parts]

    def walk(node, at_import):
        for child in ast.iter_child_nodes(node):
            later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or (
                isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            )
            inside = at_import and not later
            if isinstance(child, ast.Import):
                yield from ((name.name, at_import) for name in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = [*package[: len(package) - child.level + 1]] if child.level else []
                start = ".".join([*base, *([child.module] if child.module else [])])
                yield (start, at_import)
                yield from ((f"{start}.{name.name}", at_import) for name in child.names)
            yield from walk(child, inside)

    return set(walk(ast.parse(path.read_text(encoding="utf-8")), True))


def members(room):
    """Files of one room: a module or a package."""
    single = ROOT / f"{room}.py"
    return [single] if single.exists() else sorted((ROOT / room).rglob("*.py"))


def rooms_used(path):
    names = {name for name, _ in imported(path)}
    return {name.split(".")[1] for name in names if name.startswith("theorylab.")}


def test_the_reader_of_imports_sees_every_form(tmp_path):
    folder = tmp_path / "stats"
    folder.mkdir()
    file = folder / "a.py"
    file.write_text(
        "import theorylab.layers.conv\nfrom theorylab import kernels\nfrom .. import networks\n"
        "from ..sampling import fcn\nfrom . import other\ndef f():\n    import torch\n"
        "if True:\n    import numba\nif TYPE_CHECKING:\n    import captum\n"
    )
    found = imported(file, tmp_path)
    expected = {
        ("theorylab.layers.conv", True),
        ("theorylab.kernels", True),
        ("theorylab.networks", True),
        ("theorylab.sampling", True),
        ("theorylab.stats.other", True),
        ("torch", False),
        ("numba", True),
        ("captum", False),
    }
    assert expected <= found
    assert ("torch", True) not in found


# What each room may import, from the ground up: a row names rows above it alone, so rooms form no circle.
GROUND_FLOOR = (
    "_compiled _csv _hints _interrupt _files _imports _json _normal _products _random _rich _thresholds _validation"
    " _version progress"
)
MODEL = f"{GROUND_FLOOR} model"
MAY_IMPORT = {
    **dict.fromkeys(GROUND_FLOOR.split(), ""),
    "_normal": "_compiled",
    "_random": "_normal",
    **dict.fromkeys(("_files", "_validation"), "_hints _interrupt"),
    "progress": "_rich",
    "model": "_random _validation",
    "stats": GROUND_FLOOR,
    "charts": f"{GROUND_FLOOR} stats",
    "images": GROUND_FLOOR,
    "photographs": f"{GROUND_FLOOR} images",
    "display": GROUND_FLOOR,
    "measures": f"{GROUND_FLOOR} display",
    "drawing": f"{GROUND_FLOOR} stats charts display",
    "montecarlo": GROUND_FLOOR,
    "visualization": MODEL,
    # Simulation, and beside it closed forms: neither names the other.
    "analytic": MODEL,
    "layers": MODEL,
    "kernels": f"{MODEL} layers",
    "networks": f"{MODEL} layers kernels",
    "sampling": f"{MODEL} kernels networks",
    "methods": f"{MODEL} visualization networks",
    "training": f"{MODEL} images networks",
    "weights": f"{MODEL} networks",
    # A graph read as a Stack, or refused as a law refuses: no law is evaluated.
    "description": f"{MODEL} networks analytic",
    "torch_bridge": f"{MODEL} visualization networks description",
    "subjects": f"{MODEL} images networks training weights torch_bridge",
    "adversarial": f"{MODEL} networks subjects",
    # What joins the two.
    "estimates": f"{MODEL} analytic",
    "exhibits": f"{MODEL} charts measures visualization networks sampling methods weights analytic description estimates",
    "figures": f"{MODEL} methods stats charts images display measures photographs drawing montecarlo visualization networks"
    " sampling training weights subjects adversarial analytic estimates exhibits torch_bridge",
    "explorer": f"{GROUND_FLOOR} images drawing",
    "convergence": f"{MODEL} stats charts drawing montecarlo sampling analytic estimates",
    "auditing": f"{MODEL} stats charts measures drawing montecarlo visualization networks methods torch_bridge analytic"
    " description",
    "checking": f"{MODEL} visualization networks methods torch_bridge auditing",
    "commands": f"{MODEL} analytic images drawing montecarlo subjects exhibits figures convergence auditing checking explorer"
    " torch_bridge",
}
TOP = {"__init__", "__main__", "cli"}  # the doors of the package, which may import any room


def test_the_table_holds_every_room_and_goes_from_the_ground_up():
    rooms = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")}
    assert rooms == set(MAY_IMPORT) | TOP
    above = set()
    for room, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= above, room
        above.add(room)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_what_its_row_allows(room):
    for path in members(room):
        assert rooms_used(path) - {room} <= set(MAY_IMPORT[room].split()), path
        assert "import theorylab\n" not in path.read_text(encoding="utf-8"), path  # it would give every room


@pytest.mark.parametrize("path", members("analytic"), ids=lambda path: path.stem)
def test_closed_forms_know_no_simulation(path):
    assert not rooms_used(path) & (FORWARD | {"estimates", "stats", "exhibits", "drawing", "cli", "commands"})


@pytest.mark.parametrize("room", sorted(FORWARD))
def test_simulation_knows_no_closed_form(room):
    for path in members(room):
        assert not rooms_used(path) & {"analytic", "estimates"}, path


@pytest.mark.parametrize("path", members("stats"), ids=lambda path: path.stem)
def test_statistics_see_arrays_only(path):
    assert not rooms_used(path) & (FORWARD | {"analytic", "model", "drawing", "exhibits"})


# Rooms that may be drawn on by any other, and what draws: they know no network, no law and no claim.
GROUND = {
    "_compiled",
    "_csv",
    "_files",
    "_hints",
    "_interrupt",
    "_json",
    "_normal",
    "_random",
    "_rich",
    "_validation",
    "_version",
    "charts",
    "progress",
}


@pytest.mark.parametrize("room", sorted(GROUND | {"drawing", "stats", "montecarlo"}))
def test_the_ground_floor_knows_nothing_above_it(room):
    allowed = {
        "charts": {"stats"},  # for the intervals of points
        "drawing": GROUND | {"drawing", "display", "stats"},
        "montecarlo": GROUND | {"montecarlo"},
    }
    for path in members(room):
        assert rooms_used(path) <= allowed.get(room, GROUND) | {room}, path


def test_nothing_is_imported_in_a_circle():
    """Neither at import time nor later, nor for types."""
    sources = {
        ".".join(path.relative_to(top.parent).with_suffix("").parts).removesuffix(".__init__"): (path, top)
        for top in (ROOT, Path(proofs_checks.__file__).parent)
        for path in top.rglob("*.py")
    }
    waiting = {}
    for module, (path, top) in sources.items():
        names = {name for name, _ in imported(path, top) if name in sources}
        # "from package import module" needs the module; the package itself only where it is asked for a name.
        waiting[module] = {
            name for name in names if not any(other.startswith(f"{name}.") for other in names)
        } - {module}
    while free := [module for module, needed in waiting.items() if not needed & set(waiting)]:
        for module in free:
            del waiting[module]
    assert not waiting


def test_nothing_imports_torch_at_import_time():
    for path in ROOT.rglob("*.py"):
        at_import = {name.split(".")[0] for name, at_import in imported(path) if at_import}
        assert not at_import & {"torch", "torchvision", "captum"}, path
        assert "pyplot" not in path.read_text(encoding="utf-8").replace("no pyplot", ""), path


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_pulls_in_nothing_heavy():
    code = f"import sys, theorylab; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    assert run(code) == []


def test_the_light_names_stay_light():
    code = (
        "import sys, theorylab as tl; tl.Rule, tl.PatchGrid, tl.Gaussian, tl.TruncatedGaussian, tl.images;"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert run(code) == []


def test_importing_is_quick():
    # The best of three: the machine may be busy with something else.
    code = (
        "import time as t, numpy; start = t.perf_counter(); import theorylab; print(t.perf_counter() - start)"
    )
    assert min(float(run(code)[0]) for _ in range(3)) < 0.3


@pytest.mark.parametrize("name", theorylab.__all__)
def test_every_public_name_is_there(name):
    assert getattr(theorylab, name) is not None
    assert name in dir(theorylab)


def test_visualize_is_the_function():
    assert callable(theorylab.visualize)
    assert theorylab.visualize.__module__ == "theorylab.visualization"


def test_the_version_is_written_once():
    from importlib import metadata

    assert theorylab.__version__ == metadata.version("theorylab")
    citation = (ROOT.parent / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {theorylab.__version__}\n" in citation
    for path in (*ROOT.rglob("*.py"), ROOT.parent / "setup.cfg"):
        if path.name != "_version.py":
            assert "metadata.version" not in path.read_text(encoding="utf-8"), path
            assert f"version = {theorylab.__version__}" not in path.read_text(encoding="utf-8"), path


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = theorylab.nothing
