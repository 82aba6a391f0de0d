"""PyTorch modules in the laboratory: as a NumPy graph, or attributed in place by PyTorch itself.

:func:`from_torch` turns a module into a :class:`theorylab.networks.graph.GraphNetwork`, and :func:`to_torch` goes back;
:func:`attribute` computes a raw map in PyTorch, on any device; :func:`stack_of` describes a module as a :class:`theorylab.Stack`,
for :func:`theorylab.law`.  What is given a module runs a twin of it and watches which functions of torch the image goes through,
so that a ReLU is found however it is written, and refuses by name what it does not know: a map that is silently wrong is the one
thing that never comes back.

Nothing here imports torch before a function is called.
"""

from theorylab.torch_bridge._attribute import attribute, attribute_many
from theorylab.torch_bridge._from_torch import from_torch
from theorylab.torch_bridge._stack_of import stack_of
from theorylab.torch_bridge._to_torch import to_torch

__all__ = ["attribute", "attribute_many", "from_torch", "stack_of", "to_torch"]
