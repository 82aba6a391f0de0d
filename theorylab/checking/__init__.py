"""Which rule or method an implementation is.

It is run on small random PyTorch modules and compared with all of ours;
:func:`check` is the whole of it; ``theorylab check`` is the same from a shell.
"""

from theorylab.checking._check import check
from theorylab.checking._report import CheckReport, OnNetwork

__all__ = ["CheckReport", "OnNetwork", "check"]
