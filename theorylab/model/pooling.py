"""Where the windows of a max-pooling layer lie: geometry alone, for simulation and closed forms alike."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theorylab import _validation
from theorylab.model.patches import PatchGrid, window_counts


@_validation.checked
@dataclasses.dataclass(frozen=True)
class MaxPool:
    """The windows of a max-pooling layer.

    Windows are numbered row by row, and so are the entries of a window; the winner of a window is its *first*
    maximum in that order.  Windows that would reach beyond the (padded) plane are left out, and rows and columns outside
    every window have no effect, as in PyTorch's ``max_pool2d``, unless `ceil_mode` keeps what lies in the plane of them.

    Parameters
    ----------
    size : int or (vertical, horizontal)
        Side lengths of a window, in positions of the plane that is pooled.
    stride : int or (vertical, horizontal), optional
        `size` if not given.
    padding : int or (vertical, horizontal), default 0
        Positions added on each side.  They hold no value and never win; at most half the size.
    ceil_mode : bool, default False
        Whether a window counts that begins in the plane, or in the padding before it, and reaches beyond the padding.

    Raises
    ------
    TypeError, ValueError
        If a size or stride is not a positive integer, the padding is negative or above half the size, or `ceil_mode` is
        neither True nor False.

    Notes
    -----
    The paper's three-layer CNN with max-pooling (its variant of Eq. 4 and Eq. 6) takes a window of fixed size.

    Examples
    --------
    >>> pool = MaxPool(2)
    >>> pool.output_shape((5, 6)), pool.disjoint
    ((2, 3), True)
    >>> MaxPool(3, stride=2).disjoint
    False
    >>> MaxPool(2, ceil_mode=True).output_shape((5, 6))
    (3, 3)
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    ceil_mode: bool

    def __init__(
        self,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
    ) -> None:
        object.__setattr__(self, "size", _validation.pair(size, "size", 1))
        object.__setattr__(self, "stride", _validation.pair(size if stride is None else stride, "stride", 1))
        object.__setattr__(self, "padding", _validation.pair(padding, "padding", 0))
        for pad, side in zip(self.padding, self.size, strict=True):
            if pad > side // 2:
                raise ValueError(f"padding: expected at most half the size {side}, got {pad}")
        object.__setattr__(self, "ceil_mode", bool(ceil_mode))

    @property
    def disjoint(self) -> bool:
        """Whether every position lies in at most one window: stride at least size on both axes."""
        return self.stride[0] >= self.size[0] and self.stride[1] >= self.size[1]

    @_validation.checked
    def output_shape(self, plane: tuple[int, int]) -> tuple[int, int]:
        """Count the windows per column and per row of a plane.

        Parameters
        ----------
        plane : (H', W')

        Returns
        -------
        (int, int)

        Raises
        ------
        ValueError
            If no window fits.

        Examples
        --------
        >>> MaxPool((2, 3), padding=(0, 1)).output_shape((109, 109))
        (54, 37)
        """
        extents, refusal = (
            _validation.pair(tuple(plane), "plane", 1),
            "pool: size {} exceeds the {} {} of the plane",
        )
        return window_counts(extents, self.size, self.stride, self.padding, refusal, partial=self.ceil_mode)

    @_validation.checked
    def windows(self, plane: tuple[int, int]) -> np.ndarray:
        """List the positions that each window holds.

        Parameters
        ----------
        plane : (H', W')

        Returns
        -------
        int64 array, (windows, size)
            Flat indices into the plane, row by row; −1 for a position outside it.

        Raises
        ------
        ValueError
            If no window fits.

        Examples
        --------
        >>> MaxPool(2).windows((3, 4))
        array([[0, 1, 4, 5],
               [2, 3, 6, 7]])
        """
        counts = self.output_shape(plane)
        beyond = [
            (0, max(0, (count - 1) * step + length - 2 * pad - extent))
            for count, step, length, pad, extent in zip(
                counts, self.stride, self.size, self.padding, plane, strict=True
            )
        ]
        numbers = np.pad(np.arange(1, math.prod(plane) + 1).reshape(plane), beyond)[None]
        return PatchGrid(numbers.shape, self.size, self.stride, self.padding).extract(numbers) - 1

    @_validation.checked
    def whole(self, plane: tuple[int, int]) -> bool:
        """Whether no window reaches beyond the plane.

        Parameters
        ----------
        plane : (H', W')

        Returns
        -------
        bool

        Raises
        ------
        ValueError
            If no window fits.

        Examples
        --------
        >>> MaxPool(2, ceil_mode=True).whole((5, 6)), MaxPool(2, ceil_mode=True).whole((4, 6)), MaxPool(2).whole((5, 6))
        (False, True, True)
        """
        ends = zip(self.output_shape(plane), self.stride, self.size, plane, strict=True)
        return not any(self.padding) and all((n - 1) * step + length <= end for n, step, length, end in ends)
