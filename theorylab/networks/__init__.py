"""Networks built from the layers: weights in, logits and maps out."""

from theorylab.networks._trace import GraphTrace
from theorylab.networks.deep import resnet50, vgg16
from theorylab.networks.from_stack import redrawn
from theorylab.networks.graph import GraphNetwork
from theorylab.networks.readout import DrawnRows, StoredRows
from theorylab.networks.three_layer import ThreeLayerNetwork, three_layer_cnn, three_layer_fcn

__all__ = [
    "DrawnRows",
    "GraphNetwork",
    "GraphTrace",
    "StoredRows",
    "ThreeLayerNetwork",
    "redrawn",
    "resnet50",
    "three_layer_cnn",
    "three_layer_fcn",
    "vgg16",
]
