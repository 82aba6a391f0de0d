"""Replicates, streamed: mergeable moments and the engine that fills them."""

from theorylab.montecarlo.engine import Measurement, measurement, replicate
from theorylab.montecarlo.moments import ArrayMoments, Statistics

__all__ = ["ArrayMoments", "Measurement", "Statistics", "measurement", "replicate"]
