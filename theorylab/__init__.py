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
        checking,
        convergence,
        display,
        estimates,
        figures,
        images,
        measures,
        methods,
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
    from theorylab.checking import check
    from theorylab.model import models, rules
    from theorylab.model.laws import Constant, Gaussian, TruncatedGaussian, Uniform
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
    "Constant",
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
    "Uniform",
    "__version__",
    "analytic",
    "audit",
    "auditing",
    "check",
    "checking",
    "convergence",
    "display",
    "draw",
    "estimates",
    "figures",
    "images",
    "law",
    "measures",
    "methods",
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

# The names that each module gives; one that is not here, or ends its module's, is a module itself.
_HOMES = {
    "_version": ("__version__",),
    "analytic.nolaw": ("NoLaw",),
    "analytic.of_stack": ("law",),
    "auditing": ("audit",),
    "checking": ("check",),
    "model.laws": ("Constant", "Gaussian", "TruncatedGaussian", "Uniform"),
    "model.models": ("models",),
    "model.patches": ("PatchGrid",),
    "model.pooling": ("MaxPool",),
    "model.rules": ("Rule", "rules"),
    "model.specs": ("AdaptiveAveragePool", "ConvSpec", "Dense", "Residual"),
    "model.stack": ("Stack",),
    "model.units": ("LeakyReLU", "ReLU"),
    "sampling.of_stack": ("draw",),
    "visualization": ("visualize", "visualize_many"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), name)
    value: Any = importlib.import_module(f"{__name__}.{home}")
    if home.rpartition(".")[2] != name:
        value = getattr(value, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
