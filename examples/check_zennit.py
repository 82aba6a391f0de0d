"""Methods of Zennit, as ``theorylab check check_zennit:guided`` takes them, in this folder.

They set hooks on modules, too: where a ReLU is a function the map is another.
"""

import torch
from zennit import attribution, composites


def _by(composite, module, x, target):
    with attribution.Gradient(module, composite) as attributor:
        _, map_ = attributor(x, torch.eye(5, dtype=x.dtype)[[target]])
    return map_


def guided(module, x, target):
    """Return guided backpropagation."""
    return _by(composites.GuidedBackprop(), module, x, target)


def deconvnet(module, x, target):
    """Return the map of a DeconvNet."""
    return _by(composites.DeconvNet(), module, x, target)


def epsilon_plus(module, x, target):
    """Return relevance by two rules: "unknown" here, where every method has one."""
    return _by(composites.EpsilonPlus(), module, x, target)
