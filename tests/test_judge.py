"""Where a judgement turns: at the level, at the tolerance and at the edges of a margin, and by which errors."""

import dataclasses
import functools
import math
import types

import numpy as np
import pytest
from scipy import stats as scipy_stats

import proofs_checks
from proofs_checks import judge, referee
from proofs_checks.bench import Bench
from proofs_checks.claim import Outcome, decide
from proofs_checks.judge import (
    FALSE_ALARM_PROBABILITY,
    LOOKS,
    RESERVE,
    Judge,
    Undecidable,
    Wrong,
    common_share,
    weighted_slope,
)
from proofs_checks.referee import Evidence
from proofs_checks.results import ClaimResult, Margin, Verdict, Verification
from theorylab import montecarlo
from theorylab.stats import bounded_interval, detectable_effect, interval

LEVEL = 1e-6


def ruled(margin, *evidence, **more):
    return referee.rule(margin, Evidence(*evidence, **more), LEVEL)


def test_a_p_value_is_that_of_the_t_test_on_the_replicates():
    sample = np.random.default_rng(0).normal(2.0, 0.1, 7)
    found = Judge(level=LEVEL).moment("n", montecarlo.measurement({"a": sample}), "a", 1.9, Wrong("w", 2.3))
    assert found.p_value == pytest.approx(scipy_stats.ttest_1samp(sample, 1.9).pvalue, rel=1e-9)
    assert found.negative_control.p_value == pytest.approx(
        scipy_stats.ttest_1samp(sample, 2.3).pvalue, rel=1e-9
    )


def test_a_p_value_at_the_level_is_no_rejection():
    first = Judge(level=LEVEL).judge("n", "moment", 1.0, 0.1, 9, 1.2, Wrong("w", 1.3))
    at_law = Judge(level=first.p_value).judge("n", "moment", 1.0, 0.1, 9, 1.2, Wrong("w", 1.3))
    assert at_law.passed
    assert at_law.negative_control.rejected
    assert (
        not Judge(level=math.nextafter(first.p_value, 1)).judge(*judged(first), 1.2, Wrong("w", 1.3)).passed
    )
    p_value = first.negative_control.p_value
    at_wrong = Judge(level=p_value).judge(*judged(first), 1.2, Wrong("w", 1.3))
    assert not at_wrong.negative_control.rejected
    above = Judge(level=math.nextafter(p_value, 1)).judge(*judged(first), 1.2, Wrong("w", 1.3))
    assert above.negative_control.rejected


def judged(check):
    return check.name, check.kind, *check.measured


def test_an_error_at_the_tolerance_of_an_identity_is_within_it():
    one, error = [np.array([1.0])], 2.0**-34  # no rounding
    off = [np.array([1 + error])]
    at = Judge(level=LEVEL).identity("n", one, off, "w", off, tolerance=error)
    assert (at.passed, at.p_value) == (True, 1.0)
    assert (at.negative_control.rejected, at.negative_control.p_value) == (False, 1.0)
    above = Judge(level=LEVEL).identity("n", one, off, "w", off, tolerance=math.nextafter(error, 0))
    assert (above.passed, above.p_value) == (False, 0.0)
    assert (above.negative_control.rejected, above.negative_control.p_value) == (True, 0.0)


def test_a_slope_is_that_of_weighted_least_squares():
    rng = np.random.default_rng(1)
    x, errors = np.log([16.0, 64.0, 256.0, 1024.0]), np.array([0.3, 0.1, 0.2, 0.05])
    y = 3 - 0.5 * x + errors * rng.standard_normal(4)
    slope, error = weighted_slope(x, y, errors)
    coefficients, covariance = np.polyfit(x, y, 1, w=1 / errors, cov="unscaled")
    assert slope == pytest.approx(coefficients[0], rel=1e-9)
    assert error == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-9)


def test_a_slope_has_the_degrees_of_freedom_of_its_smallest_study():
    rng = np.random.default_rng(2)
    studies = {
        size: montecarlo.measurement({"a": size**-0.5 * rng.normal(1.0, 0.05, count)})
        for size, count in ((16, 300), (64, 20), (256, 300))
    }
    found = Judge(level=LEVEL).slope("n", studies, lambda mean: mean["a"], -0.5, Wrong("w", -1.0))
    assert found.replicates == 20
    beyond = abs(found.estimate + 0.5) / found.standard_error
    assert found.p_value == pytest.approx(2 * scipy_stats.t.sf(beyond, 19), rel=1e-9)


def test_a_wrong_law_just_at_the_edge_of_what_is_seen_is_not_sure_to_be_rejected():
    edge = detectable_effect(0.01, 1.0, 399, level=LEVEL, power=1 - FALSE_ALARM_PROBABILITY)
    at, beyond = Wrong("at", edge), Wrong("beyond", math.nextafter(edge, 1))
    choose = functools.partial(
        Judge(level=LEVEL).choose, expected=0.0, error=0.01, replicates=400, level=LEVEL
    )
    assert choose(at) == (at, False)
    assert choose((at, beyond)) == (beyond, True)


def test_a_share_that_never_varied_is_decided_as_replicates_grow_and_not_their_squares():
    found = ruled(Margin("m", low=0.01), 0.0, 0.0, 100, share=True)
    low, high = bounded_interval(0.0, 0.0, 100, confidence=1 - LEVEL)
    assert found.factor == pytest.approx((high - low) / 2 / 0.01, rel=1e-9)


def test_an_undecided_quantity_says_what_it_lacks():
    """A wide interval more networks, a law that its check did not confirm that, and a quantity that is decided nothing."""
    margin, bounds = Margin("cosine", low=0.9), (0.8, 0.95)
    say = lambda *given, **more: referee._sentence(referee.Ruling(margin, *given, **more))  # noqa: E731
    assert "times as many networks" in say(0.88, *bounds, Verdict.UNDECIDED, factor=3.0)
    assert "was not confirmed" in say(0.88, *bounds, Verdict.UNDECIDED, factor=math.nan)
    assert say(0.95, 0.94, 0.96, Verdict.HOLDS, factor=math.nan) == ""


def test_studies_that_are_looked_at_together_are_complete_together():
    shares = lambda *numbers: [types.SimpleNamespace(share=number) for number in numbers]  # noqa: E731
    assert common_share(shares(1.0, 1.0)) == 1
    assert common_share(shares(0.25, 0.5)) == 0.5
    assert 0.5 < common_share(shares(0.5, 1.0)) < 1


def test_what_was_measured_without_error_is_a_point():
    on_the_edge = Margin("share", low=0.25, high=0.5)
    for estimate, verdict in ((0.25, Verdict.HOLDS), (0.5, Verdict.HOLDS), (0.75, Verdict.REFUTED)):
        found = ruled(on_the_edge, estimate, 0.0, 1)
        assert (found.low, found.high, found.verdict) == (estimate, estimate, verdict)


def test_an_interval_that_touches_the_margin_decides_nothing():
    measured = 0.5, 0.01, 30
    seen = ruled(Margin("m"), *measured)
    assert ruled(Margin("m", low=seen.high), *measured).verdict is Verdict.UNDECIDED
    assert ruled(Margin("m", low=math.nextafter(seen.high, 1)), *measured).verdict is Verdict.REFUTED
    assert ruled(Margin("m", high=seen.low), *measured).verdict is Verdict.UNDECIDED
    assert ruled(Margin("m", high=math.nextafter(seen.low, 0)), *measured).verdict is Verdict.REFUTED
    inside = Margin("m", low=seen.low, high=seen.high)
    assert ruled(inside, *measured).verdict is Verdict.HOLDS


def test_an_estimate_on_the_edge_is_decided_by_no_number_of_networks():
    found = ruled(Margin("m", low=0.5), 0.5, 0.01, 30)
    assert (found.verdict, found.factor) == (Verdict.UNDECIDED, math.inf)


def test_the_nearer_edge_decides():
    found = ruled(Margin("m", low=0.0, high=0.5), 0.4, 0.1, 10**6)
    half = (found.high - found.low) / 2
    assert found.factor == pytest.approx((half / 0.1) ** 2, rel=1e-9)


def test_verdicts_have_a_level_corrected_for_all_of_the_registry():
    """The width of an interval says at which confidence it was made: for each verdict its part of the whole probability."""
    (claim,) = proofs_checks.verify(["error-rate"], budget="quick", jobs=1).claims
    check, ruling = claim.checks[0], claim.rulings[0]
    assert ruling.estimate == check.estimate
    reach = (ruling.high - ruling.estimate) / check.standard_error
    count = sum(len(other.margins) for other in proofs_checks.registry())
    expected = FALSE_ALARM_PROBABILITY / RESERVE / count
    assert 2 * scipy_stats.t.sf(reach, check.replicates - 1) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [20, 500])
def test_the_interval_of_a_share_is_that_of_maurer_and_pontil(count):
    sample = (np.random.default_rng(3).random(count) < 0.3).astype(float)
    variance, delta = sample.var(ddof=1), 0.05 / 2  # each side has half of what the confidence leaves
    reach = math.sqrt(2 * variance * math.log(2 / delta) / count) + 7 * math.log(2 / delta) / (
        3 * (count - 1)
    )
    low, high = bounded_interval(sample.mean(), sample.std(ddof=1) / math.sqrt(count), count, confidence=0.95)
    assert (low, high) == pytest.approx((sample.mean() - reach, sample.mean() + reach), rel=1e-12)


def test_the_interval_of_a_rare_share_covers_it():
    """Where Student's interval is a point: of 50 draws at 1 % six in ten see nothing."""
    draws = np.random.default_rng(4).random((2000, 50)) < 0.01
    means, errors = draws.mean(axis=1), draws.std(axis=1, ddof=1) / math.sqrt(50)
    covered = [
        low <= 0.01 <= high
        for low, high in (
            bounded_interval(m, e, 50, confidence=0.9) for m, e in zip(means, errors, strict=True)
        )
    ]
    assert np.mean(covered) >= 0.9
    assert (errors == 0).mean() > 0.5


def test_shares_are_judged_at_the_level():
    evidence = Evidence(0.2, 0.01, 1000, share=True)
    found = referee.rule(Margin("share", low=0.1), evidence, 0.01)
    assert (found.low, found.high) == bounded_interval(0.2, 0.01, 1000, confidence=0.99)
    assert found.verdict is Verdict.HOLDS


def test_the_headline_is_one_of_the_checks():
    check = Judge(level=LEVEL).judge("seen", "moment", 1.0, 0.1, 9, 1.2, Wrong("w", 1.3))

    def headline(checks, name):
        return ClaimResult("id", "", "", Verdict.HOLDS, "", "", "", checks, name).headline_check()

    assert headline((check,), "seen") is check
    assert headline((), "") is None
    for checks, name in (((check,), ""), ((check,), "other"), ((), "seen")):
        with pytest.raises(ValueError, match=f"id: no check is called '{name}'"):
            headline(checks, name)


@pytest.mark.parametrize(
    ("image", "settings", "words"),
    [
        ("", {}, "--budget quick --seed 7"),
        ("cat", {}, "--image cat --budget quick --seed 7"),
        ("cat", {"weights": "w.npz"}, "--image cat --weights w.npz --budget quick --seed 7"),
        ("cat", {"law_scale": 1.03}, "--image cat --budget quick --seed 7 --law-scale 1.03"),
    ],
)
def test_the_command_that_repeats_a_run_names_what_it_was_given(image, settings, words):
    run = Verification("0.1", 7, "quick", image, 0.01, "Bonferroni", (), **settings)
    assert run.command_for("lemma1") == f"theorylab verify lemma1 {words}"
    assert run.self_test == ("law_scale" in settings)


def test_a_check_that_can_tell_nothing_from_the_law_proves_and_fails_nothing():
    """Where the wrong law is nearly right on a picture; a wrong law far enough away that is not rejected still fails."""
    near, far = Wrong("near", 1.001), Wrong("far", 1.2)
    strict = Judge(level=1e-6)
    blind = strict.judge("n", "ratio", 1.0, 0.01, 400, 1.0, near)
    assert blind.blind
    assert not blind.convincing
    assert not strict.judge("n", "ratio", 1.0, 0.01, 400, 1.0, far).blind
    strange = strict.judge("n", "ratio", 1.2, 0.01, 400, 1.0, near)  # the law itself is rejected
    assert not strange.blind
    assert not strange.passed


# --- looks at more and more replicates


@dataclasses.dataclass(frozen=True)
class Noisy:
    """Numbers around 1, or around what else is said."""

    spread: float
    mean: float = 1.0

    def __call__(self, rng, size):
        return montecarlo.measurement({"a": rng.normal(self.mean, self.spread, size)})


REPLICATES, FAMILY = 800, 0.02


def looked_at(seed, mean=1.0, *, wanted=0.03, **settings):
    """Decide a claim of one check, which sees half of what it has to at its last look."""
    critical = scipy_stats.t.isf(FAMILY * 0.7 / 2, REPLICATES - 1) + scipy_stats.norm.isf(0.05)
    spread = 0.015 * math.sqrt(REPLICATES) / critical

    def run(bench):
        measured = bench.study("noisy", Noisy(spread, mean), REPLICATES, block=20)
        check = bench.moment("a", measured, "a", 1.0, Wrong("a half more", 1.5))
        return Outcome("", (), (check,), check.name)

    template = proofs_checks.registry()[0]
    claim = dataclasses.replace(template, run=run, margins=(), n_checks=1)
    bench = Bench(
        x=np.ones((3, 8, 8)), budget="standard", seed=seed, jobs=1, level=FAMILY, wanted=wanted, **settings
    )
    outcome, _ = decide(claim, bench, FAMILY)
    return outcome.checks[0]


def test_looks_keep_their_promises():
    """Of a right law few are rejected, of one three per cent off few pass, and both take a part of the replicates."""
    seeds = range(200)
    right, off = ([looked_at(seed, mean) for seed in seeds] for mean in (1.0, 1.03))
    rejected = sum(not check.passed for check in right)
    assert scipy_stats.binomtest(rejected, len(right), FAMILY, alternative="greater").pvalue > 1e-3
    missed = sum(check.passed for check in off)
    assert scipy_stats.binomtest(missed, len(off), 0.003, alternative="greater").pvalue > 1e-3
    assert np.mean([check.replicates for check in right]) < 0.4 * REPLICATES
    seen = np.array([check.detectable_effect for check in right])
    np.testing.assert_allclose(seen, 0.015, rtol=0.3)
    assert abs(seen.mean() / 0.015 - 1) < 0.03


def test_what_settles_an_early_look():
    """A law that is refused is settled, and so is one of which all has been seen; what passes without a sure answer is not."""
    for estimate, share, unsettled in ((2.0, 0.125, []), (1.1, 0.125, ["n"]), (1.1, 1.0, [])):
        early = Judge(level=LEVEL, look=LOOKS[0 if share < 1 else -1], wanted=0.01)
        early.judge("n", "ratio", estimate, 0.02, 40, 1.0, Wrong("w", 3.0), share=share)
        assert early.unsettled == unsettled, (estimate, share)


def test_an_early_look_is_sure_as_soon_as_its_interval_reaches_no_farther_than_wanted():
    low, high = interval(1.001, 0.001, 39, confidence=1 - 2 * judge.ACCEPTED_WRONGLY)
    farthest = max(abs(low - 1), abs(high - 1))
    for wanted, unsettled in ((farthest, []), (math.nextafter(farthest, 0), ["n"])):
        early = Judge(level=LEVEL, look=LOOKS[0], wanted=wanted)
        seen = early.judge(
            "n", "ratio", 1.001, 0.001, 40, 1.0, Wrong("w", 3.0), share=0.125
        ).detectable_effect
        assert seen < wanted, "what is seen decides, and not what is wanted"
        assert early.unsettled == unsettled


def test_an_early_look_that_accepted_at_once_would_miss_what_it_has_to_see(monkeypatch):
    """A control of the test above: with no room for chance too many wrong laws pass."""
    monkeypatch.setattr(judge, "ACCEPTED_WRONGLY", 0.4)
    missed = sum(looked_at(seed, 1.03).passed for seed in range(100))
    assert scipy_stats.binomtest(missed, 100, 0.003, alternative="greater").pvalue < 1e-9


def test_what_an_early_look_does_not_know_a_later_one_may():
    """A root of a mean that an early look cannot tell from a negative one waits; if the last look cannot, nothing is decided."""
    right, found, said = 0, 0, set()
    for seed in range(60):
        seen = []

        def run(bench, seen=seen):
            measured = bench.study("noisy", Noisy(1.0, 0.3), 80, block=5)
            seen.append(measured)
            check = bench.ratio(
                "root", measured, lambda m: math.sqrt(m["a"]), math.sqrt(0.3), Wrong("twice", 1.1)
            )
            return Outcome("", (), (check,), check.name)

        claim = dataclasses.replace(proofs_checks.registry()[0], run=run, margins=(), n_checks=1)
        bench = Bench(x=np.ones((3, 8, 8)), budget="standard", seed=seed, jobs=1, level=LEVEL)
        try:
            outcome, _ = decide(claim, bench, LEVEL)
        except Undecidable as why:
            said.add(str(why))
        else:
            assert outcome.checks[0].passed
            found += 1
        low = [one.estimate("a")[0] < one.estimate("a")[1] for one in seen]
        right += low[0] and not low[-1]
    means = "the means of 80 replicates (math domain error)"
    assert said == {f"a number that it needs has no value within a standard error of {means}"}
    assert found > 40
    assert right > 5  # nobody knew at first, and somebody at the end


def test_looks_see_the_first_blocks_of_one_study():
    bench = Bench(x=np.ones((3, 8, 8)), budget="standard", seed=0, jobs=1, level=LEVEL)
    found = []
    for bench.look in LOOKS:
        found.append(bench.study("noisy", Noisy(1.0), 80, block=5))
    assert [measured.replicates for measured in found] == [20, 20, 40, 80]
    assert [measured.share for measured in found] == [0.25, 0.25, 0.5, 1.0]
    assert bench.complete
    whole = montecarlo.replicate(Noisy(1.0), 80, block=5, seed=bench.seed_of("noisy"))
    half = montecarlo.replicate(Noisy(1.0), 40, block=5, seed=bench.seed_of("noisy"))
    assert found[2].estimate("a") == pytest.approx(half.estimate("a"), rel=1e-12)
    assert found[3].estimate("a") == pytest.approx(whole.estimate("a"), rel=1e-12)


def test_what_is_complete_spends_what_is_left_and_an_early_look_must_know_its_share():
    early = Judge(level=LEVEL, look=LOOKS[1])
    with pytest.raises(TypeError, match="n: an early look has to be told the share"):
        early.judge("n", "moment", 1.0, 0.1, 9, 1.2, Wrong("w", 1.3))
    levels = {}
    for share in (0.25, 1.0):
        p_values = np.geomspace(LEVEL / 100, LEVEL * 2, 400)
        passed = [
            early.judge(
                "n", "moment", scipy_stats.t.isf(p / 2, 99), 1.0, 100, 0.0, Wrong("w", 99), share=share
            ).passed
            for p in p_values
        ]
        levels[share] = p_values[passed.index(True)] / LEVEL
    assert levels[0.25] == pytest.approx(0.1, rel=0.03)
    assert levels[1.0] == pytest.approx(0.9, rel=0.03)
    assert sum(look.spent for look in LOOKS) == pytest.approx(1.0)
    assert [look.before for look in LOOKS] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_a_table_has_a_row_for_each_check_and_one_for_a_claim_without():
    sample = montecarlo.measurement({"a": np.arange(5.0)})
    check = Judge(level=LEVEL).moment("mean", sample, "a", 2.0, Wrong("w", 9.0))
    claims = [
        ClaimResult(name, "3", "", Verdict.HOLDS, "", "", "", checks, "mean" if checks else "")
        for name, checks in (("checked", (check, check)), ("measured", ()))
    ]
    rows = Verification("0.1", 0, "quick", "cat", 0.01, "Bonferroni", tuple(claims)).rows()
    assert [(row["claim"], row.get("name")) for row in rows] == [
        ("checked", "mean"),
        ("checked", "mean"),
        ("measured", None),
    ]
