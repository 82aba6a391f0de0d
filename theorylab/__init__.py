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
        montecarlo,
        networks,
        sampling,
        stats,
        torch_bridge,
        training,
        weights,
    )
    from theorylab._version import __version__
    from theorylab.analytic.nolaw import NoLaw
    from theorylab.analytic.of_stack import law
    from theorylab.auditing import audit
    from theorylab.model import models, rules
    from theorylab.model.laws import Gaussian, TruncatedGaussian
    from theorylab.model.patches import PatchGrid
    from theorylab.model.pooling import MaxPool
    from theorylab.model.rules import Rule
    from theorylab.model.specs import AdaptiveAveragePool, ConvSpec, Dense, Residual
    from theorylab.model.stack import Stack
    from theorylab.model.units import LeakyReLU, ReLU
    from theorylab.sampling.of_stack import draw
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

# Where each name lives; one that is not here, or ends its home, is a module itself.
_HOMES = {
    "AdaptiveAveragePool": "model.specs",
    "ConvSpec": "model.specs",
    "Dense": "model.specs",
    "Gaussian": "model.laws",
    "LeakyReLU": "model.units",
    "MaxPool": "model.pooling",
    "NoLaw": "analytic.nolaw",
    "PatchGrid": "model.patches",
    "ReLU": "model.units",
    "Residual": "model.specs",
    "Rule": "model.rules",
    "Stack": "model.stack",
    "TruncatedGaussian": "model.laws",
    "__version__": "_version",
    "audit": "auditing",
    "draw": "sampling.of_stack",
    "law": "analytic.of_stack",
    "models": "model.models",
    "rules": "model.rules",
    "visualize": "visualization",
    "visualize_many": "visualization",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, name)
    value: Any = importlib.import_module(f"{__name__}.{home}")
    if home.rpartition(".")[2] != name:
        value = getattr(value, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
