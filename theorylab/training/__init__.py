"""A small classifier that comes trained.  Imports networks and images.

:func:`small_classifier` takes its weights, trained through the package's own layers, from a file of the package;
:func:`crops` gives the pictures that it was trained and tested on.
"""

from theorylab.training._classifier import Classifier, small_classifier, small_nodes
from theorylab.training._pictures import INPUT_SCALE, crops

__all__ = ["INPUT_SCALE", "Classifier", "crops", "small_classifier", "small_nodes"]
