"""Commands over a folder of pictures: streamed, past what cannot be read, resumed after a kill, the same bytes anywhere."""

import collections
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest
from PIL import Image
from shell import until
from test_convergence import cluster
from typer.testing import CliRunner

import theorylab as tl
from theorylab import cli, figures
from theorylab.auditing._rows import Rows
from theorylab.figures import figure7
from theorylab.montecarlo.pictures import Files, Kept, Row, measure_all

COMMANDS = {"figure": ("figure", "7", "--pictures"), "audit": ("audit", "--targets", "2")}
RESULTS = {"figure": "figure-7", "audit": "audit"}
SMALL = ("--weights", "small", "--size", "32", "--seed", "3")


def photos(folder, count, seed=0):
    """Pictures of few colours, no two alike; return their paths."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{place:03}.png" for place in range(count)]
    for path in paths:
        tiles = rng.integers(0, 255, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(np.kron(tiles, np.ones((6, 6, 1), dtype=np.uint8))).save(path)
    return paths


def words(name, folder, out, *more):
    return [*COMMANDS[name], str(folder), *SMALL, "--out", str(out), *map(str, more)]


def run(name, folder, out, *more):
    done = CliRunner().invoke(cli.app, words(name, folder, out, *more))
    assert done.exit_code == 0, done.output
    return done


def numbers(name, out):
    """What was written, but the date."""
    content = json.loads((out / f"{RESULTS[name]}.json").read_text())
    content.pop("run")
    return content


def same(name, one, other):
    assert numbers(name, one) == numbers(name, other)
    pictures = [(out / f"{RESULTS[name]}.png").read_bytes() for out in (one, other)]
    assert pictures[0] == pictures[1]


def unfinished(name, out):
    path = out / f"{RESULTS[name]}.unfinished.jsonl"
    return path.read_bytes().splitlines()[1:] if path.exists() else []


def break_some(folder, rng):
    """Put files that cannot be read among the pictures; return their names and what is said of each."""
    whole = next(folder.glob("0*.png")).read_bytes()
    kinds = {
        "truncated.png": (whole[: rng.randint(40, len(whole) - 30)], "cannot be read"),
        "text.jpg": (b"no picture, whatever its name says", "not a picture"),
        "empty.png": (b"", "the file is empty"),
    }
    if os.geteuid() != 0:
        kinds["secret.png"] = (whole, "Permission denied")
    said = {}
    for name, (content, reason) in kinds.items():
        name = f"{rng.randint(0, 9):03}-{name}"
        (folder / name).write_bytes(content)
        said[name] = reason
        if "secret" in name:
            (folder / name).chmod(0)
    for kind, reason in (("lost.png", "no such file"), ("loop.png", "ymbolic link")):
        name = f"{rng.randint(0, 9):03}-{kind}"
        (folder / name).symlink_to("nowhere.png" if "lost" in kind else name)
        said[name] = reason
    for kind in ("pipe.png", "socket.jpg"):
        name = f"{rng.randint(0, 9):03}-{kind}"
        if kind == "pipe.png":
            os.mkfifo(folder / name)
        else:
            os.mknod(folder / name, stat.S_IFSOCK | 0o600)
        said[name] = "is not an ordinary file"
    # Folders are not searched, nor mistaken for pictures.
    (folder / f"{rng.randint(0, 9):03}-folder.png").mkdir()
    return said


@pytest.mark.parametrize("name", COMMANDS)
def test_what_cannot_be_read_is_named_and_the_others_go_on(name, tmp_path, classifier):
    seed = time.time_ns() % 10**6
    print(f"drawn with seed {seed}")
    photos(tmp_path / "photos", 7)
    said = break_some(tmp_path / "photos", random.Random(seed))
    done = run(name, tmp_path / "photos", tmp_path / "out", "--jobs", 1)
    content = numbers(name, tmp_path / "out")
    content = content.get("numbers", content)
    assert content["pictures"] == 7
    assert [one["file"] for one in content["skipped"]] == sorted(said)
    warnings = [line for line in done.stderr.splitlines() if line.startswith("theorylab: warning: ")]
    for one, line in zip(content["skipped"], warnings, strict=True):
        assert said[one["file"]] in one["reason"]
        assert line.endswith(f"photos/{one['file']}: skipped, {one['reason']}")


@pytest.mark.parametrize("name", COMMANDS)
def test_where_none_can_be_read_there_is_one_error(name, tmp_path, classifier):
    (tmp_path / "photos").mkdir()
    for place in range(3):
        (tmp_path / "photos" / f"{place}.png").write_bytes(b"no picture" * place)
    done = CliRunner().invoke(cli.app, words(name, tmp_path / "photos", tmp_path / "out"))
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == (
        f"theorylab: error: pictures '{tmp_path / 'photos'}': none of 3 can be read; 0.png: the file is empty"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_it_goes_on_and_ends_in_the_same_bytes(name, tmp_path, classifier, monkeypatch):
    seed = time.time_ns() % 10**6
    print(f"drawn with seed {seed}")
    rng = random.Random(seed)
    photos(tmp_path / "photos", 30)
    (tmp_path / "photos" / f"{rng.randint(0, 29):03}-broken.png").write_bytes(b"broken")
    run(name, tmp_path / "photos", tmp_path / "whole", "--jobs", 1)
    out = tmp_path / "out"
    for jobs in (1, 2):
        command = [sys.executable, "-m", "theorylab", *words(name, tmp_path / "photos", out, "--jobs", jobs)]
        wanted = len(unfinished(name, out)) + rng.randint(1, 5)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(
            lambda out=out, process=process, wanted=wanted: (
                len(unfinished(name, out)) >= wanted or process.poll() is not None
            )
        )
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (out / f"{RESULTS[name]}.json").exists()
    kept = unfinished(name, out)
    assert 2 <= len(kept) < 30
    path = out / f"{RESULTS[name]}.unfinished.jsonl"
    with open(path, "ab") as file:
        file.write(kept[-1][: rng.randint(1, len(kept[-1]) - 1)])  # what a kill in the midst of a line leaves
    measured = []
    measure = MEASURES[name].__call__
    monkeypatch.setattr(
        MEASURES[name], "__call__", lambda self, places: measured.extend(places) or measure(self, places)
    )
    run(name, tmp_path / "photos", out, "--jobs", 1)
    places = {json.loads(line)["place"] for line in kept if line.endswith(b"}")}
    assert sorted(measured) == sorted(set(range(31)) - places)
    assert not path.exists()
    same(name, out, tmp_path / "whole")


MEASURES = {"figure": figure7._InFolder, "audit": Rows}


@pytest.mark.parametrize("name", COMMANDS)
def test_numbers_do_not_depend_on_the_workers(name, tmp_path, classifier):
    photos(tmp_path / "photos", 9)
    (tmp_path / "photos" / "004-broken.png").write_bytes(b"broken")
    for jobs in (1, 2):
        run(name, tmp_path / "photos", tmp_path / f"{jobs}", "--jobs", jobs)
    same(name, tmp_path / "1", tmp_path / "2")


def test_rows_of_changed_pictures_and_other_settings_are_measured_again(tmp_path, classifier):
    paths = photos(tmp_path / "photos", 5)
    made = {}

    def make(seed=0, remove=False):
        settings = figures.Settings(
            weights="small", size=32, seed=seed, pictures=str(tmp_path / "photos"), kept=Kept(kept)
        )
        found = figures.make("7", settings).numbers
        if remove:
            settings.kept.remove()
        return found

    kept = tmp_path / "rows.jsonl"
    made["first"], made["other seed"] = make(), make(seed=1)
    assert made["first"] != made["other seed"]
    assert make() == made["first"]
    paths[1].write_bytes(photos(tmp_path / "others", 1, seed=9)[0].read_bytes())
    changed = make(remove=True)
    assert changed not in made.values()
    assert not kept.exists()
    assert make() == changed


def test_damaged_lines_are_passed_over(tmp_path):
    rng = np.random.default_rng(0)
    kept = Kept(tmp_path / "new" / "rows.jsonl")
    assert list(kept.rows({"seed": 0})) == []
    rows = [Row(place, "a key", {"x": float(rng.normal()), "y": float("nan")}) for place in range(20)]
    for row in rows:
        kept.add(row)
    lines = kept.path.read_bytes().splitlines(keepends=True)
    for place in (3, 11, 20):  # line 0 is empty
        line = bytearray(lines[place])
        del line[rng.integers(1, len(line) - 1) :]
        lines[place] = bytes(line) + b"\n"
    kept.path.write_bytes(b"".join([*lines, b'{"of":1}\n[]\n7\n\xff\n']))
    found = list(Kept(kept.path).rows({"seed": 0}))
    assert [row.place for row in found] == [place for place in range(20) if place not in (2, 10, 19)]
    assert all(row.numbers["x"] == rows[row.place].numbers["x"] for row in found)
    assert list(Kept(kept.path).rows({"seed": 1})) == []


@pytest.mark.parametrize("option", [("--jobs", "2"), ("--scheduler", "tcp://127.0.0.1:9")])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("figure", "7", *SMALL), "for figure 7 of a folder, --pictures"),
        (("audit", "cat", *SMALL), "for a folder of pictures, without --attribute"),
        (("audit", ".", "--attribute", "math:sqrt"), "for a folder of pictures, without --attribute"),
    ],
)
def test_workers_are_for_folders(option, command, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, [*command, *option])
    assert done.exit_code == 2
    assert f"{option[0]}: {said}" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_broken_picture_that_is_named_itself_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"broken")
    done = CliRunner().invoke(cli.app, ["audit", "broken.png", *SMALL])
    assert (done.exit_code, "image 'broken.png': cannot be read" in done.stderr) == (2, True)


def test_ones_own_attribution_goes_past_what_cannot_be_read_and_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos", 5)
    (tmp_path / "photos" / "broken.png").write_bytes(b"broken")
    (tmp_path / "own_maps.py").write_text("def copy(x, target):\n    return x\n")
    command = ["audit", "photos", "--attribute", "own_maps:copy", "--size", "16", "--out", "out"]
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 0, done.output
    assert "theorylab: warning: photos/broken.png: skipped, cannot be read" in done.stderr
    assert numbers("audit", tmp_path / "out")["pictures"] == 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["audit.json", "audit.png"]


class OneByOne(collections.abc.Sequence):
    """Pictures that are made when they are asked for; it counts those that are alive."""

    def __init__(self, count):
        self.count, self.alive, self.most = count, weakref.WeakSet(), 0

    def __len__(self):
        return self.count

    def __getitem__(self, place):
        picture = np.random.default_rng(place).normal(size=(3, 9, 9))

        class Counted(np.ndarray):
            """Can be told from others."""

            __hash__ = object.__hash__

        picture = picture.view(Counted)
        self.alive.add(picture)
        self.most = max(self.most, len(self.alive))
        return picture


def test_a_sequence_is_asked_for_one_picture_at_a_time():
    alive, most = weakref.WeakSet(), []

    class Map(np.ndarray):
        __hash__ = object.__hash__

    def maps(x, target):
        one = (x * x + target * x).view(Map)
        alive.add(one)
        most.append(len(alive))
        return one

    pictures = OneByOne(25)
    lazily = tl.audit(maps, pictures, [0, 1, 2], seed=4)
    assert pictures.most <= 2
    assert max(most) <= 7
    at_once = tl.audit(maps, np.array([pictures[place] for place in range(25)]), [0, 1, 2], seed=4)
    assert lazily.to_json() == at_once.to_json()


def test_a_cluster_gives_the_same_bytes(tmp_path, classifier):
    photos(tmp_path / "photos", 9)
    (tmp_path / "photos" / "004-broken.png").write_bytes(b"broken")
    with cluster(2) as (address, _):
        for name in COMMANDS:
            run(name, tmp_path / "photos", tmp_path / "there", "--scheduler", address)
    for name in COMMANDS:
        run(name, tmp_path / "photos", tmp_path / "here", "--jobs", 1)
        same(name, tmp_path / "there", tmp_path / "here")


def test_a_worker_that_sees_other_files_is_no_reason_to_skip():
    files = Files("photos", ("a", "b"), lambda path: np.ones((1, 9, 9)))

    class Elsewhere:
        readable = files.readable

        def __call__(self, places):
            return [Row(place, skipped="no such file") for place in places]

    class Workers:
        def run(self, tasks, *, keep=False):
            return ((key, task.run()) for key, task in tasks)

    with pytest.raises(ValueError, match="picture 1: a worker cannot read it, no such file; workers need"):
        measure_all(Elsewhere(), 2, label="", executor=Workers())


@pytest.mark.parametrize("name", COMMANDS)
def test_copies_in_a_folder_count_once(name, tmp_path, classifier):
    """Copies of a file and the same pixels in another format; any jobs, and resumed: the numbers of the folder without them."""
    paths = photos(tmp_path / "photos", 6)
    run(name, tmp_path / "photos", tmp_path / "plain", "--jobs", 1)
    copies = {"001z.png": paths[1], "003z.bmp": paths[3], "9.png": paths[0]}
    for copy, path in copies.items():
        Image.open(path).save(tmp_path / "photos" / copy)
    for jobs in (1, 2):
        run(name, tmp_path / "photos", tmp_path / f"jobs{jobs}", "--jobs", jobs)
    same(name, tmp_path / "jobs1", tmp_path / "jobs2")
    found, expected = (numbers(name, tmp_path / out) for out in ("jobs1", "plain"))
    said = json.dumps(found)
    found, expected = (content.get("numbers", content) for content in (found, expected))
    assert found.pop("copies") == [
        {"file": copy, "copy of": path.name} for copy, path in sorted(copies.items())
    ]
    assert expected.pop("copies") == []
    assert "3 more pictures are copies and not counted" in said
    expected.pop("sentence", None), found.pop("sentence", None)
    assert found == expected


def test_a_picture_of_a_folder_is_named_where_its_map_is_wrong(tmp_path, monkeypatch):
    photos(tmp_path / "photos", 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "nan_maps.py").write_text("def nan(x, target):\n    return x * float('nan')\n")
    done = CliRunner().invoke(cli.app, ["audit", "photos", "--attribute", "nan_maps:nan", "--size", "16"])
    assert done.exit_code == 2
    assert done.stderr.endswith("is not finite (NaN or infinity); of picture 000.png\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_interrupted_before_anything_is_finished_nothing_is_said_to_be_kept(
    name, tmp_path, monkeypatch, classifier
):
    def interrupted(self, places):
        raise KeyboardInterrupt

    photos(tmp_path / "photos", 3)
    monkeypatch.setattr(MEASURES[name], "__call__", interrupted)
    done = CliRunner().invoke(cli.app, words(name, tmp_path / "photos", tmp_path / "out", "--jobs", 1))
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (130, "theorylab: interrupted")
    assert "kept" not in done.stderr
    assert not (tmp_path / "out").exists()
