"""Two logits' scales, which vary over the plane, and how much of their distance that is: exact sums over pairs of positions.

A rule is homogeneous: if one logit's gradient is ``1 + ε(pos)`` times the other's, so is what is handed down, averaged over
patches.  Let ``ε_A`` and ``ε_B`` be the logarithms of the ratios of the two logits' scales, of the mean and of the noise.
One layer down, with ``w_A = E[z T]/q`` and ``w_B = E[T²]`` of a unit at patch ``j``, ``q`` the patch's energy,

``ε'_A(pos) = Σ_(j∋pos) w_A [f ε_A + (1 − f) ε_B + s_A]_j / Σ_(j∋pos) w_A``, and ``ε'_B`` with ``g``, ``w_B`` and ``s_B``.

``f`` and ``g`` are the shares of ``E[z T]`` and ``E[T²]`` that follow the mean's scale; Euler's theorem leaves the rest to the
noise.  The sources ``s``, independent between patches, are what two logits' sums of ``z T`` and of ``T²`` over ``n`` filters
differ by because each has some noise alone, relative to their means; with variances and covariances over that noise,
``Var s_A = 2 E[(z² − E z²) Var T]/(n E[z T]²)``, ``Cov(s_A, s_B) = E[z Cov(T, T²)]/(n E[z T] E[T²])`` and
``Var s_B = E[Var T²]/(2 n E[T²]²)``.  The ``E z²`` is left out because the white part of the difference has it: it holds noise of
every direction, ``y_j``'s among them.  This makes the matrix of the three indefinite, which does no harm: only sums are
positive.

All is linear.  A squared distance is a quadratic form of the fields at one layer, hence one of the fields above it: it is
carried upwards, exactly, and meets the sources' covariances on the way.  It knows of pairs of positions only as far apart as
the patches between the layers reach.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from theorylab.analytic._blocks import Block
from theorylab.analytic._windows import fold, moved, padded, window_sums
from theorylab.analytic.nolaw import SIMULATE, NoLaw

MOST = 2**24
"""Numbers of a kernel at most: 128 MB, of which a few are held at a time.  A VGG-16 at 224×224 needs a quarter."""

Extent = tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Transfer:
    """One layer's means and sources, planes over its patches; pairs of planes are of A and of B."""

    block: Block
    weights: tuple[np.ndarray, np.ndarray]  # w_A, w_B
    follows: tuple[np.ndarray, np.ndarray]  # f, g
    sources: tuple[np.ndarray, np.ndarray, np.ndarray]  # Var s_A, Cov(s_A, s_B), Var s_B

    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """``1/Σ_(j∋pos) w`` over the input's plane, 0 where no weight is."""
        sums = (fold(weight, self.block.grid) for weight in self.weights)
        below, above = (np.divide(1, s, out=np.zeros(s.shape), where=s > 0) for s in sums)
        return below, above


class Form:
    """``Σ ε_i(pos) K_ik(pos, pos + d) ε_k(pos + d)`` for nearby positions, less the square of ``Σ v_i(pos) ε_i(pos)``.

    The kernels are (D, D', H, W), offsets ``d`` first; ``K_BA`` is ``K_AB`` the other way round.
    """

    def __init__(self, along: np.ndarray, noise: np.ndarray) -> None:
        """Start from the variance over a plane, each position with its shares of the energy, which sum to 1."""
        self._kernels = [along[None, None], np.zeros((1, 1, *along.shape)), noise[None, None]]
        self._vector = [along, noise]

    def through(self, layer: Transfer) -> float:
        """Carry the form from a layer's input to its output, and return what the layer's own sources make of it."""
        grid = layer.block.grid
        shares, pairs = layer.shares(), ((0, 0), (0, 1), (1, 1))
        total = 0.0
        for n, (i, k) in enumerate(pairs):
            kernel = _scaled(self._kernels[n], shares[i], shares[k])
            kernel = _summed(kernel, grid.kernel, grid.stride, grid.padding, grid.output_shape)
            kernel = _scaled(kernel, layer.weights[i], layer.weights[k])
            self._kernels[n] = kernel
            here = kernel[kernel.shape[0] // 2, kernel.shape[1] // 2]
            total += (2 if i != k else 1) * float((layer.sources[n] * here).sum())
        for i in (0, 1):
            below = padded((self._vector[i] * shares[i])[None], grid)[0]
            self._vector[i] = layer.weights[i] * window_sums(below, grid)
        a, b = self._vector
        aa, ab, bb = layer.sources
        total -= float((aa * a**2 + 2 * ab * a * b + bb * b**2).sum())
        self._mix(layer.follows)
        if layer.block.pool is not None:
            self._pool(layer.block)
        return total

    def _mix(self, follows: tuple[np.ndarray, np.ndarray]) -> None:
        """``ε_A`` of the output counts ``f`` times in a unit's A and ``g`` times in its B, ``ε_B`` the rest."""
        aa, ab, bb = self._kernels
        ba = _turned(ab)
        f, g = follows
        parts = [(f, g), (1 - f, 1 - g)]
        self._kernels = []
        for i, k in ((0, 0), (0, 1), (1, 1)):
            (p, q), (r, s) = parts[i], parts[k]
            mixed = _scaled(aa, p, r)
            mixed += _scaled(ab, p, s)
            mixed += _scaled(ba, q, r)
            mixed += _scaled(bb, q, s)
            self._kernels.append(mixed)
        a, b = self._vector
        self._vector = [f * a + g * b, (1 - f) * a + (1 - g) * b]

    def _pool(self, block: Block) -> None:
        pool, plane = block.pool, block.shape[1:]
        assert pool is not None
        self._kernels = [_summed(k, pool.size, pool.stride, (0, 0), plane) for k in self._kernels]
        held = pool.windows(self._vector[0].shape)
        self._vector = [v.ravel()[held].sum(axis=1).reshape(plane) for v in self._vector]


def _offsets(kernel: np.ndarray) -> list[tuple[int, int]]:
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    return [(i, k) for i in range(-rows, rows + 1) for k in range(-columns, columns + 1)]


def _scaled(kernel: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``one(pos) K(pos, pos + d) other(pos + d)``."""
    result = np.empty(kernel.shape)
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    for i, k in _offsets(kernel):
        np.multiply(
            kernel[rows + i, columns + k], one * moved(other, (i, k)), out=result[rows + i, columns + k]
        )
    return result


def _turned(kernel: np.ndarray) -> np.ndarray:
    """``K(pos + d, pos)``."""
    result = np.empty(kernel.shape)
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    for i, k in _offsets(kernel):
        result[rows + i, columns + k] = moved(kernel[rows - i, columns - k], (i, k))
    return result


def _summed(kernel: np.ndarray, size: Extent, stride: Extent, padding: Extent, plane: Extent) -> np.ndarray:
    """Sum over both positions' windows: the kernel at pairs of windows, one axis after the other."""
    rows = _summed_rows(kernel, size[0], stride[0], padding[0], plane[0])
    columns = _summed_rows(rows.transpose(1, 0, 3, 2), size[1], stride[1], padding[1], plane[1])
    return columns.transpose(1, 0, 3, 2)


def _summed_rows(kernel: np.ndarray, size: int, stride: int, padding: int, count: int) -> np.ndarray:
    """``K'(j, j + d) = Σ_(r, r') K(row, row + s d + r' − r)`` with ``row = s j − P + r``, for window ``j`` and offset ``d``."""
    reach, height = kernel.shape[0] // 2, kernel.shape[2]
    # Over the other position's window: B(e) = Σ_r' K(e + r').
    widened = np.zeros((kernel.shape[0] + size - 1, *kernel.shape[1:]))
    for r in range(size):
        widened[size - 1 - r : size - 1 - r + kernel.shape[0]] += kernel
    first = -reach - size + 1  # of the offsets e
    new = min((reach + size - 1) // stride, count - 1)
    if (2 * new + 1) * kernel.shape[1] * count * kernel.shape[3] > MOST:
        where = f"two logits on a plane of {kernel.shape[2]}×{kernel.shape[3]} under many layers"
        raise NoLaw(layer=where, instead=f"take a smaller picture, or {SIMULATE}")
    result = np.zeros((2 * new + 1, kernel.shape[1], count, kernel.shape[3]))
    for d in range(-new, new + 1):
        for r in range(size):
            offset = stride * d - r - first
            if not 0 <= offset < len(widened):
                continue
            # Windows whose row r lies inside.
            low = max(0, -((r - padding) // stride))
            high = min(count, (height - 1 - r + padding) // stride + 1)
            if low < high:
                start = stride * low - padding + r
                stop = stride * (high - 1) - padding + r + 1
                result[new + d, :, low:high] += widened[offset, :, start:stop:stride]
    return result
