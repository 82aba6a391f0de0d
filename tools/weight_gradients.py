"""Gradients in weights: of the explicit layers, and of the mean cross-entropy of a batch through a graph of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.networks._passes import ascent
from theorylab.networks.nodes import Conv, Dense, Node


def conv_weights(gradient: np.ndarray, x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Gradient of a convolution in its filters, (N, C, kh, kw), summed over the batch.

    The adjoint of :func:`theorylab.layers.conv.forward` in `weights`, ``Σ_j R_ij y_j``: every patch is a gradient of the
    filter's output at its position.  `gradient` is that at the output, (B, N, H', W'), `x` the input, (B, C, H, W).

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> conv_weights(np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0, 4.0]]]]), grid)
    array([[[[32., 43.]]]])
    """
    columns = gradient.reshape(*gradient.shape[:2], grid.n_patches)
    result: np.ndarray = np.tensordot(columns, grid.extract(x), axes=([0, 2], [0, 1]))
    return result.reshape(-1, grid.input_shape[0], *grid.kernel)


def dense_weights(gradient: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Gradient of a dense layer in its weights, (n_out, n_in), from those at its output, (B, n_out), and its input, (B, n_in).

    Examples
    --------
    >>> dense_weights(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([[3., 4.],
           [6., 8.]])
    """
    return np.asarray(gradient.T @ x)


def bias(gradient: np.ndarray) -> np.ndarray:
    """Gradient of a layer in its bias, (N,): the sum over the batch and the positions of those at its output, (B, N, ...).

    Examples
    --------
    >>> bias(np.ones((2, 3, 4, 5)))
    array([40., 40., 40.])
    """
    return np.asarray(gradient.sum(axis=(0, *range(2, gradient.ndim))))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean cross-entropy of the softmax of logits (B, K), and its gradient in them.

    ``L = −(1/B) Σ_b log p_b[label_b]`` with ``p`` the softmax, so ``∂L/∂f_bk = (p_bk − 1(k = label_b))/B``.

    Examples
    --------
    >>> loss, gradient = cross_entropy(np.zeros((1, 2)), np.array([1]))
    >>> round(loss, 4), gradient
    (0.6931, array([[ 0.5, -0.5]]))
    """
    shifted = logits - logits.max(axis=1, keepdims=True)  # at most 0: no overflow
    weights = np.exp(shifted)
    sums = weights.sum(axis=1, keepdims=True)
    right = np.arange(len(labels)), labels
    loss = float((np.log(sums[:, 0]) - shifted[right]).mean())
    gradient = weights / sums
    gradient[right] -= 1
    gradient /= len(labels)
    return loss, gradient


def loss_gradients(
    nodes: Sequence[Node], parameters: Mapping[str, np.ndarray], images: np.ndarray, labels: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """Return the mean cross-entropy of a batch, and its gradient in every parameter of a graph of convolutions and dense layers.

    The last node gives the logits, `images` are (B, C, H, W) of the dtype of the parameters, `labels` integers (B,).  A
    ValueError names the node whose activations leave the range of the dtype.

    Notes
    -----
    The true gradient: Eq. 1 with the rule of saliency at every ReLU.  A layer's weight gradient is the outer product of what
    arrives at its output with what it read, so beside what the nodes keep, the inputs of convolutions and dense
    layers are kept.  A layer's gradient in its weights is one product: at the sizes that are trained here this is quicker than
    a product a channel, and the trained weights depend on the order of its sums.

    Examples
    --------
    >>> from theorylab.networks.nodes import Flatten, Input
    >>> nodes = [Input("x", (1, 1, 1)), Flatten("flat", "x"), Dense("fc", "flat", 2)]
    >>> weights = {"fc.weight": np.zeros((2, 1)), "fc.bias": np.zeros(2)}
    >>> loss_gradients(nodes, weights, np.full((1, 1, 1, 1), 4.0), np.array([0]))[1]
    {'fc.weight': array([[-2.],
           [ 2.]]), 'fc.bias': array([-0.5,  0.5])}
    """
    weighted = {node.inputs[0] for node in nodes if isinstance(node, (Conv, Dense))}
    logits, saved, read = ascent(nodes, parameters, images, weighted)
    loss, seed = cross_entropy(logits, labels)
    rules = [(Rule.SALIENCY, slice(0, len(labels)))]
    arriving = {nodes[-1].name: seed}
    gradients: dict[str, np.ndarray] = {}

    def add(sums: dict[str, np.ndarray], name: str, share: np.ndarray) -> None:
        sums[name] = sums[name] + share if name in sums else share

    for node in reversed(nodes[1:]):
        gradient, kept = arriving.pop(node.name), saved[node.name]
        if isinstance(node, (Conv, Dense)):
            x, prefix = read[node.inputs[0]], node.prefix or node.name
            weights = (
                conv_weights(gradient, x, kept) if isinstance(node, Conv) else dense_weights(gradient, x)
            )
            add(gradients, f"{prefix}.weight", weights)
            if node.bias:
                add(gradients, f"{prefix}.bias", bias(gradient))
        if all(name == nodes[0].name for name in node.inputs):
            continue  # skip the gradient in the images: it is not needed and the most expensive
        for name, share in zip(node.inputs, node.backward(parameters, gradient, kept, rules), strict=True):
            add(arriving, name, share)
    return loss, {name: gradients[name] for name in parameters}
