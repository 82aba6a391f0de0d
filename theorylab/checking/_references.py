"""What a map could be: every rule and method, in the ways in which implementations get them wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import special

from theorylab.checking._networks import FUNCTIONAL
from theorylab.methods import _cam, method
from theorylab.methods._method import Asked
from theorylab.model.rules import PAPER, Rule, registered
from theorylab.networks import GraphTrace
from theorylab.networks.batches import batch_gradients, substituted
from theorylab.networks.nodes import Conv, MaxPool

TOLERANCE = 1e-4
"""How far a map may be from a rule's or a method's, as a share of its norm; float32 is off by 1e-6."""
DISCRETE = 0.05
"""How far integrated gradients may be from the exact integral: quadratures are."""

MISSED, LOST = "a functional ReLU was missed", "overlapping pooling loses mass"
Seeds = Callable[[np.ndarray, int], np.ndarray]
# What the gradient at the logits is, if it is not 1 at the target's.
SEEDS: dict[str, Seeds] = {
    "": lambda f, k: np.eye(len(f))[k],
    "scaled by the logit": lambda f, k: np.eye(len(f))[k] * f[k],
    "of minus the logit": lambda f, k: -np.eye(len(f))[k],
    "of the softmax, not of the logit": lambda f, k: (
        special.softmax(f)[k] * (np.eye(len(f))[k] - special.softmax(f))
    ),
    "of the logarithm of the softmax, not of the logit": lambda f, k: np.eye(len(f))[k] - special.softmax(f),
    "of the cross entropy, not of the logit": lambda f, k: special.softmax(f) - np.eye(len(f))[k],
    "of the sum of all logits": lambda f, k: np.ones(len(f)),
    "of the largest logit, not of the target": lambda f, k: np.eye(len(f))[np.argmax(f)],
    "of the first logit, not of the target": lambda f, k: np.eye(len(f))[0],
    "of the logit after the target": lambda f, k: np.eye(len(f))[(k + 1) % len(f)],
    "of the logit before the target": lambda f, k: np.eye(len(f))[k - 1],
}


@dataclasses.dataclass
class Case:
    """A network, a picture and a target, with the map that came back, and the share that rounding to its dtype may change."""

    network: str
    trace: GraphTrace
    target: int
    map: np.ndarray
    rounding: float = 0.0

    @property
    def x(self) -> np.ndarray:
        """The picture, (C, H, W)."""
        return np.asarray(self.trace.image)


@dataclasses.dataclass(frozen=True)
class Reference:
    """A map that is known: its rule or method and, in words, what is unlike it."""

    kind: str
    run: Callable[[Asked, str], np.ndarray] = dataclasses.field(repr=False)
    seed: str = ""
    remarks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    tolerance: float = TOLERANCE

    def map(self, case: Case) -> np.ndarray:
        """Return the map, (C, H, W); NaN where the method does not run."""
        gradient = SEEDS[self.seed](case.trace.logits, case.target)
        try:
            return self.run(Asked(case.trace, gradient, 0), case.network)
        except ValueError:
            return np.full(case.x.shape, np.nan)


def _ruled(rule: Rule, *wrong: str) -> Reference:
    def run(asked: Asked, network: str) -> np.ndarray:
        here = Rule.SALIENCY if MISSED in wrong and network == FUNCTIONAL else rule

        def backward(node: Any, parameters: Any, gradient: np.ndarray, saved: Any, rules: Any) -> Any:
            if LOST not in wrong or not isinstance(node, MaxPool):
                return node.backward(parameters, gradient, saved, [(here, slice(None))])
            winners, plane = saved
            flat = np.zeros((*gradient.shape[:2], plane[0] * plane[1]))
            at = winners.reshape(*winners.shape[:2], -1)
            np.put_along_axis(
                flat,
                np.broadcast_to(at, (*flat.shape[:2], at.shape[2])),
                gradient.reshape(*flat.shape[:2], -1),
                2,
            )
            return (flat.reshape(*flat.shape[:2], *plane),)

        return substituted(asked.trace, asked.gradient, backward)

    return Reference(rule.value, run, faults=wrong)


def _method(name: str, *remarks: str, **options: Any) -> Reference:
    """Make a method with options; one that is a callable is asked for the network's nodes."""

    def run(asked: Asked, network: str) -> np.ndarray:
        given = {key: value(asked) if callable(value) else value for key, value in options.items()}
        return method(name).run(asked, **given)

    return Reference(name, run, remarks=remarks)


def _last(asked: Asked) -> str:
    """Name the last convolution."""
    names = [node.name for node in asked.net.nodes if isinstance(node, Conv)]
    if not names:
        raise ValueError("layer: no convolution")
    return names[-1]


def _signed(where: Callable[[Asked], str] | None) -> Callable[[Asked, str], np.ndarray]:
    return lambda asked, network: _cam.weighed(asked, where and where(asked), lambda plane: plane)


def _path(points: np.ndarray, weights: np.ndarray) -> Callable[[Asked, str], np.ndarray]:
    """Return integrated gradients from 0 by a quadrature."""

    def run(asked: Asked, network: str) -> np.ndarray:
        pictures = points[:, None, None, None] * asked.x
        gradients = batch_gradients(asked.net, pictures, asked.gradient, Rule.SALIENCY)
        return np.asarray(asked.x * np.einsum("t,tcij->cij", weights, gradients))

    return run


def _equal(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points, np.full(len(points), 1 / len(points))


_FINE = 400


def rules() -> list[Rule]:
    """Return all registered rules that differ by more than a factor."""
    found: dict[tuple[float, float, bool], Rule] = {}
    for rule in registered():
        size = max(abs(rule.up), abs(rule.down))
        found.setdefault((rule.up / size, rule.down / size, rule.gate), rule)
    return list(found.values())


def plain() -> Iterator[Reference]:
    """Yield every rule and every method as it should be, with the options that are in use."""
    yield from map(_ruled, rules())
    yield _method("input-x-gradient")
    exact = _path(*_equal((np.arange(_FINE) + 0.5) / _FINE))
    yield Reference("integrated-gradients", exact, tolerance=DISCRETE)
    for name in ("grad-cam", "guided-grad-cam"):
        yield _method(name)
        yield _method(name, "of the last convolution, before its ReLU", layer=_last)
    yield Reference("grad-cam", _signed(None), remarks=("negative values are kept",))
    before = "of the last convolution, before its ReLU"
    yield Reference("grad-cam", _signed(_last), remarks=(before, "negative values are kept"))
    for percentile in (98, 99, 95, 90, 80, 75, 70, 50):
        yield _method("rectgrad", f"percentile {percentile}", percentile=float(percentile))
    for epsilon in (*SMALL, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.25, 1.0):
        yield _method("lrp-epsilon", f"epsilon {epsilon:g}", epsilon=epsilon)
    yield _method("lrp-alpha1beta0")
    yield _method("deep-taylor")
    for rule in PAPER:
        yield _method("activation-weighted", f"rule {rule.value}", rule=rule)
        for temperature in (1.0, 0.5, 0.3, 0.1, 2.0):
            words = f"temperature {temperature:g}, rule {rule.value}"
            yield _method("excitation-pullback", words, temperature=temperature, rule=rule)


SMALL = (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)
"""Epsilons that show where activations are small alone."""


def wrong(rule: Rule | str) -> Iterator[Reference]:
    """Yield a rule whose hooks see no functional ReLU, or whose pooled windows overwrite each other."""
    for faults in ((MISSED,), (LOST,), (MISSED, LOST)):
        yield _ruled(Rule(rule), *faults)


def seeded() -> Iterator[Reference]:
    """Yield what explains something else than the target's logit."""
    named = map(_method, ("input-x-gradient", "grad-cam", "guided-grad-cam", "lrp-epsilon"))
    midpoints = _path(*_equal((np.arange(100) + 0.5) / 100))
    for one in (
        *map(_ruled, rules()),
        *named,
        Reference("integrated-gradients", midpoints, tolerance=DISCRETE),
    ):
        for seed in list(SEEDS)[1:]:
            yield dataclasses.replace(one, seed=seed, faults=(seed,))


def quadratures() -> Iterator[list[Reference]]:
    """Yield integrated gradients by the quadratures that are in use, for each number of steps that is."""
    for steps in (50, 20, 100, 10, 25, 30, 32, 40, 64, 128, 200, 256, 300):
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        k = np.arange(steps)
        ends = np.full(steps, 1 / (steps - 1))
        ends[[0, -1]] /= 2
        rules = {
            "Gauss": ((nodes + 1) / 2, weights / 2),
            "right ends": _equal((k + 1) / steps),
            "left ends": _equal(k / steps),
            "midpoints": _equal((k + 0.5) / steps),
            "both ends, equally weighted": _equal(k / (steps - 1)),
            "trapezoids": (k / (steps - 1), ends),
            "Captum's trapezoids": (k / (steps - 1), ends * (steps - 1) / steps),
        }
        yield [
            Reference("integrated-gradients", _path(*way), remarks=(f"{steps} steps, {words}",))
            for words, way in rules.items()
        ]
