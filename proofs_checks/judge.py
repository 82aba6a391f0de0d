"""How a measurement is judged against an exact law and against a wrong one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

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


Estimator = str | Callable[[dict[str, float]], float]
"""The name of a mean, or a smooth function of the means."""


def weighted_slope(x: np.ndarray, y: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Return the slope of y on x by weighted least squares, with its standard error from the errors of y."""
    weights = errors**-2.0
    centred = x - np.average(x, weights=weights)
    precision = (weights * centred**2).sum()
    return float((weights * centred * y).sum() / precision), float(precision**-0.5)


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A wrong law for the negative control: what it is, and the value it predicts."""

    what: str
    value: float


Control = Wrong | Sequence[Wrong]
"""A wrong law, or several that somebody could have believed, of which the check takes the first that it can tell apart."""


@dataclasses.dataclass(kw_only=True)
class Judge:
    """Makes checks at one level.

    Attributes
    ----------
    level : float
        Of each check, two-sided.
    law_scale : float
        Multiplies every exact law.  At 1 the laboratory is honest; at 1.03 every check must fail, and that is how the
        laboratory is tested.
    """

    level: float
    law_scale: float = 1.0

    def moment(
        self, name: str, measured: Measurement, estimator: Estimator, expected: float, wrong: Control
    ) -> Check:
        """Compare a mean, variance or covariance with its law."""
        return self.judge(name, "moment", *measured.estimate(estimator), expected, wrong)

    def ratio(
        self, name: str, measured: Measurement, estimator: Estimator, expected: float, wrong: Control
    ) -> Check:
        """Compare a number formed from means, such as a cosine or a correlation, with its law."""
        return self.judge(name, "ratio", *measured.estimate(estimator), expected, wrong)

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
        tolerance: float = 0.0,
    ) -> Check:
        """Judge an estimate with its standard error against an exact law and against a wrong one.

        Of several wrong laws it takes the first that it can tell from the law: see :meth:`choose`.  If it can tell none, as on a
        picture where they are all but right, and agrees with the law and with them, it is `blind`: it proves nothing.

        `tolerance` is the relative error that an approximate law allows itself.  The null hypothesis is then every value
        within it, for the negative control too, and "sees" counts from its edge.
        """
        law = expected * self.law_scale

        def p_value_of(value: float) -> float:
            beyond = max(abs(estimate - value) - tolerance * abs(value), 0.0)
            return stats.compare_p_value(beyond, error, 0.0, replicates - 1)

        chosen, sure = self.choose(wrong, expected, error, replicates, tolerance=tolerance)
        p_value, control = p_value_of(law), p_value_of(chosen.value)
        effect = stats.detectable_effect(error, law, replicates - 1, level=self.level)
        return Check(
            name=name,
            kind=kind,
            estimate=estimate,
            expected=law,
            standard_error=error,
            p_value=p_value,
            replicates=replicates,
            detectable_effect=tolerance + effect,
            passed=p_value >= self.level,
            negative_control=NegativeControl(chosen.what, control, control < self.level),
            tolerance=tolerance,
            blind=p_value >= self.level and control >= self.level and not sure,
        )

    def choose(
        self, wrong: Control, expected: float, error: float, replicates: int, *, tolerance: float = 0.0
    ) -> tuple[Wrong, bool]:
        """Return the first of several wrong laws that a check of this standard error is sure to reject, and whether it is.

        Sure is all but the probability of a false alarm.

        On some pictures a wrong law is nearly right, and no fault of the check.  What it sees depends on the error alone and
        not on the estimate, so the choice favours no outcome.  If none is far enough, the farthest is returned.

        Examples
        --------
        >>> from proofs_checks.judge import Judge, Wrong
        >>> laws = Wrong("as written", 1.0), Wrong("half", 0.5)
        >>> [Judge(level=1e-6).choose(laws, 0.96, error, 400)[0].what for error in (0.001, 0.01)]
        ['as written', 'half']
        """
        laws = [wrong] if isinstance(wrong, Wrong) else list(wrong)
        # Of 1, so that what is seen is in the units of the quantity.
        power = 1 - FALSE_ALARM_PROBABILITY
        seen = stats.detectable_effect(error, 1.0, replicates - 1, level=self.level, power=power)

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
        return self.judge(name, "rate", slope, error, replicates, expected, wrong)
