"""Networks built from the layers: weights in, logits and maps out."""

from theorylab.networks.random_weights import three_layer_cnn, three_layer_fcn
from theorylab.networks.readout import DrawnRows, StoredRows
from theorylab.networks.three_layer import ThreeLayerNetwork, Trace

__all__ = ["DrawnRows", "StoredRows", "ThreeLayerNetwork", "Trace", "three_layer_cnn", "three_layer_fcn"]
