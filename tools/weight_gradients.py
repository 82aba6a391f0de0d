"""Gradients in weights: of the explicit layers, and of the mean cross-entropy of a batch through a graph of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from theorylab.layers.shapes import fitted
from theorylab.model.patches import PatchGrid
from theorylab.model.rules import Rule
from theorylab.networks._passes import ascent
from theorylab.networks.nodes import Conv, Dense, Node
from theorylab.networks.parameters import trace_shapes


def conv_weights(gradient: np.ndarray, x: np.ndarray, grid: PatchGrid) -> np.ndarray:
    """Gradient of a convolution with respect to its filters, summed over the batch.

    Parameters
    ----------
    gradient : array, (B, N, H', W')
        With respect to the output.
    x : array, (B, C, H, W)
    grid : PatchGrid

    Returns
    -------
    array, (N, C, kh, kw)

    Raises
    ------
    ValueError
        If a shape does not fit the grid or the two batches differ in length.

    Notes
    -----
    ``Σ_j R_ij y_j``, the adjoint of :func:`theorylab.layers.conv.forward` in `weights`: every patch is a gradient of the
    filter's output at its position (Eq. 1 gives ``R``).

    Examples
    --------
    >>> grid = PatchGrid((1, 1, 3), kernel=(1, 2))
    >>> conv_weights(np.array([[[[1.0, 10.0]]]]), np.array([[[[2.0, 3.0, 4.0]]]]), grid)
    array([[[[32., 43.]]]])
    """
    x = fitted(x, "x", "B", *grid.input_shape)
    gradient = fitted(gradient, "gradient", len(x), "N", *grid.output_shape)
    columns = gradient.reshape(*gradient.shape[:2], grid.n_patches)
    result: np.ndarray = np.tensordot(columns, grid.extract(x), axes=([0, 2], [0, 1]))
    return result.reshape(-1, grid.input_shape[0], *grid.kernel)


def conv_bias(gradient: np.ndarray) -> np.ndarray:
    """Gradient of a convolution with respect to its bias: sum over the batch and the positions.

    Parameters
    ----------
    gradient : array, (B, N, H', W')
        With respect to the output.

    Returns
    -------
    array, (N,)

    Raises
    ------
    ValueError
        If `gradient` does not have four axes.

    Notes
    -----
    Every output of filter ``i`` is its inner product plus the same ``b_i``; the derivative of each is 1.

    Examples
    --------
    >>> conv_bias(np.ones((2, 3, 4, 5)))
    array([40., 40., 40.])
    """
    return np.asarray(fitted(gradient, "gradient", "B", "N", "H'", "W'").sum(axis=(0, 2, 3)))


def dense_weights(gradient: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Gradient of a dense layer with respect to its weights, summed over the batch.

    Parameters
    ----------
    gradient : array, (B, n_out)
        With respect to the output.
    x : array, (B, n_in)

    Returns
    -------
    array, (n_out, n_in)

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Notes
    -----
    ``Rᵀ x``: the adjoint of :func:`theorylab.layers.dense.forward` in `weights`.

    Examples
    --------
    >>> dense_weights(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([[3., 4.],
           [6., 8.]])
    """
    x = fitted(x, "x", "B", "n_in")
    return np.asarray(fitted(gradient, "gradient", len(x), "n_out").T @ x)


def dense_bias(gradient: np.ndarray) -> np.ndarray:
    """Gradient of a dense layer with respect to its bias: sum over the batch.

    Parameters
    ----------
    gradient : array, (B, n_out)
        With respect to the output.

    Returns
    -------
    array, (n_out,)

    Raises
    ------
    ValueError
        If `gradient` does not have two axes.

    Notes
    -----
    The derivative of every output in its own bias is 1.

    Examples
    --------
    >>> dense_bias(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    """
    return np.asarray(fitted(gradient, "gradient", "B", "n_out").sum(axis=0))


def check_trainable(nodes: Sequence[Node]) -> None:
    """Check that every parameter of a graph has a gradient.

    Raises
    ------
    TypeError, ValueError
        If a node with parameters is neither a convolution nor a dense layer, or the graph is invalid.

    Examples
    --------
    >>> from theorylab.networks.nodes import BatchNorm, Input
    >>> check_trainable([Input("x", (1, 2, 2)), BatchNorm("bn", "x")])
    Traceback (most recent call last):
        ...
    TypeError: node 'bn': expected a Conv or Dense to train, got BatchNorm
    """
    shapes, _ = trace_shapes(nodes)
    for node in nodes:
        parameters = node.parameter_shapes(*(shapes[name] for name in node.inputs))
        if parameters and not isinstance(node, (Conv, Dense)):
            raise TypeError(
                f"node {node.name!r}: expected a Conv or Dense to train, got {type(node).__name__}"
            )


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean cross-entropy of the softmax, and its gradient in the logits.

    Parameters
    ----------
    logits : float array, (B, K)
    labels : integer array, (B,)
        The right class of each row, 0 … K−1.

    Returns
    -------
    loss : float
    gradient : array, (B, K), of the dtype of `logits`

    Raises
    ------
    ValueError
        If the shapes do not fit each other, there is no row, or a label is no class.

    Notes
    -----
    ``L = −(1/B) Σ_b log p_b[label_b]`` with ``p`` the softmax, so ``∂L/∂f_bk = (p_bk − 1(k = label_b))/B``.

    Examples
    --------
    >>> loss, gradient = cross_entropy(np.zeros((1, 2)), np.array([1]))
    >>> round(loss, 4), gradient
    (0.6931, array([[ 0.5, -0.5]]))
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(logits):
        raise ValueError(f"labels: expected (B,) for logits (B, K), got {labels.shape} for {logits.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(f"labels: expected integers from 0 to {logits.shape[1] - 1}")
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
    """Return the mean cross-entropy of a batch, and its gradient in every parameter.

    Parameters
    ----------
    nodes : sequence of Node
        The last node gives the logits.
    parameters : mapping of str to array
        The parameters of the nodes, all of the same floating dtype.
    images : array, (B, C, H, W), of that dtype
    labels : integer array, (B,)

    Returns
    -------
    loss : float
    gradients : dict of str to array
        Names and shapes of `parameters`; the gradients of layers that share a prefix are added.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_trainable` and :func:`cross_entropy`; and if the images do not fit the network.

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
    check_trainable(nodes)
    weighted = {node.inputs[0] for node in nodes if isinstance(node, (Conv, Dense))}
    logits, saved, read = ascent(nodes, parameters, images, weighted)
    loss, seed = cross_entropy(logits, labels)
    rules = [(Rule.SALIENCY, slice(0, len(labels)))]
    arriving = {nodes[-1].name: seed}
    gradients: dict[str, np.ndarray] = {}
    for node in reversed(nodes[1:]):
        gradient = arriving.pop(node.name)
        if isinstance(node, (Conv, Dense)):
            shares = _parameter_gradients(node, gradient, read[node.inputs[0]], saved[node.name])
            for name, share in shares.items():
                gradients[name] = gradients[name] + share if name in gradients else share
        if all(name == nodes[0].name for name in node.inputs):
            continue  # skip the gradient in the images: it is not needed and the most expensive
        for name, share in zip(
            node.inputs, node.backward(parameters, gradient, saved[node.name], rules), strict=True
        ):
            arriving[name] = arriving[name] + share if name in arriving else share
    return loss, {name: gradients[name] for name in parameters}


def _parameter_gradients(
    node: Conv | Dense, gradient: np.ndarray, x: np.ndarray, grid: Any
) -> dict[str, np.ndarray]:
    """Return the gradients in the weights and biases of a layer; `grid` is used for a convolution only."""
    prefix = node.prefix or node.name
    if isinstance(node, Conv):
        weights, bias = conv_weights(gradient, x, grid), conv_bias
    else:
        weights, bias = dense_weights(gradient, x), dense_bias
    gradients = {f"{prefix}.weight": weights}
    return {**gradients, f"{prefix}.bias": bias(gradient)} if node.bias else gradients
