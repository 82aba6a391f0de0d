"""Trained weights for a network: from files, from torchvision, from the layout of the authors' VGG-16.

:func:`load` returns a new network, whole or up to a layer, so that trained and random layers are compared on the same
draw.  Nothing that a file says is executed, and nothing here imports torch, torchvision, safetensors or h5py before
a function is called.
"""

from theorylab.weights._files import check_source
from theorylab.weights._load import load

__all__ = ["check_source", "load"]
