"""Calls of torch's functions and layers, as values, and how the watcher of a thread hears of them."""

from __future__ import annotations

import dataclasses
import functools
import linecache
import os
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from theorylab.torch_bridge import _twin


@dataclasses.dataclass(eq=False)
class Node:
    """One call: its arguments, with nodes in the place of all tensors that depend on the image.

    `op` is "image"; "module", a layer of ``torch.nn`` at path `target`; "function" or "method" of a tensor; "item", one of
    several outputs.  `writes`: it changes a tensor in place.
    """

    op: str
    target: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    scope: str = ""
    module: Any = None
    shape: tuple[int, ...] = ()
    dtype: Any = None
    writes: bool = False
    problem: str = ""
    recorder: Any = None

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Return the argument at `position`, or called `name`."""
        return self.args[position] if position < len(self.args) else self.kwargs.get(name, default)

    def __str__(self) -> str:
        """Path and type of a module, name and module of a function."""
        if self.op == "module":
            return _twin.labelled(self.target, self.module)
        scope = f" in {self.scope}" if self.scope else ""
        if self.op == "function":
            from torch import overrides

            known = overrides.resolve_name(self.target) or getattr(self.target, "__name__", str(self.target))
            return f"function {known}{scope}"
        return f"{'method Tensor.' if self.op == 'method' else ''}{self.target}{scope}"


def mapped(value: Any, function: Any) -> Any:
    """Return nested arguments with `function` of every tensor in them."""
    import torch

    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, (tuple, list)):
        return tuple(mapped(entry, function) for entry in value)
    if isinstance(value, dict):
        return {name: mapped(entry, function) for name, entry in value.items()}
    if isinstance(value, slice):
        return slice(*(mapped(entry, function) for entry in (value.start, value.stop, value.step)))
    return value


def collected(value: Any) -> list[Any]:
    """Tensors in nested arguments or results."""
    found: list[Any] = []
    mapped(value, found.append)
    return found


@functools.cache
def called(function: Any) -> tuple[str, Any]:
    """Whether torch was called by a function or by a method, and by which; the method of an operator by its bare name."""
    from torch import overrides

    holder: Any = getattr(function, "__self__", None)
    if getattr(function, "__name__", "") in ("__get__", "__set__"):  # of an attribute
        return "method", holder.__name__
    name = getattr(function, "__name__", str(function))
    known = overrides.resolve_name(function) or ""
    if not known.startswith("torch.Tensor."):
        return "function", function
    return "method", name.strip("_") if name.startswith("__") else name


def inputs_of(node: Node) -> list[Node]:
    """Nodes among nested arguments."""
    found: list[Node] = []
    waiting: list[Any] = [node.args, node.kwargs]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, slice):
            waiting += (value.start, value.stop, value.step)
    return found


def steps_of(start: Any) -> Iterator[Any]:
    """Every step of the backward pass from a tensor's ``grad_fn`` on."""
    waiting, met = [start], set()
    while waiting:
        step = waiting.pop()
        if step is not None and step not in met:
            met.add(step)
            waiting += [below for below, _ in step.next_functions]
            yield step


@functools.cache
def _mode() -> Any:
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        def __init__(self, watch: Callable[[Any, Any, Any], Any]) -> None:
            super().__init__()
            self.watch = watch

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return self.watch(function, args, kwargs or {})

    return Mode


def watched(watch: Callable[[Any, Any, Any], Any]) -> Any:
    """Return a context in which this thread calls ``watch(function, args, kwargs)`` in the place of torch's functions."""
    return _mode()(watch)


@functools.cache
def not_users() -> tuple[str, ...]:
    """Folders whose lines are not the user's."""
    import torch

    return (os.path.dirname(torch.__file__) + os.sep, os.path.dirname(__file__) + os.sep)


def line_of(frame: FrameType, number: int) -> str:
    """File, number and words of a line of the user's."""
    path = frame.f_code.co_filename
    words = linecache.getline(path, number, frame.f_globals).strip()
    return f"{os.path.basename(path)} line {number}" + (f": `{words}`" if words else "")


def by_backward_hooks() -> bool:
    """Whether torch was called by the function that torch itself puts around a module with backward hooks."""
    from torch.nn.modules._functions import BackwardHookFunction

    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(not_users()):
        if frame.f_code.co_name == "apply" and frame.f_locals.get("cls") is BackwardHookFunction:
            return True
        frame = frame.f_back
    return False


def checkpointed() -> bool:
    """Whether torch was called by activation checkpointing, which computes it again in the backward pass."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.endswith(os.path.join("torch", "utils", "checkpoint.py")):
            return True
        frame = frame.f_back
    return False
