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
        auditing,
        convergence,
        display,
        estimates,
        figures,
        images,
        measures,
        models,
        montecarlo,
        networks,
        rules,
        sampling,
        stats,
        torch_bridge,
        training,
        weights,
    )
    from theorylab._version import __version__
    from theorylab.analytic.of_stack import law
    from theorylab.auditing import audit
    from theorylab.laws import Gaussian, TruncatedGaussian
    from theorylab.nolaw import NoLaw
    from theorylab.patches import PatchGrid
    from theorylab.pooling import MaxPool
    from theorylab.rules import Rule
    from theorylab.sampling.of_stack import draw
    from theorylab.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
    from theorylab.stack import Stack
    from theorylab.units import LeakyReLU, ReLU
    from theorylab.visualization import visualize, visualize_many

__all__ = [
    "AdaptiveAveragePool",
    "ConvSpec",
    "Dense",
    "Gaussian",
    "LeakyReLU",
    "MaxPool",
    "NoLaw",
    "PatchGrid",
    "ReLU",
    "Residual",
    "Rule",
    "Stack",
    "TruncatedGaussian",
    "__version__",
    "analytic",
    "audit",
    "auditing",
    "convergence",
    "display",
    "draw",
    "estimates",
    "figures",
    "images",
    "law",
    "measures",
    "models",
    "montecarlo",
    "networks",
    "rules",
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
    "law": "analytic.of_stack",
    "AdaptiveAveragePool": "specs",
    "Dense": "specs",
    "draw": "sampling.of_stack",
    "Stack": "stack",
    "ReLU": "units",
    "NoLaw": "nolaw",
    "LeakyReLU": "units",
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
