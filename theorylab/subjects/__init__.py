"""Trained networks to look at: which layers were trained, their random twins, and how a picture is prepared for them."""

from theorylab.subjects._given import given, of_module
from theorylab.subjects._packaged import PACKAGED, SMALL, TORCHVISION, best, hed_is_present, small, vgg16
from theorylab.subjects._subject import Subject, column, gates, layer_titles

__all__ = [
    "PACKAGED",
    "SMALL",
    "TORCHVISION",
    "Subject",
    "best",
    "column",
    "gates",
    "given",
    "hed_is_present",
    "layer_titles",
    "of_module",
    "small",
    "vgg16",
]
