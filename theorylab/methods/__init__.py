"""The methods that people use today to explain a logit, beside the backward rules: explicit NumPy on the package's networks.

>>> NAMES[:3]
('input-x-gradient', 'integrated-gradients', 'smoothgrad')
"""

from theorylab.methods import _cam, _gradients, _rectgrad, _relevance  # noqa: F401 - they register
from theorylab.methods._attribute import attribute
from theorylab.methods._method import NAMES, Method, NoRule, method

__all__ = ["NAMES", "Method", "NoRule", "attribute", "method"]
