"""A laboratory that tests the theory of backpropagation-based visualizations and tells the truth about it.

Names are imported when they are first used (PEP 562), so ``import theorylab`` is quick and needs nothing but
the standard library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theorylab import (
        analytic,
        architectures,
        auditing,
        convergence,
        display,
        figures,
        images,
        measures,
        montecarlo,
        networks,
        sampling,
        stats,
        torch_bridge,
        training,
        weights,
    )
    from theorylab._version import __version__
    from theorylab.auditing import audit
    from theorylab.laws import Gaussian, TruncatedGaussian
    from theorylab.patches import PatchGrid
    from theorylab.pooling import MaxPool
    from theorylab.rules import Rule
    from theorylab.specs import ConvSpec, Residual
    from theorylab.visualization import visualize, visualize_many

__all__ = [
    "ConvSpec",
    "Gaussian",
    "MaxPool",
    "PatchGrid",
    "Residual",
    "Rule",
    "TruncatedGaussian",
    "__version__",
    "analytic",
    "architectures",
    "audit",
    "auditing",
    "convergence",
    "display",
    "figures",
    "images",
    "measures",
    "montecarlo",
    "networks",
    "sampling",
    "stats",
    "torch_bridge",
    "training",
    "visualize",
    "visualize_many",
    "weights",
]

# Where each name lives; a name that is not here is a submodule.
_HOMES = {
    "ConvSpec": "specs",
    "Gaussian": "laws",
    "MaxPool": "pooling",
    "PatchGrid": "patches",
    "Residual": "specs",
    "Rule": "rules",
    "TruncatedGaussian": "laws",
    "__version__": "_version",
    "audit": "auditing",
    "visualize": "visualization",
    "visualize_many": "visualization",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _HOMES:
        value: Any = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    else:
        value = importlib.import_module(f"{__name__}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
