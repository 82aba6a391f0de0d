"""Closed forms only: no simulation, and no import of one, so that agreement with a simulation is evidence."""

from theorylab.analytic import halfspace
from theorylab.analytic import tolerances as tolerances
from theorylab.analytic.conv_depth import depth_maps
from theorylab.analytic.depth import deconvnet_correlation, depth_profile, infinite_depth_alignment
from theorylab.analytic.estimation import estimation_error, filters_needed
from theorylab.analytic.features import feature_cosine
from theorylab.analytic.finite_width import finite_width_profile
from theorylab.analytic.gates import active_coverage, local_contrast
from theorylab.analytic.gradients import gradient_correlation, gradient_fourth_moment
from theorylab.analytic.insensitivity import infinite_depth_class_distance
from theorylab.analytic.kurtosis import fourth_cumulant_map
from theorylab.analytic.maximum import maximum_logit_mean_map, maximum_logit_moment, maximum_moment
from theorylab.analytic.orthant import orthant_probability, orthant_probability_with_error
from theorylab.analytic.other_gates import smoothgrad_cosine
from theorylab.analytic.pooled import pooled_mean_map, pooled_mean_map_with_error, selection_probabilities
from theorylab.analytic.pooled_moments import pooled_patch_variance, pooled_variance_map
from theorylab.analytic.relevance import relevance_collapse, relevance_cosine
from theorylab.analytic.shallow import (
    class_distance,
    expected_class_product,
    expected_cosine,
    expected_energy,
    mean_map,
    variance_map,
)
from theorylab.analytic.whole_covariance import covariance

__all__ = [
    "active_coverage",
    "class_distance",
    "covariance",
    "deconvnet_correlation",
    "depth_maps",
    "depth_profile",
    "estimation_error",
    "expected_class_product",
    "expected_cosine",
    "expected_energy",
    "feature_cosine",
    "filters_needed",
    "finite_width_profile",
    "fourth_cumulant_map",
    "gradient_correlation",
    "gradient_fourth_moment",
    "halfspace",
    "infinite_depth_alignment",
    "infinite_depth_class_distance",
    "local_contrast",
    "maximum_logit_mean_map",
    "maximum_logit_moment",
    "maximum_moment",
    "mean_map",
    "orthant_probability",
    "orthant_probability_with_error",
    "pooled_mean_map",
    "pooled_mean_map_with_error",
    "pooled_patch_variance",
    "pooled_variance_map",
    "relevance_collapse",
    "relevance_cosine",
    "selection_probabilities",
    "smoothgrad_cosine",
    "variance_map",
]
