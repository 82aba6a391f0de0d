import math
import pickle
import tracemalloc

import naive
import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from strategies import RULES, dtypes, grids, image_with_zeros, seeds

from theorylab.model.laws import Gaussian, TruncatedGaussian
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.networks import (
    DrawnRows,
    GraphNetwork,
    StoredRows,
    ThreeLayerNetwork,
    graph,
    three_layer_cnn,
    three_layer_fcn,
)
from theorylab.networks.batches import batch_maps
from theorylab.networks.nodes import Activation, Conv, Dense, Flatten, Input
from theorylab.networks.parameters import trace_shapes


def small_network(grid, seed, dtype=np.float64, hidden_bias=0.0):
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal((3, grid.input_shape[0], *grid.kernel)).astype(dtype)
    readout = rng.standard_normal((4, 3, *grid.output_shape)).astype(dtype)
    net = ThreeLayerNetwork(grid, filters, readout, hidden_bias=hidden_bias)
    return net, filters, readout, image_with_zeros(rng, grid.input_shape, dtype)


@given(grids(5), dtypes, seeds)
def test_maps_and_logits_equal_eq_4_by_loops(grid, dtype, seed):
    bias = (seed % 3 - 1) * 0.5
    net, filters, readout, x = small_network(grid, seed, dtype, bias)
    close = {"rtol": 0, "atol": 1e-11 if dtype == np.float64 else 1e-3}
    trace = net.forward(x)
    maps = net.backward(trace, np.eye(4)[[2, 0]], RULES)
    assert maps.dtype == trace.logits.dtype == dtype
    np.testing.assert_allclose(
        trace.logits, naive.logits(x, filters, readout, grid.stride, grid.padding, bias), **close
    )
    for r, rule in enumerate(RULES):
        for t, logit in enumerate((2, 0)):
            expected = naive.three_layer_map(
                x, filters, readout[logit], grid.stride, grid.padding, rule, bias
            )
            np.testing.assert_allclose(maps[r, t], expected, **close)


@given(grids(), seeds)
def test_saliency_is_homogeneous(grid, seed):
    net, _, _, x = small_network(grid, seed)
    trace = net.forward(x)
    maps = net.backward(trace, np.eye(4), ["saliency"])[0]
    products = (maps * x).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(products, trace.logits, rtol=1e-10, atol=1e-10)


def test_many_backward_passes_in_steps_are_the_same(monkeypatch):
    net, _, _, x = small_network(PatchGrid((2, 6, 6), 3), 8)
    together = net.backward(net.forward(x), np.eye(4), RULES)
    monkeypatch.setattr(graph, "_BACKWARD_BYTES", 1)
    np.testing.assert_allclose(net.backward(net.forward(x), np.eye(4), RULES), together, atol=1e-13)
    assert net.backward(net.forward(x), np.empty((0, 4)), RULES).shape == (3, 0, 2, 6, 6)
    assert net.backward(net.forward(x), np.eye(4), []).shape == (0, 4, 2, 6, 6)


def test_gradient_of_zeros_gives_a_zero_map():
    net, _, _, x = small_network(PatchGrid((1, 5, 5), 2), 0)
    assert not net.backward(net.forward(x), np.zeros((1, 4)), RULES).any()


def test_fcn_is_one_patch():
    net = three_layer_fcn((2, 4, 3), n_hidden=7, n_logits=5, law=Gaussian(1.0), seed=3)
    assert net.filters.shape == (7, 2, 4, 3)
    assert net.readout_rows.shape == (5, 7, 1, 1)
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    weights, readout = net.filters.reshape(7, -1), net.readout_rows.array().reshape(5, 7)
    hidden = weights @ x.ravel()
    np.testing.assert_allclose(net.logits(x), readout @ np.maximum(hidden, 0), atol=1e-12)
    maps = net.backward(net.forward(x), np.eye(5)[[1]], RULES)[:, 0].reshape(3, -1)
    v, mask = readout[1], hidden > 0
    expected = [(v * mask) @ weights, np.maximum(v, 0) @ weights, (np.maximum(v, 0) * mask) @ weights]
    np.testing.assert_allclose(maps, expected, atol=1e-12)


# --- weights that are drawn ---


def test_streamed_and_kept_weights_are_the_same_numbers():
    grid, x = PatchGrid((2, 6, 6), 3), np.random.default_rng(0).standard_normal((2, 6, 6))
    for dtype in (np.float32, np.float64):
        kept = three_layer_cnn(grid, 5, 7, seed=4, dtype=dtype)
        drawn = three_layer_cnn(grid, 5, 7, seed=4, dtype=dtype, memory_limit=1)
        np.testing.assert_array_equal(kept.filters, [drawn.filter_rows.row(i) for i in range(5)])
        np.testing.assert_array_equal(kept.readout_rows.array()[6], drawn.readout_rows.row(6))
        np.testing.assert_allclose(
            kept.logits(x), drawn.logits(x), rtol=2e-5 if dtype == np.float32 else 1e-12
        )
        seeds_ = np.random.default_rng(1).standard_normal((2, 7))
        np.testing.assert_allclose(
            kept.backward(kept.forward(x), seeds_, RULES),
            drawn.backward(drawn.forward(x), seeds_, RULES),
            rtol=0,
            atol=1e-6 if dtype == np.float32 else 1e-14,
        )
        assert kept.logits(x).dtype == kept.filters.dtype == dtype


def rows(count=6, limit=None, seed=0):
    return DrawnRows(
        TruncatedGaussian(0.1),
        count,
        (3, 4),
        np.random.SeedSequence(seed),
        memory_limit=limit,
    )


def test_rows_have_their_own_streams():
    whole = rows().array()
    np.testing.assert_array_equal(rows().row(5), whole[5])
    backwards = [rows(limit=1).row(k) for k in reversed(range(6))]
    np.testing.assert_array_equal(backwards[::-1], whole)
    np.testing.assert_array_equal(rows(count=9).array()[:6], whole)  # more logits change none
    assert len({row.tobytes() for row in whole}) == 6
    assert not np.array_equal(rows(seed=1).array(), whole)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("limit", [1, 96 * 8, None])
def test_blocks_do_not_depend_on_threads_or_limit(threads, limit):
    whole = rows().array()
    for wanted in (None, np.array([5, 0, 3])):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            found = list(rows(limit=limit).blocks(wanted))
        np.testing.assert_array_equal(
            np.concatenate([i for i, _ in found]), np.arange(6) if wanted is None else wanted
        )
        np.testing.assert_array_equal(
            np.concatenate([block for _, block in found]), whole if wanted is None else whole[wanted]
        )
        if limit == 1:
            assert {len(block) for _, block in found} == {1}


def test_small_weights_are_drawn_once_and_read_only():
    drawn = rows()
    assert next(drawn.blocks())[1] is drawn.array()
    with pytest.raises(ValueError, match="read-only"):
        drawn.array()[0] = 0


def test_large_weights_refuse_to_be_one_array():
    with pytest.raises(ValueError, match=r"memory_limit.*blocks\(\)"):
        rows(limit=575).array()  # 6 * 12 * 8 = 576 bytes
    assert rows(limit=576).array().shape == (6, 3, 4)
    with pytest.raises(ValueError, match="memory_limit"):
        _ = three_layer_cnn(PatchGrid((1, 5, 5), 3), memory_limit=1).filters
    with pytest.raises(IndexError, match="row 6 of 6"):
        rows().row(6)


def test_memory_stays_bounded():
    # 200 readouts of 8 * 30 * 30 doubles are 11.5 MB, 58 kB each; a quarter of the limit holds four.
    net = three_layer_cnn(PatchGrid((1, 32, 32), 3), 8, 200, memory_limit=2**20)
    x = np.random.default_rng(0).standard_normal((1, 32, 32))
    tracemalloc.start()
    try:
        net.logits(x)
        streamed = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        three_layer_cnn(PatchGrid((1, 32, 32), 3), 8, 200).logits(x)
        kept = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert streamed < 2 * 2**20 < 11 * 2**20 < kept


def test_one_logit_draws_one_readout():
    net = three_layer_cnn(PatchGrid((1, 6, 6), 3), 4, 10**9, seed=1)  # never drawn in full: 512 GB
    assert net.readout_rows.row(10**9 - 1).shape == (4, 4, 4)
    alone = net.forward(np.ones((1, 6, 6))).logit(10**9 - 1)
    wide = three_layer_cnn(PatchGrid((1, 6, 6), 3), 4, 2, seed=1).forward(np.ones((1, 6, 6)))
    assert math.isfinite(alone)
    assert alone != wide.logit(1)


@pytest.mark.parametrize("pool", [None, MaxPool(2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("limit", [1, None])
def test_one_logit_is_that_of_all_bit_by_bit(limit, dtype, pool):
    net = three_layer_cnn(PatchGrid((3, 9, 8), 3), 5, 7, pool, memory_limit=limit, dtype=dtype)
    x = np.random.default_rng(4).standard_normal((3, 9, 8))
    trace = net.forward(x)
    alone = [trace.logit(k) for k in range(7)]
    assert "logits" not in vars(trace)
    np.testing.assert_array_equal(alone, trace.logits)
    np.testing.assert_array_equal([trace.logit(k) for k in range(7)], trace.logits)
    assert alone[0].dtype == dtype
    with pytest.raises(IndexError):
        trace.logit(7)


def test_progress_while_the_readout_is_read():
    # A readout takes 2 * 2 * 2 * 8 = 64 bytes; a quarter of the limit holds two of the five.
    net = three_layer_cnn(PatchGrid((1, 4, 4), 3), 2, 5, memory_limit=512 // 2)
    told = []
    trace = net.forward(np.ones((1, 4, 4)), progress=lambda *numbers: told.append(numbers))
    assert told == []
    first = trace.logits
    steps = [(0, 5), *((done, 5) for done in range(1, 6))]
    assert told == steps
    trace.logit(2)
    assert trace.logits is first
    assert told == steps
    np.testing.assert_array_equal(net.logits(np.ones((1, 4, 4))), first)
    kept = three_layer_cnn(PatchGrid((1, 4, 4), 3), 2, 5)
    told.clear()
    np.testing.assert_array_equal(
        kept.forward(np.ones((1, 4, 4)), progress=lambda *numbers: told.append(numbers)).logits, first
    )
    assert told == [(0, 5), (5, 5)]


def test_filters_and_readouts_follow_their_laws():
    net = three_layer_cnn(
        PatchGrid((3, 12, 12), 5), 64, 20, law=TruncatedGaussian(0.1), readout_law=Gaussian(10.0), seed=2
    )
    for weights, law in ((net.filters, TruncatedGaussian(0.1)), (net.readout_rows.array(), Gaussian(10.0))):
        squares = weights.ravel() ** 2
        assert abs(squares.mean() - law.variance) < 4.5 * squares.std() / squares.size**0.5
    same = three_layer_cnn(PatchGrid((1, 5, 5), 3), 9, 2, law=Gaussian(1.0))
    assert not np.array_equal(same.filters[0].ravel(), same.readout_rows.row(0)[0].ravel())


def test_seeds():
    grid = PatchGrid((1, 5, 5), 3)
    first = three_layer_cnn(grid, 3, 2, seed=1).filters
    np.testing.assert_array_equal(first, three_layer_cnn(grid, 3, 2, seed=1).filters)
    assert not np.array_equal(first, three_layer_cnn(grid, 3, 2, seed=2).filters)
    rng = np.random.default_rng(1)
    one, two = (three_layer_cnn(grid, 3, 2, seed=rng).filters for _ in range(2))
    assert not np.array_equal(one, two)


# --- rows in any graph ---


def deep(kind):
    """Two convolutions, a hidden dense layer and biases; all weights in arrays, in stored or in drawn rows."""
    nodes = [
        Input("x", (2, 6, 5)),
        Conv("first", "x", 3, 3, padding=1),
        Activation("unit1", "first"),
        Conv("second", "unit1", 4, 2, bias=False),
        Activation("unit2", "second"),
        Flatten("flat", "unit2"),
        Dense("hidden", "flat", 6),
        Activation("unit3", "hidden"),
        Dense("logits", "unit3", 5),
    ]
    parameters = {}
    for key, (name, shape) in enumerate(trace_shapes(nodes)[1].items()):
        drawn = DrawnRows(
            Gaussian(1.0),
            shape[0],
            shape[1:],
            np.random.SeedSequence(key),
            memory_limit=10**6 if kind == "array" else 90,
        )
        as_rows = kind == "drawn" and len(shape) > 1
        parameters[name] = drawn if as_rows else np.array([drawn.row(k) for k in range(shape[0])])
        if kind == "stored" and len(shape) > 1:
            parameters[name] = StoredRows(parameters[name])
    return GraphNetwork(nodes, parameters)


@pytest.mark.parametrize("kind", ["stored", "drawn"])
def test_rows_in_any_graph_are_its_arrays(kind):
    arrays, net = deep("array"), deep(kind)
    assert (len(net.parameters), len(net.rows)) == (3, 4)
    pictures = np.random.default_rng(2).standard_normal((3, 2, 6, 5))
    x = pictures[0]
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(net.logits(x), arrays.logits(x), **close)
    trace = net.forward(x)
    assert "logits" not in vars(trace)
    np.testing.assert_array_equal([trace.logit(k) for k in range(5)], net.logits(x))
    np.testing.assert_array_equal(net.forward(x, keep=["logits"]).activations["logits"], trace.logits)
    gradients = np.random.default_rng(3).standard_normal((2, 5))
    expected = arrays.layer_gradients(arrays.forward(x), gradients, RULES, ["x", "unit1", "flat"])
    found = net.layer_gradients(trace, gradients, RULES, ["x", "unit1", "flat"])
    for name, (values, exponents) in expected.items():
        np.testing.assert_allclose(found[name][0], values, **close)
        np.testing.assert_array_equal(found[name][1], exponents)
    indices = np.array([[0, 4], [1, 1], [2, 3]])
    np.testing.assert_allclose(
        batch_maps(net, pictures, indices, RULES), batch_maps(arrays, pictures, indices, RULES), **close
    )
    other = net.with_parameters({"hidden.weight": np.zeros((6, 80))})
    assert set(other.rows) == set(net.rows) - {"hidden.weight"}
    assert len(set(other.logits(x))) == 5  # what is left are biases


def test_drawn_readouts_serve_all_rules_at_once(monkeypatch):
    net = three_layer_cnn(PatchGrid((1, 6, 6), 3), 4, 6, memory_limit=1)
    drawn = []
    row = DrawnRows.row
    monkeypatch.setattr(DrawnRows, "row", lambda rows, index: drawn.append((rows, index)) or row(rows, index))
    trace = net.forward(np.ones((1, 6, 6)))
    net.backward(trace, np.eye(6)[[4, 1]], RULES)
    assert sorted(index for rows, index in drawn if rows is net.readout_rows) == [1, 4]


def test_a_network_of_rows_can_be_sent_to_another_process():
    net = three_layer_cnn(PatchGrid((1, 6, 6), 3), 4, 6, MaxPool(2), hidden_bias=0.5, memory_limit=1)
    sent = pickle.loads(pickle.dumps(net))
    x = np.random.default_rng(0).standard_normal((1, 6, 6))
    assert (type(sent), sent.grid, sent.pool, sent.hidden_bias) == (type(net), net.grid, net.pool, 0.5)
    np.testing.assert_array_equal(sent.logits(x), net.logits(x))
    with pytest.raises(TypeError):
        sent.parameters["filters.bias"] = np.ones(4)


def test_rows_that_do_not_fit():
    nodes = [Input("x", (1, 2, 2)), Flatten("flat", "x"), Dense("fc", "flat", 2)]
    weight, bias = StoredRows(np.ones((2, 4))), np.zeros(2)
    for change, error, message in (
        (
            {"fc.weight": StoredRows(np.ones((2, 5)))},
            ValueError,
            r"fc\.weight: expected shape \(2, 4\), got \(2, 5\)",
        ),
        ({"fc.weight": StoredRows(np.ones((2, 4), np.float32))}, ValueError, "one dtype for all"),
        ({"fc.bias": StoredRows(np.ones(2))}, TypeError, r"fc\.bias: expected an array, got StoredRows"),
    ):
        with pytest.raises(error, match=message):
            GraphNetwork(nodes, {"fc.weight": weight, "fc.bias": bias, **change})
    GraphNetwork(nodes, {"fc.weight": StoredRows(np.ones((2, 1, 2, 2))), "fc.bias": bias})


# --- bad input ---


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"filters": np.ones((3, 1, 2, 3))}, ValueError, r"filters: expected \(N, 1, 2, 2\)"),
        ({"filters": np.ones((2, 2))}, ValueError, "filters: expected four axes"),
        ({"filters": np.full((3, 1, 2, 2), np.nan)}, ValueError, "filters: not finite"),
        ({"filters": np.ones((3, 1, 2, 2), complex)}, TypeError, "filters"),
        ({"readout": np.ones((4, 2, 3, 3))}, ValueError, r"readout: expected \(K, 3, 3, 3\)"),
        ({"readout": np.ones((0, 3, 3, 3))}, ValueError, "readout: expected four axes"),
        ({"readout": np.ones((4, 3, 3, 3), np.float32)}, ValueError, "readout: dtype float32"),
        ({"hidden_bias": np.inf}, ValueError, "hidden_bias"),
        ({"hidden_bias": "1"}, TypeError, "hidden_bias"),
    ],
)
def test_networks_that_do_not_fit(change, error, message):
    arguments = {"filters": np.ones((3, 1, 2, 2)), "readout": np.ones((4, 3, 3, 3))}
    with pytest.raises(error, match=message):
        ThreeLayerNetwork(PatchGrid((1, 4, 4), 2), **{**arguments, **change})


def test_arguments_that_do_not_fit():
    grid = PatchGrid((1, 4, 4), 2)
    net, x = three_layer_cnn(grid, 3, 4), np.ones((1, 4, 4))
    with pytest.raises(ValueError, match=r"^x: expected shape"):
        net.logits(np.ones((1, 4, 5)))
    with pytest.raises(ValueError, match=r"^x: not finite"):
        net.forward(np.full((1, 4, 4), np.inf))
    trace = net.forward(x)
    for gradients in (np.ones((1, 3)), np.ones(4), np.full((1, 4), np.nan)):
        with pytest.raises(ValueError, match=r"^logit_gradients"):
            net.backward(trace, gradients, RULES)
    with pytest.raises(ValueError, match="unknown rule"):
        net.backward(trace, np.eye(4), ["grad"])
    for change, error in (
        ({"n_filters": 0}, ValueError), ({"n_logits": 2.0}, TypeError), ({"dtype": np.float16}, ValueError),
        ({"seed": None}, TypeError), ({"memory_limit": 0}, ValueError),
    ):  # fmt: skip
        with pytest.raises(error, match=next(iter(change))):
            three_layer_cnn(grid, **change)
    with pytest.raises(ValueError, match="n_hidden"):
        three_layer_fcn((1, 4, 4), n_hidden=0)
    with pytest.raises(ValueError, match="input_shape"):
        three_layer_fcn((4, 4))


def test_stored_rows():
    stored = StoredRows(np.arange(6.0).reshape(3, 2))
    assert [i.tolist() for i, _ in stored.blocks(np.array([2, 0]))] == [[2, 0]]
    assert next(stored.blocks(np.array([2, 0])))[1].tolist() == [[4, 5], [0, 1]]
    assert list(stored.blocks(np.array([], dtype=int))) == []
    assert stored.row(1).tolist() == [2, 3]
