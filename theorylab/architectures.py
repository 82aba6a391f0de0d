"""Known networks as sizes alone: what the networks are built from, and the laws that need no network."""

from __future__ import annotations

import math

from theorylab.pooling import MaxPool
from theorylab.specs import ConvSpec, Residual

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the 3×3 convolutions of each block of VGG-16, configuration D; a 2×2 max-pool closes every block."""

RESNET50_BLOCKS = (3, 4, 6, 3)
"""Bottlenecks of each stage of ResNet-50; from the second stage on the first one halves the plane."""

RESNET_EXPANSION = 4
"""A bottleneck's output has this many times the channels of its 3×3 convolution."""

VGG16_PLANE = 7
"""Side of the plane that its dense layers read; adaptive average pooling brings any other to it."""


def vgg16_convolutions(channels: int = 3, *, std: float | None = None) -> list[ConvSpec | MaxPool]:
    """The thirteen convolutions of VGG-16 and its five max-pools, for :func:`theorylab.analytic.depth_maps`.

    Parameters
    ----------
    channels : int
        Of the image.
    std : float, optional
        Standard deviation of all weights; ``√(2/fan-in)`` layer by layer if not given.

    Returns
    -------
    list of ConvSpec and MaxPool

    Examples
    --------
    >>> layers = vgg16_convolutions(std=0.1)
    >>> len(layers), layers[0], layers[2]
    (18, ConvSpec(n_filters=64, kernel=(3, 3), stride=(1, 1), padding=(1, 1), std=0.1), MaxPool(size=(2, 2), ...))
    """
    layers: list[ConvSpec | MaxPool] = []
    for block in VGG16_BLOCKS:
        for n_filters in block:
            layers.append(_conv(channels, n_filters, 3, 1, std))
            channels = n_filters
        layers.append(MaxPool(2))
    return layers


def resnet50_convolutions(channels: int = 3, *, std: float | None = None) -> list[ConvSpec | Residual]:
    """The convolutions and residual blocks of ResNet-50 without its max-pool, whose windows overlap: there is no law for it.

    Parameters
    ----------
    channels, std
        As for :func:`vgg16_convolutions`.

    Returns
    -------
    list of ConvSpec and Residual

    Notes
    -----
    The network of the paper's supplement.

    Examples
    --------
    >>> layers = resnet50_convolutions()
    >>> len(layers), layers[1].shortcut.n_filters, layers[2].shortcut
    (17, 256, None)
    """
    layers: list[ConvSpec | Residual] = [_conv(channels, 64, 7, 3, std, 2)]
    channels = 64
    for stage, count in enumerate(RESNET50_BLOCKS):
        width = 64 * 2**stage
        wide = RESNET_EXPANSION * width
        for place in range(count):
            stride = 2 if stage and not place else 1
            branch = [
                _conv(channels, width, 1, 0, std),
                _conv(width, width, 3, 1, std, stride),
                _conv(width, wide, 1, 0, std),
            ]
            layers.append(Residual(branch, None if place else _conv(channels, wide, 1, 0, std, stride)))
            channels = wide
    return layers


def _conv(
    channels: int, n_filters: int, kernel: int, padding: int, std: float | None, stride: int = 1
) -> ConvSpec:
    own = math.sqrt(2 / (channels * kernel**2)) if std is None else std
    return ConvSpec(n_filters, kernel, stride, padding, std=own)


def vgg16_layers(
    input_shape: tuple[int, int, int] = (3, 224, 224), *, std: float | None = None, n_hidden: int = 4096
) -> list[ConvSpec | MaxPool]:
    """VGG-16 below its readout, for :func:`theorylab.analytic.depth_maps`.

    Parameters
    ----------
    input_shape : (C, H, W)
        Height and width from 224 to 255: then the adaptive pooling under the dense layers is the identity.
    std : float, optional
        As for :func:`vgg16_convolutions`.
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
    >>> vgg16_layers()[-2].kernel, vgg16_layers()[-1].kernel
    ((7, 7), (1, 1))
    """
    channels, height, width = input_shape
    scale = 2 ** len(VGG16_BLOCKS)
    if (height // scale, width // scale) != (VGG16_PLANE, VGG16_PLANE):
        raise ValueError(
            f"the law of VGG-16 is for pictures of {VGG16_PLANE * scale} to {(VGG16_PLANE + 1) * scale - 1} pixels a side, got "
            f"{height}×{width}: elsewhere its adaptive pooling is not the identity"
        )
    layers = vgg16_convolutions(channels, std=std)
    last = VGG16_BLOCKS[-1][-1]
    dense = _conv(last, n_hidden, VGG16_PLANE, 0, std), _conv(n_hidden, n_hidden, 1, 0, std)
    return [*layers, *dense]
