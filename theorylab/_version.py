"""The version, written here alone: ``setup.cfg`` and every file of results read it."""

__version__ = "0.1.0"
