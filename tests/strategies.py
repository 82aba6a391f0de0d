"""Geometries and arrays that the property tests draw from."""

import math

import numpy as np
from hypothesis import strategies as st

from theorylab.model import rules
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.rules import Rule
from theorylab.model.specs import ConvSpec

RULES = tuple(rule.value for rule in rules.PAPER)
# Beside the registered ones two that a user might define: one of either gate, no h of them the paper's.
for name, h, gate in (
    ("test-abs", np.abs, True),
    ("test-tilted", lambda t: np.where(t > 0, 2 * t, t / 2), False),
):
    rules.define(name, h=h, gate=gate)
EVERY_RULE = tuple(rule.value for rule in rules.registered())
dtypes = st.sampled_from((np.float32, np.float64))
seeds = st.integers(0, 2**32 - 1)


def rule_of(up, down, gate):
    """A rule that nobody registered: ``h(1)``, ``h(−1)`` and whether the gate applies."""
    rule = object.__new__(Rule)
    name = f"{up},{down},{'gate' if gate else 'free'}"
    for attribute, value in {"value": name, "title": name, "up": up, "down": down, "gate": gate}.items():
        object.__setattr__(rule, attribute, value)
    return rule


OTHERS = (
    rule_of(1.0, 1.0, True),
    rule_of(1.0, 1.0, False),
    rule_of(0.8, -0.3, True),
    rule_of(0.2, 1.1, False),
)
"""Rules that are not the package's: the size of the gradient, with and without gate; a leaky one; one that prefers −R."""


@st.composite
def grids(draw, largest=7):
    """Any channels, sides down to one pixel, non-square kernels, strides with remainders, padding."""
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    sides = (draw(st.integers(1, largest)), draw(st.integers(1, largest)))
    kernel = tuple(
        draw(st.integers(1, min(4, side + 2 * pad))) for side, pad in zip(sides, padding, strict=True)
    )
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return PatchGrid((draw(st.integers(1, 3)), *sides), kernel, stride, padding)


def image_with_zeros(rng, shape, dtype=np.float64):
    """Normal entries with an empty upper left quarter, so that whole patches are zero."""
    x = rng.standard_normal(shape).astype(dtype)
    x[..., : (shape[-2] + 1) // 2, : (shape[-1] + 1) // 2] = 0
    return x


def picture(size, seed=0):
    """Red noise, like a photograph, ten times darker on its left side."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    x = np.fft.ifft2(np.fft.fft2(rng.standard_normal((3, size, size))) / (frequency + 1 / size)).real
    x *= np.geomspace(0.1, 1.0, size)
    return x / np.linalg.norm(x)


def cosine(a, b):
    """0 for a map of zeros, which narrow networks give."""
    norms = math.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / norms) if norms else 0.0


def stack(*entries, channels=3, gain=1.0):
    """Layers from the image up: a number of 3×3 filters with padding, (number, kernel, stride, padding), or a MaxPool."""
    layers = []
    for entry in entries:
        if isinstance(entry, MaxPool):
            layers.append(entry)
            continue
        n, kernel, stride, padding = entry if isinstance(entry, tuple) else (entry, 3, 1, 1)
        spec = ConvSpec(n, kernel, stride, padding)
        std = gain * math.sqrt(2 / (channels * math.prod(spec.kernel)))
        layers.append(ConvSpec(n, kernel, stride, padding, std))
        channels = n
    return layers


def assert_adjoint(au, v, u, atv, rtol):
    """⟨A u, v⟩ = ⟨u, Aᵀ v⟩ relative to the size of the terms that are added."""
    left, right = float(np.sum(au * v, dtype=np.float64)), float(np.sum(u * atv, dtype=np.float64))
    scale = float(np.abs(au * v).sum() + np.abs(u * atv).sum()) + 1e-30
    assert abs(left - right) <= rtol * scale, f"<Au, v> = {left!r}, <u, A'v> = {right!r}"
