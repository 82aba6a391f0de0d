"""What a claim is, and the bench on which its checks are made."""

from __future__ import annotations

import dataclasses
import functools
import math
import zlib
from collections.abc import Callable

import numpy as np

from theorylab import _random, montecarlo, stats, training
from theorylab.patches import PatchGrid
from theorylab.report.results import Check, CurveFigure, MapFigure, NegativeControl, Verdict
from theorylab.training import Classifier

FALSE_ALARM_PROBABILITY = 1e-4
"""Of one run over all checks of the registry, for any seed."""

RESERVE = 10
"""The nominal levels add up to a tenth of that: the t statistic of a skew quantity has a heavier tail than
Student's, and the reserve covers it."""

BUDGETS = {"quick": 0.12, "standard": 1.0, "full": 8.0}
"""Factor on every study's number of replicates."""

LARGEST_ERROR_UNSEEN = 0.03
"""Every check at the standard budget sees a relative error of this size in its law with probability 95 %."""


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A wrong law for the negative control: what it is, and the value it predicts."""

    what: str
    value: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What running one claim's checks gave."""

    verdict: Verdict
    finding: str
    checks: tuple[Check, ...]
    headline: str
    figures: tuple[MapFigure | CurveFigure, ...] = ()


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim of the paper: its statement in our words, the exact law, the proof, and how it is checked.

    `n_checks` is declared, not counted afterwards: the correction for multiplicity must not depend on what is run.
    `verdicts` are those that a run can reach, whatever the picture.  `formula` is the exact law once more, as lines of
    mathtext (Matplotlib's subset of LaTeX, without the dollar signs), for the report; empty where there is no law.
    """

    id: str
    section: str
    statement: str
    exact_law: str
    proof: str
    n_checks: int
    run: Callable[[Bench], Outcome]
    verdicts: tuple[Verdict, ...]
    formula: tuple[str, ...] = ()


@dataclasses.dataclass
class Bench:
    """The picture, the budget, the seed and the studies already made; each claim's checks are built on it.

    Attributes
    ----------
    x : array, (3, H, W)
        The prepared image, norm 1.
    level : float
        Of each check, two-sided.
    law_scale : float
        Multiplies every exact law.  At 1 the laboratory is honest; at 1.03 every check must fail, and that is how the
        laboratory is tested.
    weights : str, optional
        A trained VGG-16, as :func:`theorylab.weights.load` takes it, for the claims that speak of its dense layers.
    """

    x: np.ndarray
    budget: str
    seed: int
    jobs: int
    level: float
    law_scale: float = 1.0
    weights: str | None = None
    progress: Callable[[str, int, int], None] | None = None
    studies: dict[str, montecarlo.Measurement] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def grid(self) -> PatchGrid:
        """The paper's: 7×7 filters, stride 2, no padding (the largest odd kernel that fits a smaller image)."""
        return PatchGrid(self.x.shape, min(7, *self.x.shape[1:]), stride=2)

    @functools.cached_property
    def classifier(self) -> Classifier:
        """The trained network that needs no download: one for all seeds, pictures and budgets."""
        return training.small_classifier()

    def seed_of(self, name: str) -> np.random.SeedSequence:
        """A study's own seed: it depends on the study's name, not on which studies were run before it."""
        return _random.child(_random.sequence(self.seed), zlib.crc32(name.encode()))

    def study(
        self, name: str, simulate: montecarlo.engine.Simulation, replicates: int, *, block: int
    ) -> montecarlo.Measurement:
        """Run a study, or take it from the shelf if another claim has run it.

        `replicates` is for the standard budget; at least four blocks are run at any.
        """
        if name not in self.studies:
            wanted = max(4 * block, math.ceil(replicates * BUDGETS[self.budget]))
            report = None if self.progress is None else functools.partial(self.progress, name)
            self.studies[name] = montecarlo.replicate(
                simulate, wanted, block=block, seed=self.seed_of(name), jobs=self.jobs, progress=report
            )
        return self.studies[name]

    def compare(
        self,
        name: str,
        kind: str,
        measured: montecarlo.Measurement,
        estimator: Callable[[dict[str, float]], float],
        expected: float,
        wrong: Wrong,
    ) -> Check:
        """One check: an estimate formed from a study's means against an exact law and against a wrong one."""
        estimate, error = measured.statistics.estimate(estimator)
        return self.judge(name, kind, estimate, error, measured.replicates, expected, wrong)

    def judge(
        self,
        name: str,
        kind: str,
        estimate: float,
        error: float,
        replicates: int,
        expected: float,
        wrong: Wrong,
        *,
        tolerance: float = 0.0,
    ) -> Check:
        """One check from an estimate and its standard error.

        `tolerance` is for laws that are approximate: how far off, relatively, the law itself says that it may be.  The null
        hypothesis is then all values within it, for the negative control too, and "sees" counts from its edge.
        """
        law = expected * self.law_scale

        def p_value_of(value: float) -> float:
            beyond = max(abs(estimate - value) - tolerance * abs(value), 0.0)
            return stats.compare_p_value(beyond, error, 0.0, replicates - 1)

        p_value, control = p_value_of(law), p_value_of(wrong.value)
        seen = stats.detectable_effect(error, law, replicates - 1, level=self.level)
        return Check(
            name=name,
            kind=kind,
            estimate=estimate,
            expected=law,
            standard_error=error,
            p_value=p_value,
            replicates=replicates,
            detectable_effect=tolerance + seen,
            passed=p_value >= self.level,
            negative_control=NegativeControl(wrong.what, control, control < self.level),
            tolerance=tolerance,
        )

    def identity(
        self,
        name: str,
        measured: list[np.ndarray],
        law: list[np.ndarray],
        what: str,
        wrong: list[np.ndarray],
        *,
        tolerance: float = 1e-10,
    ) -> Check:
        """A deterministic check: the relative error over all of several arrays, against rounding."""

        def error(predicted: list[np.ndarray], scale: float) -> float:
            # Summed over the cases before dividing: a single map may be zero, all of them together may not.
            missed = sum(
                float(((a - scale * b) ** 2).sum()) for a, b in zip(measured, predicted, strict=True)
            )
            return math.sqrt(missed / sum(float((a**2).sum()) for a in measured))

        if not any(array.any() for array in measured):
            raise ValueError(f"{name}: every measured array is zero, so nothing is compared")
        estimate, control = error(law, self.law_scale), error(wrong, 1.0)
        return Check(
            name=name,
            kind="identity",
            estimate=estimate,
            expected=0.0,
            standard_error=0.0,
            p_value=float(estimate <= tolerance),
            replicates=len(measured),
            detectable_effect=tolerance,
            passed=estimate <= tolerance,
            negative_control=NegativeControl(what, float(control <= tolerance), control > tolerance),
        )

    def rejects(self, check: Check, value: float) -> bool:
        """Whether a check's measurement rejects another value: how verdicts on the paper's own words are reached."""
        p_value = stats.compare_p_value(check.estimate, check.standard_error, value, check.replicates - 1)
        return p_value < self.level


def interval(check: Check) -> tuple[float, float]:
    """95 % interval of a check's estimate."""
    return stats.interval(check.estimate, check.standard_error, check.replicates - 1)
