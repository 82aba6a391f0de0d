"""Networks of any depth: an explicit graph of hand-written layers in which every unit obeys the rule."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from theorylab import _validation
from theorylab.model.rules import Rule
from theorylab.model.stack import Shape
from theorylab.networks import _scaling
from theorylab.networks._passes import ascent, descent
from theorylab.networks._trace import GraphTrace
from theorylab.networks.nodes import Dense, Node
from theorylab.networks.parameters import trace_shapes
from theorylab.networks.readout import Progress, Readout, Rows

# Bytes of gradients that one step of the backward pass may hold; it decides how many maps go together.
_BACKWARD_BYTES = 512 * 2**20


@_validation.checked
class GraphNetwork:
    """A network as an explicit graph; the last node's output is the logits.

    Parameters
    ----------
    nodes : sequence of Node
        In topological order, an ``Input`` first: see :mod:`theorylab.networks.nodes`.
    parameters : mapping of str to array or Rows
        Exactly those that the nodes name, all float32 or all float64.  Arrays are not copied.  The weights of a
        convolution or dense layer may be Rows, which need not fit into memory; the axes of a row do not matter.

    Attributes
    ----------
    nodes : tuple of Node
    weights : dict of str to array or Rows, in the order of the nodes
    shapes : dict of node name to the shape of its output

    Raises
    ------
    TypeError, ValueError
        If the graph is not sound (see :func:`trace_shapes`), its output is not ``(K,)``, or a parameter is missing,
        unknown, not finite, or of another shape or dtype.

    Notes
    -----
    Eq. 1 at every unit, wherever it stands and however often it is used; every other layer hands its true
    gradient on.  A tensor that several nodes read receives the sum of their gradients *before* the rule of the
    unit that made it applies: ``h`` acts on the sum.  Dropout is the identity at inference and has no node.

    *Ties.*  Below a max-pool equal patches have equal outputs, to the last bit, so that the first of them wins.

    *Range.*  Activations are computed as they are, since biases and normalisation are not homogeneous: a forward
    pass that leaves the range of the dtype is an error that names the layer.  Gradients carry a power of two
    per map (every rule is positively homogeneous), which the end of the backward pass takes back: exactly.

    Examples
    --------
    >>> from theorylab.networks.nodes import Add, Conv, Dense, Flatten, Input, Activation
    >>> nodes = [
    ...     Input("x", (1, 1, 2)),
    ...     Conv("conv", "x", n_filters=1, kernel=1, bias=False),
    ...     Activation("relu", "conv"),
    ...     Add("sum", ("relu", "x")),  # a residual connection
    ...     Flatten("flat", "sum"),
    ...     Dense("fc", "flat", n_outputs=1, bias=False),
    ... ]
    >>> net = GraphNetwork(nodes, {"conv.weight": np.full((1, 1, 1, 1), 2.0), "fc.weight": np.array([[1.0, -1.0]])})
    >>> trace = net.forward(np.array([[[3.0, 4.0]]]))
    >>> trace.logits
    array([-3.])
    >>> net.backward(trace, np.ones((1, 1)), ["saliency", "guided"])[:, 0, 0, 0]
    array([[ 3., -3.],
           [ 3., -1.]])
    """

    def __init__(self, nodes: Sequence[Node], parameters: Mapping[str, np.ndarray | Rows]) -> None:
        self.nodes = tuple(nodes)
        self.shapes, wanted = trace_shapes(self.nodes)
        last = self.nodes[-1].name
        if len(self.shapes[last]) != 1:
            raise ValueError(f"node {last!r}: the last output must be (K,), not {self.shapes[last]}")
        for name in [*wanted, *parameters]:
            if (name in wanted) != (name in parameters):
                raise ValueError(f"parameters: {name!r} is {'missing' if name in wanted else 'in no node'}")
        self.weights = {name: _checked(parameters[name], name, shape) for name, shape in wanted.items()}
        dtypes = {weights.dtype for weights in self.weights.values()}
        if len(dtypes) > 1:
            raise ValueError("parameters: float32 beside float64; expected one dtype for all")
        self._dtype = dtypes.pop() if dtypes else np.dtype(np.float64)

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """The weights that are arrays, by name, in the order of the nodes; read-only."""
        held = self.weights.items()
        return MappingProxyType({name: array for name, array in held if not isinstance(array, Rows)})

    @property
    def rows(self) -> dict[str, Rows]:
        """The weights that are no arrays."""
        return {name: rows for name, rows in self.weights.items() if isinstance(rows, Rows)}

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """``(C, H, W)``."""
        channels, height, width = self.shapes[self.nodes[0].name]
        return channels, height, width

    @property
    def n_logits(self) -> int:
        """``K``."""
        return self.shapes[self.nodes[-1].name][0]

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64; images are converted to it."""
        return self._dtype

    def with_parameters(
        self, parameters: Mapping[str, np.ndarray], layers: Collection[str] | None = None
    ) -> GraphNetwork:
        """Exchange some parameters in the same graph, of `layers` alone if given; the others are shared, not copied.

        A layer is the prefix of its parameters' names.  Arrays are converted to the network's dtype.  A TypeError or
        ValueError if a name is unknown or an array does not fit.
        """
        chosen = {n: a for n, a in parameters.items() if layers is None or n.rpartition(".")[0] in layers}
        _, wanted = trace_shapes(self.nodes)
        for name in chosen:
            if name not in wanted:
                raise ValueError(f"parameters: {name!r} is in no node")
        other = copy.copy(self)  # the shared ones are not checked again: they may be large
        other.weights = self.weights | {
            name: _checked(np.asarray(array, dtype=self.dtype), name, wanted[name])
            for name, array in chosen.items()
        }
        return other

    def forward(
        self, x: np.ndarray, *, keep: Collection[str] = (), progress: Progress | None = None
    ) -> GraphTrace:
        """Run the graph on an image and keep what backward passes need.

        Parameters
        ----------
        x : array, (C, H, W)
        keep : collection of str
            Nodes whose outputs the trace holds on to beside that.
        progress : callable, optional
            ``progress(done, total)`` in logits, where the last weights are Rows: such logits are computed when the
            trace is asked for them, one row after another.

        Returns
        -------
        GraphTrace

        Raises
        ------
        TypeError, ValueError
            If `x` is not a finite real array of the network's input shape, a node of `keep` is unknown, or an
            activation leaves the range of the dtype; the message names the first layer where one does.
        """
        self._check_names(keep)
        x = _validation.real_array(x, "x", self.input_shape).astype(self.dtype, copy=False)
        weights, last = self.weights, self.nodes[-1]
        rows = weights[last.parameter("weight")] if isinstance(last, Dense) else None
        readout: np.ndarray | Readout
        if isinstance(last, Dense) and isinstance(rows, Rows) and last.name not in keep:
            features, saved, kept = ascent(self.nodes[:-1], weights, x[None], keep, exact_ties=True)
            saved[last.name] = None
            readout = Readout(rows, last.bias_of(weights), features, progress)
        else:
            logits, saved, kept = ascent(self.nodes, weights, x[None], keep, exact_ties=True)
            readout = logits[0]
        activations = {name: value[0] for name, value in kept.items()}
        return GraphTrace(self, readout, MappingProxyType(saved), MappingProxyType(activations), x)

    def _check_names(self, names: Collection[str]) -> None:
        for name in names:
            if name not in self.shapes:
                raise ValueError(f"there is no node {name!r}")

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Compute the ``K`` logits of an image ``(C, H, W)``; raises as :meth:`forward` does."""
        return self.forward(x).logits

    @_validation.checked
    def backward(
        self, trace: GraphTrace, logit_gradients: np.ndarray, rules: Sequence[Rule | str]
    ) -> np.ndarray:
        """Compute the raw maps of many rules and targets behind one forward pass.

        Arguments and errors are those of :meth:`layer_gradients`.

        Returns
        -------
        array, (R, T, C, H, W), of the network's dtype
            Finite.  A map whose largest entry is beyond the dtype's range, in float32 below 2⁻¹⁰³ or from 2¹²⁸ on,
            comes divided by the power of two that just makes it fit: :meth:`backward_scaled` returns that power.
        """
        return self.backward_scaled(trace, logit_gradients, rules)[0]

    def backward_scaled(
        self, trace: GraphTrace, logit_gradients: np.ndarray, rules: Sequence[Rule | str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute :meth:`backward` with the exponents of :meth:`layer_gradients`, (R, T)."""
        name = self.nodes[0].name
        return self.layer_gradients(trace, logit_gradients, rules, [name])[name]

    def layer_gradients(
        self,
        trace: GraphTrace,
        logit_gradients: np.ndarray,
        rules: Sequence[Rule | str],
        names: Collection[str],
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Compute the (modified) gradients that arrive at the outputs of some nodes: ``V̂`` of Eq. 8.

        Parameters
        ----------
        trace : GraphTrace
            Of this network's `forward`.
        logit_gradients : array, (T, K)
            Each row seeds one backward pass; a unit vector gives the map of one logit.  Of a readout in Rows only those
            with a gradient that is not 0 are read.
        rules : sequence of Rule or str, length R
        names : collection of str
            Nodes of the graph, the input among them.

        Returns
        -------
        dict of node name to (gradients, exponents)
            (R, T, then the shape of the node's output) and (R, T): the gradient is ``gradients[r, t] · 2**exponents[r, t]``; the
            exponent is 0 wherever the dtype can hold it.

        Raises
        ------
        ValueError
            If the trace is another network's, the gradients' shape is another, a gradient is not finite, or a
            rule or a node is unknown.

        Notes
        -----
        Eq. 1 at every unit.  Summed over all that read a node's output, and before the rule of a unit that made it
        applies.
        """
        if trace.network is not self:
            raise ValueError("trace: it comes from another network's forward pass")
        self._check_names(names)
        checked_rules = [Rule(rule) for rule in rules]
        seeds = np.asarray(logit_gradients)
        seeds = _validation.real_array(seeds, "logit_gradients", (*seeds.shape[:1], self.n_logits))
        lead = (len(checked_rules), len(seeds))
        gradients = {
            name: (np.empty((*lead, *self.shapes[name]), dtype=self.dtype), np.zeros(lead, dtype=np.int64))
            for name in names
        }
        # Two or three of the largest tensors are alive at a time, beside what branches keep.
        widest = 4 * max(math.prod(shape) for shape in self.shapes.values()) * self.dtype.itemsize
        together = max(1, _BACKWARD_BYTES // widest)
        # A batch takes all rules and as many targets as fit: weights that are drawn serve all rules at once.
        n_rules = min(together, max(1, lead[0]))
        n_targets = together // n_rules
        for r, t in itertools.product(range(0, lead[0], n_rules), range(0, lead[1], n_targets)):
            part = slice(r, r + n_rules), slice(t, t + n_targets)
            batch, targets = checked_rules[part[0]], seeds[part[1]]
            passed = descent(self.nodes, self.weights, trace.saved, targets, batch, self.dtype)
            for name, gradient, exponents in passed:
                if name in gradients:
                    for whole, values in zip(
                        gradients[name], _scaling.undo(gradient, exponents), strict=True
                    ):
                        # Above the first unit one serves all rules.
                        whole[part] = values.reshape(-1, len(targets), *values.shape[1:])
                    del values
                del gradient  # or it would be alive beside the next
        return gradients


def _checked(weights: np.ndarray | Rows, name: str, shape: Shape) -> np.ndarray | Rows:
    if not isinstance(weights, Rows):
        return _validation.real_array(weights, name, shape)
    if len(shape) == 1:
        raise TypeError(f"{name}: expected an array, got {type(weights).__name__}")
    if weights.shape[0] != shape[0] or math.prod(weights.shape[1:]) != math.prod(shape[1:]):
        raise ValueError(f"{name}: expected shape {shape}, got {weights.shape}")
    return weights
