"""The error of closed forms that do not exist.  Imports rules and units alone."""

from __future__ import annotations

from theorylab import _validation
from theorylab.model.rules import Rule
from theorylab.model.units import Unit

SIMULATE = "theorylab.draw simulates it"


@_validation.checked
class NoLaw(NotImplementedError):
    """No closed form exists; the message says for what, and what to call instead.

    Parameters
    ----------
    rule : Rule, optional
    unit : Unit, optional
    layer : str, optional
        The layer, or the quantity, that has no closed form.
    instead : str, default "theorylab.draw simulates it"
    method : str, optional
        In the place of a rule.

    Attributes
    ----------
    rule, unit, layer, instead, method

    Examples
    --------
    >>> from theorylab.model.units import LeakyReLU
    >>> raise NoLaw(Rule.GUIDED, LeakyReLU(0.2), "MaxPool(2)")
    Traceback (most recent call last):
    ...
    theorylab.analytic.nolaw.NoLaw: no law for rule 'guided' with LeakyReLU(slope=0.2) at MaxPool(2): theorylab.draw simulates it
    """

    def __init__(
        self,
        rule: Rule | None = None,
        unit: Unit | None = None,
        layer: str | None = None,
        instead: str = SIMULATE,
        method: str | None = None,
    ) -> None:
        self.rule, self.unit, self.layer, self.instead, self.method = rule, unit, layer, instead, method
        named = (
            ("for rule", rule and repr(rule.value)),
            ("for method", method and repr(method)),
            ("with", unit and repr(unit)),
            ("at", layer),
        )
        what = " ".join(f"{word} {name}" for word, name in named if name is not None)
        super().__init__(f"no law {what}: {instead}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the arguments, because an exception would pickle the message."""
        return NoLaw, (self.rule, self.unit, self.layer, self.instead, self.method)
