"""The type of an exhibit, and the rules of a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from theorylab.charts import MapFigure
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import GraphTrace
from theorylab.visualization import check_target, logit_gradients


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """A figure, rows of numbers under a header for people, and the same numbers by name for programs.

    Attributes
    ----------
    figure : MapFigure
    header : tuple of str
    rows : tuple of tuples of float, str or (float, float)
        One for each rule, as long as the header; a pair is a number and its standard error.
    numbers : dict
        Standard types; what is not a number is NaN.
    notes : tuple of str
        What a reader of the table should know, a line each.
    """

    figure: MapFigure
    header: tuple[str, ...]
    rows: tuple[tuple[float | str | tuple[float, float], ...], ...]
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


def rules_named(name: Rule | str) -> tuple[Rule, ...]:
    """Return one rule, or those of the paper for ``"all"``.

    Raises
    ------
    ValueError
        If there is no such rule.

    Examples
    --------
    >>> [rule.value for rule in rules_named("guided")], len(rules_named("all"))
    (['guided'], 3)
    """
    return PAPER if name == "all" else (Rule(name),)


def maps_shown(
    net: Any, trace: GraphTrace, rules: Iterable[Rule], target: int | str, seed: int
) -> tuple[list[np.ndarray], int | None]:
    """Return the map of each rule behind a forward pass, and the index of the logit; none of the cost, a function of all."""
    checked = check_target(target, net.n_logits)
    gradients = logit_gradients([checked], net.n_logits, lambda: trace.logits, seed)
    maps = net.backward(trace, gradients, list(rules))[:, 0]
    return [*maps], None if checked == "cost" else int(np.argmax(gradients[0]))
