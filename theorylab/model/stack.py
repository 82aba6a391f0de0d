"""A random network as one description, which closed forms predict and samplers draw.  Imports laws, geometry and units."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from theorylab import _validation
from theorylab.model.laws import STANDARD_NORMAL, Gaussian, WeightLaw
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.model.units import RELU, Unit

Shape = tuple[int, ...]
Layer = ConvSpec | Dense | MaxPool | AdaptiveAveragePool | Residual


@dataclasses.dataclass(frozen=True)
class Stack:
    """A random network, described by its sizes and its laws of weights; no weights are drawn.

    Parameters
    ----------
    input_shape : (C, H, W)
    layers : sequence of ConvSpec, Dense, MaxPool, AdaptiveAveragePool and Residual
        From the image up.  A unit follows every convolution, dense layer and residual sum.
    unit : Unit, default ReLU()
    readout : WeightLaw or float, default Gaussian(1.0)
        Law of the weights of the linear layer above, which reads all outputs of the last layer; a number is a standard
        deviation.
    n_logits : int, default 1000
        Number of outputs of that layer.
    bias_std : float, default 0.0
        Standard deviation of the Gaussian biases of the hidden layers that say nothing of theirs; the readout has none.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Shape of the output of every layer.

    Raises
    ------
    TypeError, ValueError
        If a layer is of another kind or does not fit its input; the message names the layer.

    Examples
    --------
    >>> stack = Stack((3, 8, 8), [ConvSpec(16, 3, padding=1), MaxPool(2), Dense(10)], n_logits=5)
    >>> stack.shapes
    ((16, 8, 8), (16, 4, 4), (10,))
    >>> Stack((3, 8, 8), [Dense(10), ConvSpec(16, 3)])
    Traceback (most recent call last):
    ValueError: layers[1]: ConvSpec reads planes (C, H, W), got (10,)
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    unit: Unit = RELU
    readout: WeightLaw = STANDARD_NORMAL
    n_logits: int = 1000
    bias_std: float = 0.0
    shapes: tuple[Shape, ...] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check all arguments and compute `shapes`."""
        if isinstance(self.layers, str) or not isinstance(self.layers, Sequence):
            raise TypeError(f"layers: expected a sequence of layers, got {type(self.layers).__name__}")
        if len(self.layers) == 0:
            raise ValueError("layers: expected at least one layer")
        if not isinstance(self.unit, Unit):
            raise TypeError(f"unit: expected ReLU() or LeakyReLU(slope), got {_validation.shown(self.unit)}")
        bias_std = _validation.finite_number(self.bias_std, "bias_std")
        if bias_std < 0:
            raise ValueError(f"bias_std: expected at least 0, got {bias_std}")
        readout = self.readout
        if not isinstance(readout, WeightLaw):
            readout = Gaussian(_validation.positive_number(readout, "readout"))
        for name, value in (
            ("input_shape", _validation.image_shape(self.input_shape, "input_shape")),
            ("layers", tuple(self.layers)),
            ("readout", readout),
            ("n_logits", _validation.positive_integer(self.n_logits, "n_logits")),
            ("bias_std", bias_std),
        ):
            object.__setattr__(self, name, value)
        shapes: list[Shape] = [self.input_shape]
        for number, layer in enumerate(self.layers):
            try:
                shapes.append(output_shape(layer, shapes[-1]))
            except (TypeError, ValueError) as error:
                raise type(error)(f"layers[{number}]: {error}") from None
        object.__setattr__(self, "shapes", tuple(shapes[1:]))

    @property
    def shape_above(self) -> Shape:
        """Shape of the input of the readout."""
        return self.shapes[-1]

    @property
    def biased_layers(self) -> tuple[Layer, ...]:
        """The layers, each with the law of its biases: its own, or that of `bias_std`; None without biases."""
        return tuple(
            _biased(layer, Gaussian(self.bias_std)) if self.bias_std else layer for layer in self.layers
        )

    @_validation.checked
    def reads(self, number: int) -> Shape:
        """Return the shape of the input of layer `number`."""
        return self.shapes[number - 1] if number else self.input_shape


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """Return the shape of a layer's output from that of its input; raise a TypeError or ValueError if it does not fit."""
    match layer:
        case Dense():
            return (layer.n_units,)
        case ConvSpec():
            return layer.n_filters, *grid_of(layer, shape).output_shape
        case MaxPool():
            channels, height, width = _planes(layer, shape)
            return channels, *layer.output_shape((height, width))
        case AdaptiveAveragePool():
            return _planes(layer, shape)[0], *layer.plane
        case Residual():
            end: Shape = _planes(layer, shape)
            for part in layer.branch:
                end = output_shape(part, end)
            beside = shape if layer.shortcut is None else output_shape(layer.shortcut, shape)
            if end != beside:
                raise ValueError(f"the branch ends in {end}, what it is added to is {beside}")
            return end
    raise TypeError(
        "expected a ConvSpec, Dense, MaxPool, AdaptiveAveragePool or Residual, got " + type(layer).__name__
    )


def grid_of(layer: ConvSpec, shape: Shape) -> PatchGrid:
    """Return the patches that a convolution reads."""
    return PatchGrid(_planes(layer, shape), layer.kernel, layer.stride, layer.padding)


def _biased(layer: Layer, bias: Gaussian) -> Layer:
    match layer:
        case ConvSpec() | Dense():
            return layer if layer.bias is not None else dataclasses.replace(layer, bias=bias)
        case Residual():
            branch = [
                part if part.bias is not None else dataclasses.replace(part, bias=bias)
                for part in layer.branch
            ]
            shortcut = layer.shortcut
            if shortcut is not None and shortcut.bias is None:
                shortcut = dataclasses.replace(shortcut, bias=bias)
            return Residual(branch, shortcut)
    return layer


def as_convolution(layer: ConvSpec | Dense, shape: Shape) -> ConvSpec:
    """Return the same layer as a convolution: a dense layer reads one patch, its whole input."""
    if isinstance(layer, ConvSpec):
        return layer
    return ConvSpec(layer.n_units, (shape[1], shape[2]), weights=layer.weights, bias=layer.bias)


def single_layer(stack: Stack) -> tuple[ConvSpec, MaxPool | None] | None:
    """Return the hidden layer of a stack that has one alone, and the pool above it; None for any other stack."""
    hidden, *above = stack.biased_layers
    pool = above[0] if above and isinstance(above[0], MaxPool) else None
    if not isinstance(hidden, (ConvSpec, Dense)) or len(above) > (pool is not None):
        return None
    return as_convolution(hidden, stack.input_shape), pool


def _planes(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"{type(layer).__name__} reads planes (C, H, W), got {shape}")
    return shape[0], shape[1], shape[2]
