"""Maps of fresh random networks of convolutions, drawn from the definition: every map draws all weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab import _validation
from theorylab.kernels import patches as patch_kernels
from theorylab.patches import PatchGrid
from theorylab.rules import Rule
from theorylab.specs import ConvSpec


class StackSampler:
    """Sampler of raw maps of one picture and a stack of convolutions with ReLUs below a dense readout of variance 1.

    Parameters
    ----------
    x : array, (C, H, W)
    layers : sequence of ConvSpec
        From the picture up; Gaussian filters.
    dtype : float32 or float64
        Dtype of weights, products and maps.

    Raises
    ------
    TypeError, ValueError
        If `x` is no finite image or zero everywhere, `layers` is empty or holds another type, or a kernel does not fit.

    Notes
    -----
    Eq. 8: ``V̂^(l) = Σ_j D_jᵀ Σ_i h(V̂^(l+1)_ij) 1(z_ij > 0) w_i``, from the readout ``V̂^(L)`` down to the map ``V̂^(0)``.  With one
    layer it has the law of :class:`~theorylab.sampling.MapSampler`.

    Examples
    --------
    >>> layers = [ConvSpec(8, 3, stride=2), ConvSpec(4, 3, padding=1)]
    >>> sampler = StackSampler(np.ones((1, 9, 9)), layers)
    >>> sampler.draw(np.random.default_rng(0), [Rule.GUIDED, Rule.SALIENCY], n_readouts=2).shape
    (2, 2, 1, 9, 9)
    """

    def __init__(self, x: np.ndarray, layers: Sequence[ConvSpec], *, dtype: type = np.float32) -> None:
        self.x: np.ndarray = _validation.image(x, np.shape(x)).astype(dtype)
        if self.x.ndim != 3:
            raise ValueError(f"x: expected (C, H, W), got shape {self.x.shape}")
        self.layers = tuple(layers)
        if not self.layers:
            raise ValueError("layers: expected at least one ConvSpec")
        self.grids: list[PatchGrid] = []
        channels, height, width = self.x.shape
        for layer in self.layers:
            if not isinstance(layer, ConvSpec):
                raise TypeError(f"layers: expected ConvSpec, got {type(layer).__name__}")
            grid = PatchGrid((channels, height, width), layer.kernel, layer.stride, layer.padding)
            channels, (height, width) = layer.n_filters, grid.output_shape
            self.grids.append(grid)

    def draw(self, rng: np.random.Generator, rules: Sequence[Rule], *, n_readouts: int = 1) -> np.ndarray:
        """Draw the maps of one fresh network.

        Parameters
        ----------
        rng : Generator
        rules : sequence of Rule
        n_readouts : int
            Number of logits with a map; they share all weights below the readout.

        Returns
        -------
        array, (rules, n_readouts, C, H, W)
        """
        dtype = self.x.dtype
        weights, before = [], []
        output = self.x
        for grid, layer in zip(self.grids, self.layers, strict=True):
            w = rng.standard_normal((grid.patch_size, layer.n_filters), dtype=dtype.type)
            w *= dtype.type(layer.std)
            z = patch_kernels.extract(output, grid) @ w
            weights.append(w)
            before.append(z)
            output = np.ascontiguousarray(np.maximum(z, 0).T).reshape(layer.n_filters, *grid.output_shape)
        maps = np.empty((len(rules), n_readouts, *self.x.shape), dtype=dtype)
        for t in range(n_readouts):
            readout = rng.standard_normal(before[-1].shape, dtype=dtype.type)
            for r, rule in enumerate(rules):
                gradient = readout
                for number in reversed(range(len(self.layers))):
                    grid = self.grids[number]
                    signal = rule.backward(gradient, before[number])
                    below = grid.fold((weights[number] @ signal.T).T)
                    gradient = below.reshape(
                        len(below), -1
                    ).T  # positions × channels, as the layer below needs
                maps[r, t] = below
        return maps
