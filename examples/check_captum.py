"""Methods of Captum, as ``theorylab check check_captum:guided`` takes them, in this folder.

The last one is wrong where a ReLU is a function, because Captum sets hooks on modules.
"""

from captum import attr


def saliency(module, x, target):
    """Return the size of the gradient."""
    return attr.Saliency(module).attribute(x, target=target)


def integrated_gradients(module, x, target):
    """Integrate the gradient from 0, in 50 steps."""
    return attr.IntegratedGradients(module).attribute(x, target=target)


def guided(module, x, target):
    """Return guided backpropagation."""
    return attr.GuidedBackprop(module).attribute(x, target=target)
