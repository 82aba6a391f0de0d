"""Streamed replicates: mergeable moments, the engine that fills them, where it runs, and its checkpoints."""

from theorylab.montecarlo.checkpoints import CheckpointFolder
from theorylab.montecarlo.engine import Study, replicate, replicate_all
from theorylab.montecarlo.executors import DaskExecutor, JoblibExecutor
from theorylab.montecarlo.moments import (
    ArrayMoments,
    Measurement,
    Simulation,
    Statistics,
    Undetermined,
    measurement,
)

__all__ = [
    "ArrayMoments",
    "CheckpointFolder",
    "DaskExecutor",
    "JoblibExecutor",
    "Measurement",
    "Simulation",
    "Statistics",
    "Study",
    "Undetermined",
    "measurement",
    "replicate",
    "replicate_all",
]
