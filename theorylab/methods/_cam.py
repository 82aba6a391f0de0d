"""Grad-CAM: a map of the positions of a convolution, and its product with guided backpropagation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from theorylab.methods._gradients import gradient
from theorylab.methods._method import Asked, registered
from theorylab.model.rules import Rule
from theorylab.networks.nodes import Activation


@registered
def grad_cam(asked: Asked, *, layer: str | None = None) -> np.ndarray:
    """Weigh the channels of a layer by their mean gradients; a network with a layer of planes.

    The layer is a node of planes (C', H', W'), by default the last units that have planes; where these are single positions
    the map is constant.  The sum over channels is rectified, as in the paper; Captum's LayerGradCam leaves that to its user.
    It comes to the picture's size by bilinear interpolation, pixels being areas (``align_corners=False`` of PyTorch), and is
    the same for all channels of the picture.
    """
    return weighed(asked, layer, lambda plane: np.maximum(plane, 0))


def weighed(asked: Asked, layer: str | None, rectified: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the weighted sum of a layer's channels at the picture's size, as `rectified` leaves it."""
    net = asked.net
    if layer is None:
        units = [node.name for node in net.nodes if isinstance(node, Activation)]
        planes = [name for name in units if len(net.shapes[name]) == 3]
        if not planes:
            raise ValueError("layer: no units of this network have planes; name a node that has")
        layer = planes[-1]
    if layer not in net.shapes or layer == net.nodes[-1].name or len(net.shapes[layer]) != 3:
        named = [name for name, shape in net.shapes.items() if len(shape) == 3]
        raise ValueError(f"layer: expected a node with planes, such as {named[-1]!r}, got {layer!r}")
    arrived = net.layer_gradients(asked.trace, asked.gradient[None], [Rule.SALIENCY], [layer])
    weights = arrived[layer][0][0, 0].mean(axis=(1, 2))
    plane = rectified(np.einsum("k,kij->ij", weights, asked.trace.activations[layer]))
    ratio = [new / old for new, old in zip(asked.x.shape[1:], plane.shape, strict=True)]
    full = ndimage.zoom(plane, ratio, order=1, mode="nearest", grid_mode=True)
    return np.asarray(np.repeat(full[None], len(asked.x), axis=0))


@registered
def guided_grad_cam(asked: Asked, *, layer: str | None = None) -> np.ndarray:
    """Return guided backpropagation times grad-cam of a layer; a network with a layer of planes."""
    return np.asarray(grad_cam(asked, layer=layer) * gradient(asked, Rule.GUIDED))
