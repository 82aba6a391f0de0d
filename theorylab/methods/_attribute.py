"""One map of one method."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab import _random, _validation
from theorylab.methods._method import Asked, Method
from theorylab.methods._method import method as method_of
from theorylab.networks import GraphNetwork
from theorylab.visualization import check_target, logit_gradients


@_validation.checked
def attribute(
    net: GraphNetwork,
    x: np.ndarray,
    method: str | Method,
    target: int | str = "max",
    *,
    seed: _random.Seed = 0,
    **options: Any,
) -> np.ndarray:
    """Explain a logit of a network by one of the methods that people use.

    Parameters
    ----------
    net : GraphNetwork
        Any network of :mod:`theorylab.networks` or of :func:`theorylab.torch_bridge.from_torch`.
    x : array, (C, H, W)
        The picture.
    method : str or Method
        One of `NAMES`.
    target : str or int, default "max"
        As for :func:`theorylab.visualize`.  It is settled once, on the picture itself: "cost", which depends on all logits, has
        a gradient ``g`` there, and the method then explains ``Σ_k g_k f_k``.
    seed : int or Generator
        Of the noise of smoothgrad, and for the target "random".
    **options
        What the method takes, below; ``method(name).options`` has the defaults.

    Returns
    -------
    array, (C, H, W), of the network's dtype
        Raw. A method that makes one plane (grad-cam) has it at the picture's size and once for each channel.

    Raises
    ------
    NoRule
        If the method does not say what to do at a layer; the message names both.
    TypeError, ValueError
        If the method, the target or an option is unknown, an option is of the wrong kind, or `x` does not fit the network.

    Notes
    -----
    With ``S`` the gradient of the logit ``f`` at ``x``, ``a`` the output of a layer and ``R`` what arrives at it from above:

    - input-x-gradient: ``x ⊙ S`` (Shrikumar et al. 2016).
    - integrated-gradients: ``(x − b) ⊙ ∫₀¹ S(b + t (x − b)) dt`` by Gauss's quadrature (Sundararajan et al. 2017).
      ``baseline=0.0``, ``b``: a number or an array that broadcasts to ``x``; ``steps=50``.
    - smoothgrad: the mean map of noisy copies of ``x`` under any rule (Smilkov et al. 2017).  ``noise=0.15``: standard
      deviation, as a share of the picture's range; ``draws=50``; ``rule="saliency"``.
    - grad-cam: ``max(Σ_k mean(R_k) a_k, 0)`` over channels ``k``, at the picture's size (Selvaraju et al. 2017).  ``layer``:
      a node, by default the last units that have planes.
    - guided-grad-cam: its product with guided backpropagation.  ``layer``.
    - rectgrad: units hand ``R`` on where ``a ⊙ R`` is above a percentile of their layer; times ``x`` (Kim et al. 2019).
      ``percentile=98.0``.
    - lrp-epsilon, lrp-alpha1beta0, deep-taylor: relevance, as :mod:`theorylab.methods` has it.  ``epsilon=1e-6``;
      for deep-taylor ``low`` and ``high``, between which pixels lie, if they are bounded.
    - activation-weighted: units hand on ``h(R) ⊙ a`` with ``h`` of a rule.  ``rule="saliency"``.
    - excitation-pullback: units with inputs ``y`` hand on ``h(R) ⊙ σ(y/temperature)``, ``σ`` the logistic function (Satkiewicz
      2025).  ``temperature=1.0``; ``rule="saliency"``.

    lrp-epsilon with epsilon 0 is input-x-gradient, and so is, without biases, integrated-gradients from 0: units and max-pools
    are homogeneous, and ``S`` is constant on the way to 0 (Ancona et al. 2018).

    Examples
    --------
    >>> from theorylab.networks import three_layer_cnn
    >>> from theorylab.model.patches import PatchGrid
    >>> net = three_layer_cnn(PatchGrid((1, 6, 6), kernel=3), n_filters=4, n_logits=5)
    >>> x = np.linspace(-1, 1, 36).reshape(1, 6, 6)
    >>> path = attribute(net, x, "integrated-gradients", target=2, steps=20)
    >>> bool(np.isclose(path.sum(), net.logits(x)[2]))  # complete: f(0) is 0
    True
    """
    chosen = method_of(method)
    chosen.check_options(list(options))
    target = check_target(target, net.n_logits)
    trace = net.forward(x, keep=[node.name for node in net.nodes[:-1]])
    (gradient,) = logit_gradients([target], net.n_logits, lambda: trace.logits, seed)
    return chosen.run(Asked(trace, gradient, seed), **options).astype(net.dtype, copy=False)
