"""How a measurement is judged against an exact law and against a wrong one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from proofs_checks.results import Check, NegativeControl
from theorylab import stats
from theorylab.montecarlo import Measurement


class Undecidable(Exception):
    """A picture on which a claim has nothing to measure, such as one whose predicted mean map is zero; the message says why."""


FALSE_ALARM_PROBABILITY = 1e-4
"""Of one run over all checks of the registry, for any seed."""

RESERVE = 10
"""The nominal levels add up to a tenth of that: the t statistic of a skew quantity has a heavier tail than
Student's, and the reserve covers it."""


LARGEST_ERROR_UNSEEN = 0.03
"""Every check at the standard budget sees a relative error of this size in its law with probability 95 %."""

ACCEPTED_WRONGLY = 1e-3
"""Probability that an early look accepts a law with an error that the check has to see."""


Estimator = str | Callable[[dict[str, float]], float]
"""The name of a mean, or a smooth function of the means."""


def weighted_slope(x: np.ndarray, y: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Return the slope of y on x by weighted least squares, with its standard error from the errors of y."""
    weights = errors**-2.0
    centred = x - np.average(x, weights=weights)
    precision = (weights * centred**2).sum()
    return float((weights * centred * y).sum() / precision), float(precision**-0.5)


def common_share(studies: Iterable[Measurement]) -> float:
    """Return the share of several studies that are looked at together: the largest, and below 1 unless all are complete."""
    shares = [study.share for study in studies]
    return 1.0 if min(shares) == 1 else min(max(shares), 0.999)


def extrapolated(studies: Mapping[int, Measurement], estimator: Estimator) -> tuple[float, float, int]:
    """Estimate the limit of wide layers from independent studies of two widths: value, error, replicates.

    At width ``n`` the estimate is ``A + a/n + O(1/n²)``.  Of widths ``n < m``, ``(m A(m) − n A(n))/(m − n)`` is without the
    ``a/n`` (Richardson's extrapolation), and no bias has to be tolerated.  The replicates are the fewer of the two.
    """
    (narrow, first), (wide, second) = sorted(studies.items())
    (near, near_error, _), (far, far_error, _) = (study.estimate(estimator) for study in (first, second))
    weight = wide / (wide - narrow)
    error = math.hypot(weight * far_error, (weight - 1) * near_error)
    return weight * far - (weight - 1) * near, error, min(first.replicates, second.replicates)


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A wrong law for the negative control: what it is, and the value it predicts."""

    what: str
    value: float


@dataclasses.dataclass(frozen=True)
class Look:
    """A look at a study: the share of its replicates that are seen, and the shares of the level spent at it and before it."""

    share: float
    spent: float
    before: float = 0.0


LOOKS = (Look(1 / 8, 0.1), Look(1 / 4, 0.1, 0.1), Look(1 / 2, 0.1, 0.2), Look(1.0, 0.7, 0.3))
"""When a claim looks at its studies, until it is decided."""


Control = Wrong | Sequence[Wrong]
"""A wrong law, or several that somebody could have believed, of which the check takes the first that it can tell apart."""


@dataclasses.dataclass(kw_only=True)
class Judge:
    """Makes checks at one level.

    Attributes
    ----------
    level : float
        Of each check, two-sided, over all of its looks.
    law_scale : float
        Multiplies every exact law.  At 1 the laboratory is honest; at 1.03 every check must fail, and that is how the
        laboratory is tested.
    look : Look
        Which part of a study's replicates is looked at, and which part of the level that look spends.
    wanted : float
        The relative error that a check has to see; one that sees less at its last look is content with that.
    unsettled : list of str
        The checks of this look that more replicates may still turn.

    Notes
    -----
    Looks follow each other, at more and more replicates of the same studies, until every check of a claim is settled (Gandy
    and Scott, 2020, do so for tests of simulations).  A check rejects the law at the first look where its p-value falls below
    what that look spends; by the union bound all looks together reject a right law with a probability of at most `level`,
    however they depend on each other.  It accepts the law early where an error as large as `wanted` lies farther from what was
    measured than chance allows in all but `ACCEPTED_WRONGLY` of such cases, and where its negative control is rejected.  What
    a check sees is what the last look sees.
    """

    level: float
    law_scale: float = 1.0
    look: Look = Look(1.0, 1.0)
    wanted: float = LARGEST_ERROR_UNSEEN
    unsettled: list[str] = dataclasses.field(default_factory=list)

    def moment(
        self, name: str, measured: Measurement, estimator: Estimator, expected: float, wrong: Control
    ) -> Check:
        """Compare a mean, variance or covariance with its law."""
        return self.judge(
            name, "moment", *measured.estimate(estimator), expected, wrong, share=measured.share
        )

    def ratio(
        self, name: str, measured: Measurement, estimator: Estimator, expected: float, wrong: Control
    ) -> Check:
        """Compare a number formed from means, such as a cosine or a correlation, with its law."""
        return self.judge(name, "ratio", *measured.estimate(estimator), expected, wrong, share=measured.share)

    def judge(
        self,
        name: str,
        kind: str,
        estimate: float,
        error: float,
        replicates: int,
        expected: float,
        wrong: Control,
        *,
        share: float | None = None,
        tolerance: float = 0.0,
    ) -> Check:
        """Judge an estimate with its standard error against an exact law and against a wrong one.

        Of several wrong laws it takes the first that it can tell from the law: see :meth:`choose`.  If it can tell none, as on a
        picture where they are all but right, and agrees with the law and with them, it is `blind`: it proves nothing.

        `tolerance` is the relative error that an approximate law allows itself.  The null hypothesis is then every value
        within it, for the negative control too, and "sees" counts from its edge.  `share` is that of the study's replicates
        which the estimate is made of: a complete one has one look, which spends all that is left of the level.  An early look
        has to be told.
        """
        if share is None:
            if self.look.share < 1:
                raise TypeError(
                    f"{name}: an early look has to be told the share of the replicates that it sees"
                )
            share = 1.0
        law = expected * self.law_scale
        level = self.level * (1 - self.look.before if share == 1 else self.look.spent)

        def p_value_of(value: float) -> float:
            beyond = max(abs(estimate - value) - tolerance * abs(value), 0.0)
            return stats.compare_p_value(beyond, error, 0.0, replicates - 1)

        chosen, sure = self.choose(wrong, expected, error, replicates, level, tolerance=tolerance)
        p_value, control = p_value_of(law), p_value_of(chosen.value)
        last_error, last_replicates = error * math.sqrt(share), round(replicates / share)
        last_level = level if share == 1 else self.level * LOOKS[-1].spent
        seen = tolerance + stats.detectable_effect(last_error, law, last_replicates - 1, level=last_level)
        passed, rejected = p_value >= level, control < level
        if passed and share < 1:
            ends = stats.interval(estimate, error, replicates - 1, confidence=1 - 2 * ACCEPTED_WRONGLY)
            farthest = max(abs(end - law) for end in ends)
            if not (rejected and farthest <= max(self.wanted, seen) * abs(law)):
                self.unsettled.append(name)
        return Check(
            name=name,
            kind=kind,
            estimate=estimate,
            expected=law,
            standard_error=error,
            p_value=p_value,
            replicates=replicates,
            detectable_effect=seen,
            passed=passed,
            negative_control=NegativeControl(chosen.what, control, rejected),
            tolerance=tolerance,
            blind=passed and not rejected and not sure,
        )

    def choose(
        self,
        wrong: Control,
        expected: float,
        error: float,
        replicates: int,
        level: float,
        *,
        tolerance: float = 0.0,
    ) -> tuple[Wrong, bool]:
        """Return the first of several wrong laws that a check of this standard error is sure to reject, and whether it is.

        Sure is all but the probability of a false alarm.

        On some pictures a wrong law is nearly right, and no fault of the check.  What it sees depends on the error alone and
        not on the estimate, so the choice favours no outcome.  If none is far enough, the farthest is returned.

        Examples
        --------
        >>> from proofs_checks.judge import Judge, Wrong
        >>> laws = Wrong("as written", 1.0), Wrong("half", 0.5)
        >>> [Judge(level=1e-6).choose(laws, 0.96, error, 400, 1e-6)[0].what for error in (0.001, 0.01)]
        ['as written', 'half']
        """
        laws = [wrong] if isinstance(wrong, Wrong) else list(wrong)
        # Of 1, so that what is seen is in the units of the quantity.
        power = 1 - FALSE_ALARM_PROBABILITY
        seen = stats.detectable_effect(error, 1.0, replicates - 1, level=level, power=power)

        def distance(law: Wrong) -> float:
            return abs(law.value - expected) - tolerance * (abs(law.value) + abs(expected))

        chosen = next((law for law in laws if distance(law) > seen), max(laws, key=distance))
        return chosen, distance(chosen) > seen

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
        """Check an identity: the relative error over several arrays must be rounding."""

        def error(predicted: list[np.ndarray], scale: float) -> float:
            # Sum over the cases before dividing, because a single map may be zero.
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

    def slope(
        self,
        name: str,
        studies: Mapping[int, Measurement],
        estimator: Callable[[dict[str, float]], float],
        expected: float,
        wrong: Control,
    ) -> Check:
        """Check a rate: the slope of an estimate on log axes, over independent studies of several sizes."""
        logs = [
            study.statistics.estimate(lambda mean: math.log(estimator(mean))) for study in studies.values()
        ]
        slope, error = weighted_slope(np.log(list(studies)), *map(np.array, zip(*logs, strict=True)))
        replicates = min(study.replicates for study in studies.values())
        share = common_share(studies.values())
        return self.judge(name, "rate", slope, error, replicates, expected, wrong, share=share)
