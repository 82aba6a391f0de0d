"""The check of one implementation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from theorylab import _random, _validation
from theorylab.checking import _networks, _noise, _references
from theorylab.checking._calling import Caller
from theorylab.checking._matching import FAULTS, Match, matches
from theorylab.checking._references import LOST, MISSED, Case
from theorylab.checking._report import CheckReport, OnNetwork
from theorylab.checking._runs import Runs

_SMALL = 1e-7  # the size of activations at which epsilons show


@_validation.checked
def check(attribute: Callable[..., Any], *, seed: _random.Seed = 0) -> CheckReport:
    """Say which rule or method an implementation is, by its maps of small random PyTorch modules.

    Parameters
    ----------
    attribute : callable
        ``attribute(module, x, target)`` gives the map of one logit, ``(C, H, W)``, ``(H, W)`` or with a first axis of 1; an
        array or a tensor.  `module` is in evaluation mode, from ``(1, 3, 12, 11)`` to logits ``(1, 5)``, float64; `x` is a
        tensor ``(1, C, H, W)``.  A callable that does not run with these is tried with a tensor that requires a gradient, an
        array ``(C, H, W)``, a tensor ``(C, H, W)``, and each in float32.
    seed : int or numpy.random.Generator
        Of weights, pictures and what the callable draws from PyTorch.

    Returns
    -------
    CheckReport
        ``print`` it.  ``.kind`` is the name of a rule (of :class:`theorylab.Rule`) or method
        (``theorylab.methods.NAMES``), or "unknown"; ``.remarks`` say what is wrong and what was done to the map;
        ``.right`` if nothing is wrong.

    Raises
    ------
    ModuleNotFoundError
        If PyTorch is not installed.
    ValueError
        If the callable runs on no network: what it raised or returned, for which target and network, and in which line.

    Notes
    -----
    A kind is named if the maps of all pictures and targets of a chain of convolutions and dense layers, with biases, are that
    kind's up to a share of 1e-4 of their norm (float32 is off by 1e-6, the nearest other kind commonly by 0.1 or more; the
    report has both), after what the remarks say was done to them: absolute value, positive part, channels joined, a factor,
    normalisation, multiplication by the input.  Each of seven more networks has one thing that implementations get wrong:
    ReLUs that are functions, one module for all ReLUs, pools, pools that overlap, branches, no biases, no convolutions.
    Where the maps are another kind's, a fault names the network.  Kinds that are the same up to the tolerance everywhere stand
    in ``.alike``.  Input × gradient and lrp-epsilon, which differ by epsilon alone, are told apart by activations of 1e-7.

    Integrated gradients, from 0, may be off by 5 %, which is what quadratures with ten steps are; the steps are found if
    they are usual ones.  Maps that differ from call to call are compared with SmoothGrad by their means: usual noise,
    under any rule.  Methods with other options than the usual ones are "unknown".

    The callable gets a copy of the module at each call; that it changes a module, or that a call changes the next one, is a
    fault.  Random numbers, gradient mode and default dtype of PyTorch are as before afterwards.

    Examples
    --------
    >>> import torch
    >>> def mine(module, x, target):
    ...     x.requires_grad_()
    ...     (gradient,) = torch.autograd.grad(module(x)[0, target], x)
    ...     return gradient[0].abs().sum(0)
    >>> report = check(mine)
    >>> report.kind, report.remarks, report.right
    ('saliency', ['absolute value', 'channels summed'], True)
    """
    from theorylab.torch_bridge._available import require_torch

    require_torch()
    root = _random.sequence(seed)
    trial = _Trial(Caller(attribute, _random.child(root, 0)), _random.child(root, 1))
    found = trial.run()
    return CheckReport(
        name=getattr(attribute, "__name__", type(attribute).__name__),
        form=f"{trial.caller.form}, {trial.caller.precision}",
        seed=seed if isinstance(seed, int) else None,
        tolerance=max(_references.TOLERANCE, trial.caller.rounding),
        **found,
    )


class _Trial(Runs):
    """What is concluded from the runs of one callable."""

    def run(self) -> dict[str, Any]:
        """Return what the report says."""
        for number, name in enumerate(_networks.KINDS):
            self.run_on(name, number)
        self.notes += [f"it does not run on the network {name!r}" for name in self.said]
        first = [case for case in self.cases if case.network == self.cases[0].network]
        if first[0].rounding:
            half = {"float16": "half precision"}.get(self.caller.returned, self.caller.returned)
            self.notes.append(f"returned in {half}")
        if not any(case.map.any() for case in first):
            self.faults.append(f"every map of the network {first[0].network!r} is zero")
            return self._report(None, [])
        if self.random:
            return self._of_random_maps(first[0])
        others = matches(first, list(_references.plain()))
        agreeing = [match for match in others if match.agrees]
        if not agreeing:
            agreeing = [match for match in matches(first, list(_references.seeded())) if match.agrees]
        if not agreeing:
            return self._report(None, others)
        known = list({id(match.reference): match.reference for match in agreeing}.values())
        rules = {rule.value for rule in _references.rules()}
        for kind in dict.fromkeys(one.kind for one in known if one.kind in rules and not one.seed):
            known += _references.wrong(kind)
        ranked = sorted(matches(self.cases, known), key=lambda match: match.order)
        ranked = self._by_epsilon(ranked)
        return self._report(self._with_steps(ranked[0], first), others, ranked)

    def _by_epsilon(self, ranked: list[Match]) -> list[Match]:
        """Tell input × gradient from lrp-epsilon, if both are left, by small activations."""
        best = ranked[0]
        left = [match for match in ranked if _as_good(match, best)]
        if not set(_TWINS) <= {match.reference.kind for match in left}:
            return ranked
        name = next(iter(_networks.KINDS))
        module, (trace, *_) = self.made(name, 0, _SMALL)
        try:
            map_ = self.caller(module, trace.image, 0, f" of the network {name!r}")
        except ValueError:
            return ranked
        if not map_.any():  # too small for half precision
            return ranked
        small = matches([Case(name, trace, 0, map_)], [match.reference for match in left])
        off = {match.reference: match.worst for match in small if match.way == best.way}
        seen = [match for match in left if off[match.reference] < _EXACT]
        told = [min(seen, key=lambda match: off[match.reference])] if seen else left
        return told + [match for match in ranked if match not in left]

    def _with_steps(self, best: Match, first: Sequence[Case]) -> Match:
        """Find the quadrature of integrated gradients."""
        if best.reference.tolerance == _references.DISCRETE and not best.reference.seed:
            # Rounding to half precision hides which quadrature it is.
            for ways in () if best.rounding else _references.quadratures():
                near = [match.reference for match in matches(first[:1], ways) if match.agrees]
                if near:
                    found = min(matches(self.cases, list(set(near))), key=lambda match: match.order)
                    if len(found.done) <= len(best.done) and found.agrees >= best.agrees:
                        return found
            off = max(best.deviations[name] for name in best.agrees)
            self.notes.append(f"off by {off:.1%} of the exact integral, as quadratures are")
        return best

    def _of_random_maps(self, case: Case) -> dict[str, Any]:
        """Compare the mean of many calls with SmoothGrad's."""
        module, _ = self.made(case.network, list(_networks.KINDS).index(case.network))
        where = f" of the network {case.network!r}"
        maps = [self.caller(module, case.x, case.target, where) for _ in range(_noise.CALLS)]
        words = _noise.smoothgrad(case, np.stack(maps), _random.child(self.seed, len(_networks.KINDS)))
        (self.notes if words else self.faults).append("two calls give different maps")
        found = self._report(None, [])
        if not words:
            return found
        only = tuple(
            dataclasses.replace(one, kind="smoothgrad" if one.name == case.network else "")
            for one in found["networks"]
        )
        more = [words, f"of the mean of {_noise.CALLS} calls on the network {case.network!r} alone"]
        return found | {"kind": "smoothgrad", "notes": [*more, *self.notes], "networks": only}

    def _report(
        self, best: Match | None, others: Sequence[Match], ranked: Sequence[Match] = ()
    ) -> dict[str, Any]:
        kinds: dict[str, str] = dict.fromkeys(_networks.KINDS, "unknown") | dict.fromkeys(self.said, "")
        off = dict.fromkeys(_networks.KINDS, np.nan)
        alike: dict[str, None] = {}
        if best is not None:
            reference = best.reference
            hidden = best.rounding and any(  # rounding to half precision hides which options it has
                one.reference.kind == reference.kind and one.reference.remarks != reference.remarks
                for one in ranked
                if _as_good(one, best)
            )
            off |= best.deviations
            kinds |= dict.fromkeys(best.agrees, reference.kind)
            self.faults += [_WHERE.get(fault, fault) for fault in reference.faults]
            self.faults += [word for word in best.done if word in FAULTS]
            self.notes = [
                *(() if hidden else reference.remarks),
                *(word for word in best.done if word not in FAULTS),
                *self.notes,
            ]
            if MISSED in reference.faults:
                kinds[_networks.FUNCTIONAL] = "saliency"
            if LOST in reference.faults:
                kinds[_networks.OVERLAPPING] = "unknown"
            for name in [name for name in best.deviations if name not in best.agrees]:
                kinds[name], words = self._kind_on(name, best)
                self.faults.append(f"on the network {name!r} ({_networks.KINDS[name]}) it is {words}")
            same = [match.reference.kind for match in ranked if _as_good(match, best)]
            alike = dict.fromkeys(kind for kind in same if kind != reference.kind)
            twins = _TWINS if reference.kind in _TWINS else ()
            others = [
                match
                for match in others
                if match.way == best.way and match.reference.kind not in (reference.kind, *alike, *twins)
            ]
        finite = [match for match in others if np.isfinite(match.worst)]
        nearest = min(finite, key=lambda match: match.worst, default=None)
        if best is None and (zero := [case for case in self.cases if not case.map.any()]):
            for name in dict.fromkeys(case.network for case in zero):
                words = f"a map of the network {name!r} is zero"
                self.faults += [words] * (not any(repr(name) in fault for fault in self.faults))
        networks = [
            OnNetwork(name, made_of, kinds[name], float(off[name]), self.said.get(name, ""))
            for name, made_of in _networks.KINDS.items()
        ]
        return {
            "kind": "unknown" if best is None else best.reference.kind,
            "faults": self.faults,
            "notes": self.notes,
            "alike": tuple(alike),
            "deviation": float("nan") if best is None else max(best.deviations[name] for name in best.agrees),
            "nearest": ("", float("nan")) if nearest is None else (nearest.reference.kind, nearest.worst),
            "networks": tuple(networks),
        }

    def _kind_on(self, name: str, best: Match) -> tuple[str, str]:
        """Say which kind the maps of one network are, as a name and in words."""
        here = [case for case in self.cases if case.network == name]
        found = [match for match in matches(here, list(_references.plain())) if match.way == best.way]
        nearest = min(found, key=lambda match: match.order)
        if nearest.agrees:
            kind = nearest.reference.kind
            return kind, "the plain gradient, saliency" if kind == "saliency" else kind
        if not all(case.map.any() for case in here):
            return "unknown", "zero"
        off = best.deviations[name]
        return "unknown", "something else" + (f", off by {off:.2g}" if np.isfinite(off) else "")


_EXACT = 1e-3  # of maps where activations are small: epsilons ten times as large or as small are off by 0.01 or more
_TWINS = ("input-x-gradient", "lrp-epsilon")
_OVERWRITTEN = "a pixel that wins in several windows gets one window's share"
_WHERE = {
    MISSED: f"{MISSED}: on the network {_networks.FUNCTIONAL!r} it is the plain gradient, saliency",
    LOST: f"{LOST}: on the network {_networks.OVERLAPPING!r} {_OVERWRITTEN}",
}


def _as_good(match: Match, best: Match) -> bool:
    """Whether a match says the same of another kind."""
    faults = match.reference.faults == best.reference.faults
    return faults and match.way == best.way and match.agrees == best.agrees
