"""Crops of the photographs that scikit-image ships: pictures to average over that need no download."""

from __future__ import annotations

import os

import numpy as np

from theorylab import _random, _validation, images

FILES = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "cat": "chelsea.png",
    "cell": "cell.png",
    "clock": "clock_motion.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "eagle": "eagle.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "hubble": "hubble_deep_field.jpg",
    "ihc": "ihc.png",
    "mitosis": "mitosis.tif",
    "moon": "moon.png",
    "motorcycle": "motorcycle_left.png",
    "page": "page.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "skin": "skin.jpg",
    "text": "text.png",
}
"""By name, the file in scikit-image's data folder; drawings and second views of a scene are left out."""


def present() -> list[str]:
    """Return the names of the photographs that the installed scikit-image holds.

    Examples
    --------
    >>> present()[:3]
    ['astronaut', 'brick', 'camera']
    """
    return [name for name, file in FILES.items() if os.path.exists(_path(file))]


def absent() -> list[str]:
    """Return the names of those that scikit-image would download; they are skipped.

    Examples
    --------
    >>> "cat" in absent()
    False
    """
    return [name for name in FILES if name not in present()]


@_validation.checked
def crop(name: str, side: int, *, seed: _random.Seed) -> np.ndarray:
    """Cut a random square from a photograph and resize it.

    Parameters
    ----------
    name : str
        One of :func:`present`.
    side : int
        Height and width of the result.
    seed : int or Generator
        The square has a uniform position; its side is uniform between half of the shorter side and the whole.

    Returns
    -------
    (3, side, side) float64 array
        Red, green and blue of 0–255.

    Raises
    ------
    TypeError, ValueError
        If the name is unknown, the file not present, or a number not as said.

    Examples
    --------
    >>> crop("cat", 32, seed=0).shape
    (3, 32, 32)
    """
    side = _validation.positive_integer(side, "side")
    name = _validation.choice(name, FILES, "photograph")
    rgb, rng = images.pixels(_path(FILES[name])), _random.generator(seed)
    height, width = rgb.shape[:2]
    short = min(height, width)
    window = int(rng.integers(short // 2, short + 1))
    top, left = (int(rng.integers(extent - window + 1)) for extent in (height, width))
    part = rgb[top : top + window, left : left + window]
    return np.asarray(images.prepare(part, side, "authors") + np.reshape(images.MEAN_COLOUR, (3, 1, 1)))


def _path(file: str) -> str:
    import skimage

    return os.path.join(os.path.dirname(skimage.__file__), "data", file)
