"""A small trained classifier that needs no download.  Imports `networks`, `model` and `images`.

:func:`small_classifier` reads its weights from a file of the package; they were trained by the layers of the package.
:func:`crops` gives the pictures for training and testing.
"""

from theorylab.training._classifier import Classifier, small_classifier, small_nodes
from theorylab.training._pictures import INPUT_SCALE, crops

__all__ = ["INPUT_SCALE", "Classifier", "crops", "small_classifier", "small_nodes"]
