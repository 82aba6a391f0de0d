"""Moments that merge, standard errors, and replicates that do not depend on how they are run."""

import functools
import math
import tracemalloc

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from proofs_checks.studies.estimation import EstimationError
from theorylab.montecarlo import ArrayMoments, Statistics, Undetermined, measurement, replicate

SIMULATE = EstimationError(np.linspace(-1, 1, 50), (3, 200), 0.5)


def same(one, other):
    """Bit for bit."""
    assert one.replicates == other.replicates
    assert one.statistics.names == other.statistics.names
    np.testing.assert_array_equal(one.statistics.mean, other.statistics.mean)
    np.testing.assert_array_equal(one.statistics.deviations, other.statistics.deviations)
    assert one.maps.keys() == other.maps.keys()
    for name in one.maps:
        np.testing.assert_array_equal(one.maps[name].mean, other.maps[name].mean)
        np.testing.assert_array_equal(one.maps[name].deviations, other.maps[name].deviations)


def walk(rng, size):
    """A number and a map a replicate."""
    maps = rng.standard_normal((size, 2, 3))
    return measurement(
        {"sum": maps.sum(axis=(1, 2)), "top": maps.max(axis=(1, 2))}, {"m": ArrayMoments.of(maps)}
    )


def gram(rng, size):
    """A product large enough for BLAS to share among threads."""
    a = rng.standard_normal((400, 400))
    return measurement({"g": np.array([(a @ a.T).sum() for _ in range(size)]), "u": rng.random(size)})


@given(seeds, st.integers(1, 40), st.lists(st.integers(1, 39), max_size=5))
def test_moments_in_pieces_are_those_of_numpy(seed, size, cuts):
    rng = np.random.default_rng(seed)
    observations = 3 + rng.standard_normal((size, 2, 4))
    pieces = np.split(observations, sorted(cut for cut in cuts if cut < size))
    added, merged = ArrayMoments.empty((2, 4)), ArrayMoments.empty((2, 4))
    for piece in pieces:
        merged.merge(ArrayMoments.of(piece) if len(piece) else ArrayMoments.empty((2, 4)))
    for one in observations:
        added.add(one)
    for moments in (added, merged, ArrayMoments.of(observations)):
        assert moments.count == size
        np.testing.assert_allclose(moments.mean, observations.mean(axis=0), rtol=1e-13)
        if size > 1:
            variance = observations.var(axis=0, ddof=1)
            np.testing.assert_allclose(moments.variance, variance, rtol=1e-10)
            np.testing.assert_allclose(moments.standard_error, np.sqrt(variance / size), rtol=1e-10)
        else:
            assert np.isnan(moments.variance).all()


@given(seeds, st.integers(1, 30), st.lists(st.integers(1, 29), max_size=4))
def test_statistics_in_pieces_are_those_of_numpy(seed, size, cuts):
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((size + 1, 3)) @ rng.standard_normal((3, 3)) + [1, -2, 30]
    pieces = [p for p in np.split(table, sorted(cut for cut in cuts if cut < size)) if len(p)]
    parts = [Statistics.of(dict(zip("abc", piece.T, strict=True))) for piece in pieces]
    whole = parts[0]
    for part in parts[1:]:
        whole.merge(part)
    assert whole.count == size + 1
    np.testing.assert_allclose(whole.mean, table.mean(axis=0), rtol=1e-11, atol=1e-13)
    expected = np.cov(table.T)
    np.testing.assert_allclose(whole.covariance, expected, rtol=1e-9, atol=1e-12 * abs(expected).max())


@given(seeds)
def test_merging_is_associative_to_rounding(seed):
    rng = np.random.default_rng(seed)
    blocks = [rng.standard_normal((int(size), 5)) for size in rng.integers(1, 20, 3)]
    for make, fields in (
        (ArrayMoments.of, ("mean", "deviations")),
        (
            lambda block: Statistics.of({str(i): column for i, column in enumerate(block.T)}),
            ("mean", "deviations"),
        ),
    ):
        left, right = make(blocks[0]), make(blocks[1])
        left.merge(make(blocks[1]))
        left.merge(make(blocks[2]))
        right.merge(make(blocks[2]))
        first = make(blocks[0])
        first.merge(right)
        assert first.count == left.count
        for field in fields:
            np.testing.assert_allclose(getattr(first, field), getattr(left, field), rtol=1e-11, atol=1e-12)


def test_no_cancellation_under_a_huge_mean():
    """At a mean of 1e9 the naive sum of squares loses all digits of a variance of 1."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((1000, 3))
    far = noise + 1e9
    noise = far - 1e9  # what the addition has left of it
    expected = noise.var(axis=0, ddof=1)
    naive = (far**2).mean(axis=0) - far.mean(axis=0) ** 2
    assert abs(naive / expected - 1).max() > 0.1
    streamed, merged = ArrayMoments.empty((3,)), ArrayMoments.empty((3,))
    for block in np.split(far, 20):
        merged.merge(ArrayMoments.of(block))
        for one in block:
            streamed.add(one)
    named = [Statistics.of({"a": b[:, 0], "b": b[:, 1]}) for b in np.split(far, 20)]
    for other in named[1:]:
        named[0].merge(other)
    for moments in (streamed, merged):
        np.testing.assert_allclose(moments.variance, expected, rtol=1e-5)
    np.testing.assert_allclose(named[0].covariance, np.cov(noise[:, :2].T), rtol=1e-4, atol=1e-5)


def test_merging_nothing_changes_nothing():
    moments = ArrayMoments.of(np.arange(6.0).reshape(3, 2))
    moments.merge(ArrayMoments.empty((2,)))
    assert moments.count == 3
    np.testing.assert_array_equal(moments.mean, [2, 3])


def test_statistics_of_other_names_do_not_merge():
    with pytest.raises(ValueError, match=r"merge: names \('b',\) differ from \('a',\)"):
        Statistics.of({"a": np.ones(2)}).merge(Statistics.of({"b": np.ones(2)}))


def test_standard_error_of_a_mean_and_of_a_linear_function_is_exact():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 50))
    b += a
    sample = Statistics.of({"a": a, "b": b})
    value, error = sample.estimate(lambda m: m["a"])
    assert (value, error) == pytest.approx((a.mean(), a.std(ddof=1) / math.sqrt(50)), rel=1e-9)
    value, error = sample.estimate(lambda m: 3 * m["a"] - 2 * m["b"])
    c = 3 * a - 2 * b
    assert (value, error) == pytest.approx((c.mean(), c.std(ddof=1) / math.sqrt(50)), rel=1e-9)
    assert sample.estimate(lambda m: 7.0) == (7.0, 0.0)


def ratio(m):
    return m["a"] / math.sqrt(m["b"])


def test_standard_error_of_a_ratio_against_simulation_and_bootstrap():
    """Correlated, skew observations: the error is the spread of the estimate over many samples."""
    rng = np.random.default_rng(2)

    def sample(n):
        g = rng.standard_normal((2, n))
        return 2 + 0.5 * g[0], (1 + 0.3 * g[0] + 0.5 * g[1]) ** 2 + 1

    repeats = 1500
    values, errors = np.array(
        [Statistics.of(dict(zip("ab", sample(300), strict=True))).estimate(ratio) for _ in range(repeats)]
    ).T
    spread = values.std(ddof=1)
    # The relative standard error of a standard deviation of 1500 nearly normal values is 1/√(2·1499).
    assert abs(errors.mean() / spread - 1) < 4 / math.sqrt(2 * (repeats - 1))
    a, b = sample(300)
    picks = rng.integers(0, 300, (1500, 300))
    bootstrap = (a[picks].mean(axis=1) / np.sqrt(b[picks].mean(axis=1))).std(ddof=1)
    _, error = Statistics.of({"a": a, "b": b}).estimate(ratio)
    # Five standard errors of the bootstrap, and (n − 1)/n between the two variances.
    assert abs(error / (bootstrap * math.sqrt(300 / 299)) - 1) < 5 / math.sqrt(2 * 1499)


@given(
    st.lists(st.floats(-2, 2), min_size=2, max_size=8).filter(lambda a: np.ptp(a) > 1e-3),
    st.sampled_from(
        (
            lambda a: math.sqrt(a),
            lambda a: math.log(a),
            lambda a: 1 / max(a, 0.0),
            lambda a: math.exp(1e3 * (a > 0)),
        )
    ),
)
def test_a_number_without_a_value_within_a_standard_error_is_named(observations, function):
    """Never an accident of arithmetic: either it has a value at both steps, or it is undetermined."""
    sample = Statistics.of({"a": np.array(observations)})
    value, error = sample.estimate(lambda m: m["a"])
    try:
        inside = all(math.isfinite(function(at)) for at in (value - error, value, value + error))
    except (ValueError, ArithmeticError):
        inside = False
    if inside:
        assert all(map(math.isfinite, sample.estimate(lambda m: function(m["a"]))))
    else:
        with pytest.raises(Undetermined, match=f"the means of {len(observations)} replicates"):
            sample.estimate(lambda m: function(m["a"]))


@pytest.mark.parametrize("numbers", [{"a": np.array([])}, {"a": []}, []])
def test_no_replicate_is_no_measurement(numbers):
    with pytest.raises(ValueError, match=r"numbers: expected .*one"):
        measurement(numbers)


def test_one_replicate_has_no_standard_error():
    with pytest.raises(ValueError, match="estimate: needs at least two replicates"):
        Statistics.of({"a": np.ones(1)}).estimate(lambda m: m["a"])


def test_number_of_worker_processes_changes_no_bit():
    alone, together = (replicate(SIMULATE, 60, block=10, seed=3, jobs=jobs) for jobs in (1, 2))
    same(alone, together)
    same(alone, replicate(SIMULATE, 60, block=10, seed=3, jobs=5))


def test_number_of_blas_threads_changes_no_bit():
    found = []
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads, user_api="blas"):
            found.append(replicate(gram, 4, block=2, seed=1))
    same(*found)


def threads_inside(rng, size):
    pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return measurement({"threads": np.full(size, float(max(pools)))})


def test_blocks_run_with_one_blas_thread_and_leave_the_limit_as_it_was():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = threadpoolctl.threadpool_info()
        assert replicate(threads_inside, 2, block=1, seed=0).statistics.mean[0] == 1
        assert threadpoolctl.threadpool_info() == before


def test_more_replicates_keep_the_earlier_blocks():
    short, long = (replicate(walk, size, block=4, seed=9) for size in (8, 12))
    seen = []

    def spy(rng, size):
        block = walk(rng, size)
        seen.append(block.statistics.mean.copy())
        return block

    replicate(spy, 12, block=4, seed=9)
    third = replicate(walk, 12, block=4, seed=9)
    same(long, third)
    np.testing.assert_allclose(np.mean(seen[:2], axis=0), short.statistics.mean, rtol=1e-13)
    np.testing.assert_allclose(np.mean(seen, axis=0), long.statistics.mean, rtol=1e-13)
    assert len(np.unique(seen, axis=0)) == 3
    assert (short.statistics.mean != replicate(walk, 8, block=4, seed=10).statistics.mean).all()


def test_whole_blocks_are_run():
    assert replicate(walk, 1, block=4, seed=0).replicates == 4
    assert replicate(walk, 9, block=4, seed=0).replicates == 12
    study = replicate(walk, 9, block=4, seed=0)
    assert study.maps["m"].count == 12
    assert study.maps["m"].mean.sum() == pytest.approx(study.statistics.mean[0], rel=1e-12)


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress(jobs):
    calls = []
    progress = lambda *call: calls.append(call)  # noqa: E731
    replicate(SIMULATE, 25, block=10, seed=0, jobs=jobs, name="maps", progress=progress)
    assert calls == [("maps", 10, 30), ("maps", 20, 30), ("maps", 30, 30)]


def test_seeds_of_every_kind():
    by_integer = replicate(walk, 4, block=2, seed=5)
    same(by_integer, replicate(walk, 4, block=2, seed=np.random.SeedSequence(5)))
    rng = np.random.default_rng(5)
    first, second = (replicate(walk, 4, block=2, seed=rng) for _ in range(2))
    assert (first.statistics.mean != second.statistics.mean).all()
    same(first, replicate(walk, 4, block=2, seed=np.random.default_rng(5)))


def big_map(shape, rng, size):
    moments = ArrayMoments.empty(shape)
    for _ in range(size):
        moments.add(rng.standard_normal(shape))
    return measurement({"a": rng.random(size)}, {"m": moments})


def peak(replicates):
    simulate = functools.partial(big_map, (100, 100))
    tracemalloc.start()
    try:
        replicate(simulate, replicates, block=2, seed=0)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_replicates():
    """Keeping the maps of 300 blocks would take 2 × 80 kB each: 48 MB."""
    peak(4)  # imports and caches
    few, many = peak(20), peak(600)
    assert many < few + 5 * 80_000
    assert many < 30 * 80_000


def fails(rng, size):
    raise ValueError("out of filters")


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_a_block_is_raised(jobs):
    with pytest.raises(ValueError, match="out of filters"):
        replicate(fails, 4, block=1, seed=0, jobs=jobs)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"replicates": 0}, ValueError, "replicates: expected at least 1"),
        ({"replicates": 2.0}, TypeError, "replicates: expected an integer"),
        ({"block": 0}, ValueError, "block: expected at least 1"),
        ({"jobs": 0}, ValueError, "jobs: expected at least 1"),
        ({"jobs": True}, TypeError, "jobs: expected an integer"),
        ({"seed": None}, TypeError, "seed: expected an integer"),
        ({"seed": -1}, ValueError, "seed: expected an integer of at least 0"),
    ],
)
def test_bad_input(change, error, message):
    settings = {"replicates": 2, "block": 1, "seed": 0} | change
    with pytest.raises(error, match=message):
        replicate(walk, settings.pop("replicates"), **settings)


@given(st.integers(1, 12), st.integers(1, 5), st.integers(-4, 4))
def test_a_simulation_measures_as_many_as_it_is_asked_for(replicates, block, more):
    def simulate(rng, size):
        return measurement({"a": np.zeros(max(1, size + more))})

    if max(1, block + more) == block:  # whole blocks
        assert (
            replicate(simulate, replicates, block=block, seed=0).replicates == -(-replicates // block) * block
        )
        return
    with pytest.raises(
        ValueError, match=f"simulate: expected {block} replicates, got {max(1, block + more)}$"
    ):
        replicate(simulate, replicates, block=block, seed=0)


@pytest.mark.parametrize("returned", [{"a": np.zeros(5)}, None, [1.0], np.zeros(5), 3])
def test_a_simulation_returns_a_measurement(returned):
    with pytest.raises(TypeError, match=r"^simulate: expected a Measurement, .*measurement makes, got \w+"):
        replicate(lambda rng, size: returned, 10, block=5, seed=0)
