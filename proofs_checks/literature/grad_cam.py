"""What is left of Grad-CAM when the head, or the whole network, is random."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import ndimage

from proofs_checks.claim import Bench, Check, Claim, Evidence, Margin, Outcome, Wrong
from proofs_checks.referee import ALIKE
from proofs_checks.rows import PerDraw
from proofs_checks.studies.shelf import small_crop
from proofs_checks.studies.three_layers import inner, unit
from theorylab import Gaussian, PatchGrid, law, methods, montecarlo, networks, training
from theorylab.analytic import cam
from theorylab.charts import MapFigure, MapPanel
from theorylab.model import models
from theorylab.montecarlo import ArrayMoments, Measurement
from theorylab.networks.nodes import Activation

SIDE, KERNEL, STRIDE = 24, 5, 2
FILTERS, HEADS, REPLICATES = 512, 256, 400
NEXT = (0, 1)


def cams(features: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Return the planes (heads, H', W') of features (N, H', W') under importances (heads, N)."""
    return np.maximum(np.tensordot(heads, features, 1), 0)


def resized(planes: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """Resize planes as the method does: along rows and columns one matrix, what a line of one pixel becomes."""
    rows, columns = (
        ndimage.zoom(np.eye(old), (1.0, new / old), order=1, mode="nearest", grid_mode=True)
        for new, old in zip(side, planes.shape[1:], strict=True)
    )
    return np.asarray(rows.T @ planes @ columns)


@dataclasses.dataclass(frozen=True)
class Heads:
    """Grad-CAM of many random heads on random features, each replicate a network of half of the filters and one of the other.

    Numbers, on the plane: ``square`` ‖C‖², ``classes`` ⟨C, C'⟩ of two heads, ``both`` the share of neighbours that are both
    positive; at the picture's size: ``along`` ⟨C, m⟩ with `direction` m, ``energy`` ‖C‖², ``product`` ⟨C, C'⟩; ``halves`` and
    ``halves_along``, of two independent networks, of expectations ‖E C‖² and its part along m.
    """

    x: np.ndarray
    grid: PatchGrid
    direction: np.ndarray

    def __call__(self, rng: np.random.Generator, size: int) -> Measurement:
        """Measure `size` replicates."""
        patches, (_, *plane) = self.grid.extract(self.x).astype(np.float32), self.grid.input_shape
        rows, moments = [], ArrayMoments.empty(tuple(plane))
        for _ in range(size):
            row: dict[str, list[float]] = {}
            means = []
            for _ in range(2):
                w = rng.standard_normal((self.grid.patch_size, FILTERS), dtype=np.float32)
                features = np.maximum(patches @ w, 0).T.reshape(FILTERS, *self.grid.output_shape)
                # The mean of J independent readout weights.
                heads = rng.standard_normal((HEADS, FILTERS), dtype=np.float32) / math.sqrt(
                    self.grid.n_patches
                )
                small = cams(features, heads).astype(np.float64)
                full = resized(small, (plane[0], plane[1]))
                means.append(full.mean(axis=0))
                positive = small > 0
                both = (positive[:, :, :-1] & positive[:, :, 1:]).mean()
                for names, maps in ((("square", "classes"), small), (("energy", "product"), full)):
                    total, each = float((maps.sum(axis=0) ** 2).sum()), float((maps**2).sum())
                    row.setdefault(names[0], []).append(each / HEADS)
                    row.setdefault(names[1], []).append((total - each) / (HEADS * (HEADS - 1)))
                row.setdefault("both", []).append(float(both))
                row.setdefault("along", []).append(inner(means[-1], self.direction))
            moments.add((means[0] + means[1]) / 2)
            rows.append(
                {name: float(np.mean(values)) for name, values in row.items()}
                | {"halves": inner(*means), "halves_along": math.prod(row["along"])}
            )
        return montecarlo.measurement(rows, {"map": moments})


@dataclasses.dataclass(frozen=True)
class NewHeads(PerDraw):
    """Grad-CAM of random heads on given features (N, H', W'), each replicate `HEADS` of them: ``square`` and ``classes``."""

    features: np.ndarray

    def _row(self, rng: np.random.Generator) -> dict[str, float]:
        maps = cams(self.features, rng.standard_normal((HEADS, len(self.features))))
        total, each = float((maps.sum(axis=0) ** 2).sum()), float((maps**2).sum())
        return {"square": each / HEADS, "classes": (total - each) / (HEADS * (HEADS - 1))}


def trained_features(bench: Bench) -> np.ndarray:
    """Return what the last units with planes of a trained classifier say of a picture that it was not trained on."""
    net = training.small_classifier().network
    (picture,), _ = training.crops(
        "test", 1, seed=np.random.default_rng(bench.seed_of("a picture for new heads"))
    )
    names = [
        node.name for node in net.nodes if isinstance(node, Activation) and len(net.shapes[node.name]) == 3
    ]
    features = net.forward(picture, keep=names[-1:]).activations[names[-1]]
    return np.asarray(features, dtype=np.float64)


def run(bench: Bench) -> Outcome:
    """Check the method on whole networks, then measure the maps of random heads."""
    crop = small_crop(bench.x, SIDE)
    grid = PatchGrid(crop.shape, min(KERNEL, *crop.shape[1:]), stride=STRIDE)
    stack = models.three_layer(grid, FILTERS)
    known = law(stack, crop, "grad-cam")
    mean = known.mean[0]
    length, energy = float(np.linalg.norm(mean)), float((mean**2 + known.variance[0]).sum())
    measured = bench.study("Grad-CAM of random heads", Heads(crop, grid, unit(mean)), REPLICATES, block=8)
    norms = np.linalg.norm(grid.extract(crop), axis=1)
    # The sum of squares of the plane, whose law is exact for every number of filters.
    square = FILTERS / (4 * grid.n_patches) * float((norms**2).sum())
    flat = unit(np.ones(mean.shape))
    overlap = bench.ratio(
        "overlap of two logits' planes, E⟨C, C'⟩/E‖C‖²",
        measured,
        lambda m: m["classes"] / m["square"],
        1 / math.pi,
        Wrong("independent heads have nothing in common", 0.0),
    )
    checks = (
        _identity(bench, crop),
        bench.moment(
            "E⟨C, m⟩ along the predicted mean map",
            measured,
            "along",
            length,
            Wrong("importances of mean 0 cancel", 0.0),
        ),
        bench.ratio(
            "share of the mean map's energy along the prediction",
            measured,
            lambda m: m["halves_along"] / m["halves"],
            1.0,
            Wrong("a mean map without a picture in it", inner(flat, unit(mean)) ** 2),
        ),
        bench.moment(
            "energy of the map at the picture's size",
            measured,
            "energy",
            energy,
            (
                Wrong("energy interpolated as the map is", _interpolated_energy(norms, grid)),
                Wrong("the plane's energy", square),
                Wrong("without the rectification", 2 * energy),
            ),
        ),
        bench.ratio(
            "distance of two logits' maps at the picture's size",
            measured,
            lambda m: math.sqrt(2 - 2 * m["product"] / m["energy"]),
            known.class_distance,
            (
                Wrong("the plane's: √(2 − 2/π)", math.sqrt(2 - 2 / math.pi)),
                Wrong("uncorrelated, as saliency's", math.sqrt(2)),
            ),
        ),
        overlap,
        bench.ratio(
            "overlap of two random heads on a trained classifier's features",
            bench.study("new heads on trained features", NewHeads(trained_features(bench)), 400, block=10),
            lambda m: m["classes"] / m["square"],
            1 / math.pi,
            Wrong("independent heads have nothing in common", 0.0),
        ),
        bench.moment(
            "probability that neighbours are both above 0",
            measured,
            "both",
            float(cam.of_stack(stack, crop).both_positive(NEXT)[:, :-1].mean()),
            Wrong("positions independent of each other: ¼", 0.25),
        ),
    )
    figure = MapFigure(
        "grad-cam",
        f"Grad-CAM of random heads on {FILTERS} random filters of {KERNEL}×{KERNEL}: the predicted mean map, local energy of the "
        f"picture, and the measured mean over {measured.replicates} pairs of networks with {HEADS} heads each.",
        (
            MapPanel("input x", crop),
            MapPanel("predicted", known.mean, "mean"),
            MapPanel("measured", np.broadcast_to(measured.maps["map"].mean, crop.shape), "mean"),
        ),
        title="Grad-CAM of random weights shows where the picture is strong",
    )
    return Outcome(
        f"A head drawn anew changes the map: its overlap with the old one is {overlap.estimate:.3f} and not 1. It is not 0 "
        "either, on no picture and in no layer, because both maps show where the picture has energy.",
        (Evidence.of(overlap),),
        checks,
        overlap.name,
        (figure,),
    )


def _interpolated_energy(norms: np.ndarray, grid: PatchGrid) -> float:
    """Sum ``E C²``, interpolated to the picture's size as if it were the map."""
    plane = FILTERS / (4 * grid.n_patches) * norms.reshape(1, *grid.output_shape) ** 2
    return float(resized(plane, grid.input_shape[1:]).sum())


def _identity(bench: Bench, crop: np.ndarray) -> Check:
    """Check that what is simulated is the method: weights of the readout averaged over positions, on whole networks."""
    grid = PatchGrid(crop.shape, min(KERNEL, *crop.shape[1:]), stride=STRIDE)
    rng = np.random.default_rng(bench.seed_of("Grad-CAM of whole networks"))
    maps, simulated, signed = [], [], []
    for _ in range(4):
        net = networks.three_layer_cnn(grid, n_filters=12, n_logits=1, law=Gaussian(1.0), seed=rng)
        maps.append(methods.attribute(net, crop, "grad-cam", 0)[0])
        patches, filters = grid.extract(crop), net.filters.reshape(12, -1)
        features = np.maximum(filters @ patches.T, 0).reshape(12, *grid.output_shape)
        importances = net.readout_rows.array()[:1].mean(axis=(2, 3))
        simulated.append(resized(cams(features, importances), crop.shape[1:])[0])
        signed.append(resized(np.tensordot(importances, features, 1), crop.shape[1:])[0])
    return bench.identity(
        "Grad-CAM is h(Σ_i α_i a_i), resized, with α the mean readout weights",
        maps,
        simulated,
        "without the rectification",
        signed,
    )


CLAIM = Claim(
    id="grad-cam",
    order=10,
    section="Adebayo et al. 2018, arXiv:1810.03292",
    statement="Grad-CAM, unlike guided backpropagation, passes the tests of randomisation on the networks tried: its map "
    "changes as weights are drawn anew from the last layer down, by rank correlation, structural similarity and to the eye.",
    exact_law="The plane C of a random head on N filters has E C_j² = N c⁴‖y_j‖²/(4J) and E⟨C, C'⟩/E‖C‖² = 1/π for two logits "
    "or two random heads, for every N and picture; E C_j = c²√(N/J)‖y_j‖/(2√π) (1 − 5/(8N) + …), and two positions are both "
    "above 0 with the probability ¼ + asin k₁(cos θ)/(2π) as N grows.",
    formula=(
        r"\mathrm{E}\,C_j = \dfrac{c^2}{2\sqrt{\pi}} \sqrt{\dfrac{N}{J}}\, \|y_j\|",
        r"\dfrac{\mathrm{E}\,\langle C, C'\rangle}{\mathrm{E}\,\|C\|^2} = \dfrac{1}{\pi}",
        r"\mathrm{P}(C_j, C_{j'} > 0) = \dfrac{1}{4} + \dfrac{\arcsin k_1(\cos\theta)}{2\pi}",
    ),
    proof="The importances α_i, means of J independent readout weights, are N(0, c²/J) and know nothing of the filters. Given "
    "the features a the sum L_j = Σ_i α_i a_ij is normal, of mean 0 and variance s_j² = (c²/J) Σ_i a_ij²: its positive part has "
    "the mean s_j/√(2π) and the second moment s_j²/2. Two logits have independent α, so E[C_j C'_j] = s_j²/(2π) for whatever "
    "features: the overlap is 1/π.\n\n"
    "With N filters E s_j² = N c⁴‖y_j‖²/(2J), and s_j is nearly that: the map's mean is the norm of the patch, local "
    "energy.\n\n"
    "Two positions of L have the correlation of their features, which is k₁(cos θ) in a wide layer, k₁ the arc-cosine kernel; "
    "the probability is that of an orthant. The map at the picture's size interpolates the plane, so its moments are sums of "
    "those of neighbouring positions.",
    n_checks=8,
    run=run,
    margins=(
        Margin(
            "overlap of the maps of a head and of one drawn anew",
            high=ALIKE,
            why="a map that changes is not almost the same to the eye: within 26 degrees",
        ),
    ),
    authors="We say that the map changes, which it does. That it has nothing in common with the one before we do not say.",
)
