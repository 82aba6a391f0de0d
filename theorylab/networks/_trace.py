"""What a forward pass through a graph leaves behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class GraphTrace:
    """What a forward pass leaves for the backward passes.

    Attributes
    ----------
    network : GraphNetwork
        The one that made it; no other one takes it back.
    logits : array, (K,)
    saved : dict of node name to what that node keeps
        Masks as bool, winners as integers, shapes; no activation.
    activations : dict of node name to array
        Outputs of the nodes that `forward` was asked to keep.
    """

    network: object
    logits: np.ndarray
    saved: Mapping[str, Any]
    activations: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
