"""Simulations and figures that claims share.  They join the two sides: networks are run and laws are evaluated."""
