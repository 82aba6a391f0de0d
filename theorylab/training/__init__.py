"""Small trained classifiers that need no download.  Imports `networks`, `model` and `images`.

:func:`small_classifier`, a chain of layers, and :func:`small_residual_classifier` read their weights from files of the package;
they were trained by the layers of the package.  :func:`crops` gives the pictures for training and testing.
"""

from theorylab.training._classifier import Classifier, small_classifier, small_residual_classifier
from theorylab.training._nodes import small_nodes, small_residual_nodes
from theorylab.training._pictures import INPUT_SCALE, crops

__all__ = [
    "INPUT_SCALE",
    "Classifier",
    "crops",
    "small_classifier",
    "small_nodes",
    "small_residual_classifier",
    "small_residual_nodes",
]
