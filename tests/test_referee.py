"""The one rule that makes every verdict."""

import math

import numpy as np
import pytest

import proofs_checks
from proofs_checks import referee
from proofs_checks.referee import Evidence
from proofs_checks.results import Check, Margin, NegativeControl, Verdict
from theorylab import montecarlo, stats

AT_LEAST = Margin("cosine", low=0.9)
LEVEL = 1e-7


@pytest.mark.parametrize(
    ("estimate", "error", "reached", "verdict"),
    [
        (0.95, 0.001, None, Verdict.HOLDS),
        (0.85, 0.001, None, Verdict.REFUTED),
        (0.95, 0.05, None, Verdict.UNDECIDED),
        (0.85, 0.05, None, Verdict.UNDECIDED),  # neither direction profits from a small study
        (0.85, 0.001, 300.0, Verdict.HOLDS_IN_THE_LIMIT),
        (0.85, 0.05, 300.0, Verdict.HOLDS_IN_THE_LIMIT),
        (0.95, 0.001, 300.0, Verdict.HOLDS),
    ],
)
def test_the_interval_and_the_law_decide(estimate, error, reached, verdict):
    found = referee.rule(AT_LEAST, Evidence(estimate, error, 400, reached), LEVEL)
    assert found.verdict is verdict
    assert (found.low, found.high) == stats.interval(estimate, error, 399, confidence=1 - LEVEL)


def test_a_margin_has_two_edges():
    margin = Margin("correlation", low=-0.1, high=0.1)
    for estimate, verdict in ((0.0, "holds"), (0.2, "refuted"), (-0.2, "refuted"), (0.1, "undecided")):
        assert referee.rule(margin, Evidence(estimate, 0.005, 400), LEVEL).verdict.value == verdict


def test_as_many_networks_as_it_says_decide():
    """With `factor` times the replicates the error falls by its root, and the interval just reaches the edge."""
    found = referee.rule(AT_LEAST, Evidence(0.93, 0.02, 10**6), LEVEL)
    assert found.verdict is Verdict.UNDECIDED
    error = 0.02 / math.sqrt(found.factor)
    assert referee.rule(AT_LEAST, Evidence(0.93, 0.999 * error, 10**6), LEVEL).verdict is Verdict.HOLDS
    assert referee.rule(AT_LEAST, Evidence(0.93, 1.001 * error, 10**6), LEVEL).verdict is Verdict.UNDECIDED


def check(passed=True, rejected=True):
    return Check("c", "ratio", 0.8, 0.8, 0.001, 0.5, 100, 0.01, passed, NegativeControl("w", 0.0, rejected))


@pytest.mark.parametrize(("passed", "rejected"), [(True, True), (False, True), (True, False)])
def test_a_limit_counts_only_behind_a_convincing_check(passed, rejected):
    found = referee.rule(AT_LEAST, Evidence.of(check(passed, rejected), 300.0), LEVEL)
    assert found.verdict is (Verdict.HOLDS_IN_THE_LIMIT if passed and rejected else Verdict.UNDECIDED)


def verdict_of(*pairs):
    margins, evidence = zip(*pairs, strict=True)
    return referee.judged(margins, evidence, "", LEVEL)["verdict"]


def test_a_statement_is_as_good_as_its_worst_quantity():
    true, false = (AT_LEAST, Evidence(0.95, 0.001, 99)), (AT_LEAST, Evidence(0.85, 0.001, 99))
    open_ = AT_LEAST, Evidence(0.9, 0.01, 99)
    limit = AT_LEAST, Evidence(0.85, 0.001, 99, 300.0)
    assert verdict_of(true, true) is Verdict.HOLDS
    assert verdict_of(true, limit) is Verdict.HOLDS_IN_THE_LIMIT
    assert verdict_of(limit, open_) is Verdict.UNDECIDED
    assert verdict_of(open_, false) is Verdict.REFUTED


def test_two_settings_that_disagree_decide_nothing():
    def at(setting, estimate):
        return Margin("lead", low=0.0, setting=setting), Evidence(estimate, 0.001, 99)

    assert verdict_of(at("text", -0.1), at("code", 0.1)) is Verdict.UNDECIDED
    assert verdict_of(at("text", 0.1), at("code", 0.1)) is Verdict.HOLDS
    assert verdict_of(at("text", -0.1), at("code", -0.1)) is Verdict.REFUTED


def test_where_nothing_is_claimed_or_nothing_was_run():
    assert referee.judged((), (), "a law", LEVEL)["verdict"] is Verdict.BEYOND_THE_PAPER
    assert referee.judged((AT_LEAST,), (), "no weights", LEVEL)["verdict"] is Verdict.NOT_RUN


def test_the_finding_says_what_an_undecided_claim_lacks():
    said = referee.judged((AT_LEAST,), (Evidence(0.93, 0.02, 99),), "Seen.", LEVEL)["finding"]
    assert said.startswith("Seen. Undecided: the cosine is between ")
    assert "times as many networks would decide" in said
    limit = referee.judged((AT_LEAST,), (Evidence(0.8, 0.01, 99, 1234.5),), "Seen.", LEVEL)["finding"]
    assert "From N = 1,23" in limit


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("reached", [None, 300.0])
@pytest.mark.parametrize(("estimate", "error"), [(math.nan, 0.01), (0.95, math.nan), (0.95, math.inf)])
def test_what_could_not_be_measured_decides_nothing_and_is_called_so(estimate, error, reached, share):
    evidence = Evidence(estimate, error, 99, reached, share=share)
    said = referee.judged((AT_LEAST,), (evidence,), "Seen.", LEVEL)
    assert said["verdict"] is Verdict.UNDECIDED
    assert said["finding"] == "Seen. Undecided: the cosine could not be measured."


def test_wrong_verdicts_are_as_rare_as_promised():
    """At the edge of the margin either verdict is wrong: each comes about with half of the level."""
    rng = np.random.default_rng(0)
    level, wrong = 0.01, 0
    for _ in range(4000):
        measured = montecarlo.measurement({"a": 0.9 + 0.1 * rng.standard_normal(30)}).estimate("a")
        wrong += referee.rule(AT_LEAST, Evidence(*measured), level).verdict is not Verdict.UNDECIDED
    assert wrong <= 4000 * level + 4 * math.sqrt(4000 * level)
    assert wrong > 0


def test_a_share_that_was_never_seen_is_not_certain_to_be_none():
    nothing = Evidence(0.0, 0.0, 500, share=True)
    assert referee.rule(Margin("share", low=0.01), nothing, LEVEL).verdict is Verdict.UNDECIDED
    assert referee.rule(Margin("share", low=0.5), nothing, LEVEL).verdict is Verdict.REFUTED


def test_only_what_the_paper_claims_is_judged():
    without = {claim.id for claim in proofs_checks.registry() if not claim.margins}
    assert without == {"maximum-logit"}
    settings = {m.setting for claim in proofs_checks.registry() for m in claim.margins if m.setting}
    assert len(settings) == 2  # the stride of the text and that of the code


def test_a_share_is_between_nothing_and_all_and_few_pictures_say_how_many_would_decide():
    found = referee.rule(Margin("share", low=0.01), Evidence(0.0, 0.0, 18, share=True), LEVEL)
    assert (found.verdict, found.low, found.high) == (Verdict.UNDECIDED, 0.0, 1.0)
    enough = Evidence(0.0, 0.0, math.ceil(1 + 17 * found.factor), share=True)
    assert referee.rule(Margin("share", low=0.01 + 1e-9), enough, LEVEL).verdict is Verdict.REFUTED
