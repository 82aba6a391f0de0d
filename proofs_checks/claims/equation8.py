"""Eq. 8: the maps of a deep network are Eq. 4 with the gradient of the first layer in place of the readout."""

from __future__ import annotations

import numpy as np

from proofs_checks.claim import Bench, Claim, Outcome
from proofs_checks.studies.equation4 import CASES, MARGINS, by_rule, equation_4, outcome, random_case
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import PAPER, Rule
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Activation, Conv, Dense, Flatten, Input, Node

FILTERS = 4
LOGITS = 3


def run(bench: Bench) -> Outcome:
    """Compare the backward pass with Eq. 8, operator by operator, on random networks over the picture."""
    rng = np.random.default_rng(bench.seed_of("equation8"))
    measured, formula = by_rule(), by_rule()
    depths = set()
    for _ in range(CASES):
        x, grid = random_case(bench.x, rng)
        net, operators = random_network(grid, rng)
        depths.add(len(operators))
        target = int(rng.integers(LOGITS))
        maps = net.backward(net.forward(x), np.eye(LOGITS)[[target]], PAPER)
        filters = net.parameters["conv1.weight"].reshape(FILTERS, grid.patch_size)
        readout = net.parameters["readout.weight"][target]
        for rule, result in zip(PAPER, maps[:, 0], strict=True):
            gradient = equation_8(x, operators, readout, rule).reshape(FILTERS, grid.n_patches)
            measured[rule].append(result)
            formula[rule].append(equation_4(x, grid, filters, gradient, rule))
    where = f"random networks of {min(depths)} to {max(depths)} hidden layers for each of the three rules"
    return outcome(bench, "equation8", "Eq. 8", measured, formula, where)


def equation_8(x: np.ndarray, operators: list[np.ndarray], readout: np.ndarray, rule: Rule) -> np.ndarray:
    """Return ``V̂^(1)`` of Eq. 8, written as it stands.

    `operators` are ``Γ^(l)``, (d_l, d_(l+1)), of the hidden layers from the input up; `readout` is ``Γ_k^(L)``, the weights
    of one logit.
    """
    outputs = [x.ravel()]
    for operator in operators:
        outputs.append(np.maximum(operator.T @ outputs[-1], 0.0))
    gradient = readout
    for operator, below in zip(operators[:0:-1], outputs[-2:0:-1], strict=True):
        h = gradient if rule is Rule.SALIENCY else np.maximum(gradient, 0.0)
        slope = np.ones(len(h)) if rule is Rule.DECONVNET else (operator.T @ below > 0).astype(float)
        gradient = operator @ np.diag(slope) @ h
    return gradient


def random_network(grid: PatchGrid, rng: np.random.Generator) -> tuple[GraphNetwork, list[np.ndarray]]:
    """Draw a network of two to four hidden layers on a given first grid, with their operator matrices."""
    nodes: list[Node] = [Input("x", grid.input_shape)]
    parameters: dict[str, np.ndarray] = {}
    operators = []
    n_convolutions, dense = int(rng.integers(1, 4)), bool(rng.integers(2))
    for number in range(1, max(n_convolutions, 2 - dense) + 1):
        name = f"conv{number}"
        weights = rng.standard_normal((FILTERS, grid.input_shape[0], *grid.kernel))
        nodes += [
            Conv(name, nodes[-1].name, FILTERS, grid.kernel, grid.stride, grid.padding, bias=False),
            Activation(f"relu{number}", name),
        ]
        parameters[f"{name}.weight"] = weights
        operators.append(operator_matrix(grid, weights.reshape(FILTERS, -1)))
        rows, width = grid.output_shape
        kernel = int(rng.integers(1, min(rows, 3) + 1)), int(rng.integers(1, min(width, 3) + 1))
        stride, padding = ((int(rng.integers(a, b)), int(rng.integers(a, b))) for a, b in ((1, 3), (0, 2)))
        grid = PatchGrid((FILTERS, rows, width), kernel, stride, padding)
    nodes.append(Flatten("flat", nodes[-1].name))
    if dense:
        operators.append(rng.standard_normal((operators[-1].shape[1], 6)))
        nodes += [Dense("dense", "flat", 6, bias=False), Activation("relu", "dense")]
        parameters["dense.weight"] = operators[-1].T
    nodes.append(Dense("readout", nodes[-1].name, LOGITS, bias=False))
    parameters["readout.weight"] = rng.standard_normal((LOGITS, operators[-1].shape[1]))
    return GraphNetwork(nodes, parameters), operators


def operator_matrix(grid: PatchGrid, filters: np.ndarray) -> np.ndarray:
    """Return ``Γ`` of a convolution, (entries of the input, filters × patches): each weight at its entry."""
    entries = grid.coverage.size
    taps = grid.extract(np.arange(1, entries + 1).reshape(grid.input_shape))
    matrix = np.zeros((1 + entries, len(filters), grid.n_patches))  # entry 0 is the padding
    for j, tap in enumerate(taps):
        matrix[tap, :, j] = filters.T
    return matrix[1:].reshape(entries, -1)


CLAIM = Claim(
    id="equation8",
    order=170,
    section="3.2.2 Eq. 8",
    statement="The map of a deep network is the sum of Lemma 1 over the first layer's patches and filters, with the modified "
    "gradient that reaches the first layer's output, V̂^(1), in place of the readout.",
    exact_law="S = Σ_j D_jᵀ Σ_i h(V̂^(1)_ij) w̃_ij, with V̂^(l) = Γ^(l+1) diag(g'(Γ^(l+1)ᵀ o^(l))) h(V̂^(l+1)) from the readout "
    "down: an identity, for every depth, kernel, stride and padding, convolutional or dense layers above the first.",
    formula=(
        r"S = \sum_j\, D_j^{\mathrm{T}} \sum_i\, h(\hat{V}{}^{(1)}_{ij})\,\tilde{w}_{ij}",
        r"\hat{V}{}^{(l)} = \Gamma^{(l+1)}\,\mathrm{diag}\left(g'(\Gamma^{(l+1)\mathrm{T}}"
        r" o^{(l)})\right) h(\hat{V}{}^{(l+1)})",
    ),
    proof="Write Γ for a layer's matrix. The layer above o^(l) computes g(Γᵀ o^(l)); its ReLU turns a gradient R into "
    "h(R) g'(Γᵀ o^(l)) by Eq. 1, and the linear map sends that back through Γ. Applied from the readout down to o^(1) this is "
    "the recursion. What then reaches the ReLU of unit (i, j) of the first layer is V̂^(1)_ij, and from there on Lemma 1's "
    "proof applies word by word.",
    n_checks=3,
    run=run,
    margins=MARGINS,
    authors="Eq. 8 is the chain rule, written out.",
)
