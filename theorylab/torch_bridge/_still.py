"""A twin of a module for methods that are not the bridge's: it runs by itself, and not where it is random."""

from __future__ import annotations

import functools
from typing import Any

from theorylab.torch_bridge import _known, _twin
from theorylab.torch_bridge._calls import Node, called, watched


def _watch(function: Any, args: Any, kwargs: Any) -> Any:
    node = Node(*called(function), args, kwargs)
    reason = _known.randomness(node)
    if reason:
        raise ValueError(f"{node}: {reason}")
    return function(*args, **kwargs)


def _run(forward: Any, *args: Any, **kwargs: Any) -> Any:
    with watched(_watch):
        return forward(*args, **kwargs)


def still(module: Any) -> Any:
    """Return a twin of a module, on which hooks can be set and which refuses to run if it is random.

    A ValueError that names what is in training mode, not yet run or without values.
    """
    found = _twin.twin_of(_twin.check_module(module))
    for path, part in found.named_modules():
        if _known.random_layer(part):
            raise ValueError(f"{_twin.labelled(path, part)}: {_known.TRAINING}")
    found.__dict__["forward"] = functools.partial(_run, found.forward)
    return found
