"""The registry of claims: its promises, that checks can fail, and that they hold at the standard budget."""

import dataclasses
import json
import math
import types
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats

import proofs_checks
from proofs_checks import side_by_side
from proofs_checks.bench import BUDGETS
from proofs_checks.claim import Bench, Wrong
from proofs_checks.claims import halfspace_mean
from proofs_checks.judge import FALSE_ALARM_PROBABILITY, LARGEST_ERROR_UNSEEN, RESERVE, weighted_slope
from proofs_checks.results import Verdict
from proofs_checks.studies.estimation import EstimationError
from proofs_checks.studies.noise import ZERO_MEAN
from proofs_checks.studies.three_layers import Noise
from theorylab import Gaussian, PatchGrid, Rule, images, montecarlo, stats
from theorylab.analytic import estimation_error, expected_energy, mean_map

CHEAP = ("lemma1", "halfspace-mean", "error-rate", "filters-needed")
CLAIM_KEYS = {
    "id",
    "section",
    "statement",
    "verdict",
    "network",
    "seen",
    "exact_law",
    "finding",
    "passed",
    "checks",
    "rulings",
}
CHECK_KEYS = {
    "name",
    "kind",
    "estimate",
    "expected",
    "standard_error",
    "p_value",
    "replicates",
    "detectable_effect",
    "passed",
    "negative_control",
    "blind",
    "tolerance",
}
TOP_KEYS = {
    "theorylab",
    "seed",
    "budget",
    "image",
    "picture",
    "group",
    "law_scale",
    "weights",
    "model",
    "pictures",
    "skipped",
    "passed",
    "false_alarm_probability",
    "correction",
    "claims",
}


def level(group="paper"):
    return stats.bonferroni(
        FALSE_ALARM_PROBABILITY / RESERVE, sum(claim.n_checks for claim in proofs_checks.registry(group))
    )


def new_bench(budget="quick", **changes):
    settings = {"x": images.load(), "budget": budget, "seed": 0, "jobs": 2, "level": level()} | changes
    return Bench(**settings)


@pytest.fixture(scope="module")
def quick():
    return proofs_checks.verify(CHEAP, budget="quick", jobs=1)


def all_checks(verification):
    return {(claim.id, check.name): check for claim in verification.claims for check in claim.checks}


def test_no_claim_of_two_groups_has_one_name():
    ids = [claim.id for group in proofs_checks.GROUPS for claim in proofs_checks.registry(group)]
    assert len(set(ids)) == len(ids)
    with pytest.raises(ValueError, match="lemma1 is of the group 'paper', not 'beyond'"):
        proofs_checks.verify(["lemma1"], group="beyond")


@pytest.mark.parametrize("group", proofs_checks.GROUPS)
def test_registry(group):
    registry = proofs_checks.registry(group)
    assert len({claim.id for claim in registry}) == len(registry) > 1
    assert [claim.order for claim in registry] == sorted({claim.order for claim in registry})
    for claim in registry:
        # Without full trained weights there is nothing to check; with them, a measurement and no law.
        assert claim.n_checks >= (claim.id != "fc1-histograms")
        for text in (claim.section, claim.statement, claim.exact_law, claim.proof):
            assert text
            assert text == text.strip()


@pytest.mark.parametrize(("group", "folder"), proofs_checks.GROUPS.items())
def test_a_claim_is_a_file_and_nothing_else(group, folder):
    files = {path.stem for path in (Path(proofs_checks.__path__[0]) / folder).glob("*.py")} - {"__init__"}
    assert {claim.id.replace("-", "_") for claim in proofs_checks.registry(group)} == files


def test_the_correction_counts_every_check_of_the_registry(quick):
    total = sum(claim.n_checks for claim in proofs_checks.registry())
    assert f"all {total} checks of the group" in quick.correction
    assert f"{FALSE_ALARM_PROBABILITY / RESERVE / total:.1e}" in quick.correction


def test_the_slope_of_a_power_law_is_its_exponent():
    x = np.log([16.0, 64.0, 256.0])
    slope, error = weighted_slope(x, 3 - 0.5 * x, np.array([0.1, 0.2, 0.1]))
    assert slope == pytest.approx(-0.5)
    assert 0 < error < 0.1


def test_quick_run_of_cheap_claims(quick):
    declared = {claim.id: claim for claim in proofs_checks.registry()}
    assert tuple(result.id for result in quick.claims) == CHEAP
    assert quick.passed
    assert quick.budget == "quick"
    assert quick.image == "cat"
    assert quick.false_alarm_probability == 1e-4
    assert (
        quick.command
        == "theorylab verify lemma1 halfspace-mean error-rate filters-needed --image cat --budget quick --seed 0"
    )
    for result in quick.claims:
        assert len(result.checks) == declared[result.id].n_checks
        assert len({check.name for check in result.checks}) == len(result.checks)
        assert result.headline_check() in result.checks
        assert isinstance(result.verdict, Verdict)
        assert result.finding
        for check in result.checks:
            assert check.negative_control.rejected, check.name
            assert not check.blind, check.name
            assert check.kind in ("identity", "moment", "ratio", "rate", "approximation")


def test_both_sides_of_lemma1_are_drawn_on_one_scale(quick):
    (figure,) = quick.claims[CHEAP.index("lemma1")].figures
    scales = [panel.scale for panel in figure.panels]
    assert all(scales)
    assert scales[:3] == scales[3:]
    assert len(set(scales)) == 3


def test_json_has_the_promised_keys_and_finite_numbers(quick):
    document = quick.to_json()
    # allow_nan=False raises for a number that is not finite.
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert set(document) == TOP_KEYS
    for claim in document["claims"]:
        assert set(claim) == CLAIM_KEYS
        assert claim["verdict"] in ("holds", "holds-in-the-limit", "refuted")
        for check in claim["checks"]:
            assert set(check) == CHECK_KEYS
            assert set(check["negative_control"]) == {"what", "p_value", "rejected"}
            for key in ("estimate", "expected", "standard_error", "p_value", "detectable_effect"):
                assert isinstance(check[key], float), key
                assert math.isfinite(check[key])
            assert 0 <= check["p_value"] <= 1
            assert check["standard_error"] >= 0
            assert type(check["replicates"]) is int
            assert type(check["passed"]) is type(check["negative_control"]["rejected"]) is bool


def test_numbers_depend_neither_on_the_order_nor_on_the_selection_of_claims(quick):
    alone = all_checks(proofs_checks.verify(["filters-needed"], budget="quick", jobs=1))
    turned = all_checks(
        proofs_checks.verify(["error-rate", "halfspace-mean", "lemma1"], budget="quick", jobs=1)
    )
    found = all_checks(quick)
    for key, check in (alone | turned).items():
        assert check == found[key]


@pytest.mark.parametrize(("claims", "jobs"), [(["halfspace-mean"], 2), (["lemma1", "halfspace-mean"], 3)])
def test_numbers_do_not_depend_on_the_number_of_workers(quick, claims, jobs):
    calls = []
    found = proofs_checks.verify(claims, budget="quick", jobs=jobs, progress=lambda *call: calls.append(call))
    assert all_checks(found) == {key: check for key, check in all_checks(quick).items() if key[0] in claims}
    assert [claim.id for claim in found.claims] == [id_ for id_ in CHEAP if id_ in claims]
    # Progress comes from the processes where claims run.
    assert [call for call in calls if call[0] == "claims"] == [
        ("claims", done, len(claims)) for done in range(len(claims) + 1)
    ]
    assert [done for label, done, _ in calls if label == "half-spaces"] == [10, 20, 30, 40]


@pytest.mark.parametrize("group", proofs_checks.GROUPS)
def test_every_claim_stands_in_one_group(group):
    claims = proofs_checks.registry(group)
    together = [id_ for ids in side_by_side.groups(claims) for id_ in ids]
    assert sorted(together) == sorted(claim.id for claim in claims)


def test_a_progress_that_fails_is_said():
    def progress(label, done, total):
        if label == "half-spaces":
            raise OverflowError("my bar is full")

    with pytest.raises(OverflowError, match="my bar is full"):
        proofs_checks.verify(["lemma1", "halfspace-mean"], budget="quick", jobs=2, progress=progress)


def test_another_seed_gives_other_numbers(quick):
    other = all_checks(proofs_checks.verify(["halfspace-mean", "lemma1"], budget="quick", seed=1, jobs=1))
    for key, check in other.items():
        assert check.passed
        assert check.estimate != all_checks(quick)[key].estimate


def test_a_claim_named_twice_is_checked_once():
    result = proofs_checks.verify(["lemma1", "lemma1"], budget="quick", jobs=1)
    assert [claim.id for claim in result.claims] == ["lemma1"]


def test_progress_names_the_study():
    calls = []
    proofs_checks.verify(
        ["halfspace-mean"], budget="quick", jobs=1, progress=lambda *call: calls.append(call)
    )
    assert calls[0] == ("claims", 0, 1)
    assert calls[-2:] == [("half-spaces", 40, 40), ("claims", 1, 1)]
    assert [done for label, done, _ in calls if label == "half-spaces"] == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"claims": ["theorem9"]}, ValueError, "unknown claim 'theorem9': did you mean 'theorem"),
        ({"budget": "huge"}, ValueError, "unknown budget 'huge': choose one of 'quick', 'standard', 'full'"),
        ({"seed": -1}, ValueError, "seed: expected an integer of at least 0, got -1"),
        ({"seed": 1.5}, TypeError, "seed: expected an integer"),
        ({"seed": None}, TypeError, "seed: expected an integer"),
        ({"jobs": 0}, ValueError, "jobs: expected at least 1"),
        ({"law_scale": 0.0}, ValueError, "law_scale: expected a finite number above 0"),
        ({"law_scale": math.nan}, ValueError, "law_scale: expected a finite number above 0"),
        ({"image": "no/such/picture.png"}, ValueError, "no/such/picture.png"),
    ],
)
def test_bad_input(kwargs, error, message):
    with pytest.raises(error, match=message):
        proofs_checks.verify(**{"claims": ["lemma1"], "budget": "quick", "jobs": 1} | kwargs)


def test_a_judgement_can_fail():
    bench = new_bench(x=np.ones((1, 9, 9)), level=1e-6)
    wrong = Wrong("half", 0.5)
    right = bench.judge("n", "moment", 1.01, 0.01, 500, 1.0, wrong)
    assert right.passed
    assert right.negative_control.rejected
    # Ten standard errors away, and a control that the data do not refuse.
    off = bench.judge("n", "moment", 1.1, 0.01, 500, 1.0, Wrong("nearly the estimate", 1.09))
    assert not off.passed
    assert off.p_value < 1e-6
    assert not off.negative_control.rejected
    assert (
        not dataclasses.replace(bench, law_scale=1.1).judge("n", "moment", 1.0, 0.01, 500, 1.0, wrong).passed
    )


def test_the_control_is_the_first_that_the_check_can_see():
    bench = new_bench(x=np.ones((1, 9, 9)), level=1e-6)
    laws = Wrong("near", 1.05), Wrong("farther", 1.2), Wrong("far", 0.0)

    def control(estimate, error, wrong=laws, **settings):
        return bench.judge("n", "ratio", estimate, error, 500, 1.0, wrong, **settings).negative_control

    assert control(1.0, 0.001).what == "near"
    assert control(1.0, 0.02).what == "farther"
    assert control(1.0, 0.1).what == "far"
    # Whatever was measured, so that no outcome is favoured; and rejected, which is the run's business.
    assert control(1.06, 0.001).what == control(0.9, 0.001).what == "near"
    assert control(1.0, 0.02).rejected
    # A tolerance moves both edges.
    assert control(1.0, 0.001, tolerance=0.03).what == "farther"
    # If none can be seen, the farthest, which fails.
    assert control(1.0, 1.0) == dataclasses.replace(control(1.0, 1.0, laws[2]), rejected=False)
    assert control(1.0, 1.0).what == "far"


def test_an_approximate_law_has_its_tolerance_and_no_more():
    bench = new_bench(x=np.ones((1, 9, 9)), level=1e-6)

    def judge(estimate, wrong=0.5, tolerance=0.01):
        return bench.judge(
            "n", "approximation", estimate, 1e-3, 500, 1.0, Wrong("w", wrong), tolerance=tolerance
        )

    # Ten standard errors off: refused as exact, within one hundredth accepted, beyond it refused again.
    assert not judge(1.01, tolerance=0.0).passed
    assert judge(1.01).passed
    assert judge(1.005).p_value == 1
    assert not judge(1.02).passed
    assert not judge(0.98).passed
    # The control has the same tolerance, and what is seen counts from its edge.
    assert not judge(1.0, wrong=1.009).negative_control.rejected
    assert judge(1.0, wrong=1.02).negative_control.rejected
    exact = judge(1.0, tolerance=0.0)
    assert judge(1.0).detectable_effect == pytest.approx(exact.detectable_effect + 0.01)
    assert (judge(1.0).tolerance, exact.tolerance) == (0.01, 0.0)


def test_a_comparison_uses_the_law_and_the_estimator():
    bench = new_bench(x=np.ones((1, 9, 9)), level=1e-6)
    rng = np.random.default_rng(0)
    measured = montecarlo.measurement({"a": rng.normal(2.0, 0.1, 400)})
    for expected, passes in ((4.0, True), (4.4, False), (3.6, False)):
        check = bench.ratio("n", measured, lambda m: m["a"] ** 2, expected, Wrong("none", 0.0))
        assert check.passed is passes
        assert check.replicates == 400
        assert check.standard_error == pytest.approx(2 * 2.0 * 0.1 / 20, rel=0.2)


def test_an_identity_can_fail():
    bench = new_bench(x=np.ones((1, 9, 9)))
    a = [np.array([1.0, 2.0]), np.array([3.0])]
    off = [np.array([1.0, 2.0]), np.array([3.0 + 1e-8])]
    assert bench.identity("n", a, a, "w", off).passed
    assert bench.identity("n", a, a, "w", off).negative_control.rejected
    failed = bench.identity("n", a, off, "w", a)
    assert not failed.passed
    assert failed.p_value == 0
    assert not failed.negative_control.rejected
    assert not dataclasses.replace(bench, law_scale=1.03).identity("n", a, a, "w", off).passed


def test_a_study_is_run_once_and_grows_with_the_budget():
    bench = new_bench(x=np.ones((1, 9, 9)), jobs=1)
    simulate = EstimationError(np.ones(3), (4,))
    first = bench.study("s", simulate, 1000, block=10)
    assert bench.study("s", simulate, 1000, block=10) is first
    assert first.replicates == 60  # 6 % of them
    assert bench.study("few", simulate, 8, block=10).replicates == 40  # never below four blocks
    full = dataclasses.replace(bench, budget="full", studies={}).study("s", simulate, 200, block=10)
    assert full.replicates == 1600
    other = bench.study("another name", simulate, 200, block=10)
    assert other.statistics.mean[0] != first.statistics.mean[0]


def test_verification_fails_where_the_law_is_wrong(quick):
    scaled = proofs_checks.verify(["lemma1"], budget="quick", jobs=1, law_scale=1.03)
    assert not scaled.passed
    assert not any(check.passed for check in scaled.claims[0].checks)
    assert quick.passed
    # What was made to fail cannot be taken for a finding.
    assert (scaled.to_json()["law_scale"], quick.to_json()["law_scale"]) == (1.03, 1.0)


P_VALUES = 400


def p_values_of(simulate, estimators, size, block):
    """p-values of each estimator under its exact law over many independent small studies."""
    found = np.empty((P_VALUES, len(estimators)))
    for seed in range(P_VALUES):
        measured = montecarlo.replicate(simulate, size, block=block, seed=seed)
        for i, (estimator, expected) in enumerate(estimators):
            estimate, error = measured.statistics.estimate(estimator)
            found[seed, i] = stats.compare_p_value(estimate, error, expected, measured.replicates - 1)
    return found


def assert_calibrated(p):
    assert scipy_stats.kstest(p, "uniform").pvalue > 1e-4
    for alpha in (0.05, 0.01):
        # Two-sided, at a thousandth: of 400 studies 4 ± 2 fall below 0.01.
        rejected = int((p < alpha).sum())
        assert scipy_stats.binomtest(rejected, p.size, alpha).pvalue > 1e-3, (alpha, rejected)


@pytest.mark.slow
def test_false_alarms_of_half_space_studies(monkeypatch):
    """Judged exactly as in a run, by the claim's own checks on small studies of other seeds."""
    monkeypatch.setattr(halfspace_mean, "FILTERS", 40)
    monkeypatch.setitem(BUDGETS, "quick", 0.1)
    x = images.load(size=16)
    found = []
    for seed in range(P_VALUES // 2):
        bench = new_bench(x=x, seed=seed, jobs=1)
        found.append([check.p_value for check in halfspace_mean.run(bench).checks])
    for p in np.array(found).T:
        assert_calibrated(p)


def test_false_alarms_of_estimation_errors():
    patch = np.array([1.0, -2.0, 0.5])
    exact = estimation_error(3, 6)
    honest, off = p_values_of(
        EstimationError(patch, (6,)),
        [
            (lambda mean: mean["squared_6"], exact**2),
            (lambda mean: mean["squared_6"], 1.2 * exact**2),
        ],
        size=200,
        block=50,
    ).T
    assert_calibrated(honest)
    # The control: a law wrong by a fifth is not calibrated.
    assert scipy_stats.kstest(off, "uniform").pvalue < 1e-10


def test_what_networks_have_in_common_is_the_energy_of_their_mean():
    """For guided backpropagation, whose mean map is not zero; two networks in three groups, and four in one."""
    grid = PatchGrid((1, 8, 8), 3, 2)
    x = np.random.default_rng(0).standard_normal(grid.input_shape)
    signal = float((mean_map(x, grid, "guided", 6) ** 2).sum())
    for networks, groups in ((2, 3), (4, 1)):
        noise = Noise(x, grid, 6, Rule.GUIDED, Gaussian(1.0), ((0, 1),), networks, groups, np.float64)
        found = montecarlo.replicate(noise, 600, block=100, seed=1)
        for name, law in (("common", signal), ("energy", expected_energy(x, grid, "guided", 6))):
            assert stats.compare_p_value(*found.estimate(name)[:2], law, 599) > 1e-4, (networks, name)
            assert stats.compare_p_value(*found.estimate(name)[:2], 1.5 * law, 599) < 1e-4, (networks, name)


def run_all(claims, bench):
    return {(claim.id, check.name): check for claim in claims for check in claim.run(bench).checks}


@pytest.fixture(scope="class", params=proofs_checks.GROUPS)
def standard(request):
    """All claims of a group once at the standard budget; wrong laws are judged on the same studies."""
    claims = proofs_checks.registry(request.param)
    bench = new_bench("standard", level=level(request.param))
    runs = types.SimpleNamespace(claims=claims, bench=bench, honest=run_all(claims, bench))
    runs.n_studies = len(bench.studies)
    runs.scaled = {
        scale: run_all(claims, dataclasses.replace(bench, law_scale=scale)) for scale in (1.03, 0.97)
    }
    return runs


@pytest.mark.slow
class TestStandardBudget:
    def test_number_of_checks_is_as_declared(self, standard):
        for claim in standard.claims:
            assert sum(key[0] == claim.id for key in standard.honest) == claim.n_checks, claim.id

    def test_studies_are_shared(self, standard):
        assert len(standard.bench.studies) == standard.n_studies > 0

    def test_every_check_passes(self, standard):
        failed = {key: check.p_value for key, check in standard.honest.items() if not check.passed}
        assert not failed

    def test_every_negative_control_is_rejected(self, standard):
        kept = {
            key: c.negative_control for key, c in standard.honest.items() if not c.negative_control.rejected
        }
        assert not kept

    def test_no_check_is_blind_on_the_cat(self, standard):
        assert not [key for key, check in standard.honest.items() if check.blind]

    def test_every_check_would_see_three_percent(self, standard):
        blind = {
            key: check.detectable_effect
            for key, check in standard.honest.items()
            if not check.detectable_effect <= LARGEST_ERROR_UNSEEN
        }
        assert not blind

    def test_a_mean_map_of_three_thousandths_of_the_energy_would_be_seen(self, standard):
        seen = {key: c.detectable_effect for key, c in standard.honest.items() if key[1] == ZERO_MEAN}
        assert len(seen) == (5 if standard.claims == proofs_checks.registry() else 0)
        assert max(seen.values(), default=0) <= 0.003

    @pytest.mark.parametrize("scale", [1.03, 0.97])
    def test_every_check_fails_under_a_law_wrong_by_three_percent(self, standard, scale):
        passed = {
            key: (check.p_value, check.detectable_effect)
            for key, check in standard.scaled[scale].items()
            if check.passed
        }
        assert not passed
