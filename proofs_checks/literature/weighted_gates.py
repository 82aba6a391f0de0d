"""Gates that weigh a path by its activation, or pass what is important alone: what they show of random weights."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Outcome, Wrong
from proofs_checks.studies.gated import Gated
from proofs_checks.studies.shelf import small_crop
from proofs_checks.studies.three_layers import covered, inner, unit
from theorylab import Gaussian, PatchGrid, analytic, law, methods, networks
from theorylab.charts import MapFigure, MapPanel
from theorylab.model import models

SIDE, KERNEL, STRIDE, FILTERS = 24, 3, 2, 256
PERCENTILE = 98.0
REACH = 0.005
"""How far RectGrad's law, a limit of many filters, may be off at this number of them; at 100 it was 0.2 ± 0.25 %."""


@dataclasses.dataclass(frozen=True)
class Weighted:
    """What units hand on, by the method."""

    patches: np.ndarray
    temperature: float

    def __call__(
        self, w: np.ndarray, readouts: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return signals by the name of the map; nothing is drawn."""
        before = self.patches @ w
        active = np.maximum(before, 0)
        soft = 1 / (1 + np.exp(-before / self.temperature))
        important = active * readouts
        above = important > np.percentile(important, PERCENTILE, axis=(1, 2), keepdims=True)
        return {
            "weighted": active * readouts,
            "weighted guided": active * np.maximum(readouts, 0),
            "soft": soft * readouts,
            "soft guided": soft * np.maximum(readouts, 0),
            "rectgrad": above * readouts,
        }


def run(bench: Bench) -> Outcome:
    """Check the methods on whole networks, then measure their mean maps and the noise of signed gradients."""
    crop = small_crop(bench.x, SIDE)
    grid = PatchGrid(crop.shape, min(KERNEL, *crop.shape[1:]), stride=STRIDE)
    patches, stack = grid.extract(crop), models.three_layer(grid, FILTERS)
    norms = np.linalg.norm(patches, axis=1)
    temperature = float(np.median(norms[norms > 0]))
    soft = {"temperature": temperature}
    rule = {"rule": "guided"}
    directions = {
        "weighted guided": law(stack, crop, "activation-weighted", options=rule).mean,
        "soft guided": law(stack, crop, "excitation-pullback", options=soft | rule).mean,
        "rectgrad": law(stack, crop, "rectgrad", options={"percentile": PERCENTILE}).mean,
    }
    length = {name: float(np.linalg.norm(mean)) for name, mean in directions.items()}
    hard = analytic.mean_map(crop, grid, "guided", FILTERS)
    simulate = Gated(
        crop, grid, FILTERS, Weighted(patches, temperature), directions, factors={"rectgrad": crop}
    )
    measured = bench.study("weighted gates", simulate, 480, block=8)
    noise = law(stack, crop, "activation-weighted")
    energies = {
        "weighted": float(noise.variance.sum()),
        "soft": float(law(stack, crop, "excitation-pullback", options=soft).variance.sum()),
    }
    open_ = FILTERS * grid.patch_size * grid.n_patches

    def along(name: str, title: str, wrong: Wrong, tolerance: float = 0.0) -> Check:
        return bench.judge(
            f"{title}: ⟨S, m⟩ along the predicted mean map",
            "approximation" if tolerance else "moment",
            *measured.estimate(f"{name} along"),
            length[name],
            wrong,
            share=measured.share,
            tolerance=tolerance,
        )

    def shape(name: str, title: str, wrong: Wrong) -> Check:
        axis = inner(unit(wrong_maps[name]), unit(directions[name])) ** 2
        return bench.ratio(
            f"{title}: share of the mean map's energy along the prediction",
            measured,
            lambda m: m[f"{name} halves_along"] / m[f"{name} halves"],
            1.0,
            dataclasses.replace(wrong, value=axis),
        )

    wrong_maps = {"weighted guided": hard, "rectgrad": np.abs(crop) * np.abs(hard)}
    weighted = shape(
        "weighted guided", "activation-weighted guided", Wrong("x⊙κ, as behind the ReLU's gate", 0.0)
    )
    rectified = shape("rectgrad", "RectGrad", Wrong("x times guided backpropagation's", 0.0))
    checks = (
        _identity(bench, crop, grid, temperature),
        weighted,
        along(
            "weighted guided",
            "activation-weighted guided",
            Wrong("both half-spaces", 2 * length["weighted guided"]),
        ),
        bench.moment(
            "activation-weighted: energy of the signed map, which has mean 0",
            measured,
            "weighted energy",
            energies["weighted"],
            (
                Wrong(
                    "filter and activation independent",
                    FILTERS * grid.patch_size / 2 * float((norms**2).sum()),
                ),
                Wrong("all units open", 2 * energies["weighted"]),
            ),
        ),
        bench.ratio(
            "activation-weighted: distance of two logits' signed maps",
            measured,
            lambda m: math.sqrt(2 - 2 * m["weighted classes"] / m["weighted energy"]),
            noise.class_distance,
            Wrong("as of DeconvNet's maps: √(2 − 2/π)", math.sqrt(2 - 2 / math.pi)),
        ),
        along(
            "soft guided",
            "excitation pullback, guided",
            Wrong("the hard gate's", float(np.linalg.norm(hard))),
        ),
        bench.moment(
            "excitation pullback: energy of the signed map, which has mean 0",
            measured,
            "soft energy",
            energies["soft"],
            (Wrong("half open: ¼ of the energy", open_ / 4), Wrong("the hard gate's", open_ / 2)),
        ),
        along(
            "rectgrad",
            "RectGrad, many filters",
            Wrong("without a threshold", float(np.linalg.norm(crop * hard))),
            REACH,
        ),
        rectified,
    )
    figure = MapFigure(
        "weighted-gates",
        "Predicted mean maps at random weights: activation-weighted guided backpropagation gives coverage⊙x; RectGrad, which is "
        "multiplied by the picture, is above 0 wherever the picture is not 0.",
        (
            MapPanel("input x", crop),
            MapPanel("guided, x⊙κ", hard),
            MapPanel("activation-weighted guided", directions["weighted guided"]),
            MapPanel(f"RectGrad, percentile {PERCENTILE:g}", directions["rectgrad"]),
        ),
        title="Weighted by the activation, gates give back coverage⊙x; RectGrad shows where the picture is",
    )
    before = inner(unit(hard), unit(covered(crop, grid)))
    return Outcome(
        "Weighing by the activation takes the contrast normalisation from guided backpropagation of random weights: of its mean "
        f"map's energy {weighted.estimate:.3f} is along coverage⊙x, {before**2:.3f} without. With signed gradients it "
        "leaves noise of mean 0. RectGrad's threshold works as a rectifier: its mean map shows where the picture is, whatever "
        "the class. What such maps show beyond that on a trained network is learned.",
        (),
        checks,
        weighted.name,
        (figure,),
    )


def _identity(bench: Bench, crop: np.ndarray, grid: PatchGrid, temperature: float) -> Check:
    """Check that what is simulated are the methods, on whole networks."""
    rng = np.random.default_rng(bench.seed_of("weighted gates of whole networks"))
    found, simulated, plain = [], [], []
    chosen: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("weighted", "activation-weighted", {}),
        ("weighted guided", "activation-weighted", {"rule": "guided"}),
        ("soft", "excitation-pullback", {"temperature": temperature}),
        ("soft guided", "excitation-pullback", {"temperature": temperature, "rule": "guided"}),
        ("rectgrad", "rectgrad", {"percentile": PERCENTILE}),
    )
    net = networks.three_layer_cnn(grid, n_filters=16, n_logits=1, law=Gaussian(1.0), seed=rng)
    w = net.filters.reshape(16, -1).T
    readouts = net.readout_rows.array().reshape(1, 16, -1).swapaxes(1, 2)
    handed = Weighted(grid.extract(crop), temperature)(w, readouts, rng)
    gate = grid.extract(crop) @ w > 0
    for name, method, options in chosen:
        factor = crop if name == "rectgrad" else 1.0
        found.append(methods.attribute(net, crop, method, 0, **options))
        simulated.append(factor * grid.fold(handed[name][0] @ w.T))
        plain.append(factor * grid.fold((readouts[0] * gate) @ w.T))
    return bench.identity(
        "the methods are gates of the three-layer map",
        found,
        simulated,
        "the ReLU's gate, and signed gradients",
        plain,
    )


CLAIM = Claim(
    id="weighted-gates",
    order=40,
    section="Kim et al. 2019, arXiv:1902.04893; Satkiewicz 2025, arXiv:2507.22832",
    statement="Maps become cleaner and follow the object if units pass a gradient on only where it is important, measured by "
    "its product with the activation (RectGrad), or through gates that grow with the activation (excitation pullbacks): on the "
    "trained networks shown.",
    exact_law="For random weights, a gate g(w·y) gives E[w g] along the patch y: E S = N E[h] x⊙Σ_{j∋t} A_j c/‖y_j‖, A = E[z "
    "g(c‖y‖z)]. For g = max(w·y, 0) it is N m₀ c²/2 times coverage⊙x, exactly, and signed gradients have mean 0 and Var = N c⁴ "
    "E V² (Σ_{j∋t} ‖y_j‖²/2 + coverage x²). RectGrad, x⊙Σ_j D_jᵀ Σ_i V w 1(max(w·y, 0) V > τ), has the mean N c c_V x²⊙Σ_{j∋t} "
    "s_j K₁(s_j)/(2π‖y_j‖), s_j = τ/(c c_V‖y_j‖), as N grows.",
    formula=(
        r"\mathrm{E}[w\,g(w \cdot y)] = c\,\mathrm{E}[z\,g(c\|y\|z)]\, \dfrac{y}{\|y\|},\quad g = \max(w \cdot y, 0):\;"
        r" \dfrac{c^2}{2}\, y",
        r"\mathrm{RectGrad:}\quad \mathrm{E}\,m = \dfrac{N c\,c_V}{2\pi}\, x^2 \odot \sum_{j \ni t}"
        r" \dfrac{s_j K_1(s_j)}{\|y_j\|}",
    ),
    proof="Write w = c z û + w⊥, û = y/‖y‖. The gate knows z alone, and w⊥ has mean 0. With g = max(w·y, 0), A = c‖y‖ E[z² 1(z "
    "> 0)] = c‖y‖/2: the norm cancels, and what is left is the patch, D_jᵀ y_j, of which coverage⊙x is the sum. Likewise E[g² w "
    "wᵀ] = c⁴‖y‖² (½ I + û ûᵀ), since E[z⁴ 1(z > 0)] = 3/2.\n\n"
    "RectGrad passes V where the product of activation and V is above τ ≥ 0: both are positive. The product q of two positive "
    "standard normals has the density K₀(q)/(2π), and ∫_s^∞ q K₀(q) dq = s K₁(s). Multiplied by the picture, each entry of E[z "
    "V] û has the sign of x_t². In a wide layer the percentile τ is that of the law: the share of units above it is the mean of "
    "Ki₁(s_j)/(2π), Ki₁ the integral of K₀ from s on.",
    n_checks=9,
    run=run,
    margins=(),
    authors="Both methods are made for trained networks and compared there; that random weights show the picture is no "
    "objection to what trained ones show.",
)
