"""The many pictures that a figure averages over: a folder of the user's, or random crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from theorylab import images
from theorylab.figures._base import Settings
from theorylab.figures._subjects import SMALL, Subject

MANY, FEW = 10_000, 16
"""Crops by default: for the small classifier, and for VGG-16, which takes seconds for each."""

_TOGETHER = 100
_SOURCE_SIDE, _SMALLEST, _LARGEST = 512, 128, 384
_MEAN = np.reshape(images.MEAN_COLOUR, (3, 1, 1))


def batches(settings: Settings, nets: Subject) -> tuple[int, Iterator[np.ndarray]]:
    """Return the number of pictures, and batches of them, (B, 3, H, W) of 0–255.

    Raises
    ------
    ValueError
        If the folder holds no picture; while iterating, if one of them cannot be read.
    """
    side = nets.trained.input_shape[1]
    small = nets.source == SMALL
    if settings.pictures is not None:
        files = images.in_folder(settings.pictures)[: settings.crops]
        return len(files), _one_by_one(len(files), lambda i: images.load(files[i], side, "authors") + _MEAN)
    total = settings.crops or (MANY if small else FEW)
    rng = settings.stream(7, 1)
    if small and side == 32:  # trained on this size: take crops of the test split
        return total, _unseen(total, nets, rng)
    sources = [
        np.moveaxis(images.load(name, _SOURCE_SIDE, "authors") + _MEAN, 0, -1) for name in images.bundled()
    ]
    return total, _one_by_one(total, lambda i: _crop(sources[rng.integers(len(sources))], side, rng))


def _one_by_one(total: int, picture: Callable[[int], np.ndarray]) -> Iterator[np.ndarray]:
    return (picture(i)[None] for i in range(total))


def _unseen(total: int, nets: Subject, rng: np.random.Generator) -> Iterator[np.ndarray]:
    from theorylab import training

    for start in range(0, total, _TOGETHER):
        crops, _ = training.crops("test", min(_TOGETHER, total - start), seed=rng)
        yield nets.mean + nets.std * crops


def _crop(source: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a random window from a bundled picture and resize it."""
    window = int(rng.integers(_SMALLEST, _LARGEST + 1))
    top, left = rng.integers(0, _SOURCE_SIDE - window + 1, size=2)
    part = source[top : top + window, left : left + window]
    return np.asarray(images.prepare(part, side, "authors") + _MEAN)
