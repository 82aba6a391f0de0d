"""Known networks as stacks, to draw networks from or to predict maps from.  Imports descriptions alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from theorylab import _validation
from theorylab.model.laws import STANDARD_NORMAL, BiasLaw, Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.model.stack import Layer, Stack
from theorylab.model.units import RELU, Unit

VGG16_BLOCKS: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the 3×3 convolutions of each block of VGG-16, configuration D; a 2×2 max-pool ends every block."""

VGG16_PLANE: Final = 7
"""Side of the plane that its dense layers read; adaptive average pooling resizes any other plane."""

RESNET50_BLOCKS: Final = (3, 4, 6, 3)
"""Bottlenecks of each stage of ResNet-50; from the second stage on, the first bottleneck halves the plane."""

RESNET_EXPANSION: Final = 4
"""A bottleneck's output has this many times the channels of its 3×3 convolution."""


@_validation.checked
def three_layer(
    grid: PatchGrid,
    n_filters: int,
    *,
    unit: Unit = RELU,
    pool: MaxPool | None = None,
    weights: WeightLaw = STANDARD_NORMAL,
    bias_std: float = 0.0,
    bias: BiasLaw | None = None,
) -> Stack:
    """Describe the random three-layer network of the paper: filters on patches, units, a dense readout.

    Parameters
    ----------
    grid : PatchGrid
        Its patches; a single patch, the whole image, makes the network fully connected.
    n_filters : int
        ``N``.
    unit : Unit, default ReLU()
    pool : MaxPool, optional
        Between the units and the readout.
    weights : WeightLaw, default Gaussian(1.0)
        Law of the filters and of the readout.
    bias_std : float, default 0.0
        Standard deviation of Gaussian biases of the filters.
    bias : WeightLaw or Constant, optional
        Another law of them, such as ``Uniform(h)``.

    Returns
    -------
    Stack

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, a law or a unit is of another kind, or the pool does not fit.

    Notes
    -----
    The network of Lemma 1.

    Examples
    --------
    >>> three_layer(PatchGrid((3, 8, 8), kernel=3), 16).shapes
    ((16, 6, 6),)
    """
    filters = ConvSpec(n_filters, grid.kernel, grid.stride, grid.padding, weights, bias=bias)
    layers: tuple[Layer, ...] = (filters,) if pool is None else (filters, pool)
    return Stack(grid.input_shape, layers, unit, weights, bias_std=bias_std)


@_validation.checked
def vgg16(
    n_logits: int = 1000,
    *,
    input_shape: tuple[int, int, int] = (3, 224, 224),
    std: float | None = None,
    n_hidden: int = 4096,
    readout: float = 1.0,
) -> Stack:
    """Describe VGG-16, configuration D.

    Parameters
    ----------
    n_logits : int, default 1000
    input_shape : (C, H, W)
        At least 32 × 32.  Adaptive average pooling resizes the last block to 7 × 7: the identity at 224 × 224.
    std : float, optional
        Standard deviation of all weights below the readout; ``√(2/fan-in)`` of each layer if not given.
    n_hidden : int, default 4096
        Units of both hidden dense layers.
    readout : float, default 1.0
        Standard deviation of the readout's weights.

    Returns
    -------
    Stack
        The thirteen convolutions and their five pools are the first 18 layers.

    Raises
    ------
    TypeError, ValueError
        If a size or `std` is not a positive number, or the image is too small.

    Notes
    -----
    The deep network of the paper's experiments.

    Examples
    --------
    >>> stack = vgg16()
    >>> len(stack.layers), stack.layers[2], stack.shapes[-4:]
    (21, MaxPool(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False), ((512, 7, 7), (512, 7, 7), (4096,), (4096,)))
    """
    channels, *plane = _validation.image_shape(input_shape, "input_shape")
    if min(plane) < 32:
        raise ValueError(f"input_shape: VGG-16 takes 32 × 32 pixels or more, got {plane[0]} × {plane[1]}")
    layers: list[Layer] = []
    for block in VGG16_BLOCKS:
        for n_filters in block:
            layers.append(_conv(channels, n_filters, 3, 1, std))
            channels = n_filters
        layers.append(MaxPool(2))
    fan_in = channels * VGG16_PLANE**2
    hidden = [
        Dense(n_hidden, _std(n, std)) for n in (fan_in, _validation.positive_integer(n_hidden, "n_hidden"))
    ]
    return Stack(
        input_shape,
        (*layers, AdaptiveAveragePool(VGG16_PLANE), *hidden),
        readout=Gaussian(_validation.positive_number(readout, "readout")),
        n_logits=n_logits,
    )


@_validation.checked
def resnet(
    blocks: Sequence[int] = RESNET50_BLOCKS,
    width: int = 64,
    *,
    n_logits: int = 1000,
    input_shape: tuple[int, int, int] = (3, 224, 224),
    std: float | None = None,
) -> Stack:
    """Describe a bottleneck ResNet; batch normalisation, the identity before any training, is left out.

    Parameters
    ----------
    blocks : sequence of int, default (3, 4, 6, 3)
        Bottlenecks of each stage; from the second stage on, the first bottleneck halves the plane by the stride of
        its 3 × 3 convolution.
    width : int, default 64
        Channels of the stem; the bottlenecks of stage ``s`` are ``width · 2**s`` wide.
    n_logits, input_shape, std, errors
        As for :func:`vgg16`.

    Returns
    -------
    Stack
        The second layer is the max-pool, whose windows overlap; the last layer is the global average pooling.

    Examples
    --------
    >>> resnet((2, 1), 4, n_logits=3, input_shape=(3, 32, 32)).shapes[-1]
    (32, 1, 1)
    """
    width = _validation.positive_integer(width, "width")
    channels = _validation.image_shape(input_shape, "input_shape")[0]
    layers: list[Layer] = [_conv(channels, width, 7, 3, std, 2), MaxPool(3, stride=2, padding=1)]
    channels = width
    for stage, count in enumerate(blocks):
        narrow = width * 2**stage
        wide = RESNET_EXPANSION * narrow
        for number in range(_validation.positive_integer(count, "blocks")):
            stride = 2 if stage and not number else 1
            branch = [
                _conv(channels, narrow, 1, 0, std),
                _conv(narrow, narrow, 3, 1, std, stride),
                _conv(narrow, wide, 1, 0, std),
            ]
            layers.append(Residual(branch, None if number else _conv(channels, wide, 1, 0, std, stride)))
            channels = wide
    return Stack(input_shape, (*layers, AdaptiveAveragePool(1)), n_logits=n_logits)


@_validation.checked
def resnet50(
    n_logits: int = 1000, *, input_shape: tuple[int, int, int] = (3, 224, 224), std: float | None = None
) -> Stack:
    """Describe ResNet-50, the network of the paper's supplement: :func:`resnet` with its usual sizes.

    Parameters, errors: as for :func:`vgg16`.

    Examples
    --------
    >>> stack = resnet50()
    >>> len(stack.layers), stack.shapes[-2:]
    (19, ((2048, 7, 7), (2048, 1, 1)))
    """
    return resnet(n_logits=n_logits, input_shape=input_shape, std=std)


def _conv(
    channels: int, n_filters: int, kernel: int, padding: int, std: float | None, stride: int = 1
) -> ConvSpec:
    return ConvSpec(n_filters, kernel, stride, padding, _std(channels * kernel**2, std))


def _std(fan_in: int, std: float | None) -> float:
    """Return `std`, or the standard deviation that keeps the size of activations from layer to layer."""
    return math.sqrt(2 / fan_in) if std is None else std
