"""Reading a PyTorch module with ``torch.fx``, without leaving a mark on it."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import operator
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any


def require_torch() -> None:
    """Raise a ModuleNotFoundError that says what to install, if PyTorch is not there."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError("torch_bridge: PyTorch is not installed; pip install torch") from None


def argument(node: Any, position: int, name: str, default: Any = None) -> Any:
    """Return the argument of an fx node at `position`, or called `name`."""
    return node.args[position] if position < len(node.args) else node.kwargs.get(name, default)


def scope_of(node: Any) -> str:
    """Path of the module whose forward made an fx node; empty at the root."""
    scope: str = next(reversed(node.meta.get("nn_module_stack") or {"": None}))
    return scope


def described(node: Any, traced: Any) -> str:
    """Describe an fx node as its user knows it: path and type of a module, name and module of a function."""
    if node.op == "call_module":
        return f"{node.target} ({type(traced.get_submodule(node.target)).__name__})"
    scope = f" in {scope_of(node)}" if scope_of(node) else ""
    if node.op == "call_function":
        from torch import overrides

        known = overrides.resolve_name(node.target) or getattr(node.target, "__name__", str(node.target))
        return f"function {known}{scope}"
    return f"{'method Tensor.' if node.op == 'call_method' else 'tensor '}{node.target}{scope}"


@functools.cache
def _tracer_class() -> type:
    import torch
    from torch import fx

    class Proxy(fx.Proxy):
        """torch.fx records ``y += x`` as ``y = y + x``, which is another program if `y` has a second name."""

        def __setitem__(self, index: Any, value: Any) -> None:
            self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def in_place(name: str) -> Any:
        function = getattr(operator, name)

        def method(self: Any, other: Any) -> Any:
            return self.tracer.create_proxy("call_function", function, (self, other), {})

        return method

    for name in ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul"):
        setattr(Proxy, f"__{name}__", in_place(name))

    class Tracer(fx.Tracer):
        def __init__(self) -> None:
            super().__init__()
            self.lost: list[str] = []  # what the graph does not hold

        def proxy(self, node: Any) -> Any:
            return Proxy(node, self)

        def create_node(self, *args: Any, **kwargs: Any) -> Any:
            node = super().create_node(*args, **kwargs)
            if not torch.is_grad_enabled():  # in the graph its gradient would be there again
                self.lost.append(f"{described(node, self.root)}: it runs without gradients (torch.no_grad)")
            return node

    return Tracer


@contextlib.contextmanager
def _untouched(module: Any) -> Iterator[None]:
    """Whatever a traced forward stores in a module, and torch.fx its constants, is taken away again."""
    kept: list[tuple[Any, Any]] = []
    for part in module.modules():
        kept.append((part.__dict__, dict(part.__dict__)))
        containers = (value for value in part.__dict__.values() if isinstance(value, (dict, list, set)))
        kept += [(container, copy.copy(container)) for container in containers]
    try:
        yield
    finally:
        for container, before in kept:
            if isinstance(container, list):
                container[:] = before
            else:
                container.clear()
                container.update(before)


def _check_signature(module: Any) -> None:
    taken = inspect.signature(module.forward).parameters
    single = [
        entry for entry in taken.values() if entry.kind not in (entry.VAR_POSITIONAL, entry.VAR_KEYWORD)
    ]
    if len(taken) != 1 or not single:
        # Not even with defaults: ``mask is None`` is false while torch.fx traces.
        raise ValueError(
            f"module: the forward of {type(module).__name__} takes ({', '.join(map(str, taken.values()))}); "
            "expected one argument, the image: wrap the module"
        )


def hooked(module: Any) -> str:
    """Describe the first submodule with a forward hook, by path and type; empty if there is none."""
    for path, part in module.named_modules():
        if part._forward_hooks or part._forward_pre_hooks:
            return f"{path or 'module'} ({type(part).__name__})"
    return ""


def trace(module: Any) -> Any:
    """Return the module, without its hooks, as a ``torch.fx.GraphModule`` that shares its parameters and submodules.

    A TypeError if it is no ``torch.nn.Module``; a ValueError if its forward takes more than the image, its control flow
    depends on data, or part of it is compiled, runs under ``torch.no_grad`` or has a backward pass of its own.
    """
    import torch
    from torch import fx, nn

    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):  # neither its functions nor its calls can be followed
            raise ValueError(f"{path or 'module'} ({type(part).__name__}): it is compiled by TorchScript")
    _check_signature(module)
    apply = inspect.unwrap(torch.autograd.Function.apply).__code__
    tracer = _tracer_class()()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        # torch.fx looks through a custom function into its forward; its backward would be lost.
        if event == "call" and frame.f_code is apply:
            name = frame.f_locals["cls"].__name__
            tracer.lost.append(f"{name} (torch.autograd.Function): it has a backward pass of its own")

    before = sys.getprofile()
    with _untouched(module), torch.inference_mode(False), torch.enable_grad():
        for part in module.modules():
            part._forward_hooks.clear()
            part._forward_pre_hooks.clear()
        sys.setprofile(watch)
        try:
            traced = fx.GraphModule(module, tracer.trace(module))
        except Exception as error:  # whatever a forward may raise that expects tensors
            reason = [*str(error).strip().splitlines(), repr(error)][0]
            raise ValueError(f"module: torch.fx cannot trace {type(module).__name__}: {reason}") from error
        finally:
            sys.setprofile(before)
    if tracer.lost:
        raise ValueError(tracer.lost[0])
    return traced


def precision(traced: Any) -> tuple[Any, Any]:
    """Return the one dtype and the one device of all parameters and statistics: float64 and the CPU if there are none.

    A ValueError that names an entry if there are two, or a dtype other than float32 and float64.
    """
    import torch

    entries = {
        name: tensor
        for name, tensor in (*traced.named_parameters(), *traced.named_buffers())
        if (tensor.is_floating_point() or tensor.is_complex()) and not name.startswith("_tensor_constant")
    }
    if not entries:
        return torch.float64, torch.device("cpu")
    first, reference = next(iter(entries.items()))
    for name, tensor in entries.items():
        if tensor.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{name}: expected float32 or float64, got {tensor.dtype}")
        if tensor.dtype != reference.dtype:
            raise ValueError(
                f"{name}: {tensor.dtype} beside {reference.dtype} of {first}; expected one dtype"
            )
        if tensor.device != reference.device:
            raise ValueError(
                f"{name}: on {tensor.device}, but {first} on {reference.device}; expected one device"
            )
    return reference.dtype, reference.device
