"""Named ways to scale a raw map and to turn it into a picture.  Imports checks of arguments alone.

A zero map stays zero on every scale; its picture is mid-grey, like a value halfway between the signs.
"""

from __future__ import annotations

import numpy as np

from theorylab import _validation


def _maps(maps: np.ndarray) -> np.ndarray:
    maps = _validation.real_array(maps, "map")
    if maps.ndim < 3:
        raise ValueError(f"map: expected (..., C, H, W), got {maps.shape}")
    if 0 in maps.shape[-3:]:
        raise ValueError(f"map: expected a channel and a pixel at least, got {maps.shape}")
    return maps


def _span(span: tuple[float, float]) -> tuple[float, float]:
    if len(span) != 2:
        raise ValueError(f"span: expected (black, white), got {_validation.shown(span)}")
    return _validation.finite_number(span[0], "span"), _validation.finite_number(span[1], "span")


def _over(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return `values` / `scale`, and 0 where the scale is 0."""
    return np.asarray(np.divide(values, scale, out=np.zeros_like(values), where=scale > 0))


def _over_largest(maps: np.ndarray) -> np.ndarray:
    """Divide checked maps by their largest entries: squares and spans of others may leave the range of the dtype."""
    maps = _maps(maps)
    return _over(maps, np.abs(maps).max(axis=(-3, -2, -1), keepdims=True))


@_validation.checked
def unit_norm(maps: np.ndarray) -> np.ndarray:
    """Scale each map to Euclidean norm 1.

    Parameters
    ----------
    maps : array, (..., C, H, W)

    Returns
    -------
    array of the same shape, float32 or float64

    Raises
    ------
    TypeError, ValueError
        If an entry is not a finite real number, there are fewer than three axes, or the last three hold nothing.

    Notes
    -----
    The largest value of the normalising coefficient of Eq. 4.

    Examples
    --------
    >>> unit_norm(np.array([[[3.0, -4.0]]]))
    array([[[ 0.6, -0.8]]])
    """
    scaled = _over_largest(maps)
    return _over(scaled, np.sqrt((scaled**2).sum(axis=(-3, -2, -1), keepdims=True)))


@_validation.checked
def min_max(maps: np.ndarray) -> np.ndarray:
    """Shift and scale each map to [0, 1], jointly over channels and pixels; a constant map becomes zero.

    The display of the authors' code; it is in no equation of the paper.  Maps and errors are as for :func:`unit_norm`.

    Examples
    --------
    >>> min_max(np.array([[[3.0, -1.0, 0.0]]]))
    array([[[1.  , 0.  , 0.25]]])
    """
    scaled = _over_largest(maps)
    scaled -= scaled.min(axis=(-3, -2, -1), keepdims=True)
    return _over(scaled, scaled.max(axis=(-3, -2, -1), keepdims=True))


@_validation.checked
def shades(image: np.ndarray, span: tuple[float, float] | None = None) -> np.ndarray:
    """Return one map as shades of a picture: 0 is black, 1 is white.

    Parameters
    ----------
    image : array, (C, H, W)
    span : (float, float), optional
        Raw values of black and of white, to compare several maps; by default the map's minimum and maximum.

    Returns
    -------
    array of the same shape, float64
        In [0, 1].  If the span has no length, as that of a zero map, every entry is mid-grey: 0.5.

    Raises
    ------
    TypeError, ValueError
        As :func:`unit_norm`.

    Notes
    -----
    The picture of `min_max`, but for constant maps, where black would suggest a minimum.  It is in no equation of the paper.

    Examples
    --------
    >>> shades(np.array([[[3.0, -1.0, 0.0]]]))
    array([[[1.  , 0.  , 0.25]]])
    >>> shades(np.array([[[3.0, -1.0, 0.0]]]), (-5.0, 5.0))
    array([[[0.8, 0.4, 0.5]]])
    >>> shades(np.zeros((1, 1, 2)))
    array([[[0.5, 0.5]]])
    """
    image = _maps(image).astype(np.float64)
    low, high = (float(image.min()), float(image.max())) if span is None else _span(span)
    if not high > low:
        return np.full_like(image, 0.5)
    # Divide by the largest value first: the length of the span may leave the range of the dtype.
    size = max(abs(low), abs(high))
    return np.asarray(np.clip((image / size - low / size) / (high / size - low / size), 0, 1))


@_validation.checked
def to_rgb(image: np.ndarray) -> np.ndarray:
    """Return one map as a picture to save: `shades` in the nearest of 256 levels.

    Parameters
    ----------
    image : array, (1, H, W) or (3, H, W)
        A map of one channel is repeated in all three.

    Returns
    -------
    array, (H, W, 3) uint8

    Raises
    ------
    TypeError, ValueError
        If an entry is not a finite real number or the shape does not fit.

    Examples
    --------
    >>> to_rgb(np.array([[[0.0, 1.0, 2.0]]]))[0]
    array([[  0,   0,   0],
           [128, 128, 128],
           [255, 255, 255]], dtype=uint8)
    """
    image = _maps(image)
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"map: expected (1, H, W) or (3, H, W), got {image.shape}")
    levels = np.rint(255 * shades(image)).astype(np.uint8)
    height, width = levels.shape[1:]
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(levels, 0, -1), (height, width, 3)))
