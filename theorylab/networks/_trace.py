"""What a forward pass through a graph leaves behind."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab import _validation
from theorylab.networks.readout import Readout


@_validation.checked
@dataclasses.dataclass(frozen=True)
class GraphTrace:
    """What a forward pass leaves for the backward passes.

    Attributes
    ----------
    network : GraphNetwork
        The network that made it; no other takes it back.
    readout : array, (K,), or Readout
        The logits, or what computes them when they are asked for.
    saved : dict of node name to what that node keeps
        Masks as bool, winners as integers, shapes; no activation.
    activations : dict of node name to array
        Outputs of the nodes that `forward` was asked to keep.
    image : array, (C, H, W)
    """

    network: Any
    readout: np.ndarray | Readout
    saved: Mapping[str, Any]
    activations: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    image: np.ndarray | None = None

    @functools.cached_property
    def logits(self) -> np.ndarray:
        """``(K,)``; of weights in rows they are computed when first asked for, which can be most of the work."""
        return np.ravel(self.readout.logits()) if isinstance(self.readout, Readout) else self.readout

    def logit(self, index: int) -> np.floating:
        """Read one of the `logits`, bit by bit; of weights in rows only its row is drawn.  Else an IndexError."""
        logit: np.floating = (
            self.readout.logit(index)[0]
            if isinstance(self.readout, Readout) and "logits" not in vars(self)
            else self.logits[index]
        )
        return logit

    @functools.cached_property
    def pre_activation(self) -> np.ndarray:
        """``w_i · y_j`` of a three-layer network plus the hidden bias, ``(N, H', W')``; computed when asked for."""
        kept: np.ndarray = self.network.forward(self.image, keep=["filters"]).activations["filters"]
        return kept
