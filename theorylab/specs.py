"""What a layer of a random network is made of, for the laws that need no network: sizes and scales alone."""

from __future__ import annotations

import dataclasses

from theorylab import _validation


@dataclasses.dataclass(frozen=True)
class ConvSpec:
    """A convolution with Gaussian filters and a ReLU after it.

    Parameters
    ----------
    n_filters : int
        Filters, which are the channels of the layer's output.
    kernel : int or (vertical, horizontal)
    stride : int or (vertical, horizontal), default 1
    padding : int or (vertical, horizontal), default 0
        Zeros added on each side.
    std : float, default 1.0
        Standard deviation of every filter entry.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the padding is negative or `std` is not a finite number above 0.

    Examples
    --------
    >>> ConvSpec(64, 3, padding=1)
    ConvSpec(n_filters=64, kernel=(3, 3), stride=(1, 1), padding=(1, 1), std=1.0)
    """

    n_filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    std: float

    def __init__(
        self,
        n_filters: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        std: float = 1.0,
    ) -> None:
        object.__setattr__(self, "n_filters", _validation.positive_integer(n_filters, "n_filters"))
        object.__setattr__(self, "kernel", _validation.pair(kernel, "kernel", 1))
        object.__setattr__(self, "stride", _validation.pair(stride, "stride", 1))
        object.__setattr__(self, "padding", _validation.pair(padding, "padding", 0))
        object.__setattr__(self, "std", _validation.positive_number(std, "std"))
