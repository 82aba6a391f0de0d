"""Maps of a PyTorch module by PyTorch itself, with a rule in the place of every ReLU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from theorylab import _random, _validation
from theorylab.model.rules import Rule
from theorylab.torch_bridge._available import require_torch
from theorylab.visualization import check_target, logit_gradients


@_validation.checked
def attribute_many(
    module: Any,
    xs: np.ndarray,
    rules: Iterable[Rule | str],
    targets: Iterable[int | str],
    *,
    device: Any = None,
    seed: _random.Seed = 0,
    output: str = "numpy",
) -> Any:
    """Raw maps of several images, rules and targets behind one forward pass of a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; see :func:`attribute`.
    xs : array, (B, C, H, W)
        Converted to the module's dtype.  All of it goes through the module at once.
    rules : iterable of Rule or str, length R
    targets : iterable of str or int, length T
        As in :func:`theorylab.visualize_many`, for each image; each "random" of each image draws anew.
    device : str or torch.device, optional
    seed : int or Generator
        For "random" only.
    output : "numpy" or "torch"
        "torch": a tensor that stays on the device.

    Returns
    -------
    array or torch.Tensor, (R, T, B, C, H, W), of the module's dtype

    Raises
    ------
    TypeError, ValueError
        As :func:`attribute`; if `rules` or `targets` is a single one, or `output` is another word; if an image's logits
        depend on the others.

    Notes
    -----
    Eq. 1–2.  One forward pass of the batch: the images do not see each other, which one more forward pass of the first
    image and one of the last make sure of.  One backward pass for all rules and targets where PyTorch batches every step
    of it and no hook is called on the way, else one for each: the same maps but for rounding.  On the CPU a pass takes as
    many as keep its largest tensor within 32 MiB; elsewhere all, and half as many whenever memory runs out.

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    >>> attribute_many(module, np.ones((5, 1, 3, 3)), ["saliency", "guided"], ["max"]).shape
    (2, 1, 5, 1, 3, 3)
    """
    output = _validation.choice(output, ("numpy", "torch"), "output")
    checked_rules, targets = [Rule(rule) for rule in rules], list(targets)

    def seeds_of(values: np.ndarray) -> np.ndarray:
        n_logits = values.shape[1]
        checked_targets = [check_target(target, n_logits) for target in targets]
        rng = _random.generator(seed) if "random" in checked_targets else 0
        seeds = np.empty((len(checked_targets), len(values), n_logits))
        for number, row in enumerate(values):
            seeds[:, number] = logit_gradients(checked_targets, n_logits, row.copy, rng)
        return seeds

    maps = maps_of(module, xs, checked_rules, seeds_of, device)
    if output == "torch":
        return maps
    import torch

    # Page-locked memory, which PyTorch keeps for the next call, takes a copy several times as fast.
    held = torch.empty_like(maps, device="cpu", pin_memory=maps.is_cuda)
    return held.copy_(maps).numpy()


def maps_of(
    module: Any,
    xs: Any,
    rules: Sequence[Rule],
    seeds_of: Callable[[np.ndarray], np.ndarray],
    device: Any = None,
) -> Any:
    """Return the maps of :func:`attribute_many` as a tensor; ``seeds_of(logits)`` are gradients at the logits, (T, B, K)."""
    require_torch()
    import torch

    from theorylab.torch_bridge import _signals, _twin
    from theorylab.torch_bridge._recording import Recorder

    xs = _validation.real_array(xs, "xs")
    if xs.ndim != 4 or not len(xs):
        raise ValueError(f"xs: expected (B, C, H, W) of at least one image, got {xs.shape}")
    module = _twin.check_classifier(module)
    dtype, home = _twin.precision(module)
    place = home if device is None else device_of(device)
    modified = next((rule.value for rule in rules if rule is not Rule.SALIENCY), None)
    # The caller may be inside torch.no_grad() or inference mode; nobody's .grad is written to.
    with torch.inference_mode(False), torch.enable_grad():
        image = _sent(xs, dtype, place)
        recorder = Recorder(module, place, modified)
        logits = recorder.run(image)
        _check_logits(logits, len(xs), dtype, module)
        if len(xs) > 1:
            for one in (
                slice(0, 1),
                slice(-1, None),
            ):  # each image would see those behind it, or those before it
                _check_alone(recorder.again(image[one]), logits[one])
        _check_differentiable(logits, image, lambda: recorder.again(image.detach().flip(3) + 1))
        values = logits.detach().cpu().numpy()
        seeds = seeds_of(values)
        # Filled where they are computed, and brought home once: a copy of each map would make a GPU wait.
        maps = torch.zeros((len(rules), len(seeds), *xs.shape), dtype=dtype, device=place)
        if logits.requires_grad:  # else no image changes the output
            signals = torch.tensor(seeds, dtype=dtype, device=place).repeat(len(rules), 1, 1)
            rule_of_each = tuple(rule for rule in rules for _ in seeds)
            _signals.send_back(recorder, logits, image, signals, rule_of_each, maps.flatten(0, 1))
    if not torch.isfinite(maps).all():
        raise ValueError(f"module: gradients leave the range of {values.dtype}")
    return maps


def _sent(xs: np.ndarray, dtype: Any, place: Any) -> Any:
    """Return images as a tensor of their own that needs a gradient; to a GPU they are on their way meanwhile."""
    import torch

    held = torch.empty(xs.shape, dtype=dtype, pin_memory=place.type == "cuda")
    with np.errstate(over="ignore"):  # the logits tell
        held.numpy()[...] = xs
    return held.to(place, non_blocking=True).requires_grad_()


def device_of(device: Any) -> Any:
    """Return a device of PyTorch that is there, or raise a ValueError."""
    require_torch()
    import torch

    try:
        found = torch.zeros(1, device=device)  # only a tensor there shows that the device is
        found.cpu()
        return found.device
    except Exception as error:  # PyTorch raises anything from a TypeError to an AssertionError
        raise ValueError(f"device: {str(error).splitlines()[0]}, got {_validation.shown(device)}") from None


def _check_logits(logits: Any, batch: int, dtype: Any, module: Any) -> None:
    import torch

    if not isinstance(logits, torch.Tensor):
        raise ValueError(f"module: expected a tensor of logits, got {type(logits).__name__}")
    if logits.ndim != 2 or len(logits) != batch or not logits.shape[1]:
        raise ValueError(f"module: expected logits of shape ({batch}, K), got {tuple(logits.shape)}")
    if logits.dtype != dtype:
        raise ValueError(f"module: expected logits of {dtype}, its parameters' dtype, got {logits.dtype}")
    if not torch.isfinite(logits).all():
        for name, held in (*module.named_parameters(), *module.named_buffers()):
            _validation.real_array(held, name)  # names what is not finite
        raise ValueError(f"module: logits leave the range of {dtype}")


def _check_alone(alone: Any, beside: Any) -> None:
    """Refuse a module that lets one image see the others: its maps would not be those of one image."""
    import torch

    tolerance = (1e-8 if beside.dtype == torch.float64 else 1e-3) * float(beside.detach().abs().max())
    if alone.shape != beside.shape or not torch.allclose(alone, beside, rtol=0, atol=tolerance):
        raise ValueError(
            "module: the logits of an image depend on the other images beside it; call attribute for each"
        )


def _check_differentiable(logits: Any, image: Any, elsewhere: Callable[[], Any]) -> None:
    """Refuse operations whose backward pass PyTorch leaves out, as those of quantised layers: their gradient would be 0.

    Where no gradient reaches the image its logits may not change: ``elsewhere()`` are those of another image.
    """
    import torch

    reached, seen, ahead = False, set(), [logits.grad_fn]
    while ahead:
        step = ahead.pop()
        if step is None or step in seen:
            continue
        if step.name().endswith("WarnNotImplemented"):
            raise ValueError("module: PyTorch cannot differentiate it: an operation has no backward pass")
        reached = reached or getattr(step, "variable", None) is image
        seen.add(step)
        ahead += [below for below, _ in step.next_functions]
    if not reached and not torch.equal(elsewhere(), logits):
        raise ValueError(
            "module: PyTorch cannot differentiate it: its logits depend on the image without a gradient"
        )


@_validation.checked
def attribute(
    module: Any,
    x: np.ndarray,
    rule: Rule | str,
    target: int | str = "max",
    *,
    device: Any = None,
    seed: _random.Seed = 0,
) -> np.ndarray:
    """Compute the raw map of one image, rule and target by a PyTorch module, computed in PyTorch.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, all float32 or all float64, from ``(B, C, H, W)`` to logits ``(B, K)``.  It stays as it is:
        parameters, ``.grad``, ``requires_grad``, hooks, training flags.  Many threads may call at once.
    x : array, (C, H, W)
        Converted to the module's dtype.
    rule : Rule or str
    target : str or int, default "max"
        "max", "random", "cost" or a logit's index (a tensor without axes, too): see :func:`theorylab.visualize_many`.
    device : str or torch.device, optional
        Where to compute; where the module is unless given.  Another device gets a copy of the parameters.
    seed : int or Generator
        For "random" only.

    Returns
    -------
    array, (C, H, W), of the module's dtype

    Raises
    ------
    ModuleNotFoundError
        If PyTorch is not installed.
    TypeError
        If `module` is no ``torch.nn.Module`` or `x` is not of real numbers.
    ValueError
        If the forward fails, reads values of the image (the message has the line) or writes into a parameter; if
        something draws random numbers by torch, is in training mode, without values (lazy, meta), compiled by
        TorchScript, a custom autograd function or under ``torch.no_grad``, or has no backward pass (quantised
        layers); under every rule but "saliency" if something that is neither a ReLU or LeakyReLU nor known to be
        linear, pooling or normalisation stands in it (GELU, Sigmoid, ReLU6, …), or a product of two tensors that
        depend on the image, or a division by one; if a unit is under activation checkpointing; if dtypes are mixed or
        half; if `rule`, `target`, `device` or `x` does not fit.

    Notes
    -----
    Eq. 1 and 2 at every unit as the module runs, once: ``nn.ReLU`` however often it is called, ``F.relu``,
    ``torch.relu``, ``x.relu()``, clamping at 0 from below, the maximum with 0, ``nn.LeakyReLU`` and
    ``F.leaky_relu``, and all of them in place.  The seed of the backward pass is 1, never the logit.
    ``1(0) = 0``, also for a clamp, where PyTorch's own derivative is 1.
    Everything else hands PyTorch's derivative on, with the hooks and parametrizations that the module has.

    Examples
    --------
    >>> import torch
    >>> class Residual(torch.nn.Module):
    ...     def forward(self, x):
    ...         return (x.relu() - 2 * x).flatten(1)
    >>> x = np.array([[[3.0, -1.0]]])
    >>> attribute(Residual(), x, "saliency", target=0)
    array([[[-1.,  0.]]])
    >>> attribute(torch.nn.Sequential(Residual(), torch.nn.GELU()), x, "guided")
    Traceback (most recent call last):
    ValueError: 1 (GELU): rule 'guided' is not defined for it, only for ReLU and LeakyReLU
    """
    x = _validation.real_array(x, "x")
    if x.ndim != 3:
        raise ValueError(f"x: expected (C, H, W), got {x.shape}")
    raw: np.ndarray = attribute_many(module, x[None], [rule], [target], device=device, seed=seed)[0, 0, 0]
    return raw
