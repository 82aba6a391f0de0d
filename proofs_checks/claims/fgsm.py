"""Which maps change when a small step changes the class."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome
from proofs_checks.referee import ALIKE, ALIKE_WHY
from proofs_checks.studies import trained_maps
from proofs_checks.studies.trained_maps import RECTIFIED
from theorylab import montecarlo, training
from theorylab.model.rules import PAPER, Rule
from theorylab.montecarlo import Measurement
from theorylab.networks import GraphNetwork
from theorylab.networks._trace import GraphTrace
from theorylab.training import INPUT_SCALE, Classifier

LEVELS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Sizes of the step, in grey levels of 0–255; the first that changes the class is taken."""
CHANGED = 0.5
"""The largest cosine at which two maps count as very different: 60°."""
REPLICATES = 200
CROPS = 8
SHORTEST = 2.0**-24
"""Steps below this are not taken: rounding would show."""


def loss_gradient(logits: np.ndarray, label: int) -> np.ndarray:
    """Return the gradient of one label's cross-entropy: softmax minus one-hot."""
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(weights / weights.sum() - (np.arange(len(logits)) == label))


@dataclasses.dataclass(frozen=True)
class Attacks:
    """Maps of the predicted logit before and after a step that changes the prediction.

    Each replicate is a crop.  Numbers: ``flipped`` 1 or 0; and, 0 where nothing flipped, ``level`` the size of the step, by
    rule ``<rule>`` the cosine of the two maps, ``<rule> same`` that with the map after the step of the logit that was
    predicted before.  ``differs`` 1 where the crop before has another prediction, ``<rule> others`` the cosine of the two.
    """

    classifier: Classifier

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        crops, _ = training.crops("test", size, seed=rng)
        predictions = [self._maps(crop) for crop in crops]
        return montecarlo.measurement(
            self._row(crop, prediction, predictions[index - 1])
            for index, (crop, prediction) in enumerate(zip(crops, predictions, strict=True))
        )

    def _maps(self, x: np.ndarray, *more: int) -> tuple[int, np.ndarray]:
        """Return the predicted logit, and the unit maps of it and of some others: (R, 1 + others, d)."""
        net = self.classifier.network
        trace = net.forward(x)
        label = int(trace.logits.argmax())
        maps = net.backward(trace, np.eye(net.n_logits)[[label, *more]], PAPER)
        return label, trained_maps.unit_rows(maps)

    def _row(
        self, x: np.ndarray, prediction: tuple[int, np.ndarray], other: tuple[int, np.ndarray]
    ) -> dict[str, float]:
        label, before = prediction
        row = {"flipped": 0.0, "level": 0.0, "differs": float(other[0] != label)}
        row |= {f"{rule.value}{what}": 0.0 for rule in PAPER for what in ("", " same", " others")}
        for rule, (map_,), (strange,) in zip(PAPER, before, other[1], strict=True):
            row[f"{rule.value} others"] = row["differs"] * float(map_ @ strange)
        net = self.classifier.network
        trace = net.forward(x)
        gradient = net.backward(trace, loss_gradient(trace.logits, label)[None], [Rule.SALIENCY])[0, 0]
        for level in LEVELS:
            moved = x + np.float32(level * INPUT_SCALE) * np.sign(gradient)
            if net.logits(moved).argmax() != label:
                row |= {"flipped": 1.0, "level": level}
                for rule, (map_,), (after, same) in zip(
                    PAPER, before, self._maps(moved, label)[1], strict=True
                ):
                    row[rule.value], row[f"{rule.value} same"] = float(map_ @ after), float(map_ @ same)
                break
        return row


@trained_maps.one_thread
def run(bench: Bench) -> Outcome:
    """Measure cosines of maps before and after the step, and the step's exact effect where nothing switches."""
    measured = bench.study("trained, adversarial steps", Attacks(classifier), REPLICATES, block=10)
    check = _linear(bench)

    def in_words(name: str, given: str) -> str:
        value, error, _ = measured.estimate(lambda mean: mean[name] / mean[given])
        return f"{value:.3f} ± {error:.3f}"

    share, level = (
        measured.estimate(function)[0]
        for function in ("flipped", lambda mean: mean["level"] / mean["flipped"])
    )
    cosines, same, pairs = (
        ", ".join(f"{rule.value} {in_words(f'{rule.value}{what}', given)}" for rule in reversed(PAPER))
        for what, given in (("", "flipped"), (" same", "flipped"), (" others", "differs"))
    )
    return Outcome(
        f"{trained_maps.network_words(bench.subject)}, a step of at most {LEVELS[-1]:.0f} of 255 grey levels changes the "
        f"class of {100 * share:.0f} % of the crops, on average one of {level:.1f}. The maps of the predicted class before "
        f"and after it have a mean cosine of {cosines}; those of the class predicted before {same}; those of two crops of "
        f"different classes {pairs}.",
        tuple(
            Evidence(*measured.estimate(functools.partial(_cosine, rule)))
            for rule in (*RECTIFIED, Rule.SALIENCY)
        ),
        (check,),
        check.name,
    )


def _cosine(rule: Rule, mean: dict[str, float]) -> float:
    return mean[rule.value] / mean["flipped"]


def _linear(bench: Bench) -> Check:
    """Check how a logit difference changes under a step within one linear piece, in float64."""
    rng = np.random.default_rng(bench.seed_of("linear pieces"))
    trained = bench.classifier.network
    net = GraphNetwork(
        trained.nodes, {name: array.astype(np.float64) for name, array in trained.parameters.items()}
    )
    changes: list[np.ndarray] = []
    by_sum, by_length = [], []
    while len(changes) < CROPS:
        crop = training.crops("test", 1, seed=rng)[0][0].astype(np.float64)
        trace = net.forward(crop)
        first, second = np.argsort(trace.logits)[[-1, -2]]
        seed = np.zeros((1, net.n_logits))
        seed[0, first], seed[0, second] = 1, -1
        gradient = net.backward(trace, seed, [Rule.SALIENCY])[0, 0]
        step, after = _longest_step(net, crop, gradient)
        if step < SHORTEST:
            continue  # two equal patches tie in a window, as in a black corner: the crop lies between two pieces
        difference = after.logits - trace.logits
        changes.append(np.array([(difference[first] - difference[second]) / step]))
        by_sum.append(np.array([-np.abs(gradient).sum()]))
        by_length.append(np.array([-np.linalg.norm(gradient)]))
    return bench.identity(
        "change of a logit difference over the step = −‖gradient‖₁",
        changes,
        by_sum,
        "the Euclidean norm in place of the sum of magnitudes",
        by_length,
        tolerance=1e-6,
    )


def _longest_step(net: GraphNetwork, x: np.ndarray, gradient: np.ndarray) -> tuple[float, GraphTrace]:
    """Halve a step until it ends in the linear piece of `x` or is below `SHORTEST`; return it and the trace.

    A piece is convex, because linear inequalities bound it: if both ends have the same masks and winners, so has all between.
    """
    start = net.forward(x).saved
    step = 1.0
    while True:
        trace = net.forward(x - step * np.sign(gradient))
        if step < SHORTEST or all(_same(start[name], kept) for name, kept in trace.saved.items()):
            return step, trace
        step /= 2


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
    exact_law="Within a linear piece of the network the step −ε sign(g), g = ∇(f_a − f_b), changes f_a − f_b by "
    "exactly −ε‖g‖₁.",
    formula=(
        r"\text{within a linear piece: } \Delta(f_a - f_b) = -\varepsilon\,\|g\|_1",
        r"\text{for the step } -\varepsilon\,\mathrm{sign}(g),\quad g = \nabla(f_a - f_b)",
    ),
    proof="A network of linear layers, ReLUs and max-pools is affine wherever no ReLU and no winner of a window "
    "switches. There f_a − f_b changes by ⟨g, −ε sign(g)⟩ = −ε Σ_t |g_t|. Such a piece is bounded by linear "
    "inequalities, so it is convex: a step at whose two ends the same units are open and the same entries win lies in "
    "one piece.",
    n_checks=1,
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
