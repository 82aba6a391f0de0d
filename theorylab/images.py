"""Pictures: read, resize, subtract the mean colour, scale."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab._files import check_readable, decoding, place

MEAN_COLOUR = (123.68, 116.779, 103.939)
"""Mean red, green and blue of ImageNet's training set, on the scale 0–255."""

PRESETS = ("paper", "authors")
FITS = ("squeeze", "crop")
MAX_PIXELS = 100_000_000
"""The largest picture that is read or made, in pixels: a guard against decompression bombs."""

# Formats that Pillow knows by name alone, videos, and what would start an interpreter of programs.
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# Mode "I" does not say how wide the stored integers are; these formats hold at most 16 bits.
_AT_MOST_16_BITS = {"PNG", "PPM"}
# Tags of a TIFF, of which Pillow's mode says too little.
_BITS, _PHOTOMETRIC, _PLANES, _SIGN = 258, 262, 284, 339
# Files in the wheel of scikit-image, so nothing is downloaded; all are free of copyright restrictions.
_FILES = {"cat": "chelsea.png", "astronaut": "astronaut.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}


def bundled() -> tuple[str, ...]:
    """Return the names of the photographs that `load` takes in place of a path; the first is its default.

    Examples
    --------
    >>> bundled()
    ('cat', 'astronaut', 'coffee', 'rocket')
    """
    return tuple(_FILES)


@_validation.checked
def load(
    path: str | os.PathLike[str] | None = None,
    size: int = 224,
    preset: str = "paper",
    fit: str = "squeeze",
) -> np.ndarray:
    """Read a picture and prepare it as the input of a network.

    The picture becomes a square: as a whole, so that its aspect ratio may change, or the square in its middle.  The
    rotation noted by a camera (EXIF) is applied, an alpha channel is dropped without compositing, grey and
    palette pictures become RGB, grey of 12 and 16 bits is scaled to 0–255; of an animation, or of a TIFF of several pages, the
    first is taken.

    Parameters
    ----------
    path : str, os.PathLike or None
        A file in a format that Pillow reads, or one of the names given by `bundled`; None is the first of
        them, in capitals too.  A bundled name wins over a file of that name: write ``./cat`` for the file; ``~`` is the home
        folder.
    size : int, default 224
        Height and width of the result, in pixels.
    preset : {"paper", "authors"}
        ``"authors"`` subtracts the mean colour from values of 0–255 (range about −124 … 151); ``"paper"``
        then divides by the Euclidean norm, so the result has norm 1.
    fit : {"squeeze", "crop"}
        ``"squeeze"`` resizes the whole picture to a square; ``"crop"`` first cuts the longer side, at both ends alike.

    Returns
    -------
    (3, size, size) float64 array
        Red, green, blue.

    Raises
    ------
    TypeError
        If `path` is not a path or `size` not an integer.
    ValueError
        In one line that names the file: it is missing, a folder, empty, truncated, no picture or above 100
        megapixels; its values have no known range (floating point, 32-bit and signed integers); the picture has the mean colour
        everywhere, so that nothing is left after the subtraction; `preset` or `fit` is unknown; `size` is below 1 or
        above 10 000.

    Notes
    -----
    Resizing is bilinear without smoothing: `skimage.transform.resize` with ``order=1, anti_aliasing=False``,
    mirrored at the centres of the outermost pixels.

    Examples
    --------
    >>> x = load(size=32)
    >>> x.shape, round(float(np.linalg.norm(x)), 12)
    ((3, 32, 32), 1.0)
    """
    size, preset, fit = _checked(size, preset, fit)
    rgb = original(path)
    try:
        return prepare(rgb, size, preset, fit)
    except ValueError as error:
        raise ValueError(f"image {os.fspath(path or bundled()[0])!r}: {error}") from None


@_validation.checked
def original(path: str | os.PathLike[str] | None = None) -> np.ndarray:
    """Read a picture as it is, (H, W, 3), red, green and blue of 0–255; the path and the errors are as for `load`.

    Examples
    --------
    >>> original("cat").shape
    (300, 451, 3)
    """
    if path is None:
        path = bundled()[0]
    if isinstance(path, str) and path in _FILES:
        return _bundled(path)
    if not os.path.lexists(place(path)):
        name = os.fspath(path)
        if isinstance(path, str) and path.casefold() in _FILES:
            return _bundled(path.casefold())
        if guess := _validation.did_you_mean(name, _FILES):
            raise ValueError(f"image {name!r}: no such file; {guess}? bundled are {', '.join(_FILES)}")
    return pixels(os.fspath(path))


@_validation.checked
def in_folder(folder: str | os.PathLike[str]) -> list[str]:
    """List the paths of the pictures in a folder, in the order of their names.

    Parameters
    ----------
    folder : str or os.PathLike
        Folders inside it are not searched.

    Returns
    -------
    list of str
        Entries whose suffix belongs to a format of pictures that Pillow reads, and whose name begins with no dot.

    Raises
    ------
    TypeError
        If `folder` is not a path.
    ValueError
        If it is no folder, cannot be read or holds no picture.

    Examples
    --------
    >>> in_folder("no such folder")
    Traceback (most recent call last):
        ...
    ValueError: pictures 'no such folder': expected a folder
    """
    if isinstance(os.fspath(folder), bytes):
        raise TypeError("pictures: expected a folder as a string or a path, got bytes")
    where, folder = f"pictures {os.fspath(folder)!r}", place(folder)
    if not os.path.isdir(folder):
        raise ValueError(f"{where}: expected a folder")
    from PIL import Image

    suffixes = Image.registered_extensions()
    formats = set(Image.OPEN) - _NO_PICTURES - {"FITS"}  # FITS: most hold tables
    try:
        with os.scandir(folder) as entries:
            paths = sorted(
                entry.path
                for entry in entries
                if suffixes.get(os.path.splitext(entry.name)[1].lower()) in formats
                and not entry.name.startswith(".")
                # What is no file, as a pipe or a link that leads nowhere, is a picture that cannot be read.
                and not os.path.isdir(entry)
            )
    except OSError as error:
        raise ValueError(f"{where}: cannot be read, {error.strerror}") from None
    if not paths:
        raise ValueError(f"{where}: there is no picture in this folder")
    return paths


@_validation.checked
def prepare(rgb: np.ndarray, size: int = 224, preset: str = "paper", fit: str = "squeeze") -> np.ndarray:
    """Make a picture a square, subtract the mean colour and scale it as `preset` says; see `load`.

    Parameters
    ----------
    rgb : (H, W, 3) array
        Red, green, blue on the scale 0–255, any real dtype.
    size : int
    preset : {"paper", "authors"}
    fit : {"squeeze", "crop"}

    Returns
    -------
    (3, size, size) float64 array

    Raises
    ------
    TypeError, ValueError
        As `load`; and if `rgb` is not a finite array of this shape.

    Examples
    --------
    >>> prepare(np.zeros((2, 2, 3)), 1, "authors").ravel()
    array([-123.68 , -116.779, -103.939])
    """
    size, preset, fit = _checked(size, preset, fit)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ValueError(f"rgb: expected an array (H, W, 3), got shape {rgb.shape}")
    rgb = _validation.real_array(rgb, "rgb")
    if fit == "crop":
        side = min(rgb.shape[:2])
        top, left = ((extent - side) // 2 for extent in rgb.shape[:2])
        rgb = rgb[top : top + side, left : left + side]
    from skimage import transform

    resize: Callable[..., np.ndarray] = transform.resize  # scikit-image has no types
    x = np.empty((3, size, size))
    for channel, mean in enumerate(MEAN_COLOUR):
        # One channel at a time gives the same numbers and needs a third of the memory.
        plane = rgb[:, :, channel].astype(np.float64)
        x[channel] = resize(plane, (size, size), order=1, anti_aliasing=False, preserve_range=True)
        x[channel] -= mean
    # A picture of exactly the mean colour leaves rounding errors of 1e-14, whose norm means nothing.
    if np.abs(x).max() < 1e-9:
        raise ValueError("nothing is left after the mean colour is subtracted: its norm is 0")
    return x if preset == "authors" else x / np.linalg.norm(x)


def _checked(size: int, preset: str, fit: str) -> tuple[int, str, str]:
    value = _validation.positive_integer(size, "size")
    if value**2 > MAX_PIXELS:
        raise ValueError(f"size: expected at most {int(MAX_PIXELS**0.5)}, got {value}")
    return value, _validation.choice(preset, PRESETS, "preset"), _validation.choice(fit, FITS, "fit")


def _bundled(name: str) -> np.ndarray:
    import skimage.data

    # skimage.data has a function for each file, which first loads most of scikit-image: a third of a second.
    file = os.path.join(os.path.dirname(skimage.data.__file__), _FILES[name])
    return pixels(file) if os.path.exists(file) else getattr(skimage.data, name)()


@_validation.checked
def pixels(path: str) -> np.ndarray:
    """Read the pixels of a file, (H, W, 3) on the scale 0–255; every failure is a ValueError of one line."""
    where = f"image {path!r}"
    if not path:
        raise ValueError("image: the path is empty")
    path = check_readable(path, where, "picture")
    from PIL import Image, ImageOps, UnidentifiedImageError

    # Pillow warns about harmless oddities (unknown tags) and about large pictures, which raise an error below.
    with decoding(where):
        try:
            with Image.open(path) as opened:
                width, height = opened.size
                if width * height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                if opened.format in _NO_PICTURES:
                    raise UnidentifiedImageError
                ends = _black_and_white(opened)  # now: a picture that is rotated has no tags
                return _pixels(ImageOps.exif_transpose(opened), *ends)
        except UnidentifiedImageError:
            raise ValueError("not a picture in a format that is read here") from None
        except Image.DecompressionBombError:
            raise ValueError(f"too large, at most {MAX_PIXELS // 10**6} megapixels are read") from None


def _black_and_white(opened: Any) -> tuple[int, int]:
    """Return which stored values of grey above 8 bits are black and white; a ValueError if nothing says it."""
    if opened.mode == "F":
        raise ValueError("floating-point values have no known range; save it with 8 or 16 bits")
    tags = getattr(opened, "tag_v2", {})
    wide = opened.mode == "I" and opened.format not in _AT_MOST_16_BITS
    if wide or 2 in tags.get(_SIGN, ()) or (opened.format == "FITS" and opened.mode == "I;16"):
        raise ValueError("32-bit and signed values have no known range; save it with 8 or 16 bits, unsigned")
    bits = tags.get(_BITS, (16,))
    if len(bits) > 1 and max(bits) > 8 and tags.get(_PLANES) == 2:  # Pillow takes each byte for a pixel
        raise ValueError("separate planes of 16 bits are not read; save it with its colours pixel by pixel")
    top = 2 ** bits[0] - 1
    return (top, 0) if tags.get(_PHOTOMETRIC) == 0 else (0, top)


def _pixels(picture: Any, black: int, white: int) -> np.ndarray:
    """Convert any Pillow picture to (H, W, 3), on the scale 0–255; `black` and `white` are of grey above 8 bits."""
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.float64)  # convert("RGB") would clip at 255
        return np.repeat((grey[:, :, None] - black) / ((white - black) / 255), 3, axis=2)
    if picture.mode in ("P", "PA", "La", "RGBa") or "transparency" in picture.info:
        # Convert by way of RGBA, where transparent pixels keep their colour.
        picture = picture.convert("LA" if picture.mode == "La" else "RGBA")
    return np.asarray(picture.convert("RGB"))
