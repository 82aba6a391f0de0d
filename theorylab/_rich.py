"""Imports rich with the state of Python's ``random`` kept: rich draws from it, and it is the user's."""

import random

_state = random.getstate()
import rich.style  # noqa: E402, F401

random.setstate(_state)
