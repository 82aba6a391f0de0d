"""The recipe that measures how far the laws of stacked max-pools are off."""

import depth_errors
import numpy as np
import pytest

from theorylab.model.rules import Rule


def test_pictures_are_a_dozen_and_unlike():
    found = depth_errors.pictures(24)
    assert len(found) >= 12
    flat = np.stack([x.ravel() / np.linalg.norm(x) for x in found.values()])
    products = flat @ flat.T - np.eye(len(flat))
    assert products.max() < 0.95
    assert abs(np.linalg.norm(np.stack([x.ravel() for x in found.values()]), axis=1) - 1).max() < 1e-9


@pytest.mark.parametrize("stack", ["no pool", "residual"])
def test_a_law_that_holds_is_not_off(stack, capsys):
    inputs = {name: x for name, x in depth_errors.pictures(16).items() if name in ("cat", "text")}
    layers = depth_errors.STACKS[stack]
    found = depth_errors.measure(layers, inputs, 24, np.random.SeedSequence(3))
    for name in inputs:
        value, error = found[name, Rule.GUIDED]
        # Limits of wide layers: 96 filters leave a few percent of the energy.
        assert (abs(value) < 4 * error + [0.01, 0.02, 0.02, 0.02, 0.06]).all(), (name, value, error)
        assert (error < [0.02, 0.05, 0.05, 0.2, 0.4]).all()
    largest = depth_errors.table(stack, found)
    assert len(largest) == len(depth_errors.NAMES)
    assert "text" in capsys.readouterr().out
