"""Seeded maps of random networks, drawn from their exact laws.  Imports `networks` and `kernels`, no closed form."""

from theorylab.sampling.dense import DenseSampler
from theorylab.sampling.maps import fcn_maps, three_layer_maps
from theorylab.sampling.of_stack import GraphSampler, draw, sampler
from theorylab.sampling.three_layer import MapSampler
from theorylab.sampling.tiled import TiledSampler

__all__ = [
    "DenseSampler",
    "GraphSampler",
    "MapSampler",
    "TiledSampler",
    "draw",
    "fcn_maps",
    "sampler",
    "three_layer_maps",
]
