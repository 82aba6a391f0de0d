"""Attributions ready to be audited: of the package's own networks, of PyTorch modules, of Captum's methods.

Any callable ``attribute(x, target) -> map`` can be audited.  These adapters also give the plain gradient of their network,
a control, and draw the weights of given layers anew.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from theorylab import _random, _validation, measures, methods
from theorylab.auditing._torch_attribution import TorchAttribution
from theorylab.methods import Method
from theorylab.model.rules import Rule
from theorylab.networks import DrawnRows, GraphNetwork, ThreeLayerNetwork, redrawn
from theorylab.networks.nodes import Activation
from theorylab.visualization import Network, visualize, visualize_many

_SILENCE = threading.RLock()


@runtime_checkable
class Layered(Protocol):
    """An attribution whose network can be taken apart."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers with weights, input side first."""

    @property
    def gradient(self) -> Callable[[np.ndarray, int], np.ndarray]:
        """The plain gradient of the same network."""

    def randomized(self, layers: Collection[str], seed: _random.Seed) -> Any:
        """Return the same attribution with these layers' weights drawn anew (variance 2 over the fan-in)."""


@_validation.checked
class OfNetwork:
    """What attributions of the package's own networks share: the plain gradient, layers drawn anew."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self._draw: tuple[_random.Seed, Mapping[str, np.ndarray]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be drawn again."""
        return {**self.__dict__, "_draw": None}

    def _with(self, net: Network) -> OfNetwork:
        """Return the same attribution of another network."""
        raise NotImplementedError

    @property
    def layers(self) -> tuple[str, ...]:
        """Of a graph that holds all its weights; else none."""
        if not isinstance(self.net, GraphNetwork) or self.net.rows:
            return ()
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name in self.net.parameters))

    @property
    def gradient(self) -> NetworkAttribution:
        """The plain gradient: the rule of saliency."""
        return NetworkAttribution(self.net, Rule.SALIENCY)

    def randomized(self, layers: Collection[str], seed: _random.Seed) -> OfNetwork:
        """Return the same attribution with these layers' weights drawn anew; each layer keeps its draw."""
        assert isinstance(self.net, GraphNetwork)
        return self._with(self.net.with_parameters(self._drawn(seed), layers))

    def _drawn(self, seed: _random.Seed) -> Mapping[str, np.ndarray]:
        """Draw all weights anew, and keep the draw, because it is used layer by layer."""
        assert isinstance(self.net, GraphNetwork)
        if self._draw is None or self._draw[0] != seed:
            self._draw = seed, redrawn(self.net, seed).parameters
        return self._draw[1]


@_validation.checked
class MethodAttribution(OfNetwork):
    """A method of :mod:`theorylab.methods` in one of the package's networks.

    Parameters
    ----------
    net : GraphNetwork
    method : Method or str
    seed : int, default 0
        Of the noise of smoothgrad.
    **options
        As :func:`theorylab.methods.attribute` takes them.

    Raises
    ------
    TypeError, ValueError
        If the method or an option is unknown.

    Notes
    -----
    Called with a picture (C, H, W) and a logit's index it returns a map (C, H, W) of the network's dtype.

    Examples
    --------
    >>> from theorylab.networks import vgg16
    >>> attribute = MethodAttribution(vgg16(input_shape=(3, 32, 32), n_logits=4, n_hidden=8), "grad-cam")
    >>> attribute(np.ones((3, 32, 32)), 2).shape
    (3, 32, 32)
    """

    def __init__(self, net: GraphNetwork, method: Method | str, *, seed: int = 0, **options: Any) -> None:
        super().__init__(net)
        self.method, self.seed, self.options = methods.method(method), seed, options
        self.method.check_options(list(options))

    def __call__(self, x: np.ndarray, target: int) -> np.ndarray:
        """Return the map of one target."""
        assert isinstance(self.net, GraphNetwork)
        return methods.attribute(self.net, x, self.method, target, seed=self.seed, **self.options)

    def _with(self, net: Network) -> MethodAttribution:
        assert isinstance(net, GraphNetwork)
        return MethodAttribution(net, self.method, seed=self.seed, **self.options)


@_validation.checked
class NetworkAttribution(OfNetwork):
    """A rule in one of the package's networks.

    Parameters
    ----------
    net : GraphNetwork or another network of :mod:`theorylab.networks`
    rule : Rule or str

    Raises
    ------
    ValueError
        If the rule is unknown.

    Notes
    -----
    Called with a picture (C, H, W) and a logit's index it returns a map (C, H, W) of the network's dtype.

    Examples
    --------
    >>> from theorylab.networks import vgg16
    >>> attribute = NetworkAttribution(vgg16(input_shape=(3, 32, 32), n_logits=4, n_hidden=8), "guided")
    >>> attribute(np.ones((3, 32, 32)), 2).shape, attribute.layers[-1]
    ((3, 32, 32), 'classifier.6')
    """

    def __init__(self, net: Network, rule: Rule | str) -> None:
        super().__init__(net)
        self.rule = Rule(rule)

    def __call__(self, x: np.ndarray, target: int) -> np.ndarray:
        """Return the map of one target."""
        return visualize(self.net, x, self.rule, target)

    def many(self, x: np.ndarray, targets: Sequence[int]) -> np.ndarray:
        """Return the maps of several targets behind one forward pass, (T, C, H, W)."""
        (maps,) = visualize_many(self.net, x, [self.rule], targets)
        return np.asarray(maps)

    def _with(self, net: Network) -> NetworkAttribution:
        return NetworkAttribution(net, self.rule)

    def backward_cosines(self, x: np.ndarray, first: int, second: int) -> dict[str, float]:
        """Return the cosine of two logits' modified gradients below each ReLU, from the logits down.

        1 means that nothing below can tell the logits apart (Sixt, Granz and Landgraf 2020).
        """
        if not isinstance(self.net, GraphNetwork) or self.net.rows:
            return {}
        names = [node.name for node in self.net.nodes if isinstance(node, Activation)]
        names.insert(0, self.net.nodes[0].name)
        seeds = np.eye(self.net.n_logits)[[first, second]]
        gradients = self.net.layer_gradients(self.net.forward(x), seeds, [self.rule], names)
        return {name: measures.cosine(*gradients[name][0][0]) for name in reversed(names)}

    def expected_distance(self, x: np.ndarray) -> float | None:
        """Return the expected distance of two logits' maps where it has a law: three layers without pooling."""
        net = self.net
        if not isinstance(net, ThreeLayerNetwork) or net.pool is not None or net.hidden_bias:
            return None
        if not isinstance(net.readout_rows, DrawnRows):
            return None  # the user's weights have no known law
        from theorylab import analytic

        return analytic.class_distance(x, net.grid, self.rule, len(net.filters), law=net.readout_rows.law)


@_validation.checked
class ModuleAttribution(TorchAttribution):
    """A rule in a PyTorch module, by :func:`theorylab.torch_bridge.attribute`.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, for inputs (1, C, H, W); maps are (C, H, W), of its dtype.
    rule : Rule or str

    Raises
    ------
    ValueError
        If the rule is unknown, or, when called, if the module has a layer without a rule.

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 2)).double().eval()
    >>> attribute = ModuleAttribution(module, "guided")
    >>> attribute(np.ones((3, 8, 8)), 1).shape, attribute.layers
    ((3, 8, 8), ('0', '3'))
    """

    def __init__(self, module: Any, rule: Rule | str) -> None:
        super().__init__(module)
        self.rule = Rule(rule)

    def __call__(self, x: np.ndarray, target: int) -> np.ndarray:
        """Return the map of one target."""
        from theorylab import torch_bridge

        return torch_bridge.attribute(self.module, x, self.rule, target)

    def many(self, x: np.ndarray, targets: Sequence[int]) -> np.ndarray:
        """Return the maps of several targets, (T, C, H, W)."""
        from theorylab import torch_bridge

        x = _validation.real_array(x, "x")
        if x.ndim != 3:
            raise ValueError(f"x: expected (C, H, W), got shape {x.shape}")
        maps: np.ndarray = torch_bridge.attribute_many(self.module, x[None], [self.rule], list(targets))
        return maps[0, :, 0]

    def _with(self, module: Any) -> ModuleAttribution:
        return ModuleAttribution(module, self.rule)


@_validation.checked
class CaptumAttribution(TorchAttribution):
    """One of Captum's methods: ``CaptumAttribution(captum.attr.GuidedBackprop, module)``.

    Parameters
    ----------
    method : class
        Called as ``method(module).attribute(inputs, target=...)``.
    module : torch.nn.Module
        In evaluation mode, for inputs (1, C, H, W); maps are Captum's, of its dtype.
    **options
        Handed to ``attribute``.

    Raises
    ------
    TypeError
        If `method` is no class: an instance belongs to one network, but the audit draws others.

    Examples
    --------
    >>> import captum.attr
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)).double().eval()
    >>> CaptumAttribution(captum.attr.Saliency, module, abs=False)(np.ones((3, 8, 8)), 1).shape
    (3, 8, 8)
    """

    def __init__(self, method: Any, module: Any, **options: Any) -> None:
        super().__init__(module)
        if not isinstance(method, type):
            raise TypeError(f"method: expected a class of captum.attr, got {_validation.shown(method)}")
        self.method = method
        self.options = options
        self.__name__ = method.__name__

    def __call__(self, x: np.ndarray, target: int) -> np.ndarray:
        """Return the map of one target."""

        def maps(module: Any, image: Any) -> Any:
            return self.method(module).attribute(image, target=target, **self.options)

        # Captum warns at each call that it sets hooks and requires gradients; filters belong to the whole process.
        with _SILENCE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._computed(maps, x)

    def _with(self, module: Any) -> CaptumAttribution:
        return CaptumAttribution(self.method, module, **self.options)
