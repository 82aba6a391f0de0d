"""The names of the methods beside the rules, for those who run them and those who predict maps.  Imports nothing."""

from __future__ import annotations

from typing import Final

TITLES: Final = {
    "input-x-gradient": "input × gradient",
    "integrated-gradients": "integrated gradients",
    "smoothgrad": "SmoothGrad",
    "grad-cam": "Grad-CAM",
    "guided-grad-cam": "guided Grad-CAM",
    "rectgrad": "RectGrad",
    "lrp-epsilon": "LRP-ε",
    "lrp-alpha1beta0": "LRP-α1β0",
    "deep-taylor": "deep Taylor",
    "activation-weighted": "activation-weighted gradient",
    "excitation-pullback": "excitation pullback",
}
"""What figures and tables call each method, by its name; :mod:`theorylab.methods` runs them."""
