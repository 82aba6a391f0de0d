"""The explorer: one page on which a visitor moves the parts of a random network and sees what the theorem means.

The page holds the laws (``laws.js``), the simulation (``simulation.js``) and what joins them (``page.js``); from here it gets
pictures alone.
"""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np

from theorylab import _validation, drawing, images

__all__ = ["SIDE", "page"]

SIDE = 96
"""Side of the pictures in the page, in pixels."""


@_validation.checked
def page(image: str | os.PathLike[str] | None = None) -> str:
    """Return the page as one HTML document, which opens without a network.

    Parameters
    ----------
    image : str, os.PathLike or None
        The picture to begin with, as for :func:`theorylab.images.load`; a bundled one is there in any case.

    Returns
    -------
    str
        Styles, scripts and two pictures are inside, some 100 kB; the browser is told to fetch nothing.

    Raises
    ------
    TypeError, ValueError
        As :func:`theorylab.images.load`.

    Notes
    -----
    The laws in the page are those of :class:`theorylab.analytic.three_layer.ThreeLayerLaw`, to which tests hold them, and the
    law for Gaussian biases ``b ~ N(0, τ²)``, for which each patch counts as longer by the constant ``τ``: by Stein's lemma
    ``E[w 1(w·y + b > 0)] = y/√(2π (‖y‖² + τ²))``.

    Examples
    --------
    >>> page("rocket").splitlines()[0]
    '<!DOCTYPE html>'
    """
    first, *others = images.bundled()
    chosen = first if image is None else os.fspath(image)
    # Beside the cat the rocket, which is unlike it: large dark parts.
    second = next(name for name in (first, *reversed(others)) if name != Path(chosen).name)
    pictures = [{"name": Path(one).name, "source": _source(one)} for one in (chosen, second)]
    data = {"pictures": pictures, "side": SIDE, "meanColour": images.MEAN_COLOUR}
    return drawing.page("theorylab.explorer", "explorer.html.j2", {"data": data})


def _source(image: str) -> str:
    """Return the square in the middle of a picture, small, as a data URI: PNG keeps every value."""
    from PIL import Image, ImageOps

    pixels = np.round(images.original(image)).astype(np.uint8)
    # Unlike images.load, smoothed: a photograph made so small would have jagged edges.
    square = ImageOps.fit(Image.fromarray(pixels), (SIDE, SIDE), Image.Resampling.LANCZOS)
    with io.BytesIO() as stream:
        square.save(stream, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
