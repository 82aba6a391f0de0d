"""A module that shares another's parameters and nothing else, so that running it leaves no mark."""

from __future__ import annotations

import copy
import functools
import inspect
from collections import deque
from collections.abc import Callable
from types import MethodType
from typing import Any

_Wrap = Callable[[Any, str, bool], None]


def is_layer(module: Any) -> bool:
    """Whether a module is one of ``torch.nn``'s own, as it comes; containers are not."""
    from torch import nn

    if "forward" in module.__dict__ or isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return False
    return str(kind(module).__module__).startswith(("torch.nn.modules", "torch.ao.nn"))


def kind(module: Any) -> Any:
    """Return a module's type; of one with a parametrization the type that it had before."""
    from torch import nn

    own = type(module)
    return (
        own.__mro__[1]
        if own.__module__ == nn.utils.parametrize.__name__ and "forward" not in vars(own)
        else own
    )


def labelled(path: str, module: Any) -> str:
    """Describe a module as its user knows it: path and type."""
    return f"{path or 'module'} ({kind(module).__name__})"


class _Copier:
    def __init__(self, device: Any, wrap: _Wrap | None) -> None:
        self.device, self.wrap = device, wrap
        self.made: dict[int, Any] = {}
        self.originals: list[Any] = []  # what has no owner keeps its id while the copy is made

    def module(self, module: Any, path: str) -> Any:
        import torch

        module = eager(module)
        if isinstance(module, torch.jit.ScriptModule):  # neither its functions nor its calls can be followed
            raise ValueError(f"{labelled(path, module)}: it is compiled by TorchScript")
        twin = object.__new__(type(module))
        self.made[id(module)] = twin
        held = dict(module.__dict__)
        if held.get("_compiled_call_impl") is not None:
            held["_compiled_call_impl"] = None
        twin.__dict__.update(held)
        for name in ("_modules", *(name for name in held if name != "_modules")):  # registered names first
            # The entries of torch's own tables are named as if they were attributes.
            inner = name in ("_modules", "_parameters", "_buffers")
            place = path if inner else f"{path}.{name}" if path else name
            twin.__dict__[name] = self.value(held[name], place)
        if self.wrap is not None:
            self.wrap(twin, path, is_layer(module))
        return twin

    def value(self, value: Any, path: str) -> Any:
        import torch
        from torch import nn

        if id(value) in self.made:
            return self.made[id(value)]
        new: Any = value
        match value:
            case nn.Module():
                return self.module(value, path)
            case nn.Parameter():
                new = nn.Parameter(self.tensor(value), requires_grad=False)
            case torch.Tensor():
                new = self.tensor(value)
                new = new.clone() if new.data_ptr() == value.data_ptr() else new
            case MethodType(__self__=nn.Module()):
                new = MethodType(value.__func__, self.value(value.__self__, path))
            case functools.partial():
                called, held = self.value(value.func, path), self.value((value.args, value.keywords), path)
                new = functools.partial(called, *held[0], **held[1])
            case list() | dict() | set() | deque():
                new = copy.copy(value)
                self.made[id(value)] = new
                if isinstance(value, dict):
                    for key, entry in list(value.items()):
                        new[key] = self.value(entry, f"{path}.{key}" if path else str(key))
                elif not isinstance(value, set):
                    for index, entry in enumerate(list(value)):
                        new[index] = self.value(entry, f"{path}.{index}")
            case tuple() if type(value) is tuple:
                new = tuple(self.value(entry, f"{path}.{index}") for index, entry in enumerate(value))
        if new is not value:
            self.made[id(value)] = new
            self.originals.append(value)
        return new

    def tensor(self, value: Any) -> Any:
        # Autograd cannot keep a tensor that was made in inference mode; a clone, it can.
        new = value.clone().detach() if value.is_inference() else value.detach()
        return new if self.device is None else new.to(self.device)


def eager(module: Any) -> Any:
    """Return the module that ``torch.compile`` stands before, or the module itself."""
    while type(module).__name__ == "OptimizedModule" and "_orig_mod" in module._modules:
        module = module._modules["_orig_mod"]
    return module


def twin_of(module: Any, device: Any = None, wrap: _Wrap | None = None) -> Any:
    """Return a copy with the same parameters in the same memory, which need no gradient, and everything else its own.

    `device` is where its tensors lie, if elsewhere.  What its forward stores, and the hooks that are set on it, are not seen
    in `module`.  `wrap` is called with every module copied, its path, and whether it is a layer of ``torch.nn``.  A
    ValueError if part of it is compiled by TorchScript or has no values.
    """
    check_entries(module)
    return _Copier(device, wrap).module(module, "")


def check_module(module: Any) -> Any:
    """Return the module without ``torch.compile``; a TypeError if it is none."""
    from torch import nn

    if not isinstance(module, nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {type(module).__name__}")
    return eager(module)


def check_classifier(module: Any) -> Any:
    """Return the module as :func:`check_module`; a ValueError if it wants more than an image."""
    import torch

    module = check_module(module)
    if isinstance(module, torch.jit.ScriptModule):
        return module  # refused by its name, as a part would be
    taken = inspect.signature(module.forward)
    try:
        taken.bind(None)
    except TypeError:
        raise ValueError(
            f"module: the forward of {type(module).__name__} takes ({', '.join(map(str, taken.parameters.values()))}); "
            "expected one argument, the image: wrap the module"
        ) from None
    return module


def check_entries(module: Any) -> dict[str, Any]:
    """Return all parameters and statistics that are no integers, or a ValueError that names one without values."""
    from torch import nn

    entries = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in entries.items():
        if nn.parameter.is_lazy(tensor):
            path = name.rpartition(".")[0]
            owner = labelled(path, module.get_submodule(path))
            raise ValueError(f"{owner}: it has no weights until the module ran once on an image")
        if tensor.is_meta:
            raise ValueError(f"{name}: on the meta device, which holds no values")
    return {name: t for name, t in entries.items() if t.is_floating_point() or t.is_complex()}


def precision(module: Any) -> tuple[Any, Any]:
    """Return the one dtype and the one device of all parameters and statistics: float64 and the CPU if there are none.

    A ValueError that names an entry if there are two, if the dtype is not float32 or float64, or if it holds no values.
    """
    import torch

    entries = check_entries(module)
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
