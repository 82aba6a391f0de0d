"""The runs of one callable on every network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theorylab import _interrupt, _random
from theorylab.checking import _calling, _networks
from theorylab.checking._calling import Caller
from theorylab.checking._references import Case


class Runs:
    """The runs of one callable on all networks: its maps, its errors, and what it leaves behind."""

    def __init__(self, caller: Caller, seed: np.random.SeedSequence) -> None:
        self.caller, self.seed = caller, seed
        self.cases: list[Case] = []
        self.said: dict[str, str] = {}
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.random = False

    def run_on(self, name: str, number: int) -> None:
        """Run the callable on one network; on the first that it runs on, look at what it leaves behind."""
        where = f" of the network {name!r}"
        module, traces = self.made(name, number)
        found = []
        try:
            if not self.cases:
                self.caller.choose(module, traces[0].image, where)
            for place, trace in enumerate(traces):
                # The largest logit, the smallest and one between: of both signs, mostly.
                target = int(np.argsort(trace.logits)[(-1, 0, 2)[place]])
                found.append(
                    Case(
                        name,
                        trace,
                        target,
                        self.caller(module, trace.image, target, where),
                        self.caller.rounding,
                    )
                )
        except ValueError as error:
            self.said[name] = str(error)
            if len(self.said) == len(_networks.KINDS):
                raise ValueError(next(iter(self.said.values()))) from error
            return
        if not self.cases:
            self._look_behind(module, found, where)
        self.cases += found

    def made(self, name: str, number: int, size: float = 1.0) -> tuple[Any, list[Any]]:
        """Return a module and what it makes of pictures."""
        import torch

        from theorylab.torch_bridge import from_torch

        with _calling.kept(self.seed):
            drawn = _networks.module(name, _random.child(self.seed, number), torch.float64)
            module = _networks.scaled(drawn, size)
            net = from_torch(module, _networks.SHAPE)
        keep = [node.name for node in net.nodes[:-1]]
        pictures = (_networks.picture(_random.child(self.seed, number, place)) for place in range(3))
        return module, [net.forward(size * picture, keep=keep) for picture in pictures]

    def _look_behind(self, module: Any, cases: Sequence[Case], where: str) -> None:
        """Find out whether maps differ from call to call, and what becomes of a module that is used again and again."""
        again = self.caller(module, cases[0].x, cases[0].target, where)
        self.random = _differ(again, cases[0].map)
        used = self.caller.module(module)
        flags = _flags(used)
        try:
            with _calling.kept(self.seed):
                before = _calling.fingerprint(used, cases[0].x)
            for case in [*cases, cases[0]]:
                map_ = self.caller(used, case.x, case.target, where, fresh=False)
                if not self.random and _differ(map_, case.map):
                    self.faults.append("a call changes the map of the next one with the same module")
                    break
            with _calling.kept(self.seed):
                after = _calling.fingerprint(used, cases[0].x)
            if _differ(after, before):
                self.faults.append(
                    "it leaves the module changed: its logits or plain gradients are others afterwards"
                )
        except Exception as error:  # anything can happen in what it left there
            if _interrupt.from_handler(error):
                raise
            self.faults.append(f"a module that it was called with cannot be used again: {_first_line(error)}")

        for what, values in _flags(used).items():
            if values != flags[what]:
                self.faults.append(f"it leaves the module changed: {what} is another afterwards")


def _flags(module: Any) -> dict[str, dict[str, bool]]:
    """Return what no map need show at once: the mode of every part, and which parameters are trained."""
    return {
        "the mode (train or eval)": {name: part.training for name, part in module.named_modules()},
        "requires_grad of parameters": {name: one.requires_grad for name, one in module.named_parameters()},
    }


def _differ(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one - other).max() > 1e-5 * np.abs(other).max())


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
