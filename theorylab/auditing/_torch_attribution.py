"""What attributions of PyTorch modules share: a twin of the module, its plain gradient, its layers drawn anew."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from theorylab import _random, _validation
from theorylab.auditing._redraw import layers_of, redraw


@_validation.checked
class TorchAttribution(abc.ABC):
    """An attribution of a PyTorch module; subclasses say which attribution.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, for inputs (1, C, H, W).
    """

    def __init__(self, module: Any) -> None:
        if not hasattr(module, "named_modules"):
            raise TypeError(f"module: expected a torch.nn.Module, got {_validation.kind(module)}")
        self.module = module

    @abc.abstractmethod
    def __call__(self, x: np.ndarray, target: int) -> np.ndarray:
        """Return the map of one target."""

    @abc.abstractmethod
    def _with(self, module: Any) -> TorchAttribution:
        """Return the same attribution of another module."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the submodules that own weights of two or more axes, in the order of the module."""
        return layers_of(self._twin())

    @property
    def gradient(self) -> Callable[[np.ndarray, int], np.ndarray]:
        """The plain gradient, by autograd."""
        return self._gradient

    def _gradient(self, x: np.ndarray, target: int) -> np.ndarray:
        import torch

        return self._computed(
            lambda module, image: torch.autograd.grad(module(image)[0, target], image)[0], x
        )

    def _computed(self, maps: Callable[[Any, Any], Any], x: np.ndarray) -> np.ndarray:
        """Return the map of a picture from ``maps(module, image)``; the module is a twin that refuses to run if it is random."""
        import torch

        from theorylab.torch_bridge._still import still

        with torch.inference_mode(False), torch.enable_grad():
            module = still(self.module)
            like = next(module.parameters(), torch.empty(0, dtype=torch.float64))
            image = torch.as_tensor(np.ascontiguousarray(x[None]), dtype=like.dtype, device=like.device)
            found = maps(module, image.requires_grad_(True))[0]
        return np.asarray(found.detach().cpu().numpy())

    def randomized(self, layers: Collection[str], seed: _random.Seed) -> TorchAttribution:
        """Return the attribution of a twin of the module with these layers drawn anew and their biases 0."""
        twin = self._twin()
        redraw(twin, layers, seed)
        return self._with(twin)

    def _twin(self) -> Any:
        """Return a twin of the module, with its parameters in the same memory and nothing else shared."""
        from theorylab.torch_bridge import _twin

        return _twin.twin_of(_twin.check_module(self.module))
