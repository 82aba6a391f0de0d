"""Known networks as sizes alone: what the networks are built from, and the laws that need no network."""

from __future__ import annotations

import math

from theorylab.pooling import MaxPool
from theorylab.specs import ConvSpec

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the 3×3 convolutions of each block of VGG-16, configuration D; a 2×2 max-pool closes every block."""

VGG16_PLANE = 7
"""Side of the plane that its dense layers read; adaptive average pooling brings any other to it."""


def vgg16_layers(
    input_shape: tuple[int, int, int] = (3, 224, 224), *, std: float | None = None, n_hidden: int = 4096
) -> list[ConvSpec | MaxPool]:
    """VGG-16 below its readout, for :func:`theorylab.analytic.depth_maps`.

    Parameters
    ----------
    input_shape : (C, H, W)
        Height and width from 224 to 255: then the adaptive pooling under the dense layers is the identity.
    std : float, optional
        Standard deviation of all weights; ``√(2/fan-in)`` layer by layer if not given.
    n_hidden : int, default 4096
        Units of both hidden dense layers, which stand here as convolutions whose kernel is the plane.

    Returns
    -------
    list of ConvSpec and MaxPool

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the image has another size, or `std` is not a positive number.

    Notes
    -----
    The deep network of the paper's experiments.

    Examples
    --------
    >>> layers = vgg16_layers(std=0.1)
    >>> len(layers), layers[0], layers[2]
    (20, ConvSpec(n_filters=64, kernel=(3, 3), stride=(1, 1), padding=(1, 1), std=0.1), MaxPool(size=(2, 2), ...))
    """
    channels, height, width = input_shape
    scale = 2 ** len(VGG16_BLOCKS)
    if (height // scale, width // scale) != (VGG16_PLANE, VGG16_PLANE):
        raise ValueError(
            f"the law of VGG-16 is for pictures of {VGG16_PLANE * scale} to {(VGG16_PLANE + 1) * scale - 1} pixels a side, got "
            f"{height}×{width}: elsewhere its adaptive pooling is not the identity"
        )

    def conv(n_filters: int, kernel: int, padding: int) -> ConvSpec:
        nonlocal channels
        own = math.sqrt(2 / (channels * kernel**2)) if std is None else std
        channels = n_filters
        return ConvSpec(n_filters, kernel, padding=padding, std=own)

    layers: list[ConvSpec | MaxPool] = []
    for block in VGG16_BLOCKS:
        layers += [conv(n_filters, 3, 1) for n_filters in block]
        layers.append(MaxPool(2))
    return [*layers, conv(n_hidden, VGG16_PLANE, 0), conv(n_hidden, 1, 0)]
