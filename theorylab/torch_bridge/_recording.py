"""A PyTorch module as it runs on an image: every layer and every function of torch that the image goes through.

The module itself runs, or rather a twin of it, so that a type, a shape, a hook or a parametrization is what it is
without us.  ``TorchFunctionMode`` belongs to one thread: nothing of torch or of the interpreter is exchanged.
"""

from __future__ import annotations

import functools
import os
import sys
import weakref
from types import FrameType
from typing import Any

from theorylab import _interrupt
from theorylab.torch_bridge import _known, _rectifiers, _twin
from theorylab.torch_bridge._calls import (
    Node,
    by_backward_hooks,
    called,
    checkpointed,
    collected,
    inputs_of,
    line_of,
    mapped,
    not_users,
    steps_of,
    watched,
)

_MODULES = os.path.join("torch", "nn", "modules", "module.py")
# Methods and functions through which the value of a tensor leaves torch.
_READS = """
    __bool__ __float__ __int__ __index__ __complex__ __contains__ __array__ __dlpack__ item tolist numpy equal allclose
    is_nonzero
"""
# What sets, or may set, a function of the user's on a tensor's way back.
_HOOKS = ("register_hook", "retain_grad", "grad_fn")


class Recorder:
    """Runs one module on one batch of images, and notes what the images go through.

    `rule` names the rule under which everything but a unit has to be known; `current` is what units obey in the backward
    passes.  Unless it is `strict`, a hook may read values.
    """

    def __init__(self, module: Any, device: Any, rule: str | None = None, strict: bool = False) -> None:
        self.rule, self.strict, self.current = rule, strict, _rectifiers.Current()
        self.nodes: list[Node] = []
        self.scopes: list[tuple[str, Any]] = []
        self.layer: Node | None = None  # inside a layer of torch.nn nothing is noted
        self.refusals: list[str] = []
        self.failed: tuple[BaseException | None, str] = (None, "")
        self.image: Any = None
        self.watching = False
        self.hooked = False
        self.marked: list[Any] = []
        self.result: Node | None = None  # what the output was computed by
        self.twin = _twin.twin_of(module, device, self._wrap)
        self.memory = {parameter.untyped_storage().data_ptr() for parameter in self.twin.parameters()} - {0}

    def run(self, image: Any) -> Any:
        """Return the module's output for images that need a gradient, or raise a ValueError of one line."""
        import torch

        self.image = image
        buffers = [(name, buffer, buffer._version) for name, buffer in self.twin.named_buffers()]
        self.watching = True
        try:
            with torch.inference_mode(False), torch.enable_grad():
                given = image.clone()  # the module may write into its input
                self._note(Node("image", "image"), [given])
                with watched(self._watch):
                    output = self._guarded(given)
            self._refuse()
            for name, buffer, version in buffers:
                owner = self.twin.get_submodule(name.rpartition(".")[0])
                if buffer._version != version and owner.training:
                    raise ValueError(f"{name}: it changes as the module runs {_known.TRAINING}")
            self._check(output)
            self.result = self.node_of(output) if isinstance(output, torch.Tensor) else None
        finally:
            self.watching = False
            for mark in self.marked:  # a hook of the user's may have kept the tensor
                tensor = mark()
                if tensor is not None:
                    tensor.__dict__.pop("_theorylab_node", None)
        return output

    def again(self, image: Any) -> Any:
        """Return the module's output for other images, not watched."""
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            return self._guarded(image.detach().clone().requires_grad_()).detach()

    def _guarded(self, given: Any) -> Any:
        try:
            return self.twin(given)
        except (Exception, SystemExit) as error:  # whatever a forward may raise
            if _interrupt.from_handler(error):
                raise
            self._refuse()
            where = self.failed[1] if self.failed[0] is error else "module"
            reason = [*str(error).strip().splitlines(), type(error).__name__][0]
            raise ValueError(f"{where}: {reason}") from error

    def node_of(self, tensor: Any) -> Node | None:
        """Return what a tensor was computed by; None if the image has no part in it."""
        node: Node | None = getattr(tensor, "_theorylab_node", None)
        if node is not None and node.recorder is self:
            return node
        if tensor.grad_fn is None or not any(
            getattr(step, "variable", None) is self.image for step in steps_of(tensor.grad_fn)
        ):
            return None
        where = _twin.labelled(*(self.scopes[-1] if self.scopes else ("", self.twin)))
        node = Node("item", f"a tensor in {where}")
        node.problem = (
            "it was computed where torch cannot be watched (compiled code, another thread, a view written to)"
        )
        self._note(node, [tensor])
        return node

    def _watch(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Note and run one function of torch."""
        op, target = called(function)
        self.hooked = self.hooked or target in _HOOKS
        if self.layer is not None:
            self._insist(_known.randomness(Node(op, target, args, kwargs)), self.layer)
            self._look_inside(Node(op, target), args, kwargs)
            return function(*args, **kwargs)
        node = Node(op, target, scope=self.scopes[-1][0] if self.scopes else "")
        return self._call(node, function, args, kwargs)

    def _look_inside(self, node: Node, args: Any, kwargs: Any) -> None:
        """Note that a layer multiplies what depends on the image, as one whose weight does."""
        moving = {
            id(tensor): Node("item", "") for tensor in collected((args, kwargs)) if tensor.requires_grad
        }
        node.args, node.kwargs = mapped((tuple(args), kwargs), lambda tensor: moving.get(id(tensor), tensor))
        if self.rule and self.layer is not None and not self.layer.problem:
            self.layer.problem = self._undefined(_known.misused(node, set(moving.values())))

    def _undefined(self, words: str) -> str:
        return words and f"rule {self.rule!r} is not defined for {words}"

    def _wrap(self, twin: Any, path: str, layer: bool) -> None:
        # The very top is looked into, whatever it is.
        twin.__dict__["forward"] = functools.partial(self._enter, twin, path, layer and path, twin.forward)

    def _enter(self, twin: Any, path: str, layer: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
        """Take the place of a module's forward."""
        if not self.watching:
            return forward(*args, **kwargs)
        if layer and self.layer is None:
            self.layer = Node("module", path, scope=path, module=twin)
            try:
                return self._call(self.layer, forward, args, kwargs)
            finally:
                self.layer = None
        self.scopes.append((path, twin))
        try:
            return forward(*args, **kwargs)
        except (Exception, SystemExit) as error:
            trace, users = error.__traceback__, ""
            while trace is not None:
                if not trace.tb_frame.f_code.co_filename.startswith(not_users()):
                    users = f", {line_of(trace.tb_frame, trace.tb_lineno)}"
                trace = trace.tb_next
            self._fail(error, f"{_twin.labelled(path, twin)}{users}: {type(error).__name__}")
            raise
        finally:
            self.scopes.pop()

    def _fail(self, error: BaseException, where: str) -> None:
        if self.failed[0] is not error:  # the innermost place knows best
            self.failed = (error, where)

    def _refuse(self) -> None:
        if self.refusals:
            raise ValueError(self.refusals[0]) from None

    def _insist(self, reason: str, where: Node | str) -> None:
        """Stop at what cannot be followed; a forward that goes on nevertheless is refused at its end."""
        if reason:
            self.refusals.append(f"{where}: {reason}")
            raise ValueError(self.refusals[-1])

    def _call(self, node: Node, compute: Any, args: Any, kwargs: Any) -> Any:
        tensors = collected((args, kwargs))
        held = {found: tensor for tensor in tensors if (found := self.node_of(tensor)) is not None}
        node.args, node.kwargs = mapped((tuple(args), kwargs), lambda tensor: self.node_of(tensor) or tensor)
        self._insist(_known.training(node) if node.op == "module" else _known.randomness(node), node)
        name = "" if node.op == "module" else getattr(compute, "__name__", "")
        if held and name in _READS.split():
            self._read()
        goal = kwargs.get("out", args[:1] if _known.in_place(name) else None)
        if any(tensor.untyped_storage().data_ptr() in self.memory for tensor in collected(goal)):
            self._insist("it writes into a parameter", node)
        moving = {found for tensor in tensors if tensor.requires_grad and (found := self.node_of(tensor))}
        seen = _rectifiers.rectification(node) if held else None
        if seen is not None and checkpointed():  # what is computed again is not watched
            self._insist(
                "activation checkpointing (torch.utils.checkpoint) is not supported; switch it off", node
            )
        versions = [(tensor, tensor._version) for tensor in tensors]
        try:
            result = (
                compute(*args, **kwargs)
                if seen is None
                else _rectifiers.rectify(held[seen.source], seen, self.current)
            )
        except (Exception, SystemExit) as error:
            self._fail(error, str(node))
            raise
        if held:
            written = [tensor for tensor, version in versions if tensor._version != version]
            self._keep(node, moving if seen is None else None, result, written)
        return result

    def _keep(self, node: Node, moving: set[Node] | None, result: Any, written: list[Any]) -> None:
        """Note a call that the image has a part in, if a tensor comes of it; a unit has no `moving`."""
        import torch

        outputs = collected(result)
        node.writes = node.target == "register_hook" or any(self.node_of(tensor) for tensor in written)
        if not (outputs or written or node.writes):
            return
        if not torch.is_grad_enabled() and not by_backward_hooks():
            node.problem = "it runs without gradients (torch.no_grad)"
        elif self.rule and moving is not None:
            whole = [result] if isinstance(result, torch.Tensor) else []
            node.problem = self._undefined(_known.unruled(node, moving, whole)) or node.problem
        if isinstance(result, torch.Tensor):
            self._note(node, [result, *written])
            return
        self._note(node, written)
        for index, tensor in enumerate(outputs):
            item = Node("item", f"output {index} of {node}", (node,))
            item.problem = self._undefined(_known.unruled(item, (), [tensor])) if self.rule else ""
            self._note(item, [tensor])

    def _note(self, node: Node, tensors: list[Any]) -> None:
        node.recorder = self
        self.nodes.append(node)
        for tensor in tensors:
            node.shape, node.dtype = tuple(tensor.shape), tensor.dtype
            tensor._theorylab_node = node
            self.marked.append(weakref.ref(tensor))

    def _read(self) -> None:
        """Refuse a forward that reads the value of a tensor; a hook may look on."""
        frame: FrameType | None = sys._getframe(2)
        users = None
        while frame is not None and frame.f_code is not Recorder._enter.__code__:
            path = frame.f_code.co_filename
            if path.endswith(_MODULES) and not self.strict:
                return
            if users is None and not path.startswith(not_users()):
                users = frame
            frame = frame.f_back
        line = f", {line_of(users, users.f_lineno)}" if users is not None else ""
        path, twin = self.scopes[-1]
        self._insist("what it computes depends on values of the image", _twin.labelled(path, twin) + line)

    def _check(self, output: Any) -> None:
        """Refuse what the output depends on and cannot be followed; the rest does no harm."""
        from torch.autograd.function import BackwardCFunction
        from torch.nn.modules._functions import BackwardHookFunction

        for tensor in collected(output):
            for step in steps_of(tensor.grad_fn):
                if isinstance(step, BackwardCFunction):
                    kind: Any = type(step)
                    own = kind._forward_cls
                    if own is not BackwardHookFunction and not own.__module__.startswith(
                        "theorylab.torch_bridge."
                    ):
                        raise ValueError(
                            f"{own.__name__} (torch.autograd.Function): it has a backward pass of its own"
                        )
        needed = {node for tensor in collected(output) if (node := self.node_of(tensor)) is not None}
        for node in reversed(self.nodes):
            if node in needed or node.writes:
                needed.add(node)
                needed.update(inputs_of(node))
        for node in self.nodes:
            if node in needed and node.problem:
                raise ValueError(f"{node}: {node.problem}")
