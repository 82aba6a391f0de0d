"""Which maps change when a small step changes the class."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Undecidable
from proofs_checks.referee import ALIKE, ALIKE_WHY
from proofs_checks.rows import PerPicture
from proofs_checks.studies import trained_maps
from proofs_checks.studies.trained_maps import RECTIFIED
from theorylab import adversarial
from theorylab.charts import CurveFigure, Points
from theorylab.model.rules import PAPER, Rule
from theorylab.networks import GraphNetwork, GraphTrace
from theorylab.networks.nodes import Dense
from theorylab.subjects import Subject

SIZES = (0.5, 2.0, 8.0)
"""Steps of the curve, in grey levels of 0–255."""
KINDS = {"gradient": "signs of the gradient", "random": "random signs"}
CHANGED = 0.5
"""The largest cosine at which two maps count as very different: 60°."""
REPLICATES = 200
CROPS, PHOTOGRAPHS = 8, 1
"""Pictures of the small classifier and of a large network in whose linear pieces a step is taken."""
UNITS = 128
"""Of the first dense layer, the logits there."""
SHORTEST = 2.0**-36
"""Steps below this are not taken: rounding would show."""


@dataclasses.dataclass(frozen=True)
class Attacks(PerPicture):
    """Maps of the predicted logit before and after the smallest step found that changes the prediction.

    Numbers: ``flipped`` 1 or 0; and, 0 where nothing flipped, ``level`` the size of the step, by rule ``<rule>`` the cosine of
    the maps before and after, ``<rule> step`` that of the logit predicted before, ``<rule> class`` before the step of the logits
    predicted before and after, ``<rule> random`` as ``<rule>`` with random signs.  ``<kind> <size> <rule>``: as ``<rule>`` for
    a step of that size, whether it flips or not.
    """

    def _row(self, x: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
        net, rgb = self.subject.trained, np.clip(self.subject.shown(x), 0, 255)
        trace = net.forward(self.subject.prepared(rgb))
        directions = {
            "gradient": -np.sign(adversarial.lead_gradient(self.subject, trace)),
            "random": rng.choice([-1.0, 1.0], rgb.shape),
        }
        level = adversarial.smallest_step(self.subject, rgb, directions["gradient"])
        first, flips = int(trace.logits.argmax()), math.isfinite(level)
        cosines = {name: np.zeros(len(PAPER)) for name in ("", " step", " class", " random")}
        if flips:
            after = net.forward(self._at(rgb, directions["gradient"], level))
            pair = [first, int(after.logits.argmax())]
            old, new = maps_of(trace, pair), maps_of(after, pair)
            both = {"": (0, 1), " step": (0, 0)}
            cosines = {what: _cosines(old[:, i], new[:, j]) for what, (i, j) in both.items()}
            cosines[" class"] = _cosines(old[:, 0], old[:, 1])
            del after  # a pass of VGG-16 holds a tenth of a gigabyte
            cosines[" random"] = _cosines(old[:, 0], self._predicted(rgb, directions["random"], level))
        else:
            old = maps_of(trace, [first])
        for kind, direction in directions.items():
            for size in SIZES:
                there = self._predicted(rgb, direction, size)
                cosines[f" {kind} {size}"] = _cosines(old[:, 0], there)
        row = {"flipped": float(flips), "level": level if flips else 0.0}
        for what, values in cosines.items():
            row |= {f"{rule.value}{what}": float(value) for rule, value in zip(PAPER, values, strict=True)}
        return row

    def _at(self, rgb: np.ndarray, direction: np.ndarray, size: float) -> np.ndarray:
        return self.subject.prepared(adversarial.moved(rgb, direction, size))

    def _predicted(self, rgb: np.ndarray, direction: np.ndarray, size: float) -> np.ndarray:
        trace = self.subject.trained.forward(self._at(rgb, direction, size))
        return maps_of(trace, [int(trace.logits.argmax())])[:, 0]


def maps_of(trace: GraphTrace, logits: list[int]) -> np.ndarray:
    """Return unit maps of some logits behind one pass, (R, T, d)."""
    net: GraphNetwork = trace.network
    return trained_maps.unit_rows(net.backward(trace, np.eye(net.n_logits)[logits], PAPER))


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosines of unit maps, rule by rule: (R,)."""
    return np.asarray(np.einsum("rd,rd->r", first, second))


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Measure cosines of maps before and after the step, and the step's exact effect where nothing switches."""
    subject = bench.subject
    checks = bench.remember(_within_a_piece)
    measured = bench.over_pictures("trained, adversarial steps", Attacks(subject), REPLICATES, block=5)
    count, share = measured.replicates, measured.estimate("flipped")[0]
    flipped = round(count * share)
    if flipped < 2:
        raise Undecidable(
            f"no step up to {adversarial.LEVELS[-1]:g} of 255 grey levels changes the predicted class of {count - flipped} of "
            f"{count} pictures"
        )

    def cosines(what: str) -> str:
        each = {
            rule: measured.estimate(functools.partial(_given, f"{rule.value}{what}"))
            for rule in reversed(PAPER)
        }
        return ", ".join(
            f"{rule.value} {value:.3f} ± {error:.3f}" for rule, (value, error, _) in each.items()
        )

    level, error, _ = measured.estimate(functools.partial(_given, "level"))
    unmoved = (
        f"; no step up to {adversarial.LEVELS[-1]:g} levels changes that of the others"
        if flipped < count
        else ""
    )
    random = "" if subject.trained_dense else " The dense layers are random, and so is what a class is."
    curves = CurveFigure(
        "fgsm",
        f"Cosine of the maps of the predicted class before and after a step, against its size. {subject.label}; means over "
        f"{count} pictures with 95 % intervals.",
        "step, grey levels of 255",
        "cosine of the maps before and after",
        (),
        tuple(
            Points.of(
                f"{rule.title}, {words}",
                SIZES,
                [measured.estimate(f"{rule.value} {kind} {size}") for size in SIZES],
            )
            for rule in PAPER
            for kind, words in KINDS.items()
        ),
        x_scale="log",
        title="How much of a map is left after a step against the class",
    )
    return Outcome(
        f"{trained_maps.network_words(subject)}, a step of {level:.2g} ± {error:.1g} of 255 grey levels, on average, changes "
        f"the predicted class of {flipped} of {count} pictures{unmoved}.{random} The maps of the predicted class before and "
        f"after it have a mean cosine of {cosines('')}; those of the class predicted before {cosines(' step')}; those of the two "
        f"classes before the step {cosines(' class')}. Steps of the same size with random signs: {cosines(' random')}.",
        tuple(
            Evidence(*measured.estimate(functools.partial(_given, rule.value)))
            for rule in (*RECTIFIED, Rule.SALIENCY)
        ),
        checks,
        checks[0].name,
        (curves,),
    )


def _given(name: str, mean: dict[str, float]) -> float:
    return mean[name] / mean["flipped"]


def _within_a_piece(bench: Bench) -> tuple[Check, ...]:
    """Check, in float64, what a step within a linear piece does to the maps and to a logit difference."""
    rng = np.random.default_rng(bench.seed_of("linear pieces"))
    subject = dataclasses.replace(bench.subject, trained=_first_units(bench.subject))
    net = subject.trained
    kept: list[np.ndarray] = []
    left: list[np.ndarray] = []
    changes: list[np.ndarray] = []
    by_sum, by_length = [], []
    for crop in bench.crops("linear pieces", PHOTOGRAPHS if bench.pictures else CROPS):
        # Noise, or equal patches would compete in a window; and no entry so near to 0 or 255 that the step is cut.
        rgb = 2 + np.clip(subject.shown(crop), 0, 255) * 250 / 255 + rng.random(crop.shape)
        trace = net.forward(subject.prepared(rgb))
        gradient = adversarial.lead_gradient(subject, trace)
        step, after = _longest_step(subject, rgb, trace, -np.sign(gradient))
        far = net.forward(subject.prepared(adversarial.moved(rgb, -np.sign(gradient), 1.0)))
        before, near, away = (
            maps_of(each, [int(each.logits.argmax())])[:, 0] for each in (trace, after, far)
        )
        kept.append(_cosines(before, near))
        left.append(_cosines(before, away))
        second, first = np.argsort(trace.logits)[-2:]
        difference = after.logits - trace.logits
        changes.append(np.array([(difference[first] - difference[second]) / step]))
        by_sum.append(np.array([-np.abs(gradient).sum()]))
        by_length.append(np.array([-np.linalg.norm(gradient)]))
    return (
        bench.identity(
            "cosine of the maps before and after a step within a linear piece = 1",
            kept,
            [np.ones_like(cosines) for cosines in kept],
            "the cosines after a step of one grey level",
            left,
        ),
        bench.identity(
            "change of a logit difference over such a step = −‖gradient‖₁",
            changes,
            by_sum,
            "the Euclidean norm in place of the sum of magnitudes",
            by_length,
            tolerance=1e-6,
        ),
    )


def _first_units(subject: Subject) -> GraphNetwork:
    """Return the trained network in float64 with a few units of its first dense layer as logits: the rest may be huge."""
    below = trained_maps.up_to(subject.trained, subject.hidden)
    last = below.nodes[-1]
    assert isinstance(last, Dense)
    fewer = dataclasses.replace(last, n_outputs=min(UNITS, last.n_outputs))
    parameters = {
        name: (array[: fewer.n_outputs] if name.rpartition(".")[0] == last.name else array).astype(np.float64)
        for name, array in below.parameters.items()
    }
    return GraphNetwork((*below.nodes[:-1], fewer), parameters)


def _longest_step(
    subject: Subject, rgb: np.ndarray, start: GraphTrace, direction: np.ndarray
) -> tuple[float, GraphTrace]:
    """Shorten a step until it ends in the linear piece of a picture; return it and its trace.

    A piece is convex, because linear inequalities bound it: if both ends have the same masks and winners, so has all between.
    """
    step = 1.0
    while step >= SHORTEST:
        step /= 16
        trace = subject.trained.forward(subject.prepared(adversarial.moved(rgb, direction, step)))
        if all(_same(start.saved[name], kept) for name, kept in trace.saved.items()):
            return step, trace
    raise ArithmeticError("no step that is longer than rounding stays in the linear piece of a picture")


def _same(first: Any, second: Any) -> bool:
    """Return whether a node kept the same masks or winners."""
    if isinstance(first, np.ndarray):
        return bool(np.array_equal(first, second))
    if isinstance(first, tuple) and isinstance(second, tuple):
        return all(_same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


CLAIM = Claim(
    id="fgsm",
    order=290,
    section="4.4, Figure 8",
    statement="When a step of the fast gradient sign method changes the class that a trained network predicts, its "
    "saliency map changes significantly, guided backpropagation's and DeconvNet's remain almost unchanged.",
    exact_law="Within a linear piece of the network no map changes, of whichever rule; and the step −ε sign(g), g = "
    "∇(f_a − f_b), changes f_a − f_b by exactly −ε‖g‖₁.",
    formula=(
        r"\text{within a linear piece: } \cos(S, S') = 1,\quad \Delta(f_a - f_b) = -\varepsilon\,\|g\|_1",
        r"\text{for the step } -\varepsilon\,\mathrm{sign}(g),\quad g = \nabla(f_a - f_b)",
    ),
    proof="A network of linear layers, ReLUs and max-pools is affine wherever no ReLU and no winner of a window "
    "switches, and a map depends on the picture through these switches alone. There f_a − f_b changes by ⟨g, −ε sign(g)⟩ "
    "= −ε Σ_t |g_t|. Such a piece is bounded by linear inequalities, so it is convex: a step at whose two ends the same "
    "units are open and the same entries win lies in one piece.",
    n_checks=2,
    run=run,
    trained=("convolutions", "dense"),
    margins=(
        *(
            Margin(f"{rule.value}: cosine of the maps before and after", low=ALIKE, why=ALIKE_WHY)
            for rule in RECTIFIED
        ),
        Margin(
            "saliency: cosine of the maps before and after", high=CHANGED, why="less than half of it is left"
        ),
    ),
    authors="This was said of VGG-16 on ImageNet, whose maps are of 224 pixels and of many filters.",
)
