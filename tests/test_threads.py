"""Pieces on several threads: the same bits for any number of them, and BLAS as it was afterwards."""

import multiprocessing
import threading

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from shell import PATIENCE
from strategies import RULES, dtypes, grids, seeds

from theorylab import sampling, visualize_many
from theorylab.kernels import _threads, conv, dense, magnitude, pool, unit
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import PAPER
from theorylab.networks import resnet50, three_layer_cnn, vgg16
from theorylab.sampling.tiled import TiledSampler


def limits():
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]  # fmt: skip


def for_each_number_of_threads(run):
    """The bytes that `run` returns with one, two and three threads."""
    found = []
    for threads in (1, 2, 3):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            found.append(b"".join(np.ascontiguousarray(array).tobytes() for array in run()))
    return found


def same(run):
    one, two, three = for_each_number_of_threads(run)
    return one == two == three


@given(grid=grids(5), dtype=dtypes, seed=seeds)
def test_layers(grid, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, *grid.input_shape)).astype(dtype)
    weights = rng.standard_normal((3, grid.input_shape[0], *grid.kernel)).astype(dtype)
    gradient = rng.standard_normal((2, 3, *grid.output_shape)).astype(dtype)
    assert same(
        lambda: (
            conv.forward(x, weights, grid),
            conv.backward_input(gradient, weights, grid),
            unit.forward(x),
            unit.backward(x, x[:1], "guided"),
        )
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_of_several_pieces(dtype, monkeypatch):
    rng = np.random.default_rng(0)
    for module, name, value in ((conv, "_PIECE_BYTES", 2**12), (conv, "_NARROW", 1), (conv, "_FILTERS", 2),
                                (dense, "_BLOCK_BYTES", 2**12), (unit, "_PIECE", 50), (magnitude, "_PIECE", 50)):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    x = rng.standard_normal((2, 40, 13, 11)).astype(dtype)
    grid = PatchGrid(x.shape[1:], 5, stride=2, padding=1)
    weights = rng.standard_normal((7, 40, 5, 5)).astype(dtype)
    flat, matrix = x.reshape(2, -1), rng.standard_normal((300, 5720)).astype(dtype)

    def run():
        z = conv.forward(x, weights, grid)
        values, winners = pool.forward(z, MaxPool(2))
        back = pool.backward(values, winners, z.shape[2:])
        wide = dense.forward(flat, matrix)
        return (z, values, winners, back, conv.backward_input(back, weights, grid), wide,
                dense.backward_input(wide, matrix), unit.backward(z, z[:1], "saliency"), magnitude.largest(x))  # fmt: skip

    assert same(run)
    monkeypatch.setattr(conv, "_NARROW", 10**9)  # cut together, then filter by filter
    assert same(run)


@pytest.mark.parametrize("build", [vgg16, resnet50])
def test_deep_networks(build):
    net = build(input_shape=(3, 64, 64), n_logits=7, init="fan-in")
    x = np.random.default_rng(0).standard_normal(net.input_shape)
    assert same(lambda: [visualize_many(net, x, RULES, ["max", 2])])


def test_three_layer_network_and_samplers():
    grid = PatchGrid((3, 20, 20), 5, stride=2)
    x = np.random.default_rng(0).standard_normal(grid.input_shape)

    def run():
        net = three_layer_cnn(grid, 1000, 4, dtype=np.float32)
        tiled = TiledSampler(x, grid, 6000)  # several tiles
        assert grid.output_shape[0] > tiled._rows
        rng = np.random.default_rng(0)
        return (
            visualize_many(net, x, RULES, [0, 3]),
            tiled.draw(rng, list(PAPER), n_readouts=2),
            tiled.draw(rng, list(PAPER)),
            sampling.three_layer_maps(x, grid, "guided", 50, size=2),
        )

    assert same(run)


def test_other_numbers_would_be_seen():
    """The comparison above is of bits: it tells two sums apart that differ in the order of their terms."""
    x = np.random.default_rng(0).standard_normal(999)
    runs = iter((np.sum(x), x[::-1].cumsum()[-1], np.sum(x)))
    assert not same(lambda: [np.array([next(runs)])])


def test_blas_has_one_thread_inside_and_its_own_number_after(monkeypatch):
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = limits()
        seen = []
        _threads.run(lambda i: seen.append(limits()), 4)
        assert all(set(found) == {1} for found in seen), seen
        assert limits() == before

        def fails(number):
            raise ZeroDivisionError(number)

        with pytest.raises(ZeroDivisionError):
            _threads.run(fails, 4)
        assert limits() == before
        with _threads.single_blas() as threads, _threads.single_blas() as inner:
            assert (threads, inner) == (2, 2)
        assert limits() == before


def test_as_many_threads_as_blas_may_use():
    for allowed in (1, 2, 3):
        gate, names = threading.Barrier(allowed, timeout=PATIENCE), set()
        with threadpoolctl.threadpool_limits(allowed, user_api="blas"):

            def piece(number, gate=gate, names=names):
                gate.wait()  # until as many pieces run at once
                names.add(threading.current_thread().name)

            _threads.run(piece, allowed)
        assert len(names) == allowed


def test_a_piece_that_runs_pieces_has_no_more_threads():
    inner = []
    with threadpoolctl.threadpool_limits(2, user_api="blas"):

        def piece(number):
            with _threads.single_blas() as threads:
                inner.append((threading.current_thread().name, threads))

        _threads.run(piece, 8)
    assert {threads for name, threads in inner if name.startswith("theorylab")} <= {1}


def test_callers_side_by_side():
    """Several threads of a user's own: all finish, with one number, and the limits come back."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = limits()
        rng = np.random.default_rng(0)
        x, w = rng.standard_normal((1, 8, 20, 20)), rng.standard_normal((8, 8, 3, 3))
        grid, found = PatchGrid((8, 20, 20), 3), []
        callers = [
            threading.Thread(target=lambda: found.extend(conv.forward(x, w, grid).tobytes() for _ in range(20)))
            for _ in range(4)
        ]  # fmt: skip
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE)
        assert len(found) == 80
        assert len(set(found)) == 1
        assert limits() == before


def _in_a_child(queue):
    grid = PatchGrid((8, 20, 20), 3)
    queue.put(float(conv.forward(np.ones((1, 8, 20, 20)), np.ones((8, 8, 3, 3)), grid).sum()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking beside threads: what is tested here
def test_a_forked_child_works():
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    _threads.run(lambda i: None, 4)  # the parent has threads now
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_a_child, args=(queue,))
    child.start()
    assert queue.get(timeout=PATIENCE) == 8 * 18 * 18 * 72
    child.join(PATIENCE)
    assert child.exitcode == 0


def test_workspace_is_taken_back_and_grows():
    kind = np.dtype(np.float32)
    first = _threads.workspace("test", (4, 5), kind)
    assert np.shares_memory(first, _threads.workspace("test", (20,), kind))
    larger = _threads.workspace("test", (100,), kind)
    assert not np.shares_memory(first, larger)
    assert not np.shares_memory(larger, _threads.workspace("another", (100,), kind))
    others = []
    thread = threading.Thread(target=lambda: others.append(_threads.workspace("test", (100,), kind)))
    thread.start()
    thread.join()
    assert not np.shares_memory(larger, others[0])


@given(dtype=dtypes, seed=seeds)
def test_largest_magnitude(dtype, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((3, 5, 7)).astype(dtype)
    np.testing.assert_array_equal(magnitude.largest(rows), np.abs(rows).max(axis=(1, 2)))
    rows[0, 1, 1], rows[1, 2, 2] = -np.inf, np.nan
    found = magnitude.largest(rows)
    assert np.isinf(found[0])
    assert np.isnan(found[1])
    assert found[2] == np.abs(rows[2]).max()
    assert magnitude.largest(np.empty((2, 0), dtype)).tolist() == [0, 0]


@pytest.mark.parametrize("rule", RULES)
def test_relu_in_place_and_one_image_behind_many_gradients(rule):
    rng = np.random.default_rng(0)
    gradient, y = rng.standard_normal((3, 2, 4, 5)), rng.standard_normal((1, 2, 4, 5))
    expected = unit.backward(gradient, np.broadcast_to(y, gradient.shape).copy(), rule)
    np.testing.assert_array_equal(unit.backward(gradient, y, rule), expected)
    np.testing.assert_array_equal(unit.backward(gradient, y > 0, rule), expected)
    assert unit.backward_into(gradient, y, rule, gradient) is gradient
    np.testing.assert_array_equal(gradient, expected)
    with pytest.raises(ValueError, match="out: expected"):
        unit.backward_into(gradient, y, rule, np.empty((3, 2, 4, 4)))


def test_helpers_treat_overflow_as_their_caller_does():
    """NumPy's handling of floating-point errors belongs to a thread."""
    seen, both = {}, threading.Barrier(2, timeout=PATIENCE)

    def piece(number):
        both.wait()  # each of the two pieces waits for the other: two threads run them
        seen[threading.get_ident()] = np.geterr()["over"]

    with threadpoolctl.threadpool_limits(2, user_api="blas"), np.errstate(over="ignore"):
        _threads.run(piece, 2)
    assert list(seen.values()) == ["ignore", "ignore"]
