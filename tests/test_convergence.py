"""Measured and predicted curves; a study that is killed, damaged, shared or spread over a cluster ends in the same bytes."""

import contextlib
import errno
import functools
import io
import json
import math
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats
from shell import PATIENCE, run, until
from strategies import OTHERS, RULES, image_with_zeros

import proofs_checks
from theorylab import ConvSpec, _files, analytic, convergence, estimates
from theorylab.convergence import Design, Point, files
from theorylab.convergence.predictions import Predictor
from theorylab.model.laws import Gaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER, Rule
from theorylab.model.stack import Stack
from theorylab.montecarlo import DaskExecutor
from theorylab.sampling import GraphSampler, draw, three_layer_maps

SMALL = ["--size", "32", "--filters", "8,32", "--kernel", "5", "--block", "5", "--seed", "3"]
MANY = [*SMALL, "--replicates", "200", "--quiet"]
ENDLESS = [*SMALL, "--replicates", "100000", "--quiet"]  # no machine is through before it is interrupted


def picture(side=12, channels=2, seed=0):
    x = np.random.default_rng(seed).standard_normal((channels, side, side)) + 0.5
    return x / np.linalg.norm(x)


def study(x, *, jobs=1, out=None, **settings):
    """A design and its study in one."""
    return convergence.study(Design.of(x, **settings), x, jobs=jobs, out=out)


def command(*words):
    return [sys.executable, "-m", "theorylab", "converge", *map(str, words)]


def blocks(folder):
    return sorted(folder.glob("blocks/*/*.npz"))


@contextlib.contextmanager
def started(*words, **settings):
    """A process, which does not outlive the test whatever happens there."""
    with subprocess.Popen(command(*words), stderr=subprocess.PIPE, text=True, **settings) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_blocks(process, folder, count):
    until(lambda: len(blocks(folder)) >= count or process.poll() is not None)
    assert process.poll() is None, process.communicate()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The study of the process tests, run once without any trouble in one process."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = run("converge", *MANY, "--jobs", "1", "--out", folder)
    assert done.exit_code == 0, done.output
    return folder


# The laws


@pytest.mark.parametrize("rule", RULES)
def test_predictions_are_those_of_the_closed_forms(rule):
    x, rule = picture(), Rule(rule)
    point = Point(24, 4, 2)
    grid = point.grid(x.shape)
    prediction = Predictor(x, (rule,)).at(point)
    laws = {quantity: law.value for quantity, law in prediction.laws[rule].items()}
    assert laws["cosine_input"] == pytest.approx(analytic.expected_cosine(x, grid, rule, 24), abs=1e-12)
    assert laws["class_distance"] == pytest.approx(analytic.class_distance(x, grid, rule, 24))
    assert laws["variance"] == pytest.approx(analytic.variance_map(x, grid, rule, 24).mean())
    if rule is Rule.GUIDED:
        assert laws["cosine_mean"] == pytest.approx(
            analytic.expected_cosine(x, grid, rule, 24, target="mean")
        )
    else:
        assert laws["cosine_mean"] == 0
        assert laws["kurtosis"] == pytest.approx(15 / 24)
    assert {law.kind for law in prediction.laws[rule].values()} == {"exact"}


def test_fourth_cumulants_know_where_they_know_nothing():
    x = np.array([[[1.0, 0.0, 0.0, 0.0, 2.0]]])
    law = analytic.fourth_cumulant_map(x, PatchGrid(x.shape, (1, 2), stride=(1, 2)), "saliency", 4)
    np.testing.assert_array_equal(
        law, [[[15, 15, 0, 0, 0]]]
    )  # a patch of zeros, and a column without a patch
    law = analytic.fourth_cumulant_map(x, PatchGrid(x.shape, (1, 2)), "deconvnet", 4)
    np.testing.assert_array_equal(law, [[[15, np.nan, np.nan, np.nan, 15]]])


def test_what_has_no_law_is_null():
    x = picture(16)
    every = PAPER
    pooled = Predictor(x, every).at(Point(8, 3, 2, pool=2)).laws
    assert pooled[Rule.SALIENCY]["class_distance"].value == math.sqrt(2)
    assert pooled[Rule.SALIENCY]["variance"].kind == "exact"
    for rule in (Rule.DECONVNET, Rule.GUIDED):
        assert set(pooled[rule]) == {"cosine_input", "cosine_mean", "variance"}
        assert {law.kind for law in pooled[rule].values()} == {"estimate"}
        assert all(law.error > 0 for law in pooled[rule].values())
        value, _ = estimates.pooled_expected_cosine(
            x, Point(8, 3, 2).grid(x.shape), rule, 8, pool=MaxPool(2), target="mean"
        )
        assert pooled[rule]["cosine_mean"].value == pytest.approx(value)
    large = Predictor(x, every).at(Point(8, 3, 2, pool=3)).laws
    assert set(large[Rule.SALIENCY]) == {"cosine_input", "cosine_mean", "class_distance", "variance"}
    assert large[Rule.GUIDED]["variance"].kind == "estimate"
    deep = Predictor(x, every).at(Point(8, 3, 2, depth=2)).laws
    assert {law.kind for law in deep[Rule.GUIDED].values()} == {"limit"}
    assert "class_distance" not in deep[Rule.GUIDED]
    assert deep[Rule.DECONVNET]["class_distance"].value is None


def test_predictions_of_any_rule():
    """Pooled and deep ones by what ``h`` and the gate are; each rule with a mean has its map for a target."""
    x, (size, loose, *_) = picture(16), OTHERS
    every = (Rule.LINEAR, size, loose)
    pooled = Predictor(x, every).at(Point(8, 3, 2, pool=2))
    assert pooled.laws[Rule.LINEAR]["class_distance"].value == math.sqrt(2)
    assert {law.kind for law in pooled.laws[Rule.LINEAR].values()} == {"exact"}
    assert {law.kind for law in pooled.laws[loose].values()} == {"estimate"}
    deep = Predictor(x, every).at(Point(8, 3, 2, depth=2))
    assert {law.kind for law in deep.laws[size].values()} == {"limit"}
    assert deep.laws[Rule.LINEAR]["class_distance"].value == math.sqrt(2)
    assert deep.laws[loose]["class_distance"].value is None
    assert deep.laws[loose]["variance"].kind == "exact"
    assert size not in deep.centres
    assert (deep.targets[size] * deep.targets[loose]).sum() < 1 - 1e-6
    reference = analytic.depth_maps(x, Point(8, 3, 2, depth=2).stack(x.shape).layers, "guided")[-1].mean_map
    for rule in (Rule.LINEAR, loose):
        np.testing.assert_allclose(deep.targets[rule], reference / np.linalg.norm(reference))


def test_another_picture_than_the_design_is_refused():
    with pytest.raises(ValueError, match="x: expected the picture that the design was made for"):
        convergence.study(Design.of(picture(), kernel=3), picture(seed=1))


# The samplers of deep networks


@pytest.mark.parametrize("rule", RULES)
def test_a_stack_of_one_is_the_three_layer_network(rule):
    x, rule = image_with_zeros(np.random.default_rng(0), (2, 6, 5)), Rule(rule)
    grid = PatchGrid(x.shape, (3, 2), stride=(2, 1), padding=(0, 1))
    rng = np.random.default_rng(1)
    sampler = GraphSampler(Stack(x.shape, [ConvSpec(3, (3, 2), (2, 1), (0, 1))]), x, dtype=np.float32)
    maps = np.stack([sampler.draw(rng, [rule])[0, 0] for _ in range(2500)]).reshape(2500, -1).astype(float)
    other = three_layer_maps(x, grid, rule, 3, size=2500, seed=4).reshape(2500, -1)
    direction = np.random.default_rng(2).standard_normal(x.size)
    for f in (lambda m: m @ x.ravel(), lambda m: m @ direction, lambda m: (m**2).sum(axis=1)):
        assert stats.ks_2samp(f(maps), f(other)).pvalue > 1e-4
    assert stats.ks_2samp((1.5 * maps**2).sum(axis=1), (other**2).sum(axis=1)).pvalue < 1e-4


def test_a_stack_of_two_against_loops():
    """Eq. 8 with explicit sums over patches and filters, on the weights that the sampler draws."""
    x, rules = picture(6, 1), list(PAPER)
    layers = [ConvSpec(2, 3, std=0.7), ConvSpec(3, 3, padding=1)]
    maps = GraphSampler(Stack(x.shape, layers), x).draw(np.random.default_rng(5), rules, n_readouts=2)
    rng = np.random.default_rng(5)
    w1, w2 = 0.7 * rng.standard_normal((2, 9)).T, rng.standard_normal((3, 18)).T
    first, second = PatchGrid((1, 6, 6), 3), PatchGrid((2, 4, 4), 3, padding=1)
    z1 = first.extract(x) @ w1
    z2 = second.extract(np.maximum(z1, 0).T.reshape(2, 4, 4)) @ w2
    readouts = rng.standard_normal((2, 3, 16))
    for t in range(2):
        readout = readouts[t].T
        for r, rule in enumerate(rules):
            below = second.fold(rule.backward(readout, z2) @ w2.T).reshape(2, 16).T
            np.testing.assert_allclose(maps[r, t], first.fold(rule.backward(below, z1) @ w1.T), rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones((2, 2)), [ConvSpec(1, 1)]), ValueError, r"input_shape: expected \(C, H, W\)"),
        ((np.zeros((1, 2, 2)), [ConvSpec(1, 1)]), ValueError, "zero everywhere"),
        ((np.ones((1, 2, 2)), []), ValueError, "layers: expected at least one"),
        (
            (np.ones((1, 2, 2)), [Gaussian()]),
            TypeError,
            r"layers\[0\]: expected a ConvSpec, Dense, .*, got Gaussian",
        ),
        ((np.ones((1, 2, 2)), [ConvSpec(1, 3)]), ValueError, r"layers\[0\]: kernel: 3 exceeds"),
    ],
)
def test_stacks_refuse_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        draw(Stack(arguments[0].shape, arguments[1]), arguments[0], "guided", size=1)


# Studies


SWEEPS = {
    "n_filters": {"n_filters": [4, 16, 64]},
    "kernel": {"kernel": [2, 3, 5], "n_filters": 32},
    "stride": {"stride": [1, 2, 3], "kernel": 3, "n_filters": 32},
    "pool": {"pool": [1, 2, 3], "kernel": 3, "n_filters": 32},
    "depth": {"depth": [1, 2, 3], "kernel": 3, "n_filters": 12},
}


@pytest.mark.parametrize("over", convergence.OVER)
def test_measured_points_lie_on_the_predicted_curves(over):
    found = study(picture(14), over=over, replicates=600, block=50, seed=1, **{"kernel": 3} | SWEEPS[over])
    assert len(found.exact()) >= 18
    assert not found.outside()
    for result in found.points:
        for comparisons in result.rules.values():
            for one in comparisons.values():
                if one.law.kind == "estimate":
                    assert abs(one.measured - one.law.value) < 4.5 * math.hypot(
                        one.standard_error, one.law.error
                    )
    # What is measured differs from point to point where the law says so: the test can fail.
    ends = [found.points[end].rules[Rule.GUIDED]["cosine_mean"] for end in (0, -1)]
    assert abs(ends[0].measured - ends[1].law.value) > 5 * ends[0].standard_error
    text = json.loads(found.render())
    assert [point[over] for point in text["results"]] == SWEEPS[over][over]
    assert text["agreement"]["outside"] == []


def test_a_wrong_law_would_lie_outside(monkeypatch):
    right = analytic.variance_map
    monkeypatch.setattr(analytic, "variance_map", lambda *args, **kwargs: 1.05 * right(*args, **kwargs))
    found = study(picture(14), n_filters=[8], kernel=3, replicates=400, block=50)
    assert {quantity for _, _, quantity, _ in found.outside()} >= {"variance"}
    assert "OUTSIDE" in str(list(files.table(found).renderables)[-1])


def test_the_number_of_jobs_and_other_points_change_nothing(tmp_path):
    x = picture()
    setting = {"kernel": 3, "replicates": 60, "block": 7, "precision": 0.2, "seed": 2}
    one = study(x, n_filters=[4, 9], **setting)
    two = study(x, n_filters=[9, 4], jobs=2, out=tmp_path / "two", **setting)
    assert one.render() == two.render() == (tmp_path / "two" / "results.json").read_text()
    alone = study(x, n_filters=9, **setting)
    assert alone.points[0] == one.points[1]
    other = study(x, n_filters=9, **setting | {"seed": 3})
    assert alone.points[0].rules != other.points[0].rules
    assert sorted(path.name for path in (tmp_path / "two" / "figures").iterdir()) == [
        "class-distance.png",
        "cosine-input.png",
        "cosine-mean.png",
        "kurtosis.png",
        "variance.png",
    ]


def test_a_point_ends_when_it_is_precise():
    x = picture()
    found = study(x, n_filters=64, kernel=3, replicates=2000, block=10, precision=0.05)
    (point,) = found.points
    assert point.precise
    assert convergence.FEWEST <= point.replicates < 2000
    assert json.loads(found.render())["results"][0]["stopped_by"] == "precision"
    for comparisons in point.rules.values():
        for quantity in ("class_distance", "variance"):
            assert comparisons[quantity].narrow <= 0.05
    shorter = study(x, n_filters=64, kernel=3, replicates=point.replicates - 10, block=10, precision=0.05)
    assert not shorter.points[0].precise
    # Without the limit the first blocks are the same, and more follow; the number is then fixed, and the intervals narrower.
    fixed = study(x, n_filters=64, kernel=3, replicates=point.replicates, block=10).points[0]
    for rule, comparisons in point.rules.items():
        for quantity, one in comparisons.items():
            other = fixed.rules[rule][quantity]
            assert (one.measured, one.standard_error) == (other.measured, other.standard_error)
            assert one.measured is None or one.high - one.low > 1.3 * (other.high - other.low)


def test_the_results_know_neither_time_nor_place(uninterrupted):
    text = (uninterrupted / "results.json").read_text()
    for word in (socket.gethostname(), os.getcwd(), str(uninterrupted), time.strftime("%Y-")):
        assert word not in text
    found = json.loads(text)
    assert list(found)[:3] == ["theorylab", "picture", "over"]
    assert found["results"][0]["rules"]["guided"]["cosine_input"].keys() == {
        "measured",
        "standard_error",
        "low",
        "high",
        "predicted",
        "law",
        "predicted_error",
    }


@pytest.mark.parametrize("over", ["n_filters", "depth", "pool"])
def test_the_table_fits_a_terminal(over):
    def text(width):
        stream = io.StringIO()
        Console(file=stream, width=width).print(files.table(found))
        return stream.getvalue()

    found = study(picture(14), over=over, replicates=20, **{"kernel": 3} | SWEEPS[over])
    assert max(map(len, text(80).splitlines())) <= 80
    assert text(80).split() == text(200).split()  # nothing is cut off
    assert {"n_filters": "0.234", "depth": "limit", "pool": "est."}[over] in text(80)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"over": "width"}, ValueError, "over: expected one of n_filters, kernel"),
        ({"kernel": [3, 4]}, ValueError, "kernel: expected one value, because the study goes over n_filters"),
        ({"n_filters": [4, 4]}, ValueError, "n_filters: expected different values"),
        ({"n_filters": []}, ValueError, "n_filters: expected different values, at least one"),
        ({"n_filters": 0}, ValueError, "n_filters: expected at least 1"),
        ({"kernel": 99}, ValueError, "kernel: 99 exceeds the image's height 12"),
        ({"pool": 9}, ValueError, "pool: size 9 exceeds"),
        ({"pool": 2, "depth": 2}, ValueError, r"pool: expected 1 \(none\) with depth 2"),
        ({"rules": ["gradient"]}, ValueError, "unknown rule"),
        ({"rules": []}, ValueError, "rules: expected at least one"),
        ({"replicates": 0}, ValueError, "replicates: expected at least 1"),
        ({"replicates": 1, "block": 1}, ValueError, "replicates: expected at least 2"),
        ({"precision": 0.0}, ValueError, "precision: expected a finite number above 0"),
        ({"seed": -1}, ValueError, "seed: expected an integer of at least 0"),
        ({"jobs": 0}, ValueError, "jobs: expected at least 1"),
        ({"x": np.ones((12, 12))}, ValueError, r"x: expected \(C, H, W\)"),
    ],
)
def test_bad_input(change, error, message):
    settings = {"x": picture(), "n_filters": 4, "kernel": 3, "replicates": 4} | change
    with pytest.raises(error, match=message):
        study(settings.pop("x"), **settings)


@pytest.mark.parametrize("several", [tuple, np.array, lambda values: np.array(values, dtype=np.uint8)])
@pytest.mark.parametrize("over", ["n_filters", "kernel", "depth"])
def test_an_array_is_as_good_as_a_list(several, over):
    designs = [Design.of(picture(), over=over, **{over: as_given([2, 3])}) for as_given in (list, several)]
    assert designs[0].to_json() == designs[1].to_json()
    with pytest.raises(TypeError, match=f"{over}: expected an integer.*, got ndarray"):
        Design.of(picture(), over=over, **{over: np.array([2.5, 3])})


# The command, with real processes


def test_killed_twice_it_ends_in_the_same_bytes(uninterrupted, tmp_path):
    folder, seed = tmp_path / "run", time.time_ns() % 10**6
    print(f"moments drawn with seed {seed}")
    moments = random.Random(seed)
    for _ in range(2):
        with started(*ENDLESS, "--jobs", "2", "--out", folder) as process:
            wait_for_blocks(process, folder, len(blocks(folder)) + moments.randint(1, 20))
            time.sleep(moments.random() * 0.05)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (folder / "results.json").exists()
    # Damage that the last kill might have left, and that a disk might do.
    victim = moments.choice(blocks(folder)[:40])  # those of the study that is asked for next
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with started(*MANY, "--jobs", "2", "--out", folder) as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert f"{victim.name}: the block is damaged (the checksum is wrong) and will be computed again" in said
    for name in ("results.json", "table.txt", "figures/variance.png"):
        assert (folder / name).read_bytes() == (uninterrupted / name).read_bytes()


def test_interrupted_it_says_how_to_resume(tmp_path):
    folder = tmp_path / "a run"
    with started(
        *(*ENDLESS, "--jobs", "2", "--out", folder),
        start_new_session=True,
        # Where the tests themselves run in a shell's background, SIGINT is ignored and children would inherit that.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        wait_for_blocks(process, folder, 3)
        # A second one on the same folder, meanwhile.
        second = run("converge", *ENDLESS, "--jobs", "1", "--out", folder)
        assert second.exit_code == 2
        assert second.stderr.count("\n") == 1
        assert f"{folder}: another process is working in this folder" in second.stderr
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the workers, too
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    lines = said.splitlines()
    assert len(lines) == 2, said
    assert f"finished blocks are kept in {folder}; resume with: theorylab converge " in lines[0]
    assert lines[0].endswith(f"--jobs 2 --out '{folder}'")
    assert lines[1] == "theorylab: interrupted"
    assert len(blocks(folder)) >= 3
    assert not list(folder.glob("**/.*.tmp"))


def test_another_study_in_the_folder_is_refused(uninterrupted):
    before = (uninterrupted / "results.json").read_bytes()
    for change, words in (
        (["--seed", "4"], "seed is 3 there, 4 here"),
        (["--block", "4"], "block is 5 there, 4 here"),
        (["--image", "coffee"], "picture.name is cat there, coffee here; picture.sha256 is"),
    ):
        done = run("converge", *MANY, "--out", uninterrupted, *change)
        assert done.exit_code == 2
        assert done.stderr.count("\n") == 1
        assert f"{uninterrupted}: holds another study: {words}" in done.stderr
    text = json.loads((uninterrupted / "study.json").read_text())
    (uninterrupted / "study.json").write_text(json.dumps(text | {"theorylab": "0.0.9"}))
    try:
        done = run("converge", *MANY, "--out", uninterrupted)
    finally:
        (uninterrupted / "study.json").write_text(json.dumps(text))
    assert "theorylab is 0.0.9 there" in done.stderr
    assert (uninterrupted / "results.json").read_bytes() == before


def test_a_full_disk_ends_in_one_line(tmp_path, monkeypatch, uninterrupted):
    write, calls = os.replace, []

    def full(source, target):
        calls.append(target)
        if len(calls) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(source, target)

    monkeypatch.setattr(_files.os, "replace", full)
    words = ["converge", *MANY, "--jobs", "1", "--out", str(tmp_path / "run")]
    done = run(*words)
    monkeypatch.undo()
    assert done.exit_code == 3
    assert done.stderr.count("\n") == 1
    assert ".npz: cannot be written: No space left on device" in done.stderr
    assert len(blocks(tmp_path / "run")) == 19
    assert run(*words).exit_code == 0
    assert (tmp_path / "run" / "results.json").read_bytes() == (uninterrupted / "results.json").read_bytes()


def test_a_folder_that_cannot_be_written_ends_in_one_line(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", denied)
    done = run("converge", *SMALL, "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert done.stderr == f"theorylab: error: {tmp_path / 'run'}: cannot be written: Permission denied\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--filters", "8,x"], "--filters: expected integers with commas between them, got '8,x'"),
        (
            ["--jobs", "2", "--scheduler", "tcp://127.0.0.1:9"],
            "--jobs: the workers of --scheduler run the networks",
        ),
        (["--image", "nothing.png"], "nothing.png"),
        (["--kernel", "3,5"], "kernel: expected one value"),
    ],
)
def test_bad_options_end_in_one_line(words, message, tmp_path):
    done = run("converge", "--size", "16", "--out", tmp_path / "run", *words)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_json_and_quiet(uninterrupted):
    done = run("converge", *MANY, "--json", "--out", uninterrupted)
    assert done.stdout == (uninterrupted / "results.json").read_text()
    assert run("converge", *MANY, "--out", uninterrupted).output == ""


# A cluster


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def cluster(n_workers):
    """A Dask scheduler and workers as processes of their own; the scheduler is the last of them."""
    pytest.importorskip("distributed")
    address = f"tcp://127.0.0.1:{free_port()}"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    port = address.rpartition(":")[2]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-show"], **quiet
    )
    single = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
    workers = [subprocess.Popen([*dask, "worker", address, *single], **quiet) for _ in range(n_workers)]
    try:
        DaskExecutor(address, timeout=PATIENCE).connect()
        yield address, [*workers, scheduler]
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def test_a_cluster_gives_the_same_bytes_and_survives_a_worker(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    with cluster(2) as (address, workers):
        with started(*MANY, "--scheduler", address, "--out", folder) as process:
            wait_for_blocks(process, folder, 15)
            workers[0].send_signal(signal.SIGKILL)
            _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    assert (folder / "results.json").read_bytes() == (uninterrupted / "results.json").read_bytes()


def test_verify_on_a_cluster_gives_the_same_numbers():
    claims = ["theorem1", "class-insensitivity"]
    with cluster(2) as (address, _):
        there = proofs_checks.verify(claims, budget="quick", scheduler=address)
    assert there.to_json() == proofs_checks.verify(claims, budget="quick", jobs=1).to_json()


def test_a_lost_scheduler_ends_in_one_line_and_keeps_the_blocks(tmp_path):
    folder = tmp_path / "run"
    with (
        cluster(1) as (address, workers),
        started(*ENDLESS, "--scheduler", address, "--out", folder) as process,
    ):
        wait_for_blocks(process, folder, 3)
        workers[-1].send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert said == f"theorylab: error: scheduler {address}: the connection is lost\n"
    assert len(blocks(folder)) >= 3


@contextlib.contextmanager
def answering(reply):
    """A server that is no scheduler: it answers each connection with these bytes, or with silence."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(reply)
            self.request.recv(1)
            closed.wait(20)

    closed = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}"
        finally:
            closed.set()
            server.shutdown()


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", bytes(64), b"\xff" * 64]
)
def test_another_server_is_no_scheduler(reply):
    pytest.importorskip("distributed")
    with answering(reply) as address, pytest.raises(ConnectionError, match=f"scheduler {address}: no answer"):
        DaskExecutor(address, timeout=0.5).connect()


def test_no_scheduler_there_ends_in_one_line(tmp_path):
    """Neither 20 seconds later nor with the traceback of a client that is thrown away; and no folder is made."""
    pytest.importorskip("distributed")
    address = f"tcp://127.0.0.1:{free_port()}"
    with started(*MANY, "--scheduler", address, "--out", tmp_path / "out") as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert said.startswith(f"theorylab: error: scheduler {address}: no answer (")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


@given(
    address=st.text(max_size=12) | st.sampled_from(("tls://127.0.0.1:1", "inproc://x", "tcp://127.0.0.1:x"))
)
@settings(max_examples=20)
def test_no_address_is_one_line(address):
    pytest.importorskip("distributed")
    with pytest.raises(ConnectionError, match=r"\Ascheduler .*: no answer \([^\n]+\)\Z"):
        DaskExecutor(address, timeout=0.3).connect()


def test_more_networks_go_on_with_the_blocks_that_are_there(tmp_path):
    """Also fewer of them, and another precision; the bytes are those of a study that was run in one go."""
    x = picture()
    few, many = ({"n_filters": 8, "kernel": 3, "block": 5, "replicates": n} for n in (20, 35))
    study(x, out=tmp_path / "on", **few)
    before = {file: file.stat().st_mtime_ns for file in blocks(tmp_path / "on")}
    assert study(x, out=tmp_path / "on", **many).points[0].replicates == 35
    study(x, out=tmp_path / "once", **many)
    name = "results.json"
    assert (tmp_path / "on" / name).read_bytes() == (tmp_path / "once" / name).read_bytes()
    assert len(blocks(tmp_path / "on")) == 7
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    assert study(x, out=tmp_path / "on", **few).points[0].replicates == 20
    assert study(x, out=tmp_path / "on", **many, precision=0.9).points[0].precise
    assert len(blocks(tmp_path / "on")) == 7


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install distributed"):
        list(DaskExecutor("tcp://127.0.0.1:1").run(iter([])))
