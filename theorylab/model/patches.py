"""Patches of an image: the linear maps ``D_j`` of the paper and their adjoints.

``extract`` is im2col, ``fold`` is col2im.  Imports checks of arguments alone; :mod:`theorylab.kernels.columns` has compiled
twins of both.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from theorylab import _validation

Pair = tuple[int, int]


def window_counts(
    plane: Pair, size: Pair, stride: Pair, padding: Pair, refusal: str, *, partial: bool = False
) -> Pair:
    """Count the windows per column and per row of a plane; a ValueError, in the words of `refusal`, if none fits.

    `partial`: those count, too, that begin before the plane ends and reach beyond the padding.
    """
    counts = []
    for side, extent, length, step, pad in zip(
        ("height", "width"), plane, size, stride, padding, strict=True
    ):
        last = (extent + 2 * pad - length) // step
        if partial:
            last = min(-((length - extent - 2 * pad) // step), (extent + pad - 1) // step)
        if last < 0:
            padded = f" padded by {pad}" if pad else ""
            raise ValueError(refusal.format(length, side, extent) + padded)
        counts.append(last + 1)
    return counts[0], counts[1]


@_validation.checked
@dataclasses.dataclass(frozen=True)
class PatchGrid:
    """Where the patches of an image lie.

    Patch ``j`` is ``y_j = D_j x``: the entries of a window, in the order ``(C, kh, kw)``.  Windows are numbered
    row by row.  Entries of a window that fall into the zero padding are 0.

    Parameters
    ----------
    input_shape : (C, H, W)
        Channels, height and width of the image.
    kernel : int or (vertical, horizontal)
        Side lengths of a window, in pixels.
    stride : int or (vertical, horizontal), default 1
    padding : int or (vertical, horizontal), default 0
        Zeros added on each side.

    Attributes
    ----------
    output_shape : (H', W')
        Windows per column and per row; ``J = H' W'``.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the padding is negative or the kernel exceeds the padded image.

    Notes
    -----
    The paper writes ``D_j`` for vectors (below Eq. 2); this is its two-dimensional form.

    Examples
    --------
    >>> import numpy as np
    >>> grid = PatchGrid((1, 3, 4), kernel=2)
    >>> grid.n_patches, grid.patch_size, grid.output_shape
    (6, 4, (2, 3))
    >>> x = np.arange(12.0).reshape(1, 3, 4)
    >>> grid.extract(x)[0]
    array([0., 1., 4., 5.])
    >>> bool((grid.fold(grid.extract(x)) == grid.coverage * x).all())
    True
    """

    input_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    output_shape: tuple[int, int] = dataclasses.field(init=False, repr=False, compare=False)

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        object.__setattr__(self, "input_shape", _validation.image_shape(input_shape, "input_shape"))
        object.__setattr__(self, "kernel", _validation.pair(kernel, "kernel", 1))
        object.__setattr__(self, "stride", _validation.pair(stride, "stride", 1))
        object.__setattr__(self, "padding", _validation.pair(padding, "padding", 0))
        counts = window_counts(
            self.input_shape[1:],
            self.kernel,
            self.stride,
            self.padding,
            "kernel: {} exceeds the image's {} {}",
        )
        object.__setattr__(self, "output_shape", counts)

    @property
    def n_patches(self) -> int:
        """``J = H' W'``."""
        return math.prod(self.output_shape)

    @property
    def patch_size(self) -> int:
        """``p = C kh kw``."""
        return self.input_shape[0] * self.kernel[0] * self.kernel[1]

    @functools.cached_property
    def coverage(self) -> np.ndarray:
        """``(C, H, W)``, float64: how many patches hold each entry, the diagonal of ``Σ_j D_jᵀ D_j``.  Read-only."""
        counts = self.fold(np.ones((self.n_patches, self.patch_size)))
        counts.flags.writeable = False
        return counts

    def extract(self, x: np.ndarray) -> np.ndarray:
        """Cut all patches out of an image (im2col).

        Parameters
        ----------
        x : array, (..., C, H, W)

        Returns
        -------
        array, (..., J, p), of the same dtype

        Raises
        ------
        ValueError
            If the last three axes are not `input_shape`.
        """
        x = _validation.as_array(x, "x")
        if x.shape[-3:] != self.input_shape:
            raise ValueError(f"x: expected (..., {', '.join(map(str, self.input_shape))}), got {x.shape}")
        lead = x.shape[:-3]
        pad_rows, pad_columns = self.padding
        if pad_rows or pad_columns:
            x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(pad_rows, pad_rows), (pad_columns, pad_columns)])
        windows = sliding_window_view(x, self.kernel, axis=(-2, -1))
        windows = windows[..., :: self.stride[0], :: self.stride[1], :, :]
        # (..., C, H', W', kh, kw) -> (..., H', W', C, kh, kw)
        windows = np.moveaxis(windows, -5, -3)
        # Copy even where NumPy could give a view (kernel 1): patches must not change when x does.
        return np.array(windows, order="C").reshape(*lead, self.n_patches, self.patch_size)

    def fold(self, patches: np.ndarray) -> np.ndarray:
        """Put patches back and add them where they overlap (col2im): the exact adjoint of `extract`.

        Parameters
        ----------
        patches : array, (..., J, p)

        Returns
        -------
        array, (..., C, H, W), of the same dtype: ``Σ_j D_jᵀ patches_j``

        Raises
        ------
        ValueError
            If the last two axes are not ``(J, p)``.
        """
        patches = _validation.as_array(patches, "patches")
        if patches.shape[-2:] != (self.n_patches, self.patch_size):
            raise ValueError(
                f"patches: expected (..., {self.n_patches}, {self.patch_size}), got {patches.shape}"
            )
        lead = patches.shape[:-2]
        (channels, height, width), (rows, columns) = self.input_shape, self.output_shape
        (pad_rows, pad_columns), (step_rows, step_columns) = self.padding, self.stride
        windows = patches.reshape(*lead, rows, columns, channels, *self.kernel)
        windows = np.moveaxis(windows, -3, -5)  # (..., C, H', W', kh, kw)
        padded = np.zeros(
            (*lead, channels, height + 2 * pad_rows, width + 2 * pad_columns), dtype=patches.dtype
        )
        for i in range(self.kernel[0]):
            for k in range(self.kernel[1]):
                padded[
                    ...,
                    i : i + step_rows * (rows - 1) + 1 : step_rows,
                    k : k + step_columns * (columns - 1) + 1 : step_columns,
                ] += windows[..., i, k]
        return padded[..., pad_rows : pad_rows + height, pad_columns : pad_columns + width].copy()
