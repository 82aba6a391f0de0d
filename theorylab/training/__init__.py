"""A small classifier that is trained without a download.  Imports networks, layers and images.

:func:`small_classifier` trains it on pictures of scikit-image within a minute, by the layers of this package, and keeps the
weights in the user's cache; :func:`crops` gives the pictures for training and testing.
"""

from theorylab.training._classifier import Classifier, small_classifier, small_nodes
from theorylab.training._pictures import INPUT_SCALE, crops

__all__ = ["INPUT_SCALE", "Classifier", "crops", "small_classifier", "small_nodes"]
