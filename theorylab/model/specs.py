"""The layers of a random network, by sizes and laws of weights; :class:`theorylab.Stack` puts them together.

Nothing here draws weights or runs: networks and closed forms both read these descriptions.  Imports laws alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from theorylab import _validation
from theorylab.model.laws import BiasLaw, Constant, Gaussian, WeightLaw


class _Weighted:
    weights: WeightLaw
    bias: BiasLaw | None

    def __repr__(self) -> str:
        """Leave out biases that the layer has no law of."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        if self.bias is None:
            del fields["bias"]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"

    def _set_laws(
        self, std: float | WeightLaw | None, weights: WeightLaw | None, bias: BiasLaw | None
    ) -> None:
        """Set the law of the weights: `std`, or Gaussian of that standard deviation; `weights` if `std` is not given.

        ``dataclasses.replace`` gives the old `weights` again; a new `std` beside them wins.
        """
        law = std if std is not None else weights if weights is not None else 1.0
        if not isinstance(law, WeightLaw):
            law = Gaussian(_validation.positive_number(law, "std"))
        object.__setattr__(self, "weights", law)
        if bias is not None and not isinstance(bias, (WeightLaw, Constant)):
            raise TypeError(f"bias: expected a law of biases, got {_validation.shown(bias)}")
        object.__setattr__(self, "bias", bias)

    @property
    def std(self) -> float:
        """Standard deviation of the weights."""
        return self.weights.std


@_validation.checked
@dataclasses.dataclass(frozen=True, repr=False)
class ConvSpec(_Weighted):
    """A convolution with random filters, followed by a unit.

    Parameters
    ----------
    n_filters : int
        Number of filters, and of channels of the output.
    kernel : int or (vertical, horizontal)
    stride : int or (vertical, horizontal), default 1
    padding : int or (vertical, horizontal), default 0
        Zeros added on each side.
    std : float or WeightLaw, default 1.0
        Standard deviation of Gaussian weights, or another law of them; the attribute is the standard deviation of either.
    weights : WeightLaw, optional
        The same by its field's name.
    bias : WeightLaw or Constant, optional
        Law of the biases, one for each filter; that of the stack's `bias_std` if not given.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, the padding is negative or `std` is not a finite number above 0.

    Examples
    --------
    >>> ConvSpec(64, 3, padding=1)
    ConvSpec(n_filters=64, kernel=(3, 3), stride=(1, 1), padding=(1, 1), weights=Gaussian(std=1.0))
    """

    n_filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    weights: WeightLaw
    bias: BiasLaw | None

    def __init__(
        self,
        n_filters: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        std: float | WeightLaw | None = None,
        *,
        weights: WeightLaw | None = None,
        bias: BiasLaw | None = None,
    ) -> None:
        object.__setattr__(self, "n_filters", _validation.positive_integer(n_filters, "n_filters"))
        object.__setattr__(self, "kernel", _validation.pair(kernel, "kernel", 1))
        object.__setattr__(self, "stride", _validation.pair(stride, "stride", 1))
        object.__setattr__(self, "padding", _validation.pair(padding, "padding", 0))
        self._set_laws(std, weights, bias)


@_validation.checked
@dataclasses.dataclass(frozen=True, repr=False)
class Dense(_Weighted):
    """A fully connected layer with random weights, followed by a unit.

    Parameters
    ----------
    n_units : int
    std, weights, bias
        As for :class:`ConvSpec`.

    Raises
    ------
    TypeError, ValueError
        If `n_units` is not a positive integer or `std` not a finite number above 0.

    Examples
    --------
    >>> Dense(4096)
    Dense(n_units=4096, weights=Gaussian(std=1.0))
    """

    n_units: int
    weights: WeightLaw
    bias: BiasLaw | None

    def __init__(
        self,
        n_units: int,
        std: float | WeightLaw | None = None,
        *,
        weights: WeightLaw | None = None,
        bias: BiasLaw | None = None,
    ) -> None:
        object.__setattr__(self, "n_units", _validation.positive_integer(n_units, "n_units"))
        self._set_laws(std, weights, bias)


@_validation.checked
@dataclasses.dataclass(frozen=True)
class AdaptiveAveragePool:
    """Average pooling to a given plane, as PyTorch's ``AdaptiveAvgPool2d``.

    Parameters
    ----------
    plane : int or (vertical, horizontal)

    Raises
    ------
    TypeError, ValueError
        If `plane` is not made of positive integers.

    Examples
    --------
    >>> AdaptiveAveragePool(7)
    AdaptiveAveragePool(plane=(7, 7))
    """

    plane: tuple[int, int]

    def __init__(self, plane: int | tuple[int, int]) -> None:
        object.__setattr__(self, "plane", _validation.pair(plane, "plane", 1))


@dataclasses.dataclass(frozen=True)
class Residual:
    """A residual block: convolutions, whose output is added to their input or its projection, and a unit after the sum.

    Parameters
    ----------
    branch : sequence of ConvSpec
        There are units between them; the unit of the last follows the sum.
    shortcut : ConvSpec, optional
        The projection of the input, if the shape changes; the identity if not given.

    Raises
    ------
    TypeError, ValueError
        If the branch is empty, or an entry of it or the shortcut is not a ConvSpec.

    Notes
    -----
    The building block of the ResNet in the paper's supplement.  Batch normalisation before any training is the identity.

    Examples
    --------
    >>> block = Residual([ConvSpec(64, 1), ConvSpec(64, 3, padding=1), ConvSpec(256, 1)], ConvSpec(256, 1))
    >>> len(block.branch)
    3
    """

    branch: tuple[ConvSpec, ...]
    shortcut: ConvSpec | None

    def __init__(self, branch: Sequence[ConvSpec], shortcut: ConvSpec | None = None) -> None:
        if isinstance(branch, ConvSpec) or not isinstance(branch, Sequence):
            raise TypeError(f"branch: expected a sequence of ConvSpec, got {type(branch).__name__}")
        if len(branch) == 0:
            raise ValueError("branch: expected at least one ConvSpec")
        named = [(f"branch[{n}]", layer) for n, layer in enumerate(branch)]
        for name, layer in [*named, *([] if shortcut is None else [("shortcut", shortcut)])]:
            if not isinstance(layer, ConvSpec):
                raise TypeError(f"{name}: expected a ConvSpec, got {type(layer).__name__}")
        object.__setattr__(self, "branch", tuple(branch))
        object.__setattr__(self, "shortcut", shortcut)
