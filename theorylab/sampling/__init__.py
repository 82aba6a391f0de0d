"""Seeded streams of maps of random networks, drawn from their exact laws."""

from theorylab.sampling.fcn import fcn_maps
from theorylab.sampling.three_layer import MapSampler, three_layer_maps

__all__ = ["MapSampler", "fcn_maps", "three_layer_maps"]
