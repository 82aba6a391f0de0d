"""Max-pools whose windows overlap and are padded, below other layers: noises at neighbouring positions are then correlated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.judge import Estimator
from proofs_checks.studies import shelf
from proofs_checks.studies.depth import Stack, between, cosine, grouped, inner, stacked
from proofs_checks.studies.three_layers import unit
from theorylab import ConvSpec, MaxPool, Rule, montecarlo
from theorylab.analytic import depth_maps
from theorylab.model.rules import PAPER
from theorylab.montecarlo import Measurement

SIDE = 12
CONVOLUTIONS = 3
POOL = MaxPool(3, 2, 1)
"""ResNet-50's first, behind the first of the convolutions."""
OTHERS = {
    "as behind disjoint windows of 3×3": MaxPool(3),
    "as behind disjoint windows of 2×2": MaxPool(2),
    "as without padding": MaxPool(3, 2),
    "as without the pool": None,
}
REPEATS = 4
"""How often the picture's channels stand beside each other: energies at the picture err by a share of one over them."""
TOLERANCE = 0.004
"""At the picture.  With eight to 32 times the points of its integrals no number that is checked moves by more than 0.3 %, and
energies that add patches as if uncorrelated err by 0.25 % on a photograph of twelve channels."""
GROUP = 10
"""Networks in a replicate: the energy of the mean map is measured between them."""
REPLICATES = {16: 280, 64: 420}


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Of one rule: alignments from the top layer down, the picture's last; the mean map, and the energy of a map.

    `arriving` is the energy of what comes to the pool from above, without its part along the activations.
    """

    alignments: tuple[float, ...]
    mean: np.ndarray
    energy: float
    arriving: float

    @property
    def size(self) -> float:
        """Of the mean map."""
        return float(np.linalg.norm(self.mean))


def shown(picture: np.ndarray) -> np.ndarray:
    """Return what a network reads."""
    return unit(np.tile(shelf.shrunk(picture, SIDE), (REPEATS, 1, 1)))


def convolutions(channels: int, n_filters: int) -> tuple[ConvSpec, ...]:
    """Return them from the picture up."""
    return stacked(channels, [n_filters] * CONVOLUTIONS, [3] * CONVOLUTIONS, [1] * CONVOLUTIONS)


def predicted(picture: np.ndarray, n_filters: int, pool: MaxPool | None) -> dict[Rule, Prediction]:
    """Return the law of each rule with a pool, or without."""
    x, found = shown(picture), {}
    first, *above = convolutions(len(x), n_filters)
    for rule in PAPER:
        records = depth_maps(x, [first, *([] if pool is None else [pool]), *above], rule)
        mean, variance = np.asarray(records[-1].mean_map), np.asarray(records[-1].variance_map)
        found[rule] = Prediction(
            tuple(record.alignment for record in records),
            mean,
            float((mean**2).sum() + variance.sum()),
            n_filters * float((records[-2].beta ** 2).sum()),
        )
    return found


def independent(picture: np.ndarray, n_filters: int) -> float:
    """Return the size of DeconvNet's mean map if windows received independent noises of the size that they have."""
    x = shown(picture)
    first, *above = convolutions(len(x), n_filters)
    noise = depth_maps(x, [first, POOL, *above], Rule.DECONVNET)[-2].beta
    (flat,) = depth_maps(x, [first, POOL], Rule.DECONVNET, readout_std=math.sqrt((noise**2).mean()))
    return float(np.linalg.norm(np.asarray(flat.mean_map)))


@dataclasses.dataclass(frozen=True)
class BelowLayers:
    """Maps of networks beside their law; a replicate is `GROUP` networks.

    Numbers over their law: ``hidden``, guided backpropagation's cosine of V̂ and the pool's output; by rule ``<rule> energy``
    ‖S‖²; of rules whose V̂ has no mean at the pool's output ``<rule> arriving``, ‖V̂‖² there; of those with a mean map m
    ``<rule> toward``, the cosine to x.  And ``along`` ⟨S, m⟩/‖m‖², over pairs of different networks ``pair`` ⟨S, S'⟩/‖m‖² and
    ``pair_along`` ⟨S, m⟩⟨S', m⟩/‖m‖⁴.
    """

    x: np.ndarray
    n_filters: int
    law: Mapping[Rule, Prediction]

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        stack = Stack(self.x, convolutions(len(self.x), self.n_filters), pools={0: POOL})
        *_, (_, output, arriving), (_, _, found) = stack.descend(rng, GROUP * size, PAPER)
        numbers = {}
        for rule, law in self.law.items():
            name, maps = rule.value, found[rule][:, 0].astype(np.float64)
            energy = grouped(inner(maps, maps), GROUP)
            numbers[f"{name} energy"] = energy.mean(axis=1) / law.energy
            *_, aligned, toward = law.alignments
            if aligned:
                numbers["hidden"] = grouped(cosine(arriving[rule], output), GROUP).mean(axis=1) / aligned
            else:
                came = grouped(inner(arriving[rule], arriving[rule]), GROUP)
                numbers[f"{name} arriving"] = came.mean(axis=1) / law.arriving
            if toward:
                along = grouped(inner(maps, law.mean), GROUP) / law.size**2
                sums = grouped(maps, GROUP).sum(axis=1)
                numbers[f"{name} toward"] = grouped(cosine(maps, self.x), GROUP).mean(axis=1) / toward
                numbers[f"{name} along"] = along.mean(axis=1)
                numbers[f"{name} pair"] = between(inner(sums, sums), energy) / law.size**2
                numbers[f"{name} pair_along"] = between(along.sum(axis=1) ** 2, along**2)
        return montecarlo.measurement(numbers)


def along(other: Prediction, law: Prediction) -> float:
    """Return the size of another mean map along the law's, over that."""
    return float(inner(other.mean, law.mean)) / law.size**2


def direction(other: Prediction, law: Prediction) -> float:
    """Return the share of another mean map's energy along the law's."""
    return (along(other, law) * law.size / other.size) ** 2 if other.size else 0.0


def run(bench: Bench) -> Outcome:
    """Measure sizes, directions, alignments and an energy over the law at two widths, in the limit of which the law is right."""
    x = shown(bench.x)
    laws = {n: bench.once(predicted, n, POOL) for n in REPLICATES}
    others = {what: {n: bench.once(predicted, n, pool) for n in REPLICATES} for what, pool in OTHERS.items()}
    studies = {
        n: bench.study(
            f"overlapping max-pool at depth, {n} filters", BelowLayers(x, n, laws[n]), count, block=2
        )
        for n, count in REPLICATES.items()
    }

    def compare(
        rule: Rule,
        what: str,
        estimator: Estimator,
        value: Callable[[Prediction, Prediction], float],
        *wrong: Wrong,
        tolerance: float = TOLERANCE,
    ) -> Check:
        """Compare a number over its law with 1; `value` is what another law says of it over this one."""
        rest = []
        for pool, other in others.items():
            near, far = (value(other[n][rule], laws[n][rule]) for n in sorted(REPLICATES))
            rest.append(Wrong(pool, (4 * far - near) / 3))  # in the limit, as measurements are
        name = f"{rule.value}: {what}, over the law"
        return bench.limit(name, studies, estimator, 1.0, [*wrong, *rest], tolerance=tolerance)

    def shape(rule: Rule) -> tuple[Check, Check]:
        name = rule.value
        return (
            compare(
                rule,
                "share of the mean map's energy along the prediction",
                lambda m: m[f"{name} pair_along"] / m[f"{name} pair"],
                direction,
            ),
            compare(
                rule,
                "cosine of a map and x",
                f"{name} toward",
                lambda other, law: other.alignments[-1] / law.alignments[-1],
            ),
        )

    wide = laws[max(REPLICATES)]
    top, *_, hidden, _ = wide[Rule.GUIDED].alignments
    apart = bench.once(independent, max(REPLICATES)) / wide[Rule.DECONVNET].size
    checks = (
        compare(
            Rule.GUIDED,
            "alignment with what the pool puts out",
            "hidden",
            lambda other, law: other.alignments[-2] / law.alignments[-2],
            Wrong("as one layer below the readout", top / hidden),
            tolerance=0.0,
        ),
        compare(Rule.GUIDED, "size of the mean map", "guided along", along),
        *shape(Rule.GUIDED),
        compare(
            Rule.DECONVNET,
            "size of the mean map, of the root of the energy that comes to the pool",
            lambda m: m["deconvnet along"] / math.sqrt(m["deconvnet arriving"]),
            lambda other, law: along(other, law) / math.sqrt(other.arriving / law.arriving),
            Wrong("noises of different windows taken for independent", apart),
        ),
        *shape(Rule.DECONVNET),
        compare(
            Rule.SALIENCY,
            "energy of the map, of that which comes to the pool",
            lambda m: m["saliency energy"] / m["saliency arriving"],
            lambda other, law: other.energy / other.arriving * law.arriving / law.energy,
        ),
    )
    cosines = [wide[rule].alignments[-1] for rule in (Rule.GUIDED, Rule.DECONVNET)]
    return Outcome(
        f"Below {CONVOLUTIONS - 1} convolutions, too, the law holds behind a pool whose windows overlap and are padded. Under "
        f"{max(REPLICATES)} filters it has a cosine to the picture of {cosines[0]:.2f} for guided backpropagation and "
        f"{cosines[1]:.2f} for DeconvNet, whose mean map would be {100 * (1 - apart):.0f} % smaller if neighbouring windows "
        "received independent noises.",
        (),
        checks,
        checks[4].name,
    )


CLAIM = Claim(
    id="overlapping-pools-depth",
    order=62,
    section="beyond 3.2.1 and 3.2.2",
    statement="Behind a max-pool whose windows overlap, such as ResNet-50's first, and below other layers guided backpropagation "
    "and DeconvNet still recover a part of the picture, and saliency is noise. What neighbouring windows receive is correlated.",
    exact_law="Window p receives V̂_p = Σ_s a_s o_{p+s} + β ξ_p, patch j the sum R_j = Σ_p K_p(j) V̂_p over the windows that it "
    "wins: given the pre-activations normal, with the variance Σ_{p,p'} K_p K_p' C_pp'. Noises of neighbours share filters: "
    "C_s(t) = n c² Σ_{q∋t} E[T_q T_{q+s}]. From T_j = h(R_j) follow a, β and C one layer down; in the limit of wide layers, up "
    "to integrals.",
    formula=(
        r"R_j = \sum_p K_p(j)\,\left(\sum_s a_s\, o_{p+s} + \beta\,\xi_p\right),\quad"
        r" \mathrm{Cov}(\beta\xi_p, \beta\xi_{p'}) = C_{pp'}",
        r"C_s(t) = n c^2 \sum_{q \ni t}\, \mathrm{E}\left[T_q\, T_{q+s}\right],\quad T_j = h(R_j)",
        r"\mathrm{E}\,S = n \sum_j\, D_j^{\mathrm{T}}\, \mathrm{E}\left[w\, T_j\right],\quad \beta_t^2 = n c^2"
        r" \sum_{j \ni t}\, \mathrm{E}\left[T_j^2\right]",
    ),
    proof="A patch that wins several windows receives the sum of what they send. Below another layer these noises are not "
    "independent: at both windows the same entry of a filter meets what its unit hands on, and because h of guided "
    "backpropagation and of DeconvNet has a mean, E[T T'] is not 0. Different entries are uncorrelated up to one over the patch. "
    "T depends on the filter through the patches of its windows alone, so that E[w T] is an integral over 25 normals at most.\n\n"
    "Saliency has h(V) = V: noises of different windows stay uncorrelated, each goes to one winner if any value is positive, and "
    "energies add.\n\n"
    "The law errs by O(1/n). Quotients with it at two widths, n and 4n filters, are extrapolated to (4A(4n) − A(n))/3, which has "
    "no such term. At the picture it allows itself 0.4 %: its integrals have 512 to 2048 points, and with many more no number "
    "that is checked moves by more than 0.3 %; energies add patches as if uncorrelated, which errs by one over the channels, "
    "so that the picture's are repeated.",
    n_checks=8,
    run=run,
    margins=(),
    authors="Windows that overlap were not spoken of, in three layers or below others.",
)
