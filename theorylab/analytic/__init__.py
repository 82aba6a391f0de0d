"""Closed forms only: no simulation, and no import of one, so that agreement with a simulation is evidence."""

from theorylab.analytic import halfspace
from theorylab.analytic.maximum import maximum_logit_mean_map, maximum_logit_moment, maximum_moment
from theorylab.analytic.shallow import active_coverage, covariance, local_contrast, mean_map, variance_map
from theorylab.analytic.summaries import (
    class_distance,
    estimation_error,
    expected_class_product,
    expected_cosine,
    expected_energy,
    filters_needed,
)

__all__ = [
    "active_coverage",
    "class_distance",
    "covariance",
    "estimation_error",
    "expected_class_product",
    "expected_cosine",
    "expected_energy",
    "filters_needed",
    "halfspace",
    "local_contrast",
    "maximum_logit_mean_map",
    "maximum_logit_moment",
    "maximum_moment",
    "mean_map",
    "variance_map",
]
