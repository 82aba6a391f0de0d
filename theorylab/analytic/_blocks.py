"""A stack of layers as the laws of depth read it: convolutions with their unit and max-pool, and residual stages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from theorylab.analytic.nolaw import NoLaw
from theorylab.model.laws import Gaussian, Uniform
from theorylab.model.patches import PatchGrid
from theorylab.model.pooling import MaxPool
from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
from theorylab.model.stack import Layer, as_convolution

Shape = tuple[int, int, int]
REACH = 121
"""Positions of the windows that can share a unit, at most: 25 for windows of 3×3 at a stride of two, 81 for 5×5 at one."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A convolution, its unit, and the max-pool behind it if there is one."""

    n_filters: int
    grid: PatchGrid  # the patches of its input
    std: float  # as the laws run with it: √(2/fan-in), which keeps energies near 1 from layer to layer
    gain: float  # the true standard deviation over that
    pool: MaxPool | None = None
    bias: Gaussian | Uniform | None = None
    bias_energy: float = 0.0  # what its variance adds to a patch's energy, in working units

    @classmethod
    def of(cls, shape: Shape, layer: ConvSpec) -> Block:
        """Describe the convolution that reads an array of the given shape."""
        grid = PatchGrid(shape, layer.kernel, layer.stride, layer.padding)
        std = math.sqrt(2 / grid.patch_size)
        bias = layer.bias
        if bias is not None and not isinstance(bias, (Gaussian, Uniform)):
            raise NoLaw(layer=f"biases of the law {bias!r} in a deep network")
        return cls(layer.n_filters, grid, std, layer.std / std, bias=bias)

    def uniform_share(self, energy: np.ndarray) -> np.ndarray | None:
        """Return the share of a uniform bias in the pre-activations, from the energies of patches; None for other biases."""
        return self.bias_energy / energy if isinstance(self.bias, Uniform) else None

    def behind(self, logarithm: float) -> Block:
        """Return the block with its `bias_energy` where the true activations below are ``exp(logarithm)`` times the working ones.

        Raises
        ------
        NoLaw
            Where products of two such energies are beyond the numbers of double precision.
        """
        if self.bias is None:
            return self
        size = 2 * (math.log(self.bias.std) - math.log(self.std * self.gain) - logarithm)
        if size > 300:
            raise NoLaw(layer="biases that are 1e65 times what they are added to")
        return dataclasses.replace(self, bias_energy=math.exp(size))

    @property
    def channels(self) -> int:
        """Of its input."""
        return self.grid.input_shape[0]

    @property
    def energy_gain(self) -> float:
        """``n c²``: what a patch's energy becomes, over all filters."""
        return self.n_filters * self.std**2

    @property
    def shape(self) -> Shape:
        """``(C, H, W)`` of its output."""
        plane = self.grid.output_shape
        return (self.n_filters, *(plane if self.pool is None else self.pool.output_shape(plane)))

    @property
    def one_window(self) -> bool:
        """Whether no unit stands in more than one window, and all windows are whole."""
        return self.pool is None or (self.pool.disjoint and self.pool.whole(self.grid.output_shape))

    @property
    def depth(self) -> int:
        """Convolutions on the way through it."""
        return 1


CONTRAST = 0.005
"""Norm of a picture less each channel's mean, over its norm, that some laws need at least: one step of 8 bits of a bright one."""

Path = tuple[Block, ...]
"""Convolutions with ReLUs between them and none behind the last."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """Residual blocks that share one set of channels: a first sum of convolutions, then sums with what comes before.

    A sum knows the scale of its terms: the last convolution of every path has a `std` that makes up for what the other
    convolutions' working deviations leave out.
    """

    # From the stage's input to its first sum: branch and projection, or one convolution.
    head: tuple[Path, ...]
    tails: tuple[Path, ...]  # the branches of the identity blocks above, in order
    gain: float  # as a block's: of the head's largest path

    @property
    def channels(self) -> int:
        """Of its input."""
        return self.head[0][0].channels

    @property
    def shape(self) -> Shape:
        """``(C, H, W)`` of its output."""
        return self.head[0][-1].shape

    @property
    def depth(self) -> int:
        """Convolutions on the way through its branches."""
        return len(self.head[0]) + sum(len(path) for path in self.tails)


def read(shape: Shape, layers: Sequence[Layer]) -> list[Block | Stage]:
    """Read the blocks and stages of a stack on an image of the given shape, from the image up.

    Errors are those of :func:`~theorylab.analytic.depth_maps`.

    Examples
    --------
    >>> blocks = read((3, 8, 8), [ConvSpec(16, 3, padding=1), MaxPool(2), ConvSpec(4, 3)])
    >>> [block.shape for block in blocks]
    [(16, 4, 4), (4, 2, 2)]
    """
    if len(layers) == 0:
        raise ValueError("layers: expected at least one ConvSpec")
    blocks: list[Block | Stage] = []
    for number, layer in enumerate(layers):
        try:
            if isinstance(layer, Dense):  # reads the whole plane
                layer = as_convolution(layer, shape)
            if isinstance(layer, ConvSpec):
                blocks.append(Block.of(shape, layer))
            elif isinstance(layer, MaxPool):
                _add_pool(blocks, layer)
            elif isinstance(layer, Residual):
                _add_residual(blocks, layer, shape)
            elif isinstance(layer, AdaptiveAveragePool):
                # On a plane of its own size it does nothing; under the readout it makes positions equal.
                last = layer.plane == (1, 1) and number > 0 and number + 1 == len(layers)
                if not last and layer.plane != tuple(shape[1:]):
                    raise NoLaw(layer=f"{layer!r} of a plane of {shape[1]}×{shape[2]}")
                continue
            else:
                raise TypeError(f"expected a ConvSpec, MaxPool or Residual, got {type(layer).__name__}")
            shape = blocks[-1].shape
        except NoLaw as error:
            raise NoLaw(layer=f"layers[{number}]: {error.layer}") from None
        except (TypeError, ValueError) as error:
            raise type(error)(f"layers[{number}]: {error}") from None
    _check_biases(blocks, layers)
    return blocks


def needs_every(blocks: Sequence[Block | Stage]) -> int | None:
    """Return the lowest block of several pools whose windows overlap, are padded, or, above another, reach more than two steps.

    Then activations more than two steps apart say who wins, and estimates of their inner products are not good enough.

    Examples
    --------
    >>> conv = ConvSpec(4, 3, padding=1)
    >>> for low, high in ((MaxPool(4), MaxPool(3)), (MaxPool(3, 2), MaxPool(2)), (MaxPool(2), MaxPool(4))):
    ...     print(needs_every(read((1, 24, 24), [conv, low, conv, high])) is None)
    True
    False
    False
    >>> needs_every(read((1, 24, 24), [conv, MaxPool(3, 2), conv])) is None
    True
    """
    pools, found = 0, list[int]()
    stride = np.ones(2, dtype=int)  # in positions of what the last pool puts out
    for number, block in enumerate(blocks):
        if isinstance(block, Stage):
            break  # no pool stands above
        stride = stride * block.grid.stride
        if block.pool is None:
            continue
        reach = ((np.array(block.pool.size) - 1) * stride).max()
        if not block.one_window or (pools and reach > 2):
            found.append(number)
        pools, stride = pools + 1, np.ones(2, dtype=int)
    return found[0] if pools > 1 and found else None


def refuse_faint(x: np.ndarray, blocks: Sequence[Block | Stage]) -> None:
    """Raise NoLaw for a picture of less than `CONTRAST`, not 0, under a pool with overlapping windows between two others.

    Such a pool needs differences of pooled activations to more digits than integrals have.

    Examples
    --------
    >>> x = 1 + 1e-4 * np.arange(576.0).reshape(1, 24, 24) / 576
    >>> refuse_faint(x, read(x.shape, [ConvSpec(4, 3, padding=1), MaxPool(3, 2, 1)] * 3))
    Traceback (most recent call last):
    ...
    theorylab.analytic.nolaw.NoLaw: no law at a contrast of 2.9e-05, below 0.005, under overlapping windows between two \
    other max-pools: theorylab.draw simulates it
    """
    pools = [block for block in blocks if isinstance(block, Block) and block.pool is not None]
    contrast = float(np.linalg.norm(x - x.mean(axis=(1, 2), keepdims=True)) / np.linalg.norm(x))
    # Rounding is no contrast: equal patches tie.
    if 1e-12 < contrast < CONTRAST and not all(block.one_window for block in pools[1:-1]):
        what = f"a contrast of {contrast:.2g}, below {CONTRAST:g}, under overlapping windows between two other max-pools"
        raise NoLaw(layer=what)


def _check_biases(blocks: Sequence[Block | Stage], layers: Sequence[Layer]) -> None:
    plain = [block for block in blocks if isinstance(block, Block)]
    parts = [
        part
        for layer in layers
        for part in ((*layer.branch, layer.shortcut) if isinstance(layer, Residual) else (layer,))
    ]
    biased = any(getattr(part, "bias", None) is not None for part in parts)
    if biased and len(plain) < len(blocks):
        raise NoLaw(layer="biases and residual blocks")
    # Behind a pool the joint law of neighbouring pre-activations counts.
    if any(isinstance(block.bias, Uniform) for block in plain) and any(block.pool for block in plain):
        raise NoLaw(layer="uniform biases and max-pooling")


def _add_pool(blocks: list[Block | Stage], pool: MaxPool) -> None:
    last = blocks[-1] if blocks else None
    if any(isinstance(block, Stage) for block in blocks):
        raise NoLaw(layer="a max-pooling above a residual block")
    if not isinstance(last, Block) or last.pool is not None:
        raise ValueError("a MaxPool stands behind a ConvSpec, whose ReLU it pools")
    reach = math.prod(
        (-(-size // step) - 1) * step + size for size, step in zip(pool.size, pool.stride, strict=True)
    )
    pooled = dataclasses.replace(last, pool=pool)
    if not pooled.one_window and reach > REACH:
        raise NoLaw(layer=f"{pool!r}, where a unit depends on {reach} positions, more than {REACH}")
    blocks[-1] = pooled


def _path(shape: Shape, layers: Sequence[ConvSpec]) -> tuple[Path, float]:
    """Return a path whose blocks have working standard deviations, and the product of the gains this leaves out."""
    blocks: list[Block] = []
    for layer in layers:
        blocks.append(Block.of(shape, layer))
        shape = blocks[-1].shape
    return tuple(blocks), math.prod(block.gain for block in blocks)


def _scaled(path: Path, factor: float) -> Path:
    return (*path[:-1], dataclasses.replace(path[-1], std=path[-1].std * factor))


def _add_residual(blocks: list[Block | Stage], layer: Residual, shape: Shape) -> None:
    branch, gain = _path(shape, layer.branch)
    if layer.shortcut is None:
        last = blocks[-1] if blocks else None
        if last is None or (isinstance(last, Block) and last.pool is not None):
            raise NoLaw(layer="a Residual without a shortcut convolution, on the image or behind a max-pool")
        if branch[-1].shape != shape:
            raise ValueError(f"the branch ends in {branch[-1].shape}, what it is added to is {shape}")
        if isinstance(last, Block):
            last = Stage(((last,),), (), last.gain)
        blocks[-1] = dataclasses.replace(last, tails=(*last.tails, _scaled(branch, gain)))
        return
    projection, other = _path(shape, [layer.shortcut])
    if branch[-1].shape != projection[-1].shape:
        raise ValueError(f"the branch ends in {branch[-1].shape}, the shortcut in {projection[-1].shape}")
    most = max(gain, other)
    blocks.append(Stage((_scaled(branch, gain / most), _scaled(projection, other / most)), (), most))
