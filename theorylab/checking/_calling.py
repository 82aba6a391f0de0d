"""The user's callable, run on modules of ours: in which form it takes pictures, and what it leaves behind."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from theorylab import _random
from theorylab.auditing import _maps

FORMS = (
    "a tensor (1, C, H, W)",
    "a tensor (1, C, H, W) that requires a gradient",
    "an array (C, H, W)",
    "a tensor (C, H, W)",
)

HALVES = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Dtypes whose rounding is seen in a map, with the distance of two numbers near 1."""


@contextlib.contextmanager
def kept(seed: np.random.SeedSequence) -> Iterator[None]:
    """Run what may change the state of PyTorch: gradients are on, random numbers come from `seed`, and all is put back."""
    import torch

    dtype, algorithms = torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()
    with (
        torch.random.fork_rng(devices=[]),
        torch.inference_mode(False),
        torch.enable_grad(),
        warnings.catch_warnings(),  # Captum and PyTorch warn at each call that hooks are set
    ):
        warnings.simplefilter("ignore")
        torch.manual_seed(int(seed.generate_state(1)[0]))
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.use_deterministic_algorithms(algorithms)


@dataclasses.dataclass
class Caller:
    """Calls an attribution in the form that it takes; each call has random numbers of its own."""

    attribute: Callable[..., Any]
    seed: np.random.SeedSequence
    form: str = FORMS[0]
    precision: str = "float64"
    rounding: float = 0.0
    returned: str = ""
    calls: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def choose(self, module: Any, x: np.ndarray, where: str) -> None:
        """Find the form in which the callable takes pictures, or raise what it said to the first one."""
        first = None
        for self.precision, self.form in itertools.product(("float64", "float32"), FORMS):
            try:
                self(module, x, 0, where)
                return
            except ValueError as error:
                first = first or error
        assert first is not None
        raise first

    def module(self, module: Any) -> Any:
        """Return a copy of a module in the precision of the callable."""
        return copy.deepcopy(module).to(self._dtype())

    def _dtype(self) -> Any:
        import torch

        return getattr(torch, self.precision)

    def __call__(
        self, module: Any, x: np.ndarray, target: int, where: str, *, fresh: bool = True
    ) -> np.ndarray:
        """Return the map of one target, (C, H, W) or (1, H, W), by a copy of the module unless it is not to be `fresh`."""
        import torch

        picture: Any = torch.tensor(x, dtype=self._dtype())
        match FORMS.index(self.form):
            case 0:
                picture = picture[None]
            case 1:
                picture = picture[None].requires_grad_()
            case 2:
                picture = picture.numpy()
        with (
            kept(_random.child(self.seed, next(self.calls))),
            _maps.of_the_user(self.attribute, f"target {target}{where}"),
        ):
            given = self.attribute(self.module(module) if fresh else module, picture, target)
            map_ = _maps.as_array(given)
        dtype = str(
            getattr(given[0] if isinstance(given, (tuple, list)) and len(given) == 1 else given, "dtype", "")
        )
        self.returned = dtype.removeprefix("torch.")
        self.rounding = HALVES.get(self.returned, 0.0)
        return _maps.checked(map_, x, target, where)


def fingerprint(module: Any, x: np.ndarray) -> np.ndarray:
    """Return the logits and the plain gradient of each in one array: what others find who use the module next."""
    import torch

    like = next(module.parameters())
    picture = torch.tensor(x[None], dtype=like.dtype, requires_grad=True)
    logits = module(picture)
    rows = [torch.autograd.grad(logit, picture, retain_graph=True)[0].ravel() for logit in logits[0]]
    return np.asarray(torch.cat([logits.ravel(), *rows]).detach().numpy())
