"""Many maps of one large network at a time, with working arrays that stay in a processor's own cache."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab import _validation
from theorylab.kernels import _threads, normal
from theorylab.kernels import three_layer as kernels
from theorylab.kernels.columns import scatter
from theorylab.patches import PatchGrid
from theorylab.rules import Rule

_TILE = 2**16  # hidden units at a time: three arrays of them are 768 kB


class TiledSampler:
    """Draws of raw maps with standard normal weights and no pooling, in single precision.

    The law of :class:`~theorylab.sampling.MapSampler`, other numbers.  Activations, readouts and signals exist for a few
    hundred patches at a time: workers side by side do not wait for the memory.

    Parameters
    ----------
    x : array, (C, H, W)
    grid : PatchGrid
    n_filters : int
        ``N``.

    Raises
    ------
    TypeError, ValueError
        If `x` is no finite image of the grid's shape or zero everywhere, or there are no filters.

    Examples
    --------
    >>> sampler = TiledSampler(np.ones((1, 6, 6)), PatchGrid((1, 6, 6), kernel=3), 8)
    >>> sampler.draw(np.random.default_rng(0), [Rule.GUIDED, Rule.SALIENCY], n_readouts=2).shape
    (2, 2, 1, 6, 6)
    """

    def __init__(self, x: np.ndarray, grid: PatchGrid, n_filters: int) -> None:
        x = _validation.image(x, grid.input_shape)
        self.grid = grid
        self.n_filters = _validation.positive_integer(n_filters, "n_filters")
        self.patches = np.ascontiguousarray(grid.extract(x.astype(np.float32)))
        self._tile = min(grid.n_patches, max(1, _TILE // self.n_filters))
        self._products: np.ndarray | None = None

    def draw(self, rng: np.random.Generator, rules: Sequence[Rule], *, n_readouts: int = 1) -> np.ndarray:
        """The maps of one fresh network.

        Parameters
        ----------
        rng : Generator
        rules : sequence of Rule
        n_readouts : int
            Logits shown, sharing the filters.

        Returns
        -------
        array, (rules, n_readouts, C, H, W) float32
        """
        grid, n_patches = self.grid, self.grid.n_patches
        filters = rng.standard_normal((grid.patch_size, self.n_filters), dtype=np.float32)
        tiles = [
            slice(first, min(first + self._tile, n_patches)) for first in range(0, n_patches, self._tile)
        ]
        # Every tile has a stream of its own: the numbers do not depend on which thread comes first.
        streams = rng.spawn(len(tiles))
        # One row for each place in a patch: put back, it adds long rows to the picture.  Fresh memory would be cleared
        # by the system for every network.
        shape = (len(rules), n_readouts, grid.patch_size, n_patches)
        if self._products is None or self._products.shape != shape:
            self._products = np.empty(shape, dtype=np.float32)
        products = self._products

        def send_down(number: int) -> None:
            tile, stream = tiles[number], streams[number]
            shape = (2, tile.stop - tile.start, self.n_filters)
            activations, signal = _threads.workspace("tile", shape, products.dtype)
            np.matmul(self.patches[tile], filters, out=activations)
            for t in range(n_readouts):
                readout = normal.standard_normal(stream, activations.shape)
                for r, rule in enumerate(rules):
                    kernels.backward_signal(
                        activations, readout, rule.rectifies_gradient, rule.masks_by_activation, signal
                    )
                    np.matmul(filters, signal.T, out=products[r, t, :, tile])

        maps = np.zeros((len(rules), n_readouts, *grid.input_shape), dtype=np.float32)
        channels, area = grid.input_shape[0], math.prod(grid.kernel)
        places = products.reshape(-1, area, n_patches)
        planes = maps.reshape(-1, 1, *grid.input_shape[1:])

        def put_back(number: int) -> None:
            scatter(
                places[number], grid.kernel, grid.stride, grid.padding, *grid.output_shape, planes[number]
            )

        with _threads.single_blas():
            _threads.run(send_down, len(tiles))
            _threads.run(put_back, len(rules) * n_readouts * channels)
        return maps
