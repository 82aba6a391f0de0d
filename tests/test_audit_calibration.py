"""The audit is itself audited: false answers at most as often as it says, and right ones often enough."""

import numpy as np
import pytest
from audit_kinds import KINDS, of, plane
from calibrate_audit import PICTURES, scores, table
from scipy import stats

import theorylab as tl
from theorylab.auditing import Estimate, _comparing

SEEDS = 200
LEVEL = 0.05
NEAR = [name for name, kind in KINDS.items() if kind.near]
FAR = [name for name in KINDS if name not in NEAR]
# Of so many false answers in 200, at a probability of 5 %, one of all these numbers is seen with probability 10⁻⁴.
ALLOWED = stats.binom.isf(1e-4 / (2 * len(KINDS)), SEEDS, LEVEL)


@pytest.fixture(scope="module")
def found():
    return scores(list(KINDS.values()), SEEDS)


def too_often(scored):
    return [name for name, score in scored.items() if max(score.false_recovery, score.false_class) > ALLOWED]


@pytest.mark.slow
def test_false_answers_are_as_rare_as_stated(found):
    assert len(KINDS) >= 12
    assert {score.seeds for score in found.values()} == {SEEDS}
    assert too_often(found) == [], table(list(KINDS.values()), found)


@pytest.mark.slow
def test_far_from_a_threshold_there_is_hardly_a_false_answer(found):
    for name in FAR:
        assert found[name].false_recovery + found[name].false_class <= 2, name


# What eight pictures decide in nine sets of ten, or else in how many.
LESS = {"guided backpropagation, random": (0.75, 0.9), "guided backpropagation, trained": (0.25, 0.9)}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAR)
def test_power(name, found):
    of_recovery, of_class = LESS.get(name, (0.9, 0.9))
    assert found[name].right_recovery >= of_recovery * SEEDS
    if (
        "cubed" not in name
    ):  # noise behind a strength of a few bright pixels: never insensitive, mostly undecided
        assert found[name].right_class >= of_class * SEEDS


@pytest.mark.slow
def test_a_calibration_can_fail_by_maps_that_are_not_centred(monkeypatch):
    def raw(maps):
        rows = _comparing.scaled(maps).reshape(len(maps), -1)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(norms > 0, norms, np.inf)

    monkeypatch.setattr(_comparing, "centred", raw)
    failed = too_often(scores([KINDS[name] for name in FAR if "constant" not in name], SEEDS // 4))
    assert len(failed) >= 2, failed


@pytest.mark.slow
def test_a_calibration_can_fail_by_intervals_that_are_too_narrow(monkeypatch):
    whole = Estimate.of.__func__

    def four_times_the_pictures(cls, values):
        return whole(cls, np.tile(values, 4))

    monkeypatch.setattr(Estimate, "of", classmethod(four_times_the_pictures))
    assert too_often(scores([KINDS[name] for name in NEAR], SEEDS))


def test_a_calibration_can_fail_by_a_wrong_truth():
    kind = KINDS["its negative"]
    assert scores([kind], 5)[kind.name].right_recovery == 5
    wrong = type(kind)(kind.name, kind.build, frozenset({"input"}), True)
    score = scores([wrong], 5)[kind.name]
    assert (score.false_recovery, score.false_class) == (5, 5)


@pytest.mark.parametrize("few", [1, 2, 3, 4])
def test_few_pictures_decide_nothing(few):
    kinds = [KINDS[name] for name in ("the picture", "|noise|", "|noise of the class × picture|, plane")]
    for score in scores(kinds, 20, pictures=few).values():
        assert score.right_recovery + score.right_class + score.false_recovery + score.false_class == 0


def test_the_audit_runs_the_code_that_is_calibrated():
    rng = np.random.default_rng(3)
    pictures = rng.normal(size=(PICTURES, 3, 16, 16)) + 1
    maps = of(lambda x, n: plane(np.abs(n * x)))(rng, pictures, pictures)
    by_picture = {x.tobytes(): pair[0] for x, pair in zip(pictures, maps, strict=True)}
    nearest = lambda x: min(pictures, key=lambda other: np.abs(other - x).sum()).tobytes()  # noqa: E731
    report = tl.audit(lambda x, t: by_picture[nearest(x)][t], pictures, range(3))
    copies = [_comparing.directions(_comparing.references(x, 1)) for x in pictures]
    rows = [_comparing.compare(known, *pair) for known, pair in zip(copies, maps, strict=True)]
    assert report.measured.class_correlation.mean == pytest.approx(np.mean([row["class"] for row in rows]))
    assert report.class_sensitive is True
