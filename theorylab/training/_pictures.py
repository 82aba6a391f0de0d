"""Ten pictures that come with scikit-image, cut into stripes for training and stripes for testing."""

from __future__ import annotations

import functools
import importlib.resources

import numpy as np

from theorylab import _random, _validation, images

INPUT_SCALE = 1 / 64
"""Factor of a picture of 0–255 minus the mean colour: it makes entries of order 1."""

SIDE = 32
"""Height and width of a crop."""

STRIPE = 48
"""Height of a stripe.  Even stripes (0, 2, …) are for training, odd stripes for testing; a rest at the bottom is unused."""

PICTURES = {
    "brick": ("brick.png", 1),
    "cat": ("chelsea.png", 1),
    "cell": ("cell.png", 1),
    "coffee": ("coffee.png", 1),
    "grass": ("grass.png", 1),
    "gravel": ("gravel.png", 1),
    "hubble": ("hubble_deep_field.jpg", 2),
    "ihc": ("ihc.png", 1),
    "motorcycle": ("motorcycle_left.png", 1),
    "retina": ("retina.jpg", 3),
}
"""Class, file in scikit-image's data folder, and the side of the blocks that are averaged first, so that a crop of a large
photograph has contents."""

SPLITS = ("train", "test")


@functools.lru_cache(maxsize=1)
def stripes() -> dict[str, tuple[tuple[np.ndarray, ...], ...]]:
    """Cut all pictures into stripes: for "train" and "test" a tuple for each class of arrays (3, 48, W), read-only.

    Blocks are averaged before stripes are cut, so no pixel of a file is in both splits.
    """
    cut: dict[str, list[tuple[np.ndarray, ...]]] = {split: [] for split in SPLITS}
    for file, block in PICTURES.values():
        picture = _prepared(_read(file), block)
        rows = range(0, picture.shape[1] - STRIPE + 1, STRIPE)
        parts = [np.ascontiguousarray(picture[:, row : row + STRIPE]) for row in rows]
        for part in parts:
            part.flags.writeable = False
        for offset, split in enumerate(SPLITS):
            cut[split].append(tuple(parts[offset::2]))
    return {split: tuple(kinds) for split, kinds in cut.items()}


def _read(file: str) -> np.ndarray:
    """Read a picture as ``(H, W, 3)`` uint8; grey pictures are repeated over the channels."""
    from PIL import Image

    # Not skimage.data: some of its functions need pooch, although the wheel holds the files.
    source = importlib.resources.files("skimage").joinpath("data", file)
    if not source.is_file():
        raise FileNotFoundError(f"{file}: the installed scikit-image does not hold this picture")
    with source.open("rb") as stream, Image.open(stream) as opened:
        return np.asarray(opened.convert("RGB"))


def _prepared(rgb: np.ndarray, block: int) -> np.ndarray:
    """Return ``(3, H // block, W // block)`` float32: means over blocks, minus the mean colour, scaled."""
    rows, columns = rgb.shape[0] // block, rgb.shape[1] // block
    cut = rgb[: rows * block, : columns * block].reshape(rows, block, columns, block, 3)
    picture = cut.mean(axis=(1, 3), dtype=np.float64) - images.MEAN_COLOUR
    return np.asarray(np.moveaxis(picture * INPUT_SCALE, -1, 0), dtype=np.float32)


def crops(split: str, n: int, *, seed: _random.Seed) -> tuple[np.ndarray, np.ndarray]:
    """Draw random 32×32 crops of ten pictures, prepared for the small classifier.

    Parameters
    ----------
    split : {"train", "test"}
    n : int
    seed : int or Generator
        The same seed gives different crops for the two splits.  Another `n` gives other crops altogether.

    Returns
    -------
    images : float32 array, (n, 3, 32, 32)
        RGB of 0–255 minus :data:`theorylab.images.MEAN_COLOUR`, times :data:`INPUT_SCALE`, as
        ``images.load(path, preset="authors") * INPUT_SCALE`` for a whole picture.
    labels : int64 array, (n,)
        Index of the picture, drawn uniformly: brick, cat, cell, coffee, grass, gravel, hubble, ihc, motorcycle, retina.

    Raises
    ------
    TypeError, ValueError
        If the split is unknown, `n` not a positive integer or the seed invalid.
    FileNotFoundError
        If the installed scikit-image does not hold a picture; nothing is downloaded.

    Notes
    -----
    *Geometry.*  Grey pictures are repeated over the three channels.  The means of 2×2 blocks replace "hubble", those of 3×3
    blocks "retina"; the other pictures keep their pixels.  Each picture is cut from the top into horizontal stripes, 48 pixels
    high and as wide as the picture; stripes 0, 2, … are for training, 1, 3, … for testing.  A crop has a uniform position in a
    uniform stripe, so no pixel is in training and in testing.

    These pictures replace ImageNet, the data of the trained network of section 3.2.3, which cannot be bundled.

    Examples
    --------
    >>> images, labels = crops("test", 4, seed=0)
    >>> images.shape, images.dtype, labels
    ((4, 3, 32, 32), dtype('float32'), array([6, 6, 3, 2]))
    """
    if not isinstance(split, str):
        raise TypeError(f"split: expected 'train' or 'test', got {type(split).__name__}")
    if split not in SPLITS:
        raise ValueError(f"split: expected 'train' or 'test', got {split!r}")
    n = _validation.positive_integer(n, "n")
    rng = np.random.default_rng(_random.child(_random.sequence(seed), SPLITS.index(split)))
    kinds = stripes()[split]
    labels = rng.integers(len(kinds), size=n)
    cut = np.empty((n, 3, SIDE, SIDE), dtype=np.float32)
    for crop, label in zip(cut, labels, strict=True):
        stripe = kinds[label][rng.integers(len(kinds[label]))]
        top, left = (rng.integers(extent - SIDE + 1) for extent in stripe.shape[1:])
        crop[:] = stripe[:, top : top + SIDE, left : left + SIDE]
    return cut, labels
