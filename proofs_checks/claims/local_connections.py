"""Section 4.1: whether a fully connected network recovers the picture as well as a convolutional one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome
from proofs_checks.studies import shelf
from proofs_checks.studies.three_layers import inner, unit
from theorylab import Gaussian, PatchGrid, Rule, analytic, law, montecarlo
from theorylab.charts import CurveFigure, Line, Points
from theorylab.model import models
from theorylab.montecarlo import Measurement
from theorylab.sampling import MapSampler, fcn_maps

FILTERS = 64


@dataclasses.dataclass(frozen=True)
class FullyConnected:
    """Guided-backpropagation maps of fully connected networks: ``toward`` ⟨S, x⟩ and ``energy`` ‖S‖².

    `exact` draws from the exact law of the map, without the weights; otherwise every weight is drawn.
    """

    x: np.ndarray
    n_hidden: int
    exact: bool

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        image = unit(self.x)
        if self.exact:
            maps = fcn_maps(self.x, self.n_hidden, Rule.GUIDED, size=size, seed=rng)
        else:
            grid = PatchGrid(self.x.shape, self.x.shape[1:])
            sampler = MapSampler(self.x, grid, self.n_hidden, law=Gaussian(1.0), dtype=np.float32)
            maps = np.stack([sampler.draw(rng, [Rule.GUIDED])[0, 0, 0] for _ in range(size)])
        return montecarlo.measurement(
            {
                "toward": np.array([inner(map_, image) for map_ in maps]),
                "energy": np.array([inner(map_, map_) for map_ in maps]),
            }
        )


def cosine(mean: dict[str, float]) -> float:
    """Return the cosine to the image as a ratio of means."""
    return mean["toward"] / math.sqrt(mean["energy"])


def run(bench: Bench) -> Outcome:
    """Measure fully connected networks at the paper's two sizes and a convolutional one at both strides."""
    sizes = [
        ("every weight drawn", shelf.shrunk(bench.x, 16), 1000, False, 600),
        ("the paper's Fig. 4", bench.x, 4096, True, 300),
        ("the paper's Fig. 5", shelf.shrunk(bench.x, 64), 70000, True, 200),
    ]
    connected = []
    for what, x, n_hidden, exact, replicates in sizes:
        grid = PatchGrid(x.shape, x.shape[1:])
        shape = "×".join(str(side) for side in (*x.shape[1:], x.shape[0]))
        connected.append(
            bench.ratio(
                f"FCN {shape}, {n_hidden} units ({what}): cosine to x",
                bench.study(
                    f"FCN, {n_hidden} units", FullyConnected(x, n_hidden, exact), replicates, block=10
                ),
                cosine,
                law(models.three_layer(grid, n_hidden), x, Rule.GUIDED).expected_cosine(),
                shelf.unrectified(x, grid, n_hidden),
            )
        )
    dense = bench.ratio(
        f"CNN, stride 1, N = {FILTERS}: cosine to x",
        shelf.dense_recovery(bench, FILTERS),
        cosine,
        analytic.expected_cosine(bench.x, shelf.stride_one(bench), Rule.GUIDED, FILTERS),
        shelf.unrectified(bench.x, shelf.stride_one(bench), FILTERS),
    )
    study = shelf.recovery(bench, FILTERS)
    sparse, _, _ = study.estimate(cosine)
    largest = connected[-1]
    leads = [
        Evidence(
            value - largest.estimate,
            math.hypot(spread, largest.standard_error),
            min(count, largest.replicates),
        )
        for value, spread, count in (study.estimate(cosine), dense.measured)
    ]
    return Outcome(
        f"By cosine to the picture the FCN with 70000 units reaches {largest.estimate:.3f}; the CNN with {FILTERS} filters "
        f"{sparse:.3f} at stride 2, as in the text, and {dense.estimate:.3f} at stride 1, as in the authors' code.",
        tuple(leads),
        (*connected, dense),
        largest.name,
        (_figure(bench, connected),),
    )


def _figure(bench: Bench, connected: list[Check]) -> CurveFigure:
    counts = np.unique(np.geomspace(4, 100_000, 70).astype(int))
    small, full = (PatchGrid((3, side, side), side) for side in (64, bench.x.shape[1]))
    constant = {grid: np.ones(grid.input_shape) for grid in (small, full)}

    def line(label: str, x: np.ndarray, grid: PatchGrid) -> Line:
        return Line(label, counts.astype(float), shelf.cosine_curve(x, grid, counts))

    points = [
        Points.of(label, [n], [check.measured])
        for label, check, n in (("FCN 224×224", connected[1], 4096), ("FCN 64×64", connected[2], 70000))
    ]
    return CurveFigure(
        "local-connections",
        "Cosine of a guided-backpropagation map and the picture against the width of the hidden layer: convolutional "
        "(filters) and fully connected (units).",
        "filters or hidden units",
        "cosine to the input",
        (
            line("CNN, stride 2", bench.x, bench.grid),
            line("CNN, stride 1", bench.x, shelf.stride_one(bench)),
            line("FCN 64×64", constant[small], small),
            line("FCN 224×224", constant[full], full),
        ),
        tuple(points),
        x_scale="log",
        title="A fully connected network needs far more units than a convolutional one filters",
    )


CLAIM = Claim(
    id="local-connections",
    order=320,
    shares="filters",
    section="4.1",
    statement="Even with 70000 hidden units, at 64×64 pixels, a fully connected network does not reach the visual quality of a "
    "convolutional network with 64 filters.",
    exact_law="One patch of d entries: cos = 1/√(1 + (π²d − 1)/N_h), whatever the picture. The convolutional network's value "
    "depends on the stride; compare the two numbers.",
    formula=(
        r"\dfrac{\mathrm{E}\langle S, x\rangle}{\sqrt{\mathrm{E}\|S\|^2}\;\|x\|} = \dfrac{1}{\sqrt{1 +"
        r" (\pi^2 d - 1)/N_h}}",
    ),
    proof="The fully connected network is the grid with one patch, so the law of the convolutional map applies with J = 1: "
    "κ is constant and the limit is x itself.\n\n"
    "Noise: E‖S‖² − ‖E S‖² = N (d/4 − 1/(4π²)), signal ‖E S‖² = N²/(4π²), in units of c⁴; their ratio is (π²d − 1)/N.",
    n_checks=4,
    run=run,
    margins=tuple(
        Margin(
            f"lead of the convolutional network in the cosine to the picture at {setting}",
            low=0.0,
            why="any lead counts; the cosine stands for the visual quality",
            setting=setting,
        )
        for setting in ("stride 2, as in the text", "stride 1, as in the authors' code")
    ),
    authors="Figure 5 was made by the code, with stride 1; the cosine is not the visual quality.",
)
