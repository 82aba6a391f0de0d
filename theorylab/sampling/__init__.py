"""Seeded streams of maps of random networks, drawn from their exact laws."""

from theorylab.sampling.fcn import fcn_maps
from theorylab.sampling.quick import QuickGaussian
from theorylab.sampling.stack import StackSampler
from theorylab.sampling.three_layer import MapSampler, three_layer_maps
from theorylab.sampling.tiled import TiledSampler

__all__ = ["MapSampler", "QuickGaussian", "StackSampler", "TiledSampler", "fcn_maps", "three_layer_maps"]
